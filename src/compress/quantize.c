// Quantization after training; declared in <tuff/compress/quantize.h>.
#include "compress/quantize.h"
#include "base/alloc.h"
#include "base/status.h"
#include "compress/hessian.h"
#include "compress/places.h"
#include "nn/layers.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- weights ------------------------------------------------------------------------------

tuff_steps tuff_best_steps(const float *w, int64_t n, const tuff_ptq_params *p)
{
    return tuff_steps_of(w, n, p->bits ? p->bits : 8, p->affine, p->mse_weights);
}

// ---- bits of single layers ----------------------------------------------------------------

static tuff_status check_bits(const char *where, int bits)
{
    TUFF_REQUIRE(bits >= 2 && bits <= 8, ARG, "quantize: bits%s is %d, expected 2 to 8", where,
                 bits);
    return TUFF_OK;
}

static tuff_status take_bits(void *user, int part, double value, const char *word, int length)
{
    TUFF_REQUIRE(value == floor(value) && fabs(value) < 1e6, ARG,
                 "quantize: in '%.*s' expected a whole number of bits", length, word);
    TUFF_REQUIRE(value >= 1 && value <= 16, ARG,
                 "quantize: in '%.*s' bits are %g, expected 1 to 16", length, word, value);
    ((int *)user)[part] = (int)value;
    return TUFF_OK;
}

tuff_status tuff_layer_bits_parse(const tuff_model *model, const char *text, int bits[])
{
    TUFF_REQUIRE(model && text && bits, ARG, "quantize: model, text or bits is NULL");
    memset(bits, 0, (size_t)model->parts * sizeof *bits);
    return tuff_places_read(model, text, "quantize", "number of bits", "3=4", take_bits, bits);
}

void tuff_place_bits(const tuff_model *model, const tuff_ptq_params *p, const int place[],
                     int bits[])
{
    for (int i = 0; p->layer_bits && i < model->parts; i++)
        if (place[i] >= 0) bits[place[i]] = p->layer_bits[i];
}

// ---- a product ----------------------------------------------------------------------------

typedef struct job {
    tuff_rewrite *w;
    const tuff_ptq_params *p;
    const int *bits; // of each part of the folded net; 0: as p says
    const tuff_observed *observed;
    const tuff_hessian *hessian; // NULL: weights are rounded one by one
    const tuff_integer_plan *plan;
} job;

static void *at(const job *j, int to, const char *name)
{
    const tuff_param *p = tuff_part_param(j->w->to, to, name);
    return p ? tuff_param_at(j->w->to_flat, p) : NULL;
}

static void put_grid(const job *j, int to, const char *scale, const char *zero, tuff_grid8 g)
{
    float *s = at(j, to, scale);
    int8_t *z = at(j, to, zero);
    if (s) *s = g.scale;
    if (z) *z = (int8_t)g.zero;
}

// Of a part's weights: those of their fake steps, of the layer, or of all.
static int bits_of(const job *j, int part)
{
    tuff_model_part with = j->w->from->part[part];
    if (tuff_part_param(j->w->from, part, "weight_scale")) return *tuff_part_arg(&with, "fake");
    const int own = j->bits ? j->bits[part] : 0;
    return own ? own : j->p->bits ? j->p->bits : 8;
}

double tuff_mean_lost(const tuff_model *m, const tuff_observed *observed, int part, int64_t o,
                      const float *w, const int32_t *q, const tuff_steps *s)
{
    const tuff_param *weight = tuff_part_param(m, part, "weight");
    const tuff_observed *x = &observed[1 + m->part[part].item.in[0]];
    const int64_t in = weight->desc.dim[1], taps = weight->count / weight->desc.dim[0] / in;
    const int64_t groups = x->channels / in, rows = weight->desc.dim[0] / groups;
    double lost = 0;
    if (m->part[part].input.rank == 2) return 0;
    for (int64_t c = 0; c < in; c++)
        for (int64_t t = 0; t < taps; t++) {
            const int64_t i = c * taps + t;
            lost += x->mean[o / rows * in + c] * (w[i] - tuff_steps_value(s, q[i]));
        }
    return lost;
}

// What is rounded, row by row, goes into the layer.
static tuff_status put_product(const job *j, int part, int to, const tuff_steps *steps,
                               const int32_t *q)
{
    const tuff_param *weight = tuff_part_param(j->w->from, part, "weight");
    const tuff_param *had = tuff_part_param(j->w->from, part, "bias");
    const float *w = tuff_param_at(j->w->from_flat, weight);
    const float *bias = had ? tuff_param_at(j->w->from_flat, had) : NULL;
    const tuff_grid8 in = tuff_grid_in(j->plan, part, 0);
    int8_t *zero = at(j, to, "weight_zero_point");
    float *scale = at(j, to, "weight_scale");
    int32_t *b = at(j, to, "bias");
    const int64_t out = weight->desc.dim[0], row = weight->count / out;
    for (int64_t o = 0; o < out; o++) {
        const tuff_steps *s = &steps[o];
        scale[o] = (float)s->scale;
        zero[o] = (int8_t)s->zero;
        double of = bias ? bias[o] : 0;
        if (j->p->correct_bias)
            of += tuff_mean_lost(j->w->from, j->observed, part, o, w + o * row, q + o * row, s);
        const double whole = rint(of / ((double)in.scale * s->scale));
        if (b) b[o] = (int32_t)fmax(INT32_MIN, fmin(INT32_MAX, whole));
    }
    put_grid(j, to, "input_scale", "input_zero_point", in);
    put_grid(j, to, "output_scale", "output_zero_point", tuff_grid_out(j->plan, part));
    return tuff_integer_write(&j->w->to->part[to].item.layer, q, weight->count,
                              at(j, to, "weight"));
}

