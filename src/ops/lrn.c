// lrn: local response normalisation over neighbouring channels, and its gradient. The shader is
// lrn.comp.
#include "ops/divide.h"
#include "ops/ops.h"
#include "abi/norm.h"
#include <float.h>
#include <math.h>

enum { X, DY };

// The params with their defaults: size, alpha / size, beta, bias.
typedef struct numbers {
    size_t size;
    double scale, beta, bias;
} numbers;

static numbers numbers_of(const tuff_call *c)
{
    const tuff_lrn_params *p = c->params;
    const size_t size = p->size ? (size_t)p->size : 5;
    return (numbers){ size, tuff_number(p->alpha, 1e-4) / (double)size,
                      tuff_number(p->beta, 0.75),
                      fmax(tuff_number(p->bias, 1), FLT_MIN) };
}

static tuff_status check(const tuff_call *c)
{
    const tuff_lrn_params *p = c->params;
    TUFF_REQUIRE(c->in[X].rank >= 2, SHAPE, "x has %d dims, it must have at least 2 (N C ...)",
                 c->in[X].rank);
    TUFF_REQUIRE(p->size >= 0, ARG, "size is %d, it must be at least 1 (0 means 5)", p->size);
    TUFF_REQUIRE(p->alpha >= 0 && p->alpha < HUGE_VALF, ARG,
                 "alpha is %g, it must be at least 0", (double)p->alpha);
    TUFF_REQUIRE(p->bias >= 0 && p->bias < HUGE_VALF, ARG,
                 "bias is %g, it must be at least 0", (double)p->bias);
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check(c));
    out[0] = c->in[X];
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    char want[96], got[96];
    TUFF_TRY(infer(c, out));
    TUFF_REQUIRE(tuff_desc_equal(&c->in[DY], &c->in[X]), SHAPE,
                 "dy must be %s, as x is, it is %s",
                 tuff_desc_print(&c->in[X], want, sizeof want),
                 tuff_desc_print(&c->in[DY], got, sizeof got));
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static size_t channels(const tuff_call *c) { return (size_t)c->in[X].dim[1]; }

static size_t units(const tuff_call *c) { return (size_t)c->in[X].dim[0]; }

static size_t plane(const tuff_call *c)
{
    return (size_t)tuff_desc_count(&c->in[X]) / units(c) / channels(c);
}

// d of channel ch at x, which is in channel 0: ONNX's window of `size` channels, of an even
// number one more behind than before.
static double divisor(const tuff_call *c, const float *x, size_t ch)
{
    const numbers n = numbers_of(c);
    const size_t before = (n.size - 1) / 2, behind = n.size / 2;
    double squares = 0;
    for (size_t k = ch > before ? ch - before : 0; k <= ch + behind && k < channels(c); k++)
        squares += (double)x[k * plane(c)] * x[k * plane(c)];
    return n.bias + n.scale * squares;
}

static void ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const size_t image = channels(c) * plane(c);
    for (size_t i = r->begin; i < r->end; i++)
        for (size_t j = 0; j < image; j++) {
            const float *x = r->in[X] + i * image + j % plane(c);
            const double d = divisor(c, x, j / plane(c));
            r->out[0][i * image + j] =
                (float)(r->in[X][i * image + j] * pow(d, -numbers_of(c).beta));
        }
}

// Of y[k] = x[k] d[k]^-beta by x[ch], for every k in whose window ch is.
static void ref_grad(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const numbers n = numbers_of(c);
    const size_t s = plane(c), image = channels(c) * s;
    const size_t before = (n.size - 1) / 2, behind = n.size / 2;
    for (size_t i = r->begin; i < r->end; i++)
        for (size_t j = 0; j < image; j++) {
            const size_t ch = j / s, from = ch > behind ? ch - behind : 0;
            const float *x = r->in[X] + i * image + j % s;
            const float *dy = r->in[DY] + i * image + j % s;
            double sum = 0;
            for (size_t k = from; k <= ch + before && k < channels(c); k++)
                sum += dy[k * s] * x[k * s] * pow(divisor(c, x, k), -n.beta - 1);
            r->out[0][i * image + j] =
                (float)(dy[ch * s] * pow(divisor(c, x, ch), -n.beta) -
                        2 * n.scale * n.beta * x[ch * s] * sum);
        }
}

// ---- plans ---------------------------------------------------------------------------------

