#version 450
#extension GL_GOOGLE_include_directive : require
// im2col: every window of an image as a column; and col2im, which adds columns up where they
// came from: each pixel gathers from the windows that cover it. See abi/im2col.h.
//
//   binding 0  from  uint[] (col2im: floats' bits)   read
//   binding 1  to    uint[]                          write; read where first > 0
//   spec 0     WG    workgroup size
//   spec 1     BACK  col2im
//   grid       count / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "sum.glsl"
#include "abi/im2col.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool BACK = false;
layout(push_constant) uniform Push { tuff_im2col_pc pc; };
layout(binding = 0) readonly buffer From { uint from[]; };
layout(binding = 1) buffer To { uint to[]; };

// The element of the columns at index i.
uint column(uint i)
{
    uint q = quotient(i, pc.ow), next = quotient(q, pc.oh);
    const uint ox = i - q * pc.ow, oy = q - next * pc.oh;
    q = quotient(next, pc.kw);
    const uint kx = next - q * pc.kw, plane = quotient(q, pc.kh), ky = q - plane * pc.kh;
    const uint y = oy * pc.stride_y + ky * pc.step_y - uint(pc.top);
    const uint x = ox * pc.stride_x + kx * pc.step_x - uint(pc.left);
    const bool inside = y < pc.h && x < pc.w; // what is below 0 is large
    const uint v = from[inside ? (plane * pc.h + y) * pc.w + x : 0];
    return inside ? v : 0;
}

// The pixel at index i.
uint pixel(uint i)
{
    uint q = quotient(i, pc.w);
    const uint plane = quotient(q, pc.h), x = i - q * pc.w, y = q - plane * pc.h;
    Sum a = Sum(pc.first > 0 ? uintBitsToFloat(to[i]) : 0.0, 0.0);
    uint ky = pc.first / pc.kw, kx = pc.first - ky * pc.kw;
    for (uint t = 0; t < pc.taps; t++) {
        const int down = int(y) + pc.top - int(ky * pc.step_y);
        const int right = int(x) + pc.left - int(kx * pc.step_x);
        const uint oy = quotient(uint(max(down, 0)), pc.stride_y);
        const uint ox = quotient(uint(max(right, 0)), pc.stride_x);
        if (int(oy * pc.stride_y) == down && int(ox * pc.stride_x) == right && oy < pc.oh &&
            ox < pc.ow)
            sum_add(a, uintBitsToFloat(from[(((plane * pc.kh + ky) * pc.kw + kx) * pc.oh + oy) *
                                            pc.ow + ox]));
        kx++;
        if (kx == pc.kw) {
            kx = 0;
            ky++;
        }
    }
    return floatBitsToUint(sum_value(a));
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    to[i] = BACK ? pixel(i) : column(i);
}
