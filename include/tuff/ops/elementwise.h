#ifndef TUFF_FAMILY_ELEMENTWISE_H
#define TUFF_FAMILY_ELEMENTWISE_H
#include <tuff/tensor.h>
// Functions of one element, or of elements at the same place.
// What <tuff/ops.h> says of all ops holds for these.

// ---- functions of elements at the same place ------------------------------------------------
//
// With NumPy's broadcasting: dims are compared from the last, and one of 1 or missing is
// repeated. Operands of several have one type; y has it too, or is bool. y may be an operand
// that has y's shape, of min, max, sum and mean the first alone.

// Arithmetic; of f32, f16, bf16, i32, u32, i8 and u8. Whole numbers wrap round; their
// division goes towards 0 and gives 0 by 0, their negative powers are cut likewise.
TUFF_API TUFF_CHECK tuff_status tuff_add(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sub(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_mul(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_div(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_pow(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
typedef struct tuff_mod_params {
    bool fmod; // y has a's sign (C's fmod), else b's (Python's %)
} tuff_mod_params;
// y = what is left of a / b, exactly. Of whole numbers 0 by 0.
TUFF_API TUFF_CHECK tuff_status tuff_mod(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y,
                                         const tuff_mod_params *p);
// y = x where x >= 0, else slope x (He et al., 2015); slope is repeated to x's shape.
TUFF_API TUFF_CHECK tuff_status tuff_prelu(tuff_stream *s, const tuff_tensor *x,
                                           const tuff_tensor *slope, tuff_tensor *y);
// y = a ln(b), and 0 where a is 0, whatever b (not NaN): what entropies are made of.
TUFF_API TUFF_CHECK tuff_status tuff_xlogy(tuff_stream *s, const tuff_tensor *a,
                                           const tuff_tensor *b, tuff_tensor *y);
// Of 1 to 6 operands x[n]. A NaN anywhere gives NaN. sum and mean: floats only.
TUFF_API TUFF_CHECK tuff_status tuff_min(tuff_stream *s, const tuff_tensor *const x[],
                                         int n, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_max(tuff_stream *s, const tuff_tensor *const x[],
                                         int n, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sum(tuff_stream *s, const tuff_tensor *const x[],
                                         int n, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_mean(tuff_stream *s, const tuff_tensor *const x[],
                                          int n, tuff_tensor *y);

// Comparisons; y is bool, 1 or 0. Nothing is equal to NaN, or greater or less.
TUFF_API TUFF_CHECK tuff_status tuff_equal(tuff_stream *s, const tuff_tensor *a,
                                           const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_greater(tuff_stream *s, const tuff_tensor *a,
                                             const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_greater_or_equal(tuff_stream *s, const tuff_tensor *a,
                                                      const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_less(tuff_stream *s, const tuff_tensor *a,
                                          const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_less_or_equal(tuff_stream *s, const tuff_tensor *a,
                                                   const tuff_tensor *b, tuff_tensor *y);
// Logic, of bool; any byte but 0 counts as 1.
TUFF_API TUFF_CHECK tuff_status tuff_and(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_or(tuff_stream *s, const tuff_tensor *a,
                                        const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_xor(tuff_stream *s, const tuff_tensor *a,
                                         const tuff_tensor *b, tuff_tensor *y);
// Bit by bit, of i32, u32, i8 and u8.
TUFF_API TUFF_CHECK tuff_status tuff_bitwise_and(tuff_stream *s, const tuff_tensor *a,
                                                 const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_bitwise_or(tuff_stream *s, const tuff_tensor *a,
                                                const tuff_tensor *b, tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_bitwise_xor(tuff_stream *s, const tuff_tensor *a,
                                                 const tuff_tensor *b, tuff_tensor *y);
typedef enum tuff_shift { TUFF_SHIFT_LEFT, TUFF_SHIFT_RIGHT } tuff_shift;
typedef struct tuff_bit_shift_params {
    int direction; // tuff_shift; ONNX: LEFT, RIGHT
} tuff_bit_shift_params;
// y = a with its bits moved by b places, b >= 0; by 32 or more none are left. To the right,
// signed numbers keep their sign.
TUFF_API TUFF_CHECK tuff_status tuff_bit_shift(tuff_stream *s, const tuff_tensor *a,
                                               const tuff_tensor *b, tuff_tensor *y,
                                               const tuff_bit_shift_params *p);

// y = a where cond (bool) is not 0, else b; elements of any type. a or b may be NULL: zeros.
TUFF_API TUFF_CHECK tuff_status tuff_where(tuff_stream *s, const tuff_tensor *cond,
                                           const tuff_tensor *a, const tuff_tensor *b,
                                           tuff_tensor *y);

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
    float alpha; // 0 = 0.01 in leaky_relu, 1 in the others
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
    float alpha, gamma; // 0 = 1.67326319 and 1.05070102 (Klambauer et al., 2017)
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
    float alpha, beta; // 0 = 0.2 and 0.5; PyTorch has alpha = 1 / 6
} tuff_hardsigmoid_params;
// y = max(0, min(1, alpha x + beta)).
TUFF_API TUFF_CHECK tuff_status tuff_hardsigmoid(tuff_stream *s, const tuff_tensor *x,
                                                 tuff_tensor *y,
                                                 const tuff_hardsigmoid_params *p);

typedef struct tuff_clip_params {
    float min, max; // 0 = no bound, TUFF_ZERO a bound at 0
} tuff_clip_params;
// y = min(max(x, min), max), of floats, i32, u32, i8 and u8 (bounds of whole numbers are
// rounded inwards). Bounds are params, or tensors of one element and x's type, of which one may
// be NULL; not both. Where min is above max, y is max.
TUFF_API TUFF_CHECK tuff_status tuff_clip(tuff_stream *s, const tuff_tensor *x,
                                          const tuff_tensor *min, const tuff_tensor *max,
                                          tuff_tensor *y, const tuff_clip_params *p);

typedef struct tuff_dropout_params {
    float ratio;           // of elements that go, in [0, 1)
    uint64_t seed, offset; // element i has number offset + counter + i of the seed
} tuff_dropout_params;
// y = x / (1 - ratio) where an element stays, 0 where it goes (Srivastava et al., 2014); mask,
// bool, is 1 where it stays. Element i stays where uniform number offset + counter + i of the
// seed (tuff_random_uniform's) is at least ratio: the same on every device and on the CPU path,
// to the bit. The same call on dy is the gradient, so that no mask need be kept.
// A recorded program cannot take new params, so what changes from step to step is a tensor:
// counter, i32 [2], the low and the high half of a number that is added to offset, or NULL (0).
// With the step in the high half ({ 0, t }) no two steps share numbers; layers want seeds of
// their own.
TUFF_API TUFF_CHECK tuff_status tuff_dropout(tuff_stream *s, const tuff_tensor *x,
                                             const tuff_tensor *counter, tuff_tensor *y,
                                             tuff_tensor *mask, const tuff_dropout_params *p);

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
