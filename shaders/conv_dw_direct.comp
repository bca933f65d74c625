#version 450
#extension GL_GOOGLE_include_directive : require
// The weight gradient of a convolution with few channels in a group, on GPUs: one element of dw
// (of one part of its sum) by a workgroup, whose invocations share the pixels of dy.
// Bindings: gemm.glsl.
//
//   spec 0  WG  invocations in a workgroup, a power of two
//   grid    m * n * batches * splits groups, folded
#define DEPTH
#include "common.glsl"
#include "abi/gemm.h"
#include "conv_dw.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
shared float sums[WG];

void main()
{
    uint i = group_index();
    if (i >= pc.g.count * pc.g.splits) return; // the whole workgroup leaves together
    const uint split = i / pc.g.count, lane = gl_LocalInvocationIndex;
    i -= split * pc.g.count;
    const uint col = i % pc.g.n, row = i / pc.g.n % pc.g.m;
    gemm_batch(i / pc.g.n / pc.g.m);
    const Row r = row_of(row);
    const Col c = col_of(col);
    const uint end = min(pc.g.k, (split + 1) * pc.g.k_step);
    float sum = 0.0;
    for (uint k = split * pc.g.k_step + lane; k < end; k += WG) {
        const Inner at = inner_of(k);
        sum += load_a(r, at) * load_b(at, c);
    }
    sums[lane] = sum;
    barrier();
    for (uint half_of = WG / 2; half_of > 0; half_of /= 2) {
        if (lane < half_of) sums[lane] += sums[lane + half_of];
        barrier();
    }
    if (lane == 0) gemm_store(row, col, split, sums[0]);
}
