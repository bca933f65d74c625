// The optimizers: sgd, momentum, nesterov, rmsprop, adam, adamw. The formulas are in
// include/tuff/ops.h; the shaders are update.comp and, for devices that bind few buffers,
// update_split.comp.
#include "ops/op.h"
#include "abi/update.h"
#include <math.h>
#include <string.h>

enum { W, G, HYPER, FIRST_STATE }; // inputs; outputs are w and the states

// ---- what the six share --------------------------------------------------------------------

typedef struct rule {
    const char *name;
    uint32_t op; // TUFF_UPDATE_...
    bool m, v;   // states it has
} rule;

static const rule rules[] = {
    { "sgd", TUFF_UPDATE_SGD, false, false },
    { "momentum", TUFF_UPDATE_MOMENTUM, true, false },
    { "nesterov", TUFF_UPDATE_NESTEROV, true, false },
    { "rmsprop", TUFF_UPDATE_RMSPROP, false, true },
    { "adam", TUFF_UPDATE_ADAM, true, true },
    { "adamw", TUFF_UPDATE_ADAMW, true, true },
};

static const rule *rule_of(const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

// The params with their defaults, in f64: 0.999 is not what 0.999f is.
typedef struct numbers {
    double momentum, alpha, beta1, beta2, eps;
} numbers;

static double or_default(float value, double when_zero)
{
    return value != 0 ? value : when_zero;
}

static numbers numbers_of(const tuff_update_params *p)
{
    return (numbers){ or_default(p->momentum, 0.9), or_default(p->alpha, 0.99),
                      or_default(p->beta1, 0.9), or_default(p->beta2, 0.999),
                      or_default(p->eps, 1e-8) };
}

static tuff_status check_part(const char *name, double value)
{
    TUFF_REQUIRE(value >= 0 && value < 1, ARG, "%s is %g, it must be at least 0 and below 1",
                 name, value);
    return TUFF_OK;
}

static tuff_status check_size(const char *name, double value)
{
    TUFF_REQUIRE(value >= 0 && value < HUGE_VAL, ARG, "%s is %g, it must be at least 0", name,
                 value);
    return TUFF_OK;
}

static tuff_status check_params(const tuff_update_params *p)
{
    TUFF_TRY(check_part("momentum", p->momentum));
    TUFF_TRY(check_part("alpha", p->alpha));
    TUFF_TRY(check_part("beta1", p->beta1));
    TUFF_TRY(check_part("beta2", p->beta2));
    TUFF_TRY(check_size("eps", p->eps));
    TUFF_TRY(check_size("weight_decay", p->weight_decay));
    TUFF_TRY(check_size("l1", p->l1));
    return check_size("clip_value", p->clip_value);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_params(c->params));
    const tuff_desc hyper = TUFF_SHAPE(TUFF_F32, 8);
    char want[96], got[96];
    for (int i = 1; i < c->nin; i++) {
        const tuff_desc *like = i == HYPER ? &hyper : &c->in[W];
        TUFF_REQUIRE(tuff_desc_equal(&c->in[i], like), SHAPE, "%s must be %s, it is %s",
                     c->op->in[i].name, tuff_desc_print(like, want, sizeof want),
                     tuff_desc_print(&c->in[i], got, sizeof got));
    }
    for (int i = 0; i < c->nout; i++) out[i] = c->in[W];
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

static double slope(const tuff_update_params *p, bool decoupled, double w, double g)
{
    if (p->clip_value > 0 && g > p->clip_value) g = p->clip_value;
    if (p->clip_value > 0 && g < -p->clip_value) g = -p->clip_value;
    if (!decoupled) g += p->weight_decay * w;
    return g + p->l1 * ((w > 0) - (w < 0));
}

static void ref(const tuff_ref *r)
{
    const tuff_update_params *p = r->call->params;
    const char *name = r->call->op->name;
    const numbers n = numbers_of(p);
    const bool adam = strcmp(name, "adam") == 0, adamw = strcmp(name, "adamw") == 0;
    const bool rmsprop = strcmp(name, "rmsprop") == 0, sgd = strcmp(name, "sgd") == 0;
    const bool nesterov = strcmp(name, "nesterov") == 0;
    const float *hyper = r->in[HYPER];
    const double lr = hyper[0], bias1 = hyper[1], bias2 = hyper[2], scale = hyper[3];
    for (size_t i = r->begin; i < r->end; i++) {
        const double w = r->in[W][i];
        const double g = slope(p, adamw, w, scale * r->in[G][i]);
        const double state = sgd ? 0 : r->in[FIRST_STATE][i];
        if (sgd) {
            r->out[0][i] = (float)(w - lr * g);
        } else if (rmsprop) {
            const double v = n.alpha * state + (1 - n.alpha) * g * g;
            r->out[1][i] = (float)v;
            r->out[0][i] = (float)(w - lr * g / (sqrt(v) + n.eps));
        } else if (adam || adamw) {
            const double m = n.beta1 * state + (1 - n.beta1) * g;
            const double v = n.beta2 * r->in[FIRST_STATE + 1][i] + (1 - n.beta2) * g * g;
            const double kept = adamw ? w * (1 - lr * p->weight_decay) : w;
            r->out[1][i] = (float)m;
            r->out[2][i] = (float)v;
            r->out[0][i] = (float)(kept - lr * (m / bias1) / (sqrt(v / bias2) + n.eps));
        } else {
            const double m = n.momentum * state + g;
            r->out[1][i] = (float)m;
            r->out[0][i] = (float)(w - lr * (nesterov ? g + n.momentum * m : m));
        }
    }
}

static size_t elements(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[W]); }

