// Losses of each element and their slopes on the CPU path, in f32 and added up in f64; the
// formulas are those of loss.glsl. Units are spans of x; a second stage joins what theirs add
// up to.
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/host_sum.h"
#include "ops/ops.h"
#include "ops/pointwise_loss.h"

enum { SPAN = 1 << 14 };

// ---- formulas -------------------------------------------------------------------------------

// log(1 - x), and what rounding took from 1 - x.
TUFF_INLINE float log_less(float x)
{
    const float u = 1 - x;
    return u > 0 ? tuff_log_f32(u) + ((1 - u) - x) / u : tuff_log_f32(u);
}

// -log(sigmoid(x))
TUFF_INLINE float softplus_of_minus(float x)
{
    return tuff_most(-x, 0) + tuff_log1p_f32(tuff_exp_below(-tuff_abs_f32(x)));
}

#define EACH(KIND, formula)                                                     \
    case TUFF_##KIND:                                                           \
        TUFF_EACH(i, n, const float d = x[i] - t[i]; const float size = tuff_abs_f32(d); \
                  (void)size; y[i] = formula)                                   \
        break;

TUFF_EACH_PROCESSOR void losses(int kind, float delta, const float *x, const float *t, float *y,
                                size_t n)
{
    switch ((tuff_loss_kind)kind) {
    EACH(MSE, d * d)
    EACH(L1, size)
    EACH(HUBER, size <= delta ? d * d * 0.5f : delta * (size - delta * 0.5f))
    EACH(SMOOTH_L1, size <= delta ? d * d / (2 * delta) : size - delta * 0.5f)
    EACH(HINGE, delta - t[i] * x[i] <= 0 ? 0 : delta - t[i] * x[i])
    EACH(BCE, -t[i] * tuff_most(tuff_log_f32(x[i]), -100) -
                  (1 - t[i]) * tuff_most(log_less(x[i]), -100))
    EACH(BCE_WITH_LOGITS, (1 - t[i]) * x[i] + softplus_of_minus(x[i]))
    }
}
TUFF_FOR_PROCESSORS(losses, (int kind, float delta, const float *x, const float *t, float *y,
                             size_t n), (kind, delta, x, t, y, n))

TUFF_EACH_PROCESSOR void slopes(int kind, float delta, const float *x, const float *t, float *y,
                                size_t n)
{
    switch ((tuff_loss_kind)kind) {
    EACH(MSE, 2 * d)
    EACH(L1, d > 0 ? 1 : d < 0 ? -1 : d)
    EACH(HUBER, size <= delta ? d : d > 0 ? delta : d < 0 ? -delta : d)
    EACH(SMOOTH_L1, size <= delta ? d / delta : d > 0 ? 1 : d < 0 ? -1 : d)
    EACH(HINGE, delta - t[i] * x[i] > 0 ? -t[i] : 0)
    EACH(BCE, d / tuff_most(x[i] * (1 - x[i]), 1e-12f))
    EACH(BCE_WITH_LOGITS,
         (1 - t[i]) * tuff_sigmoid_f32(x[i]) - t[i] * tuff_sigmoid_f32(-x[i]))
    }
}
TUFF_FOR_PROCESSORS(slopes, (int kind, float delta, const float *x, const float *t, float *y,
                             size_t n), (kind, delta, x, t, y, n))

// bce_with_logits with a weight of what is positive.
TUFF_EACH_PROCESSOR void weighed(bool slope, const float *x, const float *t, const float *pos,
                                 float *y, size_t n)
{
    if (slope)
        TUFF_EACH(i, n, y[i] = (1 - t[i]) * tuff_sigmoid_f32(x[i]) -
                               pos[i] * t[i] * tuff_sigmoid_f32(-x[i]))
    else
        TUFF_EACH(i, n, y[i] = (1 - t[i]) * x[i] +
                               (1 + (pos[i] - 1) * t[i]) * softplus_of_minus(x[i]))
}
TUFF_FOR_PROCESSORS(weighed, (bool slope, const float *x, const float *t, const float *pos,
                              float *y, size_t n), (slope, x, t, pos, y, n))

// y = scale y, times w and v where they are given.
TUFF_EACH_PROCESSOR void scaled(float scale, const float *w, const float *v, float *y, size_t n)
{
    if (w && v) TUFF_EACH(i, n, y[i] = y[i] * w[i] * v[i] * scale)
    else if (w) TUFF_EACH(i, n, y[i] = y[i] * w[i] * scale)
    else if (v) TUFF_EACH(i, n, y[i] = y[i] * v[i] * scale)
    else if (scale != 1) TUFF_EACH(i, n, y[i] = y[i] * scale)
}
TUFF_FOR_PROCESSORS(scaled, (float scale, const float *w, const float *v, float *y, size_t n),
                    (scale, w, v, y, n))

