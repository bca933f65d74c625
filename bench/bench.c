// How fast single ops are: time and rate of cases (see src/ops/case.h) on one device.
//
//   tuff-bench DEVICE OP 'CASE' [VARIANT]     one
//   tuff-bench DEVICE FILE                    every line "OP CASE" of a file, as in shapes/
//
// A call is recorded several times into one list, as in a program; the list is submitted
// again and again, and the median is taken. Times are wall-clock, so a busy machine shows.
#include "base/alloc.h"
#include "base/status.h"
#include "ops/case.h"
#include "ops/timing.h"
#include "tensor/tensor.h"
#include <tuff/tuff.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 15 };

typedef struct work {
    tuff_case c;
    tuff_tensor *in[TUFF_OP_IN], *out[TUFF_OP_OUT];
    tuff_timing timing;
} work;

static void work_free(work *w)
{
    tuff_timing_free(&w->timing);
    for (int i = 0; i < TUFF_OP_IN; i++) tuff_tensor_destroy(&w->in[i]);
    for (int i = 0; i < TUFF_OP_OUT; i++) tuff_tensor_destroy(&w->out[i]);
}

// Real numbers in [-1, 1); indices are all 0; of bytes and words any will do.
static void fill(const tuff_desc *d, float *x, uint32_t seed)
{
    for (size_t i = 0; i < (tuff_desc_bytes(d) + 3) / 4; i++) {
        seed = seed * 1664525 + 1013904223;
        if (d->dtype == TUFF_F32) x[i] = (float)(seed >> 8) / 8388608.0f - 1;
        else if (d->dtype & (TUFF_I8 | TUFF_U8 | TUFF_U32)) memcpy(&x[i], &seed, 4);
    }
}

// Numbers for every input, as the op wants them to belong together.
static tuff_status fill_inputs(work *w, tuff_stream *s)
{
    const tuff_call *c = &w->c.call;
    void *data[TUFF_OP_IN] = { 0 };
    tuff_status status = TUFF_OK;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        data[i] = tuff_alloc(tuff_desc_bytes(&c->in[i]) / 4 + 1, 4);
        if (!data[i]) TUFF_GO(TUFF_ERR_MEMORY);
        fill(&c->in[i], data[i], (uint32_t)i + 1);
    }
    if (c->op->prepare) c->op->prepare(c, data);
    for (int i = 0; i < c->nin; i++)
        if (data[i])
            TUFF_GO(tuff_tensor_write(s, w->in[i], data[i], tuff_desc_bytes(&c->in[i])));
exit:
    for (int i = 0; i < c->nin; i++) tuff_free(data[i]);
    return status;
}

// Allocates everything the call needs and records it.
static tuff_status work_record(work *w, tuff_device *dev, tuff_stream *s)
{
    const tuff_call *c = &w->c.call;
    tuff_range in[TUFF_OP_IN] = { 0 }, out[TUFF_OP_OUT] = { 0 };
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        TUFF_TRY(tuff_tensor_create(dev, c->in[i], &w->in[i]));
        in[i] = tuff_tensor_range(w->in[i]);
    }
    for (int i = 0; i < c->nout; i++) {
        TUFF_TRY(tuff_tensor_create(dev, c->out[i], &w->out[i]));
        out[i] = tuff_tensor_range(w->out[i]);
    }
    TUFF_TRY(fill_inputs(w, s));
    TUFF_TRY(tuff_stream_wait(s));
    return tuff_timing_record(&w->timing, dev, c, in, out);
}

static tuff_status measure(tuff_device *dev, tuff_stream *s, const char *name, const char *text)
{
    work w = { 0 };
    double first, t[RUNS];
    const tuff_op *op = tuff_op_find(name);
    TUFF_REQUIRE(op, ARG, "there is no op named '%s'", name);
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_case_parse(op, TUFF_F32, text, &w.c));
    const tuff_cost cost = op->cost ? op->cost(&w.c.call) : (tuff_cost){ 0 };
    TUFF_GO(work_record(&w, dev, s));
    TUFF_GO(tuff_timing_run(&w.timing, dev, &first));
    for (int i = 0; i < RUNS; i++) TUFF_GO(tuff_timing_run(&w.timing, dev, &t[i]));
    const double median = tuff_timing_median(t, RUNS), best = t[0];
    const char *variant = tuff_device_caps(dev)->cpu ? "ref" : w.timing.plan.variant;
    printf("%-18s %-10s %9.3f ms  %7.2f GF/s  (best %9.3f ms %7.2f; first %7.1f)  %s\n", name,
           variant, median * 1e3, cost.flops / median * 1e-9, best * 1e3,
           cost.flops / best * 1e-9, first * w.timing.calls * 1e3, text);
exit:
    work_free(&w);
    return status;
}

static tuff_status measure_file(tuff_device *dev, tuff_stream *s, const char *path)
{
    FILE *f = fopen(path, "r");
    TUFF_REQUIRE(f, IO, "%s could not be read", path);
    char line[TUFF_CASE_TEXT + 64];
    tuff_status status = TUFF_OK;
    while (status == TUFF_OK && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *text = strchr(line, ' ');
        if (line[0] == '#' || !text) continue;
        *text++ = 0;
        status = measure(dev, s, line, text);
    }
    fclose(f);
    return status;
}

int main(int argc, char **argv)
{
    tuff_device *dev = NULL;
    tuff_stream *s = NULL;
    tuff_status status = TUFF_OK;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: tuff-bench DEVICE (OP CASE [VARIANT] | FILE)\n");
        return 2;
    }
    TUFF_GO(tuff_device_open(argv[1], &dev));
    TUFF_GO(tuff_stream_create(dev, &s));
    if (argc == 5) tuff_variant_force(argv[4]);
    TUFF_GO(argc == 3 ? measure_file(dev, s, argv[2]) : measure(dev, s, argv[2], argv[3]));
exit:
    if (status != TUFF_OK) fprintf(stderr, "tuff-bench: %s\n", tuff_last_error());
    tuff_stream_destroy(&s);
    tuff_device_close(&dev);
    return status == TUFF_OK ? 0 : 1;
}
