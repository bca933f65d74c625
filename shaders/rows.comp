#version 450
#extension GL_GOOGLE_include_directive : require
// Rows of logits: one invocation a row, or a part of a row where rows are long.
//
//   binding 0  x       float[rows * cols]            read
//   binding 1  labels  uint[rows]                    read
//   binding 2  pairs   float[rows * parts * 2]       read; what the parts have left
//   binding 3  y       float                         write
//   spec 0     WG     workgroup size
//   spec 1     KIND   TUFF_ROWS_...
//   spec 2     FROM_PAIRS   the row's pair comes from its parts' pairs, else from x
//   spec 3     WRITE_PAIRS  y[2i], y[2i + 1] = the pair i (of a part unless FROM_PAIRS);
//                     else y[row] = softmax: the row's loss, right: 1 or 0; 0 where the
//                     label is none of the columns
//   grid       rows (times parts, when parts write) / WG, folded
#include "common.glsl"
#include "divide.glsl"
#include "rows.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_ROWS_SOFTMAX;
layout(constant_id = 2) const bool FROM_PAIRS = false;
layout(constant_id = 3) const bool WRITE_PAIRS = false;
layout(push_constant) uniform Push { tuff_rows_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Labels { uint labels[]; };
layout(binding = 2) readonly buffer Pairs { float pairs[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };

vec2 softmax_of_x(uint base, uint first, uint step)
{
    float m = NEG_INF, sum = 0.0;
    uint at = first;
    for (uint j = first; j < pc.cols; j += step)
        if (is_larger(x[base + j], m)) {
            m = x[base + j];
            at = j;
        }
    for (uint j = first; j < pc.cols; j += step)
        sum += j == at ? 0.0 : exp_f32(x[base + j] - m);
    return vec2(m, sum);
}

vec2 softmax_of_pairs(uint base)
{
    float m = NEG_INF, sum = 0.0;
    uint at = 0;
    for (uint p = 0; p < pc.parts.by; p++)
        if (is_larger(pairs[base + 2 * p], m)) {
            m = pairs[base + 2 * p];
            at = p;
        }
    for (uint p = 0; p < pc.parts.by; p++) {
        const float of_part = pairs[base + 2 * p + 1];
        sum += p == at ? of_part : (1.0 + of_part) * exp_f32(pairs[base + 2 * p] - m);
    }
    return vec2(m, sum);
}

vec2 right_of_x(uint base, uint first, uint step, uint label)
{
    if (label >= pc.cols) return vec2(0.0);
    const float of_label = x[base + label];
    bool right = true;
    for (uint j = first; j < pc.cols; j += step)
        if (keeps(x[base + j], j, of_label, label)) right = false;
    return vec2(right ? 1.0 : 0.0, 0.0);
}

vec2 right_of_pairs(uint base)
{
    float right = 1.0;
    for (uint p = 0; p < pc.parts.by; p++) right = min(right, pairs[base + 2 * p]);
    return vec2(right, 0.0);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const bool whole = FROM_PAIRS || !WRITE_PAIRS; // rows, not parts
    if (i >= (whole ? pc.rows : pc.rows * pc.parts.by)) return;
    const uint row = whole ? i : divide(i, pc.parts), part = whole ? 0 : i - row * pc.parts.by;
    const uint step = whole ? 1 : pc.parts.by, base = row * pc.cols, label = labels[row];
    const uint first_pair = row * pc.parts.by * 2;
    vec2 pair;
    if (KIND == TUFF_ROWS_SOFTMAX)
        pair = FROM_PAIRS ? softmax_of_pairs(first_pair) : softmax_of_x(base, part, step);
    else
        pair = FROM_PAIRS ? right_of_pairs(first_pair) : right_of_x(base, part, step, label);
    if (WRITE_PAIRS) {
        y[2 * i] = pair.x;
        y[2 * i + 1] = pair.y;
    } else if (KIND == TUFF_ROWS_RIGHT) {
        y[row] = pair.x;
    } else {
        y[row] = label < pc.cols ? pair.x - x[base + label] + log1p_f32(pair.y) : 0.0;
    }
}
