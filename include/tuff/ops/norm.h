#ifndef TUFF_FAMILY_NORM_H
#define TUFF_FAMILY_NORM_H
#include <tuff/tensor.h>
// Normalisation: x less its mean, by its deviation, times a scale, plus a bias; what the mean
// is taken over is what the operators differ in.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_batch_norm_params {
    float epsilon;  // added to the variance; 0 means 1e-5
    // Training only.
    float momentum; // part of the running statistics that is kept (ONNX's: 1 - PyTorch's);
                    // 0 means 0.9. To keep nothing, a number too small to matter.
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
#endif
