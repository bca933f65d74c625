// ONNX's Attention and RotaryEmbedding (opset 23 on) by ours.
//
//   Q [N, H, T, D]   K [N, G, S, D]   V [N, G, S, E]   mask   past keys and values
//   or Q [N, T, H D], K [N, S, G D], V [N, S, G E] with the numbers of heads as attributes
//   ->   Y, in Q's form, and the present keys and values, and what the scores came to
//
// One call of ours where it can do all; with a softcap, or where the scores are an output, the
// products, the softmax and what lies between are calls of their own, in f32.
#include "base/alloc.h"
#include "ops/onnx.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { IN_Q, IN_K, IN_V, IN_MASK, IN_PAST_K, IN_PAST_V, IN_LENGTHS };
enum { RAW, CAPPED, MASKED, PROBS }; // which scores are an output

typedef struct heads {
    tuff_onnx_call *c;
    int64_t n, h, g, t, s; // s: keys, past ones included
    int64_t past;
    bool flat, causal;     // flat: Q, K and V have 3 dims
    float scale, cap;
    int64_t mode;
    const tuff_tensor *q, *k, *v, *bias;
    const tuff_tensor *mask; // of bools, where that is all and nothing is a bias
    bool parts;              // one call of ours cannot do all
} heads;

static const tuff_tensor *input(const tuff_onnx_call *c, int i)
{
    return i < c->nin ? c->in[i] : NULL;
}

// ---- heads apart, and together again -------------------------------------------------------

// [a, b, c, d] as [a, c, b, d].
static tuff_status swap(tuff_onnx_call *c, const tuff_tensor *x, const tuff_tensor **y)
{
    const tuff_transpose_params p = { .perm = { 0, 2, 1, 3 } };
    return tuff_onnx_op(c, &tuff_op_transpose, &x, 1, &p, y);
}

// [N, T, heads D] as [N, heads, T, D].
static tuff_status split_heads(tuff_onnx_call *c, const tuff_tensor *x, const char *name,
                               int64_t count, const tuff_tensor **y)
{
    const tuff_desc *d = &x->desc;
    char text[96];
    TUFF_REQUIRE(count >= 1, ARG, "%s has 3 dims, its number of heads is missing", name);
    TUFF_REQUIRE(d->rank == 3 && d->dim[2] % count == 0, SHAPE,
                 "%s is %s, its last dim must be that of %lld heads", name,
                 tuff_desc_print(d, text, sizeof text), (long long)count);
    const tuff_desc four = TUFF_SHAPE(d->dtype, d->dim[0], d->dim[1], count,
                                      d->dim[2] / count);
    TUFF_TRY(tuff_onnx_view(c, x, four, &x));
    return swap(c, x, y);
}

// ---- attention: what is given --------------------------------------------------------------

static tuff_status with_past(heads *a, const tuff_tensor *past, const tuff_tensor **x)
{
    const tuff_concat_params p = { .axis = 1 };
    const tuff_tensor *const both[] = { past, *x };
    return past ? tuff_onnx_op(a->c, &tuff_op_concat, both, 2, &p, x) : TUFF_OK;
}

