#version 450
#extension GL_GOOGLE_include_directive : require
// An optimizer's step in one pass: one invocation an element.
//
//   binding 0  w      float[count], or with -DTEXEL a texel buffer    read
//   binding 1  g      likewise                                        read
//   binding 2  hyper  float[8], a texel buffer                        read
//   binding 3  w      float[count]          write; may be the memory of binding 0
//   -DSTATES=1 or 2, for each state s (m or v; m and v):
//   binding 4, 6  s   as w                                            read
//   binding 5, 7  s   float[count]          write; may be the memory of the binding before
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_UPDATE_...
//   grid       ceil(count / WG), folded
//
// In place is safe: an invocation reads its own element only, before it writes it.
#include "common.glsl"
#include "abi/update.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UPDATE_SGD;
layout(push_constant) uniform Push { tuff_update_pc pc; };
#ifdef TEXEL
#define INPUT(at, name) layout(binding = at) uniform samplerBuffer name
#define READ(name, i) texelFetch(name, int(i)).x
#else
#define INPUT(at, name) layout(binding = at) readonly buffer name##_ { float name[]; }
#define READ(name, i) name[i]
#endif
#define OUTPUT(at, name) layout(binding = at) writeonly buffer name##_ { float name[]; }
INPUT(0, w_in);
INPUT(1, g_in);
layout(binding = 2) uniform samplerBuffer hyper;
OUTPUT(3, w_out);
#if STATES >= 1
INPUT(4, s_in);
OUTPUT(5, s_out);
#endif
#if STATES == 2
INPUT(6, v_in);
OUTPUT(7, v_out);
#endif

#include "update.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const float w = READ(w_in, i), g = penalised(READ(g_in, i), w);
    float m = 0.0, v = 0.0;
#if STATES == 1
    const float s = READ(s_in, i);
    if (OP == TUFF_UPDATE_RMSPROP) v = next_v(s, g);
    else m = next_m(s, g);
    s_out[i] = OP == TUFF_UPDATE_RMSPROP ? v : m;
#elif STATES == 2
    m = next_m(READ(s_in, i), g);
    v = next_v(READ(v_in, i), g);
    s_out[i] = m;
    v_out[i] = v;
#endif
    w_out[i] = next_w(w, g, m, v);
}
