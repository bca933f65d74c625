// cross_entropy and its gradient. The shaders are cross_entropy_small.comp for a small batch;
// rows.comp, fold.comp and cross_entropy_grad.comp for any.
#include "ops/fold.h"
#include "ops/divide.h"
#include "ops/ops.h"
#include <math.h>

// ---- shapes ---------------------------------------------------------------------------------

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_labels_check(c));
    out[0] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_labels_check(c));
    TUFF_REQUIRE(c->in[2].rank == 0, SHAPE, "dloss has %d dims, it must be one number",
                 c->in[2].rank);
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t rows_of(const tuff_call *c) { return (size_t)c->in[0].dim[0]; }
static size_t cols_of(const tuff_call *c) { return (size_t)c->in[0].dim[1]; }

// ---- references -----------------------------------------------------------------------------

static bool counts(int32_t label, size_t cols) { return label >= 0 && (size_t)label < cols; }

// log(sum(exp(x))) of a row.
static double log_sum(const float *x, size_t cols)
{
    double max = -INFINITY, sum = 0;
    for (size_t j = 0; j < cols; j++) max = fmax(max, x[j]);
    for (size_t j = 0; j < cols; j++) sum += exp(x[j] - max);
    return max + log(sum);
}

static void ref(const tuff_ref *r)
{
    const size_t rows = rows_of(r->call), cols = cols_of(r->call);
    const int32_t *labels = (const int32_t *)(const void *)r->in[1];
    double sum = 0, counted = 0;
    for (size_t i = 0; i < rows; i++) {
        if (!counts(labels[i], cols)) continue;
        const float *x = r->in[0] + i * cols;
        sum += log_sum(x, cols) - x[labels[i]];
        counted++;
    }
    r->out[0][0] = (float)(counted ? sum / counted : 0);
}

static void ref_grad(const tuff_ref *r)
{
    const size_t rows = rows_of(r->call), cols = cols_of(r->call);
    const int32_t *labels = (const int32_t *)(const void *)r->in[1];
    double counted = 0;
    for (size_t i = 0; i < rows; i++) counted += counts(labels[i], cols);
    for (size_t i = r->begin; i < r->end; i++) {
        const float *x = r->in[0] + i * cols;
        float *dx = r->out[0] + i * cols;
        const bool real = counts(labels[i], cols);
        const double log_of_sum = log_sum(x, cols);
        for (size_t j = 0; j < cols; j++) {
            const double p = exp(x[j] - log_of_sum) - (real && j == (size_t)labels[i]);
            dx[j] = (float)(real ? r->in[2][0] * p / counted : 0);
        }
    }
}

// ---- plans ----------------------------------------------------------------------------------

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
    if (!is_small(c, k)) return false;
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
    if (!is_small(c, k)) return false;
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

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_rows rows = { .kind = TUFF_ROWS_SOFTMAX, .scratch = 0, .out = 1 };
    tuff_rows_add(&rows, c, k, p);
    const tuff_fold fold = { .from = TUFF_FOLD_ROWS, .write = TUFF_FOLD_MEAN,
                             .a = { TUFF_ROLE_SCRATCH, 1 }, .b = { TUFF_ROLE_IN, 1 },
                             .count = rows_of(c), .classes = (uint32_t)cols_of(c),
                             .out = { TUFF_ROLE_OUT, 0 }, .scratch = 2 };
    tuff_fold_add(&fold, k, p);
    return true;
}

static bool plain_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
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

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_cross_entropy_grad, NULL, n->in[0], n->in[1], dy[0]);
}

// ---- records --------------------------------------------------------------------------------

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    const bool is_grad = c->op == &tuff_op_cross_entropy_grad;
    return (tuff_cost){ .flops = n * (is_grad ? 6 : 4),
                        .bytes = 4 * (n * (is_grad ? 2 : 1) + (double)rows_of(c)) };
}

// Some rows are told not to count.
static void prepare(const tuff_call *c, void *const in[])
{
    int32_t *labels = in[1];
    for (size_t i = 3; i < rows_of(c); i += 5) labels[i] = -1;
}

const tuff_op tuff_op_cross_entropy = {
    .name = "cross_entropy",
    .doc = "loss = the mean over rows of log(sum(exp(x))) - x[label]",
    .onnx = "SoftmaxCrossEntropyLoss",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "labels", .dtypes = TUFF_I32, .no_grad = true, .index_below = 1 } },
    .out = { { .name = "loss", .dtypes = TUFF_F32 } },
    .infer = infer,
    .ref = ref,
    .variants = { TUFF_KERNEL("small", small), TUFF_KERNEL("plain", plain) },
    .grad = grad,
    .cost = cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .prepare = prepare,
    .cases = TUFF_CASES("1x7 1", "7x10 7", "64x10 64", "257x3 257", "3x257 3", "2x70001 2",
                        "70001x2 70001"),
};

const tuff_op tuff_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .doc = "dx = dloss (softmax(x) - onehot(label)) / rows that count",
    .in = { { .name = "x", .dtypes = TUFF_F32, .no_grad = true },
            { .name = "labels", .dtypes = TUFF_I32, .no_grad = true, .index_below = 1 },
            { .name = "dloss", .dtypes = TUFF_F32, .no_grad = true, .positive = true } },
    .out = { { .name = "dx", .dtypes = TUFF_F32 } },
    .infer = infer_grad,
    .ref = ref_grad,
    .units = rows_of,
    .variants = { TUFF_KERNEL("small", small_grad), TUFF_KERNEL("plain", plain_grad) },
    .cost = cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .prepare = prepare,
    .cases = TUFF_CASES("7x10 7 []", "64x10 64 []", "257x3 257 []",
                        "3x257 3 []", "2x70001 2 []", "70001x2 70001 []"),
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
