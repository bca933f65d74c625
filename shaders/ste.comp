#version 450
#extension GL_GOOGLE_include_directive : require
// sign_ste, its straight-through gradient, and binarize: four neighbours an invocation.
//
//   binding 0  x      f32[count]                                             read
//   binding 1  other  SIGN: not read; GRAD: dy[count]; SCALE: a scale a row  read
//   binding 2  y      f32[count]                                             write
//   spec 0     WG  workgroup size
//   spec 1     OP  TUFF_STE_...
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "bits.glsl"
#include "abi/binary_pack.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_STE_SIGN;
layout(push_constant) uniform Push { tuff_ste_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Other { float other[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    const uint first = (group_index() * WG + gl_LocalInvocationIndex) * 4u;
    for (uint i = first; i < min(first + 4u, pc.count); i++) {
        const float v = x[i];
        if (OP == TUFF_STE_GRAD) {
            y[i] = (floatBitsToUint(v) & 0x7fffffffu) <= 0x3f800000u ? other[i] : 0.0;
            continue;
        }
        float s = 1.0;
        if (OP == TUFF_STE_SCALE) s = other[divide(i, pc.cols)];
        y[i] = is_below_0(v) ? -s : s;
    }
}
