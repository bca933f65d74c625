#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef LANES
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define TEXEL
#endif
// Rows normalised in one launch: mean and deviation of each set (see abi/norm.h) and
// y = (x - mean) inv scale + bias.
//
//   binding 0  x      float[], or with -DTEXEL or -DLANES a texel buffer    read
//   binding 1  y      float[]; may be x's memory                        write
//   binding 2  mean   float[count]; anything where KIND has no mean     write
//   binding 3  inv    float[count]; anything unless STATS               write
//   binding 4  scale  a texel buffer                                    read
//   binding 5  bias   a texel buffer                                    read
//   spec 0     WG     workgroup size, a power of two
//   spec 1     KIND   TUFF_NORM_...
//   spec 2     STATS  mean and inv are written
//   spec 3, 4  SCALE, BIAS    there is one
//   spec 5     WIDE   TEXEL only: x has vec4 texels along rows, whose step is 1; of LANES too
//   spec 6     PARAMS TEXEL only: TUFF_NORM_PARAMS_...
//   grid       a row a workgroup, which with -DLANES is one subgroup; with -DTEXEL an
//              invocation. Folded.
//
// Sets have one run, or runs of one element. As in norm_stats.comp, the mean is found first.
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_NORM_MOMENTS;
layout(constant_id = 2) const bool STATS = true;
layout(constant_id = 3) const bool SCALE = false;
layout(constant_id = 4) const bool BIAS = false;
layout(push_constant) uniform Push { tuff_norm_row_pc pc; };
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) writeonly buffer Mean { float means[]; };
layout(binding = 3) writeonly buffer Inv { float invs[]; };
layout(binding = 4) uniform samplerBuffer scales;
layout(binding = 5) uniform samplerBuffer biases;
#ifdef TEXEL
layout(constant_id = 5) const bool WIDE = false;
layout(constant_id = 6) const uint PARAMS = TUFF_NORM_PARAMS_EACH;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { vec4 y4[]; };
float load(uint i) { return texelFetch(x, int(i)).x; }
const uint STRIDE = 1;
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#define STRIDE WG
shared vec3 part[WG];
#endif

float weight(float v) { return KIND == TUFF_NORM_L1 ? abs(v) : v * v; }

// (n, mean, sum of squares) of the elements t, t + STRIDE, ... of the row at `base`.
vec3 moments(uint base, uint t)
{
    const uint n = pc.sets.terms, step = pc.sets.step;
    float sum = 0.0, squares = 0.0;
    if (t >= n) return vec3(0.0);
    if (KIND != TUFF_NORM_MOMENTS) {
        for (uint j = t; j < n; j += STRIDE) squares += weight(load(base + j * step));
        return vec3(0.0, 0.0, squares);
    }
    const float count = float((n - t + STRIDE - 1) / STRIDE);
    for (uint j = t; j < n; j += STRIDE) sum += load(base + j * step);
    const float mean = sum / count;
    float rest = 0.0;
    for (uint j = t; j < n; j += STRIDE) {
        const float d = load(base + j * step) - mean;
        rest += d;
        squares += d * d;
    }
    return vec3(count, mean + rest / count, squares - rest * (rest / count));
}

// (mean, inv) of what moments gave for the whole row.
vec2 stats_of(vec3 v)
{
    if (KIND == TUFF_NORM_L1) return vec2(0.0, v.z > 0.0 ? 1.0 / v.z : 0.0);
    if (KIND == TUFF_NORM_L2) return vec2(0.0, v.z > 0.0 ? 1.0 / sqrt(v.z) : 0.0);
    return vec2(v.y, 1.0 / sqrt(v.z * pc.share + pc.epsilon));
}

void write_stats(uint row, vec2 of)
{
    if (STATS && KIND == TUFF_NORM_MOMENTS) means[row] = of.x;
    if (STATS) invs[row] = of.y;
}

void write(uint i, vec2 of)
{
    const uint p = SCALE || BIAS ? norm_param(pc.params, i) : 0;
    float r = (load(i) - of.x) * of.y;
    if (SCALE) r *= texelFetch(scales, int(p)).x;
    if (BIAS) r += texelFetch(biases, int(p)).x;
    y[i] = r;
}

