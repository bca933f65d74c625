// Ops that find their scale in the numbers themselves: dynamic_quantize_linear and
// quantize_stochastic. The shaders are shaders/quant_range.comp and shaders/quantize.comp.
#include "base/rng.h"
#include "ops/divide.h"
#include "ops/quantize.h"
#include <math.h>

enum { X };
enum { Y, Y_SCALE, Y_ZERO }; // outputs

static const float least = 0x1p-100f; // the smallest range that is worth a scale

static tuff_status infer_dynamic(const tuff_call *c, tuff_desc out[])
{
    out[Y] = c->in[X];
    out[Y].dtype = TUFF_U8;
    out[Y_SCALE] = TUFF_SCALAR(TUFF_F32);
    out[Y_ZERO] = TUFF_SCALAR(TUFF_U8);
    return TUFF_OK;
}

static tuff_status infer_stochastic(const tuff_call *c, tuff_desc out[])
{
    const tuff_stochastic_params *p = c->params;
    TUFF_REQUIRE(p->offset % 4 == 0, ARG, "offset is %llu, expected a multiple of 4",
                 (unsigned long long)p->offset);
    out[Y] = c->in[X];
    out[Y].dtype = TUFF_I8;
    out[Y_SCALE] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

// ---- references --------------------------------------------------------------------------

typedef struct range {
    float low, high;
} range;

static range range_of(const tuff_ref *r)
{
    range all = { 0, 0 };
    for (size_t i = 0; i < (size_t)tuff_desc_count(&r->call->in[X]); i++) {
        const float x = r->in[X][i];
        if (x < all.low) all.low = x;
        if (x > all.high) all.high = x;
    }
    return all;
}

static void ref_dynamic(const tuff_ref *r)
{
    const range all = range_of(r);
    const float span = all.high - all.low;
    const float scale = span >= least ? span / 255 : 1;
    uint8_t *y = (void *)r->out[Y], *zero = (void *)r->out[Y_ZERO];
    *zero = span >= least ? (uint8_t)tuff_quant_ref(-all.low, scale, 0, TUFF_U8) : 0;
    r->out[Y_SCALE][0] = scale;
    for (size_t i = 0; i < (size_t)tuff_desc_count(&r->call->in[X]); i++)
        y[i] = (uint8_t)tuff_quant_ref(r->in[X][i], scale, *zero, TUFF_U8);
}

// |x| / s cut to a whole number of 2^-24, at most 127: of both as whole numbers, so that the
// quotient is exact.
static int64_t cut_quotient(float x, float s)
{
    const int64_t most = (int64_t)127 << 24;
    int ex, es;
    if (!isfinite(x) || !isfinite(s) || x == 0) return 0;
    const int64_t a = (int64_t)ldexp(frexp(fabs((double)x), &ex), 24);
    const int64_t b = (int64_t)ldexp(frexp((double)s, &es), 24);
    const int up = ex - es; // |x| / s = a / b 2^up
    if (up > 7) return most;
    if (up < -40) return 0;
    const int64_t t = up >= 0 ? (a << (24 + up)) / b : (a << 24) / b >> -up;
    return t < most ? t : most;
}

static void ref_stochastic(const tuff_ref *r)
{
    const tuff_stochastic_params *p = r->call->params;
    const range all = range_of(r);
    const float most = all.high > -all.low ? all.high : -all.low;
    const float scale = most >= least ? most / 127 : 1;
    int8_t *y = (void *)r->out[Y];
    r->out[Y_SCALE][0] = scale;
    for (size_t i = 0; i < (size_t)tuff_desc_count(&r->call->in[X]); i++) {
        const float x = r->in[X][i];
        const int64_t t = cut_quotient(x, scale);
        const int64_t u = tuff_rng_word_at(p->seed, p->offset + i) >> 8;
        y[i] = (int8_t)floor(ldexp((double)((x < 0 ? -t : t) + u), -24));
    }
}

// ---- plans -------------------------------------------------------------------------------

// A part of the numbers for each invocation; then parts of those, until one is left. On a GPU
// parts are short, because the last pass is one invocation that waits for each load.
static bool add_range(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                      uint32_t write)
{
    const uint32_t most = k->cpu_like ? 2048 : 64;
    uint32_t count = (uint32_t)tuff_desc_count(&c->in[X]);
    for (int pass = 0;; pass++) {
        const bool last = count <= most;
        const uint32_t parts = last ? 1 : (count + most - 1) / most;
        const bool texels = texel && !pass;
        const uint32_t wg = last ? 1 : tuff_group_size(k);
        tuff_dispatch *d = tuff_plan_add(p, texels ? TUFF_SHADER_quant_range_texel
                                                   : TUFF_SHADER_quant_range);
        tuff_spec(d, wg);
        tuff_spec(d, pass > 0);
        tuff_spec(d, last ? write : TUFF_RANGE_PAIRS);
        tuff_bind(d, pass ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, pass ? 1 - pass % 2 : X,
                  texels ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
        tuff_bind(d, last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH, last ? Y_SCALE : pass % 2,
                  TUFF_BIND_STORAGE, TUFF_WRITE);
        // The third binding is written by AFFINE alone, which is last.
        const bool zero = last && write == TUFF_RANGE_AFFINE;
        tuff_bind(d, last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH,
                  zero ? Y_ZERO : last ? Y_SCALE : pass % 2, TUFF_BIND_STORAGE, TUFF_WRITE);
        tuff_grid(d, (parts + wg - 1) / wg, k);
        TUFF_PUSH(d, (struct tuff_range_pc){ count, parts });
        if (last) return true;
        const size_t bytes = (size_t)parts * 2 * sizeof(float);
        if (p->scratch[pass % 2] < bytes) p->scratch[pass % 2] = bytes;
        count = parts;
    }
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                 uint32_t write, uint32_t op, struct tuff_quantize_pc pc)
{
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    if (!add_range(c, k, p, texel, write)) return false;
    const tuff_slot scale = { .role = TUFF_ROLE_OUT, .index = Y_SCALE };
    const tuff_slot zero = { .role = TUFF_ROLE_OUT, .index = Y_ZERO };
    pc.count = (uint32_t)tuff_desc_count(&c->in[X]);
    pc.inner = pc.scales = tuff_divide_by(1);
    tuff_quantize_add(k, p, texel, op, scale, pc.has_zero ? zero : scale, &pc);
    return true;
}

static bool plan_dynamic(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    return plan(c, k, p, texel, TUFF_RANGE_AFFINE, TUFF_QUANTIZE_LINEAR,
                (struct tuff_quantize_pc){ .high = 255, .has_zero = 1 });
}

static bool plan_stochastic(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_stochastic_params *params = c->params;
    return plan(c, k, p, texel, TUFF_RANGE_SYMMETRIC, TUFF_QUANTIZE_STOCHASTIC,
                (struct tuff_quantize_pc){
                    .seed_low = (uint32_t)params->seed,
                    .seed_high = (uint32_t)(params->seed >> 32),
                    .first_low = (uint32_t)params->offset,
                    .first_high = (uint32_t)(params->offset >> 32) });
}

TUFF_QUANT_PLANS(dynamic)
TUFF_QUANT_PLANS(stochastic)

// ---- records -----------------------------------------------------------------------------

const tuff_op tuff_op_dynamic_quantize_linear = {
    .name = "dynamic_quantize_linear", .onnx = "DynamicQuantizeLinear",
    .doc = "y_scale = (max(x, 0) - min(x, 0)) / 255, y_zero_point = round(-min / y_scale), "
           "y = saturate(round(x / y_scale) + y_zero_point)",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "y" }, { .name = "y_scale" }, { .name = "y_zero_point" } },
    .infer = infer_dynamic, .ref = ref_dynamic,
    .variants = { TUFF_KERNEL("texel", texel_dynamic), TUFF_KERNEL("plain", plain_dynamic) },
    .sample = { -3, 5 },
    // Passes: one, two (on a CPU-like driver) to three, and more.
    .cases = TUFF_CASES("3", "7x19", "2x3x343", "70001", "270001")
};

