#version 450
#extension GL_GOOGLE_include_directive : require
// attention: one of the steps of softmax(scale q k^T + mask) v.
//
//   -DSCORES   0 q, 1 k, 2 mask read, 3 p [n, h, t, s] write; an element an invocation
//   -DPROBS    0 p [n, h, t, s], made a softmax in place; a row an invocation
//   -DAPPLY    0 p, 1 v read, 2 y [n, h, t, e] write; an element an invocation
//   -DFLASH    0 q, 1 k, 2 v read, 3 y write; a row of y an invocation, that keeps the largest
//              score so far, the sum of the powers, and E sums in step with it
//   spec 0     WG      workgroup size
//   spec 1     CAUSAL
//   spec 2     MASK    SCORES: 0 none, and binding 2 is q again; 1 f32, added to the scores;
//                      2 i32, 0 where a position is not asked
//   spec 3     E       FLASH: numbers in a row of v
//   grid       elements or rows / WG, folded
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "sum.glsl"
#include "abi/attention.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool CAUSAL = false;
layout(push_constant) uniform Push { tuff_attention_pc pc; };

bool hidden(uint t, uint s) { return CAUSAL && s + pc.t > t + pc.s; }

#ifdef SCORES
layout(constant_id = 2) const uint MASK = 0;
layout(binding = 0) readonly buffer Q { float q[]; };
layout(binding = 1) readonly buffer K { float k[]; };
layout(binding = 2) readonly buffer M { uint mask[]; };
layout(binding = 3) writeonly buffer P { float p[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.n * pc.h * pc.t * pc.s) return;
    const uint row = quotient(i, pc.s), s = i - row * pc.s;
    const uint nh = quotient(row, pc.t), t = row - nh * pc.t;
    const uint n = quotient(nh, pc.h), h = nh - n * pc.h;
    const uint group = n * pc.g + quotient(h, pc.h / pc.g);
    if (hidden(t, s)) {
        p[i] = NEG_INF;
        return;
    }
    Sum sum = Sum(0.0, 0.0);
    const uint a = row * pc.d, b = (group * pc.s + s) * pc.d;
    for (uint j = 0; j < pc.d; j++) sum_add(sum, q[a + j] * k[b + j]);
    float v = sum_value(sum) * pc.scale;
    if (MASK != 0) {
        const uint m = mask[n * pc.mask_n + h * pc.mask_h + t * pc.mask_t + s * pc.mask_s];
        if (MASK == 1) v += uintBitsToFloat(m);
        else if (m == 0) v = NEG_INF;
    }
    p[i] = v;
}
#endif

#ifdef PROBS
layout(binding = 0) buffer P { float p[]; };

void main()
{
    const uint row = group_index() * WG + gl_LocalInvocationIndex;
    if (row >= pc.n * pc.h * pc.t) return;
    const uint at = row * pc.s;
    float m = NEG_INF;
    for (uint s = 0; s < pc.s; s++) {
        const float v = p[at + s];
        m = v > m || is_nan(v) ? v : m;
    }
    const bool none = floatBitsToUint(m) == 0xff800000u; // it may ask nothing
    Sum sum = Sum(0.0, 0.0);
    for (uint s = 0; s < pc.s; s++) sum_add(sum, none ? 0.0 : exp_f32(p[at + s] - m));
    const float factor = none ? 0.0 : 1.0 / sum_value(sum);
    for (uint s = 0; s < pc.s; s++) {
        // What is hidden has no share, whatever the others are.
        p[at + s] = none || hidden(row % pc.t, s) ? 0.0 : exp_f32(p[at + s] - m) * factor;
    }
}
#endif

#ifdef APPLY
layout(binding = 0) readonly buffer P { float p[]; };
layout(binding = 1) readonly buffer V { float v[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.n * pc.h * pc.t * pc.e) return;
    const uint row = quotient(i, pc.e), j = i - row * pc.e;
    const uint nh = quotient(row, pc.t), t = row - nh * pc.t;
    const uint n = quotient(nh, pc.h), h = nh - n * pc.h;
    const uint from = (n * pc.g + quotient(h, pc.h / pc.g)) * pc.s * pc.e + j;
    Sum sum = Sum(0.0, 0.0);
    for (uint s = 0; s < pc.s && !hidden(t, s); s++)
        sum_add(sum, p[row * pc.s + s] * v[from + s * pc.e]);
    y[i] = sum_value(sum);
}
#endif

#ifdef FLASH
layout(constant_id = 3) const uint E = 64;
layout(binding = 0) readonly buffer Q { float q[]; };
layout(binding = 1) readonly buffer K { float k[]; };
layout(binding = 2) readonly buffer V { float v[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

void main()
{
    const uint row = group_index() * WG + gl_LocalInvocationIndex;
    if (row >= pc.n * pc.h * pc.t) return;
    const uint nh = quotient(row, pc.t), t = row - nh * pc.t;
    const uint n = quotient(nh, pc.h), h = nh - n * pc.h;
    const uint group = n * pc.g + quotient(h, pc.h / pc.g);
    float acc[E];
    for (uint j = 0; j < E; j++) acc[j] = 0.0;
    float m = NEG_INF, sum = 0.0;
    for (uint s = 0; s < pc.s; s++) {
        if (hidden(t, s)) break;
        const uint a = row * pc.d, b = (group * pc.s + s) * pc.d;
        Sum dot = Sum(0.0, 0.0);
        for (uint j = 0; j < pc.d; j++) sum_add(dot, q[a + j] * k[b + j]);
        const float score = sum_value(dot) * pc.scale;
        const float next = score > m || is_nan(score) ? score : m;
        const float keep = s == 0 ? 0.0 : exp_f32(m - next), power = exp_f32(score - next);
        sum = sum * keep + power;
        const uint c = (group * pc.s + s) * E;
        for (uint j = 0; j < E; j++) acc[j] = acc[j] * keep + power * v[c + j];
        m = next;
    }
    const float factor = floatBitsToUint(m) == 0xff800000u ? 0.0 : 1.0 / sum;
    for (uint j = 0; j < E; j++) y[row * E + j] = acc[j] * factor;
}
#endif
