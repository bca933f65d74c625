// The record of a chain: its shapes, its reference, and what runs it on the CPU path.
#include "ops/chain.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

static const tuff_chain *chain_of(const tuff_call *c)
{
    return (const tuff_chain *)(const void *)c->op;
}

// ---- shapes --------------------------------------------------------------------------------

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_chain *chain = chain_of(c);
    for (int i = 0; i < chain->nin; i++)
        TUFF_REQUIRE(tuff_desc_count(&c->in[i]) == tuff_desc_count(&chain->x[i]), SHAPE,
                     "input %d has %lld elements, it was made for %lld", i,
                     (long long)tuff_desc_count(&c->in[i]),
                     (long long)tuff_desc_count(&chain->x[i]));
    for (int o = 0; o < chain->nout; o++) out[o] = chain->step[chain->out[o]].y;
    return TUFF_OK;
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->out[0]);
    return (tuff_cost){ .flops = n * chain_of(c)->nsteps, .bytes = tuff_call_bytes(c) };
}

// A step reads at most its operands and takes a few steps itself.
static double work(const tuff_call *c)
{
    return 20.0 * (double)tuff_desc_count(&c->out[0]) * chain_of(c)->nsteps;
}

// ---- a step as a call of its record --------------------------------------------------------

// Elements of each operand: n, or 1 where alone[i].
static tuff_call step_call(const tuff_chain *c, int s, int64_t n, const bool alone[])
{
    static const unsigned char zero_params[512];
    const tuff_chain_step *step = &c->step[s];
    tuff_call call = { .op = step->op, .nin = step->nin, .nout = 1,
                       .params = step->params ? step->params : (const void *)zero_params };
    for (int i = 0; i < step->nin; i++) {
        const int k = step->in[i];
        if (k < 0) continue;
        const tuff_dtype type = k < TUFF_CHAIN_STEP_0
                                    ? TUFF_F32 : c->step[k - TUFF_CHAIN_STEP_0].y.dtype;
        call.in[i] = TUFF_SHAPE(type, alone && alone[i] ? 1 : n);
    }
    // Of a batch norm this is one channel of one image.
    if (step->op == &tuff_op_batch_norm) call.in[0] = TUFF_SHAPE(TUFF_F32, 1, 1, n);
    call.out[0] = TUFF_SHAPE(step->y.dtype, n);
    if (step->op == &tuff_op_batch_norm) call.out[0] = call.in[0];
    return call;
}

// ---- reference -----------------------------------------------------------------------------

// A value between steps: bool is a byte.
typedef union value {
    float real;
    uint8_t byte;
} value;

static void ref(const tuff_ref *r)
{
    const tuff_chain *c = chain_of(r->call);
    tuff_call call[TUFF_CHAIN_STEPS];
    value v[TUFF_CHAIN_STEPS];
    for (int s = 0; s < c->nsteps; s++) call[s] = step_call(c, s, 1, NULL);
    for (size_t i = r->begin; i < r->end; i++) {
        for (int s = 0; s < c->nsteps; s++) {
            tuff_ref one = { .call = &call[s], .out = { &v[s].real }, .begin = 0, .end = 1 };
            for (int k = 0; k < c->step[s].nin; k++) {
                const int from = c->step[s].in[k];
                if (from >= TUFF_CHAIN_STEP_0) one.in[k] = &v[from - TUFF_CHAIN_STEP_0].real;
                else if (from >= 0)
                    one.in[k] = r->in[from] + tuff_broadcast_at(&c->x[from], &c->over[from], i);
            }
            c->step[s].op->ref(&one);
        }
        for (int o = 0; o < c->nout; o++) r->out[o][i] = v[c->out[o]].real;
    }
}

// ---- the CPU path --------------------------------------------------------------------------

enum { BLOCK = 2048 }; // elements: some values of a block stay in the first cache

// What a thread works in.
typedef struct blocks {
    const tuff_ref *r;
    const tuff_chain *c;
    tuff_spread spread[TUFF_CHAIN_IN];
    const float *x[TUFF_CHAIN_IN]; // of the block
    bool alone[TUFF_CHAIN_IN];     // one element stands for all of the block
    float *y[TUFF_CHAIN_STEPS];
    float expanded[TUFF_CHAIN_IN][BLOCK];
    float value[TUFF_CHAIN_STEPS][BLOCK];
} blocks;

// Where the elements from `at` on lie, of which there are at most *n; an input that a batch
// norm reads must be one element, and cuts the block where it changes.
static void place_input(blocks *b, int i, size_t at, size_t n)
{
    const struct tuff_broadcast *s = &b->spread[i].pc;
    const float *x = b->r->in[i];
    b->alone[i] = false;
    if (b->spread[i].mode[0] == TUFF_READ_SAME) {
        b->x[i] = x + at;
        return;
    }
    size_t q = at / s->div[0], rest = at % s->div[0];
    if ((at + n - 1) / s->div[0] == q) {
        b->alone[i] = true;
        b->x[i] = x + q % s->mod[0];
        return;
    }
    b->x[i] = b->expanded[i];
    q %= s->mod[0];
    for (size_t k = 0; k < n; k++) {
        b->expanded[i][k] = x[q];
        if (++rest < s->div[0]) continue;
        rest = 0;
        if (++q == s->mod[0]) q = 0;
    }
}

