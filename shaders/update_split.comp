#version 450
#extension GL_GOOGLE_include_directive : require
// An optimizer's step for devices that bind no more than four storage buffers, in parts; one
// invocation an element.
//
//   PART        a        b                       c           out
//   _GRADIENT   w        g                       -           g'
//   _V          g'       v                       -           new v
//   _X          g'       x (AMSGrad: a is new v) -           new x
//   _RATIO      g'       new v                   new x       what m grows by
//   _M          g'       m (a: or the ratio)     -           new m
//   _NUMERATOR  g'       new m (Lion: m)         -           numerator of the step
//   _W          w        numerator, or what it   new v or x  new w
//                        is made of: g' or m
//
//   binding 0     hyper  float[8], a texel buffer    read
//   binding 1..3  a b c  float[count]                read; `-`: anything
//   binding 4     out    float[count]                write; may be b's (M, V, X) or w's memory
//   spec 0        WG     workgroup size
//   spec 1        OP     TUFF_UPDATE_...
//   spec 2        PART   TUFF_UPDATE_GRADIENT ...
//   grid          ceil(count / WG), folded
#include "common.glsl"
#include "math.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UPDATE_SGD;
layout(constant_id = 2) const uint PART = TUFF_UPDATE_W;
layout(push_constant) uniform Push { tuff_update_pc pc; };
layout(binding = 0) uniform samplerBuffer hyper;
layout(binding = 1) readonly buffer A { float a[]; };
layout(binding = 2) readonly buffer B { float b[]; };
layout(binding = 3) readonly buffer C { float c[]; };
layout(binding = 4) writeonly buffer Out { float result[]; };

#include "update.glsl"

float new_w(float w, float b, float c)
{
    const bool mixed = OP == TUFF_UPDATE_NESTEROV || OP == TUFF_UPDATE_NADAM ||
                       OP == TUFF_UPDATE_LION; // these had the part _NUMERATOR
    return next_w(w, mixed ? b : numerator(b, b), denominator(c));
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const bool skip = skipped();
    switch (PART) {
    case TUFF_UPDATE_GRADIENT: result[i] = penalised(b[i], a[i]); break;
    case TUFF_UPDATE_V: result[i] = skip ? b[i] : next_v(b[i], a[i]); break;
    case TUFF_UPDATE_X: result[i] = skip ? b[i] : next_x(b[i], a[i]); break;
    case TUFF_UPDATE_RATIO: result[i] = ratio(a[i], b[i], c[i]); break;
    case TUFF_UPDATE_M: result[i] = skip ? b[i] : next_m(b[i], a[i]); break;
    case TUFF_UPDATE_NUMERATOR: result[i] = numerator(a[i], b[i]); break;
    case TUFF_UPDATE_W: result[i] = skip ? a[i] : new_w(a[i], b[i], c[i]); break;
    }
}
