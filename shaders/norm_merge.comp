#version 450
#extension GL_GOOGLE_include_directive : require
// The pieces' pairs of norm_stats.comp put together: one invocation a set.
//
//   binding 0  parts     float[segments * count * 2]     read
//   binding 1  mean      float[count]; the same as inv where KIND has no mean    write
//   binding 2  inv       float[count]; 1 / deviation     write
// or with -DRUNNING
//   binding 1  saved     float[count * 2]; mean, inv     write
//   binding 2  new_mean  float[count]                    write
//   binding 3  new_var   float[count]                    write
//   binding 4  old_mean  a texel buffer; set `first` on  read
//   binding 5  old_var   the same                        read
//   spec 0     WG    workgroup size
//   spec 1     KIND  TUFF_NORM_...
//   grid       ceil(some / WG), folded
#include "common.glsl"
#include "sum.glsl"
#include "abi/norm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_NORM_MOMENTS;
layout(push_constant) uniform Push { tuff_norm_merge_pc pc; };
layout(binding = 0) readonly buffer Parts { float parts[]; };
#ifdef RUNNING
layout(binding = 1) writeonly buffer Saved { float saved[]; };
layout(binding = 2) writeonly buffer NewMean { float new_mean[]; };
layout(binding = 3) writeonly buffer NewVar { float new_var[]; };
layout(binding = 4) uniform samplerBuffer old_mean;
layout(binding = 5) uniform samplerBuffer old_var;
#else
layout(binding = 1) writeonly buffer Mean { float mean[]; };
layout(binding = 2) writeonly buffer Inv { float inv[]; };
#endif

// Elements in piece `s` as a float.
float in_piece(uint s) { return float(min(pc.span, pc.terms - s * pc.span)); }

// (mean, M2 or the sum) of set q. The mean is the first piece's and what the others differ
// from it by, so that equal ones give themselves.
vec2 merged(uint q)
{
    const float origin = parts[2 * q];
    Sum a = Sum(0.0, 0.0);
    float m = 0.0;
    if (KIND == TUFF_NORM_MOMENTS) {
        for (uint s = 1; s < pc.segments; s++)
            sum_add(a, in_piece(s) * (parts[2 * (s * pc.count + q)] - origin));
        m = origin + sum_value(a) / float(pc.terms);
    }
    a = Sum(0.0, 0.0);
    for (uint s = 0; s < pc.segments; s++) {
        const uint at = 2 * (s * pc.count + q);
        const float d = parts[at] - m;
        sum_add(a, parts[at + 1]);
        if (KIND == TUFF_NORM_MOMENTS) sum_add(a, in_piece(s) * d * d);
    }
    return vec2(m, sum_value(a));
}

float inverse(float v)
{
    if (KIND == TUFF_NORM_L1) return v > 0.0 ? 1.0 / v : 0.0;
    if (KIND == TUFF_NORM_L2) return v > 0.0 ? 1.0 / sqrt(v) : 0.0;
    return 1.0 / sqrt(v / float(pc.terms) + pc.epsilon);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.some) return;
    const uint q = pc.first + i;
    const vec2 v = merged(q);
#ifdef RUNNING
    saved[2 * q] = v.x;
    saved[2 * q + 1] = inverse(v.y);
    new_mean[q] = pc.keep * texelFetch(old_mean, int(i)).x + pc.add * v.x;
    new_var[q] = pc.keep * texelFetch(old_var, int(i)).x +
                 pc.add_var * (v.y / float(pc.terms));
#else
    if (KIND == TUFF_NORM_MOMENTS) mean[q] = v.x;
    inv[q] = inverse(v.y);
#endif
}
