#version 450
#extension GL_GOOGLE_include_directive : require
// U of a Winograd convolution; see winograd.glsl. One pair of channels an invocation.
//
//   binding 0  w  f32[], with -DTEXEL texels  read
//   binding 1  u  f32[N * N][matrix]          write
//   grid       rows x channels, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_w_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer w;
#define FETCH(i) texelFetch(w, int(i)).x
#else
layout(binding = 0) readonly buffer Kernels { float w[]; };
#define FETCH(i) w[i]
#endif
layout(binding = 1) writeonly buffer U { float u[]; };

uint first, size;

// A row of the kernel, transformed; zeros for a channel that is none.
Line row_of(uint at, uint r, bool there)
{
    const bool flip = pc.flip != 0;
    const uint i = there ? at + (flip ? 8 - 3 * r : 3 * r) : 0, step = flip && there ? -1 : 1;
    const float w0 = FETCH(i), w1 = FETCH(i + step), w2 = FETCH(i + 2 * step);
    return there ? of_kernel(w0, w1, w2) : Line(0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
}

void store(int col, Line l)
{
    u[first + col * size] = l.v0;
    u[first + (N + col) * size] = l.v1;
    u[first + (2 * N + col) * size] = l.v2;
    u[first + (3 * N + col) * size] = l.v3;
    if (M == 4) {
        u[first + (4 * N + col) * size] = l.v4;
        u[first + (5 * N + col) * size] = l.v5;
    }
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex, chs = channels(pc.chs);
    const uint row = quotient(i, chs), ch = i - row * chs;
    if (row >= pc.rows) return;
    const bool there = ch < pc.chs;
    const uint at = row * pc.w_row + ch * pc.w_ch;
    first = place(row, ch, pc.rows, pc.chs);
    size = matrix_size(pc.rows, pc.chs);
    const Line r0 = row_of(at, 0, there), r1 = row_of(at, 1, there), r2 = row_of(at, 2, there);
    store(0, of_kernel(r0.v0, r1.v0, r2.v0));
    store(1, of_kernel(r0.v1, r1.v1, r2.v1));
    store(2, of_kernel(r0.v2, r1.v2, r2.v2));
    store(3, of_kernel(r0.v3, r1.v3, r2.v3));
    if (M == 4) {
        store(4, of_kernel(r0.v4, r1.v4, r2.v4));
        store(5, of_kernel(r0.v5, r1.v5, r2.v5));
    }
}
