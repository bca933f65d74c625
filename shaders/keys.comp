#version 450
#extension GL_GOOGLE_include_directive : require
// The row that each update of a scatter goes to, or TUFF_NO_ROW. See abi/index.h; `y` there is
// what is scattered here, and `x` what it is scattered into.
//
//   binding 0  indices  int[]        read
//   binding 1  keys     uint[count]  write
//   spec 0     WG    workgroup size
//   spec 1     KIND  TUFF_INDEX_...
//   grid       count / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/index.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KIND = TUFF_INDEX_AXIS;
layout(push_constant) uniform Push { tuff_index_pc pc; };
layout(binding = 0) readonly buffer Indices { uint indices[]; };
layout(binding = 1) writeonly buffer Keys { uint keys[]; };
uint load_index(uint i) { return indices[i]; }
#include "index.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    uint key = KIND == TUFF_INDEX_ND ? row_of_tuple(i)
                                     : wrap_index(load_index(i), pc.rows);
    if (key != TUFF_NO_ROW) {
        if (KIND == TUFF_INDEX_ND) key += quotient(i, pc.picks) * pc.rows;
        if (KIND == TUFF_INDEX_ELEMENTS) key = beside_axis(i) + key * pc.axis_step;
    }
    keys[i] = key;
}
