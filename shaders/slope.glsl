// Derivatives of functions of one element, as unary_grad.comp and kernels of chains have them.
#include "unary.glsl"

// Beyond 200 every function here is straight, and infinity times 0 is met nowhere.
float near(float v) { return clamp(v, -200.0, 200.0); }

float gelu_slope(float v)
{
    return normal_below(v) + near(v) * (0.398942280 * exp_square(abs(v), 0.5));
}

// With y = v s(w(v)): y' = s + v s (1 - s) w'. s (1 - s) from e^-|w|, so that nothing cancels.
float sigmoid_product_slope(float v, float w, float dw)
{
    const float e = exp_f32(-abs(w)), part = e / ((1.0 + e) * (1.0 + e));
    return (w < 0.0 ? e : 1.0) / (1.0 + e) + v * part * dw;
}

float gelu_tanh_slope(float v)
{
    return sigmoid_product_slope(v, gelu_tanh_inner(v),
                                 1.59576912 * (1.0 + 3.0 * 0.044715 * (v * v)));
}

// With t = tanh(ln(1 + w)), w = e^v and d = w^2 + 2w + 2: t' = 4 w (1 + w) / d^2.
float mish_slope(float v)
{
    const float e = exp_f32(-abs(v)), d = v > 0.0 ? 1.0 + 2.0 * e * (1.0 + e)
                                                  : e * (e + 2.0) + 2.0;
    const float n = v > 0.0 ? 4.0 * e * e * (1.0 + e) : 4.0 * e * (1.0 + e);
    return tanh_softplus(v) + v * n / (d * d);
}

float softsign_slope(float v)
{
    const float r = 1.0 / (1.0 + abs(v));
    return r * r;
}

// Where a function is flat nothing passes, not even an infinite dy.
float passed(float slope, float dy) { return slope == 0.0 ? 0.0 : dy * slope; }

// F(NAME, dx): dx = dy times the slope of TUFF_UNARY_NAME at v, which is no NaN, with the
// function's numbers a and b. RELU, SIGMOID and TANH are given f's output in the place of v.
#define SLOPE_COMMON(F)                                                         \
    F(RELU, v > 0.0 ? dy : 0.0)                                                 \
    F(SIGMOID, passed(v * (1.0 - v), dy))                                       \
    F(TANH, passed((1.0 - v) * (1.0 + v), dy)) /* nothing cancels */            \
    F(LEAKY_RELU, v > 0.0 ? dy : a * dy)                                        \
    F(SILU, passed(sigmoid_product_slope(near(v), near(v), 1.0), dy))           \
    F(HARDSWISH, v < -3.0 ? 0.0 : v > 3.0 ? dy : dy * (v * (1.0 / 3.0) + 0.5))  \
    F(HARDSIGMOID, a * v + b > 0.0 && a * v + b < 1.0 ? a * dy : 0.0)
#define SLOPE_RARE(F)                                                           \
    F(ELU, v > 0.0 ? dy : passed(a * exp_f32(v), dy))                           \
    F(SELU, passed(b * (v > 0.0 ? 1.0 : a * exp_f32(v)), dy))                   \
    F(CELU, v > 0.0 ? dy : passed(exp_f32(v / a), dy))                          \
    F(GELU, passed(a != 0.0 ? gelu_tanh_slope(near(v)) : gelu_slope(v), dy))    \
    F(SOFTPLUS, passed(sigmoid_f32(v), dy))                                     \
    F(MISH, passed(mish_slope(near(v)), dy))                                    \
    F(SOFTSIGN, passed(softsign_slope(v), dy))                                  \
    F(ERF, passed(1.12837917 * exp_square(abs(v), 1.0), dy))                    \
    F(THRESHOLDED_RELU, v > a ? dy : 0.0)
