// Pruning that leaves channels and neurons out: what each is worth, which go, and the smaller
// net. What must go together is units.h's business.
#include "compress/prune.h"
#include "compress/units.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PURPOSE_UNITS = 22 };

// ---- what units are worth ------------------------------------------------------------------

// Rows of a layer's weights: sums of |w|, or lengths. Over all layers they are compared in
// parts of their layer's mean, since layers differ in the size of their weights.
static tuff_status add_rows(const tuff_pruning *job, tuff_units *u, int part, int param)
{
    const tuff_param *p = &u->model->param[u->model->part[part].param + param];
    const tuff_features *out = tuff_units_out(u, part);
    const int64_t wide = p->count / out->count;
    double mean = 0;
    double *row = tuff_alloc((size_t)out->count, sizeof *row);
    if (!row) return TUFF_ERR_MEMORY;
    for (int r = 0; r < out->count; r++) {
        for (int64_t c = 0; c < wide; c++) {
            const double w = (double)job->flat[p->offset + r * wide + c];
            row[r] += job->p.method == TUFF_PRUNE_L2 ? w * w : fabs(w);
        }
        if (job->p.method == TUFF_PRUNE_L2) row[r] = sqrt(row[r]);
        mean += row[r] / out->count;
    }
    if (!job->p.global || mean == 0) mean = 1;
    for (int r = 0; r < out->count; r++)
        u->worth[tuff_unit_of(u, out->unit[r])] += (float)(row[r] / mean);
    tuff_free(row);
    return TUFF_OK;
}

static tuff_status score_sizes(const tuff_pruning *job, tuff_units *u)
{
    const tuff_model *m = u->model;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].params; k++)
            if (m->param[m->part[i].param + k].role == TUFF_PARAM_WEIGHT &&
                tuff_param_by_feature(m, i, k))
                TUFF_TRY(add_rows(job, u, i, k));
    return TUFF_OK;
}

// |scale| of the norms that a unit goes through; a unit without one stays.
static tuff_status score_scales(const tuff_pruning *job, tuff_units *u)
{
    const tuff_model *m = u->model;
    bool *normed = tuff_alloc((size_t)u->count, sizeof *normed), any = false;
    if (!normed) return TUFF_ERR_MEMORY;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].params; k++) {
            const int param = m->part[i].param + k;
            const tuff_features *out = tuff_units_out(u, i);
            if (!tuff_model_is_scale(m, param) || !tuff_param_by_feature(m, i, k)) continue;
            for (int c = 0; c < out->count; c++) {
                const int unit = tuff_unit_of(u, out->unit[c]);
                u->worth[unit] += fabsf(job->flat[m->param[param].offset + c]);
                normed[unit] = any = true;
            }
        }
    for (int i = 0; i < u->count; i++)
        if (!normed[i]) u->worth[i] = HUGE_VALF;
    tuff_free(normed);
    TUFF_REQUIRE(any, ARG, "prune: slimming goes by the scales of batch norms, and the net has "
                           "none");
    return TUFF_OK;
}

typedef struct taylor {
    const tuff_pruning *job;
    tuff_units *u;
    double *sum; // of one batch
} taylor;

// The square of a unit's sum of w dL/dw: how the loss would change without it.
static void add_batch(void *user, const float *grads)
{
    taylor *t = user;
    const tuff_model *m = t->u->model;
    memset(t->sum, 0, (size_t)t->u->count * sizeof *t->sum);
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].params; k++) {
            const tuff_param *p = &m->param[m->part[i].param + k];
            const tuff_features *out = tuff_units_out(t->u, i);
            if (tuff_is_buffer(p->role) || !tuff_param_by_feature(m, i, k)) continue;
            const int64_t wide = p->count / out->count;
            for (int64_t e = 0; e < p->count; e++)
                t->sum[tuff_unit_of(t->u, out->unit[e / wide])] +=
                    (double)grads[p->offset + e] * (double)t->job->flat[p->offset + e];
        }
    for (int i = 0; i < t->u->count; i++) t->u->worth[i] += (float)(t->sum[i] * t->sum[i]);
}

