// Layers that work on sequences: samples of T positions with D numbers each.
#include "base/alloc.h"
#include "base/status.h"
#include "nn/layers.h"
#include <string.h>

enum { JOINED = 6 }; // inputs of one concat here

static tuff_status want_sequence(const tuff_layer *l, const tuff_desc *x)
{
    char text[96];
    TUFF_REQUIRE(x->rank == 2, SHAPE,
                 "%s takes samples of positions x numbers, it is given %s", l->kind->name,
                 tuff_sample_print(x, text, sizeof text));
    return TUFF_OK;
}

// ---- embedding -----------------------------------------------------------------------------

enum { EMBEDDING_COUNT, EMBEDDING_WIDTH };

static tuff_status embedding_params(const tuff_layer *l, const tuff_desc *x,
                                    tuff_layer_params *p)
{
    TUFF_TRY(tuff_want_row(l, x));
    tuff_add_param(p, "weight", TUFF_PARAM_NORMAL,
                   TUFF_SHAPE(TUFF_F32, l->arg[EMBEDDING_COUNT][0],
                              l->arg[EMBEDDING_WIDTH][0]));
    return TUFF_OK;
}

// Samples are f32; whole numbers up to 2^24 are exact in it.
static tuff_var embedding_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                  int n, const tuff_var param[])
{
    (void)l, (void)n;
    const tuff_cast_params whole = { .to = TUFF_I32 };
    const tuff_var in[] = { param[0], tuff_graph_op(e->g, "cast", x, 1, &whole) };
    const tuff_gather_params rows = { .axis = 1 };
    return tuff_graph_op(e->g, "gather", in, 2, &rows);
}

// ---- attention -----------------------------------------------------------------------------

enum { ATTENTION_HEADS, ATTENTION_CAUSAL, ATTENTION_BIAS };

static tuff_status attention_params(const tuff_layer *l, const tuff_desc *x,
                                    tuff_layer_params *p)
{
    TUFF_TRY(want_sequence(l, x));
    const int64_t d = x->dim[1], heads = l->arg[ATTENTION_HEADS][0];
    TUFF_REQUIRE(d % heads == 0, SHAPE, "%lld heads divide not the %lld numbers of a position",
                 (long long)heads, (long long)d);
    tuff_add_param(p, "in_proj_weight", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, 3 * d, d));
    if (l->arg[ATTENTION_BIAS][0])
        tuff_add_param(p, "in_proj_bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, 3 * d));
    tuff_add_param(p, "out_proj.weight", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, d, d));
    if (l->arg[ATTENTION_BIAS][0])
        tuff_add_param(p, "out_proj.bias", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, d));
    return TUFF_OK;
}

static tuff_var dense(tuff_graph *g, tuff_var x, const tuff_var param[], bool bias)
{
    const tuff_var in[] = { x, param[0], param[bias ? 1 : 0] };
    return tuff_graph_op(g, "matmul", in, bias ? 3 : 2,
                         &(tuff_matmul_params){ .trans_b = true });
}

// Part number `i` of three of [N, T, 3D], as [N, heads, T, D / heads].
static tuff_var head_part(tuff_graph *g, tuff_var x, int i, int64_t heads)
{
    if (!x.id) return x;
    tuff_desc d = *tuff_graph_desc(g, x);
    const int64_t width = d.dim[2] / 3;
    tuff_slice_params cut = { .starts = { 0, 0, (int)(width * i) },
                              .ends = { 0, 0, i < 2 ? (int)(width * (i + 1)) : 0 } };
    const tuff_transpose_params swap = { .perm = { 0, 2, 1, 3 } };
    tuff_var part = tuff_graph_op(g, "slice", &x, 1, &cut);
    part = tuff_graph_reshape(g, part, TUFF_SHAPE(d.dtype, d.dim[0], d.dim[1], heads,
                                                  width / heads));
    return tuff_graph_op(g, "transpose", &part, 1, &swap);
}

static tuff_var attention_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                                  int n, const tuff_var param[])
{
    (void)n;
    const bool bias = l->arg[ATTENTION_BIAS][0];
    const int64_t heads = l->arg[ATTENTION_HEADS][0];
    const tuff_var all = dense(e->g, x[0], param, bias);
    tuff_var qkv[3];
    for (int i = 0; i < 3; i++) qkv[i] = head_part(e->g, all, i, heads);
    const tuff_attention_params p = { .causal = l->arg[ATTENTION_CAUSAL][0] };
    tuff_var y = tuff_graph_op(e->g, "attention", qkv, 3, &p);
    const tuff_transpose_params swap = { .perm = { 0, 2, 1, 3 } };
    y = tuff_graph_op(e->g, "transpose", &y, 1, &swap);
    if (!y.id) return y;
    y = tuff_graph_reshape(e->g, y, *tuff_graph_desc(e->g, x[0]));
    return dense(e->g, y, param + (bias ? 2 : 1), bias);
}

