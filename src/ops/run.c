// Running one op: checks against its record, then one list of commands.
#include "ops/op.h"
#include "base/thread.h"
#include "ops/lower.h"
#include "tensor/tensor.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const unsigned char zero_params[512];

static int ports(const tuff_port *p)
{
    int n = 0;
    while (p[n].name) n++;
    return n;
}

// Ports that take the same set of several types are given the same one.
static tuff_status check_types(const tuff_call *c)
{
    const tuff_port *port = c->op->in;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i) || port[i].mixed) continue;
        for (int k = 0; k < i; k++)
            TUFF_REQUIRE(!tuff_call_has(c, k) || port[k].mixed ||
                             port[k].dtypes != port[i].dtypes ||
                             c->in[k].dtype == c->in[i].dtype,
                         DTYPE, "%s is %s and %s is %s, they must be of one type",
                         port[k].name, tuff_dtype_name(c->in[k].dtype), port[i].name,
                         tuff_dtype_name(c->in[i].dtype));
    }
    return TUFF_OK;
}

// "x is i64, expected f32, f16 or bf16"
static tuff_status not_taken(const char *name, tuff_dtype type, uint32_t taken)
{
    char list[80];
    int used = 0;
    for (uint32_t t = 1; t && t <= taken; t <<= 1) {
        if (!(taken & t)) continue;
        const char *before = !used ? "" : taken < 2 * t ? " or " : ", ";
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", before,
                         tuff_dtype_name((tuff_dtype)t));
    }
    return tuff_fail(TUFF_ERR_DTYPE, "%s is %s, expected %s", name, tuff_dtype_name(type),
                     list);
}

static tuff_status check_inputs(const tuff_call *c)
{
    const int most = ports(c->op->in);
    TUFF_REQUIRE(c->nin <= most, ARG, "%d inputs given, it takes at most %d", c->nin, most);
    for (int i = 0; i < most; i++) {
        const tuff_port *port = &c->op->in[i];
        if (!tuff_call_has(c, i)) {
            TUFF_REQUIRE(port->optional, ARG, "input %s is missing", port->name);
            continue;
        }
        if (!(c->in[i].dtype & port->dtypes))
            return not_taken(port->name, c->in[i].dtype, port->dtypes);
        const tuff_status status = tuff_desc_check(&c->in[i]);
        if (status == TUFF_OK) continue;
        tuff_fail_prefix(port->name);
        return status;
    }
    return check_types(c);
}

tuff_status tuff_call_infer(tuff_call *c)
{
    if (!c->params) c->params = zero_params;
    assert(c->op->params_size <= sizeof zero_params);
    c->nout = ports(c->op->out);
    tuff_status status = check_inputs(c);
    if (status == TUFF_OK) status = c->op->infer(c, c->out);
    while (c->nout > 1 && c->op->out[c->nout - 1].optional && !c->out[c->nout - 1].dtype)
        c->nout--;
    for (int i = 0; i < c->nout && status == TUFF_OK; i++) status = tuff_desc_check(&c->out[i]);
    if (status != TUFF_OK) tuff_fail_prefix(c->op->name);
    return status;
}

double tuff_call_bytes(const tuff_call *c)
{
    double bytes = 0;
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) bytes += (double)tuff_desc_bytes(&c->in[i]);
    for (int o = 0; o < c->nout; o++) bytes += (double)tuff_desc_bytes(&c->out[o]);
    return bytes;
}

tuff_cost tuff_call_cost(const tuff_call *c)
{
    if (c->op->cost) return c->op->cost(c);
    tuff_cost k = { .bytes = tuff_call_bytes(c) };
    for (int o = 0; o < c->nout; o++) k.flops += (double)tuff_desc_count(&c->out[o]);
    return k;
}

double tuff_call_work(const tuff_call *c)
{
    double steps = 0;
    for (int i = 0; i < c->nin; i++)
        steps += tuff_call_has(c, i) ? (double)tuff_desc_count(&c->in[i]) : 0;
    for (int o = 0; o < c->nout; o++) steps += 4 * (double)tuff_desc_count(&c->out[o]);
    steps = fmax(steps, tuff_call_cost(c).flops);
    if (c->op->work) steps = fmax(steps, c->op->work(c));
    return steps;
}

// ---- the CPU path ------------------------------------------------------------------------

enum { PARAMS_MAX = 512, MOST_STAGES = 4 };

