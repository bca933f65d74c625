// Building graphs; declared in <tuff/graph.h>.
#include "graph/graph.h"
#include "base/alloc.h"
#include <assert.h>
#include <string.h>

// ---- growing -----------------------------------------------------------------------------

// Makes room for one more element of an array; the graph's status tells of a failure.
static bool grow(tuff_graph *g, void **array, int count, int *room, size_t size)
{
    if (count < *room) return true;
    const int more = *room ? *room * 2 : 32;
    void *bigger = tuff_realloc(*array, (size_t)more, size);
    if (!bigger) {
        g->tape.status = TUFF_ERR_MEMORY;
        return false;
    }
    *array = bigger;
    *room = more;
    return true;
}

static int add_value(tuff_graph *g, tuff_value_kind kind, tuff_desc desc)
{
    if (!grow(g, (void **)&g->values, g->nvalues, &g->values_room, sizeof *g->values)) return 0;
    g->values[g->nvalues] = (tuff_value){ .kind = kind, .desc = desc };
    return g->nvalues++;
}

static tuff_step *add_step(tuff_graph *g)
{
    if (!grow(g, (void **)&g->steps, g->nsteps, &g->steps_room, sizeof *g->steps)) return NULL;
    g->steps[g->nsteps] = (tuff_step){ 0 };
    return &g->steps[g->nsteps++];
}

static void fail(tuff_graph *g, tuff_status status)
{
    if (g->tape.status == TUFF_OK) g->tape.status = status;
}

static bool valid(const tuff_graph *g, tuff_var v) { return v.id > 0 && v.id < g->nvalues; }

static bool check_var(tuff_graph *g, tuff_var v, const char *what)
{
    if (g->tape.status != TUFF_OK) return false;
    if (valid(g, v)) return true;
    fail(g, tuff_fail(TUFF_ERR_ARG, "graph: %s is no value of this graph", what));
    return false;
}

// ---- the tape ----------------------------------------------------------------------------

static bool fill_call(tuff_graph *g, tuff_call *c, const tuff_var in[])
{
    for (int i = 0; i < c->nin; i++) {
        if (tuff_var_null(in[i])) continue; // an absent optional input
        if (!check_var(g, in[i], "an input")) return false;
        c->in[i] = g->values[in[i].id].desc;
    }
    return true;
}

static bool copy_params(tuff_graph *g, tuff_step *s, const void *params)
{
    if (!s->op->params_size) return true;
    s->params = tuff_alloc(1, s->op->params_size);
    if (!s->params) {
        fail(g, TUFF_ERR_MEMORY);
        return false;
    }
    if (params) memcpy(s->params, params, s->op->params_size);
    return true;
}

static void emit(tuff_tape *t, const tuff_op *op, const tuff_var in[], int nin,
                 const void *params, tuff_var out[])
{
    tuff_graph *g = (tuff_graph *)t;
    tuff_call c = { .op = op, .nin = nin, .params = params };
    if (t->status != TUFF_OK) return;
    if (nin > TUFF_OP_IN) {
        fail(g, tuff_fail(TUFF_ERR_ARG, "%s: %d inputs were given", op->name, nin));
        return;
    }
    if (!fill_call(g, &c, in)) return;
    const tuff_status status = tuff_call_infer(&c);
    if (status != TUFF_OK) {
        fail(g, status);
        return;
    }
    tuff_step *s = add_step(g);
    if (!s) return;
    s->op = op;
    s->nin = nin;
    s->nout = c.nout;
    for (int i = 0; i < nin; i++) s->in[i] = in[i].id;
    if (!copy_params(g, s, params)) return;
    for (int i = 0; i < c.nout; i++) {
        s->out[i] = add_value(g, TUFF_VALUE_NODE, c.out[i]);
        out[i] = (tuff_var){ s->out[i] };
    }
}

static const tuff_desc *desc_of(tuff_tape *t, tuff_var v)
{
    static const tuff_desc none = { .dtype = TUFF_F32 };
    const tuff_graph *g = (const tuff_graph *)t;
    return valid(g, v) ? &g->values[v.id].desc : &none;
}

