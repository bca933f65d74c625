// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// Rows along an axis: element j of row r lies at (r / step) cols step + r % step + j step. A
// row is cut into `segments` pieces of `span` elements; piece s of row r has the pair (key,
// place) number s * rows + r.
struct tuff_arg_pc {
    uint rows, cols, step;
    uint segments, span;
};

// Blocks of `size` elements of a row are in order, of each the first `keep`; block b of row r
// begins at pair (r * blocks + b) * keep. Groups of `merge` neighbours become one block, of
// which `keep_next` are kept.
struct tuff_sort_pc {
    uint rows, cols, step;
    uint k;           // results of a row
    uint size, keep, blocks;
    uint keep_next, blocks_next;
};
#define TUFF_SORT_BLOCK 64 // elements of a first block
#define TUFF_SORT_MERGE 16

// Running sums along such rows, cut into pieces in the same way.
struct tuff_scan_pc {
    uint rows, cols, step;
    uint segments, span;
};
// PASS of scan.comp.
#define TUFF_SCAN_TOTALS 0 // sums of pieces
#define TUFF_SCAN_BEFORE 1 // what lies before each piece of a row
#define TUFF_SCAN_WRITE  2 // the running sums

struct tuff_hardmax_pc {
    uint count, cols, step;
};
