// round_levels: numbers of few bits, as f32 (Gupta et al. 2015, 1502.02551; Zhou et al. 2016,
// 1606.06160). The shader is shaders/round_levels.comp.
#include "base/rng.h"
#include "ops/divide.h"
#include "ops/elementwise.h"
#include "ops/quantize.h"

enum { X = TUFF_ROUND_X, SCALE = TUFF_ROUND_SCALE, ZERO = TUFF_ROUND_ZERO,
       COUNTER = TUFF_ROUND_COUNTER };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_round_levels_params *p = c->params;
    const tuff_desc *counter = &c->in[COUNTER];
    tuff_quant_axis a;
    char text[96];
    TUFF_REQUIRE(tuff_round_bits(p) >= 1 && tuff_round_bits(p) <= 16, ARG,
                 "bits is %d, expected 1 to 16", p->bits);
    TUFF_REQUIRE(p->offset % 4 == 0, ARG, "offset is %llu, expected a multiple of 4",
                 (unsigned long long)p->offset);
    TUFF_TRY(tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a));
    if (tuff_call_has(c, COUNTER))
        TUFF_REQUIRE(counter->rank == 1 && counter->dim[0] == 2, SHAPE,
                     "counter is %s, it must be i32 [2]: the low and the high half",
                     tuff_desc_print(counter, text, sizeof text));
    out[0] = c->in[X];
    return TUFF_OK;
}

tuff_quant_axis tuff_round_axis(const tuff_call *c)
{
    const tuff_round_levels_params *p = c->params;
    tuff_quant_axis a = { 1, 1 };
    const tuff_status status = tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a);
    (void)status; // infer has passed
    return a;
}

uint64_t tuff_round_first(const tuff_ref *r)
{
    const tuff_round_levels_params *p = r->call->params;
    const uint32_t *counter = (const uint32_t *)(const void *)r->in[COUNTER];
    uint64_t first = p->offset;
    if (counter) first += counter[0] | (uint64_t)counter[1] << 32;
    return first / 4 * 4;
}

// ---- reference ---------------------------------------------------------------------------

// `chance` is below 0 where there is none.
static float level(const tuff_round_levels_params *p, float x, float scale, float zero,
                   float chance)
{
    if (isnan(x)) return x;
    if (tuff_round_tiny(scale)) return 0;
    if (!isfinite(scale)) return NAN;
    const float part = tuff_round_tiny(x) ? 0 : x / scale, t = part + zero;
    const double low = (double)tuff_round_low(p), high = (double)tuff_round_high(p);
    double q = rint((double)t);
    if (chance >= 0) q = floor((double)t) + ((float)((double)t - floor((double)t)) > chance);
    q = q < low ? low : q > high ? high : q;
    const float number = (float)q - zero;
    return number * scale;
}

static void ref(const tuff_ref *r)
{
    const tuff_round_levels_params *p = r->call->params;
    const tuff_quant_axis a = tuff_round_axis(r->call);
    const uint64_t first = tuff_round_first(r);
    for (size_t i = r->begin; i < r->end; i++) {
        const size_t s = i / a.inner % a.scales;
        const uint32_t word = p->stochastic ? tuff_rng_word_at(p->seed, first + i) : 0;
        const float chance = p->stochastic ? (float)(word >> 9 << 1 | 1) * 0x1p-24f : -1;
        r->out[0][i] = level(p, r->in[X][i], r->in[SCALE][s], r->in[ZERO] ? r->in[ZERO][s] : 0,
                             chance);
    }
}

// ---- plans -------------------------------------------------------------------------------

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static bool plan_levels(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_round_levels_params *params = c->params;
    const tuff_quant_axis a = tuff_round_axis(c);
    const uint32_t wg = tuff_group_size_flat(k), count = (uint32_t)tuff_desc_count(&c->in[X]);
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    if (!tuff_fits_words(k, &c->in[SCALE])) return false;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_round_levels_texel
                                              : TUFF_SHADER_round_levels);
    tuff_spec(d, wg);
    tuff_spec(d, params->stochastic);
    tuff_spec(d, tuff_call_has(c, ZERO));
    tuff_spec(d, tuff_call_has(c, COUNTER));
    tuff_bind(d, TUFF_ROLE_IN, X, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, SCALE, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_or_word(c, d, ZERO, SCALE, TUFF_BIND_TEXEL_F32);
    tuff_bind_or_word(c, d, COUNTER, SCALE, TUFF_BIND_TEXEL_U32);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_levels_round_pc){
        .count = count, .low = tuff_round_low(params), .high = tuff_round_high(params),
        .seed_low = (uint32_t)params->seed, .seed_high = (uint32_t)(params->seed >> 32),
        .first_low = (uint32_t)params->offset, .first_high = (uint32_t)(params->offset >> 32),
        .inner = tuff_divide_by(a.inner), .scales = tuff_divide_by(a.scales) });
    return true;
}

TUFF_QUANT_PLANS(levels)

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    (void)t, (void)n;
    dx[X] = dy[0];
}

// ---- the record --------------------------------------------------------------------------

// One element; ends inside a group; scales along the innermost and the outermost axis, with and
// without zero points and counters; 16 bits; places beyond 32 bits.
const tuff_op tuff_op_round_levels = {
    .name = "round_levels",
    .doc = "y = (saturate(round(x / scale + zero)) - zero) scale: numbers of few bits, as f32, "
           "to the nearest or by chance",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "scale", .dtypes = TUFF_F32, .no_grad = true, .positive = true,
              .mixed = true },
            { .name = "zero", .dtypes = TUFF_F32, .optional = true, .no_grad = true,
              .ordinary = true, .mixed = true },
            { .name = "counter", .dtypes = TUFF_I32, .optional = true, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },
    .params_size = sizeof(tuff_round_levels_params),
    .params = { TUFF_AXIS(tuff_round_levels_params, axis),
                TUFF_POSITIVE(tuff_round_levels_params, bits),
                TUFF_BOOLEAN(tuff_round_levels_params, is_signed),
                TUFF_BOOLEAN(tuff_round_levels_params, stochastic),
                TUFF_UINT64(tuff_round_levels_params, seed),
                TUFF_UINT64(tuff_round_levels_params, offset) },
    .infer = infer, .ref = ref, .units = tuff_elements, .grad = grad, .surrogate = true,
    .variants = { TUFF_KERNEL("texel", texel_levels), TUFF_KERNEL("plain", plain_levels) },
    TUFF_FAST(host_takes, tuff_round_levels_host),
    .sample = { -40, 40 },
    .cases = TUFF_CASES("1 1", "257 [] [] bits=4", "3x5x7 5 5 axis=1 is_signed=1 bits=5",
                        "13x11 13 13 2 axis=1 stochastic=1 seed=7",
                        "1031 [] - 2 bits=16 is_signed=1 stochastic=1 offset=17179869180",
                        "5x6 6 bits=1 stochastic=1 seed=81985529216486895",
                        "70001 1 1 stochastic=1 bits=6")
};

tuff_status tuff_round_levels(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                              const tuff_tensor *zero, const tuff_tensor *counter,
                              tuff_tensor *y, const tuff_round_levels_params *p)
{
    return tuff_run(s, &tuff_op_round_levels, TUFF_RUN_IN(x, scale, zero, counter),
                    TUFF_RUN_OUT(y), p);
}
