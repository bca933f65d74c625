// Optimizers, schedules and losses as names and numbers: everything here is pure.
#include "train/settings.h"
#include "train/precision.h"
#include "base/status.h"
#include "base/text.h"
#include "ops/update.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- names ---------------------------------------------------------------------------------

static const char *const optimizers[] = {
    [TUFF_ADAM] = "adam", [TUFF_ADAMW] = "adamw", [TUFF_SGD] = "sgd",
    [TUFF_MOMENTUM] = "momentum", [TUFF_NESTEROV] = "nesterov", [TUFF_RMSPROP] = "rmsprop",
    [TUFF_RMSPROP_MOMENTUM] = "rmsprop_momentum", [TUFF_RMSPROP_CENTERED] = "rmsprop_centered",
    [TUFF_ADAGRAD] = "adagrad", [TUFF_AMSGRAD] = "amsgrad", [TUFF_ADAMAX] = "adamax",
    [TUFF_NADAM] = "nadam", [TUFF_LION] = "lion", [TUFF_LAMB] = "lamb",
};
static const char *const losses[] = { "auto", "cross_entropy", "mse" };
enum { OPTIMIZERS = sizeof optimizers / sizeof *optimizers, LOSSES = 3 };

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

tuff_status tuff_optimizer_parse(const char *name, tuff_optimizer_kind *kind)
{
    const int i = find(optimizers, OPTIMIZERS, name);
    TUFF_REQUIRE(i >= 0, FORMAT,
                 "optimizer: '%.64s' is not known, expected sgd, momentum, nesterov, adagrad, "
                 "rmsprop, rmsprop_momentum, rmsprop_centered, adam, adamw, amsgrad, adamax, "
                 "nadam, lion or lamb",
                 name);
    *kind = (tuff_optimizer_kind)i;
    return TUFF_OK;
}

const char *tuff_optimizer_name(tuff_optimizer_kind kind)
{
    return (unsigned)kind < OPTIMIZERS ? optimizers[kind] : "?";
}

tuff_status tuff_loss_parse(const char *name, tuff_loss *loss)
{
    const int i = find(losses, LOSSES, name);
    TUFF_REQUIRE(i >= 0, FORMAT,
                 "loss: '%.64s' is not known, expected cross_entropy, mse or auto", name);
    *loss = (tuff_loss)i;
    return TUFF_OK;
}

const char *tuff_loss_name(tuff_loss loss)
{
    return (unsigned)loss < LOSSES ? losses[loss] : "?";
}

// ---- optimizers ----------------------------------------------------------------------------

typedef enum range { ABOVE_ZERO, FROM_ZERO, BELOW_ONE } range;

static tuff_status check(const char *name, float x, range r)
{
    static const char *const words[] = { "more than 0", "at least 0", "from 0 to below 1" };
    const bool ok = isfinite(x) && (r == ABOVE_ZERO  ? x > 0
                                    : r == FROM_ZERO ? x >= 0
                                                     : x >= 0 && x < 1);
    TUFF_REQUIRE(ok, ARG, "train: %s is %g, expected %s", name, (double)x, words[r]);
    return TUFF_OK;
}

static void fill(float *x, double standard)
{
    *x = tuff_or_zero(tuff_number(*x, standard));
}

static double standard_lr(tuff_optimizer_kind kind)
{
    switch (kind) {
    case TUFF_SGD:
    case TUFF_MOMENTUM:
    case TUFF_NESTEROV:
    case TUFF_ADAGRAD: return 0.01;
    case TUFF_ADAMAX:
    case TUFF_NADAM: return 0.002;
    case TUFF_LION: return 0.0001;
    default: return 0.001;
    }
}

