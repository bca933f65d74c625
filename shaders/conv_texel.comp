#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// conv2d and its input gradient on CPU-like drivers. Bindings (left: w, right: the tensor
// read), spec constants, grid: texel.glsl. Kernel taps are the outer loops: what a tap costs,
// finding where it reads and whether that is inside, is shared by all channels.
//
// Built a second time for groups of one channel: a loop there costs as much as its body.
//
//   spec 1  DIVIDED  some pc.div is not 1: the input gradient of a convolution with strides
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(push_constant) uniform Push { tuff_conv_pc pc; };
#include "texel.glsl"
layout(constant_id = 1) const bool DIVIDED = false;

// The four columns' place in the tensor written (without the row's channel), and the position
// in the tensor read of tap 0 and its plane's first element.
void place(uvec4 col, out uvec4 to, out uvec4 from, out ivec4 at_y, out ivec4 at_x)
{
    const uint plane = pc.to_h * pc.to_w;
    for (int i = 0; i < 4; i++) {
        const uint image = quotient(col[i], plane), pixel = col[i] - image * plane;
        const uint row = quotient(pixel, pc.to_w);
        to[i] = image * pc.to_c * plane + pixel;
        from[i] = image * pc.from_c * pc.from_h * pc.from_w;
        at_y[i] = int(row) * pc.mul_y + pc.off_y;
        at_x[i] = int(pixel - row * pc.to_w) * pc.mul_x + pc.off_x;
    }
}

// The pixel read for position `at`, and whether there is one. A position is below 2^21 in
// magnitude, so that the half added here outweighs the rounding of the quotient.
ivec4 pixel_of(ivec4 at, int div, uint size, out bvec4 inside)
{
    const ivec4 whole = ivec4(floor((vec4(at) + 0.5) * (1.0 / float(div))));
    const ivec4 pixel = mix(at, whole, bvec4(DIVIDED));
    inside = both(lessThan(uvec4(pixel), uvec4(size)),
                  bvec4(uvec4(equal(pixel * div, at)) | uvec4(!DIVIDED)));
    return pixel;
}

// The least and the greatest vertical position of tap 0 over the tile's columns.
ivec2 rows_reached(Tile t)
{
    const uint plane = pc.to_h * pc.to_w, last = min(t.first + 4 * W, pc.g.n) - 1;
    const uint image = quotient(t.first, plane);
    const uint from = quotient(t.first - image * plane, pc.to_w);
    const uint to = quotient(last - image * plane, pc.to_w); // past to_h: in the next image
    const ivec2 rows = to < pc.to_h ? ivec2(from, to) : ivec2(0, pc.to_h - 1);
    return rows * pc.mul_y + pc.off_y;
}

#ifdef ONE_CHANNEL
#define EACH_CHANNEL
#else
#define EACH_CHANNEL for (uint c = 0; c < chs; c++)
#endif

void main()
{
    Tile t;
    if (!tile_of(pc.g, t)) return;
    const uint taps = pc.kh * pc.kw, plane = pc.from_h * pc.from_w;
    const uint ch0 = quotient(t.split * pc.g.k_step, taps);
    const uint chs = min(quotient(pc.g.k, taps), ch0 + quotient(pc.g.k_step, taps)) - ch0;
    uvec4 to, from;
    ivec4 at_y, at_x;
    place(t.col, to, from, at_y, at_x);
    from += (t.batch * quotient(pc.g.k, taps) + ch0) * plane;
    const uvec2 w_row = t.batch * pc.g.m * pc.g.k + rows_of(pc.g, t) * pc.w_row +
                        ch0 * pc.w_ch;

    const uint kh = pc.kh, kw = pc.kw, from_w = pc.from_w, from_h = pc.from_h, w_ch = pc.w_ch;
    const int step_y = pc.step_y, step_x = pc.step_x, div_y = pc.div_y, div_x = pc.div_x;
    const ivec2 span = rows_reached(t);
    EACH_ROW(DECLARE_ROW)
    for (uint ky = 0; ky < kh; ky++) {
        bvec4 ok_y, ok_x;
        const int at = int(ky) * step_y;
        const bool reached = span.y + at >= 0 && span.x + at < int(from_h) * div_y;
        const uint kw_here = reached ? kw : 0; // a loop of none is a branch, see below
        const uvec4 row =
            from + uvec4(pixel_of(at_y + at, div_y, from_h, ok_y)) * from_w;
        for (uint kx = 0; kx < kw_here; kx++) {
            const ivec4 x = pixel_of(at_x + int(kx) * step_x, div_x, from_w, ok_x);
            const bvec4 ok = both(ok_y, ok_x);
            uvec4 b_at = mix(uvec4(0), row + uvec4(x), ok);
            uvec2 a_at = w_row + ky * kw + kx;
            EACH_CHANNEL {
                const vec4 b = mix(vec4(0.0), fetch_right(b_at), ok);
                LOAD_LEFT(a_at)
                EACH_ROW(ADD_ROW)
                b_at += plane;
                a_at += w_ch;
            }
        }
    }

    const uint to_plane = pc.to_h * pc.to_w, ch = t.batch * pc.g.m + t.row;
    to += ch * to_plane;
    const uvec2 rows = t.batch * pc.g.m + rows_of(pc.g, t);
    float add0 = 0.0, add1 = 0.0; // the bias, spread over the lanes like the left operand
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.g.after & TUFF_AFTER_BIAS; once != 0; once = 0) {
        add0 = texelFetch(bias, int(rows.x)).x;
        add1 = texelFetch(bias, int(rows.y)).x;
    }
#define STORE_ROW(r)                                                            \
    {                                                                           \
        const float add = subgroupShuffle((r) / W == 0 ? add0 : add1, (r) % W); \
        if (t.row + r < pc.g.m)                                                 \
            store_row(pc.g, t, to + r * to_plane, vec4(add), s##r);             \
    }
    EACH_ROW(STORE_ROW)
}
