// LSTM and GRU cells from their products on, and their gradients. The shader is
// shaders/cells.comp, whose table says what its steps read.
#include "ops/compose.h"
#include "abi/sequence.h"
#include <math.h>

// ---- shapes --------------------------------------------------------------------------------

// Input `at` must be [N, gates H] where input `state` is [N, H].
static tuff_status check_gates(const tuff_call *c, int at, int state, int gates)
{
    const tuff_desc *g = &c->in[at], *h = &c->in[state];
    char tg[96], th[96];
    TUFF_REQUIRE(h->rank == 2 && g->rank == 2 && g->dim[0] == h->dim[0] &&
                     g->dim[1] == gates * h->dim[1],
                 SHAPE, "%s is %s and %s is %s, expected [N, %d H] and [N, H]",
                 c->op->in[at].name, tuff_desc_print(g, tg, sizeof tg), c->op->in[state].name,
                 tuff_desc_print(h, th, sizeof th), gates);
    return TUFF_OK;
}

static tuff_status check_same(const tuff_call *c, int at, int state)
{
    const tuff_desc *g = &c->in[at], *h = &c->in[state];
    char tg[96], th[96];
    TUFF_REQUIRE(tuff_desc_equal(g, h), SHAPE, "%s is %s and %s is %s, they must be equal",
                 c->op->in[at].name, tuff_desc_print(g, tg, sizeof tg), c->op->in[state].name,
                 tuff_desc_print(h, th, sizeof th));
    return TUFF_OK;
}

static tuff_status lstm_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_gates(c, 0, 1, 4));
    out[0] = out[1] = c->in[1];
    return TUFF_OK;
}

static tuff_status lstm_grad_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_gates(c, 0, 1, 4));
    TUFF_TRY(check_same(c, 2, 1));
    TUFF_TRY(check_same(c, 3, 1));
    out[0] = c->in[0];
    out[1] = c->in[1];
    return TUFF_OK;
}

static tuff_status gru_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_gates(c, 0, 2, 3));
    TUFF_TRY(check_same(c, 1, 0));
    out[0] = c->in[2];
    return TUFF_OK;
}

static tuff_status gru_grad_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_gates(c, 0, 2, 3));
    TUFF_TRY(check_same(c, 1, 0));
    TUFF_TRY(check_same(c, 3, 2));
    out[0] = out[1] = c->in[0];
    out[2] = c->in[2];
    return TUFF_OK;
}

// ---- references: one number of a state a unit ----------------------------------------------

static size_t lstm_units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[1]); }
static size_t gru_units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[2]); }

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// Blocks of the gates: of an LSTM i, o, f, g; of a GRU z, r, n.
typedef struct order {
    size_t at[4];
} order;

static order lstm_order(const tuff_call *c)
{
    const tuff_lstm_params *p = c->params;
    return p->torch ? (order){ { 0, 3, 1, 2 } } : (order){ { 0, 1, 2, 3 } };
}

static order gru_order(const tuff_call *c)
{
    const tuff_gru_params *p = c->params;
    return p->torch ? (order){ { 1, 0, 2, 0 } } : (order){ { 0, 1, 2, 0 } };
}

// The place of gate `k` of the state's number i, of `gates` a row.
static size_t place(size_t i, size_t h, size_t gates, const order *o, int k)
{
    return i / h * gates * h + o->at[k] * h + i % h;
}

static void lstm_ref(const tuff_ref *r)
{
    const size_t h = (size_t)r->call->in[1].dim[1];
    const order o = lstm_order(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        double g[4];
        for (int k = 0; k < 4; k++) g[k] = (double)r->in[0][place(i, h, 4, &o, k)];
        const double c1 = sigmoid(g[2]) * (double)r->in[1][i] + sigmoid(g[0]) * tanh(g[3]);
        r->out[0][i] = (float)(sigmoid(g[1]) * tanh(c1));
        r->out[1][i] = (float)c1;
    }
}

