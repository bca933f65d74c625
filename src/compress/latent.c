// Nets of stored weights that are trained on; declared in <tuff/compress/latent.h>.
#include <tuff/compress.h>
#include "compress/latent.h"
#include "base/alloc.h"
#include "base/status.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuff/ops/quant.h>

bool tuff_model_is_stored(const tuff_model *m)
{
    for (int i = 0; m && i < m->parts; i++)
        if (m->part[i].item.layer.store.form || tuff_is_packed(m, i)) return true;
    return m && tuff_has_integers(m);
}

// ---- a layer ------------------------------------------------------------------------------

// Whether whole numbers of a form are those that fake=BITS rounds to.
static bool is_faked(const tuff_storage *s, const tuff_model_part *part)
{
    tuff_model_part with = *part;
    const int bits = tuff_form_bits(s), least = tuff_form_of(s)->zero ? 2 : 1;
    return tuff_form_of(s)->per && bits >= least && bits <= 8 && tuff_part_arg(&with, "fake");
}

static void set_arg(tuff_model_part *part, const char *name, int value)
{
    int *arg = tuff_part_arg(part, name);
    if (arg) arg[0] = arg[1] = value;
}

// A layer's text with its weights in floats.
static void print_open(const tuff_model_part *part, bool aware, char text[TUFF_LAYER_TEXT])
{
    tuff_model_part with = *part;
    const tuff_storage s = with.item.layer.store;
    with.item.layer.store = (tuff_storage){ 0 };
    set_arg(&with, "packed", 0);
    if (s.form && aware && is_faked(&s, part)) {
        set_arg(&with, "fake", tuff_form_bits(&s));
        set_arg(&with, "fake_per", s.per_tensor);
    }
    tuff_layer_print(&with.item.layer, text);
}

// ---- out of the forms ---------------------------------------------------------------------

// Of a part that is stored: what each of its parameters was and lies as.
typedef struct stored_part {
    tuff_layer_params plain;
    tuff_storage s[TUFF_LAYER_PARAMS];
    int at[TUFF_LAYER_PARAMS]; // of the model's parameters: its first tensor
} stored_part;

static tuff_status look(const tuff_model *m, int part, stored_part *out)
{
    const tuff_model_part *p = &m->part[part];
    *out = (stored_part){ 0 };
    TUFF_TRY(tuff_layer_plain(&p->item.layer, &p->input, &out->plain));
    for (int i = 0, at = p->param; i < out->plain.count; i++) {
        out->s[i] = tuff_storage_of(&p->item.layer, out->plain.role[i]);
        out->at[i] = at;
        at += tuff_form_tensors(&out->s[i], &out->plain.desc[i]);
    }
    return TUFF_OK;
}

static void tensors_of(const tuff_model *m, float *flat, const stored_part *p, int i,
                       void *tensor[TUFF_FORM_TENSORS])
{
    const int n = tuff_form_tensors(&p->s[i], &p->plain.desc[i]);
    for (int t = 0; t < TUFF_FORM_TENSORS; t++)
        tensor[t] = t < n ? tuff_param_at(flat, &m->param[p->at[i] + t]) : NULL;
}

static void open_steps(const tuff_rewrite *w, int to, const tuff_storage *s,
                       const tuff_desc *desc, const void *const stored[])
{
    const tuff_param *scale = tuff_part_param(w->to, to, "weight_scale");
    const tuff_param *zero = tuff_part_param(w->to, to, "weight_zero_point");
    if (!scale) return;
    const float *had = stored[1];
    float *step = tuff_param_at(w->to_flat, scale);
    // A net of text alone has no steps yet.
    for (int64_t i = 0; i < scale->count; i++) step[i] = had[i] > 0 ? had[i] : 1;
    int32_t *middle = tuff_param_at(w->to_flat, zero);
    tuff_form_zeros(s, desc, stored, middle);
    for (int64_t i = 0; tuff_form_of(s)->zero && i < zero->count; i++)
        middle[i] -= 1 << (tuff_form_bits(s) - 1);
}

