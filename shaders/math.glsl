// exp, log, tanh, sigmoid, sine and cosine, each within 3e-7 of the true value, relative, on
// every driver.
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
//           Taylor in f pi/2, |f pi/2| <= pi/4, left out below 2e-9
//
// `precise` where the order of operations is what makes a step exact. NaN and infinities are
// told by their bits, because a driver may assume that there are none.

const float LN2_HIGH = 0.693359375;     // 355/512
const float LN2_LOW = -2.12194440e-4;   // ln 2 - 355/512

bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

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

// (cos, sin) of 2 pi u, 0 <= u < 1.
vec2 cos_sin_turn(float u)
{
    const float q = floor(4.0 * u + 0.5);
    const float a = (4.0 * u - q) * 1.57079633, z = a * a;
    const float s = a + a * z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 +
                    z * (1.0 / 362880.0))));
    const float c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 +
                    z * (1.0 / 40320.0 - z * (1.0 / 3628800.0)))));
    const int quarter = int(q) & 3;
    return quarter == 0 ? vec2(c, s) : quarter == 1 ? vec2(-s, c)
         : quarter == 2 ? vec2(-c, -s) : vec2(s, -c);
}
