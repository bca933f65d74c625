// What of a graph is the same in every run of a program: constants, bound tensors that nothing
// in the graph writes, and whatever is made of those alone.
#include "graph/program.h"
#include <string.h>

// Whether the graph stores into the buffer that a bound value lies in: to be told by its
// version whether a tensor was written, nothing else of the buffer may be.
static bool is_stored(const tuff_graph *g, const tuff_value *v)
{
    for (int s = 0; s < g->nsteps; s++)
        if (!g->steps[s].op && g->steps[s].store.buffer == v->bound.buffer) return true;
    return false;
}

// A graph without inputs has nothing that varies but bound tensors, which are then what its
// caller writes before each run.
static bool has_input(const tuff_graph *g)
{
    for (int v = 1; v < g->nvalues; v++)
        if (g->values[v].kind == TUFF_VALUE_INPUT) return true;
    return false;
}

static bool is_constant_step(const tuff_graph *g, const tuff_step *step, const bool *values)
{
    for (int i = 0; i < step->nin; i++)
        if (step->in[i] && !values[tuff_value_root(g, step->in[i])]) return false;
    return step->op && !step->op->own;
}

void tuff_graph_constants(const tuff_graph *g, bool *values, bool *steps)
{
    memset(values, 0, (size_t)g->nvalues * sizeof *values);
    if (steps) memset(steps, 0, (size_t)g->nsteps * sizeof *steps);
    if (!has_input(g)) return;
    for (int v = 1; v < g->nvalues; v++) {
        const tuff_value *value = &g->values[v];
        values[v] = value->kind == TUFF_VALUE_CONSTANT ||
                    (value->kind == TUFF_VALUE_BOUND && !is_stored(g, value));
    }
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_step *step = &g->steps[s];
        if (!is_constant_step(g, step, values)) continue;
        if (steps) steps[s] = true;
        for (int i = 0; i < step->nout; i++) values[step->out[i]] = true;
    }
}

tuff_call tuff_program_call(const tuff_program *p, int step)
{
    const tuff_step *s = &p->graph->steps[step];
    tuff_call c = tuff_step_call(p->graph, s);
    for (int i = 0; i < s->nin; i++)
        if (s->in[i] && p->constant[tuff_value_root(p->graph, s->in[i])])
            c.constant |= UINT32_C(1) << i;
    return c;
}
