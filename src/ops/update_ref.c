// The optimizers' formulas, in f64; see <tuff/ops/optimizer.h>.
#include "ops/update.h"
#include "base/convert.h"
#include <math.h>

typedef struct element {
    double w, g, m, v, x; // g is g' of the formulas
} element;

typedef struct context {
    tuff_rule_numbers n;
    double lr, bias1, bias2, scale, first;
} context;

double tuff_rule_slope(const tuff_rule_numbers *n, double w, double g)
{
    if (n->clip_value > 0 && g > n->clip_value) g = n->clip_value;
    if (n->clip_value > 0 && g < -n->clip_value) g = -n->clip_value;
    return g + n->weight_decay * w + n->l1 * ((w > 0) - (w < 0));
}

static void sgd(const context *c, element *e) { e->w -= c->lr * e->g; }

static void grow_m(const context *c, element *e)
{
    e->m = c->n.momentum * e->m + (c->first >= 1 ? 1 : 1 - c->n.dampening) * e->g;
}

static void momentum(const context *c, element *e)
{
    grow_m(c, e);
    e->w -= c->lr * e->m;
}

static void nesterov(const context *c, element *e)
{
    grow_m(c, e);
    e->w -= c->lr * (e->g + c->n.momentum * e->m);
}

static void adagrad(const context *c, element *e)
{
    e->v += e->g * e->g;
    e->w -= c->lr * e->g / (sqrt(e->v) + c->n.eps);
}

static void mean_of_squares(const context *c, element *e)
{
    e->v = c->n.alpha * e->v + (1 - c->n.alpha) * e->g * e->g;
}

static void rmsprop(const context *c, element *e)
{
    mean_of_squares(c, e);
    e->w -= c->lr * e->g / (sqrt(e->v) + c->n.eps);
}

static void rmsprop_momentum(const context *c, element *e)
{
    mean_of_squares(c, e);
    e->m = c->n.momentum * e->m + e->g / (sqrt(e->v) + c->n.eps);
    e->w -= c->lr * e->m;
}

static void rmsprop_centered(const context *c, element *e)
{
    mean_of_squares(c, e);
    e->x = c->n.alpha * e->x + (1 - c->n.alpha) * e->g;
    e->m = c->n.momentum * e->m + e->g / (sqrt(fmax(e->v - e->x * e->x, 0)) + c->n.eps);
    e->w -= c->lr * e->m;
}

static void two_moments(const context *c, element *e)
{
    e->m = c->n.beta1 * e->m + (1 - c->n.beta1) * e->g;
    e->v = c->n.beta2 * e->v + (1 - c->n.beta2) * e->g * e->g;
}

static void adam(const context *c, element *e)
{
    two_moments(c, e);
    e->w -= c->lr * (e->m / c->bias1) / (sqrt(e->v / c->bias2) + c->n.eps);
}

// NaN where either is.
static double larger(double a, double b) { return a > b || isnan(a) ? a : b; }

static void amsgrad(const context *c, element *e)
{
    two_moments(c, e);
    e->x = larger(e->x, e->v);
    e->w -= c->lr * (e->m / c->bias1) / (sqrt(e->x / c->bias2) + c->n.eps);
}

static void adamax(const context *c, element *e)
{
    e->m = c->n.beta1 * e->m + (1 - c->n.beta1) * e->g;
    e->v = larger(c->n.beta2 * e->v, fabs(e->g) + c->n.eps);
    e->w -= c->lr * (e->m / c->bias1) / e->v;
}

static void nadam(const context *c, element *e)
{
    two_moments(c, e);
    e->w -= c->lr * (c->first * e->g + e->m / c->bias1) / (sqrt(e->v / c->bias2) + c->n.eps);
}

static void lion(const context *c, element *e)
{
    const double mixed = c->n.beta1 * e->m + (1 - c->n.beta1) * e->g;
    e->m = c->n.beta2 * e->m + (1 - c->n.beta2) * e->g;
    e->w -= c->lr * (isnan(mixed) ? mixed : (mixed > 0) - (mixed < 0));
}

// Lamb's direction in the place of w.
static void lamb(const context *c, element *e)
{
    two_moments(c, e);
    e->w = (e->m / c->bias1) / (sqrt(e->v / c->bias2) + c->n.eps) + c->n.decoupled * e->w;
}

typedef void (*step_fn)(const context *c, element *e);

