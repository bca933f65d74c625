// The records of mathematical functions of one element.
#include "ops/elementwise.h"

// ---- functions, for the reference -----------------------------------------------------------

#define FUNCTION(name, NUMBER, formula, ...)                                    \
    static double name##_real(double x, const float *p)                         \
    {                                                                           \
        (void)p;                                                                \
        return formula;                                                         \
    }                                                                           \
    static const tuff_unary name = { .function = TUFF_UNARY_##NUMBER,           \
                                     .real = name##_real, __VA_ARGS__ };

static int64_t neg_whole(int64_t x) { return -x; }
static int64_t abs_whole(int64_t x) { return x < 0 ? -x : x; }
static int64_t sign_whole(int64_t x) { return (x > 0) - (x < 0); }
static int64_t square_whole(int64_t x) { return (int64_t)((uint64_t)x * (uint64_t)x); }
static int64_t not_whole(int64_t x) { return !x; }
static int64_t bitwise_not_whole(int64_t x) { return ~x; }

// A sign of 0 is that 0, and of NaN that NaN.
static double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

// To the nearest, halves to the even number, in the default rounding of C.
static double round_of(double x) { return nearbyint(x); }

static void affine_numbers(const tuff_call *c, float p[2])
{
    const tuff_affine_params *a = c->params;
    p[0] = a->scale;
    p[1] = a->shift;
}

FUNCTION(neg_f, NEG, -x, .whole = neg_whole)
FUNCTION(abs_f, ABS, fabs(x), .whole = abs_whole)
FUNCTION(sign_f, SIGN, sign_of(x), .whole = sign_whole)
FUNCTION(square_f, SQUARE, x * x, .whole = square_whole)
FUNCTION(exp_f, EXP, exp(x), .whole = NULL)
FUNCTION(log_f, LOG, log(x), .whole = NULL)
FUNCTION(sqrt_f, SQRT, sqrt(x), .whole = NULL)
FUNCTION(rsqrt_f, RSQRT, 1 / sqrt(x), .whole = NULL)
FUNCTION(reciprocal_f, RECIPROCAL, 1 / x, .whole = NULL)
FUNCTION(floor_f, FLOOR, floor(x), .whole = NULL)
FUNCTION(ceil_f, CEIL, ceil(x), .whole = NULL)
FUNCTION(round_f, ROUND, round_of(x), .whole = NULL)
FUNCTION(sin_f, SIN, sin(x), .whole = NULL)
FUNCTION(cos_f, COS, cos(x), .whole = NULL)
FUNCTION(erf_f, ERF, erf(x), .grad = &tuff_op_erf_grad)
FUNCTION(erf_slope, ERF, 2 / sqrt(acos(-1)) * exp(-x * x), .whole = NULL)
FUNCTION(affine_f, AFFINE, (double)p[0] * x + (double)p[1], .numbers = affine_numbers)
FUNCTION(not_f, NOT, x == 0, .whole = not_whole)
FUNCTION(bitwise_not_f, BITWISE_NOT, x, .whole = bitwise_not_whole)

// ---- gradients ------------------------------------------------------------------------------

#define GRADIENT(name)                                                          \
    static void grad_##name(tuff_tape *t, const tuff_node *n, const tuff_var dy[], \
                            tuff_var dx[])

GRADIENT(neg) { (void)n, dx[0] = tuff_scaled(t, dy[0], -1); }
GRADIENT(exp) { dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->out[0]); }
GRADIENT(log) { dx[0] = TUFF_V(t, &tuff_op_div, NULL, dy[0], n->in[0]); }

GRADIENT(sqrt)
{
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_div, NULL, dy[0], n->out[0]), 0.5f);
}

// -dy y / (2x).
GRADIENT(rsqrt)
{
    const tuff_var part = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->out[0]);
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_div, NULL, part, n->in[0]), -0.5f);
}

// -dy y^2.
GRADIENT(reciprocal)
{
    const tuff_var square = TUFF_V(t, &tuff_op_square, NULL, n->out[0]);
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], square), -1);
}

GRADIENT(abs)
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], TUFF_V(t, &tuff_op_sign, NULL, n->in[0]));
}

GRADIENT(square)
{
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[0]), 2);
}

GRADIENT(sin)
{
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], TUFF_V(t, &tuff_op_cos, NULL, n->in[0]));
}

GRADIENT(cos)
{
    const tuff_var sine = TUFF_V(t, &tuff_op_sin, NULL, n->in[0]);
    dx[0] = tuff_scaled(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], sine), -1);
}

GRADIENT(affine)
{
    const tuff_affine_params *p = n->call.params;
    dx[0] = tuff_scaled(t, dy[0], p->scale);
}

// ---- records --------------------------------------------------------------------------------

#define SIGNED (TUFF_FLOATS | TUFF_I32 | TUFF_I8)
#define OP(name_, onnx_, doc_, types_, ...)                                     \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .onnx = onnx_, .doc = doc_,                             \
        TUFF_UNARY_OP(name_##_f, COLD),                                         \
        .out = { { .name = "y", .dtypes = types_, .alias = true } },            \
        __VA_ARGS__                                                             \
    };
#define X(types_) .in = { { .name = "x", .dtypes = types_ } }
#define POSITIVE .in = { { .name = "x", .dtypes = TUFF_FLOATS, .positive = true } }
#define FLAT(types_) .in = { { .name = "x", .dtypes = types_, .no_grad = true } }
#define WITHIN(low, high) .sample = { low, high }, .cases = TUFF_UNARY_CASES
#define REAL(grad_) .grad = grad_, .tol = { .f32 = 1e-6f }

