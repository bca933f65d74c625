// Which layers of a net become integers. A product always does; what stands between products
// does where all that it takes are integers already. At an edge between the two kinds there is
// quantize or dequantize: before a layer, or behind the last layer of a branch.
//
// Tensors that must have one grid are a set: what a layer gives that only moves or compares
// numbers (maxpool, flatten, relu, channelpad) and what it takes, and all that a concatenation
// joins.
//
//   tensor          number
//   of part i       i                    (as integers)
//   quantize        parts + i            before part i
//   quantize        2 parts + i          behind part i
#include "compress/quantize.h"
#include "base/alloc.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

tuff_grid8 tuff_grid8_of(float low, float high)
{
    low = fminf(low, 0);
    high = fmaxf(high, 0);
    const double scale = ((double)high - low) / 255;
    if (!(scale > 1e-30)) return (tuff_grid8){ 1, low < 0 ? 0 : -128 };
    const double zero = rint(-128 - low / scale);
    return (tuff_grid8){ (float)scale, (int)fmax(-128, fmin(127, zero)) };
}

// ---- kinds of layers ----------------------------------------------------------------------

static bool is_any(const tuff_model *m, int part, const char *const kinds[])
{
    for (int i = 0; kinds[i]; i++)
        if (tuff_part_is(m, part, kinds[i])) return true;
    return false;
}

// Gives some of the numbers that it takes, on the same grid.
bool tuff_keeps_grid(const tuff_model *m, int part)
{
    static const char *const kinds[] = { "maxpool", "gmp", "flatten", "relu", "channelpad",
                                         "dropout", "concat", "fake_quantize", NULL };
    return is_any(m, part, kinds);
}

static bool can_be_integer(const tuff_model *m, int part)
{
    static const char *const kinds[] = { "avgpool", "gap", "add", NULL };
    return tuff_keeps_grid(m, part) || is_any(m, part, kinds);
}

static bool is_fake(const tuff_model *m, int part)
{
    return tuff_part_is(m, part, "fake_quantize");
}

static bool is_join(const tuff_model *m, int part)
{
    return tuff_is_join(m->part[part].item.layer.kind);
}

// ---- sets ---------------------------------------------------------------------------------

static int root(const tuff_integer_plan *p, int t)
{
    while (p->same[t] != t) t = p->same[t];
    return t;
}

static void join(tuff_integer_plan *p, int a, int b) { p->same[root(p, a)] = root(p, b); }

static int tensor_in(const tuff_integer_plan *p, int part, int k)
{
    const int from = p->model->part[part].item.in[k], parts = p->model->parts;
    if (p->quantize[part]) return parts + part;
    const bool behind = from >= 0 && p->quantize_behind[from] && is_join(p->model, part);
    return behind ? 2 * parts + from : from;
}

// ---- kinds of numbers ---------------------------------------------------------------------

static bool is_integer(const tuff_integer_plan *p, int part)
{
    return part >= 0 && p->integer[part];
}

// Whether what a branch gives to its join comes from a layer of its own, behind which a
// conversion may stand, and not from the block's input.
static bool has_own_end(const tuff_model *m, int from)
{
    return from >= 0 && tuff_part_users(m, from, NULL) == 1;
}

static void choose_join(tuff_integer_plan *p, int part)
{
    const tuff_net_item *item = &p->model->part[part].item;
    bool integer = true, any = false;
    for (int k = 0; k < item->nin; k++) {
        const bool is = is_integer(p, item->in[k]);
        any |= is;
        integer &= is || has_own_end(p->model, item->in[k]);
    }
    p->integer[part] = integer && any;
    for (int k = 0; k < item->nin; k++) {
        const int from = item->in[k];
        if (is_integer(p, from) == p->integer[part]) continue;
        if (p->integer[part]) p->quantize_behind[from] = true;
        else p->dequantize_behind[from] = true;
    }
}

static void choose(tuff_integer_plan *p)
{
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++) {
        const int from = m->part[i].item.in[0];
        if (is_join(m, i)) {
            choose_join(p, i);
            continue;
        }
        if (tuff_part_is_product(m, i) || is_fake(m, i)) p->integer[i] = true;
        else p->integer[i] = can_be_integer(m, i) && is_integer(p, from);
        p->quantize[i] = p->integer[i] && !is_integer(p, from);
        p->dequantize[i] = !p->integer[i] && is_integer(p, from);
    }
    if (p->integer[m->parts - 1]) p->dequantize_behind[m->parts - 1] = true;
}

// ---- relu by saturation -------------------------------------------------------------------

// The layer whose saturation does what a relu does: the numbers go from it through layers that
// keep order and have one user each. -1: there is none.
static int clipped_by(const tuff_integer_plan *p, int relu)
{
    static const char *const between[] = { "maxpool", "gmp", "flatten", "dropout", NULL };
    const tuff_model *m = p->model;
    int at = m->part[relu].item.in[0];
    while (at >= 0 && p->integer[at] && tuff_part_users(m, at, NULL) == 1) {
        if (tuff_part_is_product(m, at) || tuff_part_is(m, at, "add") ||
            tuff_part_is(m, at, "avgpool") || tuff_part_is(m, at, "gap"))
            return at;
        if (!is_any(m, at, between)) return -1;
        at = m->part[at].item.in[0];
    }
    return -1;
}

// ---- ranges -------------------------------------------------------------------------------

static void widen(tuff_integer_plan *p, int tensor, float low, float high)
{
    const int r = root(p, tensor);
    p->low[r] = fminf(p->low[r], low);
    p->high[r] = fmaxf(p->high[r], high);
}

