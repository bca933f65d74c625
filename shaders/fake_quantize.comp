#version 450
#extension GL_GOOGLE_include_directive : require
// fake_quantize, or with GRAD its gradient: four neighbours an invocation. Which step is next
// must be the same on every device, so x / scale is rounded in integers (rounding.glsl).
//
//   binding 0  x      f32[count]                            read
//   binding 1  scale  f32[scales], as texels                read
//   binding 2  zero   i32[scales], likewise                 read
//   binding 3  y      f32[count]; GRAD: dx                  write
//   binding 4  dy     f32[count]                            read, GRAD
//   binding 5  ds     f32[count], parts of scale's gradient write, GRAD
//   spec 0     WG     workgroup size
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "rounding.glsl"
#include "divide.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(push_constant) uniform Push { tuff_fake_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) uniform samplerBuffer scale;
layout(binding = 2) uniform usamplerBuffer zero;
layout(binding = 3) writeonly buffer Y { float y[]; };
#ifdef GRAD
#ifdef TEXEL
layout(binding = 4) uniform samplerBuffer dy;
float load_dy(uint i) { return texelFetch(dy, int(i)).x; }
#else
layout(binding = 4) readonly buffer Dy { float dy[]; };
float load_dy(uint i) { return dy[i]; }
#endif
layout(binding = 5) writeonly buffer Ds { float ds[]; };

// q s is exact in two parts, for q has few bits and each half of s 12.
float lost(float v, float by, float q)
{
    const float upper = uintBitsToFloat(floatBitsToUint(by) & 0xfffff000u);
    precise const float main_part = q * upper - v;
    precise const float rest = main_part + q * (by - upper);
    return rest / by;
}
#endif

void main()
{
    const uint first = (group_index() * WG + gl_LocalInvocationIndex) * 4u;
    for (uint i = first; i < min(first + 4u, pc.count); i++) {
        const uint row = divide(i, pc.inner);
        const uint s = row - divide(row, pc.scales) * pc.scales.by;
        const float v = load(i), by = texelFetch(scale, int(s)).x;
        const int at = int(texelFetch(zero, int(s)).x);
        const int low = pc.low - at, high = pc.high - at;
        const int whole = int(min(whole_quotient(v, by), 1u << 22));
        const bool negative = int(floatBitsToUint(v)) < 0;
        const int q = negative ? -whole : whole, near = clamp(q, low, high);
#ifdef GRAD
        const float g = load_dy(i);
        y[i] = q == near ? g : 0.0;
        ds[i] = g * (q == near ? lost(v, by, float(q)) : float(near));
#else
        const bool nan = (floatBitsToUint(v) & 0x7fffffffu) > EXACT_INF;
        y[i] = nan ? v : float(near) * by;
#endif
    }
}
