// Read by the C compiler and by glslang: division by a number that one launch does not change,
// as a product and a shift. See shaders/divide.glsl; made by src/ops/divide.h.
#ifndef TUFF_ABI_DIVIDE_H
#define TUFF_ABI_DIVIDE_H
#include "abi.h"
struct tuff_divide {
    uint by;    // the divisor, at least 1
    uint mul;   // ceil(2^(31 + shift) / by)
    uint shift; // the smallest with 2^shift >= by
};
#ifndef GL_core_profile
typedef struct tuff_divide tuff_divide;
#endif
#endif