static tuff_status open_part(const tuff_rewrite *w, int part)
{
    stored_part p;
    const int to = w->first[part];
    TUFF_TRY(look(w->from, part, &p));
    for (int i = 0; i < p.plain.count; i++) {
        void *tensor[TUFF_FORM_TENSORS];
        const tuff_param *q = tuff_part_param(w->to, to, p.plain.name[i]);
        tensors_of(w->from, w->from_flat, &p, i, tensor);
        const void *const stored[] = { tensor[0], tensor[1], tensor[2] };
        if (!p.s[i].form) {
            memcpy(tuff_param_at(w->to_flat, q), tensor[0], tuff_desc_bytes(&q->desc));
            continue;
        }
        tuff_form_of(&p.s[i])->read(&p.s[i], &p.plain.desc[i], stored,
                                    tuff_param_at(w->to_flat, q));
        if (strcmp(p.plain.name[i], "weight") == 0)
            open_steps(w, to, &p.s[i], &p.plain.desc[i], stored);
    }
    return TUFF_OK;
}

static tuff_status open_forms(tuff_model *m, bool aware, tuff_model **opened)
{
    tuff_rewrite *w;
    tuff_status status = TUFF_OK;
    TUFF_TRY(tuff_rewrite_open(m, &w));
    for (int i = 0; i < m->parts; i++) {
        char text[TUFF_LAYER_TEXT];
        if (!m->part[i].item.layer.store.form && !tuff_is_packed(m, i)) continue;
        print_open(&m->part[i], aware, text);
        tuff_rewrite_set(w, i, "%s", text);
    }
    TUFF_GO(tuff_rewrite_build(w));
    tuff_rewrite_keep(w);
    for (int i = 0; i < m->parts; i++) {
        if (tuff_is_packed(m, i)) tuff_levels_unpack(w, i, w->first[i]);
        if (m->part[i].item.layer.store.form) TUFF_GO(open_part(w, i));
    }
    TUFF_GO(tuff_rewrite_close(&w, opened));
exit:
    if (w) (void)tuff_rewrite_close(&w, NULL);
    return status;
}

static tuff_status open_all(tuff_model *model, bool aware, tuff_model **opened)
{
    const bool integers = tuff_has_integers(model);
    tuff_model *forms;
    TUFF_REQUIRE(tuff_model_is_stored(model), ARG,
                 "dequantize: the net has no weights in a stored form, expected some (of tuff "
                 "quantize)");
    // What is rounded in a net of integers becomes one of its layers.
    TUFF_TRY(open_forms(model, aware && !integers, &forms));
    if (!integers) {
        *opened = forms;
        return TUFF_OK;
    }
    const tuff_status status = tuff_integers_open(forms, aware, opened);
    tuff_model_destroy(&forms);
    return status;
}

tuff_status tuff_dequantize(tuff_model *model, tuff_model **floats)
{
    TUFF_REQUIRE(model && floats, ARG, "dequantize: the model or the result is NULL");
    *floats = NULL;
    return open_all(model, false, floats);
}

// ---- and back -----------------------------------------------------------------------------

static double step_of(const tuff_rewrite *w, int part)
{
    const tuff_param *scale = tuff_part_param(w->to, part, "weight_scale");
    return (double)*(const float *)tuff_param_at(w->to_flat, scale);
}

static tuff_steps fixed_steps(double scale, int bits)
{
    const int most = bits > 1 ? (1 << (bits - 1)) - 1 : 1;
    return (tuff_steps){ .scale = scale, .high = most, .low = bits > 1 ? -most - 1 : -1,
                         .sign = bits == 1 };
}

// The steps of a parameter that has them, else *steps is NULL. `to` still has its old numbers.
static tuff_status steps_for(const tuff_rewrite *w, int part, const tuff_storage *s,
                             const tuff_desc *desc, const char *name, tuff_steps **steps)
{
    const tuff_model_part *p = &w->to->part[part];
    const bool weight = strcmp(name, "weight") == 0;
    const bool fixed = strcmp(tuff_form_of(s)->name, "fixed") == 0 && weight &&
                       step_of(w, part) > 0;
    const bool faked = tuff_part_param(w->from, part, "weight_log_gain");
    const int64_t n = tuff_form_of(s)->bits ? tuff_form_scales(s, desc) : 0;
    *steps = NULL;
    if (!weight || !(fixed || (faked && is_faked(s, p)))) return TUFF_OK;
    if (!(*steps = tuff_alloc((size_t)n, sizeof **steps))) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < n; i++) {
        if (fixed) (*steps)[i] = fixed_steps(step_of(w, part), tuff_form_bits(s));
        else (void)tuff_fake_weight_steps(w, part, i, &(*steps)[i]);
    }
    return TUFF_OK;
}

