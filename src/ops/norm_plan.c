// The launches that normalising ops are made of; see norm.h.
#include "ops/norm.h"
#include "ops/divide.h"
#include "ops/gemm.h"
#include <assert.h>

// ---- layouts -------------------------------------------------------------------------------

tuff_norm_view tuff_norm_of_params(const tuff_norm *g)
{
    return (tuff_norm_view){ g->params, g->count / g->params, g->params, g->span };
}

// One run a set, or runs of one element.
static bool even(const tuff_norm_view *v) { return v->run == v->terms || v->run == 1; }

static tuff_norm_sets sets_of(const tuff_norm_view *v)
{
    return (tuff_norm_sets){ (uint32_t)v->count, (uint32_t)v->terms,
                             v->run == 1 ? (uint32_t)v->beside : 1,
                             tuff_divide_by(v->beside), tuff_divide_by(v->run) };
}

static tuff_norm_params params_of(const tuff_norm *g)
{
    return (tuff_norm_params){ tuff_divide_by(g->span), tuff_divide_by(g->params), 0,
                               (uint32_t)g->params };
}

// True when four elements that are neighbours lie in one run of such a set.
static bool fours(const tuff_norm *g, const tuff_norm_view *v)
{
    return g->count % 4 == 0 && v->run % 4 == 0;
}

// PARAMS of kernels that take four elements at once.
static uint32_t params_mode(const tuff_norm *g)
{
    if (g->params == 1 || g->span % 4 == 0) return TUFF_NORM_PARAMS_ONE;
    return g->span == 1 && g->params % 4 == 0 ? TUFF_NORM_PARAMS_FOUR
                                               : TUFF_NORM_PARAMS_EACH;
}

static uint32_t rows_mode(const tuff_norm *g)
{
    return g->channel ? TUFF_NORM_ROWS_PARAM
         : g->rows.beside == 1 ? TUFF_NORM_ROWS_WHOLE : TUFF_NORM_ROWS_LINES;
}

static bool has_mean(const tuff_norm *g) { return g->kind == TUFF_NORM_MOMENTS; }

bool tuff_norm_group_pays(const tuff_norm_view *v) { return v->run >= 32; }

bool tuff_norm_texels(const tuff_norm *g, const tuff_caps *k)
{
    const size_t wide = fours(g, &g->rows) ? 4 : 1;
    return k->cpu_like && g->count / wide <= k->max_texels &&
           4 * g->rows.count <= k->max_texels && g->params <= k->max_texels;
}

static tuff_bind_kind texels(bool wide)
{
    return wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32;
}

static void bind(tuff_dispatch *d, tuff_place p, tuff_bind_kind kind)
{
    tuff_bind(d, p.role, p.index, kind, TUFF_READ);
}

static void bind_write(tuff_dispatch *d, tuff_place p)
{
    tuff_bind(d, p.role, p.index, TUFF_BIND_STORAGE, TUFF_WRITE);
}

// A texel binding of numbers [first, first + some), or, of one that is not there, of some
// number of `instead` that nobody reads.
static void bind_part(tuff_dispatch *d, bool there, tuff_place p, tuff_place instead,
                      size_t first, size_t some)
{
    bind(d, there ? p : instead, TUFF_BIND_TEXEL_F32);
    tuff_slot *s = &d->slot[d->nslot - 1];
    s->offset = there ? first * sizeof(float) : 0;
    s->size = (there ? some : 1) * sizeof(float);
}

// Parameters that one launch sees, through a texel buffer.
static size_t slice_of(const tuff_caps *k, size_t params)
{
    const size_t most = (size_t)k->max_texels / 256 * 256;
    return params < most ? params : most;
}

static bool slices_fit(const tuff_norm *g, const tuff_caps *k, const tuff_plan *p)
{
    const size_t slice = slice_of(k, g->params);
    return (g->params - 1) / slice + 1 <= (size_t)(TUFF_PLAN_MAX - p->count);
}

// ---- pieces --------------------------------------------------------------------------------

static uint32_t group_size(tuff_norm_how how, const tuff_caps *k)
{
    return how == TUFF_NORM_GROUP && !k->cpu_like && k->max_group >= 256 &&
                   k->max_group_size[0] >= 256
               ? 256 : tuff_group_size(k);
}

