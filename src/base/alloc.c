#include "base/alloc.h"
#include "base/status.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

static _Atomic int64_t made;
static _Atomic int64_t fail_at; // value of `made` at which one allocation fails; 0: never

// Counts an allocation; true when this is the one that a test wants to fail.
static int refused(void)
{
    const int64_t n = atomic_fetch_add(&made, 1) + 1;
    return n == atomic_load(&fail_at);
}

static void *checked(void *block, size_t count, size_t size)
{
    if (!block)
        (void)tuff_fail(TUFF_ERR_MEMORY, "out of host memory: %zu x %zu bytes were asked for",
                        count, size);
    return block;
}

void *tuff_alloc(size_t count, size_t size)
{
    void *block = refused() ? NULL : calloc(count ? count : 1, size ? size : 1);
    return checked(block, count, size);
}

void *tuff_realloc(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || refused())
        return checked(NULL, count, size);
    return checked(realloc(block, bytes ? bytes : 1), count, size);
}

// Large blocks lie in large pages where the system has them: a pass over many small ones takes
// as long for finding them as for reading them.
static void *aligned_block(size_t bytes, size_t rounded)
{
#if defined __linux__ && defined MADV_HUGEPAGE
    const size_t page = (size_t)2 << 20, whole = (bytes + page - 1) & ~(page - 1);
    if (bytes >= 2 * page && whole >= bytes) {
        void *block = aligned_alloc(page, whole);
        if (block) (void)madvise(block, whole, MADV_HUGEPAGE);
        return block;
    }
#endif
    (void)bytes;
    return aligned_alloc(64, rounded ? rounded : 64);
}

void *tuff_alloc_aligned(size_t bytes)
{
    const size_t rounded = (bytes + 63) & ~(size_t)63;
    void *block = NULL;
    if (rounded >= bytes && !refused()) block = aligned_block(bytes, rounded);
    return checked(block, 1, bytes);
}

void tuff_free(void *block) { free(block); }

char *tuff_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = tuff_alloc(n, 1);
    if (copy) memcpy(copy, text, n);
    return copy;
}

void tuff_alloc_fail_at(int64_t n) { atomic_store(&fail_at, n ? atomic_load(&made) + n : 0); }
int64_t tuff_alloc_count(void) { return atomic_load(&made); }
