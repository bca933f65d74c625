// y = f(x), element by element. The shader is shaders/unary.comp.
#include "ops/compose.h"
#include "abi/elementwise.h"
#include <math.h>

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

// ---- references ----------------------------------------------------------------------------

static double relu_of(double x) { return x <= 0 ? 0 : x; } // NaN stays
static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }
static double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
static double square_of(double x) { return x * x; }

#define REFERENCE(name, f)                                                      \
    static void ref_##name(const tuff_ref *r)                                   \
    {                                                                           \
        for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = (float)f(r->in[0][i]); \
    }
REFERENCE(relu, relu_of)
REFERENCE(sigmoid, sigmoid_of)
REFERENCE(tanh, tanh)
REFERENCE(exp, exp)
REFERENCE(log, log)
REFERENCE(sqrt, sqrt)
REFERENCE(abs, fabs)
REFERENCE(sign, sign_of)
REFERENCE(square, square_of)

static void ref_affine(const tuff_ref *r)
{
    const tuff_affine_params *p = r->call->params;
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)((double)p->scale * r->in[0][i] + p->shift);
}

// ---- plans ---------------------------------------------------------------------------------

static tuff_dispatch *add_dispatch(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                                   int shader, uint32_t function)
{
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, function);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    struct tuff_unary_pc pc = { .count = (uint32_t)count };
    if (function == TUFF_UNARY_AFFINE) {
        const tuff_affine_params *affine = c->params;
        pc.scale = affine->scale;
        pc.shift = affine->shift;
    }
    TUFF_PUSH(d, pc);
    return d;
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                       uint32_t function)
{
    const bool wide = tuff_desc_count(&c->in[0]) % 4 == 0;
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[0], wide ? 16 : 4)) return false;
    tuff_dispatch *d = add_dispatch(c, k, p, TUFF_SHADER_unary_texel, function);
    tuff_spec(d, wide);
    tuff_bind(d, TUFF_ROLE_IN, 0, wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
              TUFF_READ);
    tuff_bind_out(d, 0);
    return true;
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                       uint32_t function)
{
    tuff_dispatch *d = add_dispatch(c, k, p, TUFF_SHADER_unary, function);
    tuff_bind_in(d, 0);
    tuff_bind_out(d, 0);
    return true;
}

TUFF_FUNCTION_PLANS(relu, TUFF_UNARY_RELU)
TUFF_FUNCTION_PLANS(sigmoid, TUFF_UNARY_SIGMOID)
TUFF_FUNCTION_PLANS(tanh, TUFF_UNARY_TANH)
TUFF_FUNCTION_PLANS(exp, TUFF_UNARY_EXP)
TUFF_FUNCTION_PLANS(log, TUFF_UNARY_LOG)
TUFF_FUNCTION_PLANS(sqrt, TUFF_UNARY_SQRT)
TUFF_FUNCTION_PLANS(abs, TUFF_UNARY_ABS)
TUFF_FUNCTION_PLANS(sign, TUFF_UNARY_SIGN)
TUFF_FUNCTION_PLANS(square, TUFF_UNARY_SQUARE)
TUFF_FUNCTION_PLANS(affine, TUFF_UNARY_AFFINE)

// ---- gradients -----------------------------------------------------------------------------

static void grad_relu(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_relu_grad, NULL, n->out[0], dy[0]);
}

static void grad_sigmoid(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_sigmoid_grad, NULL, n->out[0], dy[0]);
}

static void grad_tanh(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_tanh_grad, NULL, n->out[0], dy[0]);
}

static void grad_exp(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->out[0]);
}

static void grad_log(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_div, NULL, dy[0], n->in[0]);
}

static void grad_sqrt(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_div, NULL, dy[0], n->out[0]), 0.5f);
}

static void grad_abs(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0],
                   TUFF_V(t, &tuff_op_sign, NULL, n->in[0]));
}

static void grad_square(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[0]), 2);
}

static void grad_affine(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_affine_params *p = n->call.params;
    dx[0] = tuff_scaled(t, dy[0], p->scale);
}

// ---- records -------------------------------------------------------------------------------