static tuff_status quantize_product(const job *j, int part, int to)
{
    const tuff_param *weight = tuff_part_param(j->w->from, part, "weight");
    const float *w = tuff_param_at(j->w->from_flat, weight);
    const int64_t out = weight->desc.dim[0], row = weight->count / out;
    tuff_status status = TUFF_OK;
    tuff_steps *steps = tuff_alloc((size_t)out, sizeof *steps);
    int32_t *q = tuff_alloc((size_t)weight->count, sizeof *q);
    if (!steps || !q) TUFF_GO(TUFF_ERR_MEMORY);
    tuff_ptq_params p = *j->p;
    p.bits = bits_of(j, part);
    const tuff_steps all = tuff_best_steps(w, weight->count, &p);
    for (int64_t o = 0; o < out; o++)
        if (!tuff_fake_weight_steps(j->w, part, o, &steps[o]))
            steps[o] = p.per_tensor ? all : tuff_best_steps(w + o * row, row, &p);
    const tuff_hessian *h = j->hessian ? &j->hessian[part] : NULL;
    TUFF_GO(tuff_round_whole(h, out, row, w, steps, out, q));
    TUFF_GO(put_product(j, part, to, steps, q));
exit:
    tuff_free(steps);
    tuff_free(q);
    return status;
}

// ---- the net ------------------------------------------------------------------------------

static void set(tuff_model_part *part, const char *name, int value)
{
    int *arg = tuff_part_arg(part, name);
    arg[0] = arg[1] = value;
}

static void write_product(const job *j, int part)
{
    tuff_model_part with = j->w->from->part[part];
    char text[TUFF_LAYER_TEXT];
    const int bits = bits_of(j, part);
    set(&with, "fake", 0);
    set(&with, "fake_per", 0);
    if (j->p->correct_bias) set(&with, "bias", 1);
    with.item.layer.store.bits = bits < 8 ? bits : 0;
    tuff_layer_print(&with.item.layer, text);
    tuff_rewrite_set(j->w, part, "%s", text);
}

static void write_texts(const job *j)
{
    const tuff_integer_plan *p = j->plan;
    for (int i = 0; i < j->w->from->parts; i++) {
        if (p->gone[i]) tuff_rewrite_set(j->w, i, "%s", "");
        if (tuff_part_is_product(j->w->from, i)) write_product(j, i);
        if (p->quantize[i]) tuff_rewrite_before(j->w, i, "quantize");
        if (p->dequantize[i]) tuff_rewrite_before(j->w, i, "dequantize");
        if (p->quantize_behind[i]) tuff_rewrite_behind(j->w, i, "quantize");
        if (p->dequantize_behind[i]) tuff_rewrite_behind(j->w, i, "dequantize");
    }
}

static tuff_status fill_layer(const job *j, int part, int to)
{
    const tuff_integer_plan *p = j->plan;
    const tuff_model *m = j->w->from;
    const tuff_grid8 in = tuff_grid_in(p, part, 0), out = tuff_grid_out(p, part);
    if (tuff_part_is_product(m, part)) {
        return quantize_product(j, part, to);
    } else if (tuff_part_is(m, part, "add")) {
        put_grid(j, to, "left_scale", "left_zero_point", in);
        put_grid(j, to, "right_scale", "right_zero_point", tuff_grid_in(p, part, 1));
        put_grid(j, to, "output_scale", "output_zero_point", out);
    } else {
        // Of a mean; of a relu and of padding the zero point alone.
        put_grid(j, to, "input_scale", "input_zero_point", in);
        put_grid(j, to, "output_scale", "output_zero_point", out);
        put_grid(j, to, "scale", "zero_point", in);
    }
    return TUFF_OK;
}

static tuff_status fill(const job *j)
{
    const tuff_integer_plan *p = j->plan;
    for (int i = 0; i < j->w->from->parts; i++) {
        int to = j->w->first[i];
        if (p->quantize[i] || p->dequantize[i])
            put_grid(j, to++, "scale", "zero_point", tuff_grid_in(p, i, 0));
        if (p->gone[i]) {}
        else if (p->integer[i]) TUFF_TRY(fill_layer(j, i, to++));
        else tuff_rewrite_copy(j->w, i, to++);
        if (p->quantize_behind[i])
            put_grid(j, to, "scale", "zero_point", tuff_grid_behind(p, i));
        if (p->dequantize_behind[i])
            put_grid(j, to, "scale", "zero_point", tuff_grid_out(p, i));
    }
    return TUFF_OK;
}

