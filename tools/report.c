#include "cli.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void report_metrics(cJSON *o, const tuff_metrics *m)
{
    cJSON_AddNumberToObject(o, "loss", m->loss);
    if (m->accuracy >= 0) {
        cJSON_AddNumberToObject(o, "accuracy", m->accuracy);
        cJSON_AddNumberToObject(o, "errors", (double)(m->examples - m->correct));
    }
    cJSON_AddNumberToObject(o, "examples", (double)m->examples);
    cJSON_AddNumberToObject(o, "seconds", m->seconds);
    cJSON_AddNumberToObject(o, "images_per_second", m->images_per_second);
}

const char *report_line(const tuff_metrics *m, char *text, size_t size)
{
    if (m->accuracy < 0)
        snprintf(text, size, "loss %.5f  examples %lld", m->loss, (long long)m->examples);
    else
        snprintf(text, size, "loss %.4f  accuracy %.2f %%  errors %lld of %lld", m->loss,
                 m->accuracy * 100, (long long)(m->examples - m->correct),
                 (long long)m->examples);
    return text;
}

tuff_dataset *report_open_data(const cli_command *self, const char *spec,
                               const tuff_dataset_params *p)
{
    tuff_dataset *data = NULL;
    if (tuff_dataset_open(spec, p, &data) != TUFF_OK) (void)cli_error(self);
    return data;
}

tuff_model *report_load(const cli_command *self, tuff_device *device, const char *path)
{
    tuff_model *model = NULL;
    if (tuff_model_load(device, path, &model) != TUFF_OK) (void)cli_error(self);
    return model;
}

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

long long report_file_bytes(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (long long)s.st_size : 0;
}

int report_folder(const cli_command *self, const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096] = ".";
    if (slash && (size_t)(slash - path) < sizeof folder)
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (access(folder, W_OK | X_OK) != 0)
        return cli_wrong(self, "%s could not be written: %s: %s", path, folder,
                         strerror(errno));
    return EXIT_OK;
}

// A model file begins with the length of its header and an opening brace, or as a .tuffz does;
// net text does not.
bool report_is_model(const char *path)
{
    unsigned char head[9] = { 0 };
    FILE *f = is_file(path) ? fopen(path, "rb") : NULL;
    if (!f) return false;
    if (tuff_tuffz_is(path)) return fclose(f) == 0;
    const bool whole = fread(head, 1, sizeof head, f) == sizeof head;
    fclose(f);
    return (whole && head[8] == '{') || memchr(head, 0, sizeof head);
}

tuff_model *report_open_model(const cli_command *self, tuff_device *device, const char *what,
                              const char *input)
{
    tuff_model *model = NULL;
    tuff_model_params p = { .net = what, .seed = (uint64_t)cli.seed };
    if (report_is_model(what)) return report_load(self, device, what);
    if (!cli_sample(self, input, &p.input)) return NULL;
    if (tuff_model_create(device, &p, &model) != TUFF_OK) (void)cli_error(self);
    return model;
}

float *report_scores(tuff_model *model, tuff_dataset *data, tuff_loss loss, int batch,
                     tuff_metrics *m, int64_t *count)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(data);
    *count = info->count[TUFF_TEST] * tuff_desc_count(tuff_model_output(model));
    float *scores = malloc((size_t)(*count > 0 ? *count : 1) * sizeof *scores);
    const tuff_test_params p = { .loss = loss, .batch = batch, .scores = scores };
    if (scores && tuff_test(model, data, &p, m) != TUFF_OK) {
        free(scores);
        scores = NULL;
    }
    return scores;
}

double report_difference(const float *a, const float *b, int64_t n)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) != isnan(b[i])) return INFINITY;
        const double d = fabs((double)a[i] - (double)b[i]);
        if (d > largest) largest = d;
    }
    return largest;
}
