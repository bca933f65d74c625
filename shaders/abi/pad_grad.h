// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// One axis: dx [outer, n, inner] of dy [outer, m, inner]: pad put `before` elements before
// the n (below 0: cut off there).
struct tuff_pad_grad_pc {
    uint outer, n, inner, m;
    uint before;       // modulo the period where there is one
    uint period;       // of reflect and wrap: after how many elements y repeats
    uint first, turns; // the part of a sum that this launch takes; the first one begins it
};
