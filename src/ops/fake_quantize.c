// Numbers that are rounded as quantize_linear and dequantize_linear would, but stay floats, and
// through which gradients go: fake_quantize and fake_quantize_grad. The shader is
// shaders/fake_quantize.comp.
#include "ops/compose.h"
#include "ops/divide.h"
#include "ops/quantize.h"
#include <math.h>

enum { X, SCALE, ZERO, DY };
enum { DX, DSCALE }; // outputs of the gradient

// ---- shapes ------------------------------------------------------------------------------

static const tuff_fake_quantize_params *params_of(const tuff_call *c) { return c->params; }

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_fake_quantize_params *p = params_of(c);
    tuff_quant_axis a;
    TUFF_REQUIRE(p->bits == 0 || (p->bits >= 2 && p->bits <= 8), ARG,
                 "bits is %d, expected 2 to 8", p->bits);
    TUFF_TRY(tuff_quant_axis_of(c, SCALE, ZERO, p->axis, &a));
    out[0] = c->in[X];
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(infer(c, out));
    TUFF_REQUIRE(tuff_desc_equal(&c->in[X], &c->in[DY]), SHAPE,
                 "dy has another shape than x, they must be equal");
    out[DSCALE] = out[DX];
    return TUFF_OK;
}

static tuff_quant_axis axis_of(const tuff_call *c)
{
    tuff_quant_axis a = { 1, 1 };
    const tuff_status status = tuff_quant_axis_of(c, SCALE, ZERO, params_of(c)->axis, &a);
    (void)status; // infer has passed
    return a;
}

tuff_steps8 tuff_fake_steps(const tuff_call *c)
{
    const int half = 1 << ((params_of(c)->bits ? params_of(c)->bits : 8) - 1);
    return (tuff_steps8){ -half, half - 1 };
}

// ---- references --------------------------------------------------------------------------

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

// How many steps from 0 an element is, and the ends of what can be said.
static double steps_of(const tuff_ref *r, size_t i, double *low, double *high)
{
    const tuff_quant_axis a = axis_of(r->call);
    const size_t s = i / a.inner % a.scales;
    const tuff_steps8 ends = tuff_fake_steps(r->call);
    const int32_t zero = ((const int32_t *)(const void *)r->in[ZERO])[s];
    const float q = r->in[X][i] / r->in[SCALE][s];
    *low = (double)ends.low - zero;
    *high = (double)ends.high - zero;
    return isnan(q) ? 0 : rint((double)q);
}

static float scale_at(const tuff_ref *r, size_t i)
{
    const tuff_quant_axis a = axis_of(r->call);
    return r->in[SCALE][i / a.inner % a.scales];
}

static void ref(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) {
        double low, high;
        const double q = steps_of(r, i, &low, &high);
        const double y = q < low ? low : q > high ? high : q;
        r->out[0][i] = isnan(r->in[X][i]) ? r->in[X][i] : (float)(y * scale_at(r, i));
    }
}

static void ref_grad(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) {
        double low, high;
        const double q = steps_of(r, i, &low, &high), s = scale_at(r, i), dy = r->in[DY][i];
        const bool inside = q >= low && q <= high;
        const double by = inside ? (q * s - r->in[X][i]) / s : q < low ? low : high;
        r->out[DX][i] = inside ? r->in[DY][i] : 0;
        r->out[DSCALE][i] = (float)(dy * by);
    }
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static void host(const tuff_ref *r) { tuff_fake_quantize_host(r, axis_of(r->call)); }
static void host_grad(const tuff_ref *r) { tuff_fake_grad_host(r, axis_of(r->call)); }

// ---- plans -------------------------------------------------------------------------------

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool grad, bool texel)
{
    static const int shaders[2][2] = {
        { TUFF_SHADER_fake_quantize, TUFF_SHADER_fake_quantize_texel },
        { TUFF_SHADER_fake_quantize_grad, TUFF_SHADER_fake_quantize_grad_texel } };
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    // A GPU may have no more than four storage buffers, so scales are always texels: of 65,536
    // and more places along an axis not every device takes one each.
    if (!tuff_fits_texel(k, &c->in[SCALE], 4)) return false;
    const tuff_quant_axis a = axis_of(c);
    const tuff_steps8 ends = tuff_fake_steps(c);
    const uint32_t count = (uint32_t)tuff_desc_count(&c->in[X]), wg = tuff_group_size_flat(k);
    const tuff_bind_kind kind = texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(p, shaders[grad][texel]);
    tuff_spec(d, wg);
    tuff_bind(d, TUFF_ROLE_IN, X, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, SCALE, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, ZERO, TUFF_BIND_TEXEL_U32, TUFF_READ);
    tuff_bind_out(d, 0);
    if (grad) {
        tuff_bind(d, TUFF_ROLE_IN, DY, kind, TUFF_READ);
        tuff_bind_out(d, DSCALE);
    }
    tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_fake_pc){ .count = count, .low = ends.low, .high = ends.high,
                                        .inner = tuff_divide_by(a.inner),
                                        .scales = tuff_divide_by(a.scales) });
    return true;
}

