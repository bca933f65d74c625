// What gradient rules of several families need.
#ifndef TUFF_OPS_COMPOSE_H
#define TUFF_OPS_COMPOSE_H
#include "ops/ops.h"

// The sum of v over the dims along which a tensor of the shape `to` was repeated to v's shape:
// the gradient of NumPy's broadcasting.
tuff_var tuff_unbroadcast(tuff_tape *t, tuff_var v, const tuff_desc *to);
// scale * v.
tuff_var tuff_scaled(tuff_tape *t, tuff_var v, float scale);
// 1 where a = b, else 0, in a's type of float; dims of 1 are repeated.
tuff_var tuff_mask(tuff_tape *t, tuff_var a, tuff_var b);
#endif