const tuff_op tuff_op_quantize_stochastic = {
    .name = "quantize_stochastic",
    .doc = "y_scale = max |x| / 127, y = floor(x / y_scale + u), u uniform numbers offset, "
           "offset + 1, ... of a seed",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "y" }, { .name = "y_scale" } },
    .params_size = sizeof(tuff_stochastic_params),
    .params = { TUFF_UINT64(tuff_stochastic_params, seed),
                TUFF_UINT64(tuff_stochastic_params, offset) },
    .infer = infer_stochastic, .ref = ref_stochastic,
    .variants = { TUFF_KERNEL("texel", texel_stochastic),
                  TUFF_KERNEL("plain", plain_stochastic) },
    .sample = { -0.03f, 0.02f },
    .cases = TUFF_CASES("1 seed=3", "7x19 seed=81985529216486895 offset=4",
                        "257 offset=17179869180 seed=3", "70001 seed=1", "270001")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_dynamic_quantize_linear(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                         tuff_tensor *y_scale, tuff_tensor *y_zero_point)
{
    return tuff_run(s, &tuff_op_dynamic_quantize_linear, TUFF_RUN_IN(x),
                    TUFF_RUN_OUT(y, y_scale, y_zero_point), NULL);
}

tuff_status tuff_quantize_stochastic(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                     tuff_tensor *y_scale, const tuff_stochastic_params *p)
{
    return tuff_run(s, &tuff_op_quantize_stochastic, TUFF_RUN_IN(x), TUFF_RUN_OUT(y, y_scale),
                    p);
}
