#version 450
#extension GL_GOOGLE_include_directive : require
// V of a Winograd convolution; see winograd.glsl. One channel of one tile an invocation, or
// with -DTEXEL of four tiles side by side, whose elements are stored as one.
//
//   binding 0  from  f32[], with -DTEXEL texels  read
//   binding 1  v     f32[N * N][channels][pitch], with -DTEXEL vec4[]  write
//   spec 3     WIDE  with -DTEXEL: texels are fours of a row, and the second column that tile 0
//              reads begins one
//   grid       channels x tiles (or fours of them), folded
#ifdef TEXEL
#define T vec4
#endif
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_pc pc; };
layout(binding = 1) writeonly buffer V { T v[]; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer from;
layout(constant_id = 3) const bool WIDE = false;
#define FETCH(i) texelFetch(from, i).x
const uint TILES = 4;
#else
layout(binding = 0) readonly buffer From { float from[]; };
#define FETCH(i) from[i]
const uint TILES = 1;
#endif

float pixel(int row, bool inside, int x)
{
    const bool ok = inside && uint(x) < pc.size_x;
    const float value = FETCH(ok ? row + x : 0);
    return ok ? value : 0.0;
}

#ifdef TEXEL
// The four columns from x on, of a row whose texels begin at `row`.
vec4 four(int row, bool inside, int x)
{
    const bool ok = inside && uint(x) < pc.size_x;
    return mix(vec4(0.0), texelFetch(from, ok ? row + x / 4 : 0), bvec4(ok));
}

// Row y, from the column before x on.
Line wide_row_of(int plane, int y, int x)
{
    const bool inside = uint(y) < pc.size_y;
    const int row = (plane + y * int(pc.size_x)) / 4;
    const float before = four(row, inside, x - 4).w;
    const vec4 q0 = four(row, inside, x), q1 = four(row, inside, x + 4);
    const vec4 q2 = four(row, inside, x + 8);
    if (M == 2)
        return of_input(Line(vec4(before, q0.yw, q1.y), vec4(q0.xz, q1.xz), vec4(q0.yw, q1.yw),
                             vec4(q0.z, q1.xz, q2.x), T(0.0), T(0.0)));
    const vec4 q3 = four(row, inside, x + 12);
    const float after = four(row, inside, x + 16).x;
    return of_input(Line(vec4(before, q0.w, q1.w, q2.w), vec4(q0.x, q1.x, q2.x, q3.x),
                         vec4(q0.y, q1.y, q2.y, q3.y), vec4(q0.z, q1.z, q2.z, q3.z),
                         vec4(q0.w, q1.w, q2.w, q3.w), vec4(q1.x, q2.x, q3.x, after)));
}
#endif

// Row y of a plane, transformed along x; zeros outside.
Line row_of(int plane, int y, int x)
{
    const bool inside = uint(y) < pc.size_y;
    const int row = plane + y * int(pc.size_x);
#define PIXEL(i) pixel(row, inside, x + i)
#ifdef TEXEL
    if (WIDE) return wide_row_of(plane, y, x + 1);
    // Column i of each of the tiles; what several of them read is fetched once.
#define COLUMNS(i) vec4(PIXEL(i), PIXEL(i + M), PIXEL(i + 2 * M), PIXEL(i + 3 * M))
    const vec4 c0 = COLUMNS(0), c1 = COLUMNS(1);
    if (M == 2) {
        const float last = PIXEL(8), after = PIXEL(9);
        return of_input(Line(c0, c1, vec4(c0.yzw, last), vec4(c1.yzw, after), T(0.0), T(0.0)));
    }
    const float last = PIXEL(16), after = PIXEL(17);
    return of_input(Line(c0, c1, COLUMNS(2), COLUMNS(3), vec4(c0.yzw, last),
                         vec4(c1.yzw, after)));
#else
    Line l = Line(PIXEL(0), PIXEL(1), PIXEL(2), PIXEL(3), 0.0, 0.0);
    if (M == 4) {
        l.v4 = PIXEL(4);
        l.v5 = PIXEL(5);
    }
    return of_input(l);
#endif
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
    const uint many = pc.tiles / TILES, ch = quotient(i, many), tile = (i - ch * many) * TILES;
    if (ch >= pc.chs) return;
    const uint of_all = pc.first + tile, per_image = pc.tiles_x * pc.tiles_y;
    const uint image = quotient(of_all, per_image), place_of = of_all - image * per_image;
    const uint ty = quotient(place_of, pc.tiles_x), tx = place_of - ty * pc.tiles_x;
    const int y = int(ty) * M + pc.off_y, x = int(tx) * M + pc.off_x;
    const int plane = int((image * pc.chs + ch) * pc.size_y * pc.size_x);
    const uint to = (ch * pc.pitch + tile) / TILES, size = pc.chs * pc.pitch / TILES;

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
