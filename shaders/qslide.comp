#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#ifdef BYTES
#extension GL_EXT_shader_8bit_storage : require
#endif
// A convolution of bytes on CPU-like drivers, straight from x to y. A lane has four neighbours
// of a row of y, of each of ROWS outputs. What a row of a kernel reads for them are a few bytes
// side by side, fetched as words, of which each serves several taps and all outputs:
//
//   x    . . a b c d e f g h . .      y0 = a w0 + b w1 + c w2 + d w3 + e w4
//            |-------|                y1 =        b w0 + c w1 + ...
//              |-------|              ...
//
// Weights lie along the lanes (qslide_pack.comp), and each reaches all lanes by a shuffle. Sums
// are floats as long as they are exact (below 2^24), and then integers.
//
//   binding 0  x        texels, bytes in words                              read
//   binding 1  w        texels, from qslide_pack.comp                       read
//   binding 2  y        words, four bytes each, where rows of y are multiples of 4; write
//                       -DBYTES: bytes; -DSUMS: i32
//   binding 3  ends     texels, uvec4 from qslide_pack.comp                 read
//   binding 4  x_zero   texels, a byte; anything when pc.x_zeros is 0       read
//   binding 5  y_zero   texels, a byte                                      read
//   spec 0     W        invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     ROWS     outputs of a tile, at most 16
//   spec 2, 3  KW, S    taps of a row, at most 11; stride
//   spec 4     CHANNELS that add up exactly
//   grid       (fours / W) x tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "rounding.glsl"
#include "qfinish.glsl"
#include "abi/qgemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint ROWS = 16;
layout(constant_id = 2) const int KW = 3;
layout(constant_id = 3) const int S = 1;
layout(constant_id = 4) const uint CHANNELS = 1;
layout(push_constant) uniform Push { tuff_qslide_pc pc; };
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) uniform samplerBuffer w;
#ifdef BYTES
layout(binding = 2) writeonly buffer Y { uint8_t y[]; };
#else
layout(binding = 2) writeonly buffer Y { uint y[]; };
#endif
layout(binding = 3) uniform usamplerBuffer ends;
layout(binding = 4) uniform usamplerBuffer x_zero;
layout(binding = 5) uniform usamplerBuffer y_zero;

const int WORDS = (3 * S + KW + 3) / 4; // that four neighbours read of a row
const uint QUADS = uint(KW + 3) / 4, PANELS = (ROWS + W - 1) / W;

#define EACH_ROW(DO)                                                            \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define DECLARE_ROW(r) ivec4 t##r = ivec4(0); vec4 s##r = vec4(0.0);
#define COUNT_ROW(r) if (r < ROWS) { t##r += ivec4(s##r); s##r = vec4(0.0); }
// Chosen by mix, not by ?:, which would become branches that these drivers keep.
#define SPREAD(x0, x1, x2, x3, r)                                               \
    subgroupShuffle(mix(mix(x0, x1, (r) / W == 1), mix(x2, x3, (r) / W == 3),   \
                        (r) / W >= 2), (r) % W)

uint word(int at) { return texelFetch(x, clamp(at, 0, int(pc.words) - 1)).x; }

// Bytes from `at` on as words; `there` has the bits of those that there are, of the others
// `none` is taken.
uvec4 line_of(int at, uvec4 there, uint none)
{
    const int first = at >> 2;
    const uint low = uint(at & 3) * 8u, high = 31u - low;
    const uint f0 = word(first), f1 = word(first + 1);
    uint f2 = 0u, f3 = 0u, f4 = 0u;
    if (WORDS > 1) f2 = word(first + 2);
    if (WORDS > 2) f3 = word(first + 3);
    if (WORDS > 3) f4 = word(first + 4);
    const uvec4 from = uvec4(f0, f1, f2, f3), next = uvec4(f1, f2, f3, f4);
    const uvec4 v = from >> low | (next << 1u) << high;
    return none ^ ((v ^ none) & there);
}

// Bits of byte i and the three behind it of a row whose first one is column `at`.
uint bits_there(int at)
{
    const uvec4 col = uvec4(at + ivec4(0, 1, 2, 3));
    const uvec4 ok = uvec4(lessThan(col, uvec4(pc.from_w))) * uvec4(0xffu, 0xff00u, 0xff0000u,
                                                                    0xff000000u);
    return ok.x | ok.y | ok.z | ok.w;
}