// A call as a list keeps it: its own copy of the params, so that the caller's may go.
typedef struct host_call {
    tuff_call call;
    uint64_t params[PARAMS_MAX / 8];
    uint8_t has_in[TUFF_OP_IN];
    bool lowered, shares, keeps; // the last ranges are scratch: for casts, for the kernel's
                                 // stages, and what its first one makes
    bool small; // not worth waking threads for
    uint64_t stages;
    size_t units; // of its one stage; 0: its kernel says how many at each
    size_t of_stage[MOST_STAGES]; // what it says, where it was asked ahead; else 0
    const tuff_host *host;
} host_call;

// Steps of a call that are worth waking threads for, which takes some 10 us: about what a
// kernel does in 20, and the reference in 50.
enum { SHARED_STEPS = 1 << 18, SHARED_REF_STEPS = 1 << 15 };

// What threads share: a call, and what runs its units.
typedef struct host_work {
    tuff_ref ref;
    void (*run)(const tuff_ref *r);
} host_work;

static void run_units(void *arg, size_t begin, size_t end)
{
    const host_work *w = arg;
    tuff_ref r = w->ref;
    r.begin = begin;
    r.end = end;
    w->run(&r);
}

size_t tuff_host_units(const tuff_host *host, const tuff_call *c, int stage)
{
    if (host && host->units) return host->units(c, stage);
    if (stage) return 0;
    return c->op->units ? c->op->units(c) : 1;
}

static size_t units_of(const host_call *h, const tuff_call *c, int stage)
{
    if (!h->of_stage[0]) return tuff_host_units(h->host, c, stage);
    return stage < MOST_STAGES ? h->of_stage[stage] : 0;
}

// What is ready to run: a call whose tensors need no cast, or what was made of it.
static void run_stages(const host_call *h, host_work *w)
{
    tuff_ref *r = &w->ref;
    if (h->units && h->small) {
        r->end = h->units;
        w->run(r);
        return;
    }
    for (size_t units; (units = units_of(h, r->call, r->stage)); r->stage++) {
        if (!(h->stages >> r->stage & 1)) continue;
        if (h->small) run_units(w, 0, units);
        else tuff_parallel_for(units, run_units, w);
    }
}

static void run_lowered(const host_call *h, host_work *w, void *casts)
{
    void *in[TUFF_OP_IN] = { 0 }, *out[TUFF_OP_OUT] = { 0 };
    void *const scratch = w->ref.scratch, *const kept = w->ref.kept;
    tuff_call low;
    for (int i = 0; i < h->call.nin; i++) in[i] = (void *)(uintptr_t)w->ref.in[i];
    for (int i = 0; i < h->call.nout; i++) out[i] = w->ref.out[i];
    tuff_lower_begin(&h->call, in, out, casts, h->host, &low, &w->ref);
    w->ref.scratch = scratch;
    w->ref.kept = kept;
    run_stages(h, w);
    tuff_lower_end(&h->call, &w->ref, out, h->host);
}

// A program of tiny calls spends its time here: nothing is made that a call has no use for.
static void run_host(void *arg, void *const ptr[])
{
    host_call *h = arg;
    host_work w = { .ref = { .call = &h->call },
                    .run = h->host ? h->host->run : h->call.op->ref };
    int next = 0;
    h->call.params = h->params;
    for (int i = 0; i < h->call.nin; i++)
        if (h->has_in[i]) w.ref.in[i] = ptr[next++];
    for (int i = 0; i < h->call.nout; i++) w.ref.out[i] = ptr[next++];
    void *casts = h->lowered ? ptr[next++] : NULL;
    if (h->shares) w.ref.scratch = ptr[next++];
    if (h->keeps) w.ref.kept = ptr[next];
    if (casts) run_lowered(h, &w, casts);
    else run_stages(h, &w);
}

// A kernel with units of its own makes them as large as they should be.
static bool is_small(const tuff_call *c, const tuff_host *host)
{
    if (host && host->units) return false;
    return tuff_call_work(c) < (host ? SHARED_STEPS : SHARED_REF_STEPS);
}

// To ask a kernel for its units takes about as long as a small stage does.
static void ask_ahead(host_call *h)
{
    if (h->units || h->lowered || tuff_host_units(h->host, &h->call, MOST_STAGES)) return;
    for (int i = 0; i < MOST_STAGES; i++)
        h->of_stage[i] = tuff_host_units(h->host, &h->call, i);
}

