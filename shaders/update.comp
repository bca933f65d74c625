#version 450
#extension GL_GOOGLE_include_directive : require
// An optimizer's step in one pass: one invocation an element, or with WIDE four.
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
//   spec 2     WIDE   with -DTEXEL: texels are vec4 (count is a multiple of 4)
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
#define OUTPUT(at, name)                                                        \
    layout(binding = at) writeonly buffer name##_ { float name[]; };            \
    layout(binding = at) writeonly buffer name##_4_ { vec4 name##_4[]; }
layout(constant_id = 2) const bool WIDE = false;
#else
#define INPUT(at, name) layout(binding = at) readonly buffer name##_ { float name[]; }
#define READ(name, i) name[i]
#define OUTPUT(at, name) layout(binding = at) writeonly buffer name##_ { float name[]; }
#endif
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

// An element and its states, of which the optimizer has the first STATES: s is m, or v of
// RMSprop and Adagrad.
struct Element {
    float w, s, v, x;
};

// The step of an element with the gradient g.
Element stepped(Element old, float g)
{
    const bool alone = OP == TUFF_UPDATE_RMSPROP || OP == TUFF_UPDATE_ADAGRAD;
    const float m = alone ? 0.0 : old.s;
    g = penalised(g, old.w);
    const float new_v = next_v(alone ? old.s : old.v, g);
    const float new_x = next_x(old.x, OP == TUFF_UPDATE_AMSGRAD ? new_v : g);
    const float new_m = next_m(m, ratio(g, new_v, new_x));
    const float n = numerator(g, OP == TUFF_UPDATE_LION ? m : new_m);
    const float d = denominator(OP == TUFF_UPDATE_AMSGRAD ? new_x : new_v);
    if (skipped()) return old;
    return Element(next_w(old.w, n, d), alone ? new_v : new_m, new_v, new_x);
}

// The same of element i, in memory; returns the new w.
float update(uint i)
{
    Element e = Element(READ(w_in, i), 0.0, 0.0, 0.0);
#if STATES >= 1
    e.s = READ(s_in, i);
#endif
#if STATES >= 2
    e.v = READ(v_in, i);
#endif
#if STATES >= 3
    e.x = READ(x_in, i);
#endif
    e = stepped(e, READ(g_in, i));
    w_out[i] = e.w;
#if STATES >= 1
    s_out[i] = e.s;
#endif
#if STATES >= 2
    v_out[i] = e.v;
#endif
#if STATES >= 3
    x_out[i] = e.x;
#endif
    return e.w;
}

#ifdef TEXEL
// Four neighbours. Each result takes the place of its argument at the end of the row.
void update_four(uint i)
{
    vec4 w = texelFetch(w_in, int(i)), g = texelFetch(g_in, int(i));
    vec4 s = vec4(0.0), v = s, x = s;
#if STATES >= 1
    s = texelFetch(s_in, int(i));
#endif
#if STATES >= 2
    v = texelFetch(v_in, int(i));
#endif
#if STATES >= 3
    x = texelFetch(x_in, int(i));
#endif
    for (uint k = 0; k < 4; k++) {
        const Element e = stepped(Element(w.x, s.x, v.x, x.x), g.x);
        w = vec4(w.yzw, e.w);
        s = vec4(s.yzw, e.s);
        v = vec4(v.yzw, e.v);
        x = vec4(x.yzw, e.x);
        g = g.yzwx;
    }
    w_out_4[i] = w;
#if STATES >= 1
    s_out_4[i] = s;
#endif
#if STATES >= 2
    v_out_4[i] = v;
#endif
#if STATES >= 3
    x_out_4[i] = x;
#endif
}
#endif

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
#ifdef TEXEL
    if (WIDE) {
        if (i < pc.count / 4) update_four(i);
        return;
    }
#endif
    if (i < pc.count) update(i);
}
#endif
