#ifndef TUFF_FAMILY_POOL_H
#define TUFF_FAMILY_POOL_H
#include <tuff/tensor.h>
// Pooling and resampling.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_pool2d_params {
    int kernel[2];          // rows, columns; 0 = 2
    int stride[2];          // 0 = kernel
    int pad[4];             // top, left, bottom, right; each below the kernel
    bool count_include_pad; // average: divide by the whole window's size
    int size[2];            // average_pool2d_grad: H, W of dx; 0 = the smallest
} tuff_pool2d_params;

// y[n, c, i, j] = max / mean over the window; x [N, C, H, W] (ONNX MaxPool, AveragePool).
// Padding never wins a maximum. A NaN in a window gives NaN.
TUFF_API TUFF_CHECK tuff_status tuff_max_pool2d(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y, const tuff_pool2d_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_average_pool2d(tuff_stream *s, const tuff_tensor *x,
                                                    tuff_tensor *y,
                                                    const tuff_pool2d_params *p);
// dx: each window's dy goes to its first maximum (row by row), or to its last NaN, as PyTorch
// does. dy [N, C, OH, OW].
TUFF_API TUFF_CHECK tuff_status tuff_max_pool2d_grad(tuff_stream *s, const tuff_tensor *x,
                                                     const tuff_tensor *dy, tuff_tensor *dx,
                                                     const tuff_pool2d_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_average_pool2d_grad(tuff_stream *s,
                                                         const tuff_tensor *dy,
                                                         tuff_tensor *dx,
                                                         const tuff_pool2d_params *p);
#endif
