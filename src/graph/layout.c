// In which layout images lie between the steps of a program: in planes of channels,
// [N, C, H, W], as graphs have them, or in blocks of four, [N, C / 4, H, W, 4], which
// convolutions of CPU-like drivers read without a copy (ops/conv_blocked.c).
//
//   x  planes                        x
//   s = conv2d(x, w)                 s [.., 4] = conv2d_blocked(x, w)
//   a = conv2d(s, v)      becomes    a [.., 4] = conv2d_blocked(s, v)
//   b = conv2d(s, u)                 b [.., 4] = conv2d_blocked(s, u)
//   t = concat(a, b)                 t [.., 4] = concat(a, b)
//   y = conv2d(t, z)                 y = conv2d_blocked(t, z, planes)
//
// A value's shape says its layout, so that no step can read it wrongly: a step that takes
// planes reads a transposed copy, made once. What a concat joins is in one layout. Each such
// set of values goes into blocks where that costs less, everything counted: operands that need
// not be packed against copies that must be made. Costs are in elements moved, as measured on
// lavapipe.
#include "base/alloc.h"
#include "graph/graph.h"
#include <string.h>
#include <tuff/ops/conv.h>

enum { QUAD = 4 };

static const double DISPATCH = 20e3;   // what one costs
static const double CONVERTED = 2;     // an element of a copy in planes
static const double GATHERED = 0.6;    // one packed from blocks, where one from planes is 1
static const double UNPACKED = 0.15;   // a product of a kernel that packs nothing

// What a step can do about layouts.
typedef enum part { NONE, CONV, CONCAT } part;

typedef struct planner {
    tuff_graph *g;
    const tuff_caps *caps;
    part *part;     // by step
    bool *packs;    // by step: a convolution that packs planes, too
    int *producer;  // by value
    bool *constant; // by root value: weights that are packed once
    int *set;       // by value: the first one of those in its layout; 0: always in planes
    bool *blocked;  // by such a first one
} planner;

static bool in_blocks(const planner *p, int v) { return v && p->blocked[p->set[v]]; }

// ---- what steps offer ----------------------------------------------------------------------

static bool is_image(const tuff_desc *d)
{
    return d->rank == 4 && d->dtype == TUFF_F32 && d->dim[1] % QUAD == 0;
}

static tuff_desc blocks_of(const tuff_desc *d)
{
    return TUFF_SHAPE(d->dtype, d->dim[0], d->dim[1] / QUAD, d->dim[2], d->dim[3], QUAD);
}

// The variant that a convolution gets between such layouts, or NULL.
static const char *variant_of(const planner *p, const tuff_step *s, bool from, bool to)
{
    tuff_conv_blocked_params params = { .conv = *(const tuff_conv_params *)s->params,
                                        .planes = !to };
    tuff_call c = tuff_step_call(p->g, s);
    tuff_plan plan;
    for (int i = 0; i < s->nin; i++)
        if (s->in[i] && p->constant[tuff_value_root(p->g, s->in[i])])
            c.constant |= UINT32_C(1) << i;
    if (from || to) {
        c.op = &tuff_op_conv2d_blocked;
        c.params = &params;
        if (from) c.in[0] = blocks_of(&c.in[0]);
        if (tuff_call_infer(&c) != TUFF_OK) return NULL;
    }
    return tuff_select(&c, p->caps, &plan) == TUFF_OK ? plan.variant : NULL;
}

static bool is_named(const char *variant, const char *name)
{
    return variant && strcmp(variant, name) == 0;
}

// A convolution that runs as a product of packed operands, whatever its x and y are in.
static bool takes_blocks(planner *p, int s)
{
    const tuff_step *step = &p->g->steps[s];
    const tuff_desc *x = &p->g->values[step->in[0]].desc;
    if (step->op != &tuff_op_conv2d || step->nin > 3 || !is_image(x)) return false;
    for (int i = 1; i < step->nin; i++)
        if (step->in[i] && p->g->values[step->in[i]].desc.dtype != TUFF_F32) return false;
    const char *now = variant_of(p, step, false, false);
    p->packs[s] = is_named(now, "packed");
    return (p->packs[s] || is_named(now, "texel")) &&
           is_named(variant_of(p, step, true, false), "packed");
}

static bool gives_blocks(const planner *p, int s)
{
    const tuff_step *step = &p->g->steps[s];
    return p->part[s] == CONV && is_image(&p->g->values[step->out[0]].desc) &&
           is_named(variant_of(p, step, true, true), "packed");
}

static bool joins_channels(const planner *p, const tuff_step *s)
{
    if (s->op != &tuff_op_concat || ((const tuff_concat_params *)s->params)->axis != 2)
        return false;
    for (int i = 0; i < s->nin; i++)
        if (s->in[i] && !is_image(&p->g->values[s->in[i]].desc)) return false;
    return true;
}

