// exp, log, tanh, sigmoid, erf, sine and cosine, each within 3e-7 of the true value, relative,
// on every driver.
//
// The built-ins are no ground to stand on: Vulkan asks of exp only 3 + 2|x| ulp, of log near
// 1 only 2^-21 absolute, of sin only 2^-11 absolute, nothing of tanh; and one driver's tanh is
// NaN for large x. So each function here reduces its argument to a small interval, where a
// series with few terms is exact to f32, and puts the answer together again:
//
//   exp     x = n ln 2 + r, |r| <= ln(2)/2        e^x = 2^n (1 + p(r))
//           p = r + r^2/2! + ... + r^7/7!; what is left out is below r^8/8! < 6e-9.
//           n ln 2 is taken off in two steps: the first constant has 9 bits, so that n times
//           it is exact and the subtraction loses nothing (Cody and Waite, 1980).
//   expm1   2^n p(r) + (2^n - 1), so that nothing cancels round 0
//   log     x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); s = f / (2 + f)
//           log(1 + f) = 2 atanh(s) = 2s + s R,  R = 2 (s^2/3 + s^4/5 + s^6/7 + s^8/9)
//                      = f - s (f - R)           because 2s = f - s f
//           f is exact and s (f - R) is small beside it, so that log is exact round 1 too.
//           |s| < 0.172: what is left out of R is below 2 s^10/11 < 5e-9 relative.
//   tanh    t / (t + 2), t = expm1(2 |x|), with x's sign
//   sigmoid 1 / (1 + e) or e / (1 + e), e = exp(-|x|): never overflows
//   sine    of whole turns, where the reduction is exact: 4u = q + f, |f| <= 1/2, then
//           Taylor in f pi/2, |f pi/2| <= pi/4, left out below 2e-9. Of radians, q pi/2 is
//           taken off in three steps; where |x| is large, x 2/pi is multiplied out in whole
//           numbers with as many bits of 2/pi as decide it (Payne and Hanek, 1983).
//   erf     x P(x^2) for |x| < 1; beyond, 1 - erfc(x), erfc(x) = e^(-x^2) erfcx(x), and
//           (1 + 2x) erfcx(x) is a polynomial in u = (x - 2.5) / (x + 2.5). Both polynomials
//           are Chebyshev's, within 2e-9 and 3e-8. x^2 is taken in two parts, since what
//           rounding takes from it would be an error of e^(-x^2) relative to itself.
//
// `precise` where the order of operations is what makes a step exact. NaN and infinities are
// told by their bits, because a driver may assume that there are none.

#ifndef TUFF_MATH_GLSL
#define TUFF_MATH_GLSL

const float LN2_HIGH = 0.693359375;     // 355/512
const float LN2_LOW = -2.12194440e-4;   // ln 2 - 355/512

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

// Built-in square roots are made of 1 / sqrt(x), which has no answer at the ends.
float sqrt_f32(float x) { return x == 0.0 || floatBitsToUint(x) == 0x7f800000u ? x : sqrt(x); }

float nan() { return uintBitsToFloat(0x7fc00000u); }

// 2^n for -126 <= n <= 127.
float power_of_two(int n) { return uintBitsToFloat(uint(n + 127) << 23); }

// x = n ln 2 + r; returns e^r - 1.
float exp_reduced(float x, out int n)
{
    const float whole = floor(x * 1.44269504 + 0.5);
    n = int(whole);
    precise float r = x - whole * LN2_HIGH;
    r = r - whole * LN2_LOW;
    float p = r * (1.0 / 5040.0) + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    return p * (r * r) + r;
}

float exp_f32(float x)
{
    int n;
    const float p = exp_reduced(clamp(x, -104.0, 89.0), n);
    // Two factors: 2^n alone would overflow at n = 128 and vanish below -126.
    const int half_n = n >> 1;
    const float y = (1.0 + p) * power_of_two(half_n) * power_of_two(n - half_n);
    return is_nan(x) ? x : x > 88.8 ? uintBitsToFloat(0x7f800000u) : y;
}