static bool plan_forward(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    return plan(c, k, p, false, texel);
}

static bool plan_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    return plan(c, k, p, true, texel);
}

TUFF_QUANT_PLANS(forward)
TUFF_QUANT_PLANS(grad)

// ---- gradient ----------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_desc *x = &n->call.in[X], *scale = &n->call.in[SCALE];
    const tuff_fake_quantize_params *p = n->call.params;
    const tuff_var in[] = { n->in[X], n->in[SCALE], n->in[ZERO], dy[0] };
    tuff_var out[2] = { { 0 } };
    t->emit(t, &tuff_op_fake_quantize_grad, in, 4, p, out);
    dx[X] = out[DX];
    const uint32_t all = (1u << x->rank) - 1, along = 1u << p->axis;
    const bool single = tuff_desc_count(scale) == 1;
    const tuff_reduce_params over = { .axes = single ? all : all & ~along };
    tuff_var sum = out[DSCALE];
    if (over.axes) sum = TUFF_V(t, &tuff_op_reduce_sum, &over, sum);
    dx[SCALE] = t->reshape(t, sum, scale);
}

// ---- records -----------------------------------------------------------------------------

#define PARAMS                                                                  \
    .params_size = sizeof(tuff_fake_quantize_params),                           \
    .params = { TUFF_AXIS(tuff_fake_quantize_params, axis),                     \
                TUFF_INT(tuff_fake_quantize_params, bits) }
#define ZERO_PORT                                                               \
    { .name = "zero_point", .dtypes = TUFF_I32, .no_grad = true, .low = -3, .high = 2 }

const tuff_op tuff_op_fake_quantize = {
    .name = "fake_quantize",
    .doc = "y = (clamp(round(x / scale) + zero_point, -2^(bits-1), 2^(bits-1) - 1) - "
           "zero_point) scale, ties to even; dx = dy where nothing is clamped, and scale has "
           "the gradient of a straight-through round",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "scale", .dtypes = TUFF_F32, .positive = true, .ordinary = true },
            ZERO_PORT },
    .out = { { .name = "y", .alias = true } },
    PARAMS, .infer = infer, .units = units, .ref = ref,
    .variants = { TUFF_KERNEL("texel", texel_forward), TUFF_KERNEL("plain", plain_forward) },
    TUFF_FAST(host_takes, host),
    .grad = grad, .surrogate = true,
    .tol = { .f32 = 1.2e-7f }, // a whole number by the scale, rounded once
    .sample = { -40, 40 }, .special = TUFF_SPECIAL_EACH,
    .cases = TUFF_CASES("1 1 1", "257 [] [] bits=4", "3x5x7 5 5 axis=1", "13x11 13 13 axis=1",
                        "5x6 6 6 bits=2", "70001 1 1", "3x4x3x2 3 3 axis=3 bits=3")
};

const tuff_op tuff_op_fake_quantize_grad = {
    .name = "fake_quantize_grad",
    .doc = "q = round(x / scale): where q + zero_point is within the range of so many bits, dx "
           "= dy and dscale = dy (q - x / scale), else dx = 0 and dscale = dy (end - "
           "zero_point); dscale has x's shape: an element's part of the sum",
    .in = { { .name = "x", .dtypes = TUFF_F32, .no_grad = true },
            { .name = "scale", .dtypes = TUFF_F32, .no_grad = true, .positive = true,
              .ordinary = true },
            ZERO_PORT,
            { .name = "dy", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { { .name = "dx" }, { .name = "dscale" } },
    PARAMS, .infer = infer_grad, .units = units, .ref = ref_grad,
    .variants = { TUFF_KERNEL("texel", texel_grad), TUFF_KERNEL("plain", plain_grad) },
    TUFF_FAST(host_takes, host_grad),
    .tol = { .f32 = 5e-7f }, // q scale - x is exact but for its last bit; a quotient, a product
    .sample = { -40, 40 },
    .cases = TUFF_CASES("1 1 1 1", "257 [] [] 257 bits=4", "3x5x7 5 5 3x5x7 axis=1",
                        "13x11 13 13 13x11 axis=1", "5x6 6 6 5x6 bits=2",
                        "70001 1 1 70001", "3x4x3x2 3 3 3x4x3x2 axis=3 bits=3")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_fake_quantize(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                               const tuff_tensor *zero_point, tuff_tensor *y,
                               const tuff_fake_quantize_params *p)
{
    return tuff_run(s, &tuff_op_fake_quantize, TUFF_RUN_IN(x, scale, zero_point),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_fake_quantize_grad(tuff_stream *s, const tuff_tensor *x,
                                    const tuff_tensor *scale, const tuff_tensor *zero_point,
                                    const tuff_tensor *dy, tuff_tensor *dx,
                                    tuff_tensor *dscale, const tuff_fake_quantize_params *p)
{
    return tuff_run(s, &tuff_op_fake_quantize_grad, TUFF_RUN_IN(x, scale, zero_point, dy),
                    TUFF_RUN_OUT(dx, dscale), p);
}
