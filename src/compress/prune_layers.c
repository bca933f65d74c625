// Pruning that leaves whole layers out: those that give the shape that they take.
//
// What goes is a run of stages of a chain: a layer with weights and the norm and activation
// behind it, or a block, whose shortcut is then all that is left of it. A chain keeps at least
// one stage.
#include "compress/prune.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "train/model_file.h"
#include <math.h>
#include <string.h>

enum { PURPOSE_LAYERS = 23 };

typedef struct run {
    int chain;       // that it lies in, by its first stage
    int before;      // the stage of the chain before it, or -1
    int first, last; // stages
    int stages;
    int item, items; // its items, which follow each other
    double worth;
    bool gone;
} run;

typedef struct layers_job {
    tuff_pruning *job;
    tuff_net *net;
    int *item, *items; // of each stage: its first item, and how many it has
    run *run;
    int runs;
} layers_job;

// ---- stages and items ----------------------------------------------------------------------

static int place_chain(layers_job *s, int stage, int item)
{
    for (; stage >= 0; stage = s->net->stage[stage].next) {
        const tuff_stage *t = &s->net->stage[stage];
        s->item[stage] = item;
        for (int i = 0; i < t->branches; i++) item = place_chain(s, t->branch[i], item);
        item++; // the layer, or what joins a block's branches
        s->items[stage] = item - s->item[stage];
    }
    return item;
}

// What a run of items takes and gives.
static bool same_shape(const layers_job *s, int item, int items)
{
    const tuff_model *m = s->job->model;
    return tuff_desc_equal(&m->part[item].input, &m->part[item + items - 1].output);
}

static bool has_weights(const layers_job *s, int item, int items)
{
    const tuff_model *m = s->job->model;
    for (int i = item; i < item + items; i++)
        for (int k = 0; k < m->part[i].params; k++)
            if (m->param[m->part[i].param + k].role == TUFF_PARAM_WEIGHT) return true;
    return false;
}

// Whether a stage is a norm or an activation, which goes with the layer before it.
static bool follows(const layers_job *s, int stage)
{
    if (stage < 0 || !s->net->stage[stage].layer.kind) return false;
    return tuff_mixing_of(&s->net->stage[stage].layer) == TUFF_MIX_NONE &&
           same_shape(s, s->item[stage], 1);
}

static void add_run(layers_job *s, int chain, int before, int stage)
{
    run *r = &s->run[s->runs];
    *r = (run){ .chain = chain, .before = before, .first = stage, .last = stage, .stages = 1,
                .item = s->item[stage], .items = s->items[stage] };
    while (s->net->stage[stage].layer.kind && follows(s, s->net->stage[r->last].next)) {
        r->last = s->net->stage[r->last].next;
        r->items += s->items[r->last];
        r->stages++;
    }
    // The first of a net takes samples: not what some layer made of them.
    if (r->item > 0 && r->item + r->items < s->job->model->parts) s->runs++;
}

// Nothing is looked for within a run.
static void find_runs(layers_job *s, int first)
{
    int before = -1;
    for (int i = first; i >= 0; before = i, i = s->net->stage[i].next) {
        const int runs = s->runs;
        if (has_weights(s, s->item[i], s->items[i]) && same_shape(s, s->item[i], s->items[i]))
            add_run(s, first, before, i);
        const tuff_stage *t = &s->net->stage[i];
        for (int k = 0; s->runs == runs && k < t->branches; k++) find_runs(s, t->branch[k]);
    }
}

// ---- what runs are worth -------------------------------------------------------------------

// The mean size of a weight, so that large layers are not worth more for being large.
static double mean_size(const layers_job *s, const run *r, bool squares)
{
    const tuff_model *m = s->job->model;
    double sum = 0, n = 0;
    for (int i = r->item; i < r->item + r->items; i++)
        for (int k = 0; k < m->part[i].params; k++) {
            const tuff_param *p = &m->param[m->part[i].param + k];
            if (p->role != TUFF_PARAM_WEIGHT) continue;
            for (int64_t e = 0; e < p->count; e++) {
                const double w = (double)s->job->flat[p->offset + e];
                sum += squares ? w * w : fabs(w);
            }
            n += (double)p->count;
        }
    return squares ? sqrt(sum / n) : sum / n;
}

static void add_gradients(void *user, const float *grads)
{
    layers_job *s = user;
    const tuff_model *m = s->job->model;
    for (int j = 0; j < s->runs; j++) {
        double sum = 0;
        run *r = &s->run[j];
        for (int i = r->item; i < r->item + r->items; i++)
            for (int k = 0; k < m->part[i].params; k++) {
                const tuff_param *p = &m->param[m->part[i].param + k];
                for (int64_t e = 0; !tuff_is_buffer(p->role) && e < p->count; e++)
                    sum += (double)grads[p->offset + e] * (double)s->job->flat[p->offset + e];
            }
        r->worth += sum * sum;
    }
}