tuff_status tuff_optimizer_fill(tuff_optimizer *o)
{
    TUFF_REQUIRE((unsigned)o->kind < OPTIMIZERS, ARG, "optimizer: %d is no kind", (int)o->kind);
    const tuff_update_params none = { 0 };
    const tuff_rule_numbers n = tuff_rule_numbers_of(tuff_rule_of(optimizers[o->kind]), &none);
    fill(&o->lr, standard_lr(o->kind));
    fill(&o->momentum, n.momentum);
    fill(&o->alpha, n.alpha);
    fill(&o->beta1, n.beta1);
    fill(&o->beta2, n.beta2);
    fill(&o->momentum_decay, n.momentum_decay);
    fill(&o->eps, n.eps);
    TUFF_TRY(check("lr", o->lr, ABOVE_ZERO));
    TUFF_TRY(check("momentum", o->momentum, BELOW_ONE));
    TUFF_TRY(check("dampening", o->dampening, BELOW_ONE));
    TUFF_REQUIRE(o->dampening == 0 || o->kind == TUFF_MOMENTUM, ARG,
                 "train: dampening is %g, only momentum takes one", (double)o->dampening);
    TUFF_TRY(check("alpha", o->alpha, BELOW_ONE));
    TUFF_TRY(check("beta1", o->beta1, BELOW_ONE));
    TUFF_TRY(check("beta2", o->beta2, BELOW_ONE));
    TUFF_TRY(check("momentum_decay", o->momentum_decay, FROM_ZERO));
    TUFF_TRY(check("eps", o->eps, FROM_ZERO));
    TUFF_TRY(check("weight_decay", o->weight_decay, FROM_ZERO));
    TUFF_TRY(check("l1", o->l1, FROM_ZERO));
    TUFF_TRY(check("clip_value", o->clip_value, FROM_ZERO));
    return check("clip_norm", o->clip_norm, FROM_ZERO);
}

tuff_update_params tuff_optimizer_update(const tuff_optimizer *o)
{
    return (tuff_update_params){
        .momentum = o->momentum, .dampening = o->dampening, .alpha = o->alpha,
        .beta1 = o->beta1, .beta2 = o->beta2, .momentum_decay = o->momentum_decay,
        .eps = o->eps, .weight_decay = o->weight_decay, .decoupled = o->decoupled,
        .l1 = o->l1, .clip_value = o->clip_value,
    };
}

// ---- schedules -----------------------------------------------------------------------------

tuff_status tuff_schedule_fill(tuff_schedule *s)
{
    TUFF_REQUIRE((unsigned)s->kind <= TUFF_COSINE, ARG, "schedule: %d is no kind",
                 (int)s->kind);
    if (s->every == 0) s->every = 1;
    fill(&s->factor, 0.1f);
    TUFF_REQUIRE(s->warmup >= 0, ARG, "schedule: warmup is %lld steps, expected at least 0",
                 (long long)s->warmup);
    TUFF_REQUIRE(s->every >= 1, ARG, "schedule: step is every %lld epochs, expected at least 1",
                 (long long)s->every);
    TUFF_TRY(check("the schedule's factor", s->factor, ABOVE_ZERO));
    return check("the schedule's last rate", s->min, FROM_ZERO);
}

double tuff_schedule_lr(const tuff_schedule *s, double lr, int64_t step,
                        int64_t steps_per_epoch, int64_t steps)
{
    if (step < s->warmup) return lr * (double)(step + 1) / (double)s->warmup;
    if (s->kind == TUFF_STEP) {
        const int64_t epoch = steps_per_epoch > 0 ? step / steps_per_epoch : 0;
        const double factor = s->factor != 0 ? (double)s->factor : 0.1;
        return lr * pow(factor, (double)(epoch / (s->every > 0 ? s->every : 1)));
    }
    if (s->kind == TUFF_COSINE) {
        const double all = (double)(steps - s->warmup), min = (double)s->min;
        const double p = all > 0 ? fmin((double)(step - s->warmup) / all, 1) : 1;
        return min + (lr - min) * (1 + cos(3.14159265358979323846 * p)) / 2;
    }
    return lr;
}

// A word of a schedule, cut at its = and comma.
typedef struct word {
    const char *name, *first, *second; // first and second NULL when absent
    size_t nname, nfirst, nsecond;
} word;

static word cut(const char *text, size_t n)
{
    word w = { .name = text, .nname = n };
    const char *equals = memchr(text, '=', n);
    if (!equals) return w;
    w.nname = (size_t)(equals - text);
    w.first = equals + 1;
    w.nfirst = n - w.nname - 1;
    const char *comma = memchr(w.first, ',', w.nfirst);
    if (!comma) return w;
    w.second = comma + 1;
    w.nsecond = w.nfirst - (size_t)(comma + 1 - w.first);
    w.nfirst = (size_t)(comma - w.first);
    return w;
}

