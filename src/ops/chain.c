// The record of a chain: its shapes, its reference, and what runs it on the CPU path.
#include "ops/chain.h"
#include "ops/host.h"
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

// Over n elements.
static tuff_call step_call(const tuff_chain *c, int s, int64_t n)
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
        call.in[i] = TUFF_SHAPE(type, n);
    }
    // Of a batch norm this is one channel of one image.
    if (step->op == &tuff_op_batch_norm) {
        for (int i = 1; i < step->nin; i++) call.in[i] = TUFF_SHAPE(TUFF_F32, 1);
        call.in[0] = TUFF_SHAPE(TUFF_F32, 1, 1, n);
    }
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
    for (int s = 0; s < c->nsteps; s++) call[s] = step_call(c, s, 1);
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

// Elements: the values of a block that are needed stay in a first cache. Rows are not 4 KB
// apart, for a processor takes a load from such a place for one that a store before it feeds.
enum { BLOCK = 1024, ROW = BLOCK + 48 };

// What a thread works in.
typedef struct blocks {
    const tuff_ref *r;
    const tuff_chain *c;
    bool streams; // outputs are written past the caches
    tuff_spread spread[TUFF_CHAIN_IN];
    const float *x[TUFF_CHAIN_IN]; // of the block
    bool norm[TUFF_CHAIN_IN];      // a batch norm's, of which a block has one element
    tuff_operand operand[TUFF_CHAIN_IN];
    const float *all[TUFF_CHAIN_IN]; // the one element that `expanded` is full of, or NULL
    float *y[TUFF_CHAIN_STEPS];
    int room_of[TUFF_CHAIN_STEPS]; // which of `room` a step's result lies in
    tuff_call call[TUFF_CHAIN_STEPS];
    size_t call_n; // elements that the calls are made for
    _Alignas(64) float expanded[TUFF_CHAIN_IN][ROW];
    float room[TUFF_CHAIN_STEPS][ROW];
} blocks;

static bool is_output(const tuff_chain *c, int s)
{
    for (int o = 0; o < c->nout; o++)
        if (c->out[o] == s) return true;
    return false;
}

// Whether batch norms alone read an input, as a channel's value.
static bool is_norms(const tuff_chain *c, int input)
{
    for (int s = 0; s < c->nsteps; s++)
        for (int i = 0; i < c->step[s].nin; i++)
            if (c->step[s].in[i] == input && !(i && c->step[s].op == &tuff_op_batch_norm))
                return false;
    return true;
}

// Results share room: one is free again after its last reader.
static void share_room(blocks *b)
{
    const tuff_chain *c = b->c;
    int last[TUFF_CHAIN_STEPS];
    for (int s = 0; s < c->nsteps; s++) {
        last[s] = is_output(c, s) ? c->nsteps : s;
        for (int i = 0; i < c->step[s].nin; i++) {
            const int from = c->step[s].in[i] - TUFF_CHAIN_STEP_0;
            if (from >= 0 && last[from] < s) last[from] = s;
        }
    }
    for (int s = 0; s < c->nsteps; s++) {
        int room = 0;
        for (int k = 0; k < s; k++) {
            if (b->room_of[k] != room || last[k] < s) continue;
            room++;
            k = -1;
        }
        b->room_of[s] = room;
    }
}

// Where the elements from `at` on lie, of which there are n.
static void place_input(blocks *b, int i, size_t at, size_t n)
{
    const struct tuff_broadcast *s = &b->spread[i].pc;
    if (b->spread[i].mode[0] == TUFF_READ_SAME) {
        b->x[i] = b->r->in[i] + at;
        return;
    }
    const size_t q = at / s->div[0] % s->mod[0];
    const float *x = b->r->in[i] + q;
    const bool one = (at + n - 1) / s->div[0] == at / s->div[0];
    b->x[i] = x;
    if (b->norm[i] || (s->div[0] == 1 && q + n <= s->mod[0])) return;
    b->x[i] = b->expanded[i];
    if (one && b->all[i] == x) return; // the block before had it, too
    b->all[i] = one && n == BLOCK ? x : NULL;
    (void)tuff_operand_read(&b->operand[i], at, n, b->expanded[i]);
}

// The kernel of the CPU path that takes a step's elements as its units, or NULL.
static const tuff_host *host_of(const tuff_call *c)
{
    for (const tuff_host *h = c->op->hosts; h < c->op->hosts + TUFF_OP_HOSTS && h->name; h++)
        if (!h->units && !h->scratch && h->takes(c)) return h;
    return NULL;
}

static void run_step(blocks *b, int s, size_t n)
{
    const tuff_chain_step *step = &b->c->step[s];
    tuff_ref r = { .out = { b->y[s] }, .begin = 0, .end = n };
    for (int i = 0; i < step->nin; i++) {
        const int k = step->in[i];
        if (k >= TUFF_CHAIN_STEP_0) r.in[i] = b->y[k - TUFF_CHAIN_STEP_0];
        else if (k >= 0) r.in[i] = b->x[k];
    }
    r.call = &b->call[s];
    if (step->op == &tuff_op_batch_norm) r.end = 1; // its units are channels
    const tuff_host *h = host_of(r.call);
    if (h) h->run(&r);
    else step->op->ref(&r);
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
    for (int s = 0; s < c->nsteps && b->call_n != n; s++)
        b->call[s] = step_call(c, s, (int64_t)n);
    b->call_n = n;
    for (int s = 0; s < c->nsteps; s++) b->y[s] = b->room[b->room_of[s]];
    for (int o = 0; o < c->nout; o++)
        if (!b->streams && apart(b, o)) b->y[c->out[o]] = b->r->out[o] + at;
    for (int s = 0; s < c->nsteps; s++) run_step(b, s, n);
    for (int o = 0; o < c->nout; o++) {
        float *to = b->r->out[o] + at, *from = b->y[c->out[o]];
        if (b->streams) tuff_host_write(to, from, n * sizeof *to);
        else if (to != from) memcpy(to, from, n * sizeof *to);
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
    b.streams = tuff_host_streams(tuff_desc_bytes(&r->call->out[0]));
    b.call_n = 0;
    for (int i = 0; i < b.c->nin; i++) {
        const tuff_desc *const x[1] = { &b.c->x[i] };
        b.spread[i] = tuff_spread_of(x, 1, &b.c->over[i]);
        b.operand[i] = tuff_operand_of(r->in[i], x[0], &b.c->over[i]);
        b.norm[i] = is_norms(b.c, i);
        b.all[i] = NULL;
    }
    share_room(&b);
    for (size_t at = r->begin; at < r->end;) {
        const size_t end = block_end(&b, at, r->end);
        run_block(&b, at, end - at);
        at = end;
    }
    if (b.streams) tuff_host_written();
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
    .variants = { TUFF_KERNEL("generated", tuff_chain_plan_generated),
                  TUFF_KERNEL("steps", tuff_chain_plan_steps) },
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
