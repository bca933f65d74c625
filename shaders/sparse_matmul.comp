#version 450
#extension GL_GOOGLE_include_directive : require
// csr_matmul, bsr_matmul and, with -DNM, nm_matmul: y = A b, or b A^T where LINEAR. An output
// an invocation.
//
//   binding 0  values  f32[]   read
//   binding 1  cols    words   read
//   binding 2  b       f32[]   read
//   binding 3  y       f32[]   write, and read where pc.begin > 0
//   binding 4  starts  texels, words; not with -DNM
//   spec 0     WG      workgroup size
//   spec 1     BITS    of a place in N:M
//   spec 2     LINEAR
//   grid       (height rows) n invocations, folded; neighbours lie along the last dim of y
#include "common.glsl"
#include "abi/sparse.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 2) const bool LINEAR = false;
layout(push_constant) uniform Push { tuff_sparse_pc pc; };
layout(binding = 0) readonly buffer Values { float values[]; };
layout(binding = 1) readonly buffer Cols { uint cols[]; };
layout(binding = 2) readonly buffer B { float b[]; };
layout(binding = 3) buffer Y { float y[]; };
uint word(uint i) { return cols[i]; }
#ifndef NM
layout(binding = 4) uniform usamplerBuffer starts;
uint start(uint i) { return texelFetch(starts, int(i)).x; }
#endif
#include "sparse.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint lines = pc.rows * pc.height;
    if (i >= lines * pc.n) return;
    const uint line = LINEAR ? i % lines : i / pc.n, n = LINEAR ? i / lines : i - line * pc.n;
    const uint row = pc.first + line / pc.height, m = pc.first * pc.height + line;
    const uint at = LINEAR ? n * pc.k : n, step = LINEAR ? 1 : pc.n;
    const uint to = LINEAR ? n * pc.m + m : m * pc.n + n;
    const uvec2 blocks = blocks_of(row);
    const uint begin = min(blocks.x + pc.begin, blocks.y);
    const uint end = min(begin + pc.span, blocks.y);
    float sum = pc.begin > 0 ? y[to] : 0.0;
    for (uint e = begin; e < end; e++) {
        const uint k = col_of(row, e), from = (e * pc.height + line % pc.height) * pc.width;
        for (uint j = 0; j < pc.width; j++) sum += values[from + j] * b[at + (k + j) * step];
    }
    y[to] = sum;
}
