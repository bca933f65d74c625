// Quantization aware training; declared in <tuff/compress/aware.h>. Where the net of integers
// would have numbers of a scale of their own (integer.c), the net that is trained has a
// fake_quantize; and the other way round.
#include "base/alloc.h"
#include "base/status.h"
#include "compress/quantize.h"
#include "train/settings.h"
#include <float.h>
#include <math.h>
#include <string.h>

typedef struct job {
    tuff_rewrite *w;
    const tuff_ptq_params *p;
    const int *bits; // of each part; 0: as p says
    const tuff_observed *observed;
    tuff_integer_plan plan;
    int *places; // of a set of tensors, at its root: in how many places it is rounded
} job;

static bool is_fake(const tuff_model *m, int part)
{
    return tuff_part_is(m, part, "fake_quantize");
}

// ---- fake quantizers into a net -----------------------------------------------------------

// Whether numbers of a grid begin here, and are not some that came in.
static bool begins(const job *j, int part)
{
    return j->plan.integer[part] && !tuff_keeps_grid(j->plan.model, part);
}

// Behind which part the numbers that begin at one are rounded: the relu that clips them.
static int rounded_at(const job *j, int part)
{
    return j->plan.clip[part] >= 0 ? j->plan.clip[part] : part;
}

static void count_places(job *j)
{
    const tuff_integer_plan *p = &j->plan;
    for (int i = 0; i < p->model->parts; i++) {
        if (begins(j, i)) j->places[tuff_grid_set(p, TUFF_GRID_OUT, i)]++;
        if (p->quantize[i]) j->places[tuff_grid_set(p, TUFF_GRID_BEFORE, i)]++;
        if (p->quantize_behind[i]) j->places[tuff_grid_set(p, TUFF_GRID_BEHIND, i)]++;
    }
}

static const char *fake_text(const job *j, tuff_grid_of which, int part)
{
    const bool alone = j->places[tuff_grid_set(&j->plan, which, part)] == 1;
    return alone ? "fake_quantize" : "fake_quantize learn=no";
}

static int bits_of(const job *j, int part)
{
    return j->bits[part] ? j->bits[part] : j->p->bits ? j->p->bits : 8;
}

static void set_product(const job *j, int part, int bits)
{
    tuff_model_part with = j->w->from->part[part];
    char text[TUFF_LAYER_TEXT];
    int *fake = tuff_part_arg(&with, "fake"), *per = tuff_part_arg(&with, "fake_per");
    fake[0] = fake[1] = bits;
    per[0] = per[1] = j->p->per_tensor;
    tuff_layer_print(&with.item.layer, text);
    tuff_rewrite_set(j->w, part, "%s", text);
}

static void write_fakes(const job *j)
{
    const tuff_integer_plan *p = &j->plan;
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_is_product(m, i)) set_product(j, i, bits_of(j, i));
    for (int i = 0; i < m->parts; i++) {
        if (p->quantize[i])
            tuff_rewrite_before(j->w, i, fake_text(j, TUFF_GRID_BEFORE, i));
        if (begins(j, i))
            tuff_rewrite_behind(j->w, rounded_at(j, i), fake_text(j, TUFF_GRID_OUT, i));
        if (p->quantize_behind[i])
            tuff_rewrite_behind(j->w, i, fake_text(j, TUFF_GRID_BEHIND, i));
    }
}

static void *at(const job *j, int to, const char *name)
{
    return tuff_param_at(j->w->to_flat, tuff_part_param(j->w->to, to, name));
}

static void fill_fake(const job *j, int to, tuff_grid8 g)
{
    *(float *)at(j, to, "scale") = g.scale;
    *(int32_t *)at(j, to, "zero_point") = g.zero;
}

// Biases that have back what rounding takes from the outputs' mean: training begins where
// quantization after training ends.
static tuff_status correct_bias(const job *j, int part, int to)
{
    const tuff_param *weight = tuff_part_param(j->w->from, part, "weight");
    const tuff_param *has = tuff_part_param(j->w->to, to, "bias");
    const float *w = tuff_param_at(j->w->from_flat, weight), *scale = at(j, to, "weight_scale");
    const int32_t *zero = at(j, to, "weight_zero_point");
    const int64_t out = weight->desc.dim[0], row = weight->count / out;
    const int half = 1 << (bits_of(j, part) - 1);
    if (!has) return TUFF_OK;
    float *bias = tuff_param_at(j->w->to_flat, has);
    int32_t *q = tuff_alloc((size_t)row, sizeof *q);
    if (!q) return TUFF_ERR_MEMORY;
    for (int64_t o = 0; o < out; o++, w += row) {
        const int64_t set = j->p->per_tensor ? 0 : o;
        const tuff_steps s = { .scale = scale[set], .zero = zero[set], .low = -half,
                               .high = half - 1 };
        for (int64_t i = 0; i < row; i++) q[i] = tuff_steps_round(&s, w[i]);
        bias[o] += (float)tuff_mean_lost(j->w->from, j->observed, part, o, w, q, &s);
    }
    tuff_free(q);
    return TUFF_OK;
}

