#include "ops/lower.h"
#include "base/convert.h"
#include "base/thread.h"
#include "ops/cast.h"
#include <assert.h>
#include <string.h>

static uint32_t native_of(const tuff_op *op) { return op->native ? op->native : TUFF_WORDS; }

bool tuff_is_native(const tuff_op *op, tuff_dtype type) { return type & native_of(op); }

uint32_t tuff_call_foreign(const tuff_call *c, uint32_t more)
{
    uint32_t used = 0;
    for (int i = 0; i < c->nin; i++) used |= c->in[i].dtype;
    for (int i = 0; i < c->nout; i++) used |= c->out[i].dtype;
    return used & ~(native_of(c->op) | more);
}

static tuff_dtype lower_type(const tuff_op *op, tuff_dtype t)
{
    if (t & native_of(op)) return t;
    return t & TUFF_FLOATS ? TUFF_F32 : TUFF_I32;
}

void tuff_call_lower(const tuff_call *c, tuff_call *low)
{
    *low = *c;
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) low->in[i].dtype = lower_type(c->op, c->in[i].dtype);
    for (int i = 0; i < c->nout; i++)
        low->out[i].dtype = lower_type(c->op, c->out[i].dtype);
}

void tuff_call_for_host(const tuff_call *c, const tuff_host *host, tuff_call *call)
{
    if (host && host->types && !tuff_call_foreign(c, host->types)) *call = *c;
    else tuff_call_lower(c, call);
}

void tuff_call_for(const tuff_call *c, const tuff_variant *v, tuff_call *call)
{
    const bool takes = !tuff_call_foreign(c, v->types);
    if (takes && !v->kept) {
        *call = *c;
        return;
    }
    tuff_call_lower(c, call);
    for (int i = 0; takes && i < c->nin; i++)
        if (v->kept >> i & 1) call->in[i].dtype = c->in[i].dtype;
}

// ---- where the lowered tensors lie -------------------------------------------------------

typedef struct places {
    size_t in[TUFF_OP_IN], out[TUFF_OP_OUT]; // bytes; SIZE_MAX: not lowered
    size_t total;
} places;

static size_t take(size_t *total, const tuff_desc *d, const tuff_desc *low)
{
    if (d->dtype == low->dtype) return SIZE_MAX;
    const size_t at = *total, bytes = tuff_desc_bytes(low);
    *total += (bytes + TUFF_BUFFER_ALIGN - 1) / TUFF_BUFFER_ALIGN * TUFF_BUFFER_ALIGN;
    return at;
}

static places places_of(const tuff_call *c, const tuff_call *low)
{
    places p = { .total = 0 };
    for (int i = 0; i < c->nin; i++) p.in[i] = take(&p.total, &c->in[i], &low->in[i]);
    for (int i = 0; i < c->nout; i++) p.out[i] = take(&p.total, &c->out[i], &low->out[i]);
    return p;
}

size_t tuff_lower_bytes(const tuff_call *c, const tuff_host *host)
{
    tuff_call low;
    tuff_call_for_host(c, host, &low);
    return places_of(c, &low).total;
}

// ---- a plan ------------------------------------------------------------------------------

static void redirect(tuff_slot *s, const places *at, const tuff_call *low)
{
    if (s->role == TUFF_ROLE_SCRATCH) return;
    const bool in = s->role == TUFF_ROLE_IN;
    const size_t place = in ? at->in[s->index] : at->out[s->index];
    if (place == SIZE_MAX) return;
    const size_t whole = tuff_desc_bytes(in ? &low->in[s->index] : &low->out[s->index]);
    if (!s->size) s->size = whole - s->offset;
    s->offset += place;
    s->role = TUFF_ROLE_SCRATCH;
    s->index = TUFF_PLAN_LOWERED;
}

// One cast between a tensor of the call and its place in scratch.
static bool add_cast(const tuff_caps *k, tuff_plan *p, tuff_role role, int index,
                     const tuff_desc *outer, const tuff_desc *inner, size_t place)
{
    const tuff_slot tensor = { .role = (uint8_t)role, .index = (uint8_t)index };
    const tuff_slot scratch = { .role = TUFF_ROLE_SCRATCH, .index = TUFF_PLAN_LOWERED,
                                .offset = place, .size = tuff_desc_bytes(inner) };
    if (role == TUFF_ROLE_IN)
        return tuff_cast_add(k, p, outer, tensor, inner, scratch, outer->dtype == TUFF_I64);
    return tuff_cast_add(k, p, inner, scratch, outer, tensor, false);
}

