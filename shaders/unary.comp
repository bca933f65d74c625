#version 450
#extension GL_GOOGLE_include_directive : require
// unary: y = f(x), element by element; four elements an invocation.
//
//   binding 0  x  float[count], or with -DTEXEL a texel buffer   read
//   binding 1  y  float[count]                                   write; may be x's memory
//   spec 0     WG    workgroup size
//   spec 1     OP    TUFF_UNARY_...
//   spec 2     WIDE  TEXEL only: the texels are vec4 (count is a multiple of 4)
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "math.glsl"
#include "abi/elementwise.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UNARY_RELU;
layout(push_constant) uniform Push { tuff_unary_pc pc; };
#ifdef TEXEL
layout(constant_id = 2) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { vec4 y4[]; };
#else
layout(binding = 0) readonly buffer X { float x[]; };
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };

float f(float v)
{
    switch (OP) {
    case TUFF_UNARY_RELU: return v <= 0.0 ? 0.0 : v; // NaN stays
    case TUFF_UNARY_SIGMOID: return sigmoid_f32(v);
    case TUFF_UNARY_TANH: return tanh_f32(v);
    case TUFF_UNARY_EXP: return exp_f32(v);
    case TUFF_UNARY_LOG: return log_f32(v);
    case TUFF_UNARY_SQRT: return sqrt(v);
    case TUFF_UNARY_ABS: return abs(v);
    case TUFF_UNARY_SIGN: return v > 0.0 ? 1.0 : v < 0.0 ? -1.0 : v;
    case TUFF_UNARY_SQUARE: return v * v;
    default: return pc.scale * v + pc.shift;
    }
}

#ifdef TEXEL
// Neighbours, so that one fetch brings four.
void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    if (WIDE) {
        const vec4 v = texelFetch(x, int(i / 4));
        y4[i / 4] = vec4(f(v.x), f(v.y), f(v.z), f(v.w));
        return;
    }
    for (uint k = i; k < min(i + 4, pc.count); k++) y[k] = f(texelFetch(x, int(k)).x);
}
#else
// A workgroup's width apart, so that the loads of a workgroup lie side by side.
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i < pc.count) y[i] = f(x[i]);
    }
}
#endif
