#version 450
#extension GL_GOOGLE_include_directive : require
// dequantize_linear and dequantize_fixed: y = (x - zero) * scale; four neighbours an
// invocation.
//
//   binding 0  x      i8 or u8 in words, or i32; with -DTEXEL a texel buffer   read
//   binding 1  scale  f32[scales]           read   anything without has_scale
//   binding 2  zero   elements as x's       read   anything without has_zero
//   binding 3  y      f32[count]            write
//   spec 0     WG    workgroup size
//   spec 1     FROM  TUFF_CAST_I8, _U8 or _I32
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "abi/cast.h"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FROM = TUFF_CAST_I8;
layout(push_constant) uniform Push { tuff_dequantize_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint word(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint word(uint i) { return x[i]; }
#endif
layout(binding = 1) readonly buffer Scale { float scale[]; };
layout(binding = 2) readonly buffer Zero { uint zero[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

int byte_of(uint w, uint i)
{
    const uint bits = FROM == TUFF_CAST_I8 ? 0x80u : 0u;
    return int((w >> (i & 3u) * 8u & 0xffu) ^ bits) - int(bits);
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    const uint four = FROM == TUFF_CAST_I32 ? 0u : word(block);
    for (uint k = 0u; k < 4u; k++) {
        const uint i = first + k;
        if (i >= pc.count) return;
        int v = FROM == TUFF_CAST_I32 ? int(word(i)) : byte_of(four, k);
        const uint q = divide(i, pc.inner), s = q - divide(q, pc.scales) * pc.scales.by;
        if (pc.has_zero != 0u)
            v -= FROM == TUFF_CAST_I32 ? int(zero[s]) : byte_of(zero[s >> 2], s);
        float by = pc.scale;
        if (pc.has_scale != 0u) by = scale[s];
        y[i] = float(v) * by;
    }
}
