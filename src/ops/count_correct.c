// count_correct: the metric behind an accuracy. The shaders are rows.comp and fold.comp.
#include "base/alloc.h"
#include "base/convert.h"
#include "ops/fold.h"

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_labels_check(c));
    out[0] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const int64_t rows = r->call->in[0].dim[0], cols = r->call->in[0].dim[1];
    const int32_t *labels = (const int32_t *)(const void *)r->in[1];
    double right = 0;
    for (int64_t i = 0; i < rows; i++) {
        const float *x = r->in[0] + i * cols;
        int64_t first = 0;
        bool numbers = x[0] == x[0];
        for (int64_t j = 1; j < cols; j++) {
            numbers = numbers && x[j] == x[j];
            if (x[j] > x[first]) first = j;
        }
        right += numbers && first == labels[i];
    }
    r->out[0][0] = (float)right;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_rows rows = { .kind = TUFF_ROWS_RIGHT, .scratch = 0, .out = 1 };
    tuff_rows_add(&rows, c, k, p);
    const tuff_fold fold = { .from = TUFF_FOLD_ROWS, .write = TUFF_FOLD_SUM,
                             .a = { TUFF_ROLE_SCRATCH, 1 }, .b = { TUFF_ROLE_IN, 1 },
                             .count = (size_t)c->in[0].dim[0],
                             .classes = (uint32_t)c->in[0].dim[1],
                             .out = { TUFF_ROLE_OUT, 0 }, .scratch = 2 };
    tuff_fold_add(&fold, k, p);
    return true;
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ .flops = n, .bytes = 4 * (n + (double)c->in[0].dim[0]) };
}

// Drawn labels are seldom right: every second row gets its first maximum, every fifth none.
static void prepare(const tuff_call *c, void *const in[])
{
    const int64_t rows = c->in[0].dim[0], cols = c->in[0].dim[1];
    const size_t count = (size_t)(rows * cols);
    int32_t *labels = in[1];
    float *drawn = tuff_alloc(count, sizeof *drawn);
    if (!drawn) return;
    tuff_convert(c->in[0].dtype, in[0], TUFF_F32, drawn, false, 0, count);
    for (int64_t i = 0; i < rows; i++) {
        const float *x = drawn + i * cols;
        int64_t first = 0;
        for (int64_t j = 1; j < cols; j++)
            if (x[j] > x[first]) first = j;
        if (i % 2 == 0) labels[i] = (int32_t)first;
        else if (i % 5 == 1) labels[i] = -1;
    }
    tuff_free(drawn);
}

const tuff_op tuff_op_count_correct = {
    .name = "count_correct",
    .doc = "n = rows of x whose first largest element is the label's; none with a NaN is",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true, .whole = true }, // ties
            { .name = "labels", .dtypes = TUFF_I32, .no_grad = true, .index_below = 1 } },
    .out = { { .name = "n", .dtypes = TUFF_F32 } },
    .infer = infer,
    .ref = ref,
    .variants = { TUFF_KERNEL("plain", plain) },
    .cost = cost,
    .tol = { .f32 = 0 }, // whole numbers below 2^24
    .sample = { -8, 8 },
    .prepare = prepare,
    .cases = TUFF_CASES("1x1 1", "7x10 7", "64x10 64", "1000x10 1000", "257x3 257",
                        "3x70001 3", "70001x2 70001"),
};

tuff_status tuff_count_correct(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *labels,
                               tuff_tensor *n)
{
    return tuff_run(s, &tuff_op_count_correct, TUFF_RUN_IN(x, labels), TUFF_RUN_OUT(n), NULL);
}