// ---- plans ---------------------------------------------------------------------------------

static struct tuff_update_pc push_of(const tuff_call *c)
{
    const tuff_update_params *p = c->params;
    const rule *rule = rule_of(c->op->name);
    const numbers n = numbers_of(p);
    struct tuff_update_pc pc = { .count = (uint32_t)elements(c), .eps = (float)n.eps,
                                 .weight_decay = p->weight_decay, .l1 = p->l1,
                                 .clip_value = p->clip_value };
    // Without v, m is a sum that decays; beside v, it is a mean.
    pc.keep_m = (float)(rule->v ? n.beta1 : n.momentum);
    pc.add_m = (float)(rule->v ? 1 - n.beta1 : 1);
    pc.keep_v = (float)(rule->m ? n.beta2 : n.alpha);
    pc.add_v = (float)(rule->m ? 1 - n.beta2 : 1 - n.alpha);
    return pc;
}

static void launch(tuff_dispatch *d, const tuff_call *c, uint32_t op, const tuff_caps *k)
{
    const struct tuff_update_pc pc = push_of(c);
    const uint32_t wg = tuff_group_size_flat(k);
    d->launch.spec[0] = wg;
    d->launch.spec[1] = op;
    TUFF_PUSH(d, pc);
    tuff_grid(d, (pc.count + (uint64_t)wg - 1) / wg, k);
}

static void bind_hyper(tuff_dispatch *d)
{
    tuff_bind(d, TUFF_ROLE_IN, HYPER, TUFF_BIND_TEXEL_F32, TUFF_READ);
}

static void one_pass(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[2][3] = {
        { TUFF_SHADER_update_0, TUFF_SHADER_update_1, TUFF_SHADER_update_2 },
        { TUFF_SHADER_update_0_texel, TUFF_SHADER_update_1_texel, TUFF_SHADER_update_2_texel },
    };
    const rule *rule = rule_of(c->op->name);
    const int states = rule->m + rule->v;
    const tuff_bind_kind kind = texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(p, shaders[texel][states]);
    tuff_bind(d, TUFF_ROLE_IN, W, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, G, kind, TUFF_READ);
    bind_hyper(d);
    tuff_bind_out(d, 0);
    for (int i = 0; i < states; i++) {
        tuff_bind(d, TUFF_ROLE_IN, FIRST_STATE + i, kind, TUFF_READ);
        tuff_bind_out(d, 1 + i);
    }
    d->launch.nspec = 2;
    launch(d, c, rule->op, k);
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[W], 4)) return false;
    one_pass(c, true, k, p);
    return true;
}

