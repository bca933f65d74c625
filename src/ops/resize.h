// Where the elements of a resized tensor lie, as exact fractions; what resize.c's references
// and resize_plan.c's launches both start from.
#ifndef TUFF_OPS_RESIZE_H
#define TUFF_OPS_RESIZE_H
#include "ops/op.h"
#include "abi/resize.h"

// Element o of y lies at (mul o + add) / den of x.
typedef struct tuff_resize_dim {
    int64_t in, out;
    int64_t mul, add, den;
    bool same; // nothing happens along this dim
} tuff_resize_dim;

typedef struct tuff_resizing {
    int rank;
    tuff_resize_dim dim[TUFF_MAX_DIMS]; // from the outermost
} tuff_resizing;

// Checks params and x's dims, and fills the geometry.
tuff_status tuff_resize_of(const tuff_resize_params *p, const tuff_desc *x, tuff_resizing *g);
// As above, of what infer has already found good.
tuff_resizing tuff_resize_good(const tuff_resize_params *p, const tuff_desc *x);
float tuff_resize_cubic(const tuff_resize_params *p);

// Planners: x = in[0] to y = out[0], and dy = in[0] to dx = out[0].
bool tuff_resize_plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p);
bool tuff_resize_grad_plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p);

// Of the CPU path (resize_host.c), and of the gradient with `grad`.
bool tuff_resize_host_takes(const tuff_call *c, bool grad);
size_t tuff_resize_host_units(const tuff_call *c, bool grad, int stage);
size_t tuff_resize_host_scratch(const tuff_call *c, bool grad);
void tuff_resize_host(const tuff_ref *r, bool grad);
#endif
