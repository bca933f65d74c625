// Losses of rows of class scores: shapes, references and records. Launches: class_loss_plan.c;
// cross_entropy's own record, with faster kernels for the usual case: cross_entropy.c.
#include "ops/class_loss.h"
#include "ops/ops.h"
#include <math.h>

const char *const tuff_loss_reductions[] = { "mean", "sum", "none", NULL };

tuff_class_loss tuff_class_loss_of(const tuff_call *c)
{
    const tuff_class_loss_params *p = c->params;
    const tuff_class_kind *f = c->op->family;
    const tuff_desc *x = &c->in[0];
    tuff_class_loss g = { .kind = f->kind, .grad = f->grad, .rows = (size_t)x->dim[0],
                          .cols = (size_t)x->dim[1], .step = 1,
                          .reduction = p->reduction, .ignored = (int64_t)p->ignore - 1,
                          .smoothing = (double)p->label_smoothing,
                          .margin = tuff_number(p->margin, 1),
                          .temperature = tuff_number(p->temperature, 1) };
    for (int i = 2; i < x->rank; i++) g.step *= (size_t)x->dim[i];
    g.rows *= g.step;
    g.labels = g.kind != TUFF_CLASS_SOFT && g.kind != TUFF_CLASS_KL;
    const int weight = g.grad ? 3 : 2;
    g.weight = tuff_call_has(c, weight) ? weight : -1;
    return g;
}

size_t tuff_class_rows(const tuff_call *c) { return tuff_class_loss_of(c).rows; }

// ---- shapes ---------------------------------------------------------------------------------

static tuff_status check_params(const tuff_class_loss_params *p)
{
    TUFF_REQUIRE(p->reduction >= 0 && p->reduction <= TUFF_LOSS_NONE, ARG,
                 "reduction is %d, expected 0 to 2", p->reduction);
    TUFF_REQUIRE(p->ignore >= 0, ARG, "ignore is %d, it must be 1 + a label (0: none)",
                 p->ignore);
    TUFF_REQUIRE(p->label_smoothing >= 0 && p->label_smoothing <= 1, ARG,
                 "label_smoothing is %g, it must lie between 0 and 1",
                 (double)p->label_smoothing);
    const double margin = tuff_number(p->margin, 1), heat = tuff_number(p->temperature, 1);
    TUFF_REQUIRE(margin > 0 && margin < HUGE_VAL, ARG, "margin is %g, it must be above 0",
                 margin);
    TUFF_REQUIRE(heat >= (double)1e-3f && heat <= 1e3, ARG,
                 "temperature is %g, it must lie between 1e-3 and 1e3", heat);
    return TUFF_OK;
}

// x without its classes.
static tuff_desc rows_of(const tuff_desc *x)
{
    tuff_desc d = *x;
    d.rank--;
    for (int i = 1; i < d.rank; i++) d.dim[i] = x->dim[i + 1];
    return d;
}

static tuff_status same_dims(const tuff_desc *want, const tuff_desc *got, const char *name)
{
    tuff_desc as = *want;
    as.dtype = got->dtype;
    char tw[96], tg[96];
    TUFF_REQUIRE(tuff_desc_equal(&as, got), SHAPE, "%s must be %s, it is %s", name,
                 tuff_desc_print(&as, tw, sizeof tw), tuff_desc_print(got, tg, sizeof tg));
    return TUFF_OK;
}

static tuff_status infer_loss(const tuff_call *c, tuff_desc *loss)
{
    const tuff_desc *x = &c->in[0];
    TUFF_TRY(check_params(c->params));
    TUFF_REQUIRE(x->rank >= 2, SHAPE, "x has %d dims, it must have 2 or more (N C, ..)",
                 x->rank);
    const tuff_class_loss g = tuff_class_loss_of(c);
    const tuff_desc rows = rows_of(x);
    TUFF_TRY(same_dims(g.labels ? &rows : x, &c->in[1], c->op->in[1].name));
    if (g.weight >= 0)
        TUFF_TRY(same_dims(&TUFF_SHAPE(TUFF_F32, x->dim[1]), &c->in[g.weight], "weight"));
    *loss = g.reduction == TUFF_LOSS_NONE ? rows : TUFF_SCALAR(x->dtype);
    return TUFF_OK;
}

