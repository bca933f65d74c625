#version 450
#extension GL_GOOGLE_include_directive : require
// The end of a product whose sums were cut, or which is scaled:
// y = act(alpha (sum of its parts) + beta (bias + residual)).
// Parts are added in their order, so that the same call gives the same bits.
//
//   binding 0  parts     f32[splits * count]  read
//   binding 1  y         f32[count]           write
//   binding 2  bias      f32[bias_n]          read   anything without TUFF_AFTER_BIAS
//   binding 3  residual  f32[count]           read   may be y; anything without its bit
//   spec 0     WG        invocations in a workgroup
//   grid       count invocations, folded
#include "common.glsl"
#include "abi/gemm.h"
#include "act.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_gemm_sum_pc pc; };
layout(binding = 0) readonly buffer Parts { float parts[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) readonly buffer Bias { float bias[]; };
layout(binding = 3) readonly buffer Residual { float residual[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    float v = 0.0;
    for (uint j = 0; j < pc.splits; j++) v += parts[j * pc.count + i];
    v *= pc.alpha;
    if ((pc.after & TUFF_AFTER_BIAS) != 0)
        v += pc.beta * bias[i / pc.bias_step % pc.bias_n];
    if ((pc.after & TUFF_AFTER_RESIDUAL) != 0) v += pc.beta * residual[i];
    y[i] = act(v, pc.after & TUFF_AFTER_ACT);
}
