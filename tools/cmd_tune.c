// tuff tune: which kernels are fastest, measured and kept.
#include "cli.h"
#include <stdio.h>
#include <string.h>

typedef struct settings {
    const char *input, *optimizer;
    int64_t batch;
    bool train;
} settings;

// Programs of a net are made and run once; each measures its operators first.
static int tune_net(const cli_command *self, const settings *s, tuff_device *device,
                    const char *what)
{
    tuff_train_params train = { 0 };
    if (tuff_optimizer_parse(s->optimizer, &train.optimizer.kind) != TUFF_OK)
        return cli_error(self);
    tuff_model *model = report_open_model(self, device, what, s->input);
    if (!model) return EXIT_WRONG;
    const tuff_warm_params p = { .batch = (int)s->batch, .train = s->train ? &train : NULL };
    const int status = tuff_warm(model, &p, NULL) == TUFF_OK ? EXIT_OK : cli_error(self);
    tuff_model_destroy(&model);
    return status;
}

static int tune_cases(const cli_command *self, tuff_device *device, const cli_list *words)
{
    char name[TUFF_BENCH_TEXT];
    for (int i = 0; i < words->count; i++)
        if (tuff_bench_name(words->item[i], name, sizeof name) != TUFF_OK)
            return cli_error(self);
    for (int i = 0; i < words->count; i++)
        if (tuff_tune_case(device, words->item[i]) != TUFF_OK) return cli_error(self);
    return EXIT_OK;
}

static void on_line(void *user, const char *text)
{
    if (user) cJSON_AddItemToArray(user, cJSON_CreateString(text));
    else puts(text);
}

static int report(tuff_device *device)
{
    tuff_tune_stats t;
    const char *name = tuff_device_get_info(device)->name;
    cli_bar_end();
    tuff_tune_get_stats(device, &t);
    if (!cli.json) {
        tuff_tune_describe(device, on_line, NULL);
        printf("%d operators measured, %d candidates in %.1f s on %s; %d choices%s\n",
               t.measured, t.candidates, t.seconds, name, t.choices,
               t.wrong ? ", and kernels with WRONG results (above)" : "");
        return EXIT_OK;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "device", name);
    cJSON_AddNumberToObject(json, "measured", t.measured);
    cJSON_AddNumberToObject(json, "candidates", t.candidates);
    cJSON_AddNumberToObject(json, "choices", t.choices);
    cJSON_AddNumberToObject(json, "wrong", t.wrong);
    cJSON_AddNumberToObject(json, "seconds", t.seconds);
    tuff_tune_describe(device, on_line, cJSON_AddArrayToObject(json, "lines"));
    return cli_print_json(json, EXIT_OK);
}

int cmd_tune(const cli_command *self, int argc, char **argv)
{
    settings s = { .input = "1x28x28", .optimizer = "adam", .batch = 64 };
    const cli_option options[] = {
        { "train", CLI_FLAG, &s.train, NULL, "of a net: a training step's operators too" },
        { "optimizer", CLI_TEXT, &s.optimizer, "NAME", "with --train: its update; adam" },
        { "batch", CLI_INT, &s.batch, "N", "of a net: samples of a run; 64. One alone, too" },
        { "input", CLI_TEXT, &s.input, "SIZES", "of a sample, for a net; 1x28x28" },
        { "again", CLI_FLAG, &cli.tune_again, NULL, "measure also what is known" },
        { "tune", CLI_TEXT, &cli.tune, "HOW", "quick: for 3 s at most; full is the default" },
        { "tune-file", CLI_TEXT, &cli.tune_file, "FILE",
          "where choices go, in place of the file in the cache folder" },
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    char name[TUFF_BENCH_TEXT];
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (!words.count) return cli_wrong(self, "a model file, a net or a case was expected");
    if (s.batch < 1 || s.batch > 1 << 20)
        return cli_wrong(self, "--batch is 1 to 1048576, not %lld", (long long)s.batch);
    if (!cli.tune) cli.tune = "full";
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    const bool cases = words.count > 1 ||
                       tuff_bench_name(words.item[0], name, sizeof name) == TUFF_OK;
    status = cases ? tune_cases(self, device, &words)
                   : tune_net(self, &s, device, words.item[0]);
    if (status == EXIT_OK) status = report(device);
    tuff_device_close(&device);
    return status;
}
