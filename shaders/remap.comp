#version 450
#extension GL_GOOGLE_include_directive : require
// remap: each coordinate of y by itself tells one of x; pad, tile, roll and trilu. Elements are
// one or two words, whatever their type. Four of them an invocation; see abi/remap.h.
//
//   binding 0  x  uint[], or with -DTEXEL a texel buffer of them   read
//   binding 1  y  uint[]                                          write
//   spec 0     WG    workgroup size
//   spec 1     RANK  dims
//   spec 2     MODE  TUFF_MODE_...
//   spec 3     WORDS of an element: 1 or 2
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/remap.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint RANK = 1;
layout(constant_id = 2) const uint MODE = TUFF_MODE_CONSTANT;
layout(constant_id = 3) const uint WORDS = 1;
layout(push_constant) uniform Push { tuff_remap_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

uint remainder(uint a, uint n) { return a - quotient(a, n) * n; }

// A coordinate of x for one of y that has been shifted.
uint coordinate(uint c, uint n)
{
    if (MODE == TUFF_MODE_WRAP) return remainder(c, n);
    if (MODE == TUFF_MODE_EDGE) return uint(clamp(int(c), 0, int(n) - 1));
    if (MODE == TUFF_MODE_REFLECT) {
        const uint period = max(2 * n - 2, 1u), r = remainder(c, period);
        return min(r, period - r);
    }
    return c;
}

const uint NOWHERE = 0xffffffffu;

// Where x has the element of y at index i.
uint place(uint i)
{
    uint at = 0, step = 1;
    bool there = true;
    if (MODE == TUFF_MODE_UPPER || MODE == TUFF_MODE_LOWER) {
        const uint q = quotient(i, pc.dim[0]), row = q - quotient(q, pc.dim[1]) * pc.dim[1];
        const int from = int(row + pc.shift[0]), col = int(i - q * pc.dim[0]);
        there = MODE == TUFF_MODE_UPPER ? col >= from : col <= from;
        at = i;
    } else {
        for (uint d = 0; d < RANK; d++) {
            const uint q = quotient(i, pc.dim[d]);
            const uint c = coordinate(i - q * pc.dim[d] + pc.shift[d], pc.size[d]);
            if (MODE == TUFF_MODE_CONSTANT) there = there && c < pc.size[d];
            at += c * step;
            step *= pc.size[d];
            i = q;
        }
    }
    return there ? at : NOWHERE;
}

void main()
{
#ifdef TEXEL // neighbours of one invocation share a cache line
    const uint first = (group_index() * WG + gl_LocalInvocationIndex) * 4, step = 1;
#else        // neighbouring invocations do
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex, step = WG;
#endif
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * step;
        if (i >= pc.count) return;
        const uint at = place(i);
        for (uint w = 0; w < WORDS; w++) {
            const uint v = load(at == NOWHERE ? 0 : at * WORDS + w);
            // The second word of a whole number is its sign.
            const uint value = w == 0 ? pc.value : uint(int(pc.value) >> 31);
            y[i * WORDS + w] = at == NOWHERE ? value : v;
        }
    }
}
