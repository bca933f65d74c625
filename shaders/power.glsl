// Powers and remainders of floats, by steps that lose nothing that matters.
#include "math.glsl"
#include "two.glsl"

// ln x of x > 0 as a sum of two, within 1e-9 of itself: what e^(y ln x) has to know, where
// y ln x may be 88. As log_f32, where 2 s and n ln 2 are taken in two parts.
vec2 log_two(float x)
{
    uint bits = floatBitsToUint(x);
    float n = 0.0;
    if (bits < 0x00800000u) {
        bits = floatBitsToUint(x * 16777216.0);
        n = -24.0;
    }
    const int e = (int(bits) - 0x3f3504f3) >> 23;
    const float f = uintBitsToFloat(bits - (uint(e) << 23)) - 1.0;
    n += float(e);
    precise const float d = 2.0 + f, d_low = f - (d - 2.0), s = f / d;
    const vec2 back = two_product(s, d);
    precise const float s_low = ((f - back.x) - back.y - s * d_low) / d;
    const float z = s * s;
    const float r = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0 + z *
                    (2.0 / 11.0)))));
    const vec2 sum = two_sum(n * LN2_HIGH, 2.0 * s);
    precise const float low = sum.y + (2.0 * s_low + s * r + n * LN2_LOW);
    precise const float high = sum.x + low;
    precise const float left = low - (high - sum.x);
    return vec2(high, left);
}

// x^y for finite x > 0 and finite y.
float power_of(float x, float y)
{
    const vec2 l = log_two(x);
    const float t = y * l.x;
    if (t > 89.0) return POS_INF;
    if (t < -104.0) return 0.0;
    const vec2 p = two_product(y, l.x);
    return exp_f32(p.x) * (1.0 + (p.y + y * l.y));
}

// x^y as C's pow: 1 for y = 0 and for x = 1; of negative x only whole y, odd ones negative.
float pow_f32(float x, float y)
{
    const float z = abs(x);
    if (y == 0.0 || x == 1.0) return 1.0;
    if (is_nan(x)) return x;
    if (is_nan(y)) return y;
    const bool is_whole = abs(y) >= 8388608.0 || floor(y) == y;
    const bool odd = is_whole && abs(y) < 16777216.0 && (int(y) & 1) != 0;
    float r;
    if (abs(y) == POS_INF) r = z == 1.0 ? 1.0 : (z > 1.0) == (y > 0.0) ? POS_INF : 0.0;
    else if (z == 0.0 || z == POS_INF) r = (z == 0.0) == (y < 0.0) ? POS_INF : 0.0;
    else r = power_of(z, y);
    const bool negative = floatBitsToUint(x) >> 31 != 0u;
    if (negative && z != 0.0 && z != POS_INF && !is_whole) return nan();
    return negative && odd ? -r : r;
}

// A float's magnitude as m 2^(e - 150).
uvec2 whole_and_exponent(uint bits)
{
    const uint e = bits >> 23;
    return e == 0u ? uvec2(bits, 1u) : uvec2((bits & 0x7fffffu) | 0x800000u, e);
}

// What is left of a / b with the quotient cut towards zero, exactly: in whole numbers, eight
// bits of the quotient at a time.
float fmod_f32(float a, float b)
{
    const uint sign = floatBitsToUint(a) & 0x80000000u;
    const uint u = floatBitsToUint(a) & 0x7fffffffu, v = floatBitsToUint(b) & 0x7fffffffu;
    if (u >= 0x7f800000u || v > 0x7f800000u || v == 0u) return nan();
    if (u < v) return a;
    const uvec2 m = whole_and_exponent(u), d = whole_and_exponent(v);
    uint r = m.x % d.x;
    for (uint n = m.y - d.y; n > 0u; n -= min(n, 8u)) r = (r << min(n, 8u)) % d.x;
    if (r == 0u) return uintBitsToFloat(sign);
    // r 2^(d.y - 150), with its first bit where a float has it, or as a subnormal.
    const uint shift = uint(23 - findMSB(r));
    if (shift >= d.y) return uintBitsToFloat(sign | r << (d.y - 1u));
    return uintBitsToFloat(sign | (d.y - shift) << 23 | (r << shift & 0x7fffffu));
}

// The same with the quotient cut downwards: what is left has b's sign.
float mod_f32(float a, float b)
{
    const float r = fmod_f32(a, b);
    const uint bits = floatBitsToUint(r); // a driver may take a subnormal for 0
    return (bits << 1) != 0u && int(bits ^ floatBitsToUint(b)) < 0 ? r + b : r;
}
