#version 450
#extension GL_GOOGLE_include_directive : require
// quantize_linear, quantize_fixed and quantize_stochastic: f32 to whole numbers, four
// neighbours an invocation, which are a word of 8-bit ones. The same bits everywhere:
// rounding.glsl.
//
//   binding 0  x      f32[count], or with -DTEXEL a texel buffer   read
//   binding 1  scale  f32[scales]                                  read  not in fixed point
//   binding 2  zero   bytes[scales], in words                      read  or has_zero is 0
//   binding 3  y      8-bit numbers in words, or i32[count]        write
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_QUANTIZE_...
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "rounding.glsl"
#include "philox.glsl"
#include "divide.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_QUANTIZE_LINEAR;
layout(push_constant) uniform Push { tuff_quantize_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) readonly buffer Scale { float scale[]; };
layout(binding = 2) readonly buffer Zero { uint zero[]; };
layout(binding = 3) writeonly buffer Y { uint y[]; };

int linear(uint i, float v)
{
    const uint q = divide(i, pc.inner), s = q - divide(q, pc.scales) * pc.scales.by;
    int at = 0;
    if (pc.has_zero != 0u) {
        const uint byte = zero[s >> 2] >> (s & 3u) * 8u & 0xffu;
        at = int(byte ^ pc.zero_bits) - int(pc.zero_bits);
    }
    const float by = scale[s];
    const int whole = int(min(whole_quotient(v, by), 1u << 20));
    const bool negative = int(floatBitsToUint(v) ^ floatBitsToUint(by)) < 0;
    return clamp((negative ? -whole : whole) + at, pc.low, pc.high);
}

int fixed_point(float v)
{
    const uint rest = floatBitsToUint(v) & 0x7fffffffu;
    uint whole = 0u;
    if (rest == EXACT_INF) {
        whole = HUGE;
    } else if (rest < EXACT_INF) {
        const Real a = real_of(v);
        whole = exact_shift(0u, a.m, -(a.e + pc.point), false);
    }
    const bool negative = int(floatBitsToUint(v)) < 0;
    return negative ? -int(min(whole, uint(-pc.low))) : int(min(whole, uint(pc.high)));
}

// floor(v / s + uniform), where v / s is cut towards 0 to 24 bits behind the point.
int stochastic(float v, float by, uint word)
{
    const uint rest = floatBitsToUint(v) & 0x7fffffffu;
    const uint most = 127u << 24;
    uint t = 0u;
    if (rest > 0u && rest < EXACT_INF && by > 0.0 && floatBitsToUint(by) < EXACT_INF) {
        const Real a = real_of(v), b = real_of(by);
        uint left;
        const uint q = exact_divide(a, b, left);
        const int up = a.e - b.e;
        if (up > 7) t = most;
        else if (up >= 0) t = q << uint(up) | (left << uint(up)) / b.m;
        else if (up > -32) t = q >> uint(-up);
        t = min(t, most);
    }
    const bool negative = int(floatBitsToUint(v)) < 0;
    return ((negative ? -int(t) : int(t)) + int(word >> 8)) >> 24;
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    uvec4 word = uvec4(0u);
    if (OP == TUFF_QUANTIZE_STOCHASTIC) {
        const uint low = (pc.first_low >> 2) | (pc.first_high << 30), sum = low + block;
        const uint high = (pc.first_high >> 2) + (sum < low ? 1u : 0u);
        word = philox(uvec4(sum, high, 0, 0), uvec2(pc.seed_low, pc.seed_high));
    }
    uint packed = 0u;
    for (uint k = 0u; k < 4u; k++) {
        const uint i = first + k;
        if (i >= pc.count) break;
        const float v = load(i);
        int q;
        if (OP == TUFF_QUANTIZE_LINEAR) q = linear(i, v);
        else if (OP == TUFF_QUANTIZE_STOCHASTIC) q = stochastic(v, scale[0], word[k]);
        else q = fixed_point(v);
        if (OP == TUFF_QUANTIZE_WIDE) y[i] = uint(q);
        packed |= (uint(q) & 0xffu) << k * 8u;
    }
    if (OP != TUFF_QUANTIZE_WIDE) y[block] = packed;
}
