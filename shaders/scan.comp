#version 450
#extension GL_GOOGLE_include_directive : require
// Running sums along an axis; see abi/order.h for rows and pieces.
//
//   binding 0  x      uint[rows * cols], floats' bits or ints; with -DTEXEL a uint texel
//                     buffer. BEFORE: the pieces' sums                           read
//   binding 1  y      uint[rows * cols]; TOTALS, BEFORE: uint[segments * rows]   write
//   binding 2  before uint[segments * rows]: what lies before each piece; WRITE with one
//                     piece a row: anything                                      read
//   spec 0     WG     workgroup size
//   spec 1     PASS   TUFF_SCAN_...
//   spec 2     EXCLUSIVE  an element's own is not in its sum
//   spec 3     REVERSE    sums run from the end
//   spec 4     INT        ints, whose sums wrap
//   grid       a piece an invocation (BEFORE: a row), folded
#include "common.glsl"
#include "sum.glsl"
#include "abi/order.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint PASS = TUFF_SCAN_WRITE;
layout(constant_id = 2) const bool EXCLUSIVE = false;
layout(constant_id = 3) const bool REVERSE = false;
layout(constant_id = 4) const bool INT = false;
layout(push_constant) uniform Push { tuff_scan_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };
layout(binding = 2) readonly buffer Before { uint before[]; };

struct Acc {
    Sum f;
    int i;
};

void add(inout Acc a, uint bits)
{
    if (INT) a.i += int(bits);
    else sum_add(a.f, uintBitsToFloat(bits));
}

uint value(Acc a) { return INT ? uint(a.i) : floatBitsToUint(sum_value(a.f)); }

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    Acc a = Acc(Sum(0.0, 0.0), 0);
    if (PASS == TUFF_SCAN_BEFORE) {
        if (i >= pc.rows) return;
        for (uint s = 0; s < pc.segments; s++) {
            y[s * pc.rows + i] = value(a);
            add(a, load(s * pc.rows + i));
        }
        return;
    }
    if (i >= pc.rows * pc.segments) return;
    const uint segment = i / pc.rows, row = i - segment * pc.rows;
    const uint begin = segment * pc.span, end = min(begin + pc.span, pc.cols);
    const uint base = row / pc.step * pc.cols * pc.step + row % pc.step;
    if (PASS == TUFF_SCAN_WRITE && pc.segments > 1) add(a, before[i]);
    for (uint j = begin; j < end; j++) {
        const uint at = base + (REVERSE ? pc.cols - 1 - j : j) * pc.step;
        const uint v = load(at);
        if (PASS == TUFF_SCAN_WRITE && EXCLUSIVE) y[at] = value(a);
        add(a, v);
        if (PASS == TUFF_SCAN_WRITE && !EXCLUSIVE) y[at] = value(a);
    }
    if (PASS == TUFF_SCAN_TOTALS) y[i] = value(a);
}
