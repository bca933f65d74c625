// tuff demo: the whole road on real data, every device judged by the CPU path, and the net
// made smaller.
#include "compress_report.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEVICES = 32, DEFAULT_EPOCHS = 3, PATH = 4096, ROWS = 5 };

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
    static char id[16];
    snprintf(id, sizeof id, "%s", tuff_device_get_info(device)->id);
    cli.device = id; // what follows need not choose again
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

// ---- the net made smaller ------------------------------------------------------------------

typedef struct smaller {
    char quantized[PATH], packed[PATH]; // files
    compress_row row[ROWS];
    int rows;
} smaller;

// Runs a subcommand as it stands in `args`, and takes what its table has from row `from` on.
static int run_and_take(const char *name, const char *args[], int count, int from, smaller *s)
{
    cli_caught caught = { .text = false };
    const compress_row *rows;
    const int status = cli_run(cli_command_named(name), count, (char **)args, &caught);
    cJSON_Delete(caught.object);
    if (status != EXIT_OK) return status;
    for (int i = from, n = compress_last(&rows); i < n; i++) s->row[s->rows++] = rows[i];
    return EXIT_OK;
}

static int make_smaller(const char *model, const char *spec, smaller *s)
{
    const char *dot = strrchr(model, '.');
    const int stem = dot && !strchr(dot, '/') ? (int)(dot - model) : (int)strlen(model);
    snprintf(s->quantized, PATH, "%.*s-8bit.safetensors", stem, model);
    snprintf(s->packed, PATH, "%.*s.tuffz", stem, model);
    const char *quantize[] = { model, "--data", spec, "--out", s->quantized };
    const char *compress[] = { model, "--data", spec, "--out", s->packed, "--finetune", "2",
                               "--epochs", "1", "--lr", "0.002", "--lr-schedule", "cosine",
                               "--rates", "0=0.3 3=0.7", "--ramp", "0.5" };
    static const char *const names[ROWS] = { "trained", "8 bits", "pruned", "shared",
                                             "packed" };
    const int count = (int)(sizeof compress / sizeof *compress);
    cli_note("\nThe net made smaller: numbers of 8 bits; nine of ten weights gone, few "
             "numbers left ...");
    int status = run_and_take("quantize", quantize, 5, 0, s);
    if (status == EXIT_OK) status = run_and_take("compress", compress, count, 1, s);
    for (int i = 0; i < s->rows; i++) s->row[i].name = names[i];
    return status;
}

// Three things that are not the same, each by the figures of this run.
static void print_smaller(const smaller *s)
{
    const tuff_measure *m = &s->row[0].m, *q = &s->row[1].m, *z = &s->row[ROWS - 1].m;
    printf("\n");
    compress_print(s->row, s->rows);
    printf("\nIn 8 bits the net takes %.1f times less of the disk and %.1f times less memory, "
           "and %.2f of\nthe time for one image on integer kernels. Packed it takes %.0f "
           "times less of the disk; in memory, and\nin time, weights that are zero cost what "
           "others do. docs/compress.md tells what else there is.\n",
           (double)m->file_bytes / (double)q->file_bytes,
           (double)m->memory / (double)q->memory, q->device_ms / m->device_ms,
           (double)m->file_bytes / (double)z->file_bytes);
}

static int judge(const cli_command *self, const char *out, const char *spec,
                 tuff_dataset *data, run *runs, int n)
{
    static smaller small;
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
    if (!cli.json)
        printf("\n%s (tolerance of a logit %.0e)\n",
               agree ? "Every device agrees with the CPU path."
                     : "A device DIFFERS from the CPU path.",
               REPORT_TOLERANCE);
    fflush(stdout);
    int status = make_smaller(out, spec, &small);
    if (status == EXIT_OK && !agree) status = EXIT_FAILED;
    cJSON_AddStringToObject(json, "model", out);
    cJSON_AddNumberToObject(json, "tolerance", REPORT_TOLERANCE);
    cJSON_AddBoolToObject(json, "agree", agree);
    if (status != EXIT_WRONG)
        cJSON_AddItemToObject(json, "smaller", compress_json(small.row, small.rows));
    if (cli.json && status != EXIT_WRONG) return cli_print_json(json, status);
    cJSON_Delete(json);
    if (status == EXIT_WRONG) return status;
    print_smaller(&small);
    printf("\nThe model is %s, in 8 bits %s, packed %s. Next:\n"
           "  build/tuff info %s --plan\n"
           "  build/tuff test %s --data fashion --against cpu\n"
           "  build/tuff predict %s --input IMAGE.png\n"
           "  build/tuff train --resume %s --data fashion --epochs 10\n"
           "  build/tuff info %s\n"
           "  build/tuff check\n", out, small.quantized, small.packed, out, out, out, out,
           small.packed);
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
    if (status == EXIT_OK) status = judge(self, out, spec, data, runs, n);
    for (int i = 0; i < n; i++) free(runs[i].scores);
    tuff_dataset_destroy(&data);
    return status;
}
