#version 450
#extension GL_GOOGLE_include_directive : require
// The end of a Winograd convolution; see winograd.glsl. One channel of one tile an invocation,
// or with -DTEXEL of four tiles side by side: a fetch brings as many.
//
//   binding 0  m         f32[splits][N * N][channels][pitch], with -DTEXEL texels of four  read
//   binding 1  y         f32[]  write
//   binding 2  bias      f32[], with -DTEXEL texels; anything when TUFF_AFTER_BIAS is not set
//   binding 3  residual  f32[], with -DTEXEL texels  read  may be y
//   spec 3     RESIDUAL  with -DTEXEL: there is one
//   spec 4     WIDE      with -DTEXEL: rows of y and the residual are fours, vec4[] and texels
//   grid       channels x tiles (or fours of them), folded
// With -DTEXEL only relu of the activations is done.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/conv.h"
#include "abi/gemm.h"
#ifdef TEXEL
#define T vec4
#else
#include "act.glsl"
#endif
#include "winograd.glsl"
layout(push_constant) uniform Push { tuff_winograd_pc pc; };
layout(binding = 1) writeonly buffer Y { float y[]; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer m;
layout(binding = 2) uniform samplerBuffer bias;
layout(binding = 3) uniform samplerBuffer residual;
layout(constant_id = 3) const bool RESIDUAL = false;
layout(constant_id = 4) const bool WIDE = false;
layout(binding = 1) writeonly buffer Fours { vec4 y4[]; };
#define FETCH(i) texelFetch(m, int(i))
const uint TILES = 4;
#else
layout(binding = 0) readonly buffer Products { float m[]; };
layout(binding = 2) readonly buffer Bias { float bias[]; };
layout(binding = 3) readonly buffer Residual { float residual[]; };
#define FETCH(i) m[i]
const uint TILES = 1;
#endif

// Row r of the N x N places, from where place 0 lies; `step` from one place to the next.
Output row_of(uint at, uint step, int r)
{
    at += r * N * step;
    Line l = Line(FETCH(at), FETCH(at + step), FETCH(at + 2 * step), FETCH(at + 3 * step),
                  T(0.0), T(0.0));
    if (M == 4) {
        l.v4 = FETCH(at + 4 * step);
        l.v5 = FETCH(at + 5 * step);
    }
    return of_product(l);
}

void write(uint at, float v)
{
#ifdef TEXEL
    if (RESIDUAL) v += texelFetch(residual, int(at)).x;
    const float least = (pc.after & TUFF_AFTER_ACT) != 0 ? 0.0 : NEG_INF;
    y[at] = mix(v, least, v < least); // a NaN stays one
#else
    if ((pc.after & TUFF_AFTER_RESIDUAL) != 0) v += residual[at];
    y[at] = act(v, pc.after & TUFF_AFTER_ACT);
#endif
}

Output finish(Output o, float add)
{
    o.v0 += add;
    o.v1 += add;
    o.v2 += add;
    o.v3 += add;
    return o;
}

Output plus(Output a, Output b)
{
    return Output(a.v0 + b.v0, a.v1 + b.v1, a.v2 + b.v2, a.v3 + b.v3);
}

// The outputs of one tile: ab is row b of column a.
struct Tile {
    float a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3;
};

void store(uint ch, uint of_chunk, Tile t)
{
    const uint tile = pc.first + of_chunk, per_image = pc.tiles_x * pc.tiles_y;
    const uint width = pc.size_x;
    const uint image = quotient(tile, per_image), place_of = tile - image * per_image;
    const uint ty = quotient(place_of, pc.tiles_x);
    const uint row = ty * M, col = (place_of - ty * pc.tiles_x) * M;
    const uint to = ((image * pc.chs + ch) * pc.size_y + row) * width + col;
    const uint cols = max(width, col) - col; // a row's last tiles may be past its end
    const bvec4 x = lessThan(uvec4(0, 1, 2, 3), uvec4(cols));
    const bvec4 y = lessThan(uvec4(0, 1, 2, 3), uvec4(pc.size_y - row));
    if (x.x && y.x) write(to, t.a0);
    if (x.y && y.x) write(to + 1, t.b0);
    if (x.x && y.y) write(to + width, t.a1);
    if (x.y && y.y) write(to + width + 1, t.b1);
    if (M == 2) return;
    if (x.z && y.x) write(to + 2, t.c0);
    if (x.w && y.x) write(to + 3, t.d0);
    if (x.z && y.y) write(to + width + 2, t.c1);
    if (x.w && y.y) write(to + width + 3, t.d1);
    if (x.x && y.z) write(to + 2 * width, t.a2);
    if (x.y && y.z) write(to + 2 * width + 1, t.b2);
    if (x.z && y.z) write(to + 2 * width + 2, t.c2);
    if (x.w && y.z) write(to + 2 * width + 3, t.d2);
    if (x.x && y.w) write(to + 3 * width, t.a3);
    if (x.y && y.w) write(to + 3 * width + 1, t.b3);
    if (x.z && y.w) write(to + 3 * width + 2, t.c3);
    if (x.w && y.w) write(to + 3 * width + 3, t.d3);
}

#ifdef TEXEL
void write_four(uint at, vec4 v)
{
    if (RESIDUAL) v += texelFetch(residual, int(at));
    const bvec4 less = lessThan(v, vec4(0.0));
    const bool relu = (pc.after & TUFF_AFTER_ACT) != 0;
    y4[at] = mix(v, vec4(0.0), bvec4(uvec4(less) & uvec4(relu))); // a NaN stays one
}

// The outputs of four tiles side by side, where all that is to the right of the first is in the
// same row of y: y0 .. y3 as in main.
void store_wide(uint ch, uint of_chunk, Output y0, Output y1, Output y2, Output y3)
{
    const uint tile = pc.first + of_chunk, per_image = pc.tiles_x * pc.tiles_y;
    const uint width = pc.size_x / 4;
    const uint image = quotient(tile, per_image), place_of = tile - image * per_image;
    const uint ty = quotient(place_of, pc.tiles_x);
    const uint row = ty * M, col = (place_of - ty * pc.tiles_x) * M / 4;
    uint to = ((image * pc.chs + ch) * pc.size_y + row) * width + col;
    const bvec4 x = lessThan(col + uvec4(0, 1, 2, 3), uvec4(width));
    const bvec4 y = lessThan(row + uvec4(0, 1, 2, 3), uvec4(pc.size_y));
    if (M == 2) {
        if (x.x && y.x) write_four(to, vec4(y0.v0.x, y1.v0.x, y0.v0.y, y1.v0.y));
        if (x.y && y.x) write_four(to + 1, vec4(y0.v0.z, y1.v0.z, y0.v0.w, y1.v0.w));
        if (x.x && y.y) write_four(to + width, vec4(y0.v1.x, y1.v1.x, y0.v1.y, y1.v1.y));
        if (x.y && y.y) write_four(to + width + 1, vec4(y0.v1.z, y1.v1.z, y0.v1.w, y1.v1.w));
        return;
    }
#define WRITE_ROW(r, in_r)                                                      \
    if (x.x && in_r) write_four(to, vec4(y0.r.x, y1.r.x, y2.r.x, y3.r.x));      \
    if (x.y && in_r) write_four(to + 1, vec4(y0.r.y, y1.r.y, y2.r.y, y3.r.y));  \
    if (x.z && in_r) write_four(to + 2, vec4(y0.r.z, y1.r.z, y2.r.z, y3.r.z));  \
    if (x.w && in_r) write_four(to + 3, vec4(y0.r.w, y1.r.w, y2.r.w, y3.r.w));
    WRITE_ROW(v0, y.x)
    to += width;
    WRITE_ROW(v1, y.y)
    to += width;
    WRITE_ROW(v2, y.z)
    to += width;
    WRITE_ROW(v3, y.w)
}
#endif

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint many = pc.tiles / TILES, ch = quotient(i, many);
    if (ch >= pc.chs) return;
    const uint tile0 = (i - ch * many) * TILES;
    const uint step = pc.chs * pc.pitch / TILES;
    uint at = (ch * pc.pitch + tile0) / TILES;

    // Along x first, of each row of places, then along y: y0 .. y3 are columns of the tile, and
    // their members its rows.
    const Output none = Output(T(0.0), T(0.0), T(0.0), T(0.0));
    Output y0 = none, y1 = none, y2 = none, y3 = none;
    for (uint s = 0; s < pc.splits; s++) {
        const Output r0 = row_of(at, step, 0), r1 = row_of(at, step, 1);
        const Output r2 = row_of(at, step, 2), r3 = row_of(at, step, 3);
        Output r4 = none, r5 = none;
        if (M == 4) {
            r4 = row_of(at, step, 4);
            r5 = row_of(at, step, 5);
        }
#define COLUMN(v) of_product(Line(r0.v, r1.v, r2.v, r3.v, r4.v, r5.v))
        y0 = plus(y0, COLUMN(v0));
        y1 = plus(y1, COLUMN(v1));
        if (M == 4) {
            y2 = plus(y2, COLUMN(v2));
            y3 = plus(y3, COLUMN(v3));
        }
        at += pc.part / TILES;
    }

    float add = 0.0;
    // A loop that runs once or not at all is a branch; of a condition both sides are done.
    for (uint once = pc.after & TUFF_AFTER_BIAS; once != 0; once = 0)
#ifdef TEXEL
        add = texelFetch(bias, int(ch)).x;
#else
        add = bias[ch];
#endif
    y0 = finish(y0, add);
    y1 = finish(y1, add);
    if (M == 4) {
        y2 = finish(y2, add);
        y3 = finish(y3, add);
    }

#ifdef TEXEL
    if (WIDE) {
        store_wide(ch, tile0, y0, y1, y2, y3);
        return;
    }
    // One by one: an element of a vector that is found by a variable goes through memory.
#define OF(c) Tile(y0.v0.c, y0.v1.c, y0.v2.c, y0.v3.c, y1.v0.c, y1.v1.c, y1.v2.c, y1.v3.c, \
                   y2.v0.c, y2.v1.c, y2.v2.c, y2.v3.c, y3.v0.c, y3.v1.c, y3.v2.c, y3.v3.c)
    store(ch, tile0, OF(x));
    store(ch, tile0 + 1, OF(y));
    store(ch, tile0 + 2, OF(z));
    store(ch, tile0 + 3, OF(w));
#else
    store(ch, tile0, Tile(y0.v0, y0.v1, y0.v2, y0.v3, y1.v0, y1.v1, y1.v2, y1.v3, y2.v0, y2.v1,
                          y2.v2, y2.v3, y3.v0, y3.v1, y3.v2, y3.v3));
#endif
}