// e^x for x <= 0, of differences x = a - b; 0 where it is no normal number. The product with
// 1 / ln 2 rounds x once more, as much as the difference did. The polynomial for 2^f is
// Chebyshev's, within 1.5e-7, and 1 at 0: half the work of exp_f32. A sum with 1.5 2^23 has the
// rounded exponent in its lowest bits.
float exp_below(float x)
{
    const float wide = x * 1.44269504;
    const float t = wide < -127.0 ? -127.0 : wide; // a NaN stays one
    precise const float sum = t + 12582912.0;
    precise const float whole = sum - 12582912.0;
    const float f = t - whole, g = f * f;
    const float high = (0.00132764725 * f + 0.00967554096) * g +
                       (0.0555071309 * f + 0.240221202);
    const float p = high * g + (0.693146944 * f + 1.0);
    return p * uintBitsToFloat((floatBitsToUint(sum) << 23) + 0x3f800000u);
}

// e^x - 1 for x <= 80.
float expm1_f32(float x)
{
    int n;
    const float p = exp_reduced(max(x, -40.0), n);
    const float scale = power_of_two(n);
    return scale * p + (scale - 1.0);
}

float log_f32(float x)
{
    // A subnormal is first scaled up; the compare is by bits, as a driver may flush it to 0.
    uint bits = floatBitsToUint(x);
    int k = 0;
    if (bits < 0x00800000u && bits != 0u) {
        bits = floatBitsToUint(x * 8388608.0);
        k = -23;
    }
    const int e = (int(bits) - 0x3f3504f3) >> 23; // 0x3f3504f3 is sqrt(1/2)
    k += e;
    const float f = uintBitsToFloat(bits - (uint(e) << 23)) - 1.0;
    const float s = f / (2.0 + f), z = s * s;
    const float r = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0))));
    const float n = float(k);
    precise float y = n * LN2_LOW - s * (f - r);
    y = (y + f) + n * LN2_HIGH;
    if (x == 0.0) return uintBitsToFloat(0xff800000u);
    // Negative, infinite or NaN: all have bits from infinity's upwards.
    if (bits >= 0x7f800000u) return bits == 0x7f800000u || is_nan(x) ? x : nan();
    return y;
}

float tanh_f32(float x)
{
    const float t = expm1_f32(min(2.0 * abs(x), 40.0));
    const float y = t / (t + 2.0);
    return is_nan(x) ? x : x < 0.0 ? -y : y;
}

float sigmoid_f32(float x)
{
    const float e = exp_f32(-abs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// ln(1 + x) for 0 <= x <= 1.
float log1p_f32(float x)
{
    const float s = x / (2.0 + x), z = s * s;
    const float r = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * (2.0 / 7.0 + z * (2.0 / 9.0))));
    return x < 0.41 ? x - s * (x - r) : log_f32(1.0 + x);
}

// e^(-scale x^2), scale a power of two not above 1, x >= 0. The first 12 bits of x have an
// exact square.
float exp_square(float x, float scale)
{
    x = min(x, 30.0); // and the result is 0
    const float h = uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u);
    precise const float rest = (x - h) * (x + h);
    return exp_f32(-scale * h * h) * exp_f32(-scale * rest);
}

// e^(x^2) erfc(x) for x >= 0; for x up to 10.6, where erfc(x) has long been 0.
float erfcx_f32(float x)
{
    x = min(x, 10.6);
    const float u = (x - 2.5) / (x + 2.5);
    float p = 0.000471216591;
    p = p * u + 0.000357319407;
    p = p * u - 0.00428984587;
    p = p * u + 0.00100337788;
    p = p * u + 0.0327355581;
    p = p * u - 0.102982267;
    p = p * u + 0.157633161;
    p = p * u - 0.0990234374;
    p = p * u - 0.122356896;
    p = p * u + 1.26483817;
    return p / (1.0 + 2.0 * x);
}

float erf_f32(float x)
{
    const float z = abs(x), s = x * x;
    if (z < 1.0) {
        float p = 7.87587506e-05;
        p = p * s - 0.000801686429;
        p = p * s + 0.00518908742;
        p = p * s - 0.026854212;
        p = p * s + 0.112835947;
        p = p * s - 0.376126267;
        p = p * s + 1.12837917;
        return x * p;
    }
    const float y = 1.0 - exp_square(z, 1.0) * erfcx_f32(z);
    return is_nan(x) ? x : x < 0.0 ? -y : y;
}

