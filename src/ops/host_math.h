// The functions of shaders/math.glsl, unary.glsl and power.glsl for the CPU path's kernels, by
// the same series; there is written why they are right. None has a branch (so & and | join
// conditions), and a loop over any of them becomes one over vectors.
#ifndef TUFF_OPS_HOST_MATH_H
#define TUFF_OPS_HOST_MATH_H
#include "base/bits.h"
#include "base/processor.h"
#include <math.h>

#define TUFF_INLINE static inline __attribute__((always_inline))

TUFF_INLINE float tuff_least(float a, float b) { return a < b ? a : b; }
TUFF_INLINE float tuff_most(float a, float b) { return a > b ? a : b; }
TUFF_INLINE float tuff_between(float x, float low, float high)
{
    return tuff_most(tuff_least(x, high), low);
}
TUFF_INLINE float tuff_abs_f32(float x) { return tuff_float(tuff_bits(x) & 0x7fffffff); }
// x's magnitude with the sign of `of`.
TUFF_INLINE float tuff_signed(float x, float of)
{
    return tuff_float((tuff_bits(x) & 0x7fffffff) | (tuff_bits(of) & 0x80000000));
}

// To the nearest whole number of |x| < 2^22: there a float's last bit is 1.
TUFF_INLINE float tuff_whole(float x) { return (x + 12582912.0f) - 12582912.0f; }
// The same of any x: what is 2^23 or more is whole.
TUFF_INLINE float tuff_round_f32(float x)
{
    const float z = tuff_abs_f32(x), y = (z + 8388608.0f) - 8388608.0f;
    return tuff_signed(z < 8388608.0f ? y : z, x);
}
TUFF_INLINE float tuff_floor_f32(float x)
{
    const float y = tuff_round_f32(x);
    return tuff_signed(y > x ? y - 1 : y, x);
}
TUFF_INLINE float tuff_ceil_f32(float x)
{
    const float y = tuff_round_f32(x);
    return tuff_signed(y < x ? y + 1 : y, x);
}

// 2^n for -126 <= n <= 127.
TUFF_INLINE float tuff_two_to(int32_t n) { return tuff_float((uint32_t)(n + 127) << 23); }

// x = n ln 2 + r; returns e^r - 1.
TUFF_INLINE float tuff_exp_reduced(float x, int32_t *n)
{
    const float whole = tuff_whole(x * 1.44269504f);
    float r = x - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    float p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    *n = (int32_t)whole;
    return p * (r * r) + r;
}

TUFF_INLINE float tuff_exp_f32(float x)
{
    int32_t n;
    const float p = tuff_exp_reduced(tuff_between(x, -104, 89), &n);
    const int32_t half = n >> 1;
    const float y = (1 + p) * tuff_two_to(half) * tuff_two_to(n - half);
    return x != x ? x : x > 88.8f ? INFINITY : y;
}

// e^x of x <= 0; 0 where the result would not be a normal number.
TUFF_INLINE float tuff_exp_below(float x)
{
    int32_t n;
    const float p = tuff_exp_reduced(x < -87 ? -87 : x, &n);
    const float y = (1 + p) * tuff_two_to(n);
    return x < -87 ? 0 : y;
}

// e^x - 1 for x <= 80.
TUFF_INLINE float tuff_expm1_f32(float x)
{
    int32_t n;
    const float p = tuff_exp_reduced(tuff_between(x, -40, 80), &n), scale = tuff_two_to(n);
    return scale * p + (scale - 1);
}

// ln((1 + f) 2^n) by f = the mantissa less 1.
TUFF_INLINE float tuff_log_sum(float f, float n)
{
    const float s = f / (2 + f), z = s * s;
    const float r = z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9))));
    const float y = n * -2.12194440e-4f - s * (f - r);
    return (y + f) + n * 0.693359375f;
}

TUFF_INLINE float tuff_log_f32(float x)
{
    const uint32_t tiny = tuff_bits(x) < 0x00800000;
    const uint32_t bits = tuff_bits(tiny ? x * 8388608.0f : x);
    const int32_t e = (int32_t)(bits - 0x3f3504f3) >> 23;
    const float f = tuff_float(bits - ((uint32_t)e << 23)) - 1;
    const float y = tuff_log_sum(f, (float)(e - (tiny ? 23 : 0)));
    const float ends = x == 0 ? -INFINITY : x == INFINITY ? x : NAN;
    return ((x > 0) & (x < INFINITY)) ? y : ends;
}

