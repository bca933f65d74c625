// Losses of each element of x and one of the target, and their gradient by x. The shaders are
// fold.comp, which sums what it computes, and loss.comp, which writes element by element:
//
//   mean, sum                      fold -> loss
//   mean, sum with weights         loss -> losses -> fold of losses times weight -> loss
//   none                           loss [-> losses, times weight] -> loss
//   gradient                       loss [-> slopes, times weight] -> dx
#include "ops/class_loss.h"
#include "ops/ops.h"
#include "ops/pointwise_loss.h"
#include <math.h>

// Places of inputs; the forward ops lack dloss and have what follows one earlier.
enum { X, TARGET, DLOSS, WEIGHT, POS_WEIGHT };

static bool is_grad(const tuff_call *c) { return c->op == &tuff_op_pointwise_loss_grad; }

static int place(const tuff_call *c, int input)
{
    return input - (input > DLOSS && !is_grad(c));
}

static bool has(const tuff_call *c, int input) { return tuff_call_has(c, place(c, input)); }

static const tuff_desc *at(const tuff_call *c, int input) { return &c->in[place(c, input)]; }

static const float *data(const tuff_ref *r, int input)
{
    return has(r->call, input) ? r->in[place(r->call, input)] : NULL;
}

static tuff_loss_kind kind_of(const tuff_call *c)
{
    const tuff_pointwise_params *p = c->params;
    static const struct { const tuff_op *op; tuff_loss_kind kind; } ops[] = {
        { &tuff_op_mse, TUFF_MSE }, { &tuff_op_l1_loss, TUFF_L1 },
        { &tuff_op_huber_loss, TUFF_HUBER }, { &tuff_op_smooth_l1_loss, TUFF_SMOOTH_L1 },
        { &tuff_op_hinge_loss, TUFF_HINGE }, { &tuff_op_bce, TUFF_BCE },
        { &tuff_op_bce_with_logits, TUFF_BCE_WITH_LOGITS },
    };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i].op == c->op) return ops[i].kind;
    return (tuff_loss_kind)p->kind;
}

static double delta_of(const tuff_call *c)
{
    const tuff_pointwise_params *p = c->params;
    return tuff_number(p->delta, 1);
}

static tuff_loss_reduction reduction_of(const tuff_call *c)
{
    const tuff_pointwise_params *p = c->params;
    return (tuff_loss_reduction)p->reduction;
}

static size_t count_of(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[0]); }

// Elements of an operand that repeats along x; 1 where there is none.
static size_t period_of(const tuff_call *c, int input)
{
    return has(c, input) ? (size_t)tuff_desc_count(at(c, input)) : 1;
}

static int input_of(const tuff_call *c, int input)
{
    return has(c, input) ? place(c, input) : -1;
}

tuff_pointwise tuff_pointwise_of(const tuff_call *c)
{
    return (tuff_pointwise){ .kind = kind_of(c), .reduction = reduction_of(c),
                             .dloss = is_grad(c) ? DLOSS : -1, .weight = input_of(c, WEIGHT),
                             .positive = input_of(c, POS_WEIGHT), .count = count_of(c),
                             .delta = (float)delta_of(c) };
}

// ---- shapes ---------------------------------------------------------------------------------

static tuff_status check_weight(const tuff_call *c, int input, const char *name)
{
    const tuff_desc *x = &c->in[0];
    if (!has(c, input)) return TUFF_OK;
    const tuff_desc *w = at(c, input);
    bool fits = w->rank <= x->rank;
    for (int i = 0; fits && i < w->rank; i++)
        fits = w->dim[w->rank - 1 - i] == x->dim[x->rank - 1 - i];
    char tx[96], tw[96];
    TUFF_REQUIRE(fits, SHAPE, "%s must have x's last dims, it is %s and x is %s", name,
                 tuff_desc_print(w, tw, sizeof tw), tuff_desc_print(x, tx, sizeof tx));
    return TUFF_OK;
}

