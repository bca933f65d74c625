#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// matmul on CPU-like drivers where all that is read lies in fours: as texel.glsl, but ROWS x
// (4 W) outputs by one subgroup, and four products at a time, by vec4 texels of the operands as
// they are.
//
//   LEFT_K   a lane fetches four products of the row `lane` (and of row W + lane); else W / 4
//            lanes fetch four rows each of one product, and so for four products
//   RIGHT_K  a lane has the columns lane, W + lane, 2W + lane and 3W + lane, and fetches four
//            products of each; else four neighbouring columns, of four products in turn
//
//   binding 0  left   vec4 texels
//   binding 1  right  vec4 texels
//   binding 2  y      f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias   texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     W      invocations in a workgroup, which is one subgroup: 8 or 16
//   spec 1     ROWS   of a tile: 4, 8, 12 or 16
//   spec 2, 3  LEFT_K, RIGHT_K  products lie side by side; else rows, or columns do
//   grid       column tiles x row tiles x batches x splits, folded
// k is a multiple of 4, and so are the steps of all dims but those that lie side by side. Of
// what follows a product, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint ROWS = 8;
layout(constant_id = 2) const bool LEFT_K = true;
layout(constant_id = 3) const bool RIGHT_K = false;
layout(push_constant) uniform Push { tuff_matmul_pc pc; };
layout(binding = 0) uniform samplerBuffer left;
layout(binding = 1) uniform samplerBuffer right;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 2) writeonly buffer Y4 { vec4 y4[]; };
layout(binding = 3) uniform samplerBuffer bias;

#define EACH_ROW(DO)                                                            \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define DECLARE_ROW(r) vec4 s##r = vec4(0.0);
// The left operand's row r in product c.
#define LEFT(r, c)                                                              \
    subgroupShuffle((r) / W == 0 ? a0[LEFT_K ? (c) : (r) % 4]                   \
                                 : a1[LEFT_K ? (c) : (r) % 4],                  \
                    LEFT_K ? (r) % W : (c) * (W / 4) + (r) % W / 4)
#define ADD_ROW(r)                                                              \
    if (r < ROWS)                                                               \
        s##r += LEFT(r, 0) * b0 + LEFT(r, 1) * b1 + LEFT(r, 2) * b2 + LEFT(r, 3) * b3;

void main()
{
    const uint lane = gl_SubgroupInvocationID, m = pc.g.m, n = pc.g.n;
    const uint cols = quotient(n + 4 * W - 1, 4 * W), rows = quotient(m + ROWS - 1, ROWS);
    uint i = group_index(), next = quotient(i, cols);
    const uint col0 = (i - next * cols) * (4 * W);
    i = next;
    next = quotient(i, rows);
    const uint row0 = (i - next * rows) * ROWS;
    const uint split = quotient(next, pc.g.batches), batch = next - split * pc.g.batches;
    if (split >= pc.g.splits) return;
    uint a_base = 0, b_base = 0, z = batch;
    for (int d = TUFF_MATMUL_DIMS - 1; d >= 0 && z > 0; d--) {
        const uint q = quotient(z, pc.dim[d]), at = z - q * pc.dim[d];
        z = q;
        a_base += at * pc.a_step[d];
        b_base += at * pc.b_step[d];
    }

    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
    uvec2 a_at;
    if (LEFT_K) {
        a_at = min(row0 + lane + uvec2(0, W), uvec2(m - 1)) * pc.a_m + begin;
    } else {
        const uint product = lane / (W / 4), four = lane % (W / 4) * 4;
        a_at = min(row0 + four + uvec2(0, W), uvec2(m - 4)) + (begin + product) * pc.a_k;
    }
    const uvec4 col = RIGHT_K ? min(col0 + lane + uvec4(0, W, 2 * W, 3 * W), uvec4(n - 1))
                              : uvec4(min(col0 + 4 * lane, n - 4));
    uvec4 b_at = RIGHT_K ? col * pc.b_n + begin
                         : col + (begin + uvec4(0, 1, 2, 3)) * pc.b_k;
    a_at = (a_at + a_base) / 4;
    b_at = (b_at + b_base) / 4;
    const uint a_step = LEFT_K ? 1 : pc.a_k, b_step = RIGHT_K ? 1 : pc.b_k;
    EACH_ROW(DECLARE_ROW)
    for (uint q = begin / 4; q < end / 4; q++) {
        vec4 b0 = texelFetch(right, int(b_at.x)), b1 = texelFetch(right, int(b_at.y));
        vec4 b2 = texelFetch(right, int(b_at.z)), b3 = texelFetch(right, int(b_at.w));
        if (RIGHT_K) {
            const mat4 turned = transpose(mat4(b0, b1, b2, b3));
            b0 = turned[0];
            b1 = turned[1];
            b2 = turned[2];
            b3 = turned[3];
        }
        const vec4 a0 = texelFetch(left, int(a_at.x));
        vec4 a1 = a0;
        if (ROWS > W) a1 = texelFetch(left, int(a_at.y));
        EACH_ROW(ADD_ROW)
        a_at += a_step;
        b_at += b_step;
    }

    const bool relu = (pc.g.after & TUFF_AFTER_ACT) != 0;
    vec4 add = vec4(0.0);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0) {
        const uvec4 at = RIGHT_K ? col : col + uvec4(0, 1, 2, 3);
        add = vec4(texelFetch(bias, int(at.x)).x, texelFetch(bias, int(at.y)).x,
                   texelFetch(bias, int(at.z)).x, texelFetch(bias, int(at.w)).x);
    }
    const uint to = split * pc.g.count + (batch * m + row0) * n;
    const uvec4 want = RIGHT_K ? col0 + lane + uvec4(0, W, 2 * W, 3 * W)
                               : uvec4(col0 + 4 * lane);
#define STORE_ROW(r)                                                            \
    if (r < ROWS && row0 + r < m) {                                             \
        vec4 v = s##r + add;                                                    \
        v = mix(v, vec4(0.0), bvec4(uvec4(lessThan(v, vec4(0.0))) & uint(relu))); \
        const uvec4 at = to + r * n + want;                                     \
        if (RIGHT_K) {                                                          \
            if (want.x < n) y[at.x] = v.x;                                      \
            if (want.y < n) y[at.y] = v.y;                                      \
            if (want.z < n) y[at.z] = v.z;                                      \
            if (want.w < n) y[at.w] = v.w;                                      \
        } else if (want.x < n) {                                                \
            y4[at.x / 4] = v;                                                   \
        }                                                                       \
    }
    EACH_ROW(STORE_ROW)
}
