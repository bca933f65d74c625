#version 450
#extension GL_GOOGLE_include_directive : require
// Cross-entropy, or with -DGRAD its gradient, of a small batch in one launch.
//
//   binding 0  x       float[rows * cols]    read
//   binding 1  labels  uint[rows]            read
//   binding 2  loss    float[1], or dx float[rows * cols]      write
//   binding 3  GRAD: dloss  float[1], a texel buffer           read
//   spec 0     WG      workgroup size, a power of two
//   grid       1: the workgroup takes all rows; GRAD: rows / WG, one invocation a row
#include "common.glsl"
#include "rows.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_rows_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Labels { uint labels[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

vec2 softmax_of(uint base)
{
    float m = NEG_INF, sum = 0.0;
    uint at = 0;
    for (uint j = 0; j < pc.cols; j++)
        if (is_larger(x[base + j], m)) {
            m = x[base + j];
            at = j;
        }
    for (uint j = 0; j < pc.cols; j++) sum += j == at ? 0.0 : exp_f32(x[base + j] - m);
    return vec2(m, sum);
}

#ifdef GRAD
layout(binding = 3) uniform samplerBuffer dloss;

void main()
{
    const uint row = group_index() * WG + gl_LocalInvocationIndex;
    if (row >= pc.rows) return;
    float counted = 0.0;
    for (uint i = 0; i < pc.rows; i++) counted += labels[i] < pc.cols ? 1.0 : 0.0;
    const uint base = row * pc.cols, label = labels[row];
    const vec2 row_of = softmax_of(base);
    const float scale = texelFetch(dloss, 0).x / max(counted, 1.0);
    for (uint j = 0; j < pc.cols; j++) {
        const float d = x[base + j] - row_of.x;
        const float p = j == label ? less_one(d, row_of.y) : probability(d, row_of.y);
        y[base + j] = label < pc.cols ? p * scale : 0.0;
    }
}
#else
shared vec2 part[WG];

void main()
{
    const uint t = gl_LocalInvocationIndex;
    vec2 sum = vec2(0.0); // losses, rows that count
    for (uint row = t; row < pc.rows; row += WG) {
        const uint base = row * pc.cols, label = labels[row];
        if (label >= pc.cols) continue;
        const vec2 row_of = softmax_of(base);
        sum += vec2(row_of.x - x[base + label] + log1p_f32(row_of.y), 1.0);
    }
    part[t] = sum;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    if (t == 0) y[0] = part[0].x / max(part[0].y, 1.0);
}
#endif
