// tuff train
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *net, *data, *optimizer, *schedule, *loss, *init, *out, *resume;
    const char *gradients, *precision, *augment;
    double slim, lr, momentum, dampening, alpha, beta1, beta2, eps;
    double weight_decay, l1, clip_value, clip_norm, held_out;
    bool decoupled, keep_zeros, keep_shared;
    int64_t epochs, batch, patience, save_every, limit_train, limit_test;
} settings;

typedef struct state {
    cJSON *epochs;
    bool quiet;
} state;

// ---- progress ------------------------------------------------------------------------------

static bool on_step(void *user, const tuff_progress *p)
{
    (void)user;
    const double rate = p->seconds > 0 ? (double)p->examples / p->seconds : 0;
    char loss[32] = "";
    if (p->loss >= 0) snprintf(loss, sizeof loss, "  loss %.4f", p->loss);
    cli_bar((double)p->step / (double)p->steps, "epoch %d/%d  %.0f images/s%s", p->epoch,
            p->epochs, rate, loss);
    return true;
}

static cJSON *epoch_json(const tuff_epoch *e)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "epoch", e->epoch);
    cJSON_AddNumberToObject(o, "lr", e->lr);
    cJSON_AddNumberToObject(o, "loss", e->train.loss);
    if (e->train.accuracy >= 0) cJSON_AddNumberToObject(o, "accuracy", e->train.accuracy);
    if (e->test.examples) {
        cJSON_AddNumberToObject(o, "test_loss", e->test.loss);
        if (e->test.accuracy >= 0)
            cJSON_AddNumberToObject(o, "test_accuracy", e->test.accuracy);
    }
    if (e->held.examples) {
        cJSON_AddNumberToObject(o, "held_loss", e->held.loss);
        if (e->held.accuracy >= 0)
            cJSON_AddNumberToObject(o, "held_accuracy", e->held.accuracy);
    }
    if (e->loss_scale > 0) {
        cJSON_AddNumberToObject(o, "loss_scale", e->loss_scale);
        cJSON_AddNumberToObject(o, "skipped", (double)e->skipped);
    }
    cJSON_AddNumberToObject(o, "seconds", e->train.seconds);
    cJSON_AddNumberToObject(o, "images_per_second", e->train.images_per_second);
    return o;
}

static bool on_epoch(void *user, const tuff_epoch *e)
{
    const state *s = user;
    cJSON_AddItemToArray(s->epochs, epoch_json(e));
    char text[96], test[160] = "";
    if (e->test.examples)
        snprintf(test, sizeof test, "  |  test %s", report_line(&e->test, text, sizeof text));
    if (e->train.accuracy < 0)
        cli_note("epoch %d/%d  loss %.5f  %.1f s  %.0f images/s%s", e->epoch, e->epochs,
                 e->train.loss, e->train.seconds, e->train.images_per_second, test);
    else
        cli_note("epoch %d/%d  loss %.4f  accuracy %.2f %%  %.1f s  %.0f images/s%s", e->epoch,
                 e->epochs, e->train.loss, e->train.accuracy * 100, e->train.seconds,
                 e->train.images_per_second, test);
    if (e->loss_scale > 0 && e->skipped)
        cli_note("%lld steps so far were skipped, as gradients overflowed; the loss scale is "
                 "%g", (long long)e->skipped, e->loss_scale);
    return true;
}

// ---- settings ------------------------------------------------------------------------------

// An option that may be left out (0: the library's default) but not given as less than 1.
static int whole(const cli_command *self, const char *name, int64_t v, int *out)
{
    if (!cli_given((double)v)) return -1;
    if (v < 1 || v > INT32_MAX)
        return cli_wrong(self, "--%s is a whole number of at least 1, not %lld", name,
                         (long long)v);
    *out = (int)v;
    return -1;
}

// Likewise a number that must be larger than 0.
static int positive(const cli_command *self, const char *name, double v, float *out)
{
    if (!cli_given(v)) return -1;
    if (!(v > 0)) return cli_wrong(self, "--%s is a number larger than 0, not %g", name, v);
    *out = (float)v;
    return -1;
}

// Likewise a number that may be 0, which the library is told in its own way.
static int from_zero(const cli_command *self, const char *name, double v, float *out)
{
    if (!cli_given(v)) return -1;
    if (!(v >= 0)) return cli_wrong(self, "--%s is a number of at least 0, not %g", name, v);
    *out = v == 0 ? TUFF_ZERO : (float)v;
    return -1;
}

