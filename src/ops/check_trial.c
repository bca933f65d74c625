// A case with drawn inputs and what the reference makes of them; see check.h.
#include "base/alloc.h"
#include "base/rng.h"
#include "ops/check.h"
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

static void draw_i32(const tuff_call *c, int input, tuff_rng *rng, int32_t *v, size_t n)
{
    const tuff_desc *x = &c->in[0];
    const int below = c->op->in[input].index_below;
    const uint32_t last = x->rank ? (uint32_t)x->dim[x->rank - 1] : 1;
    const uint32_t most = below == 1 ? last : 16;
    for (size_t i = 0; i < n; i++) v[i] = (int32_t)tuff_rng_below(rng, most);
}

static tuff_status draw_inputs(tuff_trial *t, uint64_t seed, tuff_draw draw)
{
    const tuff_call *c = &t->c.call;
    for (int i = 0; i < c->nin; i++) {
        if (!t->in[i]) continue;
        const size_t n = (size_t)tuff_desc_count(&c->in[i]);
        tuff_rng rng = { .seed = tuff_rng_fork(seed, (uint64_t)i) };
        float low, high;
        tuff_trial_range(c->op, i, &low, &high);
        if (c->in[i].dtype == TUFF_I32)
            draw_i32(c, i, &rng, t->in[i], n);
        else if (c->in[i].dtype != TUFF_F32)
            return tuff_fail(TUFF_ERR_UNSUPPORTED, "no numbers are drawn for inputs of %s",
                             tuff_dtype_name(c->in[i].dtype));
        else if (c->op->in[i].whole)
            draw_whole(&rng, low, high, t->in[i], n);
        else if (draw == TUFF_DRAW_SPACED)
            TUFF_TRY(draw_spaced(&rng, low, high, t->in[i], n));
        else
            draw_any(&rng, low, high, t->in[i], n);
    }
    if (c->op->prepare) c->op->prepare(c, t->in);
    return TUFF_OK;
}

// ---- the reference -----------------------------------------------------------------------

size_t tuff_trial_units(const tuff_call *call)
{
    return call->op->units ? call->op->units(call) : 1;
}

void tuff_trial_ref(const tuff_call *call, void *const in[], void *const out[], size_t begin,
                    size_t end)
{
    tuff_ref r = { .call = call, .begin = begin, .end = end };
    for (int i = 0; i < call->nin; i++) r.in[i] = in[i];
    for (int i = 0; i < call->nout; i++) r.out[i] = out[i];
    call->op->ref(&r);
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
        TUFF_TRY(draw_inputs(t, tuff_rng_fork(seed, (uint64_t)n), draw));
        for (int o = 0; o < c->nout; o++) memset(t->want[o], 0xff, tuff_desc_bytes(&c->out[o]));
        tuff_trial_ref(c, t->in, t->want, 0, tuff_trial_units(c));
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

void tuff_trial_destroy(tuff_trial **trial)
{
    tuff_trial *t = *trial;
    if (!t) return;
    for (int i = 0; i < TUFF_OP_IN; i++) tuff_free(t->in[i]);
    for (int o = 0; o < TUFF_OP_OUT; o++) tuff_free(t->want[o]);
    tuff_free(t);
    *trial = NULL;
}

// ---- comparing ---------------------------------------------------------------------------

double tuff_trial_error(const tuff_desc *d, const void *got, const void *want, double floor,
                        double tolerance)
{
    const size_t n = (size_t)tuff_desc_count(d);
    const bool same = memcmp(got, want, tuff_desc_bytes(d)) == 0;
    if (same) return 0;
    if (d->dtype != TUFF_F32) return INFINITY;
    const float *g = got, *w = want;
    double sum = 0, worst = tolerance == 0 ? DBL_MIN : 0;
    for (size_t i = 0; i < n; i++) sum += (double)w[i] * w[i];
    const double scale = sqrt(sum / (double)n) + floor;
    for (size_t i = 0; i < n; i++) {
        const double e = fabs((double)g[i] - w[i]);
        if (e == 0) continue;
        const double r = e / (fabs((double)w[i]) + scale);
        if (!(r <= worst)) worst = isnan(r) ? INFINITY : r;
    }
    return worst;
}
