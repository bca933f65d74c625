#version 450
#extension GL_GOOGLE_include_directive : require
// Adds updates to the rows of y that their keys name, or joins them otherwise. Where the run of
// a row's updates begins in the sorted list, its invocations go through the run alone: no
// atomics, and the order of a sum is that of the updates.
//
//   binding 0  updates  uint[outer * picks * inner]  read
//   binding 1  pairs    (key, place) sorted: uint[2 * picks]  read
//   binding 2  y        uint[outer * rows * inner]   read, write
//   spec 0     WG      workgroup size
//   spec 1     HOW     TUFF_SCATTER_...
//   spec 2     TYPE    TUFF_WORD_...
//   grid       picks * outer * inner / WG, folded
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "sum.glsl"
#include "abi/index.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint HOW = TUFF_SCATTER_ADD;
layout(constant_id = 2) const uint TYPE = TUFF_WORD_F32;
layout(push_constant) uniform Push { tuff_scatter_pc pc; };
layout(binding = 0) readonly buffer Updates { uint updates[]; };
layout(binding = 1) readonly buffer Pairs { uint pairs[]; };
layout(binding = 2) buffer Y { uint y[]; };

uint join_f32(float a, float b)
{
    if (HOW == TUFF_SCATTER_MUL) return floatBitsToUint(a * b);
    const bool wins = HOW == TUFF_SCATTER_MAX ? b > a : b < a; // a NaN does, too
    return floatBitsToUint(wins || is_nan(b) ? b : a);
}

uint join(uint a, uint b)
{
    if (HOW == TUFF_SCATTER_NONE) return b;
    if (TYPE == TUFF_WORD_F32) return join_f32(uintBitsToFloat(a), uintBitsToFloat(b));
    if (HOW == TUFF_SCATTER_ADD) return a + b;
    if (HOW == TUFF_SCATTER_MUL) return a * b;
    const bool below = TYPE == TUFF_WORD_I32 ? int(b) < int(a) : b < a;
    return below == (HOW == TUFF_SCATTER_MIN) ? b : a;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex, width = pc.outer * pc.inner;
    if (i >= pc.picks * width) return;
    const uint s = quotient(i, width), rest = i - s * width;
    const uint key = pairs[2 * s];
    if (key == TUFF_NO_ROW || (s > 0 && pairs[2 * s - 2] == key)) return;
    const uint outer = quotient(rest, pc.inner), col = rest - outer * pc.inner;
    const uint to = (outer * pc.rows + key) * pc.inner + col;
    const uint base = outer * pc.picks * pc.inner + col;
    uint v = y[to];
    Sum sum = Sum(uintBitsToFloat(v), 0.0);
    uint p = s + pc.first;
    for (uint n = 0; n < pc.span && p < pc.picks && pairs[2 * p] == key; n++, p++) {
        const uint u = updates[base + pairs[2 * p + 1] * pc.inner];
        if (HOW == TUFF_SCATTER_ADD && TYPE == TUFF_WORD_F32) sum_add(sum, uintBitsToFloat(u));
        else v = join(v, u);
    }
    if (p == s + pc.first) return;
    if (HOW == TUFF_SCATTER_ADD && TYPE == TUFF_WORD_F32) v = floatBitsToUint(sum_value(sum));
    y[to] = v;
}
