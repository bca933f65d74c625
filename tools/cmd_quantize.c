// tuff quantize
#include "compress_report.h"
#include "finetune.h"
#include "mixed_search.h"
#include "quantize_weights.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *model, *data, *out, *scheme, *per, *method, *layer_bits;
    int64_t bits, bias_bits, point; // or NOT_GIVEN
    int64_t examples, limit_train, limit;
    double percentile;
    bool aware;
    finetune tune;
    tuff_ptq_params p;
    bool floats; // the way back, instead
    bool levels; // one bit, or three levels, instead
    tuff_levels_params few;
    bool only_weights; // in another form, instead
    tuff_weights_params weights;
    weights_list told;
    bool mixed; // with a budget, in bytes or time; what came of it
    const char *budget_text;
    mixed_budget budget;
    mixed_search search;
} settings;
enum { NOT_GIVEN = INT32_MIN };

static int or_zero(int64_t v) { return v == NOT_GIVEN ? 0 : (int)v; }

static bool one_of(const char *word, const char *a, const char *b, bool *second)
{
    *second = strcmp(word, b) == 0;
    return *second || strcmp(word, a) == 0;
}

static int unknown_scheme(const cli_command *self, const char *scheme)
{
    char list[400];
    return cli_wrong(self, "--scheme is '%s', expected one of %s, binary, ternary, float",
                     scheme, weights_schemes(list, sizeof list));
}

// The way back has nothing to choose.
static int check_floats(const cli_command *self, const settings *s)
{
    if (s->bits != NOT_GIVEN || s->bias_bits != NOT_GIVEN || s->point != NOT_GIVEN ||
        s->layer_bits || s->mixed || s->only_weights || s->aware || s->few.keep_ends ||
        s->p.gptq || s->p.equalize || s->p.correct_bias || s->p.mse_weights)
        return cli_wrong(self, "--scheme float makes floats of what is stored, as it is: no "
                         "option says how");
    return EXIT_OK;
}

// What only one of the kinds of nets takes that this makes: of integers, of one bit or three
// levels, or with weights in another form.
static int check_kind(const cli_command *self, const settings *s)
{
    const bool integer = !s->levels && !s->only_weights;
    if (!integer && (s->p.equalize || s->p.correct_bias || s->aware ||
                     strcmp(s->method, "minmax") != 0))
        return cli_wrong(self, "--method, --equalize, --correct-bias and --aware are of nets "
                         "of integers, with schemes affine and symmetric and 2 to 8 bits");
    if (s->levels && s->layer_bits)
        return cli_wrong(self, "--layer-bits is not for %s", s->scheme);
    if (integer && s->bits == 1)
        return cli_wrong(self, "--bits is 1, expected 2 to 8, or 1 to 16 with --weights-only");
    if (!s->levels && s->few.keep_ends)
        return cli_wrong(self, "--keep-ends is for the schemes binary and ternary");
    if (s->levels && (s->only_weights || s->p.gptq))
        return cli_wrong(self, "--bits, --bits-bias, --weights-only and --gptq are not for %s",
                         s->scheme);
    if (s->aware && s->p.gptq)
        return cli_wrong(self, "--gptq is not for --aware, which trains what rounding loses");
    return EXIT_OK;
}

// Bits that are chosen by measurement.
static int read_mixed(const cli_command *self, settings *s)
{
    bool bits;
    if (!s->mixed && s->budget_text) return cli_wrong(self, "--budget is of --mixed");
    if (!s->mixed) return EXIT_OK;
    if (s->bits != NOT_GIVEN || s->layer_bits)
        return cli_wrong(self, "--mixed chooses bits itself: --bits and --layer-bits do not go "
                         "with it");
    if (!weights_is_scheme(s->scheme, &bits) || !bits)
        return cli_wrong(self, "--mixed needs a --scheme with bits: affine, symmetric, fixed");
    if (!s->data) return cli_wrong(self, "--data is needed, for example --data fashion");
    s->only_weights = true;
    return mixed_read_budget(self, s->budget_text, &s->budget) < 0 ? EXIT_OK : EXIT_WRONG;
}

// Which kind of net is made.
static int read_scheme(const cli_command *self, settings *s)
{
    bool bits = false;
    const bool integer = one_of(s->scheme, "symmetric", "affine", &s->p.affine);
    const bool given = s->bits != NOT_GIVEN, biases = s->bias_bits != NOT_GIVEN;
    s->floats = strcmp(s->scheme, "float") == 0;
    if (s->floats) return check_floats(self, s);
    if (read_mixed(self, s) != EXIT_OK) return EXIT_WRONG;
    s->levels = one_of(s->scheme, "binary", "ternary", &s->few.ternary);
    if (!s->levels && !weights_is_scheme(s->scheme, &bits))
        return unknown_scheme(self, s->scheme);
    if (given && (s->bits < 1 || s->bits > 16))
        return cli_wrong(self, "--bits is %lld, expected 1 to 16", (long long)s->bits);
    if (given && !bits)
        return cli_wrong(self, "--bits is %lld, but %s has no bits to choose",
                         (long long)s->bits, s->scheme);
    if (biases && (s->bias_bits < 1 || s->bias_bits > 16))
        return cli_wrong(self, "--bits-bias is %lld, expected 1 to 16",
                         (long long)s->bias_bits);
    if (s->point != NOT_GIVEN && strcmp(s->scheme, "fixed") != 0)
        return cli_wrong(self, "--point is of --scheme fixed, not of %s", s->scheme);
    if (s->point != NOT_GIVEN && (s->point < -126 || s->point > 126))
        return cli_wrong(self, "--point is %lld, expected -126 to 126", (long long)s->point);
    s->only_weights |= (!integer && !s->levels) || s->bits > 8 || biases;
    return check_kind(self, s);
}

