// A case with drawn inputs and what the reference makes of them; see check.h.
#include "base/alloc.h"
#include "base/convert.h"
#include "base/rng.h"
#include "ops/check.h"
#include "ops/lower.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum {
    GRID = 9,                  // places of the coarse grid, its ends included
    REDRAW_SMALL = 400,        // draws of a small case until no output is all zeros
    REDRAW_LARGE = 4,
    SMALL = 1 << 12            // elements
};

void tuff_trial_range(const tuff_op *op, int input, float *low, float *high)
{
    *low = op->sample.min;
    *high = op->sample.max;
    if (*low == *high) {
        *low = -1;
        *high = 1;
    }
    if (op->in[input].positive) *low = 0.1f;
}

// One word a number: 24 bits are its place in the range, the others say whether it is moved
// to the grid, and where there.
static void draw_any(tuff_rng *rng, float low, float high, float *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t w = tuff_rng_word(rng);
        const float u = (float)(w >> 8) * 0x1p-24f;
        const float g = (float)(w % 128 % GRID) / (GRID - 1);
        v[i] = low + (high - low) * (w & 128 ? g : u);
    }
}

static void draw_whole(tuff_rng *rng, float low, float high, float *v, size_t n)
{
    const uint32_t count = (uint32_t)(floorf(high) - ceilf(low)) + 1;
    for (size_t i = 0; i < n; i++) v[i] = ceilf(low) + (float)tuff_rng_below(rng, count);
}

// The i-th of n equal pieces of the range gives one number; pieces come in random order.
static tuff_status draw_spaced(tuff_rng *rng, float low, float high, float *v, size_t n)
{
    uint32_t *order = tuff_alloc(n, sizeof *order);
    if (!order) return TUFF_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    tuff_rng_shuffle(rng, order, n);
    const double width = (double)high - low;
    const double margin = 0.05 * fmin(1, width / 2);
    for (size_t i = 0; i < n; i++) {
        const double place = order[i] + 0.25 + 0.5 * (double)tuff_rng_uniform(rng);
        const double x = low + width * place / (double)n;
        v[i] = (float)(x < 0 ? x - margin : low < 0 ? x + margin : x);
    }
    tuff_free(order);
    return TUFF_OK;
}

// The ends of what is drawn for an input of whole numbers.
static void whole_range(const tuff_call *c, int input, int64_t *low, int64_t *high)
{
    const tuff_port *port = &c->op->in[input];
    const tuff_desc *x = &c->in[0];
    const tuff_dtype type = c->in[input].dtype;
    float from, to;
    tuff_trial_range(c->op, input, &from, &to);
    *low = 0;
    if (port->low || port->high) *low = port->low, *high = port->high;
    else if (port->index_below == 1) *high = (x->rank ? x->dim[x->rank - 1] : 1) - 1;
    else if (type == TUFF_BOOL) *high = 1;
    else if (c->op->native & (TUFF_I8 | TUFF_U8) & type) // packed numbers are data: all of them
        *low = type == TUFF_I8 ? -128 : 0, *high = type == TUFF_I8 ? 127 : 255;
    else if (!(port->dtypes & TUFF_F32)) *high = 15;
    else *low = (int64_t)ceilf(from), *high = (int64_t)floorf(to);
    if (*low < 0 && type & (TUFF_U8 | TUFF_U32 | TUFF_BOOL)) *low = 0;
    if (*high < *low) *high = *low;
}

static void draw_integers(const tuff_call *c, int input, tuff_rng *rng, void *v, size_t n)
{
    int64_t low, high;
    whole_range(c, input, &low, &high);
    for (size_t i = 0; i < n; i++) {
        const int64_t x = low + tuff_rng_below(rng, (uint32_t)(high - low + 1));
        tuff_convert(TUFF_I64, &x, c->in[input].dtype,
                     (char *)v + i * tuff_dtype_size(c->in[input].dtype), false, 0, 1);
    }
}

