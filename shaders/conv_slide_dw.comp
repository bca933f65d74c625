#version 450
#extension GL_GOOGLE_include_directive : require
// The weight gradient of a depthwise convolution on CPU-like drivers; see conv_slide.glsl. An
// invocation keeps all K * K sums of a channel, over some blocks of four rows of dy.
//
//   binding 0  x      texels, one f32 each
//   binding 1  dy     texels
//   binding 2  parts  f32[parts][channels of dy][K][K]  write  dw itself when it is one part
//   spec 0     WG     invocations in a workgroup
//   spec 1, 2  K, S
//   grid       channels x parts invocations, folded
// Rows behind the last one of dy count as zeros.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(push_constant) uniform Push { tuff_slide_dw_pc pc; };
#include "operand.glsl"
OPERAND(0, x)
OPERAND(1, dy)
layout(binding = 2) writeonly buffer Parts { float parts[]; };
#include "conv_slide.glsl"
SLIDES(x)
SLIDES(dy)

void add(inout Taps t, vec4 d, Column c)
{
    t.t0 += dot(d, rows(c, 0));
    t.t1 += dot(d, rows(c, 1));
    t.t2 += dot(d, rows(c, 2));
    if (K == 5) {
        t.t3 += dot(d, rows(c, 3));
        t.t4 += dot(d, rows(c, 4));
    }
}

// Column kx of the sums.
void store(uint at, Taps t)
{
    parts[at] = t.t0;
    parts[at + K] = t.t1;
    parts[at + 2 * K] = t.t2;
    if (K == 5) {
        parts[at + 3 * K] = t.t3;
        parts[at + 4 * K] = t.t4;
    }
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint part = quotient(i, pc.chs), ch = i - part * pc.chs;
    if (part >= pc.parts) return;
    const uint x_chs = quotient(pc.chs, pc.og), x_ch = quotient(ch, pc.og);
    const uint x_plane = pc.from_y * pc.from_x, dy_plane = pc.to_y * pc.to_x;
    const int width = int(pc.to_x);
    const uint begin = part * pc.of_part;
    const uint end = min(begin + pc.of_part, pc.images * pc.blocks);

    const Taps none = Taps(0.0, 0.0, 0.0, 0.0, 0.0);
    Taps t0 = none, t1 = none, t2 = none, t3 = none, t4 = none;
    for (uint b = begin; b < end; b++) {
        const uint image = quotient(b, pc.blocks), row = (b - image * pc.blocks) * 4;
        const Strip of_dy = strip_of(int((image * pc.chs + ch) * dy_plane), int(row),
                                     int(pc.to_y), width);
        const Strip of_x = strip_of(int((image * x_chs + x_ch) * x_plane),
                                    int(row) * S + pc.off_y, int(pc.from_y), int(pc.from_x));
        int at = pc.off_x;
        Column c0 = column(x, of_x, at), c1 = column(x, of_x, at + 1), c2 = c0, c3 = c0,
               c4 = c0;
        if (K == 5) {
            c2 = column(x, of_x, at + 2);
            c3 = column(x, of_x, at + 3);
        }
        for (int j = 0; j < width; j++) {
            if (K == 3) {
                if (S == 2) c1 = column(x, of_x, at + 1);
                c2 = column(x, of_x, at + 2);
            } else {
                if (S == 2) c3 = column(x, of_x, at + 3);
                c4 = column(x, of_x, at + 4);
            }
            const vec4 d = four_of_dy(of_dy.at0 + j, of_dy.ok0);
            add(t0, d, c0);
            add(t1, d, c1);
            add(t2, d, c2);
            if (K == 5) {
                add(t3, d, c3);
                add(t4, d, c4);
            }
            at += S;
            c0 = S == 1 ? c1 : c2;
            c1 = S == 1 ? c2 : c3;
            c2 = S == 1 ? c3 : c4;
            c3 = c4;
        }
    }
    const uint to = i * (K * K);
    store(to, t0);
    store(to + 1, t1);
    store(to + 2, t2);
    if (K == 5) {
        store(to + 3, t3);
        store(to + 4, t4);
    }
}
