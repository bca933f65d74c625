// A thread that makes batches ahead of the one who trains. Batches lie in a ring:
//
//   slot     0        1        2
//          [given]  [ready]  [being made]        made - given <= slots - 1
//
// `made` and `given` count batches since the loader was made; batch n lies in slot n % slots.
// The slot of the batch that was given last is the user's until the next call. Who has to
// wait sleeps on a condition; nothing spins, and nothing is allocated.
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "data/augment.h"
#include "data/dataset.h"
#include <pthread.h>
#include <string.h>

enum { MOST_AHEAD = 64 };
// Numbers of the seed that say how examples are augmented; those of orders are the epochs'.
static const uint64_t FORK_AUGMENT = (uint64_t)1 << 63;

struct tuff_loader {
    const tuff_dataset *dataset;
    const tuff_dataset_info *info;
    tuff_loader_params p;
    int64_t batches; // of an epoch
    size_t sample;   // numbers of an example
    int slots;
    float *x, *targets; // [slots][batch]
    int32_t *labels;
    tuff_batch *ring;    // [slots]
    uint32_t *example;   // [slots][batch]
    uint32_t *order;     // examples of the part in the order of epoch `ordered`
    int64_t ordered;     // -1: of none
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ready, room;
    int64_t made, given; // guarded by `lock`, as is `stop`
    bool started, stop;
};

// ---- making a batch -------------------------------------------------------------------------

static void order_epoch(tuff_loader *l, int64_t epoch)
{
    const int64_t n = l->info->count[l->p.split];
    if (l->ordered == epoch || (l->ordered >= 0 && !l->p.shuffle)) return;
    for (int64_t i = 0; i < n; i++) l->order[i] = (uint32_t)i;
    if (l->p.shuffle) {
        tuff_rng rng = { .seed = tuff_rng_fork(l->p.seed, (uint64_t)epoch) };
        tuff_rng_shuffle(&rng, l->order, (size_t)n);
    }
    l->ordered = epoch;
}

static void augment(const tuff_loader *l, const tuff_batch *b, float *x)
{
    if (!tuff_augments(&l->p.augment)) return;
    const uint64_t seed = tuff_rng_fork(tuff_rng_fork(l->p.seed, FORK_AUGMENT),
                                        (uint64_t)b->epoch);
    for (int i = 0; i < b->count; i++, x += l->sample)
        tuff_augment_image(&l->p.augment, &l->info->sample, l->info->shift,
                           tuff_rng_fork(seed, b->example[i]), x);
}

// Makes batch `number`, counted from epoch 0 on, in a slot.
static void make_batch(tuff_loader *l, int64_t number, tuff_batch *b)
{
    const int batch = l->p.batch, targets = l->info->targets;
    const size_t slot = (size_t)(b - l->ring) * (size_t)batch;
    float *x = l->x + slot * l->sample;
    float *t = targets ? l->targets + slot * (size_t)targets : NULL;
    int32_t *labels = l->labels ? l->labels + slot : NULL;
    const uint32_t *rows = tuff_dataset_rows(l->dataset, l->p.split);
    uint32_t *example = l->example + slot;
    *b = (tuff_batch){ .x = x, .labels = labels, .targets = t, .example = example,
                       .epoch = number / l->batches, .index = number % l->batches };
    if (l->p.epochs && b->epoch >= l->p.epochs) return; // count 0: the end
    order_epoch(l, b->epoch);
    const int64_t first = b->index * batch, left = l->info->count[l->p.split] - first;
    b->count = (int)(left < batch ? left : batch);
    memcpy(example, l->order + first, (size_t)b->count * sizeof *example);
    for (int i = 0; i < b->count; i++)
        tuff_dataset_example(l->dataset, l->p.split, rows[example[i]],
                             x + (size_t)i * l->sample, labels ? labels + i : NULL,
                             t ? t + (size_t)i * (size_t)targets : NULL);
    augment(l, b, x);
    const size_t rest = (size_t)(batch - b->count);
    memset(x + (size_t)b->count * l->sample, 0, rest * l->sample * sizeof *x);
    if (labels) memset(labels + b->count, -1, rest * sizeof *labels); // all bits: -1
    if (t) memset(t + b->count * targets, 0, rest * (size_t)targets * sizeof *t);
}

