// The records of activations and of their derivatives.
#include "ops/elementwise.h"

// ---- functions, for the reference -----------------------------------------------------------

// y = f(x) and its derivative `slope`, of y instead of x where .by_y is set.
#define ACTIVATION(name, NUMBER, formula, slope, ...)                           \
    static double name##_real(double x, const float *p)                         \
    {                                                                           \
        (void)p;                                                                \
        return formula;                                                         \
    }                                                                           \
    static double name##_slope_real(double x, const float *p)                   \
    {                                                                           \
        (void)p;                                                                \
        return slope;                                                           \
    }                                                                           \
    static const tuff_unary name##_f = {                                        \
        .function = TUFF_UNARY_##NUMBER, .real = name##_real,                   \
        .grad = &tuff_op_##name##_grad, __VA_ARGS__                             \
    };                                                                          \
    static const tuff_unary name##_slope = { .function = TUFF_UNARY_##NUMBER,   \
                                             .real = name##_slope_real, __VA_ARGS__ };

static int64_t relu_whole(int64_t x) { return x < 0 ? 0 : x; }

static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }

// x s where s vanishes faster than x grows.
static double times(double x, double s) { return s == 0 ? -0.0 : x * s; }

static double elu_of(double x, double alpha) { return x < 0 ? alpha * expm1(x) : x; }
static double elu_slope_of(double x, double alpha) { return x > 0 ? 1 : alpha * exp(x); }
static double within(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; } // NaN stays

static double normal_below(double x) { return 0.5 * erfc(-x * sqrt(0.5)); }

static double gelu_erf_slope_of(double x)
{
    const double density = exp(-0.5 * x * x) / sqrt(2 * acos(-1));
    return normal_below(x) + (density == 0 ? 0 : x * density);
}

static double tanh_inner(double x) { return sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x); }

// 1 + tanh(u) is 2 sigmoid(2u), in which nothing cancels.
static double gelu_tanh_of(double x) { return times(x, sigmoid_of(2 * tanh_inner(x))); }

static double gelu_tanh_slope_of(double x)
{
    const double s = sigmoid_of(2 * tanh_inner(x)), r = sigmoid_of(-2 * tanh_inner(x));
    const double inner = 2 * sqrt(2 / acos(-1)) * (1 + 3 * 0.044715 * x * x);
    return s * r == 0 ? s : s + x * s * r * inner;
}

static double gelu_slope_of(double x, bool by_tanh)
{
    return by_tanh ? gelu_tanh_slope_of(x) : gelu_erf_slope_of(x);
}

static double gelu_of(double x, bool by_tanh)
{
    return by_tanh ? gelu_tanh_of(x) : times(x, normal_below(x));
}

static double silu_slope_of(double x)
{
    const double s = sigmoid_of(x), r = sigmoid_of(-x);
    return s * r == 0 ? s : s + x * s * r;
}

