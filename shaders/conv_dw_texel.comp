#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// conv2d's weight gradient on CPU-like drivers. Bindings (left: dy, right: x), spec constants,
// grid: texel.glsl. The sum goes along rows of dy: what a row costs is shared by its pixels.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(push_constant) uniform Push { tuff_conv_dw_pc pc; };
#include "texel.glsl"

// The four columns' first element of x's plane, and the position of pixel 0 of dy under their
// kernel tap.
void place(Tile t, out uvec4 from, out ivec4 at_y, out ivec4 at_x)
{
    const uint taps = pc.kh * pc.kw, ch0 = t.batch * quotient(pc.g.n, taps);
    for (int i = 0; i < 4; i++) {
        const uint ch = quotient(t.col[i], taps), tap = t.col[i] - ch * taps;
        const uint ky = quotient(tap, pc.kw);
        from[i] = (ch0 + ch) * pc.x_h * pc.x_w;
        at_y[i] = int(ky) * pc.step_y + pc.off_y;
        at_x[i] = int(tap - ky * pc.kw) * pc.step_x + pc.off_x;
    }
}

void main()
{
    Tile t;
    if (!tile_of(pc.g, t)) return;
    uvec4 from;
    ivec4 at_y, at_x;
    place(t, from, at_y, at_x);
    const uvec2 dy_row = (t.batch * pc.g.m + rows_of(pc.g, t)) * pc.y_h * pc.y_w;

    // Products begin .. end of the sum, as rows of dy; the first and the last may be cut.
    uint k = t.split * pc.g.k_step;
    const uint end = min(pc.g.k, k + pc.g.k_step);
    uint row = quotient(k, pc.y_w), ox = k - row * pc.y_w;
    uint image = quotient(row, pc.y_h), oy = row - image * pc.y_h;
    const uint x_w = pc.x_w, x_h = pc.x_h, y_w = pc.y_w, y_h = pc.y_h;
    const uint x_image = pc.x_c * x_h * x_w, y_image = pc.y_c * y_h * y_w;
    const int mul_y = pc.mul_y, mul_x = pc.mul_x;
    EACH_ROW(DECLARE_ROW)
    while (k < end) {
        const ivec4 iy = at_y + int(oy) * mul_y;
        const bvec4 ok_y = lessThan(uvec4(iy), uvec4(x_h));
        const uvec4 x_row = from + image * x_image + uvec4(iy) * x_w;
        uvec2 a_at = dy_row + image * y_image + oy * y_w + ox;
        ivec4 ix = at_x + int(ox) * mul_x;
        const uint stop = min(end, k + (y_w - ox));
        for (; k < stop; k++) {
            const bvec4 ok = both(ok_y, lessThan(uvec4(ix), uvec4(x_w)));
            const vec4 b = mix(vec4(0.0), fetch_right(mix(uvec4(0), x_row + uvec4(ix), ok)),
                               ok);
            LOAD_LEFT(a_at)
            EACH_ROW(ADD_ROW)
            a_at += 1;
            ix += mul_x;
        }
        ox = 0;
        if (++oy == y_h) {
            oy = 0;
            image++;
        }
    }

    const uvec4 to = (t.batch * pc.g.m + t.row) * pc.g.n + t.col;
#define STORE_ROW(r) \
    if (t.row + r < pc.g.m) store_row(pc.g, t, to + r * pc.g.n, vec4(0.0), s##r);
    EACH_ROW(STORE_ROW)
}
