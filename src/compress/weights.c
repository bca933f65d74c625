// Weights in another form; declared in <tuff/compress/weights.h>. A form's tensors are made
// here of floats; nn/forms.c reads them. Rounding is to the nearest, or as hessian.h has it.
#include <tuff/compress.h>
#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "compress/block_codes.h"
#include "compress/hessian.h"
#include "compress/latent.h"
#include "compress/share.h"
#include <math.h>
#include <string.h>
#include <tuff/ops/quant.h>

// One parameter on its way.
typedef struct job {
    const tuff_weights_params *p;
    tuff_storage s;
    const tuff_desc *desc;
    const float *w;
    void *to[TUFF_FORM_TENSORS];
    const tuff_hessian *h; // NULL: weights are rounded one by one
    const tuff_steps *steps; // of each scale; NULL: they are chosen
    tuff_stored_weights told;
} job;

static int64_t count_of(const job *j) { return tuff_desc_count(j->desc); }

// ---- whole numbers ------------------------------------------------------------------------

static bool is_fixed(const job *j)
{
    return strcmp(j->p->scheme, "fixed") == 0;
}

// A point that is forced is that of the weights; biases have the one that fits them.
static tuff_status fixed_steps(job *j, tuff_steps *s)
{
    const int bits = tuff_form_bits(&j->s);
    const size_t n = (size_t)count_of(j);
    size_t saturated;
    j->told.point = j->p->point;
    if (!j->p->forced || strcmp(j->told.name, "bias") == 0)
        TUFF_TRY(tuff_fixed_choose(j->w, n, bits, &j->told.point));
    TUFF_TRY(tuff_fixed_saturated(j->w, n, bits, j->told.point, &saturated));
    j->told.saturated = (int64_t)saturated;
    const int most = bits > 1 ? (1 << (bits - 1)) - 1 : 1;
    *s = (tuff_steps){ .scale = ldexp(1, -j->told.point), .high = most,
                       .low = bits > 1 ? -most - 1 : -1, .sign = bits == 1 };
    return TUFF_OK;
}

static tuff_status write_numbers(const job *j, const int32_t *q, int64_t n, int low, void *to)
{
    uint8_t *bytes = to;
    int32_t *above = tuff_alloc((size_t)n, sizeof *above);
    tuff_status status = TUFF_OK;
    if (!above) return TUFF_ERR_MEMORY;
    const bool zero = tuff_form_of(&j->s)->zero;
    for (int64_t i = 0; i < n; i++) above[i] = q[i] - (zero ? low : 0);
    if (!tuff_form_in_bytes(&j->s))
        status = tuff_packed_write(tuff_form_bits(&j->s), zero, above, n, to);
    else
        for (int64_t i = 0; i < n; i++) bytes[i] = (uint8_t)above[i];
    tuff_free(above);
    return status;
}

static tuff_status encode_whole(job *j)
{
    const int64_t count = count_of(j), scales = tuff_form_scales(&j->s, j->desc);
    const int64_t rows = j->desc->rank > 1 ? j->desc->dim[0] : 1, each = count / scales;
    const bool zero = tuff_form_of(&j->s)->zero;
    tuff_status status = TUFF_OK;
    tuff_steps *steps = tuff_alloc((size_t)scales, sizeof *steps);
    int32_t *q = tuff_alloc((size_t)(count + scales), sizeof *q), *zeros = q ? q + count : NULL;
    if (!steps || !q) TUFF_GO(TUFF_ERR_MEMORY);
    for (int64_t i = 0; i < scales; i++)
        steps[i] = j->steps ? j->steps[i]
                            : tuff_steps_of(j->w + i * each, each, tuff_form_bits(&j->s), zero,
                                            j->p->mse);
    if (is_fixed(j) && !j->steps) TUFF_GO(fixed_steps(j, steps));
    TUFF_GO(tuff_round_whole(j->h, rows, count / rows, j->w, steps, scales, q));
    for (int64_t i = 0; i < scales; i++) {
        ((float *)j->to[1])[i] = (float)steps[i].scale;
        zeros[i] = steps[i].zero;
    }
    TUFF_GO(write_numbers(j, q, count, steps->low, j->to[0]));
    if (zero) TUFF_GO(write_numbers(j, zeros, scales, steps->low, j->to[2]));
exit:
    tuff_free(steps);
    tuff_free(q);
    return status;
}

