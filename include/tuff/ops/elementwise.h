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

// ---- functions of one element ---------------------------------------------------------------
//
// y = f(x), any shape; y may be x. NaN gives NaN, infinities and large numbers what the limit
// is: tanh(inf) = 1, softplus(1e30) = 1e30, gelu(-inf) = -0. Within 1e-6 of the true value.
// Floats of 16 bits are computed in f32; neg, abs, sign, square and relu take i32 and i8 too,
// modulo 2^32.

TUFF_API TUFF_CHECK tuff_status tuff_neg(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_abs(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sign(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_square(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_exp(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_log_e(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y); // natural logarithm (ONNX Log)
TUFF_API TUFF_CHECK tuff_status tuff_sqrt(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_rsqrt(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y); // 1 / sqrt(x)
TUFF_API TUFF_CHECK tuff_status tuff_reciprocal(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sin(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_cos(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_erf(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_floor(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_ceil(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_round(tuff_stream *s, const tuff_tensor *x,
                                           tuff_tensor *y); // halves to the even number
TUFF_API TUFF_CHECK tuff_status tuff_relu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sigmoid(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_tanh(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_silu(tuff_stream *s, const tuff_tensor *x,
                                          tuff_tensor *y); // x sigmoid(x), also called swish
TUFF_API TUFF_CHECK tuff_status tuff_hardswish(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_softplus(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_mish(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_softsign(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y);
// y = 1 where x is 0, else 0, of bool; and every bit turned, of i32, u32, i8 and u8.
TUFF_API TUFF_CHECK tuff_status tuff_not(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_bitwise_not(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *y);

typedef struct tuff_affine_params {
    float scale; // 0 means 0 here: the default y is all `shift`
    float shift;
} tuff_affine_params;
// y = scale * x + shift.
TUFF_API TUFF_CHECK tuff_status tuff_affine(tuff_stream *s, const tuff_tensor *x,
                                            tuff_tensor *y, const tuff_affine_params *p);

typedef struct tuff_alpha_params {
    float alpha; // 0: 0.01 in leaky_relu, 1 in the others; -0.0f: 0
} tuff_alpha_params;
// leaky_relu: x where x >= 0, else alpha x. elu: x, else alpha (e^x - 1). celu: x, else
// alpha (e^(x / alpha) - 1). thresholded_relu: x where x > alpha, else 0.
TUFF_API TUFF_CHECK tuff_status tuff_leaky_relu(tuff_stream *s, const tuff_tensor *x,
                                                tuff_tensor *y, const tuff_alpha_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_elu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                         const tuff_alpha_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_celu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_alpha_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_thresholded_relu(tuff_stream *s, const tuff_tensor *x,
                                                      tuff_tensor *y,
                                                      const tuff_alpha_params *p);

typedef struct tuff_selu_params {
    float alpha, gamma; // 0: 1.67326319 and 1.05070102 (Klambauer et al., 2017)
} tuff_selu_params;
// y = gamma elu(x, alpha).
TUFF_API TUFF_CHECK tuff_status tuff_selu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_selu_params *p);

typedef enum tuff_gelu_form { TUFF_GELU_ERF, TUFF_GELU_TANH } tuff_gelu_form;
typedef struct tuff_gelu_params {
    int approximate; // tuff_gelu_form; ONNX and PyTorch: none, tanh
} tuff_gelu_params;
// y = x times the chance that a normal number is below x, (1 + erf(x / sqrt(2))) / 2; or
// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which is nearly so (Hendrycks, 2016).
TUFF_API TUFF_CHECK tuff_status tuff_gelu(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                          const tuff_gelu_params *p);

typedef struct tuff_hardsigmoid_params {
    float alpha, beta; // 0: 0.2 and 0.5; PyTorch has alpha = 1 / 6
} tuff_hardsigmoid_params;
// y = max(0, min(1, alpha x + beta)).
TUFF_API TUFF_CHECK tuff_status tuff_hardsigmoid(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *y,
                                                 const tuff_hardsigmoid_params *p);

// dx = dy f'(x), written by f's output y. dx may be dy. Derivatives of the other functions, by
// their input, are ops that tuff_op_run finds by name: gelu_grad(x, dy), mish_grad, ...
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