static tuff_status read_operands(heads *a)
{
    tuff_onnx_call *c = a->c;
    const tuff_tensor *past_k = input(c, IN_PAST_K), *past_v = input(c, IN_PAST_V);
    int64_t h, g;
    char tq[96], tk[96], tv[96];
    a->q = input(c, IN_Q);
    a->k = input(c, IN_K);
    a->v = input(c, IN_V);
    TUFF_REQUIRE(a->q && a->k && a->v, ARG, "Q, K and V are needed");
    TUFF_REQUIRE(!past_k == !past_v, ARG, "past_key and past_value are given both or neither");
    TUFF_REQUIRE(!past_k || !input(c, IN_LENGTHS), ARG,
                 "nonpad_kv_seqlen is given beside past_key, it must be one of both");
    TUFF_TRY(tuff_onnx_int(c, "q_num_heads", 0, &h));
    TUFF_TRY(tuff_onnx_int(c, "kv_num_heads", 0, &g));
    a->flat = a->q->desc.rank == 3;
    if (a->flat) {
        TUFF_TRY(split_heads(c, a->q, "Q", h, &a->q));
        TUFF_TRY(split_heads(c, a->k, "K", g, &a->k));
        TUFF_TRY(split_heads(c, a->v, "V", g, &a->v));
    }
    TUFF_REQUIRE(a->q->desc.rank == 4 && a->k->desc.rank == 4 && a->v->desc.rank == 4, SHAPE,
                 "Q is %s, K is %s and V is %s, all must have 4 dims or all 3",
                 tuff_desc_print(&a->q->desc, tq, sizeof tq),
                 tuff_desc_print(&a->k->desc, tk, sizeof tk),
                 tuff_desc_print(&a->v->desc, tv, sizeof tv));
    a->past = past_k && past_k->desc.rank == 4 ? past_k->desc.dim[2] : 0;
    TUFF_TRY(with_past(a, past_k, &a->k));
    TUFF_TRY(with_past(a, past_v, &a->v));
    a->n = a->q->desc.dim[0];
    a->h = a->q->desc.dim[1];
    a->t = a->q->desc.dim[2];
    a->g = a->k->desc.dim[1];
    a->s = a->k->desc.dim[2];
    TUFF_REQUIRE((!h || h == a->h) && (!g || g == a->g), SHAPE,
                 "q_num_heads and kv_num_heads are %lld and %lld, Q has %lld and K %lld",
                 (long long)h, (long long)g, (long long)a->h, (long long)a->g);
    return TUFF_OK;
}

static tuff_status read_attributes(heads *a)
{
    int64_t type;
    double scale, cap;
    TUFF_TRY(tuff_onnx_only(a->c, "q_num_heads kv_num_heads is_causal scale softcap "
                            "softmax_precision qk_matmul_output_mode"));
    a->causal = tuff_onnx_flag(a->c, "is_causal");
    TUFF_TRY(tuff_onnx_float(a->c, "scale", 0, &scale));
    a->scale = (float)scale;
    if (a->scale == 0 && tuff_onnx_get(&a->c->attrs, "scale")) a->scale = TUFF_ZERO;
    TUFF_TRY(tuff_onnx_float(a->c, "softcap", 0, &cap));
    a->cap = (float)cap;
    TUFF_REQUIRE(a->cap >= 0, ARG, "softcap is %g, it must be at least 0", (double)a->cap);
    TUFF_TRY(tuff_onnx_int(a->c, "qk_matmul_output_mode", RAW, &a->mode));
    TUFF_REQUIRE(a->mode >= RAW && a->mode <= PROBS, ARG,
                 "qk_matmul_output_mode is %lld, it must be 0 to 3", (long long)a->mode);
    // Softmax is in f32 whatever is asked for: of f16 and bf16 that is better.
    TUFF_TRY(tuff_onnx_int(a->c, "softmax_precision", 1, &type));
    TUFF_REQUIRE(type == 1 || type == 10 || type == 16, UNSUPPORTED,
                 "softmax_precision is %lld, only 1, 10 and 16 (f32, f16 and bf16) are taken",
                 (long long)type);
    return TUFF_OK;
}

// ---- attention: the bias -------------------------------------------------------------------

static tuff_status add_bias(heads *a, const tuff_tensor *b)
{
    const tuff_tensor *const both[] = { a->bias, b };
    if (!a->bias) return a->bias = b, TUFF_OK;
    return tuff_onnx_op(a->c, &tuff_op_add, both, 2, NULL, &a->bias);
}

// 0 where position i of N may ask key j, else -infinity: [N, 1, T, S], N 1 without lengths.
static tuff_status positions_bias(heads *a, const int64_t lengths[])
{
    const int64_t n = lengths ? a->n : 1;
    float *bias = tuff_alloc((size_t)(n * a->t * a->s), sizeof *bias);
    const tuff_tensor *b;
    if (!bias) return TUFF_ERR_MEMORY;
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < a->t; i++)
            for (int64_t j = 0; j < a->s; j++) {
                const int64_t first = lengths ? lengths[k] - a->t : a->past;
                const bool off = (a->causal && j > i + first) || (lengths && j >= lengths[k]);
                bias[(k * a->t + i) * a->s + j] = off ? -INFINITY : 0;
            }
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, n, 1, a->t, a->s);
    const tuff_status status = tuff_onnx_upload(a->c, d, bias, &b);
    tuff_free(bias);
    return status == TUFF_OK ? add_bias(a, b) : status;
}

