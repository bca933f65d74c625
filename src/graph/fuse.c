// What a program changes in its copy of a graph before it is planned: steps that nothing
// needs go, and elementwise epilogues move into the op that produces their input.
//
//   matmul -> add b -> relu        becomes   matmul(bias = b, act = relu)
//   conv2d -> add x                becomes   conv2d(residual = x)
//   conv2d(w) -> batch_norm        becomes   conv2d(w f, bias = b - mean f), f being
//                                            scale / sqrt(var + epsilon)
//
// The last where w and what the batch_norm reads are leaves that do not change from run to
// run: f and what is made of it are then computed once.
//
// Whether an op takes an epilogue, and where, its record says (tuff_op.fuse).
#include "graph/graph.h"
#include "base/alloc.h"
#include <float.h>
#include <math.h>
#include <string.h>

// ---- dropping ------------------------------------------------------------------------------

static void release_step(tuff_step *s)
{
    tuff_free(s->params);
    tuff_buffer_release(&s->store.buffer);
}

static void remove_step(tuff_graph *g, int at)
{
    tuff_step *e = &g->steps[at];
    release_step(e);
    memmove(e, e + 1, (size_t)(g->nsteps - 1 - at) * sizeof *e);
    g->nsteps--;
}

tuff_status tuff_graph_drop(tuff_graph *g)
{
    bool *used = tuff_alloc((size_t)g->nvalues, sizeof *used);
    if (!used) return TUFF_ERR_MEMORY;
    for (int v = 1; v < g->nvalues; v++) used[v] = g->values[v].output;
    for (int s = g->nsteps - 1; s >= 0; s--) {
        tuff_step *step = &g->steps[s];
        bool keep = !step->op;
        for (int i = 0; step->op && i < step->nout; i++) keep |= used[step->out[i]];
        for (int i = 0; keep && i < step->nin; i++)
            if (step->in[i]) used[tuff_value_root(g, step->in[i])] = true;
        if (keep) continue;
        remove_step(g, s);
    }
    tuff_free(used);
    return TUFF_OK;
}

// ---- fusing --------------------------------------------------------------------------------

// The only step that reads v's memory, or -1 when there are several, an output, or a store.
static int only_reader(const tuff_graph *g, int v)
{
    int reader = -1;
    if (g->values[v].output) return -1;
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; i < g->steps[s].nin; i++) {
            if (!g->steps[s].in[i] || tuff_value_root(g, g->steps[s].in[i]) != v) continue;
            if (reader >= 0 || !g->steps[s].op || g->steps[s].in[i] != v) return -1;
            reader = s;
        }
    return reader;
}

bool tuff_value_stands(const tuff_graph *g, int v, int early, int late)
{
    const int root = tuff_value_root(g, v);
    const tuff_value *value = &g->values[root];
    for (int s = early; s < late; s++) {
        for (int i = 0; i < g->steps[s].nout; i++)
            if (g->steps[s].out[i] == root) return false;
        if (value->kind == TUFF_VALUE_BOUND && !g->steps[s].op &&
            tuff_range_overlap(g->steps[s].store, value->bound))
            return false;
    }
    return true;
}

static int act_of(const tuff_op *op)
{
    return strcmp(op->name, "relu") == 0      ? TUFF_ACT_RELU
           : strcmp(op->name, "sigmoid") == 0 ? TUFF_ACT_SIGMOID
           : strcmp(op->name, "tanh") == 0    ? TUFF_ACT_TANH
                                              : TUFF_ACT_NONE;
}

static int *act_at(const tuff_step *s) { return (int *)((char *)s->params + s->op->fuse.act); }

// True when b, added to y, runs along y's bias axis only: [.., C, 1, 1] with ones elsewhere.
static bool is_bias(const tuff_desc *y, const tuff_desc *b, int axis)
{
    if (axis >= y->rank) return false;
    const int64_t channels = y->dim[y->rank - 1 - axis];
    if (b->rank > y->rank || b->rank <= axis || tuff_desc_count(b) != channels) return false;
    return b->dim[b->rank - 1 - axis] == channels;
}

static void set_input(tuff_step *s, int port, int v)
{
    s->in[port] = v;
    if (s->nin <= port) s->nin = port + 1;
}

static bool fuse_add(tuff_graph *g, tuff_step *p, int s, int at, int other)
{
    const tuff_desc *y = &g->values[p->out[0]].desc, *b = &g->values[other].desc;
    const bool has_residual = p->op->fuse.residual && p->nin > p->op->fuse.residual &&
                              p->in[p->op->fuse.residual];
    const bool has_bias = p->op->fuse.bias && p->nin > p->op->fuse.bias &&
                          p->in[p->op->fuse.bias];
    if (!tuff_value_stands(g, other, s, at)) return false;
    if (p->op->fuse.bias && !has_bias && is_bias(y, b, p->op->fuse.bias_axis)) {
        const tuff_var flat = tuff_graph_reshape(
            g, (tuff_var){ other }, TUFF_SHAPE(b->dtype, tuff_desc_count(b)));
        if (tuff_var_null(flat)) return false;
        set_input(p, p->op->fuse.bias, flat.id);
        return true;
    }
    if (p->op->fuse.residual && !has_residual && tuff_desc_equal(y, b)) {
        set_input(p, p->op->fuse.residual, other);
        return true;
    }
    return false;
}