// As many pieces as keep the device busy. Short ones are exact: what an invocation adds up is
// at most 1,024 numbers, unless a set has over 4 million; and few, because one invocation puts
// the pieces of a set together.
static tuff_norm_pieces cut(const tuff_norm_view *v, tuff_norm_how how, const tuff_caps *k)
{
    const uint64_t lanes = how == TUFF_NORM_GROUP ? group_size(how, k) : 1;
    const uint64_t busy = k->cpu_like ? 16 * tuff_group_size(k)
                        : how == TUFF_NORM_GROUP ? 1024 : 65536;
    const uint64_t most = how == TUFF_NORM_GROUP ? 128 : 4096, longest = 1024 * lanes;
    const uint64_t worth = v->terms / (64 * lanes); // shorter ones cost more than they gain
    uint64_t pieces = (busy + v->count - 1) / v->count;
    if (pieces > most) pieces = most;
    if (pieces > worth) pieces = worth ? worth : 1;
    uint64_t span = (v->terms + pieces - 1) / pieces;
    if (span > longest) span = longest;
    if (span < (v->terms + 4095) / 4096) span = (v->terms + 4095) / 4096;
    span = (span + 3) / 4 * 4;
    return (tuff_norm_pieces){ (uint32_t)((v->terms + span - 1) / span), (uint32_t)span };
}

static struct tuff_norm_pieces_pc pieces_pc(const tuff_norm *g, const tuff_norm_view *v,
                                            tuff_norm_pieces pieces)
{
    return (struct tuff_norm_pieces_pc){
        .sets = sets_of(v), .params = params_of(g), .terms = tuff_divide_by(g->rows.terms),
        .segments = pieces.segments, .span = pieces.span,
    };
}

static tuff_dispatch *add_pieces(const struct tuff_norm_pieces_pc *pc, tuff_norm_how how,
                                 int shader, const tuff_caps *k, tuff_plan *p)
{
    const uint64_t count = (uint64_t)pc->sets.count * pc->segments;
    const uint32_t wg = group_size(how, k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, how == TUFF_NORM_GROUP ? count : (count + wg - 1) / wg, k);
    return d;
}

static size_t pairs_bytes(const tuff_norm_view *v, size_t a_set)
{
    return v->count * a_set * 2 * sizeof(float);
}

tuff_norm_pieces tuff_norm_add_stats(const tuff_norm *g, tuff_norm_how how, tuff_place x,
                                     int scratch, const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[] = { TUFF_SHADER_norm_stats, TUFF_SHADER_norm_stats_texel,
                                   TUFF_SHADER_norm_stats_group };
    const bool texel = how == TUFF_NORM_TEXEL, wide = texel && fours(g, &g->rows);
    const tuff_norm_pieces pieces = cut(&g->rows, how, k);
    const struct tuff_norm_pieces_pc pc = pieces_pc(g, &g->rows, pieces);
    tuff_dispatch *d = add_pieces(&pc, how, shaders[how], k, p);
    p->scratch[scratch] = pairs_bytes(&g->rows, pieces.segments);
    tuff_spec(d, g->kind);
    tuff_spec(d, even(&g->rows));
    if (texel) tuff_spec(d, wide);
    bind(d, x, texel ? texels(wide) : TUFF_BIND_STORAGE);
    bind_write(d, TUFF_PLACE_SCRATCH(scratch));
    return pieces;
}

static struct tuff_norm_merge_pc merge_pc(const tuff_norm *g, const tuff_norm_view *v,
                                          tuff_norm_pieces pieces)
{
    return (struct tuff_norm_merge_pc){
        .count = (uint32_t)v->count, .terms = (uint32_t)v->terms,
        .segments = pieces.segments, .span = pieces.span, .epsilon = (float)g->epsilon,
        .some = (uint32_t)v->count,
    };
}

static tuff_dispatch *add_sets(int shader, size_t sets, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_grid(d, (sets + wg - 1) / wg, k);
    return d;
}

void tuff_norm_add_merge(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                         tuff_place mean, tuff_place inv, const tuff_caps *k, tuff_plan *p)
{
    const struct tuff_norm_merge_pc pc = merge_pc(g, &g->rows, pieces);
    tuff_dispatch *d = add_sets(TUFF_SHADER_norm_merge, g->rows.count, k, p);
    tuff_spec(d, g->kind);
    bind(d, TUFF_PLACE_SCRATCH(scratch), TUFF_BIND_STORAGE);
    bind_write(d, mean);
    bind_write(d, inv);
    TUFF_PUSH(d, pc);
}

