// What the reductions share: which dims go, and the launches (shaders/reduce.comp).
#ifndef TUFF_OPS_REDUCE_H
#define TUFF_OPS_REDUCE_H
#include "ops/op.h"
#include "abi/reduce.h"

// The dims that go, as a mask counted from the innermost.
uint32_t tuff_reduce_axes(const tuff_call *c);
// True when x's dim `d` (from the outermost) goes.
static inline bool tuff_reduce_goes(const tuff_desc *x, uint32_t axes, int d)
{
    return axes >> (x->rank - 1 - d) & 1;
}
// Elements that one result is made of.
double tuff_reduce_terms(const tuff_call *c);

// What a reduction computes, in the words of abi/reduce.h.
typedef struct tuff_reduction_of {
    uint32_t op, map, finish;
    bool mean; // divided by the number of terms
} tuff_reduction_of;

// Both walks of a call, rows and cols.
struct tuff_reduce_pc tuff_reduce_layout(const tuff_call *c);

// Of the CPU path (reduce_host.c): all but the log of the sum of exp.
bool tuff_reduce_host_takes(const tuff_call *c);
size_t tuff_reduce_host_units(const tuff_call *c, int stage);
size_t tuff_reduce_host_scratch(const tuff_call *c);
void tuff_reduce_host(const tuff_ref *r, const tuff_reduction_of *f);
// y[i] of row i of x, whose neighbours go.
void tuff_reduce_rows_host(const float *x, size_t rows, size_t cols, const tuff_reduction_of *f,
                           float *y);

typedef enum tuff_reduce_how { TUFF_REDUCE_PLAIN, TUFF_REDUCE_TEXEL, TUFF_REDUCE_GROUP }
    tuff_reduce_how;
bool tuff_reduce_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, tuff_reduce_how how,
                      const tuff_reduction_of *f);
#endif