static void *run(void *arg)
{
    tuff_loader *l = arg;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->made - l->given >= l->slots - 1) {
            pthread_cond_wait(&l->room, &l->lock);
            continue;
        }
        const int64_t n = l->made;
        pthread_mutex_unlock(&l->lock);
        make_batch(l, l->p.start + n, &l->ring[n % l->slots]);
        pthread_mutex_lock(&l->lock);
        l->made++;
        pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

// ---- the user's side ------------------------------------------------------------------------

void tuff_loader_next(tuff_loader *l, tuff_batch *batch)
{
    pthread_mutex_lock(&l->lock);
    while (l->made == l->given) pthread_cond_wait(&l->ready, &l->lock);
    *batch = l->ring[l->given % l->slots];
    l->given++; // the batch given before is the user's no more
    pthread_cond_signal(&l->room);
    pthread_mutex_unlock(&l->lock);
}

int64_t tuff_loader_batches(const tuff_loader *l) { return l->batches; }

static tuff_status check_params(const tuff_loader_params *p, const tuff_dataset_info *info)
{
    TUFF_REQUIRE((unsigned)p->split < TUFF_SPLITS, ARG, "part %d of a dataset is asked for",
                 (int)p->split);
    TUFF_REQUIRE(p->batch >= 0 && p->start >= 0 && p->start <= INT64_MAX / 2 &&
                     p->epochs >= 0 && p->ahead >= 0 &&
                     p->ahead <= MOST_AHEAD,
                 ARG, "batch, start and epochs must be 0 or more, ahead 0 to %d", MOST_AHEAD);
    TUFF_REQUIRE(info->count[p->split] > 0, ARG, "this part of the dataset has no examples");
    return tuff_augment_check(&p->augment, &info->sample);
}

static tuff_status allocate(tuff_loader *l)
{
    const size_t rows = (size_t)l->slots * (size_t)l->p.batch;
    size_t bytes;
    if (__builtin_mul_overflow(rows, l->sample * sizeof(float), &bytes))
        return tuff_fail(TUFF_ERR_MEMORY, "batches of %d examples do not fit in memory",
                         l->p.batch);
    l->x = tuff_alloc_aligned(bytes);
    l->ring = tuff_alloc((size_t)l->slots, sizeof *l->ring);
    l->example = tuff_alloc(rows, sizeof *l->example);
    l->order = tuff_alloc((size_t)l->info->count[l->p.split], sizeof *l->order);
    if (l->info->targets)
        l->targets = tuff_alloc(rows, (size_t)l->info->targets * sizeof *l->targets);
    else l->labels = tuff_alloc(rows, sizeof *l->labels);
    const bool whole = l->x && l->ring && l->example && l->order && (l->targets || l->labels);
    return whole ? TUFF_OK : TUFF_ERR_MEMORY;
}

tuff_status tuff_loader_create(const tuff_dataset *dataset, const tuff_loader_params *p,
                               tuff_loader **loader)
{
    static const tuff_loader_params none;
    tuff_status status = TUFF_OK;
    *loader = NULL;
    tuff_loader *l = tuff_alloc(1, sizeof *l);
    if (!l) return TUFF_ERR_MEMORY;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->room, NULL);
    l->dataset = dataset;
    l->info = tuff_dataset_get_info(dataset);
    l->p = p ? *p : none;
    TUFF_GO(check_params(&l->p, l->info));
    if (l->p.batch == 0) l->p.batch = 64;
    l->slots = (l->p.ahead ? l->p.ahead : 2) + 1;
    l->batches = (l->info->count[l->p.split] + l->p.batch - 1) / l->p.batch;
    l->sample = (size_t)tuff_desc_count(&l->info->sample);
    l->ordered = -1;
    TUFF_GO(allocate(l));
    if (pthread_create(&l->thread, NULL, run, l) != 0)
        TUFF_GO(tuff_fail(TUFF_ERR_MEMORY, "the loader's thread could not be started"));
    l->started = true;
    *loader = l;
    l = NULL;
exit:
    tuff_loader_destroy(&l);
    return status;
}

void tuff_loader_destroy(tuff_loader **loader)
{
    tuff_loader *l = *loader;
    if (!l) return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_signal(&l->room);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->room);
    tuff_free(l->x);
    tuff_free(l->targets);
    tuff_free(l->labels);
    tuff_free(l->ring);
    tuff_free(l->example);
    tuff_free(l->order);
    tuff_free(l);
    *loader = NULL;
}
