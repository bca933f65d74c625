#version 450
#extension GL_GOOGLE_include_directive : require
// Lamb's trust ratios |w| / |d|, one for each parameter of the flat tensor, and the step that
// they scale. `starts` says where the parameters begin. The sums are made in one order:
//
//   parameters   |   0   |        1         |2|        3        |
//   chunks       |   0   .   1   .   2   .   3   .   4   .   5  |    of `span` elements each
//   pieces       |   0   |1 |   3   |  4 |..|                        chunk + parameter
//
// A piece is what a parameter has in a chunk. From one piece to the next at least one of the
// two numbers grows, so that their sum names it. Stages, by -D:
//
//   PIECES  one workgroup a chunk: pieces[p] = (sum of w^2, sum of d^2)
//   TRUST   one workgroup a parameter: table[s] = (start, bits of its ratio)
//   APPLY   one invocation an element: w - lr ratio d
//
//            PIECES                  TRUST                     APPLY
//   binding 0  w      float[count]   pieces vec2[]      read   w      float[count]
//   binding 1  d      float[count]   starts int[]       read   d      float[count]
//   binding 2  starts int[]          table  uvec2[] (written)  table  uvec2[segments]
//   binding 3  pieces vec2[], write  -                         w      float[count], write; may
//                                                              be the memory of binding 0
//   binding 4  -                     -                         hyper  float[8], a texel buffer
//   spec 0     WG     workgroup size, a power of two
//   grid       ceil(count / span); segments; ceil(count / WG): folded
#include "common.glsl"
#include "math.glsl"
#include "sum.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_lamb_pc pc; };

#ifdef TRUST
layout(binding = 0) readonly buffer Pieces { vec2 pieces[]; };
layout(binding = 1) readonly buffer Starts { int starts[]; };
layout(binding = 2) writeonly buffer Table { uvec2 table[]; };
#else
layout(binding = 0) readonly buffer W { float w[]; };
layout(binding = 1) readonly buffer D { float d[]; };
#ifdef PIECES
layout(binding = 2) readonly buffer Starts { int starts[]; };
layout(binding = 3) writeonly buffer Pieces { vec2 pieces[]; };
#else
layout(binding = 2) readonly buffer Table { uvec2 table[]; };
layout(binding = 3) writeonly buffer Result { float result[]; };
layout(binding = 4) uniform samplerBuffer hyper;
#endif
#endif

// Where parameter s begins. Starts that are out of range read nothing that is not there.
uint start_of(uint s)
{
    if (s == 0) return 0;
    if (s >= pc.segments) return pc.count;
#ifdef APPLY
    return table[s].x;
#else
    return min(uint(starts[s]), pc.count);
#endif
}

// The last parameter that begins at i or before.
uint segment_of(uint i)
{
    uint low = 0, high = pc.segments; // begins at or before i; begins after i
    while (high - low > 1) {
        const uint middle = (low + high) / 2;
        if (start_of(middle) <= i) low = middle;
        else high = middle;
    }
    return low;
}

#ifdef APPLY
void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const float ratio = uintBitsToFloat(table[segment_of(i)].y);
    const bool skip = texelFetch(hyper, TUFF_HYPER_SKIP).x >= 1.0;
    result[i] = skip ? w[i] : w[i] - texelFetch(hyper, TUFF_HYPER_LR).x * ratio * d[i];
}
#else

shared vec2 part[WG];

// The workgroup's sum; read by invocation 0.
vec2 together(Sum a, Sum b)
{
    const uint t = gl_LocalInvocationIndex;
    barrier(); // the sum before was read
    part[t] = vec2(sum_value(a), sum_value(b));
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    return part[0];
}
#endif

#ifdef PIECES
void main()
{
    const uint chunk = group_index(), t = gl_LocalInvocationIndex;
    uint begin = chunk * pc.span;
    if (begin >= pc.count) return; // the whole workgroup leaves together
    const uint last = min(begin + pc.span, pc.count);
    for (uint s = segment_of(begin); begin < last; s++) {
        const uint end = min(start_of(s + 1), last);
        if (end <= begin) continue; // a parameter without elements
        Sum ww = Sum(0.0, 0.0), dd = Sum(0.0, 0.0);
        for (uint i = begin + t; i < end; i += WG) {
            sum_add(ww, w[i] * w[i]);
            sum_add(dd, d[i] * d[i]);
        }
        const vec2 sum = together(ww, dd);
        if (t == 0) pieces[chunk + s] = sum;
        begin = end;
    }
}
#endif

#ifdef TRUST
void main()
{
    const uint s = group_index(), t = gl_LocalInvocationIndex;
    if (s >= pc.segments) return;
    const uint begin = start_of(s), end = start_of(s + 1);
    Sum ww = Sum(0.0, 0.0), dd = Sum(0.0, 0.0);
    if (end > begin) {
        const uint first = begin / pc.span, last = (end - 1) / pc.span;
        for (uint chunk = first + t; chunk <= last; chunk += WG) {
            sum_add(ww, pieces[chunk + s].x);
            sum_add(dd, pieces[chunk + s].y);
        }
    }
    const vec2 sum = together(ww, dd);
    if (t != 0) return;
    const float ratio = sum.x > 0.0 && sum.y > 0.0 ? sqrt_f32(sum.x) / sqrt_f32(sum.y) : 1.0;
    table[s] = uvec2(begin, floatBitsToUint(ratio));
}
#endif
