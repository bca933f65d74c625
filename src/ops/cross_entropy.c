// cross_entropy and its gradient: the usual case of a mean over the rows of a matrix. The
// shaders are cross_entropy_small.comp for a small batch; rows.comp, fold.comp and
// cross_entropy_grad.comp for any. Everything else: class_loss.h.
#include "ops/class_loss.h"
#include "ops/divide.h"
#include "ops/ops.h"

// ---- plans ----------------------------------------------------------------------------------

static bool is_usual(const tuff_call *c)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    return c->in[0].rank == 2 && c->nout == 1 && g.weight < 0 && g.ignored < 0 &&
           g.reduction == TUFF_LOSS_MEAN && g.smoothing == 0;
}

static size_t rows_of(const tuff_call *c) { return (size_t)c->in[0].dim[0]; }
static size_t cols_of(const tuff_call *c) { return (size_t)c->in[0].dim[1]; }

// Few enough rows for one workgroup, or in the gradient for a count of them by each row.
static bool is_small(const tuff_call *c, const tuff_caps *k)
{
    const size_t rows = rows_of(c), cols = cols_of(c), wg = tuff_group_size(k);
    return rows <= 256 && cols <= 256 && (rows + wg - 1) / wg * cols <= 1024;
}

static void push_small(tuff_dispatch *d, const tuff_call *c, const tuff_caps *k)
{
    const struct tuff_rows_pc pc = { (uint32_t)rows_of(c), (uint32_t)cols_of(c),
                                     tuff_divide_by(1) };
    tuff_spec(d, tuff_group_size(k));
    TUFF_PUSH(d, pc);
}

static bool small(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!is_usual(c) || !is_small(c, k)) return false;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_cross_entropy_small);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, 1);
    tuff_bind_out(d, 0);
    push_small(d, c, k);
    tuff_grid(d, 1, k);
    return true;
}

static bool small_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!is_usual(c) || !is_small(c, k)) return false;
    const size_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_cross_entropy_small_grad);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, 1);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_IN, 2, TUFF_BIND_TEXEL_F32, TUFF_READ);
    push_small(d, c, k);
    tuff_grid(d, (rows_of(c) + wg - 1) / wg, k);
    return true;
}

static bool by_rows(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!is_usual(c)) return false;
    const tuff_rows rows = { .kind = TUFF_ROWS_SOFTMAX, .scratch = 0, .out = 1 };
    tuff_rows_add(&rows, c, k, p);
    const tuff_fold fold = { .from = TUFF_FOLD_ROWS, .write = TUFF_FOLD_MEAN,
                             .a = { TUFF_ROLE_SCRATCH, 1 }, .b = { TUFF_ROLE_IN, 1 },
                             .count = rows_of(c), .classes = (uint32_t)cols_of(c),
                             .out = { TUFF_ROLE_OUT, 0 }, .scratch = 2 };
    tuff_fold_add(&fold, k, p);
    return true;
}

static bool by_rows_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!is_usual(c)) return false;
    const tuff_rows rows = { .kind = TUFF_ROWS_SOFTMAX, .write_pairs = true, .scratch = 0,
                             .out = 1 };
    tuff_rows_add(&rows, c, k, p);
    // Of the pairs (x, 1) only the weights are asked for: the rows that count.
    const tuff_fold fold = { .from = TUFF_FOLD_ROWS, .write = TUFF_FOLD_BOTH,
                             .a = { TUFF_ROLE_SCRATCH, 1 }, .b = { TUFF_ROLE_IN, 1 },
                             .count = rows_of(c), .classes = (uint32_t)cols_of(c),
                             .scratch = 2 };
    const int counted = tuff_fold_add(&fold, k, p);
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_cross_entropy_grad);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, 1);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 1, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_SCRATCH, counted, TUFF_BIND_TEXEL_F32, TUFF_READ);
    d->slot[4].size = 2 * sizeof(float);
    tuff_bind(d, TUFF_ROLE_IN, 2, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_spec(d, wg);
    const struct tuff_softmax_grad_pc pc = { (uint32_t)(rows_of(c) * cols_of(c)),
                                             (uint32_t)rows_of(c),
                                             tuff_divide_by(cols_of(c)) };
    TUFF_PUSH(d, pc);
    tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
    return true;
}

// ---- gradient -------------------------------------------------------------------------------

// log_prob = x - log(sum(exp(x))), so that dx = d - softmax(x) sum(d).
static tuff_var grad_of_log_prob(tuff_tape *t, const tuff_node *n, tuff_var d)
{
    const tuff_reduce_params classes = { .axes = 1u << (n->call.in[0].rank - 2),
                                         .keepdims = true };
    const tuff_var p = TUFF_V(t, &tuff_op_exp, NULL, n->out[1]);
    const tuff_var all = TUFF_V(t, &tuff_op_reduce_sum, &classes, d);
    return TUFF_V(t, &tuff_op_sub, NULL, d, TUFF_V(t, &tuff_op_mul, NULL, p, all));
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_class_loss_params p = *(const tuff_class_loss_params *)n->call.params;
    p.log_prob = false;
    const tuff_var none = { 0 }, weight = tuff_call_has(&n->call, 2) ? n->in[2] : none;
    if (!tuff_var_null(dy[0]))
        dx[0] = TUFF_V(t, &tuff_op_cross_entropy_grad, &p, n->in[0], n->in[1], dy[0], weight);
    if (n->call.nout < 2 || tuff_var_null(dy[1])) return;
    const tuff_var more = grad_of_log_prob(t, n, dy[1]);
    dx[0] = tuff_var_null(dx[0]) ? more : TUFF_V(t, &tuff_op_add, NULL, dx[0], more);
}

