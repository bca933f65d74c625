// What each layer can bear; declared in <tuff/compress/sensitivity.h>.
#include <tuff/compress.h>
#include "base/status.h"
#include "nn/model.h"
#include <stdio.h>

static const double standard[] = { 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95 };

typedef struct walk {
    tuff_model *model;
    tuff_dataset *data;
    const tuff_sensitivity_params *p;
    bool stopped;
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
    const double *value = w->p->value ? w->p->value : standard;
    const int n = w->p->value ? w->p->values : (int)(sizeof standard / sizeof *standard);
    for (int i = 0; i < n && !w->stopped; i++) {
        tuff_model *changed;
        TUFF_TRY(change(w, layer, value[i], &changed));
        const tuff_status status = test(w, changed, layer, value[i]);
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

static tuff_status check(const tuff_sensitivity_params *p)
{
    const tuff_prune_params *q = &p->prune;
    TUFF_REQUIRE(q->target != TUFF_PRUNE_LAYERS && q->target != TUFF_PRUNE_NM, ARG,
                 "sensitivity: of the target a part must go, as of weights, 4x4, channels and "
                 "neurons");
    TUFF_REQUIRE(q->method != TUFF_PRUNE_THRESHOLD, ARG,
                 "sensitivity: a threshold is no part that goes");
    TUFF_REQUIRE(q->sparsity == 0 && !q->rates && !q->tune && !q->gradual && !q->global, ARG,
                 "sensitivity: it says what goes itself, one layer at a time");
    TUFF_REQUIRE(!p->value || p->values > 0, ARG, "sensitivity: there are no values");
    for (int i = 0; p->value && i < p->values; i++)
        TUFF_REQUIRE(p->value[i] >= 0 && p->value[i] < 1, ARG,
                     "sensitivity: a value is %g, expected 0 to below 1", p->value[i]);
    return TUFF_OK;
}

tuff_status tuff_sensitivity(tuff_model *model, tuff_dataset *data,
                             const tuff_sensitivity_params *p)
{
    TUFF_REQUIRE(model && data && p && p->on_point, ARG,
                 "sensitivity: the model, the data, the params or their function is NULL");
    TUFF_TRY(check(p));
    walk w = { .model = model, .data = data, .p = p };
    TUFF_TRY(test(&w, model, -1, 0));
    for (int i = 0; i < model->parts && !w.stopped; i++)
        if (takes_part(&w, i)) TUFF_TRY(walk_layer(&w, i, prune_layer));
    return TUFF_OK;
}
