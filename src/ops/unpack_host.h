// Products of many rows of x on the CPU path with weights that are numbers only when they are
// made so: a part of 32 rows of w becomes two panels in the first-level cache, which all rows
// of x meet (product_host.h).
#ifndef TUFF_OPS_UNPACK_HOST_H
#define TUFF_OPS_UNPACK_HOST_H
#include "ops/product_host.h"

enum { TUFF_UNPACK_COLS = 2 * TUFF_PANEL }; // rows of w, columns of y, at a time

typedef struct tuff_unpack {
    int64_t rows, n, k; // of x [rows][k] and y [rows][n]
    const float *x;
    float *y;
    tuff_finish finish; // of y's element (0, 0)
    // Numbers at .. at + count of `cols` rows of w from `first` on; `at` is a multiple of
    // TUFF_PART, and each row of `to` has room for as many.
    void (*numbers)(const void *w, int64_t first, int64_t cols, int64_t at, int64_t count,
                    float to[][TUFF_PART]);
    const void *w;
} tuff_unpack;
// The columns of y from `col`, a multiple of TUFF_UNPACK_COLS, on.
void tuff_unpack_run(const tuff_unpack *u, int64_t col);
#endif
