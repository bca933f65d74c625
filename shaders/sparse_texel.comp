#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// csr_matmul, bsr_matmul and, with -DNM, nm_matmul on CPU-like drivers: a subgroup of W
// invocations takes a line of numbers of A, of which its lanes fetch W at a time.
//
//   y = A b     a lane has a column, or four, of b and y; each number of A and its place reach
//               all lanes by shuffles from a literal lane
//   y = b A^T   up to four rows of b; every lane multiplies its own numbers, and the sums of
//               the lanes are added in the end. With QUADS a lane has four numbers at a time.
//
//   binding 0  values  texels, of vec4 with QUADS
//   binding 1  cols    texels of words, of four with QUADS and without -DNM
//   binding 2  b       texels, of vec4 where COLS is 4 and not LINEAR
//   binding 3  y       f32[]   write, and read where pc.begin > 0
//   binding 4  starts  texels, words; not with -DNM
//   spec 0     W       invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     BITS    of a place in N:M
//   spec 2     LINEAR
//   spec 3     COLS    columns of a lane, or LINEAR rows of b: 1 or 4
//   spec 4     WIDTH   of a block
//   spec 5     QUADS   LINEAR, WIDTH is 1, and with -DNM rows begin at multiples of 4 numbers
//   grid       (height rows) tiles of columns or rows, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/sparse.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 2) const bool LINEAR = false;
layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 4) const uint WIDTH = 1;
layout(constant_id = 5) const bool QUADS = false;
layout(push_constant) uniform Push { tuff_sparse_pc pc; };
layout(binding = 0) uniform samplerBuffer values;
layout(binding = 1) uniform usamplerBuffer cols;
layout(binding = 2) uniform samplerBuffer b;
layout(binding = 3) buffer Y { float y[]; };
uint word(uint i) { return texelFetch(cols, int(i)).x; }
#ifndef NM
layout(binding = 4) uniform usamplerBuffer starts;
uint start(uint i) { return texelFetch(starts, int(i)).x; }
#endif
#include "sparse.glsl"

#define EACH_LANE(DO)                                                           \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)

// Where a subgroup stands: its row of blocks and the line in it, its tile, its blocks.
uint row, line, m, tile;
uvec2 blocks;

// Number i of the line: its value (0 past the end) and its place.
float number_at(uint i, out uint k)
{
    const uint count = (blocks.y - blocks.x) * WIDTH, at = min(i, max(count, 1) - 1);
    const uint j = WIDTH == 1 ? at : quotient(at, WIDTH);
    const uint e = min(blocks.x + j, pc.count - 1), part = at - j * WIDTH;
    k = col_of(row, e) + part;
    const float v = texelFetch(values, int((e * pc.height + line) * WIDTH + part)).x;
    return i < count ? v : 0.0;
}

void across()
{
    const uint lane = gl_SubgroupInvocationID, count = (blocks.y - blocks.x) * WIDTH;
    const uint steps = pc.n / COLS, n = min(tile * W + lane, steps - 1);
    vec4 sum = vec4(0.0);
#define ADD(r)                                                                  \
    if (W > r) {                                                                \
        const float x = subgroupShuffle(v, (r) % W);                            \
        sum += x * texelFetch(b, int(subgroupShuffle(at, (r) % W) + n));        \
    }
    for (uint i = 0; i < count; i += W) {
        uint k;
        const float v = number_at(i + lane, k);
        const uint at = k * steps;
        EACH_LANE(ADD)
    }
    if (tile * W + lane >= steps) return;
    const uint to = m * pc.n + n * COLS;
    const bool more = pc.begin > 0;
    y[to] = sum.x + (more ? y[to] : 0.0);
    if (COLS == 1) return;
    y[to + 1] = sum.y + (more ? y[to + 1] : 0.0);
    y[to + 2] = sum.z + (more ? y[to + 2] : 0.0);
    y[to + 3] = sum.w + (more ? y[to + 3] : 0.0);
}

// Places of the four numbers from e on, of which e - shift is the first of the row.
uvec4 places_at(uint e)
{
#ifdef NM
    return uvec4(col_of(row, e), col_of(row, e + 1), col_of(row, e + 2), col_of(row, e + 3));
#else
    return min(texelFetch(cols, int(e / 4)), uvec4(pc.k - 1));
#endif
}

vec4 rows_at(uvec4 from, uint k)
{
    vec4 v = vec4(texelFetch(b, int(from.x + k)).x);
    if (COLS == 4)
        v.yzw = vec3(texelFetch(b, int(from.y + k)).x, texelFetch(b, int(from.z + k)).x,
                     texelFetch(b, int(from.w + k)).x);
    return v;
}

void along()
{
    const uint lane = gl_SubgroupInvocationID;
    const uvec4 from = min(tile * COLS + uvec4(0, 1, 2, 3), uvec4(pc.n - 1)) * pc.k;
    vec4 sum = vec4(0.0);
    if (QUADS) {
        for (uint q = blocks.x / 4 + lane; q - lane < (blocks.y + 3) / 4; q += W) {
            const uvec4 e = 4 * q + uvec4(0, 1, 2, 3);
            const bvec4 inside = bvec4(uvec4(greaterThanEqual(e, blocks.xxxx)) &
                                       uvec4(lessThan(e, blocks.yyyy)));
            const uint last = (pc.count + 3) / 4 - 1, at = min(q, last);
            const vec4 v = mix(vec4(0.0), texelFetch(values, int(at)), inside);
            const uvec4 k = places_at(4 * at);
            sum += v.x * rows_at(from, k.x);
            sum += v.y * rows_at(from, k.y);
            sum += v.z * rows_at(from, k.z);
            sum += v.w * rows_at(from, k.w);
        }
    } else {
        const uint count = (blocks.y - blocks.x) * WIDTH;
        for (uint i = 0; i < count; i += W) {
            uint k;
            const float v = number_at(i + lane, k);
            sum += v * rows_at(from, k);
        }
    }
    vec4 all = vec4(0.0);
#define FOLD(r) if (W > r) all += subgroupShuffle(sum, (r) % W);
    EACH_LANE(FOLD)
    const uint n = tile * COLS + lane, to = n * pc.m + m;
    if (lane >= COLS || n >= pc.n) return;
    const float v = lane == 0 ? all.x : lane == 1 ? all.y : lane == 2 ? all.z : all.w;
    y[to] = v + (pc.begin > 0 ? y[to] : 0.0);
}

void main()
{
    const uint lines = pc.rows * pc.height, each = LINEAR ? COLS : COLS * W;
    const uint tiles = (pc.n + each - 1) / each, i = group_index();
    const uint at = LINEAR ? i : quotient(i, tiles);
    tile = LINEAR ? quotient(i, lines) : i - at * tiles;
    line = LINEAR ? i - tile * lines : at;
    if (line >= lines || tile >= tiles) return;
    row = pc.first + quotient(line, pc.height);
    m = pc.first * pc.height + line;
    line -= (row - pc.first) * pc.height;
    blocks = blocks_of(row);
    blocks.x = min(blocks.x + pc.begin, blocks.y);
    blocks.y = min(blocks.x + pc.span, blocks.y);
    if (LINEAR) along();
    else across();
}
