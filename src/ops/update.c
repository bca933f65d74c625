// What the optimizers share: their table, their checks, their plans. See update.h.
#include "ops/update.h"
#include "ops/cast.h"
#include <math.h>
#include <string.h>

// ---- the table -----------------------------------------------------------------------------

static const tuff_rule rules[] = {
    { "sgd", TUFF_UPDATE_SGD, .eps = 1e-8 },
    { "momentum", TUFF_UPDATE_MOMENTUM, .m = true, .momentum = 0.9 },
    { "nesterov", TUFF_UPDATE_NESTEROV, .m = true, .momentum = 0.9 },
    { "adagrad", TUFF_UPDATE_ADAGRAD, .v = true, .eps = 1e-10 },
    { "rmsprop", TUFF_UPDATE_RMSPROP, .v = true, .eps = 1e-8 },
    { "rmsprop_momentum", TUFF_UPDATE_RMSPROP_MOMENTUM, .m = true, .v = true, .momentum = 0.9,
      .eps = 1e-8 },
    { "rmsprop_centered", TUFF_UPDATE_RMSPROP_CENTERED, .m = true, .v = true, .x = true,
      .eps = 1e-8 },
    { "adam", TUFF_UPDATE_ADAM, .m = true, .v = true, .beta2 = 0.999, .eps = 1e-8 },
    { "adamw", TUFF_UPDATE_ADAM, .m = true, .v = true, .beta2 = 0.999, .eps = 1e-8,
      .decoupled = true },
    { "amsgrad", TUFF_UPDATE_AMSGRAD, .m = true, .v = true, .x = true, .beta2 = 0.999,
      .eps = 1e-8 },
    { "adamax", TUFF_UPDATE_ADAMAX, .m = true, .v = true, .beta2 = 0.999, .eps = 1e-8 },
    { "nadam", TUFF_UPDATE_NADAM, .m = true, .v = true, .beta2 = 0.999, .eps = 1e-8 },
    { "lion", TUFF_UPDATE_LION, .m = true, .beta2 = 0.99, .decoupled = true },
    { "lamb", TUFF_UPDATE_LAMB, .m = true, .v = true, .beta2 = 0.999, .eps = 1e-6,
      .decoupled = true },
};

