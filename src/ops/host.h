// What the CPU path's kernels of memory-bound ops share. They go through y by blocks: operands
// are brought into blocks, broadcast where they are, and a formula makes y's block of them.
//
//            a [4, 300]            b [4, 1]
//        ..+------------+..     ..+-+..          A block's operands lie in a first-level
//          |   block    |           |  spread    cache, or are a's own memory where nothing
//          +------------+           +---->+      is to be spread.
//                 \                /
//                  formula, 16 numbers at a time: one loop of a constant length, which
//                 /               a compiler turns into vectors without any rest
//          +------------+
//          |  y's block |         A last block that ends within 16 is filled up, so that each
//          +------------+         number is computed by the same instructions wherever the
//                                 threads' pieces begin.
#ifndef TUFF_OPS_HOST_H
#define TUFF_OPS_HOST_H
#include "base/processor.h"
#include "ops/op.h"
#include "ops/walk.h"

enum {
    TUFF_LANES = 16,     // numbers that a formula's loop makes of one another's neighbours
    TUFF_BLOCK = 512,    // numbers of a block
    TUFF_OPERANDS = 6
};

// Statements for each i of 0 <= i < n, n a multiple of TUFF_LANES, in any order.
#define TUFF_EACH(i, n, ...)                                                    \
    for (size_t i##_of = 0; i##_of < (n); i##_of += TUFF_LANES)                 \
        TUFF_INDEPENDENT                                                        \
        for (size_t i##_lane = 0; i##_lane < TUFF_LANES; i##_lane++) {          \
            const size_t i = i##_of + i##_lane;                                 \
            __VA_ARGS__;                                                        \
        }

// n as a multiple of TUFF_LANES.
static inline size_t tuff_whole_lanes(size_t n)
{
    return (n + TUFF_LANES - 1) / TUFF_LANES * TUFF_LANES;
}

// A tensor read as if it had y's shape.
typedef struct tuff_operand {
    const char *x;
    tuff_dtype type;
    size_t size; // bytes of an element
    tuff_walk walk;
    bool same;   // it has y's shape
} tuff_operand;
tuff_operand tuff_operand_of(const void *x, const tuff_desc *d, const tuff_desc *y);
// Elements at .. at + n <= at + TUFF_BLOCK, and behind them zeros up to whole lanes: in their
// place, or in `room`, which holds a block. 16-bit floats become f32 there; `_raw`: they stay.
const void *tuff_operand_raw(const tuff_operand *o, size_t at, size_t n, void *room);
const void *tuff_operand_read(const tuff_operand *o, size_t at, size_t n, void *room);

// An elementwise kernel: `block` makes n elements of y, whole lanes, of those of its operands.
typedef struct tuff_blocks {
    tuff_operand operand[TUFF_OPERANDS];
    int operands;
    size_t y_size; // bytes of an element that `block` makes; where y's has less, f32 is cast
    bool raw;      // 16-bit floats are taken as they are
    const void *how; // the block's
    void (*block)(const void *how, const void *const x[], void *y, size_t n);
} tuff_blocks;
// Elements r->begin .. r->end of r->out[output].
void tuff_blocks_run(const tuff_blocks *b, const tuff_ref *r, int output);

// Whether a result of so many bytes is better written past the caches, by tuff_host_write.
bool tuff_host_streams(size_t bytes);
// memcpy past the caches.
void tuff_host_write(void *to, const void *from, size_t bytes);
void tuff_host_written(void); // after the last of them: other threads may read
#endif
