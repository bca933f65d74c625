// Numbers of a seed's sequences (base/rng.h) for the CPU path's kernels, and its dropout.
#ifndef TUFF_OPS_RANDOM_HOST_H
#define TUFF_OPS_RANDOM_HOST_H
#include "ops/op.h"

// y[k] = uniform(first + k), or normal(first + k) as f32 has its functions.
void tuff_uniform_host(uint64_t seed, uint64_t first, size_t n, float *y);
void tuff_normal_host(uint64_t seed, uint64_t first, size_t n, float *y);
void tuff_dropout_host(const tuff_ref *r);
#endif
