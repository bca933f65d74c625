#version 450
#extension GL_GOOGLE_include_directive : require
// U of a Winograd convolution; see winograd.glsl. One pair of channels an invocation, or with
// -DTEXEL one channel written and four read, which lie side by side in a panel.
//
//   binding 0  w  f32[], with -DTEXEL texels                read
//   binding 1  u  f32[N * N][matrix], with -DTEXEL vec4[]   write
//   grid       rows x channels (or fours of them), folded
#ifdef TEXEL
#define T vec4
#endif
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_w_pc pc; };
layout(binding = 1) writeonly buffer U { T u[]; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer w;
uint channels() { return (pc.chs + 3) / 4; }
uint matrix_size() { return (pc.rows + W - 1) / W * W * channels(); }
uint place(uint row, uint ch) { return (row / W * channels() + ch) * W + row % W; }

// A tap of the kernels that begin at `at`, zeros for channels that are none.
vec4 fetch(uint at, uint ch, uint tap)
{
    const uvec4 of = ch * 4 + uvec4(0, 1, 2, 3);
    const bvec4 there = lessThan(of, uvec4(pc.chs));
    const uvec4 i = mix(uvec4(0), at + of * pc.w_ch + tap, there);
    const vec4 v = vec4(texelFetch(w, int(i.x)).x, texelFetch(w, int(i.y)).x,
                        texelFetch(w, int(i.z)).x, texelFetch(w, int(i.w)).x);
    return mix(vec4(0.0), v, there);
}
#else
layout(binding = 0) readonly buffer Kernels { float w[]; };
uint channels() { return pc.chs; }
uint matrix_size() { return pc.rows * pc.chs; }
uint place(uint row, uint ch) { return ch * pc.rows + row; }
float fetch(uint at, uint ch, uint tap) { return w[at + ch * pc.w_ch + tap]; }
#endif

// Row r of the kernel, transformed.
Line row_of(uint at, uint ch, uint r)
{
    const bool flip = pc.flip != 0;
    const uint first = flip ? 8 - 3 * r : 3 * r, step = flip ? -1 : 1;
    return of_kernel(fetch(at, ch, first), fetch(at, ch, first + step),
                     fetch(at, ch, first + 2 * step));
}

void store(uint at, uint size, Line l)
{
    u[at] = l.v0;
    u[at + N * size] = l.v1;
    u[at + 2 * N * size] = l.v2;
    u[at + 3 * N * size] = l.v3;
    if (M == 4) {
        u[at + 4 * N * size] = l.v4;
        u[at + 5 * N * size] = l.v5;
    }
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint row = quotient(i, channels()), ch = i - row * channels();
    if (row >= pc.rows) return;
    const uint at = row * pc.w_row, to = place(row, ch), size = matrix_size();
    const Line r0 = row_of(at, ch, 0), r1 = row_of(at, ch, 1), r2 = row_of(at, ch, 2);
    store(to, size, of_kernel(r0.v0, r1.v0, r2.v0));
    store(to + size, size, of_kernel(r0.v1, r1.v1, r2.v1));
    store(to + 2 * size, size, of_kernel(r0.v2, r1.v2, r2.v2));
    store(to + 3 * size, size, of_kernel(r0.v3, r1.v3, r2.v3));
    if (M == 4) {
        store(to + 4 * size, size, of_kernel(r0.v4, r1.v4, r2.v4));
        store(to + 5 * size, size, of_kernel(r0.v5, r1.v5, r2.v5));
    }
}
