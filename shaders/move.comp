#version 450
#extension GL_GOOGLE_include_directive : require
// move: copies elements from one strided place to another; transpose, slice, concat, expand
// and reshape are nothing else. Elements are one or two words, whatever their type. Four of
// them an invocation; see abi/move.h for the layout.
//
//   binding 0  x  uint[], or with -DTEXEL a texel buffer of them   read
//   binding 1  y  uint[]                                          write
//   spec 0     WG    workgroup size
//   spec 1     RANK  dims
//   spec 2     WORDS of an element: 1 or 2
//   spec 3     RUN   TEXEL only: dim[0] is a multiple of 4 and WORDS 1, so that an invocation's
//                    four elements are neighbours along it
//   spec 4, 5  IN4, OUT4  with RUN: neighbours lie side by side in x, in y, and every run of
//                    four at a multiple of four; x's texels are uvec4 then
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/move.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint RANK = 1;
layout(constant_id = 2) const uint WORDS = 1;
layout(push_constant) uniform Push { tuff_move_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool RUN = false;
layout(constant_id = 4) const bool IN4 = false;
layout(constant_id = 5) const bool OUT4 = false;
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { uvec4 y4[]; };
#else
layout(binding = 0) readonly buffer X { uint x[]; };
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

// Where element i is read and written. The loop is of constant length, so that it is unrolled
// and the push constants are not indexed, which a software driver does lane by lane.
uvec2 walk(uint i)
{
    uvec2 at = uvec2(pc.in_base, pc.out_base);
    for (uint d = 0; d < RANK; d++) {
        // Elements of the outermost dim are what is left.
        const uint q = d + 1 < RANK ? quotient(i, pc.dim[d]) : 0, c = i - q * pc.dim[d];
        at += c * uvec2(pc.in_step[d], pc.out_step[d]);
        i = q;
    }
    return at;
}

#ifdef TEXEL
void move_run(uint i)
{
    const uvec2 at = walk(i), step = uvec2(pc.in_step[0], pc.out_step[0]);
    uvec4 v;
    if (IN4) v = texelFetch(x, int(at.x / 4));
    else v = uvec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.x + step.x)).x,
                   texelFetch(x, int(at.x + 2 * step.x)).x,
                   texelFetch(x, int(at.x + 3 * step.x)).x);
    if (OUT4) {
        y4[at.y / 4] = v;
        return;
    }
    y[at.y] = v.x;
    y[at.y + step.y] = v.y;
    y[at.y + 2 * step.y] = v.z;
    y[at.y + 3 * step.y] = v.w;
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    if (RUN) {
        move_run(i);
        return;
    }
    for (uint k = i; k < min(i + 4, pc.count); k++) {
        const uvec2 at = walk(k) * WORDS;
        for (uint w = 0; w < WORDS; w++) y[at.y + w] = texelFetch(x, int(at.x + w)).x;
    }
}
#else
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i >= pc.count) return;
        const uvec2 at = walk(i) * WORDS;
        for (uint w = 0; w < WORDS; w++) y[at.y + w] = x[at.x + w];
    }
}
#endif
