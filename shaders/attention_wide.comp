#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// attention on CPU-like drivers, where d and e are multiples of 4: a subgroup takes 8 rows of q
// and goes once through the keys, 4 W at a time (FlashAttention, Dao et al., 2022). Of a row it
// keeps the largest score so far, and in step with it the sum of the powers and those of v.
//
//   scores   a lane has the keys lane, W + lane, 2W + lane and 3W + lane of a block
//   y        a lane has four neighbouring numbers, and four more 4 W behind them
//
//   binding 0  q     vec4 texels [n, h, t, d]
//   binding 1  k     vec4 texels [n, g, s, d]
//   binding 2  v     vec4 texels [n, g, s, e]
//   binding 3  mask  texels; anything without
//   binding 4  y     vec4[n, h, t, e]   write; -DPROBS: the parts of the keys [n, h, t, s], for
//                                       which the keys are gone through twice, and v not read
//   spec 0     W       invocations in a workgroup, which is one subgroup: 8 or 16
//   spec 1     CAUSAL
//   spec 2     MASK    as in attention.comp
//   spec 3     TWICE   e is above 4 W, and at most twice that
//   grid       n h rows of 8 rows of q, folded
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "abi/attention.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool CAUSAL = false;
layout(constant_id = 2) const uint MASK = 0;
layout(constant_id = 3) const bool TWICE = false;
layout(push_constant) uniform Push { tuff_attention_pc pc; };
layout(binding = 0) uniform samplerBuffer q;
layout(binding = 1) uniform samplerBuffer k;
layout(binding = 2) uniform samplerBuffer v;
layout(binding = 3) uniform usamplerBuffer mask;
#ifdef PROBS
layout(binding = 4) writeonly buffer Y { float y[]; };
#else
layout(binding = 4) writeonly buffer Y { vec4 y[]; };
#endif

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define EACH_LANE(DO)                                                           \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    if (W == 16) { DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) }
// Of a row: scores or powers of a block, the largest score and the sum so far, y.
#define DECLARE_ROW(r)                                                          \
    vec4 p##r, o##r = vec4(0.0), u##r = o##r;                                   \
    float most##r = NEG_INF, sum##r = 0.0;
#define CLEAR_ROW(r) p##r = vec4(0.0);
#define SCORE_ROW(r)                                                            \
    p##r += subgroupShuffle(a.x, r) * b0 + subgroupShuffle(a.y, r) * b1 +       \
            subgroupShuffle(a.z, r) * b2 + subgroupShuffle(a.w, r) * b3;