static tuff_var reshape(tuff_tape *t, tuff_var v, const tuff_desc *shape);

// A gradient rule of a user's is handed its tape as a graph (kernel/operator.c), on which it
// may append ops. The check's tape is no graph: nothing else may be done with it.
bool tuff_graph_whole(tuff_graph *g)
{
    if (g->tape.emit == emit) return true;
    fail(g, tuff_fail(TUFF_ERR_STATE, "graph: a gradient rule may append ops and reshapes and "
                                      "look at shapes, nothing else"));
    return false;
}

// ---- public ------------------------------------------------------------------------------

tuff_status tuff_graph_create(tuff_graph **graph)
{
    *graph = NULL;
    tuff_graph *g = tuff_alloc(1, sizeof *g);
    if (!g) return TUFF_ERR_MEMORY;
    g->tape = (tuff_tape){ .emit = emit, .desc = desc_of, .reshape = reshape };
    (void)add_value(g, TUFF_VALUE_CONSTANT, TUFF_SCALAR(TUFF_F32)); // number 0: none
    const tuff_status status = g->tape.status;
    if (status != TUFF_OK) tuff_graph_destroy(&g);
    *graph = g;
    return status;
}

void tuff_graph_destroy(tuff_graph **graph)
{
    if (!graph || !*graph) return;
    tuff_graph *g = *graph;
    for (int i = 0; i < g->nvalues; i++) {
        tuff_free(g->values[i].data);
        tuff_free(g->values[i].name);
        tuff_buffer_release(&g->values[i].bound.buffer);
    }
    for (int i = 0; i < g->nsteps; i++) {
        tuff_free(g->steps[i].params);
        tuff_buffer_release(&g->steps[i].store.buffer);
    }
    for (int i = 0; i < g->nchains; i++) {
        for (int k = 0; k < g->chains[i]->nsteps; k++)
            tuff_free((void *)g->chains[i]->step[k].params);
        tuff_free(g->chains[i]);
    }
    tuff_free(g->chains);
    tuff_free(g->values);
    tuff_free(g->steps);
    tuff_free(g);
    *graph = NULL;
}

tuff_status tuff_graph_status(const tuff_graph *graph) { return graph->tape.status; }

const tuff_desc *tuff_graph_desc(const tuff_graph *graph, tuff_var v)
{
    if (graph->tape.emit != emit) return graph->tape.desc((tuff_tape *)&graph->tape, v);
    return valid(graph, v) ? &graph->values[v.id].desc : NULL;
}

// A value of a kind that stands at no step; its name is copied.
static tuff_var leaf(tuff_graph *g, tuff_value_kind kind, const char *name, tuff_desc desc)
{
    if (g->tape.status != TUFF_OK || !tuff_graph_whole(g)) return (tuff_var){ 0 };
    const tuff_status status = tuff_desc_check(&desc);
    if (status != TUFF_OK) {
        fail(g, status);
        return (tuff_var){ 0 };
    }
    const int v = add_value(g, kind, desc);
    if (v && name && !(g->values[v].name = tuff_strdup(name))) fail(g, TUFF_ERR_MEMORY);
    return (tuff_var){ g->tape.status == TUFF_OK ? v : 0 };
}

tuff_var tuff_graph_input(tuff_graph *g, const char *name, tuff_desc desc)
{
    return leaf(g, TUFF_VALUE_INPUT, name, desc);
}

tuff_var tuff_graph_bind(tuff_graph *g, const char *name, tuff_tensor *tensor)
{
    if (!tensor) fail(g, tuff_fail(TUFF_ERR_ARG, "graph: the tensor to bind is NULL"));
    if (g->tape.status != TUFF_OK) return (tuff_var){ 0 };
    const tuff_var v = leaf(g, TUFF_VALUE_BOUND, name, tensor->desc);
    if (v.id) {
        g->values[v.id].bound = tuff_tensor_range(tensor);
        (void)tuff_buffer_retain(tensor->buffer);
    }
    return v;
}