// ---- values that are in one layout ---------------------------------------------------------

static void unite(planner *p, int a, int b)
{
    const int keep = p->set[a], gone = p->set[b];
    for (int v = 1; v < p->g->nvalues; v++)
        if (p->set[v] == gone) p->set[v] = keep;
}

// Those of a set stay in planes.
static void leave(planner *p, int v)
{
    const int gone = p->set[v];
    for (int w = 1; gone && w < p->g->nvalues; w++)
        if (p->set[w] == gone) p->set[w] = 0;
}

static void find_sets(planner *p)
{
    tuff_graph *g = p->g;
    for (int s = 0; s < g->nsteps; s++) {
        tuff_step *step = &g->steps[s];
        if (!step->op) continue;
        for (int o = 0; o < step->nout; o++) p->producer[step->out[o]] = s;
        if (takes_blocks(p, s)) p->part[s] = CONV;
        if (joins_channels(p, step)) p->part[s] = CONCAT;
        if (gives_blocks(p, s) || p->part[s] == CONCAT) p->set[step->out[0]] = step->out[0];
    }
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; p->part[s] == CONCAT && i < g->steps[s].nin; i++) {
            const int x = g->steps[s].in[i], y = g->steps[s].out[0];
            if (x && p->set[x] && p->set[y]) unite(p, x, y);
            else if (x) leave(p, y);
        }
    for (int s = 0; s < g->nsteps; s++) // joined with what was left meanwhile
        for (int i = 0; p->part[s] == CONCAT && i < g->steps[s].nin; i++) {
            const int x = g->steps[s].in[i], y = g->steps[s].out[0];
            if (x && p->set[x] != p->set[y]) {
                leave(p, x);
                leave(p, y);
                s = -1;
                break;
            }
        }
    for (int v = 1; v < g->nvalues; v++) {
        if (g->values[v].output) leave(p, v);
        if (g->values[v].kind == TUFF_VALUE_ALIAS) leave(p, g->values[v].alias_of);
    }
}

// ---- costs ---------------------------------------------------------------------------------

static double conv_cost(const planner *p, int s)
{
    const tuff_step *step = &p->g->steps[s];
    const tuff_call c = tuff_step_call(p->g, step);
    const tuff_desc *x = &c.in[0], *w = &c.in[1], *y = &c.out[0];
    const double pixels = (double)(y->dim[0] * y->dim[2] * y->dim[3]);
    const double packed = pixels * (double)(w->dim[1] * w->dim[2] * w->dim[3]);
    const bool from = in_blocks(p, step->in[0]), to = in_blocks(p, step->out[0]);
    const bool point = w->dim[2] * w->dim[3] == 1 && x->dim[2] == y->dim[2] &&
                       x->dim[3] == y->dim[3];
    if (from) return point ? 0 : GATHERED * packed + DISPATCH;
    return to || p->packs[s] ? packed + DISPATCH : UNPACKED * packed * (double)w->dim[0];
}

// Whether a step reads value v, in blocks, as planes.
static bool reads_planes(const planner *p, int s, int v)
{
    const tuff_step *step = &p->g->steps[s];
    for (int i = 0; i < step->nin; i++)
        if (step->in[i] == v && (p->part[s] == NONE || (p->part[s] == CONV && i > 0)))
            return true;
    return false;
}

static bool is_converted(const planner *p, int v)
{
    for (int s = p->producer[v] + 1; s < p->g->nsteps; s++)
        if (reads_planes(p, s, v)) return true;
    return false;
}

static double total_cost(const planner *p)
{
    double cost = 0;
    for (int s = 0; s < p->g->nsteps; s++)
        if (p->part[s] == CONV) cost += conv_cost(p, s);
    for (int v = 1; v < p->g->nvalues; v++)
        if (in_blocks(p, v) && is_converted(p, v))
            cost += CONVERTED * (double)tuff_desc_count(&p->g->values[v].desc) + DISPATCH;
    return cost;
}

// Turns sets over, one by one, as long as that helps.
static void choose(planner *p)
{
    double best = total_cost(p);
    for (bool better = true; better;) {
        better = false;
        for (int v = 1; v < p->g->nvalues; v++) {
            if (p->set[v] != v) continue;
            p->blocked[v] = !p->blocked[v];
            const double cost = total_cost(p);
            if (cost < best) {
                best = cost;
                better = true;
            } else {
                p->blocked[v] = !p->blocked[v];
            }
        }
    }
}

// ---- rewriting -----------------------------------------------------------------------------

