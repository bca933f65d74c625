#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// binary_matmul, and with -DCONV binary_conv2d, on CPU-like drivers: 8 x (4 W) outputs by one
// subgroup, as in texel.glsl. A word holds 32 signs of a row; where two words differ, a product
// is -1: their sum is k - 2 bitCount(a ^ b). Taps outside of an image are left out.
//
//   binding 0  left         texels [m][words], -DCONV: w [m][kh][kw][words]
//   binding 1  right        texels [n][words], -DCONV: x [images][from_h][from_w][words]
//   binding 2  y            f32[m][n], -DCONV: [images][m][to_h][to_w]   write
//   binding 3  left_scale   texels, a row of the left operand each; anything without
//   binding 4  right_scale  likewise; -DCONV: a pixel read each
//   spec 0     W     invocations in a workgroup, which is one subgroup: 8 or 16
//   spec 1     WIDE  texels of left and right are four words, of which words is a multiple
//   grid       column tiles x row tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/xnor.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool WIDE = false;
layout(push_constant) uniform Push { tuff_xnor_pc pc; };
layout(binding = 0) uniform usamplerBuffer left;
layout(binding = 1) uniform usamplerBuffer right;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer left_scale;
layout(binding = 4) uniform samplerBuffer right_scale;

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
// Bits are counted by bytes, which are added up before they might overflow: a seventh faster
// than bitCount on lavapipe.
#define DECLARE_ROW(r) uvec4 s##r = uvec4(0u), t##r = uvec4(0u);
#define SPREAD(v, r) subgroupShuffle(v, r)
#ifdef CONV
#define DIFFERENT(x, b) ((uvec4(x) ^ (b)) & ok)
#else
#define DIFFERENT(x, b) (uvec4(x) ^ (b))
#endif
#define ADD_WORD(r)                                                             \
    {                                                                           \
        const uvec4 m = fours(DIFFERENT(SPREAD(a0.x, r), b_x));           \
        t##r += (m + (m >> 4)) & 0x0f0f0f0fu;                                   \
    }
#define ADD_WORDS(r)                                                            \
    t##r += four_words(DIFFERENT(SPREAD(a0.x, r), b_x),                   \
                       DIFFERENT(SPREAD(a0.y, r), b_y),                   \
                       DIFFERENT(SPREAD(a0.z, r), b_z),                   \
                       DIFFERENT(SPREAD(a0.w, r), b_w));
