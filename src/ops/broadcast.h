// NumPy's broadcasting of up to three operands: dims are compared from the last, and one of 1
// (or missing) is repeated.
//
//             y    [4, 6, 5, 5]            as few dims as describe it, innermost first:
//   operand 0 a    [4, 6, 5, 5]              dim     25  6  4
//   operand 1 b       [6, 1, 1]              repeat   b     b
//
// An operand that stands still along inner and outer dims alone is read at i / div % mod; one
// of y's shape at i; any other by a walk from dim to dim.
#ifndef TUFF_OPS_BROADCAST_H
#define TUFF_OPS_BROADCAST_H
#include "ops/op.h"
#include "abi/elementwise.h"

typedef struct tuff_spread {
    struct tuff_broadcast pc;
    uint32_t mode[3]; // TUFF_READ_...; ND of all operands, or of none
    uint32_t rank;    // dims to walk; 0 where no operand is ND
} tuff_spread;

// The shape that y has of all inputs that are there, with the first one's dtype.
tuff_status tuff_broadcast_infer(const tuff_call *c, tuff_desc *y);
// x[k] of n <= 3 operands spread over y; NULL for an absent one.
tuff_spread tuff_spread_of(const tuff_desc *const x[], int n, const tuff_desc *y);
// For references: where element i of y finds its element of x.
size_t tuff_broadcast_at(const tuff_desc *x, const tuff_desc *y, size_t i);
#endif
