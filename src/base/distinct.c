#include "base/distinct.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1024 };

// Places of numbers by their bits; 0 where a slot is free.
typedef struct table {
    uint16_t place[SLOTS];
    uint32_t word[SLOTS];
} table;

static uint32_t bits_of(float v)
{
    uint32_t word;
    memcpy(&word, &v, sizeof word);
    return word;
}

// The slot that holds a number, or the free one where it belongs.
static uint32_t slot_of(const table *t, uint32_t word)
{
    uint32_t at = word * 2654435761u >> 22;
    while (t->place[at] && t->word[at] != word) at = (at + 1) % SLOTS;
    return at;
}

static void add(table *t, uint32_t slot, uint32_t word, int place)
{
    t->place[slot] = (uint16_t)place;
    t->word[slot] = word;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    if (x < y || x > y) return x < y ? -1 : 1;
    const uint32_t p = bits_of(x), q = bits_of(y); // -0, or no numbers
    return (p > q) - (p < q);
}

bool tuff_distinct_find(tuff_distinct *d, const float *x, int64_t n)
{
    table t = { { 0 }, { 0 } };
    d->count = 0;
    d->number[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t word = bits_of(x[i]);
        const uint32_t slot = word ? slot_of(&t, word) : 0;
        if (!word || t.place[slot]) continue;
        if (d->count == TUFF_DISTINCT_MOST) return false;
        d->number[++d->count] = x[i];
        add(&t, slot, word, d->count);
    }
    qsort(d->number + 1, (size_t)d->count, sizeof *d->number, by_value);
    return true;
}

void tuff_distinct_index(const tuff_distinct *d, const float *x, int64_t n, uint8_t *index)
{
    table t = { { 0 }, { 0 } };
    for (int i = 1; i <= d->count; i++) {
        const uint32_t word = bits_of(d->number[i]);
        add(&t, slot_of(&t, word), word, i);
    }
    for (int64_t i = 0; i < n; i++) {
        const uint32_t word = bits_of(x[i]);
        index[i] = word ? (uint8_t)t.place[slot_of(&t, word)] : 0;
    }
}