tuff_status tuff_quantize_rewrite(tuff_rewrite **w, const tuff_integer_plan *plan,
                                  const tuff_observed *observed, const tuff_ptq_params *p,
                                  const int *bits, const tuff_hessian *hessian,
                                  tuff_model **quantized)
{
    const job j = { .w = *w, .p = p, .bits = bits, .observed = observed, .plan = plan,
                    .hessian = hessian };
    write_texts(&j);
    TUFF_TRY(tuff_rewrite_build(j.w));
    TUFF_TRY(fill(&j));
    return tuff_rewrite_close(w, quantized);
}

static tuff_status rewrite(tuff_model *model, const tuff_observed *observed,
                           const tuff_ptq_params *p, const int *bits,
                           const tuff_hessian *hessian, tuff_model **quantized)
{
    tuff_status status = TUFF_OK;
    tuff_integer_plan plan = { 0 };
    tuff_rewrite *w = NULL;
    TUFF_GO(tuff_integer_plan_make(model, observed, NULL, &plan));
    TUFF_GO(tuff_rewrite_open(model, &w));
    TUFF_GO(tuff_quantize_rewrite(&w, &plan, observed, p, bits, hessian, quantized));
exit:
    if (w) (void)tuff_rewrite_close(&w, NULL);
    tuff_integer_plan_clear(&plan);
    return status;
}

tuff_status tuff_quantize_check(const tuff_model *model, const tuff_dataset *data,
                                const tuff_ptq_params *p)
{
    bool any = false;
    if (p->bits) TUFF_TRY(check_bits("", p->bits));
    TUFF_REQUIRE(strcmp(tuff_calibration_name(p->method), "?") != 0, ARG,
                 "quantize: %d is no method of calibration", (int)p->method);
    TUFF_REQUIRE(p->percentile == 0 || (p->percentile >= 50 && p->percentile <= 100), ARG,
                 "quantize: percentile is %g, expected 50 to 100", p->percentile);
    TUFF_REQUIRE(p->examples >= 0 && p->batch >= 0 && p->batch <= 1 << 20, ARG,
                 "quantize: %lld examples in batches of %d", (long long)p->examples, p->batch);
    TUFF_REQUIRE(tuff_dataset_get_info(data)->count[TUFF_TRAIN] > 0, ARG,
                 "quantize: the data have no training examples to calibrate on");
    TUFF_TRY(tuff_want_floats(model, "quantize"));
    for (int i = 0; i < model->parts; i++) {
        if (p->layer_bits && p->layer_bits[i]) {
            char where[TUFF_LAYER_NAME + 16];
            snprintf(where, sizeof where, " of layer %s", model->part[i].item.name);
            TUFF_TRY(check_bits(where, p->layer_bits[i]));
            TUFF_REQUIRE(tuff_part_is_product(model, i), ARG,
                         "quantize: layer %s (%s) has bits of its own, but no weights that "
                         "are quantized", model->part[i].item.name, model->part[i].text);
        }
        TUFF_REQUIRE(!tuff_part_is(model, i, "fake_quantize"), ARG,
                     "quantize: the net has fake quantizers, it is one to convert");
        any |= tuff_part_is_product(model, i);
    }
    TUFF_REQUIRE(any, ARG, "quantize: the net has no convolution and no dense layer");
    return TUFF_OK;
}

tuff_status tuff_quantize(tuff_model *model, tuff_dataset *data, const tuff_ptq_params *p,
                          tuff_model **quantized)
{
    static const tuff_ptq_params defaults;
    if (!p) p = &defaults;
    TUFF_REQUIRE(model && data && quantized, ARG, "quantize: model, data or result is NULL");
    *quantized = NULL;
    TUFF_TRY(tuff_quantize_check(model, data, p));
    tuff_model *folded = NULL;
    tuff_observed *observed = NULL;
    tuff_hessian *hessian = NULL;
    tuff_status status = TUFF_OK;
    int *place = tuff_alloc((size_t)model->parts, sizeof *place);
    int *bits = tuff_alloc((size_t)model->parts, sizeof *bits);
    if (!place || !bits) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_fold(model, &folded, place));
    tuff_place_bits(model, p, place, bits);
    if (p->equalize) TUFF_GO(tuff_equalize(folded));
    TUFF_GO(tuff_calibrate(folded, data, p, &observed));
    const tuff_hessian_params h = { .examples = p->examples, .batch = p->batch,
                                    .seed = p->seed };
    if (p->gptq) TUFF_GO(tuff_hessians_make(folded, data, &h, &hessian));
    TUFF_GO(rewrite(folded, observed, p, bits, hessian, quantized));
exit:
    if (folded) tuff_observed_free(&observed, folded);
    if (folded) tuff_hessians_free(&hessian, folded);
    tuff_model_destroy(&folded);
    tuff_free(place);
    tuff_free(bits);
    return status;
}