// Both zeros, subnormals, the smallest and largest normal numbers, infinities, a NaN, 1 and its
// neighbours, halves, and where exp, tanh and sigmoid leave their range.
static void draw_special(tuff_rng *rng, tuff_special kind, float low, float high, float *v,
                         size_t n)
{
    enum { TINY = 10 }; // the first ones of the pool
    static const float pool[] = {
        0.0f, -0.0f, 1e-45f, -1e-45f, 1e-40f, -3e-39f, 1.17549435e-38f, -1.17549435e-38f,
        1e-30f, -1e-20f, 1e-7f, 0.5f, -0.5f, 1.0f, -1.0f, 1.00000012f, 0.99999994f, 1.5f, 2.5f,
        -2.5f, 9.0f, -17.0f, 30.0f, 44.5f, -44.5f, 88.7f, 89.5f, -87.5f, -104.5f, 1e4f, -1e4f,
        8388609.0f, 16777217.0f, 1e10f, -1e10f, 1e19f, -1e30f, 3.40282347e38f, -3.40282347e38f,
        INFINITY, -INFINITY, NAN
    };
    const uint32_t from = kind == TUFF_SPECIAL_EACH ? sizeof pool / sizeof *pool : TINY;
    draw_any(rng, low, high, v, n);
    for (size_t i = 0; i < n; i++) {
        const uint32_t w = tuff_rng_word(rng);
        if (w & 1) v[i] = pool[(w >> 1) % from];
    }
    if (kind == TUFF_SPECIAL_NAN) v[tuff_rng_below(rng, (uint32_t)n)] = NAN;
}

static tuff_status draw_floats(const tuff_call *c, int input, tuff_rng *rng, float *v, size_t n,
                               tuff_draw draw)
{
    float low, high;
    const tuff_port *port = &c->op->in[input];
    tuff_trial_range(c->op, input, &low, &high);
    if (port->whole) draw_whole(rng, low, high, v, n);
    else if (draw == TUFF_DRAW_SPACED) return draw_spaced(rng, low, high, v, n);
    else if (draw == TUFF_DRAW_SPECIAL && !port->ordinary)
        draw_special(rng, c->op->special, low, high, v, n);
    else draw_any(rng, low, high, v, n);
    for (size_t i = 0; i < n && port->positive && c->op->special != TUFF_SPECIAL_EACH; i++)
        v[i] = fabsf(v[i]);
    return TUFF_OK;
}

// Numbers of 16 bits are drawn as f32 ones and rounded.
static tuff_status draw_halves(const tuff_call *c, int input, tuff_rng *rng, void *v, size_t n,
                               tuff_draw draw)
{
    float *wide = tuff_alloc(n, sizeof *wide);
    if (!wide) return TUFF_ERR_MEMORY;
    const tuff_status status = draw_floats(c, input, rng, wide, n, draw);
    if (status == TUFF_OK)
        tuff_convert(TUFF_F32, wide, c->in[input].dtype, v, false, 0, n);
    tuff_free(wide);
    return status;
}

tuff_status tuff_trial_draw(const tuff_call *c, void *const in[], uint64_t seed, tuff_draw draw)
{
    for (int i = 0; i < c->nin; i++) {
        if (!in[i]) continue;
        const size_t n = (size_t)tuff_desc_count(&c->in[i]);
        tuff_rng rng = { .seed = tuff_rng_fork(seed, (uint64_t)i) };
        if (!(c->in[i].dtype & TUFF_FLOATS))
            draw_integers(c, i, &rng, in[i], n);
        else if (c->in[i].dtype == TUFF_F32)
            TUFF_TRY(draw_floats(c, i, &rng, in[i], n, draw));
        else
            TUFF_TRY(draw_halves(c, i, &rng, in[i], n, draw));
    }
    if (c->op->prepare) c->op->prepare(c, in);
    return TUFF_OK;
}

// ---- the reference -----------------------------------------------------------------------

size_t tuff_trial_units(const tuff_call *call)
{
    return call->op->units ? call->op->units(call) : 1;
}

static tuff_ref ref_of(const tuff_call *call, void *const in[], void *const out[])
{
    tuff_ref r = { .call = call };
    for (int i = 0; i < call->nin; i++) r.in[i] = in[i];
    for (int i = 0; i < call->nout; i++) r.out[i] = out[i];
    return r;
}

