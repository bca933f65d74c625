#version 450
#extension GL_GOOGLE_include_directive : require
// The end of a product whose sums were cut, or which is scaled:
// y = act(alpha (sum of its parts) + beta (bias + residual)).
// Parts are added in their order, so that the same call gives the same bits.
//
// With -DHALF all but the parts are f16 or bf16, two in a word; an invocation writes a word.
//
//   binding 0  parts     f32[splits * count]  read
//   binding 1  y         f32[count]           write
//   binding 2  bias      f32[bias_n]          read   anything without TUFF_AFTER_BIAS
//   binding 3  residual  f32[count]           read   may be y; anything without its bit
//   spec 0     WG        invocations in a workgroup
//   spec 1     TYPE      TUFF_ELEMENT_F16 or TUFF_ELEMENT_BF16, with -DHALF
//   grid       count (or half as many) invocations, folded
#include "common.glsl"
#include "abi/gemm.h"
#include "act.glsl"

#ifdef HALF
#include "packed.glsl"
#endif

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_gemm_sum_pc pc; };
layout(binding = 0) readonly buffer Parts { float parts[]; };
#ifdef HALF
layout(constant_id = 1) const uint TYPE = TUFF_ELEMENT_F16;
layout(binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) readonly buffer Bias { uint bias[]; };
layout(binding = 3) readonly buffer Residual { uint residual[]; };
float number_of(uint w, uint i)
{
    const uint h = i % 2 == 0 ? w & 0xffffu : w >> 16;
    return TYPE == TUFF_ELEMENT_F16 ? f16_to_f32(h) : bf16_to_f32(h);
}
float bias_at(uint i) { return number_of(bias[i / 2], i); }
float residual_at(uint i) { return number_of(residual[i / 2], i); }
uint bits_of(float v) { return TYPE == TUFF_ELEMENT_F16 ? f32_to_f16(v) : f32_to_bf16(v); }
#else
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) readonly buffer Bias { float bias[]; };
layout(binding = 3) readonly buffer Residual { float residual[]; };
float bias_at(uint i) { return bias[i]; }
float residual_at(uint i) { return residual[i]; }
#endif

float sum_of(uint i)
{
    float v = 0.0;
    for (uint j = 0; j < pc.splits; j++) v += parts[j * pc.count + i];
    v *= pc.alpha;
    if ((pc.after & TUFF_AFTER_BIAS) != 0)
        v += pc.beta * bias_at(i / pc.bias_step % pc.bias_n);
    if ((pc.after & TUFF_AFTER_RESIDUAL) != 0) v += pc.beta * residual_at(i);
    return act(v, pc.after & TUFF_AFTER_ACT);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
#ifdef HALF
    if (2 * i >= pc.count) return;
    const uint low = bits_of(sum_of(2 * i));
    y[i] = 2 * i + 1 < pc.count ? low | bits_of(sum_of(2 * i + 1)) << 16 : low;
#else
    if (i < pc.count) y[i] = sum_of(i);
#endif
}