static void add(const tuff_call *c, uint32_t mode, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const numbers n = numbers_of(c);
    const uint32_t wg = tuff_group_size_flat(k);
    const size_t count = (size_t)tuff_desc_count(&c->in[X]);
    const struct tuff_lrn_pc pc = {
        .count = (uint32_t)count, .channels = (uint32_t)channels(c),
        .span = tuff_divide_by(plane(c)), .period = tuff_divide_by(channels(c)),
        .before = (uint32_t)(n.size - 1) / 2, .behind = (uint32_t)n.size / 2,
        .scale = (float)n.scale, .beta = (float)n.beta, .bias = (float)n.bias,
    };
    const tuff_bind_kind kind = texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_lrn_texel : TUFF_SHADER_lrn);
    tuff_spec(d, wg);
    tuff_spec(d, mode);
    tuff_bind(d, TUFF_ROLE_IN, X, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, mode == TUFF_LRN_Y ? X : DY, kind, TUFF_READ);
    tuff_bind(d, mode == TUFF_LRN_DX ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, 0, kind, TUFF_READ);
    tuff_bind(d, mode == TUFF_LRN_TERMS ? TUFF_ROLE_SCRATCH : TUFF_ROLE_OUT, 0,
              TUFF_BIND_STORAGE, TUFF_WRITE);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (count + wg - 1) / wg, k);
}

// A window's loop, and a second one in the gradient.
static bool fits(const tuff_call *c, bool texel, const tuff_caps *k)
{
    const size_t size = numbers_of(c).size, most = channels(c);
    if (k->max_loop && 2 * (size < most ? size : most) + 64 > k->max_loop) return false;
    return !texel || (k->cpu_like && tuff_fits_texel(k, &c->in[X], 4));
}

static bool plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    if (!fits(c, texel, k)) return false;
    add(c, TUFF_LRN_Y, texel, k, p);
    return true;
}

static bool plan_grad(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    if (!fits(c, texel, k)) return false;
    p->scratch[0] = tuff_desc_bytes(&c->in[X]);
    add(c, TUFF_LRN_TERMS, texel, k, p);
    add(c, TUFF_LRN_DX, texel, k, p);
    return true;
}

static bool texel_y(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, true, k, p);
}

static bool plain_y(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, false, k, p);
}

static bool texel_dx(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_grad(c, true, k, p);
}

static bool plain_dx(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_grad(c, false, k, p);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ n * (2 * (double)numbers_of(c).size + 40), 8 * n };
}

static tuff_cost cost_grad(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ n * (5 * (double)numbers_of(c).size + 90), 28 * n };
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[X] = TUFF_V(t, &tuff_op_lrn_grad, n->call.params, n->in[X], dy[0]);
}

// ---- records -------------------------------------------------------------------------------

#define PARAMS                                                                  \
    .params_size = sizeof(tuff_lrn_params),                                     \
    .params = { TUFF_POSITIVE(tuff_lrn_params, size), TUFF_FLOAT_ZERO(tuff_lrn_params, alpha), \
                TUFF_FLOAT_ZERO(tuff_lrn_params, beta), TUFF_FLOAT_ZERO(tuff_lrn_params, bias) }

const tuff_op tuff_op_lrn = {
    .name = "lrn", .onnx = "LRN", PARAMS,
    .doc = "y = x / (bias + alpha / size (sum of x^2 over `size` neighbouring channels))^beta",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .infer = infer, .ref = ref, .units = units, .cost = cost, .grad = grad,
    .variants = { TUFF_KERNEL("texel", texel_y), TUFF_KERNEL("plain", plain_y) },
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1x1", "2x7x5x3 size=3 alpha=2",
                        "1x11x13 size=4 alpha=1 beta=0.5 bias=2",
                        "2x3x4x4 size=9 alpha=3")
};

const tuff_op tuff_op_lrn_grad = {
    .name = "lrn_grad", PARAMS,
    .doc = "dx of lrn, for the gradient dy of its y",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS }, { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .infer = infer_grad, .ref = ref_grad, .units = units, .cost = cost_grad,
    .variants = { TUFF_KERNEL("texel", texel_dx), TUFF_KERNEL("plain", plain_dx) },
    .tol = { .f32 = 2e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1x1 1x1", "2x7x5x3 2x7x5x3 size=3 alpha=2",
                        "1x11x13 1x11x13 size=4 alpha=1 beta=0.5 bias=2",
                        "2x3x4x4 2x3x4x4 size=9 alpha=3")
};

tuff_status tuff_lrn(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                     const tuff_lrn_params *p)
{
    return tuff_run(s, &tuff_op_lrn, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_lrn_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                          tuff_tensor *dx, const tuff_lrn_params *p)
{
    return tuff_run(s, &tuff_op_lrn_grad, TUFF_RUN_IN(x, dy), TUFF_RUN_OUT(dx), p);
}