TUFF_INLINE float tuff_log1p_f32(float x) // 0 <= x <= 1
{
    const float far = (1 + x) * 0.5f - 1;
    return tuff_log_sum(x < 0.41f ? x : far, x < 0.41f ? 0 : 1);
}

TUFF_INLINE float tuff_tanh_f32(float x)
{
    const float t = tuff_expm1_f32(tuff_least(2 * tuff_abs_f32(x), 40));
    return tuff_signed(t / (t + 2), x);
}

TUFF_INLINE float tuff_sigmoid_f32(float x)
{
    const float e = tuff_exp_below(-tuff_abs_f32(x));
    return (x < 0 ? e : 1) / (1 + e);
}

// e^(-scale x^2), scale a power of two not above 1, x >= 0.
TUFF_INLINE float tuff_exp_square(float x, float scale)
{
    x = tuff_least(x, 30);
    const float h = tuff_float(tuff_bits(x) & 0xfffff000), rest = (x - h) * (x + h);
    return tuff_exp_below(-scale * h * h) * tuff_exp_below(-scale * rest);
}

// e^(x^2) erfc(x) for x >= 0.
TUFF_INLINE float tuff_erfcx_f32(float x)
{
    x = tuff_least(x, 10.6f);
    const float u = (x - 2.5f) / (x + 2.5f);
    float p = 0.000471216591f;
    p = p * u + 0.000357319407f;
    p = p * u - 0.00428984587f;
    p = p * u + 0.00100337788f;
    p = p * u + 0.0327355581f;
    p = p * u - 0.102982267f;
    p = p * u + 0.157633161f;
    p = p * u - 0.0990234374f;
    p = p * u - 0.122356896f;
    p = p * u + 1.26483817f;
    return p / (1 + 2 * x);
}

TUFF_INLINE float tuff_erf_f32(float x)
{
    const float z = tuff_abs_f32(x), s = tuff_least(z, 1) * tuff_least(z, 1);
    float p = 7.87587506e-05f;
    p = p * s - 0.000801686429f;
    p = p * s + 0.00518908742f;
    p = p * s - 0.026854212f;
    p = p * s + 0.112835947f;
    p = p * s - 0.376126267f;
    p = p * s + 1.12837917f;
    const float far = tuff_signed(1 - tuff_exp_square(z, 1) * tuff_erfcx_f32(z), x);
    return z < 1 ? x * p : far;
}

// ---- sine and cosine ------------------------------------------------------------------------

enum { TUFF_TURNS = 8192 }; // radians within which the functions below are right

// The cosine of `quarter` quarter turns, taken modulo 4, and |a| <= pi / 4 beside them.
TUFF_INLINE float tuff_cos_beside(float a, int32_t quarter)
{
    const float u = a * a;
    const float s = a + a * u * (-1.0f / 6 + u * (1.0f / 120 + u * (-1.0f / 5040 +
                    u * (1.0f / 362880))));
    const float c = 1 + u * (-0.5f + u * (1.0f / 24 + u * (-1.0f / 720 +
                    u * (1.0f / 40320 - u * (1.0f / 3628800)))));
    const float y = quarter & 1 ? s : c;
    return (quarter + 1) & 2 ? -y : y;
}
// The cosine of |x| < TUFF_TURNS, or with ahead = 3 the sine: a quarter turn is taken off.
TUFF_INLINE float tuff_wave(float x, int32_t ahead)
{
    const float z = tuff_least(tuff_abs_f32(x), TUFF_TURNS);
    const float q = tuff_whole(z * 0.636619772f);
    float a = z - q * 1.5703125f;
    a = a - q * 4.837512969970703125e-4f;
    a = a - q * 7.5497899548918821e-8f;
    return tuff_cos_beside(a, (int32_t)q + ahead);
}
// The same of a part 0 <= t < 1 of a whole turn.
TUFF_INLINE float tuff_wave_turn(float t, int32_t ahead)
{
    const float q = tuff_whole(4 * t);
    return tuff_cos_beside((t - 0.25f * q) * 6.28318531f, (int32_t)q + ahead);
}
TUFF_INLINE float tuff_cos_near(float x) { return tuff_wave(x, 0); }
TUFF_INLINE float tuff_sin_near(float x)
{
    const float y = tuff_wave(x, 3);
    return x < 0 ? -y : y == 0 ? x : y;
}

