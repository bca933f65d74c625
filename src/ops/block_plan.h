// Plans of products whose right operand lies in blocks: what block_matmul and codebook_matmul
// share. The shaders are block_matmul_*.comp and block_pack.comp.
#ifndef TUFF_OPS_BLOCK_PLAN_H
#define TUFF_OPS_BLOCK_PLAN_H
#include "ops/gemm.h"
#include "abi/block.h"

enum { TUFF_BLOCK_ROWS = 16 }; // of x, beyond which a GPU takes tiles in shared memory

// For infer: y of x (input 0) and a right operand of `columns` rows of blocks, with a bias and
// a residual where these inputs are given. Fails with a sentence when they do not fit.
tuff_status tuff_block_infer(const tuff_call *c, int64_t columns, int bias, int residual,
                             int act, tuff_desc *y);

typedef struct tuff_block_product {
    tuff_product p;     // a: x [m][k]; b: its rows are columns of the product
    uint32_t format;    // TUFF_FORMAT_...
    uint32_t unit;      // numbers of a block: sums are cut at multiples of it
    uint32_t row_bytes; // of a row of b
    int codebook;       // input that b's indices look into; -1: b holds numbers
} tuff_block_product;

// The product of such a call: x is input 0, the right operand 1.
tuff_product tuff_block_product_of(const tuff_call *c, int64_t columns, int bias, int residual,
                                   int act);

// What the kernels are pushed, once p.g is complete.
struct tuff_block_matmul_pc tuff_block_push(const tuff_block_product *b);

// Variants, whole. k is a multiple of 32. For software drivers, of many rows of x and of few;
// for GPUs, of few.
bool tuff_block_packed(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan);
bool tuff_block_texel(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan);
bool tuff_block_group(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan);
#endif
