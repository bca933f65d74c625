#version 450
#extension GL_GOOGLE_include_directive : require
// The input gradient of a depthwise convolution with a stride of 2 on CPU-like drivers; see
// conv_slide.glsl. Along each dim, pixel i of dx with i + pad = 2 a + b was read by output a
// under tap b, by a - 1 under tap b + 2 and by a - 2 under tap b + 4. An invocation walks along
// dy: each of its columns, four rows high, makes two columns of four rows of dx.
//
//   binding 0  dy  texels, one f32 each
//   binding 1  w   texels: [channels][K][K]
//   binding 2  dx  f32[]  write
//   spec 0     WG  invocations in a workgroup
//   spec 1     K
//   grid       planes x blocks x segments invocations, folded
// pc.off is the pad; a block begins a row earlier where that is odd, and the columns that
// pc.cols counts are those of dy.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 8;
layout(push_constant) uniform Push { tuff_slide_pc pc; };
#include "operand.glsl"
OPERAND(0, dy)
layout(binding = 1) uniform samplerBuffer w;
layout(binding = 2) writeonly buffer Dx { float dx[]; };
#include "conv_slide.glsl"
SLIDES(dy)

// Column kx of the kernel of a channel; none past its last.
Taps taps_of(uint ch, int kx)
{
    const int first = int(ch) * K * K + kx;
    Taps t = Taps(texelFetch(w, first).x, texelFetch(w, first + K).x,
                  texelFetch(w, first + 2 * K).x, 0.0, 0.0);
    if (K == 5) {
        t.t3 = texelFetch(w, first + 3 * K).x;
        t.t4 = texelFetch(w, first + 4 * K).x;
    }
    return t;
}

// What rows a - 2 .. a + 1 of dy, in d, add to the four rows of dx: of b = 0 and 1, then the
// same of the next a.
vec4 products(vec4 d, Taps t)
{
    vec2 even = t.t0 * d.zw + t.t2 * d.yz, odd = t.t1 * d.zw;
    if (K == 5) {
        even += t.t4 * d.xy;
        odd += t.t3 * d.yz;
    }
    return vec4(even.x, odd.x, even.y, odd.y);
}

void store(ivec4 row, uint to, int x, vec4 v)
{
    if (uint(x) >= pc.to_x) return;
    const uvec4 ok = uvec4(lessThan(uvec4(row), uvec4(pc.to_y)));
    if (ok.x != 0) dx[to + x] = v.x;
    if (ok.y != 0) dx[to + pc.to_x + x] = v.y;
    if (ok.z != 0) dx[to + 2 * pc.to_x + x] = v.z;
    if (ok.w != 0) dx[to + 3 * pc.to_x + x] = v.w;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint strip = quotient(i, pc.segments), plane = quotient(strip, pc.blocks);
    if (plane >= pc.planes) return;
    const uint ch = plane - quotient(plane, pc.chs) * pc.chs;
    const int row = int(strip - plane * pc.blocks) * 4 - (pc.off_y & 1);
    const int a = (row + pc.off_y) / 2; // neither is negative
    const Strip s = strip_of(int(plane * pc.from_y * pc.from_x), a - 2, int(pc.from_y),
                             int(pc.from_x));
    const Taps t0 = taps_of(ch, 0), t1 = taps_of(ch, 1), t2 = taps_of(ch, 2);
    Taps t3 = Taps(0.0, 0.0, 0.0, 0.0, 0.0), t4 = t3;
    if (K == 5) {
        t3 = taps_of(ch, 3);
        t4 = taps_of(ch, 4);
    }

    const int first = pc.off_x / 2 + int((i - strip * pc.segments) * pc.cols);
    const int last = min(first + int(pc.cols) - 1, (int(pc.to_x) - 1 + pc.off_x) / 2);
    const ivec4 rows_of = row + ivec4(0, 1, 2, 3);
    const uint to = (plane * pc.to_y) * pc.to_x + uint(row) * pc.to_x; // may wrap: row -1
    vec4 d2 = vec4(0.0), d1 = column(dy, s, first - 1).a;
    if (K == 5) d2 = column(dy, s, first - 2).a;
    for (int c = first; c <= last; c++) {
        const vec4 d0 = column(dy, s, c).a;
        vec4 even = products(d0, t0) + products(d1, t2), odd = products(d0, t1);
        if (K == 5) {
            even += products(d2, t4);
            odd += products(d1, t3);
        }
        const int x = 2 * c - pc.off_x;
        store(rows_of, to, x, even);
        store(rows_of, to, x + 1, odd);
        d2 = d1;
        d1 = d0;
    }
}
