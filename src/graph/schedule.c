// Where a program's values lie: lifetimes, stores written in place, memory reused.
//
// A value that is stored into a bound tensor is written there by its own op when nobody
// could tell the difference: nothing reads or writes that memory between the op and the
// store, and nothing overwrites it while the value is still read. Otherwise it is copied at
// the store. Every other value takes a span of the program's memory; an op that allows it
// writes over an input that dies with it.
#include "base/alloc.h"
#include "base/status.h"
#include "graph/program.h"
#include "ops/tune.h"

// What a value of its own takes: memory is cut at such places.
static size_t aligned(size_t bytes)
{
    return (bytes + TUFF_BUFFER_ALIGN - 1) / TUFF_BUFFER_ALIGN * TUFF_BUFFER_ALIGN;
}

static void find_lives(const tuff_program *p, tuff_life *lives)
{
    const tuff_graph *g = p->graph;
    for (int v = 0; v < g->nvalues; v++) lives[v] = (tuff_life){ -1, -1 };
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_step *step = &g->steps[s];
        for (int i = 0; i < step->nin; i++)
            if (step->in[i]) lives[tuff_value_root(g, step->in[i])].last = s;
        for (int i = 0; i < step->nout; i++) lives[step->out[i]] = (tuff_life){ s, s };
    }
    for (int v = 1; v < g->nvalues; v++)
        if (g->values[v].output) lives[v].last = g->nsteps;
}

// ---- stores in place ---------------------------------------------------------------------

// True when step s reads memory that overlaps `to` through a bound value or a placed one.
static bool step_reads(const tuff_program *p, int s, tuff_range to, int except)
{
    const tuff_graph *g = p->graph;
    for (int i = 0; i < g->steps[s].nin; i++) {
        const int v = g->steps[s].in[i] ? tuff_value_root(g, g->steps[s].in[i]) : 0;
        if (v && v != except && p->where[v].buffer && tuff_range_overlap(p->where[v], to))
            return true;
    }
    return false;
}

// True when the op of step s may write its output `o` over the memory `to` even though it
// reads there: only as the input that the port names, and only the very same bytes.
static bool may_overwrite(const tuff_program *p, int s, int o, tuff_range to)
{
    const tuff_graph *g = p->graph;
    const tuff_step *step = &g->steps[s];
    for (int i = 0; i < step->nin; i++) {
        const int v = step->in[i] ? tuff_value_root(g, step->in[i]) : 0;
        if (!v || !p->where[v].buffer || !tuff_range_overlap(p->where[v], to)) continue;
        if (i != step->op->out[o].alias_in || !step->op->out[o].alias ||
            p->where[v].offset != to.offset || p->where[v].size != to.size)
            return false;
    }
    return true;
}

// True when another store, or an op that writes a placed value, touches `to` at step s.
static bool step_writes(const tuff_program *p, int s, tuff_range to)
{
    const tuff_step *step = &p->graph->steps[s];
    if (!step->op) return tuff_range_overlap(step->store, to);
    for (int i = 0; i < step->nout; i++)
        if (p->where[step->out[i]].buffer && tuff_range_overlap(p->where[step->out[i]], to))
            return true;
    return false;
}

static bool can_place(const tuff_program *p, const tuff_life *lives, int v, int store)
{
    const tuff_graph *g = p->graph;
    const tuff_range to = g->steps[store].store;
    if (g->values[v].kind != TUFF_VALUE_NODE || p->where[v].buffer) return false;
    if (p->constant[v]) return false; // made once, stored at every run
    const int made = lives[v].first;
    int o = 0;
    while (g->steps[made].out[o] != v) o++;
    if (!may_overwrite(p, made, o, to) || step_writes(p, made, to)) return false;
    for (int s = made + 1; s < store; s++)
        if (step_reads(p, s, to, v) || step_writes(p, s, to)) return false;
    for (int s = store + 1; s <= lives[v].last && s < g->nsteps; s++)
        if (step_writes(p, s, to)) return false;
    // A value that lies in the same memory already must be dead when this one is made.
    for (int w = 1; w < g->nvalues; w++)
        if (w != v && g->values[w].kind == TUFF_VALUE_NODE && p->where[w].buffer &&
            tuff_range_overlap(p->where[w], to) && lives[w].first < made &&
            lives[w].last > made)
            return false;
    return lives[v].last < g->nsteps || !g->values[v].output;
}