// What a file is small by stays: shared numbers and zeros of a .tuffz, or of codebooks.
static void keep_small(const settings *s, const tuff_model *model, tuff_train_params *p)
{
    const bool book = strstr(tuff_model_net(model), "weights=codebook");
    if (s->resume || !report_is_model(s->net)) return;
    if (book || (tuff_tuffz_is(s->net) && !tuff_model_is_stored(model))) p->keep_shared = true;
}

// Of n numbers those that are zero.
static int64_t zeros_of(tuff_model *model, const char *name, int64_t n)
{
    int64_t zeros = 0;
    float *w = malloc((size_t)n * sizeof *w);
    if (w && tuff_model_get(model, name, w, n) == TUFF_OK)
        for (int64_t i = 0; i < n; i++) zeros += w[i] == 0;
    free(w);
    return zeros;
}

// Who trains a pruned net on may not know that its zeros go.
static void tell_zeros(const settings *s, tuff_model *model, const tuff_train_params *p)
{
    int64_t zeros = 0, all = 0;
    tuff_param_info info;
    if (s->resume || p->keep_zeros || p->keep_shared || !report_is_model(s->net)) return;
    for (int i = 0; tuff_model_param(model, i, &info); i++) {
        const int64_t n = tuff_desc_count(&info.desc);
        if (info.buffer || info.desc.rank < 2) continue;
        zeros += zeros_of(model, info.name, n);
        all += n;
    }
    if (all && zeros >= 0.4 * (double)all)
        cli_note("%.1f %% of its weights are zero, and only --keep-zeros keeps them so",
                 100 * (double)zeros / (double)all);
}

// Reads the words that the library has parsers for.
static int read_settings(const cli_command *self, const settings *s, tuff_train_params *p)
{
    *p = (tuff_train_params){ .seed = (uint64_t)cli.seed, .out = s->out,
                              .resume = s->resume };
    tuff_optimizer *o = &p->optimizer;
    int status = whole(self, "epochs", s->epochs, &p->epochs);
    if (status < 0) status = whole(self, "batch", s->batch, &p->batch);
    if (status < 0) status = whole(self, "patience", s->patience, &p->patience);
    if (status < 0) status = positive(self, "lr", s->lr, &o->lr);
    if (status < 0) status = from_zero(self, "momentum", s->momentum, &o->momentum);
    if (status < 0) status = from_zero(self, "alpha", s->alpha, &o->alpha);
    if (status < 0) status = from_zero(self, "beta1", s->beta1, &o->beta1);
    if (status < 0) status = from_zero(self, "beta2", s->beta2, &o->beta2);
    if (status < 0) status = from_zero(self, "eps", s->eps, &o->eps);
    if (status >= 0) return status;
    o->dampening = (float)s->dampening;
    o->decoupled = s->decoupled;
    p->save_every = s->save_every;
    o->weight_decay = (float)s->weight_decay;
    o->l1 = (float)s->l1;
    p->slim = (float)s->slim;
    p->keep_zeros = s->keep_zeros;
    p->keep_shared = s->keep_shared;
    o->clip_value = (float)s->clip_value;
    o->clip_norm = (float)s->clip_norm;
    if (tuff_optimizer_parse(s->optimizer, &o->kind) != TUFF_OK ||
        tuff_schedule_parse(s->schedule, &p->schedule) != TUFF_OK ||
        tuff_loss_parse(s->loss, &p->loss) != TUFF_OK ||
        tuff_gradients_parse(s->gradients, &p->gradients) != TUFF_OK ||
        tuff_precision_parse(s->precision, &p->precision) != TUFF_OK ||
        tuff_augment_parse(s->augment, &p->augment) != TUFF_OK)
        return cli_error(self);
    return -1;
}

// A net of text alone whose weights are to be stored: as they would start as floats.
static tuff_status start_stored(tuff_model *model, tuff_model_params p)
{
    tuff_model *zeros = NULL, *floats = NULL;
    if (!tuff_model_is_stored(model)) return TUFF_OK;
    tuff_status status = tuff_dequantize(model, &zeros);
    if (status == TUFF_OK) {
        p.net = tuff_model_net(zeros);
        status = tuff_model_create(tuff_model_device(model), &p, &floats);
    }
    if (status == TUFF_OK) status = tuff_latent_store(floats, model);
    tuff_model_destroy(&floats);
    tuff_model_destroy(&zeros);
    return status;
}

