#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// The weight gradient of a convolution on CPU-like drivers. Bindings (left: dy, right: x), spec
// constants, grid: texel.glsl. The sum goes along rows of dy: what a row costs is shared by its
// pixels. Built for two spatial dims and, with -DDEPTH, for three.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(push_constant) uniform Push { tuff_conv_dw_pc pc; };
#include "texel.glsl"

// The four columns' first element of x's plane, and the place that pixel 0 of dy has under
// their kernel tap.
void place(Tile t, out uvec4 from, out ivec4 at_z, out ivec4 at_y, out ivec4 at_x)
{
    const uint taps = pc.k_z * pc.k_y * pc.k_x, ch0 = t.batch * quotient(pc.g.n, taps);
    for (int i = 0; i < 4; i++) {
        const uint ch = quotient(t.col[i], taps), tap = t.col[i] - ch * taps;
        const uint row = quotient(tap, pc.k_x);
#ifdef DEPTH
        const uint slice = quotient(row, pc.k_y);
#else
        const uint slice = 0;
#endif
        from[i] = (ch0 + ch) * (pc.from_z * pc.from_y * pc.from_x);
        at_z[i] = int(slice) * pc.step_z + pc.off_z;
        at_y[i] = int(row - slice * pc.k_y) * pc.step_y + pc.off_y;
        at_x[i] = int(tap - row * pc.k_x) * pc.step_x + pc.off_x;
    }
}

void main()
{
    Tile t;
    if (!tile_of(pc.g, t)) return;
    uvec4 from;
    ivec4 at_z, at_y, at_x;
    place(t, from, at_z, at_y, at_x);
    const uint x_z = pc.from_z, x_y = pc.from_y, x_x = pc.from_x;
    const uint y_z = pc.to_z, y_y = pc.to_y, y_x = pc.to_x, y_plane = y_z * y_y * y_x;
    const uvec2 dy_row = (t.batch * pc.g.m + rows_of(pc.g, t)) * y_plane;

    // Products begin .. end of the sum, as rows of dy; the first and the last may be cut.
    uint k = t.split * pc.g.k_step;
    const uint end = min(pc.g.k, k + pc.g.k_step);
    uint row = quotient(k, y_x), ox = k - row * y_x;
    uint image = quotient(row, y_z * y_y), oy = row - image * (y_z * y_y);
#ifdef DEPTH
    uint oz = quotient(oy, y_y);
    oy -= oz * y_y;
#else
    const uint oz = 0;
#endif
    const uint x_chs = pc.g.batches * quotient(pc.g.n, pc.k_z * pc.k_y * pc.k_x);
    const uint x_image = x_chs * x_z * x_y * x_x, y_image = pc.g.batches * pc.g.m * y_plane;
    const int mul_z = pc.mul_z, mul_y = pc.mul_y, mul_x = pc.mul_x;
    EACH_ROW(DECLARE_ROW)
    while (k < end) {
        const ivec4 iy = at_y + int(oy) * mul_y;
        bvec4 ok_y = lessThan(uvec4(iy), uvec4(x_y));
        uvec4 x_row = from + image * x_image + uvec4(iy) * x_x;
#ifdef DEPTH
        const ivec4 iz = at_z + int(oz) * mul_z;
        ok_y = both(ok_y, lessThan(uvec4(iz), uvec4(x_z)));
        x_row += uvec4(iz) * (x_y * x_x);
#endif
        uvec2 a_at = dy_row + image * y_image + (oz * y_y + oy) * y_x + ox;
        ivec4 ix = at_x + int(ox) * mul_x;
        const uint stop = min(end, k + (y_x - ox));
        for (; k < stop; k++) {
            const bvec4 ok = both(ok_y, lessThan(uvec4(ix), uvec4(x_x)));
            const vec4 b = mix(vec4(0.0), fetch_right(mix(uvec4(0), x_row + uvec4(ix), ok)),
                               ok);
            LOAD_LEFT(a_at)
            EACH_ROW(ADD_ROW)
            a_at += 1;
            ix += mul_x;
        }
        ox = 0;
        if (++oy == y_y) {
            oy = 0;
#ifdef DEPTH
            if (++oz == y_z) {
                oz = 0;
                image++;
            }
#else
            image++;
#endif
        }
    }

    const uvec4 to = (t.batch * pc.g.m + t.row) * pc.g.n + t.col;
#define STORE_ROW(r) \
    if (t.row + r < pc.g.m) store_row(pc.g, t, to + r * pc.g.n, vec4(0.0), s##r);
    EACH_ROW(STORE_ROW)
}