bool tuff_norm_add_running(const tuff_norm *g, const tuff_norm_running *r,
                           tuff_norm_pieces pieces, const tuff_caps *k, tuff_plan *p)
{
    if (!slices_fit(g, k, p)) return false;
    struct tuff_norm_merge_pc pc = merge_pc(g, &g->rows, pieces);
    pc.keep = (float)r->keep;
    pc.add = (float)r->add;
    pc.add_var = (float)r->add_var;
    const size_t slice = slice_of(k, g->params);
    for (size_t first = 0; first < g->params; first += slice) {
        const size_t left = g->params - first, some = left < slice ? left : slice;
        pc.first = (uint32_t)first;
        pc.some = (uint32_t)some;
        tuff_dispatch *d = add_sets(TUFF_SHADER_norm_running, some, k, p);
        tuff_spec(d, g->kind);
        bind(d, TUFF_PLACE_SCRATCH(r->scratch), TUFF_BIND_STORAGE);
        bind_write(d, r->saved);
        bind_write(d, r->new_mean);
        bind_write(d, r->new_var);
        bind_part(d, true, r->old_mean, r->old_mean, first, some);
        bind_part(d, true, r->old_var, r->old_var, first, some);
        TUFF_PUSH(d, pc);
    }
    return true;
}

// ---- elements ------------------------------------------------------------------------------

static struct tuff_norm_apply_pc apply_pc(const tuff_norm *g)
{
    return (struct tuff_norm_apply_pc){
        .count = (uint32_t)g->count, .sets = sets_of(&g->rows), .params = params_of(g),
        .terms = tuff_divide_by(g->rows.terms * g->rows.beside),
        .epsilon = (float)g->epsilon, .share = (float)(1 / (double)g->rows.terms),
    };
}

static tuff_dispatch *add_elements(int shader, const struct tuff_norm_apply_pc *pc,
                                   uint32_t an_invocation, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size_flat(k), a_group = an_invocation * wg;
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_grid(d, ((uint64_t)pc->count + a_group - 1) / a_group, k);
    TUFF_PUSH(d, *pc);
    return d;
}

static void spec_apply(tuff_dispatch *d, const tuff_norm *g, const tuff_norm_apply *a)
{
    tuff_spec(d, rows_mode(g));
    tuff_spec(d, has_mean(g));
    tuff_spec(d, a->variance);
    tuff_spec(d, a->pairs);
    tuff_spec(d, a->has_scale);
    tuff_spec(d, a->has_bias);
}

// vec4s that share all but x: few fetches for many elements.
static uint32_t quads_of(const tuff_norm *g)
{
    return g->span % 16 == 0 && g->rows.run % 16 == 0 ? 4 : 1;
}

// Sees all parameters at once.
static void apply_texel(const tuff_norm *g, const tuff_norm_apply *a, const tuff_caps *k,
                        tuff_plan *p)
{
    const bool wide = fours(g, &g->rows);
    const uint32_t mode = params_mode(g), quads = quads_of(g);
    const struct tuff_norm_apply_pc pc = apply_pc(g);
    tuff_dispatch *d = add_elements(TUFF_SHADER_norm_apply_texel, &pc, 4 * quads, k, p);
    spec_apply(d, g, a);
    tuff_spec(d, wide);
    tuff_spec(d, mode);
    tuff_spec(d, quads);
    bind(d, a->x, texels(wide));
    bind(d, has_mean(g) ? a->mean : a->inv, TUFF_BIND_TEXEL_F32);
    bind(d, a->inv, TUFF_BIND_TEXEL_F32);
    bind_write(d, a->y);
    const tuff_bind_kind kind = texels(wide && mode == TUFF_NORM_PARAMS_FOUR);
    bind(d, a->has_scale ? a->scale : a->x, a->has_scale ? kind : texels(wide));
    bind(d, a->has_bias ? a->bias : a->x, a->has_bias ? kind : texels(wide));
}

