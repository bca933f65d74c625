// Read by the C compiler and by glslang: the only description of this layout.
#ifndef TUFF_ABI_REMAP_H
#define TUFF_ABI_REMAP_H
#include "abi.h"

// y of `count` elements, its dims innermost first. Coordinate c of dim d becomes one of x,
// which has size[d], by c + shift[d] (modulo 2^32, so that it may go backwards).
struct tuff_remap_pc {
    uint count;
    uint value; // where x has no element
    uint dim[8], size[8], shift[8];
};

// What is read where that is outside of x = a b c
#define TUFF_MODE_CONSTANT 0u // none: `value`               . . a b c . .
#define TUFF_MODE_REFLECT  1u // mirrored at the edges       c b a b c b a
#define TUFF_MODE_EDGE     2u // the nearest                 a a a b c c c
#define TUFF_MODE_WRAP     3u // counted from the other end  b c a b c a b
// x's element itself where column >= row + shift[0], or <= it (dims 0 and 1); else `value`.
#define TUFF_MODE_UPPER    4u
#define TUFF_MODE_LOWER    5u
#endif
