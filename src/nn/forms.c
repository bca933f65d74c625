// The table of forms of weights, and layers whose weights lie in one; see forms.h.
#include "nn/forms.h"
#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include "ops/codebook.h"
#include <stdio.h>
#include <string.h>
#include <tuff/ops/block.h>
#include <tuff/ops/quant.h>

// ---- whole numbers with scales -------------------------------------------------------------

int tuff_form_bits(const tuff_storage *s) { return s->bits ? s->bits : tuff_form_of(s)->bits; }

int64_t tuff_form_scales(const tuff_storage *s, const tuff_desc *w)
{
    return s->per_tensor || !tuff_form_of(s)->per || w->rank < 2 ? 1 : w->dim[0];
}

// A name with something behind it, kept in the list itself.
static const char *longer(tuff_layer_params *p, const char *name, const char *behind)
{
    char *made = p->made[p->count];
    snprintf(made, sizeof p->made[0], "%.32s%s", name, behind);
    return made;
}

static void whole_params(const tuff_storage *s, const char *name, const tuff_desc *w,
                         int64_t stands, tuff_layer_params *p)
{
    const bool zero = tuff_form_of(s)->zero, bytes = tuff_form_in_bytes(s);
    const int bits = tuff_form_bits(s);
    const int64_t scales = tuff_form_scales(s, w);
    tuff_desc numbers = *w, zeros = TUFF_SHAPE(TUFF_U8, scales);
    numbers.dtype = zero ? TUFF_U8 : TUFF_I8;
    if (!bytes) {
        numbers = TUFF_SHAPE(TUFF_U32, tuff_packed_words(bits, tuff_desc_count(w)));
        zeros = TUFF_SHAPE(TUFF_U32, tuff_packed_words(bits, scales));
    }
    tuff_add_stored(p, name, numbers, stands);
    tuff_add_stored(p, longer(p, name, "_scale"), TUFF_SHAPE(TUFF_F32, scales), 0);
    if (zero) tuff_add_stored(p, longer(p, name, "_zero_point"), zeros, 0);
}

static tuff_var shaped(const tuff_emit *e, tuff_var v, const tuff_desc *w)
{
    return v.id ? tuff_graph_reshape(e->g, v, *w) : v;
}

static tuff_var whole_decode(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                             const tuff_var stored[])
{
    const int n = tuff_form_of(s)->zero ? 3 : 2;
    const int64_t scales = tuff_form_scales(s, w);
    if (tuff_form_in_bytes(s)) {
        const tuff_quantize_params p = { .axis = scales > 1 ? w->rank - 1 : 0 };
        return tuff_graph_op(e->g, "dequantize_linear", stored, n, &p);
    }
    const tuff_packed_params p = { .bits = tuff_form_bits(s), .rows = scales,
                                   .cols = tuff_desc_count(w) / scales };
    return shaped(e, tuff_graph_op(e->g, "dequantize_packed", stored, n, &p), w);
}

static tuff_var whole_product(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                              tuff_var x, const tuff_var stored[], tuff_var bias)
{
    const bool zero = tuff_form_of(s)->zero, bytes = tuff_form_in_bytes(s);
    const tuff_few_bits_params p = { .bits = bytes ? 0 : tuff_form_bits(s),
                                     .rows = bytes ? 0 : w->dim[0] };
    const tuff_var in[] = { x, stored[0], stored[1], zero ? stored[2] : (tuff_var){ 0 }, bias };
    return tuff_graph_op(e->g, bytes ? "matmul_q8" : "packed_matmul", in,
                         bias.id ? 5 : zero ? 4 : 3, &p);
}

static void read_bytes(bool zero, const void *data, int64_t n, int32_t *q)
{
    const int8_t *i = data;
    const uint8_t *u = data;
    for (int64_t k = 0; k < n; k++) q[k] = zero ? u[k] : i[k];
}

static void read_numbers(const tuff_storage *s, const void *data, int64_t n, int32_t *q)
{
    const bool zero = tuff_form_of(s)->zero;
    if (tuff_form_in_bytes(s)) read_bytes(zero, data, n, q);
    else if (tuff_packed_read(tuff_form_bits(s), zero, data, n, q) != TUFF_OK) return;
}

