// A constant, and random numbers by counter. The shaders are shaders/fill.comp and
// shaders/random.comp; base/rng.h says what the numbers are.
#include "base/rng.h"
#include "ops/op.h"
#include "ops/random_host.h"
#include "abi/fill.h"

// The shape comes from `like`, whose elements are never read, or without it from the tensor
// that is to be written.
static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *like = tuff_call_has(c, 0) ? &c->in[0] : &c->out[0];
    TUFF_REQUIRE(like->dtype == TUFF_F32, DTYPE, "y is %s, it must be f32",
                 tuff_dtype_name(like->dtype));
    out[0] = *like;
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static tuff_cost cost(const tuff_call *c)
{
    return (tuff_cost){ 0, (double)tuff_desc_bytes(&c->out[0]) };
}

// ---- constants -----------------------------------------------------------------------------

static void ref_fill(const tuff_ref *r)
{
    const tuff_fill_params *p = r->call->params;
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = p->value;
}

static bool plan_fill(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_fill_params *params = c->params;
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_fill);
    tuff_spec(d, wg);
    tuff_bind_out(d, 0);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_fill_pc){ (uint32_t)count, params->value });
    return true;
}

// ---- random numbers ------------------------------------------------------------------------

// y = shift + number * scale. f32 on purpose: the same two roundings everywhere.
typedef struct line {
    float shift, scale;
} line;

static line uniform_line(const tuff_random_params *p)
{
    return (line){ p->low, p->low == 0 && p->high == 0 ? 1 : p->high - p->low };
}

static line normal_line(const tuff_random_params *p)
{
    return (line){ p->low, p->low == 0 && p->high == 0 ? 1 : p->high };
}

static void ref_uniform(const tuff_ref *r)
{
    const tuff_random_params *p = r->call->params;
    const line l = uniform_line(p);
    for (size_t i = r->begin; i < r->end; i++) {
        // Two statements, so that no compiler makes one rounding of them.
        const float scaled = tuff_rng_uniform_at(p->seed, p->offset + i) * l.scale;
        r->out[0][i] = scaled + l.shift;
    }
}

static void ref_normal(const tuff_ref *r)
{
    const tuff_random_params *p = r->call->params;
    const line l = normal_line(p);
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)((double)tuff_rng_normal_at(p->seed, p->offset + i) * l.scale +
                               l.shift);
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

// Here and not beside the words, where a product and a sum may become one.
static void host_random(const tuff_ref *r, line l,
                        void (*numbers)(uint64_t seed, uint64_t first, size_t n, float *y))
{
    const tuff_random_params *p = r->call->params;
    numbers(p->seed, p->offset + r->begin, r->end - r->begin, r->out[0] + r->begin);
    if (l.scale == 1 && l.shift == 0) return;
    for (size_t i = r->begin; i < r->end; i++) {
        const float scaled = r->out[0][i] * l.scale;
        r->out[0][i] = scaled + l.shift;
    }
}

static void host_uniform(const tuff_ref *r)
{
    host_random(r, uniform_line(r->call->params), tuff_uniform_host);
}

static void host_normal(const tuff_ref *r)
{
    host_random(r, normal_line(r->call->params), tuff_normal_host);
}

static void plan_random(const tuff_call *c, const tuff_caps *k, tuff_plan *p, line l,
                        bool normal)
{
    const tuff_random_params *params = c->params;
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]);
    const uint64_t blocks = (params->offset % 4 + count + 3) / 4;
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_random);
    tuff_spec(d, wg);
    tuff_spec(d, normal);
    tuff_bind_out(d, 0);
    tuff_grid(d, (blocks + wg - 1) / wg, k);
    TUFF_PUSH(d, (struct tuff_random_pc){
        .count = (uint32_t)count, .shift = l.shift, .scale = l.scale,
        .seed_low = (uint32_t)params->seed, .seed_high = (uint32_t)(params->seed >> 32),
        .first_low = (uint32_t)params->offset,
        .first_high = (uint32_t)(params->offset >> 32) });
}

static bool plan_uniform(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    plan_random(c, k, p, uniform_line(c->params), false);
    return true;
}

static bool plan_normal(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    plan_random(c, k, p, normal_line(c->params), true);
    return true;
}

// ---- records -------------------------------------------------------------------------------

#define COMMON                                                                  \
    .in = { { .name = "like", .dtypes = TUFF_F32, .optional = true, .no_grad = true } }, \
    .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true } },              \
    .infer = infer, .units = units, .cost = cost
#define RANDOM                                                                  \
    .params_size = sizeof(tuff_random_params),                                  \
    .params = { TUFF_UINT64(tuff_random_params, seed),                          \
                TUFF_UINT64(tuff_random_params, offset),                        \
                TUFF_FLOAT(tuff_random_params, low),                            \
                TUFF_FLOAT(tuff_random_params, high) }

const tuff_op tuff_op_fill = {
    .name = "fill", COMMON,
    .doc = "y = value everywhere",
    .params_size = sizeof(tuff_fill_params),
    .params = { TUFF_FLOAT(tuff_fill_params, value) },
    .ref = ref_fill, .variants = { TUFF_KERNEL("plain", plan_fill) },
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1 value=1", "257x13 value=-2.5", "700001x3 value=0.125")
};

// Ends of blocks of four on both sides; a seed and places over 32 bits, and a place whose
// block number carries into its high word.
#define CASES                                                                   \
    TUFF_CASES("1 seed=7", "7 seed=7 offset=3", "257x13 seed=81985529216486895", \
               "64 offset=17179869182 seed=3", "3x5x7 offset=1099511627777 low=-0.7 high=0.3")

const tuff_op tuff_op_random_uniform = {
    .name = "random_uniform", .onnx = "RandomUniformLike", COMMON, RANDOM,
    .doc = "y = uniform numbers from low to high, numbers offset, offset + 1, ... of a seed",
    .ref = ref_uniform, .variants = { TUFF_KERNEL("plain", plan_uniform) },
    TUFF_FAST(host_takes, host_uniform),
    .sample = { -1, 1 }, .cases = CASES
};

const tuff_op tuff_op_random_normal = {
    .name = "random_normal", .onnx = "RandomNormalLike", COMMON, RANDOM,
    .doc = "y = normal numbers of mean low and deviation high (both 0: 0 and 1)",
    .ref = ref_normal, .variants = { TUFF_KERNEL("plain", plan_normal) },
    TUFF_FAST(host_takes, host_normal),
    .tol = { .f32 = 1e-6f }, .sample = { -1, 1 }, .cases = CASES
};

// ---- public functions ----------------------------------------------------------------------

tuff_status tuff_fill(tuff_stream *s, tuff_tensor *y, const tuff_fill_params *p)
{
    return tuff_run(s, &tuff_op_fill, NULL, 0, TUFF_RUN_OUT(y), p);
}

tuff_status tuff_random_uniform(tuff_stream *s, tuff_tensor *y, const tuff_random_params *p)
{
    return tuff_run(s, &tuff_op_random_uniform, NULL, 0, TUFF_RUN_OUT(y), p);
}

tuff_status tuff_random_normal(tuff_stream *s, tuff_tensor *y, const tuff_random_params *p)
{
    return tuff_run(s, &tuff_op_random_normal, NULL, 0, TUFF_RUN_OUT(y), p);
}
