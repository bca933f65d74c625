#ifndef TUFF_OPS_H
#define TUFF_OPS_H
#include <tuff/tensor.h>
// Every operation the library has. One call records one op on a stream.
//
//   Shapes   [outer, ..., inner], row-major. `...` is any number of leading dims. Images are
//            N C H W. Letters as in the field: x y dy dx w; M N K; N C H W.
//   Axes     counted from the innermost: 0 = last. Sets of axes are bit masks so counted.
//   Params   a zeroed struct is valid and is the default; NULL means zeroed.
//   Owning   the caller owns tensors; a stream keeps what it uses until it is done.
//   Aliasing an output is distinct from every input unless its comment says otherwise.
//   Errors   on failure nothing is recorded and no output is touched; tuff_last_error() names
//            the op, what was expected and what was given. Every op fails with
//            TUFF_ERR_SHAPE, TUFF_ERR_DTYPE or TUFF_ERR_ARG when its inputs do not fit,
//            TUFF_ERR_MEMORY, and TUFF_ERR_UNSUPPORTED when no kernel runs on the device.
//   Sums     in f32 on a GPU, in f64 on the CPU path.
//   Threads  a stream belongs to one thread at a time; streams are independent.

// An activation fused behind a matmul or a convolution.
typedef enum tuff_act {
    TUFF_ACT_NONE,
    TUFF_ACT_RELU,
    TUFF_ACT_SIGMOID,
    TUFF_ACT_TANH
} tuff_act;

// ---- matrix product -------------------------------------------------------------------------

typedef struct tuff_matmul_params {
    bool trans_a; // a is [..., K, M]
    bool trans_b; // b is [..., N, K]
    int act;      // tuff_act, applied last
} tuff_matmul_params;

// y = act(a b + bias + residual), a [..., M, K], b [..., K, N] or [K, N], y [..., M, N] (f32).
// Leading dims are batches and broadcast (ONNX MatMul; numpy.matmul). bias [N] and residual
// (y's shape) may be NULL. residual may be y itself.
TUFF_API TUFF_CHECK tuff_status tuff_matmul(tuff_stream *s, const tuff_tensor *a,
                                            const tuff_tensor *b, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_matmul_params *p);

// ---- convolution ----------------------------------------------------------------------------

typedef struct tuff_conv2d_params {
    int stride[2];   // rows, columns; 0 = 1
    int pad[4];      // top, left, bottom, right (ONNX's order); zeros outside
    int dilation[2]; // 0 = 1
    int group;       // 0 = 1; divides C and O
    int act;         // tuff_act, applied last (forward only)
    int size[2];     // conv2d_input_grad: H, W of dx; conv2d_weight_grad: kh, kw. 0 = from
                     // the smallest x that gives dy / 1
} tuff_conv2d_params;

// y = act(conv(x, w) + bias + residual): cross-correlation as in ONNX Conv.
// x [N, C, H, W], w [O, C / group, kh, kw], bias [O] or NULL, residual y's shape or NULL,
// y [N, O, OH, OW] with OH = (H + pads - dilation (kh - 1) - 1) / stride + 1.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *w, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_conv2d_params *p);
// dx from dy [N, O, OH, OW] and w: the gradient of conv2d by x.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_input_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       const tuff_tensor *w, tuff_tensor *dx,
                                                       const tuff_conv2d_params *p);
// dw from x and dy: the gradient of conv2d by w.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *dy,
                                                        tuff_tensor *dw,
                                                        const tuff_conv2d_params *p);

// ---- pooling --------------------------------------------------------------------------------

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

// ---- elementwise ----------------------------------------------------------------------------

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

// ---- softmax and reductions -----------------------------------------------------------------

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

// ---- movement -------------------------------------------------------------------------------

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

// ---- filling --------------------------------------------------------------------------------

typedef struct tuff_fill_params {
    float value;
} tuff_fill_params;
// Every element of y, f32, becomes `value`.
TUFF_API TUFF_CHECK tuff_status tuff_fill(tuff_stream *s, tuff_tensor *y,
                                          const tuff_fill_params *p);

typedef struct tuff_random_params {
    uint64_t seed;   // the generator's key
    uint64_t offset; // element i of y is number offset + i of the sequence
    float low, high; // uniform: [low, high), both 0 = [0, 1); normal: mean, deviation,
                     // both 0 = 0, 1
} tuff_random_params;
// Counter-based (Philox 4x32-10, Salmon et al. 2011): the same numbers on every device.
// Uniform numbers have the same bits everywhere, normal ones agree to 1e-6.
TUFF_API TUFF_CHECK tuff_status tuff_random_uniform(tuff_stream *s, tuff_tensor *y,
                                                    const tuff_random_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_random_normal(tuff_stream *s, tuff_tensor *y,
                                                   const tuff_random_params *p);

// ---- losses and metrics ---------------------------------------------------------------------

// loss [] = mean over rows of log(sum(exp(x))) - x[label]; x [N, C] logits, labels i32 [N]
// (PyTorch cross_entropy, ONNX SoftmaxCrossEntropyLoss). Rows whose label is none of 0 to C - 1
// (-1, say) do not count; with no row that counts the loss is 0.
TUFF_API TUFF_CHECK tuff_status tuff_cross_entropy(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *labels,
                                                   tuff_tensor *loss);
// dx = dloss * (softmax(x) - onehot(label)) / rows that count; dloss [].
TUFF_API TUFF_CHECK tuff_status tuff_cross_entropy_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *labels,
                                                        const tuff_tensor *dloss,
                                                        tuff_tensor *dx);