void tuff_form_zeros(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                     int32_t *zero)
{
    const int64_t scales = tuff_form_scales(s, w);
    memset(zero, 0, (size_t)scales * sizeof *zero);
    if (tuff_form_of(s)->zero) read_numbers(s, stored[2], scales, zero);
}

static void whole_read(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                       float *out)
{
    const int64_t count = tuff_desc_count(w), scales = tuff_form_scales(s, w);
    const float *scale = stored[1];
    int32_t *q = tuff_alloc((size_t)(count + scales), sizeof *q), *zero = q ? q + count : NULL;
    memset(out, 0, (size_t)count * sizeof *out);
    if (!q) return;
    read_numbers(s, stored[0], count, q);
    tuff_form_zeros(s, w, stored, zero);
    for (int64_t i = 0; i < count; i++) {
        const int64_t of = i / (count / scales);
        out[i] = (float)((double)(q[i] - zero[of]) * scale[of]);
    }
    tuff_free(q);
}

// ---- half ----------------------------------------------------------------------------------

static void half_params(const tuff_storage *s, const char *name, const tuff_desc *w,
                        int64_t stands, tuff_layer_params *p)
{
    tuff_desc half = *w;
    (void)s;
    half.dtype = TUFF_F16;
    tuff_add_stored(p, name, half, stands);
}

static tuff_var half_decode(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                            const tuff_var stored[])
{
    const tuff_cast_params whole = { .to = TUFF_F32 };
    (void)s, (void)w;
    return tuff_graph_op(e->g, "cast", stored, 1, &whole);
}

static tuff_var half_product(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                             tuff_var x, const tuff_var stored[], tuff_var bias)
{
    const tuff_var in[] = { x, stored[0], bias };
    (void)s, (void)w;
    return tuff_graph_op(e->g, "half_matmul", in, bias.id ? 3 : 2, NULL);
}

static void half_read(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                      float *out)
{
    const uint16_t *half = stored[0];
    (void)s;
    for (int64_t i = 0; i < tuff_desc_count(w); i++) out[i] = tuff_f16_to_f32(half[i]);
}

// ---- blocks --------------------------------------------------------------------------------

static tuff_block_format format_of(const tuff_storage *s)
{
    return (tuff_block_format)tuff_form_of(s)->block;
}

// Rows are of whole blocks where they can be; else all numbers are one row, whose last block is
// filled up with zeros.
static int64_t block_rows(const tuff_storage *s, const tuff_desc *w)
{
    const int64_t count = tuff_desc_count(w), rows = w->rank < 2 ? 1 : w->dim[0];
    return count / rows % tuff_block_count(format_of(s)) ? 1 : rows;
}

static int64_t blocks_of(const tuff_storage *s, const tuff_desc *w)
{
    const int of = tuff_block_count(format_of(s));
    return (tuff_desc_count(w) + of - 1) / of;
}

static void block_params(const tuff_storage *s, const char *name, const tuff_desc *w,
                         int64_t stands, tuff_layer_params *p)
{
    const int64_t rows = block_rows(s, w), blocks = blocks_of(s, w);
    const int64_t bytes = blocks / rows * (int64_t)tuff_block_bytes(format_of(s));
    tuff_add_stored(p, name, TUFF_SHAPE(TUFF_U8, rows, bytes), stands);
}

static tuff_var block_decode(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                             const tuff_var stored[])
{
    const tuff_blocks_params p = { .format = (int)format_of(s) };
    const int64_t count = tuff_desc_count(w);
    const int64_t all = blocks_of(s, w) * tuff_block_count(format_of(s));
    tuff_var y = tuff_graph_op(e->g, "dequantize_blocks", stored, 1, &p);
    if (all > count && y.id) {
        const tuff_split_params two = { .split = { (int)count, (int)(all - count) } };
        tuff_var part[2] = { { 0 } };
        tuff_graph_op_n(e->g, "split", &y, 1, &two, part, 2);
        y = part[0];
    }
    return shaped(e, y, w);
}

static tuff_var block_product(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                              tuff_var x, const tuff_var stored[], tuff_var bias)
{
    const tuff_block_matmul_params p = { .format = (int)format_of(s) };
    if (w->dim[1] % tuff_block_count(format_of(s))) return (tuff_var){ 0 };
    const tuff_var in[] = { x, stored[0], bias };
    return tuff_graph_op(e->g, "block_matmul", in, bias.id ? 3 : 2, &p);
}