#define POWER_ROW(r)                                                            \
    {                                                                           \
        p##r = asked(p##r * pc.scale, key, t0 + r, n, h);                       \
        const float next = larger(most##r, largest(p##r));                      \
        const float base = is_none(next) ? 0.0 : next, kept = exp_below(most##r - base); \
        p##r = exp_four(p##r - base);                                           \
        sum##r = sum##r * kept + (p##r.x + p##r.y + (p##r.z + p##r.w));         \
        o##r *= kept;                                                           \
        if (TWICE) u##r *= kept;                                                \
        most##r = next;                                                         \
    }
#define ADD_ROW(r)                                                              \
    {                                                                           \
        const float x = subgroupShuffle(p##r.x, lane_);                         \
        o##r += share(x, v0);                                                   \
        if (TWICE) u##r += share(x, v1);                                        \
    }
#define ADD_KEY(j)                                                              \
    {                                                                           \
        const uint lane_ = j, line = (group * pc.s + min(first + j, pc.s - 1)) * quads; \
        const vec4 v0 = texelFetch(v, int(line + column));                      \
        vec4 v1 = v0;                                                           \
        if (TWICE) v1 = texelFetch(v, int(line + column2));                     \
        EACH_ROW(ADD_ROW)                                                       \
    }
#define TURN_ROW(r) p##r = p##r.yzwx;
#define PART_ROW(r)                                                             \
    if (t0 + r < pc.t) {                                                        \
        const bool none = is_none(most##r);                                     \
        const vec4 x = asked(p##r * pc.scale, key, t0 + r, n, h) - (none ? 0.0 : most##r); \
        const vec4 all = none ? vec4(0.0) : exp_four(x) * sum##r;               \
        const vec4 part = mix(all, vec4(0.0), hidden(key, t0 + r));             \
        const uint to = (nh * pc.t + t0 + r) * pc.s;                            \
        if (key.x < pc.s) y[to + key.x] = part.x;                               \
        if (key.y < pc.s) y[to + key.y] = part.y;                               \
        if (key.z < pc.s) y[to + key.z] = part.z;                               \
        if (key.w < pc.s) y[to + key.w] = part.w;                               \
    }
#define FACTOR_ROW(r) sum##r = 1.0 / total(sum##r);
// The scores of a block of keys, before they are scaled.
#define SCORES                                                                  \
    const uvec4 key = s0 + lane + uvec4(0, W, 2 * W, 3 * W);                    \
    uvec4 b_at = (group * pc.s + min(key, uvec4(pc.s - 1))) * d;                \
    EACH_ROW(CLEAR_ROW)                                                         \
    for (uint i = 0; i < d; i++) {                                              \
        const mat4 turned = transpose(mat4(                                     \
            texelFetch(k, int(b_at.x)), texelFetch(k, int(b_at.y)),             \
            texelFetch(k, int(b_at.z)), texelFetch(k, int(b_at.w))));           \
        const vec4 b0 = turned[0], b1 = turned[1], b2 = turned[2], b3 = turned[3]; \
        const vec4 a = texelFetch(q, int(a_first + i));                         \
        EACH_ROW(SCORE_ROW)                                                     \
        b_at++;                                                                 \
    }
#define STORE_ROW(r)                                                            \
    if (t0 + r < pc.t) {                                                        \
        const float all = total(sum##r), factor = is_none(most##r) ? 0.0 : 1.0 / all; \
        const uint to = (nh * pc.t + t0 + r) * quads;                           \
        if (lane < quads) y[to + lane] = o##r * factor;                         \
        if (TWICE && lane + W < quads) y[to + lane + W] = u##r * factor;        \
    }

// A NaN wins.
float larger(float a, float b) { return b > a || is_nan(b) ? b : a; }
bool is_none(float most) { return floatBitsToUint(most) == 0xff800000u; }

float largest(vec4 x)
{
    const float v = larger(larger(x.x, x.y), larger(x.z, x.w));
    float most = v;
#define LARGER(i) most = larger(most, subgroupShuffle(v, i));
    EACH_LANE(LARGER)
    return most;
}

float total(float v)
{
    float sum = 0.0;
#define PLUS(i) sum += subgroupShuffle(v, i);
    EACH_LANE(PLUS)
    return sum;
}

vec4 exp_four(vec4 x)
{
    return vec4(exp_below(x.x), exp_below(x.y), exp_below(x.z), exp_below(x.w));
}

// Whether keys are not asked by row t, or not there.
bvec4 hidden(uvec4 key, uint t)
{
    const uint last = CAUSAL ? t + pc.s - pc.t : pc.s - 1; // may be below 0
    return bvec4(uvec4(greaterThan(ivec4(key), ivec4(last))) |
                 uvec4(greaterThanEqual(key, uvec4(pc.s))));
}

// Scores with the mask, those of keys that are hidden or not there -infinity.
vec4 asked(vec4 x, uvec4 key, uint t, uint n, uint h)
{
    if (MASK != 0) {
        const uvec4 at = n * pc.mask_n + h * pc.mask_h + min(t, pc.t - 1) * pc.mask_t +
                         min(key, uvec4(pc.s - 1)) * pc.mask_s;
        const uvec4 m = uvec4(texelFetch(mask, int(at.x)).x, texelFetch(mask, int(at.y)).x,
                              texelFetch(mask, int(at.z)).x, texelFetch(mask, int(at.w)).x);
        if (MASK == 1) x += uintBitsToFloat(m);
        else x = mix(x, vec4(NEG_INF), equal(m, uvec4(0)));
    }
    return mix(x, vec4(NEG_INF), hidden(key, t));
}

// What is hidden has no share, whatever it holds.
vec4 share(float x, vec4 value)
{
    return CAUSAL && x == 0.0 ? vec4(0.0) : x * value;
}

void main()
{
    const uint lane = gl_SubgroupInvocationID, tiles = (pc.t + 7) / 8;
    const uint nh = quotient(group_index(), tiles), t0 = (group_index() - nh * tiles) * 8;
    if (nh >= pc.n * pc.h) return;
    const uint n = quotient(nh, pc.h), h = nh - n * pc.h;
    const uint group = n * pc.g + quotient(h, pc.h / pc.g);
    const uint d = pc.d / 4, quads = max(pc.e / 4, 1);
    const uint column = min(lane, quads - 1), column2 = min(lane + W, quads - 1);
    const uint a_first = (nh * pc.t + min(t0 + lane, pc.t - 1)) * d;
    const uint end = uint(clamp(int(CAUSAL ? t0 + 8 + pc.s - pc.t : pc.s), 0, int(pc.s)));

    EACH_ROW(DECLARE_ROW)
    for (uint s0 = 0; s0 < end; s0 += 4 * W) {
        SCORES
        EACH_ROW(POWER_ROW)
#ifndef PROBS
        for (uint first = s0; first < min(s0 + 4 * W, end); first += W) {
            EACH_LANE(ADD_KEY)
            EACH_ROW(TURN_ROW)
        }
#endif
    }
#ifdef PROBS
    EACH_ROW(FACTOR_ROW)
    for (uint s0 = 0; s0 < pc.s; s0 += 4 * W) {
        SCORES
        EACH_ROW(PART_ROW)
    }
#else
    EACH_ROW(STORE_ROW)
#endif
}