float number(uvec4 v, int i, float zero)
{
    return float(v[i >> 2] >> uint(i & 3) * 8u & 0xffu) - zero;
}

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint tiles = quotient(pc.m + ROWS - 1, ROWS), group = group_index();
    const uint block = quotient(group, tiles), tile = group - block * tiles;
    if (block * W >= pc.count) return;
    const uint mine = block * W + lane, i = min(mine, pc.count - 1);
    const uint above = quotient(i, pc.quads), col = (i - above * pc.quads) * 4;
    const uint image = quotient(above, pc.to_h), line = above - image * pc.to_h;

    uint none = 0u;
    if (pc.x_zeros != 0u) none = (texelFetch(x_zero, 0).x & 0xffu) * 0x1010101u;
    const float zero = float((none ^ pc.x_sign) & 0xffu);
    const uint sign = pc.x_sign * 0x1010101u;
    const int left = int(col) * S - pc.pad_x, top = int(line * pc.stride_y) - pc.pad_y;
    uvec4 there = uvec4(bits_there(left), bits_there(left + 4), 0u, 0u);
    if (WORDS > 2) there.z = bits_there(left + 8);
    if (WORDS > 3) there.w = bits_there(left + 12);

    const uint chs = pc.chs, kh = pc.kh, from_h = pc.from_h, from_w = pc.from_w;
    const int plane = int(from_h * from_w);
    int from = int(image * chs) * plane + top * int(from_w) + left;
    int w_at = int(tile * chs * kh * (QUADS * PANELS * W) + lane);
    EACH_ROW(DECLARE_ROW)
    for (uint done = 0; done < chs;) {
        const uint end = min(chs, done + CHANNELS);
        for (; done < end; done++) {
            int at = from;
            for (uint ky = 0; ky < kh; ky++) {
                const uint ok = uint(top) + ky < from_h ? 0xffffffffu : 0u;
                const uvec4 v = line_of(at, there & ok, none) ^ sign;
#define FETCH(name, j)                                                          \
    vec4 name = vec4(0.0);                                                      \
    if (j < PANELS) name = texelFetch(w, w_at + int(j * W));
#define LINE(k)                                                                 \
    if ((k) < KW) {                                                             \
        FETCH(a0, 0) FETCH(a1, 1) FETCH(a2, 2) FETCH(a3, 3)                     \
        w_at += int(PANELS * W);                                                \
        FOUR(k)                                                                 \
    }
#define FOUR(k) TAP_X(k) TAP_Y((k) + 1) TAP_Z((k) + 2) TAP_W((k) + 3)
#define COMPONENT(r, c) if (r < ROWS) s##r += SPREAD(a0.c, a1.c, a2.c, a3.c, r) * p;
#define ROW_X(r) COMPONENT(r, x)
#define ROW_Y(r) COMPONENT(r, y)
#define ROW_Z(r) COMPONENT(r, z)
#define ROW_W(r) COMPONENT(r, w)
#define TAP_OF(k, ROW)                                                          \
    if ((k) < KW) {                                                             \
        const vec4 p = vec4(number(v, k, zero), number(v, (k) + S, zero),       \
                            number(v, (k) + 2 * S, zero),                       \
                            number(v, (k) + 3 * S, zero));                      \
        EACH_ROW(ROW)                                                           \
    }
#define TAP_X(k) TAP_OF(k, ROW_X)
#define TAP_Y(k) TAP_OF(k, ROW_Y)
#define TAP_Z(k) TAP_OF(k, ROW_Z)
#define TAP_W(k) TAP_OF(k, ROW_W)
                LINE(0) LINE(4) LINE(8)
                at += int(from_w);
            }
            from += plane;
        }
        EACH_ROW(COUNT_ROW)
    }

    const uint row0 = tile * ROWS;
    const uint to_h = pc.to_h, width = pc.to_w, first = (pc.first + image) * pc.m + row0;
#ifndef SUMS
    const int y_at = byte_at(texelFetch(y_zero, 0).x, 0u, pc.y_sign);
    const int low = pc.relu != 0u ? max(pc.low, y_at) : pc.low;
#endif
    if (mine >= pc.count) return;
#define FINISHED(t, end)                                                        \
    finished(t + int(end.z), vec4(uintBitsToFloat(end.w)), uvec4(end.x), uvec4(end.y), y_at, \
             low, pc.high)
#if defined SUMS
#define PUT(r, end)                                                             \
    {                                                                           \
        const ivec4 v = t##r + int(end.z);                                      \
        const uint at = ((first + r) * to_h + line) * width + col;              \
        y[at] = uint(v.x);                                                      \
        if (col + 1 < width) y[at + 1] = uint(v.y);                             \
        if (col + 2 < width) y[at + 2] = uint(v.z);                             \
        if (col + 3 < width) y[at + 3] = uint(v.w);                             \
    }
#elif defined BYTES
#define PUT(r, end)                                                             \
    {                                                                           \
        const ivec4 v = ivec4(FINISHED(t##r, end));     \
        const uint at = ((first + r) * to_h + line) * width + col;              \
        y[at] = uint8_t(v.x);                                                   \
        if (col + 1 < width) y[at + 1] = uint8_t(v.y);                          \
        if (col + 2 < width) y[at + 2] = uint8_t(v.z);                          \
        if (col + 3 < width) y[at + 3] = uint8_t(v.w);                          \
    }
#else
#define PUT(r, end)                                                             \
    {                                                                           \
        const ivec4 v = ivec4(FINISHED(t##r, end)) & 0xff; \
        y[((first + r) * to_h + line) * pc.quads + col / 4] =                   \
            uint(v.x | v.y << 8 | v.z << 16 | v.w << 24);                       \
    }
#endif
#define PUT_ROW(r)                                                              \
    if (r < ROWS && row0 + r < pc.m) {                                          \
        const uvec4 end = texelFetch(ends, int(row0 + r));                      \
        PUT(r, end)                                                             \
    }
    EACH_ROW(PUT_ROW)
}