static bool rewrite_conv(planner *p, int s)
{
    tuff_step *step = &p->g->steps[s];
    const bool from = in_blocks(p, step->in[0]), to = in_blocks(p, step->out[0]);
    if (!from && !to) return true;
    tuff_conv_blocked_params *params = tuff_alloc(1, sizeof *params);
    if (!params) return false;
    *params = (tuff_conv_blocked_params){ .conv = *(tuff_conv_params *)step->params,
                                          .planes = !to };
    tuff_free(step->params);
    step->params = params;
    step->op = &tuff_op_conv2d_blocked;
    return true;
}

// A copy of v in planes, by a step that is appended.
static tuff_var planes_of(tuff_graph *g, int v, tuff_desc planes)
{
    // [N, C / 4, H, W, 4]: the last dim goes behind the second.
    const tuff_transpose_params p = { .perm = { 0, 1, 4, 2, 3 } };
    const tuff_var apart = tuff_graph_op(g, "transpose", &(tuff_var){ v }, 1, &p);
    return tuff_graph_reshape(g, apart, planes);
}

// Puts the copies behind what they are of, from the last step to the first, so that numbers of
// steps stay.
static tuff_status convert(planner *p, const tuff_desc *planes, int values, int *copies)
{
    tuff_graph *g = p->g;
    for (int s = g->nsteps - 1; s >= 0; s--) {
        const int v = g->steps[s].op ? g->steps[s].out[0] : 0;
        if (!v || v >= values || !in_blocks(p, v) || !is_converted(p, v)) continue;
        const int last = g->nsteps;
        const tuff_var copy = planes_of(g, v, planes[v]);
        TUFF_TRY(tuff_graph_status(g));
        for (int r = s + 1; r < last; r++)
            for (int i = 0; reads_planes(p, r, v) && i < g->steps[r].nin; i++)
                if (g->steps[r].in[i] == v) g->steps[r].in[i] = copy.id;
        const tuff_step step = g->steps[last];
        memmove(g->steps + s + 2, g->steps + s + 1, (size_t)(last - s - 1) * sizeof step);
        memmove(p->part + s + 2, p->part + s + 1, (size_t)(last - s - 1) * sizeof *p->part);
        g->steps[s + 1] = step;
        p->part[s + 1] = NONE;
        ++*copies;
    }
    return TUFF_OK;
}

static tuff_status rewrite(planner *p, int *blocked, int *copies)
{
    tuff_graph *g = p->g;
    const int values = g->nvalues;
    tuff_desc *planes = tuff_alloc((size_t)values, sizeof *planes);
    if (!planes) return TUFF_ERR_MEMORY;
    tuff_status status = TUFF_OK;
    for (int s = 0; s < g->nsteps; s++) {
        if (p->part[s] == CONV && !rewrite_conv(p, s)) status = TUFF_ERR_MEMORY;
        if (p->part[s] == CONCAT && in_blocks(p, g->steps[s].out[0]))
            ((tuff_concat_params *)g->steps[s].params)->axis = 3;
    }
    for (int v = 1; v < values; v++) {
        planes[v] = g->values[v].desc;
        if (!in_blocks(p, v)) continue;
        g->values[v].desc = blocks_of(&planes[v]);
        ++*blocked;
    }
    if (status == TUFF_OK) status = convert(p, planes, values, copies);
    tuff_free(planes);
    return status;
}

tuff_status tuff_graph_layout(tuff_graph *g, const tuff_caps *caps, int *blocked, int *copies)
{
    // No other has kernels that gain by it.
    if (caps->cpu || !caps->cpu_like || !g->nsteps) return TUFF_OK;
    const size_t steps = 2 * (size_t)g->nsteps, values = (size_t)g->nvalues;
    planner p = { .g = g, .caps = caps };
    tuff_status status = TUFF_ERR_MEMORY;
    p.part = tuff_alloc(steps, sizeof *p.part); // there may be a copy behind each
    p.packs = tuff_alloc(steps, sizeof *p.packs);
    p.producer = tuff_alloc(values, sizeof *p.producer);
    p.constant = tuff_alloc(values, sizeof *p.constant);
    p.set = tuff_alloc(values, sizeof *p.set);
    p.blocked = tuff_alloc(values, sizeof *p.blocked);
    if (p.part && p.packs && p.producer && p.constant && p.set && p.blocked) {
        tuff_graph_constants(g, p.constant, NULL);
        find_sets(&p);
        choose(&p);
        status = rewrite(&p, blocked, copies);
    }
    tuff_free(p.part);
    tuff_free(p.packs);
    tuff_free(p.producer);
    tuff_free(p.constant);
    tuff_free(p.set);
    tuff_free(p.blocked);
    return status;
}
