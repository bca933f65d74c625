// Elements of one type turned into another, for lower.c and for the op `cast`.
#ifndef TUFF_OPS_CAST_H
#define TUFF_OPS_CAST_H
#include "ops/op.h"

// Appends the dispatch that casts all of `from` to `to`. False where the device binds no such
// tensor.
bool tuff_cast_add(const tuff_caps *k, tuff_plan *p, const tuff_desc *from, tuff_slot read,
                   const tuff_desc *to, tuff_slot write, bool saturate);
#endif
