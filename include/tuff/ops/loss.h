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
// ---- of each element of x and one of the target --------------------------------------------

typedef enum tuff_loss_reduction {
    TUFF_LOSS_MEAN,
    TUFF_LOSS_SUM,
    TUFF_LOSS_NONE // a loss for each element
} tuff_loss_reduction;

typedef enum tuff_loss_kind { // as the functions below
    TUFF_MSE,
    TUFF_L1,
    TUFF_HUBER,
    TUFF_SMOOTH_L1,
    TUFF_HINGE,
    TUFF_BCE,
    TUFF_BCE_WITH_LOGITS
} tuff_loss_kind;

typedef struct tuff_pointwise_params {
    int reduction; // tuff_loss_reduction
    float delta;   // huber's delta, smooth_l1's beta, hinge's margin; 0 = 1
    int kind;      // pointwise_loss_grad: tuff_loss_kind
} tuff_pointwise_params;

// loss [] = the mean or sum over all elements, or [x's shape] = the loss of each, with
// d = x - target (PyTorch MSELoss, L1Loss, HuberLoss, SmoothL1Loss):
//
//   mse         d^2
//   l1          |d|
//   huber       d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2)
//   smooth_l1   d^2 / (2 delta) where |d| <= delta, else |d| - delta / 2
//   hinge       max(0, delta - target x), targets being 1 or -1
//
// x and target have one shape; no gradient flows to the target.
TUFF_API TUFF_CHECK tuff_status tuff_mse(tuff_stream *s, const tuff_tensor *x,
                                         const tuff_tensor *target, tuff_tensor *loss);
#define TUFF_POINTWISE(name)                                                    \
    TUFF_API TUFF_CHECK tuff_status name(tuff_stream *s, const tuff_tensor *x,  \
                                         const tuff_tensor *target, tuff_tensor *loss, \
                                         const tuff_pointwise_params *p);
TUFF_POINTWISE(tuff_mse_loss)
TUFF_POINTWISE(tuff_l1_loss)
TUFF_POINTWISE(tuff_huber_loss)
TUFF_POINTWISE(tuff_smooth_l1_loss)
TUFF_POINTWISE(tuff_hinge_loss)
#undef TUFF_POINTWISE
// loss = -weight (t log x + (1 - t) log(1 - x)), logs cut off at -100 (PyTorch BCELoss).
// weight [x's shape, or its last dims], NULL = 1.
TUFF_API TUFF_CHECK tuff_status tuff_bce(tuff_stream *s, const tuff_tensor *x,
                                         const tuff_tensor *target, const tuff_tensor *weight,
                                         tuff_tensor *loss, const tuff_pointwise_params *p);
// loss = -weight (pos_weight t log(sigmoid(x)) + (1 - t) log(1 - sigmoid(x))), without
// overflow for any x (PyTorch BCEWithLogitsLoss). Both weights as above.
TUFF_API TUFF_CHECK tuff_status tuff_bce_with_logits(tuff_stream *s, const tuff_tensor *x,
                                                     const tuff_tensor *target,
                                                     const tuff_tensor *weight,
                                                     const tuff_tensor *pos_weight,
                                                     tuff_tensor *loss,
                                                     const tuff_pointwise_params *p);
// dx = dloss times the slope of loss p.kind by x; dloss as the loss.
TUFF_API TUFF_CHECK tuff_status tuff_pointwise_loss_grad(tuff_stream *s, const tuff_tensor *x,
                                                         const tuff_tensor *target,
                                                         const tuff_tensor *dloss,
                                                         const tuff_tensor *weight,
                                                         const tuff_tensor *pos_weight,
                                                         tuff_tensor *dx,
                                                         const tuff_pointwise_params *p);

// ---- metrics -------------------------------------------------------------------------------

// n [] (f32) = rows of x [N, C] whose largest element (the first of equals) is the label's.
// A row that holds a NaN is not among them.
TUFF_API TUFF_CHECK tuff_status tuff_count_correct(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *labels, tuff_tensor *n);
#endif
