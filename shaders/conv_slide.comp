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
// With -DWIDE four columns at a time, for kernels of 3 x 3 without strides that begin a column
// before the pixel they write, and rows of a multiple of four: `from` and y are vec4[], and
// pc.cols counts fours.
// Of what follows, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "abi/gemm.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(push_constant) uniform Push { tuff_slide_pc pc; };
#include "operand.glsl"
#ifdef WIDE
OPERAND4(0, from)
#else
OPERAND(0, from)
#endif
layout(binding = 1) uniform samplerBuffer w;
#ifdef WIDE
layout(binding = 2) writeonly buffer Y { vec4 y[]; };
#else
layout(binding = 2) writeonly buffer Y { float y[]; };
#endif
layout(binding = 3) uniform samplerBuffer bias;
#include "conv_slide.glsl"
#ifndef WIDE
SLIDES(from)
#endif

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

#ifdef WIDE
#define EACH_READ(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)

vec4 four(uint at, bool inside, uint i)
{
    const bool there = inside && i < pc.from_x / 4;
    const vec4 v = FETCH4(from, there ? at + i : 0);
    return mix(vec4(0.0), v, bvec4(there));
}

vec4 activated(vec4 v, bool relu)
{
    return mix(v, vec4(0.0), both(bvec4(relu), lessThan(v, vec4(0.0))));
}

// Four rows, from the four columns `col` to `end`: of each row read, the column before, four
// columns, and the next four.
void slide_wide(uint plane, uint from_ch, uint row, uint col, uint end, Taps t0, Taps t1,
                Taps t2, float add, bool relu)
{
    const uint width = pc.to_x / 4, top = row + pc.off_y;
#define BEGIN(u)                                                                \
    const bool in##u = top + u < pc.from_y;                                     \
    const uint at##u = (from_ch * pc.from_y + top + u) * width;                 \
    float p##u = four(at##u, in##u, col - 1).w;                                 \
    vec4 c##u = four(at##u, in##u, col);
    EACH_READ(BEGIN)
    const uvec4 ok = uvec4(lessThan(row + uvec4(0, 1, 2, 3), uvec4(pc.to_y)));
    uint to = (plane * pc.to_y + row) * width + col;
    for (uint j = col; j < end; j++) {
#define NEXT(u)                                                                 \
    const vec4 n##u = four(at##u, in##u, j + 1);                                \
    const vec4 l##u = vec4(p##u, c##u.xyz), r##u = vec4(c##u.yzw, n##u.x);
        EACH_READ(NEXT)
#define UNDER(u, t) (t0.t * l##u + t1.t * c##u + t2.t * r##u)
        const vec4 v0 = activated(UNDER(0, t0) + UNDER(1, t1) + UNDER(2, t2) + add, relu);
        const vec4 v1 = activated(UNDER(1, t0) + UNDER(2, t1) + UNDER(3, t2) + add, relu);
        const vec4 v2 = activated(UNDER(2, t0) + UNDER(3, t1) + UNDER(4, t2) + add, relu);
        const vec4 v3 = activated(UNDER(3, t0) + UNDER(4, t1) + UNDER(5, t2) + add, relu);
        if (ok.x != 0) y[to] = v0;
        if (ok.y != 0) y[to + width] = v1;
        if (ok.z != 0) y[to + 2 * width] = v2;
        if (ok.w != 0) y[to + 3 * width] = v3;
        to++;
#define SHIFT(u)                                                                \
    p##u = c##u.w;                                                              \
    c##u = n##u;
        EACH_READ(SHIFT)
    }
}
#else
vec4 products(Column x, Taps t)
{
    vec4 sum = t.t0 * rows(x, 0) + t.t1 * rows(x, 1) + t.t2 * rows(x, 2);
    if (K == 5) sum += t.t3 * rows(x, 3) + t.t4 * rows(x, 4);
    return sum;
}
#endif

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint strip = quotient(i, pc.segments), plane = quotient(strip, pc.blocks);
    if (plane >= pc.planes) return;
    const uint image = quotient(plane, pc.chs), ch = plane - image * pc.chs;
    const uint from_ch = quotient(plane, pc.og); // as many read in an image as chs / og
    const uint row = (strip - plane * pc.blocks) * 4, col = (i - strip * pc.segments) * pc.cols;
#ifdef WIDE
    const uint width = pc.to_x / 4;
#else
    const uint width = pc.to_x;
#endif
    const uint end = min(width, col + pc.cols);

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

#ifdef WIDE
    slide_wide(plane, from_ch, row, col, end, t0, t1, t2, add, relu);
#else
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
#endif
}