TUFF_EACH_PROCESSOR void add_all(const float *y, size_t n, double *lane)
{
    TUFF_ADD_TERMS(lane, i, n, (double)y[i]);
}
TUFF_FOR_PROCESSORS(add_all, (const float *y, size_t n, double *lane), (y, n, lane))

// ---- units ----------------------------------------------------------------------------------

enum { X, TARGET, WEIGHT, POSITIVE, DLOSS, OPERANDS };

typedef struct job {
    tuff_pointwise p;
    tuff_operand operand[OPERANDS]; // x NULL: it is not there
    float scale;
} job;

static job job_of(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    job j = { .p = tuff_pointwise_of(c), .scale = 1 };
    const bool each = j.p.reduction == TUFF_LOSS_NONE, grad = j.p.dloss >= 0;
    const int input[OPERANDS] = { 0, 1, j.p.weight, j.p.positive, each ? j.p.dloss : -1 };
    for (int k = 0; k < OPERANDS; k++)
        if (input[k] >= 0)
            j.operand[k] = tuff_operand_of(r->in[input[k]], &c->in[input[k]], &c->in[0]);
    if (grad && !each) j.scale = r->in[j.p.dloss][0];
    if (grad && j.p.reduction == TUFF_LOSS_MEAN)
        j.scale = (float)((double)j.scale / (double)j.p.count);
    return j;
}

// n elements from `at` on, and what fills up their lanes.
static void block(const job *j, size_t at, size_t n, float *y)
{
    _Alignas(64) float room[OPERANDS][TUFF_BLOCK];
    const float *x[OPERANDS] = { NULL };
    const size_t whole = tuff_whole_lanes(n);
    for (int k = 0; k < OPERANDS; k++)
        if (j->operand[k].x) x[k] = tuff_operand_read(&j->operand[k], at, n, room[k]);
    const bool slope = j->p.dloss >= 0;
    if (x[POSITIVE]) weighed_best()(slope, x[X], x[TARGET], x[POSITIVE], y, whole);
    else (slope ? slopes_best() : losses_best())(j->p.kind, j->p.delta, x[X], x[TARGET], y,
                                                 whole);
    scaled_best()(j->scale, x[WEIGHT], x[DLOSS], y, whole);
}

bool tuff_pointwise_host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static size_t spans_of(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->in[0]) + SPAN - 1) / SPAN;
}

static bool adds_up(const tuff_pointwise *p)
{
    return p->dloss < 0 && p->reduction != TUFF_LOSS_NONE;
}

size_t tuff_pointwise_host_units(const tuff_call *c, int stage)
{
    const tuff_pointwise p = tuff_pointwise_of(c);
    return stage == 0 ? spans_of(c) : stage == 1 && adds_up(&p);
}

size_t tuff_pointwise_host_scratch(const tuff_call *c)
{
    const tuff_pointwise p = tuff_pointwise_of(c);
    return adds_up(&p) ? spans_of(c) * sizeof(double) : 0;
}

static void join(const tuff_ref *r, const tuff_pointwise *p)
{
    const double *part = r->scratch;
    double sum = 0;
    for (size_t i = 0; i < spans_of(r->call); i++) sum += part[i];
    if (p->reduction == TUFF_LOSS_MEAN) sum /= (double)p->count;
    r->out[0][0] = (float)sum;
}

static void one_span(const tuff_ref *r, const job *j, size_t span)
{
    const size_t from = span * SPAN, left = j->p.count - from;
    const size_t end = from + (left < SPAN ? left : SPAN);
    const bool adds = adds_up(&j->p);
    double lane[TUFF_SUM_LANES] = { 0 };
    _Alignas(64) float y[TUFF_BLOCK];
    for (size_t at = from, n; at < end; at += n) {
        n = end - at < TUFF_BLOCK ? end - at : TUFF_BLOCK;
        float *to = adds || n % TUFF_LANES ? y : r->out[0] + at;
        block(j, at, n, to);
        if (adds) add_all_best()(y, n, lane);
        else if (to == y) memcpy(r->out[0] + at, y, n * sizeof *y);
    }
    if (adds) ((double *)r->scratch)[span] = tuff_lanes_sum(lane);
}

void tuff_pointwise_host(const tuff_ref *r)
{
    const job j = job_of(r);
    if (r->stage) {
        join(r, &j.p);
        return;
    }
    for (size_t span = r->begin; span < r->end; span++) one_span(r, &j, span);
}
