#ifndef TUFF_FAMILY_LOSS_H
#define TUFF_FAMILY_LOSS_H
#include <tuff/tensor.h>
// Losses and metrics.
// What <tuff/ops.h> says of all ops holds for these.

typedef enum tuff_loss_reduction {
    TUFF_LOSS_MEAN,
    TUFF_LOSS_SUM,
    TUFF_LOSS_NONE // a loss for each row or element
} tuff_loss_reduction;

// ---- of rows of class scores ---------------------------------------------------------------
//
// x [N, C, d1, ..] has rows of C scores, one for each of N, d1, ..; labels [N, d1, ..] are i32
// or i64. Rows whose label is none of 0 to C - 1 (-1, say) do not count. weight [C] is the
// classes' weights, NULL = 1. The loss is [], or [N, d1, ..] without a reduction. Where no row
// counts a mean is 0.

typedef struct tuff_class_loss_params {
    int reduction;         // tuff_loss_reduction
    int ignore;            // 1 + a label that does not count either; 0 = none. As text, and
                           // in ONNX and PyTorch, it is ignore_index, the label itself
    float label_smoothing; // 0 to 1: this much of a label goes to all classes alike
    bool log_prob;         // cross_entropy: a second output, log(softmax(x))
    float margin;          // multi_margin_loss: 0 = 1
    float temperature;     // kl_div: 0 = 1
} tuff_class_loss_params;

// loss [] = mean over rows of log(sum(exp(x))) - x[label]; x [N, C] logits, labels i32 [N]
// (PyTorch cross_entropy, ONNX SoftmaxCrossEntropyLoss).
TUFF_API TUFF_CHECK tuff_status tuff_cross_entropy(tuff_stream *s, const tuff_tensor *x,
                                                   const tuff_tensor *labels,
                                                   tuff_tensor *loss);
// dx = dloss * (softmax(x) - onehot(label)) / rows that count; dloss [].
TUFF_API TUFF_CHECK tuff_status tuff_cross_entropy_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *labels,
                                                        const tuff_tensor *dloss,
                                                        tuff_tensor *dx);

// Of a row with label y, log_p = log(softmax(x)) and e = label_smoothing:
//
//   cross_entropy      -(1 - e) w_y log_p[y] - e / C sum(w_c log_p[c])
//   nll_loss           -w_y x[y], x being log-probabilities (ONNX NegativeLogLikelihoodLoss)
//   multi_margin_loss  sum over c != y of w_y max(0, margin - x[y] + x[c]) / C
//                      (PyTorch MultiMarginLoss, p = 1)
//
// The mean of the first two divides by the sum of w_y, that of the third by the number of
// rows. log_prob (x's shape; NULL unless p.log_prob).
TUFF_API TUFF_CHECK tuff_status tuff_cross_entropy_loss(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *labels,
                                                        const tuff_tensor *weight,
                                                        tuff_tensor *loss,
                                                        tuff_tensor *log_prob,
                                                        const tuff_class_loss_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_nll_loss(tuff_stream *s, const tuff_tensor *x,
                                              const tuff_tensor *labels,
                                              const tuff_tensor *weight, tuff_tensor *loss,
                                              const tuff_class_loss_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_multi_margin_loss(tuff_stream *s, const tuff_tensor *x,
                                                       const tuff_tensor *labels,
                                                       const tuff_tensor *weight,
                                                       tuff_tensor *loss,
                                                       const tuff_class_loss_params *p);
// Cross-entropy with a probability t of each class, target like x (PyTorch cross_entropy):
// -sum(w_c ((1 - e) t_c + e / C) log_p[c]); the mean is over rows.
TUFF_API TUFF_CHECK tuff_status tuff_soft_cross_entropy(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *target,
                                                        const tuff_tensor *weight,
                                                        tuff_tensor *loss,
                                                        const tuff_class_loss_params *p);
// For distillation (Hinton 2015): T^2 KL(softmax(teacher / T) || softmax(x / T)) of each row,
// T = temperature; the mean is over rows (PyTorch's batchmean of N C). Teacher like x, without
// a gradient.
TUFF_API TUFF_CHECK tuff_status tuff_kl_div(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *teacher, tuff_tensor *loss,
                                            const tuff_class_loss_params *p);
// Gradients by x; dloss as the loss. `second` is labels, target or teacher.
#define TUFF_CLASS_LOSS_GRAD(name)                                              \
    TUFF_API TUFF_CHECK tuff_status name(tuff_stream *s, const tuff_tensor *x,  \
                                         const tuff_tensor *second,             \
                                         const tuff_tensor *dloss,              \
                                         const tuff_tensor *weight, tuff_tensor *dx, \
                                         const tuff_class_loss_params *p);
TUFF_CLASS_LOSS_GRAD(tuff_cross_entropy_loss_grad)
TUFF_CLASS_LOSS_GRAD(tuff_nll_loss_grad)
TUFF_CLASS_LOSS_GRAD(tuff_multi_margin_loss_grad)
TUFF_CLASS_LOSS_GRAD(tuff_soft_cross_entropy_grad)
#undef TUFF_CLASS_LOSS_GRAD
TUFF_API TUFF_CHECK tuff_status tuff_kl_div_grad(tuff_stream *s, const tuff_tensor *x,
                                                 const tuff_tensor *teacher,
                                                 const tuff_tensor *dloss, tuff_tensor *dx,
                                                 const tuff_class_loss_params *p);

// ---- of each element of x and one of the target --------------------------------------------

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
