#version 450
#extension GL_GOOGLE_include_directive : require
// An integer product of operands as they are, one sum an invocation: of matrices, or with
// -DCONV a convolution (a: w, b: x; pixels outside add nothing). Sums wrap round at 32 bits.
//
//   binding 0  a       bytes in words, or numbers of BITS bits; with      read
//                      -DTEXEL a texel buffer
//   binding 1  b       likewise, but for numbers of BITS bits             read
//   binding 2  y       i32[splits][count]                                 write
//   binding 3  a_zero  bytes in words; anything when pc.a_zeros is 0      read
//   binding 4  b_zero  texels, bytes in words; likewise                   read
//   spec 0     WG      workgroup size
//   spec 1     BITS    of a number of a, 2 to 8 (narrow.glsl)
//   grid       count * splits / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "abi/qgemm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BITS = 8;
#ifdef CONV
layout(push_constant) uniform Push { tuff_qconv_pc pc; };
#else
layout(push_constant) uniform Push { tuff_qmatmul_pc pc; };
#endif
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer a;
layout(binding = 1) uniform usamplerBuffer b;
#define A_WORD(i) texelFetch(a, int(i)).x
#define B_WORD(i) texelFetch(b, int(i)).x
#else
layout(binding = 0) readonly buffer A { uint a[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
#define A_WORD(i) a[i]
#define B_WORD(i) b[i]
#endif
layout(binding = 2) writeonly buffer Y { int y[]; };
layout(binding = 3) readonly buffer AZero { uint a_zero[]; };
layout(binding = 4) uniform usamplerBuffer b_zero;

#define NARROW_WORD(i) A_WORD(i)
#include "narrow.glsl"
int a_at(uint i) { return byte_at(narrow_byte(i), 0u, pc.signs & 0xffu); }
int b_at(uint i) { return byte_at(B_WORD(i >> 2), i, pc.signs >> 8); }

int a_zero_at(uint i)
{
    if (pc.a_zeros == 0u) return 0;
    if (pc.a_zeros == 1u) i = 0u;
    return byte_at(a_zero[i >> 2], i, pc.signs & 0xffu);
}

int b_zero_at(uint i)
{
    if (pc.b_zeros == 0u) return 0;
    if (pc.b_zeros == 1u) i = 0u;
    return byte_at(texelFetch(b_zero, int(i >> 2)).x, i, pc.signs >> 8);
}

void main()
{
    const uint all = group_index() * WG + gl_LocalInvocationIndex;
    const uint split = quotient(all, pc.count), i = all - split * pc.count;
    if (split >= pc.splits) return;
    const uint begin = split * pc.k_step, end = min(pc.k, begin + pc.k_step);
    int sum = 0;
#ifdef CONV
    const uint plane = pc.to_h * pc.to_w, all_ch = quotient(i, plane);
    const uint pixel = i - all_ch * plane;
    const uint image = quotient(all_ch, pc.to_c), ch = all_ch - image * pc.to_c;
    const uint line = quotient(pixel, pc.to_w), column = pixel - line * pc.to_w;
    const ivec2 at =
        ivec2(column * pc.stride_x, line * pc.stride_y) - ivec2(pc.pad_x, pc.pad_y);
    const int u = a_zero_at(ch), v = b_zero_at(0u);
    uint from = quotient(begin, pc.kh * pc.kw);
    const uint tap = begin - from * pc.kh * pc.kw;
    uint ky = quotient(tap, pc.kw), kx = tap - ky * pc.kw;
    from = (image * pc.from_c + quotient(ch, pc.og) * pc.cg + from) * pc.from_h * pc.from_w;
    for (uint k = begin; k < end; k++) {
        const uvec2 p = uvec2(at + ivec2(kx * pc.dilation_x, ky * pc.dilation_y));
        const bool there = p.x < pc.from_w && p.y < pc.from_h;
        const int x = b_at(there ? from + p.y * pc.from_w + p.x : 0u) - v;
        sum += (there ? x : 0) * (a_at(ch * pc.k + k) - u);
        kx++;
        const bool line_done = kx == pc.kw;
        kx = line_done ? 0u : kx;
        ky += line_done ? 1u : 0u;
        const bool plane_done = ky == pc.kh;
        ky = plane_done ? 0u : ky;
        from += plane_done ? pc.from_h * pc.from_w : 0u;
    }
#else
    const uint above = quotient(i, pc.n), col = i - above * pc.n;
    uint z = quotient(above, pc.m), row = above - z * pc.m;
    const int u = a_zero_at(row), v = b_zero_at(col);
    uint p = row * pc.a_m + begin * pc.a_k, q = col * pc.b_n + begin * pc.b_k;
    for (uint d = 0u; d < TUFF_QMATMUL_DIMS && z > 0u; d++) { // the innermost first
        const uint next = quotient(z, pc.dim[d]), at = z - next * pc.dim[d];
        z = next;
        p += at * pc.a_step[d];
        q += at * pc.b_step[d];
    }
    for (uint k = begin; k < end; k++, p += pc.a_k, q += pc.b_k)
        sum += (a_at(p) - u) * (b_at(q) - v);
#endif
    y[all] = sum;
}