static tuff_status store_part(const tuff_rewrite *w, int part)
{
    stored_part p;
    TUFF_TRY(look(w->to, part, &p));
    for (int i = 0; i < p.plain.count; i++) {
        void *tensor[TUFF_FORM_TENSORS];
        tuff_steps *steps;
        const char *name = p.plain.name[i];
        const tuff_desc *desc = &p.plain.desc[i];
        const float *floats = tuff_param_at(w->from_flat, tuff_part_param(w->from, part, name));
        tensors_of(w->to, w->to_flat, &p, i, tensor);
        if (!p.s[i].form) {
            memcpy(tensor[0], floats, tuff_desc_bytes(desc));
            continue;
        }
        tuff_status status = steps_for(w, part, &p.s[i], desc, name, &steps);
        if (status == TUFF_OK)
            status = tuff_weights_encode(&w->to->part[part], name, &p.s[i], desc, floats, steps,
                                         tensor);
        tuff_free(steps);
        TUFF_TRY(status);
    }
    return TUFF_OK;
}

// A layer as if nothing were stored, nor rounded.
static void print_bare(const tuff_model_part *part, char text[TUFF_LAYER_TEXT])
{
    tuff_model_part with = *part;
    set_arg(&with, "fake", 0);
    set_arg(&with, "fake_per", 0);
    print_open(&with, false, text);
}

static tuff_status check_pair(const tuff_model *from, const tuff_model *to)
{
    bool same = from->parts == to->parts && tuff_desc_equal(&from->input, &to->input);
    for (int i = 0; same && i < from->parts; i++) {
        char a[TUFF_LAYER_TEXT], b[TUFF_LAYER_TEXT];
        print_bare(&from->part[i], a);
        print_bare(&to->part[i], b);
        same = strcmp(a, b) == 0 && strcmp(from->part[i].item.name, to->part[i].item.name) == 0;
    }
    TUFF_REQUIRE(same, ARG, "quantize: the net \"%.100s\" is not what \"%.100s\" is trained as",
                 from->text, to->text);
    return TUFF_OK;
}

static tuff_status store(tuff_model *from, tuff_model *to)
{
    tuff_rewrite w = { .from = from, .to = to };
    tuff_status status = TUFF_OK;
    const bool integers = tuff_has_integers(to);
    TUFF_TRY(check_pair(from, to));
    w.from_flat = tuff_alloc((size_t)from->flat, sizeof(float));
    w.to_flat = tuff_alloc((size_t)to->flat, sizeof(float));
    if (!w.from_flat || !w.to_flat) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(tuff_move_weights(from, w.from_flat, true));
    TUFF_GO(tuff_move_weights(to, w.to_flat, true));
    for (int i = 0; i < to->parts; i++) {
        tuff_rewrite_copy(&w, i, i);
        if (integers) TUFF_GO(tuff_integers_move(&w, i));
        if (tuff_is_packed(to, i)) tuff_levels_pack(&w, i, i);
        if (to->part[i].item.layer.store.form) TUFF_GO(store_part(&w, i));
    }
    TUFF_GO(tuff_move_weights(to, w.to_flat, false));
exit:
    tuff_free(w.from_flat);
    tuff_free(w.to_flat);
    return status;
}

tuff_status tuff_latent_store(tuff_model *latent, tuff_model *model)
{
    tuff_model *integers = NULL;
    TUFF_REQUIRE(latent && model, ARG, "quantize: the latent net or the model is NULL");
    if (tuff_has_integers(model)) TUFF_TRY(tuff_aware_convert(latent, &integers));
    const tuff_status status = store(integers ? integers : latent, model);
    tuff_model_destroy(&integers);
    return status;
}

// ---- limits -------------------------------------------------------------------------------

