#version 450
#extension GL_GOOGLE_include_directive : require
// Losses of rows of class scores: one invocation a row, or a part of one where rows are long.
// Part p of a row has the elements p, p + parts, p + 2 parts, ...
//
//   binding 0  x       float[n, cols, step]; TUFF_STAGE_JOIN, _WRITE: anything     read
//   binding 1  second  labels uint[rows], or bits of a target or teacher like x    read
//   binding 2  s       scratch, see tuff_class_pc                            read, write
//   binding 3  weight  float[cols], where WEIGHTED; TUFF_STAGE_WRITE: y      read, write
//   spec 0     WG        workgroup size
//   spec 1     KIND      TUFF_CLASS_...
//   spec 2     STAGE     TUFF_STAGE_...
//   spec 3     WEIGHTED  classes have weights
//   spec 4     WALK      a cross-entropy looks at all of a row (else at the label's element)
//   grid       ceil(rows * parts / WG), folded; JOIN, WRITE: a row an invocation
//
// A cross-entropy is a sum over the row, q_c (log(sum(exp(x))) - x_c), in which
//   q_c = (1 - smoothing) w_y (c == y) + smoothing / cols w_c       with a label y
//   q_c = ((1 - smoothing) t_c + smoothing / cols) w_c              with probabilities t
#include "common.glsl"
#include "rows.glsl"
#include "sum.glsl"
#include "divide.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_CLASS_CROSS_ENTROPY;
layout(constant_id = 2) const uint STAGE = TUFF_STAGE_STATS;
layout(constant_id = 3) const bool WEIGHTED = false;
layout(constant_id = 4) const bool WALK = false;
layout(push_constant) uniform Push { tuff_class_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Second { uint second[]; };
layout(binding = 2) buffer S { float s[]; };
layout(binding = 3) buffer Weight { float weight[]; };

const bool LABELS = KIND != TUFF_CLASS_SOFT && KIND != TUFF_CLASS_KL;

float weight_of(uint c) { return WEIGHTED ? weight[c] : 1.0; }

// Element c of the row that begins at base.
uint place(uint base, uint c) { return base + c * pc.step.by; }

vec2 stats_of_part(uint base, uint part)
{
    float m = NEG_INF;
    uint at = part;
    for (uint c = part; c < pc.cols; c += pc.parts) {
        const float v = x[place(base, c)];
        if (!is_larger(v, m)) continue;
        m = v;
        at = c;
    }
    Sum sum = Sum(0.0, 0.0);
    for (uint c = part; c < pc.cols; c += pc.parts)
        sum_add(sum, c == at ? 0.0 : exp_f32((x[place(base, c)] - m) * pc.scale));
    // A softmax with an infinite element has none: all of the row is NaN.
    return vec2(m, m == POS_INF ? nan() : sum_value(sum));
}

vec2 stats_of_row(uint row)
{
    const uint first = pc.more + 2 * row * pc.parts;
    float m = NEG_INF;
    uint at = 0;
    for (uint p = 0; p < pc.parts; p++) {
        if (!is_larger(s[first + 2 * p], m)) continue;
        m = s[first + 2 * p];
        at = p;
    }
    Sum sum = Sum(0.0, 0.0);
    for (uint p = 0; p < pc.parts; p++) {
        const float of_part = s[first + 2 * p + 1], d = (s[first + 2 * p] - m) * pc.scale;
        sum_add(sum, p == at ? of_part : (1.0 + of_part) * exp_f32(d));
    }
    return vec2(m, sum_value(sum));
}

// q_c but for what a label adds.
float share(uint base, uint c)
{
    const float even = pc.smoothing / float(pc.cols);
    if (KIND == TUFF_CLASS_CROSS_ENTROPY) return even * weight_of(c);
    const float t = uintBitsToFloat(second[place(base, c)]);
    return ((1.0 - pc.smoothing) * t + even) * weight_of(c);
}

float cross_entropy(uint row, uint base, uint part, uint label)
{
    const float m = s[pc.stats + 2 * row], log_s = log1p_f32(s[pc.stats + 2 * row + 1]);
    Sum sum = Sum(0.0, 0.0);
    if (WALK)
        for (uint c = part; c < pc.cols; c += pc.parts) {
            const float q = share(base, c);
            sum_add(sum, q == 0.0 ? 0.0 : q * ((m - x[place(base, c)]) + log_s));
        }
    if (KIND == TUFF_CLASS_CROSS_ENTROPY && part == 0)
        sum_add(sum, (1.0 - pc.smoothing) * weight_of(label) *
                     ((m - x[place(base, label)]) + log_s));
    return sum_value(sum);
}

// q_c of all of the row.
float shares(uint base, uint part, uint label)
{
    Sum sum = Sum(0.0, 0.0);
    if (WALK)
        for (uint c = part; c < pc.cols; c += pc.parts) sum_add(sum, share(base, c));
    if (KIND == TUFF_CLASS_CROSS_ENTROPY && part == 0)
        sum_add(sum, (1.0 - pc.smoothing) * weight_of(label) + (WALK ? 0.0 : pc.smoothing));
    return sum_value(sum);
}

// Of one class with log-probabilities a (mine) and b (the teacher's). Both add up to 1, so that
// sum(e^b (b - a)) = sum(e^b (d - 1 + e^-d)), d = b - a: no term of that is below 0, so none
// take others away; and an error that all d share, the logs' of the sums, drops out.
float divergence_of(float a, float b)
{
    const float d = b - a, p = exp_f32(b);
    if (abs(d) < 0.5) {
        const float e = 1.0 / 2.0 - d * (1.0 / 6.0 - d * (1.0 / 24.0 - d * (1.0 / 120.0 -
                        d * (1.0 / 720.0 - d * (1.0 / 5040.0 - d / 40320.0)))));
        return p * (d * d * e);
    }
    return (p == 0.0 ? 0.0 : p * (d - 1.0)) + exp_f32(a);
}

float divergence(uint row, uint base, uint part)
{
    const uint mine = pc.stats + 2 * row, its = mine + 2 * pc.rows;
    const float log_mine = log1p_f32(s[mine + 1]), log_its = log1p_f32(s[its + 1]);
    Sum sum = Sum(0.0, 0.0);
    for (uint c = part; c < pc.cols; c += pc.parts) {
        const float a = (x[place(base, c)] - s[mine]) * pc.scale;
        const float b = (uintBitsToFloat(second[place(base, c)]) - s[its]) * pc.scale;
        sum_add(sum, divergence_of(a - log_mine, b - log_its));
    }
    return sum_value(sum) / (pc.scale * pc.scale);
}

// What elements of the row reach over the label's less the margin, or how many do.
float margins(uint base, uint part, uint label, bool count)
{
    const float of_label = x[place(base, label)];
    Sum sum = Sum(0.0, 0.0);
    for (uint c = part; c < pc.cols; c += pc.parts) {
        const float over = pc.margin - of_label + x[place(base, c)];
        const bool counts = c != label && (over > 0.0 || is_nan(over));
        sum_add(sum, !counts ? 0.0 : count ? 1.0 : over);
    }
    return sum_value(sum);
}

float value_of(uint row, uint base, uint part, uint label)
{
    const bool count = STAGE == TUFF_STAGE_SHARE;
    switch (KIND) {
    case TUFF_CLASS_KL: return count ? 0.0 : divergence(row, base, part);
    case TUFF_CLASS_NLL: return count ? 0.0 : -weight_of(label) * x[place(base, label)];
    case TUFF_CLASS_MARGIN:
        if (count && part == 0) {
            s[pc.stats + 2 * row] = x[place(base, label)];
            s[pc.stats + 2 * row + 1] = weight_of(label);
        }
        return margins(base, part, label, count) *
               (count ? 1.0 : weight_of(label) / float(pc.cols));
    }
    return count ? shares(base, part, label) : cross_entropy(row, base, part, label);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const bool whole = STAGE == TUFF_STAGE_JOIN || STAGE == TUFF_STAGE_WRITE;
    if (i >= (whole ? pc.rows : pc.rows * pc.parts)) return;
    if (STAGE == TUFF_STAGE_WRITE) {
        float sum = 0.0;
        for (uint p = 0; p < pc.parts; p++) sum += s[2 * (i * pc.parts + p)];
        weight[i] = sum;
        return;
    }
    if (STAGE == TUFF_STAGE_JOIN) {
        const vec2 pair = stats_of_row(i);
        s[pc.stats + 2 * i] = pair.x;
        s[pc.stats + 2 * i + 1] = pair.y;
        return;
    }
    const uint q = divide(i, pc.by), rest = i - q * pc.by.by;
    const uint row = pc.step.by == 1 ? q : rest, part = pc.step.by == 1 ? rest : q;
    const uint n = divide(row, pc.step), base = (n * pc.cols - n) * pc.step.by + row;
    if (STAGE == TUFF_STAGE_STATS) {
        const vec2 pair = stats_of_part(base, part);
        const uint to = pc.parts > 1 ? pc.more + 2 * (row * pc.parts + part)
                                     : pc.stats + 2 * row;
        s[to] = pair.x;
        s[to + 1] = pair.y;
        return;
    }
    const uint label = LABELS ? second[row] : 0;
    vec2 pair = vec2(0.0);
    if (label < pc.cols && !(LABELS && label == pc.ignored)) {
        pair.x = value_of(row, base, part, label);
        // Means of margins and of rows of probabilities are over rows.
        if (part == 0)
            pair.y = LABELS && KIND != TUFF_CLASS_MARGIN ? weight_of(label) : 1.0;
    }
    s[2 * (row * pc.parts + part)] = pair.x;
    s[2 * (row * pc.parts + part) + 1] = pair.y;
}
