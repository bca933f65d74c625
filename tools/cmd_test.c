// tuff test
#include "cli.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct settings {
    const char *model, *data, *against, *loss;
    int64_t batch, limit;
    tuff_loss kind;
} settings;

// Runs the model on one more device and compares all outputs.
static int compare(const cli_command *self, const settings *s, tuff_dataset *data,
                   const float *scores, int64_t count, double *difference)
{
    tuff_device *other = NULL;
    tuff_metrics m;
    int64_t n = 0;
    float *want = NULL;
    int status = EXIT_WRONG;
    if (tuff_device_open(s->against, &other) != TUFF_OK) return cli_error(self);
    tuff_model *model = report_load(self, other, s->model);
    if (model) {
        want = report_scores(model, data, s->kind, (int)s->batch, &m, &n);
        if (!want) (void)cli_error(self);
    }
    if (want && n == count) {
        *difference = report_difference(scores, want, n);
        status = EXIT_OK;
    }
    free(want);
    tuff_model_destroy(&model);
    tuff_device_close(&other);
    return status;
}

static int test(const cli_command *self, const settings *s, tuff_device *device,
                tuff_dataset *data, tuff_model *model)
{
    tuff_metrics m;
    int64_t count = 0;
    double difference = 0;
    char text[160];
    int status = EXIT_OK;
    float *scores = report_scores(model, data, s->kind, (int)s->batch, &m, &count);
    if (!scores) return cli_error(self);
    if (s->against) status = compare(self, s, data, scores, count, &difference);
    free(scores);
    if (status != EXIT_OK) return status;
    if (s->against && !(difference <= REPORT_TOLERANCE)) status = EXIT_FAILED;
    if (cli.json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "device", tuff_device_get_info(device)->id);
        report_metrics(json, &m);
        if (s->against) {
            cJSON_AddNumberToObject(json, "max_abs_error", difference);
            cJSON_AddNumberToObject(json, "tolerance", REPORT_TOLERANCE);
        }
        return cli_print_json(json, status);
    }
    printf("%s  %.0f images/s\n", report_line(&m, text, sizeof text), m.images_per_second);
    if (s->against)
        printf("largest difference of an output against %s: %.2e (tolerance %.0e)%s\n",
               s->against, difference, REPORT_TOLERANCE, status ? "  FAILED" : "");
    return status;
}

int cmd_test(const cli_command *self, int argc, char **argv)
{
    settings s = { .loss = "auto", .batch = 64 };
    const cli_option options[] = {
        { "data", CLI_TEXT, &s.data, "SPEC", "what to test on: its test part" },
        { "loss", CLI_TEXT, &s.loss, "NAME", "cross_entropy or mse; by the data if not given" },
        { "batch", CLI_INT, &s.batch, "N", "examples at once; 64" },
        { "limit-test", CLI_INT, &s.limit, "N", "use N test examples only" },
        { "against", CLI_TEXT, &s.against, "D",
          "run on device D too (cpu, for example) and compare every output" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    if (!s.data) return cli_wrong(self, "--data is needed, for example --data fashion");
    if (s.batch < 1 || s.batch > INT32_MAX) return cli_wrong(self, "--batch is at least 1");
    if (tuff_loss_parse(s.loss, &s.kind) != TUFF_OK) return cli_error(self);
    s.model = words.item[0];
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, s.model);
    const tuff_dataset_params dp = { .limit_test = s.limit };
    tuff_dataset *data = model ? report_open_data(self, s.data, &dp) : NULL;
    status = data ? test(self, &s, device, data, model) : EXIT_WRONG;
    tuff_dataset_destroy(&data);
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
