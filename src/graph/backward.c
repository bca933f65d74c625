// Reverse-mode gradients: each op's own rule, applied from the loss back to the leaves.
//
// grad[v] is the gradient of the loss by value v, always of v's root's shape: an alias shows
// the same elements, so its gradient is the root's under another shape. Contributions of
// several readers are added in the order in which they are met, which is fixed: the same
// graph gives the same bits.
#include "graph/graph.h"
#include "base/alloc.h"
#include <string.h>

typedef struct pass {
    tuff_graph *g;
    tuff_var *grad; // by root value
    bool *needed;   // by root value: some wrt lies upstream
    tuff_slope_fn slope;
    void *user;
} pass;

// Marks every value that depends on one of wrt[].
static void mark_needed(pass *p, const tuff_var *wrt, int n, int steps)
{
    tuff_graph *g = p->g;
    for (int i = 0; i < n; i++) p->needed[tuff_value_root(g, wrt[i].id)] = true;
    for (int s = 0; s < steps; s++) {
        const tuff_step *step = &g->steps[s];
        bool any = false;
        for (int i = 0; step->op && i < step->nin; i++)
            any |= step->in[i] && !step->op->in[i].no_grad &&
                   p->needed[tuff_value_root(g, step->in[i])];
        for (int i = 0; any && i < step->nout; i++) p->needed[step->out[i]] = true;
    }
}

static void contribute(pass *p, int value, tuff_var dx)
{
    tuff_graph *g = p->g;
    const int root = tuff_value_root(g, value);
    if (tuff_var_null(dx) || !p->needed[root]) return;
    dx = tuff_graph_reshape(g, dx, g->values[root].desc);
    if (tuff_var_null(p->grad[root])) {
        p->grad[root] = dx;
        return;
    }
    p->grad[root] = tuff_graph_op(g, "add", (tuff_var[]){ p->grad[root], dx }, 2, NULL);
}

// Applies the rule of one step whose outputs have gradients.
static void apply(pass *p, int s)
{
    tuff_graph *g = p->g;
    const tuff_step step = g->steps[s]; // a copy: emitting moves the array
    tuff_var dy[TUFF_OP_OUT] = { { 0 } }, dx[TUFF_OP_IN] = { { 0 } };
    bool any = false;
    for (int i = 0; i < step.nout; i++) {
        dy[i] = p->grad[step.out[i]];
        if (p->slope && !tuff_var_null(dy[i]))
            dy[i] = p->slope(p->user, g, (tuff_var){ step.out[i] }, dy[i]);
        any |= !tuff_var_null(dy[i]);
    }
    if (!any || g->tape.status != TUFF_OK) return;
    if (!step.op->grad) {
        g->tape.status = tuff_fail(TUFF_ERR_UNSUPPORTED, "backward: %s has no gradient",
                                   step.op->name);
        return;
    }
    tuff_node node = { .call = tuff_step_call(g, &step) };
    for (int i = 0; i < step.nin; i++) node.in[i] = (tuff_var){ step.in[i] };
    for (int i = 0; i < step.nout; i++) node.out[i] = (tuff_var){ step.out[i] };
    step.op->grad(&g->tape, &node, dy, dx);
    for (int i = 0; i < step.nin; i++)
        if (step.in[i] && !step.op->in[i].no_grad) contribute(p, step.in[i], dx[i]);
}

static bool check(tuff_graph *g, tuff_var loss, const tuff_var *wrt, int n)
{
    if (g->tape.status != TUFF_OK || !tuff_graph_whole(g)) return false;
    bool fine = loss.id > 0 && loss.id < g->nvalues;
    for (int i = 0; i < n; i++) fine &= wrt[i].id > 0 && wrt[i].id < g->nvalues;
    if (!fine)
        g->tape.status = tuff_fail(TUFF_ERR_ARG, "backward: a value is none of this graph");
    else if (tuff_desc_count(&g->values[loss.id].desc) != 1)
        g->tape.status = tuff_fail(TUFF_ERR_SHAPE, "backward: the loss has %lld elements, it "
                                   "must have one",
                                   (long long)tuff_desc_count(&g->values[loss.id].desc));
    return g->tape.status == TUFF_OK;
}

void tuff_graph_backward(tuff_graph *g, tuff_var loss, const tuff_var *wrt, int n,
                         tuff_var *grads)
{
    tuff_graph_backward_by(g, loss, wrt, n, grads, NULL, NULL);
}

void tuff_graph_backward_by(tuff_graph *g, tuff_var loss, const tuff_var *wrt, int n,
                            tuff_var *grads, tuff_slope_fn slope, void *user)
{
    memset(grads, 0, (size_t)n * sizeof *grads);
    if (!check(g, loss, wrt, n)) return;
    const int values = g->nvalues, steps = g->nsteps;
    pass p = { g, tuff_alloc((size_t)values, sizeof *p.grad),
               tuff_alloc((size_t)values, sizeof *p.needed), slope, user };
    if (!p.grad || !p.needed) {
        g->tape.status = TUFF_ERR_MEMORY;
        goto exit;
    }
    mark_needed(&p, wrt, n, steps);
    const float one = 1;
    const int root = tuff_value_root(g, loss.id);
    p.grad[root] = tuff_graph_constant(g, g->values[root].desc, &one);
    for (int s = steps - 1; s >= 0 && g->tape.status == TUFF_OK; s--) {
        bool reach = false;
        const tuff_step *step = &g->steps[s];
        for (int i = 0; step->op && i < step->nout; i++) reach |= p.needed[step->out[i]];
        if (reach) apply(&p, s);
    }
    for (int i = 0; i < n && g->tape.status == TUFF_OK; i++) {
        const tuff_var d = p.grad[tuff_value_root(g, wrt[i].id)];
        if (!tuff_var_null(d)) grads[i] = tuff_graph_reshape(g, d, g->values[wrt[i].id].desc);
    }
exit:
    tuff_free(p.grad);
    tuff_free(p.needed);
}
