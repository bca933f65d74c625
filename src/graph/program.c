// Programs: a graph planned, recorded once, and replayed. Declared in <tuff/graph.h>.
//
// A run is one submission of one list. There are as many lists as slots, alike but for the
// staging memory from which they first copy the inputs:
//
//   host    write slot 0 | run | write slot 1 | run | write slot 0 (waits for run 0) ...
//   device               | copy 0, steps      | copy 1, steps      | ...
#include "graph/program.h"
#include "base/alloc.h"
#include <string.h>

// ---- memory ------------------------------------------------------------------------------

static size_t aligned(size_t bytes)
{
    return (bytes + TUFF_BUFFER_ALIGN - 1) & ~(size_t)(TUFF_BUFFER_ALIGN - 1);
}

static tuff_status allocate_bins(tuff_program *p)
{
    size_t sizes[TUFF_PROGRAM_BINS];
    tuff_memplan plan = { .bin_limit = (size_t)p->caps->max_alloc, .align = TUFF_BUFFER_ALIGN,
                          .max_bins = TUFF_PROGRAM_BINS, .bin_size = sizes };
    TUFF_TRY(tuff_memplan_place(&plan, p->spans, p->nspans));
    for (int i = 0; i < plan.bins; i++) {
        TUFF_TRY(tuff_buffer_create(p->device, sizes[i], &p->bins[i]));
        p->stats.planned += sizes[i];
    }
    for (int v = 1; v < p->graph->nvalues; v++) {
        if (p->span_of[v] < 0) continue;
        const tuff_span *s = &p->spans[p->span_of[v]];
        p->where[v] = (tuff_range){ p->bins[s->bin], s->offset + tuff_program_home(p, v).at,
                                    tuff_desc_bytes(&p->graph->values[v].desc) };
    }
    return TUFF_OK;
}

static bool used_constant(const tuff_program *p, int v)
{
    const tuff_graph *g = p->graph;
    if (g->values[v].kind != TUFF_VALUE_CONSTANT || !g->values[v].data) return false;
    if (g->values[v].output) return true;
    for (int s = 0; s < g->nsteps; s++)
        for (int i = 0; i < g->steps[s].nin; i++)
            if (g->steps[s].in[i] && tuff_value_root(g, g->steps[s].in[i]) == v) return true;
    return false;
}

static tuff_status upload_constants(tuff_program *p)
{
    const tuff_graph *g = p->graph;
    size_t total = 0;
    for (int v = 1; v < g->nvalues; v++) {
        if (!used_constant(p, v)) continue;
        p->where[v] = (tuff_range){ NULL, total, tuff_desc_bytes(&g->values[v].desc) };
        total += aligned(p->where[v].size);
    }
    if (!total) return TUFF_OK;
    TUFF_TRY(tuff_buffer_create(p->device, total, &p->constants));
    for (int v = 1; v < g->nvalues; v++) {
        if (!used_constant(p, v)) continue;
        p->where[v].buffer = p->constants;
        TUFF_TRY(tuff_stream_upload(p->stream, p->where[v], g->values[v].data));
    }
    p->stats.planned += total;
    p->stats.unshared += total;
    return tuff_stream_wait(p->stream);
}

tuff_range tuff_program_range(const tuff_program *p, int value)
{
    return p->where[tuff_value_root(p->graph, value)];
}

// ---- recording -----------------------------------------------------------------------------

// Records what of a step is done at every run, or what is prepared.
static tuff_status record_op(tuff_program *p, tuff_cmd *cmd, int s, bool prepare)
{
    const tuff_step *step = &p->graph->steps[s];
    const tuff_call c = tuff_program_call(p, s);
    const tuff_step_plan *of = &p->steps[s];
    if (of->placed || (of->once != prepare && !(prepare && of->prepared))) return TUFF_OK;
    tuff_range in[TUFF_OP_IN] = { 0 }, out[TUFF_OP_OUT] = { 0 };
    tuff_range scratch[TUFF_PLAN_SCRATCH] = { 0 };
    for (int i = 0; i < step->nin; i++)
        if (step->in[i]) in[i] = tuff_program_range(p, step->in[i]);
    for (int i = 0; i < step->nout; i++) out[i] = tuff_program_range(p, step->out[i]);
    tuff_plan plan;
    TUFF_TRY(tuff_select_as(&c, p->caps, &of->candidate, &plan));
    if (of->prepared && prepare) tuff_plan_keep(&plan, of->prepared);
    else if (of->prepared | of->idle) tuff_plan_keep(&plan, ~(of->prepared | of->idle));
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        if (of->scratch[i] < 0) continue;
        const tuff_span *span = &p->spans[of->scratch[i]];
        scratch[i] = (tuff_range){ p->bins[span->bin], span->offset, span->size };
    }
    return tuff_record(cmd, &c, &plan, in, out, scratch);
}

