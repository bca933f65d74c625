// tuff_bench_case: a case timed, and held against the device's roof.
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/status.h"
#include "base/text.h"
#include "ops/timing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/bench.h>

typedef struct work {
    tuff_case c;
    tuff_operands operands;
    tuff_timing timing;
} work;

// ---- the string --------------------------------------------------------------------------

// The first word of *text, which moves behind it.
static size_t word(const char **text, const char **begin)
{
    *begin = *text += strspn(*text, " ");
    const size_t n = strcspn(*text, " ");
    *text += n;
    *text += strspn(*text, " ");
    return n;
}

// The dims of MxKxN and nothing else.
static bool is_short(const char *text, int64_t dim[3])
{
    for (int i = 0; i < 3; i++) {
        const size_t n = strcspn(text, "x");
        if (!tuff_parse_i64(text, n, &dim[i]) || dim[i] < 1) return false;
        text += n;
        if (*text != (i < 2 ? 'x' : '\0')) return false;
        text += i < 2;
    }
    return true;
}

// Whether a call is a plain product of two matrices, with nothing said but their dims.
static bool has_short(const tuff_call *c, const char *text)
{
    if (strcmp(c->op->name, "matmul") != 0 || strpbrk(text, "=:")) return false;
    for (int i = 2; i < c->nin; i++)
        if (tuff_call_has(c, i)) return false;
    return c->in[0].rank == 2 && c->in[1].rank == 2;
}

tuff_status tuff_bench_parse(const char *text, tuff_case *c, char *name, size_t size)
{
    const char *op_name, *type;
    char whole[TUFF_CASE_TEXT], known[64];
    int64_t dim[3];
    TUFF_REQUIRE(text, ARG, "the case is NULL");
    const size_t n = word(&text, &op_name), m = word(&text, &type);
    snprintf(known, sizeof known, "%.*s", (int)(n < 63 ? n : 63), op_name);
    const tuff_op *op = tuff_op_find(known);
    TUFF_REQUIRE(op, ARG, "there is no operator named '%s'", tuff_show(op_name, n));
    const tuff_dtype dtype = tuff_dtype_find(type, m);
    TUFF_REQUIRE(dtype, ARG, "'%s' is no type, expected one such as f32 after the operator's "
                 "name", tuff_show(type, m));
    if (strcmp(op->name, "matmul") == 0 && is_short(text, dim)) {
        snprintf(whole, sizeof whole, "%lldx%lld %lldx%lld", (long long)dim[0],
                 (long long)dim[1], (long long)dim[1], (long long)dim[2]);
        text = whole;
    }
    TUFF_TRY(tuff_case_parse(op, dtype, text, c));
    const tuff_call *k = &c->call;
    if (!name) return TUFF_OK;
    if (has_short(k, text))
        snprintf(name, size, "matmul %s %lldx%lldx%lld", tuff_dtype_name(dtype),
                 (long long)k->in[0].dim[0], (long long)k->in[0].dim[1],
                 (long long)k->in[1].dim[1]);
    else snprintf(name, size, "%s %s %s", op->name, tuff_dtype_name(dtype), text);
    return TUFF_OK;
}

tuff_status tuff_bench_name(const char *text, char *name, size_t size)
{
    tuff_case c;
    return tuff_bench_parse(text, &c, name, size);
}

// The arithmetic that a device could do a call in: whole numbers where an operand is packed in
// bytes, 16-bit floats where all are such, a matrix unit where it has one, and always f32.
static double peak_of(const tuff_call *c, const tuff_bench_roof *roof)
{
    bool bytes = false;
    uint32_t all = 0;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        bytes |= (c->in[i].dtype & (TUFF_I8 | TUFF_U8)) != 0;
        all |= c->in[i].dtype;
    }
    double peak = roof->f32;
    if (bytes) peak = fmax(peak, fmax(roof->i32, fmax(roof->i8, roof->matrix_i8)));
    if (all == TUFF_F16) peak = fmax(peak, fmax(roof->f16, roof->matrix_f16));
    if (all == TUFF_BF16) peak = fmax(peak, fmax(roof->bf16, roof->matrix_bf16));
    return peak;
}

// ---- a run -------------------------------------------------------------------------------

typedef struct timed {
    work *w;
    tuff_device *dev;
} timed;

static tuff_status run_once(void *arg, tuff_run_seconds *s)
{
    const timed *t = arg;
    TUFF_TRY(tuff_timing_run(&t->w->timing, t->dev, &s->wall));
    return tuff_timing_run_clock(&t->w->timing, t->dev, &s->device);
}

tuff_status tuff_bench_case(tuff_device *device, const char *text, const tuff_bench_roof *roof,
                            const tuff_bench_params *p, tuff_bench_result *r)
{
    static const tuff_bench_params defaults = { 0 };
    if (!p) p = &defaults;
    TUFF_REQUIRE(device && roof && r, ARG, "the device, the roof or the result is NULL");
    work *w = tuff_alloc(1, sizeof *w);
    if (!w) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    *r = (tuff_bench_result){ 0 };
    TUFF_GO(tuff_bench_parse(text, &w->c, r->text, sizeof r->text));
    TUFF_GO(tuff_operands_create(device, &w->c.call, &w->operands));
    TUFF_GO(tuff_timing_record(&w->timing, device, &w->c.call, true, w->operands.in_range,
                               w->operands.out_range));
    TUFF_GO(tuff_timing_repeat(run_once, &(timed){ w, device }, p, r));
    const tuff_cost cost = tuff_call_cost(&w->c.call);
    r->variant = w->timing.plan.variant;
    r->launches = tuff_device_caps(device)->cpu ? 1 : w->timing.plan.count;
    r->flops = cost.flops;
    r->bytes = cost.bytes;
    r->peak = peak_of(&w->c.call, roof);
    if (r->peak > 0 && roof->copy > 0)
        r->of_roof = fmax(cost.flops / r->peak, cost.bytes / roof->copy) / r->wall.median;
exit:
    tuff_timing_free(&w->timing);
    tuff_operands_free(&w->operands);
    tuff_free(w);
    return status;
}
