// Elementwise steps that become one kernel (ops/chain.h), in a program's own copy of a graph.
//
//   s1  t = mul(a, b)                        s1  (nothing)
//   s2  c = conv2d(x, w)          becomes    s2  c = conv2d(x, w)
//   s3  u = add(t, c)                        s4  u, y = chain(a, b, c)
//   s4  y = relu(u)                          s5  ... reads u
//   s5  ... reads u
//
// A chain runs where its last step stood. Steps join one after another, each with the chains
// that make its operands, as long as nobody could tell: what a chain gives is read by nothing
// before that place, and what it reads is still the same there. Nor may more memory be held on
// to than is let go.
#include "base/alloc.h"
#include "base/text.h"
#include "graph/graph.h"
#include <stdlib.h>
#include <string.h>

typedef struct group {
    int step[TUFF_CHAIN_STEPS]; // ascending
    int n;
    int64_t count; // elements
} group;

typedef struct finder {
    tuff_graph *g;
    const tuff_caps *caps;
    group *group;    // by its last step
    int *group_of;   // by step; -1: none
    int *producer;   // by root value: a step, or -1
    int *first;      // by root value: its readers are readers[first[v] .. first[v + 1] - 1]
    int *readers;
    bool *constant;  // by step: it gives the same at every run
} finder;

// ---- readers -------------------------------------------------------------------------------

static int root_in(const finder *f, int s, int i)
{
    const int v = f->g->steps[s].in[i];
    return v ? tuff_value_root(f->g, v) : 0;
}

static tuff_status find_readers(finder *f)
{
    const tuff_graph *g = f->g;
    int total = 0;
    for (int s = 0; s < g->nsteps; s++) total += g->steps[s].nin;
    f->group = tuff_alloc((size_t)g->nsteps + 1, sizeof *f->group);
    f->group_of = tuff_alloc((size_t)g->nsteps + 1, sizeof *f->group_of);
    f->producer = tuff_alloc((size_t)g->nvalues, sizeof *f->producer);
    f->first = tuff_alloc((size_t)g->nvalues + 1, sizeof *f->first);
    f->readers = tuff_alloc((size_t)total + 1, sizeof *f->readers);
    f->constant = tuff_alloc((size_t)g->nsteps + 1, sizeof *f->constant);
    bool *values = tuff_alloc((size_t)g->nvalues, sizeof *values);
    if (values && f->constant) tuff_graph_constants(g, values, f->constant);
    const bool there = values && f->constant && f->group && f->group_of && f->producer;
    tuff_free(values);
    if (!there || !f->first || !f->readers) return TUFF_ERR_MEMORY;
    for (int v = 0; v < g->nvalues; v++) f->producer[v] = -1;
    for (int s = 0; s < g->nsteps; s++) {
        f->group_of[s] = -1;
        for (int o = 0; o < g->steps[s].nout; o++) f->producer[g->steps[s].out[o]] = s;
        for (int i = 0; i < g->steps[s].nin; i++) f->first[root_in(f, s, i) + 1]++;
    }
    for (int v = 0; v < g->nvalues; v++) f->first[v + 1] += f->first[v];
    // Filled from behind, so that each list ends where the next one begins.
    int *end = tuff_alloc((size_t)g->nvalues, sizeof *end);
    if (!end) return TUFF_ERR_MEMORY;
    memcpy(end, f->first, (size_t)g->nvalues * sizeof *end);
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; i < g->steps[s].nin; i++) f->readers[end[root_in(f, s, i)]++] = s;
    tuff_free(end);
    return TUFF_OK;
}

static bool holds(const group *u, int s)
{
    for (int i = 0; i < u->n; i++)
        if (u->step[i] == s) return true;
    return false;
}

static bool leaves(const finder *f, const group *u, int v)
{
    if (f->g->values[v].output) return true;
    for (int r = f->first[v]; r < f->first[v + 1]; r++)
        if (!holds(u, f->readers[r])) return true;
    return false;
}

// ---- a group as a chain --------------------------------------------------------------------

