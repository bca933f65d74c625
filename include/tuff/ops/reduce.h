#ifndef TUFF_FAMILY_REDUCE_H
#define TUFF_FAMILY_REDUCE_H
#include <tuff/tensor.h>
// Softmax and reductions.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_softmax_params {
    int axis; // dimension to normalise, counted from the innermost: 0 = last
    bool log; // write log(softmax(x)) instead, computed stably
} tuff_softmax_params;
// y = exp(x - max(x)) / sum(exp(x - max(x))) along `axis`. y may be x. A row holding a NaN
// becomes all NaN.
TUFF_API TUFF_CHECK tuff_status tuff_softmax(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_softmax_params *p);

typedef struct tuff_reduce_params {
    uint32_t axes; // bit i: the i-th dim counted from the innermost; 0 = all
    bool keepdims; // reduced dims stay, as 1
} tuff_reduce_params;
// y = sum / mean / max / min of x over `axes` (ONNX ReduceSum, ...).
TUFF_API TUFF_CHECK tuff_status tuff_reduce_sum(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_mean(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_max(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y, const tuff_reduce_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_reduce_min(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y, const tuff_reduce_params *p);
#endif