const tuff_rule *tuff_rule_of(const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

// ---- params --------------------------------------------------------------------------------

tuff_rule_numbers tuff_rule_numbers_of(const tuff_rule *r, const tuff_update_params *p)
{
    const bool decoupled = r->decoupled || p->decoupled;
    return (tuff_rule_numbers){
        .momentum = tuff_number(p->momentum, r->momentum), .dampening = p->dampening,
        .alpha = tuff_number(p->alpha, 0.99), .beta1 = tuff_number(p->beta1, 0.9),
        .beta2 = tuff_number(p->beta2, r->beta2), .eps = tuff_number(p->eps, r->eps),
        .momentum_decay = tuff_number(p->momentum_decay, 0.004),
        .weight_decay = decoupled ? 0 : p->weight_decay,
        .decoupled = decoupled ? p->weight_decay : 0, .l1 = p->l1,
        .clip_value = p->clip_value,
    };
}

static tuff_status check_part(const char *name, float value)
{
    TUFF_REQUIRE(value >= 0 && value < 1, ARG,
                 "%s is %g, it must be at least 0 and below 1", name, (double)value);
    return TUFF_OK;
}

static tuff_status check_size(const char *name, float value)
{
    TUFF_REQUIRE(value >= 0 && value < HUGE_VALF, ARG, "%s is %g, it must be at least 0", name,
                 (double)value);
    return TUFF_OK;
}

static tuff_status check_params(const tuff_rule *r, const tuff_update_params *p)
{
    TUFF_TRY(check_part("momentum", p->momentum));
    TUFF_TRY(check_part("alpha", p->alpha));
    TUFF_TRY(check_part("beta1", p->beta1));
    TUFF_TRY(check_part("beta2", p->beta2));
    TUFF_TRY(check_size("eps", p->eps));
    TUFF_TRY(check_size("momentum_decay", p->momentum_decay));
    TUFF_TRY(check_size("weight_decay", p->weight_decay));
    TUFF_TRY(check_size("l1", p->l1));
    TUFF_TRY(check_size("clip_value", p->clip_value));
    TUFF_REQUIRE(p->dampening >= 0 && p->dampening <= 1, ARG,
                 "dampening is %g, it must be from 0 to 1", (double)p->dampening);
    TUFF_REQUIRE(p->dampening == 0 || r->op == TUFF_UPDATE_MOMENTUM ||
                     r->op == TUFF_UPDATE_NESTEROV,
                 ARG, "dampening is %g, only momentum and nesterov take one",
                 (double)p->dampening);
    TUFF_REQUIRE(p->copy == 0 || p->copy == TUFF_F16 || p->copy == TUFF_BF16, DTYPE,
                 "copy is %s, it must be f16 or bf16", tuff_dtype_name((tuff_dtype)p->copy));
    return TUFF_OK;
}

tuff_status tuff_update_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_rule *rule = tuff_rule_of(c->op->name);
    TUFF_TRY(check_params(rule, c->params));
    const tuff_desc hyper = TUFF_SHAPE(TUFF_F32, 8), *w = &c->in[TUFF_UPDATE_IN_W];
    const int starts = TUFF_UPDATE_IN_STATE + tuff_rule_states(rule);
    char want[96], got[96];
    for (int i = 1; i < starts; i++) {
        const tuff_desc *like = i == TUFF_UPDATE_IN_HYPER ? &hyper : w;
        TUFF_REQUIRE(tuff_desc_equal(&c->in[i], like), SHAPE, "%s must be %s, it is %s",
                     c->op->in[i].name, tuff_desc_print(like, want, sizeof want),
                     tuff_desc_print(&c->in[i], got, sizeof got));
    }
    TUFF_REQUIRE(c->nin <= starts || c->in[starts].rank == 1, SHAPE,
                 "starts must have one dim, it is %s",
                 tuff_desc_print(&c->in[starts], got, sizeof got));
    const int copy = 1 + tuff_rule_states(rule);
    for (int i = 0; i <= copy; i++) out[i] = *w;
    out[copy].dtype = tuff_update_copy(c); // 0: it is left out
    return TUFF_OK;
}

tuff_dtype tuff_update_copy(const tuff_call *c)
{
    return (tuff_dtype)((const tuff_update_params *)c->params)->copy;
}

size_t tuff_update_elements(const tuff_call *c)
{
    return (size_t)tuff_desc_count(&c->in[TUFF_UPDATE_IN_W]);
}

tuff_cost tuff_update_cost(const tuff_call *c)
{
    const double n = (double)tuff_update_elements(c);
    const int states = tuff_rule_states(tuff_rule_of(c->op->name));
    return (tuff_cost){ .flops = n * (4 + 6 * states),
                        .bytes = n * (12 + 8 * states + (tuff_update_copy(c) ? 2 : 0)) };
}

// ---- plans ---------------------------------------------------------------------------------

struct tuff_update_pc tuff_update_pc_of(const tuff_call *c, const tuff_rule *rule)
{
    const tuff_rule_numbers n = tuff_rule_numbers_of(rule, c->params);
    const bool lion = rule->op == TUFF_UPDATE_LION;
    // Without betas, m is a sum that decays; with them, a mean.
    const bool mean = rule->beta2 != 0;
    const double keep_m = lion ? n.beta2 : mean ? n.beta1 : n.momentum;
    const double keep_v = lion ? n.beta1 : mean ? n.beta2 : n.alpha;
    return (struct tuff_update_pc){
        .count = (uint32_t)tuff_update_elements(c),
        .keep_m = (float)keep_m, .add_m = (float)(mean ? 1 - keep_m : 1 - n.dampening),
        .keep_v = (float)keep_v, .add_v = (float)(1 - keep_v),
        .eps = (float)n.eps, .weight_decay = (float)n.weight_decay,
        .decoupled = (float)n.decoupled, .l1 = (float)n.l1, .clip_value = (float)n.clip_value,
    };
}

