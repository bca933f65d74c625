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
//   spec 2     ONE    there is one scale for all
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "rounding.glsl"
#include "philox.glsl"
#include "divide.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_QUANTIZE_LINEAR;
layout(constant_id = 2) const bool ONE = false;
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

// The quotient of floats is a few units in the last place off at most. What is further from a
// tie than that is on the right side of it, and what is near one, or no such number, is done in
// integers. Far out either side will do.
vec4 quotients(vec4 v, vec4 by)
{
    const uvec4 b = floatBitsToUint(by) & 0x7fffffffu;
    const vec4 q = clamp(v / by, vec4(-2048.0), vec4(2048.0));
    vec4 whole = roundEven(q);
    const uvec4 far = uvec4(lessThan(abs(q - whole), 0.5 - abs(q) * 1e-6)) *
                      uvec4(lessThan(floatBitsToUint(v) & 0x7fffffffu, uvec4(EXACT_INF))) *
                      uvec4(lessThan(b - 0x0d800000u, uvec4(0x64000000u))); // 2^-100 to 2^100
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (bool again = any(equal(far, uvec4(0u))); again; again = false)
        for (int k = 0; k < 4; k++) {
            const float exact = float(min(whole_quotient(v[k], by[k]), 2048u));
            const bool negative = int(floatBitsToUint(v[k]) ^ floatBitsToUint(by[k])) < 0;
            if (far[k] == 0u) whole[k] = negative ? -exact : exact;
        }
    return whole;
}

int zero_at(uint s)
{
    const uint byte = zero[s >> 2] >> (s & 3u) * 8u & 0xffu;
    return int(byte ^ pc.zero_bits) - int(pc.zero_bits);
}

// Four neighbours as a word.
uint linear(uint first)
{
    const uvec4 i = min(first + uvec4(0, 1, 2, 3), uvec4(pc.count - 1));
    ivec4 at = ivec4(0);
    vec4 by;
    if (ONE) {
        by = vec4(scale[0]);
        if (pc.has_zero != 0u) at = ivec4(zero_at(0u));
    } else {
        for (uint k = 0u; k < 4u; k++) {
            const uint q = divide(i[k], pc.inner), s = q - divide(q, pc.scales) * pc.scales.by;
            by[k] = scale[s];
            if (pc.has_zero != 0u) at[k] = zero_at(s);
        }
    }
    const vec4 v = vec4(load(i.x), load(i.y), load(i.z), load(i.w));
    const uvec4 y = uvec4(clamp(ivec4(quotients(v, by)) + at, pc.low, pc.high)) & 0xffu;
    const uint there = min(pc.count - first, 4u) * 8u - 1u;
    return (y.x | y.y << 8 | y.z << 16 | y.w << 24) & ((2u << there) - 1u);
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
    if (OP == TUFF_QUANTIZE_LINEAR) {
        y[block] = linear(first);
        return;
    }
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
        if (OP == TUFF_QUANTIZE_STOCHASTIC) q = stochastic(v, scale[0], word[k]);
        else q = fixed_point(v);
        if (OP == TUFF_QUANTIZE_WIDE) y[i] = uint(q);
        packed |= (uint(q) & 0xffu) << k * 8u;
    }
    if (OP != TUFF_QUANTIZE_WIDE) y[block] = packed;
}