// The shape that an operand is repeated in: a batch norm's are a channel's values.
static tuff_desc operand_desc(const finder *f, int s, int i)
{
    const tuff_step *step = &f->g->steps[s];
    tuff_desc x = f->g->values[step->in[i]].desc;
    if (step->op != &tuff_op_batch_norm || i == 0) return x;
    const int rank = f->g->values[step->in[0]].desc.rank;
    for (int d = 1; d < rank - 1; d++) x.dim[d] = 1;
    x.rank = rank - 1;
    return x;
}

// The number of an input of the chain, a new one where there is none such; -1: too many.
static int input_of(const finder *f, tuff_chain *c, tuff_step *node, int s, int i)
{
    const tuff_desc x = operand_desc(f, s, i);
    const tuff_desc *y = &f->g->values[f->g->steps[s].out[0]].desc;
    const bool same = tuff_desc_count(&x) == tuff_desc_count(y);
    for (int k = 0; k < c->nin; k++) {
        if (tuff_value_root(f->g, node->in[k]) != root_in(f, s, i)) continue;
        if (same ? tuff_desc_count(&c->x[k]) == tuff_desc_count(&x)
                 : tuff_desc_equal(&c->x[k], &x) && tuff_desc_equal(&c->over[k], y))
            return k;
    }
    if (c->nin == TUFF_CHAIN_IN) return -1;
    c->x[c->nin] = x;
    c->over[c->nin] = *y;
    node->in[c->nin] = f->g->steps[s].in[i];
    return c->nin++;
}

static bool add_step(const finder *f, const group *u, tuff_chain *c, tuff_step *node, int s)
{
    const tuff_step *step = &f->g->steps[s];
    tuff_chain_step *to = &c->step[c->nsteps++];
    *to = (tuff_chain_step){ .op = step->op, .params = step->params, .nin = step->nin,
                             .y = f->g->values[step->out[0]].desc };
    for (int i = 0; i < step->nin; i++) {
        to->in[i] = -1;
        if (!step->in[i]) continue;
        const int made = f->producer[root_in(f, s, i)];
        for (int k = 0; made >= 0 && k < u->n; k++)
            if (u->step[k] == made) to->in[i] = TUFF_CHAIN_STEP_0 + k;
        if (to->in[i] < 0) to->in[i] = input_of(f, c, node, s, i);
        if (to->in[i] < 0) return false;
    }
    return true;
}

// Fills a chain and the node that it will be. False where there are too many inputs or outputs.
static bool make_chain(const finder *f, const group *u, tuff_chain *c, tuff_step *node)
{
    *c = (tuff_chain){ .nsteps = 0 };
    *node = (tuff_step){ .op = &c->op };
    for (int k = 0; k < u->n; k++)
        if (!add_step(f, u, c, node, u->step[k])) return false;
    for (int k = 0; k < u->n; k++) {
        const int v = f->g->steps[u->step[k]].out[0];
        if (!leaves(f, u, v)) continue;
        if (c->nout == TUFF_CHAIN_OUT) return false;
        node->out[c->nout] = v;
        c->out[c->nout++] = k;
    }
    node->nin = c->nin;
    node->nout = c->nout;
    return c->nin > 0 && tuff_chain_fits(c, f->caps);
}

// ---- joining -------------------------------------------------------------------------------

// Whether the steps of `u` may wait until the last of them.
static bool may_wait(const finder *f, const group *u)
{
    const int last = u->step[u->n - 1];
    for (int k = 0; k < u->n - 1; k++) {
        const tuff_step *step = &f->g->steps[u->step[k]];
        const int v = step->out[0];
        for (int r = f->first[v]; r < f->first[v + 1]; r++)
            if (f->readers[r] < last && !holds(u, f->readers[r])) return false;
        for (int i = 0; i < step->nin; i++)
            if (step->in[i] && !tuff_value_stands(f->g, step->in[i], u->step[k], last))
                return false;
    }
    return true;
}

