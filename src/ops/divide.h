// Division by a launch's constant, for push constants; the proof is in shaders/divide.glsl.
#ifndef TUFF_OPS_DIVIDE_H
#define TUFF_OPS_DIVIDE_H
#include "abi/divide.h"
#include <stddef.h>

static inline tuff_divide tuff_divide_by(size_t d)
{
    uint32_t shift = 0;
    while (((uint64_t)1 << shift) < d) shift++;
    const uint64_t mul = (((uint64_t)1 << (31 + shift)) + d - 1) / d;
    return (tuff_divide){ (uint32_t)d, (uint32_t)mul, shift };
}
#endif
