// y = x kept between two bounds, which are attributes, or tensors of one element. The shaders
// are shaders/unary.comp, and for tensors shaders/binary.comp.
#include "ops/elementwise.h"
#include <string.h>

enum { X, LOW, HIGH };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_clip_params *p = c->params;
    char text[96];
    for (int i = LOW; i <= HIGH; i++) {
        if (!tuff_call_has(c, i)) continue;
        TUFF_REQUIRE(tuff_desc_count(&c->in[i]) == 1, SHAPE,
                     "%s is %s, it must hold one element", c->op->in[i].name,
                     tuff_desc_print(&c->in[i], text, sizeof text));
        TUFF_REQUIRE(!tuff_given(p->min) && !tuff_given(p->max), ARG,
                     "bounds are given as inputs and as attributes, they must be one of both");
    }
    out[0] = c->in[X];
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

static double bound_real(const tuff_ref *r, int input, float attribute, double none)
{
    if (tuff_call_has(r->call, input)) return (double)r->in[input][0];
    return tuff_given(attribute) ? (double)attribute : none;
}

static int64_t bound_whole(const tuff_ref *r, int input, double attribute)
{
    if (!tuff_call_has(r->call, input)) return (int64_t)fmax(fmin(attribute, 1e10), -1e10);
    const uint32_t word = *(const uint32_t *)(const void *)r->in[input];
    return r->call->in[X].dtype == TUFF_U32 ? (int64_t)word : (int32_t)word;
}

static void ref_real(const tuff_ref *r, const tuff_clip_params *p)
{
    const double low = bound_real(r, LOW, p->min, (double)-INFINITY);
    const double high = bound_real(r, HIGH, p->max, (double)INFINITY);
    for (size_t i = r->begin; i < r->end; i++) {
        double y = (double)r->in[X][i];
        if (!(y > low) && !isnan(y)) y = low;
        if (!(y < high) && !isnan(y)) y = high;
        r->out[0][i] = (float)y;
    }
}

static void ref_whole(const tuff_ref *r, const tuff_clip_params *p)
{
    const bool is_signed = r->call->in[X].dtype == TUFF_I32;
    const double least = tuff_given(p->min) ? ceil((double)p->min) : -1e10;
    const double most = tuff_given(p->max) ? floor((double)p->max) : 1e10;
    const int64_t low = bound_whole(r, LOW, least), high = bound_whole(r, HIGH, most);
    const uint32_t *x = (const uint32_t *)(const void *)r->in[X];
    uint32_t *words = (uint32_t *)(void *)r->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        int64_t y = is_signed ? (int32_t)x[i] : (int64_t)x[i];
        if (y < low) y = low;
        if (y > high) y = high;
        words[i] = (uint32_t)y;
    }
}

static void ref(const tuff_ref *r)
{
    if (r->call->in[X].dtype == TUFF_F32) ref_real(r, r->call->params);
    else ref_whole(r, r->call->params);
}

static void host(const tuff_ref *r)
{
    const tuff_clip_params *p = r->call->params;
    tuff_unary_host_as(r, TUFF_UNARY_CLIP, (float)bound_real(r, LOW, p->min, (double)-INFINITY),
                       (float)bound_real(r, HIGH, p->max, (double)INFINITY));
}

// ---- plans ---------------------------------------------------------------------------------

// A bound as a number that the type has, as bits.
static uint32_t bound_bits(tuff_dtype type, double bound)
{
    if (type == TUFF_F32) {
        const float v = (float)bound;
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        return bits;
    }
    const double low = type == TUFF_I32 ? INT32_MIN : 0;
    const double high = type == TUFF_I32 ? INT32_MAX : UINT32_MAX;
    return (uint32_t)(int64_t)fmin(fmax(bound, low), high);
}

static bool plan_attributes(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    const tuff_clip_params *v = c->params;
    const tuff_dtype type = c->in[X].dtype;
    double low = tuff_given(v->min) ? (double)v->min : (double)-INFINITY;
    double high = tuff_given(v->max) ? (double)v->max : (double)INFINITY;
    if (type != TUFF_F32) {
        low = ceil(low);
        high = floor(high);
    }
    const uint32_t bits[2] = { bound_bits(type, low), bound_bits(type, high) };
    return tuff_unary_launch(c, k, p, texel, TUFF_UNARY_CLIP, bits);
}

// max(x, low), and of that, where it is, min(y, high).
static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    static const tuff_binary min = { .function = TUFF_BINARY_MIN };
    static const tuff_binary max = { .function = TUFF_BINARY_MAX };
    const bool low = tuff_call_has(c, LOW), high = tuff_call_has(c, HIGH);
    if (!low && !high) return plan_attributes(c, k, p, texel);
    if (low && !tuff_binary_launch(c, k, p, texel, &max, X, LOW)) return false;
    return !high || tuff_binary_launch(c, k, p, texel, &min, low ? -1 : X, HIGH);
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, true);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, false);
}

// dy where x was kept as it was.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[X] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], tuff_mask(t, n->in[X], n->out[0]));
}

#define NUMBERS (TUFF_FLOATS | TUFF_INTEGERS)

const tuff_op tuff_op_clip = {
    .name = "clip", .onnx = "Clip",
    .doc = "y = min(max(x, min), max)",
    .in = { { .name = "x", .dtypes = NUMBERS },
            { .name = "min", .dtypes = NUMBERS, .optional = true, .no_grad = true },
            { .name = "max", .dtypes = NUMBERS, .optional = true, .no_grad = true } },
    .out = { { .name = "y", .dtypes = NUMBERS, .alias = true } },
    .params_size = sizeof(tuff_clip_params),
    .params = { TUFF_FLOAT_ZERO(tuff_clip_params, min),
                TUFF_FLOAT_ZERO(tuff_clip_params, max) },
    .infer = infer, .ref = ref, .units = tuff_elements, .grad = grad,
    .variants = { TUFF_KERNEL("texel", plan_texel), TUFF_KERNEL("plain", plan_plain) },
    TUFF_FAST(tuff_unary_host_takes, host),
    .sample = { -4, 4 },
    .cases = TUFF_CASES("5x64 min=-1 max=2.5", "7 max=2", "257x13 [] []", "5x64 - []",
                        "5x64 1")
};

tuff_status tuff_clip(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *min,
                      const tuff_tensor *max, tuff_tensor *y, const tuff_clip_params *p)
{
    return tuff_run(s, &tuff_op_clip, TUFF_RUN_IN(x, min, max), TUFF_RUN_OUT(y), p);
}