static bool plan_fused(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const rule *rule = rule_of(c->op->name);
    if (k->storage_buffers < 3u + 2u * (uint32_t)(rule->m + rule->v)) return false;
    one_pass(c, false, k, p);
    return true;
}

static void bind_two(tuff_dispatch *d, tuff_role role_a, int a, tuff_role role_b, int b)
{
    bind_hyper(d);
    tuff_bind_in(d, W);
    tuff_bind(d, role_a, a, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, role_b, b, TUFF_BIND_STORAGE, TUFF_READ);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const rule *rule = rule_of(c->op->name);
    const int states = rule->m + rule->v;
    for (int i = 0; i < states; i++) {
        tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_update_split);
        bind_two(d, TUFF_ROLE_IN, G, TUFF_ROLE_IN, FIRST_STATE + i);
        tuff_bind_out(d, 1 + i);
        d->launch.nspec = 3;
        d->launch.spec[2] = rule->m && i == 0 ? TUFF_UPDATE_M : TUFF_UPDATE_V;
        launch(d, c, rule->op, k);
    }
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_update_split);
    if (states == 2) bind_two(d, TUFF_ROLE_OUT, 1, TUFF_ROLE_OUT, 2);
    else if (states == 1) bind_two(d, TUFF_ROLE_IN, G, TUFF_ROLE_OUT, 1);
    else bind_two(d, TUFF_ROLE_IN, G, TUFF_ROLE_IN, G);
    tuff_bind_out(d, 0);
    d->launch.nspec = 3;
    d->launch.spec[2] = TUFF_UPDATE_W;
    launch(d, c, rule->op, k);
    return true;
}

// ---- records -------------------------------------------------------------------------------

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)elements(c);
    return (tuff_cost){ .flops = n * (4 + 6 * (c->nout - 1)),
                        .bytes = 4 * n * (2 + c->nout - 1 + c->nout) };
}

#define READ_PORTS                                                              \
    { .name = "w", .dtypes = TUFF_F32, .no_grad = true },                       \
        { .name = "g", .dtypes = TUFF_F32, .no_grad = true },                   \
    { .name = "hyper", .dtypes = TUFF_F32, .no_grad = true, .positive = true }
#define READ_M { .name = "m", .dtypes = TUFF_F32, .no_grad = true }
#define READ_V { .name = "v", .dtypes = TUFF_F32, .no_grad = true, .positive = true }
#define WRITE_W { .name = "w", .dtypes = TUFF_F32, .alias = true, .alias_in = W }
#define WRITE_STATE(text, i)                                                    \
    { .name = text, .dtypes = TUFF_F32, .alias = true, .alias_in = FIRST_STATE + (i) }
#define FLOAT_FIELD(name) TUFF_FLOAT(tuff_update_params, name)
#define PENALTIES FLOAT_FIELD(weight_decay), FLOAT_FIELD(l1), FLOAT_FIELD(clip_value)
#define SHARED                                                                  \
    .params_size = sizeof(tuff_update_params), .infer = infer, .ref = ref,      \
    .units = elements, .cost = cost, .tol = { .f32 = 2e-6f }, .sample = { -1, 1 }, \
    .variants = { TUFF_KERNEL("texel", plan_texel),                             \
                  TUFF_KERNEL("fused", plan_fused),                             \
                  TUFF_KERNEL("plain", plan_plain) }

const tuff_op tuff_op_sgd = {
    .name = "sgd",
    .doc = "w -= lr g', where g' is g scaled, clipped and with the slopes of the penalties",
    .in = { READ_PORTS },
    .out = { WRITE_W },
    .params = { PENALTIES },
    .cases = TUFF_CASES("1 1 8", "61706 61706 8", "7x11x3 7x11x3 8 weight_decay=0.1",
                        "997 997 8 l1=0.25 clip_value=0.125", "70001 70001 8"),
    SHARED,
};

