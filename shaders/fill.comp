#version 450
#extension GL_GOOGLE_include_directive : require
// fill: y = value; four elements an invocation.
//
//   binding 0  y  float[count]   write
//   spec 0     WG  workgroup size
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "abi/fill.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_fill_pc pc; };
layout(binding = 0) writeonly buffer Y { float y[]; };

void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i < pc.count) y[i] = pc.value;
    }
}
