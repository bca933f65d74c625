#version 450
#extension GL_GOOGLE_include_directive : require
// A convolution or its input gradient with few channels in a group, on GPUs: one output per
// invocation, whose sum goes through channels and kernel taps without a division.
// Bindings: gemm.glsl.
//
//   spec 0  WG       invocations in a workgroup
//   spec 1  DIVIDED  some pc.div is not 1
//   grid    m * n * batches invocations, folded
#define DEPTH
#include "common.glsl"
#include "abi/gemm.h"
#include "conv.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool DIVIDED = false;

// The pixel read at a place, in a plane that begins at element `plane`; 0 outside.
float pixel(uint plane, PLACE at)
{
    if (DIVIDED) {
        const PLACE from = at / EACH(div);
        at = from * EACH(div) == at && all(greaterThanEqual(at, PLACE(0))) ? from : PLACE(-1);
    }
    return is_inside(at, EACH(from)) ? b[plane + fold(at, EACH(from))] : 0.0;
}

void main()
{
    uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.g.count) return;
    const uint col = i % pc.g.n, row = i / pc.g.n % pc.g.m;
    gemm_batch(i / pc.g.n / pc.g.m);
    const Col c = col_of(col);
    const uint taps = volume(EACH(k)), chs = pc.g.k / taps, plane = volume(EACH(from));
    const uint w0 = row_of(row).a;
    float sum = 0.0;
    for (uint ch = 0; ch < chs; ch++) {
        uint w_at = w0 + ch * pc.w_ch;
        for (int z = 0; z < int(pc.k_z); z++)
            for (int y = 0; y < int(pc.k_y); y++)
                for (int x = 0; x < int(pc.k_x); x++) {
                    const PLACE at = c.at + PLACE(x, y, z) * EACH(step);
                    sum += a[w_at++] * pixel(c.b + ch * plane, at);
                }
    }
    gemm_store(row, col, 0, sum);
}