static tuff_status fill_product(const job *j, int part, int to)
{
    const tuff_param *weight = tuff_part_param(j->w->from, part, "weight");
    const float *w = tuff_param_at(j->w->from_flat, weight);
    const int64_t sets = j->p->per_tensor ? 1 : weight->desc.dim[0], n = weight->count / sets;
    const tuff_ptq_params best = { .affine = j->p->affine, .bits = bits_of(j, part),
                                   .mse_weights = true };
    float *scale = at(j, to, "weight_scale");
    int32_t *zero = at(j, to, "weight_zero_point");
    for (int64_t i = 0; i < sets; i++) {
        const tuff_steps s = tuff_best_steps(w + i * n, n, &best);
        scale[i] = (float)s.scale;
        zero[i] = s.zero;
    }
    return correct_bias(j, part, to);
}

static tuff_status fill_fakes(const job *j)
{
    const tuff_integer_plan *p = &j->plan;
    const tuff_model *m = p->model;
    for (int i = 0; i < m->parts; i++) {
        int to = j->w->first[i];
        if (p->quantize[i]) fill_fake(j, to++, tuff_grid_in(p, i, 0));
        tuff_rewrite_copy(j->w, i, to);
        if (tuff_part_is_product(m, i)) TUFF_TRY(fill_product(j, i, to));
    }
    // What stands behind a part is its last layer.
    for (int i = 0; i < m->parts; i++) {
        if (p->quantize_behind[i])
            fill_fake(j, j->w->first[i] + j->w->count[i] - 1, tuff_grid_behind(p, i));
        if (!begins(j, i)) continue;
        const int behind = rounded_at(j, i);
        fill_fake(j, j->w->first[behind] + j->w->count[behind] - 1, tuff_grid_out(p, i));
    }
    return TUFF_OK;
}

static tuff_status add_fakes(job *j, tuff_model *model, tuff_model **aware)
{
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_integer_plan_make(model, j->observed, NULL, &j->plan));
    j->places = tuff_alloc(3 * (size_t)model->parts, sizeof *j->places);
    if (!j->places) TUFF_GO(TUFF_ERR_MEMORY);
    count_places(j);
    TUFF_GO(tuff_rewrite_open(model, &j->w));
    write_fakes(j);
    TUFF_GO(tuff_rewrite_build(j->w));
    TUFF_GO(fill_fakes(j));
    TUFF_GO(tuff_rewrite_close(&j->w, aware));
exit:
    if (j->w) (void)tuff_rewrite_close(&j->w, NULL);
    tuff_integer_plan_clear(&j->plan);
    tuff_free(j->places);
    return status;
}

tuff_status tuff_aware_prepare(tuff_model *model, tuff_dataset *data, const tuff_ptq_params *p,
                               tuff_model **aware)
{
    static const tuff_ptq_params defaults;
    if (!p) p = &defaults;
    TUFF_REQUIRE(model && data && aware, ARG, "quantize: model, data or result is NULL");
    *aware = NULL;
    TUFF_REQUIRE(!p->correct_bias, ARG,
                 "quantize: biases are corrected before they are trained, without being asked");
    TUFF_TRY(tuff_quantize_check(model, data, p));
    tuff_model *folded = NULL;
    tuff_observed *observed = NULL;
    tuff_status status = TUFF_OK;
    int *place = tuff_alloc((size_t)model->parts, sizeof *place);
    int *bits = tuff_alloc((size_t)model->parts, sizeof *bits);
    job j = { .p = p, .bits = bits };
    if (!place || !bits) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_fold(model, &folded, place));
    tuff_place_bits(model, p, place, bits);
    if (p->equalize) TUFF_GO(tuff_equalize(folded));
    TUFF_GO(tuff_calibrate(folded, data, p, &observed));
    j.observed = observed;
    TUFF_GO(add_fakes(&j, folded, aware));
exit:
    if (folded) tuff_observed_free(&observed, folded);
    tuff_model_destroy(&folded);
    tuff_free(place);
    tuff_free(bits);
    return status;
}

// ---- and out of it ------------------------------------------------------------------------

static const float *floats(const tuff_rewrite *w, int part, const char *name)
{
    const tuff_param *p = tuff_part_param(w->from, part, name);
    return p ? tuff_param_at(w->from_flat, p) : NULL;
}