void tuff_trial_ref(const tuff_call *call, void *const in[], void *const out[], size_t begin,
                    size_t end)
{
    tuff_ref r = ref_of(call, in, out);
    r.begin = begin;
    r.end = end;
    call->op->ref(&r);
}

tuff_status tuff_trial_units_by(const tuff_call *call, const tuff_host *host,
                                void *const in[], void *const out[], bool in_pieces)
{
    tuff_ref r = ref_of(call, in, out);
    const size_t bytes[2] = { host && host->scratch ? host->scratch(call) : 0,
                              host && host->keeps ? host->keeps(call) : 0 };
    void **to[2] = { &r.scratch, &r.kept };
    tuff_status status = TUFF_ERR_MEMORY;
    for (int i = 0; i < 2; i++) {
        if (!bytes[i]) continue;
        if (!(*to[i] = tuff_alloc_aligned(bytes[i]))) goto exit;
        memset(*to[i], 0xff, bytes[i]); // NaN: what is read must have been written
    }
    status = TUFF_OK;
    for (size_t units; (units = tuff_host_units(host, call, r.stage)); r.stage++) {
        const size_t cut = in_pieces ? units - units / 3 : 0;
        for (int piece = 0; piece < 2; piece++) {
            r.begin = piece ? 0 : cut;
            r.end = piece ? cut : units;
            if (r.begin < r.end) (host ? host->run : call->op->ref)(&r);
        }
    }
exit:
    tuff_free(r.scratch);
    tuff_free(r.kept);
    return status;
}

static tuff_status reference(tuff_trial *t, void *const out[])
{
    const tuff_call *c = &t->c.call;
    const size_t bytes = tuff_lower_bytes(c, NULL);
    void *scratch = bytes ? tuff_alloc(bytes, 1) : NULL;
    if (bytes && !scratch) return TUFF_ERR_MEMORY;
    tuff_call low;
    tuff_ref r;
    tuff_lower_begin(c, t->in, out, scratch, NULL, &low, &r);
    r.end = tuff_trial_units(&low);
    low.op->ref(&r);
    tuff_lower_end(c, &r, out, NULL);
    tuff_free(scratch);
    return TUFF_OK;
}

// First output that is all zeros, or -1; first that holds no finite number in *bad.
static int zero_output(const tuff_trial *t, int *bad)
{
    int zero = -1;
    *bad = -1;
    for (int o = t->c.call.nout - 1; o >= 0; o--) {
        const tuff_desc *d = &t->c.call.out[o];
        const size_t n = (size_t)tuff_desc_count(d);
        bool any = false;
        for (size_t i = 0; d->dtype == TUFF_F32 && i < n; i++) {
            const float v = ((const float *)t->want[o])[i];
            if (!isfinite(v)) *bad = o;
            any |= v != 0;
        }
        const unsigned char *bytes = t->want[o];
        for (size_t i = 0; d->dtype != TUFF_F32 && i < tuff_desc_bytes(d); i++) any |= bytes[i];
        if (!any) zero = o;
    }
    return zero;
}

static tuff_status allocate(tuff_trial *t)
{
    const tuff_call *c = &t->c.call;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        t->in[i] = tuff_alloc(tuff_desc_bytes(&c->in[i]), 1);
        if (!t->in[i]) return TUFF_ERR_MEMORY;
    }
    for (int o = 0; o < c->nout; o++) {
        t->want[o] = tuff_alloc(tuff_desc_bytes(&c->out[o]), 1);
        if (!t->want[o]) return TUFF_ERR_MEMORY;
    }
    return TUFF_OK;
}

