// Types of elements by their names; the rest is in <tuff/base.h>.
#ifndef TUFF_BASE_DTYPE_H
#define TUFF_BASE_DTYPE_H
#include <tuff/base.h>

// The type that the first n bytes of `name` are the name of, 0 when they are none.
tuff_dtype tuff_dtype_find(const char *name, size_t n);
#endif
