#version 450
#extension GL_GOOGLE_include_directive : require
// pairs = (mean, inv) of each row, which kernels that bind few buffers read.
//
//   binding 0  mean   float[count]; anything unless MEAN     read
//   binding 1  inv    float[count]                           read
//   binding 2  pairs  float[count * 2]                       write
//   spec 0     WG     workgroup size
//   spec 1     MEAN   there is a mean; else it is 0
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "abi/norm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool MEAN = true;
layout(push_constant) uniform Push { tuff_norm_merge_pc pc; };
layout(binding = 0) readonly buffer Means { float means[]; };
layout(binding = 1) readonly buffer Invs { float invs[]; };
layout(binding = 2) writeonly buffer Pairs { float pairs[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    pairs[2 * i] = MEAN ? means[i] : 0.0;
    pairs[2 * i + 1] = invs[i];
}