static tuff_status score_taylor(tuff_pruning *job, tuff_units *u)
{
    taylor t = { job, u, tuff_alloc((size_t)u->count, sizeof(double)) };
    const tuff_status status = t.sum ? tuff_prune_gradients(job, add_batch, &t)
                                     : TUFF_ERR_MEMORY;
    tuff_free(t.sum);
    return status;
}

static tuff_status score(tuff_pruning *job, tuff_units *u)
{
    const uint64_t seed = tuff_rng_fork(job->p.seed, PURPOSE_UNITS);
    memset(u->worth, 0, (size_t)u->count * sizeof *u->worth);
    switch (job->p.method) {
    case TUFF_PRUNE_SLIMMING: return score_scales(job, u);
    case TUFF_PRUNE_TAYLOR: return score_taylor(job, u);
    case TUFF_PRUNE_RANDOM:
        for (int i = 0; i < u->count; i++)
            u->worth[i] = tuff_rng_uniform_at(seed, (uint64_t)i);
        return TUFF_OK;
    default: return score_sizes(job, u);
    }
}

// ---- which go ------------------------------------------------------------------------------

typedef struct ranked {
    float worth;
    int unit;
} ranked;

static int by_worth(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->worth != y->worth) return x->worth < y->worth ? -1 : 1;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

bool tuff_prune_is_target(const tuff_pruning *job, int part)
{
    const tuff_mixing mixing = tuff_mixing_of(&job->model->part[part].item.layer);
    return mixing == (job->p.target == TUFF_PRUNE_CHANNELS ? TUFF_MIX_CONV : TUFF_MIX_DENSE);
}

// Lists units of a part that may go, each once.
static int list_units(const tuff_units *u, int part, const bool *settled, bool *listed,
                      ranked *list)
{
    const tuff_features *out = tuff_units_out(u, part);
    int n = 0;
    for (int i = 0; i < out->count; i++) {
        const int unit = tuff_unit_of(u, out->unit[i]);
        if (u->gone[unit] || settled[unit] || listed[unit] || tuff_unit_fixed(u, unit) ||
            !(u->worth[unit] < HUGE_VALF))
            continue;
        listed[unit] = true;
        list[n++] = (ranked){ u->worth[unit], unit };
    }
    return n;
}

// Lets the least go until `goes` features of `part` (-1: of all) are gone.
static int64_t take_least(tuff_units *u, ranked *list, int n, int part, int64_t goes)
{
    int64_t gone = 0;
    qsort(list, (size_t)n, sizeof *list, by_worth);
    for (int i = 0; i < n && gone < goes; i++) {
        int64_t features = 0;
        for (int e = u->first[list[i].unit]; e >= 0; e = u->next[e])
            features += part < 0 || u->maker[e] == part;
        if (gone + features <= goes && tuff_unit_go(u, list[i].unit)) gone += features;
    }
    return gone;
}

// Each layer by itself, in order. What a layer decided on is settled for those that share
// units with it, so that these find theirs among the rest.
static void choose_by_layer(const tuff_pruning *job, tuff_units *u, double grown,
                            bool *settled, bool *listed, ranked *list)
{
    const tuff_model *m = u->model;
    for (int i = 0; i < m->parts; i++) {
        const tuff_features *out = tuff_units_out(u, i);
        if (!tuff_prune_is_target(job, i) || (job->p.global && !job->rate[i].given)) continue;
        const int64_t first = job->size[i];
        const int64_t goes = tuff_rate_goes(&job->rate[i], first, grown) - (first - u->left[i]);
        memset(listed, 0, (size_t)u->count);
        const int n = list_units(u, i, settled, listed, list);
        if (goes > 0) (void)take_least(u, list, n, i, goes);
        for (int k = 0; k < out->count; k++) settled[tuff_unit_of(u, out->unit[k])] = true;
    }
}

// A ranking over all would take layers apart that are small, or whose numbers are.
static void keep_some(const tuff_pruning *job, tuff_units *u)
{
    const double most = job->p.most > 0 ? job->p.most : 0.9;
    for (int i = 0; i < u->model->parts; i++) {
        const int left = (int)(job->size[i] - (int64_t)floor(most * (double)job->size[i]));
        if (!job->rate[i].given && left > 1) u->least[i] = left;
    }
}

