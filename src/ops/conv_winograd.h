// Winograd convolutions: what they are is told in shaders/winograd.glsl.
#ifndef TUFF_OPS_CONV_WINOGRAD_H
#define TUFF_OPS_CONV_WINOGRAD_H
#include "ops/gemm.h"

// Plans a convolution or its input gradient, which the product and the push constants say as
// conv_plan.c makes them, in tiles of m x m outputs, m being 2 or 4; with kernels made for GPUs
// (`tile`) or for CPU-like drivers. False where it has no 3 x 3 kernel, or strides, dilation or
// groups; where another kernel would be faster; and with m = 4 where the call's params do not
// say `fast`. The last two do not matter when the plan is forced.
bool tuff_winograd(const tuff_product *p, const struct tuff_conv_pc *conv, int m, bool tile,
                   const tuff_caps *k, tuff_plan *plan);
#endif