static tuff_status record_slot(tuff_program *p, tuff_program_slot *slot)
{
    TUFF_TRY(tuff_cmd_create(p->device, true, &slot->cmd));
    for (int i = 0; i < p->ninputs; i++) {
        const tuff_program_input *in = &p->inputs[i];
        const tuff_range from = { slot->staging, in->offset, in->size };
        TUFF_TRY(tuff_cmd_copy(slot->cmd, p->where[in->value], from));
    }
    for (int s = 0; s < p->graph->nsteps; s++) {
        const tuff_step *step = &p->graph->steps[s];
        if (step->op) TUFF_TRY(record_op(p, slot->cmd, s, false));
        else if (!p->steps[s].stored)
            TUFF_TRY(tuff_cmd_copy(slot->cmd, step->store,
                                   tuff_program_range(p, step->in[0])));
    }
    return tuff_cmd_finish(slot->cmd);
}

// ---- preparing ---------------------------------------------------------------------------

static tuff_status watch(tuff_program *p, const tuff_buffer *buffer)
{
    for (int i = 0; i < p->nwatch; i++)
        if (p->watch[i].buffer == buffer) return TUFF_OK;
    tuff_program_watch *grown = tuff_realloc(p->watch, (size_t)p->nwatch + 1, sizeof *grown);
    if (!grown) return TUFF_ERR_MEMORY;
    p->watch = grown;
    p->watch[p->nwatch++] = (tuff_program_watch){ .buffer = buffer };
    return TUFF_OK;
}

// The list of what is done once, and the buffers of bound tensors that it reads.
static tuff_status record_prepare(tuff_program *p)
{
    const tuff_graph *g = p->graph;
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_step *step = &g->steps[s];
        if (!p->steps[s].once && !p->steps[s].prepared) continue;
        if (!p->prepare) TUFF_TRY(tuff_cmd_create(p->device, true, &p->prepare));
        TUFF_TRY(record_op(p, p->prepare, s, true));
        for (int i = 0; i < step->nin; i++) {
            const int v = step->in[i] ? tuff_value_root(g, step->in[i]) : 0;
            if (v && p->constant[v] && g->values[v].kind == TUFF_VALUE_BOUND)
                TUFF_TRY(watch(p, g->values[v].bound.buffer));
        }
    }
    return p->prepare ? tuff_cmd_finish(p->prepare) : TUFF_OK;
}

// Whether what is prepared must be done (again): takes note of what it then reads.
static bool is_stale(tuff_program *p)
{
    bool stale = p->prepare && !p->ready;
    for (int i = 0; i < p->nwatch; i++) {
        const uint64_t version = tuff_buffer_version(p->watch[i].buffer);
        stale |= version != p->watch[i].version;
        p->watch[i].version = version;
    }
    return stale;
}

static tuff_status create_inputs(tuff_program *p)
{
    const tuff_graph *g = p->graph;
    p->inputs = tuff_alloc((size_t)g->nvalues, sizeof *p->inputs);
    if (!p->inputs) return TUFF_ERR_MEMORY;
    size_t total = 0;
    for (int v = 1; v < g->nvalues; v++) {
        if (g->values[v].kind != TUFF_VALUE_INPUT) continue;
        const size_t size = tuff_desc_bytes(&g->values[v].desc);
        p->inputs[p->ninputs++] =
            (tuff_program_input){ .value = v, .offset = total, .size = size };
        total += aligned(size);
    }
    for (int i = 0; total && i < p->slots; i++) {
        TUFF_TRY(tuff_buffer_create_host(p->device, total, &p->slot[i].staging));
        memset(tuff_buffer_map(p->slot[i].staging), 0, total);
    }
    return TUFF_OK;
}