static int read_settings(const cli_command *self, settings *s)
{
    bool tensor;
    const int wrong = read_scheme(self, s);
    if (wrong != EXIT_OK) return wrong;
    if (!s->data && !s->floats && (!s->only_weights || s->p.gptq))
        return cli_wrong(self, "--data is needed, for example --data fashion");
    if (!s->out) return cli_wrong(self, "--out is needed: the file of the quantized model");
    if (!one_of(s->per, "channel", "tensor", &tensor))
        return cli_wrong(self, "--per is '%s', expected channel or tensor", s->per);
    if (s->examples < 1) return cli_wrong(self, "--calibrate is at least 1");
    if (s->tune.batch < 1 || s->tune.batch > INT32_MAX)
        return cli_wrong(self, "--batch is at least 1");
    if (s->aware && s->tune.epochs < 1)
        return cli_wrong(self, "--aware trains: --epochs is at least 1");
    if (!s->aware && s->tune.epochs)
        return cli_wrong(self, "--epochs is of --aware, which was not given");
    if (s->aware && s->p.correct_bias)
        return cli_wrong(self, "--correct-bias is not for --aware, which begins with it and "
                         "trains biases");
    if (tuff_calibration_parse(s->method, &s->p.method) != TUFF_OK) return cli_error(self);
    s->p.per_tensor = tensor;
    s->p.bits = or_zero(s->bits);
    s->p.examples = s->examples;
    s->p.batch = (int)s->tune.batch;
    s->p.percentile = s->percentile;
    s->p.seed = (uint64_t)cli.seed;
    s->weights = (tuff_weights_params){
        .scheme = s->scheme, .bits = s->p.bits, .bias_bits = or_zero(s->bias_bits),
        .per_tensor = tensor, .forced = s->point != NOT_GIVEN, .point = or_zero(s->point),
        .mse = s->p.mse_weights, .gptq = s->p.gptq, .examples = s->examples,
        .seed = s->p.seed };
    return EXIT_OK;
}

static int finish(const cli_command *self, settings *s, tuff_dataset *data,
                  tuff_model *before, tuff_model *after)
{
    compress_row rows[2] = { { .name = "before" }, { .name = "after" } };
    const tuff_measure_params p = { .batch = (int)s->tune.batch };
    if (compress_measure(self, data, before, s->model, after, s->out, &p, rows) != EXIT_OK)
        return EXIT_WRONG;
    if (cli.json) {
        cJSON *json = compress_json(rows, 2);
        if (s->only_weights) cJSON_AddItemToObject(json, "weights", weights_json(&s->told));
        if (s->mixed) cJSON_AddItemToObject(json, "mixed", mixed_json(&s->search, before));
        return cli_print_json(json, EXIT_OK);
    }
    if (s->mixed) mixed_print(&s->search, before);
    compress_print(rows, 2);
    weights_print(&s->told);
    printf("model: %s\n", s->out);
    return EXIT_OK;
}

static tuff_status quantize(settings *s, const tuff_train_params *train, tuff_model *model,
                            tuff_dataset *data, tuff_model **quantized)
{
    tuff_status status = TUFF_OK;
    if (s->floats) return tuff_dequantize(model, quantized);
    if (s->levels) return tuff_quantize_levels(model, &s->few, quantized);
    int *bits = calloc((size_t)tuff_model_layer_count(model), sizeof *bits);
    if (!bits) return TUFF_ERR_MEMORY;
    if (s->layer_bits) status = tuff_layer_bits_parse(model, s->layer_bits, bits);
    s->p.layer_bits = bits;
    s->weights.layer_bits = s->mixed ? s->search.layer_bits : s->layer_bits ? bits : NULL;
    if (status == TUFF_OK && s->only_weights)
        status = weights_store(model, data, &s->weights, &s->told, quantized);
    else if (status == TUFF_OK && s->aware)
        status = tuff_quantize_aware(model, data, &s->p, train, quantized);
    else if (status == TUFF_OK) status = tuff_quantize(model, data, &s->p, quantized);
    cli_bar_end();
    free(bits);
    return status;
}