static const step_fn steps[] = {
    [TUFF_UPDATE_SGD] = sgd, [TUFF_UPDATE_MOMENTUM] = momentum,
    [TUFF_UPDATE_NESTEROV] = nesterov, [TUFF_UPDATE_ADAGRAD] = adagrad,
    [TUFF_UPDATE_RMSPROP] = rmsprop, [TUFF_UPDATE_RMSPROP_MOMENTUM] = rmsprop_momentum,
    [TUFF_UPDATE_RMSPROP_CENTERED] = rmsprop_centered, [TUFF_UPDATE_ADAM] = adam,
    [TUFF_UPDATE_AMSGRAD] = amsgrad, [TUFF_UPDATE_ADAMAX] = adamax,
    [TUFF_UPDATE_NADAM] = nadam, [TUFF_UPDATE_LION] = lion, [TUFF_UPDATE_LAMB] = lamb,
};

static context context_of(const tuff_ref *r, const tuff_rule *rule)
{
    const float *h = r->in[TUFF_UPDATE_IN_HYPER];
    return (context){ tuff_rule_numbers_of(rule, r->call->params), h[TUFF_HYPER_LR],
                      h[TUFF_HYPER_BIAS1], h[TUFF_HYPER_BIAS2], h[TUFF_HYPER_SCALE],
                      h[TUFF_HYPER_FIRST] };
}

static bool skipped(const tuff_ref *r)
{
    return r->in[TUFF_UPDATE_IN_HYPER][TUFF_HYPER_SKIP] >= 1;
}

// Element i before the step, and with `after` what the step makes of it.
static element at(const tuff_ref *r, const tuff_rule *rule, const context *c, size_t i,
                  bool after)
{
    element e = { .w = r->in[TUFF_UPDATE_IN_W][i] };
    e.g = tuff_rule_slope(&c->n, e.w, c->scale * r->in[TUFF_UPDATE_IN_G][i]);
    const float *const *state = r->in + TUFF_UPDATE_IN_STATE;
    if (rule->m) e.m = (*state++)[i];
    if (rule->v) e.v = (*state++)[i];
    if (rule->x) e.x = (*state)[i];
    if (!after) return e;
    if (rule->op != TUFF_UPDATE_LAMB) e.w *= 1 - c->lr * c->n.decoupled;
    steps[rule->op](c, &e);
    return e;
}

static void put(const tuff_ref *r, const tuff_rule *rule, size_t i, double w, const element *e)
{
    float *const *state = r->out + 1;
    r->out[0][i] = (float)w;
    if (rule->m) (*state++)[i] = (float)e->m;
    if (rule->v) (*state++)[i] = (float)e->v;
    if (rule->x) (*state++)[i] = (float)e->x;
    const tuff_dtype copy = tuff_update_copy(r->call);
    if (copy) tuff_convert(TUFF_F32, r->out[0], copy, *state, false, i, i + 1);
}

void tuff_update_ref(const tuff_ref *r)
{
    const tuff_rule *rule = tuff_rule_of(r->call->op->name);
    const context c = context_of(r, rule);
    const bool skip = skipped(r);
    for (size_t i = r->begin; i < r->end; i++) {
        const element e = at(r, rule, &c, i, !skip);
        put(r, rule, i, e.w, &e);
    }
}

void tuff_lamb_ref(const tuff_ref *r)
{
    const tuff_rule *rule = tuff_rule_of(r->call->op->name);
    const context c = context_of(r, rule);
    const int32_t *starts = (const int32_t *)(const void *)r->in[TUFF_UPDATE_IN_STATE + 2];
    const size_t count = tuff_update_elements(r->call);
    const size_t segments = (size_t)r->call->in[TUFF_UPDATE_IN_STATE + 2].dim[0];
    const bool skip = skipped(r);
    for (size_t s = 0; s < segments; s++) {
        const size_t begin = s ? (size_t)starts[s] : 0;
        const size_t end = s + 1 < segments ? (size_t)starts[s + 1] : count;
        double ww = 0, dd = 0;
        for (size_t i = begin; i < end; i++) {
            const double w = r->in[TUFF_UPDATE_IN_W][i], d = at(r, rule, &c, i, true).w;
            ww += w * w;
            dd += d * d;
        }
        const double trust = ww > 0 && dd > 0 ? sqrt(ww / dd) : 1;
        for (size_t i = begin; i < end; i++) {
            const double w = r->in[TUFF_UPDATE_IN_W][i];
            const element e = at(r, rule, &c, i, !skip);
            put(r, rule, i, skip ? w : w - c.lr * trust * e.w, &e);
        }
    }
}
