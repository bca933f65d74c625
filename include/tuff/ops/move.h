#ifndef TUFF_FAMILY_MOVE_H
#define TUFF_FAMILY_MOVE_H
#include <tuff/tensor.h>
// The same elements at other places.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_transpose_params {
    int perm[TUFF_MAX_DIMS]; // y's dim i is x's dim perm[i] (ONNX); all zero = reversed
} tuff_transpose_params;
// y = x with its dims in another order (ONNX Transpose).
TUFF_API TUFF_CHECK tuff_status tuff_transpose(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y,
                                               const tuff_transpose_params *p);

typedef struct tuff_reshape_params {
    int shape[TUFF_MAX_DIMS]; // ONNX: -1 once = what is left, 0 after `rank` dims
    int rank;                 // dims of y; 0 = as many as shape has before its first 0, and
                              // one dim of all elements when it has none
} tuff_reshape_params;
// The same elements in the same order (a copy; tuff_tensor_view shares instead).
TUFF_API TUFF_CHECK tuff_status tuff_reshape(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_reshape_params *p);

// x repeated along dims of 1, and along new outer dims, to y's shape (ONNX Expand).
TUFF_API TUFF_CHECK tuff_status tuff_expand(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y);

typedef struct tuff_slice_params {
    int starts[TUFF_MAX_DIMS]; // one per dim from the outermost; negative: from the end
    int ends[TUFF_MAX_DIMS];   // exclusive; 0 = to the end; negative: from the end
    int steps[TUFF_MAX_DIMS];  // 0 = 1; at least 1
    int size[TUFF_MAX_DIMS];   // slice_grad: dims of dx
} tuff_slice_params;
// y = x[starts : ends : steps] along each dim (ONNX Slice, with positive steps).
TUFF_API TUFF_CHECK tuff_status tuff_slice(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y, const tuff_slice_params *p);
// dx: dy at the places that slice reads, 0 elsewhere.
TUFF_API TUFF_CHECK tuff_status tuff_slice_grad(tuff_stream *s, const tuff_tensor *dy,
                                                tuff_tensor *dx, const tuff_slice_params *p);

typedef struct tuff_concat_params {
    int axis; // counted from the innermost
} tuff_concat_params;
// y = x[0], x[1], ... one after the other along `axis`; 1 <= count <= 6.
TUFF_API TUFF_CHECK tuff_status tuff_concat(tuff_stream *s, const tuff_tensor *const x[],
                                            int count, tuff_tensor *y,
                                            const tuff_concat_params *p);
#endif
