// Pruning: what is asked for, and what follows it. Declared in <tuff/compress/prune.h>.
#include "compress/prune.h"
#include "base/alloc.h"
#include "base/status.h"
#include "base/text.h"
#include "compress/places.h"
#include "compress/rewrite.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- names ---------------------------------------------------------------------------------

static const char *const methods[] = { "l1", "l2", "random", "threshold", "taylor", "slimming",
                                       "similar" };
static const char *const targets[] = { "weights", "channels", "neurons", "layers", "4x4" };
enum { METHODS = sizeof methods / sizeof *methods, TARGETS = sizeof targets / sizeof *targets };

tuff_status tuff_prune_method_parse(const char *name, tuff_prune_method *method)
{
    for (int i = 0; i < METHODS; i++) {
        if (strcmp(methods[i], name) != 0) continue;
        *method = (tuff_prune_method)i;
        return TUFF_OK;
    }
    return tuff_fail(TUFF_ERR_FORMAT, "prune: '%.64s' is no method, expected l1, l2, random, "
                     "threshold, taylor, slimming or similar", name);
}

tuff_status tuff_prune_target_parse(const char *name, tuff_prune_params *p)
{
    for (int i = 0; i < TARGETS; i++) {
        if (strcmp(targets[i], name) != 0) continue;
        p->target = (tuff_prune_target)i;
        return TUFF_OK;
    }
    int64_t keep, of;
    const char *colon = strchr(name, ':');
    TUFF_REQUIRE(colon && tuff_parse_i64(name, (size_t)(colon - name), &keep) &&
                     tuff_parse_i64(colon + 1, strlen(colon + 1), &of) && keep > 0 &&
                     keep < of && of <= 16,
                 FORMAT,
                 "prune: '%.64s' is no target, expected weights, channels, neurons, layers, "
                 "4x4, or N:M such as 2:4", name);
    p->target = TUFF_PRUNE_NM;
    p->keep = (int)keep;
    p->of = (int)of;
    return TUFF_OK;
}

// ---- rates ---------------------------------------------------------------------------------

int64_t tuff_rate_goes(const tuff_rate *r, int64_t n, double grown)
{
    const double goes = r->left ? (double)(n - r->left) : r->part * (double)n;
    return goes > 0 ? (int64_t)floor(goes * grown + 0.5) : 0;
}

static tuff_status take_rate(void *user, int part, double value, const char *word, int length)
{
    TUFF_REQUIRE(value >= 0 && value < 1e9 && (value < 1 || value == floor(value)), ARG,
                 "prune: in '%.*s' expected a part of 0 to below 1, or how many are kept",
                 length, word);
    tuff_rate *rate = &((tuff_pruning *)user)->rate[part];
    *rate = (tuff_rate){ .given = true };
    if (value < 1) rate->part = value;
    else rate->left = (int64_t)value;
    return TUFF_OK;
}

static tuff_status read_rates(tuff_pruning *job)
{
    job->rate = tuff_alloc((size_t)job->model->parts, sizeof *job->rate);
    if (!job->rate) return TUFF_ERR_MEMORY;
    for (int i = 0; i < job->model->parts; i++)
        job->rate[i] = (tuff_rate){ .part = job->p.sparsity };
    if (!job->p.rates) return TUFF_OK;
    return tuff_places_read(job->model, job->p.rates, "prune", "rate", "3=0.9", take_rate, job);
}

// ---- checks --------------------------------------------------------------------------------

static bool keeps_shape(tuff_prune_target t)
{
    return t == TUFF_PRUNE_WEIGHTS || t == TUFF_PRUNE_BLOCKS || t == TUFF_PRUNE_NM;
}

static const char *target_name(const tuff_prune_params *p)
{
    return (int)p->target < TARGETS ? targets[p->target] : "N:M";
}

// Which methods a target takes.
static tuff_status check_pair(const tuff_prune_params *p)
{
    const bool weights = keeps_shape(p->target), layers = p->target == TUFF_PRUNE_LAYERS;
    const bool units = p->method == TUFF_PRUNE_SLIMMING || p->method == TUFF_PRUNE_SIMILAR;
    const bool wrong = p->method == TUFF_PRUNE_THRESHOLD ? p->target != TUFF_PRUNE_WEIGHTS
                                                         : units && (weights || layers);
    TUFF_REQUIRE(!wrong, ARG, "prune: %s does not go with %s", methods[p->method],
                 target_name(p));
    return TUFF_OK;
}

static tuff_status check_amount(const tuff_prune_params *p)
{
    const bool layers = p->target == TUFF_PRUNE_LAYERS;
    TUFF_REQUIRE(p->sparsity >= 0 && p->sparsity < 1, ARG,
                 "prune: the sparsity is %g, expected 0 to below 1", p->sparsity);
    if (p->method == TUFF_PRUNE_THRESHOLD) {
        TUFF_REQUIRE(p->threshold > 0 && p->threshold < 1e30, ARG,
                     "prune: the threshold is %g, expected more than 0", p->threshold);
        TUFF_REQUIRE(p->sparsity == 0 && !p->rates, ARG,
                     "prune: a threshold says how much goes, a sparsity or rates cannot");
        return TUFF_OK;
    }
    TUFF_REQUIRE(p->threshold == 0, ARG, "prune: a threshold goes with the method threshold");
    if (p->target == TUFF_PRUNE_NM) {
        TUFF_REQUIRE(p->sparsity == 0, ARG,
                     "prune: %d:%d says how much goes, a sparsity cannot", p->keep, p->of);
        return TUFF_OK;
    }
    TUFF_REQUIRE(!layers || !p->rates, ARG, "prune: rates do not go with layers");
    TUFF_REQUIRE(p->method != TUFF_PRUNE_SIMILAR || !p->global, ARG,
                 "prune: similar goes by layers, not over all of them");
    TUFF_REQUIRE(p->most >= 0 && p->most <= 1 && (p->most == 0 || p->global), ARG,
                 "prune: the most that a layer loses is %g, expected 0 to 1, with global",
                 p->most);
    TUFF_REQUIRE(p->sparsity > 0 || (p->rates && *p->rates), ARG,
                 "prune: neither a sparsity nor rates were given");
    return TUFF_OK;
}