int cmd_quantize(const cli_command *self, int argc, char **argv)
{
    settings s = { .scheme = "symmetric", .per = "channel", .method = "minmax",
                   .bits = NOT_GIVEN, .bias_bits = NOT_GIVEN, .point = NOT_GIVEN,
                   .examples = 512, .tune = FINETUNE_DEFAULTS };
    s.tune.batch = 64;
    s.tune.schedule = "cosine";
    const cli_option options[] = {
        { "data", CLI_TEXT, &s.data, "SPEC",
          "training part to calibrate on, and test part; weights alone can do without" },
        { "out", CLI_TEXT, &s.out, "MODEL", "the file of the quantized model" },
        { "bits", CLI_INT, &s.bits, "N",
          "of a weight, 2 to 8 of integers, else 1 to 16; 8. Of codebook 1 to 8: as many as\n"
          "the numbers need that are there, or 4" },
        { "weights-only", CLI_FLAG, &s.only_weights, NULL,
          "weights in another form also where symmetric or affine; so it is with more\n"
          "than 8 bits, and with --bits-bias" },
        { "bits-bias", CLI_INT, &s.bias_bits, "N", "of a bias, 1 to 16; without it is f32" },
        { "point", CLI_INT, &s.point, "P",
          "of fixed: weights are round(w 2^P), and saturate; without nothing overflows" },
        { "gptq", CLI_FLAG, &s.p.gptq, NULL,
          "what rounding a weight loses the others of its row make up for" },
        { "layer-bits", CLI_TEXT, &s.layer_bits, "TEXT",
          "of single layers: \"0=8 3=4 5=2\", by place (tuff info)" },
        { "scheme", CLI_TEXT, &s.scheme, "NAME",
          "of weights: symmetric round 0, or affine with a zero point, in a net of 8-bit\n"
          "integers; binary: signs and ternary: -1, 0 and 1, packed in bits, of nets\n"
          "trained so (bdense, bconv) or not; or in another form while what flows through\n"
          "the net stays f32: fixed (point), half, q4_0, q4_1, q5_0, q5_1, q8_0,\n"
          "q2_k .. q6_k, iq4_nl, nf4, nf4_f16, codebook (of shared numbers: a .tuffz's\n"
          "as they are); float: back to a net of floats" },
        { "keep-ends", CLI_FLAG, &s.few.keep_ends, NULL,
          "binary, ternary: the first and the last layer of a float net stay" },
        { "mixed", CLI_FLAG, &s.mixed, NULL,
          "weights only: bits of each layer by what they cost, measured, under a --budget" },
        { "budget", CLI_TEXT, &s.budget_text, "SIZE|TIME",
          "of --mixed: of the file, 40KB or 25% of MODEL, or of one sample, 0.5ms" },
        { "per", CLI_TEXT, &s.per, "WHAT", "channel or tensor: what weights share a scale" },
        { "method", CLI_TEXT, &s.method, "NAME",
          "minmax, average, percentile, entropy or mse: how the range of what flows\n"
          "between layers is chosen" },
        { "percentile", CLI_REAL, &s.percentile, "P", "of that method: what is kept; 99.99" },
        { "calibrate", CLI_INT, &s.examples, "N", "training examples to calibrate on; 512" },
        { "mse-weights", CLI_FLAG, &s.p.mse_weights, NULL,
          "scales of weights by the least squared error, not by their range" },
        { "equalize", CLI_FLAG, &s.p.equalize, NULL,
          "first give neighbouring layers' channels like ranges" },
        { "correct-bias", CLI_FLAG, &s.p.correct_bias, NULL,
          "give back to biases what rounding takes from the outputs' mean" },
        { "aware", CLI_FLAG, &s.aware, NULL,
          "trains the net on, rounded as it will be, and its steps with it; the rate is a\n"
          "tenth of the optimizer's and falls on a cosine, unless --lr and --lr-schedule say\n"
          "otherwise" },
        { "epochs", CLI_INT, &s.tune.epochs, "N", "of that training" },
        { "limit", CLI_INT, &s.limit_train, "N", "use N training examples only" },
        FINETUNE_HOW(s.tune),
        { "limit-test", CLI_INT, &s.limit, "N", "use N test examples only" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    s.model = words.item[0];
    if ((status = read_settings(self, &s)) != EXIT_OK) return status;
    tuff_train_params train;
    if ((status = finetune_read(self, &s.tune, &train)) >= 0) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, s.model), *quantized = NULL;
    const tuff_dataset_params dp = { .limit_train = s.limit_train, .limit_test = s.limit,
                                     .held_out = s.mixed ? MIXED_HELD_OUT : 0 };
    tuff_dataset *data = model && s.data ? report_open_data(self, s.data, &dp) : NULL;
    if (!model || (s.data && !data)) status = EXIT_WRONG;
    else if (s.mixed && mixed_run(self, &s.budget, s.model, s.out, model, data, &s.weights,
                                  &s.search) != EXIT_OK)
        status = EXIT_WRONG;
    else if (quantize(&s, &train, model, data, &quantized) != TUFF_OK) status = cli_error(self);
    else status = finish(self, &s, data, model, quantized);
    weights_free(&s.told);
    mixed_clear(&s.search);
    tuff_model_destroy(&quantized);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
