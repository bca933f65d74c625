// What the pooling ops share: the params with their defaults filled in, seen beside x and y,
// and windows too large for one launch cut into parts.
#ifndef TUFF_OPS_POOL2D_H
#define TUFF_OPS_POOL2D_H
#include "ops/op.h"
#include "abi/pool2d.h"

typedef struct tuff_pool2d {
    int64_t n, c, h, w, oh, ow; // x [n, c, h, w], y [n, c, oh, ow]
    int kernel[2], stride[2];   // rows, columns
    int top, left, bottom, right;
    bool include_pad;
} tuff_pool2d;

// Described fields of tuff_pool2d_params, for records.
#define TUFF_POOL2D_FIELDS                                                      \
    TUFF_POSITIVES(tuff_pool2d_params, kernel, "kernel_shape"),                 \
        TUFF_POSITIVES(tuff_pool2d_params, stride, "strides"),                  \
        TUFF_INTS(tuff_pool2d_params, pad, "pads"),                             \
        TUFF_BOOLEAN(tuff_pool2d_params, count_include_pad)

// Checks params and x, and fills the geometry. `name` is what x is called in sentences.
tuff_status tuff_pool2d_of(const tuff_pool2d_params *p, const tuff_desc *x, const char *name,
                           tuff_pool2d *g);
// As above, of what infer has already found good.
tuff_pool2d tuff_pool2d_good(const tuff_pool2d_params *p, const tuff_desc *x);
tuff_desc tuff_pool2d_y(const tuff_pool2d *g, const tuff_desc *x);
// The push constants of a launch that sees whole windows; count and dims of the caller's.
struct tuff_pool_pc tuff_pool2d_pc(const tuff_pool2d *g, size_t count, int64_t rows,
                                   int64_t cols);

// A window of rows x cols cut into parts of few enough loop iterations for one invocation of
// this device. Parts are walked row by row; the last one ends where the window does.
typedef struct tuff_parts {
    uint32_t rows, cols;           // of the whole
    uint32_t part_rows, part_cols; // of a part, smaller at the ends
    uint32_t count;                // parts
} tuff_parts;
tuff_parts tuff_parts_of(uint32_t rows, uint32_t cols, const tuff_caps *k);
// Part i: its corner and size.
void tuff_part(const tuff_parts *p, uint32_t i, uint32_t corner[2], uint32_t size[2]);
// Appends pool2d.comp in all its parts: in[0] to `role`[0]. False when they are too many.
bool tuff_pool2d_add(const tuff_pool2d *g, uint32_t mode, bool texel, tuff_role role,
                     const tuff_caps *k, tuff_plan *p);
// Gradients by x = in[0], or of a mean by dy = in[0] alone, to out[0]. Of max, dy = in[1]:
// where windows do not overlap (else false), and in any case (in scratch[0] it notes the
// maxima). False when the parts are too many.
bool tuff_pool2d_scatter_add(const tuff_pool2d *g, bool texel, const tuff_caps *k,
                             tuff_plan *p);
bool tuff_pool2d_gather_max_add(const tuff_pool2d *g, bool texel, const tuff_caps *k,
                                tuff_plan *p);
bool tuff_pool2d_gather_mean_add(const tuff_pool2d *g, bool texel, const tuff_caps *k,
                                 tuff_plan *p);

// Of the CPU path (pool_host.c): planes of in[0] by their geometry, x's description beside it.
// The gradients are those of x = in[0], dy = in[1] and of dy = in[0].
bool tuff_pool2d_host_takes(const tuff_pool2d *g, const tuff_desc *x);
void tuff_pool2d_host(const tuff_ref *r, const tuff_pool2d *g, bool mean);
void tuff_pool2d_max_grad_host(const tuff_ref *r, const tuff_pool2d *g);
bool tuff_pool2d_mean_grad_host_takes(const tuff_pool2d *g, const tuff_desc *x);
void tuff_pool2d_mean_grad_host(const tuff_ref *r, const tuff_pool2d *g);
#endif
