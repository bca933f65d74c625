#version 450
#extension GL_GOOGLE_include_directive : require
// Gradient of resize along one dim: one invocation an element of dx, which adds the elements
// of dy that read it, in order. The same additions always: the same bits.
//
//   binding 0  dy  float[outer, outs, inner], or with -DTEXEL a texel buffer    read
//   binding 1  dx  float[outer, size, inner]                                   read, write
//   spec 0     WG       workgroup size
//   spec 1     TAPS     1, 2 or 4
//   spec 2     EXCLUDE  see resize.comp
//   spec 3     WIDE     places need 64 bits
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "resize.glsl"
#include "sum.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint TAPS = 1;
layout(constant_id = 2) const bool EXCLUDE = false;
layout(constant_id = 3) const bool WIDE = false;
layout(push_constant) uniform Push { tuff_resize_grad_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer dy;
#define DY(i) texelFetch(dy, int(i)).x
#else
layout(binding = 0) readonly buffer DY_ { float dy[]; };
#define DY(i) dy[i]
#endif
layout(binding = 1) buffer DX { float dx[]; };

// The first o whose q is at least `least`, or a little less: never past it.
uint first_from(uint least)
{
    const tuff_resize_axis a = pc.axis;
    uint rest;
    if (a.mul == 0) return least * a.den.by <= a.add ? 0 : pc.outs;
    if (!WIDE) {
        const uint n = least * a.den.by;
        return n <= a.add ? 0 : min((n - a.add + a.mul - 1) / a.mul, pc.outs);
    }
    uint high, low, borrow;
    umulExtended(least, a.den.by, high, low);
    low = usubBorrow(low, a.add, borrow);
    if (high < borrow) return 0;
    const uint o = long_divide(high - borrow, low, a.mul, rest);
    return min(o + (rest > 0 ? 1 : 0), pc.outs);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const tuff_resize_axis a = pc.axis;
    const uint place = divide(i, pc.inner), outer = divide(place, pc.size);
    const uint c = place - outer * a.size, lane = i - place * pc.inner.by;
    // Taps q .. q + TAPS - 1 reach c where q is at most its place in them and no less than
    // TAPS - 1 before; what lies outside of x is its first or last element.
    const uint last = c + a.shift, least = last < TAPS - 1 ? 0 : last - (TAPS - 1);
    const uint first = (c == 0 ? 0 : first_from(least)) + pc.from;
    const uint all = c + 1 == a.size ? pc.outs : first_from(last + 1);
    const uint end = min(all, first + pc.turns);

    uint rest;
    uint q = place_of(a, first, WIDE, rest);
    Sum sum = Sum(pc.from == 0 ? 0.0 : dx[i], 0.0);
    for (uint o = first; o < end; o++) {
        vec4 w = weights_of(TAPS, float(rest) / float(a.den.by), pc.a);
        if (EXCLUDE && TAPS == 4) w = inside_only(w, a, q);
        float here = 0.0;
        for (uint k = 0; k < TAPS; k++) here += tap_of(a, q, k) == c ? w[k] : 0.0;
        // Not 0 times an infinity, which is no number.
        if (here != 0.0) sum_add(sum, here * DY((outer * pc.outs + o) * pc.inner.by + lane));
        rest += pc.step_r;
        q += pc.step_q;
        if (rest >= a.den.by) {
            rest -= a.den.by;
            q++;
        }
    }
    dx[i] = sum_value(sum);
}
