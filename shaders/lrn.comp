#version 450
#extension GL_GOOGLE_include_directive : require
// Local response normalisation and its gradient: one invocation an element; see abi/norm.h.
//
//   binding 0  x      float[count], or with -DTEXEL a texel buffer     read
//   binding 1  dy     the same; Y: anything                            read
//   binding 2  terms  the same; DX: what a launch of TERMS wrote       read
//   binding 3  y      float[count]                                     write
//   spec 0     WG     workgroup size
//   spec 1     MODE   TUFF_LRN_...
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "math.glsl"
#include "abi/norm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint MODE = TUFF_LRN_Y;
layout(push_constant) uniform Push { tuff_lrn_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer dy;
layout(binding = 2) uniform samplerBuffer terms;
float load_x(uint i) { return texelFetch(x, int(i)).x; }
float load_dy(uint i) { return texelFetch(dy, int(i)).x; }
float load_terms(uint i) { return texelFetch(terms, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Dy { float dy[]; };
layout(binding = 2) readonly buffer Terms { float terms[]; };
float load_x(uint i) { return x[i]; }
float load_dy(uint i) { return dy[i]; }
float load_terms(uint i) { return terms[i]; }
#endif
layout(binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint line = divide(i, pc.span), c = line - divide(line, pc.period) * pc.channels;
    const uint step = pc.span.by, last = pc.channels - 1;
    const uint first = i - min(c, pc.before) * step;
    const uint end = i + min(last - c, pc.behind) * step;
    float squares = 0.0;
    for (uint j = first; j <= end; j += step) {
        const float v = load_x(j);
        squares += v * v;
    }
    const float d = pc.bias + pc.scale * squares, power = exp_f32(-pc.beta * log_f32(d));
    if (MODE == TUFF_LRN_Y) {
        y[i] = load_x(i) * power;
        return;
    }
    if (MODE == TUFF_LRN_TERMS) {
        y[i] = load_dy(i) * load_x(i) * (power / d);
        return;
    }
    // Windows that have this element are those of channels from c - behind to c + before.
    const uint from = i - min(c, pc.behind) * step;
    const uint to = i + min(last - c, pc.before) * step;
    float sum = 0.0;
    for (uint j = from; j <= to; j += step) sum += load_terms(j);
    y[i] = load_dy(i) * power - 2.0 * pc.scale * pc.beta * load_x(i) * sum;
}
