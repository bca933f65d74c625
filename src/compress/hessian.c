#include "compress/hessian.h"
#include "base/alloc.h"
#include "base/status.h"
#include "compress/probe.h"
#include "compress/rewrite.h"
#include "graph/graph.h"
#include "train/evaluate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- X X^T --------------------------------------------------------------------------------

typedef struct run {
    tuff_model *model;
    tuff_hessian *h;
    tuff_probe probe;
    float *value; // of the largest of them
} run;

// [groups, inputs, inputs] of a convolution's windows, or of rows.
static tuff_var gram_of(tuff_graph *g, const tuff_model_part *part, const tuff_hessian *h,
                        tuff_var x)
{
    const tuff_desc d = *tuff_graph_desc(g, x);
    if (d.rank < 4) {
        const tuff_matmul_params turned = { .trans_a = true };
        const int64_t rows = tuff_desc_count(&d) / h->inputs;
        x = tuff_graph_reshape(g, x, TUFF_SHAPE(TUFF_F32, rows, h->inputs));
        return tuff_graph_op(g, "matmul", (tuff_var[]){ x, x }, 2, &turned);
    }
    tuff_model_part p = *part;
    const int *pad = tuff_part_arg(&p, "pad"), *stride = tuff_part_arg(&p, "stride");
    const int *kernel = tuff_part_arg(&p, "KERNEL"), *dilation = tuff_part_arg(&p, "dilation");
    const tuff_im2col_params windows = {
        .kernel = { kernel[0], kernel[1] }, .stride = { stride[0], stride[1] },
        .pad = { pad[0], pad[1], pad[0], pad[1] }, .dilation = { dilation[0], dilation[1] },
    };
    const tuff_matmul_params turned = { .trans_b = true };
    const tuff_reduce_params over = { .axes = 1u << 1 };
    tuff_var c = tuff_graph_op(g, "im2col", &x, 1, &windows);
    if (!c.id) return c;
    const int64_t n = d.dim[0], many = h->groups * h->inputs * h->inputs;
    c = tuff_graph_reshape(g, c, TUFF_SHAPE(TUFF_F32, n * h->groups, h->inputs,
                                            tuff_graph_desc(g, c)->dim[2]));
    c = tuff_graph_op(g, "matmul", (tuff_var[]){ c, c }, 2, &turned);
    if (!c.id) return c;
    c = tuff_graph_reshape(g, c, TUFF_SHAPE(TUFF_F32, n, many));
    return tuff_graph_op(g, "reduce_sum", &c, 1, &over);
}

static tuff_var look(void *user, tuff_graph *g, int part, tuff_var x, const tuff_var made[])
{
    const run *r = user;
    const tuff_model_part *p = &r->model->part[part];
    const int from = p->item.in[0];
    if (!r->h[part].sum) return (tuff_var){ 0 };
    return gram_of(g, p, &r->h[part], from < 0 ? x : made[from]);
}

static tuff_status add_batch(void *user, const float *x, int64_t count)
{
    run *r = user;
    TUFF_TRY(tuff_probe_run(&r->probe, x, count));
    for (int i = 0; i < r->model->parts; i++) {
        const tuff_hessian *h = &r->h[i];
        const int64_t n = h->groups * h->inputs * h->inputs;
        if (!h->sum) continue;
        TUFF_TRY(tuff_probe_read(&r->probe, i, r->value, n));
        for (int64_t k = 0; k < n; k++) {
            TUFF_REQUIRE(isfinite(r->value[k]), CHECK, "calibrate: layer %s is given numbers "
                         "whose squares add up to %g", r->model->part[i].item.name,
                         (double)r->value[k]);
            h->sum[k] += r->value[k];
        }
    }
    return TUFF_OK;
}