static tuff_model *make_model(const cli_command *self, const settings *s,
                              tuff_device *device, const tuff_dataset *data)
{
    tuff_model *model = NULL;
    if (s->resume) return report_load(self, device, s->resume);
    if (report_is_model(s->net)) return report_load(self, device, s->net);
    tuff_model_params p = { .net = s->net, .seed = (uint64_t)cli.seed,
                            .input = tuff_dataset_get_info(data)->sample };
    const bool from_file = strncmp(s->init, "file=", 5) == 0;
    tuff_status status = from_file ? TUFF_OK : tuff_init_parse(s->init, &p.init);
    if (status == TUFF_OK) status = tuff_model_create(device, &p, &model);
    if (status == TUFF_OK && from_file) status = tuff_model_load_weights(model, s->init + 5);
    else if (status == TUFF_OK) status = start_stored(model, p);
    if (status == TUFF_OK) return model;
    (void)cli_error(self);
    tuff_model_destroy(&model);
    return NULL;
}

static cJSON *result_json(tuff_device *device, const tuff_model *model, const settings *s,
                          cJSON *epochs, const tuff_metrics *test)
{
    cJSON *json = cJSON_CreateObject();
    const tuff_device_info *info = tuff_device_get_info(device);
    cJSON_AddStringToObject(json, "device", info->id);
    cJSON_AddStringToObject(json, "device_name", info->name);
    cJSON_AddStringToObject(json, "net", tuff_model_net(model));
    cJSON_AddNumberToObject(json, "parameters", (double)tuff_model_parameters(model));
    cJSON_AddItemToObject(json, "epochs", epochs);
    cJSON *o = cJSON_AddObjectToObject(json, "test");
    if (test->examples) report_metrics(o, test);
    if (s->out) cJSON_AddStringToObject(json, "model", s->out);
    else cJSON_AddNullToObject(json, "model");
    return json;
}

static int train(const cli_command *self, const settings *s, tuff_train_params *p,
                 tuff_device *device, tuff_dataset *data, tuff_model *model)
{
    state st = { .epochs = cJSON_CreateArray() };
    tuff_train_result result = { 0 };
    tuff_metrics test = { 0 };
    char text[160];
    p->on_step = on_step;
    p->on_epoch = on_epoch;
    p->user = &st;
    cli_note("%s on %s: %lld parameters", tuff_model_net(model),
             tuff_device_get_info(device)->name, (long long)tuff_model_parameters(model));
    tuff_status status = tuff_train_stored(model, data, p, &result);
    if (status == TUFF_OK && tuff_dataset_get_info(data)->count[TUFF_TEST])
        status = tuff_test(model, data, &(tuff_test_params){ .loss = p->loss }, &test);
    cli_bar_end();
    if (status != TUFF_OK) {
        cJSON_Delete(st.epochs);
        return cli_error(self);
    }
    if (result.early)
        cli_note("stopped early; the weights are those of epoch %d", result.best_epoch);
    cJSON *json = result_json(device, model, s, st.epochs, &test);
    if (cli.json) return cli_print_json(json, EXIT_OK);
    cJSON_Delete(json);
    if (test.examples) printf("test: %s\n", report_line(&test, text, sizeof text));
    if (s->out) printf("model: %s\n", s->out);
    return EXIT_OK;
}

