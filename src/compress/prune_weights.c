// Pruning that leaves the net its shape: weights become zero. What goes or stays as one is a
// cell: a weight, or a block of 4 x 4 of a dense layer.
#include "compress/prune.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

enum { SIDE = 4, PURPOSE_PRUNE = 21, UPDATES = 100 };

// The weights of one layer, and their cells in the order of a list of all.
typedef struct span {
    const tuff_param *param;
    int part;            // of the model
    int64_t cell, cells; // its first one, and how many
} span;

typedef struct sparse_job {
    tuff_pruning *job;
    span *list;
    int count;
    int64_t cells;
    float *worth; // [cells]
    bool *gone;   // [cells]
    float *mask;  // in the layout of what is trained
    tuff_tensor *mask_tensor;
    tuff_status status; // of a callback
    int64_t update;     // the last
} sparse_job;

// ---- cells ---------------------------------------------------------------------------------

static int64_t cells_of(const tuff_pruning *job, const tuff_param *p)
{
    if (p->role != TUFF_PARAM_WEIGHT) return 0;
    if (job->p.target != TUFF_PRUNE_BLOCKS) return p->count;
    const tuff_desc *d = &p->desc;
    if (d->rank != 2 || d->dim[0] % SIDE || d->dim[1] % SIDE) return 0;
    return p->count / (SIDE * SIDE);
}

static tuff_status list_spans(sparse_job *s)
{
    const tuff_model *m = s->job->model;
    s->list = tuff_alloc((size_t)m->params + 1, sizeof *s->list);
    if (!s->list) return TUFF_ERR_MEMORY;
    for (int i = 0; i < m->parts; i++)
        for (int k = 0; k < m->part[i].params; k++) {
            const tuff_param *p = &m->param[m->part[i].param + k];
            const int64_t cells = cells_of(s->job, p);
            if (!cells) continue;
            s->list[s->count++] = (span){ p, i, s->cells, cells };
            s->cells += cells;
        }
    TUFF_REQUIRE(s->count > 0, ARG, "prune: the net has no weights that %s%s",
                 s->job->p.target == TUFF_PRUNE_BLOCKS ? "blocks of 4x4 divide"
                                                       : "could become zero",
                 tuff_model_stored(m));
    s->worth = tuff_alloc((size_t)s->cells, sizeof *s->worth);
    s->gone = tuff_alloc((size_t)s->cells, sizeof *s->gone);
    s->mask = tuff_alloc((size_t)m->trained_flat, sizeof *s->mask);
    return s->worth && s->gone && s->mask ? TUFF_OK : TUFF_ERR_MEMORY;
}

// The place of number k of a block in its matrix.
static int64_t in_block(const tuff_param *p, int64_t block, int k)
{
    const int64_t wide = p->desc.dim[1], columns = wide / SIDE;
    return (block / columns * SIDE + k / SIDE) * wide + block % columns * SIDE + k % SIDE;
}

// ---- scores --------------------------------------------------------------------------------

// What a weight is worth by itself.
static float weight_worth(const tuff_pruning *job, int64_t at)
{
    const float w = job->flat[at];
    if (job->p.method == TUFF_PRUNE_RANDOM)
        return tuff_rng_uniform_at(tuff_rng_fork(job->p.seed, PURPOSE_PRUNE), (uint64_t)at);
    if (job->p.method == TUFF_PRUNE_TAYLOR) return job->score[at];
    return fabsf(w);
}

static float block_worth(const tuff_pruning *job, const tuff_param *p, int64_t block)
{
    double sum = 0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        const double v = (double)weight_worth(job, p->offset + in_block(p, block, k));
        sum += job->p.method == TUFF_PRUNE_L2 ? v * v : v;
    }
    return (float)sum;
}

static void score_cells(sparse_job *s)
{
    const bool blocks = s->job->p.target == TUFF_PRUNE_BLOCKS;
    for (int i = 0; i < s->count; i++) {
        const span *l = &s->list[i];
        for (int64_t c = 0; c < l->cells; c++)
            s->worth[l->cell + c] = blocks ? block_worth(s->job, l->param, c)
                                           : weight_worth(s->job, l->param->offset + c);
    }
}

static double deviation(const float *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i];
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)x[i] - sum / (double)n;
        squares += d * d;
    }
    return sqrt(squares / (double)n);
}

