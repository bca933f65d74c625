#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef LANES
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define TEXEL
#endif
// softmax: y = exp(x - max) / sum(exp(x - max)) along an axis, or its logarithm; with MIN of
// -x.
//
//   binding 0  x  float[rows * cols], or with -DTEXEL or -DLANES a texel buffer   read
//   binding 1  y  float[rows * cols]                                   write; may be x's
//   spec 0     WG    workgroup size, a power of two
//   spec 1     LOG   write the logarithm
//   spec 2     MIN   x is taken with the other sign
//   spec 3     WIDE  TEXEL only: the texels are vec4, along rows of neighbours. With -DLANES
//                    they always are
//   grid       rows workgroups, with -DLANES each one subgroup; with -DTEXEL rows invocations.
//              Folded.
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
layout(constant_id = 3) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { vec4 y4[]; };
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

#ifdef TEXEL
vec4 four(uint i) { return MIN ? -texelFetch(x, int(i)) : texelFetch(x, int(i)); }

vec4 exp_four(vec4 v)
{
    return vec4(exp_below(v.x), exp_below(v.y), exp_below(v.z), exp_below(v.w));
}

// Of a row's vec4s an invocation takes every STEPth, and then a subgroup has the row together:
// what one reads there lies side by side, where rows apart share sets of the cache.
#ifdef LANES
#define STEP WG
float row_max(float v)
{
    for (uint n = WG / 2; n > 0; n /= 2) v = larger(v, subgroupShuffleXor(v, n));
    return v;
}
float row_sum(float v)
{
    for (uint n = WG / 2; n > 0; n /= 2) v += subgroupShuffleXor(v, n);
    return v;
}
#else
const uint STEP = 1;
float row_max(float v) { return v; }
float row_sum(float v) { return v; }
#endif

// A row of vec4s.
void wide_row(uint begin, uint end)
{
    vec4 most = vec4(NEG_INF);
    for (uint i = begin; i < end; i += STEP) {
        const vec4 v = four(i);
        most = vec4(larger(most.x, v.x), larger(most.y, v.y), larger(most.z, v.z),
                    larger(most.w, v.w));
    }
    const float m = row_max(larger(larger(most.x, most.y), larger(most.z, most.w)));
    // Sums of 32 are added up: few additions to large sums lose little.
    vec4 sums = vec4(0.0);
    for (uint i = begin; i < end;) {
        vec4 part = vec4(0.0);
        for (const uint stop = min(i + 32 * STEP, end); i < stop; i += STEP)
            part += exp_four(four(i) - m);
        sums += part;
    }
    const float sum = row_sum((sums.x + sums.y) + (sums.z + sums.w));
    const float factor = LOG ? log_f32(sum) : 1.0 / sum;
    for (uint i = begin; i < end; i += STEP) {
        const vec4 d = four(i) - m;
        y4[i] = LOG ? d - factor : exp_four(d) * factor;
    }
}
#endif

void main()
{
#ifdef LANES
    const uint row = group_index();
    if (row >= pc.rows) return;
    const uint begin = row * (pc.cols / 4);
    wide_row(begin + gl_SubgroupInvocationID, begin + pc.cols / 4);
#else
#ifdef TEXEL
    const uint row = group_index() * WG + gl_LocalInvocationIndex, t = 0;
#else
    const uint row = group_index(), t = gl_LocalInvocationIndex;
#endif
    if (row >= pc.rows) return; // with a row a workgroup, all of it leaves together
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;
#ifdef TEXEL
    if (WIDE) {
        wide_row(base / 4, (base + pc.cols) / 4);
        return;
    }
#endif

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
#endif
}
