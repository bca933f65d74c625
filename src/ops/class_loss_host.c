// Losses of rows of class scores on the CPU path, a row at a time; powers are f32 and sums f64.
// Rows whose scores do not lie side by side are brought to a room first, some at once.
//
//   loss    stage 0  rows: their losses, and those and their weights added up for a unit
//           stage 1  one unit joins those
//   grad    stage 0  the weights of a unit's rows }
//           stage 1  one unit joins them          } for a mean
//           stage 2  rows
#include "ops/class_loss.h"
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/host_sum.h"
#include "ops/softmax.h"

enum {
    UNIT = 1 << 14, // scores of a unit
    ROOM = 1 << 12, // scores that are brought together
    MOST_ROWS = 16  // of them at once: a line of a cache
};

// A row whose scores lie side by side.
typedef struct row {
    const tuff_class_loss *g;
    const float *x, *target, *weight;
    int64_t label; // -1: the row does not count
} row;

static double weight_of(const row *w, int64_t c)
{
    return w->weight ? (double)w->weight[c] : 1;
}

// ---- functions of rows ---------------------------------------------------------------------

// The sum over classes of q (all - x), q = (a target + b) weight.
TUFF_EACH_PROCESSOR void entropy(const row *w, double a, double b, double all, double *sum)
{
    double lane[TUFF_SUM_LANES] = { 0 };
    const float *x = w->x, *t = w->target, *v = w->weight;
    const size_t n = w->g->cols;
#define TERM(q_) ((q_) == 0 ? 0 : (q_) * (all - (double)x[i]))
    if (t && v) TUFF_ADD_TERMS(lane, i, n, TERM((a * (double)t[i] + b) * (double)v[i]));
    else if (t) TUFF_ADD_TERMS(lane, i, n, TERM(a * (double)t[i] + b));
    else if (v) TUFF_ADD_TERMS(lane, i, n, TERM(b * (double)v[i]));
    else TUFF_ADD_TERMS(lane, i, n, b * (all - (double)x[i]));
#undef TERM
    *sum = tuff_lanes_sum(lane);
}
TUFF_FOR_PROCESSORS(entropy, (const row *w, double a, double b, double all, double *sum),
                    (w, a, b, all, sum))

// The sum of q.
TUFF_EACH_PROCESSOR void shares(const row *w, double a, double b, double *sum)
{
    double lane[TUFF_SUM_LANES] = { 0 };
    const float *t = w->target, *v = w->weight;
    const size_t n = w->g->cols;
    if (t && v) TUFF_ADD_TERMS(lane, i, n, (a * (double)t[i] + b) * (double)v[i]);
    else if (t) TUFF_ADD_TERMS(lane, i, n, a * (double)t[i] + b);
    else if (v) TUFF_ADD_TERMS(lane, i, n, b * (double)v[i]);
    else lane[0] = b * (double)n;
    *sum = tuff_lanes_sum(lane);
}
TUFF_FOR_PROCESSORS(shares, (const row *w, double a, double b, double *sum), (w, a, b, sum))

// dx = p power - q, where dx holds the powers.
TUFF_EACH_PROCESSOR void put_entropy(const row *w, float p, float a, float b, float *dx)
{
    const float *t = w->target, *v = w->weight;
    const size_t n = w->g->cols;
    if (t && v)
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) dx[i] = p * dx[i] - (a * t[i] + b) * v[i];
    else if (t)
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) dx[i] = p * dx[i] - (a * t[i] + b);
    else if (v)
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) dx[i] = p * dx[i] - b * v[i];
    else
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) dx[i] = p * dx[i] - b;
}
TUFF_FOR_PROCESSORS(put_entropy, (const row *w, float p, float a, float b, float *dx),
                    (w, p, a, b, dx))

// The sum of p (log p - log of x's) where p is the teacher's; both logarithms are x / T less a
// number.
TUFF_EACH_PROCESSOR void divergence(const row *w, double per, double mine, double its,
                                    float its_most, double *sum)
{
    double lane[TUFF_SUM_LANES] = { 0 };
    const float *x = w->x, *t = w->target, inv = (float)per;
    const size_t n = w->g->cols;
    TUFF_ADD_TERMS(lane, i, n, (double)tuff_exp_below(inv * t[i] - its_most) *
                                   (((double)t[i] - (double)x[i]) * per + (mine - its)));
    *sum = tuff_lanes_sum(lane);
}
TUFF_FOR_PROCESSORS(divergence, (const row *w, double per, double mine, double its,
                                 float its_most, double *sum),
                    (w, per, mine, its, its_most, sum))

