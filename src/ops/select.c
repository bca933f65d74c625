// Which variant of an op runs a call: the first in its ordered list that plans it.
#include "base/text.h"
#include "ops/chain.h"
#include "ops/lower.h"
#include "ops/tuning.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local const char *forced;

static _Thread_local bool oracle;

static _Thread_local const tuff_candidate *pinned;

void tuff_variant_force(const char *name) { forced = name; }

void tuff_candidate_pin(const tuff_candidate *as) { pinned = as; }

bool tuff_select_oracle(bool on)
{
    const bool was = oracle;
    oracle = on;
    return was;
}

// A kernel sees each tensor through one binding, which has a limit.
static tuff_status check_size(const tuff_call *c, const tuff_desc *d, const tuff_caps *k)
{
    char text[96];
    TUFF_REQUIRE(!d->dtype || tuff_fits(k, tuff_desc_bytes(d)), LIMIT,
                 "%s: %s takes %zu bytes, a kernel of this device sees at most %llu "
                 "(maxStorageBufferRange)", c->op->name, tuff_desc_print(d, text, sizeof text),
                 tuff_desc_bytes(d), (unsigned long long)k->max_storage_range);
    return TUFF_OK;
}

static tuff_status none_fits(const tuff_call *c, const tuff_caps *k, const char *only)
{
    char x[96];
    const tuff_desc *d = c->nin ? &c->in[0] : &c->out[0];
    (void)tuff_desc_print(d, x, sizeof x);
    if (only)
        return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: no kernel named %s takes %s here",
                         c->op->name, only, x);
    if (!c->op->variants[0].name)
        return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: it has no kernel, only a reference in C "
                         "that the CPU path runs", c->op->name);
    if (c->op->own)
        return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: its kernel is not for %s on this device, "
                         "which binds %u storage buffers and %llu texels, has workgroups of "
                         "%u and %u bytes of shared memory", c->op->name, x,
                         k->storage_buffers, (unsigned long long)k->max_texels, k->max_group,
                         k->shared);
    // The last variant runs on every device: what stops it is the size of its scratch memory,
    // or the length of its sums.
    return tuff_fail(TUFF_ERR_LIMIT, "%s: what its kernels keep beside %s takes more than the "
                     "%llu bytes that this device binds at once (maxStorageBufferRange)%s",
                     c->op->name, x, (unsigned long long)k->max_storage_range,
                     k->max_loop ? ", or its sums take more iterations than this driver's "
                                   "loops make" : "");
}

static bool has_way(const tuff_plan *p, const char *way)
{
    for (int i = 0; way && p->ways && p->ways[i]; i++)
        if (strcmp(p->ways[i], way) == 0) return true;
    return !way;
}

static bool plan_variant(const tuff_call *c, const tuff_caps *k, const tuff_variant *v,
                         const tuff_candidate *as, tuff_plan *p)
{
    tuff_caps other; // those that ask for workgroups of another size
    p->count = 0;
    p->host = NULL;
    p->stages = 0;
    memset(p->scratch, 0, sizeof p->scratch);
    p->variant = v->name;
    p->forced = as->forced;
    p->way = as->way;
    p->ways = NULL;
    p->group = as->group;
    p->tuned = false;
    if (as->group) {
        other = *k;
        other.group = as->group;
        k = &other;
    }
    tuff_call call;
    tuff_call_for(c, v, &call);
    return v->plan(&call, k, p) && has_way(p, as->way) && tuff_lower_plan(c, &call, k, p);
}

// The first variant that plans the call, among all, those named `only`, or (`passed`) those
// that software drivers pass over at first. None that was wrong in this class (NULL: nothing
// is known of it).
static bool plan_first(const tuff_call *c, const tuff_caps *k, tuff_plan *p, const char *only,
                       const char *class, bool passed)
{
    const tuff_candidate as = { .forced = only != NULL };
    for (int i = 0; i < TUFF_OP_VARIANTS && c->op->variants[i].name; i++) {
        const tuff_variant *v = &c->op->variants[i];
        if (only ? strcmp(only, v->name) != 0 : (k->cpu_like && v->gpu) != passed) continue;
        if (class && tuff_tuning_is_wrong(k->tuning, c->op->name, class, v->name, "", 0))
            continue;
        if (plan_variant(c, k, v, &as, p)) return true;
    }
    return false;
}

// ---- one candidate -----------------------------------------------------------------------

