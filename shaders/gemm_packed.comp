#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// A large product on CPU-like drivers, from operands that were packed for it: ROWS x (4 W)
// outputs by one subgroup, as in texel.glsl, but a texel holds four products of a row or of a
// column, and every cache line is used whole.
//
//   binding 0  left      vec4[batch][panel][k / 4][W]   W rows a panel
//   binding 1  right     vec4[batch][panel][k / 4][W]   W columns a panel
//   binding 2  y         f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias      texels; anything when TUFF_AFTER_BIAS is not set
//   binding 4  residual  texels; anything when RESIDUAL is not set  may be y
//   spec 0     W         invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1     RESIDUAL  there is one
//   spec 2     ROWS      packed_rows.glsl
//   grid       column tiles x row tiles x batches x splits, folded
// With -DBLOCKED, for conv2d_blocked, of which ROWS is no spec constant,
//   spec 2     FROM      right is vec4[image][k / 4][plane], in blocks of four channels
//   spec 3     TO        y is such a tensor: vec4[image][m / 4][plane], its sums whole
// Of activations only relu is done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool RESIDUAL = false;
layout(push_constant) uniform Push { tuff_packed_pc pc; };
#include "operand.glsl"
OPERAND4(0, left)
OPERAND4(1, right)
layout(binding = 2) writeonly buffer Y { float y[]; };
#ifdef BLOCKED
layout(constant_id = 2) const bool FROM = false;
layout(constant_id = 3) const bool TO = false;
layout(binding = 2) writeonly buffer Blocks { vec4 blocks[]; };
#endif
layout(binding = 3) uniform samplerBuffer bias;
layout(binding = 4) uniform samplerBuffer residual;
#include "packed_rows.glsl"

#define ADD_TERM(r, c)                                                          \
    {                                                                           \
        const float x = SPREAD(a0.c, a1.c, a2.c, a3.c, r);                      \
        s##r.x += x * b0.c;                                                     \
        s##r.y += x * b1.c;                                                     \
        s##r.z += x * b2.c;                                                     \
        s##r.w += x * b3.c;                                                     \
    }
#define ADD_ROW(r)                                                              \
    if (r < ROWS) {                                                             \
        ADD_TERM(r, x) ADD_TERM(r, y) ADD_TERM(r, z) ADD_TERM(r, w)             \
    }

void store_row(bvec4 ok, uvec4 at, vec4 v)
{
    if (RESIDUAL)
        v += vec4(texelFetch(residual, int(at.x)).x, texelFetch(residual, int(at.y)).x,
                  texelFetch(residual, int(at.z)).x, texelFetch(residual, int(at.w)).x);
    const bvec4 below = lessThan(v, vec4(0.0));
    v = mix(v, vec4(0.0), bvec4(uvec4(below) & uvec4((pc.g.after & TUFF_AFTER_ACT) != 0)));
    if (ok.x) y[at.x] = v.x;
    if (ok.y) y[at.y] = v.y;
    if (ok.z) y[at.z] = v.z;
    if (ok.w) y[at.w] = v.w;
}

#ifdef BLOCKED
void store_block(bool ok, uint at, vec4 v)
{
    const bvec4 below = lessThan(v, vec4(0.0));
    v = mix(v, vec4(0.0), bvec4(uvec4(below) & uvec4((pc.g.after & TUFF_AFTER_ACT) != 0)));
    if (ok) blocks[at] = v;
}
#endif

// The columns of this lane, those past the end being the last one, and where they are.
#define PLACES                                                                  \
    const uvec4 want = col0 + lane + uvec4(0, W, 2 * W, 3 * W);                 \
    const bvec4 ok = lessThan(want, uvec4(pc.g.n));                             \
    const uvec4 col = min(want, uvec4(pc.g.n - 1));                             \
    const uint plane = pc.plane;                                                \
    const uvec4 image = uvec4(quotient(col.x, plane), quotient(col.y, plane),   \
                              quotient(col.z, plane), quotient(col.w, plane));

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint cols = (pc.g.n + 4 * W - 1) / (4 * W), rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint batch_of_all = group_index() / cols / rows, split = batch_of_all / pc.g.batches;
    const uint batch = batch_of_all - split * pc.g.batches;
    if (split >= pc.g.splits) return;
    const uint row0 = group_index() / cols % rows * ROWS, col0 = group_index() % cols * (4 * W);

    // Where this lane's texels of each panel begin; panels past the end are the last one.
    const uint quads = (pc.g.k + 3) / 4, last_a = (pc.g.m - 1) / W, last_b = (pc.g.n - 1) / W;
    const uint begin = split * (pc.g.k_step / 4), end = min(quads, begin + pc.g.k_step / 4);
    uvec4 a_at = batch * (last_a + 1) + min(row0 / W + uvec4(0, 1, 2, 3), uvec4(last_a));
    uvec4 b_at = batch * (last_b + 1) + min(col0 / W + uvec4(0, 1, 2, 3), uvec4(last_b));
    a_at = (a_at * quads + begin) * W + lane;
    b_at = (b_at * quads + begin) * W + lane;