// ---- half ---------------------------------------------------------------------------------

static tuff_status encode_half(job *j)
{
    uint16_t *to = j->to[0];
    for (int64_t i = 0; i < count_of(j); i++) {
        const float w = fmaxf(-65504, fminf(65504, j->w[i]));
        j->told.saturated += fabsf(j->w[i]) >= 65520; // the first that rounds to infinity
        to[i] = tuff_f32_to_f16(w);
    }
    return TUFF_OK;
}

// ---- blocks -------------------------------------------------------------------------------

typedef struct blocks {
    tuff_block_codes codes;
    const float *w;
    int64_t count, row, open; // numbers in all and of a row; the block at which it is
    uint8_t *to;
    float value[TUFF_BLOCK_CODES][TUFF_BLOCK_MOST]; // of a code, of each number of that block
} blocks;

// A block's scales are chosen for its numbers as they are when the first of them is rounded.
static void open_block(blocks *b, int64_t block, int64_t at, int64_t row_end, const double *w)
{
    float number[TUFF_BLOCK_MOST];
    for (int k = 0; k < b->codes.count; k++) {
        const int64_t i = at + k;
        number[k] = i < row_end ? (float)w[k] : i < b->count ? b->w[i] : 0;
    }
    b->open = block;
    tuff_block_codes_open(&b->codes, number, b->to + (size_t)block * b->codes.bytes, b->value);
}

static double pick_block(void *user, int64_t row, int64_t input, const double *w)
{
    blocks *b = user;
    const int64_t at = row * b->row + input, block = at / b->codes.count;
    if (block != b->open) open_block(b, block, at, (row + 1) * b->row, w);
    const int k = (int)(at % b->codes.count);
    int best = 0;
    for (int c = 1; c < 1 << b->codes.bits; c++)
        if (fabs(b->value[c][k] - *w) < fabs(b->value[best][k] - *w)) best = c;
    tuff_block_codes_put(&b->codes, b->to + (size_t)block * b->codes.bytes, k, best);
    return b->value[best][k];
}

static tuff_status encode_blocks(job *j)
{
    const tuff_block_format f = (tuff_block_format)tuff_form_of(&j->s)->block;
    const int64_t count = count_of(j), of = tuff_block_count(f), all = (count + of - 1) / of;
    if (!j->h) {
        float *whole = tuff_alloc((size_t)(all * of), sizeof *whole);
        if (!whole) return TUFF_ERR_MEMORY;
        memcpy(whole, j->w, (size_t)count * sizeof *whole);
        const tuff_status status = tuff_block_encode(f, whole, all, of, j->to[0]);
        tuff_free(whole);
        return status;
    }
    blocks *b = tuff_alloc(1, sizeof *b);
    if (!b) return TUFF_ERR_MEMORY;
    b->w = j->w;
    b->count = count;
    b->row = j->h->inputs;
    b->open = -1;
    b->to = j->to[0];
    tuff_block_codes_of(f, &b->codes);
    const tuff_status status = tuff_hessian_round(j->h, count / b->row, j->w, pick_block, b);
    tuff_free(b);
    return status;
}

static tuff_status encode_book(job *j)
{
    const int64_t rows = tuff_form_rows(j->desc);
    return tuff_book_encode(j->h, tuff_form_bits(&j->s), j->w, rows, count_of(j) / rows,
                            j->to[0], j->to[1]);
}

// ---- a parameter --------------------------------------------------------------------------

// What the form now holds, beside what it was given.
static tuff_status look(job *j)
{
    const int64_t count = count_of(j);
    const void *stored[TUFF_FORM_TENSORS] = { j->to[0], j->to[1], j->to[2] };
    double lost = 0, all = 0;
    float *is = tuff_alloc((size_t)count, sizeof *is);
    float *none = tuff_alloc((size_t)count, sizeof *none);
    if (is && none) {
        tuff_form_of(&j->s)->read(&j->s, j->desc, stored, is);
        for (int64_t i = 0; i < count; i++) {
            lost += ((double)is[i] - j->w[i]) * ((double)is[i] - j->w[i]);
            all += (double)j->w[i] * j->w[i];
        }
        if (all > 0) j->told.error = sqrt(lost / all);
    }
    if (is && none && j->h) {
        const int64_t rows = count / j->h->inputs;
        all = tuff_hessian_error(j->h, rows, none, j->w);
        if (all > 0)
            j->told.output_error = sqrt(tuff_hessian_error(j->h, rows, j->w, is) / all);
    }
    const bool there = is && none;
    tuff_free(is);
    tuff_free(none);
    return there ? TUFF_OK : TUFF_ERR_MEMORY;
}

