#version 450
#extension GL_GOOGLE_include_directive : require
// An operand of the weight gradient of a Winograd convolution; see winograd.glsl. Four tiles
// side by side of one channel an invocation: they are neighbours in the sum of a product, and
// what the rows of an image have no pixels for is 0.
//
//   binding 0  from    f32[]  operand.glsl: x, or with -DDY dy
//   binding 1  panels  vec4[N * N][panel][quads][W]  write   W channels a panel
//   spec       winograd.glsl; WG and W are the same, M is 2
//   grid       panels x quads, folded
// Channels past the end repeat the last one.
#define T vec4
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_panel_pc pc; };
#include "operand.glsl"
OPERAND(0, from)
layout(binding = 1) writeonly buffer Panels { vec4 panels[]; };

float pixel(int row, bool inside, int x)
{
    const bool ok = inside && uint(x) < pc.size_x;
    const float value = FETCH(from, ok ? row + x : 0);
    return ok ? value : 0.0;
}

// Four pixels two apart.
vec4 every_other(int row, bool inside, int x)
{
    return vec4(pixel(row, inside, x), pixel(row, inside, x + 2), pixel(row, inside, x + 4),
                pixel(row, inside, x + 6));
}

// Row y of a plane, transformed along x.
Line row_of(int plane, int y, int x)
{
    const bool inside = uint(y) < pc.size_y;
    const int row = plane + y * int(pc.size_x);
    const vec4 even = every_other(row, inside, x), odd = every_other(row, inside, x + 1);
#ifdef DY
    return of_gradient(even, odd);
#else
    return of_input(Line(even, odd, vec4(even.yzw, pixel(row, inside, x + 8)),
                         vec4(odd.yzw, pixel(row, inside, x + 9)), vec4(0.0), vec4(0.0)));
#endif
}

void store(uint at, uint size, Line l)
{
    panels[at] = l.v0;
    panels[at + 4 * size] = l.v1;
    panels[at + 8 * size] = l.v2;
    panels[at + 12 * size] = l.v3;
}

void main()
{
    const uint i = group_index(), panel = quotient(i, pc.quads), quad = i - panel * pc.quads;
    const uint ch = min(panel * W + gl_LocalInvocationIndex, pc.chs - 1);
    if (panel * W >= pc.chs) return;
    const uint of_all = pc.first + quad, row = quotient(of_all, pc.quads_x);
    const uint image = quotient(row, pc.tiles_y);
    const int y = int(row - image * pc.tiles_y) * 2 + pc.off_y;
    const int x = int(of_all - row * pc.quads_x) * 8 + pc.off_x;
    const int plane = int((image * pc.chs + ch) * pc.size_y * pc.size_x);
    const uint size = (pc.chs + W - 1) / W * pc.quads * W;
    const uint to = i * W + gl_LocalInvocationIndex;
    const Line r0 = row_of(plane, y, x), r1 = row_of(plane, y + 1, x);
#ifdef DY
#define COLUMN(v) of_gradient(r0.v, r1.v)
#else
    const Line r2 = row_of(plane, y + 2, x), r3 = row_of(plane, y + 3, x);
#define COLUMN(v) of_input(Line(r0.v, r1.v, r2.v, r3.v, vec4(0.0), vec4(0.0)))
#endif
    store(to, size, COLUMN(v0));
    store(to + size, size, COLUMN(v1));
    store(to + 2 * size, size, COLUMN(v2));
    store(to + 3 * size, size, COLUMN(v3));
}