// dx = a dx - b power of the teacher's.
TUFF_EACH_PROCESSOR void put_divergence(const row *w, float per, float its_most, float a,
                                        float b, float *dx)
{
    const float *t = w->target;
    const size_t n = w->g->cols;
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        dx[i] = a * dx[i] - b * tuff_exp_below(per * t[i] - its_most);
}
TUFF_FOR_PROCESSORS(put_divergence, (const row *w, float per, float its_most, float a, float b,
                                     float *dx), (w, per, its_most, a, b, dx))

// What is over the margin, from class `from` to `end`: its sum, and how many are.
TUFF_EACH_PROCESSOR void over_margin(const row *w, size_t from, size_t end, double *sum,
                                     double *count)
{
    double lane[TUFF_SUM_LANES] = { 0 }, many[TUFF_SUM_LANES] = { 0 };
    const double least = w->g->margin - (double)w->x[w->label];
    const float *x = w->x + from;
    TUFF_ADD_TERMS(lane, i, end - from,
                   (least + (double)x[i] > 0 ? least + (double)x[i] : 0));
    TUFF_ADD_TERMS(many, i, end - from, (least + (double)x[i] > 0 ? 1.0 : 0.0));
    *sum += tuff_lanes_sum(lane);
    *count += tuff_lanes_sum(many);
}
TUFF_FOR_PROCESSORS(over_margin, (const row *w, size_t from, size_t end, double *sum,
                                  double *count), (w, from, end, sum, count))

// All classes but the label's.
static double all_over(const row *w, double *count)
{
    double sum = 0;
    *count = 0;
    over_margin_best()(w, 0, (size_t)w->label, &sum, count);
    over_margin_best()(w, (size_t)w->label + 1, w->g->cols, &sum, count);
    return sum;
}

// ---- losses --------------------------------------------------------------------------------

static double entropy_of(const row *w, double all)
{
    const tuff_class_loss *g = w->g;
    const double rest = g->smoothing / (double)g->cols, whole = 1 - g->smoothing;
    double sum = 0;
    if (!g->labels || rest != 0) entropy_best()(w, whole, rest, all, &sum);
    const double q = g->labels ? whole * weight_of(w, w->label) : 0;
    return q == 0 ? sum : sum + q * (all - (double)w->x[w->label]);
}

static double divergence_of(const row *w, double mine)
{
    const double t = w->g->temperature, per = 1 / t;
    float most;
    double sum;
    const double powers = tuff_softmax_host_powers(w->target, w->g->cols, (float)per, NULL,
                                                   &most);
    divergence_best()(w, per, mine, (double)most + log(powers), most, &sum);
    return t * t * sum / powers;
}

// `log_prob`: NULL, or where it goes.
static double loss_of(const row *w, float *log_prob)
{
    const tuff_class_loss *g = w->g;
    const bool softmax = g->kind <= TUFF_CLASS_KL;
    double all = 0, count;
    if (softmax && (w->label >= 0 || log_prob)) {
        float most;
        const float per = g->kind == TUFF_CLASS_KL ? (float)(1 / g->temperature) : 1;
        all = log(tuff_softmax_host_powers(w->x, g->cols, per, NULL, &most)) + (double)most;
    }
    for (size_t c = 0; log_prob && c < g->cols; c++)
        log_prob[c] = (float)((double)w->x[c] - all);
    if (w->label < 0) return 0;
    switch (g->kind) {
    case TUFF_CLASS_KL: return divergence_of(w, all);
    case TUFF_CLASS_NLL: return -weight_of(w, w->label) * (double)w->x[w->label];
    case TUFF_CLASS_MARGIN:
        return all_over(w, &count) * weight_of(w, w->label) / (double)g->cols;
    default: return entropy_of(w, all);
    }
}

// What a row adds to the divisor of a mean.
static double divisor_of(const row *w)
{
    if (w->label < 0) return 0;
    return w->g->labels && w->g->kind != TUFF_CLASS_MARGIN ? weight_of(w, w->label) : 1;
}

// ---- gradients -----------------------------------------------------------------------------

