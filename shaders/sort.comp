#version 450
#extension GL_GOOGLE_include_directive : require
// Sorts keys, equal ones in the order of their places: a merge sort in which every element
// finds its own place: no barrier, no atomic, and any device gives the same.
//
//   first launch   blocks of 32: an element counts those of its block that go before it
//   later ones     of two sorted blocks: an element's place in its own block, and by bisection
//                  those of the other one that go before it
//
//      1 3 3 8 | 2 3 9      the right 3 goes behind 1 3 3 (its equals to the left of it)
//        1 2 3 3 3 8 9
//
//   binding 0  from  first: keys uint[count]; later: pairs (key, place) uint[2 count]   read
//   binding 1  to    pairs                                                           write
//   spec 0     WG     workgroup size
//   spec 1     FIRST  see above; pc.width is 32 then
//   grid       count / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/index.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool FIRST = true;
layout(push_constant) uniform Push { tuff_sort_pc pc; };
layout(binding = 0) readonly buffer From { uint from[]; };
layout(binding = 1) writeonly buffer To { uint to[]; };

uint key_at(uint i) { return FIRST ? from[i] : from[2 * i]; }

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint block = quotient(i, pc.width), begin = block * pc.width, key = key_at(i);
    uint at = begin;
    if (FIRST) {
        const uint end = min(begin + pc.width, pc.count);
        for (uint k = begin; k < end; k++) {
            const uint other = from[k];
            if (other < key || (other == key && k < i)) at++;
        }
    } else {
        const bool right = (block & 1) != 0;
        uint low = right ? begin - pc.width : min(begin + pc.width, pc.count);
        const uint first = low;
        uint high = min(low + pc.width, pc.count);
        while (low < high) {
            const uint middle = low + (high - low) / 2, other = key_at(middle);
            if (right ? other <= key : other < key) low = middle + 1;
            else high = middle;
        }
        at = i + low - first - (right ? pc.width : 0);
    }
    to[2 * at] = key;
    to[2 * at + 1] = FIRST ? i : from[2 * i + 1];
}
