#version 450
#extension GL_GOOGLE_include_directive : require
// A depthwise convolution on CPU-like drivers, or its input gradient without strides, with few
// fetches; see conv_slide.glsl.
//
//   binding 0  from  f32[]  operand.glsl: the tensor read
//   binding 1  w     texels: [channels written][K][K]
//   binding 2  y     f32[]  write
//   binding 3  bias  texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     WG    invocations in a workgroup
//   spec 1, 2  K, S
//   grid       planes x blocks x segments invocations, folded
// Of what follows, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(push_constant) uniform Push { tuff_slide_pc pc; };
#include "operand.glsl"
OPERAND(0, from)
layout(binding = 1) uniform samplerBuffer w;
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;
#include "conv_slide.glsl"
SLIDES(from)

// Column kx of the kernel of a channel.
Taps taps_of(int ch, int kx)
{
    const bool flip = pc.flip != 0;
    const int first = ch * K * K + (flip ? K * K - 1 - kx : kx), down = flip ? -K : K;
    Taps t = Taps(texelFetch(w, first).x, texelFetch(w, first + down).x,
                  texelFetch(w, first + 2 * down).x, 0.0, 0.0);
    if (K == 5) {
        t.t3 = texelFetch(w, first + 3 * down).x;
        t.t4 = texelFetch(w, first + 4 * down).x;
    }
    return t;
}

vec4 products(Column x, Taps t)
{
    vec4 sum = t.t0 * rows(x, 0) + t.t1 * rows(x, 1) + t.t2 * rows(x, 2);
    if (K == 5) sum += t.t3 * rows(x, 3) + t.t4 * rows(x, 4);
    return sum;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint strip = quotient(i, pc.segments), plane = quotient(strip, pc.blocks);
    if (plane >= pc.planes) return;
    const uint image = quotient(plane, pc.chs), ch = plane - image * pc.chs;
    const uint from_ch = quotient(plane, pc.og); // as many read in an image as chs / og
    const uint row = (strip - plane * pc.blocks) * 4, col = (i - strip * pc.segments) * pc.cols;
    const uint width = pc.to_x, end = min(width, col + pc.cols);

    const int taps = int(ch);
    const Taps t0 = taps_of(taps, 0), t1 = taps_of(taps, 1), t2 = taps_of(taps, 2);
    Taps t3 = Taps(0.0, 0.0, 0.0, 0.0, 0.0), t4 = t3;
    if (K == 5) {
        t3 = taps_of(taps, 3);
        t4 = taps_of(taps, 4);
    }
    float add = 0.0;
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.after & TUFF_AFTER_BIAS; once != 0; once = 0)
        add = texelFetch(bias, int(ch)).x;
    const bool relu = (pc.after & TUFF_AFTER_ACT) != 0;

    const Strip s = strip_of(int(from_ch * pc.from_y * pc.from_x),
                             int(row) * S + pc.off_y, int(pc.from_y), int(pc.from_x));
    int x = int(col) * S + pc.off_x;
    Column c0 = column(from, s, x), c1 = column(from, s, x + 1), c2 = c0, c3 = c0, c4 = c0;
    if (K == 5) {
        c2 = column(from, s, x + 2);
        c3 = column(from, s, x + 3);
    }
    const uvec4 ok = uvec4(lessThan(row + uvec4(0, 1, 2, 3), uvec4(pc.to_y)));
    uint to = (plane * pc.to_y + row) * width + col;
    for (uint j = col; j < end; j++) {
        if (K == 3) {
            if (S == 2) c1 = column(from, s, x + 1);
            c2 = column(from, s, x + 2);
        } else {
            if (S == 2) c3 = column(from, s, x + 3);
            c4 = column(from, s, x + 4);
        }
        vec4 v = products(c0, t0) + products(c1, t1) + products(c2, t2);
        if (K == 5) v += products(c3, t3) + products(c4, t4);
        v += add;
        v = mix(v, vec4(0.0), both(bvec4(relu), lessThan(v, vec4(0.0))));
        if (ok.x != 0) y[to] = v.x;
        if (ok.y != 0) y[to + width] = v.y;
        if (ok.z != 0) y[to + 2 * width] = v.z;
        if (ok.w != 0) y[to + 3 * width] = v.w;
        to++;
        x += S;
        c0 = S == 1 ? c1 : c2;
        c1 = S == 1 ? c2 : c3;
        c2 = S == 1 ? c3 : c4;
        c3 = c4;
    }
}
