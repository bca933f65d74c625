// round_levels on the CPU path, in runs of elements that have one scale.
#include "base/rng.h"
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/quantize.h"

// A run of elements with one scale.
typedef struct run {
    float scale, zero, low, high;
    bool stochastic;
} run;

TUFF_EACH_PROCESSOR void levels(const run *k, const uint32_t *word, const float *x, float *y,
                                size_t n)
{
    const float scale = k->scale, zero = k->zero, low = k->low, high = k->high;
    if (k->stochastic) {
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) {
            const float v = tuff_abs_f32(x[i]) < 0x1p-126f ? 0 : x[i];
            const float t = v / scale + zero, whole = tuff_floor_f32(t);
            const float chance = (float)(int32_t)(word[i] >> 9 << 1 | 1) * 0x1p-24f;
            const float q = t - whole > chance ? whole + 1 : whole;
            y[i] = v != v ? v : (tuff_between(q, low, high) - zero) * scale;
        }
    } else {
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) {
            const float v = tuff_abs_f32(x[i]) < 0x1p-126f ? 0 : x[i];
            const float q = tuff_round_f32(v / scale + zero);
            y[i] = v != v ? v : (tuff_between(q, low, high) - zero) * scale;
        }
    }
}
TUFF_FOR_PROCESSORS(levels, (const run *k, const uint32_t *word, const float *x, float *y,
                             size_t n), (k, word, x, y, n))

static void fill(const float *x, float *y, size_t n, float value)
{
    for (size_t i = 0; i < n; i++) y[i] = isnan(x[i]) ? x[i] : value;
}

void tuff_round_levels_host(const tuff_ref *r)
{
    const tuff_round_levels_params *p = r->call->params;
    const tuff_quant_axis a = tuff_round_axis(r->call);
    const uint64_t first = tuff_round_first(r);
    run k = { .low = tuff_round_low(p), .high = tuff_round_high(p),
              .stochastic = p->stochastic };
    uint32_t word[TUFF_BLOCK];
    levels_fn *best = levels_best();
    for (size_t at = r->begin, n; at < r->end; at += n) {
        const size_t s = at / a.inner % a.scales, left = a.scales == 1 ? TUFF_BLOCK
                                                         : a.inner - at % a.inner;
        n = r->end - at < left ? r->end - at : left;
        n = n < TUFF_BLOCK ? n : TUFF_BLOCK;
        k.scale = r->in[TUFF_ROUND_SCALE][s];
        k.zero = r->in[TUFF_ROUND_ZERO] ? r->in[TUFF_ROUND_ZERO][s] : 0;
        const float *x = r->in[TUFF_ROUND_X] + at;
        float *y = r->out[0] + at;
        if (tuff_round_tiny(k.scale) || !isfinite(k.scale)) {
            fill(x, y, n, tuff_round_tiny(k.scale) ? 0 : NAN);
            continue;
        }
        if (p->stochastic) tuff_rng_words(p->seed, first + at, n, word);
        best(&k, word, x, y, n);
    }
}