static tuff_status select_host_as(const tuff_call *c, const tuff_candidate *as, tuff_plan *p)
{
    tuff_call call;
    p->count = 0;
    p->host = NULL;
    p->stages = UINT64_MAX;
    p->way = NULL;
    p->ways = NULL;
    p->group = 0;
    p->forced = p->tuned = false;
    memset(p->scratch, 0, sizeof p->scratch);
    p->variant = "ref";
    p->scratch[TUFF_PLAN_LOWERED] = tuff_lower_bytes(c, NULL);
    if (strcmp(as->variant, "ref") == 0 && c->op->ref) return TUFF_OK;
    for (int i = 0; i < TUFF_OP_HOSTS && c->op->hosts[i].name; i++) {
        p->host = &c->op->hosts[i];
        p->variant = p->host->name;
        tuff_call_for_host(c, p->host, &call);
        if (strcmp(as->variant, p->variant) != 0 || !p->host->takes(&call)) continue;
        p->scratch[0] = p->host->scratch ? p->host->scratch(&call) : 0;
        p->scratch[TUFF_PLAN_KEPT] = p->host->keeps ? p->host->keeps(&call) : 0;
        p->scratch[TUFF_PLAN_LOWERED] = tuff_lower_bytes(c, p->host);
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: no kernel named %s takes this call",
                     c->op->name, as->variant);
}

tuff_status tuff_select_as(const tuff_call *c, const tuff_caps *k, const tuff_candidate *as,
                           tuff_plan *p)
{
    if (k->cpu) return select_host_as(c, as, p);
    for (int i = 0; i < TUFF_OP_VARIANTS && c->op->variants[i].name; i++)
        if (strcmp(as->variant, c->op->variants[i].name) == 0 &&
            plan_variant(c, k, &c->op->variants[i], as, p))
            return TUFF_OK;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s: no kernel named %s takes this call",
                     c->op->name, as->variant);
}

tuff_candidate tuff_plan_candidate(const tuff_plan *p)
{
    return (tuff_candidate){ .variant = p->variant, .way = p->way, .group = p->group,
                             .forced = p->forced };
}

int tuff_plan_way(tuff_plan *p, const char *const names[])
{
    p->ways = names;
    for (int i = 0; p->way && names[i]; i++)
        if (strcmp(names[i], p->way) == 0) return i;
    return 0;
}

// The plan of a measured choice. A variant with a tolerance of its own needs the call's leave,
// which the planner looks at; the others plan whatever they can.
static bool plan_tuned(const tuff_call *c, const tuff_caps *k, const tuff_tuned *choice,
                       tuff_plan *p)
{
    tuff_candidate as = { .variant = choice->variant, .group = choice->group,
                          .way = choice->way[0] ? choice->way : NULL, .forced = true };
    for (int i = 0; i < TUFF_OP_VARIANTS && c->op->variants[i].name; i++)
        if (strcmp(c->op->variants[i].name, choice->variant) == 0 &&
            c->op->variants[i].tol > 0)
            as.forced = false;
    if (tuff_select_as(c, k, &as, p) != TUFF_OK) return false;
    for (int i = 0; p->way && p->ways[i]; i++) // a name that stays
        if (strcmp(p->ways[i], as.way) == 0) p->way = p->ways[i];
    return p->tuned = true;
}

// What is known of the call's class: its text, or NULL where the table has nothing in it, and
// the choice where there is one.
static const char *class_of(const tuff_call *c, const tuff_caps *k, char text[TUFF_CLASS_TEXT],
                            tuff_tuned *choice, bool *chosen)
{
    *chosen = false;
    if (!k->tuning || tuff_tuning_empty(k->tuning)) return NULL;
    if (tuff_tuning_class(c, text, TUFF_CLASS_TEXT) >= TUFF_CLASS_TEXT) return NULL;
    *chosen = tuff_tuning_find(k->tuning, c->op->name, text, choice);
    return text;
}

static bool has_variant(const tuff_op *op, const char *name)
{
    for (int i = 0; i < TUFF_OP_VARIANTS && op->variants[i].name; i++)
        if (strcmp(name, op->variants[i].name) == 0) return true;
    for (int i = 0; i < TUFF_OP_HOSTS && op->hosts[i].name; i++)
        if (strcmp(name, op->hosts[i].name) == 0) return true;
    return false;
}

// TUFF_VARIANT may name what this op has not, so that one setting can be used for a whole net,
// but not what no op has.
static tuff_status check_setting(const char *name)
{
    bool known = strcmp(name, "ref") == 0 || tuff_chain_variant(name);
    for (int i = 0; i < tuff_op_count() && !known; i++)
        known = has_variant(tuff_op_at(i), name);
    TUFF_REQUIRE(known, ARG, "TUFF_VARIANT: no operator has a kernel named '%s' (tuff op "
                 "--docs lists them)", tuff_show(name, strlen(name)));
    return TUFF_OK;
}

