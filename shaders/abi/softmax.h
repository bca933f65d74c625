// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// Element j of row r lies at (r / step) cols step + r % step + j step.
struct tuff_softmax_pc {
    uint rows; // softmaxes to compute
    uint cols; // elements in each
    uint step; // distance between neighbours, in elements (1 = innermost axis)
};
