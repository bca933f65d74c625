#version 450
#extension GL_GOOGLE_include_directive : require
// Where along an axis the largest or smallest element lies.
//
//   binding 0  x      uint[rows * cols], or with -DTEXEL a uint texel buffer; PAIRS: (key,
//                     place), uint[segments * rows * 2] of an earlier launch     read
//   binding 1  y      int[rows]; with several segments pairs (key, place)        write
//   spec 0     WG     workgroup size, a power of two
//   spec 1     MIN    the smallest is looked for
//   spec 2     LAST   of equal ones the last counts, not the first
//   spec 3     INT    x has ints, not floats
//   spec 4     PAIRS  the pieces of an earlier launch are put together
//   grid       a piece an invocation; with -DGROUP a workgroup. Folded.
//
// A NaN wins in both.
#include "common.glsl"
#include "order.glsl"
#include "abi/order.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool MIN = false;
layout(constant_id = 2) const bool LAST = false;
layout(constant_id = 3) const bool INT = false;
layout(constant_id = 4) const bool PAIRS = false;
layout(push_constant) uniform Push { tuff_arg_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

uint key_of(uint bits)
{
    const uint key = order_key(bits, INT);
    return MIN && (INT || key != KEY_OF_NAN) ? ~key : key;
}

// (key, place) of the better of two.
uvec2 better(uvec2 a, uvec2 b)
{
    const bool first = LAST ? a.y > b.y : a.y < b.y;
    return a.x > b.x || (a.x == b.x && first) ? a : b;
}

uvec2 element(uint row, uint base, uint j)
{
    if (!PAIRS) return uvec2(key_of(load(base + j * pc.step)), j);
    const uint at = 2 * (j * pc.rows + row);
    return uvec2(load(at), load(at + 1));
}

void write(uint piece, uvec2 v)
{
    if (pc.segments == 1) {
        y[piece] = v.y;
        return;
    }
    y[2 * piece] = v.x;
    y[2 * piece + 1] = v.y;
}

#ifdef GROUP
shared uvec2 part[WG];

void main()
{
    const uint piece = group_index(), t = gl_LocalInvocationIndex;
    if (piece >= pc.rows * pc.segments) return; // the whole workgroup leaves together
    const uint segment = piece / pc.rows, row = piece - segment * pc.rows;
    const uint begin = segment * pc.span, end = min(begin + pc.span, pc.cols);
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;
    // Those without an element of their own look at the first one.
    uvec2 best = element(row, base, begin);
    for (uint j = begin + t; j < end; j += WG) best = better(best, element(row, base, j));
    part[t] = best;
    for (uint half_n = WG / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (t < half_n) part[t] = better(part[t], part[t + half_n]);
    }
    if (t == 0) write(piece, part[0]);
}
#else
void main()
{
    const uint piece = group_index() * WG + gl_LocalInvocationIndex;
    if (piece >= pc.rows * pc.segments) return;
    const uint segment = piece / pc.rows, row = piece - segment * pc.rows;
    const uint begin = segment * pc.span, end = min(begin + pc.span, pc.cols);
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;
    uvec2 best = element(row, base, begin);
    for (uint j = begin + 1; j < end; j++) best = better(best, element(row, base, j));
    write(piece, best);
}
#endif
