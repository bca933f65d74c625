#version 450
#extension GL_GOOGLE_include_directive : require
// The end of a convolution backwards with strides, on CPU-like drivers: the products of every
// pixel read with every kernel tap are there, and each pixel written adds those that fall on
// it, one of each `stride` taps along a dim.
//
//   binding 0  from  texels: [image][channel written][tap][pixel read]
//   binding 1  y     f32[]  write
//   binding 2  bias  texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     WG    invocations in a workgroup
//   grid       elements of y, folded
// Of what follows, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(push_constant) uniform Push { tuff_spread_pc pc; };
layout(binding = 0) uniform samplerBuffer from;
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) uniform samplerBuffer bias;

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row = quotient(i, pc.to_x), plane = quotient(row, pc.to_y); // image and channel
    const uint ch = plane - quotient(plane, pc.chs) * pc.chs;
    const uint at_x = i - row * pc.to_x + pc.pad_x, at_y = row - plane * pc.to_y + pc.pad_y;
    const uint q_x = quotient(at_x, pc.stride_x), q_y = quotient(at_y, pc.stride_y);
    const uint tap_x = at_x - q_x * pc.stride_x, tap_y = at_y - q_y * pc.stride_y;
    const uint size = pc.from_y * pc.from_x, first = plane * (pc.k_y * pc.k_x) * size;
    const uint stride_x = pc.stride_x, stride_y = pc.stride_y, from_x = pc.from_x;
    const uint from_y = pc.from_y, k_x = pc.k_x, k_y = pc.k_y;
    const uint times_x = pc.times_x, times_y = pc.times_y;
    float sum = 0.0;
    for (uint b = 0; b < times_y; b++) {
        const uint ky = tap_y + b * stride_y, py = q_y - b; // a negative one is large
        const uint ok_y = uint(ky < k_y) & uint(py < from_y);
        const uint at = first + ky * k_x * size + py * from_x;
        for (uint a = 0; a < times_x; a++) {
            const uint kx = tap_x + a * stride_x, px = q_x - a;
            const bool ok = (ok_y & uint(kx < k_x) & uint(px < from_x)) != 0;
            const float v = texelFetch(from, int(mix(0u, at + kx * size + px, ok))).x;
            sum += mix(0.0, v, ok);
        }
    }
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.after & TUFF_AFTER_BIAS; once != 0; once = 0)
        sum += texelFetch(bias, int(ch)).x;
    const bool less = sum < 0.0 && (pc.after & TUFF_AFTER_ACT) != 0;
    y[i] = mix(sum, 0.0, less);
}
