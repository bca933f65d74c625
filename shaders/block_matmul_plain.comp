#version 450
#extension GL_GOOGLE_include_directive : require
// block_matmul, one output (of one part of the sum) per invocation. a is x, b the blocks of w.
//
//   bindings   gemm.glsl's, where b is uint[]
//   spec 0     WG      invocations in a workgroup
//   spec 1     FORMAT  TUFF_FORMAT_..., of b
//   grid       m * n * splits invocations, folded
// Parts are cut at multiples of 4.
#include "common.glsl"
#include "packed.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(push_constant) uniform Push { tuff_block_matmul_pc pc; };
#define GEMM_B uint
#include "gemm.glsl"
uint block_fetch(uint i) { return b[i]; }
#include "block.glsl"

void main()
{
    uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.g.count * pc.g.splits) return;
    const uint split = i / pc.g.count;
    i -= split * pc.g.count;
    const uint col = i % pc.g.n, row = i / pc.g.n;
    const uint end = min(pc.g.k, (split + 1) * pc.g.k_step);
    float sum = 0.0;
    for (uint k = split * pc.g.k_step; k < end; k += 4) {
        const uint at = col * pc.row_bytes + k / BLOCK_COUNT * BLOCK_BYTES;
        const vec4 w = block_quad(at, k % BLOCK_COUNT / 4);
        const uint x = row * pc.g.k + k;
        sum += a[x] * w.x;
        sum += a[x + 1] * w.y;
        sum += a[x + 2] * w.z;
        sum += a[x + 3] * w.w;
    }
    gemm_write(i, col, split, sum);
}
