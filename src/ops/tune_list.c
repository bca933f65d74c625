// What the tuner tries, and on which smaller call it is judged; see tune.h. Pure.
#include "ops/tune.h"
#include "base/alloc.h"
#include "ops/lower.h"
#include <string.h>

// ---- candidates --------------------------------------------------------------------------

typedef struct lister {
    const tuff_call *c;
    tuff_caps caps;      // without what is known already
    tuff_plan *plan, *other;
    tuff_candidates *list;
    bool full;
} lister;

static bool same_plan(const tuff_plan *a, const tuff_plan *b)
{
    if (a->count != b->count || a->host != b->host ||
        memcmp(a->scratch, b->scratch, sizeof a->scratch) != 0)
        return false;
    for (int i = 0; i < a->count; i++) {
        const tuff_dispatch *x = &a->d[i], *y = &b->d[i];
        if (memcmp(&x->launch, &y->launch, sizeof x->launch) != 0 || x->nslot != y->nslot ||
            memcmp(x->slot, y->slot, (size_t)x->nslot * sizeof *x->slot) != 0)
            return false;
    }
    return true;
}

// Appends a candidate that plans the call as none before does; leaves its plan in l->plan.
static bool add(lister *l, tuff_candidate as)
{
    if (l->list->count == TUFF_TUNE_MOST) return false;
    if (tuff_select_as(l->c, &l->caps, &as, l->plan) != TUFF_OK) return false;
    for (int i = 0; i < l->list->count; i++)
        if (strcmp(l->list->at[i].variant, as.variant) == 0 &&
            tuff_select_as(l->c, &l->caps, &l->list->at[i], l->other) == TUFF_OK &&
            same_plan(l->plan, l->other))
            return false;
    l->list->at[l->list->count++] = as;
    return true;
}

// A variant with a tolerance of its own plans only where the call gives leave.
static tuff_candidate of_variant(const tuff_variant *v)
{
    return (tuff_candidate){ .variant = v->name, .forced = !(v->tol > 0) };
}

// What runs the call without tuning, asked for by its name where that makes the same plan: the
// cut call is then planned by it, too, though it would not go by itself to so small a call.
static tuff_candidate usual_of(lister *l)
{
    const tuff_candidate usual = tuff_plan_candidate(l->plan);
    for (int i = 0; i < TUFF_OP_VARIANTS && l->c->op->variants[i].name; i++) {
        const tuff_candidate as = of_variant(&l->c->op->variants[i]);
        if (!l->caps.cpu && strcmp(as.variant, usual.variant) == 0 &&
            tuff_select_as(l->c, &l->caps, &as, l->other) == TUFF_OK &&
            same_plan(l->plan, l->other))
            return as;
    }
    return usual;
}

static void add_variants(lister *l)
{
    for (int i = 0; i < TUFF_OP_VARIANTS && l->c->op->variants[i].name; i++) {
        const tuff_variant *v = &l->c->op->variants[i];
        if (l->caps.cpu_like && v->gpu && !l->full) continue;
        (void)add(l, of_variant(v));
    }
}

static void add_ways(lister *l, tuff_candidate as)
{
    static const uint32_t groups[] = { 32, 64, 128, 256, 512 };
    if (tuff_select_as(l->c, &l->caps, &as, l->plan) != TUFF_OK) return;
    const char *const *ways = l->plan->ways;
    for (int i = 1; ways && ways[i]; i++) {
        as.way = ways[i];
        (void)add(l, as);
    }
    as.way = NULL;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (groups[i] > l->caps.max_group || groups[i] > l->caps.max_group_size[0]) continue;
        as.group = groups[i];
        (void)add(l, as);
    }
}

static void add_all(lister *l)
{
    const tuff_op *op = l->c->op;
    if (l->caps.cpu) {
        for (int i = 0; i < TUFF_OP_HOSTS && op->hosts[i].name; i++)
            (void)add(l, (tuff_candidate){ .variant = op->hosts[i].name });
        (void)add(l, (tuff_candidate){ .variant = "ref" });
        return;
    }
    add_variants(l);
    const int variants = l->list->count;
    for (int i = 0; i < variants; i++) add_ways(l, l->list->at[i]);
}

tuff_status tuff_tune_candidates(const tuff_call *c, const tuff_caps *k, bool full,
                                 tuff_candidates *list)
{
    lister l = { .c = c, .caps = *k, .list = list, .full = full };
    list->count = 0;
    l.caps.tuning = NULL;
    l.plan = tuff_alloc(2, sizeof *l.plan);
    if (!l.plan) return TUFF_ERR_MEMORY;
    l.other = l.plan + 1;
    if (tuff_select(c, &l.caps, l.plan) == TUFF_OK) {
        list->at[list->count++] = usual_of(&l);
        add_all(&l);
    }
    tuff_free(l.plan);
    return TUFF_OK;
}

// ---- a smaller call ----------------------------------------------------------------------

enum { LEAST = 16 };

static int64_t half(int64_t dim)
{
    return dim % 4 ? dim / 2 | 1 : (dim / 2 + 3) / 4 * 4;
}

static void halve(tuff_call *c, int64_t dim)
{
    const bool output = !c->op->in[0].name;
    for (int i = 0; i < (output ? c->nout : c->nin); i++) {
        tuff_desc *d = output ? &c->out[i] : &c->in[i];
        for (int r = 0; d->dtype && r < d->rank; r++)
            if (d->dim[r] == dim) d->dim[r] = half(dim);
    }
}

// The largest dim below `below`; 0: none that is worth halving.
static int64_t next_dim(const tuff_call *c, int64_t below)
{
    const bool output = !c->op->in[0].name;
    int64_t most = 0;
    for (int i = 0; i < (output ? c->nout : c->nin); i++) {
        const tuff_desc *d = output ? &c->out[i] : &c->in[i];
        for (int r = 0; d->dtype && r < d->rank; r++)
            if (d->dim[r] < below && d->dim[r] > most) most = d->dim[r];
    }
    return most > LEAST ? most : 0;
}

// Halves one dim, or two that go together (a row and the bytes that it is packed in).
static bool shrink(tuff_call *c, int64_t dim)
{
    const tuff_call before = *c;
    halve(c, dim);
    if (tuff_call_infer(c) == TUFF_OK) return true;
    for (int64_t also = next_dim(&before, dim); also; also = next_dim(&before, also)) {
        *c = before;
        halve(c, dim);
        halve(c, also);
        if (tuff_call_infer(c) == TUFF_OK) return true;
    }
    *c = before;
    return false;
}

bool tuff_tune_cut(const tuff_call *c, double most, tuff_case *cut)
{
    memset(cut, 0, sizeof *cut);
    if (c->op->params_size > sizeof cut->params) return false;
    cut->call = *c;
    memcpy(cut->params, c->params, c->op->params_size);
    cut->call.params = cut->params;
    int64_t below = INT64_MAX;
    while (tuff_call_work(&cut->call) > most) {
        const int64_t dim = next_dim(&cut->call, below);
        if (!dim) return false;
        if (shrink(&cut->call, dim)) below = INT64_MAX;
        else below = dim;
    }
    return true;
}