static void run_step(blocks *b, int s, size_t n)
{
    const tuff_chain_step *step = &b->c->step[s];
    bool alone[TUFF_CHAIN_ARGS] = { false };
    tuff_ref r = { .out = { b->y[s] }, .begin = 0, .end = n };
    for (int i = 0; i < step->nin; i++) {
        const int k = step->in[i];
        if (k >= TUFF_CHAIN_STEP_0) r.in[i] = b->y[k - TUFF_CHAIN_STEP_0];
        if (k < 0 || k >= TUFF_CHAIN_STEP_0) continue;
        r.in[i] = b->x[k];
        alone[i] = b->alone[k];
    }
    const tuff_call call = step_call(b->c, s, (int64_t)n, alone);
    r.call = &call;
    if (step->op == &tuff_op_batch_norm) r.end = 1; // its units are channels
    for (int h = 0; h < TUFF_OP_HOSTS && step->op->hosts[h].name; h++) {
        if (!step->op->hosts[h].takes(&call)) continue;
        step->op->hosts[h].run(&r);
        return;
    }
    step->op->ref(&r);
}

// Whether output o may be written before the block is done: not where it lies over an input.
static bool apart(const blocks *b, int o)
{
    for (int i = 0; i < b->c->nin; i++)
        if (b->r->in[i] == b->r->out[o]) return false;
    return true;
}

static void run_block(blocks *b, size_t at, size_t n)
{
    const tuff_chain *c = b->c;
    for (int i = 0; i < c->nin; i++) place_input(b, i, at, n);
    for (int s = 0; s < c->nsteps; s++) b->y[s] = b->value[s];
    for (int o = 0; o < c->nout; o++)
        if (apart(b, o)) b->y[c->out[o]] = b->r->out[o] + at;
    for (int s = 0; s < c->nsteps; s++) run_step(b, s, n);
    for (int o = 0; o < c->nout; o++) {
        float *to = b->r->out[o] + at, *from = b->y[c->out[o]];
        if (to != from) memcpy(to, from, n * sizeof *to);
    }
}

// A block ends where the channel of a batch norm does.
static size_t block_end(const blocks *b, size_t at, size_t end)
{
    const tuff_chain *c = b->c;
    if (end - at > BLOCK) end = at + BLOCK;
    for (int s = 0; s < c->nsteps; s++) {
        if (c->step[s].op != &tuff_op_batch_norm) continue;
        const size_t run = b->spread[c->step[s].in[1]].pc.div[0], edge = (at / run + 1) * run;
        if (edge < end) end = edge;
    }
    return end;
}

static void run_blocks(const tuff_ref *r)
{
    blocks b;
    b.r = r;
    b.c = chain_of(r->call);
    for (int i = 0; i < b.c->nin; i++) {
        const tuff_desc *const x[1] = { &b.c->x[i] };
        b.spread[i] = tuff_spread_of(x, 1, &b.c->over[i]);
    }
    for (size_t at = r->begin; at < r->end;) {
        const size_t end = block_end(&b, at, r->end);
        run_block(&b, at, end - at);
        at = end;
    }
}

static bool takes_all(const tuff_call *c)
{
    (void)c;
    return true;
}

// ---- the record ----------------------------------------------------------------------------

static void write_doc(tuff_chain *c)
{
    int used = 0;
    for (int s = 0; s < c->nsteps && used < (int)sizeof c->doc; s++)
        used += snprintf(c->doc + used, sizeof c->doc - (size_t)used, "%s%s", s ? " " : "",
                         c->step[s].op->name);
}

const tuff_chain *tuff_chain_of(const tuff_op *op)
{
    return op->infer == infer ? (const tuff_chain *)(const void *)op : NULL;
}

// What all chains have.
static const tuff_op record = {
    .name = "chain", .infer = infer, .ref = ref, .units = tuff_elements, .cost = cost,
    .work = work, .special = TUFF_SPECIAL_EACH, .sample = { -4, 4 },
    .variants = { TUFF_KERNEL("steps", tuff_chain_plan_steps) },
    .hosts = { { .name = "blocks", .takes = takes_all, .run = run_blocks } },
};

bool tuff_chain_variant(const char *name)
{
    for (int i = 0; i < TUFF_OP_VARIANTS && record.variants[i].name; i++)
        if (strcmp(record.variants[i].name, name) == 0) return true;
    return strcmp(record.hosts[0].name, name) == 0;
}

void tuff_chain_finish(tuff_chain *c, const int alias[])
{
    static const char *const x[] = { "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7" };
    static const char *const y[] = { "y0", "y1", "y2" };
    write_doc(c);
    c->op = record;
    c->op.doc = c->doc;
    for (int i = 0; i < c->nin; i++)
        c->op.in[i] = (tuff_port){ .name = x[i], .dtypes = TUFF_F32 };
    for (int o = 0; o < c->nout; o++)
        c->op.out[o] = (tuff_port){ .name = y[o], .dtypes = TUFF_F32, .alias = alias[o] >= 0,
                                    .alias_in = alias[o] >= 0 ? alias[o] : 0 };
    for (int s = 0; s < c->nsteps; s++) {
        const tuff_chain_step *step = &c->step[s];
        c->op.tol.f32 += step->op->tol.f32;
        if (step->op->special != TUFF_SPECIAL_EACH) c->op.special = step->op->special;
        for (int i = 0; i < step->nin; i++) {
            if (step->in[i] < 0 || step->in[i] >= TUFF_CHAIN_STEP_0) continue;
            c->op.in[step->in[i]].positive |= step->op->in[i].positive;
            c->op.in[step->in[i]].ordinary |= step->op->in[i].ordinary;
        }
    }
}