static void block_read(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                       float *out)
{
    float number[256];
    const tuff_block_format f = format_of(s);
    const uint8_t *block = stored[0];
    const int of = tuff_block_count(f);
    const int64_t count = tuff_desc_count(w);
    for (int64_t i = 0; i < count; i += of, block += tuff_block_bytes(f)) {
        const int64_t n = count - i < of ? count - i : of;
        if (tuff_block_decode(f, block, 1, of, number) == TUFF_OK)
            memcpy(out + i, number, (size_t)n * sizeof *out);
    }
}

// ---- codebooks -----------------------------------------------------------------------------

int64_t tuff_form_rows(const tuff_desc *w) { return w->rank == 2 ? w->dim[0] : 1; }

static void book_params(const tuff_storage *s, const char *name, const tuff_desc *w,
                        int64_t stands, tuff_layer_params *p)
{
    const int64_t rows = tuff_form_rows(w);
    const int64_t words = tuff_codebook_words(tuff_form_bits(s), tuff_desc_count(w) / rows);
    tuff_add_stored(p, name, TUFF_SHAPE(TUFF_U32, rows, words), stands);
    tuff_add_stored(p, longer(p, name, "_codebook"),
                    TUFF_SHAPE(TUFF_F32, (int64_t)1 << tuff_form_bits(s)), 0);
}

static tuff_var book_decode(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                            const tuff_var stored[])
{
    const tuff_codebook_params p = { .cols = tuff_desc_count(w) / tuff_form_rows(w) };
    (void)s;
    return shaped(e, tuff_graph_op(e->g, "codebook_dequantize", stored, 2, &p), w);
}

static tuff_var book_product(const tuff_emit *e, const tuff_storage *s, const tuff_desc *w,
                             tuff_var x, const tuff_var stored[], tuff_var bias)
{
    const tuff_var in[] = { x, stored[0], stored[1], bias };
    (void)s, (void)w;
    return tuff_graph_op(e->g, "codebook_matmul", in, bias.id ? 4 : 3, NULL);
}

static void book_read(const tuff_storage *s, const tuff_desc *w, const void *const stored[],
                      float *out)
{
    const int bits = tuff_form_bits(s);
    const int64_t rows = tuff_form_rows(w), cols = tuff_desc_count(w) / rows;
    const int64_t words = tuff_codebook_words(bits, cols);
    const uint32_t *row = stored[0];
    const float *number = stored[1];
    for (int64_t r = 0; r < rows; r++, row += words)
        for (int64_t i = 0; i < cols; i++) *out++ = number[tuff_codebook_index(bits, row, i)];
}

// ---- the table -----------------------------------------------------------------------------

#define WHOLE(name_, zero_, per_, doc_)                                         \
    { .name = name_, .doc = doc_, .bits = 8, .most = TUFF_FORM_BITS,            \
      .per = per_, .zero = zero_,                                               \
      .params = whole_params, .decode = whole_decode, .product = whole_product, \
      .read = whole_read }
#define BLOCKS(name_, format, doc_)                                             \
    { .name = name_, .doc = doc_, .block = format, .params = block_params,      \
      .decode = block_decode, .product = block_product, .read = block_read }

