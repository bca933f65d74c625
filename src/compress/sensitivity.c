// What each layer can bear; declared in <tuff/compress/sensitivity.h>.
#include <tuff/compress.h>
#include "base/alloc.h"
#include "base/status.h"
#include "nn/model.h"
#include <math.h>
#include <stdio.h>

static const double parts[] = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95 };
static const double bits[] = { 8, 6, 5, 4, 3, 2 };

typedef struct walk {
    tuff_model *model;
    tuff_dataset *data;
    const tuff_sensitivity_params *p;
    const double *value;
    int values;
    bool stopped;
    int *layer_bits; // for one layer alone
} walk;

// Makes the net with one layer changed.
typedef tuff_status (*change_fn)(const walk *w, int layer, double value, tuff_model **changed);

static tuff_status test(walk *w, tuff_model *model, int layer, double value)
{
    const tuff_test_params t = { .held = w->p->held, .batch = w->p->batch };
    tuff_sensitivity_point point = { .layer = layer, .value = value };
    TUFF_TRY(tuff_test(model, w->data, &t, &point.test));
    w->stopped = !w->p->on_point(w->p->user, &point);
    return TUFF_OK;
}

static tuff_status walk_layer(walk *w, int layer, change_fn change)
{
    for (int i = 0; i < w->values && !w->stopped; i++) {
        tuff_model *changed;
        TUFF_TRY(change(w, layer, w->value[i], &changed));
        const tuff_status status = test(w, changed, layer, w->value[i]);
        tuff_model_destroy(&changed);
        if (status != TUFF_OK) return status;
    }
    return TUFF_OK;
}

// ---- sparsity ------------------------------------------------------------------------------

static tuff_status prune_layer(const walk *w, int layer, double value, tuff_model **changed)
{
    char rates[TUFF_LAYER_NAME + 32];
    tuff_prune_params p = w->p->prune;
    snprintf(rates, sizeof rates, "%s=%.9g", w->model->part[layer].item.name, value);
    p.rates = rates;
    return tuff_prune(w->model, w->data, &p, changed);
}

static bool has_weights(const tuff_model *m, const tuff_model_part *part, bool blocks)
{
    for (int k = 0; k < part->params; k++) {
        const tuff_param *p = &m->param[part->param + k];
        if (p->role != TUFF_PARAM_WEIGHT) continue;
        if (!blocks) return true;
        if (p->desc.rank == 2 && p->desc.dim[0] % 4 == 0 && p->desc.dim[1] % 4 == 0)
            return true;
    }
    return false;
}

// Whether a layer has what is to go.
static bool takes_part(const walk *w, int layer)
{
    const tuff_model_part *part = &w->model->part[layer];
    const tuff_mixing mixing = tuff_mixing_of(&part->item.layer);
    const tuff_prune_target target = w->p->prune.target;
    if (target == TUFF_PRUNE_CHANNELS) return mixing == TUFF_MIX_CONV;
    // The last layer's neurons are the net's outputs.
    if (target == TUFF_PRUNE_NEURONS)
        return mixing == TUFF_MIX_DENSE && layer + 1 < w->model->parts;
    return has_weights(w->model, part, target == TUFF_PRUNE_BLOCKS);
}

static tuff_status check_prune(const tuff_sensitivity_params *p)
{
    const tuff_prune_params *q = &p->prune;
    TUFF_REQUIRE(q->target != TUFF_PRUNE_LAYERS && q->target != TUFF_PRUNE_NM, ARG,
                 "sensitivity: of the target a part must go, as of weights, 4x4, channels and "
                 "neurons");
    TUFF_REQUIRE(q->method != TUFF_PRUNE_THRESHOLD, ARG,
                 "sensitivity: a threshold is no part that goes");
    TUFF_REQUIRE(q->sparsity == 0 && !q->rates && !q->tune && !q->gradual && !q->global, ARG,
                 "sensitivity: it says what goes itself, one layer at a time");
    for (int i = 0; p->value && i < p->values; i++)
        TUFF_REQUIRE(p->value[i] >= 0 && p->value[i] < 1, ARG,
                     "sensitivity: a value is %g, expected 0 to below 1", p->value[i]);
    return TUFF_OK;
}

tuff_status tuff_sensitivity_check(const tuff_sensitivity_params *p)
{
    TUFF_REQUIRE(p, ARG, "sensitivity: the params are NULL");
    TUFF_REQUIRE(!p->value || p->values > 0, ARG, "sensitivity: there are no values");
    if (!p->round) return check_prune(p);
    for (int i = 0; p->value && i < p->values; i++)
        TUFF_REQUIRE(p->value[i] == floor(p->value[i]) && p->value[i] >= 1 && p->value[i] <= 16,
                     ARG, "sensitivity: bits are %g, expected 1 to 16", p->value[i]);
    return TUFF_OK;
}

// ---- bits ----------------------------------------------------------------------------------

static tuff_status round_layer(const walk *w, int layer, double value, tuff_model **changed)
{
    tuff_weights_params p = *w->p->round;
    for (int i = 0; i < w->model->parts; i++) w->layer_bits[i] = TUFF_BITS_F32;
    w->layer_bits[layer] = (int)value;
    p.layer_bits = w->layer_bits;
    p.bits = 0;
    return tuff_store_weights(w->model, w->data, &p, changed);
}

// ---- the whole -----------------------------------------------------------------------------

static tuff_status walk_layers(walk *w)
{
    const bool rounds = w->p->round;
    TUFF_TRY(test(w, w->model, -1, 0));
    for (int i = 0; i < w->model->parts && !w->stopped; i++) {
        const tuff_model_part *part = &w->model->part[i];
        if (rounds ? has_weights(w->model, part, false) : takes_part(w, i))
            TUFF_TRY(walk_layer(w, i, rounds ? round_layer : prune_layer));
    }
    return TUFF_OK;
}

tuff_status tuff_sensitivity(tuff_model *model, tuff_dataset *data,
                             const tuff_sensitivity_params *p)
{
    TUFF_REQUIRE(model && data && p && p->on_point, ARG,
                 "sensitivity: the model, the data, the params or their function is NULL");
    TUFF_TRY(tuff_sensitivity_check(p));
    walk w = { .model = model, .data = data, .p = p, .value = p->value, .values = p->values };
    if (!w.value) {
        w.value = p->round ? bits : parts;
        w.values = (int)(p->round ? sizeof bits / sizeof *bits : sizeof parts / sizeof *parts);
    }
    w.layer_bits = tuff_alloc((size_t)model->parts, sizeof *w.layer_bits);
    const tuff_status status = w.layer_bits ? walk_layers(&w) : TUFF_ERR_MEMORY;
    tuff_free(w.layer_bits);
    return status;
}
