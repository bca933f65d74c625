#ifndef TUFF_FAMILY_REDUCE_H
#define TUFF_FAMILY_REDUCE_H
#include <tuff/tensor.h>
// Softmax and reductions.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_softmax_params {
    int axis; // dimension to normalise, counted from the innermost: 0 = last
} tuff_softmax_params;
// y = exp(x - max(x)) / sum(exp(x - max(x))) along `axis` (ONNX Softmax). y may be x. A row
// holding a NaN becomes all NaN.
TUFF_API TUFF_CHECK tuff_status tuff_softmax(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_softmax_params *p);
// The logarithm of that, computed stably (ONNX LogSoftmax).
TUFF_API TUFF_CHECK tuff_status tuff_log_softmax(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *y, const tuff_softmax_params *p);
// softmax of -x (torch.nn.Softmin).
TUFF_API TUFF_CHECK tuff_status tuff_softmin(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_softmax_params *p);
// y = 1 where x is largest along `axis`, the first of several, else 0 (ONNX Hardmax).
TUFF_API TUFF_CHECK tuff_status tuff_hardmax(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_softmax_params *p);

typedef struct tuff_reduce_params {
    uint32_t axes; // bit i: the i-th dim counted from the innermost; 0 = all
    bool keepdims; // reduced dims stay, as 1
    bool noop_with_empty_axes; // axes = 0 means no dim: each element is a result by itself
} tuff_reduce_params;
// y = one number of x's elements over `axes` (ONNX ReduceSum, ...). The sum, product, l1 and
// sum of squares of i32 keep their low 32 bits. max and min: a NaN wins.
//   sum, mean, max, min    as they say
//   prod                   product; its gradient is right at zeros, too
//   l1, l2, sum_square     sum of |x|, root of the sum of x^2, sum of x^2
//   log_sum, log_sum_exp   log of the sum of x, of exp(x), the latter without overflow
TUFF_API TUFF_CHECK tuff_status tuff_reduce_sum(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_mean(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_max(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_min(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_prod(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_l1(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_l2(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_sum_square(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_log_sum(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_log_sum_exp(
    tuff_stream *s, const tuff_tensor *x, tuff_tensor *y, const tuff_reduce_params *p);

// ---- places and order ----------------------------------------------------------------------

typedef struct tuff_arg_params {
    int axis;               // counted from the innermost: 0 = last
    bool keepdims;          // the axis stays, as 1
    bool select_last_index; // of equal ones the last, not the first
} tuff_arg_params;
// y = where along `axis` x is largest / smallest (ONNX ArgMax, ArgMin); i32. A NaN wins.
TUFF_API TUFF_CHECK tuff_status tuff_argmax(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_arg_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_argmin(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_arg_params *p);

typedef struct tuff_top_k_params {
    int k;         // 0 means 1
    int axis;      // counted from the innermost: 0 = last
    bool smallest; // the k smallest, smallest first
} tuff_top_k_params;
// values and indices (i32) = the k largest elements along `axis`, largest first, and where they
// lie (ONNX TopK; torch.topk). Of equal ones the first comes first; a NaN is larger than all.
TUFF_API TUFF_CHECK tuff_status tuff_top_k(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *values, tuff_tensor *indices,
                                           const tuff_top_k_params *p);

typedef struct tuff_cumsum_params {
    int axis;       // counted from the innermost: 0 = last
    bool exclusive; // an element's own is not in its sum
    bool reverse;   // sums run from the end
} tuff_cumsum_params;
// y = the sum of x up to each element along `axis` (ONNX CumSum); i32 keeps its low 32 bits.
// y may be x.
TUFF_API TUFF_CHECK tuff_status tuff_cumsum(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_cumsum_params *p);
#endif
