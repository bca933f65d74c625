// Nets of integers back into floats; see latent.h. Where integers begin on a grid of their own
// stands a fake_quantize that rounds to it, directly behind what gives them. Where they
// saturate at 0 its lower end is the relu that the net of integers has not.
#include "compress/latent.h"
#include "base/alloc.h"
#include "base/status.h"
#include <math.h>

typedef struct job {
    tuff_rewrite *w;
    bool aware;
    int32_t **q; // of each integer product its weights, all of them
} job;

bool tuff_has_integers(const tuff_model *m)
{
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_is(m, i, "quantize")) return true;
    return false;
}

// ---- what is stored -----------------------------------------------------------------------

static const void *at(const job *j, int part, const char *name)
{
    const tuff_param *p = tuff_part_param(j->w->from, part, name);
    return p ? tuff_param_at(j->w->from_flat, p) : NULL;
}

static tuff_grid8 grid_at(const job *j, int part, const char *scale, const char *zero)
{
    const float *s = at(j, part, scale);
    const int8_t *z = at(j, part, zero);
    return (tuff_grid8){ s ? *s : 1, z ? *z : 0 };
}

static bool is_integer_product(const tuff_model *m, int part)
{
    return tuff_part_is_product(m, part) && m->part[part].input.dtype == TUFF_I8;
}

static bool is_mean(const tuff_model *m, int part)
{
    return (tuff_part_is(m, part, "avgpool") || tuff_part_is(m, part, "gap")) &&
           m->part[part].input.dtype == TUFF_I8;
}

// Gives integers on a grid that it says itself.
static bool begins(const tuff_model *m, int part)
{
    return is_integer_product(m, part) || is_mean(m, part) ||
           (tuff_part_is(m, part, "add") && m->part[part].output.dtype == TUFF_I8);
}

static tuff_grid8 grid_behind(const job *j, int part)
{
    return grid_at(j, part, "output_scale", "output_zero_point");
}

// Whether numbers below 0 become 0 there.
static bool clips(const job *j, int part)
{
    const bool done = is_mean(j->w->from, part) &&
                      grid_at(j, part, "input_scale", "input_zero_point").zero == -128;
    return begins(j->w->from, part) && grid_behind(j, part).zero == -128 && !done;
}

static int64_t outputs_of(const job *j, int part)
{
    return tuff_part_param(j->w->from, part, "weight_scale")->count;
}

// How many weights there are, however they lie.
static int64_t weights_of(const tuff_model *m, int part)
{
    return tuff_part_param(m, part, "weight")->stands;
}

static tuff_status read_weights(const job *j)
{
    const tuff_model *m = j->w->from;
    for (int i = 0; i < m->parts; i++) {
        if (!is_integer_product(m, i)) continue;
        const int64_t n = weights_of(m, i);
        if (!(j->q[i] = tuff_alloc((size_t)n, sizeof *j->q[i]))) return TUFF_ERR_MEMORY;
        TUFF_TRY(tuff_integer_read(&m->part[i].item.layer, at(j, i, "weight"), n, j->q[i]));
    }
    return TUFF_OK;
}

// Those that weights are packed in, or the fewest that hold them and the zero points of bytes.
static int bits_of(const job *j, int part)
{
    const int8_t *zero = at(j, part, "weight_zero_point");
    const int32_t *q = j->q[part];
    int low = 0, high = 0, bits = 2;
    if (j->w->from->part[part].item.layer.store.bits)
        return j->w->from->part[part].item.layer.store.bits;
    for (int64_t i = 0; i < weights_of(j->w->from, part); i++) {
        low = q[i] < low ? q[i] : low;
        high = q[i] > high ? q[i] : high;
    }
    for (int64_t i = 0; i < outputs_of(j, part); i++) {
        low = zero[i] < low ? zero[i] : low;
        high = zero[i] > high ? zero[i] : high;
    }
    while (low < -(1 << (bits - 1)) || high >= 1 << (bits - 1)) bits++;
    return bits;
}

