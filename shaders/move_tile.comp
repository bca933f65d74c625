#version 450
#extension GL_GOOGLE_include_directive : require
// move on GPUs where neighbours of x are no neighbours in y: tiles of 32 x 32 words pass
// through shared memory, so that both are read and written along their rows.
//
//            dim D, along which x goes on                  dim 0, along which y does
//          +---------------+                             +---------------+
//   dim 0  | x x x x ...   |  read by rows   written by  | y y y y ...   |  dim D
//          | x x           |      into           rows    | y y           |
//          +---------------+   one tile                  +---------------+
//
//   binding 0  x  uint[]   read
//   binding 1  y  uint[]   write
//   spec 0     RANK  dims
//   spec 1     D     the dim whose step in x is 1; dim 0 has step 1 in y
//   grid       tiles along dim 0 x tiles along D x all other dims, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/move.h"

const uint SIDE = 32, LINES = 8; // 256 invocations: eight lines of a tile at a time
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint RANK = 2;
layout(constant_id = 1) const uint D = 1;
layout(push_constant) uniform Push { tuff_move_pc pc; };
layout(binding = 0) readonly buffer X { uint x[]; };
layout(binding = 1) writeonly buffer Y { uint y[]; };
shared uint tile[SIDE][SIDE + 1]; // one more, against bank conflicts

void main()
{
    const uint n0 = pc.dim[0], n1 = pc.dim[D];
    uint i = group_index(), next = i / ((n0 + SIDE - 1) / SIDE);
    const uint first0 = (i - next * ((n0 + SIDE - 1) / SIDE)) * SIDE;
    i = next;
    next = i / ((n1 + SIDE - 1) / SIDE);
    const uint first1 = (i - next * ((n1 + SIDE - 1) / SIDE)) * SIDE;
    uvec2 at = uvec2(pc.in_base, pc.out_base);
    for (uint d = 1; d < RANK; d++) {
        if (d == D) continue;
        const uint q = quotient(next, pc.dim[d]), c = next - q * pc.dim[d];
        at += c * uvec2(pc.in_step[d], pc.out_step[d]);
        next = q;
    }
    if (next > 0) return; // past the last tile: the whole workgroup leaves together
    const uint lane = gl_LocalInvocationIndex % SIDE, line = gl_LocalInvocationIndex / SIDE;
    for (uint k = line; k < SIDE; k += LINES)
        if (first0 + k < n0 && first1 + lane < n1)
            tile[k][lane] = x[at.x + (first0 + k) * pc.in_step[0] + first1 + lane];
    barrier();
    for (uint k = line; k < SIDE; k += LINES)
        if (first1 + k < n1 && first0 + lane < n0)
            y[at.y + (first1 + k) * pc.out_step[D] + first0 + lane] = tile[lane][k];
}
