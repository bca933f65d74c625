#version 450
#extension GL_GOOGLE_include_directive : require
// Gradients of losses of rows of class scores: one invocation an element.
//
//   binding 0  x       float[n, cols, step]; TUFF_CLASS_SHARES: weights float[cols]    read
//   binding 1  second  target or teacher like x, weights of a cross-entropy            read
//   binding 2  s       uint (bits)[], scratch that class_state.comp has left           read
//   binding 3  y       float[n, cols, step]                                     read, write
//   spec 0     WG        workgroup size
//   spec 1     KIND      TUFF_CLASS_...
//   spec 2     WEIGHTED  cross-entropy: classes have weights; soft: y holds the row's shares
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "rows.glsl"
#include "divide.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_CLASS_CROSS_ENTROPY;
layout(constant_id = 2) const bool WEIGHTED = false;
layout(push_constant) uniform Push { tuff_class_grad_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Second { float second[]; };
layout(binding = 2) readonly buffer S { uint s[]; };
layout(binding = 3) buffer Y { float y[]; };

float real(uint i) { return uintBitsToFloat(s[i]); }

// p - q of two softmaxes, which with a high temperature are nearly equal: with the ratio k of
// their sums q (e^(d - its) k - 1) = q (k expm1(d - its) + (k - 1)).
float difference(float d, float r, float its_d, float its_r)
{
    const float apart = d - its_d, q = probability(its_d, its_r);
    if (is_likely(d, r) && is_likely(its_d, its_r))
        return less_one(d, r) - less_one(its_d, its_r);
    if (is_nan(apart) || abs(apart) >= 0.5) return probability(d, r) - q;
    const float k_less_one = (its_r - r) / (1.0 + r);
    return q * ((1.0 + k_less_one) * expm1_f32(apart) + k_less_one);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint place = divide(i, pc.step), n = divide(place, pc.cols);
    const uint c = place - n * pc.cols.by, row = n * pc.step.by + i - place * pc.step.by;
    const float even = pc.smoothing / float(pc.cols.by);
    if (KIND == TUFF_CLASS_SHARES) {
        y[i] = ((1.0 - pc.smoothing) * second[i] + even) * x[c];
        return;
    }
    const uint from = pc.more + TUFF_CLASS_STATE * row;
    const uint stats = KIND == TUFF_CLASS_LOG_PROB ? pc.stats + 2 * row : from;
    const float m = real(stats), r = real(stats + 1), d = (x[i] - m) * pc.scale;
    if (KIND == TUFF_CLASS_LOG_PROB) {
        y[i] = d - log1p_f32(r);
        return;
    }
    const uint label = s[from + 5];
    const float g = real(from + 2);
    const bool is_label = c == label;
    float dx = 0.0;
    if (label != TUFF_NO_LABEL) {
        if (KIND == TUFF_CLASS_CROSS_ENTROPY) {
            dx = g * (is_label ? less_one(d, r) : probability(d, r));
            if (pc.smoothing > 0.0)
                dx += real(from + 3) * probability(d, r) -
                      real(from + 4) * (WEIGHTED ? second[c] : 1.0);
        }
        if (KIND == TUFF_CLASS_SOFT) {
            // Q p - q = Q (p - 1) + (Q - q)
            const float q = WEIGHTED ? y[i] : (1.0 - pc.smoothing) * second[i] + even;
            const float all = real(from + 3);
            dx = g * (is_likely(d, r) ? all * less_one(d, r) + (all - q)
                                      : all * probability(d, r) - q);
        }
        if (KIND == TUFF_CLASS_KL)
            dx = g * difference(d, r, (second[i] - real(from + 3)) * pc.scale, real(from + 4));
        if (KIND == TUFF_CLASS_NLL) dx = is_label ? -g : 0.0;
        if (KIND == TUFF_CLASS_MARGIN)
            dx = is_label ? -g * r : pc.margin - m + x[i] > 0.0 ? g : 0.0;
    }
    y[i] = dx;
}
