#version 450
#extension GL_GOOGLE_include_directive : require
// binary_matmul, and with -DCONV binary_conv2d, one output an invocation; see xnor_texel.comp
// for what the words hold.
//
//   binding 0  left    words of a, -DCONV: w                       read
//   binding 1  right   words of b, -DCONV: x                       read
//   binding 2  y       f32[m][n], -DCONV: [images][m][to_h][to_w]  write
//   binding 3  scale   of a's rows, -DCONV: of x's pixels; anything without   read
//   binding 4  weight  texels: of b's rows, -DCONV: of w's rows; likewise
//   spec 0     WG      workgroup size
//   grid       m n / WG, folded
// Four words an iteration: a software driver counts them.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/xnor.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_xnor_pc pc; };
layout(binding = 0) readonly buffer Left { uint left[]; };
layout(binding = 1) readonly buffer Right { uint right[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) readonly buffer Scale { float scale[]; };
layout(binding = 4) uniform samplerBuffer weight;

// How many signs of two rows of words differ.
int different(uint a, uint b)
{
    int n = 0;
    for (uint q = 0; q < pc.words; q += 4) {
        n += bitCount(left[a + q] ^ right[b + q]);
        if (q + 1 < pc.words) n += bitCount(left[a + q + 1] ^ right[b + q + 1]);
        if (q + 2 < pc.words) n += bitCount(left[a + q + 2] ^ right[b + q + 2]);
        if (q + 3 < pc.words) n += bitCount(left[a + q + 3] ^ right[b + q + 3]);
    }
    return n;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
#ifdef CONV
    const uint plane = pc.to_h * pc.to_w, above = quotient(i, plane), pixel = i - above * plane;
    const uint image = quotient(above, pc.m), row = above - image * pc.m;
    const uint line = quotient(pixel, pc.to_w), column = pixel - line * pc.to_w;
    if (image * plane >= pc.n) return;
    int sum = 0;
    float s = 0.0;
    for (uint ky = 0; ky < pc.kh; ky++)
        for (uint kx = 0; kx < pc.kw; kx++) {
            const uint p_y = line * pc.stride_y + ky * pc.dilation_y - uint(pc.pad_y);
            const uint p_x = column * pc.stride_x + kx * pc.dilation_x - uint(pc.pad_x);
            if (p_y >= pc.from_h || p_x >= pc.from_w) continue;
            const uint from = (image * pc.from_h + p_y) * pc.from_w + p_x;
            sum += int(pc.k) - 2 * different(((row * pc.kh + ky) * pc.kw + kx) * pc.words,
                                             from * pc.words);
            if (pc.right_scales != 0u) s += scale[from];
        }
    s = pc.right_scales != 0u ? s / float(pc.kh * pc.kw) : 1.0;
    if (pc.left_scales != 0u) s *= texelFetch(weight, int(row)).x;
#else
    const uint row = quotient(i, pc.n), col = i - row * pc.n;
    if (row >= pc.m) return;
    const int sum = int(pc.k) - 2 * different(row * pc.words, col * pc.words);
    float s = 1.0;
    if (pc.left_scales != 0u) s = scale[row];
    if (pc.right_scales != 0u) s *= texelFetch(weight, int(col)).x;
#endif
    y[i] = float(sum) * s;
}
