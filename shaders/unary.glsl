// The functions of one element, as unary.comp and kernels of chains (ops/chain.h) compute them.
#include "math.glsl"

// y with x's sign where it is 0.
float signed_as(float y, float x)
{
    const uint bits = floatBitsToUint(y);
    return y == 0.0 ? uintBitsToFloat(floatBitsToUint(x) & 0x80000000u) : uintBitsToFloat(bits);
}

float sign_f32(float x)
{
    const uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) == 0u) return x;
    return uintBitsToFloat((bits & 0x80000000u) | 0x3f800000u);
}

// x s for 0 <= s <= 1, where s is 0 for x = -infinity.
float times(float x, float s) { return max(x, -3.40282347e38) * s; }

// The integral of the normal density from -infinity to x. What lies above |x| is half of
// erfc(|x| / sqrt(2)).
float normal_below(float x)
{
    const float z = abs(x);
    const float above = 0.5 * exp_square(z, 0.5) * erfcx_f32(z * 0.707106781);
    return x < 0.0 ? above : 1.0 - above;
}

// gelu's other form is x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
float gelu_tanh_inner(float x) { return 1.59576912 * (x + 0.044715 * (x * x * x)); }

// tanh(ln(1 + e^x)) = (w^2 + 2w) / (w^2 + 2w + 2), w = e^x; over w^2 where w would overflow.
float tanh_softplus(float x)
{
    const float e = exp_f32(-abs(x)), n = x > 0.0 ? 1.0 + 2.0 * e : e * (e + 2.0);
    return n / (n + 2.0 * (x > 0.0 ? e * e : 1.0));
}

float clip_f32(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

// F(NAME, y): y = TUFF_UNARY_NAME of v, which is no NaN, with the function's numbers a and b.
// COMMON ones are those that nets are full of; PLAIN ones too, and they give NaN for NaN.
#define UNARY_PLAIN(F)                                                          \
    F(RELU, v <= 0.0 ? 0.0 : v)                                                 \
    F(ABS, uintBitsToFloat(floatBitsToUint(v) & 0x7fffffffu))                   \
    F(SQUARE, v * v)                                                            \
    F(AFFINE, a * v + b)                                                        \
    F(NEG, uintBitsToFloat(floatBitsToUint(v) ^ 0x80000000u))                   \
    F(LEAKY_RELU, v < 0.0 ? a * v : v)
#define UNARY_COMMON(F)                                                         \
    F(SIGMOID, sigmoid_f32(v))                                                  \
    F(TANH, tanh_f32(v))                                                        \
    F(EXP, exp_f32(v))                                                          \
    F(LOG, log_f32(v))                                                          \
    F(SQRT, sqrt_f32(v))                                                        \
    F(SIGN, sign_f32(v))                                                        \
    F(RSQRT, 1.0 / sqrt_f32(v))                                                 \
    F(RECIPROCAL, 1.0 / v)                                                      \
    F(CLIP, clip_f32(v, a, b))                                                  \
    F(SILU, times(v, sigmoid_f32(v)))                                           \
    F(HARDSWISH, times(v, clamp(v * (1.0 / 6.0) + 0.5, 0.0, 1.0)))              \
    F(HARDSIGMOID, clamp(a * v + b, 0.0, 1.0))
#define UNARY_RARE(F)                                                           \
    F(FLOOR, signed_as(floor(v), v))                                            \
    F(CEIL, signed_as(ceil(v), v))                                              \
    F(ROUND, signed_as(roundEven(v), v))                                        \
    F(ERF, erf_f32(v))                                                          \
    F(SIN, cos_sin(v).y)                                                        \
    F(COS, cos_sin(v).x)                                                        \
    F(ELU, v < 0.0 ? a * expm1_f32(v) : v)                                      \
    F(SELU, b * (v < 0.0 ? a * expm1_f32(v) : v))                               \
    F(CELU, v < 0.0 ? a * expm1_f32(v / a) : v)                                 \
    F(GELU, times(v, a != 0.0 ? sigmoid_f32(gelu_tanh_inner(v)) : normal_below(v))) \
    F(SOFTPLUS, max(v, 0.0) + log1p_f32(exp_f32(-abs(v))))                      \
    F(MISH, times(v, tanh_softplus(v)))                                         \
    F(SOFTSIGN, abs(v) > 1e30 ? sign_f32(v) : v / (1.0 + abs(v)))               \
    F(THRESHOLDED_RELU, v > a ? v : 0.0)
