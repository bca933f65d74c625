// Fixed point: quantize_fixed, dequantize_fixed, and the choice of the point. The shaders are
// shaders/quantize.comp and shaders/dequantize.comp.
#include "abi/cast.h"
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/divide.h"
#include "ops/quantize.h"
#include <math.h>

enum { X };
enum { POINT_MOST = 126 }; // 2^p and 2^-p are f32 numbers

static int bits_of(const tuff_fixed_params *p) { return p->bits ? p->bits : 8; }

static tuff_status check(int bits, int point)
{
    TUFF_REQUIRE(bits == 8 || bits == 16 || bits == 32, ARG,
                 "bits is %d, expected 8, 16 or 32", bits);
    TUFF_REQUIRE(point >= -POINT_MOST && point <= POINT_MOST, ARG,
                 "point is %d, expected %d to %d", point, -POINT_MOST, POINT_MOST);
    return TUFF_OK;
}

static tuff_status infer_quantize(const tuff_call *c, tuff_desc out[])
{
    const tuff_fixed_params *p = c->params;
    TUFF_TRY(check(bits_of(p), p->point));
    out[0] = c->in[X];
    out[0].dtype = bits_of(p) == 8 ? TUFF_I8 : TUFF_I32;
    return TUFF_OK;
}

static tuff_status infer_dequantize(const tuff_call *c, tuff_desc out[])
{
    const tuff_fixed_params *p = c->params;
    TUFF_TRY(check(bits_of(p), p->point));
    out[0] = c->in[X];
    out[0].dtype = TUFF_F32;
    return TUFF_OK;
}

// ---- references --------------------------------------------------------------------------

// One unit is four elements, so that no two share a word.
static size_t units(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->out[0]) + 3) / 4;
}

static size_t end_of(const tuff_ref *r)
{
    const size_t count = (size_t)tuff_desc_count(&r->call->out[0]);
    return 4 * r->end < count ? 4 * r->end : count;
}

static void ref_quantize(const tuff_ref *r)
{
    const tuff_fixed_params *p = r->call->params;
    const double high = ldexp(1, bits_of(p) - 1) - 1, low = -high - 1;
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        const double x = isnan(r->in[X][i]) ? 0 : (double)r->in[X][i];
        const double v = rint(ldexp(x, p->point));
        const int32_t y = (int32_t)(v < low ? low : v > high ? high : v);
        if (bits_of(p) == 8) ((int8_t *)(void *)r->out[0])[i] = (int8_t)y;
        else ((int32_t *)(void *)r->out[0])[i] = y;
    }
}

static void ref_dequantize(const tuff_ref *r)
{
    const tuff_fixed_params *p = r->call->params;
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        const int64_t x = tuff_whole_at(r->call->in[X].dtype, r->in[X], i);
        r->out[0][i] = (float)ldexp((double)x, -p->point);
    }
}

// ---- plans -------------------------------------------------------------------------------

static bool plan_quantize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_fixed_params *params = c->params;
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    const int32_t high = (int32_t)(((int64_t)1 << (bits_of(params) - 1)) - 1);
    const tuff_slot unread = { .role = TUFF_ROLE_IN, .index = X };
    const struct tuff_quantize_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->in[X]), .low = -high - 1, .high = high,
        .point = params->point, .inner = tuff_divide_by(1), .scales = tuff_divide_by(1)
    };
    tuff_quantize_add(k, p, texel,
                      bits_of(params) == 8 ? TUFF_QUANTIZE_FIXED : TUFF_QUANTIZE_WIDE, unread,
                      unread, &pc);
    return true;
}

static bool plan_dequantize(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_fixed_params *params = c->params;
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    const tuff_slot unread = { .role = TUFF_ROLE_IN, .index = X };
    const struct tuff_dequantize_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->in[X]),
        .scale = ldexpf(1, -params->point),
        .inner = tuff_divide_by(1), .scales = tuff_divide_by(1)
    };
    tuff_dequantize_add(c, k, p, texel, unread, unread, &pc);
    return true;
}

TUFF_QUANT_PLANS(quantize)
TUFF_QUANT_PLANS(dequantize)

// ---- records -----------------------------------------------------------------------------

#define FIELDS                                                                  \
    .params_size = sizeof(tuff_fixed_params),                                   \
    .params = { TUFF_POSITIVE(tuff_fixed_params, bits), TUFF_INT(tuff_fixed_params, point) }