bool tuff_norm_add_apply(const tuff_norm *g, tuff_norm_how how, const tuff_norm_apply *a,
                         const tuff_caps *k, tuff_plan *p)
{
    if (how == TUFF_NORM_TEXEL) {
        apply_texel(g, a, k, p);
        return true;
    }
    const bool any = a->has_scale || a->has_bias;
    if (any && !slices_fit(g, k, p)) return false;
    const size_t slice = any ? slice_of(k, g->params) : g->params;
    struct tuff_norm_apply_pc pc = apply_pc(g);
    for (size_t first = 0; first < g->params; first += slice) {
        const size_t left = g->params - first, some = left < slice ? left : slice;
        pc.params.first = (uint32_t)first;
        pc.params.some = (uint32_t)some;
        tuff_dispatch *d = add_elements(TUFF_SHADER_norm_apply, &pc, 4, k, p);
        spec_apply(d, g, a);
        bind(d, a->x, TUFF_BIND_STORAGE);
        bind(d, has_mean(g) ? a->mean : a->inv, TUFF_BIND_STORAGE);
        bind(d, a->inv, TUFF_BIND_STORAGE);
        bind_write(d, a->y);
        bind_part(d, a->has_scale, a->scale, a->x, first, some);
        bind_part(d, a->has_bias, a->bias, a->x, first, some);
    }
    return true;
}

// ---- gradients -----------------------------------------------------------------------------

static void add_pairs(const tuff_norm *g, tuff_place mean, tuff_place inv, int scratch,
                      const tuff_caps *k, tuff_plan *p)
{
    const struct tuff_norm_merge_pc pc = { .count = (uint32_t)g->rows.count };
    tuff_dispatch *d = add_sets(TUFF_SHADER_norm_pairs, g->rows.count, k, p);
    tuff_spec(d, has_mean(g));
    bind(d, has_mean(g) ? mean : inv, TUFF_BIND_STORAGE);
    bind(d, inv, TUFF_BIND_STORAGE);
    bind_write(d, TUFF_PLACE_SCRATCH(scratch));
    TUFF_PUSH(d, pc);
    p->scratch[scratch] = g->rows.count * 2 * sizeof(float);
}

// Whether the sums read x and dy four numbers at once.
static bool sums_wide(const tuff_norm *g, const tuff_norm_view *v, const tuff_norm_sums *s)
{
    const bool one = !s->has_scale || params_mode(g) == TUFF_NORM_PARAMS_ONE;
    return one && fours(g, v);
}

static void add_sums(const tuff_norm *g, const tuff_norm_view *v, tuff_norm_how how,
                     const tuff_norm_sums *s, const struct tuff_norm_pieces_pc *pc,
                     const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[] = { TUFF_SHADER_norm_sums, TUFF_SHADER_norm_sums_texel,
                                   TUFF_SHADER_norm_sums_group };
    const bool texel = how == TUFF_NORM_TEXEL;
    const bool wide = texel && sums_wide(g, v, s);
    const tuff_bind_kind kind = texel ? texels(wide) : TUFF_BIND_STORAGE;
    tuff_dispatch *d = add_pieces(pc, how, shaders[how], k, p);
    tuff_spec(d, s->rows || g->channel);
    tuff_spec(d, s->has_scale);
    tuff_spec(d, even(v));
    tuff_spec(d, has_mean(g));
    if (texel) tuff_spec(d, s->pairs);
    if (texel) tuff_spec(d, wide);
    bind(d, s->x, kind);
    bind(d, s->dy, kind);
    bind_write(d, TUFF_PLACE_SCRATCH(s->scratch));
    bind_part(d, s->has_scale, s->scale, s->x, pc->params.first, pc->params.some);
    if (!texel)
        bind(d, s->pairs ? s->inv : TUFF_PLACE_SCRATCH(s->scratch + 1), TUFF_BIND_STORAGE);
    if (texel) bind(d, has_mean(g) ? s->mean : s->inv, TUFF_BIND_TEXEL_F32);
    if (texel) bind(d, s->inv, TUFF_BIND_TEXEL_F32);
}

