#version 450
#extension GL_GOOGLE_include_directive : require
// move on CPU-like drivers, where neighbours of x are no neighbours in y: an invocation turns
// blocks of 4 x 4 words in registers, so that all is read and written by fours. The
// invocations of a subgroup stand side by side along dim D, so that they read whole lines of
// the cache; each takes several blocks along dim 0, so that it writes whole lines.
//
//   binding 0  x  texels of uvec4   read
//   binding 1  y  uvec4[]           write
//   spec 0     WG    workgroup size
//   spec 1     RANK  dims
//   spec 2     D     the dim whose step in x is 1; dim 0 has step 1 in y. Both are multiples
//                    of 4, and so are all other steps
//   grid       fours along D x runs of blocks along dim 0 x all other dims, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/move.h"

const uint BLOCKS = 4; // of a run
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint RANK = 2;
layout(constant_id = 2) const uint D = 1;
layout(push_constant) uniform Push { tuff_move_pc pc; };
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) writeonly buffer Y { uvec4 y[]; };

void main()
{
    const uint across = pc.dim[D] / 4, blocks = pc.dim[0] / 4;
    const uint runs = (blocks + BLOCKS - 1) / BLOCKS;
    uint i = group_index() * WG + gl_LocalInvocationIndex, next = quotient(i, across);
    const uint column = i - next * across;
    i = next;
    next = quotient(i, runs);
    const uint first = (i - next * runs) * BLOCKS;
    uvec2 at = uvec2(pc.in_base, pc.out_base);
    for (uint d = 1; d < RANK; d++) {
        if (d == D) continue;
        const uint q = quotient(next, pc.dim[d]), c = next - q * pc.dim[d];
        at += c * uvec2(pc.in_step[d], pc.out_step[d]);
        next = q;
    }
    if (next > 0) return; // past the last block
    const uint in_step = pc.in_step[0] / 4, out_step = pc.out_step[D] / 4;
    uint from = at.x / 4 + column + 4 * first * in_step;
    uint to = at.y / 4 + 4 * column * out_step + first;
    for (uint k = first; k < min(first + BLOCKS, blocks); k++, to++) {
        const uvec4 a = texelFetch(x, int(from)), b = texelFetch(x, int(from + in_step));
        from += 2 * in_step;
        const uvec4 c = texelFetch(x, int(from)), d = texelFetch(x, int(from + in_step));
        from += 2 * in_step;
        y[to] = uvec4(a.x, b.x, c.x, d.x);
        y[to + out_step] = uvec4(a.y, b.y, c.y, d.y);
        y[to + 2 * out_step] = uvec4(a.z, b.z, c.z, d.z);
        y[to + 3 * out_step] = uvec4(a.w, b.w, c.w, d.w);
    }
}
