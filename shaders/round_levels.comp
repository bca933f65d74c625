#version 450
#extension GL_GOOGLE_include_directive : require
// round_levels: f32 to the numbers of few levels, four neighbours an invocation.
//
//   binding 0  x        f32[count], or with -DTEXEL a texel buffer   read
//   binding 1  scale    f32[scales], texels                          read
//   binding 2  zero     f32[scales], texels; anything without ZERO   read
//   binding 3  counter  u32[2], texels; anything without COUNTER     read
//   binding 4  y        f32[count]                                   write; may be x's memory
//   spec 0     WG          workgroup size
//   spec 1     STOCHASTIC  rounds up or down by random numbers
//   spec 2     ZERO        there is such a tensor
//   spec 3     COUNTER     likewise
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "exact.glsl"
#include "philox.glsl"
#include "divide.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool STOCHASTIC = false;
layout(constant_id = 2) const bool ZERO = false;
layout(constant_id = 3) const bool COUNTER = false;
layout(push_constant) uniform Push { tuff_levels_round_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) uniform samplerBuffer scale;
layout(binding = 2) uniform samplerBuffer zero;
layout(binding = 3) uniform usamplerBuffer counter;
layout(binding = 4) writeonly buffer Y { float y[]; };

// a + b in 64 bits, as (low, high).
uvec2 plus(uvec2 a, uvec2 b)
{
    const uint low = a.x + b.x;
    return uvec2(low, a.y + b.y + (low < a.x ? 1u : 0u));
}

// v / by as f32 has it; what is far beyond all levels is only that.
float part(float v, float by)
{
    const int up = int(floatBitsToUint(v) >> 23 & 0xffu) -
                   int(floatBitsToUint(by) >> 23 & 0xffu);
    const float far = floatBitsToUint(v) >> 31 != 0u ? -33554432.0 : 33554432.0;
    return up > 25 ? far : up < -60 ? far * 2.5e-27 : exact_div(v, by);
}

float level(float v, float by, float at, uint word)
{
    if ((floatBitsToUint(v) & 0x7fffffffu) > 0x7f800000u) return v;
    if ((floatBitsToUint(by) & 0x7f800000u) == 0u) return 0.0;
    if ((floatBitsToUint(by) & 0x7f800000u) == 0x7f800000u) return uintBitsToFloat(0x7fc00000u);
    precise const float t = part(v, by) + at;
    const float whole = floor(t);
    precise const float rest = t - whole;
    bool up;
    if (STOCHASTIC) up = rest > float(int(word >> 9 << 1 | 1u)) * 5.9604644775390625e-8;
    else up = rest > 0.5 || (rest == 0.5 && floor(whole * 0.5) != whole * 0.5);
    precise const float q = clamp(up ? whole + 1.0 : whole, pc.low, pc.high) - at;
    precise const float result = q * by;
    return result;
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    uvec4 word = uvec4(0u);
    if (STOCHASTIC) {
        uvec2 at = uvec2(pc.first_low, pc.first_high);
        if (COUNTER) at = plus(at, uvec2(texelFetch(counter, 0).x, texelFetch(counter, 1).x));
        at = plus(uvec2(at.x >> 2 | at.y << 30, at.y >> 2), uvec2(block, 0u));
        word = philox(uvec4(at, 0, 0), uvec2(pc.seed_low, pc.seed_high));
    }
    for (uint k = 0u; k < 4u; k++) {
        const uint i = first + k;
        if (i >= pc.count) break;
        const uint q = divide(i, pc.inner), s = q - divide(q, pc.scales) * pc.scales.by;
        const float at = ZERO ? texelFetch(zero, int(s)).x : 0.0;
        y[i] = level(load(i), texelFetch(scale, int(s)).x, at, word[k]);
    }
}
