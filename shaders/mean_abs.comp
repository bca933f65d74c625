#version 450
#extension GL_GOOGLE_include_directive : require
// mean_abs: the mean of |x| over rows, or (ABOVE) over those elements of a row that are beyond
// its threshold. A part of a row an invocation; parts are added by another launch.
//
//   binding 0  x      f32, or with -DTEXEL a texel buffer; or pairs (sum, count)   read
//   binding 1  limit  f32[rows]   read   anything without ABOVE
//   binding 2  y      pairs [rows][parts], or (parts is 1) means f32[rows]         write
//   spec 0     WG     workgroup size
//   spec 1     PAIRS  x holds pairs [rows][cols]
//   spec 2     ABOVE  only elements beyond the threshold count
//   spec 3     LAST   writes means
//   spec 4     BY_ROW neighbouring invocations take neighbouring rows, else parts
//   grid       rows * parts / WG, folded
// The order of additions depends on the sizes only.
#include "common.glsl"
#include "divide.glsl"
#include "bits.glsl"
#include "sum.glsl"
#include "abi/binary_pack.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool PAIRS = false;
layout(constant_id = 2) const bool ABOVE = false;
layout(constant_id = 3) const bool LAST = false;
layout(constant_id = 4) const bool BY_ROW = false;
layout(push_constant) uniform Push { tuff_mean_abs_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) readonly buffer Limit { float limit[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint high = divide(i, pc.lanes), low = i - high * pc.lanes.by;
    const uint row = BY_ROW ? low : high, part = BY_ROW ? high : low;
    if (row >= pc.rows || part >= pc.parts) return;
    const uint outer = divide(row, pc.step);
    uint at = outer * pc.cols * pc.step.by + row - outer * pc.step.by + part * pc.step.by;
    const uint step = pc.parts * pc.step.by;
    float least = 0.0;
    if (ABOVE) least = limit[row];
    Sum sum = Sum(0.0, 0.0);
    float count = 0.0;
    for (uint j = part; j < pc.cols; j += pc.parts, at += step) {
        if (PAIRS) {
            sum_add(sum, load(2u * at));
            count += load(2u * at + 1u);
        } else {
            const float v = load(at);
            if (ABOVE && !is_beyond(v, least)) continue;
            sum_add(sum, abs(v));
            count += 1.0;
        }
    }
    const float s = sum_value(sum);
    if (LAST) {
        y[row] = count > 0.0 ? s / count * pc.factor : 0.0;
    } else {
        y[2u * (row * pc.parts + part)] = s;
        y[2u * (row * pc.parts + part) + 1u] = count;
    }
}