const tuff_op tuff_op_momentum = {
    .name = "momentum",
    .doc = "m = momentum m + g'; w -= lr m",
    .in = { READ_PORTS, READ_M },
    .out = { WRITE_W, WRITE_STATE("m", 0) },
    .params = { FLOAT_FIELD(momentum), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1", "61706 61706 8 61706", "7x11x3 7x11x3 8 7x11x3 momentum=0.5",
                        "997 997 8 997 weight_decay=0.1 l1=0.25 clip_value=0.125",
                        "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_nesterov = {
    .name = "nesterov",
    .doc = "m = momentum m + g'; w -= lr (g' + momentum m)",
    .in = { READ_PORTS, READ_M },
    .out = { WRITE_W, WRITE_STATE("m", 0) },
    .params = { FLOAT_FIELD(momentum), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 momentum=0.5",
                        "997 997 8 997 weight_decay=0.1 l1=0.25 clip_value=0.125",
                        "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_rmsprop = {
    .name = "rmsprop",
    .doc = "v = alpha v + (1 - alpha) g'^2; w -= lr g' / (sqrt(v) + eps)",
    .in = { READ_PORTS, READ_V },
    .out = { WRITE_W, WRITE_STATE("v", 0) },
    .params = { FLOAT_FIELD(alpha), FLOAT_FIELD(eps), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 alpha=0.5 eps=0.01",
                        "997 997 8 997 weight_decay=0.1 l1=0.25 clip_value=0.125",
                        "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_adam = {
    .name = "adam",
    .doc = "m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; "
           "w -= lr (m / bias1) / (sqrt(v / bias2) + eps)",
    .in = { READ_PORTS, READ_M, READ_V },
    .out = { WRITE_W, WRITE_STATE("m", 0), WRITE_STATE("v", 1) },
    .params = { FLOAT_FIELD(beta1), FLOAT_FIELD(beta2), FLOAT_FIELD(eps), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1 1", "61706 61706 8 61706 61706",
                        "7x11x3 7x11x3 8 7x11x3 7x11x3 beta1=0.5 beta2=0.75 eps=0.01",
                        "997 997 8 997 997 weight_decay=0.1 l1=0.25 clip_value=0.125",
                        "70001 70001 8 70001 70001"),
    SHARED,
};

const tuff_op tuff_op_adamw = {
    .name = "adamw",
    .doc = "adam, where w is first scaled by 1 - lr weight_decay and g' is without it",
    .in = { READ_PORTS, READ_M, READ_V },
    .out = { WRITE_W, WRITE_STATE("m", 0), WRITE_STATE("v", 1) },
    .params = { FLOAT_FIELD(beta1), FLOAT_FIELD(beta2), FLOAT_FIELD(eps), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1 1", "7x11x3 7x11x3 8 7x11x3 7x11x3 weight_decay=0.5",
                        "997 997 8 997 997 weight_decay=0.1 l1=0.25 clip_value=0.125",
                        "70001 70001 8 70001 70001"),
    SHARED,
};

tuff_status tuff_update(tuff_stream *s, const char *op, tuff_tensor *w, const tuff_tensor *g,
                        const tuff_tensor *hyper, tuff_tensor *m, tuff_tensor *v,
                        const tuff_update_params *p)
{
    const rule *rule = rule_of(op);
    TUFF_REQUIRE(rule, ARG, "update: there is no optimizer named '%s'", op);
    const tuff_tensor *in[FIRST_STATE + 2] = { w, g, hyper };
    tuff_tensor *out[3] = { w };
    int states = 0;
    for (int i = 0; i < 2; i++) {
        if (!(i ? rule->v : rule->m)) continue;
        in[FIRST_STATE + states] = out[1 + states] = i ? v : m;
        states++;
    }
    return tuff_run(s, tuff_op_find(op), in, FIRST_STATE + states, out, 1 + states, p);
}