tuff_status tuff_class_loss_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_class_loss_params *p = c->params;
    TUFF_TRY(infer_loss(c, &out[0]));
    const bool log_prob = p->log_prob && c->op == &tuff_op_cross_entropy;
    out[1] = log_prob ? c->in[0] : (tuff_desc){ .dtype = 0 };
    return TUFF_OK;
}

tuff_status tuff_class_grad_infer(const tuff_call *c, tuff_desc out[])
{
    tuff_desc loss;
    TUFF_TRY(infer_loss(c, &loss));
    TUFF_TRY(same_dims(&loss, &c->in[2], "dloss"));
    out[0] = c->in[0];
    return TUFF_OK;
}

// ---- references -----------------------------------------------------------------------------

// One row of a call.
typedef struct row {
    const tuff_class_loss *g;
    const float *x, *target; // elements at distances of g->step; target: of probabilities or
    const float *weight;     // a teacher
    int64_t label;           // -1: the row does not count; 0 where there are no labels
} row;

static row row_of(const tuff_ref *r, const tuff_class_loss *g, size_t i)
{
    const size_t base = i / g->step * g->cols * g->step + i % g->step;
    row w = { .g = g, .x = r->in[0] + base, .weight = g->weight < 0 ? NULL : r->in[g->weight] };
    if (!g->labels) {
        w.target = r->in[1] + base;
        return w;
    }
    w.label = ((const int32_t *)(const void *)r->in[1])[i];
    if (w.label < 0 || w.label >= (int64_t)g->cols || w.label == g->ignored) w.label = -1;
    return w;
}

static double weight_of(const row *w, size_t c) { return w->weight ? (double)w->weight[c] : 1; }

// log(sum(exp(v / T)))
static double log_sum(const row *w, const float *v)
{
    double max = -INFINITY, sum = 0;
    for (size_t c = 0; c < w->g->cols; c++)
        max = fmax(max, (double)v[c * w->g->step] / w->g->temperature);
    for (size_t c = 0; c < w->g->cols; c++)
        sum += exp((double)v[c * w->g->step] / w->g->temperature - max);
    return max + log(sum);
}

// How much of class c a cross-entropy wants.
static double share(const row *w, size_t c)
{
    const tuff_class_loss *g = w->g;
    const double t = g->labels ? (double)(w->label == (int64_t)c)
                               : (double)w->target[c * g->step];
    return ((1 - g->smoothing) * t + g->smoothing / (double)g->cols) * weight_of(w, c);
}

static double over_margin(const row *w, size_t c)
{
    const double of_label = (double)w->x[(size_t)w->label * w->g->step];
    const double over = w->g->margin - of_label + (double)w->x[c * w->g->step];
    return (int64_t)c != w->label && over > 0 ? over : 0;
}

static double cross_entropy_of(const row *w)
{
    const double all = log_sum(w, w->x);
    double sum = 0;
    for (size_t c = 0; c < w->g->cols; c++) {
        const double q = share(w, c);
        if (q != 0) sum += q * (all - (double)w->x[c * w->g->step]);
    }
    return sum;
}

static double divergence_of(const row *w)
{
    const double mine = log_sum(w, w->x), its = log_sum(w, w->target), t = w->g->temperature;
    double sum = 0;
    for (size_t c = 0; c < w->g->cols; c++) {
        const double a = (double)w->x[c * w->g->step] / t - mine;
        const double b = (double)w->target[c * w->g->step] / t - its;
        const double p = exp(b);
        if (p != 0) sum += p * (b - a);
    }
    return t * t * sum;
}

static double loss_of(const row *w)
{
    double sum = 0;
    if (w->label < 0) return 0;
    switch (w->g->kind) {
    case TUFF_CLASS_KL: return divergence_of(w);
    case TUFF_CLASS_NLL:
        return -weight_of(w, (size_t)w->label) * (double)w->x[(size_t)w->label * w->g->step];
    case TUFF_CLASS_MARGIN:
        for (size_t c = 0; c < w->g->cols; c++) sum += over_margin(w, c);
        return sum * weight_of(w, (size_t)w->label) / (double)w->g->cols;
    default: return cross_entropy_of(w);
    }
}