// ---- recurrent layers ----------------------------------------------------------------------

enum { CELL_UNITS, CELL_SEQUENCES };

static tuff_status cell_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p,
                               int64_t gates)
{
    TUFF_TRY(want_sequence(l, x));
    const int64_t h = l->arg[CELL_UNITS][0];
    tuff_add_param(p, "weight_ih_l0", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, gates * h,
                                                                    x->dim[1]));
    tuff_add_param(p, "weight_hh_l0", TUFF_PARAM_WEIGHT, TUFF_SHAPE(TUFF_F32, gates * h, h));
    tuff_add_param(p, "bias_ih_l0", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, gates * h));
    tuff_add_param(p, "bias_hh_l0", TUFF_PARAM_BIAS, TUFF_SHAPE(TUFF_F32, gates * h));
    return TUFF_OK;
}

static tuff_status lstm_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    return cell_params(l, x, p, 4);
}

static tuff_status gru_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    return cell_params(l, x, p, 3);
}

// Zeros of [N, H].
static tuff_var zeros(tuff_graph *g, int64_t n, int64_t h)
{
    float *host = tuff_alloc((size_t)(n * h), sizeof *host);
    if (!host) {
        g->tape.status = TUFF_ERR_MEMORY;
        return (tuff_var){ 0 };
    }
    const tuff_var v = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, n, h), host);
    tuff_free(host);
    return v;
}

// Step `t` of [N, T, W], as [N, W].
static tuff_var step_of(tuff_graph *g, tuff_var x, int t)
{
    if (tuff_graph_status(g) != TUFF_OK) return (tuff_var){ 0 };
    const tuff_desc d = *tuff_graph_desc(g, x);
    const tuff_slice_params cut = { .starts = { 0, t },
                                    .ends = { 0, t + 1 < d.dim[1] ? t + 1 : 0 } };
    return tuff_graph_reshape(g, tuff_graph_op(g, "slice", &x, 1, &cut),
                              TUFF_SHAPE(TUFF_F32, d.dim[0], d.dim[2]));
}

// The states of all steps, [N, H] each, as [N, T, H]; a concat takes so many at once.
static tuff_var joined(tuff_graph *g, tuff_var *state, int count)
{
    const tuff_concat_params along = { .axis = 1 };
    for (int i = 0; i < count && tuff_graph_status(g) == TUFF_OK; i++) {
        const tuff_desc d = *tuff_graph_desc(g, state[i]);
        state[i] = tuff_graph_reshape(g, state[i], TUFF_SHAPE(TUFF_F32, d.dim[0], 1, d.dim[1]));
    }
    while (count > 1) {
        int n = 0;
        for (int i = 0; i < count; i += JOINED) {
            const int some = count - i < JOINED ? count - i : JOINED;
            state[n++] = some == 1 ? state[i]
                                   : tuff_graph_op(g, "concat", state + i, some, &along);
        }
        count = n;
    }
    return state[0];
}

// One step from [N, W] and the states; PyTorch's order of gates.
static void cell_step(tuff_graph *g, tuff_var x, tuff_var *h, tuff_var *c,
                      const tuff_var param[], bool lstm)
{
    const tuff_var hidden = dense(g, *h, (tuff_var[]){ param[1], param[3] }, true);
    if (lstm) {
        const tuff_lstm_params p = { .torch = true };
        const tuff_var gates = tuff_graph_op(g, "add", (tuff_var[]){ x, hidden }, 2, NULL);
        tuff_var out[2];
        tuff_graph_op_n(g, "lstm_cell", (tuff_var[]){ gates, *c }, 2, &p, out, 2);
        *h = out[0];
        *c = out[1];
    } else {
        const tuff_gru_params p = { .torch = true };
        *h = tuff_graph_op(g, "gru_cell", (tuff_var[]){ x, hidden, *h }, 3, &p);
    }
}

