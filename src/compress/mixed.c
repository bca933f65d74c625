// Bits of each layer under a budget; declared in <tuff/compress/mixed.h>.
#include <tuff/compress.h>
#include "base/alloc.h"
#include "base/status.h"
#include "compress/knapsack.h"
#include "nn/model.h"
#include <math.h>

static const int usual[] = { 8, 6, 5, 4, 3, 2 };
enum { USUAL = sizeof usual / sizeof *usual, NANO = 1000000 }; // ns in a ms

struct tuff_mixed {
    int layers;        // of the model
    int items, choices; // layers with weights, and what each may have
    tuff_mixed_point *point; // [items][choices]
    int64_t bytes;     // of the net in f32
    double ms;
    bool timed;
};

typedef struct job {
    tuff_model *model;
    tuff_dataset *data;
    tuff_mixed_params p;
    tuff_weights_params weights;
    int *layer_bits; // for one layer alone
    double loss;     // of the net as it is
    tuff_mixed *m;
} job;

static bool has_weights(const tuff_model *m, int part)
{
    for (int k = 0; k < m->part[part].params; k++)
        if (m->param[m->part[part].param + k].role == TUFF_PARAM_WEIGHT) return true;
    return false;
}

static int64_t bytes_of(const tuff_model *m)
{
    int64_t bytes = 0;
    for (int i = 0; i < m->params; i++) bytes += (int64_t)tuff_desc_bytes(&m->param[i].desc);
    return bytes;
}

// ---- measuring ----------------------------------------------------------------------------

static tuff_status look(job *j, tuff_model *model, double *loss, int64_t *bytes, double *ms)
{
    const tuff_test_params t = { .held = j->p.held, .batch = j->p.batch };
    tuff_metrics test;
    tuff_measure m = { .device_ms = 0 };
    TUFF_TRY(tuff_test(model, j->data, &t, &test));
    if (j->p.timed) TUFF_TRY(tuff_model_measure(model, NULL, NULL, &m));
    *loss = test.loss;
    *bytes = bytes_of(model);
    *ms = m.device_ms;
    return TUFF_OK;
}

static tuff_status look_at_point(job *j, tuff_mixed_point *point)
{
    tuff_model *stored;
    double loss, ms;
    int64_t bytes;
    for (int i = 0; i < j->model->parts; i++) j->layer_bits[i] = TUFF_BITS_F32;
    j->layer_bits[point->layer] = point->bits;
    TUFF_TRY(tuff_store_weights(j->model, j->data, &j->weights, &stored));
    const tuff_status status = look(j, stored, &loss, &bytes, &ms);
    tuff_model_destroy(&stored);
    if (status != TUFF_OK) return status;
    point->loss = loss - j->loss;
    point->bytes = bytes - j->m->bytes;
    point->ms = ms - j->m->ms;
    if (j->p.on_point) j->p.on_point(j->p.user, point);
    return TUFF_OK;
}

// The net as it is, and every layer's points.
static tuff_status look_at_all(job *j)
{
    tuff_mixed *m = j->m;
    tuff_model *folded;
    TUFF_TRY(tuff_fold_batch_norms(j->model, &folded));
    const tuff_status status = look(j, folded, &j->loss, &m->bytes, &m->ms);
    tuff_model_destroy(&folded);
    if (status != TUFF_OK) return status;
    for (int i = 0; i < j->model->parts; i++) {
        if (!has_weights(j->model, i)) continue;
        tuff_mixed_point *point = m->point + m->items++ * m->choices;
        if (m->timed) *point++ = (tuff_mixed_point){ .layer = i };
        for (int k = 0; k < j->p.choices; k++, point++) {
            *point = (tuff_mixed_point){ .layer = i, .bits = j->p.bits[k] };
            TUFF_TRY(look_at_point(j, point));
        }
    }
    TUFF_REQUIRE(m->items, ARG, "mixed: the net has no weights in f32");
    return TUFF_OK;
}

static tuff_status check(const tuff_mixed_params *p)
{
    TUFF_REQUIRE(p->choices > 0 && p->choices <= 16, ARG, "mixed: %d numbers of bits",
                 p->choices);
    for (int k = 0; k < p->choices; k++)
        TUFF_REQUIRE(p->bits[k] >= 1 && p->bits[k] <= 16 && (!k || p->bits[k] < p->bits[k - 1]),
                     ARG, "mixed: bits are %d, expected 1 to 16, each less than the one before",
                     p->bits[k]);
    return TUFF_OK;
}