// `option`: what the shader's third constant says; -1: it has none. `step`: elements of an
// invocation.
static void launch(tuff_dispatch *d, const tuff_call *c, const tuff_rule *rule, int option,
                   uint32_t step, const tuff_caps *k)
{
    const struct tuff_update_pc pc = tuff_update_pc_of(c, rule);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_spec(d, wg);
    tuff_spec(d, rule->op);
    if (option >= 0) tuff_spec(d, (uint32_t)option);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (pc.count + (uint64_t)wg * step - 1) / (wg * step), k);
}

static void bind_hyper(tuff_dispatch *d)
{
    tuff_bind(d, TUFF_ROLE_IN, TUFF_UPDATE_IN_HYPER, TUFF_BIND_TEXEL_F32, TUFF_READ);
}

// What becomes of w: the output, or Lamb's direction, for which there is scratch.
static void bind_result(tuff_dispatch *d, const tuff_call *c, const tuff_rule *rule,
                        tuff_plan *p)
{
    const bool lamb = rule->op == TUFF_UPDATE_LAMB;
    if (lamb) p->scratch[TUFF_UPDATE_DIRECTION] = tuff_desc_bytes(&c->in[TUFF_UPDATE_IN_W]);
    tuff_bind(d, lamb ? TUFF_ROLE_SCRATCH : TUFF_ROLE_OUT, lamb ? TUFF_UPDATE_DIRECTION : 0,
              TUFF_BIND_STORAGE, TUFF_WRITE);
}

typedef enum way { STORAGE, COPYING, TEXEL } way;

static void one_pass(const tuff_call *c, way way, const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[3][4] = {
        { TUFF_SHADER_update_0, TUFF_SHADER_update_1, TUFF_SHADER_update_2,
          TUFF_SHADER_update_3 },
        { TUFF_SHADER_update_0_copy, TUFF_SHADER_update_1_copy, TUFF_SHADER_update_2_copy,
          TUFF_SHADER_update_3_copy },
        { TUFF_SHADER_update_0_texel, TUFF_SHADER_update_1_texel, TUFF_SHADER_update_2_texel,
          TUFF_SHADER_update_3_texel },
    };
    const tuff_rule *rule = tuff_rule_of(c->op->name);
    const int states = tuff_rule_states(rule);
    const bool wide = way == TEXEL && tuff_update_elements(c) % 4 == 0;
    const tuff_bind_kind kind = wide           ? TUFF_BIND_TEXEL_F32X4
                              : way == TEXEL ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(p, shaders[way][states]);
    tuff_bind(d, TUFF_ROLE_IN, TUFF_UPDATE_IN_W, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, TUFF_UPDATE_IN_G, kind, TUFF_READ);
    bind_hyper(d);
    bind_result(d, c, rule, p);
    for (int i = 0; i < states; i++) {
        tuff_bind(d, TUFF_ROLE_IN, TUFF_UPDATE_IN_STATE + i, kind, TUFF_READ);
        tuff_bind_out(d, 1 + i);
    }
    if (way == COPYING) tuff_bind_out(d, c->nout - 1);
    launch(d, c, rule, way == COPYING ? tuff_update_copy(c) == TUFF_BF16
                                      : way == TEXEL ? wide : -1,
           way == COPYING ? 2 : wide ? 4 : 1, k);
}

bool tuff_update_add_copy(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!tuff_update_copy(c)) return true;
    const tuff_slot from = { .role = TUFF_ROLE_OUT };
    const tuff_slot to = { .role = TUFF_ROLE_OUT, .index = (uint8_t)(c->nout - 1) };
    return tuff_cast_add(k, p, &c->out[0], from, &c->out[c->nout - 1], to, false);
}

