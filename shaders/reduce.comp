#version 450
#extension GL_GOOGLE_include_directive : require
// reduce: one number of many, over some dims of x; see abi/reduce.h for the layout.
//
//   binding 0  x  uint[rows * cols], floats' bits or ints; with -DTEXEL a float texel buffer
//                                                                      read
//   binding 1  y  uint[segments * rows], the same                      write
//   spec 0     WG      workgroup size, a power of two
//   spec 1     OP      TUFF_REDUCE_SUM ...
//   spec 2     MAP     TUFF_REDUCE_ASIS ...: of an element before
//   spec 3     FINISH  TUFF_REDUCE_ASIS ...: of the result, before it is scaled
//   spec 4     INT     ints (not TEXEL): sums and products wrap
//   spec 5     WIDE    TEXEL only: TUFF_REDUCE_GOES or _STAYS: the texels are vec4, along a dim
//                      that goes (its step is 1 and its size and `span` are multiples of 4), or
//                      along one that stays (its step is 1, its size and all other steps are
//                      multiples of 4): then an invocation takes four rows
//   grid       rows * segments invocations, each taking a piece alone; with -DGROUP as many
//              workgroups, each taking a piece together. Folded.
//
// The order of additions depends on the sizes only: the same bits every time.
#include "common.glsl"
#include "math.glsl"
#include "quotient.glsl"
#include "sum.glsl"
#include "two.glsl"
#include "abi/reduce.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_REDUCE_SUM;
layout(constant_id = 2) const uint MAP = TUFF_REDUCE_ASIS;
layout(constant_id = 3) const uint FINISH = TUFF_REDUCE_ASIS;
layout(constant_id = 4) const bool INT = false;
layout(push_constant) uniform Push { tuff_reduce_pc pc; };
#ifdef TEXEL
layout(constant_id = 5) const uint WIDE = TUFF_REDUCE_NARROW;
const uint ROWS = WIDE == TUFF_REDUCE_STAYS ? 4 : 1; // of an invocation
layout(binding = 0) uniform samplerBuffer x;
uint load(uint i) { return floatBitsToUint(texelFetch(x, int(i)).x); }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
const uint ROWS = 1;
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

// So far: ints in `i`; floats in s, to which e is to be added: what rounding took from a sum or
// a product. Of LSE s is the largest and e the sum of exp(x - s).
struct Acc {
    float s, e;
    int i;
};

// A NaN wins.
float better(float a, float b)
{
    const bool wins = OP == TUFF_REDUCE_MAX ? b > a : b < a;
    return wins || is_nan(b) ? b : a;
}

int int_join(int a, int b)
{
    switch (OP) {
    case TUFF_REDUCE_SUM: return a + b;
    case TUFF_REDUCE_PROD: return a * b;
    case TUFF_REDUCE_MAX: return max(a, b);
    default: return min(a, b);
    }
}

// Two sums of exponentials, each beside its largest element; infinities must not meet.
vec2 lse_join(vec2 a, vec2 b)
{
    const float m = b.x > a.x || is_nan(b.x) ? b.x : a.x;
    const float of_a = a.x == m ? a.y : a.y * exp_f32(a.x - m);
    const float of_b = b.x == m ? b.y : b.y * exp_f32(b.x - m);
    return vec2(m, of_a + of_b);
}

Acc start()
{
    const float s = OP == TUFF_REDUCE_SUM ? 0.0 : OP == TUFF_REDUCE_PROD ? 1.0
                  : OP == TUFF_REDUCE_MIN ? POS_INF : NEG_INF;
    const int i = OP == TUFF_REDUCE_SUM ? 0 : OP == TUFF_REDUCE_PROD ? 1
                : OP == TUFF_REDUCE_MIN ? 0x7fffffff : int(0x80000000u);
    return Acc(s, 0.0, i);
}

void take_float(inout Acc a, float v)
{
    if (MAP == TUFF_REDUCE_ABS) v = abs(v);
    if (MAP == TUFF_REDUCE_SQUARE) v = v * v;
    if (OP == TUFF_REDUCE_SUM) {
        Sum sum = Sum(a.s, a.e);
        sum_add(sum, v);
        a.s = sum.s;
        a.e = sum.e;
    } else if (OP == TUFF_REDUCE_PROD) {
        const vec2 p = two_product(a.s, v);
        a.e = a.e * v + p.y;
        a.s = p.x;
    } else if (OP == TUFF_REDUCE_LSE) {
        const float part = v == a.s ? 1.0 : exp_f32(-abs(v - a.s));
        const bool larger = v > a.s || is_nan(v);
        a.e = larger ? a.e * part + 1.0 : a.e + part;
        a.s = larger ? v : a.s;
    } else {
        a.s = better(a.s, v);
    }
}