static tuff_status check_training(const tuff_prune_params *p, bool data)
{
    TUFF_REQUIRE(!p->gradual || p->tune, ARG, "prune: gradual pruning goes on while the net is "
                                              "trained, and no training was asked for");
    TUFF_REQUIRE(!p->gradual || (p->method != TUFF_PRUNE_TAYLOR || !keeps_shape(p->target)),
                 ARG, "prune: taylor scores of single weights are made once, not gradually");
    TUFF_REQUIRE(!p->gradual || (p->target != TUFF_PRUNE_NM && p->target != TUFF_PRUNE_LAYERS),
                 ARG, "prune: %s go at once, not gradually", target_name(p));
    TUFF_REQUIRE(p->ramp >= 0 && p->ramp <= 1, ARG, "prune: the ramp is %g, expected 0 to 1",
                 p->ramp);
    TUFF_REQUIRE(p->examples >= 0, ARG, "prune: %d examples to look at", p->examples);
    TUFF_REQUIRE(data || (!p->tune && p->method != TUFF_PRUNE_TAYLOR), ARG,
                 "prune: %s needs data", p->tune ? "fine-tuning" : "taylor");
    TUFF_REQUIRE(!p->tune || (!p->tune->mask && !p->tune->resume), ARG,
                 "prune: the fine-tuning has a mask of its own, or is to resume another run");
    return TUFF_OK;
}

static tuff_status check_params(tuff_prune_params *p, bool data)
{
    TUFF_REQUIRE((unsigned)p->method < METHODS && (unsigned)p->target <= TUFF_PRUNE_NM, ARG,
                 "prune: %d is no method, or %d no target", (int)p->method, (int)p->target);
    if (!p->keep && !p->of) {
        p->keep = 2;
        p->of = 4;
    }
    TUFF_REQUIRE(p->keep > 0 && p->keep < p->of && (p->of == 4 || p->of == 8 || p->of == 16),
                 ARG, "prune: %d:%d, expected N:4, N:8 or N:16", p->keep, p->of);
    TUFF_TRY(check_pair(p));
    TUFF_TRY(check_amount(p));
    return check_training(p, data);
}

tuff_status tuff_prune_check(const tuff_prune_params *p, bool data)
{
    TUFF_REQUIRE(p, ARG, "prune: the params are NULL");
    tuff_prune_params checked = *p;
    return check_params(&checked, data);
}

// ---- the whole -----------------------------------------------------------------------------

tuff_status tuff_pruning_read(tuff_pruning *job)
{
    return tuff_move_weights(job->model, job->flat, true);
}

tuff_status tuff_pruning_write(tuff_pruning *job)
{
    return tuff_move_weights(job->model, job->flat, false);
}

static tuff_status make_room(tuff_pruning *job)
{
    tuff_free(job->flat);
    tuff_free(job->score);
    job->flat = tuff_alloc((size_t)job->model->flat, sizeof *job->flat);
    job->score = tuff_alloc((size_t)job->model->flat, sizeof *job->score);
    return job->flat && job->score ? TUFF_OK : TUFF_ERR_MEMORY;
}

tuff_status tuff_pruning_replace(tuff_pruning *job, tuff_model **model)
{
    tuff_model_destroy(&job->model);
    job->model = *model;
    *model = NULL;
    return make_room(job);
}

static tuff_status prune(tuff_pruning *job)
{
    const tuff_prune_target t = job->p.target;
    TUFF_TRY(make_room(job));
    TUFF_TRY(read_rates(job));
    if (keeps_shape(t)) return tuff_prune_weights(job);
    TUFF_TRY(tuff_want_floats(job->model, "prune"));
    return t == TUFF_PRUNE_LAYERS ? tuff_prune_layers(job) : tuff_prune_units(job);
}

tuff_status tuff_prune(tuff_model *model, tuff_dataset *data, const tuff_prune_params *p,
                       tuff_model **pruned)
{
    TUFF_REQUIRE(model && p && pruned, ARG, "prune: the model, the params or the result is "
                                            "NULL");
    *pruned = NULL;
    tuff_pruning job = { .data = data, .p = *p };
    tuff_status status = TUFF_OK;
    TUFF_TRY(check_params(&job.p, data));
    TUFF_TRY(tuff_model_copy(model, model->device, &job.model));
    TUFF_GO(prune(&job));
    *pruned = job.model;
    job.model = NULL;
exit:
    tuff_free(job.flat);
    tuff_free(job.score);
    tuff_free(job.rate);
    tuff_free(job.size);
    tuff_model_destroy(&job.model);
    return status;
}
