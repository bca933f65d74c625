#version 450
#extension GL_GOOGLE_include_directive : require
// y = 1 at the place of each row that arg.comp has found, else 0: one invocation an element.
//
//   binding 0  at  uint[rows]      read
//   binding 1  y   float[count]    write
//   spec 0     WG  workgroup size
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "abi/order.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_hardmax_pc pc; };
layout(binding = 0) readonly buffer At { uint at[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint line = i / pc.step, outer = line / pc.cols;
    y[i] = at[outer * pc.step + i % pc.step] == line - outer * pc.cols ? 1.0 : 0.0;
}
