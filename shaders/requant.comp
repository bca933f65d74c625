#version 450
#extension GL_GOOGLE_include_directive : require
// Sums of integer products to 8-bit numbers, four neighbours (a word) an invocation, or (ADD)
// parts of sums added up. The arithmetic: requant.glsl.
//
//   binding 0  parts        i32[splits][count]                       read
//   binding 1  left_scale   f32[left_scales]                         read
//   binding 2  extra        f32[right_scales], or with pc.has_bias the bias i32[rows]   read
//   binding 3  y            8-bit numbers in words, or i32[count]    write
//   binding 4  y_scale, binding 5 y_zero (a byte), binding 6 right_scale where extra is the
//              bias: texels
//   spec 0     WG      workgroup size
//   spec 1     ADD     y is the sums themselves; no other binding is read
//   spec 2     SHARED  the four neighbours have the same scales
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "requant.glsl"
#include "divide.glsl"
#include "bytes.glsl"
#include "abi/qgemm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool ADD = false;
layout(constant_id = 2) const bool SHARED = false;
layout(push_constant) uniform Push { tuff_requant_pc pc; };
layout(binding = 0) readonly buffer Parts { int parts[]; };
layout(binding = 1) readonly buffer LeftScale { float left_scale[]; };
layout(binding = 2) readonly buffer Extra { uint extra[]; };
layout(binding = 3) writeonly buffer Y { uint y[]; };
layout(binding = 4) uniform samplerBuffer y_scale;
layout(binding = 5) uniform usamplerBuffer y_zero;
layout(binding = 6) uniform samplerBuffer right_scale;

uint row_of(uint i)
{
    const uint above = divide(i, pc.row_step);
    return above - divide(above, pc.rows) * pc.rows.by;
}

Factor factor_of(uint i)
{
    const float a = left_scale[pc.left_scales == 1u ? 0u : row_of(i)];
    float b;
    if (pc.has_bias != 0u) b = texelFetch(right_scale, 0).x;
    else if (pc.right_scales == 1u) b = uintBitsToFloat(extra[0]);
    else b = uintBitsToFloat(extra[i - divide(i, pc.cols) * pc.cols.by]);
    return factor_from(a, b, texelFetch(y_scale, 0).x);
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    int zero = 0;
    Factor f = Factor(Real(0u, 0), false);
    if (!ADD) zero = byte_at(texelFetch(y_zero, 0).x, 0u, pc.zero_sign);
    if (!ADD && SHARED) f = factor_of(first);
    const int low = pc.relu != 0u ? max(pc.low, zero) : pc.low;
    uint packed = 0u;
    for (uint k = 0u; k < 4u; k++) {
        const uint i = first + k;
        if (i >= pc.count) break;
        int acc = 0;
        for (uint part = 0u; part < pc.splits; part++) acc += parts[part * pc.count + i];
        if (ADD) {
            y[i] = uint(acc);
            continue;
        }
        if (pc.has_bias != 0u) acc += int(extra[row_of(i)]);
        if (!SHARED) f = factor_of(i);
        const int q = requant(acc, f, zero, low, pc.high);
        packed |= (uint(q) & 0xffu) << k * 8u;
    }
    if (!ADD) y[block] = packed;
}