// One element, ends of every kind for groups of four, a multiple of four.
#define CASES TUFF_CASES("1", "2x3", "7", "5x64", "257x13", "3x1x1031")
#define COMMON(name_)                                                           \
    .infer = infer, .units = units, .ref = ref_##name_,                         \
    .variants = { TUFF_KERNEL("texel", texel_##name_), TUFF_KERNEL("plain", plain_##name_) }
#define OUT { { .name = "y", .dtypes = TUFF_F32, .alias = true } }

const tuff_op tuff_op_relu = {
    .name = "relu", .onnx = "Relu", COMMON(relu),
    .doc = "y = max(x, 0)",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_relu,
    .sample = { -4, 4 },
    // And more workgroups than one dimension of a grid holds on CPU-like drivers.
    .cases = TUFF_CASES("1", "2x3", "7", "5x64", "257x13", "3x1x1031", "700001x3")
};

const tuff_op tuff_op_sigmoid = {
    .name = "sigmoid", .onnx = "Sigmoid", COMMON(sigmoid),
    .doc = "y = 1 / (1 + exp(-x))",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_sigmoid,
    .tol = { .f32 = 1e-6f }, .sample = { -12, 12 }, .cases = CASES
};

const tuff_op tuff_op_tanh = {
    .name = "tanh", .onnx = "Tanh", COMMON(tanh),
    .doc = "y = tanh(x)",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_tanh,
    .tol = { .f32 = 1e-6f }, .sample = { -12, 12 }, .cases = CASES
};

const tuff_op tuff_op_exp = {
    .name = "exp", .onnx = "Exp", COMMON(exp),
    .doc = "y = exp(x)",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_exp,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_log = {
    .name = "log", .onnx = "Log", COMMON(log),
    .doc = "y = ln(x)",
    .in = { { .name = "x", .dtypes = TUFF_F32, .positive = true } }, .out = OUT,
    .grad = grad_log,
    .tol = { .f32 = 1e-6f }, .sample = { 0.1f, 8 }, .cases = CASES
};

const tuff_op tuff_op_sqrt = {
    .name = "sqrt", .onnx = "Sqrt", COMMON(sqrt),
    .doc = "y = sqrt(x)",
    .in = { { .name = "x", .dtypes = TUFF_F32, .positive = true } }, .out = OUT,
    .grad = grad_sqrt,
    .tol = { .f32 = 1e-6f }, .sample = { 0.1f, 8 }, .cases = CASES
};

const tuff_op tuff_op_abs = {
    .name = "abs", .onnx = "Abs", COMMON(abs),
    .doc = "y = |x|",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_abs,
    .sample = { -4, 4 }, .cases = CASES
};

// Flat wherever it is differentiable: no gradient flows.
const tuff_op tuff_op_sign = {
    .name = "sign", .onnx = "Sign", COMMON(sign),
    .doc = "y = 1 where x > 0, -1 where x < 0, else 0",
    .in = { { .name = "x", .dtypes = TUFF_F32, .no_grad = true } }, .out = OUT,
    .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_square = {
    .name = "square", COMMON(square),
    .doc = "y = x^2",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .grad = grad_square,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_affine = {
    .name = "affine", COMMON(affine),
    .doc = "y = scale x + shift",
    .in = { { .name = "x", .dtypes = TUFF_F32 } }, .out = OUT,
    .params_size = sizeof(tuff_affine_params),
    .params = { TUFF_FLOAT(tuff_affine_params, scale), TUFF_FLOAT(tuff_affine_params, shift) },
    .grad = grad_affine,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1 scale=2 shift=0.5", "257x13 scale=-1.5", "64 shift=3",
                        "3x1031 scale=0.1 shift=-1")
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)      \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL);     \
    }
PUBLIC(tuff_relu, tuff_op_relu)
PUBLIC(tuff_sigmoid, tuff_op_sigmoid)
PUBLIC(tuff_tanh, tuff_op_tanh)
PUBLIC(tuff_exp, tuff_op_exp)
PUBLIC(tuff_log_e, tuff_op_log)
PUBLIC(tuff_sqrt, tuff_op_sqrt)
PUBLIC(tuff_abs, tuff_op_abs)
PUBLIC(tuff_sign, tuff_op_sign)
PUBLIC(tuff_square, tuff_op_square)

tuff_status tuff_affine(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_affine_params *p)
{
    return tuff_run(s, &tuff_op_affine, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
