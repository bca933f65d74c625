#ifndef TUFF_FAMILY_QUANT_H
#define TUFF_FAMILY_QUANT_H
#include <tuff/ops/conv.h>
#include <tuff/ops/pool.h>
// Quantized numbers: affine 8-bit, fixed point, binary and ternary.
// What <tuff/ops.h> says of all ops holds for these.
//
// Whole numbers that come out of these have the same bits on every device and on the CPU path:
// what Vulkan leaves open (the direction of rounding, the last bits of a quotient) is computed
// in integers. 8-bit numbers are read and written as 32-bit words, so no device needs 8-bit
// storage.

// ---- affine, 8 bits (ONNX) -----------------------------------------------------------------

typedef struct tuff_quantize_params {
    int axis; // along which scales lie when there are several
    int to;   // tuff_dtype of y; 0 = the zero point's, without one u8 (dequantize: f32)
} tuff_quantize_params;
// y = saturate(round(x / y_scale) + y_zero_point), ties to even (ONNX QuantizeLinear), where
// x / y_scale is as f32 has it. y_scale is [] or [1], or one a place along the axis [x's size
// there]; y_zero_point i8 or u8, of y_scale's shape, or NULL (0). A NaN becomes y_zero_point.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_linear(tuff_stream *s, const tuff_tensor *x,
                                                     const tuff_tensor *y_scale,
                                                     const tuff_tensor *y_zero_point,
                                                     tuff_tensor *y,
                                                     const tuff_quantize_params *p);
// y = (x - x_zero_point) x_scale (ONNX DequantizeLinear), x i8, u8 or i32, x_zero_point of x's
// type or NULL; scales as above.
TUFF_API TUFF_CHECK tuff_status tuff_dequantize_linear(tuff_stream *s, const tuff_tensor *x,
                                                       const tuff_tensor *x_scale,
                                                       const tuff_tensor *x_zero_point,
                                                       tuff_tensor *y,
                                                       const tuff_quantize_params *p);
// y u8, y_scale [] and y_zero_point u8 [] from x's own range, 0 included (ONNX
// DynamicQuantizeLinear): y_scale = (max - min) / 255, y_zero_point = round(-min / y_scale).
// Where max - min is below 2^-100 all is 0, and y_scale 1. NaNs are passed over.
TUFF_API TUFF_CHECK tuff_status tuff_dynamic_quantize_linear(tuff_stream *s,
                                                             const tuff_tensor *x,
                                                             tuff_tensor *y,
                                                             tuff_tensor *y_scale,
                                                             tuff_tensor *y_zero_point);

// y = (a - a_zero_point) (b - b_zero_point), i32 sums that wrap round (ONNX MatMulInteger).
// a [..., M, K] and b [..., K, N], each i8 or u8; leading dims broadcast. Zero points of the
// operand's type: one, one for each row of a [M] or column of b [N], or NULL (0).
TUFF_API TUFF_CHECK tuff_status tuff_matmul_integer(tuff_stream *s, const tuff_tensor *a,
                                                    const tuff_tensor *b,
                                                    const tuff_tensor *a_zero_point,
                                                    const tuff_tensor *b_zero_point,
                                                    tuff_tensor *y);
// 8-bit numbers with what they mean: (q - zero_point) scale.
typedef struct tuff_quantized {
    tuff_tensor *q;
    const tuff_tensor *scale, *zero_point;
} tuff_quantized;
typedef struct tuff_qmatmul_params {
    int act; // tuff_act: none, or TUFF_ACT_RELU, which keeps y from falling below y_zero_point
} tuff_qmatmul_params;
// y = saturate(round(acc m) + y_zero_point), ties to even, with acc as above and
// m = a_scale b_scale / y_scale (ONNX QLinearMatMul). m has 24 bits, each of its two steps
// rounded to nearest; acc m is exact, all 32 bits of acc included, and rounded once. Scales are
// finite and not 0; one, or one for each row of a or column of b, and of y one.
TUFF_API TUFF_CHECK tuff_status tuff_qlinear_matmul(tuff_stream *s, const tuff_quantized *a,
                                                    const tuff_quantized *b,
                                                    const tuff_quantized *y,
                                                    const tuff_qmatmul_params *p);