static tuff_status same_shape(const tuff_desc *want, const tuff_desc *got, const char *name)
{
    char tw[96], tg[96];
    TUFF_REQUIRE(tuff_desc_equal(want, got), SHAPE, "%s must be %s, it is %s", name,
                 tuff_desc_print(want, tw, sizeof tw), tuff_desc_print(got, tg, sizeof tg));
    return TUFF_OK;
}

static tuff_desc loss_shape(const tuff_call *c)
{
    return reduction_of(c) == TUFF_LOSS_NONE ? c->in[0] : TUFF_SCALAR(c->in[0].dtype);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_pointwise_params *p = c->params;
    TUFF_REQUIRE(p->reduction >= 0 && p->reduction <= TUFF_LOSS_NONE, ARG,
                 "reduction is %d, expected 0 to 2", p->reduction);
    TUFF_REQUIRE(p->kind >= 0 && p->kind <= TUFF_BCE_WITH_LOGITS, ARG,
                 "kind is %d, expected 0 to %d", p->kind, TUFF_BCE_WITH_LOGITS);
    TUFF_REQUIRE(delta_of(c) > 0 && delta_of(c) < HUGE_VAL, ARG,
                 "delta is %g, it must be above 0", delta_of(c));
    TUFF_TRY(same_shape(&c->in[X], &c->in[TARGET], "target"));
    TUFF_TRY(check_weight(c, WEIGHT, "weight"));
    TUFF_TRY(check_weight(c, POS_WEIGHT, "pos_weight"));
    TUFF_REQUIRE(!has(c, POS_WEIGHT) || kind_of(c) == TUFF_BCE_WITH_LOGITS, ARG,
                 "pos_weight is given, which bce_with_logits alone takes");
    out[0] = loss_shape(c);
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    tuff_desc loss;
    TUFF_TRY(infer(c, &loss));
    TUFF_TRY(same_shape(&loss, &c->in[DLOSS], "dloss"));
    out[0] = c->in[0];
    return TUFF_OK;
}

// ---- references -----------------------------------------------------------------------------

static double clipped_log(double x) { return fmax(log(x), -100); }

// -log(sigmoid(x))
static double softplus_of_minus(double x) { return fmax(-x, 0) + log1p(exp(-fabs(x))); }

static double loss_of(tuff_loss_kind kind, double x, double t, double pos, double delta)
{
    const double d = x - t, size = fabs(d);
    switch (kind) {
    case TUFF_MSE: return d * d;
    case TUFF_L1: return size;
    case TUFF_HUBER: return size <= delta ? d * d / 2 : delta * (size - delta / 2);
    case TUFF_SMOOTH_L1: return size <= delta ? d * d / (2 * delta) : size - delta / 2;
    case TUFF_HINGE: return delta - t * x <= 0 ? 0 : delta - t * x;
    case TUFF_BCE: return -t * clipped_log(x) - (1 - t) * fmax(log1p(-x), -100);
    case TUFF_BCE_WITH_LOGITS: break;
    }
    return pos * t * softplus_of_minus(x) + (1 - t) * softplus_of_minus(-x);
}

static double slope_of(tuff_loss_kind kind, double x, double t, double pos, double delta)
{
    const double d = x - t, sign = d > 0 ? 1 : d < 0 ? -1 : d; // a NaN stays one
    switch (kind) {
    case TUFF_MSE: return 2 * d;
    case TUFF_L1: return sign;
    case TUFF_HUBER: return fabs(d) <= delta ? d : delta * sign;
    case TUFF_SMOOTH_L1: return fabs(d) <= delta ? d / delta : sign;
    case TUFF_HINGE: return delta - t * x > 0 ? -t : 0;
    case TUFF_BCE: return d / fmax(x * (1 - x), 1e-12);
    case TUFF_BCE_WITH_LOGITS: break;
    }
    return (1 - t) / (1 + exp(-x)) - pos * t / (1 + exp(x));
}

static double factor(const tuff_ref *r, int input, size_t i)
{
    return has(r->call, input) ? (double)data(r, input)[i % period_of(r->call, input)] : 1;
}

