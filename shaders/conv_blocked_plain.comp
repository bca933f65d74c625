#version 450
#extension GL_GOOGLE_include_directive : require
// A convolution between tensors in blocks of four channels, or planes of channels, one output
// per invocation; runs everywhere.
//
//   binding 0  x     f32 [N, C / 4, H, W, 4], or [N, C, H, W] without FROM
//   binding 1  w     f32 [O, C, kernel]
//   binding 2  y     f32  write  as x, by TO
//   binding 3  bias  f32 [O]; anything when TUFF_AFTER_BIAS is not set
//   spec 0     WG    invocations in a workgroup
//   spec 1     FROM  spec 2  TO
//   grid       outputs, folded
#include "common.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool FROM = false;
layout(constant_id = 2) const bool TO = false;
layout(push_constant) uniform Push { tuff_conv_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer W { float w[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) readonly buffer Bias { float bias[]; };
#include "act.glsl"

uint place(bool blocked, uint chs, uint plane, uint n, uint ch, uint at)
{
    return blocked ? ((n * (chs / 4) + ch / 4) * plane + at) * 4 + ch % 4
                   : (n * chs + ch) * plane + at;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.g.count) return;
    const uint to = pc.to_x * pc.to_y, from = pc.from_x * pc.from_y;
    const uint taps = pc.k_x * pc.k_y, chs = pc.g.k / taps;
    const uint col = i % pc.g.n, o = i / pc.g.n, n = col / to, at = col % to;
    float sum = 0.0;
    for (uint t = 0; t < taps; t++) {
        const ivec2 p = ivec2(at % pc.to_x, at / pc.to_x) * ivec2(pc.mul_x, pc.mul_y) +
                        ivec2(pc.off_x, pc.off_y) +
                        ivec2(t % pc.k_x, t / pc.k_x) * ivec2(pc.step_x, pc.step_y);
        if (any(lessThan(p, ivec2(0))) || any(greaterThanEqual(p, ivec2(pc.from_x, pc.from_y))))
            continue;
        float of_tap = 0.0;
        for (uint c = 0; c < chs; c++)
            of_tap += w[o * pc.w_row + c * pc.w_ch + t] *
                      x[place(FROM, chs, from, n, c, uint(p.y) * pc.from_x + uint(p.x))];
        sum += of_tap;
    }
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0) sum += bias[o];
    y[place(TO, pc.g.m, to, n, o, at)] = act(sum, pc.g.after & TUFF_AFTER_ACT);
}
