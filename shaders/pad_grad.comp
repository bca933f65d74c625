#version 450
#extension GL_GOOGLE_include_directive : require
// pad_grad along one axis: each element of dx gathers from those of dy that pad made of it.
//
//   c = 1 of x = a b c, before = 4       edge      those from the first to the last at its edge
//   y  a b c b a b c b a                 wrap      every n-th
//        ^   ^   ^   ^                   reflect   every (2n - 2)-th, in both directions
//
//   binding 0  dy  float[outer * m * inner]   read
//   binding 1  dx  float[outer * n * inner]   write; read where first > 0
//   spec 0     WG    workgroup size
//   spec 1     MODE  TUFF_MODE_CONSTANT .. TUFF_MODE_WRAP
//   grid       dx / WG, folded
#include "common.glsl"
#include "sum.glsl"
#include "abi/pad_grad.h"
#include "abi/remap.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint MODE = TUFF_MODE_EDGE;
layout(push_constant) uniform Push { tuff_pad_grad_pc pc; };
layout(binding = 0) readonly buffer DY { float dy[]; };
layout(binding = 1) buffer DX { float dx[]; };

// Adds dy at start, start + period, ... below end, of the turns that this launch takes.
void add_every(inout Sum a, uint base, uint start, uint end, uint period)
{
    uint p = start + pc.first * period;
    for (uint t = 0; t < pc.turns && p < end; t++, p += period)
        sum_add(a, dy[base + p * pc.inner]);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.outer * pc.n * pc.inner) return;
    const uint c = i / pc.inner % pc.n;
    const uint base = i / pc.inner / pc.n * pc.m * pc.inner + i % pc.inner;
    Sum a = Sum(pc.first > 0 ? dx[i] : 0.0, 0.0);
    if (MODE == TUFF_MODE_WRAP || MODE == TUFF_MODE_REFLECT) {
        const uint forth = (c + pc.before) % pc.period;
        add_every(a, base, forth, pc.m, pc.period);
        if (MODE == TUFF_MODE_REFLECT) {
            const uint back = (pc.period - c % pc.period + pc.before) % pc.period;
            if (back != forth) add_every(a, base, back, pc.m, pc.period);
        }
    } else {
        int start = int(c + pc.before), end = start + 1;
        if (MODE == TUFF_MODE_EDGE && c == 0) start = 0;
        if (MODE == TUFF_MODE_EDGE && c == pc.n - 1) end = int(pc.m);
        if (end > 0) add_every(a, base, uint(max(start, 0)), min(uint(end), pc.m), 1);
    }
    dx[i] = sum_value(a);
}
