#ifndef TUFF_FAMILY_NORM_H
#define TUFF_FAMILY_NORM_H
#include <tuff/tensor.h>
// Normalisation: x less its mean, by its deviation, times a scale, plus a bias; what the mean
// is taken over is what the operators differ in.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_batch_norm_params {
    float epsilon;  // added to the variance; 0 = 1e-5, TUFF_ZERO as little as 2^-126
    // Training only.
    float momentum; // part of the running statistics that is kept (ONNX's: 1 - PyTorch's);
                    // 0 = 0.9
    bool unbiased;  // running_var takes in the variance times n / (n - 1), as in PyTorch;
                    // ONNX's does not. n: elements of a channel
} tuff_batch_norm_params;
// y = (x - mean) / sqrt(var + epsilon) scale + b, channel by channel (ONNX BatchNormalization;
// Ioffe and Szegedy, 1502.03167). x and y [N, C, ...] with any number of further dims; scale,
// b, mean, var [C]. y may be x. In gradients mean and var are constants (frozen).
TUFF_API TUFF_CHECK tuff_status tuff_batch_norm(tuff_stream *s, const tuff_tensor *x,
                                                const tuff_tensor *scale, const tuff_tensor *b,
                                                const tuff_tensor *mean, const tuff_tensor *var,
                                                tuff_tensor *y,
                                                const tuff_batch_norm_params *p);
// The same with each channel's mean and variance (sum of squares / n) in this batch.
//   running_mean = momentum mean + (1 - momentum) batch mean, running_var likewise    [C]
//   saved [C, 2], f32: each channel's batch mean and 1 / sqrt(variance + epsilon)
// y may be x. Gradients flow through y alone.
TUFF_API TUFF_CHECK tuff_status tuff_batch_norm_train(
    tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale, const tuff_tensor *b,
    const tuff_tensor *mean, const tuff_tensor *var, tuff_tensor *y, tuff_tensor *running_mean,
    tuff_tensor *running_var, tuff_tensor *saved, const tuff_batch_norm_params *p);
// The gradients of tuff_batch_norm_train for dy [N, C, ...], with x' = (x - mean) inv and n
// elements of a channel:
//   dbias = sum of dy, dscale = sum of dy x'
//   dx = scale inv (dy - dbias / n - x' dscale / n); may be dy
TUFF_API TUFF_CHECK tuff_status tuff_batch_norm_grad(
    tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy, const tuff_tensor *scale,
    const tuff_tensor *saved, tuff_tensor *dx, tuff_tensor *dscale, tuff_tensor *dbias);

// ---- rows: each example, or parts of it, by itself -----------------------------------------

typedef struct tuff_layer_norm_params {
    float epsilon; // 0 = 1e-5
    int axis;      // first dim of those that are normalised together, counted from the
                   // innermost: 0 = the last alone
} tuff_layer_norm_params;
// y = (x - mean) / sqrt(variance + epsilon) scale + b (ONNX LayerNormalization; Ba et al.,
// 1607.06450). mean and variance (sum of squares / n) over the dims from `axis` on; scale and
// b have the shape of those dims and may be NULL (b alone, or both). mean and inv_std_dev
// (1 / the root), f32, have x's shape with 1 for those dims. y may be x. Gradients flow
// through y alone.
TUFF_API TUFF_CHECK tuff_status tuff_layer_norm(tuff_stream *s, const tuff_tensor *x,
                                                const tuff_tensor *scale, const tuff_tensor *b,
                                                tuff_tensor *y, tuff_tensor *mean,
                                                tuff_tensor *inv_std_dev,
                                                const tuff_layer_norm_params *p);
// y = x / sqrt(mean of x^2 + epsilon) scale (ONNX RMSNormalization; Zhang and Sennrich,
// 1910.07467). Shapes as above; scale may be NULL; inv_rms is 1 / the root.
TUFF_API TUFF_CHECK tuff_status tuff_rms_norm(tuff_stream *s, const tuff_tensor *x,
                                              const tuff_tensor *scale, tuff_tensor *y,
                                              tuff_tensor *inv_rms,
                                              const tuff_layer_norm_params *p);

