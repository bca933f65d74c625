#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// y = act((x w^T) scale + bias) for w of few levels on CPU-like drivers: up to ROWS rows x
// (2 W) columns by one subgroup of W invocations, 4 W products of every sum at a time.
//
// Lanes hold columns, the rows lane and W + lane of w. Of a row of x each lane holds a quad,
// which reaches every lane by a shuffle from a literal one; a quad of w becomes floats once for
// all rows.
//
//   binding 0  x      texels, one f32 each
//   binding 1  w      texels, words of bytes, of bit planes, or of a stream of bits
//   binding 2  y      f32[m][n]   write
//   binding 3  scale  texels; anything when there is none
//   binding 4  zero   texels, as w's numbers lie; likewise
//   binding 5  bias   texels; likewise
//   spec 0     W      invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     FORMAT TUFF_LEVELS_...
//   spec 2     ROWS   1, 4 or 8
//   spec 3     WIDE   of bytes whose k is a multiple of 16: texels of w are four words; of
//                     streams: each 16 numbers of a row begin with a word
//   spec 4     ACT    tuff_act
//   grid       column tiles x row tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "act.glsl"
#include "abi/levels.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint FORMAT = TUFF_LEVELS_BYTES;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const bool WIDE = false;
layout(constant_id = 4) const uint ACT = 0;
layout(push_constant) uniform Push { tuff_levels_pc pc; };
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform usamplerBuffer w;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer scale;
layout(binding = 4) uniform usamplerBuffer zero_point;
layout(binding = 5) uniform samplerBuffer bias;

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
        const vec4 l = quad_levels(uvec2(a##i.x.c, a##i.y.c), q0 + lane_, zero.x);          \
        const vec4 m = quad_levels(uvec2(b##i.x.c, b##i.y.c), q0 + lane_, zero.y);          \
        ADD(0, lane_) ADD(1, lane_) ADD(2, lane_) ADD(3, lane_)                 \
        ADD(4, lane_) ADD(5, lane_) ADD(6, lane_) ADD(7, lane_)                 \
    }
#define FOLD(r) s##r += t##r;
#define PICK(r) if (ROWS > r && row == r) v = s##r;

// Bits of four quads of a row of w, as quad_bits has them; q is a multiple of 4.
struct Four {
    uvec4 x, y;
};

// The 32 bits of quad c out of 16 numbers that begin with `v`.
uint quad_of_stream(uvec4 v, uint c)
{
    const uint from = 4 * BITS * c;
    return bits_from(v[from >> 5], v[min((from >> 5) + 1, 3u)], from & 31u);
}

// 16 numbers of at most 8 bits, from number i on.
Four four_of_stream(uint i)
{
    const uint at = stream_word(i);
    uvec4 v = uvec4(word(at), BITS > 2 ? word(at + 1) : 0, BITS > 4 ? word(at + 2) : 0,
                    BITS > 6 ? word(at + 3) : 0);
    if (!WIDE) {
        const uint next = word(at + (BITS + 1) / 2);
        if (BITS <= 2) v.y = next;
        else if (BITS <= 4) v.z = next;
        else if (BITS <= 6) v.w = next;
        v = bits_from(v, uvec4(v.yzw, next), stream_shift(i));
    }
    return Four(uvec4(quad_of_stream(v, 0), quad_of_stream(v, 1), quad_of_stream(v, 2),
                      quad_of_stream(v, 3)), uvec4(0));
}

Four four(uint row, uint q)
{
    if (!STREAM && FORMAT == TUFF_LEVELS_TERNARY) {
        const uint words = (pc.k + 31) / 32, at = row * 2 * words + q / 8;
        const uvec4 by = (q % 8) * 4 + uvec4(0, 4, 8, 12);
        return Four(uvec4(word(at)) >> by, uvec4(word(at + words)) >> by);
    }
    if (STREAM && BITS <= 8) return four_of_stream(row * pc.k + 4 * q);
    if (STREAM) {
        const uvec2 a = quad_bits(row, q), b = quad_bits(row, q + 1);
        const uvec2 c = quad_bits(row, q + 2), d = quad_bits(row, q + 3);
        return Four(uvec4(a.x, b.x, c.x, d.x), uvec4(a.y, b.y, c.y, d.y));
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

float scale_of(uint row) { return texelFetch(scale, int(pc.scales == 1u ? 0u : row)).x; }

void main()
{
    const uint lane = gl_SubgroupInvocationID, quads = (pc.k + 3) / 4;
    const uint cols = quotient(pc.n + 2 * W - 1, 2 * W), tile = quotient(group_index(), cols);
    const uint row0 = tile * ROWS;
    if (row0 >= pc.m) return;
    const uvec2 want = (group_index() - tile * cols) * 2 * W + lane + uvec2(0, W);
    const uvec2 col = min(want, uvec2(pc.n - 1));
    last_word = FORMAT == TUFF_LEVELS_BYTES && WIDE ? pc.words / 4 - 1 : pc.words - 1;
    vec2 zero = vec2(0.0), by = vec2(1.0), plus = vec2(0.0);
    if (pc.zeros != 0u) zero = vec2(zero_of(col.x), zero_of(col.y));
    if (pc.scales != 0u) by = vec2(scale_of(col.x), scale_of(col.y));
    if (pc.bias != 0u)
        plus = vec2(texelFetch(bias, int(col.x)).x, texelFetch(bias, int(col.y)).x);

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
    // One loop, so that the activations are in the code but twice.
    for (uint row = 0; row < min(ROWS, pc.m - row0); row++) {
        vec2 v = s0;
        EACH_ROW(PICK)
        v = v * by + plus;
        const uint at = (row0 + row) * pc.n;
        if (want.x < pc.n) y[at + want.x] = act(v.x, ACT);
        if (want.y < pc.n) y[at + want.y] = act(v.y, ACT);
    }
}
