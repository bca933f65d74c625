// tuff predict
#include "cli.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

// Reads samples as they are: bytes become 0 to 1, other numbers stay.
static tuff_status read_samples(const char *path, const tuff_desc *sample, tuff_array *x)
{
    if (ends_with(path, ".png"))
        return tuff_png_read(path, sample->rank == 3 ? (int)sample->dim[0] : 1, x);
    tuff_array file = { 0 };
    tuff_status status = tuff_npy_read(path, &file);
    const bool bytes = file.desc.dtype == TUFF_U8;
    if (status == TUFF_OK) status = tuff_array_convert(&file, TUFF_F32, x);
    const int64_t n = status == TUFF_OK && bytes ? tuff_desc_count(&x->desc) : 0;
    for (int64_t i = 0; i < n; i++) ((float *)x->data)[i] /= 255;
    tuff_array_clear(&file);
    return status;
}

// How many samples an array holds; 0 when its shape is not [sample] or [n, sample]. A grey
// image may come without its channel.
static int64_t samples_in(const tuff_desc *x, const tuff_desc *sample)
{
    int first = 0;
    while (first < sample->rank - 1 && sample->dim[first] == 1) first++;
    for (int skip = 0; skip <= first; skip++) {
        const int rank = sample->rank - skip;
        if (x->rank != rank && x->rank != rank + 1) continue;
        if (memcmp(x->dim + x->rank - rank, sample->dim + skip, (size_t)rank * 8) == 0)
            return x->rank == rank ? 1 : x->dim[0];
    }
    return 0;
}

static void normalise(float *x, int64_t n, const tuff_desc *sample, const tuff_model_data *d)
{
    if (!d || !d->channels) return;
    const int64_t size = tuff_desc_count(sample), area = size / d->channels;
    for (int64_t i = 0; i < n * size; i++) {
        const int64_t c = i % size / area;
        x[i] = d->scale[c] * x[i] + d->shift[c];
    }
}

static void softmax(const float *score, int classes, double *p)
{
    double most = score[0], sum = 0;
    for (int i = 1; i < classes; i++) most = fmax(most, score[i]);
    for (int i = 0; i < classes; i++) sum += p[i] = exp(score[i] - most);
    for (int i = 0; i < classes; i++) p[i] /= sum;
}

static void class_name(const tuff_model_data *d, int c, char *text, size_t size)
{
    if (d && d->class_names && c < d->classes) snprintf(text, size, "%s", d->class_names[c]);
    else snprintf(text, size, "%d", c);
}

static cJSON *sample_json(const float *score, int n, const tuff_model_data *d, double *p)
{
    cJSON *o = cJSON_CreateObject(), *scores = cJSON_AddArrayToObject(o, "scores");
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(scores, cJSON_CreateNumber(score[i]));
    if (!d || !d->classes) return o;
    int best = 0;
    char name[64];
    softmax(score, n, p);
    cJSON *probabilities = cJSON_AddArrayToObject(o, "probabilities");
    for (int i = 0; i < n; i++) {
        cJSON_AddItemToArray(probabilities, cJSON_CreateNumber(p[i]));
        if (score[i] > score[best]) best = i;
    }
    class_name(d, best, name, sizeof name);
    cJSON_AddNumberToObject(o, "class", best);
    cJSON_AddStringToObject(o, "name", name);
    return o;
}

static void print_sample(int64_t index, const float *score, int n, const tuff_model_data *d,
                         double *p)
{
    char name[64];
    printf("sample %lld\n", (long long)index);
    if (d && d->classes) softmax(score, n, p);
    for (int i = 0; i < n; i++) {
        class_name(d, i, name, sizeof name);
        if (d && d->classes) printf("  %-16s %10.4f  %6.2f %%\n", name, score[i], p[i] * 100);
        else printf("  %-16s %10.6f\n", name, score[i]);
    }
}

static int predict(const cli_command *self, tuff_model *model, const char *input)
{
    const tuff_desc *sample = tuff_model_input(model);
    const tuff_model_data *d = tuff_model_get_data(model);
    const int n = (int)tuff_desc_count(tuff_model_output(model));
    tuff_array x = { 0 };
    char got[96], want[96];
    if (read_samples(input, sample, &x) != TUFF_OK) return cli_error(self);
    const int64_t count = samples_in(&x.desc, sample);
    int status = EXIT_WRONG;
    float *scores = malloc((size_t)(count ? count : 1) * (size_t)n * sizeof *scores);
    double *p = malloc((size_t)n * sizeof *p);
    if (!count) {
        (void)cli_wrong(self, "%s holds %s, the model takes samples of %s", input,
                        tuff_desc_print(&x.desc, got, sizeof got),
                        tuff_desc_print(sample, want, sizeof want));
    } else if (!scores || !p) {
        (void)cli_wrong(self, "out of memory");
    } else {
        normalise(x.data, count, sample, d);
        status = tuff_predict(model, x.data, count, scores) == TUFF_OK ? EXIT_OK
                                                                       : cli_error(self);
    }
    cJSON *json = cJSON_CreateObject(), *array = cJSON_AddArrayToObject(json, "predictions");
    for (int64_t i = 0; i < count && status == EXIT_OK; i++) {
        if (cli.json) cJSON_AddItemToArray(array, sample_json(scores + i * n, n, d, p));
        else print_sample(i, scores + i * n, n, d, p);
    }
    free(scores);
    free(p);
    tuff_array_clear(&x);
    if (cli.json && status == EXIT_OK) return cli_print_json(json, status);
    cJSON_Delete(json);
    return status;
}

int cmd_predict(const cli_command *self, int argc, char **argv)
{
    const char *input = NULL;
    const cli_option options[] = {
        { "input", CLI_TEXT, &input, "FILE", "a .npy array or a .png image" },
        CLI_TUNE_OPTIONS,
        { NULL, CLI_FLAG, NULL, NULL, NULL },
    };
    cli_list words;
    int status = cli_parse(self, options, argc, argv, &words);
    if (status >= 0) return status;
    if (words.count != 1) return cli_wrong(self, "one model file was expected");
    if (!input) return cli_wrong(self, "--input FILE.npy or --input IMAGE.png is needed");
    tuff_device *device = cli_open_device(self);
    if (!device) return EXIT_WRONG;
    tuff_model *model = report_load(self, device, words.item[0]);
    status = model ? predict(self, model, input) : EXIT_WRONG;
    tuff_model_destroy(&model);
    tuff_device_close(&device);
    return status;
}
