#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// A convolution or its input gradient on CPU-like drivers. Bindings (left: w, right: the tensor
// read), spec constants, grid: texel.glsl. Kernel taps are the outer loops: what a tap costs,
// finding where it reads and whether that is inside, is shared by all channels.
//
// Built for two spatial dims and, with -DDEPTH, for three; and with -DONE_CHANNEL for groups of
// one channel: a loop there costs as much as its body.
//
//   spec 2  DIVIDED  some pc.div is not 1: the input gradient of a convolution with strides
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(push_constant) uniform Push { tuff_conv_pc pc; };
#include "texel.glsl"
layout(constant_id = 2) const bool DIVIDED = false;

// Of the four columns: the place in the tensor written (without the row's channel), the first
// element of the plane read, and the position in it of tap 0.
struct Place {
    uvec4 to, from;
    ivec4 z, y, x;
};

Place place(uvec4 col)
{
    const uint to_plane = pc.to_z * pc.to_y * pc.to_x;
    const uint plane = pc.from_z * pc.from_y * pc.from_x;
    const uint to_chs = pc.g.batches * pc.g.m;
    const uint chs = pc.g.batches * quotient(pc.g.k, pc.k_z * pc.k_y * pc.k_x);
    Place p;
    for (int i = 0; i < 4; i++) {
        const uint image = quotient(col[i], to_plane), pixel = col[i] - image * to_plane;
        const uint row = quotient(pixel, pc.to_x);
#ifdef DEPTH
        const uint slice = quotient(row, pc.to_y);
#else
        const uint slice = 0;
#endif
        p.to[i] = image * to_chs * to_plane + pixel;
        p.from[i] = image * chs * plane;
        p.z[i] = int(slice) * pc.mul_z + pc.off_z;
        p.y[i] = int(row - slice * pc.to_y) * pc.mul_y + pc.off_y;
        p.x[i] = int(pixel - row * pc.to_x) * pc.mul_x + pc.off_x;
    }
    return p;
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
    const uint plane = pc.to_y * pc.to_x, last = min(t.first + 4 * W, pc.g.n) - 1;
    const uint slice = quotient(t.first, plane);
    const uint from = quotient(t.first - slice * plane, pc.to_x);
    const uint to = quotient(last - slice * plane, pc.to_x); // past to_y: in the next slice
    const ivec2 rows = to < pc.to_y ? ivec2(from, to) : ivec2(0, pc.to_y - 1);
    return rows * pc.mul_y + pc.off_y;
}

#ifdef ONE_CHANNEL
#define EACH_CHANNEL
#else
#define EACH_CHANNEL for (uint c = 0; c < chs; c++)
#endif

// The taps of one slice of the kernel follow those of the one before; what they read outside
// of the tensor is 0.
#ifdef DEPTH
#define EACH_SLICE for (uint kz = 0; kz < k_z; kz++)
#define SLICE kz
#else
#define EACH_SLICE
#define SLICE 0
#endif

void main()
{
    Tile t;
    if (!tile_of(pc.g, t)) return;
    const uint k_z = pc.k_z, k_y = pc.k_y, k_x = pc.k_x, taps = k_z * k_y * k_x;
    const uint from_z = pc.from_z, from_y = pc.from_y, from_x = pc.from_x;
    const uint plane = from_z * from_y * from_x, w_ch = pc.w_ch;
    const uint ch0 = quotient(t.split * pc.g.k_step, taps);
    const uint chs = min(quotient(pc.g.k, taps), ch0 + quotient(pc.g.k_step, taps)) - ch0;
    const Place p = place(t.col);
    const uvec4 from = p.from + (t.batch * quotient(pc.g.k, taps) + ch0) * plane;
    const uvec2 w_row = t.batch * pc.g.m * pc.g.k + rows_of(pc.g, t) * pc.w_row +
                        ch0 * pc.w_ch;

    const int step_z = pc.step_z, step_y = pc.step_y, step_x = pc.step_x;
    const int div_z = pc.div_z, div_y = pc.div_y, div_x = pc.div_x;
    const ivec2 span = rows_reached(t);
    EACH_ROW(DECLARE_ROW)
    EACH_SLICE {
        bvec4 ok_z = bvec4(true);
        uvec4 slice = from;
#ifdef DEPTH
        slice += uvec4(pixel_of(p.z + int(kz) * step_z, div_z, from_z, ok_z)) *
                 (from_y * from_x);
#endif
        for (uint ky = 0; ky < k_y; ky++) {
            bvec4 ok_y, ok_x;
            const int at = int(ky) * step_y;
            const bool reached = span.y + at >= 0 && span.x + at < int(from_y) * div_y;
            const uint kx_here = reached ? k_x : 0; // a loop of none is a branch, see below
            const uvec4 row = slice + uvec4(pixel_of(p.y + at, div_y, from_y, ok_y)) * from_x;
            ok_y = both(ok_z, ok_y);
            for (uint kx = 0; kx < kx_here; kx++) {
                const ivec4 x = pixel_of(p.x + int(kx) * step_x, div_x, from_x, ok_x);
                const bvec4 ok = both(ok_y, ok_x);
                uvec4 b_at = mix(uvec4(0), row + uvec4(x), ok);
                uvec2 a_at = w_row + (SLICE * k_y + ky) * k_x + kx;
                EACH_CHANNEL {
                    const vec4 b = mix(vec4(0.0), fetch_right(b_at), ok);
                    LOAD_LEFT(a_at)
                    EACH_ROW(ADD_ROW)
                    b_at += plane;
                    a_at += w_ch;
                }
            }
        }
    }

    const uint to_plane = pc.to_z * pc.to_y * pc.to_x;
    const uvec4 to = p.to + (t.batch * pc.g.m + t.row) * to_plane;
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
