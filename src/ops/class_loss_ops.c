// Records of the losses of rows of class scores, but for cross_entropy; see class_loss.h.
#include "ops/class_loss.h"
#include "ops/ops.h"

static void emit(tuff_tape *t, const tuff_node *n, const tuff_op *op, tuff_var dloss,
                 tuff_var dx[])
{
    const tuff_var none = { 0 }, weight = tuff_call_has(&n->call, 2) ? n->in[2] : none;
    dx[0] = TUFF_V(t, op, n->call.params, n->in[0], n->in[1], dloss, weight);
}

#define GRAD(name)                                                              \
    static void grad_##name(tuff_tape *t, const tuff_node *n, const tuff_var dy[], \
                            tuff_var dx[])                                      \
    {                                                                           \
        emit(t, n, &tuff_op_##name##_grad, dy[0], dx);                          \
    }
GRAD(soft_cross_entropy)
GRAD(nll_loss)
GRAD(multi_margin_loss)

static void grad_kl_div(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_kl_div_grad, n->call.params, n->in[0], n->in[1], dy[0]);
}

#define LABELS                                                                  \
    { .name = "labels", .dtypes = TUFF_INDEX, .no_grad = true, .index_below = 1 }
#define TARGET                                                                  \
    { .name = "target", .dtypes = TUFF_FLOATS, .no_grad = true, .positive = true }
#define TEACHER { .name = "teacher", .dtypes = TUFF_FLOATS, .no_grad = true }
#define DLOSS                                                                   \
    { .name = "dloss", .dtypes = TUFF_FLOATS, .no_grad = true, .positive = true, \
      .ordinary = true }
#define WEIGHT                                                                  \
    { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true, \
      .positive = true, .ordinary = true }
#define X(...) { .name = "x", .dtypes = TUFF_FLOATS, __VA_ARGS__ }

#define REDUCTION TUFF_ENUM(tuff_class_loss_params, reduction, tuff_loss_reductions)
#define IGNORE    TUFF_COUNTED(tuff_class_loss_params, ignore, "ignore_index")
#define SMOOTHING TUFF_FLOAT(tuff_class_loss_params, label_smoothing)
#define MARGIN    TUFF_FLOAT_ZERO(tuff_class_loss_params, margin)
#define HEAT      TUFF_FLOAT_ZERO(tuff_class_loss_params, temperature)

// A few roundings an element, and short sums, or parts of them by trees.
#define COMMON                                                                  \
    .params_size = sizeof(tuff_class_loss_params), .tol = { .f32 = 2e-6f },     \
    .sample = { -4, 4 }, .cost = tuff_class_loss_cost
#define LOSS                                                                    \
    COMMON, .out = { { .name = "loss", .dtypes = TUFF_FLOATS } },               \
    .infer = tuff_class_loss_infer, .ref = tuff_class_loss_ref,                 \
    .variants = { TUFF_KERNEL("plain", tuff_class_loss_plan) }, .hosts = TUFF_CLASS_HOSTS
#define LOSS_GRAD                                                               \
    COMMON, .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },                 \
    .infer = tuff_class_grad_infer, .ref = tuff_class_grad_ref,                 \
    .units = tuff_class_rows,                                                   \
    .variants = { TUFF_KERNEL("plain", tuff_class_grad_plan) }, .hosts = TUFF_CLASS_HOSTS

const tuff_op tuff_op_soft_cross_entropy = {
    TUFF_CLASS_LOSS(TUFF_CLASS_SOFT),
    .name = "soft_cross_entropy", LOSS, .grad = grad_soft_cross_entropy,
    .doc = "loss = the mean or sum over rows of -sum(w target log(softmax(x))), or that of "
           "each row",
    .in = { X(.optional = false), TARGET, WEIGHT },
    .params = { REDUCTION, SMOOTHING },
    .cases = TUFF_CASES("1x7 1x7", "7x10 7x10 10 label_smoothing=0.25",
                        "3x5x4x7 3x5x4x7 5 reduction=none", "3x263 3x263 reduction=sum"),
};

const tuff_op tuff_op_soft_cross_entropy_grad = {
    TUFF_CLASS_GRAD(TUFF_CLASS_SOFT),
    .name = "soft_cross_entropy_grad", LOSS_GRAD,
    .doc = "dx = dloss (sum(w target) softmax(x) - w target), over the rows for a mean",
    .in = { X(.no_grad = true), TARGET, DLOSS, WEIGHT },
    .params = { REDUCTION, SMOOTHING },
    .cases = TUFF_CASES("1x7 1x7 []", "7x10 7x10 [] 10 label_smoothing=0.25",
                        "3x5x4x7 3x5x4x7 3x4x7 5 reduction=none",
                        "3x263 3x263 [] reduction=sum"),
};

const tuff_op tuff_op_kl_div = {
    TUFF_CLASS_LOSS(TUFF_CLASS_KL),
    .name = "kl_div", LOSS, .grad = grad_kl_div,
    .doc = "loss = the mean or sum over rows of T^2 KL(softmax(teacher / T) || softmax(x / "
           "T)), or that of each row",
    .in = { X(.optional = false), TEACHER },
    .params = { REDUCTION, HEAT },
    .cases = TUFF_CASES("1x7 1x7", "7x10 7x10 temperature=4",
                        "3x5x4x7 3x5x4x7 reduction=none temperature=0.5",
                        "3x263 3x263 reduction=sum temperature=20"),
};