// Within what an update may end: what a point can hold, and twice the size that packed signs
// have. A net of integers has its fake quantizers for it.
static void set_limit(const tuff_rewrite *w, int part)
{
    const tuff_param *scale = tuff_part_param(w->from, part, "weight_scale");
    const tuff_storage *s = &w->from->part[part].item.layer.store;
    tuff_param *weight = (tuff_param *)tuff_part_param(w->to, part, "weight");
    if (!scale || !weight) return;
    const float *is = tuff_param_at(w->from_flat, scale);
    if (strcmp(tuff_form_of(s)->name, "fixed") == 0 && tuff_form_bits(s) > 1)
        weight->clip = (float)(fixed_steps((double)*is, tuff_form_bits(s)).high * (double)*is);
    for (int64_t i = 0; tuff_is_packed(w->from, part) && i < scale->count; i++)
        if (weight->clip > 0) weight->clip = fmaxf(weight->clip, 2 * is[i]);
}

static tuff_status set_limits(tuff_model *model, tuff_model *latent)
{
    tuff_rewrite w = { .from = model, .to = latent };
    if (tuff_has_integers(model)) return TUFF_OK;
    TUFF_TRY(check_pair(model, latent));
    w.from_flat = tuff_alloc((size_t)model->flat, sizeof(float));
    if (!w.from_flat) return TUFF_ERR_MEMORY;
    const tuff_status status = tuff_move_weights(model, w.from_flat, true);
    for (int i = 0; status == TUFF_OK && i < model->parts; i++) set_limit(&w, i);
    tuff_free(w.from_flat);
    return status;
}

// Whether what was opened comes back.
static tuff_status try_back(tuff_model *latent, tuff_model *model)
{
    tuff_model *copy;
    TUFF_TRY(tuff_model_copy(model, model->device, &copy));
    const tuff_status status = tuff_latent_store(latent, copy);
    tuff_model_destroy(&copy);
    return status;
}

tuff_status tuff_latent_make(tuff_model *model, tuff_model **latent)
{
    TUFF_REQUIRE(model && latent, ARG, "quantize: the model or the result is NULL");
    *latent = NULL;
    TUFF_TRY(open_all(model, true, latent));
    tuff_status status = set_limits(model, *latent);
    if (status == TUFF_OK) status = try_back(*latent, model);
    if (status != TUFF_OK) tuff_model_destroy(latent);
    return status;
}

// ---- training -----------------------------------------------------------------------------

static tuff_status store_trained(void *user, tuff_model *latent, tuff_model *model)
{
    (void)user;
    return tuff_latent_store(latent, model);
}

// What a run was training, of zeros; NULL: the net itself.
static tuff_status resumed(tuff_model *model, const char *path, tuff_model **latent)
{
    tuff_safetensors *file;
    tuff_status status = TUFF_OK;
    int64_t numbers = 0;
    if (tuff_tuffz_is(path)) return TUFF_OK; // tuff_train has a sentence for it
    TUFF_TRY(tuff_safetensors_read(path, &file));
    const char *net = tuff_safetensors_meta(file, "train.net");
    const bool plain = tuff_safetensors_meta(file, "train.optimizer");
    for (int i = 0; i < tuff_safetensors_count(file); i++)
        numbers += tuff_desc_count(&tuff_safetensors_at(file, i)->array.desc);
    if (net) {
        TUFF_GO(tuff_model_like(model, model->device, net, numbers, latent));
        TUFF_GO(set_limits(model, *latent));
    } else if (!plain) {
        TUFF_GO(tuff_fail(TUFF_ERR_ARG, "resume: %s holds a net whose run has ended, and "
                          "nothing to go on from; --net trains it on", path));
    }
exit:
    tuff_safetensors_destroy(&file);
    if (status != TUFF_OK) tuff_model_destroy(latent);
    return status;
}

tuff_status tuff_train_stored(tuff_model *model, tuff_dataset *data, const tuff_train_params *p,
                              tuff_train_result *result)
{
    const tuff_stored_as as = { .model = model, .store = store_trained };
    tuff_train_params q = p ? *p : (tuff_train_params){ 0 };
    tuff_model *latent = NULL;
    TUFF_REQUIRE(model && data, ARG, "train: the model or the data is NULL");
    if (!tuff_model_is_stored(model)) return tuff_train(model, data, p, result);
    if (q.resume) TUFF_TRY(resumed(model, q.resume, &latent));
    else TUFF_TRY(tuff_latent_make(model, &latent));
    if (latent) q.stored = &as;
    const tuff_status status = tuff_train(latent ? latent : model, data, &q, result);
    tuff_model_destroy(&latent);
    return status;
}
