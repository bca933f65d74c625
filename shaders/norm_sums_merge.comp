#version 450
#extension GL_GOOGLE_include_directive : require
// The pieces' pairs of norm_sums.comp added up: one invocation a set.
//
//   binding 0  parts  float[segments * count * 2]     read
//   binding 1  a      float[count]: sum of w dy x' (dscale); ROWS: float[count * 4]    write
//   binding 2  b      float[count]: sum of w dy (dbias); ROWS: unused, the same as a   write
//   binding 3  stats  float[count * 2]; mean, inv. Only with ROWS                      read
//   spec 0     WG     workgroup size
//   spec 1     ROWS   a = (mean, inv, mean of w dy, mean of w dy x') of each set, for norm_dx
//   spec 2     MEAN   ROWS: x' has its mean taken off; else the mean of w dy is written as 0
//   spec 3     BIAS   there is a b
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "sum.glsl"
#include "abi/norm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool ROWS = false;
layout(constant_id = 2) const bool MEAN = true;
layout(constant_id = 3) const bool BIAS = true;
layout(push_constant) uniform Push { tuff_norm_merge_pc pc; };
layout(binding = 0) readonly buffer Parts { float parts[]; };
layout(binding = 1) writeonly buffer A { float a[]; };
layout(binding = 2) writeonly buffer B { float b[]; };
layout(binding = 3) readonly buffer Stats { float stats[]; };

void main()
{
    const uint q = group_index() * WG + gl_LocalInvocationIndex;
    if (q >= pc.count) return;
    Sum g = Sum(0.0, 0.0), gx = g;
    for (uint s = 0; s < pc.segments; s++) {
        const uint at = 2 * (s * pc.count + q);
        sum_add(g, parts[at]);
        sum_add(gx, parts[at + 1]);
    }
    if (ROWS) {
        a[4 * q] = stats[2 * q];
        a[4 * q + 1] = stats[2 * q + 1];
        a[4 * q + 2] = MEAN ? sum_value(g) / float(pc.terms) : 0.0;
        a[4 * q + 3] = sum_value(gx) / float(pc.terms);
    } else {
        a[q] = sum_value(gx);
        if (BIAS) b[q] = sum_value(g);
    }
}