static bool has_one_step(const job *j, int part)
{
    const float *scale = at(j, part, "weight_scale");
    const int8_t *zero = at(j, part, "weight_zero_point");
    const int64_t out = outputs_of(j, part);
    for (int64_t i = 1; i < out; i++)
        if (scale[i] != scale[0] || zero[i] != zero[0]) return false;
    return out > 1;
}

// ---- texts --------------------------------------------------------------------------------

static void write_product(const job *j, int part)
{
    tuff_model_part with = j->w->from->part[part];
    char text[TUFF_LAYER_TEXT];
    int *fake = tuff_part_arg(&with, "fake"), *per = tuff_part_arg(&with, "fake_per");
    with.item.layer.store.bits = 0;
    if (j->aware) fake[0] = fake[1] = bits_of(j, part);
    if (j->aware) per[0] = per[1] = has_one_step(j, part);
    tuff_layer_print(&with.item.layer, text);
    tuff_rewrite_set(j->w, part, "%s", text);
}

static void write_texts(const job *j)
{
    const tuff_model *m = j->w->from;
    for (int i = 0; i < m->parts; i++) {
        if (tuff_part_is(m, i, "quantize"))
            tuff_rewrite_set(j->w, i, "%s", j->aware ? "fake_quantize learn=no" : "");
        if (tuff_part_is(m, i, "dequantize")) tuff_rewrite_set(j->w, i, "%s", "");
        if (is_integer_product(m, i)) write_product(j, i);
        if (!begins(m, i)) continue;
        if (j->aware) tuff_rewrite_behind(j->w, i, "fake_quantize learn=no");
        else if (clips(j, i)) tuff_rewrite_behind(j->w, i, "relu");
    }
}

// ---- numbers ------------------------------------------------------------------------------

static void *to(const job *j, int part, const char *name)
{
    const tuff_param *p = tuff_part_param(j->w->to, part, name);
    return p ? tuff_param_at(j->w->to_flat, p) : NULL;
}

static void put_grid(const job *j, int part, tuff_grid8 g)
{
    *(float *)to(j, part, "scale") = g.scale;
    *(int32_t *)to(j, part, "zero_point") = g.zero;
}

static void put_product(const job *j, int part, int made)
{
    const int64_t out = outputs_of(j, part), row = weights_of(j->w->from, part) / out;
    const int32_t *q = j->q[part];
    const int8_t *zero = at(j, part, "weight_zero_point");
    const float *scale = at(j, part, "weight_scale"), *in = at(j, part, "input_scale");
    const int32_t *whole = at(j, part, "bias"), one = has_one_step(j, part);
    float *w = to(j, made, "weight"), *bias = to(j, made, "bias");
    float *step = to(j, made, "weight_scale");
    int32_t *middle = to(j, made, "weight_zero_point");
    for (int64_t o = 0; o < out; o++) {
        const double s = (double)scale[o];
        for (int64_t i = o * row; i < (o + 1) * row; i++) w[i] = (float)((q[i] - zero[o]) * s);
        if (bias) bias[o] = (float)(whole[o] * s * (double)*in);
        if (step && !(one && o)) step[o] = scale[o];
        if (middle && !(one && o)) middle[o] = zero[o];
    }
}

static void fill(const job *j)
{
    const tuff_model *m = j->w->from;
    for (int i = 0; i < m->parts; i++) {
        const int first = j->w->first[i];
        if (j->w->count[i] == 0) continue;
        if (tuff_part_is(m, i, "quantize"))
            put_grid(j, first, grid_at(j, i, "scale", "zero_point"));
        else if (is_integer_product(m, i)) put_product(j, i, first);
        else tuff_rewrite_copy(j->w, i, first);
        if (begins(m, i) && j->aware)
            put_grid(j, first + j->w->count[i] - 1, grid_behind(j, i));
    }
}

// ---- steps that are trained ---------------------------------------------------------------

