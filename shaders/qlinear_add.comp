#version 450
#extension GL_GOOGLE_include_directive : require
// The sum of two tensors of 8-bit numbers as 8-bit numbers, four neighbours (a word) an
// invocation. In integers: a factor is a whole multiple of a power of two that both share.
//
//   binding 0  a, binding 1  b   8-bit numbers in words, or with -DTEXEL texels   read
//   binding 2  y                 8-bit numbers in words                           write
//   binding 3, 4, 5              scales of a, b, y: texels
//   binding 6, 7, 8              zero points of a, b, y (bytes): texels
//   spec 0     WG                workgroup size
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "rounding.glsl"
#include "bytes.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_qadd_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer a;
layout(binding = 1) uniform usamplerBuffer b;
#define WORD(of, i) texelFetch(of, int(i)).x
#else
layout(binding = 0) readonly buffer A { uint a[]; };
layout(binding = 1) readonly buffer B { uint b[]; };
#define WORD(of, i) of[i]
#endif
layout(binding = 2) writeonly buffer Y { uint y[]; };
layout(binding = 3) uniform samplerBuffer a_scale;
layout(binding = 4) uniform samplerBuffer b_scale;
layout(binding = 5) uniform samplerBuffer y_scale;
layout(binding = 6) uniform usamplerBuffer a_zero;
layout(binding = 7) uniform usamplerBuffer b_zero;
layout(binding = 8) uniform usamplerBuffer y_zero;

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex;
    if (block * 4u >= pc.count) return;
    const Real by = real_of(texelFetch(y_scale, 0).x);
    const Real fa = exact_quotient(real_of(texelFetch(a_scale, 0).x), by);
    const Real fb = exact_quotient(real_of(texelFetch(b_scale, 0).x), by);
    const int shift = 21 - (max(fa.e, fb.e) + 24);
    const int ma = int(exact_shift(0u, fa.m, -(fa.e + shift), false));
    const int mb = int(exact_shift(0u, fb.m, -(fb.e + shift), false));
    const int za = byte_at(texelFetch(a_zero, 0).x, 0u, pc.a_sign);
    const int zb = byte_at(texelFetch(b_zero, 0).x, 0u, pc.b_sign);
    const int zy = byte_at(texelFetch(y_zero, 0).x, 0u, pc.y_sign);
    const uint of_a = WORD(a, block), of_b = WORD(b, block);
    uint packed = 0u;
    for (uint k = 0u; k < 4u; k++) {
        const int sum = (byte_at(of_a, k, pc.a_sign) - za) * ma +
                        (byte_at(of_b, k, pc.b_sign) - zb) * mb;
        const uint size = exact_shift(0u, uint(abs(sum)), shift, false);
        const int whole = int(min(size, 1u << 20));
        const int q = clamp((sum < 0 ? -whole : whole) + zy, pc.low, pc.high);
        packed |= (uint(q) & 0xffu) << k * 8u;
    }
    y[block] = packed;
}