// y = the convolution of x - x_zero_point [N, C, H, W] with w - w_zero_point
// [O, C / group, kh, kw], i32 sums that wrap round (ONNX ConvInteger); no activation. Outside
// of x lies its zero point. x_zero_point is one number, w_zero_point one or [O], or NULL (0).
TUFF_API TUFF_CHECK tuff_status tuff_conv_integer(tuff_stream *s, const tuff_tensor *x,
                                                  const tuff_tensor *w,
                                                  const tuff_tensor *x_zero_point,
                                                  const tuff_tensor *w_zero_point,
                                                  tuff_tensor *y, const tuff_conv_params *p);
// The same plus bias (i32 [O], or NULL), scaled as in qlinear_matmul (ONNX QLinearConv): w's
// scale and zero point are one or [O]. TUFF_ACT_RELU keeps y from falling below y_zero_point.
TUFF_API TUFF_CHECK tuff_status tuff_qlinear_conv(tuff_stream *s, const tuff_quantized *x,
                                                  const tuff_quantized *w,
                                                  const tuff_tensor *bias,
                                                  const tuff_quantized *y,
                                                  const tuff_conv_params *p);

typedef struct tuff_packed_conv_params {
    tuff_conv_params conv; // its kernel is w's, 0 = 1
    int bits;              // of a weight, 2 to 7; 0 = 4
    int channels;          // O
} tuff_packed_conv_params;
// qlinear_conv with weights that lie packed: w's q is u32 [words], signed numbers of the
// weights [O, C / group, kh, kw] one behind the other (tuff_packed_write with no zero points);
// its zero point is i8 all the same.
TUFF_API TUFF_CHECK tuff_status tuff_qlinear_conv_packed(tuff_stream *s,
                                                         const tuff_quantized *x,
                                                         const tuff_quantized *w,
                                                         const tuff_tensor *bias,
                                                         const tuff_quantized *y,
                                                         const tuff_packed_conv_params *p);

// y = saturate(round(a fa + b fb) + y_zero_point), a and b less their zero points and of one
// shape, fa = a_scale / y_scale and fb likewise. Each is a whole multiple of 2^-s, rounded to
// nearest, where s lets the larger have 21 bits; the sum is exact and rounded once, ties to
// even. Scales are finite and above 0, one for a tensor.
TUFF_API TUFF_CHECK tuff_status tuff_qlinear_add(tuff_stream *s, const tuff_quantized *a,
                                                 const tuff_quantized *b,
                                                 const tuff_quantized *y);
// Means of windows of x [N, C, H, W]: y = saturate(round(sum m) + y_zero_point), sum that of
// x - x_zero_point over the cells of a window, and m = x_scale / (y_scale n), in two steps
// rounded to 24 bits, for n cells: those inside of x, or with count_include_pad all. Scales
// as above.
TUFF_API TUFF_CHECK tuff_status tuff_qlinear_average_pool2d(tuff_stream *s,
                                                            const tuff_quantized *x,
                                                            const tuff_quantized *y,
                                                            const tuff_pool2d_params *p);

// ---- as if quantized (training) ------------------------------------------------------------

typedef struct tuff_fake_quantize_params {
    int axis; // along which scales lie when there are several
    int bits; // 2 to 8; 0 = 8
} tuff_fake_quantize_params;
// y = (clamp(round(x / scale) + zero_point, -2^(bits-1), 2^(bits-1) - 1) - zero_point) scale:
// what quantize_linear and dequantize_linear make of x. Scales and zero points (i32, within the
// range of the bits) as there; x / scale as f32 has it, ties to even; NaNs stay. The gradient
// goes straight through the rounding: dx = dy where nothing is clamped, else 0, and that of a
// scale is the sum of fake_quantize_grad's (LSQ: Esser et al. 2020, 1902.08153).
TUFF_API TUFF_CHECK tuff_status tuff_fake_quantize(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *scale,
                                                   const tuff_tensor *zero_point,
                                                   tuff_tensor *y,
                                                   const tuff_fake_quantize_params *p);