// The host kernel that runs a call on the CPU path: the first that takes it, of those named
// `only` where that is given, and of those that were not wrong; else its reference.
static const char *host_of(const tuff_call *c, const tuff_caps *k, const char *only,
                           const char *class)
{
    tuff_call call;
    for (int i = 0; i < TUFF_OP_HOSTS && c->op->hosts[i].name; i++) {
        const tuff_host *h = &c->op->hosts[i];
        if (only ? strcmp(only, h->name) != 0
                 : class && tuff_tuning_is_wrong(k->tuning, c->op->name, class, h->name, "", 0))
            continue;
        tuff_call_for_host(c, h, &call);
        if (h->takes(&call)) return h->name;
    }
    return "ref";
}

static tuff_status select_host(const tuff_call *c, const tuff_caps *k, const char *only,
                               tuff_plan *p)
{
    char text[TUFF_CLASS_TEXT];
    tuff_tuned choice;
    bool chosen = false;
    TUFF_REQUIRE(c->op->ref, UNSUPPORTED, "%s: it has no reference in C, and the CPU path runs "
                 "nothing else", c->op->name);
    const char *class = only || oracle ? NULL : class_of(c, k, text, &choice, &chosen);
    if (chosen && plan_tuned(c, k, &choice, p)) return TUFF_OK;
    const tuff_candidate as = { !only && oracle ? "ref" : host_of(c, k, only, class), NULL, 0,
                                false };
    TUFF_TRY(select_host_as(c, &as, p));
    if (forced && strcmp(forced, p->variant) != 0) return none_fits(c, k, forced);
    return TUFF_OK;
}

static tuff_status all_were_wrong(const tuff_call *c)
{
    return tuff_fail(TUFF_ERR_CHECK, "%s: every kernel that takes this call gave wrong results "
                     "on this device when it was tuned (tuff check --op %s says more)",
                     c->op->name, c->op->name);
}

static tuff_status select_unforced(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    char text[TUFF_CLASS_TEXT];
    tuff_tuned choice;
    bool chosen;
    const char *class = class_of(c, k, text, &choice, &chosen);
    if (chosen && plan_tuned(c, k, &choice, p)) return TUFF_OK;
    if (plan_first(c, k, p, NULL, class, false) || plan_first(c, k, p, NULL, class, true))
        return TUFF_OK;
    for (int passed = 0; class && passed < 2; passed++)
        if (plan_first(c, k, p, NULL, NULL, passed)) return all_were_wrong(c);
    return none_fits(c, k, NULL);
}

tuff_status tuff_select(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (pinned) return tuff_select_as(c, k, pinned, p);
    const char *only = forced ? forced : getenv("TUFF_VARIANT");
    if (only && !*only) only = NULL;
    const bool known = only && has_variant(c->op, only);
    if (only && !known && !forced) TUFF_TRY(check_setting(only));
    if (k->cpu) return select_host(c, k, only, p);
    // tuff_variant_force means this call.
    if (!known && !forced) only = NULL;
    for (int i = 0; i < c->nin; i++) TUFF_TRY(check_size(c, &c->in[i], k));
    for (int i = 0; i < c->nout; i++) TUFF_TRY(check_size(c, &c->out[i], k));
    if (!only) return select_unforced(c, k, p);
    return plan_first(c, k, p, only, NULL, false) ? TUFF_OK : none_fits(c, k, only);
}

double tuff_select_tolerance(const tuff_call *c, const tuff_caps *k)
{
    tuff_plan plan;
    if (tuff_select(c, k, &plan) != TUFF_OK) return (double)c->op->tol.f32;
    if (k->cpu)
        return (double)(plan.host && plan.host->tol > 0 ? plan.host->tol : c->op->tol.f32);
    for (int i = 0; i < TUFF_OP_VARIANTS && c->op->variants[i].name; i++)
        if (strcmp(c->op->variants[i].name, plan.variant) == 0 && c->op->variants[i].tol > 0)
            return (double)c->op->variants[i].tol;
    return (double)c->op->tol.f32;
}

tuff_dispatch *tuff_plan_add(tuff_plan *p, int shader)
{
    assert(p->count < TUFF_PLAN_MAX);
    tuff_dispatch *d = &p->d[p->count++];
    memset(d, 0, sizeof *d);
    d->launch.shader = shader;
    return d;
}

void tuff_bind(tuff_dispatch *d, tuff_role role, int index, tuff_bind_kind kind, int access)
{
    assert(d->nslot < TUFF_MAX_BINDINGS);
    d->slot[d->nslot++] = (tuff_slot){ .role = (uint8_t)role, .index = (uint8_t)index,
                                       .kind = (uint8_t)kind, .access = (uint8_t)access };
}

void tuff_bind_or_word(const tuff_call *c, tuff_dispatch *d, int input, int other,
                       tuff_bind_kind kind)
{
    const bool there = tuff_call_has(c, input);
    tuff_bind(d, TUFF_ROLE_IN, there ? input : other, kind, TUFF_READ);
    if (there) return;
    // Three words if there are: some drivers build a kernel anew for texel buffers whose size
    // is a power of two.
    const size_t bytes = tuff_desc_bytes(&c->in[other]);
    d->slot[d->nslot - 1].size = bytes >= 12 ? 12 : bytes >= 4 ? 4 : 0;
}