static tuff_status draw_until_it_proves(tuff_trial *t, uint64_t seed, tuff_draw draw)
{
    const tuff_call *c = &t->c.call;
    int64_t size = 0;
    for (int i = 0; i < c->nin; i++) size += t->in[i] ? tuff_desc_count(&c->in[i]) : 0;
    for (int o = 0; o < c->nout; o++) size += tuff_desc_count(&c->out[o]);
    const int most = size <= SMALL ? REDRAW_SMALL : REDRAW_LARGE;
    int zero = -1, bad = -1;
    for (int n = 0; n < most; n++) {
        TUFF_TRY(tuff_trial_draw(&t->c.call, t->in, tuff_rng_fork(seed, (uint64_t)n), draw));
        for (int o = 0; o < c->nout; o++) memset(t->want[o], 0xff, tuff_desc_bytes(&c->out[o]));
        TUFF_TRY(reference(t, t->want));
        zero = zero_output(t, &bad);
        if (bad >= 0)
            return tuff_fail(TUFF_ERR_CHECK, "%s: the reference leaves a number in %s that is "
                             "not finite", c->op->name, c->op->out[bad].name);
        if (zero < 0) return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_CHECK, "%s: this case proves nothing, zeros in %s would pass it",
                     c->op->name, c->op->out[zero].name);
}

tuff_status tuff_trial_create(const tuff_op *op, tuff_dtype dtype, const char *text,
                              uint64_t seed, tuff_draw draw, tuff_trial **trial)
{
    *trial = NULL;
    tuff_status status = TUFF_OK;
    tuff_trial *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_case_parse(op, dtype, text, &t->c));
    TUFF_GO(allocate(t));
    TUFF_GO(draw_until_it_proves(t, seed, draw));
    *trial = t;
    t = NULL;
exit:
    tuff_trial_destroy(&t);
    return status;
}

// ---- special numbers ---------------------------------------------------------------------

static double number_at(const tuff_desc *d, const void *v, size_t i);

// The size of ordinary results: a case is judged by it where results themselves are tiny.
static double rms(const tuff_desc *d, const void *v)
{
    const size_t n = (size_t)tuff_desc_count(d);
    double sum = 0;
    if (!(d->dtype & TUFF_FLOATS)) return 0;
    for (size_t i = 0; i < n; i++) sum += number_at(d, v, i) * number_at(d, v, i);
    return sqrt(sum / (double)n);
}

static void flush_inputs(tuff_trial *t)
{
    for (int i = 0; i < t->c.call.nin; i++) {
        float *v = t->in[i];
        if (!v || t->c.call.in[i].dtype != TUFF_F32) continue;
        const size_t n = (size_t)tuff_desc_count(&t->c.call.in[i]);
        for (size_t e = 0; e < n; e++)
            if (fabsf(v[e]) < FLT_MIN) v[e] = copysignf(0, v[e]);
    }
}

static tuff_status draw_special_trial(tuff_trial *t, const tuff_trial *ordinary, uint64_t seed)
{
    const tuff_call *c = &t->c.call;
    TUFF_TRY(tuff_trial_draw(&t->c.call, t->in, seed, TUFF_DRAW_SPECIAL));
    flush_inputs(t);
    for (int o = 0; o < c->nout; o++) {
        t->flushed[o] = tuff_alloc(tuff_desc_bytes(&c->out[o]), 1);
        if (!t->flushed[o]) return TUFF_ERR_MEMORY;
        t->unit[o] = rms(&c->out[o], ordinary->want[o]);
    }
    TUFF_TRY(reference(t, t->flushed));
    TUFF_TRY(tuff_trial_draw(&t->c.call, t->in, seed, TUFF_DRAW_SPECIAL));
    return reference(t, t->want);
}

tuff_status tuff_trial_special(const tuff_trial *ordinary, const char *text, uint64_t seed,
                               tuff_trial **trial)
{
    *trial = NULL;
    tuff_status status = TUFF_OK;
    tuff_trial *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_case_parse(ordinary->c.call.op, TUFF_F32, text, &t->c));
    TUFF_GO(allocate(t));
    TUFF_GO(draw_special_trial(t, ordinary, tuff_rng_fork(seed, 7)));
    *trial = t;
    t = NULL;
exit:
    tuff_trial_destroy(&t);
    return status;
}

static double special_distance(double got, double want, double unit, double largest,
                               double tolerance)
{
    if (isnan(want)) return isnan(got) ? 0 : INFINITY;
    if (got == want || (fabs(got) < FLT_MIN && fabs(want) < FLT_MIN)) return 0;
    // At the end of a type's range a rounding decides between a number and infinity.
    const double end = largest * (1 - tolerance);
    if ((isinf(want) || isinf(got)) && fabs(want) >= end && fabs(got) >= end &&
        (want > 0) == (got > 0))
        return 0;
    const double e = fabs(got - want) / (fabs(want) + unit);
    return isfinite(e) ? e : INFINITY;
}

