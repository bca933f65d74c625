#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// block_matmul on CPU-like drivers, for x of few rows: up to 4 rows x (2 W) columns by one
// subgroup of W invocations, 32 products of every sum at a time.
//
// Lanes hold columns, the rows lane and W + lane of w. The 32 numbers of a row of x are eight
// texels, one a lane, and reach every lane by shuffles from literal lanes. A sum of 32 levels
// is multiplied by its scale at the end, and a minimum by the sum of the 32 numbers of x.
//
//   binding 0  x     texels, vec4[m][k / 4]
//   binding 1  w     texels of four words
//   binding 2  y     f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias  texels; anything when TUFF_AFTER_BIAS is not set
//   binding 4  codebook  texels, with -DCODEBOOK: w is indices then
//   spec 0     W       invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     FORMAT  TUFF_FORMAT_..., of w
//   spec 2     ROWS    1, 2 or 4
//   grid       column tiles x row tiles x splits, folded
// Of what follows a product, only a bias and relu are done here. Parts are cut at multiples of
// the numbers of a block.
#include "common.glsl"
#include "packed.glsl"
#include "quotient.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(constant_id = 2) const uint ROWS = 1;
layout(push_constant) uniform Push { tuff_block_matmul_pc pc; };
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform usamplerBuffer w;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;
#ifdef CODEBOOK
layout(binding = 4) uniform samplerBuffer codebook;
#endif

uint last_texel;
uvec4 chunk_fetch(uint i) { return texelFetch(w, int(min(i, last_texel))); }
#include "block_chunk.glsl"

// Quad q of a row, out of the lane that holds it. Subgroups of 4 hold it as two texels a lane.
#define SPREAD(r, q) subgroupShuffle(W >= 8 || (q) < 4 ? x##r : z##r, (q) % (W < 8 ? 4 : 8))

// One row and one quad: both columns.
#define ADD(r, q, part)                                                         \
    if (ROWS > r) {                                                             \
        const vec4 v = SPREAD(r, q);                                            \
        if (CHUNK_MIN) {                                                        \
            total##r.part += (v.x + v.y) + (v.z + v.w);                         \
        }                                                                       \
        if (ROWS == 1) {                                                        \
            a##part += v * l;                                                   \
            b##part += v * m;                                                   \
        } else {                                                                \
            s##r.part += (v.x * l.x + v.y * l.y) + (v.z * l.z + v.w * l.w);     \
            t##r.part += (v.x * m.x + v.y * m.y) + (v.z * m.z + v.w * m.w);     \
        }                                                                       \
    }
#define QUAD(q, part)                                                           \
    {                                                                           \
        const vec4 l = chunk_levels(0, q), m = chunk_levels(1, q);              \
        ADD(0, q, part) ADD(1, q, part) ADD(2, q, part) ADD(3, q, part)         \
    }
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)
#define DECLARE(r) float sum##r = 0.0, other##r = 0.0;
#define FETCH(r)                                                                \
    vec4 x##r, z##r;                                                            \
    vec2 s##r = vec2(0.0), t##r = vec2(0.0), total##r = vec2(0.0);              \
    if (ROWS > r) x##r = texelFetch(x, int(x_at + min(row + r, pc.g.m - 1) * x_step)); \
    if (ROWS > r && W < 8)                                                      \
        z##r = texelFetch(x, int(x_at + 4 + min(row + r, pc.g.m - 1) * x_step));
#define FOLD(r)                                                                 \
    if (ROWS > r) {                                                             \
        sum##r += s##r.x * chunk_scale[0].x + s##r.y * chunk_scale[0].y;        \
        other##r += t##r.x * chunk_scale[1].x + t##r.y * chunk_scale[1].y;      \
        if (CHUNK_MIN) {                                                        \
            sum##r += total##r.x * chunk_min[0].x + total##r.y * chunk_min[0].y;\
            other##r += total##r.x * chunk_min[1].x + total##r.y * chunk_min[1].y;\
        }                                                                       \
    }
#define STORE(r)                                                                \
    if (ROWS > r && row + r < pc.g.m) {                                         \
        store(row + r, col.x, split, sum##r + add.x);                           \
        store(row + r, col.y, split, other##r + add.y);                         \
    }

// All rows and both columns of a chunk.
#define ADD_CHUNK                                                               \
    {                                                                           \
        vec4 ax = vec4(0.0), ay = vec4(0.0), bx = vec4(0.0), by = vec4(0.0);    \
        EACH_ROW(FETCH)                                                         \
        QUAD(0, x) QUAD(1, x) QUAD(2, x) QUAD(3, x)                             \
        QUAD(4, y) QUAD(5, y) QUAD(6, y) QUAD(7, y)                             \
        if (ROWS == 1) {                                                        \
            s0 = vec2((ax.x + ax.y) + (ax.z + ax.w), (ay.x + ay.y) + (ay.z + ay.w)); \
            t0 = vec2((bx.x + bx.y) + (bx.z + bx.w), (by.x + by.y) + (by.z + by.w)); \
        }                                                                       \
        EACH_ROW(FOLD)                                                          \
        x_at += 8;                                                              \
    }

void store(uint row, uint col, uint split, float v)
{
    if (col >= pc.g.n) return;
    if ((pc.g.after & TUFF_AFTER_ACT) != 0) v = v < 0.0 ? 0.0 : v;
    y[split * pc.g.count + row * pc.g.n + col] = v;
}

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint cols = quotient(pc.g.n + 2 * W - 1, 2 * W), rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint i = group_index(), tile = quotient(i, cols), split = quotient(tile, rows);
    if (split >= pc.g.splits) return;
    const uint row = (tile - split * rows) * ROWS;
    const uvec2 col = (i - tile * cols) * 2 * W + lane + uvec2(0, W);
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
    uvec2 at = min(col, uvec2(pc.g.n - 1)) * pc.row_bytes + begin / BLOCK_COUNT * BLOCK_BYTES;
    const uint x_step = pc.g.k / 4;
    uint x_at = begin / 4 + lane % 8, c = 0;
    last_texel = pc.last_texel;
    chunk_begin();

    EACH_ROW(DECLARE)
    for (uint k = begin; k < end; k += 32 * GROUP) {
        group_at(0, at.x, c);
        group_at(1, at.y, c);
        if (GROUP == 1) {
            ADD_CHUNK
        } else {
            // It is always GROUP, but a long loop must not be unrolled.
            const uint chunks = min(GROUP, (end - k) / 32);
            for (uint j = 0; j < chunks; j++) {
                chunk_in(0, c + j);
                chunk_in(1, c + j);
                ADD_CHUNK
            }
        }
        c += GROUP;
        const bool next = c == BLOCK_COUNT / 32;
        at += next ? BLOCK_BYTES : 0;
        c = next ? 0 : c;
    }

    vec2 add = vec2(0.0);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0) {
        const uvec2 from = min(col, uvec2(pc.g.n - 1));
        add = vec2(texelFetch(bias, int(from.x)).x, texelFetch(bias, int(from.y)).x);
    }
    EACH_ROW(STORE)
}