static tuff_status encode(job *j)
{
    const tuff_form *f = tuff_form_of(&j->s);
    for (int64_t i = 0; i < count_of(j); i++)
        TUFF_REQUIRE(isfinite(j->w[i]), CHECK, "weights: layer %s has a %s of %g",
                     j->told.layer, j->told.name, (double)j->w[i]);
    TUFF_TRY(f->codebook ? encode_book(j) : f->bits ? encode_whole(j)
             : f->all    ? encode_half(j) : encode_blocks(j));
    if (!j->p->on_weights) return TUFF_OK;
    TUFF_TRY(look(j));
    j->p->on_weights(j->p->user, &j->told);
    return TUFF_OK;
}

tuff_status tuff_weights_encode(const tuff_model_part *layer, const char *name,
                                const tuff_storage *s, const tuff_desc *desc, const float *w,
                                const tuff_steps *steps, void *const to[])
{
    // Of fixed layers biases are such numbers, too, in a form of their own.
    const tuff_weights_params p = { .scheme = tuff_form_of(&layer->item.layer.store)->name };
    job j = { .p = &p, .s = *s, .desc = desc, .w = w, .steps = steps,
              .told = { .layer = layer->item.name, .name = name } };
    for (int i = 0; i < TUFF_FORM_TENSORS; i++) j.to[i] = to[i];
    return encode(&j);
}

// ---- the net ------------------------------------------------------------------------------

static bool is_join(const tuff_model *m, int part)
{
    return tuff_is_join(m->part[part].item.layer.kind);
}

// How the weights of a part are to lie; of form 0 where it has none.
static tuff_storage wanted(const tuff_model *m, int part, const tuff_weights_params *p)
{
    tuff_layer l = m->part[part].item.layer;
    const tuff_form *f = tuff_form_at(tuff_form_find(p->scheme));
    bool any = false, bias = false;
    l.store = (tuff_storage){ .form = tuff_form_find(p->scheme), .bits = f->bits ? p->bits : 0,
                              .per_tensor = f->per && p->per_tensor,
                              .bias_bits = p->bias_bits };
    if (f->bits && !l.store.bits) l.store.bits = f->bits;
    if (p->layer_bits && p->layer_bits[part] == TUFF_BITS_F32) return (tuff_storage){ 0 };
    if (p->layer_bits && p->layer_bits[part]) l.store.bits = p->layer_bits[part];
    for (int k = 0; k < m->part[part].params; k++) {
        const tuff_role_of role = m->param[m->part[part].param + k].role;
        any |= tuff_storage_of(&l, role).form != 0;
        bias |= role == TUFF_PARAM_BIAS;
    }
    if (!bias) l.store.bias_bits = 0;
    return any && !is_join(m, part) ? l.store : (tuff_storage){ 0 };
}

static tuff_status fill_part(const tuff_rewrite *w, const tuff_weights_params *p,
                             const tuff_hessian *h, int part)
{
    const tuff_model_part *from = &w->from->part[part], *to = &w->to->part[w->first[part]];
    const tuff_layer *l = &to->item.layer;
    for (int k = 0, at = to->param; k < from->params; k++) {
        const tuff_param *a = &w->from->param[from->param + k];
        job j = { .p = p, .s = tuff_storage_of(l, a->role), .desc = &a->desc,
                  .w = tuff_param_at(w->from_flat, a) };
        const char *name = a->name + strlen(from->item.name) + 1;
        const int n = tuff_form_tensors(&j.s, &a->desc);
        for (int t = 0; t < n; t++)
            j.to[t] = tuff_param_at(w->to_flat, &w->to->param[at + t]);
        at += n;
        j.told = (tuff_stored_weights){ .layer = from->item.name, .name = name,
                                        .count = a->count };
        if (h && h->sum && strcmp(name, "weight") == 0) j.h = h;
        if (j.s.form) TUFF_TRY(encode(&j));
        else memcpy(j.to[0], j.w, tuff_desc_bytes(&a->desc));
    }
    return TUFF_OK;
}