const tuff_op tuff_op_quantize_fixed = {
    .name = "quantize_fixed",
    .doc = "y = saturate(round(x 2^point)) in so many bits, ties to even",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true } },
    .out = { { .name = "y" } },
    FIELDS,
    .infer = infer_quantize, .units = units, .ref = ref_quantize,
    .variants = { TUFF_KERNEL("texel", texel_quantize), TUFF_KERNEL("plain", plain_quantize) },
    .special = TUFF_SPECIAL_EACH, .sample = { -3, 3 },
    .cases = TUFF_CASES("1 point=4", "257 point=1", "3x5x7 point=6", "13x11 bits=16 point=14",
                        "2x2x9 bits=32 point=30", "101 bits=32 point=40",
                        "70001 bits=16 point=9")
};

const tuff_op tuff_op_dequantize_fixed = {
    .name = "dequantize_fixed",
    .doc = "y = x 2^-point",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_I8 | TUFF_I32, .low = -2000000000,
              .high = 2000000000 } },
    .out = { { .name = "y" } },
    FIELDS,
    .infer = infer_dequantize, .units = units, .ref = ref_dequantize,
    .variants = { TUFF_KERNEL("texel", texel_dequantize),
                  TUFF_KERNEL("plain", plain_dequantize) },
    .tol = { .f32 = 6e-8f }, // half an ulp: numbers over 24 bits are rounded to f32
    .cases = TUFF_CASES("1 point=4", "257 point=-3", "3x5x7 bits=16 point=14", "70001 point=31")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_quantize_fixed(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                const tuff_fixed_params *p)
{
    return tuff_run(s, &tuff_op_quantize_fixed, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_dequantize_fixed(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                  const tuff_fixed_params *p)
{
    return tuff_run(s, &tuff_op_dequantize_fixed, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// On the host a number has 1 to 32 bits; one of 1 bit is -1 or 1.
static tuff_status check_host(int bits, int point)
{
    TUFF_REQUIRE(bits >= 1 && bits <= 32, ARG, "bits is %d, expected 1 to 32", bits);
    return check(32, point);
}

static double largest(int bits) { return bits > 1 ? ldexp(1, bits - 1) - 1 : 1; }

tuff_status tuff_fixed_choose(const float *w, size_t n, int bits, int *point)
{
    double most = 0;
    TUFF_REQUIRE((w || !n) && point, ARG, "fixed_choose: w or point is NULL");
    TUFF_TRY(check_host(bits, 0));
    for (size_t i = 0; i < n; i++)
        if (isfinite(w[i])) most = fmax(most, fabs((double)w[i]));
    const double high = largest(bits);
    int p = POINT_MOST;
    while (p >= -POINT_MOST && ldexp(most, p) > high) p--;
    TUFF_REQUIRE(p >= -POINT_MOST, ARG, "fixed_choose: %g does not fit %d bits with any point",
                 most, bits);
    *point = p;
    return TUFF_OK;
}

tuff_status tuff_fixed_choose_for(tuff_stream *s, const tuff_tensor *x, int bits, int *point)
{
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(s && x && point, ARG, "fixed_choose_for: s, x or point is NULL");
    const tuff_desc *d = tuff_tensor_desc(x);
    TUFF_REQUIRE(d->dtype & TUFF_FLOATS, DTYPE, "fixed_choose_for: x is %s, expected f32, f16 "
                 "or bf16", tuff_dtype_name(d->dtype));
    TUFF_TRY(check(bits ? bits : 8, 0));
    const size_t n = (size_t)tuff_desc_count(d);
    float *wide = NULL;
    void *given = tuff_alloc(n, tuff_dtype_size(d->dtype));
    if (!given || !(wide = tuff_alloc(n, sizeof *wide))) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_tensor_read(s, x, given, tuff_desc_bytes(d)));
    tuff_convert(d->dtype, given, TUFF_F32, wide, false, 0, n);
    TUFF_GO(tuff_fixed_choose(wide, n, bits ? bits : 8, point));
exit:
    tuff_free(wide);
    tuff_free(given);
    return status;
}

tuff_status tuff_fixed_saturated(const float *w, size_t n, int bits, int point,
                                 size_t *saturated)
{
    TUFF_REQUIRE((w || !n) && saturated, ARG, "fixed_saturated: w or saturated is NULL");
    TUFF_TRY(check_host(bits, point));
    const double high = largest(bits), low = bits > 1 ? -high - 1 : -1;
    *saturated = 0;
    for (size_t i = 0; i < n; i++) {
        const double v = rint(ldexp((double)w[i], point));
        if (v > high || v < low) ++*saturated;
    }
    return TUFF_OK;
}
