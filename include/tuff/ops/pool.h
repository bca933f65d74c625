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

typedef enum tuff_auto_pad {
    TUFF_AUTO_PAD_NOTSET, // as `pad` says
    TUFF_AUTO_PAD_VALID,  // none
    TUFF_AUTO_PAD_UPPER,  // ONNX SAME_UPPER: ceil(size / stride) windows; an odd element of
    TUFF_AUTO_PAD_LOWER   // the padding goes behind (SAME_LOWER: before)
} tuff_auto_pad;

// Lists have a number for each of the n = 1, 2 or 3 spatial dims of x, the outermost first;
// what follows is not looked at.
typedef struct tuff_pool_params {
    int kernel[3];          // 0 = 2
    int stride[3];          // 0 = kernel
    int pad[6];             // ONNX: n numbers before, n behind; each below the window's span
    int dilation[3];        // 0 = 1
    int auto_pad;           // tuff_auto_pad
    bool ceil_mode;         // a last window may reach over the edge, not begin behind it
    bool count_include_pad; // average: padding counts as zeros; what ceil_mode adds does not
    bool indices;           // max: a second output, where each maximum lies
    bool storage_order;     // indices are counted along the outermost spatial dim first
    int power;              // lp_pool: at most 16, 0 = 2
    int output_size[3];     // adaptive pools: number of windows, 0 = 1
    int size[3];            // average_pool_grad: spatial dims of dx; 0 = the smallest
} tuff_pool_params;

// y = max / mean over windows of x [N, C, D1 .. Dn], 1 <= n <= 3 (ONNX MaxPool, AveragePool,
// of which tuff_max_pool2d and tuff_average_pool2d are the plain cases of images). Padding
// never wins a maximum; a NaN in a window gives NaN. With p.indices, indices (i32, y's shape)
// receives the element of the whole x that was chosen, the first of equals; else it is NULL.
TUFF_API TUFF_CHECK tuff_status tuff_max_pool(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y, tuff_tensor *indices,
                                              const tuff_pool_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_average_pool(tuff_stream *s, const tuff_tensor *x,
                                                  tuff_tensor *y, const tuff_pool_params *p);
// y = (sum of |x|^power over the window)^(1 / power) (ONNX LpPool), where the sum does not
// overflow f32.
TUFF_API TUFF_CHECK tuff_status tuff_lp_pool(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_pool_params *p);
// y has p.output_size windows; number o of m goes from the element o size / m, rounded down,
// to (o + 1) size / m, rounded up (PyTorch AdaptiveMaxPool, AdaptiveAvgPool).
TUFF_API TUFF_CHECK tuff_status tuff_adaptive_max_pool(tuff_stream *s, const tuff_tensor *x,
                                                       tuff_tensor *y, tuff_tensor *indices,
                                                       const tuff_pool_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_adaptive_average_pool(tuff_stream *s,
                                                           const tuff_tensor *x,
                                                           tuff_tensor *y,
                                                           const tuff_pool_params *p);
// dx: each window's dy goes to its first maximum, or to its last NaN, as PyTorch does / is
// shared equally among the window's elements. Of adaptive pools where p.output_size is set.
TUFF_API TUFF_CHECK tuff_status tuff_max_pool_grad(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *dy, tuff_tensor *dx,
                                                   const tuff_pool_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_average_pool_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       tuff_tensor *dx,
                                                       const tuff_pool_params *p);
// y [N, C, 1 .. 1] = max / mean of each of x's planes (ONNX GlobalMaxPool,
// GlobalAveragePool).
TUFF_API TUFF_CHECK tuff_status tuff_global_max_pool(tuff_stream *s, const tuff_tensor *x,
                                                     tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_global_average_pool(tuff_stream *s, const tuff_tensor *x,
                                                         tuff_tensor *y);

typedef enum tuff_resize_mode {
    TUFF_RESIZE_NEAREST,
    TUFF_RESIZE_LINEAR, // bilinear, for two dims
    TUFF_RESIZE_CUBIC
} tuff_resize_mode;

// Where element o of y lies in x, whose elements are 0, 1, ..: s = y's elements to one of x's.
typedef enum tuff_resize_place {
    TUFF_PLACE_HALF_PIXEL,     // (o + 1/2) / s - 1/2
    TUFF_PLACE_SYMMETRIC,      // half_pixel, moved so that what y's size rounds off is lost at
                               // both ends alike (ONNX half_pixel_symmetric)
    TUFF_PLACE_PYTORCH,        // half_pixel; 0 for a y of one element (ONNX pytorch_half_pixel)
    TUFF_PLACE_ALIGN_CORNERS,  // o (x's size - 1) / (y's size - 1); with scales, y's size
                               // before it is rounded down (as ONNX's tests have it)
    TUFF_PLACE_ASYMMETRIC,     // o / s
    TUFF_PLACE_TF_HALF         // (o + 1/2) / s (ONNX tf_half_pixel_for_nn)
} tuff_resize_place;

// Of a place between two elements.
typedef enum tuff_resize_nearest {
    TUFF_NEAREST_PREFER_FLOOR, // the nearer one, the first when both are as near
    TUFF_NEAREST_PREFER_CEIL,
    TUFF_NEAREST_FLOOR,
    TUFF_NEAREST_CEIL
} tuff_resize_nearest;

// Lists belong to all dims, from the outermost, or to those of `axes`: each entry is 1 + a dim
// counted from the innermost, and 0 ends the list. What neither list gives keeps its size.
typedef struct tuff_resize_params {
    int sizes[TUFF_MAX_DIMS];    // of y; s = y's size / x's
    float scales[TUFF_MAX_DIMS]; // s instead: y's size is s x's, rounded down. Taken for the
                                 // fraction of smallest terms that rounds to it: 0.6f is 3/5
    int axes[TUFF_MAX_DIMS];
    int mode;                    // tuff_resize_mode
    int place;                   // tuff_resize_place (ONNX coordinate_transformation_mode)
    int nearest;                 // tuff_resize_nearest (ONNX nearest_mode)
    float cubic_coeff_a;         // 0 = -0.75
    bool exclude_outside;        // cubic: elements outside of x have no weight
    int size[TUFF_MAX_DIMS];     // resize_grad: dims of dx; 0 = dy's
} tuff_resize_params;

// y = x with other numbers of elements along its dims (ONNX Resize, without antialiasing and
// tf_crop_and_resize; PyTorch interpolate). Elements outside of x are its first or last one.
TUFF_API TUFF_CHECK tuff_status tuff_resize(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_resize_params *p);
// dx = for each element of x the sum of dy over those that resize made of it, times weights.
TUFF_API TUFF_CHECK tuff_status tuff_resize_grad(tuff_stream *s, const tuff_tensor *dy,
                                                 tuff_tensor *dx,
                                                 const tuff_resize_params *p);
#endif
