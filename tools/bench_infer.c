// `tuff bench infer MODEL ...`: models beside one another, timed in turns in one process.
#include "bench_report.h"
#include <stdlib.h>
#include <string.h>
#include <tuff/compress.h>

enum { BATCHES = 16 };

// What was measured of one batch size: a row for each model.
typedef struct infer_table {
    const tuff_device_info *info;
    const char *const *name;
    int models, batches;
    tuff_model *model[CLI_ITEMS];
    double disk_kb[CLI_ITEMS]; // 0: it is in no file
    int64_t batch[BATCHES];
    tuff_bench_turns turns[BATCHES][CLI_ITEMS];
} infer_table;

// "1,64" or several such.
static int read_batches(const cli_command *self, const cli_list *given, infer_table *t)
{
    for (int i = 0; i < given->count; i++) {
        const char *at = given->item[i];
        for (char *end; *at; at = *end ? end + 1 : end) {
            const long long n = strtoll(at, &end, 10);
            if (end == at || (*end && *end != ',') || (*end && !end[1]) || n < 1 || n > 1 << 20)
                return cli_wrong(self, "--batch is '%s', expected whole numbers from 1 to "
                                 "1048576 such as 1,64", given->item[i]);
            if (t->batches == BATCHES)
                return cli_wrong(self, "more than %d sizes of batches", (int)BATCHES);
            t->batch[t->batches++] = n;
        }
        if (!*given->item[i]) return cli_wrong(self, "--batch is empty, expected 1,64");
    }
    if (!t->batches) t->batch[t->batches++] = 1;
    return EXIT_OK;
}

// A word that is no model file is a net only where its samples are told.
static int check_names(const cli_command *self, const char *input, const infer_table *t)
{
    for (int i = 0; i < t->models && !input; i++)
        if (!report_is_model(t->name[i]))
            return cli_wrong(self, "%s is no model file (a net needs --input, such as "
                             "1x28x28)", t->name[i]);
    return EXIT_OK;
}

// Without the state of training that a checkpoint has beside its model.
static int take_disk(const cli_command *self, int i, infer_table *t)
{
    const tuff_measure_params p = { .path = t->name[i], .runs = -1 };
    tuff_measure m;
    if (!report_is_model(t->name[i])) return EXIT_OK;
    if (tuff_model_measure(t->model[i], NULL, &p, &m) != TUFF_OK) return cli_error(self);
    t->disk_kb[i] = (double)m.file_bytes / 1000;
    return EXIT_OK;
}

static int open_models(const cli_command *self, tuff_device *device, const char *input,
                       infer_table *t)
{
    for (int i = 0; i < t->models; i++) {
        t->model[i] = report_open_model(self, device, t->name[i], input);
        if (!t->model[i] || take_disk(self, i, t) != EXIT_OK) return EXIT_WRONG;
    }
    return EXIT_OK;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print(const infer_table *t)
{
    int wide = 5;
    for (int i = 0; i < t->models; i++) {
        const int n = (int)strlen(last_part(t->name[i]));
        if (n > wide) wide = n < 40 ? n : 40;
    }
    printf("%s (%s)\n\n", t->info->name, t->info->driver);
    printf("%-*s %5s %9s %9s %9s %8s %8s %8s %9s %8s %8s\n", wide, "model", "batch", "KB disk",
           "MB memory", "median ms", "min", "max", "an image", "images/s", "launches",
           "speedup");
    for (int b = 0; b < t->batches; b++)
        for (int i = 0; i < t->models; i++) {
            const tuff_bench_turns *r = &t->turns[b][i];
            const double n = (double)t->batch[b], kb = t->disk_kb[i];
            printf("%-*s %5lld ", wide, last_part(t->name[i]), (long long)t->batch[b]);
            if (kb > 0) printf("%9.1f", kb);
            else printf("%9s", "-");
            printf(" %9.3f %9.4f %8.4f %8.4f %8.4f %9.1f %8d %8.2f\n", (double)r->memory / 1e6,
                   r->wall.median * 1e3, r->wall.min * 1e3, r->wall.max * 1e3,
                   r->wall.median * 1e3 / n, n / r->wall.median, r->launches,
                   r->speedup.median);
        }
}

static void add_times(cJSON *o, const char *const names[5], const tuff_bench_times *t,
                      double scale)
{
    const double v[5] = { t->min, t->low, t->median, t->high, t->max };
    for (int i = 0; i < 5; i++) cJSON_AddNumberToObject(o, names[i], v[i] * scale);
}

static cJSON *result(const infer_table *t, int b, int i)
{
    static const char *const wall[5] = { "min_ms", "low_ms", "median_ms", "high_ms", "max_ms" };
    static const char *const speedup[5] = { "speedup_min", "speedup_low", "speedup",
                                            "speedup_high", "speedup_max" };
    const tuff_bench_turns *r = &t->turns[b][i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "model", t->name[i]);
    cJSON_AddNumberToObject(o, "batch", (double)t->batch[b]);
    if (t->disk_kb[i] > 0) cJSON_AddNumberToObject(o, "disk_kb", t->disk_kb[i]);
    else cJSON_AddNullToObject(o, "disk_kb");
    cJSON_AddNumberToObject(o, "memory_mb", (double)r->memory / 1e6);
    add_times(o, wall, &r->wall, 1e3);
    cJSON_AddNumberToObject(o, "image_ms", r->wall.median * 1e3 / (double)t->batch[b]);
    cJSON_AddNumberToObject(o, "images_per_second", (double)t->batch[b] / r->wall.median);
    add_times(o, speedup, &r->speedup, 1);
    cJSON_AddNumberToObject(o, "launches", r->launches);
    cJSON_AddNumberToObject(o, "rounds", r->rounds);
    cJSON_AddNumberToObject(o, "batches_in_a_turn", r->times);
    return o;
}

static cJSON *object(const infer_table *t)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "tuff", TUFF_VERSION);
    cJSON_AddStringToObject(json, "device", t->info->id);
    cJSON_AddStringToObject(json, "name", t->info->name);
    cJSON_AddStringToObject(json, "driver", t->info->driver);
    cJSON *results = cJSON_AddArrayToObject(json, "results");
    for (int b = 0; b < t->batches; b++)
        for (int i = 0; i < t->models; i++) cJSON_AddItemToArray(results, result(t, b, i));
    return json;
}

static int measure(const cli_command *self, const tuff_bench_params *p, infer_table *t)
{
    for (int b = 0; b < t->batches; b++) {
        cli_bar((double)b / t->batches, "batches of %lld", (long long)t->batch[b]);
        if (tuff_bench_models(t->model, t->models, t->batch[b], p, t->turns[b]) != TUFF_OK)
            return cli_error(self);
    }
    cli_bar_end();
    if (cli.json) return cli_print_json(object(t), EXIT_OK);
    print(t);
    return EXIT_OK;
}

int bench_infer(const cli_command *self, const cli_list *models, const cli_list *batches,
                const char *input, const tuff_bench_params *p)
{
    static infer_table t;
    t = (infer_table){ .name = models->item + 1, .models = models->count - 1 };
    if (t.models < 1) return cli_wrong(self, "infer needs model files, such as m.safetensors");
    int status = read_batches(self, batches, &t);
    if (status == EXIT_OK) status = check_names(self, input, &t);
    if (status != EXIT_OK) return status;
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    t.info = tuff_device_get_info(device);
    status = open_models(self, device, input, &t);
    if (status == EXIT_OK) status = measure(self, p, &t);
    for (int i = 0; i < t.models; i++) tuff_model_destroy(&t.model[i]);
    tuff_device_close(&device);
    return status;
}