bool tuff_lower_plan(const tuff_call *c, const tuff_call *low, const tuff_caps *k,
                     tuff_plan *p)
{
    const places at = places_of(c, low);
    const int own = p->count;
    if (!at.total) return true; // nothing was lowered
    if (own + c->nin + c->nout > TUFF_PLAN_MAX) return false;
    for (int i = 0; i < c->nin; i++)
        if (!tuff_fits(k, tuff_desc_bytes(&low->in[i]))) return false;
    for (int i = 0; i < c->nout; i++)
        if (!tuff_fits(k, tuff_desc_bytes(&low->out[i]))) return false;
    for (int d = 0; d < own; d++)
        for (int s = 0; s < p->d[d].nslot; s++) redirect(&p->d[d].slot[s], &at, low);
    for (int i = 0; i < c->nin; i++)
        if (at.in[i] != SIZE_MAX &&
            !add_cast(k, p, TUFF_ROLE_IN, i, &c->in[i], &low->in[i], at.in[i]))
            return false;
    // Casts of inputs were appended; they go first.
    const int casts = p->count - own;
    tuff_dispatch first[TUFF_OP_IN];
    assert(casts <= TUFF_OP_IN);
    memcpy(first, p->d + own, (size_t)casts * sizeof *first);
    memmove(p->d + casts, p->d, (size_t)own * sizeof *p->d);
    memcpy(p->d, first, (size_t)casts * sizeof *first);
    for (int i = 0; i < c->nout; i++)
        if (at.out[i] != SIZE_MAX &&
            !add_cast(k, p, TUFF_ROLE_OUT, i, &c->out[i], &low->out[i], at.out[i]))
            return false;
    p->scratch[TUFF_PLAN_LOWERED] = at.total;
    return true;
}

// ---- a reference -------------------------------------------------------------------------

typedef struct cast {
    tuff_dtype from_type, to_type;
    const void *from;
    void *to;
    bool fast;
} cast;

static void cast_range(void *arg, size_t begin, size_t end)
{
    const cast *c = arg;
    (c->fast ? tuff_convert_fast : tuff_convert)(c->from_type, c->from, c->to_type, c->to,
                                                 c->from_type == TUFF_I64, begin, end);
}

// Few are not worth waking threads for.
static void cast_all(const cast *c, int64_t count)
{
    enum { FEW = 1 << 15 };
    cast job = *c;
    if (count < FEW) cast_range(&job, 0, (size_t)count);
    else tuff_parallel_for((size_t)count, cast_range, &job);
}

void tuff_lower_begin(const tuff_call *c, void *const in[], void *const out[], void *scratch,
                      const tuff_host *host, tuff_call *low, tuff_ref *r)
{
    tuff_call_for_host(c, host, low);
    const places at = places_of(c, low);
    *r = (tuff_ref){ .call = low };
    for (int i = 0; i < c->nin; i++) {
        r->in[i] = in[i];
        if (at.in[i] == SIZE_MAX) continue;
        void *to = (char *)scratch + at.in[i];
        const cast job = { c->in[i].dtype, low->in[i].dtype, in[i], to, host != NULL };
        cast_all(&job, tuff_desc_count(&c->in[i]));
        r->in[i] = to;
    }
    for (int i = 0; i < c->nout; i++)
        r->out[i] = at.out[i] == SIZE_MAX ? out[i] : (void *)((char *)scratch + at.out[i]);
}

void tuff_lower_end(const tuff_call *c, const tuff_ref *r, void *const out[],
                    const tuff_host *host)
{
    for (int i = 0; i < c->nout; i++) {
        const tuff_dtype low = r->call->out[i].dtype;
        if (low == c->out[i].dtype) continue;
        const cast job = { low, c->out[i].dtype, r->out[i], out[i], host != NULL };
        cast_all(&job, tuff_desc_count(&c->out[i]));
    }
}
