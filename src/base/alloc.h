// Host memory. Every allocation of the library goes through here, so that a test can make
// the n-th one fail.
#ifndef TUFF_BASE_ALLOC_H
#define TUFF_BASE_ALLOC_H
#include <stddef.h>
#include <stdint.h>

// Zeroed memory for `count` elements of `size` bytes, or NULL with the last error set
// (out of memory, or count * size overflows). Free with tuff_free.
void *tuff_alloc(size_t count, size_t size);
// Changes a block's size (NULL: a new one); bytes beyond the old size are not set. On
// failure returns NULL with the last error set, and the old block stays valid.
void *tuff_realloc(void *block, size_t count, size_t size);
// 64-byte aligned memory, not set; free with tuff_free.
void *tuff_alloc_aligned(size_t bytes);
void tuff_free(void *block);
// A copy of a string, or NULL with the last error set.
char *tuff_strdup(const char *text);

// Test hooks: the n-th allocation from now on fails (0: none does), counted over all
// threads; how many were made since the process started.
void tuff_alloc_fail_at(int64_t n);
int64_t tuff_alloc_count(void);
#endif
