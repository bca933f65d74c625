// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// A sparse matrix A [m, k] beside dense b and y; see <tuff/ops/sparse.h>. A launch sees the
// rows of blocks from `first` on, `rows` of them, whose starts it has from element 0 on.
struct tuff_sparse_pc {
    uint m, k, n;        // of A, and the other dim of b and y
    uint first, rows;    // in rows of blocks
    uint height, width;  // of a block
    uint count;          // blocks that there are
    uint begin, span;    // of the sum of an output, what this launch adds: blocks of a row, or
                         // elements along n; from 0 on it starts anew
    uint keep, of, words, kept; // N:M: keep numbers of `of`; words and numbers of a row
};
