// Two plans that losses share. Sums over a whole tensor go as a tree:
//
//   elements  ------ span ------ ------ span ------ ... ------ span ------
//   pairs            (s, w)             (s, w)      ...        (s, w)        one a workgroup
//   pairs            ...and again, until one is left
//
// and rows that are long are first cut into parts, so that no invocation's loop is long.
#ifndef TUFF_OPS_FOLD_H
#define TUFF_OPS_FOLD_H
#include "ops/op.h"
#include "abi/loss.h"

typedef struct tuff_place {
    tuff_role role;
    int index;
} tuff_place;

typedef struct tuff_fold {
    uint32_t from;     // TUFF_FOLD_PAIRS ...
    uint32_t write;    // TUFF_FOLD_BOTH ...: what the last launch does
    tuff_place a, b;   // b is a where it is not needed
    size_t count;
    uint32_t classes;
    uint32_t period;   // of TUFF_FOLD_PRODUCT
    float delta;       // of TUFF_FOLD_LOSS
    tuff_place out;    // not of TUFF_FOLD_BOTH
    int scratch;       // this one and the next are used between launches
} tuff_fold;
// Appends fold.comp until one pair is left. With TUFF_FOLD_BOTH it lies in the scratch whose
// index is returned; else -1 is.
int tuff_fold_add(const tuff_fold *f, const tuff_caps *k, tuff_plan *p);

typedef struct tuff_rows {
    uint32_t kind;    // TUFF_ROWS_...
    bool write_pairs; // else a number a row
    int scratch;      // used when rows are long
    int out;          // scratch that the result is written to; its size is set
} tuff_rows;
// Appends rows.comp over x = in[0] [rows, cols] with labels = in[1].
void tuff_rows_add(const tuff_rows *r, const tuff_call *c, const tuff_caps *k, tuff_plan *p);

// Checks x [N, C] and labels [N].
tuff_status tuff_labels_check(const tuff_call *c);
#endif