bool tuff_norm_add_sums(const tuff_norm *g, tuff_norm_how how, const tuff_norm_sums *s,
                        tuff_norm_pieces *pieces, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm_view v = s->rows ? g->rows : tuff_norm_of_params(g);
    if (how == TUFF_NORM_TEXEL && !sums_wide(g, &v, s) && g->count > k->max_texels)
        return false;
    if (how != TUFF_NORM_TEXEL && !s->pairs)
        add_pairs(g, s->mean, s->inv, s->scratch + 1, k, p);
    *pieces = cut(&v, how, k);
    const size_t slice = s->has_scale ? slice_of(k, g->params) : g->params;
    const bool sliced = slice < g->params;
    // Places of a row that each have a scale, too many for one launch to see: its pieces are
    // then of a size that the slices are multiples of.
    if (sliced) {
        if (!slices_fit(g, k, p) || g->params != g->rows.terms) return false;
        *pieces = (tuff_norm_pieces){ (uint32_t)((v.terms + 255) / 256), 256 };
    }
    p->scratch[s->scratch] = pairs_bytes(&v, pieces->segments);
    for (size_t first = 0; first < g->params; first += slice) {
        const size_t left = g->params - first, some = left < slice ? left : slice;
        struct tuff_norm_pieces_pc pc = pieces_pc(g, &v, *pieces);
        pc.params.first = (uint32_t)first;
        pc.params.some = (uint32_t)some;
        if (sliced) pc.first = (uint32_t)(first / 256);
        if (sliced) pc.segments = (uint32_t)((some + 255) / 256);
        add_sums(g, &v, how, s, &pc, k, p);
    }
    return true;
}

void tuff_norm_add_params(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                          tuff_place dscale, tuff_place dbias, bool has_bias,
                          const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm_view v = tuff_norm_of_params(g);
    const struct tuff_norm_merge_pc pc = merge_pc(g, &v, pieces);
    tuff_dispatch *d = add_sets(TUFF_SHADER_norm_sums_merge, v.count, k, p);
    tuff_spec(d, false);
    tuff_spec(d, has_mean(g));
    tuff_spec(d, has_bias);
    bind(d, TUFF_PLACE_SCRATCH(scratch), TUFF_BIND_STORAGE);
    bind_write(d, dscale);
    bind_write(d, has_bias ? dbias : dscale);
    bind(d, TUFF_PLACE_SCRATCH(scratch), TUFF_BIND_STORAGE);
    TUFF_PUSH(d, pc);
}

void tuff_norm_add_rows(const tuff_norm *g, tuff_norm_pieces pieces, int scratch,
                        const tuff_caps *k, tuff_plan *p)
{
    const struct tuff_norm_merge_pc pc = merge_pc(g, &g->rows, pieces);
    tuff_dispatch *d = add_sets(TUFF_SHADER_norm_sums_merge, g->rows.count, k, p);
    tuff_spec(d, true);
    tuff_spec(d, has_mean(g));
    tuff_spec(d, false);
    bind(d, TUFF_PLACE_SCRATCH(scratch), TUFF_BIND_STORAGE);
    bind_write(d, TUFF_PLACE_SCRATCH(scratch + 2));
    bind_write(d, TUFF_PLACE_SCRATCH(scratch + 2));
    bind(d, TUFF_PLACE_SCRATCH(scratch + 1), TUFF_BIND_STORAGE);
    TUFF_PUSH(d, pc);
    p->scratch[scratch + 2] = g->rows.count * 4 * sizeof(float);
}

static void dx_texel(const tuff_norm *g, const tuff_norm_dx *s, const tuff_caps *k,
                     tuff_plan *p)
{
    const bool wide = fours(g, &g->rows);
    const uint32_t mode = params_mode(g), quads = quads_of(g);
    const struct tuff_norm_apply_pc pc = apply_pc(g);
    tuff_dispatch *d = add_elements(TUFF_SHADER_norm_dx_texel, &pc, 4 * quads, k, p);
    tuff_spec(d, g->channel);
    tuff_spec(d, s->has_scale);
    tuff_spec(d, wide);
    tuff_spec(d, mode);
    tuff_spec(d, quads);
    bind(d, s->x, texels(wide));
    bind(d, s->dy, texels(wide));
    bind(d, s->rows, texels(!g->channel));
    bind_write(d, s->dx);
    bind(d, s->has_scale ? s->scale : s->x,
         texels(wide && (!s->has_scale || mode == TUFF_NORM_PARAMS_FOUR)));
    bind(d, g->channel ? s->dscale : s->x, texels(wide && !g->channel));
    bind(d, g->channel ? s->dbias : s->x, texels(wide && !g->channel));
}