double tuff_trial_special_error(const tuff_trial *t, int output, const void *got,
                                double tolerance)
{
    const tuff_desc *d = &t->c.call.out[output];
    const size_t n = (size_t)tuff_desc_count(d), size = tuff_dtype_size(d->dtype);
    // Exact 16-bit results are judged by their bits. Inexact ones may be what a tiny f32 of
    // either sign rounds to.
    const bool near = d->dtype == TUFF_F32 || (d->dtype & TUFF_FLOATS && tolerance > 0);
    const double largest = d->dtype == TUFF_F16 ? 65504 : (double)FLT_MAX;
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const char *g = (const char *)got + i * size;
        const char *w = (const char *)t->want[output] + i * size;
        const char *f = (const char *)t->flushed[output] + i * size;
        double e = memcmp(g, w, size) && memcmp(g, f, size) ? INFINITY : 0;
        const bool nan = d->dtype & TUFF_FLOATS && isnan(number_at(d, t->want[output], i));
        if (e > 0 && nan && isnan(number_at(d, got, i))) e = 0; // one NaN is as good as another
        if (near && e > 0) {
            const double x = number_at(d, got, i), unit = t->unit[output];
            e = fmin(special_distance(x, number_at(d, t->want[output], i), unit, largest,
                                      tolerance),
                     special_distance(x, number_at(d, t->flushed[output], i), unit, largest,
                                      tolerance));
        }
        if (e > worst) worst = e;
    }
    return worst;
}

void tuff_trial_destroy(tuff_trial **trial)
{
    tuff_trial *t = *trial;
    if (!t) return;
    for (int i = 0; i < TUFF_OP_IN; i++) tuff_free(t->in[i]);
    for (int o = 0; o < TUFF_OP_OUT; o++) {
        tuff_free(t->want[o]);
        tuff_free(t->flushed[o]);
    }
    tuff_free(t);
    *trial = NULL;
}

// ---- comparing ---------------------------------------------------------------------------

// Element i of any float type.
static double number_at(const tuff_desc *d, const void *v, size_t i)
{
    float wide;
    if (d->dtype == TUFF_F32) return (double)((const float *)v)[i];
    tuff_convert(d->dtype, (const uint16_t *)v + i, TUFF_F32, &wide, false, 0, 1);
    return (double)wide;
}

double tuff_trial_tolerance(const tuff_desc *d, double tolerance)
{
    // A result near the middle of two 16-bit numbers may be rounded to either.
    const double step = d->dtype == TUFF_F16 ? 0x1p-10 : d->dtype == TUFF_BF16 ? 0x1p-7 : 0;
    return tolerance > 0 ? tolerance + step : 0;
}

double tuff_trial_error(const tuff_desc *d, const void *got, const void *want, double floor,
                        double tolerance)
{
    const size_t n = (size_t)tuff_desc_count(d);
    const bool same = memcmp(got, want, tuff_desc_bytes(d)) == 0;
    if (same) return 0;
    if (!(d->dtype & TUFF_FLOATS)) return INFINITY;
    double sum = 0, worst = tolerance == 0 ? DBL_MIN : 0;
    for (size_t i = 0; i < n; i++) {
        const double w = number_at(d, want, i);
        sum += w * w;
    }
    const double scale = sqrt(sum / (double)n) + floor;
    // Where results are subnormal, no tolerance relative to them reaches the next number of
    // f16, 2^-24 away, to which one near the middle of two may be rounded as well. bf16's
    // subnormal numbers are f32's, and so small that no results are.
    const bool halves = d->dtype == TUFF_F16 && tolerance > 0;
    for (size_t i = 0; i < n; i++) {
        const double w = number_at(d, want, i), e = fabs(number_at(d, got, i) - w);
        const double next = halves && fabs(w) < 0x1p-14 ? 0x1p-24 : 0;
        if (e <= next) continue;
        const double r = (e - next) / (fabs(w) + scale);
        if (!(r <= worst)) worst = isnan(r) ? INFINITY : r;
    }
    return worst;
}
