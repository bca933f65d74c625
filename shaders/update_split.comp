#version 450
#extension GL_GOOGLE_include_directive : require
// An optimizer's step for devices that bind no more than four storage buffers: each state in
// a launch of its own, then w. One invocation an element.
//
//   binding 0  hyper  float[8], a texel buffer    read
//   binding 1  w      float[count]                read; the old one
//   binding 2  a      float[count]                read; m and v: g. w: see below
//   binding 3  b      float[count]                read; m and v: the state. w: see below
//   binding 4  out    float[count]                write; may be b's (m, v) or w's memory
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_UPDATE_...
//   spec 2     PART   TUFF_UPDATE_M, _V, _W
//   grid       ceil(count / WG), folded
//
// For w, a and b are what its formula needs: adam and adamw the new m and v, nesterov,
// momentum and rmsprop g and the new state, sgd g twice.
#include "common.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UPDATE_SGD;
layout(constant_id = 2) const uint PART = TUFF_UPDATE_W;
layout(push_constant) uniform Push { tuff_update_pc pc; };
layout(binding = 0) uniform samplerBuffer hyper;
layout(binding = 1) readonly buffer W { float w[]; };
layout(binding = 2) readonly buffer A { float a[]; };
layout(binding = 3) readonly buffer B { float b[]; };
layout(binding = 4) writeonly buffer Out { float result[]; };

#include "update.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const bool both = OP == TUFF_UPDATE_ADAM || OP == TUFF_UPDATE_ADAMW;
    if (PART == TUFF_UPDATE_M) result[i] = next_m(b[i], penalised(a[i], w[i]));
    else if (PART == TUFF_UPDATE_V) result[i] = next_v(b[i], penalised(a[i], w[i]));
    else if (both) result[i] = next_w(w[i], 0.0, a[i], b[i]);
    else result[i] = next_w(w[i], penalised(a[i], w[i]), b[i], b[i]);
}