// Moves what reads step s's output into s, when it is an epilogue that s takes.
static bool fuse_into(tuff_graph *g, int s)
{
    tuff_step *p = &g->steps[s];
    if (!p->op || !p->op->fuse.act || *act_at(p) != TUFF_ACT_NONE) return false;
    const int at = only_reader(g, p->out[0]);
    if (at < 0) return false;
    tuff_step *e = &g->steps[at];
    bool fused = false;
    if (act_of(e->op)) {
        *act_at(p) = act_of(e->op);
        fused = true;
    } else if (strcmp(e->op->name, "add") == 0 &&
               tuff_desc_equal(&g->values[e->out[0]].desc, &g->values[p->out[0]].desc)) {
        fused = fuse_add(g, p, s, at, e->in[e->in[0] == p->out[0]]);
    }
    if (!fused) return false;
    p->out[0] = e->out[0];
    remove_step(g, at);
    return true;
}

// ---- folding -------------------------------------------------------------------------------

enum { BN_X, BN_SCALE, BN_B, BN_MEAN, BN_VAR, BN_INPUTS };

static bool is_fixed_leaf(const tuff_graph *g, int v, const bool *constant)
{
    const int root = tuff_value_root(g, v);
    return g->values[root].kind != TUFF_VALUE_NODE && constant[root] &&
           g->values[root].desc.dtype == TUFF_F32;
}

// The batch_norm that may go into step s, or -1.
static int norm_behind(const tuff_graph *g, int s, const bool *constant)
{
    const tuff_step *p = &g->steps[s];
    if (!p->op || !p->op->fuse.weight) return -1;
    const int bias = p->op->fuse.bias, residual = p->op->fuse.residual;
    if (*act_at(p) != TUFF_ACT_NONE || (p->nin > residual && p->in[residual])) return -1;
    if (!is_fixed_leaf(g, p->in[p->op->fuse.weight], constant)) return -1;
    if (p->nin > bias && p->in[bias] && !is_fixed_leaf(g, p->in[bias], constant)) return -1;
    const int at = only_reader(g, p->out[0]);
    if (at < 0 || strcmp(g->steps[at].op->name, "batch_norm") != 0) return -1;
    const tuff_step *norm = &g->steps[at];
    for (int i = BN_SCALE; i < BN_INPUTS; i++)
        if (!is_fixed_leaf(g, norm->in[i], constant)) return -1;
    return norm->in[BN_X] == p->out[0] ? at : -1;
}

static tuff_var pair(tuff_graph *g, const char *op, tuff_var a, tuff_var b)
{
    return tuff_graph_op(g, op, (tuff_var[]){ a, b }, 2, NULL);
}

// The weight and the bias of step s with a batch_norm in them; their steps are appended.
static void emit_folded(tuff_graph *g, const tuff_step *p, const tuff_step *norm,
                        tuff_var *weight, tuff_var *bias)
{
    const tuff_batch_norm_params *params = norm->params;
    const float epsilon = fmaxf((float)tuff_number(params->epsilon, 1e-5), FLT_MIN);
    tuff_var in[BN_INPUTS];
    for (int i = BN_SCALE; i < BN_INPUTS; i++) in[i] = (tuff_var){ norm->in[i] };
    const tuff_var w = { p->in[p->op->fuse.weight] };
    const bool has_bias = p->nin > p->op->fuse.bias && p->in[p->op->fuse.bias];
    tuff_var f = pair(g, "add", in[BN_VAR],
                      tuff_graph_constant(g, TUFF_SCALAR(TUFF_F32), &epsilon));
    f = pair(g, "div", in[BN_SCALE], tuff_graph_op(g, "sqrt", &f, 1, NULL));
    tuff_var mean = in[BN_MEAN];
    if (has_bias) mean = pair(g, "sub", mean, (tuff_var){ p->in[p->op->fuse.bias] });
    *bias = pair(g, "sub", in[BN_B], pair(g, "mul", mean, f));
    tuff_desc rows = *tuff_graph_desc(g, w);
    for (int i = 1; i < rows.rank; i++) rows.dim[i] = 1;
    *weight = pair(g, "mul", w, tuff_graph_reshape(g, f, rows));
}

// Moves the steps from `first` on in front of step s.
static void move_steps(tuff_graph *g, int first, int s)
{
    for (int i = first; i < g->nsteps; i++, s++) {
        const tuff_step step = g->steps[i];
        memmove(g->steps + s + 1, g->steps + s, (size_t)(i - s) * sizeof step);
        g->steps[s] = step;
    }
}

int tuff_graph_fold(tuff_graph *g)
{
    int folded = 0;
    bool *constant = tuff_alloc((size_t)g->nvalues, sizeof *constant);
    if (!constant) {
        g->tape.status = TUFF_ERR_MEMORY;
        return 0;
    }
    tuff_graph_constants(g, constant, NULL);
    for (int s = 0; s < g->nsteps && g->tape.status == TUFF_OK; s++) {
        const int at = norm_behind(g, s, constant);
        if (at < 0) continue;
        const tuff_step conv = g->steps[s], norm = g->steps[at]; // emitting moves the array
        const int first = g->nsteps;
        tuff_var weight, bias;
        emit_folded(g, &conv, &norm, &weight, &bias);
        if (g->tape.status != TUFF_OK) break;
        set_input(&g->steps[s], conv.op->fuse.weight, weight.id);
        set_input(&g->steps[s], conv.op->fuse.bias, bias.id);
        g->steps[s].out[0] = norm.out[0];
        move_steps(g, first, s);
        s += g->nsteps - first; // the convolution again
        remove_step(g, at + g->nsteps - first);
        folded++;
    }
    tuff_free(constant);
    return folded;
}

int tuff_graph_fuse(tuff_graph *g)
{
    int fused = 0;
    for (int s = 0; s < g->nsteps; s++)
        while (fuse_into(g, s)) fused++;
    return fused;
}
