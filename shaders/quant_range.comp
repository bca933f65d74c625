#version 450
#extension GL_GOOGLE_include_directive : require
// The least and the greatest of some numbers, 0 among them, and what they give as a scale:
// dynamic_quantize_linear and quantize_stochastic. NaNs are passed over.
//
//   binding 0  x      f32[count], or pairs (min, max) of an earlier launch;
//                     with -DTEXEL a texel buffer                                      read
//   binding 1  y      pairs[parts], or the scale f32[1]                                write
//   binding 2  zero   the zero point, a byte in a word; anything unless WRITE is AFFINE  write
//   spec 0     WG     workgroup size
//   spec 1     PAIRS  x holds pairs
//   spec 2     WRITE  TUFF_RANGE_...; parts is 1 unless it is PAIRS
//   grid       parts / WG, folded
#include "common.glsl"
#include "rounding.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool PAIRS = false;
layout(constant_id = 2) const uint WRITE = TUFF_RANGE_PAIRS;
layout(push_constant) uniform Push { tuff_range_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };
layout(binding = 2) writeonly buffer Zero { uint zero[]; };

const float LEAST = 7.8886090522101180541e-31; // 2^-100: of a range that is worth a scale

float scale_of(float range, float steps)
{
    if (!(range >= LEAST)) return 1.0;
    if (floatBitsToUint(range) >= EXACT_INF) return POS_INF;
    return exact_float(exact_quotient(real_of(range), real_of(steps)), false);
}

void main()
{
    const uint part = group_index() * WG + gl_LocalInvocationIndex;
    if (part >= pc.parts) return;
    float low = 0.0, high = 0.0;
    for (uint i = part; i < pc.count; i += pc.parts) {
        const float a = load(PAIRS ? 2u * i : i), b = PAIRS ? load(2u * i + 1u) : a;
        low = a < low ? a : low;
        high = b > high ? b : high;
    }
    if (WRITE == TUFF_RANGE_PAIRS) {
        y[2u * part] = low;
        y[2u * part + 1u] = high;
    } else if (WRITE == TUFF_RANGE_SYMMETRIC) {
        y[0] = scale_of(max(-low, high), 127.0);
    } else {
        precise const float range = high - low;
        const float s = scale_of(range, 255.0);
        y[0] = s;
        zero[0] = range >= LEAST ? min(whole_quotient(low, s), 255u) : 0u;
    }
}