static void count_stats(tuff_program *p, int fused)
{
    p->stats.fused = fused;
    for (int s = 0; s < p->graph->nsteps; s++) {
        const tuff_step *step = &p->graph->steps[s];
        p->stats.ops += step->op != NULL;
        p->stats.launches += p->steps[s].launches;
        p->stats.prepared += p->steps[s].prepares;
        if (!step->op || p->steps[s].once) continue;
        const tuff_call c = tuff_step_call(p->graph, step);
        p->stats.flops += tuff_call_cost(&c).flops;
    }
}

// Tensors that a graph reads and writes where they are must lie where the program runs.
static tuff_status check_devices(const tuff_program *p, const tuff_graph *g)
{
    for (int v = 1; v < g->nvalues; v++) {
        const tuff_buffer *b = g->values[v].bound.buffer;
        TUFF_REQUIRE(!b || tuff_buffer_device(b) == p->device, ARG,
                     "program: bound value %s lies on another device",
                     g->values[v].name ? g->values[v].name : "without a name");
    }
    for (int s = 0; s < g->nsteps; s++) {
        const tuff_buffer *b = g->steps[s].store.buffer;
        TUFF_REQUIRE(!b || tuff_buffer_device(b) == p->device, ARG,
                     "program: value %d is stored into a tensor of another device",
                     g->steps[s].in[0]);
    }
    return TUFF_OK;
}

static tuff_status build(tuff_program *p, const tuff_graph *g,
                         const tuff_program_params *params)
{
    TUFF_TRY(tuff_graph_status(g));
    TUFF_REQUIRE(params->slots >= 0 && params->slots <= TUFF_PROGRAM_SLOTS, ARG,
                 "program: slots is %d, it must be 0 to %d", params->slots,
                 TUFF_PROGRAM_SLOTS);
    TUFF_TRY(check_devices(p, g));
    p->slots = params->slots ? params->slots : 2;
    TUFF_TRY(tuff_stream_create(p->device, &p->stream));
    TUFF_TRY(tuff_graph_copy(g, &p->graph));
    TUFF_TRY(tuff_graph_drop(p->graph));
    int fused = 0;
    if (!params->no_fuse && !params->no_prepare) fused += tuff_graph_fold(p->graph);
    if (!params->no_fuse) fused += tuff_graph_fuse(p->graph);
    if (!params->no_fuse && !params->no_chains)
        TUFF_TRY(tuff_graph_chain(p->graph, p->caps, &fused));
    if (!params->no_fuse && !params->no_blocks)
        TUFF_TRY(tuff_graph_layout(p->graph, p->caps, &p->stats.blocked,
                                   &p->stats.conversions));
    TUFF_TRY(tuff_graph_status(p->graph));
    TUFF_TRY(tuff_program_schedule(p, params));
    TUFF_TRY(allocate_bins(p));
    TUFF_TRY(upload_constants(p));
    TUFF_TRY(create_inputs(p));
    for (int i = 0; i < p->slots; i++) TUFF_TRY(record_slot(p, &p->slot[i]));
    TUFF_TRY(record_prepare(p));
    count_stats(p, fused);
    return TUFF_OK;
}

tuff_status tuff_program_create(tuff_device *device, const tuff_graph *g,
                                const tuff_program_params *params, tuff_program **program)
{
    static const tuff_program_params defaults;
    TUFF_REQUIRE(device && g && program, ARG,
                 "program create: device, graph or program is NULL");
    *program = NULL;
    tuff_program *p = tuff_alloc(1, sizeof *p);
    if (!p) return TUFF_ERR_MEMORY;
    p->device = device;
    p->caps = tuff_device_caps(device);
    const tuff_status status = build(p, g, params ? params : &defaults);
    if (status != TUFF_OK) tuff_program_destroy(&p);
    *program = p;
    return status;
}