// The inputs' products of all steps are one; then step by step.
static tuff_var cells_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[],
                              int n, const tuff_var param[])
{
    (void)n;
    tuff_graph *g = e->g;
    if (!x[0].id) return x[0];
    const tuff_desc d = *tuff_graph_desc(g, x[0]);
    const int steps = (int)d.dim[1];
    const bool lstm = strcmp(l->kind->name, "lstm") == 0;
    const tuff_var all = dense(g, x[0], (tuff_var[]){ param[0], param[2] }, true);
    tuff_var h = zeros(g, d.dim[0], l->arg[CELL_UNITS][0]), c = h;
    tuff_var *state = tuff_alloc((size_t)steps, sizeof *state);
    if (!state) g->tape.status = TUFF_ERR_MEMORY;
    for (int t = 0; t < steps && tuff_graph_status(g) == TUFF_OK; t++) {
        cell_step(g, step_of(g, all, t), &h, &c, param, lstm);
        state[t] = h;
    }
    if (l->arg[CELL_SEQUENCES][0] && tuff_graph_status(g) == TUFF_OK)
        h = joined(g, state, steps);
    tuff_free(state);
    return h;
}

// ---- norms of a position -------------------------------------------------------------------

static tuff_status norm_params(const tuff_desc *x, tuff_layer_params *p, bool bias)
{
    const tuff_desc last = TUFF_SHAPE(TUFF_F32, x->dim[x->rank - 1]);
    tuff_add_param(p, "weight", TUFF_PARAM_ONES, last);
    if (bias) tuff_add_param(p, "bias", TUFF_PARAM_ZEROS, last);
    return TUFF_OK;
}

static tuff_status ln_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    return norm_params(x, p, true);
}

static tuff_status rms_params(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    (void)l;
    return norm_params(x, p, false);
}

// ln and rms: the op of the record, whose first output is the layer's.
static tuff_var norm_forward(const tuff_emit *e, const tuff_layer *l, const tuff_var x[], int n,
                             const tuff_var param[])
{
    (void)n;
    const bool bias = strcmp(l->kind->name, "ln") == 0;
    const tuff_layer_norm_params p = { .epsilon = tuff_or_zero((double)l->real[0]) };
    const tuff_var in[] = { x[0], param[0], param[1] };
    tuff_var out[3];
    tuff_graph_op_n(e->g, l->kind->op, in, bias ? 3 : 2, &p, out, bias ? 3 : 2);
    return out[0];
}

const tuff_layer_kind tuff_layers_row[] = {
    { .name = "embedding",
      .usage = "embedding COUNT WIDTH",
      .doc = "A row of WIDTH numbers for each of T whole numbers below COUNT.",
      .arg = { PLACE("COUNT", TUFF_ARG_INT, WIDEST), PLACE("WIDTH", TUFF_ARG_INT, WIDEST) },
      .params = embedding_params, .forward = embedding_forward },
    { .name = "attention",
      .usage = "attention HEADS [causal=no] [bias=yes]",
      .doc = "Self attention over T positions with HEADS heads; causal looks back alone.",
      .arg = { PLACE("HEADS", TUFF_ARG_INT, LONGEST), SWITCH("causal", 0), SWITCH("bias", 1) },
      .params = attention_params, .forward = attention_forward },
    { .name = "ln",
      .usage = "ln [eps=1e-05]",
      .doc = "Layer norm over the last dimension, with a weight and a bias a number.",
      .arg = { REAL("eps", 1e-12f, 1, 1e-5f) },
      .params = ln_params, .forward = norm_forward, .op = "layer_norm" },
    { .name = "rms",
      .usage = "rms [eps=1e-05]",
      .doc = "Root mean square norm over the last dimension, with a weight a number.",
      .arg = { REAL("eps", 1e-12f, 1, 1e-5f) },
      .params = rms_params, .forward = norm_forward, .op = "rms_norm" },
    { .name = "lstm", .wide = true,
      .usage = "lstm UNITS [sequences=no]",
      .doc = "An LSTM over T positions: its last state, or with sequences=yes every one.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), SWITCH("sequences", 0) },
      .params = lstm_params, .forward = cells_forward },
    { .name = "gru", .wide = true,
      .usage = "gru UNITS [sequences=no]",
      .doc = "A GRU over T positions: its last state, or with sequences=yes every one.",
      .arg = { PLACE("UNITS", TUFF_ARG_INT, WIDEST), SWITCH("sequences", 0) },
      .params = gru_params, .forward = cells_forward },
    { .name = NULL }
};
