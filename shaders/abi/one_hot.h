// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"
struct tuff_one_hot_pc {
    uint count, depth, inner;
};
