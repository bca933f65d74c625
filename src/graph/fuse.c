// What a program changes in its copy of a graph before it is planned: steps that nothing
// needs go, and elementwise epilogues move into the op that produces their input.
//
//   matmul -> add b -> relu        becomes   matmul(bias = b, act = relu)
//   conv2d -> add x                becomes   conv2d(residual = x)
//
// Whether an op takes an epilogue, and where, its record says (tuff_op.fuse).
#include "graph/graph.h"
#include "base/alloc.h"
#include <string.h>

// ---- dropping ------------------------------------------------------------------------------

static void release_step(tuff_step *s)
{
    tuff_free(s->params);
    tuff_buffer_release(&s->store.buffer);
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
        release_step(step);
        memmove(step, step + 1, (size_t)(g->nsteps - 1 - s) * sizeof *step);
        g->nsteps--;
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
    release_step(e);
    memmove(e, e + 1, (size_t)(g->nsteps - 1 - at) * sizeof *e);
    g->nsteps--;
    return true;
}

int tuff_graph_fuse(tuff_graph *g)
{
    int fused = 0;
    for (int s = 0; s < g->nsteps; s++)
        while (fuse_into(g, s)) fused++;
    return fused;
}
