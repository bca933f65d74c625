// What a net costs; declared in <tuff/compress/measure.h>.
#include <tuff/compress.h>
#include "base/alloc.h"
#include "base/status.h"
#include "base/time.h"
#include "format/tuffz.h"
#include "nn/forms.h"
#include "nn/model.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// What a checkpoint holds beside the model: an optimizer's state, weights to go back to.
static int64_t state_bytes(const tuff_safetensors *file)
{
    static const char *const prefixes[] = { "optimizer.", "best.", "last.", "latent." };
    int64_t bytes = 0;
    for (int i = 0; i < tuff_safetensors_count(file); i++) {
        const tuff_named_array *a = tuff_safetensors_at(file, i);
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++)
            if (strncmp(a->name, prefixes[k], strlen(prefixes[k])) == 0)
                bytes += (int64_t)tuff_desc_bytes(&a->array.desc);
    }
    return bytes;
}

static tuff_status file_bytes(const char *path, int64_t *bytes)
{
    struct stat s;
    tuff_safetensors *file;
    TUFF_REQUIRE(stat(path, &s) == 0, IO, "measure: %s cannot be read", path);
    *bytes = (int64_t)s.st_size;
    if (tuff_tuffz_is(path)) return TUFF_OK;
    TUFF_TRY(tuff_safetensors_read(path, &file));
    *bytes -= state_bytes(file);
    tuff_safetensors_destroy(&file);
    return TUFF_OK;
}

// ---- zeros --------------------------------------------------------------------------------

// Of what is trained: other forms of weights count as their layers say.
static int64_t zeros_in(const tuff_param *p, const float *flat)
{
    if (tuff_is_buffer(p->role)) return 0;
    int64_t zeros = p->stands - p->count; // those that a sparse form leaves out
    for (int64_t i = 0; i < p->count; i++) zeros += flat[p->offset + i] == 0;
    return zeros;
}

static int64_t part_zeros(const tuff_model *m, const tuff_model_part *part, const float *flat)
{
    const tuff_layer *l = &part->item.layer;
    int64_t zeros = 0;
    if (l->kind->zeros || l->store.form) {
        const void *stored[TUFF_LAYER_PARAMS] = { NULL };
        tuff_desc desc[TUFF_LAYER_PARAMS];
        for (int i = 0; i < part->params; i++) {
            stored[i] = flat + m->param[part->param + i].offset;
            desc[i] = m->param[part->param + i].desc;
        }
        zeros = tuff_layer_zeros(l, &part->input, desc, stored);
    }
    for (int i = 0; i < part->params; i++) zeros += zeros_in(&m->param[part->param + i], flat);
    return zeros;
}

static tuff_status count_nonzeros(tuff_model *model, int64_t *nonzeros)
{
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(model->weights));
    float *flat = tuff_alloc(bytes, 1);
    if (!flat) return TUFF_ERR_MEMORY;
    const tuff_status status = tuff_tensor_read(model->stream, model->weights, flat, bytes);
    *nonzeros = model->parameters;
    for (int i = 0; status == TUFF_OK && i < model->parts; i++)
        *nonzeros -= part_zeros(model, &model->part[i], flat);
    tuff_free(flat);
    return status;
}

// ---- time and memory ----------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Seconds of one prediction, the median of several; the first, which compiles, does not count.
static tuff_status time_runs(tuff_predictor *predictor, const float *x, float *scores, int runs,
                             double *seconds)
{
    double *took = tuff_alloc((size_t)runs, sizeof *took);
    if (!took) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    for (int i = 0; i < runs && status == TUFF_OK; i++) {
        const double began = tuff_time_now();
        status = tuff_predictor_run(predictor, x, 1, scores);
        took[i] = tuff_time_now() - began;
    }
    qsort(took, (size_t)runs, sizeof *took, by_size);
    *seconds = took[runs / 2];
    tuff_free(took);
    return status;
}

// Loads a copy of the model alone, so that what its device then holds more is the model's.
static tuff_status run_copy(tuff_model *model, tuff_device *device, int runs, double *ms,
                            int64_t *memory)
{
    tuff_model *copy = NULL;
    tuff_predictor *predictor = NULL;
    tuff_memory_stats before, after;
    double seconds = 0;
    tuff_status status = TUFF_OK;
    const size_t in = (size_t)tuff_desc_count(&model->input);
    const size_t out = (size_t)tuff_desc_count(&model->output);
    float *x = tuff_alloc(in + out, sizeof *x);
    if (!x) return TUFF_ERR_MEMORY;
    tuff_device_get_stats(device, &before);
    TUFF_GO(tuff_model_copy(model, device, &copy));
    TUFF_GO(tuff_predictor_create(copy, &predictor));
    TUFF_GO(tuff_predictor_run(predictor, x, 1, x + in));
    tuff_device_get_stats(device, &after);
    *memory = (int64_t)after.used - (int64_t)before.used;
    if (runs > 0) TUFF_GO(time_runs(predictor, x, x + in, runs, &seconds));
    *ms = seconds * 1e3;
exit:
    tuff_predictor_destroy(&predictor);
    tuff_model_destroy(&copy);
    tuff_free(x);
    return status;
}

static tuff_status run_on_cpu(tuff_model *model, int runs, double *ms)
{
    tuff_device *cpu;
    int64_t memory;
    TUFF_TRY(tuff_device_open("cpu", &cpu));
    const tuff_status status = run_copy(model, cpu, runs, ms, &memory);
    tuff_device_close(&cpu);
    return status;
}

tuff_status tuff_model_measure(tuff_model *model, tuff_dataset *data,
                               const tuff_measure_params *p, tuff_measure *m)
{
    static const tuff_measure_params defaults;
    if (!p) p = &defaults;
    TUFF_REQUIRE(model && m, ARG, "measure: the model or the result is NULL");
    TUFF_REQUIRE(p->runs <= 9999, ARG, "measure: %d runs, expected at most 9999", p->runs);
    const int runs = p->runs ? p->runs : 15;
    *m = (tuff_measure){ .test = { .accuracy = -1 }, .parameters = model->parameters };
    if (p->path) TUFF_TRY(file_bytes(p->path, &m->file_bytes));
    TUFF_TRY(count_nonzeros(model, &m->nonzeros));
    TUFF_TRY(run_copy(model, model->device, runs, &m->device_ms, &m->memory));
    if (strcmp(tuff_device_get_info(model->device)->id, "cpu") == 0)
        m->cpu_ms = m->device_ms;
    else if (runs > 0)
        TUFF_TRY(run_on_cpu(model, runs, &m->cpu_ms));
    const tuff_test_params test = { .batch = p->batch };
    return data ? tuff_test(model, data, &test, &m->test) : TUFF_OK;
}
