#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// An integer product on CPU-like drivers, from operands that were packed for it as floats:
// 16 x (4 W) outputs by one subgroup, as in gemm_packed.comp. A product of two differences of
// bytes is at most 255^2, so that 256 of them add up to less than 2^24: exact in f32, which
// multiplies and adds twice as fast as integers do. Such sums are then added as integers.
//
//   binding 0  left   texels, vec4[panel][quad][W]   W rows a panel
//   binding 1  right  texels, vec4[panel][quad][W]   W columns a panel
//   binding 2  y      i32[]  write
//   spec 0     W      invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   grid       column tiles x row tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/qgemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(push_constant) uniform Push { tuff_qgemm_pc pc; };
layout(binding = 0) uniform samplerBuffer left;
layout(binding = 1) uniform samplerBuffer right;
layout(binding = 2) writeonly buffer Y { int y[]; };

const uint EXACT = 64; // quads that add up exactly

#define EACH_ROW(DO)                                                            \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)                             \
    DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define DECLARE_ROW(r) ivec4 t##r = ivec4(0); vec4 s##r = vec4(0.0);
#define COUNT_ROW(r) t##r += ivec4(s##r); s##r = vec4(0.0);
// Chosen by mix, not by ?:, which would become branches that these drivers keep.
#define SPREAD(x0, x1, x2, x3, r)                                               \
    subgroupShuffle(mix(mix(x0, x1, (r) / W == 1), mix(x2, x3, (r) / W == 3),   \
                        (r) / W >= 2), (r) % W)
#define ADD_TERM(r, c)                                                          \
    {                                                                           \
        const float x = SPREAD(a0.c, a1.c, a2.c, a3.c, r);                      \
        s##r.x += x * b0.c;                                                     \
        s##r.y += x * b1.c;                                                     \
        s##r.z += x * b2.c;                                                     \
        s##r.w += x * b3.c;                                                     \
    }
#define ADD_ROW(r) ADD_TERM(r, x) ADD_TERM(r, y) ADD_TERM(r, z) ADD_TERM(r, w)

void main()
{
    const uint lane = gl_SubgroupInvocationID;
    const uint cols = (pc.n + 4 * W - 1) / (4 * W), rows = (pc.m + 15) / 16;
    const uint row0 = group_index() / cols * 16, col0 = group_index() % cols * (4 * W);
    if (row0 >= pc.m) return;

    // Where this lane's texels of each panel begin; panels past the end are the last one.
    const uint quads = pc.quads, last_a = (pc.m - 1) / W, last_b = (pc.n - 1) / W;
    uvec4 a_at = min(row0 / W + uvec4(0, 1, 2, 3), uvec4(last_a)) * quads * W + lane;
    uvec4 b_at = min(col0 / W + uvec4(0, 1, 2, 3), uvec4(last_b)) * quads * W + lane;

    EACH_ROW(DECLARE_ROW)
    for (uint done = 0; done < quads;) {
        const uint end = min(quads, done + EXACT);
        for (; done < end; done++) {
            const vec4 b0 = texelFetch(right, int(b_at.x)), b1 = texelFetch(right, int(b_at.y));
            const vec4 b2 = texelFetch(right, int(b_at.z)), b3 = texelFetch(right, int(b_at.w));
            const vec4 a0 = texelFetch(left, int(a_at.x)), a1 = texelFetch(left, int(a_at.y));
            const vec4 a2 = texelFetch(left, int(a_at.z)), a3 = texelFetch(left, int(a_at.w));
            EACH_ROW(ADD_ROW)
            a_at += W;
            b_at += W;
        }
        EACH_ROW(COUNT_ROW)
    }

    const uvec4 want = col0 + lane + uvec4(0, W, 2 * W, 3 * W);
    const bvec4 ok = lessThan(want, uvec4(pc.n));
    const uvec4 col = pc.first + min(want, uvec4(pc.n - 1));
    const uint plane = pc.plane;
    const uvec4 image = uvec4(quotient(col.x, plane), quotient(col.y, plane),
                              quotient(col.z, plane), quotient(col.w, plane));
    const uvec4 to = image * pc.image_step + (col - image * plane) + row0 * plane;
#define STORE_ROW(r)                                                            \
    if (row0 + r < pc.m) {                                                      \
        const uvec4 at = to + r * plane;                                        \
        if (ok.x) y[at.x] = t##r.x;                                             \
        if (ok.y) y[at.y] = t##r.y;                                             \
        if (ok.z) y[at.z] = t##r.z;                                             \
        if (ok.w) y[at.w] = t##r.w;                                             \
    }
    EACH_ROW(STORE_ROW)
}