// Lamb's w is written later, and then its copy.
static bool copy_of_w(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const bool later = tuff_rule_of(c->op->name)->op == TUFF_UPDATE_LAMB;
    return later || tuff_update_add_copy(c, k, p);
}

bool tuff_update_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t written = 1 + (uint32_t)tuff_rule_states(tuff_rule_of(c->op->name));
    const uint32_t texel = tuff_update_elements(c) % 4 == 0 ? 16 : 4;
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[TUFF_UPDATE_IN_W], texel) ||
        k->storage_buffers < written)
        return false;
    one_pass(c, TEXEL, k, p);
    return copy_of_w(c, k, p);
}

bool tuff_update_fused(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_rule *rule = tuff_rule_of(c->op->name);
    const bool copy = tuff_update_copy(c) && rule->op != TUFF_UPDATE_LAMB;
    const uint32_t states = (uint32_t)tuff_rule_states(rule);
    if (k->storage_buffers < 3 + 2 * states + copy) return false;
    one_pass(c, copy ? COPYING : STORAGE, k, p);
    return true;
}

// ---- in parts ------------------------------------------------------------------------------

// g' lies in scratch 0; the ratio or the numerator in scratch 1.
enum { GRADIENT, MADE };

typedef struct place {
    tuff_role role;
    int index;
} place;

typedef struct parts {
    const tuff_call *c;
    const tuff_rule *rule;
    const tuff_caps *k;
    tuff_plan *p;
    size_t bytes;
} parts;

static place in(int i) { return (place){ TUFF_ROLE_IN, i }; }
static place out(int i) { return (place){ TUFF_ROLE_OUT, i }; }

static place scratch(const parts *s, int i)
{
    s->p->scratch[i] = s->bytes;
    return (place){ TUFF_ROLE_SCRATCH, i };
}

static void bind(tuff_dispatch *d, place at, int access)
{
    tuff_bind(d, at.role, at.index, TUFF_BIND_STORAGE, access);
}

static void add(const parts *s, int part, place a, place b, place c, place to)
{
    tuff_dispatch *d = tuff_plan_add(s->p, TUFF_SHADER_update_split);
    bind_hyper(d);
    bind(d, a, TUFF_READ);
    bind(d, b, TUFF_READ);
    bind(d, c, TUFF_READ);
    bind(d, to, TUFF_WRITE);
    launch(d, s->c, s->rule, part, 1, s->k);
}

bool tuff_update_split(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_rule *rule = tuff_rule_of(c->op->name);
    const parts s = { c, rule, k, p, tuff_desc_bytes(&c->in[TUFF_UPDATE_IN_W]) };
    const uint32_t op = rule->op;
    // Places of the states among the inputs and outputs.
    const int m = 0, v = rule->m, x = rule->m + rule->v;
    const place w = in(TUFF_UPDATE_IN_W), g = scratch(&s, GRADIENT);
    const place new_m = out(1 + m), new_v = out(1 + v), new_x = out(1 + x);
    const place old_m = in(TUFF_UPDATE_IN_STATE + m);
    place grows = g, step = rule->m ? new_m : g;
    add(&s, TUFF_UPDATE_GRADIENT, w, in(TUFF_UPDATE_IN_G), w, g);
    if (rule->v) add(&s, TUFF_UPDATE_V, g, in(TUFF_UPDATE_IN_STATE + v), g, new_v);
    if (rule->x)
        add(&s, TUFF_UPDATE_X, op == TUFF_UPDATE_AMSGRAD ? new_v : g,
            in(TUFF_UPDATE_IN_STATE + x), g, new_x);
    if (op == TUFF_UPDATE_RMSPROP_MOMENTUM || op == TUFF_UPDATE_RMSPROP_CENTERED) {
        grows = scratch(&s, MADE);
        add(&s, TUFF_UPDATE_RATIO, g, new_v, rule->x ? new_x : new_v, grows);
    }
    if (op == TUFF_UPDATE_LION)
        add(&s, TUFF_UPDATE_NUMERATOR, g, old_m, g, step = scratch(&s, MADE));
    if (rule->m) add(&s, TUFF_UPDATE_M, grows, old_m, grows, new_m);
    if (op == TUFF_UPDATE_NESTEROV || op == TUFF_UPDATE_NADAM)
        add(&s, TUFF_UPDATE_NUMERATOR, g, new_m, g, step = scratch(&s, MADE));
    const place under = op == TUFF_UPDATE_AMSGRAD ? new_x : rule->v ? new_v : step;
    const bool lamb = op == TUFF_UPDATE_LAMB;
    add(&s, TUFF_UPDATE_W, w, step, under, lamb ? scratch(&s, TUFF_UPDATE_DIRECTION) : out(0));
    return copy_of_w(c, k, p);
}

