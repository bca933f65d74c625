#ifndef TUFF_FAMILY_LOSS_H
#define TUFF_FAMILY_LOSS_H
#include <tuff/tensor.h>
// Losses and metrics.
// What <tuff/ops.h> says of all ops holds for these.

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
#endif
