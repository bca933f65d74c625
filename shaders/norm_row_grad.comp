#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef LANES
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define TEXEL
#endif
// dx of rows normalised (see norm_dx.comp for the formula), in one launch.
//
//   binding 0  x      float[], or with -DTEXEL or -DLANES a texel buffer    read
//   binding 1  dy     the same                                   read
//   binding 2  dx     float[]; may be dy's memory                write
//   binding 3  mean   a texel buffer; anything unless MEAN       read
//   binding 4  inv    a texel buffer                             read
//   binding 5  scale  a texel buffer                             read
//   spec 0     WG     workgroup size, a power of two
//   spec 1     MEAN   x' has its mean taken off
//   spec 2     SCALE  there is a scale
//   spec 3     WIDE   TEXEL only: x and dy have vec4 texels along rows; of LANES always
//   spec 4     PARAMS TEXEL only: TUFF_NORM_PARAMS_...
//   grid       a row a workgroup, which with -DLANES is one subgroup; with -DTEXEL an
//              invocation. Folded.
#include "common.glsl"
#include "norm.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool MEAN = true;
layout(constant_id = 2) const bool SCALE = false;
layout(push_constant) uniform Push { tuff_norm_row_pc pc; };
layout(binding = 2) writeonly buffer Dx { float dx[]; };
layout(binding = 3) uniform samplerBuffer means;
layout(binding = 4) uniform samplerBuffer invs;
layout(binding = 5) uniform samplerBuffer scales;
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
layout(constant_id = 4) const uint PARAMS = TUFF_NORM_PARAMS_EACH;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer dy;
layout(binding = 2) writeonly buffer Dx4 { vec4 dx4[]; };
float load_x(uint i) { return texelFetch(x, int(i)).x; }
float load_dy(uint i) { return texelFetch(dy, int(i)).x; }
const uint STRIDE = 1;
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Dy { float dy[]; };
float load_x(uint i) { return x[i]; }
float load_dy(uint i) { return dy[i]; }
#define STRIDE WG
shared vec2 part[WG];
#endif

vec2 stats_of(uint row)
{
    return vec2(MEAN ? texelFetch(means, int(row)).x : 0.0, texelFetch(invs, int(row)).x);
}

// w dy of element i.
float weighed(uint i)
{
    const float g = load_dy(i);
    return SCALE ? g * texelFetch(scales, int(norm_param(pc.params, i))).x : g;
}

// (sum of w dy, sum of w dy x') of every STRIDE-th element from t on.
vec2 sums(uint base, uint t, vec2 of)
{
    vec2 s = vec2(0.0);
    for (uint i = base + t; i < base + pc.sets.terms; i += STRIDE) {
        const float g = weighed(i);
        s += vec2(g, g * ((load_x(i) - of.x) * of.y));
    }
    return s;
}

void write(uint base, uint t, vec2 of, vec2 m)
{
    for (uint i = base + t; i < base + pc.sets.terms; i += STRIDE)
        dx[i] = of.y * (weighed(i) - m.x - (load_x(i) - of.x) * of.y * m.y);
}

// The sums as means; without a mean of x, that of w dy has no part.
vec2 means_of(vec2 s) { return vec2(MEAN ? s.x : 0.0, s.y) * pc.share; }

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

vec4 weighed_four(uint i, uint base)
{
    const vec4 g = texelFetch(dy, int(i / 4));
    if (!SCALE) return g;
    if (PARAMS == TUFF_NORM_PARAMS_ONE)
        return g * texelFetch(scales, int(norm_param(pc.params, i))).x;
    if (PARAMS == TUFF_NORM_PARAMS_ROW) return g * texelFetch(scales, int((i - base) / 4));
    if (PARAMS == TUFF_NORM_PARAMS_FOUR)
        return g * texelFetch(scales, int(norm_param(pc.params, i) / 4));
    vec4 v;
    for (uint k = 0; k < 4; k++)
        v[k] = texelFetch(scales, int(norm_param(pc.params, i + k))).x;
    return g * v;
}

void main()
{
#ifdef LANES
    const uint row = group_index(), lane = gl_SubgroupInvocationID;
#else
    const uint row = group_index() * WG + gl_LocalInvocationIndex, lane = 0;
#endif
    if (row >= pc.sets.count) return;
    const uint base = row * pc.sets.terms, end = base + pc.sets.terms;
    const vec2 of = stats_of(row);
#ifndef LANES
    if (!WIDE) {
        write(base, 0, of, means_of(sums(base, 0, of)));
        return;
    }
#endif
    vec4 a = vec4(0.0), b = a;
    for (uint i = base + 4 * lane; i < end; i += STEP) {
        const vec4 g = weighed_four(i, base);
        a += g;
        b += g * ((texelFetch(x, int(i / 4)) - of.x) * of.y);
    }
    const vec2 m = means_of(vec2(total(a), total(b)));
    for (uint i = base + 4 * lane; i < end; i += STEP) {
        const vec4 of_x = (texelFetch(x, int(i / 4)) - of.x) * of.y;
        dx4[i / 4] = of.y * (weighed_four(i, base) - m.x - of_x * m.y);
    }
}
#else
void main()
{
    const uint row = group_index(), t = gl_LocalInvocationIndex;
    if (row >= pc.sets.count) return; // the whole workgroup leaves together
    const uint base = row * pc.sets.terms;
    const vec2 of = stats_of(row);
    part[t] = sums(base, t, of);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] += part[t + half_n];
    }
    barrier();
    write(base, t, of, means_of(part[0]));
}
#endif