#define COUNT_ROW(r)                                                            \
    {                                                                           \
        const uvec4 m = (t##r & 0x00ff00ffu) + (t##r >> 8 & 0x00ff00ffu);       \
        s##r += (m & 0xffffu) + (m >> 16);                                      \
        t##r = uvec4(0u);                                                       \
    }

// The bits of each four, counted.
uvec4 fours(uvec4 v)
{
    v -= v >> 1 & 0x55555555u;
    return (v & 0x33333333u) + (v >> 2 & 0x33333333u);
}

// The bits of each byte of four words, counted: at most 32. Three words at the same bit make a
// sum and a carry.
uvec4 four_words(uvec4 a, uvec4 b, uvec4 c, uvec4 d)
{
    const uvec4 odd = a ^ b, n = fours(odd ^ c) + 2u * fours(a & b | odd & c), m = fours(d);
    return (n & 0x0f0f0f0fu) + (n >> 4 & 0x0f0f0f0fu) + ((m + (m >> 4)) & 0x0f0f0f0fu);
}

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint cols = (pc.n + 4 * W - 1) / (4 * W), tile = quotient(group_index(), cols);
    const uint row0 = tile * 8, col0 = (group_index() - tile * cols) * (4 * W);
    if (row0 >= pc.m) return;
    const uvec4 want = col0 + lane + uvec4(0, W, 2 * W, 3 * W);
    const uvec4 col = min(want, uvec4(pc.n - 1));
    const uint row = min(row0 + lane, pc.m - 1); // of the left operand, to be shuffled
    const uint words = WIDE ? pc.words / 4 : pc.words;
    const uint BYTES = WIDE ? 7u : 31u; // texels whose bits a byte can count
    EACH_ROW(DECLARE_ROW)
    ivec4 taps = ivec4(1);
    vec4 scale = vec4(1.0);
#ifdef CONV
    const uint kh = pc.kh, kw = pc.kw, from_h = pc.from_h, from_w = pc.from_w;
    const uint scales = pc.right_scales, dilation_y = pc.dilation_y, dilation_x = pc.dilation_x;
    uvec4 image, at_y, at_x, to;
    for (int i = 0; i < 4; i++) {
        const uint plane = pc.to_h * pc.to_w, n = quotient(col[i], plane);
        const uint line = quotient(col[i] - n * plane, pc.to_w);
        image[i] = n * from_h;
        at_y[i] = line * pc.stride_y - uint(pc.pad_y);
        at_x[i] = (col[i] - n * plane - line * pc.to_w) * pc.stride_x - uint(pc.pad_x);
        to[i] = (n * pc.m + row0) * plane + col[i] - n * plane;
    }
    taps = ivec4(0);
    if (scales != 0u) scale = vec4(0.0);
    uint a_at = row * (kh * kw * words);
    for (uint ky = 0; ky < kh; ky++)
        for (uint kx = 0; kx < kw; kx++) {
            const uvec4 p_y = at_y + ky * dilation_y, p_x = at_x + kx * dilation_x;
            const uvec4 ok = uvec4(lessThan(p_y, uvec4(from_h))) *
                             uvec4(lessThan(p_x, uvec4(from_w))) * 0xffffffffu;
            const uvec4 pixel = ((image + p_y) * from_w + p_x) & ok;
            taps += ivec4(ok & 1u);
            if (scales != 0u)
                scale += mix(vec4(0.0), vec4(texelFetch(right_scale, int(pixel.x)).x,
                                             texelFetch(right_scale, int(pixel.y)).x,
                                             texelFetch(right_scale, int(pixel.z)).x,
                                             texelFetch(right_scale, int(pixel.w)).x),
                             notEqual(ok, uvec4(0u)));
            uvec4 b_at = pixel * words;
#else
    uint a_at = row * words;
    uvec4 b_at = col * words;
    {
        {
#endif
            for (uint q = 0; q < words;) {
                const uint end = min(words, q + BYTES);
                for (; q < end; q++) {
                    const uvec4 a0 = texelFetch(left, int(a_at));
                    const uvec4 v0 = texelFetch(right, int(b_at.x));
                    const uvec4 v1 = texelFetch(right, int(b_at.y));
                    const uvec4 v2 = texelFetch(right, int(b_at.z));
                    const uvec4 v3 = texelFetch(right, int(b_at.w));
                    const uvec4 b_x = uvec4(v0.x, v1.x, v2.x, v3.x);
                    if (WIDE) {
                        const uvec4 b_y = uvec4(v0.y, v1.y, v2.y, v3.y);
                        const uvec4 b_z = uvec4(v0.z, v1.z, v2.z, v3.z);
                        const uvec4 b_w = uvec4(v0.w, v1.w, v2.w, v3.w);
                        EACH_ROW(ADD_WORDS)
                    } else {
                        EACH_ROW(ADD_WORD)
                    }
                    a_at++;
                    b_at++;
                }
                EACH_ROW(COUNT_ROW)
            }
        }
#ifndef CONV
    }
    const uvec4 to = row0 * pc.n + col;
    if (pc.right_scales != 0u)
        scale = vec4(texelFetch(right_scale, int(col.x)).x,
                     texelFetch(right_scale, int(col.y)).x,
                     texelFetch(right_scale, int(col.z)).x,
                     texelFetch(right_scale, int(col.w)).x);
    const uint to_row = pc.n;
#else
    if (scales != 0u) scale /= float(kh * kw);
    const uint to_row = pc.to_h * pc.to_w;
#endif
    float l0 = 1.0;
    if (pc.left_scales != 0u) l0 = texelFetch(left_scale, int(row)).x;
    const ivec4 all = taps * int(pc.k);
    const bvec4 there = lessThan(want, uvec4(pc.n));
#define STORE_ROW(r)                                                            \
    {                                                                           \
        const float l = SPREAD(l0, r);                                      \
        if (row0 + r < pc.m) {                                                  \
            const vec4 v = vec4(all - 2 * ivec4(s##r)) * (scale * l);                  \
            const uvec4 at = to + r * to_row;                                   \
            if (there.x) y[at.x] = v.x;                                         \
            if (there.y) y[at.y] = v.y;                                         \
            if (there.z) y[at.z] = v.z;                                         \
            if (there.w) y[at.w] = v.w;                                         \
        }                                                                       \
    }
    EACH_ROW(STORE_ROW)
}
