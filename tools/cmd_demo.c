// tuff demo: the whole road on real data, and every device judged by the CPU path.
#include "cli.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 32, DEFAULT_EPOCHS = 3 };

typedef struct run {
    char id[16], name[256], driver[128];
    bool opened;
    char error[512]; // it opened, and then something failed; "" otherwise
    tuff_metrics m;
    float *scores;
    int64_t count;
    double difference;
} run;

static bool on_step(void *user, const tuff_progress *p)
{
    (void)user;
    const double done = (double)p->epoch - 1 + (double)p->step / (double)p->steps;
    cli_bar(done / p->epochs, "epoch %d/%d  %.0f images/s", p->epoch, p->epochs,
            p->seconds > 0 ? (double)p->examples / p->seconds : 0);
    return true;
}

static bool on_epoch(void *user, const tuff_epoch *e)
{
    char text[160];
    (void)user;
    cli_note("  epoch %d/%d  loss %.4f  %.0f images/s  |  test %s", e->epoch, e->epochs,
             e->train.loss, e->train.images_per_second,
             report_line(&e->test, text, sizeof text));
    return true;
}

static int train(const cli_command *self, const char *out, int epochs, tuff_dataset *data)
{
    cli.tune_pays = true;
    tuff_device *device = cli_open_device(self);
    tuff_model *model = NULL;
    tuff_train_result result;
    if (!device) return EXIT_WRONG;
    const tuff_model_params mp = { .net = "lenet5", .seed = (uint64_t)cli.seed,
                                   .input = tuff_dataset_get_info(data)->sample };
    const tuff_train_params tp = {
        .optimizer = { .kind = TUFF_ADAM, .lr = 0.002f }, .schedule = { .kind = TUFF_COSINE },
        .epochs = epochs, .batch = 64, .seed = (uint64_t)cli.seed, .out = out,
        .on_step = on_step, .on_epoch = on_epoch,
    };
    cli_note("\nTraining lenet5 on %s (%s) ...", tuff_device_get_info(device)->name,
             tuff_device_get_info(device)->id);
    tuff_status status = tuff_model_create(device, &mp, &model);
    if (status == TUFF_OK) status = tuff_train(model, data, &tp, &result);
    const int code = status == TUFF_OK ? EXIT_OK : cli_error(self);
    cli_bar_end();
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return code;
}

// Tests the model on one device. One that cannot be opened is left out with a note; one that
// fails after that is in the table as failed, and the others are judged all the same.
static void test_on(const char *path, tuff_dataset *data, run *r)
{
    tuff_device *device = NULL;
    tuff_model *model = NULL;
    if (tuff_device_open(r->id, &device) != TUFF_OK) {
        cli_note("  %s left out: %s", r->id, tuff_last_error());
        return;
    }
    cli_bar(0, "testing on %s", r->name);
    r->opened = true;
    if (tuff_model_load(device, path, &model) == TUFF_OK) {
        // Pipelines are built at the first run; only the second is timed.
        free(report_scores(model, data, TUFF_LOSS_AUTO, 250, &r->m, &r->count));
        r->scores = report_scores(model, data, TUFF_LOSS_AUTO, 250, &r->m, &r->count);
    }
    if (!r->scores) snprintf(r->error, sizeof r->error, "%s", tuff_last_error());
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    cli_bar_end();
}

static cJSON *run_json(const run *r)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "device", r->id);
    cJSON_AddStringToObject(o, "name", r->name);
    cJSON_AddStringToObject(o, "driver", r->driver);
    if (r->error[0]) {
        cJSON_AddStringToObject(o, "error", r->error);
        return o;
    }
    report_metrics(o, &r->m);
    cJSON_AddNumberToObject(o, "max_abs_error", r->difference);
    return o;
}

static bool print_runs(run *runs, int n, const run *cpu, cJSON *array)
{
    bool agree = true;
    if (!cli.json)
        printf("%-10s %-34s %-34s %8s %8s %10s %9s\n", "device", "name", "driver", "accuracy",
               "loss", "|d logit|", "images/s");
    for (int i = 0; i < n; i++) {
        run *r = &runs[i];
        if (!r->opened) continue;
        if (!r->error[0])
            r->difference = report_difference(r->scores, cpu->scores, cpu->count);
        const bool same = !r->error[0] && r->difference <= REPORT_TOLERANCE;
        agree &= same;
        cJSON_AddItemToArray(array, run_json(r));
        if (!cli.json && r->error[0])
            printf("%-10s %-34.34s %-34.34s FAILED: %s\n", r->id, r->name, r->driver,
                   r->error);
        else if (!cli.json)
            printf("%-10s %-34.34s %-34.34s %6.2f %% %8.4f %10.2e %9.0f%s\n", r->id, r->name,
                   r->driver, r->m.accuracy * 100, r->m.loss, r->difference,
                   r->m.images_per_second, same ? "" : "  DIFFERS");
    }
    return agree;
}