static double softplus_of(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

static double mish_slope_of(double x)
{
    const double t = tanh(softplus_of(x)), c = cosh(softplus_of(x));
    const double slope = sigmoid_of(x) / (c * c);
    return slope == 0 ? t : t + x * slope;
}

static double softsign_of(double x) { return isinf(x) ? copysign(1, x) : x / (1 + fabs(x)); }

static double hardswish_slope_of(double x)
{
    return x < -3 ? 0 : x > 3 ? 1 : x / 3 + 0.5;
}

// Whether hardsigmoid does, of what it clips; rounded as a device rounds it.
static bool rises(float v) { return v > 0 && v < 1; }

// Numbers that have another default than 0.
#define NUMBERS(name, type, first, second)                                      \
    static void name##_numbers(const tuff_call *c, float p[2])                  \
    {                                                                           \
        const type *params = c->params;                                         \
        p[0] = first;                                                           \
        p[1] = second;                                                          \
    }
NUMBERS(leaky_relu, tuff_alpha_params, (float)tuff_number(params->alpha, 0.01f), 0)
NUMBERS(elu, tuff_alpha_params, (float)tuff_number(params->alpha, 1), 0)
NUMBERS(selu, tuff_selu_params, (float)tuff_number(params->alpha, 1.67326319f),
        (float)tuff_number(params->gamma, 1.05070102f))
NUMBERS(gelu, tuff_gelu_params, params->approximate == TUFF_GELU_TANH, 0)
NUMBERS(hardsigmoid, tuff_hardsigmoid_params, (float)tuff_number(params->alpha, 0.2f),
        (float)tuff_number(params->beta, 0.5f))


ACTIVATION(relu, RELU, x <= 0 ? 0 : x, x > 0, .whole = relu_whole, .by_y = true)
ACTIVATION(sigmoid, SIGMOID, sigmoid_of(x), x * (1 - x), .by_y = true)
ACTIVATION(tanh, TANH, tanh(x), (1 - x) * (1 + x), .by_y = true)
ACTIVATION(leaky_relu, LEAKY_RELU, x < 0 ? (double)p[0] * x : x, x > 0 ? 1 : (double)p[0],
           .numbers = leaky_relu_numbers)
ACTIVATION(elu, ELU, elu_of(x, (double)p[0]), elu_slope_of(x, (double)p[0]),
           .numbers = elu_numbers)
ACTIVATION(selu, SELU, (double)p[1] * elu_of(x, (double)p[0]),
           (double)p[1] * elu_slope_of(x, (double)p[0]), .numbers = selu_numbers)
ACTIVATION(celu, CELU, x < 0 ? (double)p[0] * expm1(x / (double)p[0]) : x,
           x > 0 ? 1 : exp(x / (double)p[0]), .numbers = elu_numbers)
ACTIVATION(gelu, GELU, gelu_of(x, p[0] != 0), gelu_slope_of(x, p[0] != 0),
           .numbers = gelu_numbers)
ACTIVATION(silu, SILU, times(x, sigmoid_of(x)), silu_slope_of(x), .numbers = NULL)
ACTIVATION(hardswish, HARDSWISH, times(x, within(x / 6 + 0.5)), hardswish_slope_of(x),
           .numbers = NULL)
ACTIVATION(hardsigmoid, HARDSIGMOID, within((double)p[0] * x + (double)p[1]),
           rises((float)((double)p[0] * x + (double)p[1])) ? (double)p[0] : 0,
           .numbers = hardsigmoid_numbers)
ACTIVATION(softplus, SOFTPLUS, softplus_of(x), sigmoid_of(x), .numbers = NULL)
ACTIVATION(mish, MISH, times(x, tanh(softplus_of(x))), mish_slope_of(x), .numbers = NULL)
ACTIVATION(softsign, SOFTSIGN, softsign_of(x), 1 / ((1 + fabs(x)) * (1 + fabs(x))),
           .numbers = NULL)
ACTIVATION(thresholded_relu, THRESHOLDED_RELU, x > (double)p[0] || isnan(x) ? x : 0,
           x > (double)p[0], .numbers = elu_numbers)

// ---- second derivatives, of the derivatives that are written by y ---------------------------

static void grad_relu_grad(tuff_tape *t, const tuff_node *n, const tuff_var g[],
                           tuff_var dx[])
{
    dx[1] = TUFF_V(t, &tuff_op_relu_grad, NULL, n->in[0], g[0]);
}

// Of dy y (1 - y): by y it is dy (1 - 2y), by dy it is y (1 - y).
static void grad_sigmoid_grad(tuff_tape *t, const tuff_node *n, const tuff_var g[],
                              tuff_var dx[])
{
    const tuff_affine_params slope = { .scale = -2, .shift = 1 };
    const tuff_var gdy = TUFF_V(t, &tuff_op_mul, NULL, g[0], n->in[1]);
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, gdy,
                   TUFF_V(t, &tuff_op_affine, &slope, n->in[0]));
    dx[1] = TUFF_V(t, &tuff_op_sigmoid_grad, NULL, n->in[0], g[0]);
}

// Of dy (1 - y^2): by y it is -2 y dy, by dy it is 1 - y^2.
static void grad_tanh_grad(tuff_tape *t, const tuff_node *n, const tuff_var g[],
                           tuff_var dx[])
{
    const tuff_var gdy = TUFF_V(t, &tuff_op_mul, NULL, g[0], n->in[1]);
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_mul, NULL, gdy, n->in[0]), -2);
    dx[1] = TUFF_V(t, &tuff_op_tanh_grad, NULL, n->in[0], g[0]);
}

// ---- records --------------------------------------------------------------------------------

static const char *const gelu_names[] = { "none", "tanh", NULL };

#define ALPHA .params_size = sizeof(tuff_alpha_params),                         \
    .params = { TUFF_FLOAT_ZERO(tuff_alpha_params, alpha) }
#define SELU .params_size = sizeof(tuff_selu_params),                           \
    .params = { TUFF_FLOAT_ZERO(tuff_selu_params, alpha),                         \
                TUFF_FLOAT_ZERO(tuff_selu_params, gamma) }