// ---- choosing ------------------------------------------------------------------------------

static void choose_below(sparse_job *s, double grown)
{
    const tuff_prune_params *p = &s->job->p;
    for (int i = 0; i < s->count; i++) {
        const span *l = &s->list[i];
        const double size = p->global ? 1 : deviation(s->job->flat + l->param->offset,
                                                      l->param->count);
        for (int64_t c = 0; c < l->cells; c++)
            s->gone[l->cell + c] = (double)s->worth[l->cell + c] < p->threshold * size * grown;
    }
}

// Layers whose rate was given are out of the ranking over all: their cells count as gone in it.
static tuff_status choose_over_all(sparse_job *s, double grown)
{
    const tuff_rate all = { .part = s->job->p.sparsity };
    int64_t ranked = s->cells;
    for (int i = 0; i < s->count; i++) {
        const span *l = &s->list[i];
        if (!s->job->rate[l->part].given) continue;
        memset(s->gone + l->cell, true, (size_t)l->cells);
        ranked -= l->cells;
    }
    return tuff_prune_lowest(s->worth, s->gone, s->cells, tuff_rate_goes(&all, ranked, grown));
}

static tuff_status choose(sparse_job *s, double grown)
{
    memset(s->gone, 0, (size_t)s->cells);
    if (s->job->p.method == TUFF_PRUNE_THRESHOLD) {
        choose_below(s, grown);
        return TUFF_OK;
    }
    if (s->job->p.global) TUFF_TRY(choose_over_all(s, grown));
    for (int i = 0; i < s->count; i++) {
        const span *l = &s->list[i];
        const tuff_rate *rate = &s->job->rate[l->part];
        if (s->job->p.global && !rate->given) continue;
        memset(s->gone + l->cell, 0, (size_t)l->cells);
        TUFF_TRY(tuff_prune_lowest(s->worth + l->cell, s->gone + l->cell, l->cells,
                                   tuff_rate_goes(rate, l->cells, grown)));
    }
    return TUFF_OK;
}

// The mask of what was chosen.
static void fill_mask(sparse_job *s)
{
    for (int64_t i = 0; i < s->job->model->trained_flat; i++) s->mask[i] = 1;
    for (int i = 0; i < s->count; i++) {
        const span *l = &s->list[i];
        for (int64_t c = 0; c < l->cells; c++) {
            if (!s->gone[l->cell + c]) continue;
            if (l->cells == l->param->count) s->mask[l->param->offset + c] = 0;
            else
                for (int k = 0; k < SIDE * SIDE; k++)
                    s->mask[l->param->offset + in_block(l->param, c, k)] = 0;
        }
    }
}

// ---- N:M -----------------------------------------------------------------------------------

// Of `of` weights that lie `step` apart, all but the best `keep`; of equal ones the first stay.
static void thin(const sparse_job *s, int64_t at, int64_t step)
{
    const tuff_prune_params *p = &s->job->p;
    for (int i = 0; i < p->of; i++) {
        const float mine = weight_worth(s->job, at + i * step);
        int better = 0;
        for (int k = 0; k < p->of; k++) {
            const float other = weight_worth(s->job, at + k * step);
            better += other > mine || (other == mine && k < i);
        }
        if (better >= p->keep) s->mask[at + i * step] = 0;
    }
}

// Neighbours are inputs: of a convolution those at one place of the window.
static bool thin_layer(const sparse_job *s, const span *l)
{
    const tuff_desc *d = &l->param->desc;
    const int of = s->job->p.of;
    const tuff_rate *rate = &s->job->rate[l->part];
    const int64_t in = d->rank < 2 ? 1 : d->dim[1]; // sparse weights are a list
    const int64_t window = l->param->count / (d->dim[0] * in);
    if (d->rank < 2 || in % of || (rate->given && rate->part == 0 && !rate->left)) return false;
    for (int64_t o = 0; o < d->dim[0]; o++)
        for (int64_t i = 0; i < in; i += of)
            for (int64_t k = 0; k < window; k++)
                thin(s, l->param->offset + (o * in + i) * window + k, window);
    return true;
}

static tuff_status thin_all(sparse_job *s)
{
    bool any = false;
    for (int64_t i = 0; i < s->job->model->trained_flat; i++) s->mask[i] = 1;
    for (int i = 0; i < s->count; i++) any |= thin_layer(s, &s->list[i]);
    TUFF_REQUIRE(any, ARG, "prune: %d divides the inputs of none of the net's layers",
                 s->job->p.of);
    return TUFF_OK;
}