// What the label's own term takes from its score is exact where its share is all but 1: what is
// left of it is the sum of the others' powers.
static void entropy_grad(const row *w, double scale, float *dx)
{
    const tuff_class_loss *g = w->g;
    const double rest = g->smoothing / (double)g->cols, whole = 1 - g->smoothing;
    double all = 0;
    float most;
    const double sum = tuff_softmax_host_powers(w->x, g->cols, 1, dx, &most);
    if (!g->labels || rest != 0) shares_best()(w, whole, rest, &all);
    if (!g->labels) {
        put_entropy_best()(w, (float)(scale * all / sum), (float)(scale * whole),
                           (float)(scale * rest), dx);
        return;
    }
    const double q = whole * weight_of(w, w->label), power = (double)dx[w->label];
    const double own = rest * weight_of(w, w->label);
    put_entropy_best()(w, (float)(scale * (all + q) / sum), 0, (float)(scale * rest), dx);
    dx[w->label] = (float)(scale * ((all * power - q * (sum - power)) / sum - own));
}

static void divergence_grad(const row *w, double scale, float *dx)
{
    const tuff_class_loss *g = w->g;
    const float per = (float)(1 / g->temperature);
    float most;
    const double mine = tuff_softmax_host_powers(w->x, g->cols, per, dx, &most);
    const double its = tuff_softmax_host_powers(w->target, g->cols, per, NULL, &most);
    scale *= g->temperature;
    put_divergence_best()(w, per, most, (float)(scale / mine), (float)(scale / its), dx);
}

static void margin_grad(const row *w, double scale, float *dx)
{
    const double least = w->g->margin - (double)w->x[w->label];
    const double each = scale * weight_of(w, w->label) / (double)w->g->cols;
    double count;
    all_over(w, &count);
    for (size_t c = 0; c < w->g->cols; c++)
        dx[c] = least + (double)w->x[c] > 0 ? (float)each : 0;
    dx[w->label] = (float)(-count * each);
}

// `scale`: the row's dloss over the mean's divisor.
static void grad_of(const row *w, double scale, float *dx)
{
    if (w->label < 0 || w->g->kind == TUFF_CLASS_NLL) memset(dx, 0, w->g->cols * sizeof *dx);
    if (w->label < 0) return;
    switch (w->g->kind) {
    case TUFF_CLASS_KL: divergence_grad(w, scale, dx); break;
    case TUFF_CLASS_NLL: dx[w->label] = (float)(-scale * weight_of(w, w->label)); break;
    case TUFF_CLASS_MARGIN: margin_grad(w, scale, dx); break;
    default: entropy_grad(w, scale, dx); break;
    }
}

// ---- rows ----------------------------------------------------------------------------------

static int64_t label_of(const tuff_ref *r, const tuff_class_loss *g, size_t i)
{
    if (!g->labels) return 0;
    const int64_t label = ((const int32_t *)(const void *)r->in[1])[i];
    return label < 0 || label >= (int64_t)g->cols || label == g->ignored ? -1 : label;
}

static row row_of(const tuff_ref *r, const tuff_class_loss *g, size_t i)
{
    return (row){ .g = g, .weight = g->weight < 0 ? NULL : r->in[g->weight],
                  .label = label_of(r, g, i) };
}

// Elements before the scores of row i.
static size_t base_of(const tuff_class_loss *g, size_t i)
{
    return i / g->step * g->cols * g->step + i % g->step;
}

// Rows from i on that can be brought together, at most `n`.
static size_t beside(const tuff_class_loss *g, size_t i, size_t n)
{
    const size_t room = ROOM / g->cols, block = g->step - i % g->step;
    if (n > MOST_ROWS) n = MOST_ROWS;
    if (n > block) n = block;
    return n < room ? n : room;
}

static void bring(const tuff_class_loss *g, const float *x, size_t n, float *room)
{
    for (size_t c = 0; c < g->cols; c++)
        for (size_t k = 0; k < n; k++) room[k * g->cols + c] = x[c * g->step + k];
}

static void put_back(const tuff_class_loss *g, const float *room, size_t n, float *y)
{
    for (size_t c = 0; c < g->cols; c++)
        for (size_t k = 0; k < n; k++) y[c * g->step + k] = room[k * g->cols + c];
}

// Either kind of call, which does one row: what it writes of each score goes to y, if it is not
// NULL.
typedef struct rows {
    const tuff_ref *r;
    const tuff_class_loss *g;
    float *y;
    double weight;         // a gradient's divisor
    double loss, divisor;  // of all rows, added up
} rows;