static tuff_status read_lengths(heads *a)
{
    const tuff_tensor *t = input(a->c, IN_LENGTHS);
    char text[96];
    TUFF_REQUIRE(t->desc.rank == 1 && t->desc.dim[0] == a->n, SHAPE,
                 "nonpad_kv_seqlen is %s, it must be [%lld]",
                 tuff_desc_print(&t->desc, text, sizeof text), (long long)a->n);
    int64_t *lengths = tuff_alloc((size_t)a->n, sizeof *lengths);
    if (!lengths) return TUFF_ERR_MEMORY;
    tuff_status status = tuff_onnx_cast(a->c, t, TUFF_I64, &t);
    if (status == TUFF_OK)
        status = tuff_tensor_read(a->c->stream, t, lengths, (size_t)a->n * sizeof *lengths);
    if (status == TUFF_OK) status = positions_bias(a, lengths);
    tuff_free(lengths);
    return status;
}

// A mask of bools says what is asked; one of numbers is added. Keys past its end are not asked.
static tuff_status read_mask(heads *a)
{
    const tuff_tensor *mask = input(a->c, IN_MASK), *off, *zero;
    const float none = -INFINITY, all = 0;
    const tuff_desc one = TUFF_SCALAR(TUFF_F32);
    if (!mask) return TUFF_OK;
    const int rank = mask->desc.rank;
    const int64_t last = rank ? mask->desc.dim[rank - 1] : a->s;
    const bool shorter = last < a->s && (last > 1 || a->c->opset > 23);
    if (mask->desc.dtype == TUFF_BOOL && !a->bias && !a->parts && !shorter)
        return a->mask = mask, TUFF_OK;
    if (mask->desc.dtype == TUFF_BOOL) {
        TUFF_TRY(tuff_onnx_upload(a->c, one, &none, &off));
        TUFF_TRY(tuff_onnx_upload(a->c, one, &all, &zero));
        const tuff_tensor *const in[] = { mask, zero, off };
        TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_where, in, 3, NULL, &mask));
    } else {
        TUFF_TRY(tuff_onnx_cast(a->c, mask, TUFF_F32, &mask));
    }
    if (shorter) {
        tuff_pad_params p = { .value = -INFINITY, .axes = { 1 } };
        p.pads[1] = (int)(a->s - last);
        TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_pad, &mask, 1, &p, &mask));
    }
    return add_bias(a, mask);
}

// ---- attention: what comes of it -----------------------------------------------------------

static tuff_status whole(heads *a, const tuff_tensor **y)
{
    const tuff_attention_params p = { .scale = a->scale, .causal = a->causal };
    const tuff_tensor *in[] = { a->q, a->k, a->v, a->mask };
    if (a->bias) TUFF_TRY(tuff_onnx_cast(a->c, a->bias, a->q->desc.dtype, &in[3]));
    return tuff_onnx_op(a->c, &tuff_op_attention, in, in[3] ? 4 : 3, &p, y);
}

static tuff_status scaled(heads *a, const tuff_tensor *x, float by, const tuff_tensor **y)
{
    const tuff_affine_params p = { .scale = by };
    return tuff_onnx_op(a->c, &tuff_op_affine, &x, 1, &p, y);
}

// The product of a [N, H, ...] and b [N, G, ...], where H / G heads share one of b.
static tuff_status product(heads *a, const tuff_tensor *l, const tuff_tensor *r, bool trans,
                           const tuff_tensor **y)
{
    const tuff_matmul_params p = { .trans_b = trans };
    const tuff_desc *dl = &l->desc, *dr = &r->desc;
    const tuff_tensor *in[2];
    const int64_t g = dr->dim[1];
    TUFF_REQUIRE(dl->dim[1] % g == 0, SHAPE, "Q has %lld heads and K %lld, which must divide "
                 "them", (long long)dl->dim[1], (long long)g);
    TUFF_TRY(tuff_onnx_view(a->c, l, TUFF_SHAPE(TUFF_F32, dl->dim[0], g, dl->dim[1] / g,
                                                dl->dim[2], dl->dim[3]), &in[0]));
    TUFF_TRY(tuff_onnx_view(a->c, r, TUFF_SHAPE(TUFF_F32, dr->dim[0], g, 1, dr->dim[2],
                                                dr->dim[3]), &in[1]));
    TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_matmul, in, 2, &p, y));
    const tuff_desc four = TUFF_SHAPE(TUFF_F32, a->n, a->h, a->t, (*y)->desc.dim[4]);
    return tuff_onnx_view(a->c, *y, four, y);
}

