// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// A loop over `count` elements, its dims innermost first. Element (c0, c1, ...) is read at
// in_base + c0 in_step[0] + ... and written at out_base + c0 out_step[0] + ..., modulo 2^32,
// so that steps may go backwards.
struct tuff_move_pc {
    uint count, in_base, out_base;
    uint dim[8], in_step[8], out_step[8];
};