// ---- masks and training --------------------------------------------------------------------

static tuff_status make_mask(sparse_job *s, double grown)
{
    if (s->job->p.target == TUFF_PRUNE_NM) return thin_all(s);
    score_cells(s);
    TUFF_TRY(choose(s, grown));
    fill_mask(s);
    return TUFF_OK;
}

static tuff_status apply_mask(sparse_job *s)
{
    tuff_pruning *job = s->job;
    for (int64_t i = 0; i < job->model->trained_flat; i++)
        if (s->mask[i] == 0) job->flat[i] = 0;
    return tuff_pruning_write(job);
}

static tuff_status write_mask(sparse_job *s)
{
    tuff_stream *stream = s->job->model->stream;
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(s->mask_tensor));
    TUFF_TRY(tuff_tensor_write(stream, s->mask_tensor, s->mask, bytes));
    return tuff_stream_wait(stream);
}

// The part of the sparsity that is there after a part of the training.
static double grown_at(const tuff_prune_params *p, double done)
{
    const double t = done / (p->ramp > 0 ? p->ramp : 0.7);
    return t >= 1 ? 1 : 1 - (1 - t) * (1 - t) * (1 - t);
}

static tuff_status grow(sparse_job *s, double grown)
{
    TUFF_TRY(tuff_pruning_read(s->job));
    TUFF_TRY(make_mask(s, grown));
    TUFF_TRY(write_mask(s));
    return apply_mask(s);
}

static bool on_step(void *user, const tuff_progress *progress)
{
    sparse_job *s = user;
    const tuff_train_params *tune = s->job->p.tune;
    const double all = (double)progress->epochs * (double)progress->steps;
    const double done = (double)(progress->epoch - 1) * (double)progress->steps +
                        (double)progress->step;
    const double ramp = s->job->p.ramp > 0 ? s->job->p.ramp : 0.7;
    const int64_t update = (int64_t)fmin(floor(UPDATES * done / all / ramp), UPDATES);
    if (update > s->update) {
        s->update = update;
        s->status = grow(s, grown_at(&s->job->p, done / all));
        if (s->status != TUFF_OK) return false;
    }
    return tune->on_step ? tune->on_step(tune->user, progress) : true;
}

static bool on_epoch(void *user, const tuff_epoch *epoch)
{
    const tuff_train_params *tune = ((sparse_job *)user)->job->p.tune;
    return tune->on_epoch ? tune->on_epoch(tune->user, epoch) : true;
}

static tuff_status tune(sparse_job *s)
{
    tuff_pruning *job = s->job;
    tuff_train_params p = *job->p.tune;
    TUFF_TRY(tuff_tensor_create(job->model->device, *tuff_tensor_desc(job->model->trained),
                                &s->mask_tensor));
    TUFF_TRY(write_mask(s));
    p.mask = s->mask_tensor;
    if (job->p.gradual) {
        p.on_step = on_step;
        p.on_epoch = on_epoch;
        p.user = s;
    }
    TUFF_TRY(tuff_train(job->model, job->data, &p, NULL));
    TUFF_TRY(s->status);
    // Where the ramp was not walked to its end, since somebody stopped the run, or where early
    // stop gave weights back from before it.
    const bool short_of = s->update < UPDATES || p.patience > 0;
    return job->p.gradual && short_of ? grow(s, 1) : TUFF_OK;
}

tuff_status tuff_prune_weights(tuff_pruning *job)
{
    sparse_job s = { .job = job };
    tuff_status status = TUFF_OK;
    TUFF_GO(list_spans(&s));
    TUFF_GO(tuff_pruning_read(job));
    if (job->p.method == TUFF_PRUNE_TAYLOR) TUFF_GO(tuff_prune_taylor(job));
    TUFF_GO(make_mask(&s, job->p.gradual ? 0 : 1));
    TUFF_GO(apply_mask(&s));
    if (job->p.tune) TUFF_GO(tune(&s));
exit:
    tuff_tensor_destroy(&s.mask_tensor);
    tuff_free(s.list);
    tuff_free(s.worth);
    tuff_free(s.gone);
    tuff_free(s.mask);
    return status;
}
