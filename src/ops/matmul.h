// matmul as numbers: what its reference and its plans both read from a call.
#ifndef TUFF_OPS_MATMUL_H
#define TUFF_OPS_MATMUL_H
#include "ops/op.h"

// Steps are in elements. Leading dims are counted from the innermost of them, dim[0]; a step
// is 0 along a dim that is broadcast.
typedef struct tuff_matmul_shape {
    int64_t m, n, k, batches;
    int64_t a_m, a_k, b_k, b_n;
    int dims;
    int64_t dim[TUFF_MAX_DIMS], a_step[TUFF_MAX_DIMS], b_step[TUFF_MAX_DIMS];
} tuff_matmul_shape;

// Of a call with ports as the record says and ranks of at least 2; the sizes may disagree
// (infer finds out).
void tuff_matmul_shape_of(const tuff_call *c, tuff_matmul_shape *s);

// Variants, best first.
bool tuff_matmul_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_matmul_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_matmul_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_matmul_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
#endif