static const tuff_form forms[] = {
    { .name = "f32", .doc = "as they are trained" },
    WHOLE("affine", true, true, "(q - zero_point) scale"),
    WHOLE("symmetric", false, true, "q scale"),
    WHOLE("fixed", false, false, "q 2^-p, one p for a tensor"),
    { .name = "half", .doc = "16-bit floats", .all = true, .params = half_params,
      .decode = half_decode, .product = half_product, .read = half_read },
    BLOCKS("q4_0", TUFF_BLOCK_Q4_0, "blocks of 32 numbers of 4 bits"),
    BLOCKS("q4_1", TUFF_BLOCK_Q4_1, "the same with a least number each"),
    BLOCKS("q5_0", TUFF_BLOCK_Q5_0, "blocks of 32 numbers of 5 bits"),
    BLOCKS("q5_1", TUFF_BLOCK_Q5_1, "the same with a least number each"),
    BLOCKS("q8_0", TUFF_BLOCK_Q8_0, "blocks of 32 numbers of 8 bits"),
    BLOCKS("q2_k", TUFF_BLOCK_Q2_K, "blocks of 256 numbers of 2 bits"),
    BLOCKS("q3_k", TUFF_BLOCK_Q3_K, "blocks of 256 numbers of 3 bits"),
    BLOCKS("q4_k", TUFF_BLOCK_Q4_K, "blocks of 256 numbers of 4 bits"),
    BLOCKS("q5_k", TUFF_BLOCK_Q5_K, "blocks of 256 numbers of 5 bits"),
    BLOCKS("q6_k", TUFF_BLOCK_Q6_K, "blocks of 256 numbers of 6 bits"),
    BLOCKS("iq4_nl", TUFF_BLOCK_IQ4_NL, "blocks of 32 numbers out of 16 uneven ones"),
    BLOCKS("nf4", TUFF_BLOCK_NF4, "blocks of 64 numbers out of 16, QLoRA's"),
    BLOCKS("nf4_f16", TUFF_BLOCK_NF4_F16, "the same with scales of 16 bits"),
    { .name = "codebook", .doc = "indices into 2^bits numbers that a tensor shares", .bits = 4,
      .most = 8, .codebook = true, .params = book_params, .decode = book_decode,
      .product = book_product, .read = book_read },
};
enum { FORMS = sizeof forms / sizeof *forms, SYMMETRIC = 2 };

const tuff_form *tuff_form_at(int index)
{
    return index >= 0 && index < FORMS ? &forms[index] : NULL;
}

int tuff_form_find(const char *name)
{
    for (int i = 0; i < FORMS; i++)
        if (strcmp(forms[i].name, name) == 0) return i;
    return -1;
}

// ---- a layer -------------------------------------------------------------------------------

tuff_storage tuff_storage_of(const tuff_layer *l, tuff_role_of role)
{
    const tuff_storage *s = &l->store;
    const bool weight = role == TUFF_PARAM_WEIGHT || role == TUFF_PARAM_NORMAL;
    if (role >= TUFF_BUFFER_ZEROS) return (tuff_storage){ 0 };
    if (role == TUFF_PARAM_BIAS && s->bias_bits)
        return (tuff_storage){ .form = SYMMETRIC, .bits = s->bias_bits, .per_tensor = true };
    return weight || tuff_form_of(s)->all ? *s : (tuff_storage){ 0 };
}

tuff_status tuff_layer_plain(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    return l->kind->params ? l->kind->params(l, x, p) : TUFF_OK;
}

tuff_status tuff_layer_stored(const tuff_layer *l, const tuff_desc *x, tuff_layer_params *p)
{
    tuff_layer_params plain = { 0 };
    bool any = !l->store.form;
    TUFF_TRY(tuff_layer_plain(l, x, &plain));
    for (int i = 0; i < plain.count; i++) {
        const tuff_storage s = tuff_storage_of(l, plain.role[i]);
        if (s.form) {
            tuff_form_of(&s)->params(&s, plain.name[i], &plain.desc[i], plain.stands[i], p);
            any = true;
            continue;
        }
        tuff_add_param(p, plain.name[i], plain.role[i], plain.desc[i]);
        p->stands[p->count - 1] = plain.stands[i];
        p->clip[p->count - 1] = plain.clip[i];
    }
    TUFF_REQUIRE(any, ARG, "it has no weights here that weights=%s could be of",
                 tuff_form_of(&l->store)->name);
    return TUFF_OK;
}

int tuff_form_tensors(const tuff_storage *s, const tuff_desc *w)
{
    tuff_layer_params p = { 0 };
    if (!s->form) return 1;
    tuff_form_of(s)->params(s, "", w, 0, &p);
    return p.count;
}