// A tensor that is clipped has the range of what the relu gives.
static void set_ranges(tuff_integer_plan *p, const tuff_observed *o)
{
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++) {
        const int from = m->part[i].item.in[0];
        if (p->quantize[i]) widen(p, m->parts + i, o[1 + from].low, o[1 + from].high);
        if (p->quantize_behind[i]) widen(p, 2 * m->parts + i, o[1 + i].low, o[1 + i].high);
        const bool kept = tuff_keeps_grid(m, i) && !tuff_part_is(m, i, "concat");
        if (!p->integer[i] || kept) continue;
        const int seen = 1 + (p->clip[i] >= 0 ? p->clip[i] : i);
        widen(p, i, o[seen].low, o[seen].high);
    }
}

// Grids that are given, of sets that have one in each fake_quantize.
static tuff_status set_given(tuff_integer_plan *p, const tuff_grid8 *fake)
{
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++) {
        if (!is_fake(m, i)) continue;
        tuff_grid8 *g = &p->given[root(p, i)];
        TUFF_REQUIRE(!(g->scale > 0) || (g->scale == fake[i].scale && g->zero == fake[i].zero),
                     ARG, "quantize: layer %s rounds what another fake_quantize rounds "
                     "otherwise", m->part[i].item.name);
        *g = fake[i];
        widen(p, i, (float)(-128 - g->zero) * g->scale, (float)(127 - g->zero) * g->scale);
    }
    for (int i = 0; i < m->parts; i++) {
        bool none = p->integer[i] && !(p->given[root(p, i)].scale > 0);
        none |= p->quantize[i] && !(p->given[root(p, m->parts + i)].scale > 0);
        none |= p->quantize_behind[i] && !(p->given[root(p, 2 * m->parts + i)].scale > 0);
        TUFF_REQUIRE(!none, ARG, "quantize: layer %s (%s) takes or gives numbers that no "
                     "fake_quantize rounds", m->part[i].item.name, m->part[i].text);
    }
    return TUFF_OK;
}

static void join_tensors(tuff_integer_plan *p)
{
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; p->integer[i] && tuff_keeps_grid(m, i) && k < m->part[i].item.nin; k++)
            join(p, i, tensor_in(p, i, k));
}

static tuff_status make_room(tuff_integer_plan *p)
{
    const size_t n = (size_t)p->model->parts;
    bool **const flags[] = { &p->integer, &p->gone, &p->quantize, &p->dequantize,
                             &p->quantize_behind, &p->dequantize_behind };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!(*flags[i] = tuff_alloc(n, sizeof(bool)))) return TUFF_ERR_MEMORY;
    p->clip = tuff_alloc(n, sizeof *p->clip);
    p->given = tuff_alloc(3 * n, sizeof *p->given);
    p->same = tuff_alloc(3 * n, sizeof *p->same);
    p->low = tuff_alloc(3 * n, sizeof *p->low);
    p->high = tuff_alloc(3 * n, sizeof *p->high);
    if (!p->clip || !p->given || !p->same || !p->low || !p->high) return TUFF_ERR_MEMORY;
    for (size_t i = 0; i < 3 * n; i++) p->same[i] = (int)i;
    return TUFF_OK;
}

static void find_clips(tuff_integer_plan *p)
{
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++) p->clip[i] = -1;
    for (int i = 0; i < m->parts; i++) {
        const int at = p->integer[i] && tuff_part_is(m, i, "relu") ? clipped_by(p, i) : -1;
        if (at >= 0) p->clip[at] = i;
    }
}

tuff_status tuff_integer_plan_make(const tuff_model *m, const tuff_observed *o,
                                   const tuff_grid8 *fake, tuff_integer_plan *p)
{
    *p = (tuff_integer_plan){ .model = m };
    tuff_status status = TUFF_OK;
    TUFF_GO(make_room(p));
    choose(p);
    find_clips(p);
    join_tensors(p);
    if (o) set_ranges(p, o);
    else TUFF_GO(set_given(p, fake));
    // Where the whole set begins at 0 the relu need not be there.
    for (int i = 0; i < m->parts; i++) {
        p->gone[i] |= is_fake(m, i);
        if (p->clip[i] >= 0 && p->low[root(p, i)] >= 0) p->gone[p->clip[i]] = true;
    }
exit:
    if (status != TUFF_OK) tuff_integer_plan_clear(p);
    return status;
}

void tuff_integer_plan_clear(tuff_integer_plan *p)
{
    tuff_free(p->integer);
    tuff_free(p->gone);
    tuff_free(p->quantize);
    tuff_free(p->dequantize);
    tuff_free(p->quantize_behind);
    tuff_free(p->dequantize_behind);
    tuff_free(p->clip);
    tuff_free(p->given);
    tuff_free(p->same);
    tuff_free(p->low);
    tuff_free(p->high);
    *p = (tuff_integer_plan){ 0 };
}

static tuff_grid8 grid_of(const tuff_integer_plan *p, int tensor)
{
    const int r = root(p, tensor);
    return p->given[r].scale > 0 ? p->given[r] : tuff_grid8_of(p->low[r], p->high[r]);
}

int tuff_grid_set(const tuff_integer_plan *p, tuff_grid_of which, int part)
{
    return root(p, (int)which * p->model->parts + part);
}

tuff_grid8 tuff_grid_out(const tuff_integer_plan *p, int part) { return grid_of(p, part); }

tuff_grid8 tuff_grid_in(const tuff_integer_plan *p, int part, int k)
{
    return grid_of(p, tensor_in(p, part, k));
}

tuff_grid8 tuff_grid_behind(const tuff_integer_plan *p, int part)
{
    return grid_of(p, 2 * p->model->parts + part);
}
