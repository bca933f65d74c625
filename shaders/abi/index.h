// Read by the C compiler and by glslang: the only description of these layouts.
#ifndef TUFF_ABI_INDEX_H
#define TUFF_ABI_INDEX_H
#include "abi.h"

// How rows of x are named by a list of indices (src/ops/index.h).
#define TUFF_INDEX_AXIS     0u // x [outer, rows, inner] by [picks]; y [outer, picks, inner]
#define TUFF_INDEX_ND       1u // ... by [outer, picks, coords], a row's coordinates in `dim`
#define TUFF_INDEX_ELEMENTS 2u // each element of y by its own: y's dims and x's steps
#define TUFF_NO_ROW 0xffffffffu

struct tuff_index_pc {
    uint count; // elements of y (or fours of them); keys.comp: rows named
    uint picks, rows, inner, coords;
    uint axis_step; // of x along the axis, for TUFF_INDEX_ELEMENTS
    uint dim[8];    // ND: outermost first; ELEMENTS: of y, innermost first
    uint step[8];   // ELEMENTS: x's along them, 0 along the axis
};

// sort.comp: `count` pairs (key, place) in sorted blocks of `width` become such of 2 width.
struct tuff_sort_pc {
    uint count, width;
};

// scatter.comp: y [outer, rows, inner], updates [outer, picks, inner].
struct tuff_scatter_pc {
    uint picks, rows, inner, outer;
    uint first, span; // the part of a row's updates that this launch takes
};
#define TUFF_SCATTER_NONE 0u // the last update
#define TUFF_SCATTER_ADD  1u
#define TUFF_SCATTER_MUL  2u
#define TUFF_SCATTER_MAX  3u
#define TUFF_SCATTER_MIN  4u
#define TUFF_WORD_F32 0u
#define TUFF_WORD_I32 1u
#define TUFF_WORD_U32 2u
#endif
