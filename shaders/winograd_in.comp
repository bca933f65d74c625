#version 450
#extension GL_GOOGLE_include_directive : require
// V of a Winograd convolution; see winograd.glsl. One channel of one tile an invocation.
//
//   binding 0  from  f32[], with -DTEXEL texels  read
//   binding 1  v     f32[N * N][channels][pitch]  write
//   grid       channels x tiles, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer from;
#define FETCH(i) texelFetch(from, i).x
#else
layout(binding = 0) readonly buffer From { float from[]; };
#define FETCH(i) from[i]
#endif
layout(binding = 1) writeonly buffer V { float v[]; };

float pixel(int row, bool inside, int x)
{
    const bool ok = inside && uint(x) < pc.size_x;
    const float value = FETCH(ok ? row + x : 0);
    return ok ? value : 0.0;
}

// Row y of a plane, transformed along x; zeros outside.
Line row_of(int plane, int y, int x)
{
    const bool inside = uint(y) < pc.size_y;
    const int row = plane + y * int(pc.size_x);
    Line l = Line(pixel(row, inside, x), pixel(row, inside, x + 1), pixel(row, inside, x + 2),
                  pixel(row, inside, x + 3), 0.0, 0.0);
    if (M == 4) {
        l.v4 = pixel(row, inside, x + 4);
        l.v5 = pixel(row, inside, x + 5);
    }
    return of_input(l);
}

void store(uint at, uint size, Line l)
{
    v[at] = l.v0;
    v[at + N * size] = l.v1;
    v[at + 2 * N * size] = l.v2;
    v[at + 3 * N * size] = l.v3;
    if (M == 4) {
        v[at + 4 * N * size] = l.v4;
        v[at + 5 * N * size] = l.v5;
    }
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint ch = quotient(i, pc.tiles), tile = i - ch * pc.tiles;
    if (ch >= pc.chs) return;
    const uint of_all = pc.first + tile, per_image = pc.tiles_x * pc.tiles_y;
    const uint image = quotient(of_all, per_image), place_of = of_all - image * per_image;
    const uint ty = quotient(place_of, pc.tiles_x), tx = place_of - ty * pc.tiles_x;
    const int y = int(ty) * M + pc.off_y, x = int(tx) * M + pc.off_x;
    const int plane = int((image * pc.chs + ch) * pc.size_y * pc.size_x);
    const uint to = ch * pc.pitch + tile, size = pc.chs * pc.pitch;

    const Line r0 = row_of(plane, y, x), r1 = row_of(plane, y + 1, x);
    const Line r2 = row_of(plane, y + 2, x), r3 = row_of(plane, y + 3, x);
    Line r4 = r0, r5 = r0;
    if (M == 4) {
        r4 = row_of(plane, y + 4, x);
        r5 = row_of(plane, y + 5, x);
    }
#define COLUMN(v) of_input(Line(r0.v, r1.v, r2.v, r3.v, r4.v, r5.v))
    store(to, size, COLUMN(v0));
    store(to + size, size, COLUMN(v1));
    store(to + 2 * size, size, COLUMN(v2));
    store(to + 3 * size, size, COLUMN(v3));
    if (M == 4) {
        store(to + 4 * size, size, COLUMN(v4));
        store(to + 5 * size, size, COLUMN(v5));
    }
}