static void lstm_grad_ref(const tuff_ref *r)
{
    const size_t h = (size_t)r->call->in[1].dim[1];
    const order o = lstm_order(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        double x[4], s[4], dx[4];
        for (int k = 0; k < 4; k++) x[k] = (double)r->in[0][place(i, h, 4, &o, k)];
        for (int k = 0; k < 3; k++) s[k] = sigmoid(x[k]);
        s[3] = tanh(x[3]);
        const double c = (double)r->in[1][i], dh = (double)r->in[2][i];
        const double t = tanh(s[2] * c + s[0] * s[3]);
        const double dc = (double)r->in[3][i] + dh * s[1] * (1 - t * t);
        dx[0] = dc * s[3] * s[0] * sigmoid(-x[0]);
        dx[1] = dh * t * s[1] * sigmoid(-x[1]);
        dx[2] = dc * c * s[2] * sigmoid(-x[2]);
        dx[3] = dc * s[0] * (1 - s[3] * s[3]);
        for (int k = 0; k < 4; k++) r->out[0][place(i, h, 4, &o, k)] = (float)dx[k];
        r->out[1][i] = (float)(dc * s[2]);
    }
}

typedef struct gru_state {
    double z, r, n, ghn;
} gru_state;

static gru_state gru_at(const tuff_ref *r, size_t i, size_t h, const order *o)
{
    double x[3], g[3];
    for (int k = 0; k < 3; k++) {
        x[k] = (double)r->in[0][place(i, h, 3, o, k)];
        g[k] = (double)r->in[1][place(i, h, 3, o, k)];
    }
    gru_state s = { .z = sigmoid(x[0] + g[0]), .r = sigmoid(x[1] + g[1]), .ghn = g[2] };
    s.n = tanh(x[2] + s.r * g[2]);
    return s;
}

static void gru_ref(const tuff_ref *r)
{
    const size_t h = (size_t)r->call->in[2].dim[1];
    const order o = gru_order(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        const gru_state s = gru_at(r, i, h, &o);
        r->out[0][i] = (float)((1 - s.z) * s.n + s.z * (double)r->in[2][i]);
    }
}

static void gru_grad_ref(const tuff_ref *r)
{
    const size_t h = (size_t)r->call->in[2].dim[1];
    const order o = gru_order(r->call);
    for (size_t i = r->begin; i < r->end; i++) {
        const gru_state s = gru_at(r, i, h, &o);
        const double dh = (double)r->in[3][i], state = (double)r->in[2][i];
        const double dz = dh * (state - s.n) * s.z * (1 - s.z);
        const double dn = dh * (1 - s.z) * (1 - s.n * s.n);
        const double dr = dn * s.ghn * s.r * (1 - s.r);
        const double dx[3] = { dz, dr, dn }, dg[3] = { dz, dr, dn * s.r };
        for (int k = 0; k < 3; k++) {
            r->out[0][place(i, h, 3, &o, k)] = (float)dx[k];
            r->out[1][place(i, h, 3, &o, k)] = (float)dg[k];
        }
        r->out[2][i] = (float)(dh * s.z);
    }
}

// ---- plans ---------------------------------------------------------------------------------

typedef struct bound {
    tuff_role role;
    int index;
} bound;
#define IN(i)      (bound){ TUFF_ROLE_IN, i }
#define OUT(i)     (bound){ TUFF_ROLE_OUT, i }
#define SCRATCH(i) (bound){ TUFF_ROLE_SCRATCH, i }

