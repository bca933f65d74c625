#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// matmul of few rows and a large matrix whose products lie side by side, on CPU-like drivers:
// ROWS x (2 W) outputs by one subgroup. All time goes into reading the matrix. A lane has the
// columns lane and W + lane, which lie far apart and share few sets of a cache, so that it
// fetches 16 products of each at once: whole lines.
//
//   binding 0  left   vec4 texels, along the products: the few rows
//   binding 1  right  vec4 texels: the matrix
//   binding 2  y      f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias   texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     W      invocations in a workgroup, which is one subgroup: 8 or 16
//   spec 1     ROWS   of a tile: 4 or 8
//   grid       row tiles x column tiles x splits, folded: what rows share stays in the cache
// k and the steps of rows and columns are multiples of 4. Of what follows a product, only a
// bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const uint ROWS = 8;
layout(push_constant) uniform Push { tuff_matmul_pc pc; };
layout(binding = 0) uniform samplerBuffer left;
layout(binding = 1) uniform samplerBuffer right;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE_ROW(r) vec2 s##r = vec2(0.0);
#define ROW(v, r) subgroupShuffle(v, r)
#define DOT(v, r, b)                                                            \
    (ROW(v.x, r) * b.x + ROW(v.y, r) * b.y + ROW(v.z, r) * b.z + ROW(v.w, r) * b.w)
#define ADD_SIXTEEN(r)                                                          \
    if (r < ROWS) {                                                             \
        s##r.x += DOT(a0, r, b0) + DOT(a1, r, b1) + (DOT(a2, r, b2) + DOT(a3, r, b3)); \
        s##r.y += DOT(a0, r, c0) + DOT(a1, r, c1) + (DOT(a2, r, c2) + DOT(a3, r, c3)); \
    }
#define ADD_FOUR(r) if (r < ROWS) s##r += vec2(DOT(a0, r, b0), DOT(a0, r, c0));
#define FETCH(name, at) const vec4 name = texelFetch(right, int(at))

void main()
{
    const uint lane = gl_SubgroupInvocationID, m = pc.g.m, n = pc.g.n;
    const uint rows = quotient(m + ROWS - 1, ROWS), cols = quotient(n + 2 * W - 1, 2 * W);
    uint i = group_index(), next = quotient(i, rows);
    const uint row0 = (i - next * rows) * ROWS;
    const uint split = quotient(next, cols), col0 = (next - split * cols) * (2 * W);
    if (split >= pc.g.splits) return;
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);

    uint a_at = (min(row0 + lane, m - 1) * pc.a_m + begin) / 4, q = begin / 4;
    EACH_ROW(DECLARE_ROW)
    const uvec2 want = col0 + lane + uvec2(0, W), col = min(want, uvec2(n - 1));
    uvec2 b_at = (col * pc.b_n + begin) / 4;
    for (; q + 4 <= end / 4; q += 4) {
        FETCH(b0, b_at.x);
        FETCH(b1, b_at.x + 1);
        FETCH(b2, b_at.x + 2);
        FETCH(b3, b_at.x + 3);
        FETCH(c0, b_at.y);
        FETCH(c1, b_at.y + 1);
        FETCH(c2, b_at.y + 2);
        FETCH(c3, b_at.y + 3);
        const vec4 a0 = texelFetch(left, int(a_at)), a1 = texelFetch(left, int(a_at + 1));
        const vec4 a2 = texelFetch(left, int(a_at + 2));
        const vec4 a3 = texelFetch(left, int(a_at + 3));
        EACH_ROW(ADD_SIXTEEN)
        a_at += 4;
        b_at += 4;
    }
    for (; q < end / 4; q++) {
        FETCH(b0, b_at.x);
        FETCH(c0, b_at.y);
        const vec4 a0 = texelFetch(left, int(a_at));
        EACH_ROW(ADD_FOUR)
        a_at++;
        b_at++;
    }

    vec2 add = vec2(0.0);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0)
        add = vec2(texelFetch(bias, int(col.x)).x, texelFetch(bias, int(col.y)).x);
    const bvec2 relu = bvec2((pc.g.after & TUFF_AFTER_ACT) != 0);
    const uvec2 to = split * pc.g.count + row0 * n + want;
#define STORE_ROW(r)                                                            \
    if (r < ROWS && row0 + r < m) {                                             \
        vec2 v = s##r + add;                                                    \
        v = mix(v, vec2(0.0), bvec2(uvec2(lessThan(v, vec2(0.0))) & uvec2(relu))); \
        if (want.x < n) y[to.x + r * n] = v.x;                                  \
        if (want.y < n) y[to.y + r * n] = v.y;                                  \
    }
    EACH_ROW(STORE_ROW)
}