// dx, and what each element adds to the gradient of its scale, of x's shape: with q = round(x /
// scale), dy (q - x / scale) where nothing is clamped, else dy (end - zero_point).
TUFF_API TUFF_CHECK tuff_status tuff_fake_quantize_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *scale,
                                                        const tuff_tensor *zero_point,
                                                        const tuff_tensor *dy, tuff_tensor *dx,
                                                        tuff_tensor *dscale,
                                                        const tuff_fake_quantize_params *p);

// ---- fixed point ---------------------------------------------------------------------------

typedef struct tuff_fixed_params {
    int bits;  // of a number: 8, 16 or 32; 0 = 8
    int point; // p: numbers are multiples of 2^-p; -126 to 126
} tuff_fixed_params;
// y = saturate(round(x 2^p)), ties to even, from -2^(bits-1) to 2^(bits-1) - 1. y is i8 for 8
// bits and i32 for 16 and 32. A NaN becomes 0.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_fixed(tuff_stream *s, const tuff_tensor *x,
                                                    tuff_tensor *y, const tuff_fixed_params *p);
// y = x 2^-p, x i8 or i32.
TUFF_API TUFF_CHECK tuff_status tuff_dequantize_fixed(tuff_stream *s, const tuff_tensor *x,
                                                      tuff_tensor *y,
                                                      const tuff_fixed_params *p);
// The largest p with which none of n numbers overflows: max |w| 2^p <= 2^(bits-1) - 1, at most
// 126 (and 126 when all are 0). bits is 1 to 32; a number of 1 bit is -1 or 1, and
// max |w| 2^p <= 1. Numbers that are not finite are passed over. On the host.
// Fails: TUFF_ERR_ARG (bits; numbers so large that p would be below -126).
TUFF_API TUFF_CHECK tuff_status tuff_fixed_choose(const float *w, size_t n, int bits,
                                                  int *point);
// The same for all numbers of a tensor of floats, which are read back: the point to give to
// tuff_quantize_fixed, or to tuff_op_apply as "point=..". bits 0 = 8.
// Fails: as above, TUFF_ERR_DTYPE, TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_fixed_choose_for(tuff_stream *s, const tuff_tensor *x,
                                                      int bits, int *point);
// How many of n numbers saturate with a given p, of 1 to 32 bits. On the host.
// Fails: TUFF_ERR_ARG (bits, p).
TUFF_API TUFF_CHECK tuff_status tuff_fixed_saturated(const float *w, size_t n, int bits,
                                                     int point, size_t *saturated);

// ---- stochastic rounding -------------------------------------------------------------------

typedef struct tuff_stochastic_params {
    uint64_t seed;   // the generator's key
    uint64_t offset; // element i takes number offset + i of the sequence; a multiple of 4
} tuff_stochastic_params;
// y = floor(x / y_scale + u), i8, with y_scale [] = max |x| / 127 and u uniform in [0, 1) by
// counter (Philox, as random_uniform): so E[y y_scale] = x (Gupta et al. 2015, "Deep learning
// with limited numerical precision"). x / y_scale is cut towards 0 to 24 bits behind the point.
// Where max |x| is below 2^-100, y is 0 and y_scale 1. dequantize_linear is the way back.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_stochastic(tuff_stream *s, const tuff_tensor *x,
                                                         tuff_tensor *y, tuff_tensor *y_scale,
                                                         const tuff_stochastic_params *p);

