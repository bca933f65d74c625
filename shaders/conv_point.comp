#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// A convolution with a kernel of one tap, without strides and pads, on CPU-like drivers: as
// gemm_packed.comp, but the tensor read lies as a product likes it, four pixels a texel.
//
//   binding 0  left      vec4[group][panel][k / 4][W]   W channels written a panel
//   binding 1  right     vec4[image][group][channel][plane / 4]
//   binding 2  y         vec4[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias      texels; anything when TUFF_AFTER_BIAS is not set
//   binding 4  residual  texels of four; anything when RESIDUAL is not set  may be y
//   spec 0     W         invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     RESIDUAL  there is one
//   spec 2     ROWS      packed_rows.glsl
//   grid       column tiles x row tiles x groups x splits, folded
// A plane is a multiple of four pixels. Of activations only relu is done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool RESIDUAL = false;
layout(push_constant) uniform Push { tuff_point_pc pc; };
#include "operand.glsl"
OPERAND4(0, left)
OPERAND4(1, right)
layout(binding = 2) writeonly buffer Y { vec4 y[]; };
layout(binding = 3) uniform samplerBuffer bias;
layout(binding = 4) uniform samplerBuffer residual;
#include "packed_rows.glsl"

#define ADD_TERM(r, c, b) s##r += SPREAD(a0.c, a1.c, a2.c, a3.c, r) * b;
#define ADD_ROW(r)                                                              \
    if (r < ROWS) {                                                             \
        ADD_TERM(r, x, b0) ADD_TERM(r, y, b1) ADD_TERM(r, z, b2) ADD_TERM(r, w, b3) \
    }

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint cols = (pc.g.n + 4 * W - 1) / (4 * W), rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint batch_of_all = group_index() / cols / rows, split = batch_of_all / pc.g.batches;
    const uint batch = batch_of_all - split * pc.g.batches;
    if (split >= pc.g.splits) return;
    const uint row0 = group_index() / cols % rows * ROWS, want = group_index() % cols * (4 * W);

    // Texels of the panels; those past the end are the last one. This lane's four columns; past
    // the end the last four.
    const uint k = pc.g.k, quads = (k + 3) / 4, last_a = (pc.g.m - 1) / W;
    const uint begin = split * (pc.g.k_step / 4), end = min(quads, begin + pc.g.k_step / 4);
    uvec4 a_at = batch * (last_a + 1) + min(row0 / W + uvec4(0, 1, 2, 3), uvec4(last_a));
    a_at = (a_at * quads + begin) * W + lane;
    const bool ok = want + 4 * lane < pc.g.n;
    const uint plane = pc.plane / 4, col = (ok ? want : pc.g.n - 4 - 4 * lane) / 4 + lane;
    const uint image = quotient(col, plane), pixel = col - image * plane;
    uint b_at = ((image * pc.g.batches + batch) * k + begin * 4) * plane + pixel;

    EACH_ROW(DECLARE_ROW)
    uint done = begin * 4;
    for (uint q = begin; q < end; q++) {
        // Channels past the end of the last quad are 0, as they are on the left.
        const uint last = k - 1 - done; // of this quad
        const vec4 b0 = FETCH4(right, b_at);
        vec4 b1 = FETCH4(right, b_at + min(last, 1) * plane);
        vec4 b2 = FETCH4(right, b_at + min(last, 2) * plane);
        vec4 b3 = FETCH4(right, b_at + min(last, 3) * plane);
        b1 = mix(b1, vec4(0.0), bvec4(last < 1));
        b2 = mix(b2, vec4(0.0), bvec4(last < 2));
        b3 = mix(b3, vec4(0.0), bvec4(last < 3));
        const vec4 a0 = FETCH4(left, a_at.x), a1 = FETCH4(left, a_at.y);
        const vec4 a2 = FETCH4(left, a_at.z), a3 = FETCH4(left, a_at.w);
        EACH_ROW(ADD_ROW)
        a_at += W;
        b_at += 4 * plane;
        done += 4;
    }

    const uint of_all = (image * pc.g.batches + batch) * pc.g.m + row0;
    const uint to = of_all * plane + pixel + split * (pc.g.count / 4);
    float add0 = 0.0, add1 = 0.0, add2 = 0.0, add3 = 0.0; // spread like the left operand
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0) {
        const uvec4 at = min(row0 + lane + uvec4(0, W, 2 * W, 3 * W), uvec4(pc.g.m - 1));
        add0 = texelFetch(bias, int(batch * pc.g.m + at.x)).x;
        add1 = texelFetch(bias, int(batch * pc.g.m + at.y)).x;
        add2 = texelFetch(bias, int(batch * pc.g.m + at.z)).x;
        add3 = texelFetch(bias, int(batch * pc.g.m + at.w)).x;
    }
    const bool relu = (pc.g.after & TUFF_AFTER_ACT) != 0;
#define STORE_ROW(r)                                                            \
    if (r < ROWS && row0 + r < pc.g.m) {                                                    \
        vec4 v = s##r + SPREAD(add0, add1, add2, add3, r);                      \
        if (RESIDUAL) v += texelFetch(residual, int(to + r * plane));           \
        const bvec4 less = lessThan(v, vec4(0.0));                              \
        if (ok)                                                                 \
            y[to + r * plane] = mix(v, vec4(0.0),                               \
                                    bvec4(uvec4(less) & uvec4(relu)));          \
    }
    EACH_ROW(STORE_ROW)
}