// Those of grids that one place alone rounds to, as when a net of floats is prepared.
static void write_learned(tuff_rewrite *w, const tuff_integer_plan *plan, int *places)
{
    const tuff_model *m = w->from;
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_is(m, i, "fake_quantize"))
            places[tuff_grid_set(plan, TUFF_GRID_OUT, i)]++;
    for (int i = 0; i < m->parts; i++)
        if (tuff_part_is(m, i, "fake_quantize") &&
            places[tuff_grid_set(plan, TUFF_GRID_OUT, i)] == 1)
            tuff_rewrite_set(w, i, "fake_quantize");
}

static tuff_status learn_steps(tuff_model *fixed, tuff_model **learned)
{
    tuff_integer_plan plan = { 0 };
    tuff_rewrite *w = NULL;
    tuff_status status = TUFF_OK;
    tuff_grid8 *grid = tuff_alloc((size_t)fixed->parts, sizeof *grid);
    int *places = tuff_alloc(3 * (size_t)fixed->parts, sizeof *places);
    if (!grid || !places) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_rewrite_open(fixed, &w));
    TUFF_GO(tuff_fake_grids(w, grid));
    TUFF_GO(tuff_integer_plan_make(fixed, NULL, grid, &plan));
    write_learned(w, &plan, places);
    TUFF_GO(tuff_rewrite_build(w));
    tuff_rewrite_keep(w);
    TUFF_GO(tuff_rewrite_close(&w, learned));
exit:
    if (w) (void)tuff_rewrite_close(&w, NULL);
    tuff_integer_plan_clear(&plan);
    tuff_free(grid);
    tuff_free(places);
    return status;
}

// One that was made of text alone has none.
static tuff_status want_steps(const job *j)
{
    const tuff_model *m = j->w->from;
    for (int i = 0; i < m->parts; i++)
        TUFF_REQUIRE(!tuff_part_is(m, i, "quantize") ||
                         grid_at(j, i, "scale", "zero_point").scale > 0, ARG,
                     "quantize: layer %s (quantize) has no step: a net of integers is made of "
                     "a trained one (tuff_quantize, tuff quantize)", m->part[i].item.name);
    return TUFF_OK;
}

tuff_status tuff_integers_move(const tuff_rewrite *w, int part)
{
    const tuff_param *from = tuff_part_param(w->from, part, "weight");
    const tuff_param *made = tuff_part_param(w->to, part, "weight");
    tuff_status status = TUFF_OK;
    if (!is_integer_product(w->to, part) || tuff_desc_equal(&from->desc, &made->desc))
        return TUFF_OK;
    int32_t *q = tuff_alloc((size_t)from->stands, sizeof *q);
    if (!q) return TUFF_ERR_MEMORY;
    TUFF_GO(tuff_integer_read(&w->from->part[part].item.layer,
                              tuff_param_at(w->from_flat, from), from->stands, q));
    TUFF_GO(tuff_integer_write(&w->to->part[part].item.layer, q, made->stands,
                               tuff_param_at(w->to_flat, made)));
exit:
    tuff_free(q);
    return status;
}

tuff_status tuff_integers_open(tuff_model *m, bool aware, tuff_model **opened)
{
    job j = { .aware = aware };
    tuff_model *made = NULL;
    tuff_status status = TUFF_OK;
    *opened = NULL;
    TUFF_GO(tuff_rewrite_open(m, &j.w));
    TUFF_GO(want_steps(&j));
    j.q = tuff_alloc((size_t)m->parts, sizeof *j.q);
    if (!j.q) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(read_weights(&j));
    write_texts(&j);
    TUFF_GO(tuff_rewrite_build(j.w));
    fill(&j);
    TUFF_GO(tuff_rewrite_close(&j.w, &made));
    if (aware) {
        TUFF_GO(learn_steps(made, opened));
    } else {
        *opened = made;
        made = NULL;
    }
exit:
    if (j.w) (void)tuff_rewrite_close(&j.w, NULL);
    for (int i = 0; j.q && i < m->parts; i++) tuff_free(j.q[i]);
    tuff_free(j.q);
    tuff_model_destroy(&made);
    return status;
}
