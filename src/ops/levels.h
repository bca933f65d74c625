// Products with few levels: what the records (levels.c) and the CPU path's kernel
// (levels_host.c) share.
#ifndef TUFF_OPS_LEVELS_H
#define TUFF_OPS_LEVELS_H
#include "ops/op.h"

// A call of one of them.
typedef struct tuff_levels {
    uint32_t format;       // TUFF_LEVELS_...
    int bits;              // of packed numbers; else 0
    bool is_signed;        // whole numbers
    int scale, zero, bias; // inputs; -1: it has none
    int act;
    int64_t n, k;          // rows of w, and their length
} tuff_levels;
tuff_levels tuff_levels_of(const tuff_call *c);
// How many scales or zero points an input of it holds; 0: it is not there.
int64_t tuff_levels_count(const tuff_call *c, int input);

size_t tuff_levels_host_units(const tuff_call *c, int stage);
void tuff_levels_host(const tuff_ref *r);
#endif