static void one_row(rows *a, size_t i, const row *w, float *y)
{
    const tuff_class_loss *g = a->g;
    const bool none = g->reduction == TUFF_LOSS_NONE;
    if (g->grad) {
        grad_of(w, (double)a->r->in[2][none ? i : 0] / a->weight, y);
        return;
    }
    const double loss = loss_of(w, y);
    if (none) a->r->out[0][i] = (float)loss;
    a->loss += loss;
    a->divisor += divisor_of(w);
}

static void all_rows(rows *a, size_t begin, size_t end)
{
    const tuff_class_loss *g = a->g;
    const tuff_ref *r = a->r;
    if (g->step == 1) {
        for (size_t i = begin; i < end; i++) {
            row w = row_of(r, g, i);
            w.x = r->in[0] + i * g->cols;
            if (!g->labels) w.target = r->in[1] + i * g->cols;
            one_row(a, i, &w, a->y ? a->y + i * g->cols : NULL);
        }
        return;
    }
    float x[ROOM], target[ROOM], y[ROOM];
    for (size_t i = begin, n; i < end; i += n) {
        const size_t base = base_of(g, i);
        n = beside(g, i, end - i);
        bring(g, r->in[0] + base, n, x);
        if (!g->labels) bring(g, r->in[1] + base, n, target);
        for (size_t k = 0; k < n; k++) {
            row w = row_of(r, g, i + k);
            w.x = x + k * g->cols;
            if (!g->labels) w.target = target + k * g->cols;
            one_row(a, i + k, &w, a->y ? y + k * g->cols : NULL);
        }
        if (a->y) put_back(g, y, n, a->y + base);
    }
}

// ---- units ---------------------------------------------------------------------------------

static size_t group_of(const tuff_class_loss *g)
{
    return g->cols < UNIT ? UNIT / g->cols : 1;
}

static size_t groups_of(const tuff_class_loss *g)
{
    return (g->rows + group_of(g) - 1) / group_of(g);
}

bool tuff_class_host_takes(const tuff_call *c)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    return g.step == 1 || g.cols <= ROOM;
}

size_t tuff_class_host_units(const tuff_call *c, int stage)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    const int last = g.grad ? 2 : g.reduction != TUFF_LOSS_NONE;
    return stage > last ? 0 : stage == 1 ? 1 : groups_of(&g);
}

// Sums and weights of the units, and what they are together.
size_t tuff_class_host_scratch(const tuff_call *c)
{
    const tuff_class_loss g = tuff_class_loss_of(c);
    return (groups_of(&g) + 1) * 2 * sizeof(double);
}

static void join(const tuff_ref *r, const tuff_class_loss *g, double *parts)
{
    const size_t n = groups_of(g);
    double sum = 0, weight = 0;
    for (size_t i = 0; i < n; i++) {
        sum += parts[2 * i];
        weight += parts[2 * i + 1];
    }
    parts[2 * n + 1] = weight;
    if (g->grad) return;
    if (g->reduction == TUFF_LOSS_MEAN) sum = weight != 0 ? sum / weight : 0;
    r->out[0][0] = (float)sum;
}

static void one_unit(const tuff_ref *r, const tuff_class_loss *g, size_t unit, double *parts)
{
    const size_t begin = unit * group_of(g), left = g->rows - begin;
    const size_t end = begin + (left < group_of(g) ? left : group_of(g));
    rows a = { .r = r, .g = g, .weight = 1 };
    if (g->grad && r->stage == 0) {
        for (size_t i = begin; i < end; i++) {
            const row w = row_of(r, g, i);
            a.divisor += divisor_of(&w);
        }
    } else {
        a.y = g->grad ? r->out[0] : r->call->nout > 1 ? r->out[1] : NULL;
        if (g->reduction == TUFF_LOSS_MEAN) a.weight = parts[2 * groups_of(g) + 1];
        all_rows(&a, begin, end);
    }
    if (r->stage) return;
    parts[2 * unit] = a.loss;
    parts[2 * unit + 1] = a.divisor;
}

void tuff_class_host(const tuff_ref *r)
{
    const tuff_class_loss g = tuff_class_loss_of(r->call);
    if (r->stage == 1) {
        join(r, &g, r->scratch);
        return;
    }
    for (size_t i = r->begin; i < r->end; i++) one_unit(r, &g, i, r->scratch);
}