// (cos, sin) of a + quarter pi/2, |a| <= pi/4.
vec2 cos_sin_quarter(float a, int quarter)
{
    const float z = a * a;
    const float s = a + a * z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 +
                    z * (1.0 / 362880.0))));
    const float c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 +
                    z * (1.0 / 40320.0 - z * (1.0 / 3628800.0)))));
    quarter &= 3;
    return quarter == 0 ? vec2(c, s) : quarter == 1 ? vec2(-s, c)
         : quarter == 2 ? vec2(-c, -s) : vec2(s, -c);
}

// (cos, sin) of 2 pi u, 0 <= u < 1.
vec2 cos_sin_turn(float u)
{
    const float q = floor(4.0 * u + 0.5);
    return cos_sin_quarter((4.0 * u - q) * 1.57079633, int(q));
}

// Word i of the bits of 2/pi, of which word 1 is the first behind the point.
uint two_over_pi(uint i)
{
    return i == 1u ? 0xa2f9836eu : i == 2u ? 0x4e441529u : i == 3u ? 0xfc2757d1u
         : i == 4u ? 0xf534ddc0u : i == 5u ? 0xdb629599u : i == 6u ? 0x3c439041u
         : i == 7u ? 0xfe5163abu : 0u;
}

// The 32 bits of 2/pi from bit `at` on.
uint two_over_pi_from(uint at)
{
    const uint i = at >> 5, shift = at & 31u;
    const uint high = two_over_pi(i), low = two_over_pi(i + 1u);
    return shift == 0u ? high : high << shift | low >> (32u - shift);
}

// (cos, sin) of a finite x >= 2^13 = m 2^e, m a whole number of 24 bits. Of 2/pi the bits that
// make whole turns are left out; the next 96, times m, are x 2/pi modulo 4 with 94 bits behind
// the point.
vec2 cos_sin_large(float x)
{
    const uint bits = floatBitsToUint(x), m = (bits & 0x7fffffu) | 0x800000u;
    const uint at = (bits >> 23) - 150u - 2u + 32u; // e - 2, 32 bits of zeros before
    uint low, high, carry, next;
    uint p2, p1, p0 = m * two_over_pi_from(at);
    umulExtended(m, two_over_pi_from(at + 64u), carry, p2);
    umulExtended(m, two_over_pi_from(at + 32u), high, low);
    p1 = uaddCarry(low, carry, next);
    p0 += high + next;
    // The quarter turns, and what is left as a signed fraction of one: of 64 bits, two's
    // complement, so that a half and more is negative and belongs to the next quarter.
    uint f1 = p0 << 2 | p1 >> 30, f0 = p1 << 2 | p2 >> 30;
    const bool negative = int(f1) < 0;
    const int quarter = int(p0 >> 30) + (negative ? 1 : 0);
    if (negative) {
        f0 = ~f0 + 1u;
        f1 = ~f1 + (f0 == 0u ? 1u : 0u);
    }
    const float f = float(f1) * 2.3283064365386963e-10 + float(f0) * 5.4210108624275222e-20;
    return cos_sin_quarter((negative ? -f : f) * 1.57079633, quarter);
}

// (cos, sin) of x radians.
vec2 cos_sin(float x)
{
    const float z = abs(x);
    vec2 y;
    if (z < 8192.0) {
        // The constants have 8 and 11 bits: times a whole number below 2^13 they are exact.
        const float q = floor(z * 0.636619772 + 0.5);
        precise float a = z - q * 1.5703125;
        a = a - q * 4.837512969970703125e-4;
        a = a - q * 7.5497899548918821e-8;
        y = cos_sin_quarter(a, int(q));
    } else {
        y = cos_sin_large(z);
    }
    if (floatBitsToUint(z) >= 0x7f800000u) return vec2(nan());
    return vec2(y.x, floatBitsToUint(x) >> 31 != 0u ? -y.y : y.y);
}

#endif
