#version 450
#extension GL_GOOGLE_include_directive : require
// codebook_grad, its second half: the sums of the parts, added in their order.
//
//   binding 0  sums       f32[parts][1 << BITS]  read
//   binding 1  dcodebook  f32[1 << BITS]         write
//   spec 0     WG    workgroup size
//   spec 1     BITS  of an index
//   grid       1 << BITS invocations, folded
#include "common.glsl"
#include "sum.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BITS = 4;
layout(push_constant) uniform Push { tuff_codebook_pc pc; };
layout(binding = 0) readonly buffer Sums { float sums[]; };
layout(binding = 1) writeonly buffer Dcodebook { float dcodebook[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= 1 << BITS) return;
    Sum all = Sum(0.0, 0.0);
    for (uint p = 0; p < pc.parts; p++) sum_add(all, sums[(p << BITS) + i]);
    dcodebook[i] = sum_value(all);
}