// softmax, with zeros where a position may ask nothing.
static tuff_status softmax(heads *a, const tuff_tensor *scores, const tuff_tensor **y)
{
    const tuff_reduce_params last = { .axes = 1, .keepdims = true };
    const float least = -FLT_MAX, none = 0;
    const tuff_tensor *most, *limit, *zero;
    TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_softmax, &scores, 1, NULL, y));
    if (!a->bias) return TUFF_OK;
    TUFF_TRY(tuff_onnx_upload(a->c, TUFF_SCALAR(TUFF_F32), &least, &limit));
    TUFF_TRY(tuff_onnx_upload(a->c, TUFF_SCALAR(TUFF_F32), &none, &zero));
    TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_reduce_max, &a->bias, 1, &last, &most));
    const tuff_tensor *const sides[] = { most, limit };
    TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_greater_or_equal, sides, 2, NULL, &most));
    const tuff_tensor *const in[] = { most, *y, zero };
    return tuff_onnx_op(a->c, &tuff_op_where, in, 3, NULL, y);
}

static tuff_status in_parts(heads *a, const tuff_tensor **y, const tuff_tensor **scores)
{
    const tuff_dtype type = a->q->desc.dtype;
    const tuff_tensor *q, *k, *v, *stage[4];
    const float scale = (float)tuff_number(a->scale, 1 / sqrt((double)a->q->desc.dim[3]));
    TUFF_TRY(tuff_onnx_cast(a->c, a->q, TUFF_F32, &q));
    TUFF_TRY(tuff_onnx_cast(a->c, a->k, TUFF_F32, &k));
    TUFF_TRY(tuff_onnx_cast(a->c, a->v, TUFF_F32, &v));
    TUFF_TRY(scaled(a, q, scale, &q));
    TUFF_TRY(product(a, q, k, true, &stage[RAW]));
    stage[CAPPED] = stage[RAW];
    if (a->cap > 0) {
        TUFF_TRY(scaled(a, stage[RAW], 1 / a->cap, &stage[CAPPED]));
        TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_tanh, &stage[CAPPED], 1, NULL, &stage[CAPPED]));
        TUFF_TRY(scaled(a, stage[CAPPED], a->cap, &stage[CAPPED]));
    }
    stage[MASKED] = stage[CAPPED];
    if (a->bias) {
        const tuff_tensor *const both[] = { stage[CAPPED], a->bias };
        TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_add, both, 2, NULL, &stage[MASKED]));
    }
    TUFF_TRY(softmax(a, stage[MASKED], &stage[PROBS]));
    TUFF_TRY(product(a, stage[PROBS], v, false, y));
    TUFF_TRY(tuff_onnx_cast(a->c, *y, type, y));
    return tuff_onnx_cast(a->c, stage[a->mode], type, scores);
}

// An output of its own: what the caller gave is copied.
static tuff_status give(heads *a, const tuff_tensor *x, const tuff_tensor *given,
                        tuff_tensor **out)
{
    if (x == given) TUFF_TRY(tuff_onnx_op(a->c, &tuff_op_identity, &x, 1, NULL, &x));
    return tuff_onnx_give(x, x->desc, out);
}