static tuff_status open_run(run *r)
{
    const size_t parts = (size_t)r->model->parts;
    int64_t largest = 1;
    r->h = tuff_alloc(parts, sizeof *r->h);
    if (!r->h) return TUFF_ERR_MEMORY;
    for (int i = 0; i < r->model->parts; i++) {
        tuff_hessian *h = &r->h[i];
        const tuff_param *w = tuff_part_param(r->model, i, "weight");
        const tuff_desc *x = &r->model->part[i].input;
        if (!tuff_part_is_product(r->model, i)) continue;
        h->inputs = w->count / w->desc.dim[0];
        h->groups = w->desc.rank == 4 ? x->dim[0] / w->desc.dim[1] : 1;
        TUFF_REQUIRE(h->inputs <= TUFF_HESSIAN_MOST, LIMIT, "gptq: layer %s has %lld inputs, "
                     "expected at most %d", r->model->part[i].item.name, (long long)h->inputs,
                     TUFF_HESSIAN_MOST);
        const int64_t n = h->groups * h->inputs * h->inputs;
        largest = n > largest ? n : largest;
        h->sum = tuff_alloc((size_t)n, sizeof *h->sum);
        h->factor = tuff_alloc((size_t)n, sizeof *h->factor);
        h->order = tuff_alloc((size_t)(h->groups * h->inputs), sizeof *h->order);
        if (!h->sum || !h->factor || !h->order) return TUFF_ERR_MEMORY;
    }
    r->value = tuff_alloc((size_t)largest, sizeof *r->value);
    return r->value ? TUFF_OK : TUFF_ERR_MEMORY;
}

// ---- U ------------------------------------------------------------------------------------

// a = r r^T with r upper triangular, in place; false where a is not positive definite. Sums run
// along rows of r.
static bool decompose(double *a, int64_t n)
{
    for (int64_t i = n - 1; i >= 0; i--)
        for (int64_t j = i; j >= 0; j--) {
            const double *ri = a + i * n, *rj = a + j * n;
            double sum = a[j * n + i];
            for (int64_t k = i + 1; k < n; k++) sum -= ri[k] * rj[k];
            if (i == j && !(sum > 0)) return false;
            a[j * n + i] = i == j ? sqrt(sum) : sum / a[i * n + i];
        }
    return true;
}

// r becomes its inverse, upper triangular too. Row j of it is
// u[j] = (e_j - sum over k > j of r[j][k] u[k]) / r[j][j], which is summed from behind, so that
// what is left of r[j] is what is still needed.
static void invert(double *r, int64_t n)
{
    for (int64_t j = n - 1; j >= 0; j--) {
        double *row = r + j * n;
        const double by = 1 / row[j];
        for (int64_t k = n - 1; k > j; k--) {
            const double *u = r + k * n, part = row[k] * by;
            row[k] = 0;
            for (int64_t m = k; m < n; m++) row[m] -= part * u[m];
        }
        row[j] = by;
    }
}

typedef struct place {
    double size;
    int input;
} place;

static int by_size(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x->input - y->input;
}

static tuff_status put_in_order(const double *sum, int64_t n, bool in_order, int *order)
{
    place *p = tuff_alloc((size_t)n, sizeof *p);
    if (!p) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++) p[i] = (place){ in_order ? 0 : sum[i * n + i], (int)i };
    qsort(p, (size_t)n, sizeof *p, by_size);
    for (int64_t i = 0; i < n; i++) order[i] = p[i].input;
    tuff_free(p);
    return TUFF_OK;
}

// With more and more on the diagonal, until rounding leaves it positive.
static tuff_status factor(const double *sum, int64_t n, double damping, const int *order,
                          double *u)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += sum[i * n + i] / (double)n;
    if (!(mean > 0)) mean = 1; // inputs that are always 0
    for (double more = damping * mean; more < 1e6 * mean; more *= 10) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < n; k++)
                u[i * n + k] = sum[(int64_t)order[i] * n + order[k]] + (i == k ? more : 0);
        if (!decompose(u, n)) continue;
        invert(u, n);
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_CHECK, "gptq: the inputs of a layer are no numbers");
}

static tuff_status factor_all(const tuff_model *m, tuff_hessian *h,
                              const tuff_hessian_params *p)
{
    for (int i = 0; i < m->parts; i++)
        for (int64_t g = 0; h[i].sum && g < h[i].groups; g++) {
            const int64_t n = h[i].inputs, at = g * n * n;
            int *order = h[i].order + g * n;
            TUFF_TRY(put_in_order(h[i].sum + at, n, p->in_order, order));
            TUFF_TRY(factor(h[i].sum + at, n, p->damping > 0 ? p->damping : 0.01, order,
                            h[i].factor + at));
        }
    return TUFF_OK;
}

