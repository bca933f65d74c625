#version 450
#extension GL_GOOGLE_include_directive : require
// Merges TUFF_SORT_MERGE neighbouring sorted blocks into one: one invocation a kept element,
// which finds by bisection how many of each other block come before it. Bindings and
// constants: sort.glsl, and
//
//   binding 3  pairs  uint[rows * blocks * keep * 2], (key, place)     read
//   grid       rows * blocks * keep / WG, folded
#include "sort.glsl"

#ifdef TEXEL
layout(binding = 3) uniform usamplerBuffer pairs;
uint pair(uint i) { return texelFetch(pairs, int(i)).x; }
#else
layout(binding = 3) readonly buffer Pairs { uint pairs[]; };
uint pair(uint i) { return pairs[i]; }
#endif

// Elements kept of block b; the last one may have fewer.
uint kept(uint block) { return min(pc.keep, pc.cols - block * pc.size); }

// Of the block at pair `first`, how many come before `key`; of equal ones those of blocks that
// lie before its own.
uint before(uint first, uint n, uint key, bool equal)
{
    uint low = 0, high = n;
    while (low < high) {
        const uint mid = (low + high) / 2, other = pair(2 * (first + mid));
        if (other > key || (equal && other == key)) low = mid + 1;
        else high = mid;
    }
    return low;
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.rows * pc.blocks * pc.keep) return;
    const uint of_all = i / pc.keep, p = i - of_all * pc.keep;
    const uint row = of_all / pc.blocks, block = of_all - row * pc.blocks;
    if (p >= kept(block)) return;
    const uvec2 v = uvec2(pair(2 * i), pair(2 * i + 1));
    const uint first = block / TUFF_SORT_MERGE * TUFF_SORT_MERGE;
    const uint end = min(first + TUFF_SORT_MERGE, pc.blocks);
    uint rank = p;
    for (uint m = first; m < end; m++)
        if (m != block)
            rank += before((row * pc.blocks + m) * pc.keep, kept(m), v.x, m < block);
    place(row, block / TUFF_SORT_MERGE, rank, v);
}