OP(neg, "Neg", "y = -x", SIGNED, X(SIGNED), .grad = grad_neg, WITHIN(-4, 4))
OP(abs, "Abs", "y = |x|", SIGNED, X(SIGNED), .grad = grad_abs, WITHIN(-4, 4))
OP(square, NULL, "y = x^2", SIGNED, X(SIGNED), REAL(grad_square), WITHIN(-4, 4))
OP(exp, "Exp", "y = exp(x)", TUFF_FLOATS, X(TUFF_FLOATS), REAL(grad_exp), WITHIN(-4, 4))
OP(log, "Log", "y = ln(x)", TUFF_FLOATS, POSITIVE, REAL(grad_log),
   WITHIN(0.1f, 8))
OP(sqrt, "Sqrt", "y = sqrt(x)", TUFF_FLOATS, POSITIVE,
   REAL(grad_sqrt), WITHIN(0.1f, 8))
OP(rsqrt, NULL, "y = 1 / sqrt(x)", TUFF_FLOATS, POSITIVE,
   REAL(grad_rsqrt), WITHIN(0.1f, 8))
OP(reciprocal, "Reciprocal", "y = 1 / x", TUFF_FLOATS, POSITIVE,
   REAL(grad_reciprocal), WITHIN(0.1f, 4))
OP(sin, "Sin", "y = sin(x), x in radians", TUFF_FLOATS, X(TUFF_FLOATS), REAL(grad_sin),
   WITHIN(-12, 12))
OP(cos, "Cos", "y = cos(x), x in radians", TUFF_FLOATS, X(TUFF_FLOATS), REAL(grad_cos),
   WITHIN(-12, 12))
OP(erf, "Erf", "y = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x", TUFF_FLOATS,
   X(TUFF_FLOATS), REAL(tuff_unary_grad), WITHIN(-4, 4))

const tuff_op tuff_op_affine = {
    .name = "affine", TUFF_UNARY_OP(affine_f, HOT),
    .doc = "y = scale x + shift",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },
    .params_size = sizeof(tuff_affine_params),
    .params = { TUFF_FLOAT(tuff_affine_params, scale),
                TUFF_FLOAT(tuff_affine_params, shift) },
    REAL(grad_affine), .sample = { -4, 4 },
    .cases = TUFF_CASES("1 scale=2 shift=0.5", "257x13 scale=-1.5", "64 shift=3",
                        "3x1031 scale=0.1 shift=-1")
};

// Flat wherever they are differentiable: no gradient flows.
OP(sign, "Sign", "y = 1 where x > 0, -1 where x < 0, else 0", SIGNED,
   FLAT(SIGNED), WITHIN(-4, 4))
OP(floor, "Floor", "y = the largest whole number not above x", TUFF_FLOATS,
   FLAT(TUFF_FLOATS), WITHIN(-4, 4))
OP(ceil, "Ceil", "y = the smallest whole number not below x", TUFF_FLOATS,
   FLAT(TUFF_FLOATS), WITHIN(-4, 4))
OP(round, "Round", "y = the whole number nearest to x, of two the even one", TUFF_FLOATS,
   FLAT(TUFF_FLOATS), WITHIN(-4, 4))

#define INTEGERS (TUFF_I32 | TUFF_U32 | TUFF_I8 | TUFF_U8)
OP(not, "Not", "y = 1 where x is 0, else 0", TUFF_BOOL, FLAT(TUFF_BOOL),
   WITHIN(0, 1), .native = TUFF_BOOL)
OP(bitwise_not, "BitwiseNot", "y = x with every bit turned", INTEGERS,
   FLAT(INTEGERS), WITHIN(-4, 4))

const tuff_op tuff_op_erf_grad = {
    .name = "erf_grad", TUFF_SLOPE_OP(erf_slope, COLD),
    .doc = "dx = dy 2 / sqrt(pi) exp(-x^2)",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "dy", .dtypes = TUFF_FLOATS, .ordinary = true } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS, .alias = true, .alias_in = 1 } },
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1 1", "5x64 5x64", "3x1031 3x1031")
};

// ---- public functions -----------------------------------------------------------------------

#define PUBLIC(name, op)                                                        \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)      \
    {                                                                           \
        return tuff_run(s, &tuff_op_##op, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL); \
    }
PUBLIC(tuff_neg, neg)
PUBLIC(tuff_abs, abs)
PUBLIC(tuff_square, square)
PUBLIC(tuff_exp, exp)
PUBLIC(tuff_log_e, log)
PUBLIC(tuff_sqrt, sqrt)
PUBLIC(tuff_rsqrt, rsqrt)
PUBLIC(tuff_reciprocal, reciprocal)
PUBLIC(tuff_sin, sin)
PUBLIC(tuff_cos, cos)
PUBLIC(tuff_erf, erf)
PUBLIC(tuff_sign, sign)
PUBLIC(tuff_floor, floor)
PUBLIC(tuff_ceil, ceil)
PUBLIC(tuff_round, round)
PUBLIC(tuff_not, not)
PUBLIC(tuff_bitwise_not, bitwise_not)

tuff_status tuff_affine(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_affine_params *p)
{
    return tuff_run(s, &tuff_op_affine, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
