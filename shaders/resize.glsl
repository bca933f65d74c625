// What resize and its gradient share: places in x, in whole numbers, so that every device finds
// the same element, also where a place lies just between two; and the weights of taps.
//
//   nearest  1 tap
//   linear   2 taps, 1 - t and t of the way to the second
//   cubic    4 taps, Keys' (1981): with s = 1 - t, A t s^2 and A t^2 s outside, and
//            1 - (A + 3) t^2 + (A + 2) t^3 (and with s) inside
#include "divide.glsl"
#include "abi/resize.h"

// (high, low) / by, for a quotient below 2^32 and by < 2^31.
uint long_divide(uint high, uint low, uint by, out uint rest)
{
    uint q = 0;
    rest = high;
    for (int i = 0; i < 32; i++) {
        rest = rest << 1 | low >> 31;
        low <<= 1;
        q <<= 1;
        if (rest >= by) {
            rest -= by;
            q |= 1u;
        }
    }
    return q;
}

// (a b + c) / by, as above.
uint wide_place(uint a, uint b, uint c, uint by, out uint rest)
{
    uint high, low, carry;
    umulExtended(a, b, high, low);
    low = uaddCarry(low, c, carry);
    return long_divide(high + carry, low, by, rest);
}

// Where element o of y lies.
uint place_of(tuff_resize_axis x, uint o, bool wide, out uint rest)
{
    if (wide) return wide_place(x.mul, o, x.add, x.den.by, rest);
    const uint n = x.mul * o + x.add, q = divide(n, x.den);
    rest = n - q * x.den.by;
    return q;
}

vec4 weights_of(uint taps, float t, float a)
{
    const float s = 1.0 - t;
    if (taps == 1) return vec4(1.0, 0.0, 0.0, 0.0);
    if (taps == 2) return vec4(s, t, 0.0, 0.0);
    return vec4(a * t * s * s, 1.0 + t * t * ((a + 2.0) * t - (a + 3.0)),
                1.0 + s * s * ((a + 2.0) * s - (a + 3.0)), a * t * t * s);
}

// The weights of the taps from q on, those outside of x taken away.
vec4 inside_only(vec4 w, tuff_resize_axis x, uint q)
{
    const uvec4 at = q + uvec4(0, 1, 2, 3) - x.shift;
    w *= vec4(lessThan(at, uvec4(x.size)));
    return w / (w.x + w.y + w.z + w.w);
}

// Tap k from q on, or the nearest element of x.
uint tap_of(tuff_resize_axis x, uint q, uint k)
{
    return uint(clamp(int(q + k) - int(x.shift), 0, int(x.size) - 1));
}