int cmd_train(const cli_command *self, int argc, char **argv)
{
    settings s = { .optimizer = "adam", .schedule = "constant", .loss = "auto",
                   .gradients = "full", .precision = "f32", .augment = "none",
                   .init = "default", .lr = CLI_NOT_GIVEN, .momentum = CLI_NOT_GIVEN,
                   .alpha = CLI_NOT_GIVEN, .beta1 = CLI_NOT_GIVEN, .beta2 = CLI_NOT_GIVEN,
                   .eps = CLI_NOT_GIVEN,
                   .epochs = (int64_t)CLI_NOT_GIVEN, .batch = (int64_t)CLI_NOT_GIVEN,
                   .patience = (int64_t)CLI_NOT_GIVEN };
    const cli_option options[] = {
        { "net", CLI_TEXT, &s.net, "NET",
          "a preset, net text, a file holding it, or a model file, which is trained on" },
        { "data", CLI_TEXT, &s.data, "SPEC", "what to train on; fashion needs no files" },
        { "optimizer", CLI_TEXT, &s.optimizer, "NAME",
          "sgd momentum nesterov adagrad rmsprop rmsprop_momentum rmsprop_centered adam\n"
          "adamw amsgrad adamax nadam lion lamb; the default is adam" },
        { "lr", CLI_REAL, &s.lr, "X",
          "learning rate; the default is 0.01 for sgd, momentum, nesterov and adagrad,\n"
          "0.002 for adamax and nadam, 0.0001 for lion, else 0.001" },
        { "schedule", CLI_TEXT, &s.schedule, "TEXT",
          "constant, step=EPOCHS,FACTOR, cosine or cosine=MIN, with warmup=STEPS before it" },
        { "momentum", CLI_REAL, &s.momentum, "X",
          "of momentum, nesterov and rmsprop_momentum: 0.9; of rmsprop_centered: 0" },
        { "dampening", CLI_REAL, &s.dampening, "X", "of momentum; 0" },
        { "alpha", CLI_REAL, &s.alpha, "X", "what rmsprop keeps of its mean of squares; 0.99" },
        { "beta1", CLI_REAL, &s.beta1, "X", "what adam and its kin keep of m; 0.9" },
        { "beta2", CLI_REAL, &s.beta2, "X", "and of v; 0.999, lion 0.99" },
        { "eps", CLI_REAL, &s.eps, "X", "beside roots; 1e-8, adagrad 1e-10, lamb 1e-6" },
        { "weight-decay", CLI_REAL, &s.weight_decay, "X", "L2 penalty" },
        { "decoupled", CLI_FLAG, &s.decoupled, NULL,
          "the penalty scales the weights; so adamw, lion and lamb always have it" },
        { "l1", CLI_REAL, &s.l1, "X", "L1 penalty" },
        { "slim", CLI_REAL, &s.slim, "X",
          "L1 penalty on the scales of batch norms alone (network slimming)" },
        { "keep-zeros", CLI_FLAG, &s.keep_zeros, NULL,
          "weights that are 0 at the start stay 0" },
        { "keep-shared", CLI_FLAG, &s.keep_shared, NULL,
          "likewise, and weights of a layer that are equal stay equal (tuff compress)" },
        { "clip-value", CLI_REAL, &s.clip_value, "X", "clips each gradient to +-X" },
        { "clip-norm", CLI_REAL, &s.clip_norm, "X", "scales gradients to length X at most" },
        { "gradients", CLI_TEXT, &s.gradients, "TEXT",
          "full, or in few bits: minmax:8, dorefa:6 (docs/compress.md, training in few bits)" },
        { "precision", CLI_TEXT, &s.precision, "TEXT",
          "f32; half or bf16 with f32 master weights; or 16-bit fixed point, by chance:\n"
          "fixed16:POINT,OUTPUT_POINT (14,10), or to the nearest: fixed16:14,10,nearest" },
        { "augment", CLI_TEXT, &s.augment, "TEXT",
          "random changes of training images: shift=PIXELS (zeros come in), flip (left to\n"
          "right), shift=2,flip; none" },
        { "loss", CLI_TEXT, &s.loss, "NAME", "cross_entropy or mse; by the data if not given" },
        { "init", CLI_TEXT, &s.init, "TEXT",
          "default zeros constant=X uniform=A,B normal=M,S glorot_uniform glorot_normal\n"
          "he_uniform he_normal, or file=MODEL" },
        { "epochs", CLI_INT, &s.epochs, "N", "passes over the training data; 5" },
        { "batch", CLI_INT, &s.batch, "N", "examples in a step; 64" },
        { "held-out", CLI_REAL, &s.held_out, "X", "part of the training data to watch" },
        { "patience", CLI_INT, &s.patience, "N",
          "stop when the held-out loss has not fallen for N epochs" },
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        { "limit-test", CLI_INT, &s.limit_test, "N", "use N test examples only" },
        { "out", CLI_TEXT, &s.out, "MODEL", "where the model goes, after each epoch" },
        { "save-every", CLI_INT, &s.save_every, "N", "and after every N steps" },
        { "resume", CLI_TEXT, &s.resume, "MODEL", "go on where a run that wrote MODEL was" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    tuff_train_params p;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    if (!s.net && !s.resume) return cli_wrong(self, "--net or --resume is needed");
    if (!s.data) return cli_wrong(self, "--data is needed, for example --data fashion");
    const bool is_text = !s.resume && !report_is_model(s.net);
    if (is_text && tuff_net_text(s.net, NULL, 0) != TUFF_OK) return cli_error(self);
    status = read_settings(self, &s, &p);
    if (status >= 0) return status;
    if (s.resume && !s.out) s.out = p.out = s.resume;
    cli.tune_pays = true;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    const tuff_dataset_params dp = { .held_out = (float)s.held_out,
                                     .limit_train = s.limit_train,
                                     .limit_test = s.limit_test };
    tuff_dataset *data = report_open_data(self, s.data, &dp);
    tuff_model *model = data ? make_model(self, &s, device, data) : NULL;
    if (model) keep_small(&s, model, &p);
    if (model) tell_zeros(&s, model, &p);
    status = model ? train(self, &s, &p, device, data, model) : EXIT_WRONG;
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return status;
}
