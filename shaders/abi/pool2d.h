// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// MODE of pool2d.comp.
#define TUFF_POOL_MAX    0
#define TUFF_POOL_MEAN   1
#define TUFF_POOL_ARGMAX 2

// Pooling of planes [h, w] to [oh, ow]. A launch sees a part of each window (of each cell's
// windows in the gathering gradients): `row`, `col` on, as many as its constants say.
struct tuff_pool_pc {
    uint count;       // elements that are written: one invocation each
    uint h, w;        // of x
    uint oh, ow;      // of y
    uint pad_top, pad_left;
    uint row, col;    // where this part begins
    uint first, last; // 1 when this is the first, the last part
    float scale;      // mean: 1 / elements of the whole window; 0: count those that are real
    tuff_divide rows, cols; // the two inner dims of what is written
};