tuff_var tuff_graph_constant(tuff_graph *g, tuff_desc desc, const void *data)
{
    if (!data) fail(g, tuff_fail(TUFF_ERR_ARG, "graph: a constant's data is NULL"));
    const tuff_var v = leaf(g, TUFF_VALUE_CONSTANT, NULL, desc);
    if (!v.id) return v;
    void *copy = tuff_alloc(1, tuff_desc_bytes(&desc));
    if (!copy) {
        fail(g, TUFF_ERR_MEMORY);
        return (tuff_var){ 0 };
    }
    memcpy(copy, data, tuff_desc_bytes(&desc));
    g->values[v.id].data = copy;
    return v;
}

void tuff_graph_record(tuff_graph *g, const tuff_op *op, const tuff_var *in, int nin,
                       const void *params, tuff_var *out, int nout)
{
    tuff_var all[TUFF_OP_OUT] = { { 0 } };
    g->tape.emit(&g->tape, op, in, nin, params, all);
    for (int i = 0; i < nout && i < TUFF_OP_OUT; i++) out[i] = all[i];
}

void tuff_graph_op_n(tuff_graph *g, const char *op, const tuff_var *in, int nin,
                     const void *params, tuff_var *out, int nout)
{
    for (int i = 0; i < nout; i++) out[i] = (tuff_var){ 0 };
    if (g->tape.status != TUFF_OK) return;
    const tuff_op *record = tuff_op_find(op);
    if (!record) {
        fail(g, tuff_fail(TUFF_ERR_ARG, "graph: there is no op named '%s'", op));
        return;
    }
    tuff_graph_record(g, record, in, nin, params, out, nout);
}

tuff_var tuff_graph_op(tuff_graph *g, const char *op, const tuff_var *in, int nin,
                       const void *params)
{
    tuff_var out;
    tuff_graph_op_n(g, op, in, nin, params, &out, 1);
    return out;
}

static tuff_var reshape(tuff_tape *t, tuff_var v, const tuff_desc *wanted)
{
    tuff_graph *g = (tuff_graph *)t;
    const tuff_desc shape = *wanted;
    if (!check_var(g, v, "what is reshaped")) return (tuff_var){ 0 };
    const tuff_desc *from = &g->values[v.id].desc;
    tuff_status status = tuff_desc_check(&shape);
    if (status == TUFF_OK &&
        (shape.dtype != from->dtype || tuff_desc_count(&shape) != tuff_desc_count(from))) {
        char a[96], b[96];
        status = tuff_fail(TUFF_ERR_SHAPE, "reshape: %s does not hold the elements of %s",
                           tuff_desc_print(&shape, a, sizeof a),
                           tuff_desc_print(from, b, sizeof b));
    }
    if (status != TUFF_OK) {
        fail(g, status);
        return (tuff_var){ 0 };
    }
    if (tuff_desc_equal(&shape, from)) return v;
    const int root = tuff_value_root(g, v.id);
    const int alias = add_value(g, TUFF_VALUE_ALIAS, shape);
    if (alias) g->values[alias].alias_of = root;
    return (tuff_var){ alias };
}

tuff_var tuff_graph_reshape(tuff_graph *g, tuff_var v, tuff_desc shape)
{
    return g->tape.reshape(&g->tape, v, &shape);
}

void tuff_graph_output(tuff_graph *g, const char *name, tuff_var v)
{
    if (!tuff_graph_whole(g) || !check_var(g, v, "an output")) return;
    tuff_value *root = &g->values[tuff_value_root(g, v.id)];
    root->output = true;
    if (!name || root->name) return;
    root->name = tuff_strdup(name);
    if (!root->name) fail(g, TUFF_ERR_MEMORY);
}

