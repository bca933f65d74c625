// What the two kernels of sorting share. The order of elements is that of (key, place): larger
// keys first, of equal ones the one with the lower place, so that no two are equal and the
// result is the same however it is found.
//
//   binding 0  x  uint[rows * cols]; its bits are the results                     read
//   binding 1  a  LAST: the results' values, uint[rows * k]; else pairs (key, place)     write
//   binding 2  b  LAST: the results' places, int[rows * k]; else the same as a     write
//   spec 0     WG     workgroup size
//   spec 1     LAST   one block a row is left
//   spec 2     MIN    smaller ones first, a NaN last
//   spec 3     INT    x has ints, not floats
#include "common.glsl"
#include "order.glsl"
#include "abi/order.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool LAST = false;
layout(constant_id = 2) const bool MIN = false;
layout(constant_id = 3) const bool INT = false;
layout(push_constant) uniform Push { tuff_sort_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint load(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer A { uint a[]; };
layout(binding = 2) writeonly buffer B { uint b[]; };

uint x_at(uint row, uint j)
{
    return row / pc.step * pc.cols * pc.step + row % pc.step + j * pc.step;
}

uint key_at(uint i)
{
    const uint key = order_key(load(i), INT);
    return MIN ? ~key : key;
}

// The element (key, place) of a row has found its rank in its (next) block.
void place(uint row, uint block, uint rank, uvec2 v)
{
    if (rank >= pc.keep_next) return;
    if (LAST) {
        const uint at = row / pc.step * pc.k * pc.step + row % pc.step + rank * pc.step;
        a[at] = load(x_at(row, v.y));
        b[at] = v.y;
    } else {
        const uint at = 2 * ((row * pc.blocks_next + block) * pc.keep_next + rank);
        a[at] = v.x;
        a[at + 1] = v.y;
    }
}