static bool is(const word *w, const char *name, int numbers)
{
    return w->nname == strlen(name) && memcmp(w->name, name, w->nname) == 0 &&
           numbers == (w->first != NULL) + (w->second != NULL);
}

static bool number(const char *text, size_t n, float *value)
{
    double v;
    if (!tuff_parse_f64(text, n, &v)) return false;
    *value = (float)v;
    return true;
}

// Takes one word into a schedule; false when it is none. `named`: the kind is known.
static bool take(const word *w, tuff_schedule *s, bool *named)
{
    if (is(w, "warmup", 1)) return tuff_parse_i64(w->first, w->nfirst, &s->warmup);
    if (*named) return false;
    *named = true;
    if (is(w, "constant", 0)) return true;
    s->kind = TUFF_COSINE;
    if (is(w, "cosine", 0)) return true;
    if (is(w, "cosine", 1)) return number(w->first, w->nfirst, &s->min);
    s->kind = TUFF_STEP;
    return is(w, "step", 2) && tuff_parse_i64(w->first, w->nfirst, &s->every) &&
           s->every >= 1 && number(w->second, w->nsecond, &s->factor);
}

tuff_status tuff_schedule_parse(const char *text, tuff_schedule *s)
{
    *s = (tuff_schedule){ 0 };
    bool named = false, any = false;
    for (const char *at = text + strspn(text, " \t"); *at; at += strspn(at, " \t")) {
        const size_t n = strcspn(at, " \t");
        const word w = cut(at, n);
        TUFF_REQUIRE(take(&w, s, &named), FORMAT,
                     "schedule: '%.*s' does not fit, expected one of constant, "
                     "step=EVERY,FACTOR, cosine and cosine=MIN, and perhaps warmup=STEPS",
                     (int)(n > 64 ? 64 : n), at);
        any = true;
        at += n;
    }
    TUFF_REQUIRE(any, FORMAT, "schedule: the text is empty, expected constant, "
                              "step=EVERY,FACTOR, cosine or warmup=STEPS");
    return tuff_schedule_fill(s);
}

void tuff_schedule_print(const tuff_schedule *s, char *text, size_t size)
{
    const int n = snprintf(text, size, "warmup=%lld ", (long long)s->warmup);
    if (n < 0 || (size_t)n >= size) return;
    if (s->kind == TUFF_STEP)
        snprintf(text + n, size - (size_t)n, "step=%lld,%.9g", (long long)s->every,
                 (double)s->factor);
    else if (s->kind == TUFF_COSINE)
        snprintf(text + n, size - (size_t)n, "cosine=%.9g", (double)s->min);
    else
        snprintf(text + n, size - (size_t)n, "constant");
}

// ---- all of them ---------------------------------------------------------------------------

tuff_status tuff_train_fill(tuff_train_params *p, bool classes)
{
    TUFF_TRY(tuff_optimizer_fill(&p->optimizer));
    TUFF_TRY(tuff_schedule_fill(&p->schedule));
    TUFF_REQUIRE((unsigned)p->loss < LOSSES, ARG, "loss: %d is no kind", (int)p->loss);
    if (p->loss == TUFF_LOSS_AUTO)
        p->loss = classes ? TUFF_LOSS_CROSS_ENTROPY : TUFF_LOSS_MSE;
    TUFF_REQUIRE(classes || p->loss == TUFF_LOSS_MSE, ARG,
                 "loss: cross_entropy needs data with classes, this data has targets");
    if (p->epochs == 0) p->epochs = 5;
    if (p->batch == 0) p->batch = 64;
    TUFF_REQUIRE(p->epochs > 0 && p->epochs <= 1000000, ARG,
                 "train: epochs is %d, expected 1 to 1000000", p->epochs);
    TUFF_REQUIRE(p->batch > 0 && p->batch <= 1 << 20, ARG,
                 "train: batch is %d, expected 1 to 1048576", p->batch);
    TUFF_REQUIRE(p->patience >= 0, ARG, "train: patience is %d epochs, expected at least 0",
                 p->patience);
    TUFF_TRY(check("slim", p->slim, FROM_ZERO));
    TUFF_TRY(tuff_rounding_fill(&p->gradients, &p->precision));
    TUFF_REQUIRE(p->save_every >= 0, ARG, "train: save_every is %lld, expected at least 0",
                 (long long)p->save_every);
    return TUFF_OK;
}
