#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// matmul on CPU-like drivers, four products at a time: as texel.glsl, but ROWS x (4 W) outputs
// by one subgroup, and by vec4 texels where what is read lies in fours.
//
//   LEFT   ALONG_K  a lane fetches four products of the row `lane` (and of row W + lane)
//          ACROSS   W / 4 lanes fetch four rows each of one product, and so for four products
//          SINGLE   as ALONG_K, one by one
//   RIGHT  ALONG_K  a lane has the columns lane, W + lane, 2W + lane and 3W + lane, and fetches
//                   four products of each
//          ACROSS   it has four neighbouring columns, and fetches them for four products
//          SINGLE   as ALONG_K, one by one
//
//   binding 0  left   texels, vec4 unless SINGLE
//   binding 1  right  likewise
//   binding 2  y      f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias   texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     W      invocations in a workgroup, which is one subgroup: 8 or 16
//   spec 1     ROWS   of a tile: 4, 8, 12 or 16
//   spec 2, 3  LEFT, RIGHT  TUFF_WIDE_...
//   grid       column tiles x row tiles x batches x splits, folded
// Of what follows a product, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint ROWS = 8;
layout(constant_id = 2) const uint LEFT = TUFF_WIDE_ALONG_K;
layout(constant_id = 3) const uint RIGHT = TUFF_WIDE_ACROSS;
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
const bool BY_ROW = LEFT != TUFF_WIDE_ACROSS;
#define VALUE(r, c)                                                             \
    subgroupShuffle((r) / W == 0 ? a0[BY_ROW ? (c) : (r) % 4]                   \
                                 : a1[BY_ROW ? (c) : (r) % 4],                  \
                    BY_ROW ? (r) % W : (c) * (W / 4) + (r) % W / 4)
#define ADD_FOUR(r)                                                             \
    if (r < ROWS)                                                               \
        s##r += VALUE(r, 0) * b0 + VALUE(r, 1) * b1 + VALUE(r, 2) * b2 + VALUE(r, 3) * b3;
#define ADD_ONE(r) if (r < ROWS) s##r += VALUE(r, 0) * b;

vec4 left_four(uint at)
{
    if (LEFT != TUFF_WIDE_SINGLE) return texelFetch(left, int(at));
    const uvec4 i = at + uvec4(0, 1, 2, 3) * pc.a_k;
    return vec4(texelFetch(left, int(i.x)).x, texelFetch(left, int(i.y)).x,
                texelFetch(left, int(i.z)).x, texelFetch(left, int(i.w)).x);
}

// One product of the four columns of a lane.
vec4 right_line(uvec4 at)
{
    if (RIGHT != TUFF_WIDE_SINGLE) return texelFetch(right, int(at.x));
    return vec4(texelFetch(right, int(at.x)).x, texelFetch(right, int(at.y)).x,
                texelFetch(right, int(at.z)).x, texelFetch(right, int(at.w)).x);
}

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
    const uint quads = end / 4 - begin / 4, four = lane % (W / 4) * 4;
    uvec2 a_at = BY_ROW ? min(row0 + lane + uvec2(0, W), uvec2(m - 1)) * pc.a_m
                        : min(row0 + four + uvec2(0, W), uvec2(m - 4));
    const uvec2 a_base_of = a_at + a_base; // without products
    a_at = a_base_of + (BY_ROW ? begin : begin + lane / (W / 4)) * pc.a_k;
    const bool across = RIGHT == TUFF_WIDE_ACROSS;
    const uvec4 want = across ? col0 + 4 * lane + uvec4(0, 1, 2, 3)
                              : col0 + lane + uvec4(0, W, 2 * W, 3 * W);
    const uvec4 col = across ? min(col0 + 4 * lane, n - 4) + uvec4(0, 1, 2, 3)
                             : min(want, uvec4(n - 1));
    uvec4 b_at = b_base + col * pc.b_n + begin * pc.b_k;
    // From product to product, and in texels.
    const uint line = across ? pc.b_k / 4 : pc.b_k;
    const uint a_step = LEFT == TUFF_WIDE_ALONG_K ? 1 : BY_ROW ? 4 * pc.a_k : pc.a_k;
    const uint b_step = RIGHT == TUFF_WIDE_ALONG_K ? 1 : 4 * line;
    if (LEFT != TUFF_WIDE_SINGLE) a_at /= 4;
    if (RIGHT != TUFF_WIDE_SINGLE) b_at /= 4;
    EACH_ROW(DECLARE_ROW)
    for (uint q = 0; q < quads; q++) {
        vec4 b0, b1, b2, b3;
        if (RIGHT == TUFF_WIDE_ALONG_K) {
            const mat4 turned = transpose(mat4(
                texelFetch(right, int(b_at.x)), texelFetch(right, int(b_at.y)),
                texelFetch(right, int(b_at.z)), texelFetch(right, int(b_at.w))));
            b0 = turned[0];
            b1 = turned[1];
            b2 = turned[2];
            b3 = turned[3];
        } else {
            b0 = right_line(b_at);
            b1 = right_line(b_at + line);
            b2 = right_line(b_at + 2 * line);
            b3 = right_line(b_at + 3 * line);
        }
        const vec4 a0 = left_four(a_at.x);
        vec4 a1 = a0;
        if (ROWS > W) a1 = left_four(a_at.y);
        EACH_ROW(ADD_FOUR)
        a_at += a_step;
        b_at += b_step;
    }
    for (uint k = begin + 4 * quads; k < end; k++) { // no operand lies ALONG_K
        const vec4 b = right_line(b_at);
        const uvec2 at = a_base_of + k * pc.a_k;
        const vec4 a0 = texelFetch(left, int(BY_ROW ? at.x : at.x / 4));
        const vec4 a1 = texelFetch(left, int(BY_ROW ? at.y : at.y / 4));
        EACH_ROW(ADD_ONE)
        b_at += line;
    }

    const bool relu = (pc.g.after & TUFF_AFTER_ACT) != 0;
    vec4 add = vec4(0.0);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0)
        add = vec4(texelFetch(bias, int(col.x)).x, texelFetch(bias, int(col.y)).x,
                   texelFetch(bias, int(col.z)).x, texelFetch(bias, int(col.w)).x);
    const uint to = split * pc.g.count + (batch * m + row0) * n;
#define STORE_ROW(r)                                                            \
    if (r < ROWS && row0 + r < m) {                                             \
        vec4 v = s##r + add;                                                    \
        v = mix(v, vec4(0.0), bvec4(uvec4(lessThan(v, vec4(0.0))) & uint(relu))); \
        const uvec4 at = to + r * n + want;                                     \
        if (!across) {                                                          \
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