// ---- public --------------------------------------------------------------------------------

static double nadam_mu(const tuff_rule_numbers *n, double t)
{
    return n->beta1 * (1 - 0.5 * pow(0.96, t * n->momentum_decay));
}

// The product of mu(1) to mu(t), or 0 when it is far below what f32 sees beside 1.
static double nadam_product(const tuff_rule_numbers *n, int64_t t)
{
    double p = 1;
    for (int64_t i = 1; i <= t && p > 1e-20; i++) p *= nadam_mu(n, (double)i);
    return p > 1e-20 ? p : 0;
}

void tuff_update_hyper(const char *op, const tuff_update_params *p, double lr, int64_t step,
                       float hyper[8])
{
    static const tuff_update_params none;
    const tuff_rule *rule = tuff_rule_of(op);
    const tuff_rule_numbers n = tuff_rule_numbers_of(rule ? rule : &rules[0], p ? p : &none);
    const double t = (double)step + 1;
    double bias1 = 1 - pow(n.beta1, t), first = step == 0;
    if (rule && rule->op == TUFF_UPDATE_NADAM) {
        const double mu = nadam_mu(&n, t), next = nadam_mu(&n, t + 1);
        const double product = nadam_product(&n, step + 1);
        first = (1 - mu) / (1 - product);
        bias1 = next > 0 ? (1 - product * next) / next : HUGE_VAL;
    }
    memset(hyper, 0, 8 * sizeof *hyper);
    hyper[TUFF_HYPER_LR] = (float)lr;
    hyper[TUFF_HYPER_BIAS1] = (float)bias1;
    hyper[TUFF_HYPER_BIAS2] = (float)(1 - pow(n.beta2, t));
    hyper[TUFF_HYPER_SCALE] = 1;
    hyper[TUFF_HYPER_FIRST] = (float)first;
}

tuff_status tuff_update(tuff_stream *s, const char *op, tuff_tensor *w, const tuff_tensor *g,
                        const tuff_tensor *hyper, const tuff_update_tensors *t,
                        const tuff_update_params *p)
{
    static const tuff_update_tensors none;
    const tuff_rule *rule = tuff_rule_of(op);
    TUFF_REQUIRE(rule, ARG, "update: there is no optimizer named '%.64s'", op);
    if (!t) t = &none;
    const tuff_tensor *from[TUFF_UPDATE_IN_STATE + 4] = { w, g, hyper };
    tuff_tensor *to[5] = { w };
    tuff_tensor *const state[] = { rule->m ? t->m : NULL, rule->v ? t->v : NULL,
                                   rule->x ? t->x : NULL };
    const bool has[] = { rule->m, rule->v, rule->x };
    int n = 0;
    for (int i = 0; i < 3; i++)
        if (has[i]) {
            from[TUFF_UPDATE_IN_STATE + n] = to[1 + n] = state[i];
            n++;
        }
    int nin = TUFF_UPDATE_IN_STATE + n;
    if (rule->op == TUFF_UPDATE_LAMB) from[nin++] = t->starts;
    if (p && p->copy) to[1 + n++] = t->copy;
    return tuff_run(s, tuff_op_find(op), from, nin, to, 1 + n, p);
}