bool tuff_norm_add_dx(const tuff_norm *g, tuff_norm_how how, const tuff_norm_dx *s,
                      const tuff_caps *k, tuff_plan *p)
{
    if (how == TUFF_NORM_TEXEL) {
        dx_texel(g, s, k, p);
        return true;
    }
    const bool any = s->has_scale || g->channel;
    if (any && !slices_fit(g, k, p)) return false;
    const size_t slice = any ? slice_of(k, g->params) : g->params;
    struct tuff_norm_apply_pc pc = apply_pc(g);
    for (size_t first = 0; first < g->params; first += slice) {
        const size_t left = g->params - first, some = left < slice ? left : slice;
        pc.params.first = (uint32_t)first;
        pc.params.some = (uint32_t)some;
        tuff_dispatch *d = add_elements(TUFF_SHADER_norm_dx, &pc, 4, k, p);
        tuff_spec(d, g->channel);
        tuff_spec(d, s->has_scale);
        bind(d, s->x, TUFF_BIND_STORAGE);
        bind(d, s->dy, TUFF_BIND_STORAGE);
        bind(d, s->rows, TUFF_BIND_STORAGE);
        bind_write(d, s->dx);
        bind_part(d, s->has_scale, s->scale, s->x, first, some);
        bind_part(d, g->channel, s->dscale, s->x, first, some);
        bind_part(d, g->channel, s->dbias, s->x, first, some);
    }
    return true;
}

// ---- whole rows in one launch --------------------------------------------------------------

// A row an invocation on a software driver, where its sums are short enough to be exact and
// rows enough to share, or a row a subgroup where it is long; else a row a workgroup, where
// there are workgroups enough.
static bool rows_fit(const tuff_norm *g, tuff_norm_how how, const tuff_caps *k)
{
    if (!even(&g->rows) || g->channel || g->params > k->max_texels) return false;
    if (how == TUFF_NORM_LANES)
        return tuff_takes_texels(k) && k->subgroup >= 8 && tuff_norm_texels(g, k) &&
               fours(g, &g->rows) && g->rows.terms >= 256 &&
               g->rows.terms <= 4096u * k->subgroup && g->rows.count >= 2;
    if (how == TUFF_NORM_TEXEL)
        return tuff_norm_texels(g, k) &&
               g->rows.terms <= (fours(g, &g->rows) ? 4096u : 1024u) &&
               (g->rows.count >= 16 || g->count <= 4096);
    return g->rows.terms <= 65536 && (g->rows.count >= 64 || g->count <= 65536);
}

// As wide as the row within reason.
static uint32_t row_group(const tuff_norm *g, tuff_norm_how how, const tuff_caps *k)
{
    const uint32_t most = k->max_group < k->max_group_size[0] ? k->max_group
                                                               : k->max_group_size[0];
    uint32_t wg = tuff_group_size(k);
    if (how == TUFF_NORM_LANES) return k->subgroup;
    if (how == TUFF_NORM_TEXEL) return wg;
    while (wg < 256 && 2 * wg <= most && (k->cpu_like ? g->rows.terms / wg > 1024
                                                      : wg < g->rows.terms))
        wg *= 2;
    return wg;
}

static tuff_dispatch *add_rows(const tuff_norm *g, tuff_norm_how how, int shader,
                               size_t rows, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = row_group(g, how, k);
    struct tuff_norm_row_pc pc = {
        .sets = sets_of(&g->rows), .params = params_of(g), .epsilon = (float)g->epsilon,
        .share = (float)(1 / (double)g->rows.terms),
    };
    pc.sets.count = (uint32_t)rows;
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    TUFF_PUSH(d, pc);
    tuff_grid(d, how == TUFF_NORM_TEXEL ? (rows + wg - 1) / wg : rows, k);
    return d;
}

// x stands for a parameter that is not there.
static void bind_param(const tuff_norm *g, tuff_dispatch *d, bool there, tuff_place param,
                       tuff_place x, bool wide)
{
    const bool four = wide && params_mode(g) == TUFF_NORM_PARAMS_FOUR;
    if (there) bind(d, param, texels(four));
    else bind_part(d, false, x, x, 0, 1);
}

static bool is_texel(tuff_norm_how how)
{
    return how == TUFF_NORM_TEXEL || how == TUFF_NORM_LANES;
}

static uint32_t row_params_mode(const tuff_norm *g)
{
    const uint32_t mode = params_mode(g);
    return mode == TUFF_NORM_PARAMS_FOUR && g->params == g->rows.terms ? TUFF_NORM_PARAMS_ROW
                                                                       : mode;
}

