#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#ifdef BYTES
#extension GL_EXT_shader_8bit_storage : require
#endif
// Rows of bytes times weights (a dense layer) on CPU-like drivers, straight from x to y. A lane
// has four neighbours of a row of y, of each of ROWS rows; weights are its own, as words of
// numbers of KEEP bits along k (qrows_pack.comp), and the numbers of x reach all lanes by a
// shuffle.
//
//   binding 0  x       texels, bytes in words                              read
//   binding 1  w       texels, uvec4 from qrows_pack.comp                  read
//   binding 2  y       words, four bytes each; -DBYTES: bytes              write
//   binding 3  ends    texels, uvec4 from qslide_pack.comp                 read
//   binding 4  x_zero  texels, a byte; anything when pc.x_zeros is 0       read
//   binding 5  w_zero  texels, bytes; likewise                             read
//   binding 6  y_zero  texels, a byte                                      read
//   spec 0     W       invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     ROWS    of a tile, at most 16
//   spec 2     WHOLE   k is a multiple of 4
//   spec 3     KEEP    bits of a weight: 8, or of signed ones 4 or 2
//   grid       (n / (4 W)) x (m / ROWS), folded
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "rounding.glsl"
#include "qfinish.glsl"
#include "abi/qgemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint ROWS = 16;
layout(constant_id = 2) const bool WHOLE = false;
layout(constant_id = 3) const uint KEEP = 8;
layout(push_constant) uniform Push { tuff_qrows_pc pc; };
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) uniform usamplerBuffer w;
#ifdef BYTES
layout(binding = 2) writeonly buffer Y { uint8_t y[]; };
#else
layout(binding = 2) writeonly buffer Y { uint y[]; };
#endif
layout(binding = 3) uniform usamplerBuffer ends;
layout(binding = 4) uniform usamplerBuffer x_zero;
layout(binding = 5) uniform usamplerBuffer w_zero;
layout(binding = 6) uniform usamplerBuffer y_zero;

const uint PANELS = (ROWS + W - 1) / W;
const uint PER = 8 / KEEP, MASK = (1 << KEEP) - 1; // quads in a word
const uint EXACT = 64; // quads of differences of bytes that add up exactly in f32

#define EACH_ROW(DO)                                                            \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define DECLARE_ROW(r) ivec4 t##r = ivec4(0); vec4 s##r = vec4(0.0);
#define COUNT_ROW(r) if (r < ROWS) { t##r += ivec4(s##r); s##r = vec4(0.0); }
// Chosen by mix, not by ?:, which would become branches that these drivers keep.
#define SPREAD(x0, x1, x2, x3, r)                                               \
    subgroupShuffle(mix(mix(x0, x1, (r) / W == 1), mix(x2, x3, (r) / W == 3),   \
                        (r) / W >= 2), (r) % W)

// Four numbers of x from element `at` on. What is behind the end of a row meets zeros.
vec4 numbers(uint at, uint sign, float zero)
{
    const uint low = texelFetch(x, int(at >> 2)).x;
    uint v = low;
    if (!WHOLE) {
        const uint high = texelFetch(x, int(min((at >> 2) + 1u, pc.words - 1u))).x;
        const uint shift = (at & 3u) * 8u;
        v = low >> shift | (high << 1u) << (31u - shift);
    }
    v ^= sign;
    return vec4(uvec4(v, v >> 8, v >> 16, v >> 24) & 0xffu) - zero;
}

// Of weights as they are once their sign is turned.
float w_zero_at(uint o)
{
    const int less = KEEP == 8 ? 0 : 128 - (1 << (KEEP - 1));
    if (pc.w_zeros == 0u) return float(int(pc.w_sign) - less);
    const uint i = pc.w_zeros == 1u ? 0u : o;
    const uint z = texelFetch(w_zero, int(i >> 2)).x >> (i & 3u) * 8u & 0xffu;
    return float(int(z ^ pc.w_sign) - less);
}

