#version 450
#extension GL_GOOGLE_include_directive : require
// The end of the weight gradient of a Winograd convolution; see winograd.glsl. One pair of
// channels an invocation.
//
//   binding 0  m   texels, one f32 each: [parts][N * N][channels of dy][channels of x]
//   binding 1  dw  f32[channels of dy][channels of x][3][3]  write
//   spec       winograd.glsl; M is 2
//   grid       pairs of channels, folded
#include "common.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_dw_pc pc; };
layout(binding = 0) uniform samplerBuffer m;
layout(binding = 1) writeonly buffer Dw { float dw[]; };

Line plus(Line a, Line b)
{
    return Line(a.v0 + b.v0, a.v1 + b.v1, a.v2 + b.v2, a.v3 + b.v3, 0.0, 0.0);
}

float fetch(uint at) { return texelFetch(m, int(at)).x; }

// A row of places.
Line row_of(uint at)
{
    const uint step = pc.pairs;
    return Line(fetch(at), fetch(at + step), fetch(at + 2 * step), fetch(at + 3 * step), 0.0,
                0.0);
}

void write(uint at, Weights w)
{
    dw[at] = w.w0;
    dw[at + 1] = w.w1;
    dw[at + 2] = w.w2;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.pairs) return;
    const Line none = Line(0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    Line s0 = none, s1 = none, s2 = none, s3 = none;
    uint at = i;
    for (uint p = 0; p < pc.parts; p++) {
        s0 = plus(s0, row_of(at));
        s1 = plus(s1, row_of(at + 4 * pc.pairs));
        s2 = plus(s2, row_of(at + 8 * pc.pairs));
        s3 = plus(s3, row_of(at + 12 * pc.pairs));
        at += pc.part;
    }
    const Weights r0 = of_weights(s0), r1 = of_weights(s1);
    const Weights r2 = of_weights(s2), r3 = of_weights(s3);
#define COLUMN(v) of_weights(Line(r0.v, r1.v, r2.v, r3.v, 0.0, 0.0))
    const Weights c0 = COLUMN(w0), c1 = COLUMN(w1), c2 = COLUMN(w2);
    write(9 * i, Weights(c0.w0, c1.w0, c2.w0));
    write(9 * i + 3, Weights(c0.w1, c1.w1, c2.w1));
    write(9 * i + 6, Weights(c0.w2, c1.w2, c2.w2));
}