void tuff_graph_store(tuff_graph *g, tuff_var v, tuff_tensor *into)
{
    if (!tuff_graph_whole(g) || !check_var(g, v, "what is stored")) return;
    if (!into) {
        fail(g, tuff_fail(TUFF_ERR_ARG, "graph: the tensor to store into is NULL"));
        return;
    }
    const tuff_desc *from = &g->values[v.id].desc;
    if (from->dtype != into->desc.dtype ||
        tuff_desc_bytes(from) != tuff_desc_bytes(&into->desc)) {
        char a[96], b[96];
        fail(g, tuff_fail(TUFF_ERR_SHAPE, "store: %s does not fit a tensor of %s",
                          tuff_desc_print(from, a, sizeof a),
                          tuff_desc_print(&into->desc, b, sizeof b)));
        return;
    }
    const tuff_range to = tuff_tensor_range(into);
    const tuff_value *root = &g->values[tuff_value_root(g, v.id)];
    if (root->kind == TUFF_VALUE_BOUND && tuff_range_overlap(root->bound, to)) {
        if (root->bound.offset == to.offset) return; // it lies there already
        fail(g, tuff_fail(TUFF_ERR_ARG, "store: the value lies over a part of the tensor that "
                                        "it is stored into"));
        return;
    }
    tuff_step *s = add_step(g);
    if (!s) return;
    s->in[0] = v.id;
    s->nin = 1;
    s->store = to;
    (void)tuff_buffer_retain(into->buffer);
}

// ---- inside the room ---------------------------------------------------------------------

int tuff_value_root(const tuff_graph *g, int v)
{
    return g->values[v].kind == TUFF_VALUE_ALIAS ? g->values[v].alias_of : v;
}

bool tuff_graph_keep(tuff_graph *g, tuff_chain *c)
{
    if (!grow(g, (void **)&g->chains, g->nchains, &g->chains_room, sizeof *g->chains))
        return false;
    g->chains[g->nchains++] = c;
    return true;
}

tuff_call tuff_step_call(const tuff_graph *g, const tuff_step *s)
{
    static const unsigned char zero_params[512];
    tuff_call c = { .op = s->op, .nin = s->nin, .nout = s->nout,
                    .params = s->params ? s->params : (const void *)zero_params };
    for (int i = 0; i < s->nin; i++)
        if (s->in[i]) c.in[i] = g->values[s->in[i]].desc;
    for (int i = 0; i < s->nout; i++) c.out[i] = g->values[s->out[i]].desc;
    return c;
}

static tuff_status copy_value(tuff_value *to, const tuff_value *from)
{
    *to = *from;
    to->name = NULL;
    to->data = NULL;
    to->bound.buffer = from->bound.buffer ? tuff_buffer_retain(from->bound.buffer) : NULL;
    if (from->name && !(to->name = tuff_strdup(from->name))) return TUFF_ERR_MEMORY;
    if (!from->data) return TUFF_OK;
    const size_t bytes = tuff_desc_bytes(&from->desc);
    if (!(to->data = tuff_alloc(1, bytes))) return TUFF_ERR_MEMORY;
    memcpy(to->data, from->data, bytes);
    return TUFF_OK;
}

static tuff_status copy_step(tuff_step *to, const tuff_step *from)
{
    *to = *from;
    to->params = NULL;
    to->store.buffer = from->store.buffer ? tuff_buffer_retain(from->store.buffer) : NULL;
    if (!from->params) return TUFF_OK;
    if (!(to->params = tuff_alloc(1, from->op->params_size))) return TUFF_ERR_MEMORY;
    memcpy(to->params, from->params, from->op->params_size);
    return TUFF_OK;
}

tuff_status tuff_graph_copy(const tuff_graph *from, tuff_graph **copy)
{
    *copy = NULL;
    tuff_graph *g = tuff_alloc(1, sizeof *g);
    if (!g) return TUFF_ERR_MEMORY;
    g->tape = from->tape;
    g->values = tuff_alloc((size_t)from->nvalues, sizeof *g->values);
    g->steps = tuff_alloc((size_t)from->nsteps, sizeof *g->steps);
    tuff_status status = g->values && g->steps ? TUFF_OK : TUFF_ERR_MEMORY;
    g->values_room = from->nvalues;
    g->steps_room = from->nsteps;
    for (; status == TUFF_OK && g->nvalues < from->nvalues; g->nvalues++)
        status = copy_value(&g->values[g->nvalues], &from->values[g->nvalues]);
    for (; status == TUFF_OK && g->nsteps < from->nsteps; g->nsteps++)
        status = copy_step(&g->steps[g->nsteps], &from->steps[g->nsteps]);
    if (status != TUFF_OK) tuff_graph_destroy(&g);
    *copy = g;
    return status;
}
