// tuff compress
#include "compress_report.h"
#include "finetune.h"
#include "packed_report.h"
#include <stdio.h>
#include <string.h>

typedef struct settings {
    const char *path, *data, *out, *rates, *schedule, *init;
    double sparsity, ramp, share_lr;
    int64_t bits_conv, bits_dense, bits_bias, epochs, limit_train, limit_test, runs;
    finetune tune;
} settings;

// What is done, as the library takes it.
typedef struct plan {
    tuff_train_params prune_tune, share_tune;
    tuff_prune_params prune;
    tuff_share_params share;
    bool prunes;
} plan;

enum { BEFORE, PRUNED, SHARED, PACKED, ROWS };

static int read_numbers(const cli_command *self, const settings *s)
{
    if (s->epochs < 0 || s->epochs > INT32_MAX)
        return cli_wrong(self, "--epochs is a number of epochs, not %lld",
                         (long long)s->epochs);
    if (!(s->share_lr > 0))
        return cli_wrong(self, "--share-lr is a number larger than 0, not %g", s->share_lr);
    if (s->bits_conv < 2 || s->bits_conv > 8 || s->bits_dense < 2 || s->bits_dense > 8)
        return cli_wrong(self, "--bits-conv and --bits-dense are 2 to 8, not %lld and %lld",
                         (long long)s->bits_conv, (long long)s->bits_dense);
    if (s->bits_bias && (s->bits_bias < 2 || s->bits_bias > 8))
        return cli_wrong(self, "--bits-bias is 2 to 8, or 0 for none, not %lld",
                         (long long)s->bits_bias);
    if (!(s->sparsity >= 0 && s->sparsity < 1))
        return cli_wrong(self, "--sparsity is 0 to below 1, not %g", s->sparsity);
    return -1;
}

static int read_plan(const cli_command *self, const settings *s, plan *p)
{
    *p = (plan){ .prune = { .sparsity = s->sparsity, .rates = s->rates,
                           .ramp = s->ramp },
                 .share = { .bits_conv = (int)s->bits_conv, .bits_dense = (int)s->bits_dense,
                            .bits_bias = (int)s->bits_bias,
                            .seed = (uint64_t)cli.seed } };
    const int status = read_numbers(self, s);
    if (status >= 0) return status;
    if (tuff_share_init_parse(s->init, &p->share.init) != TUFF_OK) return cli_error(self);
    p->prune.gradual = strcmp(s->schedule, "gradual") == 0 && s->tune.epochs > 0;
    if (strcmp(s->schedule, "gradual") != 0 && strcmp(s->schedule, "oneshot") != 0)
        return cli_wrong(self, "--schedule is oneshot or gradual, not '%s'", s->schedule);
    p->prunes = s->sparsity > 0 || s->rates;
    return finetune_read(self, &s->tune, &p->prune_tune);
}

// The shared numbers are trained as the pruned net was, but for epochs and rate.
static void link_plan(const settings *s, plan *p)
{
    p->share_tune = p->prune_tune;
    p->share_tune.epochs = (int)s->epochs;
    p->share_tune.optimizer.lr = (float)s->share_lr;
    p->share_tune.optimizer.weight_decay = 0;
    p->share_tune.optimizer.l1 = 0;
    p->share_tune.schedule = (tuff_schedule){ .kind = TUFF_COSINE };
    if (s->tune.epochs) p->prune.tune = &p->prune_tune;
    if (s->epochs) p->share.tune = &p->share_tune;
}

static tuff_status measure(tuff_model *model, tuff_dataset *data, const settings *s,
                           const char *path, tuff_measure *m)
{
    const tuff_measure_params p = { .path = path, .runs = (int)s->runs };
    return tuff_model_measure(model, data, &p, m);
}

// Prunes and shares; the two rows between.
static tuff_status make(const settings *s, const plan *p, tuff_dataset *data, tuff_model *model,
                        compress_row rows[], tuff_model **shared)
{
    tuff_model *pruned = NULL;
    tuff_status status = TUFF_OK;
    if (p->prunes) {
        cli_note("pruning");
        status = tuff_prune(model, data, &p->prune, &pruned);
        if (status == TUFF_OK) status = measure(pruned, data, s, NULL, &rows[PRUNED].m);
    }
    if (status == TUFF_OK) {
        cli_note("sharing");
        status = tuff_share(pruned ? pruned : model, data, &p->share, shared);
    }
    if (status == TUFF_OK) status = measure(*shared, data, s, NULL, &rows[SHARED].m);
    tuff_model_destroy(&pruned);
    return status;
}