tuff_var tuff_layer_emit(const tuff_emit *e, const tuff_layer *l, const tuff_desc *x,
                         const tuff_var in[], int n, const tuff_var param[])
{
    tuff_layer_params plain = { 0 };
    tuff_var whole[TUFF_LAYER_PARAMS] = { { 0 } };
    tuff_tensor *tensor[TUFF_LAYER_PARAMS] = { NULL };
    if (!l->store.form) return l->kind->forward(e, l, in, n, param);
    if (tuff_layer_plain(l, x, &plain) != TUFF_OK) return (tuff_var){ 0 };
    for (int i = 0, at = 0; i < plain.count; i++) {
        const tuff_storage s = tuff_storage_of(l, plain.role[i]);
        whole[i] = s.form ? tuff_form_of(&s)->decode(e, &s, &plain.desc[i], param + at)
                          : param[at];
        if (!s.form && e->tensor) tensor[i] = e->tensor[at];
        at += tuff_form_tensors(&s, &plain.desc[i]);
    }
    tuff_emit as = *e;
    as.tensor = e->tensor ? tensor : NULL;
    as.stored = param;
    return l->kind->forward(&as, l, in, n, whole);
}

// While it is trained what lies before it needs its gradient, which such a product has not.
// Many rows are worth unpacking the weights for, whose products have larger tiles.
tuff_var tuff_stored_product(const tuff_emit *e, const tuff_layer *l, tuff_var x,
                             const tuff_desc *w, tuff_var bias)
{
    enum { MANY = 64 };
    const tuff_form *f = tuff_form_of(&l->store);
    if (!e->stored || !f->product || e->training) return (tuff_var){ 0 };
    if (tuff_desc_count(tuff_graph_desc(e->g, x)) / w->dim[1] > MANY) return (tuff_var){ 0 };
    return f->product(e, &l->store, w, x, e->stored, bias);
}

int64_t tuff_layer_zeros(const tuff_layer *l, const tuff_desc *x, const tuff_desc desc[],
                         const void *const data[])
{
    tuff_layer_params plain = { 0 };
    int64_t zeros = 0;
    if (!l->store.form) return l->kind->zeros ? l->kind->zeros(l, x, desc, data) : 0;
    if (tuff_layer_plain(l, x, &plain) != TUFF_OK) return 0;
    for (int i = 0, at = 0; i < plain.count; i++) {
        const tuff_storage s = tuff_storage_of(l, plain.role[i]);
        const int64_t count = tuff_desc_count(&plain.desc[i]);
        float *w = s.form ? tuff_alloc((size_t)count, sizeof *w) : NULL;
        if (w) tuff_form_of(&s)->read(&s, &plain.desc[i], data + at, w);
        for (int64_t k = 0; w && k < count; k++) zeros += w[k] == 0;
        if (w) zeros += plain.stands[i] - count;
        tuff_free(w);
        at += tuff_form_tensors(&s, &plain.desc[i]);
    }
    return zeros;
}

// ---- attributes ----------------------------------------------------------------------------

enum { WEIGHTS, BITS, PER, BIAS_BITS };

const tuff_arg_spec tuff_storage_args[] = {
    [WEIGHTS] = { .name = "weights", .type = TUFF_ARG_FORM },
    [BITS] = ATTRIBUTE("bits", TUFF_ARG_INT, 1, TUFF_FORM_BITS, 0),
    [PER] = { .name = "per", .type = TUFF_ARG_CHOICE, .choices = { "channel", "tensor" } },
    [BIAS_BITS] = ATTRIBUTE("bias_bits", TUFF_ARG_INT, 1, TUFF_FORM_BITS, 0),
    { .name = NULL }
};

int *tuff_storage_value(tuff_storage *s, int index)
{
    int *const value[] = { &s->form, &s->bits, &s->per_tensor, &s->bias_bits };
    return value[index];
}

const char *tuff_storage_wrong(const tuff_layer *l, unsigned given)
{
    const tuff_form *f = tuff_form_of(&l->store);
    if (!given) return NULL;
    if (!l->kind->params) return "it has no weights";
    // Of integers, which only the layer's input can tell.
    if (given == 1u << BITS && l->kind->zeros == tuff_integer_zeros) return NULL;
    if (!l->store.form && given & ~(1u << WEIGHTS))
        return "bits, per and bias_bits are of weights= other than f32";
    if (given & 1u << BITS && !f->bits) return "this form of weights has no bits to choose";
    if (given & 1u << BITS && l->store.bits > f->most)
        return "bits of a codebook's indices are 1 to 8";
    if (given & 1u << PER && !f->per) return "this form of weights has its own scales";
    return NULL;
}