static void place_stores(tuff_program *p, const tuff_life *lives)
{
    const tuff_graph *g = p->graph;
    for (int s = 0; s < g->nsteps; s++) {
        if (g->steps[s].op) continue;
        const int v = tuff_value_root(g, g->steps[s].in[0]);
        if (!can_place(p, lives, v, s)) continue;
        p->where[v] = g->steps[s].store;
        p->steps[s].stored = true;
    }
}

// ---- spans -------------------------------------------------------------------------------

static int add_span(tuff_program *p, size_t size, int first, int last)
{
    p->spans[p->nspans] = (tuff_span){ .size = size, .first = first, .last = last };
    return p->nspans++;
}

// The span of an input of step s that its output o may take over, or -1.
static int dying_input(const tuff_program *p, const tuff_life *lives, int s, int o)
{
    const tuff_graph *g = p->graph;
    const tuff_step *step = &g->steps[s];
    const int from = step->op->out[o].alias_in;
    if (!step->op->out[o].alias || from >= step->nin || !step->in[from]) return -1;
    const int v = tuff_value_root(g, step->in[from]);
    const tuff_value *value = &g->values[v];
    if (p->piece[v].of) return -1; // the rest of that memory is others'
    if (value->kind != TUFF_VALUE_NODE || value->output || p->span_of[v] < 0) return -1;
    if (p->constant[v]) return -1; // it may lie there from run to run
    if (lives[v].last != s || p->spans[p->span_of[v]].last != s) return -1;
    if (tuff_desc_bytes(&value->desc) != tuff_desc_bytes(&g->values[step->out[o]].desc))
        return -1;
    for (int i = 0; i < step->nin; i++) // read in another way too: leave it alone
        if (i != from && step->in[i] &&
            p->span_of[tuff_value_root(g, step->in[i])] == p->span_of[v]) return -1;
    return p->span_of[v];
}

static void span_node_outputs(tuff_program *p, const tuff_life *lives, int s, bool reuse)
{
    const tuff_graph *g = p->graph;
    const tuff_step *step = &g->steps[s];
    for (int o = 0; o < step->nout; o++) {
        const int v = step->out[o], home = tuff_program_home(p, v).of;
        if (p->where[v].buffer) continue;
        const int last = reuse && !p->steps[s].once ? lives[home].last : g->nsteps;
        const int over = reuse && home == v && p->span_of[v] < 0 ? dying_input(p, lives, s, o)
                                                                 : -1;
        if (over >= 0) {
            p->span_of[v] = over;
            p->spans[over].last = last;
        } else if (p->span_of[home] < 0) {
            p->span_of[home] = add_span(p, tuff_desc_bytes(&g->values[home].desc),
                                        p->steps[s].once ? -1 : s, last);
        }
        p->span_of[v] = p->span_of[home];
        p->stats.unshared += aligned(tuff_desc_bytes(&g->values[v].desc));
    }
}

// Whether one of the dispatches (or stages) that are done once writes into this scratch memory.
static bool keeps(const tuff_plan *plan, int scratch, uint64_t once)
{
    if (plan->host) return once && scratch == TUFF_PLAN_KEPT;
    for (int i = 0; i < plan->count; i++)
        for (int k = 0; once >> i & 1 && k < plan->d[i].nslot; k++) {
            const tuff_slot *s = &plan->d[i].slot[k];
            if (s->role == TUFF_ROLE_SCRATCH && s->index == scratch && s->access & TUFF_WRITE)
                return true;
        }
    return false;
}