#ifdef BLOCKED
    PLACES
    const uint b_step = FROM ? plane : W;
    if (FROM) b_at = (image * quads + begin) * plane + (col - image * plane);
#else
    const uint b_step = W;
#endif

    EACH_ROW(DECLARE_ROW)
    for (uint q = begin; q < end; q++) {
        const vec4 b0 = FETCH4(right, b_at.x), b1 = FETCH4(right, b_at.y);
        const vec4 b2 = FETCH4(right, b_at.z), b3 = FETCH4(right, b_at.w);
        const vec4 a0 = FETCH4(left, a_at.x), a1 = FETCH4(left, a_at.y);
        const vec4 a2 = FETCH4(left, a_at.z), a3 = FETCH4(left, a_at.w);
        EACH_ROW(ADD_ROW)
        a_at += W;
        b_at += b_step;
    }

#ifndef BLOCKED
    PLACES
#endif
    const uvec4 to = image * pc.image_step + (col - image * plane) + row0 * plane +
                     split * pc.g.count + batch * (pc.g.m * pc.g.n);

    // A bias runs along the columns, or along the rows: spread like the left operand. A loop
    // that runs once or not at all is a branch, where of a condition both sides are done.
    vec4 add = vec4(0.0);
    float add0 = 0.0, add1 = 0.0, add2 = 0.0, add3 = 0.0;
    const uint has_bias = pc.g.after & TUFF_AFTER_BIAS;
    for (uint once = has_bias * pc.bias_col; once != 0; once = 0)
        add = vec4(texelFetch(bias, int(col.x)).x, texelFetch(bias, int(col.y)).x,
                   texelFetch(bias, int(col.z)).x, texelFetch(bias, int(col.w)).x);
    for (uint once = has_bias * (1 - pc.bias_col); once != 0; once = 0) {
        const uvec4 at = min(row0 + lane + uvec4(0, W, 2 * W, 3 * W), uvec4(pc.g.m - 1));
        add0 = texelFetch(bias, int(at.x)).x;
        add1 = texelFetch(bias, int(at.y)).x;
        add2 = texelFetch(bias, int(at.z)).x;
        add3 = texelFetch(bias, int(at.w)).x;
    }
#ifdef BLOCKED
    if (TO) {
        const uvec4 at = image * (pc.image_step / 4) + row0 / 4 * plane + (col - image * plane);
#define BIASED(r) (s##r + SPREAD(add0, add1, add2, add3, r))
#define STORE_BLOCK(b, r0, r1, r2, r3)                                          \
        if (row0 + r0 < pc.g.m) {                                               \
            const mat4 v = transpose(mat4(BIASED(r0), BIASED(r1), BIASED(r2), BIASED(r3))); \
            store_block(ok.x, at.x + b * plane, v[0]);                          \
            store_block(ok.y, at.y + b * plane, v[1]);                          \
            store_block(ok.z, at.z + b * plane, v[2]);                          \
            store_block(ok.w, at.w + b * plane, v[3]);                          \
        }
        STORE_BLOCK(0, 0, 1, 2, 3)
        STORE_BLOCK(1, 4, 5, 6, 7)
        STORE_BLOCK(2, 8, 9, 10, 11)
        STORE_BLOCK(3, 12, 13, 14, 15)
        return;
    }
#endif
#define STORE_ROW(r)                                                            \
    if (r < ROWS && row0 + r < pc.g.m)                                                      \
        store_row(ok, to + r * plane, s##r + add + SPREAD(add0, add1, add2, add3, r));
    EACH_ROW(STORE_ROW)
}