// What a row adds to the divisor of a mean.
static double row_weight(const row *w)
{
    if (w->label < 0) return 0;
    const bool weighted = w->g->labels && w->g->kind != TUFF_CLASS_MARGIN;
    return weighted ? weight_of(w, (size_t)w->label) : 1;
}

void tuff_class_loss_ref(const tuff_ref *r)
{
    const tuff_class_loss g = tuff_class_loss_of(r->call);
    double sum = 0, weight = 0;
    for (size_t i = 0; i < g.rows; i++) {
        const row w = row_of(r, &g, i);
        const double loss = loss_of(&w);
        if (g.reduction == TUFF_LOSS_NONE) r->out[0][i] = (float)loss;
        sum += loss;
        weight += row_weight(&w);
        if (r->call->nout < 2) continue;
        const double all = log_sum(&w, w.x);
        float *log_prob = r->out[1] + (w.x - r->in[0]);
        for (size_t c = 0; c < g.cols; c++)
            log_prob[c * g.step] = (float)((double)w.x[c * g.step] - all);
    }
    if (g.reduction == TUFF_LOSS_MEAN) sum = weight != 0 ? sum / weight : 0;
    if (g.reduction != TUFF_LOSS_NONE) r->out[0][0] = (float)sum;
}

// dx of one row; `scale`: its dloss and the mean's divisor.
static void row_grad(const row *w, double scale, float *dx)
{
    const tuff_class_loss *g = w->g;
    const double t = g->temperature;
    const bool softmax = g->kind <= TUFF_CLASS_KL;
    const double mine = softmax ? log_sum(w, w->x) : 0;
    const double its = g->kind == TUFF_CLASS_KL ? log_sum(w, w->target) : 0;
    double all = 0;
    for (size_t c = 0; c < g->cols && g->kind <= TUFF_CLASS_SOFT; c++) all += share(w, c);
    for (size_t c = 0; c < g->cols && g->kind == TUFF_CLASS_MARGIN; c++)
        all += over_margin(w, c) > 0;
    for (size_t c = 0; c < g->cols; c++) {
        const double x = (double)w->x[c * g->step], p = softmax ? exp(x / t - mine) : 0;
        const bool is_label = (int64_t)c == w->label;
        double d = 0;
        switch (g->kind) {
        case TUFF_CLASS_KL: d = t * (p - exp((double)w->target[c * g->step] / t - its)); break;
        case TUFF_CLASS_NLL: d = is_label ? -weight_of(w, c) : 0; break;
        case TUFF_CLASS_MARGIN:
            d = (is_label ? -all : over_margin(w, c) > 0) *
                weight_of(w, (size_t)w->label) / (double)g->cols;
            break;
        default: d = all * p - share(w, c); break;
        }
        dx[c * g->step] = (float)(scale * d);
    }
}

void tuff_class_grad_ref(const tuff_ref *r)
{
    const tuff_class_loss g = tuff_class_loss_of(r->call);
    const bool none = g.reduction == TUFF_LOSS_NONE, mean = g.reduction == TUFF_LOSS_MEAN;
    double weight = 0;
    for (size_t i = 0; i < g.rows && mean; i++) {
        const row w = row_of(r, &g, i);
        weight += row_weight(&w);
    }
    for (size_t i = r->begin; i < r->end; i++) {
        const row w = row_of(r, &g, i);
        float *dx = r->out[0] + (w.x - r->in[0]);
        const double dloss = (double)r->in[2][none ? i : 0];
        if (w.label >= 0) {
            row_grad(&w, mean ? dloss / weight : dloss, dx);
            continue;
        }
        for (size_t c = 0; c < g.cols; c++) dx[c * g.step] = 0;
    }
}

tuff_cost tuff_class_loss_cost(const tuff_call *c)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    const double n = (double)g.rows * (double)g.cols, inputs = g.labels ? 1 : 2;
    return (tuff_cost){ .flops = n * (g.grad ? 6 : 4) * inputs,
                        .bytes = 4 * (n * (inputs + g.grad) + (double)g.rows) };
}

// Some rows are told not to count.
void tuff_class_loss_prepare(const tuff_call *c, void *const in[])
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    int32_t *labels = in[1];
    if (c->in[1].dtype != TUFF_I32) return;
    for (size_t i = 3; i < g.rows; i += 5) labels[i] = -1;
}
