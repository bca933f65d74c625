#version 450
#extension GL_GOOGLE_include_directive : require
// The right operand of gemm_packed.comp for a convolution or its input gradient: column (image,
// pixel written), product (kernel tap, channel read), 0 where the tap is outside. Channels run
// fastest, and are a multiple of four: what a tap costs is shared by all of them. With -DTAPS
// there are any number of them, and taps run fastest.
// Columns past the end repeat the last one.
//
// With -DBLOCKED the tensor read is in blocks of four channels (conv2d_blocked).
//
//   binding 0  from    f32[], or vec4[] of blocks  operand.glsl: the tensor read
//   binding 1  panels  vec4[panel][k / 4][W]  write   W columns a panel
//   spec 0     W        invocations in a workgroup, and columns of a panel
//   spec 1     DIVIDED  as in conv_texel.comp
//   grid       panels, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
layout(constant_id = 1) const bool DIVIDED = false;
layout(push_constant) uniform Push { tuff_conv_pc pc; };
#include "operand.glsl"
#ifdef BLOCKED
OPERAND4(0, from)
#define CHANNELS 1 // that lie apart
#define FETCH_QUAD(at, plane) FETCH4(from, at)
#else
OPERAND(0, from)
#define CHANNELS 4
#define FETCH_QUAD(at, plane)                                                   \
    vec4(FETCH(from, at), FETCH(from, at + plane), FETCH(from, at + 2 * plane), \
         FETCH(from, at + 3 * plane))
#endif
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };
#include "conv_dims.glsl"

// The pixel read for a place, and whether there is one; see conv_texel.comp.
PLACE pixel_of(PLACE at, PLACE div, PLACE size, out bool inside)
{
    const PLACE whole = PLACE(floor((FPLACE(at) + 0.5) * (1.0 / FPLACE(div))));
    const PLACE pixel = mix(at, whole, BPLACE(DIVIDED));
    inside = is_inside(pixel, size) && (!DIVIDED || all(equal(pixel * div, at)));
    return pixel;
}

// As unfold, by quotients that these drivers are quick at.
PLACE place_of(uint i)
{
    const uint row = quotient(i, pc.to_x), x = i - row * pc.to_x;
#ifdef DEPTH
    const uint slice = quotient(row, pc.to_y);
    return PLACE(x, row - slice * pc.to_y, slice);
#else
    return PLACE(x, row);
#endif
}

void main()
{
    const uint panel = group_index(), lane = gl_LocalInvocationIndex;
    if (panel * W >= pc.g.n) return;
    const uint products = pc.g.k, quads = (products + 3) / 4;
    const PLACE step = EACH(step), div = EACH(div), size = EACH(from), kernel = EACH(k);
    const int plane = volume(size), taps = volume(kernel);

    const uint col = min(panel * W + lane, pc.g.n - 1), to_plane = volume(EACH(to));
    const uint image = quotient(col, to_plane), chs = products / taps;
    const PLACE at0 = place_of(col - image * to_plane) * EACH(mul) + EACH(off);
    const int first = int(image * chs) / (4 / CHANNELS) * plane;
    uint to = panel * quads * W + lane;
    PLACE tap = PLACE(0);
#ifdef TAPS
    int channel = first;
    uint done = 0;
    for (uint q = 0; q < quads; q++) {
        vec4 v;
        for (int i = 0; i < 4; i++) {
            bool inside;
            const PLACE p = pixel_of(at0 + tap * step, div, size, inside);
            inside = inside && done < products;
            const float x = FETCH(from, inside ? channel + fold(p, size) : 0);
            v[i] = inside ? x : 0.0;
            tap = next_place(tap, kernel);
            const bool over = tap[DIMS - 1] == kernel[DIMS - 1];
            tap[DIMS - 1] = over ? 0 : tap[DIMS - 1];
            channel += over ? plane : 0;
            done++;
        }
        panels[to] = v;
        to += W;
    }
#else
    const int tap_quads = int(chs) / 4;
    for (int t = 0; t < taps; t++) {
        bool inside;
        const PLACE p = pixel_of(at0 + tap * step, div, size, inside);
        int at = inside ? first + fold(p, size) : 0;
        for (int q = 0; q < tap_quads; q++) {
            const vec4 v = FETCH_QUAD(at, plane);
            panels[to] = mix(vec4(0.0), v, bvec4(inside));
            at += CHANNELS * plane;
            to += W;
        }
        tap = next_place(tap, kernel);
    }
#endif
}
