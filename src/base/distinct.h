// Arrays of few different numbers: which there are, and where each element's is.
#ifndef TUFF_BASE_DISTINCT_H
#define TUFF_BASE_DISTINCT_H
#include <stdbool.h>
#include <stdint.h>

enum { TUFF_DISTINCT_MOST = 255 };

// Numbers are told apart by their bits: -0 is one like any, and so is each NaN. number[0] is 0,
// which is not counted; the others are sorted.
typedef struct tuff_distinct {
    float number[TUFF_DISTINCT_MOST + 1];
    int count;
} tuff_distinct;

// Collects those of x[n]; false: there are more than 255.
bool tuff_distinct_find(tuff_distinct *d, const float *x, int64_t n);
// The places in d->number of x[n], which has no others.
void tuff_distinct_index(const tuff_distinct *d, const float *x, int64_t n, uint8_t *index);
#endif