static void choose_over_all(const tuff_pruning *job, tuff_units *u, double grown,
                            const bool *settled, bool *listed, ranked *list)
{
    const tuff_rate all = { .part = job->p.sparsity };
    int64_t first = 0, left = 0;
    keep_some(job, u);
    int n = 0;
    memset(listed, 0, (size_t)u->count);
    for (int i = 0; i < u->model->parts; i++) {
        if (!tuff_prune_is_target(job, i) || job->rate[i].given) continue;
        const int last = n;
        n += list_units(u, i, settled, listed, list + n);
        if (n == last) continue; // the net's outputs, say: they are none of those that count
        first += job->size[i];
        left += u->left[i];
    }
    (void)take_least(u, list, n, -1, tuff_rate_goes(&all, first, grown) - (first - left));
}

static tuff_status choose(const tuff_pruning *job, tuff_units *u, double grown)
{
    bool *settled = tuff_alloc((size_t)u->count, sizeof *settled);
    bool *listed = tuff_alloc((size_t)u->count, sizeof *listed);
    ranked *list = tuff_alloc((size_t)u->count, sizeof *list);
    const bool whole = settled && listed && list;
    if (whole) choose_by_layer(job, u, grown, settled, listed, list);
    if (whole && job->p.global) choose_over_all(job, u, grown, settled, listed, list);
    tuff_free(settled);
    tuff_free(listed);
    tuff_free(list);
    return whole ? TUFF_OK : TUFF_ERR_MEMORY;
}

// ---- one round -----------------------------------------------------------------------------

// That there is something that could go.
static tuff_status check_units(const tuff_pruning *job, const tuff_units *u)
{
    const bool channels = job->p.target == TUFF_PRUNE_CHANNELS;
    bool any = false, made = false;
    for (int i = 0; i < u->model->parts; i++) {
        const tuff_features *out = tuff_units_out(u, i);
        if (!tuff_prune_is_target(job, i)) continue;
        made = true;
        for (int k = 0; k < out->count; k++) any |= !tuff_unit_fixed(u, out->unit[k]);
    }
    TUFF_REQUIRE(made, ARG, "prune: the net has no %s layers",
                 channels ? "convolution" : "dense");
    TUFF_REQUIRE(any, ARG, "prune: no %s can go: what follows them needs them all",
                 channels ? "channels" : "neurons");
    return TUFF_OK;
}

static tuff_status prune_once(tuff_pruning *job, double grown)
{
    tuff_units *u = NULL;
    tuff_model *smaller = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_units_create(job->model, &u));
    TUFF_GO(check_units(job, u));
    TUFF_GO(tuff_pruning_read(job));
    if (job->p.method == TUFF_PRUNE_SIMILAR) {
        TUFF_GO(tuff_prune_similar(job, u, grown));
    } else {
        TUFF_GO(score(job, u));
        TUFF_GO(choose(job, u, grown));
    }
    TUFF_GO(tuff_units_build(u, job->flat, &smaller));
    tuff_units_destroy(&u); // before its model
    status = tuff_pruning_replace(job, &smaller);
exit:
    tuff_units_destroy(&u);
    tuff_model_destroy(&smaller);
    return status;
}

static tuff_status tune(tuff_pruning *job, int epochs)
{
    if (epochs <= 0) return TUFF_OK;
    tuff_train_params p = *job->p.tune;
    p.epochs = epochs;
    return tuff_train(job->model, job->data, &p, NULL);
}

tuff_status tuff_prune_units(tuff_pruning *job)
{
    const double ramp = job->p.ramp > 0 ? job->p.ramp : 0.7;
    const int epochs = !job->p.tune ? 0 : job->p.tune->epochs ? job->p.tune->epochs : 5;
    const int rounds = job->p.gradual ? (int)fmax(ceil(ramp * epochs), 1) : 1;
    job->size = tuff_alloc((size_t)job->model->parts, sizeof *job->size);
    if (!job->size) return TUFF_ERR_MEMORY;
    const tuff_model *m = job->model;
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_makes(m, i)) job->size[i] = m->part[i].item.layer.arg[0][0];
    for (int r = 1; r <= rounds; r++) {
        const double t = 1 - (double)r / rounds;
        TUFF_TRY(prune_once(job, 1 - t * t * t));
        if (r < rounds) TUFF_TRY(tune(job, 1));
    }
    return tune(job, epochs - (rounds - 1));
}