tuff_status tuff_fake_grids(const tuff_rewrite *w, tuff_grid8 *grid)
{
    const tuff_model *m = w->from;
    for (int i = 0; i < m->parts; i++) {
        if (!is_fake(m, i)) continue;
        const float *gain = floats(w, i, "log_gain");
        const int32_t *zero = (const int32_t *)(const void *)floats(w, i, "zero_point");
        const double scale = *floats(w, i, "scale") * exp(gain ? (double)*gain : 0);
        const int bits = m->part[i].item.layer.arg[0][0];
        TUFF_REQUIRE(bits == 8, ARG, "quantize: layer %s rounds to %d bits, the kernels of "
                     "integers have 8", m->part[i].item.name, bits);
        TUFF_REQUIRE(scale > 0 && scale <= FLT_MAX && *zero >= -128 && *zero <= 127, ARG,
                     "quantize: the step of layer %s is %g, its zero point %d",
                     m->part[i].item.name, scale, (int)*zero);
        grid[i] = (tuff_grid8){ (float)scale, *zero };
    }
    return TUFF_OK;
}

bool tuff_fake_weight_steps(const tuff_rewrite *w, int part, int64_t output,
                            tuff_steps *s)
{
    const tuff_param *p = tuff_part_param(w->from, part, "weight_scale");
    if (!p) return false;
    tuff_model_part with = w->from->part[part];
    const int half = 1 << (*tuff_part_arg(&with, "fake") - 1);
    const int64_t i = p->count == 1 ? 0 : output;
    const float *gain = floats(w, part, "weight_log_gain");
    const int32_t *zero = (const int32_t *)(const void *)floats(w, part, "weight_zero_point");
    const float scale = (float)(floats(w, part, "weight_scale")[i] * exp((double)gain[i]));
    *s = (tuff_steps){ .scale = scale, .zero = zero[i], .low = -half, .high = half - 1 };
    return true;
}

static tuff_status check_weights(const tuff_rewrite *w)
{
    const tuff_model *m = w->from;
    tuff_steps s;
    for (int i = 0; i < m->parts; i++) {
        if (!tuff_part_is_product(m, i)) continue;
        const tuff_param *weight = tuff_part_param(m, i, "weight");
        for (int64_t o = 0; o < weight->desc.dim[0]; o++) {
            TUFF_REQUIRE(tuff_fake_weight_steps(w, i, o, &s), ARG,
                         "quantize: layer %s (%s) has no fake=BITS", m->part[i].item.name,
                         m->part[i].text);
            TUFF_REQUIRE(s.scale > 0 && s.scale <= FLT_MAX && s.zero >= s.low &&
                             s.zero <= s.high, ARG,
                         "quantize: a step of the weights of layer %s is %g, its zero point %d",
                         m->part[i].item.name, s.scale, s.zero);
        }
    }
    return TUFF_OK;
}

tuff_status tuff_aware_convert(tuff_model *aware, tuff_model **quantized)
{
    static const tuff_ptq_params none;
    TUFF_REQUIRE(aware && quantized, ARG, "quantize: model or result is NULL");
    *quantized = NULL;
    tuff_status status = TUFF_OK;
    job j = { .p = &none };
    tuff_grid8 *grid = tuff_alloc((size_t)aware->parts, sizeof *grid);
    if (!grid) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_rewrite_open(aware, &j.w));
    TUFF_GO(tuff_fake_grids(j.w, grid));
    TUFF_GO(check_weights(j.w));
    TUFF_GO(tuff_integer_plan_make(aware, NULL, grid, &j.plan));
    TUFF_GO(tuff_quantize_rewrite(&j.w, &j.plan, NULL, &none, NULL, NULL, quantized));
exit:
    if (j.w) (void)tuff_rewrite_close(&j.w, NULL);
    tuff_integer_plan_clear(&j.plan);
    tuff_free(grid);
    return status;
}

tuff_status tuff_quantize_aware(tuff_model *model, tuff_dataset *data, const tuff_ptq_params *p,
                                const tuff_train_params *train, tuff_model **quantized)
{
    tuff_train_params how = { .schedule = { .kind = TUFF_COSINE } };
    tuff_model *aware;
    TUFF_REQUIRE(quantized, ARG, "quantize: the result is NULL");
    *quantized = NULL;
    if (train) how = *train;
    if (how.optimizer.lr == 0) {
        TUFF_TRY(tuff_optimizer_fill(&how.optimizer));
        how.optimizer.lr /= 10;
    }
    TUFF_TRY(tuff_aware_prepare(model, data, p, &aware));
    tuff_status status = tuff_train(aware, data, &how, NULL);
    if (status == TUFF_OK) status = tuff_aware_convert(aware, quantized);
    tuff_model_destroy(&aware);
    return status;
}