typedef struct tuff_group_norm_params {
    float epsilon;  // 0 = 1e-5
    int num_groups; // divides C; 0 = 1
} tuff_group_norm_params;
// x [N, C, ...], its channels in num_groups groups of neighbours, each normalised with all its
// elements of one image (ONNX GroupNormalization; Wu and He, 1803.08494). scale and b [C], or
// [num_groups] as in ONNX's opset 18, may be NULL (b alone, or both). mean and inv_std_dev
// [N, num_groups], f32. y may be x. Gradients flow through y alone.
TUFF_API TUFF_CHECK tuff_status tuff_group_norm(tuff_stream *s, const tuff_tensor *x,
                                                const tuff_tensor *scale, const tuff_tensor *b,
                                                tuff_tensor *y, tuff_tensor *mean,
                                                tuff_tensor *inv_std_dev,
                                                const tuff_group_norm_params *p);

typedef struct tuff_instance_norm_params {
    float epsilon; // 0 = 1e-5
} tuff_instance_norm_params;
// The same with a group a channel (ONNX InstanceNormalization; Ulyanov et al., 1607.08022).
TUFF_API TUFF_CHECK tuff_status tuff_instance_norm(
    tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale, const tuff_tensor *b,
    tuff_tensor *y, tuff_tensor *mean, tuff_tensor *inv_std_dev,
    const tuff_instance_norm_params *p);

typedef struct tuff_norm_grad_params {
    int axis;       // of layer_norm and rms_norm
    int num_groups; // of group_norm, C of instance_norm; 0: it is not one of these
} tuff_norm_grad_params;
// dx of the four for the gradient dy of y; inv and mean are what they gave (mean NULL: of
// rms_norm), scale may be NULL. dx may be dy.
//   dx = inv (w dy - mean(w dy) - x' mean(w dy x')),  x' = (x - mean) inv, w = scale; without
//   a mean there is no mean(w dy)
TUFF_API TUFF_CHECK tuff_status tuff_norm_grad(tuff_stream *s, const tuff_tensor *x,
                                               const tuff_tensor *dy, const tuff_tensor *inv,
                                               const tuff_tensor *mean,
                                               const tuff_tensor *scale, tuff_tensor *dx,
                                               const tuff_norm_grad_params *p);
// dscale = sum of dy x', dbias = sum of dy, of scale's shape (its elements are not read).
TUFF_API TUFF_CHECK tuff_status tuff_norm_param_grad(
    tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy, const tuff_tensor *inv,
    const tuff_tensor *scale, const tuff_tensor *mean, tuff_tensor *dscale, tuff_tensor *dbias,
    const tuff_norm_grad_params *p);

typedef struct tuff_lp_norm_params {
    int axis; // counted from the innermost: 0 = last
    int p;    // 1 or 2; 0 means 2
} tuff_lp_norm_params;
// y = x / |x|_p along `axis`, 0 where that length is 0 (ONNX LpNormalization). y may be x.
TUFF_API TUFF_CHECK tuff_status tuff_lp_norm(tuff_stream *s, const tuff_tensor *x,
                                             tuff_tensor *y, const tuff_lp_norm_params *p);

// ---- neighbouring channels -----------------------------------------------------------------

typedef struct tuff_lrn_params {
    int size;    // channels in a window; 0 means 5
    float alpha; // 0 = 1e-4
    float beta;  // 0 = 0.75
    float bias;  // 0 = 1, TUFF_ZERO as little as 2^-126; alpha takes TUFF_ZERO as it is
} tuff_lrn_params;
// y = x / (bias + alpha / size (sum of x^2 over the window))^beta; the window of channel c goes
// from c - floor((size - 1) / 2) to c + ceil((size - 1) / 2) (ONNX LRN; Krizhevsky et al.,
// 2012). x [N, C, ...].
TUFF_API TUFF_CHECK tuff_status tuff_lrn(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                         const tuff_lrn_params *p);
// dx of that for dy of y.
TUFF_API TUFF_CHECK tuff_status tuff_lrn_grad(tuff_stream *s, const tuff_tensor *x,
                                              const tuff_tensor *dy, tuff_tensor *dx,
                                              const tuff_lrn_params *p);
#endif
