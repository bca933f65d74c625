#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// y = (x w^T) scale for w of few levels on CPU-like drivers: up to ROWS rows x (2 W) columns by
// one subgroup of W invocations, 4 W products of every sum at a time.
//
// Lanes hold columns, the rows lane and W + lane of w. Of a row of x each lane holds a quad,
// which reaches every lane by a shuffle from a literal one; a quad of w becomes floats once for
// all rows.
//
//   binding 0  x      texels, one f32 each
//   binding 1  w      texels, words of bytes or of bit planes
//   binding 2  y      f32[m][n]   write
//   binding 3  scale  texels; anything when there is none
//   binding 4  zero   texels, bytes in words; likewise
//   spec 0     W      invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     FORMAT TUFF_LEVELS_...
//   spec 2     ROWS   1, 4 or 8
//   spec 3     WIDE   texels of w are four words; bytes whose k is a multiple of 16
//   grid       column tiles x row tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "abi/levels.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint FORMAT = TUFF_LEVELS_BYTES;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const bool WIDE = false;
layout(push_constant) uniform Push { tuff_levels_pc pc; };
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform usamplerBuffer w;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer scale;
layout(binding = 4) uniform usamplerBuffer zero_point;

uint last_word;
uint word(uint i) { return texelFetch(w, int(min(i, last_word))).x; }
#include "levels.glsl"

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE(r) vec2 s##r = vec2(0.0);
#define FETCH(r)                                                                \
    vec4 x##r = vec4(0.0);                                                      \
    vec2 t##r = vec2(0.0);                                                      \
    if (ROWS > r) x##r = fetch(min(row0 + r, pc.m - 1) * pc.k, 4 * (q0 + lane));
#define ADD(r, lane_)                                                           \
    if (ROWS > r) {                                                             \
        const vec4 v = subgroupShuffle(x##r, lane_);                            \
        t##r += vec2((v.x * l.x + v.y * l.y) + (v.z * l.z + v.w * l.w),         \
                     (v.x * m.x + v.y * m.y) + (v.z * m.z + v.w * m.w));        \
    }
#define LOAD(i)                                                                 \
    Four a##i, b##i;                                                            \
    if (W > 4 * i) {                                                            \
        a##i = four(col.x, q0 + 4 * i);                                         \
        b##i = four(col.y, q0 + 4 * i);                                         \
    }
// The quad of lane `lane_` is part c of Four number i.
#define QUAD(lane_, i, c)                                                       \
    if (W > lane_) {                                                            \
        const vec4 l = quad_levels(uvec2(a##i.x.c, a##i.y.c), zero.x);          \
        const vec4 m = quad_levels(uvec2(b##i.x.c, b##i.y.c), zero.y);          \
        ADD(0, lane_) ADD(1, lane_) ADD(2, lane_) ADD(3, lane_)                 \
        ADD(4, lane_) ADD(5, lane_) ADD(6, lane_) ADD(7, lane_)                 \
    }
#define FOLD(r) s##r += t##r;
#define STORE(r)                                                                \
    if (ROWS > r && row0 + r < pc.m) {                                          \
        if (want.x < pc.n) y[(row0 + r) * pc.n + want.x] = s##r.x * by.x;       \
        if (want.y < pc.n) y[(row0 + r) * pc.n + want.y] = s##r.y * by.y;       \
    }

// Bits of four quads of a row of w, as quad_bits has them; q is a multiple of 4.
struct Four {
    uvec4 x, y;
};

Four four(uint row, uint q)
{
    if (FORMAT == TUFF_LEVELS_TERNARY) {
        const uint words = (pc.k + 31) / 32, at = row * 2 * words + q / 8;
        const uvec4 by = (q % 8) * 4 + uvec4(0, 4, 8, 12);
        return Four(uvec4(word(at)) >> by, uvec4(word(at + words)) >> by);
    }
    const uint at = (row * pc.k + 4 * q) / 16;
    if (WIDE) return Four(texelFetch(w, int(min(at, last_word))), uvec4(0));
    return Four(uvec4(quad_bits(row, q).x, quad_bits(row, q + 1).x, quad_bits(row, q + 2).x,
                      quad_bits(row, q + 3).x), uvec4(0));
}

// Numbers of a row of x from number k on, 0 past its end.
vec4 fetch(uint row, uint k)
{
    const uvec4 i = k + uvec4(0, 1, 2, 3), at = row + min(i, uvec4(pc.k - 1));
    return mix(vec4(0.0), vec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.y)).x,
                               texelFetch(x, int(at.z)).x, texelFetch(x, int(at.w)).x),
               lessThan(i, uvec4(pc.k)));
}

float zero_of(uint row)
{
    const uint i = pc.zeros == 1u ? 0u : row;
    return float(byte_at(texelFetch(zero_point, int(i >> 2)).x, i, pc.sign));
}

float scale_of(uint row) { return texelFetch(scale, int(pc.scales == 1u ? 0u : row)).x; }

void main()
{
    const uint lane = gl_SubgroupInvocationID, quads = (pc.k + 3) / 4;
    const uint cols = quotient(pc.n + 2 * W - 1, 2 * W), tile = quotient(group_index(), cols);
    const uint row0 = tile * ROWS;
    if (row0 >= pc.m) return;
    const uvec2 want = (group_index() - tile * cols) * 2 * W + lane + uvec2(0, W);
    const uvec2 col = min(want, uvec2(pc.n - 1));
    const uint words = (pc.k + 31) / 32;
    last_word = (pc.n * pc.k - 1) / (WIDE ? 16 : 4);
    if (FORMAT == TUFF_LEVELS_TERNARY) last_word = pc.n * 2 * words - 1;
    vec2 zero = vec2(0.0), by = vec2(1.0);
    if (pc.zeros != 0u) zero = vec2(zero_of(col.x), zero_of(col.y));
    if (pc.scales != 0u) by = vec2(scale_of(col.x), scale_of(col.y));

    EACH_ROW(DECLARE)
    for (uint q0 = 0; q0 < quads; q0 += W) {
        EACH_ROW(FETCH)
        LOAD(0) LOAD(1) LOAD(2) LOAD(3)
        QUAD(0, 0, x) QUAD(1, 0, y) QUAD(2, 0, z) QUAD(3, 0, w)
        QUAD(4, 1, x) QUAD(5, 1, y) QUAD(6, 1, z) QUAD(7, 1, w)
        QUAD(8, 2, x) QUAD(9, 2, y) QUAD(10, 2, z) QUAD(11, 2, w)
        QUAD(12, 3, x) QUAD(13, 3, y) QUAD(14, 3, z) QUAD(15, 3, w)
        EACH_ROW(FOLD)
    }
    EACH_ROW(STORE)
}