const tuff_op tuff_op_kl_div_grad = {
    TUFF_CLASS_GRAD(TUFF_CLASS_KL),
    .name = "kl_div_grad", LOSS_GRAD,
    .doc = "dx = dloss T (softmax(x / T) - softmax(teacher / T)), over the rows for a mean",
    .in = { X(.no_grad = true), TEACHER, DLOSS },
    .params = { REDUCTION, HEAT },
    .cases = TUFF_CASES("1x7 1x7 []", "7x10 7x10 [] temperature=4",
                        "3x5x4x7 3x5x4x7 3x4x7 reduction=none temperature=0.5",
                        "3x263 3x263 [] reduction=sum temperature=20"),
};

const tuff_op tuff_op_nll_loss = {
    TUFF_CLASS_LOSS(TUFF_CLASS_NLL),
    .name = "nll_loss", .onnx = "NegativeLogLikelihoodLoss", LOSS, .grad = grad_nll_loss,
    .doc = "loss = the mean or sum over rows of -w[label] x[label], or that of each row",
    .in = { X(.optional = false), LABELS, WEIGHT },
    .params = { REDUCTION, IGNORE },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("1x7 1", "7x10 7 10 ignore=3", "3x5x4x7 3x4x7 5 reduction=none",
                        "70001x3 70001 reduction=sum"),
};

const tuff_op tuff_op_nll_loss_grad = {
    TUFF_CLASS_GRAD(TUFF_CLASS_NLL),
    .name = "nll_loss_grad", LOSS_GRAD,
    .doc = "dx = -dloss w[label] onehot(label), over the sum of w[label] for a mean",
    .in = { X(.no_grad = true), LABELS, DLOSS, WEIGHT },
    .params = { REDUCTION, IGNORE },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("1x7 1 []", "7x10 7 [] 10 ignore=3",
                        "3x5x4x7 3x4x7 3x4x7 5 reduction=none",
                        "70001x3 70001 [] reduction=sum"),
};

const tuff_op tuff_op_multi_margin_loss = {
    TUFF_CLASS_LOSS(TUFF_CLASS_MARGIN),
    .name = "multi_margin_loss", LOSS, .grad = grad_multi_margin_loss,
    .special = TUFF_SPECIAL_TINY,
    .doc = "loss = the mean or sum over rows of the sum over classes c other than the label of "
           "w[label] max(0, margin - x[label] + x[c]) / C, or that of each row",
    .in = { X(.optional = false), LABELS, WEIGHT },
    .params = { REDUCTION, IGNORE, MARGIN },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("1x7 1", "7x10 7 10 ignore=3 margin=0.5",
                        "3x5x4x7 3x4x7 5 reduction=none", "3x263 3 reduction=sum"),
};

const tuff_op tuff_op_multi_margin_loss_grad = {
    TUFF_CLASS_GRAD(TUFF_CLASS_MARGIN),
    .name = "multi_margin_loss_grad", .special = TUFF_SPECIAL_TINY, LOSS_GRAD,
    .doc = "dx = dloss times the slope of multi_margin_loss by x",
    .in = { X(.no_grad = true), LABELS, DLOSS, WEIGHT },
    .params = { REDUCTION, IGNORE, MARGIN },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("1x7 1 []", "7x10 7 [] 10 ignore=3 margin=0.5",
                        "3x5x4x7 3x4x7 3x4x7 5 reduction=none", "3x263 3 [] reduction=sum"),
};

// ---- public functions -----------------------------------------------------------------------

#define WEIGHTED(name, record)                                                  \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *second, \
                     const tuff_tensor *weight, tuff_tensor *loss,              \
                     const tuff_class_loss_params *p)                           \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x, second, weight), TUFF_RUN_OUT(loss), p); \
    }
#define WEIGHTED_GRAD(name, record)                                             \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *second, \
                     const tuff_tensor *dloss, const tuff_tensor *weight,       \
                     tuff_tensor *dx, const tuff_class_loss_params *p)          \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x, second, dloss, weight),      \
                        TUFF_RUN_OUT(dx), p);                                   \
    }
WEIGHTED(tuff_soft_cross_entropy, tuff_op_soft_cross_entropy)
WEIGHTED(tuff_nll_loss, tuff_op_nll_loss)
WEIGHTED(tuff_multi_margin_loss, tuff_op_multi_margin_loss)
WEIGHTED_GRAD(tuff_soft_cross_entropy_grad, tuff_op_soft_cross_entropy_grad)
WEIGHTED_GRAD(tuff_nll_loss_grad, tuff_op_nll_loss_grad)
WEIGHTED_GRAD(tuff_multi_margin_loss_grad, tuff_op_multi_margin_loss_grad)

tuff_status tuff_kl_div(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *teacher,
                        tuff_tensor *loss, const tuff_class_loss_params *p)
{
    return tuff_run(s, &tuff_op_kl_div, TUFF_RUN_IN(x, teacher), TUFF_RUN_OUT(loss), p);
}

tuff_status tuff_kl_div_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *teacher,
                             const tuff_tensor *dloss, tuff_tensor *dx,
                             const tuff_class_loss_params *p)
{
    return tuff_run(s, &tuff_op_kl_div_grad, TUFF_RUN_IN(x, teacher, dloss), TUFF_RUN_OUT(dx),
                    p);
}