#define GELU .params_size = sizeof(tuff_gelu_params),                           \
    .params = { TUFF_ENUM(tuff_gelu_params, approximate, gelu_names) }
#define HARDSIGMOID .params_size = sizeof(tuff_hardsigmoid_params),             \
    .params = { TUFF_FLOAT_ZERO(tuff_hardsigmoid_params, alpha),                  \
                TUFF_FLOAT_ZERO(tuff_hardsigmoid_params, beta) }

#define OP(temperature, name_, onnx_, doc_, types_, ...)                        \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .onnx = onnx_, .doc = doc_,                             \
        TUFF_UNARY_OP(name_##_f, temperature),                                  \
        .in = { { .name = "x", .dtypes = types_ } },                            \
        .out = { { .name = "y", .dtypes = types_, .alias = true } },            \
        .grad = tuff_unary_grad, __VA_ARGS__                                    \
    };
#define SLOPE(temperature, name_, doc_, ...)                                    \
    const tuff_op tuff_op_##name_##_grad = {                                    \
        .name = #name_ "_grad", .doc = doc_, TUFF_SLOPE_OP(name_##_slope, temperature),      \
        .in = { { .name = "x", .dtypes = TUFF_FLOATS },                         \
                { .name = "dy", .dtypes = TUFF_FLOATS, .ordinary = true } },    \
        SLOPE_REST, __VA_ARGS__                                                 \
    };
// The same, where f's output y takes the place of x.
#define SLOPE_BY_Y(name_, doc_, no_grad_, tol_)                                 \
    const tuff_op tuff_op_##name_##_grad = {                                    \
        .name = #name_ "_grad", .doc = doc_, TUFF_SLOPE_OP(name_##_slope, HOT),      \
        .in = { { .name = "y", .dtypes = TUFF_FLOATS, .no_grad = no_grad_,      \
                  .ordinary = true },                                           \
                { .name = "dy", .dtypes = TUFF_FLOATS } }, SLOPE_REST,          \
        .grad = grad_##name_##_grad, .tol = { .f32 = tol_ }, .sample = { -1, 1 } \
    };
#define SLOPE_REST                                                              \
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS, .alias = true, .alias_in = 1 } }, \
    .cases = TUFF_CASES("1 1", "5x64 5x64", "3x1x1031 3x1x1031")
#define TOLERANCE .tol = { .f32 = 1e-6f }, .sample = { -8, 8 }
#define PLAIN TOLERANCE, .cases = TUFF_UNARY_CASES

// relu's last two are longer than the texels that a driver shows, by ones and by fours.
#define SIGNED (TUFF_FLOATS | TUFF_I32 | TUFF_I8)
OP(HOT, relu, "Relu", "y = max(x, 0)", SIGNED, .sample = { -4, 4 },
   .cases = TUFF_CASES("1", "7", "5x64", "257x13", "3x1x1031", "300007", "529x1020"))
OP(HOT, sigmoid, "Sigmoid", "y = 1 / (1 + exp(-x))", TUFF_FLOATS, PLAIN)
OP(HOT, tanh, "Tanh", "y = tanh(x)", TUFF_FLOATS, PLAIN)
OP(COLD, leaky_relu, "LeakyRelu", "y = x where x >= 0, else alpha x; alpha 0.01",
   TUFF_FLOATS, ALPHA, TOLERANCE, .cases = TUFF_CASES("7", "257x13 alpha=0.3", "5x64 alpha=-0"))
OP(COLD, elu, "Elu", "y = x where x >= 0, else alpha (exp(x) - 1); alpha 1", TUFF_FLOATS, ALPHA,
   TOLERANCE, .cases = TUFF_CASES("7", "257x13 alpha=0.3", "5x64"))
OP(COLD, selu, "Selu", "y = gamma elu(x, alpha); alpha 1.67326319, gamma 1.05070102",
   TUFF_FLOATS, SELU, TOLERANCE, .cases = TUFF_CASES("7", "257x13 alpha=0.3 gamma=2", "5x64"))
OP(COLD, celu, "Celu", "y = x where x >= 0, else alpha (exp(x / alpha) - 1); alpha 1",
   TUFF_FLOATS, ALPHA, TOLERANCE, .cases = TUFF_CASES("7", "257x13 alpha=0.3", "5x64"))
OP(HOT, gelu, "Gelu", "y = x P(N(0, 1) <= x), or with tanh nearly so",
   TUFF_FLOATS, GELU, TOLERANCE,
   .cases = TUFF_CASES("7", "257x13", "5x64", "257x13 approximate=tanh"))