tuff_status tuff_onnx_attention(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    heads a = { .c = c };
    const tuff_tensor *y, *scores = NULL;
    TUFF_TRY(read_attributes(&a));
    TUFF_TRY(read_operands(&a));
    a.parts = a.cap > 0 || c->asked > 3;
    if (input(c, IN_LENGTHS)) TUFF_TRY(read_lengths(&a));
    // Ours lets the last position ask all keys, which is ONNX's way where none lie behind it.
    else if (a.causal && (a.parts || a.s - a.t != a.past)) TUFF_TRY(positions_bias(&a, NULL));
    if (a.bias) a.causal = false;
    TUFF_TRY(read_mask(&a));
    TUFF_TRY(a.parts ? in_parts(&a, &y, &scores) : whole(&a, &y));
    const tuff_desc *d = &y->desc;
    const tuff_desc flat = TUFF_SHAPE(d->dtype, a.n, a.t, a.h * d->dim[3]);
    if (a.flat) TUFF_TRY(swap(c, y, &y));
    TUFF_TRY(tuff_onnx_give(y, a.flat ? flat : y->desc, &out[0]));
    TUFF_TRY(give(&a, a.k, input(c, IN_K), &out[1]));
    TUFF_TRY(give(&a, a.v, input(c, IN_V), &out[2]));
    if (scores) TUFF_TRY(tuff_onnx_give(scores, scores->desc, &out[3]));
    *nout = scores ? 4 : 3;
    return TUFF_OK;
}

// ---- rotary embedding ----------------------------------------------------------------------

// The tables [N, T, R / 2] as one of N T positions, and which of them are whose: [N, T].
static tuff_status number_positions(tuff_onnx_call *c, const tuff_tensor *in[])
{
    const tuff_desc *d = &in[1]->desc;
    const int64_t n = d->dim[0], t = d->dim[1];
    char text[96];
    TUFF_REQUIRE(d->rank == 3 && n == in[0]->desc.dim[0] && t == in[0]->desc.dim[2] &&
                     n * t <= INT32_MAX && in[2]->desc.rank == 3, SHAPE,
                 "cos_cache is %s, without position_ids it must be [%lld, %lld, half]",
                 tuff_desc_print(d, text, sizeof text), (long long)in[0]->desc.dim[0],
                 (long long)in[0]->desc.dim[2]);
    int32_t *at = tuff_alloc((size_t)(n * t), sizeof *at);
    if (!at) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < n * t; i++) at[i] = (int32_t)i;
    const tuff_status status = tuff_onnx_upload(c, TUFF_SHAPE(TUFF_I32, n, t), at, &in[3]);
    tuff_free(at);
    TUFF_TRY(status);
    for (int i = 1; i <= 2; i++) {
        const tuff_desc *table = &in[i]->desc;
        TUFF_TRY(tuff_onnx_view(c, in[i], TUFF_SHAPE(table->dtype,
                                                     table->dim[0] * table->dim[1],
                                                     table->dim[2]), &in[i]));
    }
    return TUFF_OK;
}

tuff_status tuff_onnx_rotary(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    const tuff_tensor *in[4], *y;
    tuff_rotary_params p = { .interleaved = tuff_onnx_flag(c, "interleaved") };
    int64_t count, turned;
    char text[96];
    TUFF_TRY(tuff_onnx_only(c, "interleaved num_heads rotary_embedding_dim"));
    for (int i = 0; i < 4; i++) in[i] = input(c, i);
    TUFF_REQUIRE(in[0] && in[1] && in[2], ARG, "X, cos_cache and sin_cache are needed");
    TUFF_TRY(tuff_onnx_int(c, "num_heads", 0, &count));
    TUFF_TRY(tuff_onnx_int(c, "rotary_embedding_dim", 0, &turned));
    const tuff_desc x = in[0]->desc;
    TUFF_REQUIRE(x.rank == 3 || x.rank == 4, SHAPE, "X is %s, it must have 3 or 4 dims",
                 tuff_desc_print(&x, text, sizeof text));
    if (x.rank == 3) TUFF_TRY(split_heads(c, in[0], "X", count, &in[0]));
    if (!turned) turned = in[0]->desc.dim[3];
    const tuff_desc *table = &in[1]->desc;
    TUFF_REQUIRE(table->rank && 2 * table->dim[table->rank - 1] == turned, SHAPE,
                 "cos_cache is %s, its last dim must be half of %lld",
                 tuff_desc_print(table, text, sizeof text), (long long)turned);
    if (!in[3]) TUFF_TRY(number_positions(c, in));
    TUFF_TRY(tuff_onnx_op(c, &tuff_op_rotary, in, 4, &p, &y));
    if (x.rank == 3) TUFF_TRY(swap(c, y, &y));
    *nout = 1;
    return tuff_onnx_give(y, x, &out[0]);
}