void main()
{
    const uint lane = gl_SubgroupInvocationID, m = pc.m, n = pc.n, quads = pc.quads;
    const uint across = (n + 4 * W - 1) / (4 * W), group = group_index();
    const uint tile = quotient(group, across), panel = group - tile * across;
    const uint row0 = tile * ROWS, col = panel * 4 * W + 4 * lane;
    if (row0 >= m) return;
    const uvec4 cols = min(col + uvec4(0, 1, 2, 3), uvec4(n - 1));

    uint none = 0u;
    if (pc.x_zeros != 0u) none = texelFetch(x_zero, 0).x & 0xffu;
    const float x_none = float(none ^ pc.x_sign);
    const vec4 w_none = vec4(w_zero_at(cols.x), w_zero_at(cols.y), w_zero_at(cols.z),
                             w_zero_at(cols.w));
    const uint x_sign = pc.x_sign * 0x1010101u;
    uint w_sign = pc.w_sign * 0x1010101u;
    if (KEEP < 8) w_sign = KEEP == 4 ? 0x88888888u : 0xaaaaaaaau;
    const uvec4 rows = min(row0 + lane + uvec4(0, W, 2 * W, 3 * W), uvec4(m - 1));
    uvec4 x_at = rows * pc.k;
    const uint w_at = panel * ((quads + PER - 1) / PER) * W + lane;
    EACH_ROW(DECLARE_ROW)
    for (uint done = 0; done < quads;) {
        const uint end = min(quads, done + EXACT);
        for (; done < end; done++) {
            const uvec4 b = (texelFetch(w, int(w_at + done / PER * W)) ^ w_sign) >>
                            done % PER * (4 * KEEP);
#define FETCH(name, j, at)                                                      \
    vec4 name = vec4(0.0);                                                      \
    if (j < PANELS) name = numbers(at, x_sign, x_none);
            FETCH(a0, 0, x_at.x) FETCH(a1, 1, x_at.y)
            FETCH(a2, 2, x_at.z) FETCH(a3, 3, x_at.w)
#define ADD(r, c) if (r < ROWS) s##r += SPREAD(a0.c, a1.c, a2.c, a3.c, r) * p;
// Numbers of x behind the end of k are others'; bytes have the zero point there.
#define TERM(i, ROW)                                                            \
    {                                                                           \
        vec4 p = vec4(b >> i * KEEP & MASK) - w_none;                           \
        if (!WHOLE && KEEP < 8) p *= float(4 * done + i < pc.k);                \
        EACH_ROW(ROW)                                                           \
    }
#define ROW_X(r) ADD(r, x)
#define ROW_Y(r) ADD(r, y)
#define ROW_Z(r) ADD(r, z)
#define ROW_W(r) ADD(r, w)
            TERM(0, ROW_X) TERM(1, ROW_Y) TERM(2, ROW_Z) TERM(3, ROW_W)
            x_at += 4;
        }
        EACH_ROW(COUNT_ROW)
    }

    const int y_at = byte_at(texelFetch(y_zero, 0).x, 0u, pc.y_sign);
    const int low = pc.relu != 0u ? max(pc.low, y_at) : pc.low;
    const uvec4 e0 = texelFetch(ends, int(cols.x)), e1 = texelFetch(ends, int(cols.y));
    const uvec4 e2 = texelFetch(ends, int(cols.z)), e3 = texelFetch(ends, int(cols.w));
    const uvec4 by = uvec4(e0.x, e1.x, e2.x, e3.x), shift = uvec4(e0.y, e1.y, e2.y, e3.y);
    const ivec4 add = ivec4(e0.z, e1.z, e2.z, e3.z);
    const vec4 rough = uintBitsToFloat(uvec4(e0.w, e1.w, e2.w, e3.w));
    if (col >= n) return;
#ifdef BYTES
#define PUT(v, at)                                                              \
    y[at] = uint8_t(v.x);                                                       \
    if (col + 1 < n) y[at + 1] = uint8_t(v.y);                                  \
    if (col + 2 < n) y[at + 2] = uint8_t(v.z);                                  \
    if (col + 3 < n) y[at + 3] = uint8_t(v.w);
#else
#define PUT(v, at)                                                              \
    y[(at) / 4] = uint((v.x & 0xff) | (v.y & 0xff) << 8 | (v.z & 0xff) << 16 | v.w << 24);
#endif
#define PUT_ROW(r)                                                              \
    if (r < ROWS && row0 + r < m) {                                             \
        const ivec4 v = ivec4(finished(t##r + add, rough, by, shift, y_at, low, pc.high)); \
        const uint at = (row0 + r) * n + col;                                   \
        PUT(v, at)                                                              \
    }
    EACH_ROW(PUT_ROW)
}