typedef struct tuff_round_levels_params {
    int axis;        // along which scales lie when there are several
    int bits;        // 2^bits levels, 1 to 16; 0 = 8
    bool is_signed;  // their numbers are -2^(bits-1) to 2^(bits-1) - 1; else 0 to 2^bits - 1
    bool stochastic; // else to the nearest level, ties to the even number
    uint64_t seed, offset; // stochastic: as above
} tuff_round_levels_params;
// y = (saturate(round(x / scale + zero)) - zero) scale, f32: numbers of few bits, as f32. scale
// is f32, above 0, [] or [1], or one a place along the axis; zero, of its shape, is the number
// of the level 0, NULL (0), or a number between two where 0 is no level. Stochastic: up or down
// with the odds that make x the mean (Gupta et al. 2015), by number (counter + offset) / 4 * 4
// + i of a seed's sequence; counter is i32 [2], a low and a high half, or NULL. The quotient is
// f32's. A NaN stays one; x and scale below 2^-126 count as 0, and with such a scale y is 0;
// with one that is not finite y is NaN. The gradient by x is dy (straight through). y may be x.
TUFF_API TUFF_CHECK tuff_status tuff_round_levels(tuff_stream *s, const tuff_tensor *x,
                                                  const tuff_tensor *scale,
                                                  const tuff_tensor *zero,
                                                  const tuff_tensor *counter, tuff_tensor *y,
                                                  const tuff_round_levels_params *p);

// ---- signs ---------------------------------------------------------------------------------

// y = -1 where x is below 0, else 1. Its gradient, which is not the derivative, is
// sign_ste_grad: dx = dy where |x| <= 1, else 0 (straight through: Courbariaux et al. 2016,
// "Binarized neural networks"). y may be x, dx may be dy.
TUFF_API TUFF_CHECK tuff_status tuff_sign_ste(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y);
TUFF_API TUFF_CHECK tuff_status tuff_sign_ste_grad(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *dy, tuff_tensor *dx);

typedef struct tuff_binarize_params {
    int keep;     // x's first dims that have a scale each; 0 = all but the last (pack: axis)
    int axis;     // binarize_pack: whose elements share words
    float factor; // mean_abs: y is multiplied by it; 0 = 1
} tuff_binarize_params;
// y = factor * the mean of |x| over all dims but the first `keep`; y has those dims.
TUFF_API TUFF_CHECK tuff_status tuff_mean_abs(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y, const tuff_binarize_params *p);
// y = sign(x) scale with scale = mean_abs(x) (Rastegari et al. 2016, "XNOR-Net"); its gradient
// is theirs, dx = dy (1/n + scale where |x| <= 1) with n elements to a scale. For weights
// [O, C, kh, kw], keep is 1.
TUFF_API TUFF_CHECK tuff_status tuff_binarize(tuff_stream *s, const tuff_tensor *x,
                                              tuff_tensor *y, const tuff_binarize_params *p);
// y u32: the signs along an axis, which becomes the last, 32 to a word; bit i % 32 of word
// i / 32 is 1 where element i is not below 0, and 0 past the end. scale f32 is the mean of |x|
// along the axis [y's dims but the last], or with `keep`, which ends before the axis, over all
// dims but the first ones. Weights [O, K]: the default. [O, C, kh, kw]: axis 2, keep 1.
// Images [N, C, H, W]: axis 2.
TUFF_API TUFF_CHECK tuff_status tuff_binarize_pack(tuff_stream *s, const tuff_tensor *x,
                                                   tuff_tensor *y, tuff_tensor *scale,
                                                   const tuff_binarize_params *p);

typedef struct tuff_binary_matmul_params {
    int k; // signs in a row
} tuff_binary_matmul_params;
// y [..., N] = a_scale b_scale (k - 2 bits(a xor b)), a [..., words] and b [N, words] of
// binarize_pack; scales [...] and [N] or NULL (1).
TUFF_API TUFF_CHECK tuff_status tuff_binary_matmul(tuff_stream *s, const tuff_tensor *a,
                                                   const tuff_tensor *b,
                                                   const tuff_tensor *a_scale,
                                                   const tuff_tensor *b_scale, tuff_tensor *y,
                                                   const tuff_binary_matmul_params *p);