// ---- records --------------------------------------------------------------------------------

#define FIELDS                                                                  \
    TUFF_ENUM(tuff_class_loss_params, reduction, tuff_loss_reductions),         \
        TUFF_COUNTED(tuff_class_loss_params, ignore, "ignore_index"),           \
        TUFF_FLOAT(tuff_class_loss_params, label_smoothing)

const tuff_op tuff_op_cross_entropy = {
    TUFF_CLASS_LOSS(TUFF_CLASS_CROSS_ENTROPY),
    .name = "cross_entropy",
    .doc = "loss = the mean or sum over rows of w[label] (log(sum(exp(x))) - x[label]), or "
           "that of each row; log_prob = log(softmax(x))",
    .onnx = "SoftmaxCrossEntropyLoss",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "labels", .dtypes = TUFF_INDEX, .no_grad = true, .index_below = 1 },
            { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true,
              .positive = true, .ordinary = true } },
    .out = { { .name = "loss", .dtypes = TUFF_FLOATS },
             { .name = "log_prob", .dtypes = TUFF_FLOATS, .optional = true } },
    .params_size = sizeof(tuff_class_loss_params),
    .params = { FIELDS, TUFF_BOOLEAN(tuff_class_loss_params, log_prob) },
    .infer = tuff_class_loss_infer,
    .ref = tuff_class_loss_ref,
    .variants = { TUFF_KERNEL("small", small), TUFF_KERNEL("rows", by_rows),
                  TUFF_KERNEL("plain", tuff_class_loss_plan) },
    .hosts = TUFF_CLASS_HOSTS,
    .grad = grad,
    .cost = tuff_class_loss_cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("1x7 1", "7x10 7", "64x10 64", "257x3 257", "3x257 3", "2x70001 2",
                        "70001x2 70001", "7x10 7 10 ignore=3",
                        "3x5x4x7 3x4x7 5 reduction=sum label_smoothing=0.25 log_prob=1",
                        "5x263x3 5x3 reduction=none label_smoothing=0.1",
                        "2x5003 2 5003 label_smoothing=0.1"),
};

const tuff_op tuff_op_cross_entropy_grad = {
    TUFF_CLASS_GRAD(TUFF_CLASS_CROSS_ENTROPY),
    .name = "cross_entropy_grad",
    .doc = "dx = dloss w[label] (softmax(x) - onehot(label)), over the sum of w[label] for a "
           "mean",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "labels", .dtypes = TUFF_INDEX, .no_grad = true, .index_below = 1 },
            { .name = "dloss", .dtypes = TUFF_FLOATS, .no_grad = true, .positive = true },
            { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true,
              .positive = true, .ordinary = true } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_class_loss_params),
    .params = { FIELDS },
    .infer = tuff_class_grad_infer,
    .ref = tuff_class_grad_ref,
    .units = tuff_class_rows,
    .variants = { TUFF_KERNEL("small", small_grad), TUFF_KERNEL("rows", by_rows_grad),
                  TUFF_KERNEL("plain", tuff_class_grad_plan) },
    .hosts = TUFF_CLASS_HOSTS,
    .cost = tuff_class_loss_cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .prepare = tuff_class_loss_prepare,
    .cases = TUFF_CASES("7x10 7 []", "64x10 64 []", "257x3 257 []",
                        "3x257 3 []", "2x70001 2 []", "70001x2 70001 []",
                        "7x10 7 [] 10 ignore=3",
                        "3x5x4x7 3x4x7 [] 5 reduction=sum label_smoothing=0.25",
                        "5x263x3 5x3 5x3 reduction=none label_smoothing=0.1",
                        "2x5003 2 [] 5003 label_smoothing=0.1"),
};

tuff_status tuff_cross_entropy(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *labels,
                               tuff_tensor *loss)
{
    return tuff_run(s, &tuff_op_cross_entropy, TUFF_RUN_IN(x, labels), TUFF_RUN_OUT(loss),
                    NULL);
}

tuff_status tuff_cross_entropy_grad(tuff_stream *s, const tuff_tensor *x,
                                    const tuff_tensor *labels, const tuff_tensor *dloss,
                                    tuff_tensor *dx)
{
    return tuff_run(s, &tuff_op_cross_entropy_grad, TUFF_RUN_IN(x, labels, dloss),
                    TUFF_RUN_OUT(dx), NULL);
}

tuff_status tuff_cross_entropy_loss(tuff_stream *s, const tuff_tensor *x,
                                    const tuff_tensor *labels, const tuff_tensor *weight,
                                    tuff_tensor *loss, tuff_tensor *log_prob,
                                    const tuff_class_loss_params *p)
{
    tuff_tensor *const out[] = { loss, log_prob };
    return tuff_run(s, &tuff_op_cross_entropy, TUFF_RUN_IN(x, labels, weight), out,
                    p && p->log_prob ? 2 : 1, p);
}

tuff_status tuff_cross_entropy_loss_grad(tuff_stream *s, const tuff_tensor *x,
                                         const tuff_tensor *labels, const tuff_tensor *dloss,
                                         const tuff_tensor *weight, tuff_tensor *dx,
                                         const tuff_class_loss_params *p)
{
    return tuff_run(s, &tuff_op_cross_entropy_grad, TUFF_RUN_IN(x, labels, dloss, weight),
                    TUFF_RUN_OUT(dx), p);
}
