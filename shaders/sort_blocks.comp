#version 450
#extension GL_GOOGLE_include_directive : require
// Sorts blocks of TUFF_SORT_BLOCK elements along an axis: one invocation an element, which
// counts those of its block that come before it. Bindings and constants: sort.glsl; this
// launch makes its `_next` blocks.
//
//   grid       rows * cols / WG, folded
#include "sort.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.rows * pc.cols) return;
    // Neighbouring invocations are neighbours in x.
    const uint line = i / pc.step, outer = line / pc.cols, j = line - outer * pc.cols;
    const uint row = outer * pc.step + i % pc.step, block = j / TUFF_SORT_BLOCK;
    const uint begin = block * TUFF_SORT_BLOCK, end = min(begin + TUFF_SORT_BLOCK, pc.cols);
    const uint base = x_at(row, 0), key = key_at(base + j * pc.step);
    uint rank = 0;
    for (uint m = begin; m < end; m++) {
        const uint other = key_at(base + m * pc.step);
        if (other > key || (other == key && m < j)) rank++;
    }
    place(row, block, rank, uvec2(key, j));
}
