#version 450
#extension GL_GOOGLE_include_directive : require
// gather, gather_nd, gather_elements: y is made of rows of x that indices name; a row that is
// none is zeros. Elements are words, whatever their type. See abi/index.h.
//
//   binding 0  x        uint[] or uvec4[], with -DTEXEL texels of such   read
//   binding 1  indices  int[], with -DTEXEL texels                       read
//   binding 2  y        uint[] or uvec4[]                                write
//   spec 0     WG    workgroup size
//   spec 1     KIND  TUFF_INDEX_...
//   spec 2     WIDE  four elements at once: `inner` is a multiple of 4, and counted in fours
//   spec 3     RUN   such fours, or elements, that an invocation takes of one row; `inner` is a
//                    multiple of it
//   grid       count / (RUN WG), folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/index.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_INDEX_AXIS;
layout(constant_id = 2) const bool WIDE = false;
layout(constant_id = 3) const uint RUN = 1;
layout(push_constant) uniform Push { tuff_index_pc pc; };
layout(binding = 2) writeonly buffer Y { uint y[]; };
layout(binding = 2) writeonly buffer Y4 { uvec4 y4[]; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) uniform usamplerBuffer indices;
uvec4 load(uint i) { return texelFetch(x, int(i)); }
uint load_index(uint i) { return texelFetch(indices, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 0) readonly buffer X4 { uvec4 x4[]; };
layout(binding = 1) readonly buffer Indices { uint indices[]; };
uvec4 load(uint i) { return WIDE ? x4[i] : uvec4(x[i]); }
uint load_index(uint i) { return indices[i]; }
#endif
#include "index.glsl"

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * RUN;
    if (i >= pc.count) return;
    uint at, row;
    if (KIND == TUFF_INDEX_ELEMENTS) {
        row = wrap_index(load_index(i), pc.rows);
        at = beside_axis(i) + row * pc.axis_step;
    } else {
        const uint q = quotient(i, pc.inner), outer = quotient(q, pc.picks);
        row = KIND == TUFF_INDEX_ND ? row_of_tuple(q)
                                    : wrap_index(load_index(q - outer * pc.picks), pc.rows);
        at = (outer * pc.rows + row) * pc.inner + i - q * pc.inner;
    }
    const bool there = row != TUFF_NO_ROW;
    for (uint k = 0; k < RUN; k++) {
        uvec4 v = load(there ? at + k : 0);
        if (!there) v = uvec4(0);
        if (WIDE) y4[i + k] = v;
        else y[i + k] = v.x;
    }
}
