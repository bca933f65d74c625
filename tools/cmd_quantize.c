// tuff quantize
#include "compress_report.h"
#include "finetune.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    const char *model, *data, *out, *scheme, *per, *method, *layer_bits;
    int64_t bits, examples, limit_train, limit;
    double percentile;
    bool aware;
    finetune tune;
    tuff_ptq_params p;
    bool levels; // one bit, or three levels, instead
    tuff_levels_params few;
} settings;

static bool one_of(const char *word, const char *a, const char *b, bool *second)
{
    *second = strcmp(word, b) == 0;
    return *second || strcmp(word, a) == 0;
}

static int read_settings(const cli_command *self, settings *s)
{
    bool tensor;
    if (!s->data) return cli_wrong(self, "--data is needed, for example --data fashion");
    if (!s->out) return cli_wrong(self, "--out is needed: the file of the quantized model");
    s->levels = one_of(s->scheme, "binary", "ternary", &s->few.ternary);
    if (!s->levels && !one_of(s->scheme, "symmetric", "affine", &s->p.affine))
        return cli_wrong(self, "--scheme is '%s', expected symmetric, affine, binary or "
                         "ternary", s->scheme);
    if (!s->levels && s->few.keep_ends)
        return cli_wrong(self, "--keep-ends is for the schemes binary and ternary");
    if (!one_of(s->per, "channel", "tensor", &tensor))
        return cli_wrong(self, "--per is '%s', expected channel or tensor", s->per);
    if (s->bits < 2 || s->bits > 8)
        return cli_wrong(self, "--bits is %lld, expected 2 to 8", (long long)s->bits);
    if (s->examples < 1) return cli_wrong(self, "--calibrate is at least 1");
    if (s->tune.batch < 1 || s->tune.batch > INT32_MAX)
        return cli_wrong(self, "--batch is at least 1");
    if (s->aware && s->tune.epochs < 1)
        return cli_wrong(self, "--aware trains: --epochs is at least 1");
    if (!s->aware && s->tune.epochs)
        return cli_wrong(self, "--epochs is of --aware, which was not given");
    if (s->aware && s->p.correct_bias)
        return cli_wrong(self, "--correct-bias is not for --aware, which trains biases");
    if (tuff_calibration_parse(s->method, &s->p.method) != TUFF_OK) return cli_error(self);
    s->p.per_tensor = tensor;
    s->p.bits = (int)s->bits;
    s->p.examples = s->examples;
    s->p.batch = (int)s->tune.batch;
    s->p.percentile = s->percentile;
    s->p.seed = (uint64_t)cli.seed;
    return EXIT_OK;
}

static int finish(const cli_command *self, const settings *s, tuff_dataset *data,
                  tuff_model *before, tuff_model *after)
{
    compress_row rows[2] = { { .name = "before" }, { .name = "quantized" } };
    const tuff_measure_params p = { .batch = (int)s->tune.batch };
    if (compress_measure(self, data, before, s->model, after, s->out, &p, rows) != EXIT_OK)
        return EXIT_WRONG;
    if (cli.json) return cli_print_json(compress_json(rows, 2), EXIT_OK);
    compress_print(rows, 2);
    printf("model: %s\n", s->out);
    return EXIT_OK;
}

static tuff_status quantize(settings *s, const tuff_train_params *train, tuff_model *model,
                            tuff_dataset *data, tuff_model **quantized)
{
    tuff_status status = TUFF_OK;
    if (s->levels) return tuff_quantize_levels(model, &s->few, quantized);
    int *bits = calloc((size_t)tuff_model_layer_count(model), sizeof *bits);
    if (!bits) return TUFF_ERR_MEMORY;
    if (s->layer_bits) status = tuff_layer_bits_parse(model, s->layer_bits, bits);
    s->p.layer_bits = bits;
    if (status == TUFF_OK && s->aware)
        status = tuff_quantize_aware(model, data, &s->p, train, quantized);
    else if (status == TUFF_OK) status = tuff_quantize(model, data, &s->p, quantized);
    cli_bar_end();
    free(bits);
    return status;
}

int cmd_quantize(const cli_command *self, int argc, char **argv)
{
    settings s = { .scheme = "symmetric", .per = "channel", .method = "minmax", .bits = 8,
                   .examples = 512, .tune = FINETUNE_DEFAULTS };
    s.tune.batch = 64;
    const cli_option options[] = {
        { "data", CLI_TEXT, &s.data, "SPEC", "training part to calibrate on, and test part" },
        { "out", CLI_TEXT, &s.out, "MODEL", "the file of the quantized model" },
        { "bits", CLI_INT, &s.bits, "N", "of a weight, 2 to 8; 8" },
        { "layer-bits", CLI_TEXT, &s.layer_bits, "TEXT",
          "of single layers: \"0=8 3=4 5=2\", by place (tuff info)" },
        { "scheme", CLI_TEXT, &s.scheme, "NAME",
          "of weights: symmetric round 0, or affine with a zero point; binary: signs and\n"
          "ternary: -1, 0 and 1, packed in bits, of nets trained so (bdense, bconv) or not" },
        { "keep-ends", CLI_FLAG, &s.few.keep_ends, NULL,
          "binary, ternary: the first and the last layer of a float net stay" },
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
          "trains the net on, rounded as it will be, and its steps with it" },
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
    const tuff_dataset_params dp = { .limit_train = s.limit_train, .limit_test = s.limit };
    tuff_dataset *data = model ? report_open_data(self, s.data, &dp) : NULL;
    if (!data) status = EXIT_WRONG;
    else if (quantize(&s, &train, model, data, &quantized) != TUFF_OK) status = cli_error(self);
    else status = finish(self, &s, data, model, quantized);
    tuff_model_destroy(&quantized);
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