void take(inout Acc a, uint bits)
{
    if (INT) {
        int v = int(bits);
        if (MAP == TUFF_REDUCE_ABS) v = abs(v);
        if (MAP == TUFF_REDUCE_SQUARE) v = v * v;
        a.i = int_join(a.i, v);
    } else {
        take_float(a, uintBitsToFloat(bits));
    }
}

// What no longer needs two numbers, unless it is LSE's or a product.
Acc settled(Acc a)
{
    if (OP == TUFF_REDUCE_SUM) a = Acc(sum_value(Sum(a.s, a.e)), 0.0, a.i);
    return a;
}

Acc join(Acc a, Acc b)
{
    a.i = int_join(a.i, b.i);
    if (OP == TUFF_REDUCE_LSE) {
        const vec2 r = lse_join(vec2(a.s, a.e), vec2(b.s, b.e));
        return Acc(r.x, r.y, a.i);
    }
    if (OP == TUFF_REDUCE_PROD) {
        const vec2 p = two_product(a.s, b.s);
        return Acc(p.x, p.y + (a.s * b.e + a.e * b.s), a.i);
    }
    a.s = OP == TUFF_REDUCE_SUM ? a.s + b.s : better(a.s, b.s);
    return a;
}

void write(uint piece, Acc a)
{
    float r = OP == TUFF_REDUCE_LSE ? a.s + log_f32(a.e) : a.s;
    // Of infinite elements the sum of exponentials says nothing.
    if (OP == TUFF_REDUCE_LSE && (a.s == POS_INF || a.s == NEG_INF)) r = a.s;
    // A zero keeps its sign.
    if (OP == TUFF_REDUCE_PROD && a.e != 0.0) r = sum_value(Sum(a.s, a.e));
    if (FINISH == TUFF_REDUCE_ROOT) r = sqrt(r);
    if (FINISH == TUFF_REDUCE_LOG) r = log_f32(r);
    y[piece] = INT ? uint(a.i) : floatBitsToUint(r * pc.scale);
}

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
shared Acc part[WG];

void main()
{
    const uint piece = group_index();
    if (piece >= pc.rows * pc.segments) return; // the whole workgroup leaves together
    const uint row = piece % pc.rows, begin = piece / pc.rows * pc.span;
    const uint end = min(begin + pc.span, pc.cols), base = row_at(row);
    const uint t = gl_LocalInvocationIndex;

    Acc a = start();
    for (uint j = begin + t; j < end; j += WG) take(a, load(base + col_at(j, 0)));
    part[t] = settled(a);
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = join(part[t], part[t + half_n]);
    }
    if (t == 0) write(piece, part[0]);
}
#else
void main()
{
    const uint piece = (group_index() * WG + gl_LocalInvocationIndex) * ROWS;
    if (piece >= pc.rows * pc.segments) return;
    const uint row = piece % pc.rows, end = min(piece / pc.rows * pc.span + pc.span, pc.cols);
    const uint base = row_at(row), run = pc.gone_dim[0], step = pc.gone_step[0];

    Acc a = start(), b = a, c = a, d = a;
    uint j = piece / pc.rows * pc.span;
    // Run by run along the innermost dim that goes, so that its inner loop has no division.
    while (j < end) {
        const uint q = quotient(j, run), first = j - q * run, n = min(run - first, end - j);
        uint at = base + col_at(q, 1) + first * step;
        j += n;
#ifdef TEXEL
        if (WIDE != TUFF_REDUCE_NARROW) {
            const bool goes = WIDE == TUFF_REDUCE_GOES;
            const uint fours = goes ? n / 4 : n, next = goes ? 1 : step / 4;
            for (uint k = 0, from = at / 4; k < fours; k++, from += next) {
                const vec4 v = texelFetch(x, int(from));
                take_float(a, v.x);
                take_float(b, v.y);
                take_float(c, v.z);
                take_float(d, v.w);
            }
            continue;
        }
#endif
        for (uint k = 0; k < n; k++, at += step) take(a, load(at));
    }
    if (ROWS == 4) {
        write(piece, settled(a));
        write(piece + 1, settled(b));
        write(piece + 2, settled(c));
        write(piece + 3, settled(d));
        return;
    }
    write(piece, join(join(settled(a), settled(b)), join(settled(c), settled(d))));
}
#endif