// Whether something else happens between the steps.
static bool has_gap(const finder *f, const group *u)
{
    for (int s = u->step[0] + 1; s < u->step[u->n - 1]; s++)
        if (f->g->steps[s].op && !holds(u, s)) return true;
    return false;
}

// Values that live longer when the steps wait, against those that are no more.
static bool frees_memory(const finder *f, const group *u, const tuff_chain *c,
                         const tuff_step *node)
{
    const int last = u->step[u->n - 1];
    int held = 0, gone = u->n - c->nout;
    for (int i = 0; i < c->nin; i++) {
        const int v = tuff_value_root(f->g, node->in[i]);
        const bool large = 2 * tuff_desc_count(&c->x[i]) > u->count;
        const bool own = f->g->values[v].kind == TUFF_VALUE_NODE && !f->g->values[v].output;
        int later = -1;
        for (int r = f->first[v]; r < f->first[v + 1]; r++)
            if (f->readers[r] > later) later = f->readers[r];
        held += own && large && holds(u, later) && later < last;
    }
    return held <= gone || !has_gap(f, u);
}

static void unite(const group *a, const group *b, group *u)
{
    int i = 0, j = 0;
    for (u->n = 0; i < a->n || j < b->n;)
        u->step[u->n++] = j == b->n || (i < a->n && a->step[i] < b->step[j]) ? a->step[i++]
                                                                             : b->step[j++];
    u->count = a->count;
}

// Joins the chain that step `made` is of to that of step s.
static bool join(finder *f, int made, int s)
{
    const int from = f->group_of[made];
    tuff_chain c;
    tuff_step node;
    group u;
    if (from == s) return true;
    const group *a = &f->group[from], *b = &f->group[s];
    if (a->count != b->count || a->n + b->n > TUFF_CHAIN_STEPS) return false;
    if (f->constant[made] != f->constant[s]) return false; // those are done once
    unite(a, b, &u);
    if (!may_wait(f, &u) || !make_chain(f, &u, &c, &node)) return false;
    if (!frees_memory(f, &u, &c, &node)) return false;
    f->group[from].n = 0;
    f->group[s] = u;
    for (int k = 0; k < u.n; k++) f->group_of[u.step[k]] = s;
    return true;
}

// The step of a chain that gives operand i of s, or -1.
static int chained(const finder *f, int s, int i)
{
    const int v = root_in(f, s, i), made = v ? f->producer[v] : -1;
    return made >= 0 && f->group_of[made] >= 0 ? made : -1;
}

// Whether all that read a comparison's result may be of its chain.
static bool read_inside(const finder *f, int v)
{
    for (int r = f->first[v]; r < f->first[v + 1]; r++) {
        const tuff_op *op = f->g->steps[f->readers[r]].op;
        if (op != &tuff_op_where && op != &tuff_op_cast) return false;
    }
    return !f->g->values[v].output;
}

static void join_operands(finder *f, int s)
{
    const tuff_step *step = &f->g->steps[s];
    const tuff_call c = tuff_step_call(f->g, step);
    if (!tuff_chain_takes(&c, f->caps)) return;
    const bool cond = c.in[0].dtype == TUFF_BOOL; // chains have bool inside alone
    if (cond && chained(f, s, 0) < 0) return;
    if (c.out[0].dtype == TUFF_BOOL && !read_inside(f, step->out[0])) return;
    f->group[s] = (group){ { s }, 1, tuff_desc_count(&c.out[0]) };
    f->group_of[s] = s;
    for (int i = 0; i < step->nin; i++) {
        const int made = chained(f, s, i);
        if (made < 0 || join(f, made, s) || i > 0 || !cond) continue;
        f->group_of[s] = -1;
        f->group[s].n = 0;
        return;
    }
}

// ---- replacing -----------------------------------------------------------------------------

