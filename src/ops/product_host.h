// The fast products of the CPU path: what matmul, gemm and the convolutions have in common. A
// block of y is computed from rows of a, wherever they lie, and columns of b that lie 16 by
// side:
//
//                16 columns of b: a panel
//              +--+--+
//              |  |  | depth     A step reads one row of one or two panels and a number of each
//              |  |  |           of six rows of a, and adds their products to six by 16 or 32
//     depth    +--+--+           sums, which fill half the registers that there are. A part of
//  +---------+ +--+--+           at most TUFF_PART products is summed so; y is the sum of the
//  |    a    | |  y  | 6 rows    parts, which bounds the error of an f32 sum as the kernels of
//  +---------+ +--+--+           GPUs do.
//
// The order of adding depends on nothing but k, so that any cut between threads gives the same
// bits.
#ifndef TUFF_OPS_PRODUCT_HOST_H
#define TUFF_OPS_PRODUCT_HOST_H
#include "ops/op.h"
#include "ops/zip_host.h"

enum {
    TUFF_PANEL = 16,      // columns
    TUFF_PANEL_ROWS = 6,  // rows of a at a time
    TUFF_PART = 256       // products; 16 KiB of a panel
};

// How y is finished: act(alpha (a b + residual) + beta plus).
typedef struct tuff_finish {
    const float *residual;      // laid out as y is; NULL: none. It may be y itself
    const float *plus;          // NULL: none
    int64_t plus_m, plus_n;     // steps of it along rows and columns of y
    float alpha, beta;
    int act;                    // tuff_act
} tuff_finish;

// A block of y and what it is made of. Steps are in elements.
typedef struct tuff_tiles {
    const float *a;             // (r, k) lies at r / 6 * a_six + r % 6 * a_m + k * a_k
    int64_t a_six, a_m, a_k;
    const float *b;             // (k, j) lies at j / 16 * b_panel + k * b_k + j % 16
    int64_t b_panel, b_k;
    int64_t rows, cols, depth;
    bool first, last;           // part of the sum
    float *y;                   // (r, j) lies at r * y_m + j, or where `at` is, y_m r + at[j]
    int64_t y_m;
    const int64_t *at;
    const tuff_finish *finish;  // its pointers are those of element (0, 0)
} tuff_tiles;

// Adds a part of the sums to y. Columns of the last panel that y has not may be anything.
void tuff_tiles_add(const tuff_tiles *t);

// How many parts a sum of k products has, and the first product of part i.
static inline int64_t tuff_sum_parts(int64_t k) { return (k + TUFF_PART - 1) / TUFF_PART; }
static inline int64_t tuff_sum_part(int64_t k, int64_t i) { return i * k / tuff_sum_parts(k); }

// 16 columns of b, `depth` deep, as a panel: (k, j) lies at from[k * b_k + j * b_n], of which
// one step is 1. Columns from `cols` on become zeros.
void tuff_panel_pack(const float *from, int64_t b_k, int64_t b_n, int64_t depth, int64_t cols,
                     float *panel);
// Six rows of a that has a_k of more than 1, as [depth][6].
void tuff_rows_pack(const float *from, int64_t a_m, int64_t a_k, int64_t depth, int64_t rows,
                    float *to);

// x after an activation.
float tuff_act_host(float x, int act);

// How many units are worth sharing `items` that take `flops` in all: each some 10 us of work.
size_t tuff_host_share(int64_t items, double flops);
// The first item of unit `i` of `units`.
static inline int64_t tuff_host_item(int64_t items, size_t units, size_t i)
{
    return items * (int64_t)i / (int64_t)units;
}
#endif
