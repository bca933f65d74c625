// A pool of threads that shares loops; as many threads as the machine has cores, or as the
// environment's TUFF_THREADS says.
#ifndef TUFF_BASE_THREAD_H
#define TUFF_BASE_THREAD_H
#include <stddef.h>

// Calls fn(arg, begin, end) over pieces that cover 0 <= i < n exactly once, from several
// threads, and returns when all are done. Never fails: without threads the caller does it
// all. Nested calls run in the calling thread.
void tuff_parallel_for(size_t n, void (*fn)(void *arg, size_t begin, size_t end), void *arg);
int tuff_thread_count(void);
#endif