// The input that an output is best written over: where it is stored, or one that is no more.
static int alias_of(const finder *f, const tuff_chain *c, const tuff_step *node, int o,
                    int last, const bool taken[])
{
    const tuff_graph *g = f->g;
    int best = -1;
    for (int i = 0; i < c->nin; i++) {
        const int x = tuff_value_root(g, node->in[i]), y = node->out[o];
        if (taken[i] || tuff_desc_count(&c->x[i]) != tuff_desc_count(&g->values[y].desc))
            continue;
        bool stored = false;
        bool dies = g->values[x].kind == TUFF_VALUE_NODE && !g->values[x].output;
        for (int r = f->first[y]; r < f->first[y + 1]; r++) {
            const tuff_step *reader = &g->steps[f->readers[r]];
            stored |= !reader->op && g->values[x].kind == TUFF_VALUE_BOUND &&
                      tuff_range_overlap(reader->store, g->values[x].bound);
        }
        for (int r = f->first[x]; r < f->first[x + 1]; r++) dies &= f->readers[r] <= last;
        if (stored) return i;
        if (dies && best < 0) best = i;
    }
    return best;
}

static bool only_real(const tuff_chain *c)
{
    for (int o = 0; o < c->nout; o++)
        if (c->step[c->out[o]].y.dtype != TUFF_F32) return false;
    return c->nout > 0;
}

// Puts the chain in the place of its last step; the others are left without an op, to be swept.
static tuff_status replace(finder *f, const group *u, int *fused)
{
    tuff_graph *g = f->g;
    const int last = u->step[u->n - 1];
    tuff_step node;
    tuff_chain *c = tuff_alloc(1, sizeof *c);
    if (!c) return TUFF_ERR_MEMORY;
    bool taken[TUFF_CHAIN_IN] = { false };
    int alias[TUFF_CHAIN_OUT];
    if (!make_chain(f, u, c, &node) || !only_real(c)) {
        tuff_free(c);
        return TUFF_OK;
    }
    for (int o = 0; o < c->nout; o++) {
        alias[o] = alias_of(f, c, &node, o, last, taken);
        if (alias[o] >= 0) taken[alias[o]] = true;
    }
    tuff_chain_finish(c, alias);
    const tuff_call call = tuff_step_call(g, &node);
    tuff_plan plan;
    if (tuff_select(&call, f->caps, &plan) != TUFF_OK || !tuff_graph_keep(g, c)) {
        tuff_free(c);
        return g->tape.status;
    }
    for (int k = 0; k < u->n; k++) g->steps[u->step[k]] = (tuff_step){ .swept = true };
    g->steps[last] = node;
    *fused += u->n - 1;
    return TUFF_OK;
}

static void sweep(tuff_graph *g)
{
    int n = 0;
    for (int s = 0; s < g->nsteps; s++)
        if (!g->steps[s].swept) g->steps[n++] = g->steps[s];
    g->nsteps = n;
}

static tuff_status wanted(bool *on)
{
    const char *text = getenv("TUFF_CHAINS");
    const bool given = text && *text;
    *on = !given || strcmp(text, "on") == 0;
    TUFF_REQUIRE(*on || strcmp(text, "off") == 0, ARG, "TUFF_CHAINS is '%s', expected on or "
                 "off", tuff_show(text, strlen(text)));
    return TUFF_OK;
}

tuff_status tuff_graph_chain(tuff_graph *g, const tuff_caps *caps, int *fused)
{
    bool on;
    TUFF_TRY(wanted(&on));
    if (!on) return TUFF_OK;
    finder f = { .g = g, .caps = caps };
    tuff_status status = find_readers(&f);
    for (int s = 0; s < g->nsteps && status == TUFF_OK; s++)
        if (g->steps[s].op) join_operands(&f, s);
    for (int s = 0; s < g->nsteps && status == TUFF_OK; s++)
        if (f.group[s].n > 1) status = replace(&f, &f.group[s], fused);
    if (status == TUFF_OK) sweep(g);
    tuff_free(f.group);
    tuff_free(f.group_of);
    tuff_free(f.producer);
    tuff_free(f.first);
    tuff_free(f.readers);
    tuff_free(f.constant);
    return status;
}