// Rows of one launch where x is more than texels show; 0: it is not cut. Rows lie one behind
// the other, and each begins with the first of the parameters.
static size_t row_piece(const tuff_norm *g, tuff_norm_how how, const tuff_caps *k)
{
    enum { ROWS = 64, LONGEST = 4096 }; // so many rows end where mean and inv may be cut
    const size_t terms = g->rows.terms;
    const bool alike = g->params == 1 || (g->span == 1 && terms % g->params == 0);
    if (how != TUFF_NORM_TEXEL || !k->cpu_like || g->channel || !alike || terms > LONGEST ||
        g->rows.run != terms || !fours(g, &g->rows) || g->params > k->max_texels)
        return 0;
    const size_t piece = ROWS * (size_t)tuff_texel_runs(k, ROWS * terms * sizeof(float), 16);
    return piece && (g->rows.count - 1) / piece < TUFF_PLAN_MAX ? piece : 0;
}

// Rows [first, first + some), all of them or not.
static void row_launch(const tuff_norm *g, tuff_norm_how how, const tuff_norm_row *r,
                       size_t first, size_t some, const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[] = {
        [TUFF_NORM_GROUP] = TUFF_SHADER_norm_row,
        [TUFF_NORM_TEXEL] = TUFF_SHADER_norm_row_texel,
        [TUFF_NORM_LANES] = TUFF_SHADER_norm_row_lanes,
    };
    const bool texel = is_texel(how), wide = texel && fours(g, &g->rows);
    const tuff_place outs[] = { r->y, has_mean(g) && r->has_stats ? r->mean : r->y,
                                r->has_stats ? r->inv : r->y };
    const size_t run = g->rows.terms * sizeof(float);
    const size_t runs[] = { run, has_mean(g) && r->has_stats ? sizeof(float) : run,
                            r->has_stats ? sizeof(float) : run };
    tuff_dispatch *d = add_rows(g, how, shaders[how], some, k, p);
    tuff_spec(d, g->kind);
    tuff_spec(d, r->has_stats);
    tuff_spec(d, r->has_scale);
    tuff_spec(d, r->has_bias);
    if (texel) tuff_spec(d, wide);
    if (texel) tuff_spec(d, row_params_mode(g));
    bind(d, r->x, texel ? texels(wide) : TUFF_BIND_STORAGE);
    if (some < g->rows.count) tuff_bind_range(d, first * run, some * run);
    for (int i = 0; i < 3; i++) {
        bind_write(d, outs[i]);
        if (some < g->rows.count) tuff_bind_range(d, first * runs[i], some * runs[i]);
    }
    bind_param(g, d, r->has_scale, r->scale, r->x, wide);
    bind_param(g, d, r->has_bias, r->bias, r->x, wide);
}

bool tuff_norm_add_row(const tuff_norm *g, tuff_norm_how how, const tuff_norm_row *r,
                       const tuff_caps *k, tuff_plan *p)
{
    const size_t rows = g->rows.count;
    const size_t piece = rows_fit(g, how, k) ? rows : row_piece(g, how, k);
    for (size_t first = 0; piece && first < rows; first += piece)
        row_launch(g, how, r, first, rows - first < piece ? rows - first : piece, k, p);
    return piece > 0;
}

bool tuff_norm_add_row_grad(const tuff_norm *g, tuff_norm_how how, const tuff_norm_row *r,
                            const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[] = {
        [TUFF_NORM_GROUP] = TUFF_SHADER_norm_row_grad,
        [TUFF_NORM_TEXEL] = TUFF_SHADER_norm_row_grad_texel,
        [TUFF_NORM_LANES] = TUFF_SHADER_norm_row_grad_lanes,
    };
    if (!rows_fit(g, how, k) || g->rows.count > k->max_texels) return false;
    const bool texel = is_texel(how), wide = texel && fours(g, &g->rows);
    tuff_dispatch *d = add_rows(g, how, shaders[how], g->rows.count, k, p);
    tuff_spec(d, has_mean(g));
    tuff_spec(d, r->has_scale);
    if (texel) tuff_spec(d, wide);
    if (texel) tuff_spec(d, row_params_mode(g));
    bind(d, r->x, texel ? texels(wide) : TUFF_BIND_STORAGE);
    bind(d, r->dy, texel ? texels(wide) : TUFF_BIND_STORAGE);
    bind_write(d, r->y);
    bind(d, has_mean(g) ? r->mean : r->inv, TUFF_BIND_TEXEL_F32);
    bind(d, r->inv, TUFF_BIND_TEXEL_F32);
    bind_param(g, d, r->has_scale, r->scale, r->x, wide);
    return true;
}