static double weighted(const tuff_ref *r, size_t i,
                       double (*of)(tuff_loss_kind, double, double, double, double))
{
    return factor(r, WEIGHT, i) * of(kind_of(r->call), (double)r->in[X][i],
                                     (double)r->in[TARGET][i], factor(r, POS_WEIGHT, i),
                                     delta_of(r->call));
}

static void ref(const tuff_ref *r)
{
    const size_t n = count_of(r->call);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double loss = weighted(r, i, loss_of);
        if (reduction_of(r->call) == TUFF_LOSS_NONE) r->out[0][i] = (float)loss;
        sum += loss;
    }
    if (reduction_of(r->call) == TUFF_LOSS_MEAN) sum /= (double)n;
    if (reduction_of(r->call) != TUFF_LOSS_NONE) r->out[0][0] = (float)sum;
}

static void ref_grad(const tuff_ref *r)
{
    const tuff_loss_reduction to = reduction_of(r->call);
    const double n = (double)count_of(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        const double dloss = (double)r->in[DLOSS][to == TUFF_LOSS_NONE ? i : 0];
        const double share = to == TUFF_LOSS_MEAN ? dloss / n : dloss;
        r->out[0][i] = (float)(share * weighted(r, i, slope_of));
    }
}

// ---- plans ----------------------------------------------------------------------------------

// One launch of loss.comp. `t` and `third` lie in inputs; x too, or in scratch 0.
typedef struct step {
    uint32_t op;
    bool slope, from_scratch, to_scratch, texel;
    int t, third; // inputs; third: 0 for none
    uint32_t third_is;
    float scale;
} step;

static void add_step(const tuff_call *c, const step *s, const tuff_caps *k, tuff_plan *p)
{
    const tuff_bind_kind kind = s->texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    const uint32_t wg = tuff_group_size_flat(k);
    const size_t n = count_of(c);
    tuff_dispatch *d = tuff_plan_add(p, s->texel ? TUFF_SHADER_loss_texel : TUFF_SHADER_loss);
    tuff_bind(d, s->from_scratch ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, 0, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, place(c, s->t), kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, s->third ? place(c, s->third) : 0, kind, TUFF_READ);
    tuff_bind(d, s->to_scratch ? TUFF_ROLE_SCRATCH : TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
              TUFF_WRITE);
    tuff_spec(d, wg);
    tuff_spec(d, s->op);
    tuff_spec(d, s->slope);
    tuff_spec(d, s->third_is);
    TUFF_PUSH(d, (struct tuff_loss_pc){ (uint32_t)n, (uint32_t)period_of(c, s->t),
                                        s->third ? (uint32_t)period_of(c, s->third) : 1,
                                        (float)delta_of(c), s->scale });
    tuff_grid(d, (n + wg - 1) / wg, k);
    if (s->to_scratch) p->scratch[0] = n * sizeof(float);
}

static void add_fold(const tuff_call *c, uint32_t from, tuff_place a, tuff_place b,
                     const tuff_caps *k, tuff_plan *p)
{
    const tuff_fold fold = { .from = from, .a = a, .b = b, .count = count_of(c),
                             .write = reduction_of(c) == TUFF_LOSS_SUM ? TUFF_FOLD_SUM
                                                                            : TUFF_FOLD_MEAN,
                             .period = (uint32_t)period_of(c, WEIGHT),
                             .delta = (float)delta_of(c), .out = { TUFF_ROLE_OUT, 0 },
                             .scratch = 1 };
    tuff_fold_add(&fold, k, p);
}

