// The geometry of a convolution, read by the three ops of the family, their references and
// their plans.
//
//   y[n, o, i, j] = sum over c, u, v of w[o, c, u, v]
//                   * x[n, c, i stride - top + u dilation, j stride - left + v dilation]
#ifndef TUFF_OPS_CONV2D_H
#define TUFF_OPS_CONV2D_H
#include "ops/op.h"

typedef struct tuff_conv {
    int64_t n, c, h, w;     // x
    int64_t o, oh, ow;      // y
    int64_t kh, kw;         // w is [o, c / group, kh, kw]
    int64_t group, cg, og;  // channels of x and of y in one group
    int64_t stride[2], dilation[2], pad[4]; // the defaults filled in
} tuff_conv;

// The geometry of a call of one of the three ops, checked: fails with the sentence that infer
// gives. `y`, `x`, `w` say which inputs of the call they are; -1: the one that is computed.
tuff_status tuff_conv_of(const tuff_call *c, int x, int w, int y, tuff_conv *v);

// Indices i, 0 <= i < n, for which lo <= i * step + off < hi: begin <= i < end.
typedef struct tuff_span {
    int64_t begin, end;
} tuff_span;
tuff_span tuff_span_of(int64_t n, int64_t step, int64_t off, int64_t lo, int64_t hi);

tuff_cost tuff_conv_cost(const tuff_call *c, const tuff_conv *v);

// The described fields of tuff_conv2d_params, the same for the three ops.
#define TUFF_CONV2D_FIELDS                                                      \
    { TUFF_INTS(tuff_conv2d_params, stride, "strides"),                         \
      TUFF_INTS(tuff_conv2d_params, pad, "pads"),                               \
      TUFF_INTS(tuff_conv2d_params, dilation, "dilations"),                     \
      TUFF_INT(tuff_conv2d_params, group),                                      \
      TUFF_ENUM(tuff_conv2d_params, act, tuff_act_names),                       \
      TUFF_INTS(tuff_conv2d_params, size, NULL) }

// Variants, best first.
bool tuff_conv2d_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dx_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dx_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dx_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dx_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dw_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dw_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
bool tuff_conv2d_dw_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan);
#endif