// Of a codebook whose bits nobody chose: as many as hold what there is as it is, if 8 do.
static void choose_bits(const tuff_rewrite *w, const tuff_weights_params *p, int part,
                        tuff_storage *s)
{
    const tuff_model_part *from = &w->from->part[part];
    tuff_layer l = from->item.layer;
    int bits = 0;
    if (!tuff_form_of(s)->codebook || p->bits || (p->layer_bits && p->layer_bits[part])) return;
    l.store = *s;
    for (int k = 0; k < from->params; k++) {
        const tuff_param *a = &w->from->param[from->param + k];
        if (tuff_storage_of(&l, a->role).form != s->form) continue;
        const int needs = tuff_book_bits(tuff_param_at(w->from_flat, a), a->count);
        if (!needs) return;
        if (needs > bits) bits = needs;
    }
    s->bits = bits;
}

static tuff_status rewrite(tuff_model *m, const tuff_weights_params *p, const tuff_hessian *h,
                           tuff_model **stored)
{
    tuff_rewrite *w;
    tuff_status status = TUFF_OK;
    TUFF_TRY(tuff_rewrite_open(m, &w));
    for (int i = 0; i < m->parts; i++) {
        tuff_layer l = m->part[i].item.layer;
        char text[TUFF_LAYER_TEXT];
        l.store = wanted(m, i, p);
        if (!l.store.form) continue;
        choose_bits(w, p, i, &l.store);
        tuff_layer_print(&l, text);
        tuff_rewrite_set(w, i, "%s", text);
    }
    TUFF_GO(tuff_rewrite_build(w));
    for (int i = 0; i < m->parts; i++) TUFF_GO(fill_part(w, p, h ? &h[i] : NULL, i));
exit:
    if (status == TUFF_OK) return tuff_rewrite_close(&w, stored);
    (void)tuff_rewrite_close(&w, NULL);
    return status;
}

static tuff_status check_scheme(const tuff_weights_params *p, const tuff_dataset *data)
{
    const int form = tuff_form_find(p->scheme);
    const tuff_form *f = tuff_form_at(form);
    TUFF_REQUIRE(form > 0, ARG, "weights: '%.32s' is no scheme, expected affine, symmetric, "
                 "fixed, half, q4_0, nf4 or another of docs/net.md", p->scheme);
    TUFF_REQUIRE(p->bits >= 0 && p->bits <= TUFF_FORM_BITS, ARG,
                 "weights: bits is %d, expected 1 to %d", p->bits, TUFF_FORM_BITS);
    TUFF_REQUIRE(!p->bits || f->bits, ARG, "weights: bits is %d, but %s has no bits to choose",
                 p->bits, f->name);
    TUFF_REQUIRE(p->bits <= f->most || !f->bits, ARG, "weights: bits is %d, expected 1 to %d "
                 "of a %s", p->bits, f->most, f->name);
    TUFF_REQUIRE(p->bias_bits >= 0 && p->bias_bits <= TUFF_FORM_BITS, ARG,
                 "weights: bits of biases are %d, expected 1 to %d", p->bias_bits,
                 TUFF_FORM_BITS);
    TUFF_REQUIRE(!p->per_tensor || f->per || strcmp(f->name, "fixed") == 0, ARG,
                 "weights: %s has scales of its own, not one a tensor", f->name);
    TUFF_REQUIRE(!p->forced || strcmp(f->name, "fixed") == 0, ARG,
                 "weights: only fixed has a point, %s has not", f->name);
    TUFF_REQUIRE(p->point >= -126 && p->point <= 126, ARG,
                 "weights: point is %d, expected -126 to 126", p->point);
    TUFF_REQUIRE(!p->gptq || !f->all, ARG, "weights: gptq is of no use to %s", f->name);
    TUFF_REQUIRE(!p->gptq || data, ARG, "weights: gptq needs data to calibrate on");
    TUFF_REQUIRE(p->damping >= 0 && p->damping <= 1e3, ARG,
                 "weights: damping is %g, expected 0 to 1000", p->damping);
    TUFF_REQUIRE(p->examples >= 0 && p->batch >= 0 && p->batch <= 1 << 20, ARG,
                 "weights: %lld examples in batches of %d", (long long)p->examples, p->batch);
    return TUFF_OK;
}

