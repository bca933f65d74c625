// N:M in registers, on processors of the CPU path that shuffle bytes there (sparse_nm_host.c).
#ifndef TUFF_OPS_SPARSE_NM_H
#define TUFF_OPS_SPARSE_NM_H
#include "ops/sparse.h"

enum { TUFF_NM_ROWS = 4 };

// Whether this processor has the two below.
bool tuff_nm_here(void);
// y[i] = row first + i of A times x, for n rows; x's numbers are neighbours.
void tuff_nm_dots(const tuff_sparse *a, const tuff_sparse_data *d, const float *x,
                  int64_t first, int64_t n, float *y);
// The columns of values at .. at + n of row j; `at` is a multiple of 16, and there is room for
// a multiple.
void tuff_nm_columns(const tuff_sparse *a, const uint32_t *indices, int64_t j, int64_t at,
                     int64_t n, int32_t *to);
#endif