static tuff_status score(layers_job *s)
{
    const tuff_prune_method method = s->job->p.method;
    const uint64_t seed = tuff_rng_fork(s->job->p.seed, PURPOSE_LAYERS);
    if (method == TUFF_PRUNE_TAYLOR) return tuff_prune_gradients(s->job, add_gradients, s);
    for (int i = 0; i < s->runs; i++)
        s->run[i].worth = method == TUFF_PRUNE_RANDOM
                              ? (double)tuff_rng_uniform_at(seed, (uint64_t)i)
                              : mean_size(s, &s->run[i], method == TUFF_PRUNE_L2);
    return TUFF_OK;
}

// ---- leaving them out ----------------------------------------------------------------------

// Unlinks a run of stages from its chain. What begins a chain is copied over, since blocks name
// their chains by it.
static void cut(layers_job *s, const run *r)
{
    tuff_stage *stage = s->net->stage;
    const int after = stage[r->last].next;
    if (r->before >= 0) stage[r->before].next = after;
    else stage[r->first] = stage[after];
}

static bool is_gone(const layers_job *s, int item)
{
    for (int i = 0; i < s->runs; i++)
        if (s->run[i].gone && item >= s->run[i].item &&
            item < s->run[i].item + s->run[i].items)
            return true;
    return false;
}

static tuff_status build(layers_job *s, tuff_model **model)
{
    const tuff_model *old = s->job->model;
    char *text = NULL;
    float *out = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_net_print(s->net, &text));
    const tuff_model_params p = { .net = text, .input = old->input,
                                  .init = { .kind = TUFF_INIT_ZEROS } };
    TUFF_GO(tuff_model_build(old->device, &p, INT64_MAX, model));
    tuff_model *new = *model;
    new->loss = old->loss;
    TUFF_GO(tuff_model_set_data(new, &old->data));
    out = tuff_alloc((size_t)new->flat, sizeof *out);
    if (!out) TUFF_GO(TUFF_ERR_MEMORY);
    for (int i = 0, k = 0; i < old->parts; i++) {
        if (is_gone(s, i)) continue;
        for (int j = 0; j < old->part[i].params; j++) {
            const tuff_param *from = &old->param[old->part[i].param + j];
            memcpy(out + new->param[new->part[k].param + j].offset,
                   s->job->flat + from->offset, tuff_desc_bytes(&from->desc));
        }
        k++;
    }
    TUFF_GO(tuff_move_weights(new, out, false));
exit:
    if (status != TUFF_OK) tuff_model_destroy(model);
    tuff_free(out);
    tuff_free(text);
    return status;
}

// Stages of a run's chain that are left.
static int left_in_chain(const layers_job *s, const run *r)
{
    int n = 0;
    for (int i = r->chain; i >= 0; i = s->net->stage[i].next) n++;
    for (int i = 0; i < s->runs; i++)
        if (s->run[i].gone && s->run[i].chain == r->chain) n -= s->run[i].stages;
    return n;
}

// The last of them are cut first, so that what stands before a run is still there then.
static tuff_status choose(layers_job *s)
{
    const int goes = (int)floor(s->job->p.sparsity * s->runs + 0.5);
    TUFF_REQUIRE(goes > 0, ARG, "prune: %g of the %d layers that could go is none",
                 s->job->p.sparsity, s->runs);
    for (int n = 0; n < goes; n++) {
        int least = -1;
        for (int i = 0; i < s->runs; i++)
            if (!s->run[i].gone && left_in_chain(s, &s->run[i]) > s->run[i].stages &&
                (least < 0 || s->run[i].worth < s->run[least].worth))
                least = i;
        if (least < 0) break;
        s->run[least].gone = true;
    }
    for (int i = s->runs - 1; i >= 0; i--)
        if (s->run[i].gone) cut(s, &s->run[i]);
    return TUFF_OK;
}

static tuff_status open_net(layers_job *s)
{
    TUFF_TRY(tuff_net_parse(s->job->model->text, &s->net));
    const size_t n = (size_t)s->net->count;
    s->item = tuff_alloc(n, sizeof *s->item);
    s->items = tuff_alloc(n, sizeof *s->items);
    s->run = tuff_alloc(n, sizeof *s->run);
    if (!s->item || !s->items || !s->run) return TUFF_ERR_MEMORY;
    (void)place_chain(s, 0, 0);
    find_runs(s, 0);
    TUFF_REQUIRE(s->runs > 0, ARG, "prune: no layer of the net gives the shape that it takes, "
                                   "so that none can go");
    return TUFF_OK;
}

tuff_status tuff_prune_layers(tuff_pruning *job)
{
    layers_job s = { .job = job };
    tuff_model *smaller = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(open_net(&s));
    TUFF_GO(tuff_pruning_read(job));
    TUFF_GO(score(&s));
    TUFF_GO(choose(&s));
    TUFF_GO(build(&s, &smaller));
    TUFF_GO(tuff_pruning_replace(job, &smaller));
    if (job->p.tune) TUFF_GO(tuff_train(job->model, job->data, job->p.tune, NULL));
exit:
    tuff_model_destroy(&smaller);
    tuff_net_free(&s.net);
    tuff_free(s.item);
    tuff_free(s.items);
    tuff_free(s.run);
    return status;
}