OP(HOT, silu, NULL, "y = x sigmoid(x)", TUFF_FLOATS, PLAIN)
OP(COLD, hardswish, "HardSwish", "y = x max(0, min(1, x / 6 + 1 / 2))", TUFF_FLOATS, PLAIN)
OP(COLD, hardsigmoid, "HardSigmoid", "y = max(0, min(1, alpha x + beta)); alpha 0.2, beta 0.5",
   TUFF_FLOATS, HARDSIGMOID, TOLERANCE,
   .cases = TUFF_CASES("7", "257x13 alpha=0.3 beta=0.1", "5x64"))
OP(COLD, softplus, "Softplus", "y = ln(1 + exp(x))", TUFF_FLOATS, PLAIN)
OP(COLD, mish, "Mish", "y = x tanh(softplus(x))", TUFF_FLOATS, PLAIN)
OP(COLD, softsign, "Softsign", "y = x / (1 + |x|)", TUFF_FLOATS, PLAIN)
OP(COLD, thresholded_relu, "ThresholdedRelu", "y = x where x > alpha, else 0; alpha 1",
   TUFF_FLOATS, ALPHA, TOLERANCE, .cases = TUFF_CASES("7", "257x13 alpha=0.3", "5x64"))

SLOPE_BY_Y(relu, "dx = dy where y > 0, else 0", true, 0)
SLOPE_BY_Y(sigmoid, "dx = dy y (1 - y)", false, 1e-6f)
SLOPE_BY_Y(tanh, "dx = dy (1 - y^2)", false, 1e-6f)
SLOPE(COLD, leaky_relu, "dx = dy where x > 0, else alpha dy", ALPHA, TOLERANCE)
SLOPE(COLD, elu, "dx = dy where x > 0, else dy alpha exp(x)", ALPHA, TOLERANCE)
SLOPE(COLD, selu, "dx = gamma elu_grad(x, dy, alpha)", SELU, TOLERANCE)
SLOPE(COLD, celu, "dx = dy where x > 0, else dy exp(x / alpha)", ALPHA, TOLERANCE)
SLOPE(HOT, gelu, "dx = dy times the derivative of gelu", GELU, TOLERANCE)
SLOPE(HOT, silu, "dx = dy s (1 + x (1 - s)), s = sigmoid(x)", TOLERANCE)
SLOPE(COLD, hardswish, "dx = 0 where x < -3, dy where x > 3, else dy (x / 3 + 1 / 2)",
      TOLERANCE)
SLOPE(COLD, hardsigmoid, "dx = alpha dy where 0 < alpha x + beta < 1, else 0", HARDSIGMOID,
      TOLERANCE)
SLOPE(COLD, softplus, "dx = dy sigmoid(x)", TOLERANCE)
SLOPE(COLD, mish, "dx = dy times the derivative of mish", TOLERANCE)
SLOPE(COLD, softsign, "dx = dy / (1 + |x|)^2", TOLERANCE)
SLOPE(COLD, thresholded_relu, "dx = dy where x > alpha, else 0", ALPHA, TOLERANCE)

// ---- public functions -----------------------------------------------------------------------

#define PUBLIC(name)                                                            \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y) \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL); \
    }
#define PUBLIC_WITH(name, type)                                                 \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, \
                            const type *p)                                      \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p); \
    }
#define PUBLIC_GRAD(name)                                                       \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *y, const tuff_tensor *dy, \
                            tuff_tensor *dx)                                    \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(y, dy), TUFF_RUN_OUT(dx), NULL); \
    }
PUBLIC(relu)
PUBLIC(sigmoid)
PUBLIC(tanh)
PUBLIC(silu)
PUBLIC(hardswish)
PUBLIC(softplus)
PUBLIC(mish)
PUBLIC(softsign)
PUBLIC_WITH(leaky_relu, tuff_alpha_params)
PUBLIC_WITH(elu, tuff_alpha_params)
PUBLIC_WITH(celu, tuff_alpha_params)
PUBLIC_WITH(thresholded_relu, tuff_alpha_params)
PUBLIC_WITH(selu, tuff_selu_params)
PUBLIC_WITH(gelu, tuff_gelu_params)
PUBLIC_WITH(hardsigmoid, tuff_hardsigmoid_params)
PUBLIC_GRAD(relu_grad)
PUBLIC_GRAD(sigmoid_grad)
PUBLIC_GRAD(tanh_grad)
