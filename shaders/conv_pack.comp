#version 450
#extension GL_GOOGLE_include_directive : require
// The right operand of gemm_packed.comp for conv2d and its input gradient: column (image,
// pixel written), product (kernel tap, channel read), 0 where the tap is outside. Channels run
// fastest, and are a multiple of four: what a tap costs is shared by all of them.
// Columns past the end repeat the last one.
//
//   binding 0  from    texels, one f32 each: the tensor read
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
layout(binding = 0) uniform samplerBuffer from;
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };

// The pixel read for position `at` of (x, y), and whether there is one; see conv_texel.comp.
ivec2 pixel_of(ivec2 at, ivec2 div, uvec2 size, out bool inside)
{
    const ivec2 whole = ivec2(floor((vec2(at) + 0.5) * (1.0 / vec2(div))));
    const ivec2 pixel = mix(at, whole, bvec2(DIVIDED));
    inside = all(lessThan(uvec2(pixel), size)) && (!DIVIDED || all(equal(pixel * div, at)));
    return pixel;
}

void main()
{
    const uint panel = group_index(), lane = gl_LocalInvocationIndex;
    if (panel * W >= pc.g.n) return;
    const uint kh = pc.kh, kw = pc.kw, quads = pc.g.k / 4, tap_quads = quads / (kh * kw);
    const ivec2 step = ivec2(pc.step_x, pc.step_y), div = ivec2(pc.div_x, pc.div_y);
    const uvec2 size = uvec2(pc.from_w, pc.from_h);
    const int plane = int(size.x * size.y);

    const uint col = min(panel * W + lane, pc.g.n - 1), to_plane = pc.to_h * pc.to_w;
    const uint image = quotient(col, to_plane), pixel = col - image * to_plane;
    const uint row = quotient(pixel, pc.to_w);
    const ivec2 at0 = ivec2(int(pixel - row * pc.to_w) * pc.mul_x + pc.off_x,
                            int(row) * pc.mul_y + pc.off_y);
    const int first = int(image * pc.from_c) * plane;
    uint to = panel * quads * W + lane;
    for (uint ky = 0; ky < kh; ky++)
        for (uint kx = 0; kx < kw; kx++) {
            bool inside;
            const ivec2 p = pixel_of(at0 + ivec2(kx, ky) * step, div, size, inside);
            int at = inside ? first + p.y * int(size.x) + p.x : 0;
            for (uint q = 0; q < tap_quads; q++) {
                const vec4 v = vec4(texelFetch(from, at).x, texelFetch(from, at + plane).x,
                                    texelFetch(from, at + 2 * plane).x,
                                    texelFetch(from, at + 3 * plane).x);
                panels[to] = mix(vec4(0.0), v, bvec4(inside));
                at += 4 * plane;
                to += W;
            }
        }
}
