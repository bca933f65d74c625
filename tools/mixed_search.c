#include "mixed_search.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH = 4096, ROUNDS = 8 };

int mixed_read_budget(const cli_command *self, const char *text, mixed_budget *b)
{
    static const struct {
        const char *unit;
        double times;
        int kind;
    } units[] = { { "B", 1, 0 },   { "KB", 1e3, 0 }, { "MB", 1e6, 0 }, { "%", 0.01, 1 },
                  { "us", 1e-3, 2 }, { "ms", 1, 2 } };
    char *end;
    const double value = text ? strtod(text, &end) : 0;
    *b = (mixed_budget){ 0 };
    for (size_t i = 0; text && value > 0 && i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0) continue;
        const double v = value * units[i].times;
        if (!(v < 1e15)) break;
        if (units[i].kind == 0) b->bytes = (int64_t)v;
        else if (units[i].kind == 1) b->part = v;
        else b->ms = v;
        return -1;
    }
    return cli_wrong(self, "--mixed needs a --budget like 40KB, 25%% or 0.5ms%s%s%s",
                     text ? ", not '" : "", text ? text : "", text ? "'" : "");
}

static void on_point(void *user, const tuff_mixed_point *point)
{
    const tuff_model *model = user;
    tuff_layer_info info;
    if (tuff_model_layer(model, point->layer, &info))
        cli_bar((double)point->layer / tuff_model_layer_count(model), "%s %.40s in %d bits",
                info.name, info.text, point->bits);
}

static int64_t parameter_bytes(const tuff_model *model)
{
    tuff_param_info p;
    int64_t bytes = 0;
    for (int i = 0; tuff_model_param(model, i, &p); i++)
        bytes += (int64_t)tuff_desc_bytes(&p.desc);
    return bytes;
}

// How many bytes the model's file has with the bits that are chosen, and beside parameters.
static tuff_status try_file(tuff_model *model, tuff_dataset *data, const char *out,
                            const tuff_weights_params *weights, int64_t *bytes,
                            int64_t *header)
{
    char tried[PATH];
    const char *dot = strrchr(out, '.');
    tuff_model *stored = NULL;
    snprintf(tried, sizeof tried, "%.3900s.tried%s", out,
             dot && strcmp(dot, ".tuffz") == 0 ? dot : ".safetensors");
    tuff_status status = tuff_store_weights(model, data, weights, &stored);
    if (status == TUFF_OK) status = tuff_model_save(stored, tried);
    *bytes = report_file_bytes(tried);
    *header = *bytes - (stored ? parameter_bytes(stored) : 0);
    tuff_model_destroy(&stored);
    (void)unlink(tried);
    return status;
}

// A file has a header beside its parameters, whose size is known when there is one.
static tuff_status fit_file(tuff_model *model, tuff_dataset *data, const char *out,
                            int64_t most, tuff_weights_params *weights, mixed_search *s,
                            int64_t *header)
{
    tuff_mixed_budget b = { .bytes = most };
    weights->layer_bits = s->layer_bits;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t bytes;
        tuff_status status = tuff_mixed_assign(s->mixed, &b, s->layer_bits);
        if (status == TUFF_OK) status = try_file(model, data, out, weights, &bytes, header);
        if (status != TUFF_OK || bytes <= most) return status;
        b.bytes = b.bytes - 1 < most - *header ? b.bytes - 1 : most - *header;
        if (b.bytes < 1) b.bytes = 1;
    }
    b.bytes = 1; // never within it: the sentence says what the least is
    return tuff_mixed_assign(s->mixed, &b, s->layer_bits);
}

int mixed_run(const cli_command *self, const mixed_budget *b, const char *path, const char *out,
              tuff_model *model, tuff_dataset *data, const tuff_weights_params *weights,
              mixed_search *s)
{
    tuff_weights_params w = *weights;
    tuff_measure is;
    int64_t header = 0;
    const tuff_measure_params file = { .path = path, .runs = -1 };
    w.gptq = false; // what is measured is rounded; it is what is chosen that takes its time
    w.on_weights = NULL;
    w.layer_bits = NULL;
    const tuff_mixed_params p = { .weights = &w, .held = true, .timed = b->ms > 0,
                                  .on_point = on_point, .user = model };
    tuff_status status = tuff_mixed_measure(model, data, &p, &s->mixed);
    cli_bar_end();
    s->layer_bits = calloc((size_t)tuff_model_layer_count(model), sizeof *s->layer_bits);
    if (!s->layer_bits) return cli_wrong(self, "no memory");
    if (status == TUFF_OK && b->ms > 0)
        status = tuff_mixed_assign(s->mixed, &(tuff_mixed_budget){ .ms = b->ms },
                                   s->layer_bits);
    else if (status == TUFF_OK)
        status = tuff_model_measure(model, NULL, &file, &is);
    if (status == TUFF_OK && !(b->ms > 0)) {
        const double part = b->part * (double)is.file_bytes;
        const int64_t most = b->part > 0 ? (int64_t)part : b->bytes;
        status = fit_file(model, data, out, most, &w, s, &header);
    }
    if (status == TUFF_OK) return EXIT_OK;
    if (!header) return cli_error(self);
    return cli_wrong(self, "%s, beside a file's header of %lld", tuff_last_error(),
                     (long long)header);
}

// ---- what was chosen -----------------------------------------------------------------------

// The point of a layer that was chosen; false for one without weights.
static bool chosen(const mixed_search *s, int layer, tuff_mixed_point *point)
{
    const int bits = s->layer_bits[layer];
    for (int i = 0; tuff_mixed_at(s->mixed, i, point); i++)
        if (point->layer == layer && (point->bits ? point->bits : TUFF_BITS_F32) == bits)
            return true;
    return false;
}

void mixed_print(const mixed_search *s, const tuff_model *model)
{
    tuff_mixed_point p;
    tuff_layer_info info;
    double loss = 0;
    printf("\n%-32s %5s %9s %10s\n", "layer", "bits", "KB", "loss +");
    for (int i = 0; tuff_model_layer(model, i, &info); i++) {
        if (!chosen(s, i, &p)) continue;
        char name[64];
        snprintf(name, sizeof name, "%.20s %.40s", info.name, info.text);
        printf("%-32.32s %5d %9.2f %+10.5f\n", name, p.bits ? p.bits : 32,
               (double)(info.parameters * 4 + p.bytes) / 1000, p.loss);
        loss += p.loss;
    }
    printf("%-32s %5s %9s %+10.5f\n\n", "all, if losses add up", "", "", loss);
}

cJSON *mixed_json(const mixed_search *s, const tuff_model *model)
{
    tuff_mixed_point p;
    tuff_layer_info info;
    cJSON *layers = cJSON_CreateArray();
    for (int i = 0; tuff_model_layer(model, i, &info); i++) {
        if (!chosen(s, i, &p)) continue;
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(layers, o);
        cJSON_AddStringToObject(o, "place", info.name);
        cJSON_AddStringToObject(o, "layer", info.text);
        cJSON_AddNumberToObject(o, "bits", p.bits ? p.bits : 32);
        cJSON_AddNumberToObject(o, "bytes", (double)(info.parameters * 4 + p.bytes));
        cJSON_AddNumberToObject(o, "loss", p.loss);
        if (p.ms != 0) cJSON_AddNumberToObject(o, "ms", p.ms);
    }
    return layers;
}

void mixed_clear(mixed_search *s)
{
    tuff_mixed_destroy(&s->mixed);
    free(s->layer_bits);
    s->layer_bits = NULL;
}