// loss [] = mean((x - target)^2), shapes equal.
TUFF_API TUFF_CHECK tuff_status tuff_mse(tuff_stream *s, const tuff_tensor *x,
                                         const tuff_tensor *target, tuff_tensor *loss);
// n [] (f32) = rows of x [N, C] whose largest element (the first of equals) is the label's.
// A row that holds a NaN is not among them.
TUFF_API TUFF_CHECK tuff_status tuff_count_correct(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *labels, tuff_tensor *n);

// ---- optimizer updates ----------------------------------------------------------------------

// All work in place on w and the state (any shape, all equal), elementwise:
//
//   g' = clip(scale * g, clip_value) + weight_decay * w + l1 * sign(w)
//   sgd       w -= lr g'
//   momentum  m = momentum m + g'            w -= lr m               (PyTorch SGD)
//   nesterov  m = momentum m + g'            w -= lr (g' + momentum m)
//   rmsprop   v = alpha v + (1 - alpha) g'^2   w -= lr g' / (sqrt(v) + eps)
//   adam      m = beta1 m + (1 - beta1) g'   v = beta2 v + (1 - beta2) g'^2
//             w -= lr (m / bias1) / (sqrt(v / bias2) + eps)          (Kingma & Ba 2015)
//   adamw     as adam with g' without weight_decay; w is first scaled by
//             1 - lr weight_decay                                    (Loshchilov & Hutter)
//
// What changes from step to step is read from the device, so that a recorded program can be
// replayed: hyper f32 [8] = lr, bias1 = 1 - beta1^t, bias2 = 1 - beta2^t, scale, 0, 0, 0, 0.
typedef struct tuff_update_params {
    float momentum;     // 0 = 0.9
    float alpha;        // 0 = 0.99
    float beta1, beta2; // 0 = 0.9, 0.999
    float eps;          // 0 = 1e-8
    float weight_decay; // L2 penalty; adamw: decoupled
    float l1;           // L1 penalty
    float clip_value;   // 0 = none; else scale * g is clipped to [-clip_value, clip_value]
} tuff_update_params;
// The ops are `sgd` (w, g, hyper), `momentum` and `nesterov` (w, g, hyper, m), `rmsprop`
// (w, g, hyper, v), `adam` and `adamw` (w, g, hyper, m, v).
TUFF_API TUFF_CHECK tuff_status tuff_update(tuff_stream *s, const char *op, tuff_tensor *w,
                                            const tuff_tensor *g, const tuff_tensor *hyper,
                                            tuff_tensor *m, tuff_tensor *v,
                                            const tuff_update_params *p);

typedef struct tuff_clip_norm_params {
    float max_norm; // 0 = 1
} tuff_clip_norm_params;
// y = x * min(1, max_norm / (|x|_2 + 1e-6)) over all elements (PyTorch clip_grad_norm_).
// y may be x. norm [] receives |x|_2.
TUFF_API TUFF_CHECK tuff_status tuff_clip_norm(tuff_stream *s, const tuff_tensor *x,
                                               tuff_tensor *y, tuff_tensor *norm,
                                               const tuff_clip_norm_params *p);

// ---- by name --------------------------------------------------------------------------------

// Any op by its name, as the functions above call it: absent inputs are NULL.
TUFF_API TUFF_CHECK tuff_status tuff_op_run(tuff_stream *s, const char *op,
                                            const tuff_tensor *const in[], int nin,
                                            tuff_tensor *const out[], int nout,
                                            const void *params);

// Any op by its name with its attributes as text, "key=value" in ONNX's names and with
// ONNX's axes; creates the outputs, which the caller destroys. *nout receives their number
// (at most 4). For ops without inputs (fill, random_uniform) `shape` is the output's
// description; otherwise it may be NULL.
// Fails: TUFF_ERR_FORMAT (an attribute; the sentence lists what there is), and as the op.
TUFF_API TUFF_CHECK tuff_status tuff_op_apply(tuff_stream *s, const char *op,
                                              const tuff_tensor *const in[], int nin,
                                              const char *const attributes[], int count,
                                              const tuff_desc *shape, tuff_tensor *out[4],
                                              int *nout);

// What there is to know of an op, for help texts: NULL past the last.
typedef struct tuff_op_info {
    const char *name, *doc, *onnx; // onnx: NULL when ONNX has none
    int inputs, outputs;
    const char *input[8], *output[8];
    uint32_t input_dtypes[8];      // sets of tuff_dtype
    bool optional[8];              // inputs that may be left out
    const char *attribute[16];     // ONNX's name where it differs
    int attributes;
} tuff_op_info;
// False when index is past the last op.
TUFF_API bool tuff_op_get_info(int index, tuff_op_info *info);
#endif
