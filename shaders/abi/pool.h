// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// MODE of pool.comp and pool_gather.comp.
#define TUFF_WINDOW_MAX     0
#define TUFF_WINDOW_MAX_INT 1 // of i32
#define TUFF_WINDOW_ARGMAX  2 // the cell of its plane
#define TUFF_WINDOW_MEAN    3
#define TUFF_WINDOW_LP      4 // the root of the sum of powers

// FORM of pool.comp's indices: which cell is number 1.
#define TUFF_CELLS_ROWS    0 // the next one of the innermost dim, planes one after the other
#define TUFF_CELLS_COLUMNS 1 // the next one of the outermost dim

#define TUFF_WINDOW_FIRST   1u // what was added before does not count
#define TUFF_WINDOW_LAST    2u // nothing will be added
#define TUFF_WINDOW_PADDING 4u // padding counts in a mean

// Planes of three dims, the outermost first. Windows go from x [size] to y [out]; `dims` is
// what is written and `other` the other of the two. A launch sees a box of each window (of
// each cell's windows in the gathering gradient).
struct tuff_window_pc {
    uint count; // elements that are written: one invocation each
    uint flags;
    uint power; // of TUFF_WINDOW_LP
    uint other[3], kernel[3], before[3]; // before: padding
    uint high[3];           // where cells end that count in a mean, counted from the padding
    uint corner[3], box[3]; // the part of a window
    tuff_divide dims[3];
};
