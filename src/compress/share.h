// Numbers that are shared: what share.c does to a tensor, and the form of weights in which they
// lie as indices into a codebook (codebook.c).
#ifndef TUFF_COMPRESS_SHARE_H
#define TUFF_COMPRESS_SHARE_H
#include <tuff/compress.h>
#include "compress/hessian.h"

// Leaves at most p->clusters (255 or less) numbers besides zero in w[n]: clusters of what is
// not zero, which stays so (a centroid that is itself zero would prune: it becomes the number
// next to it). Fails: as tuff_kmeans.
tuff_status tuff_share_numbers(float *w, int64_t n, const tuff_kmeans_params *p);

// The fewest bits of a codebook that holds w[n] as they are; 0: 8 are not enough.
int tuff_book_bits(const float *w, int64_t n);
// Indices of w [rows, cols] packed (<tuff/ops/block.h>), and the codebook of 2^bits numbers:
// those of w where these are few, else means of clusters. Zeros stay zero. With `h` (may be
// NULL, or of no product) what rounding takes is made up for along a row of its inputs.
// Fails: TUFF_ERR_MEMORY, TUFF_ERR_ARG (a number that is not finite).
tuff_status tuff_book_encode(const tuff_hessian *h, int bits, const float *w, int64_t rows,
                             int64_t cols, uint32_t *words, float *book);
#endif