static tuff_status check_net(const tuff_model *m, const tuff_weights_params *p)
{
    bool any = false;
    TUFF_TRY(tuff_want_floats(m, "weights"));
    for (int i = 0; i < m->parts; i++) {
        const tuff_model_part *part = &m->part[i];
        TUFF_REQUIRE(!tuff_part_is(m, i, "fake_quantize"), ARG,
                     "weights: the net has fake quantizers, it is one to convert");
        const int bits = p->layer_bits ? p->layer_bits[i] : 0;
        const tuff_form *f = tuff_form_at(tuff_form_find(p->scheme));
        const int most = f->bits ? f->most : TUFF_FORM_BITS;
        TUFF_REQUIRE(bits >= TUFF_BITS_F32 && bits <= most, ARG,
                     "weights: bits of layer %s are %d, expected 1 to %d", part->item.name,
                     bits, most);
        TUFF_REQUIRE(bits <= 0 || f->bits, ARG, "weights: bits of layer %s are %d, but %s has "
                     "no bits to choose", part->item.name, bits, p->scheme);
        const bool wants = wanted(m, i, p).form != 0;
        TUFF_REQUIRE(bits <= 0 || wants, ARG,
                     "weights: layer %s (%s) has bits of its own, but no weights",
                     part->item.name, part->text);
        any |= wants;
    }
    TUFF_REQUIRE(any, ARG, "weights: the net has none");
    return TUFF_OK;
}

// Norms are folded, but not into numbers that channels share.
static tuff_status fold(tuff_model *model, const tuff_form *form, tuff_model **folded,
                        int place[])
{
    if (!form->codebook) return tuff_fold(model, folded, place);
    for (int i = 0; i < model->parts; i++) place[i] = i;
    return tuff_model_copy(model, model->device, folded);
}

tuff_status tuff_store_weights(tuff_model *model, tuff_dataset *data,
                               const tuff_weights_params *given, tuff_model **stored)
{
    tuff_weights_params p = given ? *given : (tuff_weights_params){ 0 };
    TUFF_REQUIRE(model && stored, ARG, "weights: the model or the result is NULL");
    *stored = NULL;
    if (!p.scheme) p.scheme = "affine";
    TUFF_TRY(check_scheme(&p, data));
    TUFF_TRY(check_net(model, &p));
    tuff_model *folded = NULL;
    tuff_hessian *h = NULL;
    tuff_status status = TUFF_OK;
    const tuff_form *form = tuff_form_at(tuff_form_find(p.scheme));
    const tuff_hessian_params hp = { .examples = p.examples, .batch = p.batch, .seed = p.seed,
                                     .damping = p.damping,
                                     .in_order = !form->bits };
    int *place = tuff_alloc((size_t)model->parts, sizeof *place);
    int *bits = tuff_alloc((size_t)model->parts, sizeof *bits);
    if (!place || !bits) TUFF_GO(TUFF_ERR_MEMORY);
    TUFF_GO(fold(model, form, &folded, place));
    for (int i = 0; p.layer_bits && i < model->parts; i++)
        if (place[i] >= 0) bits[place[i]] = p.layer_bits[i];
    if (p.layer_bits) p.layer_bits = bits;
    if (p.gptq) TUFF_GO(tuff_hessians_make(folded, data, &hp, &h));
    TUFF_GO(rewrite(folded, &p, h, stored));
exit:
    if (folded) tuff_hessians_free(&h, folded);
    tuff_model_destroy(&folded);
    tuff_free(place);
    tuff_free(bits);
    return status;
}

const char *tuff_weights_scheme(int index, bool *bits)
{
    const tuff_form *f = index < 0 ? NULL : tuff_form_at(index + 1);
    if (f && bits) *bits = f->bits != 0;
    return f ? f->name : NULL;
}
