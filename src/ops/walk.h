// A nested loop over a tensor's elements that moves through two other tensors at once, with as
// few dimensions as describe it.
//
//   y [4, 6, 5, 5] = a [4, 6, 5, 5] + b [6, 1, 1]
//
//             given, outermost first          kept, innermost first
//   dim       4    6   5  5                   25   6    4
//   step a    150  25  5  1                   1    25   150
//   step b    0    1   0  0                   0    1    0
//
// Dims of 1 are dropped; neighbours along which both tensors go on evenly become one.
#ifndef TUFF_OPS_WALK_H
#define TUFF_OPS_WALK_H
#include <tuff/base.h>

typedef struct tuff_walk {
    int rank; // 0 when there is one element
    uint32_t dim[TUFF_MAX_DIMS], step[2][TUFF_MAX_DIMS];
} tuff_walk;

// `step` in elements; 0 where a tensor stands still.
tuff_walk tuff_walk_make(int rank, const int64_t dim[], const int64_t step0[],
                         const int64_t step1[]);
// Row-major steps of `d`.
void tuff_steps(const tuff_desc *d, int64_t step[]);
// Steps of x when it is read as if it had the shape of y (NumPy's broadcasting), 0 where x is
// repeated. x fits y.
void tuff_steps_as(const tuff_desc *x, const tuff_desc *y, int64_t step[]);
// Offset in tensor 0 or 1 of element `i` of the loop.
size_t tuff_walk_at(const tuff_walk *w, int tensor, size_t i);
#endif