// Losses, or slopes, of each element into scratch 0 or the output.
static step first_step(const tuff_call *c, bool slope)
{
    return (step){ .op = (uint32_t)kind_of(c), .slope = slope, .t = TARGET,
                   .third = has(c, POS_WEIGHT) ? POS_WEIGHT : 0,
                   .third_is = has(c, POS_WEIGHT) ? TUFF_THIRD_POS : TUFF_THIRD_NONE,
                   .scale = 1 };
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const bool none = reduction_of(c) == TUFF_LOSS_NONE, heavy = has(c, WEIGHT);
    const tuff_place x = { TUFF_ROLE_IN, X }, target = { TUFF_ROLE_IN, TARGET };
    const tuff_place weight = { TUFF_ROLE_IN, place(c, WEIGHT) };
    const tuff_place losses = { TUFF_ROLE_SCRATCH, 0 };
    const tuff_loss_kind kind = kind_of(c);
    if (!none && !heavy && !has(c, POS_WEIGHT)) {
        add_fold(c, kind == TUFF_MSE ? TUFF_FOLD_DIFF : TUFF_FOLD_LOSS + (uint32_t)kind, x,
                 target, k, p);
        return true;
    }
    step s = first_step(c, false);
    s.to_scratch = !none || heavy;
    add_step(c, &s, k, p);
    if (!none)
        add_fold(c, heavy ? TUFF_FOLD_PRODUCT : TUFF_FOLD_VALUE, losses,
                 heavy ? weight : losses, k, p);
    const step times = { .op = TUFF_LOSS_PRODUCT, .from_scratch = true, .t = WEIGHT,
                         .scale = 1 };
    if (none && heavy) add_step(c, &times, k, p);
    return true;
}

static bool slopes(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const bool mean = reduction_of(c) == TUFF_LOSS_MEAN;
    const float scale = mean ? (float)(1 / (double)count_of(c)) : 1;
    step s = first_step(c, true);
    s.texel = texel;
    if (!has(c, WEIGHT) && !has(c, POS_WEIGHT)) {
        s.third = DLOSS;
        s.third_is = TUFF_THIRD_FACTOR;
        s.scale = scale;
        add_step(c, &s, k, p);
        return true;
    }
    s.to_scratch = true;
    add_step(c, &s, k, p);
    const bool heavy = has(c, WEIGHT);
    const step times = { .op = TUFF_LOSS_PRODUCT, .from_scratch = true, .texel = texel,
                         .t = heavy ? WEIGHT : DLOSS, .third = heavy ? DLOSS : 0,
                         .third_is = heavy ? TUFF_THIRD_FACTOR : TUFF_THIRD_NONE,
                         .scale = scale };
    add_step(c, &times, k, p);
    return true;
}

static bool slopes_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    // No other operand is larger than x.
    return k->cpu_like && tuff_fits_texel(k, &c->in[0], 4) && slopes(c, true, k, p);
}

static bool slopes_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return slopes(c, false, k, p);
}

// ---- gradient -------------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_pointwise_params p = *(const tuff_pointwise_params *)n->call.params;
    p.kind = kind_of(&n->call);
    const tuff_var none = { 0 };
    dx[0] = TUFF_V(t, &tuff_op_pointwise_loss_grad, &p, n->in[0], n->in[1], dy[0],
                   has(&n->call, WEIGHT) ? n->in[2] : none,
                   has(&n->call, POS_WEIGHT) ? n->in[3] : none);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)count_of(c);
    return (tuff_cost){ .flops = 3 * n, .bytes = (is_grad(c) ? 12 : 8) * n };
}

// ---- records --------------------------------------------------------------------------------

static const char *const kinds[] = { "mse", "l1", "huber", "smooth_l1", "hinge", "bce",
                                     "bce_with_logits", NULL };

// Targets of hinge are 1 or -1.
static void prepare(const tuff_call *c, void *const in[])
{
    float *target = in[TARGET];
    if (kind_of(c) != TUFF_HINGE || c->in[TARGET].dtype != TUFF_F32) return;
    for (size_t i = 0; i < count_of(c); i++)
        target[i] = target[i] < 0 ? -1 : 1;
}

#define REDUCTION TUFF_ENUM(tuff_pointwise_params, reduction, tuff_loss_reductions)
#define DELTA(name_)                                                            \
    { .name = (name_), .type = TUFF_FIELD_FLOAT,                                \
      .offset = offsetof(tuff_pointwise_params, delta), .zero = true }
