#version 450
#extension GL_GOOGLE_include_directive : require
// An operand of gemm_packed.comp, from a matrix whose elements lie at regular distances:
// row r, product k at r * row_step + k / inner * outer_step + k % inner * inner_step.
// Rows past the end repeat the last one; products past the end are 0.
//
//   binding 0  from    f32[]  operand.glsl
//   binding 1  panels  vec4[panel][k / 4][W]  write   W rows a panel
//   spec 0     W       invocations in a workgroup, and rows of a panel
//   grid       panels, folded
#include "common.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(push_constant) uniform Push { tuff_pack_pc pc; };
#include "operand.glsl"
OPERAND(0, from)
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };

void main()
{
    const uint panel = group_index(), lane = gl_LocalInvocationIndex;
    if (panel * W >= pc.rows) return;
    const uint k = pc.k, quads = (k + 3) / 4, inner = pc.inner;
    const uint inner_step = pc.inner_step, wrap = pc.outer_step - inner * inner_step;
    uint at = min(panel * W + lane, pc.rows - 1) * pc.row_step, to = panel * quads * W + lane;
    uint done = 0, next = 0; // products, also since the last multiple of inner
    for (uint q = 0; q < quads; q++) {
        vec4 v;
        for (int i = 0; i < 4; i++) {
            const bool there = done < k;
            const float x = FETCH(from, there ? at : 0);
            v[i] = there ? x : 0.0;
            done++;
            next++;
            const bool full = next == inner;
            at += inner_step + (full ? wrap : 0);
            next = full ? 0 : next;
        }
        panels[to] = v;
        to += W;
    }
}