// One launch; d is read too where `update` is set.
static void add(const tuff_call *c, const tuff_caps *k, tuff_plan *p, uint32_t step, bound a,
                bound b, bound from, bound d, bool update)
{
    const bool lstm = step < TUFF_CELL_GRU;
    const tuff_desc *state = &c->in[lstm ? 1 : 2];
    const order o = lstm ? lstm_order(c) : gru_order(c);
    const uint32_t wg = tuff_group_size(k), h = (uint32_t)state->dim[1];
    tuff_dispatch *x = tuff_plan_add(p, TUFF_SHADER_cells);
    tuff_spec(x, wg);
    tuff_spec(x, step);
    tuff_bind(x, a.role, a.index, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(x, b.role, b.index, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(x, from.role, from.index, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(x, d.role, d.index, TUFF_BIND_STORAGE,
              update ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
    tuff_grid(x, ((uint64_t)tuff_desc_count(state) + wg - 1) / wg, k);
    const struct tuff_cell_pc pc = { (uint32_t)state->dim[0], h, (uint32_t)o.at[0] * h,
                                     (uint32_t)o.at[1] * h, (uint32_t)o.at[2] * h,
                                     (uint32_t)o.at[3] * h };
    TUFF_PUSH(x, pc);
}

static bool lstm_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    add(c, k, p, TUFF_CELL_LSTM, IN(0), IN(1), IN(0), OUT(0), false);
    add(c, k, p, TUFF_CELL_LSTM_C, IN(0), IN(1), IN(0), OUT(1), false);
    return true;
}

static bool lstm_grad_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    p->scratch[0] = p->scratch[1] = tuff_desc_bytes(&c->in[1]);
    add(c, k, p, TUFF_CELL_LSTM_TANH, IN(0), IN(1), IN(0), SCRATCH(0), false);
    add(c, k, p, TUFF_CELL_LSTM_DC, IN(0), SCRATCH(0), IN(2), SCRATCH(1), false);
    add(c, k, p, TUFF_CELL_LSTM_DO, IN(0), SCRATCH(0), IN(2), OUT(0), false);
    add(c, k, p, TUFF_CELL_ADD, IN(3), IN(3), IN(3), SCRATCH(1), true);
    add(c, k, p, TUFF_CELL_LSTM_DGATES, IN(0), IN(1), SCRATCH(1), OUT(0), false);
    add(c, k, p, TUFF_CELL_LSTM_BACK, IN(0), IN(0), SCRATCH(1), OUT(1), false);
    return true;
}

static bool gru_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    add(c, k, p, TUFF_CELL_GRU, IN(0), IN(1), IN(2), OUT(0), false);
    return true;
}

static bool gru_grad_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    p->scratch[0] = tuff_desc_bytes(&c->in[0]);
    add(c, k, p, TUFF_CELL_GRU_GATES, IN(0), IN(1), IN(0), SCRATCH(0), false);
    add(c, k, p, TUFF_CELL_GRU_DZ_DN, SCRATCH(0), IN(2), IN(3), OUT(0), false);
    add(c, k, p, TUFF_CELL_GRU_DR, SCRATCH(0), IN(1), IN(1), OUT(0), true);
    add(c, k, p, TUFF_CELL_GRU_DGH, SCRATCH(0), OUT(0), IN(1), OUT(1), false);
    add(c, k, p, TUFF_CELL_GRU_DH, SCRATCH(0), IN(1), IN(3), OUT(2), false);
    return true;
}

// ---- gradients -----------------------------------------------------------------------------

// A gradient that no one asked for is one of zeros.
static tuff_var or_zero(tuff_tape *t, tuff_var dy, tuff_var like)
{
    const tuff_affine_params none = { 0 };
    return tuff_var_null(dy) ? TUFF_V(t, &tuff_op_affine, &none, like) : dy;
}

static void lstm_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var in[] = { n->in[0], n->in[1], or_zero(t, dy[0], n->out[0]),
                            or_zero(t, dy[1], n->out[1]) };
    tuff_var out[TUFF_OP_OUT] = { { 0 } };
    t->emit(t, &tuff_op_lstm_cell_grad, in, 4, n->call.params, out);
    dx[0] = out[0];
    dx[1] = out[1];
}

static void gru_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var in[] = { n->in[0], n->in[1], n->in[2], dy[0] };
    tuff_var out[TUFF_OP_OUT] = { { 0 } };
    t->emit(t, &tuff_op_gru_cell_grad, in, 4, n->call.params, out);
    for (int i = 0; i < 3; i++) dx[i] = out[i];
}

// ---- records -------------------------------------------------------------------------------

#define PORT(name_) { .name = name_, .dtypes = TUFF_FLOATS }
#define LSTM_FIELDS                                                             \
    .params_size = sizeof(tuff_lstm_params),                                    \
    .params = { TUFF_BOOLEAN(tuff_lstm_params, torch) }
#define GRU_FIELDS                                                              \
    .params_size = sizeof(tuff_gru_params),                                     \
    .params = { TUFF_BOOLEAN(tuff_gru_params, torch) }
// A dozen operations on numbers below 4, each of them or of math.glsl within 3e-7.
#define JUDGED .tol = { .f32 = 2e-6f }, .sample = { -3, 3 }