// ---- of activations -------------------------------------------------------------------------

TUFF_INLINE float tuff_sign_f32(float x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
// x s for 0 <= s <= 1, where s is 0 for x = -infinity.
TUFF_INLINE float tuff_times(float x, float s) { return tuff_most(x, -3.40282347e38f) * s; }

TUFF_INLINE float tuff_normal_below(float x)
{
    const float z = tuff_abs_f32(x);
    const float above = 0.5f * tuff_exp_square(z, 0.5f) * tuff_erfcx_f32(z * 0.707106781f);
    return x < 0 ? above : 1 - above;
}

TUFF_INLINE float tuff_gelu_inner(float x)
{
    return 1.59576912f * (x + 0.044715f * (x * x * x));
}

TUFF_INLINE float tuff_tanh_softplus(float x)
{
    const float e = tuff_exp_below(-tuff_abs_f32(x));
    const float n = x > 0 ? 1 + 2 * e : e * (e + 2);
    return n / (n + 2 * (x > 0 ? e * e : 1));
}

// ---- powers ---------------------------------------------------------------------------------

typedef struct tuff_two {
    float x, y; // a sum, of which y is what rounding took from x
} tuff_two;

TUFF_INLINE tuff_two tuff_two_product(float a, float b)
{
    const float ah = tuff_float(tuff_bits(a) & 0xfffff000), al = a - ah;
    const float bh = tuff_float(tuff_bits(b) & 0xfffff000), bl = b - bh, p = a * b;
    return (tuff_two){ p, ((ah * bh - p) + ah * bl + al * bh) + al * bl };
}

// ln x of finite x > 0 as a sum of two.
TUFF_INLINE tuff_two tuff_log_two(float x)
{
    const uint32_t tiny = tuff_bits(x) < 0x00800000;
    const uint32_t bits = tuff_bits(tiny ? x * 16777216.0f : x);
    const int32_t e = (int32_t)(bits - 0x3f3504f3) >> 23;
    const float f = tuff_float(bits - ((uint32_t)e << 23)) - 1;
    const float n = (float)(e - (tiny ? 24 : 0));
    const float d = 2 + f, d_low = f - (d - 2), s = f / d;
    const tuff_two back = tuff_two_product(s, d);
    const float s_low = ((f - back.x) - back.y - s * d_low) / d, z = s * s;
    const float r = z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9 + z *
                    (2.0f / 11)))));
    const float a = n * 0.693359375f, b = 2 * s, sum = a + b, t = sum - a;
    const float lost = (a - (sum - t)) + (b - t);
    const float low = lost + (2 * s_low + s * r + n * -2.12194440e-4f), high = sum + low;
    return (tuff_two){ high, low - (high - sum) };
}

// x^y for finite x > 0 and finite y.
TUFF_INLINE float tuff_power_of(float x, float y)
{
    const tuff_two l = tuff_log_two(x);
    const float t = y * l.x, near = ((t > 89) | (t < -104)) ? 0 : y;
    const tuff_two p = tuff_two_product(near, l.x);
    const float z = tuff_exp_f32(p.x) * (1 + (p.y + near * l.y));
    return t > 89 ? INFINITY : t < -104 ? 0 : z;
}

TUFF_INLINE float tuff_pow_f32(float x, float y)
{
    const float z = tuff_abs_f32(x), w = tuff_abs_f32(y);
    const int whole = (w >= 8388608) | (tuff_round_f32(w) == w);
    const float half = 0.5f * w;
    const int odd = whole & (w < 16777216) & (tuff_round_f32(half) != half);
    const int ends = (z == 0) | (z == INFINITY);
    const float usual = tuff_power_of(ends ? 1 : z, w == INFINITY ? 1 : y);
    const float of_ends = (z == 0) == (y < 0) ? INFINITY : 0;
    const float to_ends = z == 1 ? 1 : (z > 1) == (y > 0) ? INFINITY : 0;
    const float r = w == INFINITY ? to_ends : ends ? of_ends : usual;
    const int negative = (int)(tuff_bits(x) >> 31);
    const float v = (negative & !ends & !whole) ? NAN : (negative & odd) ? -r : r;
    return ((y == 0) | (x == 1)) ? 1 : x != x ? x : y != y ? y : v;
}
#endif
