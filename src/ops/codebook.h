// Codebooks: what codebook.c and codebook_matmul.c share.
#ifndef TUFF_OPS_CODEBOOK_H
#define TUFF_OPS_CODEBOOK_H
#include "ops/product_host.h"
#include <tuff/ops/block.h>

enum { TUFF_CODEBOOK_BITS = 8 };

// Bits of an index into a codebook of rank 1; more than 8 for one that is too large.
int tuff_codebook_bits(const tuff_desc *codebook);
// Fails with a sentence unless a codebook has one dim of 2 to 256 numbers, a power of two.
tuff_status tuff_codebook_check(const tuff_desc *codebook);
// Index k of a row.
uint32_t tuff_codebook_index(int bits, const uint32_t *row, int64_t k);
// Makes v, which has no more bits, index k of a row whose words were 0.
void tuff_codebook_put(int bits, uint32_t *row, int64_t k, uint32_t v);
// Makes drawn words into ones with all kinds of indices.
void tuff_codebook_draw(const tuff_desc *indices, uint32_t *words);

// A product on the CPU path (codebook_host.c).
typedef struct tuff_codebook_product {
    int bits;
    int64_t rows, n, k, words; // of x [rows][k], y [rows][n], indices [n][words]
    const float *x, *codebook;
    const uint32_t *indices;
    float *y;
    tuff_finish finish; // `plus` is a bias along y's columns
} tuff_codebook_product;
size_t tuff_codebook_host_units(int64_t rows, int64_t n, int64_t k);
// Units begin .. end of these.
void tuff_codebook_host(const tuff_codebook_product *p, size_t begin, size_t end);
#endif
