// Tells where a barrier is needed. Pure: buffers are only compared.
//
// The set holds what commands touched since the last barrier. A command needs a barrier
// before it when it touches bytes that one of them wrote, or writes bytes that one read.
// When the set is full a barrier is taken though none is needed: it empties the set.
#ifndef TUFF_VULKAN_HAZARD_H
#define TUFF_VULKAN_HAZARD_H
#include "device/backend.h"

enum { TUFF_HAZARD_MOST = 192 };

typedef struct tuff_hazard {
    tuff_binding touched[TUFF_HAZARD_MOST];
    int count;
} tuff_hazard;

static inline bool tuff_hazard_between(const tuff_binding *a, const tuff_binding *b)
{
    return a->range.buffer == b->range.buffer && ((a->access | b->access) & TUFF_WRITE) &&
           a->range.offset < b->range.offset + b->range.size &&
           b->range.offset < a->range.offset + a->range.size;
}

// Adds a command that touches b[0..count); true when a barrier must come before it.
static inline bool tuff_hazard_add(tuff_hazard *h, const tuff_binding b[], int count)
{
    bool barrier = h->count + count > TUFF_HAZARD_MOST;
    for (int i = 0; i < count && !barrier; i++)
        for (int k = 0; k < h->count && !barrier; k++)
            barrier = tuff_hazard_between(&h->touched[k], &b[i]);
    if (barrier) h->count = 0;
    for (int i = 0; i < count; i++) h->touched[h->count++] = b[i];
    return barrier;
}
#endif