void tuff_program_destroy(tuff_program **program)
{
    if (!program || !*program) return;
    tuff_program *p = *program;
    for (int i = 0; i < p->slots; i++) {
        tuff_cmd_destroy(&p->slot[i].cmd);
        tuff_buffer_release(&p->slot[i].staging);
    }
    tuff_cmd_destroy(&p->prepare);
    tuff_stream_destroy(&p->stream);
    for (int i = 0; i < TUFF_PROGRAM_BINS; i++) tuff_buffer_release(&p->bins[i]);
    tuff_buffer_release(&p->constants);
    tuff_graph_destroy(&p->graph);
    tuff_free(p->where);
    tuff_free(p->span_of);
    tuff_free(p->constant);
    tuff_free(p->piece);
    tuff_free(p->watch);
    tuff_free(p->steps);
    tuff_free(p->spans);
    tuff_free(p->inputs);
    tuff_free(p);
    *program = NULL;
}

// ---- running -------------------------------------------------------------------------------

tuff_status tuff_program_write(tuff_program *p, tuff_var input, const void *data, size_t bytes)
{
    tuff_program_input *in = NULL;
    for (int i = 0; i < p->ninputs; i++)
        if (p->inputs[i].value == input.id) in = &p->inputs[i];
    TUFF_REQUIRE(in && data, ARG, "program: value %d is no input, or its data is NULL",
                 input.id);
    TUFF_REQUIRE(bytes == in->size, ARG, "program: %zu bytes were given for an input of %zu",
                 bytes, in->size);
    tuff_program_slot *slot = &p->slot[p->current];
    TUFF_TRY(tuff_device_wait(p->device, slot->ticket));
    memcpy((char *)tuff_buffer_map(slot->staging) + in->offset, data, bytes);
    in->staged[p->current] = ++in->version;
    return TUFF_OK;
}

// Inputs that were not written for this run keep what the run before had.
static void carry_over(tuff_program *p)
{
    for (int i = 0; i < p->ninputs; i++) {
        tuff_program_input *in = &p->inputs[i];
        if (in->staged[p->current] == in->version) continue;
        for (int k = 0; k < p->slots; k++) {
            if (in->staged[k] != in->version) continue;
            memcpy((char *)tuff_buffer_map(p->slot[p->current].staging) + in->offset,
                   (char *)tuff_buffer_map(p->slot[k].staging) + in->offset, in->size);
            break;
        }
        in->staged[p->current] = in->version;
    }
}

tuff_status tuff_program_run(tuff_program *p)
{
    tuff_program_slot *slot = &p->slot[p->current];
    TUFF_TRY(tuff_device_wait(p->device, slot->ticket));
    carry_over(p);
    const bool stale = is_stale(p);
    tuff_cmd *const lists[2] = { stale ? p->prepare : slot->cmd, slot->cmd };
    p->ready = false; // unless it can be submitted
    TUFF_TRY(tuff_device_submit(p->device, lists, stale ? 2 : 1, &slot->ticket));
    p->ready = true;
    p->stats.preparations += stale;
    p->last = slot->ticket;
    p->ran = p->current;
    p->current = (p->current + 1) % p->slots;
    return TUFF_OK;
}

tuff_status tuff_program_wait(tuff_program *p) { return tuff_device_wait(p->device, p->last); }

bool tuff_program_seconds(tuff_program *p, double *seconds)
{
    return tuff_cmd_seconds(p->slot[p->ran].cmd, seconds);
}

tuff_status tuff_program_read(tuff_program *p, tuff_var output, void *data, size_t bytes)
{
    const tuff_graph *g = p->graph;
    TUFF_REQUIRE(output.id > 0 && output.id < g->nvalues, ARG,
                 "program: value %d is none of its graph", output.id);
    const int root = tuff_value_root(g, output.id);
    TUFF_REQUIRE(g->values[root].output || g->values[root].kind == TUFF_VALUE_BOUND, ARG,
                 "program: value %d was not marked as an output", output.id);
    TUFF_REQUIRE(bytes == p->where[root].size, ARG,
                 "program: %zu bytes were given for an output of %zu", bytes,
                 p->where[root].size);
    TUFF_TRY(tuff_program_wait(p));
    return tuff_stream_download(p->stream, p->where[root], data);
}

void tuff_program_get_stats(const tuff_program *p, tuff_program_stats *stats)
{
    *stats = p->stats;
}