#define X_AND_TARGET                                                            \
    { .name = "x", .dtypes = TUFF_FLOATS },                                     \
    { .name = "target", .dtypes = TUFF_FLOATS, .no_grad = true }
#define COMMON                                                                  \
    .out = { { .name = "loss", .dtypes = TUFF_FLOATS } },                       \
    .params_size = sizeof(tuff_pointwise_params),                               \
    .infer = infer, .ref = ref, .variants = { TUFF_KERNEL("plain", plain) },    \
    .hosts = TUFF_POINTWISE_HOSTS,                                              \
    .grad = grad, .cost = cost, .prepare = prepare,                             \
    .tol = { .f32 = 2e-6f } /* few roundings an element, and sums by trees */
#define SIMPLE(...)                                                             \
    COMMON, .in = { X_AND_TARGET }, .sample = { -2, 2 },                        \
    .cases = TUFF_CASES(__VA_ARGS__)

const tuff_op tuff_op_mse = {
    .name = "mse", .params = { REDUCTION },
    .doc = "loss = the mean or sum of (x - target)^2, or that of each element",
    SIMPLE("[] []", "1 1", "32x1 32x1", "7x11x3 7x11x3 reduction=none", "61706 61706",
           "600011 600011 reduction=sum")
};

const tuff_op tuff_op_l1_loss = {
    .name = "l1_loss", .params = { REDUCTION },
    .doc = "loss = the mean or sum of |x - target|, or that of each element",
    SIMPLE("[] []", "7x11x3 7x11x3", "257 257 reduction=none", "61706 61706 reduction=sum")
};

const tuff_op tuff_op_huber_loss = {
    .name = "huber_loss", .params = { REDUCTION, DELTA("delta") },
    .doc = "loss = the mean or sum of d^2 / 2 where d = |x - target| is at most delta, else "
           "delta (d - delta / 2); or that of each element",
    SIMPLE("[] []", "7x11x3 7x11x3 delta=0.5", "257 257 reduction=none",
           "61706 61706 reduction=sum delta=1.5")
};

const tuff_op tuff_op_smooth_l1_loss = {
    .name = "smooth_l1_loss", .params = { REDUCTION, DELTA("beta") },
    .doc = "loss = the mean or sum of d^2 / (2 beta) where d = |x - target| is at most beta, "
           "else d - beta / 2; or that of each element",
    SIMPLE("[] []", "7x11x3 7x11x3 beta=0.5", "257 257 reduction=none",
           "61706 61706 reduction=sum beta=1.5")
};

const tuff_op tuff_op_hinge_loss = {
    .name = "hinge_loss", .params = { REDUCTION, DELTA("margin") },
    .doc = "loss = the mean or sum of max(0, margin - target x), or that of each element",
    SIMPLE("[] []", "7x11x3 7x11x3 margin=0.5", "257 257 reduction=none",
           "61706 61706 reduction=sum margin=1.5")
};

const tuff_op tuff_op_bce = {
    .name = "bce", .params = { REDUCTION }, COMMON,
    .doc = "loss = the mean or sum of -weight (t log x + (1 - t) log(1 - x)), or that of each "
           "element",
    .in = { X_AND_TARGET,
            { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true } },
    .sample = { 0.0625f, 0.9375f },
    .cases = TUFF_CASES("1 1", "7x11x3 7x11x3 11x3", "257 257 257 reduction=none",
                        "61706 61706 reduction=sum"),
};

const tuff_op tuff_op_bce_with_logits = {
    .name = "bce_with_logits", .params = { REDUCTION }, COMMON,
    .doc = "loss = the mean or sum of -weight (pos_weight t log(sigmoid(x)) + (1 - t) log(1 - "
           "sigmoid(x))), or that of each element",
    .in = { X_AND_TARGET,
            { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true,
              .positive = true },
            { .name = "pos_weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true,
              .positive = true } },
    .sample = { -4, 4 },
    .cases = TUFF_CASES("1 1", "7x11x3 7x11x3 11x3 3", "257 257 - 257 reduction=none",
                        "7x11x3 7x11x3 7x11x3 reduction=none", "5x13 5x13 - 13",
                        "61706 61706 reduction=sum"),
};

