// 64 bits that tell one text or file from another (FNV-1a, Fowler, Noll and Vo, 1991): against
// accidents, not against people.
#ifndef TUFF_BASE_DIGEST_H
#define TUFF_BASE_DIGEST_H
#include <stddef.h>
#include <stdint.h>

static const uint64_t TUFF_DIGEST_START = 14695981039346656037u;

// The digest of what `h` is of, followed by n bytes.
static inline uint64_t tuff_digest(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}
#endif
