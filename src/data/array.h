// Host arrays, as <tuff/format.h> declares them, and what the readers of files share.
#ifndef TUFF_DATA_ARRAY_H
#define TUFF_DATA_ARRAY_H
#include <tuff/format.h>

// The bytes of rank dims of `size` bytes an element: false when that is over SIZE_MAX / 2, or
// a dim is negative.
bool tuff_dims_bytes(const int64_t *dim, int rank, size_t size, size_t *bytes);
// n doubles at any address to n floats; `to` may be `from`.
void tuff_narrow_f64(const void *from, float *to, size_t n);
#endif
