#version 450
#extension GL_GOOGLE_include_directive : require
// sparse_to_dense and, with -DNM, nm_to_dense: adds the numbers of A to a y that is 0, a line
// of numbers an invocation. Blocks at one place are added in their order.
//
//   binding 0  values  f32[]  read
//   binding 1  cols    words  read
//   binding 2  y       f32[m][k]  read and write
//   binding 3  starts  texels, words; not with -DNM
//   spec 0     WG      workgroup size
//   spec 1     BITS    of a place in N:M
//   grid       height rows invocations, folded
#include "common.glsl"
#include "abi/sparse.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_sparse_pc pc; };
layout(binding = 0) readonly buffer Values { float values[]; };
layout(binding = 1) readonly buffer Cols { uint cols[]; };
layout(binding = 2) buffer Y { float y[]; };
uint word(uint i) { return cols[i]; }
#ifndef NM
layout(binding = 3) uniform usamplerBuffer starts;
uint start(uint i) { return texelFetch(starts, int(i)).x; }
#endif
#include "sparse.glsl"

void main()
{
    const uint line = group_index() * WG + gl_LocalInvocationIndex;
    if (line >= pc.rows * pc.height) return;
    const uint row = pc.first + line / pc.height, to = (pc.first * pc.height + line) * pc.k;
    const uvec2 blocks = blocks_of(row);
    const uint begin = min(blocks.x + pc.begin, blocks.y);
    const uint end = min(begin + pc.span, blocks.y);
    for (uint e = begin; e < end; e++) {
        const uint k = col_of(row, e), from = (e * pc.height + line % pc.height) * pc.width;
        for (uint j = 0; j < pc.width; j++) y[to + k + j] += values[from + j];
    }
}
