// Best fit over bins of powers of two; declared in suballoc.h.
#include "device/vulkan/suballoc.h"
#include "base/alloc.h"
#include <assert.h>

enum { BINS = 64, NONE = TUFF_NO_PIECE };

// A piece knows its neighbours in the range, and, while free, in its bin.
typedef struct piece {
    uint64_t offset, size; // granules
    int left, right;
    int prev, next; // `next` also chains unused entries
    bool free;
} piece;

struct tuff_suballoc {
    uint64_t granule;
    piece *piece;
    int capacity, unused; // `unused` heads the chain of unused entries
    int bin[BINS], nfree, taken;
};

static int bin_of(uint64_t size) { return 63 - __builtin_clzll(size); }

static void bin_add(tuff_suballoc *s, int p)
{
    int *head = &s->bin[bin_of(s->piece[p].size)];
    s->piece[p].free = true;
    s->piece[p].prev = NONE;
    s->piece[p].next = *head;
    if (*head != NONE) s->piece[*head].prev = p;
    *head = p;
    s->nfree++;
}

static void bin_remove(tuff_suballoc *s, int p)
{
    const piece *a = &s->piece[p];
    if (a->prev != NONE)
        s->piece[a->prev].next = a->next;
    else
        s->bin[bin_of(a->size)] = a->next;
    if (a->next != NONE) s->piece[a->next].prev = a->prev;
    s->piece[p].free = false;
    s->nfree--;
}

static void entry_drop(tuff_suballoc *s, int p)
{
    s->piece[p] = (piece){ .next = s->unused };
    s->unused = p;
}

// Makes sure that one unused entry is there.
static tuff_status entry_reserve(tuff_suballoc *s)
{
    if (s->unused != NONE) return TUFF_OK;
    const int capacity = s->capacity ? 2 * s->capacity : 16;
    piece *grown = tuff_realloc(s->piece, (size_t)capacity, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    s->piece = grown;
    for (int i = capacity; i-- > s->capacity;) entry_drop(s, i);
    s->capacity = capacity;
    return TUFF_OK;
}

static int entry_take(tuff_suballoc *s)
{
    const int p = s->unused;
    s->unused = s->piece[p].next;
    return p;
}

tuff_status tuff_suballoc_create(uint64_t size, uint64_t granule, tuff_suballoc **space)
{
    assert(granule && size >= granule);
    *space = NULL;
    tuff_suballoc *s = tuff_alloc(1, sizeof *s);
    if (!s) return TUFF_ERR_MEMORY;
    s->granule = granule;
    s->unused = NONE;
    for (int i = 0; i < BINS; i++) s->bin[i] = NONE;
    if (entry_reserve(s) != TUFF_OK) {
        tuff_free(s);
        return TUFF_ERR_MEMORY;
    }
    const int all = entry_take(s);
    s->piece[all] = (piece){ .size = size / granule, .left = NONE, .right = NONE };
    bin_add(s, all);
    *space = s;
    return TUFF_OK;
}

void tuff_suballoc_destroy(tuff_suballoc **space)
{
    if (!space || !*space) return;
    tuff_free((*space)->piece);
    tuff_free(*space);
    *space = NULL;
}

// The smallest free piece of at least `size` granules.
static int best_fit(const tuff_suballoc *s, uint64_t size)
{
    int best = NONE;
    for (int b = bin_of(size); b < BINS && best == NONE; b++)
        for (int p = s->bin[b]; p != NONE; p = s->piece[p].next)
            if (s->piece[p].size >= size &&
                (best == NONE || s->piece[p].size < s->piece[best].size))
                best = p;
    return best;
}

tuff_status tuff_suballoc_take(tuff_suballoc *s, uint64_t bytes, int *taken, uint64_t *offset)
{
    const uint64_t size = bytes / s->granule + (bytes % s->granule != 0);
    assert(size);
    *taken = NONE;
    if (entry_reserve(s) != TUFF_OK) return TUFF_ERR_MEMORY;
    const int p = best_fit(s, size);
    if (p == NONE) return TUFF_OK;
    bin_remove(s, p);
    if (s->piece[p].size > size) { // the rest stays free, to the right
        const int rest = entry_take(s), right = s->piece[p].right;
        s->piece[rest] = (piece){ .offset = s->piece[p].offset + size,
                                  .size = s->piece[p].size - size,
                                  .left = p, .right = right };
        if (right != NONE) s->piece[right].left = rest;
        s->piece[p].right = rest;
        s->piece[p].size = size;
        bin_add(s, rest);
    }
    s->taken++;
    *taken = p;
    *offset = s->piece[p].offset * s->granule;
    return TUFF_OK;
}

// Joins `b`, which lies right of `a` and is in no bin, to `a`.
static void join(tuff_suballoc *s, int a, int b)
{
    s->piece[a].size += s->piece[b].size;
    s->piece[a].right = s->piece[b].right;
    if (s->piece[b].right != NONE) s->piece[s->piece[b].right].left = a;
    entry_drop(s, b);
}

void tuff_suballoc_give(tuff_suballoc *s, int p)
{
    assert(p >= 0 && p < s->capacity && !s->piece[p].free && s->piece[p].size);
    s->taken--;
    const int right = s->piece[p].right, left = s->piece[p].left;
    if (right != NONE && s->piece[right].free) {
        bin_remove(s, right);
        join(s, p, right);
    }
    if (left != NONE && s->piece[left].free) {
        bin_remove(s, left);
        join(s, left, p);
        p = left;
    }
    bin_add(s, p);
}

bool tuff_suballoc_empty(const tuff_suballoc *s) { return s->taken == 0; }
int tuff_suballoc_free_count(const tuff_suballoc *s) { return s->nfree; }
