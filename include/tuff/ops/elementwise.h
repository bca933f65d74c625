#ifndef TUFF_FAMILY_ELEMENTWISE_H
#define TUFF_FAMILY_ELEMENTWISE_H
#include <tuff/tensor.h>
// Functions of one element, or of elements at the same place.
// What <tuff/ops.h> says of all ops holds for these.

// y = a op b with NumPy's broadcasting (ONNX Add, Sub, Mul, Div, Equal). y may be a, or b,
// where that has y's shape. equal gives 1 or 0 (f32).
TUFF_API TUFF_CHECK tuff_status tuff_add(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sub(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_mul(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_div(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_equal(tuff_stream *s, const tuff_tensor *a,
                                           const tuff_tensor *b, tuff_tensor *y);

// y = f(x), any shape; y may be x.
TUFF_API TUFF_CHECK tuff_status tuff_relu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sigmoid(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_tanh(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_exp(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_log_e(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y); // natural logarithm (ONNX Log)
TUFF_API TUFF_CHECK tuff_status tuff_sqrt(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_abs(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sign(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_square(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y);

typedef struct tuff_affine_params {
    float scale; // 0 means 0 here: the default y is all `shift`
    float shift;
} tuff_affine_params;
// y = scale * x + shift; y may be x.
TUFF_API TUFF_CHECK tuff_status tuff_affine(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_affine_params *p);

// dx = dy * f'(x), written by f's output y (relu: y > 0). dx may be dy.
TUFF_API TUFF_CHECK tuff_status tuff_relu_grad(tuff_stream *s, const tuff_tensor *y,
                                               const tuff_tensor *dy, tuff_tensor *dx);
TUFF_API TUFF_CHECK tuff_status tuff_sigmoid_grad(tuff_stream *s, const tuff_tensor *y,
                                                  const tuff_tensor *dy, tuff_tensor *dx);
TUFF_API TUFF_CHECK tuff_status tuff_tanh_grad(tuff_stream *s, const tuff_tensor *y,
                                               const tuff_tensor *dy, tuff_tensor *dx);

typedef struct tuff_cast_params {
    int to;        // tuff_dtype; 0 = TUFF_F32
    bool saturate; // whole numbers that do not fit become the nearest that does
} tuff_cast_params;
// y = x as elements of the type `to` (ONNX Cast), between any two types. Real to whole numbers:
// towards zero, what does not fit becoming the nearest end of the range and a NaN 0. Whole to
// whole: the low bits, unless saturate is set. To f16 and bf16: nearest, ties to even. To bool:
// 1 for everything but 0.
TUFF_API TUFF_CHECK tuff_status tuff_cast(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_cast_params *p);
#endif
