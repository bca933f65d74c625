#version 450
#extension GL_GOOGLE_include_directive : require
// pack.comp where the matrix lies in fours, which it fetches as vec4 texels.
//
//   binding 0  from    vec4 texels
//   binding 1  panels  vec4[panel][k / 4][W]  write   W rows a panel
//   spec 0     W       invocations in a workgroup, and rows of a panel
//   spec 1     LONG_K  products lie side by side; else rows do
//   grid       panels (of LONG_K, else fours of them) x pieces of PIECE vec4s, folded
// k is a multiple of 4, and so are the other step and, unless LONG_K, the rows.
#include "common.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool LONG_K = true;
layout(push_constant) uniform Push { tuff_pack_pc pc; };
layout(binding = 0) uniform samplerBuffer from;
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };

const uint PIECE = TUFF_PACK_PIECE;

void main()
{
    const uint quads = pc.k / 4, pieces = (quads + PIECE - 1) / PIECE;
    const uint first = group_index() % pieces * PIECE, end = min(first + PIECE, quads);
    const uint group = group_index() / pieces, lane = gl_LocalInvocationIndex;
    if (LONG_K) {
        if (group * W >= pc.rows) return;
        const uint at = min(group * W + lane, pc.rows - 1) * (pc.row_step / 4);
        const uint to = group * quads * W + lane;
        for (uint q = first; q < end; q++) panels[to + q * W] = texelFetch(from, int(at + q));
        return;
    }
    const uint row = group * 4 * W + 4 * lane, step = pc.inner_step / 4;
    if (row >= (pc.rows + W - 1) / W * W) return;
    uint at = min(row, pc.rows - 4) / 4 + first * 4 * step;
    uint to = (row / W * quads + first) * W + row % W;
    for (uint q = first; q < end; q++) {
        const vec4 a = texelFetch(from, int(at)), b = texelFetch(from, int(at + step));
        const vec4 c = texelFetch(from, int(at + 2 * step));
        const vec4 d = texelFetch(from, int(at + 3 * step));
        panels[to] = vec4(a.x, b.x, c.x, d.x);
        panels[to + 1] = vec4(a.y, b.y, c.y, d.y);
        panels[to + 2] = vec4(a.z, b.z, c.z, d.z);
        panels[to + 3] = vec4(a.w, b.w, c.w, d.w);
        at += 4 * step;
        to += W;
    }
}
