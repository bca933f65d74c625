// Whole numbers packed in words (<tuff/ops/block.h>) on the host.
#ifndef TUFF_OPS_PACKED_H
#define TUFF_OPS_PACKED_H
#include <stdbool.h>
#include <stdint.h>

enum { TUFF_PACKED_BITS = 16, TUFF_PACKED_LANES = 16 };

// Number i, for references.
int32_t tuff_packed_number(int bits, bool zero, const uint32_t *words, int64_t i);

// A stream of them, for kernels (packed_host.c).
typedef struct tuff_packed {
    const uint32_t *words;
    int64_t count; // of words
    int bits;
    bool is_signed;
} tuff_packed;
// Numbers first .. first + n less `zero`, which are exact. n is filled up to a multiple of
// TUFF_PACKED_LANES with any.
void tuff_packed_host(const tuff_packed *p, int64_t first, int64_t n, float zero, float *to);
// Signed ones of 2 to 7 bits as bytes, first .. first + n and nothing behind them.
void tuff_packed_bytes(const tuff_packed *p, int64_t first, int64_t n, int8_t *to);
#endif