// The inputs that dispatches read at every run.
static uint32_t inputs_read(const tuff_plan *plan, uint64_t once)
{
    // A host call reads them all, but for those of the stage that is run once.
    uint32_t inputs = plan->count ? 0 : UINT32_MAX;
    if (plan->host && once) inputs &= ~plan->host->made_of;
    for (int i = 0; i < plan->count; i++)
        for (int k = 0; !(once >> i & 1) && k < plan->d[i].nslot; k++)
            if (plan->d[i].slot[k].role == TUFF_ROLE_IN)
                inputs |= UINT32_C(1) << plan->d[i].slot[k].index;
    return inputs;
}

// The dispatches that would move what lies there already.
static uint64_t find_idle(const tuff_program *p, int s, const tuff_plan *plan)
{
    uint64_t idle = 0;
    for (int k = 0; k < plan->count && p->graph->steps[s].op->piece; k++) {
        const tuff_dispatch *d = &plan->d[k];
        bool moved = true, any = false;
        for (int i = 0; i < d->nslot; i++) {
            moved &= d->slot[i].role != TUFF_ROLE_SCRATCH;
            for (int o = 0; d->slot[i].role == TUFF_ROLE_IN && o < d->nslot; o++) {
                if (d->slot[o].role != TUFF_ROLE_OUT) continue;
                any = true;
                moved &= tuff_program_shares(p, s, d->slot[i].index, d->slot[o].index);
            }
        }
        if (moved && any) idle |= UINT64_C(1) << k;
    }
    return idle;
}

static tuff_status plan_step(tuff_program *p, int s, bool reuse)
{
    const tuff_step *step = &p->graph->steps[s];
    tuff_step_plan *out = &p->steps[s];
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) out->scratch[i] = -1;
    if (!step->op) {
        out->variant = out->stored ? "in place" : "copy";
        out->launches = !out->stored;
        return TUFF_OK;
    }
    out->placed = tuff_program_moved(p, s);
    if (out->placed) {
        out->variant = "in place";
        return TUFF_OK;
    }
    const tuff_call c = tuff_program_call(p, s);
    tuff_plan plan;
    TUFF_TRY(tuff_select(&c, p->caps, &plan));
    out->variant = plan.variant;
    out->candidate = tuff_plan_candidate(&plan);
    out->tuned = plan.tuned;
    if (!out->once) out->prepared = tuff_plan_once(&plan, c.constant);
    out->launches = plan.count ? plan.count : 1 + (out->prepared != 0);
    out->prepares = out->once ? out->launches : 0;
    for (uint64_t set = out->prepared; set; set &= set - 1) out->prepares++;
    out->launches -= out->prepares;
    if (!out->once) out->idle = find_idle(p, s, &plan) & ~out->prepared;
    for (uint64_t set = out->idle; set; set &= set - 1) out->launches--;
    out->reads = out->once ? 0 : inputs_read(&plan, out->prepared);
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        if (!plan.scratch[i]) continue;
        const bool brief = reuse && !keeps(&plan, i, out->prepared);
        out->scratch[i] = add_span(p, plan.scratch[i], brief ? s : -1,
                                   brief ? s : p->graph->nsteps);
        out->scratch_bytes += plan.scratch[i];
        p->stats.unshared += aligned(plan.scratch[i]);
    }
    return TUFF_OK;
}

static void span_inputs(tuff_program *p)
{
    const tuff_graph *g = p->graph;
    for (int v = 1; v < g->nvalues; v++) {
        if (g->values[v].kind == TUFF_VALUE_BOUND) p->where[v] = g->values[v].bound;
        if (g->values[v].kind != TUFF_VALUE_INPUT) continue;
        p->span_of[v] = add_span(p, tuff_desc_bytes(&g->values[v].desc), -1, g->nsteps);
        p->stats.unshared += aligned(tuff_desc_bytes(&g->values[v].desc));
    }
}

