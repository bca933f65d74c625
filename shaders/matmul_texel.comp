#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// matmul on CPU-like drivers. Bindings (left: a, right: b), spec constants, grid: texel.glsl.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(push_constant) uniform Push { tuff_matmul_pc pc; };
#include "texel.glsl"

void main()
{
    Tile t;
    if (!tile_of(pc.g, t)) return;
    uint a_base = 0, b_base = 0, z = t.batch;
    for (int i = TUFF_MATMUL_DIMS - 1; i >= 0 && z > 0; i--) {
        const uint next = quotient(z, pc.dim[i]), at = z - next * pc.dim[i];
        z = next;
        a_base += at * pc.a_step[i];
        b_base += at * pc.b_step[i];
    }

    const uint begin = t.split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
    uvec2 a_at = a_base + rows_of(pc.g, t) * pc.a_m + begin * pc.a_k;
    uvec4 b_at = b_base + t.col * pc.b_n + begin * pc.b_k;
    const uint a_step = pc.a_k, b_step = pc.b_k;
    EACH_ROW(DECLARE_ROW)
    for (uint k = begin; k < end; k++) {
        const vec4 b = fetch_right(b_at);
        LOAD_LEFT(a_at)
        EACH_ROW(ADD_ROW)
        a_at += a_step;
        b_at += b_step;
    }

    vec4 add = vec4(0.0);
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0)
        add = vec4(texelFetch(bias, int(t.col.x)).x, texelFetch(bias, int(t.col.y)).x,
                   texelFetch(bias, int(t.col.z)).x, texelFetch(bias, int(t.col.w)).x);
    const uvec4 to = (t.batch * pc.g.m + t.row) * pc.g.n + t.col;
#define STORE_ROW(r) if (t.row + r < pc.g.m) store_row(pc.g, t, to + r * pc.g.n, add, s##r);
    EACH_ROW(STORE_ROW)
}