const tuff_op tuff_op_lstm_cell = {
    .name = "lstm_cell",
    .doc = "c1 = sigmoid(f) c + sigmoid(i) tanh(g), h1 = sigmoid(o) tanh(c1)",
    .in = { PORT("gates"), PORT("c") }, .out = { PORT("h1"), PORT("c1") }, LSTM_FIELDS,
    .infer = lstm_infer, .ref = lstm_ref, .units = lstm_units, .grad = lstm_grad,
    .variants = { TUFF_KERNEL("plain", lstm_plan) }, JUDGED,
    .cases = TUFF_CASES("1x4 1x1", "5x28 5x7", "3x132 3x33 torch=1")
};

const tuff_op tuff_op_lstm_cell_grad = {
    .name = "lstm_cell_grad",
    .doc = "the gradients of lstm_cell by its gates and by c",
    .in = { PORT("gates"), PORT("c"), PORT("dh1"), PORT("dc1") },
    .out = { PORT("dgates"), PORT("dc") }, LSTM_FIELDS,
    .infer = lstm_grad_infer, .ref = lstm_grad_ref, .units = lstm_units,
    .variants = { TUFF_KERNEL("plain", lstm_grad_plan) }, JUDGED,
    .cases = TUFF_CASES("1x4 1x1 1x1 1x1", "5x28 5x7 5x7 5x7", "3x132 3x33 3x33 3x33 torch=1")
};

const tuff_op tuff_op_gru_cell = {
    .name = "gru_cell",
    .doc = "h1 = (1 - z) n + z h, n = tanh(gx_n + sigmoid(gx_r + gh_r) gh_n)",
    .in = { PORT("gx"), PORT("gh"), PORT("h") }, .out = { PORT("h1") }, GRU_FIELDS,
    .infer = gru_infer, .ref = gru_ref, .units = gru_units, .grad = gru_grad,
    .variants = { TUFF_KERNEL("plain", gru_plan) }, JUDGED,
    .cases = TUFF_CASES("1x3 1x3 1x1", "5x21 5x21 5x7", "3x99 3x99 3x33 torch=1")
};

const tuff_op tuff_op_gru_cell_grad = {
    .name = "gru_cell_grad",
    .doc = "the gradients of gru_cell by gx, gh and h",
    .in = { PORT("gx"), PORT("gh"), PORT("h"), PORT("dh1") },
    .out = { PORT("dgx"), PORT("dgh"), PORT("dh") }, GRU_FIELDS,
    .infer = gru_grad_infer, .ref = gru_grad_ref, .units = gru_units,
    .variants = { TUFF_KERNEL("plain", gru_grad_plan) }, JUDGED,
    .cases = TUFF_CASES("1x3 1x3 1x1 1x1", "5x21 5x21 5x7 5x7", "3x99 3x99 3x33 3x33 torch=1")
};

tuff_status tuff_lstm_cell(tuff_stream *s, const tuff_tensor *gates, const tuff_tensor *c,
                           tuff_tensor *h1, tuff_tensor *c1, const tuff_lstm_params *p)
{
    return tuff_run(s, &tuff_op_lstm_cell, TUFF_RUN_IN(gates, c), TUFF_RUN_OUT(h1, c1), p);
}

tuff_status tuff_lstm_cell_grad(tuff_stream *s, const tuff_tensor *gates, const tuff_tensor *c,
                                const tuff_tensor *dh1, const tuff_tensor *dc1,
                                tuff_tensor *dgates, tuff_tensor *dc, const tuff_lstm_params *p)
{
    return tuff_run(s, &tuff_op_lstm_cell_grad, TUFF_RUN_IN(gates, c, dh1, dc1),
                    TUFF_RUN_OUT(dgates, dc), p);
}

tuff_status tuff_gru_cell(tuff_stream *s, const tuff_tensor *gx, const tuff_tensor *gh,
                          const tuff_tensor *h, tuff_tensor *h1, const tuff_gru_params *p)
{
    return tuff_run(s, &tuff_op_gru_cell, TUFF_RUN_IN(gx, gh, h), TUFF_RUN_OUT(h1), p);
}

tuff_status tuff_gru_cell_grad(tuff_stream *s, const tuff_tensor *gx, const tuff_tensor *gh,
                               const tuff_tensor *h, const tuff_tensor *dh1, tuff_tensor *dgx,
                               tuff_tensor *dgh, tuff_tensor *dh, const tuff_gru_params *p)
{
    return tuff_run(s, &tuff_op_gru_cell_grad, TUFF_RUN_IN(gx, gh, h, dh1),
                    TUFF_RUN_OUT(dgx, dgh, dh), p);
}