static bool is_read_in_runs(const tuff_program *p, int v)
{
    const tuff_graph *g = p->graph;
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; i < g->steps[s].nin; i++)
            if (g->steps[s].in[i] && tuff_value_root(g, g->steps[s].in[i]) == v &&
                (!g->steps[s].op || p->steps[s].reads >> i & 1))
                return true;
    return g->values[v].output;
}

// What is made once and read by nothing but what is done once lives no longer than there.
static void shorten_spans(tuff_program *p, const tuff_life *lives)
{
    const tuff_graph *g = p->graph;
    for (int s = 0; s < g->nsteps; s++)
        for (int o = 0; p->steps[s].once && o < g->steps[s].nout; o++) {
            const int v = g->steps[s].out[o];
            if (p->span_of[v] < 0 || is_read_in_runs(p, v)) continue;
            p->spans[p->span_of[v]].first = lives[v].first;
            p->spans[p->span_of[v]].last = lives[v].last;
        }
}

// False when there is no memory.
static bool find_constants(tuff_program *p)
{
    bool *once = tuff_alloc((size_t)p->graph->nsteps + 1, sizeof *once);
    if (!once) return false;
    tuff_graph_constants(p->graph, p->constant, once);
    for (int s = 0; s < p->graph->nsteps; s++) p->steps[s].once = once[s];
    tuff_free(once);
    return true;
}

// Measures what the device's tuner does not know yet of the ops, where it is asked to measure.
static tuff_status tune_ops(const tuff_program *p)
{
    const tuff_graph *g = p->graph;
    if (!tuff_tune_wanted(p->device) || !g->nsteps) return TUFF_OK;
    tuff_call *calls = tuff_alloc((size_t)g->nsteps, sizeof *calls);
    if (!calls) return TUFF_ERR_MEMORY;
    int n = 0;
    for (int s = 0; s < g->nsteps; s++)
        if (g->steps[s].op && !p->steps[s].once && !tuff_program_moved(p, s))
            calls[n++] = tuff_program_call(p, s);
    const tuff_status status = tuff_tune_calls(p->device, calls, n);
    tuff_free(calls);
    return status;
}

tuff_status tuff_program_schedule(tuff_program *p, const tuff_program_params *params)
{
    const tuff_graph *g = p->graph;
    const bool reuse = !params->no_reuse;
    const size_t most = (size_t)g->nvalues + (size_t)g->nsteps * TUFF_PLAN_SCRATCH + 1;
    tuff_status status = TUFF_ERR_MEMORY;
    tuff_life *lives = tuff_alloc((size_t)g->nvalues, sizeof *lives);
    p->where = tuff_alloc((size_t)g->nvalues, sizeof *p->where);
    p->span_of = tuff_alloc((size_t)g->nvalues, sizeof *p->span_of);
    p->constant = tuff_alloc((size_t)g->nvalues, sizeof *p->constant);
    p->piece = tuff_alloc((size_t)g->nvalues, sizeof *p->piece);
    p->steps = tuff_alloc((size_t)g->nsteps, sizeof *p->steps);
    p->spans = tuff_alloc(most, sizeof *p->spans);
    if (!lives || !p->where || !p->span_of || !p->constant || !p->piece || !p->steps ||
        !p->spans)
        goto exit;
    if (!params->no_prepare && !find_constants(p)) goto exit;
    for (int v = 0; v < g->nvalues; v++) p->span_of[v] = -1;
    find_lives(p, lives);
    span_inputs(p);
    place_stores(p, lives);
    if (reuse) tuff_program_pieces(p, lives);
    TUFF_GO(tune_ops(p));
    status = TUFF_OK;
    for (int s = 0; s < g->nsteps && status == TUFF_OK; s++) {
        if (g->steps[s].op) span_node_outputs(p, lives, s, reuse);
        status = plan_step(p, s, reuse);
    }
    if (reuse) shorten_spans(p, lives);
exit:
    tuff_free(lives);
    return status;
}