static tuff_status record_host(tuff_cmd *cmd, const tuff_call *c, const tuff_plan *plan,
                               const tuff_range in[], const tuff_range out[],
                               const tuff_range scratch[])
{
    const tuff_range *casts = &scratch[TUFF_PLAN_LOWERED], *kept = &scratch[TUFF_PLAN_KEPT];
    host_call h = { .call = *c, .lowered = casts->buffer != NULL,
                    .shares = scratch[0].buffer != NULL, .keeps = kept->buffer != NULL,
                    .host = plan->host, .stages = plan->stages,
                    .small = is_small(c, plan->host) };
    if (!(plan->host && plan->host->units)) h.units = tuff_host_units(plan->host, c, 0);
    memcpy(h.params, c->params, c->op->params_size);
    ask_ahead(&h);
    tuff_binding b[TUFF_OP_IN + TUFF_OP_OUT + 3];
    int n = 0;
    for (int i = 0; i < c->nin; i++) {
        h.has_in[i] = in[i].buffer != NULL;
        if (in[i].buffer) b[n++] = (tuff_binding){ in[i], TUFF_BIND_STORAGE, TUFF_READ };
    }
    for (int i = 0; i < c->nout; i++)
        b[n++] = (tuff_binding){ out[i], TUFF_BIND_STORAGE, TUFF_WRITE };
    if (h.lowered)
        b[n++] = (tuff_binding){ *casts, TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE };
    if (h.shares)
        b[n++] = (tuff_binding){ scratch[0], TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE };
    if (h.keeps)
        b[n++] = (tuff_binding){ *kept, TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE };
    return tuff_cmd_host_call(cmd, run_host, &h, sizeof h, b, n);
}

// ---- a GPU -----------------------------------------------------------------------------

static tuff_binding resolve(const tuff_slot *s, const tuff_range in[], const tuff_range out[],
                            const tuff_range scratch[])
{
    const tuff_range *of = s->role == TUFF_ROLE_IN ? in
                         : s->role == TUFF_ROLE_OUT ? out : scratch;
    tuff_range r = of[s->index];
    assert(r.buffer && s->offset + s->size <= r.size);
    r.offset += s->offset;
    r.size = s->size ? s->size : r.size - s->offset;
    return (tuff_binding){ r, s->kind, s->access };
}

tuff_status tuff_record(tuff_cmd *cmd, const tuff_call *c, const tuff_plan *plan,
                        const tuff_range in[], const tuff_range out[],
                        const tuff_range scratch[])
{
    if (!plan->count)
        return record_host(cmd, c, plan, in, out, scratch);
    for (int i = 0; i < plan->count; i++) {
        const tuff_dispatch *d = &plan->d[i];
        tuff_binding b[TUFF_MAX_BINDINGS];
        for (int k = 0; k < d->nslot; k++) b[k] = resolve(&d->slot[k], in, out, scratch);
        TUFF_TRY(tuff_cmd_launch(cmd, &d->launch, b, d->nslot));
    }
    return TUFF_OK;
}

// ---- eager calls -------------------------------------------------------------------------

// Two tensors over some of the same bytes; *same tells whether over just the same ones.
static bool shares(const tuff_tensor *a, const tuff_tensor *b, bool *same)
{
    const tuff_range x = tuff_tensor_range(a), y = tuff_tensor_range(b);
    *same = x.offset == y.offset && x.size == y.size;
    return x.buffer == y.buffer && x.offset < y.offset + y.size && y.offset < x.offset + x.size;
}

// An output may lie over an input only where its port says so, and only over the whole of it;
// two outputs never share memory.
static tuff_status check_alias(const tuff_op *op, const tuff_tensor *const in[], int nin,
                               tuff_tensor *const out[], int nout)
{
    bool same;
    for (int o = 0; o < nout; o++) {
        const tuff_port *y = &op->out[o];
        for (int i = 0; i < nin; i++) {
            if (!in[i] || !shares(in[i], out[o], &same)) continue;
            const bool allowed = y->alias && (y->alias_any || y->alias_in == i);
            TUFF_REQUIRE(allowed && same, ARG, "%s may not share memory with %s here",
                         y->name, op->in[i].name);
        }
        for (int k = 0; k < o; k++)
            TUFF_REQUIRE(!shares(out[k], out[o], &same), ARG,
                         "%s may not share memory with %s", y->name, op->out[k].name);
    }
    return TUFF_OK;
}

static tuff_status check_outputs(const tuff_call *c, tuff_device *dev,
                                 tuff_tensor *const out[], int nout)
{
    TUFF_REQUIRE(nout == c->nout, ARG, "%d outputs given, it has %d", nout, c->nout);
    for (int i = 0; i < nout; i++) {
        TUFF_REQUIRE(out[i], ARG, "output %s is missing", c->op->out[i].name);
        TUFF_REQUIRE(tuff_buffer_device(out[i]->buffer) == dev, ARG,
                     "%s lies on another device than the stream", c->op->out[i].name);
        char want[96], got[96];
        TUFF_REQUIRE(tuff_desc_equal(&c->out[i], &out[i]->desc), SHAPE,
                     "%s must be %s, it is %s", c->op->out[i].name,
                     tuff_desc_print(&c->out[i], want, sizeof want),
                     tuff_desc_print(&out[i]->desc, got, sizeof got));
    }
    return TUFF_OK;
}