#ifdef TEXEL
// With -DLANES a subgroup has a row together, and what it reads lies side by side, where rows
// apart share sets of the cache.
#ifdef LANES
#define STEP (4 * WG)
float row_sum(float v)
{
    for (uint n = WG / 2; n > 0; n /= 2) v += subgroupShuffleXor(v, n);
    return v;
}
#else
const uint STEP = 4; // to the next four elements of an invocation
float row_sum(float v) { return v; }
#endif

float total(vec4 v) { return row_sum((v.x + v.y) + (v.z + v.w)); }

// Of the fours from `first` on, STEP apart, to the end of a row.
vec3 moments_wide(uint first, uint end)
{
    vec4 sum = vec4(0.0), rest = sum, squares = sum;
    if (KIND != TUFF_NORM_MOMENTS) {
        for (uint i = first; i < end; i += STEP) {
            const vec4 v = texelFetch(x, int(i / 4));
            squares += KIND == TUFF_NORM_L1 ? abs(v) : v * v;
        }
        return vec3(0.0, 0.0, total(squares));
    }
    for (uint i = first; i < end; i += STEP) sum += texelFetch(x, int(i / 4));
    const float mean = total(sum) * pc.share;
    // Sums of 32 are added up: few additions to large sums lose little.
    for (uint i = first; i < end;) {
        vec4 part = vec4(0.0);
        for (const uint stop = min(i + 32 * STEP, end); i < stop; i += STEP) {
            const vec4 d = texelFetch(x, int(i / 4)) - mean;
            rest += d;
            part += d * d;
        }
        squares += part;
    }
    const float left = total(rest), more = left * pc.share;
    return vec3(0.0, mean + more, total(squares) - left * more);
}

vec4 four(samplerBuffer b, uint i, uint base)
{
    if (PARAMS == TUFF_NORM_PARAMS_ROW) return texelFetch(b, int((i - base) / 4));
    if (PARAMS == TUFF_NORM_PARAMS_ONE)
        return texelFetch(b, int(norm_param(pc.params, i))).xxxx;
    if (PARAMS == TUFF_NORM_PARAMS_FOUR)
        return texelFetch(b, int(norm_param(pc.params, i) / 4));
    vec4 v;
    for (uint k = 0; k < 4; k++) v[k] = texelFetch(b, int(norm_param(pc.params, i + k))).x;
    return v;
}

void main()
{
#ifdef LANES
    const uint row = group_index(), lane = gl_SubgroupInvocationID;
    const bool one = lane == 0;
#else
    const uint row = group_index() * WG + gl_LocalInvocationIndex, lane = 0;
    const bool one = true;
#endif
    if (row >= pc.sets.count) return;
    const uint base = norm_base(pc.sets, row), end = base + pc.sets.terms;
#ifndef LANES
    if (!WIDE) {
        const vec2 of = stats_of(moments(base, 0));
        write_stats(row, of);
        for (uint j = 0; j < pc.sets.terms; j++) write(base + j * pc.sets.step, of);
        return;
    }
#endif
    const uint first = base + 4 * lane;
    const vec2 of = stats_of(moments_wide(first, end));
    if (one) write_stats(row, of);
    for (uint i = first; i < end; i += STEP) {
        vec4 r = (texelFetch(x, int(i / 4)) - of.x) * of.y;
        if (SCALE) r *= four(scales, i, base);
        if (BIAS) r += four(biases, i, base);
        y4[i / 4] = r;
    }
}
#else
void main()
{
    const uint row = group_index(), t = gl_LocalInvocationIndex;
    if (row >= pc.sets.count) return; // the whole workgroup leaves together
    const uint base = norm_base(pc.sets, row);
    part[t] = moments(base, t);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = norm_join(part[t], part[t + half_n]);
    }
    barrier();
    const vec2 of = stats_of(part[0]);
    if (t == 0) write_stats(row, of);
    for (uint j = t; j < pc.sets.terms; j += WG) write(base + j * pc.sets.step, of);
}
#endif
