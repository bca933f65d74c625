#version 450
#extension GL_GOOGLE_include_directive : require
// one_hot: y [outer, depth, inner] is `on` where an index of [outer, inner] names the place.
//
//   binding 0  indices  int[] or float[]       read
//   binding 1  values   off, on: uint[2]       read; anything without
//   binding 2  y        uint[]                 write
//   spec 0     WG      workgroup size
//   spec 1     FLOAT   indices are real numbers, cut towards 0
//   spec 2     VALUES  there are values; else 0 and 1 (f32)
//   grid       y / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/one_hot.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool FLOAT = false;
layout(constant_id = 2) const bool VALUES = false;
layout(push_constant) uniform Push { tuff_one_hot_pc pc; };
layout(binding = 0) readonly buffer Indices { uint indices[]; };
layout(binding = 1) readonly buffer Values { uint values[]; };
layout(binding = 2) writeonly buffer Y { uint y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint q = quotient(i, pc.inner), outer = quotient(q, pc.depth);
    const uint word = indices[outer * pc.inner + i - q * pc.inner];
    int at;
    if (FLOAT) {
        const float f = uintBitsToFloat(word); // what no int holds names nothing
        at = abs(f) < 2147483520.0 ? int(f) : 2147483647;
    } else {
        at = int(word);
    }
    if (at < 0) at += int(pc.depth);
    const bool on = at == int(q - outer * pc.depth);
    if (VALUES) y[i] = values[on ? 1 : 0];
    else y[i] = floatBitsToUint(on ? 1.0 : 0.0);
}
