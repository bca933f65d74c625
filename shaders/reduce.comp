#version 450
#extension GL_GOOGLE_include_directive : require
// reduce: sum, maximum or minimum over some dims of x; see abi/reduce.h for the layout.
//
//   binding 0  x  float[rows * cols], or with -DTEXEL a texel buffer   read
//   binding 1  y  float[segments * rows]                               write
//   spec 0     WG    workgroup size, a power of two
//   spec 1     OP    TUFF_REDUCE_...
//   spec 2     WIDE  TEXEL only: the texels are vec4, along a dim that goes (its step is 1
//                    and its size and `span` are multiples of 4)
//   grid       rows * segments invocations, each taking a piece alone; with -DGROUP as many
//              workgroups, each taking a piece together. Folded.
//
// The order of additions depends on the sizes only: the same bits every time.
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "sum.glsl"
#include "abi/reduce.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_REDUCE_SUM;
layout(push_constant) uniform Push { tuff_reduce_pc pc; };
#ifdef TEXEL
layout(constant_id = 2) const bool WIDE = false;
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { float y[]; };

// A NaN wins.
float better(float a, float b)
{
    const bool wins = OP == TUFF_REDUCE_MAX ? b > a : b < a;
    return wins || is_nan(b) ? b : a;
}

Sum start()
{
    return Sum(OP == TUFF_REDUCE_SUM ? 0.0 : OP == TUFF_REDUCE_MAX ? NEG_INF : POS_INF, 0.0);
}

void take(inout Sum a, float v)
{
    if (OP == TUFF_REDUCE_SUM) sum_add(a, v);
    else a.s = better(a.s, v);
}

float result(Sum a) { return OP == TUFF_REDUCE_SUM ? sum_value(a) : a.s; }

float join(float a, float b) { return OP == TUFF_REDUCE_SUM ? a + b : better(a, b); }

uint row_at(uint row)
{
    uint at = 0;
    for (uint d = 0; d < pc.kept_rank; d++) {
        const uint q = quotient(row, pc.kept_dim[d]);
        at += (row - q * pc.kept_dim[d]) * pc.kept_step[d];
        row = q;
    }
    return at;
}

// Of a column's index over the dims from `d` on.
uint col_at(uint col, uint d)
{
    uint at = 0;
    for (; d < pc.gone_rank; d++) {
        const uint q = quotient(col, pc.gone_dim[d]);
        at += (col - q * pc.gone_dim[d]) * pc.gone_step[d];
        col = q;
    }
    return at;
}

#ifdef GROUP
shared float part[WG];

void main()
{
    const uint piece = group_index();
    if (piece >= pc.rows * pc.segments) return; // the whole workgroup leaves together
    const uint row = piece % pc.rows, begin = piece / pc.rows * pc.span;
    const uint end = min(begin + pc.span, pc.cols), base = row_at(row);
    const uint t = gl_LocalInvocationIndex;

    Sum a = start();
    for (uint j = begin + t; j < end; j += WG) take(a, load(base + col_at(j, 0)));
    part[t] = result(a);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = join(part[t], part[t + half_n]);
    }
    if (t == 0) y[piece] = part[0] * pc.scale;
}
#else
void main()
{
    const uint piece = group_index() * WG + gl_LocalInvocationIndex;
    if (piece >= pc.rows * pc.segments) return;
    const uint row = piece % pc.rows, end = min(piece / pc.rows * pc.span + pc.span, pc.cols);
    const uint base = row_at(row), run = pc.gone_dim[0], step = pc.gone_step[0];

    Sum a = start(), b = a, c = a, d = a;
    uint j = piece / pc.rows * pc.span;
    // Run by run along the innermost dim that goes, so that its inner loop has no division.
    while (j < end) {
        const uint q = quotient(j, run), first = j - q * run, n = min(run - first, end - j);
        uint at = base + col_at(q, 1) + first * step;
        j += n;
#ifdef TEXEL
        if (WIDE) {
            for (uint k = at / 4; k < (at + n) / 4; k++) {
                const vec4 v = texelFetch(x, int(k));
                take(a, v.x);
                take(b, v.y);
                take(c, v.z);
                take(d, v.w);
            }
            continue;
        }
#endif
        for (uint k = 0; k < n; k++, at += step) take(a, load(at));
    }
    const float r = join(join(result(a), result(b)), join(result(c), result(d)));
    y[piece] = r * pc.scale;
}
#endif
