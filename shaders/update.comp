#version 450
#extension GL_GOOGLE_include_directive : require
// An optimizer's step in one pass: one invocation an element.
//
//   binding 0  w      float[count], or with -DTEXEL a texel buffer    read
//   binding 1  g      likewise                                        read
//   binding 2  hyper  float[8], a texel buffer                        read
//   binding 3  w      float[count]          write; may be the memory of binding 0. Lamb's
//                                           direction in its place
//   -DSTATES=1, 2 or 3, for each state s (m or v; m and v; m, v and x):
//   binding 4, 6, 8  s   as w                                         read
//   binding 5, 7, 9  s   float[count]       write; may be the memory of the binding before
//   -DCOPY, an invocation to two elements:
//   the next binding  copy  uint[ceil(count / 2)], w in 16 bits     write
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_UPDATE_...
//   spec 2     BF16   with -DCOPY: bf16, else f16
//   grid       ceil(invocations / WG), folded
//
// In place is safe: an invocation reads its own element only, before it writes it.
#include "common.glsl"
#include "math.glsl"
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
#if STATES >= 2
INPUT(6, v_in);
OUTPUT(7, v_out);
#endif
#if STATES >= 3
INPUT(8, x_in);
OUTPUT(9, x_out);
#endif

#include "update.glsl"

// The step of element i; returns the new w.
float update(uint i)
{
    const bool skip = skipped(), alone = OP == TUFF_UPDATE_RMSPROP || OP == TUFF_UPDATE_ADAGRAD;
    const float w = READ(w_in, i), g = penalised(READ(g_in, i), w);
    float m = 0.0, v = 0.0, x = 0.0; // the old ones
#if STATES == 1
    if (alone) v = READ(s_in, i);
    else m = READ(s_in, i);
#elif STATES >= 2
    m = READ(s_in, i);
    v = READ(v_in, i);
#endif
#if STATES >= 3
    x = READ(x_in, i);
#endif
    const float new_v = next_v(v, g);
    const float new_x = next_x(x, OP == TUFF_UPDATE_AMSGRAD ? new_v : g);
    const float new_m = next_m(m, ratio(g, new_v, new_x));
    const float n = numerator(g, OP == TUFF_UPDATE_LION ? m : new_m);
    const float d = denominator(OP == TUFF_UPDATE_AMSGRAD ? new_x : new_v);
    const float result = skip ? w : next_w(w, n, d);
    w_out[i] = result;
#if STATES == 1
    const float old = alone ? v : m, new = alone ? new_v : new_m;
    s_out[i] = skip ? old : new;
#elif STATES >= 2
    s_out[i] = skip ? m : new_m;
    v_out[i] = skip ? v : new_v;
#endif
#if STATES >= 3
    x_out[i] = skip ? x : new_x;
#endif
    return result;
}

#ifdef COPY
#include "packed.glsl"
layout(constant_id = 2) const bool BF16 = false;
layout(binding = 4 + 2 * STATES) writeonly buffer Copy { uint copy[]; };

uint half_of(float w) { return BF16 ? f32_to_bf16(w) : f32_to_f16(w); }

void main()
{
    const uint word = group_index() * WG + gl_LocalInvocationIndex, i = 2 * word;
    if (i >= pc.count) return;
    uint bits = half_of(update(i));
    if (i + 1 < pc.count) bits |= half_of(update(i + 1)) << 16;
    copy[word] = bits;
}
#else
void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i < pc.count) update(i);
}
#endif