tuff_status tuff_mixed_measure(tuff_model *model, tuff_dataset *data,
                               const tuff_mixed_params *p, tuff_mixed **mixed)
{
    TUFF_REQUIRE(model && data && mixed, ARG, "mixed: model, data or result is NULL");
    *mixed = NULL;
    job j = { .model = model, .data = data, .weights = { .scheme = "affine" } };
    if (p) j.p = *p;
    if (j.p.weights) j.weights = *j.p.weights;
    if (!j.p.bits) j.p.bits = usual, j.p.choices = USUAL;
    TUFF_TRY(check(&j.p));
    tuff_status status = TUFF_OK;
    const int choices = j.p.choices + j.p.timed;
    j.m = tuff_alloc(1, sizeof *j.m);
    j.weights.bits = 0;
    j.weights.layer_bits = j.layer_bits = tuff_alloc((size_t)model->parts, sizeof(int));
    if (!j.m || !j.layer_bits) TUFF_GO(TUFF_ERR_MEMORY);
    *j.m = (tuff_mixed){ .layers = model->parts, .choices = choices, .timed = j.p.timed };
    j.m->point = tuff_alloc((size_t)model->parts * (size_t)choices, sizeof *j.m->point);
    if (!j.m->point) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(look_at_all(&j));
    *mixed = j.m;
    j.m = NULL;
exit:
    tuff_mixed_destroy(&j.m);
    tuff_free(j.layer_bits);
    return status;
}

void tuff_mixed_destroy(tuff_mixed **mixed)
{
    if (!*mixed) return;
    tuff_free((*mixed)->point);
    tuff_free(*mixed);
    *mixed = NULL;
}

bool tuff_mixed_at(const tuff_mixed *mixed, int index, tuff_mixed_point *point)
{
    if (index < 0 || index >= mixed->items * mixed->choices) return false;
    *point = mixed->point[index];
    return true;
}

// ---- choosing -----------------------------------------------------------------------------

// What a point takes of the budget: bytes, or nanoseconds.
static int64_t taken_by(const tuff_mixed_point *point, bool time)
{
    return time ? (int64_t)ceil(point->ms * NANO) : point->bytes;
}

// What the choices of all layers take beyond the least of each; that sum is added to *least.
static void weigh(const tuff_mixed *m, bool time, double cost[], int64_t weight[],
                  int64_t *least)
{
    for (int i = 0; i < m->items; i++) {
        const tuff_mixed_point *point = m->point + i * m->choices;
        int64_t low = INT64_MAX;
        double most = 0;
        for (int k = 0; k < m->choices; k++) {
            const int64_t taken = taken_by(&point[k], time);
            if (taken < low) low = taken;
        }
        for (int k = 0; k < m->choices; k++) {
            most = fmax(most, point[k].loss);
            cost[i * m->choices + k] = most;
            weight[i * m->choices + k] = taken_by(&point[k], time) - low;
        }
        *least += low;
    }
}

static tuff_status too_little(const tuff_mixed_budget *b, int64_t least)
{
    if (b->ms > 0 && least <= 0)
        return tuff_fail(TUFF_ERR_LIMIT, "mixed: the budget is %g ms, but times were too noisy:"
                         " by them layers would save more than the net takes", b->ms);
    if (b->ms > 0)
        return tuff_fail(TUFF_ERR_LIMIT, "mixed: the budget is %g ms, the fastest bits of each "
                         "layer take %g ms", b->ms, (double)least / NANO);
    return tuff_fail(TUFF_ERR_LIMIT, "mixed: the budget is %lld bytes, the fewest bits take "
                     "%lld", (long long)b->bytes, (long long)least);
}

static tuff_status choose(const tuff_mixed *m, const tuff_mixed_budget *b, double *cost,
                          int64_t *weight, int *chosen)
{
    const bool time = b->ms > 0;
    const int64_t all = time ? (int64_t)(b->ms * NANO) : b->bytes;
    int64_t least = time ? (int64_t)ceil(m->ms * NANO) : m->bytes;
    weigh(m, time, cost, weight, &least);
    if (least > all || (time && least <= 0)) return too_little(b, least);
    const tuff_status status = tuff_knapsack(m->items, m->choices, cost, weight, all - least,
                                             chosen);
    return status == TUFF_ERR_LIMIT ? too_little(b, least) : status;
}

tuff_status tuff_mixed_assign(const tuff_mixed *mixed, const tuff_mixed_budget *budget,
                              int layer_bits[])
{
    TUFF_REQUIRE(mixed && budget && layer_bits, ARG, "mixed: an argument is NULL");
    TUFF_REQUIRE((budget->bytes > 0) != (budget->ms > 0), ARG,
                 "mixed: a budget has bytes or time: %lld bytes, %g ms",
                 (long long)budget->bytes, budget->ms);
    TUFF_REQUIRE(budget->bytes > 0 || mixed->timed, ARG, "mixed: time was not measured");
    const size_t n = (size_t)mixed->items * (size_t)mixed->choices;
    tuff_status status = TUFF_OK;
    double *cost = tuff_alloc(n, sizeof *cost);
    int64_t *weight = tuff_alloc(n, sizeof *weight);
    int *chosen = tuff_alloc((size_t)mixed->items, sizeof *chosen);
    if (!cost || !weight || !chosen) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(choose(mixed, budget, cost, weight, chosen));
    for (int i = 0; i < mixed->layers; i++) layer_bits[i] = 0;
    for (int i = 0; i < mixed->items; i++) {
        const tuff_mixed_point *point = &mixed->point[i * mixed->choices + chosen[i]];
        layer_bits[point->layer] = point->bits ? point->bits : TUFF_BITS_F32;
    }
exit:
    tuff_free(cost);
    tuff_free(weight);
    tuff_free(chosen);
    return status;
}
