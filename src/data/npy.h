// NumPy's format in memory; <tuff/format.h> has the functions on files.
#ifndef TUFF_DATA_NPY_H
#define TUFF_DATA_NPY_H
#include <tuff/format.h>

// Parses a whole file that is in memory.
TUFF_CHECK tuff_status tuff_npy_parse(const void *bytes, size_t size, tuff_array *a);
#endif
