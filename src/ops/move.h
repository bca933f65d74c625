// Copies of elements between strided places, which transpose, reshape, expand, slice and
// concat are made of. The shader is shaders/move.comp.
#ifndef TUFF_OPS_MOVE_H
#define TUFF_OPS_MOVE_H
#include "ops/op.h"

// A loop over dim[0..rank), outermost first, that reads at in_base + sum of c in_step and
// writes at out_base + sum of c out_step (elements).
typedef struct tuff_move {
    int rank;
    int64_t dim[TUFF_MAX_DIMS], in_step[TUFF_MAX_DIMS], out_step[TUFF_MAX_DIMS];
    int64_t in_base, out_base;
} tuff_move;

// Adds the dispatch that copies from in[input] to out[0]: any device / fetching from a texel
// buffer, which is false where that is not to be had or of no use.
bool tuff_move_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m);
bool tuff_move_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m);
// Units of a reference whose outer loop runs over the elements of out[0].
size_t tuff_move_units(const tuff_call *c);
// Movement computes nothing.
tuff_cost tuff_move_cost(const tuff_call *c);
#endif