typedef struct tuff_binary_conv2d_params {
    int channels;    // signs in a row of words
    int stride[2];   // rows, columns; 0 = 1
    int pad[4];      // top, left, bottom, right
    int dilation[2]; // 0 = 1
} tuff_binary_conv2d_params;
// The convolution of signs with XNOR-Net's scales. x [N, H, W, words] and w [O, kh, kw, words]
// of binarize_pack; y [N, O, OH, OW] = w_scale[o] K sum over taps (channels - 2 bits(x xor w)),
// K the sum of x_scale over the taps by kh kw. What lies outside of x is left out of both sums,
// as zeros in a convolution of sign(x) are. x_scale [N, H, W] and w_scale [O], or NULL (K, 1).
TUFF_API TUFF_CHECK tuff_status tuff_binary_conv2d(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *w,
                                                   const tuff_tensor *x_scale,
                                                   const tuff_tensor *w_scale, tuff_tensor *y,
                                                   const tuff_binary_conv2d_params *p);

// ---- few levels ----------------------------------------------------------------------------

// y u32 [..., 2, words] of x [..., K]: for 32 elements of a row, in bits as binarize_pack has
// them, a word that says which are beyond the row's threshold, |x| > |threshold|, and behind
// all of those one that says which of them are above 0. scale [...] is the mean of |x| over
// what is beyond. Ternary weight networks (Li et al. 2016) take 0.7 times the mean of |x|:
// tuff_mean_abs with a factor of 0.7.
TUFF_API TUFF_CHECK tuff_status tuff_ternarize(tuff_stream *s, const tuff_tensor *x,
                                               const tuff_tensor *threshold, tuff_tensor *y,
                                               tuff_tensor *scale);
// y [..., N] = (x w^T) scale, x [..., K], w u32 [N, 2, words] of ternarize; scale [N], one, or
// NULL (1).
TUFF_API TUFF_CHECK tuff_status tuff_ternary_matmul(tuff_stream *s, const tuff_tensor *x,
                                                    const tuff_tensor *w,
                                                    const tuff_tensor *scale, tuff_tensor *y);
// Of the three below; 0 for what is not theirs.
typedef struct tuff_few_bits_params {
    int bits;     // packed_matmul: of a number, 1 to 16; 0: 4
    int64_t rows; // packed_matmul: N; 0: as many rows as the words hold
    int act;      // tuff_act
} tuff_few_bits_params;
// y [..., N] = act((x (w - zero_point)^T) scale + bias), x [..., K], w i8 or u8 [N, K]: weights
// of 8 bits under activations of f32. scale and zero_point (w's type) [N], one, or NULL (1, 0);
// bias [N] or NULL.
TUFF_API TUFF_CHECK tuff_status tuff_matmul_q8(tuff_stream *s, const tuff_tensor *x,
                                               const tuff_tensor *w, const tuff_tensor *scale,
                                               const tuff_tensor *zero_point,
                                               const tuff_tensor *bias, tuff_tensor *y,
                                               const tuff_few_bits_params *p);
// The same with N K numbers of 1 to 16 bits packed in words u32 (<tuff/ops/block.h>), one row
// behind the other; zero_point u32 has one for each scale, packed likewise. Without zero points
// numbers are signed. The words are read as they are: nothing is unpacked in memory.
TUFF_API TUFF_CHECK tuff_status tuff_packed_matmul(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *words,
                                                   const tuff_tensor *scale,
                                                   const tuff_tensor *zero_point,
                                                   const tuff_tensor *bias, tuff_tensor *y,
                                                   const tuff_few_bits_params *p);
// y [..., N] = act(x w^T + bias), x f32 [..., K], w f16 [N, K], which is read as it is.
TUFF_API TUFF_CHECK tuff_status tuff_half_matmul(tuff_stream *s, const tuff_tensor *x,
                                                 const tuff_tensor *w, const tuff_tensor *bias,
                                                 tuff_tensor *y, const tuff_few_bits_params *p);
#endif
