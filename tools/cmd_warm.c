// tuff warm
#include "cli.h"
#include <stdio.h>

typedef struct settings {
    const char *input, *optimizer;
    int64_t batch;
    bool train;
} settings;

// A net whose weights are stored is trained as another one.
static tuff_status warm_both(tuff_model *model, const tuff_warm_params *p, tuff_warm_result *r)
{
    const tuff_warm_params run = { .batch = p->batch };
    tuff_model *latent;
    tuff_warm_result more;
    if (!p->train || !tuff_model_is_stored(model)) return tuff_warm(model, p, r);
    tuff_status status = tuff_warm(model, &run, r);
    if (status != TUFF_OK) return status;
    status = tuff_latent_make(model, &latent);
    if (status == TUFF_OK) status = tuff_warm(latent, p, &more);
    tuff_model_destroy(&latent);
    if (status != TUFF_OK) return status;
    r->programs += more.programs;
    r->pipelines += more.pipelines;
    r->seconds += more.seconds;
    return TUFF_OK;
}

static int warm(const cli_command *self, const settings *s, tuff_device *device,
                tuff_model *model)
{
    const char *name = tuff_device_get_info(device)->name;
    tuff_train_params train = { 0 };
    tuff_warm_result r;
    if (tuff_optimizer_parse(s->optimizer, &train.optimizer.kind) != TUFF_OK)
        return cli_error(self);
    const tuff_warm_params p = { .batch = (int)s->batch, .train = s->train ? &train : NULL };
    if (warm_both(model, &p, &r) != TUFF_OK) return cli_error(self);
    if (!cli.json) {
        printf("%d programs, %u kernels compiled in %.2f s on %s\n", r.programs, r.pipelines,
               r.seconds, name);
        return EXIT_OK;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "device", name);
    cJSON_AddNumberToObject(json, "programs", r.programs);
    cJSON_AddNumberToObject(json, "kernels", r.pipelines);
    cJSON_AddNumberToObject(json, "seconds", r.seconds);
    return cli_print_json(json, EXIT_OK);
}

int cmd_warm(const cli_command *self, int argc, char **argv)
{
    settings s = { .input = "1x28x28", .optimizer = "adam", .batch = 64 };
    const cli_option options[] = {
        { "train", CLI_FLAG, &s.train, NULL, "a training step's kernels too" },
        { "optimizer", CLI_TEXT, &s.optimizer, "NAME", "with --train: its update; adam" },
        { "batch", CLI_INT, &s.batch, "N", "samples of a run; 64. One alone is prepared too" },
        { "input", CLI_TEXT, &s.input, "SIZES", "of a sample, for a net; 1x28x28" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file or net was expected");
    if (s.batch < 1 || s.batch > 1 << 20)
        return cli_wrong(self, "--batch is 1 to 1048576, not %lld", (long long)s.batch);
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_open_model(self, device, words.item[0], s.input);
    status = model ? warm(self, &s, device, model) : EXIT_WRONG;
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
