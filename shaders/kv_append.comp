#version 450
#extension GL_GOOGLE_include_directive : require
// kv_append: y = cache with x in the place of its positions from position[0] on.
//
//   binding 0  cache     float[g * l * d]   read
//   binding 1  x         float[g * t * d]   read
//   binding 2  position  int[1]             read
//   binding 3  y         float[g * l * d]   write; may be cache's memory
//   spec 0     WG
//   grid       count / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/sequence.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_kv_append_pc pc; };
layout(binding = 0) readonly buffer C { uint cache[]; };
layout(binding = 1) readonly buffer X { uint x[]; };
layout(binding = 2) readonly buffer P { int position[]; };
layout(binding = 3) writeonly buffer Y { uint y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row = quotient(i, pc.d), g = quotient(row, pc.l);
    const int at = int(row - g * pc.l) - position[0];
    if (at >= 0 && at < int(pc.t)) y[i] = x[(g * pc.t + uint(at)) * pc.d + i - row * pc.d];
    else y[i] = cache[i];
}