const tuff_op tuff_op_pointwise_loss_grad = {
    .name = "pointwise_loss_grad",
    .doc = "dx = dloss times weight times the slope by x of a loss of each element of x",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "target", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "dloss", .dtypes = TUFF_FLOATS, .no_grad = true, .ordinary = true },
            { .name = "weight", .dtypes = TUFF_FLOATS, .optional = true, .no_grad = true },
            { .name = "pos_weight", .dtypes = TUFF_FLOATS, .optional = true,
              .no_grad = true } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pointwise_params),
    .params = { TUFF_ENUM(tuff_pointwise_params, kind, kinds), REDUCTION, DELTA("delta") },
    .infer = infer_grad, .ref = ref_grad, .units = count_of, .cost = cost,
    .prepare = prepare,
    .variants = { TUFF_KERNEL("texel", slopes_texel), TUFF_KERNEL("plain", slopes_plain) },
    .hosts = TUFF_POINTWISE_HOSTS,
    .tol = { .f32 = 2e-6f }, // few roundings
    .sample = { 0.0625f, 0.9375f }, // where bce is defined
    .cases = TUFF_CASES("[] [] []", "7x11x3 7x11x3 []", "257 257 257 reduction=none kind=l1",
                        "257 257 257 reduction=none kind=huber delta=0.5",
                        "61 61 [] reduction=sum kind=smooth_l1 delta=0.5",
                        "61 61 [] kind=hinge delta=0.5", "7x11x3 7x11x3 [] 11x3 kind=bce",
                        "7x11x3 7x11x3 7x11x3 11x3 3 kind=bce_with_logits reduction=none",
                        "5x13 5x13 [] - 13 kind=bce_with_logits"),
};

// ---- public functions -----------------------------------------------------------------------

tuff_status tuff_mse(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *target,
                     tuff_tensor *loss)
{
    return tuff_run(s, &tuff_op_mse, TUFF_RUN_IN(x, target), TUFF_RUN_OUT(loss), NULL);
}

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *target, \
                     tuff_tensor *loss, const tuff_pointwise_params *p)         \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x, target), TUFF_RUN_OUT(loss), p); \
    }
PUBLIC(tuff_mse_loss, tuff_op_mse)
PUBLIC(tuff_l1_loss, tuff_op_l1_loss)
PUBLIC(tuff_huber_loss, tuff_op_huber_loss)
PUBLIC(tuff_smooth_l1_loss, tuff_op_smooth_l1_loss)
PUBLIC(tuff_hinge_loss, tuff_op_hinge_loss)

tuff_status tuff_bce(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *target,
                     const tuff_tensor *weight, tuff_tensor *loss,
                     const tuff_pointwise_params *p)
{
    return tuff_run(s, &tuff_op_bce, TUFF_RUN_IN(x, target, weight), TUFF_RUN_OUT(loss), p);
}

tuff_status tuff_bce_with_logits(tuff_stream *s, const tuff_tensor *x,
                                 const tuff_tensor *target, const tuff_tensor *weight,
                                 const tuff_tensor *pos_weight, tuff_tensor *loss,
                                 const tuff_pointwise_params *p)
{
    return tuff_run(s, &tuff_op_bce_with_logits, TUFF_RUN_IN(x, target, weight, pos_weight),
                    TUFF_RUN_OUT(loss), p);
}

tuff_status tuff_pointwise_loss_grad(tuff_stream *s, const tuff_tensor *x,
                                     const tuff_tensor *target, const tuff_tensor *dloss,
                                     const tuff_tensor *weight, const tuff_tensor *pos_weight,
                                     tuff_tensor *dx, const tuff_pointwise_params *p)
{
    return tuff_run(s, &tuff_op_pointwise_loss_grad,
                    TUFF_RUN_IN(x, target, dloss, weight, pos_weight), TUFF_RUN_OUT(dx), p);
}
