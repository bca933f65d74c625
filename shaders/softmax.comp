#version 450
#extension GL_GOOGLE_include_directive : require
// softmax: y = exp(x - max) / sum(exp(x - max)) along an axis, or its logarithm; with MIN of
// -x.
//
//   binding 0  x  float[rows * cols], or with -DTEXEL a texel buffer   read
//   binding 1  y  float[rows * cols]                                   write; may be x's
//   spec 0     WG    workgroup size, a power of two
//   spec 1     LOG   write the logarithm
//   spec 2     MIN   x is taken with the other sign
//   grid       rows workgroups; with -DTEXEL rows invocations. Folded.
#include "common.glsl"
#include "math.glsl"
#include "sum.glsl"
#include "abi/softmax.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool LOG = false;
layout(constant_id = 2) const bool MIN = false;
layout(push_constant) uniform Push { tuff_softmax_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load_x(uint i) { return texelFetch(x, int(i)).x; }
const uint STRIDE = 1; // every invocation has a row of its own
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load_x(uint i) { return x[i]; }
#define STRIDE WG
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };

float load(uint i) { return MIN ? -load_x(i) : load_x(i); }

// A NaN wins.
float larger(float a, float b) { return b > a || is_nan(b) ? b : a; }

#ifdef TEXEL
float group_max(float v) { return v; }
float group_sum(float v) { return v; }
#else
// One value in per invocation, the same value out to all.
shared float part[WG];

float group_max(float v)
{
    const uint t = gl_LocalInvocationIndex;
    part[t] = v;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = larger(part[t], part[t + half_n]);
    }
    barrier();
    v = part[0];
    barrier();
    return v;
}

float group_sum(float v)
{
    const uint t = gl_LocalInvocationIndex;
    part[t] = v;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    barrier();
    return part[0];
}
#endif

void main()
{
#ifdef TEXEL
    const uint row = group_index() * WG + gl_LocalInvocationIndex, t = 0;
#else
    const uint row = group_index(), t = gl_LocalInvocationIndex;
#endif
    if (row >= pc.rows) return; // with a row a workgroup, all of it leaves together
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;

    float m = NEG_INF;
    for (uint j = t; j < pc.cols; j += STRIDE) m = larger(m, load(base + j * pc.step));
    m = group_max(m);

    Sum part_sum = Sum(0.0, 0.0);
    for (uint j = t; j < pc.cols; j += STRIDE)
        sum_add(part_sum, exp_f32(load(base + j * pc.step) - m));
    const float sum = group_sum(sum_value(part_sum));

    const float factor = LOG ? log_f32(sum) : 1.0 / sum;
    for (uint j = t; j < pc.cols; j += STRIDE) {
        const float d = load(base + j * pc.step) - m;
        y[base + j * pc.step] = LOG ? d - factor : exp_f32(d) * factor;
    }
}