void tuff_spec(tuff_dispatch *d, uint32_t value)
{
    assert(d->launch.nspec < TUFF_MAX_SPEC);
    d->launch.spec[d->launch.nspec++] = value;
}

void tuff_push(tuff_dispatch *d, const void *data, size_t bytes)
{
    assert(bytes <= TUFF_MAX_PUSH);
    memcpy(d->launch.push, data, bytes);
    d->launch.push_size = (uint32_t)bytes;
}

// ---- what a program does once --------------------------------------------------------------

static bool overlap(const tuff_plan *p, const tuff_slot *a, const tuff_slot *b)
{
    if (a->role != b->role || a->index != b->index) return false;
    const size_t end_a = a->size ? a->offset + a->size : p->scratch[a->index];
    const size_t end_b = b->size ? b->offset + b->size : p->scratch[b->index];
    return a->offset < end_b && b->offset < end_a;
}

// Whether dispatch i may touch these bytes of scratch in a list of their own: no dispatch but
// those of the set writes them, and of those only one.
static bool is_settled(const tuff_plan *p, int i, const tuff_slot *slot, uint64_t set)
{
    for (int k = 0; k < p->count; k++)
        for (int j = 0; k != i && j < p->d[k].nslot; j++) {
            const tuff_slot *other = &p->d[k].slot[j];
            const bool both = slot->access & other->access & TUFF_WRITE;
            if (other->access & TUFF_WRITE && (both || !(set >> k & 1)) &&
                overlap(p, slot, other))
                return false;
        }
    return true;
}

static bool is_once(const tuff_plan *p, int i, uint32_t constant, uint64_t set)
{
    for (int j = 0; j < p->d[i].nslot; j++) {
        const tuff_slot *s = &p->d[i].slot[j];
        if (s->role == TUFF_ROLE_OUT) return false;
        if (s->role == TUFF_ROLE_IN && !(constant >> s->index & 1)) return false;
        if (s->role == TUFF_ROLE_SCRATCH && !is_settled(p, i, s, set)) return false;
    }
    return true;
}

// A call that is lowered casts its inputs and outputs whichever stages it runs.
static uint64_t host_once(const tuff_plan *p, uint32_t constant)
{
    return p->scratch[TUFF_PLAN_KEPT] && !p->scratch[TUFF_PLAN_LOWERED] &&
           !(p->host->made_of & ~constant);
}

uint64_t tuff_plan_once(const tuff_plan *p, uint32_t constant)
{
    if (p->host) return host_once(p, constant);
    uint64_t set = constant ? UINT64_MAX : 0, before = 0;
    while (set != before) {
        before = set;
        for (int i = 0; i < TUFF_PLAN_MAX; i++)
            if (i >= p->count || !is_once(p, i, constant, set)) set &= ~(UINT64_C(1) << i);
    }
    return set;
}

void tuff_plan_keep(tuff_plan *p, uint64_t set)
{
    int n = 0;
    p->stages &= set;
    for (int i = 0; i < p->count; i++) {
        if (!(set >> i & 1)) continue;
        if (n != i) p->d[n] = p->d[i];
        n++;
    }
    p->count = n;
}

void tuff_grid(tuff_dispatch *d, uint64_t groups, const tuff_caps *k)
{
    uint64_t left = groups ? groups : 1;
    for (int i = 0; i < 3; i++) {
        const uint64_t most = k->max_groups[i];
        const uint64_t others = i < 2 ? (left + most - 1) / most : 1;
        // Rows of equal length waste fewer groups than full rows and a short last one.
        d->launch.grid[i] = (uint32_t)((left + others - 1) / others);
        left = others;
    }
}

uint32_t tuff_group_size(const tuff_caps *k)
{
    uint32_t want = k->cpu_like ? (k->subgroup > 8 ? k->subgroup : 8) : 64;
    if (k->group) want = k->group;
    while (want > k->max_group || want > k->max_group_size[0]) want /= 2;
    return want;
}

uint32_t tuff_group_size_flat(const tuff_caps *k)
{
    uint32_t want = k->group ? k->group : k->cpu_like ? 256 : 64;
    while (want > k->max_group || want > k->max_group_size[0]) want /= 2;
    return want;
}

uint32_t tuff_group_size_for(const tuff_caps *k, uint64_t invocations)
{
    enum { NARROW = 64, GROUPS = 32 };
    uint32_t want = tuff_group_size_flat(k);
    if (k->group || !k->cpu_like) return want;
    while (want > NARROW && invocations / want < GROUPS) want /= 2;
    return want;
}
