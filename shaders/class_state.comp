#version 450
#extension GL_GOOGLE_include_directive : require
// What class_grad.comp reads of each row: one invocation a row. g is the row's dloss over the
// weight of all rows, where the loss is a mean; (m, r) as in rows.glsl, Q the sum of all q_c of
// class_rows.comp, of which a label's own is (1 - smoothing) w_y.
//
//   cross-entropy   m, r, g (1 - smoothing) w_y, what else there is of g Q, g smoothing / cols
//   soft            m, r, g, Q
//   KL              m, r, g T, the teacher's m and r
//   nll             -, -, g w_y
//   margin          the label's score, how many come near it, g w_y / cols
//   and last        label
//
//   binding 0  dloss   float[1], or [rows] where NONE                    read
//   binding 1  labels  uint[rows], or anything                           read
//   binding 2  s       scratch, see tuff_class_pc                        read, write
//   binding 3  total   float[2], where MEAN and pc.total is 0: weight of all rows    read
//   spec 0     WG    workgroup size
//   spec 1     KIND  TUFF_CLASS_...
//   spec 2     MEAN
//   spec 3     NONE
//   grid       ceil(rows / WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "abi/loss.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_CLASS_CROSS_ENTROPY;
layout(constant_id = 2) const bool MEAN = false;
layout(constant_id = 3) const bool NONE = false;
layout(push_constant) uniform Push { tuff_class_pc pc; };
layout(binding = 0) readonly buffer DLoss { float dloss[]; };
layout(binding = 1) readonly buffer Labels { uint labels[]; };
layout(binding = 2) buffer S { float s[]; };
layout(binding = 3) readonly buffer Total { float total[]; };

const bool LABELS = KIND != TUFF_CLASS_SOFT && KIND != TUFF_CLASS_KL;

void main()
{
    const uint row = group_index() * WG + gl_LocalInvocationIndex;
    if (row >= pc.rows) return;
    float g = dloss[NONE ? row : 0];
    if (MEAN) {
        const float all = pc.total > 0.0 ? pc.total : total[1];
        g = all == 0.0 ? 0.0 : g / all;
    }
    float of_parts = 0.0;
    if (KIND != TUFF_CLASS_KL)
        for (uint p = 0; p < pc.parts; p++) of_parts += s[2 * (row * pc.parts + p)];
    const float w = s[2 * row * pc.parts + 1];
    const uint stats = pc.stats + 2 * row;
    uint label = LABELS ? labels[row] : 0;
    if (label >= pc.cols || (LABELS && label == pc.ignored)) label = TUFF_NO_LABEL;

    float state[TUFF_CLASS_STATE] = float[](s[stats], s[stats + 1], g, 0.0, 0.0,
                                            uintBitsToFloat(label));
    if (KIND == TUFF_CLASS_CROSS_ENTROPY) {
        const float own = (1.0 - pc.smoothing) * w;
        state[2] = g * own;
        state[3] = g * (of_parts - own);
        state[4] = g * pc.smoothing / float(pc.cols);
    }
    if (KIND == TUFF_CLASS_SOFT) state[3] = of_parts;
    if (KIND == TUFF_CLASS_KL) {
        state[2] = g / pc.scale;
        state[3] = s[stats + 2 * pc.rows];
        state[4] = s[stats + 2 * pc.rows + 1];
    }
    if (KIND == TUFF_CLASS_NLL) state[2] = g * w;
    if (KIND == TUFF_CLASS_MARGIN) {
        state[1] = of_parts;
        state[2] = g * s[stats + 1] / float(pc.cols);
    }
    for (uint k = 0; k < TUFF_CLASS_STATE; k++)
        s[pc.more + TUFF_CLASS_STATE * row + k] = state[k];
}