static int list_devices(const cli_command *self, run *runs, int *count)
{
    static tuff_device_info list[MOST_DEVICES];
    if (tuff_device_list(list, MOST_DEVICES, count) != TUFF_OK) return cli_error(self);
    if (*count > MOST_DEVICES) *count = MOST_DEVICES;
    cli_note("Devices:");
    int n = 0;
    for (int i = 0; i < *count; i++) {
        cli_note("  %-10s %s%s%s", list[i].id, list[i].name, list[i].problem[0] ? ": " : "",
                 list[i].problem);
        if (list[i].problem[0]) continue;
        run *r = &runs[n++];
        snprintf(r->id, sizeof r->id, "%s", list[i].id);
        snprintf(r->name, sizeof r->name, "%s", list[i].name);
        snprintf(r->driver, sizeof r->driver, "%s", list[i].driver);
    }
    *count = n;
    return EXIT_OK;
}

static int judge(const cli_command *self, const char *out, tuff_dataset *data, run *runs, int n)
{
    const run *cpu = NULL;
    cli_note("\nThe same model, the same %lld test images, on every device:",
             (long long)tuff_dataset_get_info(data)->count[TUFF_TEST]);
    for (int i = 0; i < n; i++) {
        test_on(out, data, &runs[i]);
        if (strcmp(runs[i].id, "cpu") == 0) cpu = &runs[i];
    }
    if (!cpu || !cpu->scores)
        return cli_wrong(self, "the CPU path failed: %s", cpu ? cpu->error : "it is not there");
    cJSON *json = cJSON_CreateObject(), *array = cJSON_AddArrayToObject(json, "devices");
    const bool agree = print_runs(runs, n, cpu, array);
    const int status = agree ? EXIT_OK : EXIT_FAILED;
    cJSON_AddStringToObject(json, "model", out);
    cJSON_AddNumberToObject(json, "tolerance", REPORT_TOLERANCE);
    cJSON_AddBoolToObject(json, "agree", agree);
    if (cli.json) return cli_print_json(json, status);
    cJSON_Delete(json);
    printf("\n%s (tolerance of a logit %.0e)\n",
           agree ? "Every device agrees with the CPU path."
                 : "A device DIFFERS from the CPU path.",
           REPORT_TOLERANCE);
    printf("\nThe model is %s. Next:\n"
           "  build/tuff info %s --plan\n"
           "  build/tuff test %s --data fashion --against cpu\n"
           "  build/tuff predict %s --input IMAGE.png\n"
           "  build/tuff train --resume %s --data fashion --epochs 10\n"
           "  build/tuff check\n", out, out, out, out, out);
    return status;
}

int cmd_demo(const cli_command *self, int argc, char **argv)
{
    static run runs[MOST_DEVICES];
    int64_t epochs = DEFAULT_EPOCHS;
    const char *out = "lenet5-fashion.safetensors", *spec = "fashion";
    int n = 0;
    const cli_option options[] = {
        { "epochs", CLI_INT, &epochs, "N", "passes over the 60,000 training images; 3" },
        { "data", CLI_TEXT, &spec, "SPEC", "other data of 1 x 28 x 28 images" },
        { "out", CLI_TEXT, &out, "MODEL", "where the model goes; lenet5-fashion.safetensors" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count) return cli_wrong(self, "'%s' is too much", words.item[0]);
    if (epochs < 1 || epochs > INT32_MAX) return cli_wrong(self, "--epochs is at least 1");
    status = list_devices(self, runs, &n);
    if (status != EXIT_OK) return status;
    tuff_dataset *data = report_open_data(self, spec, NULL);
    if (!data) return EXIT_WRONG;
    status = train(self, out, (int)epochs, data);
    if (status == EXIT_OK) status = judge(self, out, data, runs, n);
    for (int i = 0; i < n; i++) free(runs[i].scores);
    tuff_dataset_destroy(&data);
    return status;
}