static tuff_status record_eager(tuff_stream *s, const tuff_call *c, const tuff_range in[],
                                const tuff_range out[])
{
    tuff_device *dev = tuff_stream_device(s);
    const tuff_caps *caps = tuff_device_caps(dev);
    tuff_range scratch[TUFF_PLAN_SCRATCH] = { 0 };
    tuff_plan plan;
    tuff_cmd *cmd;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_select(c, caps, &plan));
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        scratch[i].size = plan.scratch[i];
        if (plan.scratch[i])
            TUFF_GO(tuff_buffer_create(dev, plan.scratch[i], &scratch[i].buffer));
    }
    TUFF_GO(tuff_stream_cmd(s, &cmd));
    TUFF_GO(tuff_record(cmd, c, &plan, in, out, scratch));
exit:
    // The list keeps the scratch buffers as long as it needs them.
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) tuff_buffer_release(&scratch[i].buffer);
    return status;
}

static tuff_status run(tuff_stream *s, const tuff_op *op, const tuff_tensor *const in[],
                       int nin, tuff_tensor *const out[], int nout, const void *params)
{
    TUFF_REQUIRE(s && (in || !nin) && (out || !nout), ARG, "the stream or a list is NULL");
    TUFF_REQUIRE(nin >= 0 && nin <= TUFF_OP_IN && nout >= 0 && nout <= TUFF_OP_OUT, ARG,
                 "%d inputs and %d outputs given, %d and %d are the most", nin, nout,
                 TUFF_OP_IN, TUFF_OP_OUT);
    tuff_device *dev = tuff_stream_device(s);
    tuff_call c = { .op = op, .nin = nin, .params = params };
    tuff_range in_range[TUFF_OP_IN] = { 0 }, out_range[TUFF_OP_OUT] = { 0 };
    for (int i = 0; i < nin; i++) {
        if (!in[i]) continue;
        TUFF_REQUIRE(tuff_buffer_device(in[i]->buffer) == dev, ARG,
                     "input %d lies on another device than the stream", i);
        c.in[i] = in[i]->desc;
        in_range[i] = tuff_tensor_range(in[i]);
    }
    // An op without inputs (fill) takes its shape from the tensor it is given.
    for (int i = 0; i < nout; i++)
        if (out[i]) c.out[i] = out[i]->desc;
    TUFF_TRY(tuff_call_infer(&c));
    TUFF_TRY(check_outputs(&c, dev, out, nout));
    TUFF_TRY(check_alias(op, in, nin, out, nout));
    for (int i = 0; i < nout; i++) out_range[i] = tuff_tensor_range(out[i]);
    return record_eager(s, &c, in_range, out_range);
}

tuff_status tuff_run(tuff_stream *s, const tuff_op *op, const tuff_tensor *const in[], int nin,
                     tuff_tensor *const out[], int nout, const void *params)
{
    const tuff_status status = run(s, op, in, nin, out, nout, params);
    if (status != TUFF_OK) tuff_fail_prefix(op->name);
    return status;
}

tuff_status tuff_op_run(tuff_stream *s, const char *name, const tuff_tensor *const in[],
                        int nin, tuff_tensor *const out[], int nout, const void *params)
{
    const tuff_op *op = tuff_op_find(name);
    TUFF_REQUIRE(op, ARG, "there is no op named '%.64s'", name ? name : "");
    return tuff_run(s, op, in, nin, out, nout, params);
}

tuff_axis tuff_axis_of(const tuff_desc *x, int axis)
{
    const int d = x->rank - 1 - axis;
    tuff_axis a = { .step = 1, .cols = x->rank ? (size_t)x->dim[d] : 1 };
    for (int i = d + 1; i < x->rank; i++) a.step *= (size_t)x->dim[i];
    a.rows = (size_t)tuff_desc_count(x) / a.cols;
    return a;
}

tuff_var tuff_v(tuff_tape *t, const tuff_op *op, const void *params, int nin,
                const tuff_var in[])
{
    tuff_var out[TUFF_OP_OUT] = { { 0 } };
    t->emit(t, op, in, nin, params, out);
    return out[0];
}