tuff_status tuff_hessians_make(tuff_model *model, tuff_dataset *data,
                               const tuff_hessian_params *p, tuff_hessian **hessian)
{
    run r = { .model = model };
    r.probe = (tuff_probe){ .model = model, .look = look, .user = &r };
    const tuff_examples e = { .count = p->examples ? p->examples : 256,
                              .batch = p->batch ? p->batch : 32, .seed = p->seed };
    tuff_status status = TUFF_OK;
    *hessian = NULL;
    TUFF_GO(tuff_agree(model, data, true));
    TUFF_GO(open_run(&r));
    TUFF_GO(tuff_each_batch(data, &e, add_batch, &r));
    TUFF_GO(factor_all(model, r.h, p));
    *hessian = r.h;
    r.h = NULL;
exit:
    tuff_probe_close(&r.probe);
    tuff_hessians_free(&r.h, model);
    tuff_free(r.value);
    return status;
}

void tuff_hessians_free(tuff_hessian **hessian, const tuff_model *model)
{
    tuff_hessian *h = *hessian;
    for (int i = 0; h && i < model->parts; i++) {
        tuff_free(h[i].sum);
        tuff_free(h[i].factor);
        tuff_free(h[i].order);
    }
    tuff_free(h);
    *hessian = NULL;
}

// ---- use ----------------------------------------------------------------------------------

double tuff_hessian_error(const tuff_hessian *h, int64_t rows, const float *from,
                          const float *to)
{
    const int64_t n = h->inputs;
    double error = 0;
    for (int64_t row = 0; row < rows; row++) {
        const double *sum = h->sum + row / (rows / h->groups) * n * n;
        const float *a = from + row * n, *b = to + row * n;
        for (int64_t i = 0; i < n; i++) {
            double of = 0;
            for (int64_t k = 0; k < n; k++) of += sum[i * n + k] * ((double)b[k] - a[k]);
            error += of * ((double)b[i] - a[i]);
        }
    }
    return error;
}

tuff_status tuff_hessian_round(const tuff_hessian *h, int64_t rows, const float *w,
                               tuff_pick_fn pick, void *user)
{
    const int64_t n = h->inputs;
    double *left = tuff_alloc((size_t)n, sizeof *left);
    if (!left) return TUFF_ERR_MEMORY;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t group = row / (rows / h->groups);
        const int *order = h->order + group * n;
        for (int64_t j = 0; j < n; j++) left[j] = w[row * n + order[j]];
        for (int64_t j = 0; j < n; j++) {
            const double *u = h->factor + (group * n + j) * n;
            const double lost = (left[j] - pick(user, row, order[j], left + j)) / u[j];
            for (int64_t k = j + 1; k < n; k++) left[k] -= lost * u[k];
        }
    }
    tuff_free(left);
    return TUFF_OK;
}

typedef struct whole {
    const tuff_steps *steps;
    int64_t scales, row;
    int32_t *q;
} whole;

static double pick_whole(void *user, int64_t row, int64_t input, const double *w)
{
    const whole *a = user;
    const tuff_steps *s = &a->steps[a->scales > 1 ? row : 0];
    const int q = tuff_steps_round(s, *w);
    a->q[row * a->row + input] = q;
    return tuff_steps_value(s, q);
}

tuff_status tuff_round_whole(const tuff_hessian *h, int64_t rows, int64_t row, const float *w,
                             const tuff_steps *steps, int64_t scales, int32_t *q)
{
    whole a = { .steps = steps, .scales = scales, .row = row, .q = q };
    if (h && h->sum) return tuff_hessian_round(h, rows, w, pick_whole, &a);
    for (int64_t i = 0; i < rows * row; i++)
        (void)pick_whole(&a, i / row, i % row, &(double){ w[i] });
    return TUFF_OK;
}
