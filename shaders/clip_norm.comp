#version 450
#extension GL_GOOGLE_include_directive : require
// y = x min(1, max_norm / (norm + 1e-6)): one invocation an element.
//
//   binding 0  x     float[count]    read
//   binding 1  y     float[count]    write; may be x's memory
//   binding 2  norm  float[1]        read, a texel buffer
//   spec 0     WG    workgroup size
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_clip_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) uniform samplerBuffer norm;

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const float scale = pc.max_norm / (texelFetch(norm, 0).x + 1e-6);
    y[i] = x[i] * (scale >= 1.0 ? 1.0 : scale); // a NaN stays one
}