static int report(const cli_command *self, const settings *s, compress_row rows[], int count)
{
    cJSON *json = cli.json ? compress_json(rows, count) : NULL;
    if (!json) {
        compress_print(rows, count);
        printf("\n");
    }
    const int status = packed_report(self, s->out, json);
    if (status != EXIT_OK) {
        cJSON_Delete(json);
        return status;
    }
    if (json) cJSON_AddStringToObject(json, "model", s->out);
    if (json) return cli_print_json(json, EXIT_OK);
    printf("model: %s\n", s->out);
    return EXIT_OK;
}

static int compress(const cli_command *self, const settings *s, const plan *p,
                    tuff_dataset *data, tuff_model *model)
{
    compress_row rows[ROWS] = { { .name = "before" }, { .name = "pruned" },
                                { .name = "shared" }, { .name = "after" } };
    tuff_model *shared = NULL, *back = NULL;
    tuff_status status = measure(model, data, s, s->path, &rows[BEFORE].m);
    if (status == TUFF_OK) status = make(s, p, data, model, rows, &shared);
    cli_bar_end();
    if (status == TUFF_OK) status = tuff_model_save(shared, s->out);
    // What is in the file is what counts.
    if (status == TUFF_OK) status = tuff_model_load(tuff_model_device(model), s->out, &back);
    if (status == TUFF_OK) status = measure(back, data, s, s->out, &rows[PACKED].m);
    tuff_model_destroy(&back);
    tuff_model_destroy(&shared);
    if (status != TUFF_OK) return cli_error(self);
    if (p->prunes) return report(self, s, rows, ROWS);
    rows[PRUNED] = rows[SHARED];
    rows[SHARED] = rows[PACKED];
    return report(self, s, rows, ROWS - 1);
}

static bool is_packed(const char *path)
{
    const size_t n = strlen(path);
    return n > 6 && strcmp(path + n - 6, ".tuffz") == 0;
}

int cmd_compress(const cli_command *self, int argc, char **argv)
{
    settings s = { .schedule = "gradual", .init = "linear", .sparsity = 0.9, .share_lr = 1e-4,
                   .bits_conv = 8, .bits_dense = 5, .epochs = 2, .tune = FINETUNE_DEFAULTS };
    s.tune.epochs = 5;
    const cli_option options[] = {
        { "data", CLI_TEXT, &s.data, "SPEC", "to train and to test on" },
        { "out", CLI_TEXT, &s.out, "FILE.tuffz", "where the compressed model goes" },
        { "sparsity", CLI_REAL, &s.sparsity, "X",
          "part of each layer's weights that goes; 0.9. 0: nothing is pruned" },
        { "rates", CLI_TEXT, &s.rates, "TEXT",
          "other rates of single layers: \"0=0.34 3=0.9\", by place (tuff info)" },
        { "schedule", CLI_TEXT, &s.schedule, "HOW",
          "gradual: prunes while the net is trained; or oneshot" },
        { "ramp", CLI_REAL, &s.ramp, "X",
          "the part of that training in which the sparsity grows; 0.7" },
        { "bits-conv", CLI_INT, &s.bits_conv, "N",
          "bits of an index into the numbers that a convolution's weights share; 8" },
        { "bits-dense", CLI_INT, &s.bits_dense, "N", "the same of other layers; 5" },
        { "bits-bias", CLI_INT, &s.bits_bias, "N", "the same of biases; 0: they share none" },
        { "init", CLI_TEXT, &s.init, "NAME", "of these numbers: linear, density or random" },
        { "epochs", CLI_INT, &s.epochs, "N", "that the shared numbers are trained for; 2" },
        { "share-lr", CLI_REAL, &s.share_lr, "X", "the learning rate of that; 0.0001" },
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        { "limit-test", CLI_INT, &s.limit_test, "N", "use N test examples only" },
        { "runs", CLI_INT, &s.runs, "N", "timed, of which the median counts; 15, -1: none" },
        FINETUNE_OPTIONS(s.tune),
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    plan p;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    if (!s.data) return cli_wrong(self, "--data is needed, for example --data fashion");
    if (!s.out || !is_packed(s.out))
        return cli_wrong(self, "--out is needed, and ends in .tuffz");
    status = read_plan(self, &s, &p);
    if (status >= 0) return status;
    link_plan(&s, &p);
    s.path = words.item[0];
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, s.path);
    const tuff_dataset_params dp = { .limit_train = s.limit_train,
                                     .limit_test = s.limit_test };
    tuff_dataset *data = model ? report_open_data(self, s.data, &dp) : NULL;
    status = data ? compress(self, &s, &p, data, model) : EXIT_WRONG;
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
