#version 450
#extension GL_GOOGLE_include_directive : require
// Blocks as an operand of gemm_packed.comp: row r of w is column r there. Rows past the end
// repeat the last one.
//
//   binding 0  w       texels of four words
//   binding 1  panels  vec4[panel][k / 4][W]  write   W rows a panel
//   binding 2  codebook  texels, with -DCODEBOOK: w is indices then
//   spec 0     W       invocations in a workgroup, and rows of a panel
//   spec 1     FORMAT  TUFF_FORMAT_...
//   grid       panels, folded
#include "common.glsl"
#include "packed.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(push_constant) uniform Push { tuff_block_matmul_pc pc; };
layout(binding = 0) uniform usamplerBuffer w;
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };
#ifdef CODEBOOK
layout(binding = 2) uniform samplerBuffer codebook;
#endif
uint last_texel;
uvec4 chunk_fetch(uint i) { return texelFetch(w, int(min(i, last_texel))); }
#include "block_chunk.glsl"

#define PUT(q)                                                                  \
    {                                                                           \
        const uint i = (q) / 4;                                                 \
        precise const vec4 scaled = chunk_levels(0, q) * chunk_scale[0][i];            \
        precise const vec4 v = scaled + chunk_min[0][i];                               \
        panels[to + (q) * W] = v;                                               \
    }

void main()
{
    const uint panel = group_index(), lane = gl_LocalInvocationIndex;
    if (panel * W >= pc.g.n) return;
    const uint chunks = pc.g.k / 32;
    uint at = min(panel * W + lane, pc.g.n - 1) * pc.row_bytes;
    uint to = panel * chunks * 8 * W + lane, c = 0;
    last_texel = pc.last_texel;
    chunk_begin();
    for (uint i = 0; i < chunks; i++) {
        if (c % GROUP == 0) group_at(0, at, c);
        chunk_in(0, c);
        PUT(0) PUT(1) PUT(2) PUT(3) PUT(4) PUT(5) PUT(6) PUT(7)
        to += 8 * W;
        c++;
        const bool next = c == BLOCK_COUNT / 32;
        at += next ? BLOCK_BYTES : 0;
        c = next ? 0 : c;
    }
}
