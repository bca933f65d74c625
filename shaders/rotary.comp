#version 450
#extension GL_GOOGLE_include_directive : require
// rotary: turns pairs of numbers by the angles of their position.
//
//   binding 0  x      float[rows * d]        read
//   binding 1  cosine float[P * half_n]      read
//   binding 2  sine   float[P * half_n]      read
//   binding 3  y      float[rows * d]        write; not x's memory
//   binding 4  positions, texels of uint     read; without POSITIONS anything
//   spec 0     WG
//   spec 1     POSITIONS    there are positions; else a row's own index modulo t
//   spec 2     INTERLEAVED
//   spec 3     INVERSE
//   grid       rows * d / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/sequence.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool POSITIONS = false;
layout(constant_id = 2) const bool INTERLEAVED = false;
layout(constant_id = 3) const bool INVERSE = false;
layout(push_constant) uniform Push { tuff_rotary_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer C { float cosine[]; };
layout(binding = 2) readonly buffer S { float sine[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 4) uniform usamplerBuffer positions;

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.rows * pc.d) return;
    const uint row = quotient(i, pc.d), j = i - row * pc.d;
    if (j >= 2u * pc.half_n) {
        y[i] = x[i];
        return;
    }
    const uint per = quotient(row, pc.rows_per_n), t = row - quotient(row, pc.t) * pc.t;
    uint place = t;
    if (POSITIONS) place = texelFetch(positions, int(per * pc.t + t)).x;
    const uint pair = INTERLEAVED ? j / 2u : j < pc.half_n ? j : j - pc.half_n;
    const bool second = INTERLEAVED ? (j & 1u) != 0u : j >= pc.half_n;
    const uint other = row * pc.d + (INTERLEAVED ? j ^ 1u
                                     : second ? j - pc.half_n : j + pc.half_n);
    if (place >= pc.limit) { // outside of the table: not turned
        y[i] = x[i];
        return;
    }
    const uint at = place * pc.half_n + pair;
    const float s = second == INVERSE ? -sine[at] : sine[at];
    y[i] = x[i] * cosine[at] + x[other] * s;
}
