// ONNX's RNN, GRU and LSTM: whole sequences, made of products and of our cells step by step.
//
//   X [T, N, I]   W [1, G H, I]   R [1, G H, H]   B [1, 2 G H]   lengths [N]
//   H0 (and C0) [1, N, H]   ->   Y [T, 1, N, H], Y_h [1, N, H] (and Y_c)
//
// With layout=1 N comes first everywhere but in the weights.
//
// One direction (forward or reverse) with the activations that ONNX takes unless told
// otherwise.
#include "base/alloc.h"
#include "ops/onnx.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <string.h>

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

typedef struct net {
    tuff_onnx_call *c;
    int gates;                  // 1, 3 or 4
    int64_t t, n, i, h;
    bool reverse, batch_first, before_reset;
    int32_t *lengths;           // [n], or NULL: all t
    const tuff_tensor *w, *r, *x_bias, *h_bias, *p[3];
} net;

// ---- ops -----------------------------------------------------------------------------------

static tuff_status two(net *w, const tuff_op *op, const tuff_tensor *a, const tuff_tensor *b,
                       const tuff_tensor **y)
{
    return tuff_onnx_op(w->c, op, (const tuff_tensor *const[]){ a, b }, b ? 2 : 1, NULL, y);
}

// Rows `begin` to `end` of the dim `d` of x.
static tuff_status cut(net *w, const tuff_tensor *x, int d, int64_t begin, int64_t end,
                       const tuff_tensor **y)
{
    tuff_slice_params p = { .steps = { 0 } };
    p.starts[d] = (int)begin;
    p.ends[d] = end < x->desc.dim[d] ? (int)end : 0;
    return tuff_onnx_op(w->c, &tuff_op_slice, &x, 1, &p, y);
}

// a b^T + bias + residual.
static tuff_status product(net *w, const tuff_tensor *a, const tuff_tensor *b,
                           const tuff_tensor *bias, const tuff_tensor *residual,
                           const tuff_tensor **y)
{
    const tuff_matmul_params p = { .trans_b = true };
    const tuff_tensor *const in[] = { a, b, bias, residual };
    return tuff_onnx_op(w->c, &tuff_op_matmul, in, 4, &p, y);
}

// ---- one step
// --------------------------------------------------------------------------------

// gate + p c: what a peephole adds.
static tuff_status peep(net *w, const tuff_tensor *gates, int gate, const tuff_tensor *c,
                        const tuff_tensor *p, const tuff_tensor **y)
{
    const tuff_tensor *own;
    TUFF_TRY(cut(w, gates, 1, gate * w->h, (gate + 1) * w->h, &own));
    if (!p) return *y = own, TUFF_OK;
    TUFF_TRY(two(w, &tuff_op_mul, c, p, y));
    return two(w, &tuff_op_add, own, *y, y);
}

// With peepholes every gate is by itself: i and f look at the old state, o at the new one.
static tuff_status peephole_step(net *w, const tuff_tensor *gates, const tuff_tensor **h,
                                 const tuff_tensor **c)
{
    const tuff_tensor *i, *o, *f, *g;
    TUFF_TRY(peep(w, gates, 0, *c, w->p[0], &i));
    TUFF_TRY(peep(w, gates, 2, *c, w->p[2], &f));
    TUFF_TRY(peep(w, gates, 3, *c, NULL, &g));
    TUFF_TRY(two(w, &tuff_op_sigmoid, i, NULL, &i));
    TUFF_TRY(two(w, &tuff_op_sigmoid, f, NULL, &f));
    TUFF_TRY(two(w, &tuff_op_tanh, g, NULL, &g));
    TUFF_TRY(two(w, &tuff_op_mul, i, g, &i));
    TUFF_TRY(two(w, &tuff_op_mul, f, *c, &f));
    TUFF_TRY(two(w, &tuff_op_add, f, i, c));
    TUFF_TRY(peep(w, gates, 1, *c, w->p[1], &o));
    TUFF_TRY(two(w, &tuff_op_sigmoid, o, NULL, &o));
    TUFF_TRY(two(w, &tuff_op_tanh, *c, NULL, &g));
    return two(w, &tuff_op_mul, o, g, h);
}

static tuff_status lstm_step(net *w, const tuff_tensor *x, const tuff_tensor **h,
                             const tuff_tensor **c)
{
    const tuff_tensor *gates, *out[2];
    TUFF_TRY(product(w, *h, w->r, w->h_bias, x, &gates));
    if (w->p[0]) return peephole_step(w, gates, h, c);
    const tuff_tensor *const in[] = { gates, *c };
    TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_lstm_cell, in, 2, NULL, out));
    *h = out[0];
    *c = out[1];
    return TUFF_OK;
}

// Without linear_before_reset the reset gate is put to the state before its product.
static tuff_status reset_first_step(net *w, const tuff_tensor *x, const tuff_tensor **h)
{
    const tuff_tensor *zr, *z, *r, *n, *r_zr, *r_n, *b_zr = NULL, *b_n = NULL, *x_zr, *x_n;
    const int64_t H = w->h;
    TUFF_TRY(cut(w, w->r, 0, 0, 2 * H, &r_zr));
    TUFF_TRY(cut(w, w->r, 0, 2 * H, 3 * H, &r_n));
    if (w->h_bias) TUFF_TRY(cut(w, w->h_bias, 0, 0, 2 * H, &b_zr));
    if (w->h_bias) TUFF_TRY(cut(w, w->h_bias, 0, 2 * H, 3 * H, &b_n));
    TUFF_TRY(cut(w, x, 1, 0, 2 * H, &x_zr));
    TUFF_TRY(cut(w, x, 1, 2 * H, 3 * H, &x_n));
    TUFF_TRY(product(w, *h, r_zr, b_zr, x_zr, &zr));
    TUFF_TRY(two(w, &tuff_op_sigmoid, zr, NULL, &zr));
    TUFF_TRY(cut(w, zr, 1, 0, H, &z));
    TUFF_TRY(cut(w, zr, 1, H, 2 * H, &r));
    TUFF_TRY(two(w, &tuff_op_mul, r, *h, &r));
    TUFF_TRY(product(w, r, r_n, b_n, x_n, &n));
    TUFF_TRY(two(w, &tuff_op_tanh, n, NULL, &n));
    TUFF_TRY(two(w, &tuff_op_sub, *h, n, &r)); // n + z (h - n)
    TUFF_TRY(two(w, &tuff_op_mul, z, r, &r));
    return two(w, &tuff_op_add, n, r, h);
}

static tuff_status one_step(net *w, const tuff_tensor *x, const tuff_tensor **h,
                            const tuff_tensor **c)
{
    const tuff_tensor *y;
    if (w->gates == 4) return lstm_step(w, x, h, c);
    if (w->gates == 3 && !w->before_reset) return reset_first_step(w, x, h);
    if (w->gates == 3) {
        TUFF_TRY(product(w, *h, w->r, w->h_bias, NULL, &y));
        const tuff_tensor *const in[] = { x, y, *h };
        return tuff_onnx_op(w->c, &tuff_op_gru_cell, in, 3, NULL, h);
    }
    TUFF_TRY(product(w, *h, w->r, w->h_bias, x, &y));
    return two(w, &tuff_op_tanh, y, NULL, h);
}

// ---- sequences
// ---------------------------------------------------------------------------------

// 1 for the sequences that have a step t, f32 [N, 1]; NULL when all have.
static tuff_status mask_of(net *w, int64_t t, const tuff_tensor **mask)
{
    bool all = true;
    *mask = NULL;
    for (int64_t k = 0; w->lengths && k < w->n; k++) all &= t < w->lengths[k];
    if (all) return TUFF_OK;
    float *host = tuff_alloc((size_t)w->n, sizeof *host);
    if (!host) return TUFF_ERR_MEMORY;
    for (int64_t k = 0; k < w->n; k++) host[k] = t < w->lengths[k];
    tuff_tensor *m;
    tuff_status status = tuff_tensor_create(tuff_stream_device(w->c->stream),
                                            TUFF_SHAPE(TUFF_F32, w->n, 1), &m);
    if (status == TUFF_OK) status = tuff_onnx_keep(w->c, m);
    if (status == TUFF_OK)
        status = tuff_tensor_write(w->c->stream, m, host, (size_t)w->n * sizeof *host);
    tuff_free(host);
    *mask = m;
    return status;
}

// What a sequence that has ended keeps: old + mask (new - old), exact for masks of 0 and 1 but
// for the sign of zero where both are there.
static tuff_status masked(net *w, const tuff_tensor *mask, const tuff_tensor *old,
                          const tuff_tensor **new)
{
    const tuff_tensor *kept, *taken, *rest;
    const tuff_affine_params other = { .scale = -1, .shift = 1 };
    if (!mask) return TUFF_OK;
    TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_affine, &mask, 1, &other, &rest));
    TUFF_TRY(two(w, &tuff_op_mul, *new, mask, &taken));
    TUFF_TRY(two(w, &tuff_op_mul, old, rest, &kept));
    return two(w, &tuff_op_add, taken, kept, new);
}

static tuff_status run_steps(net *w, const tuff_tensor *all, const tuff_tensor *h,
                             const tuff_tensor *c, const tuff_tensor *y[],
                             const tuff_tensor *last[2])
{
    for (int64_t k = 0; k < w->t; k++) {
        const int64_t t = w->reverse ? w->t - 1 - k : k;
        const tuff_tensor *x, *mask, *old_h = h, *old_c = c;
        TUFF_TRY(cut(w, all, 0, t, t + 1, &x));
        TUFF_TRY(tuff_onnx_view(w->c, x, TUFF_SHAPE(TUFF_F32, w->n, w->gates * w->h), &x));
        TUFF_TRY(mask_of(w, t, &mask));
        TUFF_TRY(one_step(w, x, &h, &c));
        y[t] = h;
        if (mask) TUFF_TRY(two(w, &tuff_op_mul, h, mask, &y[t]));
        TUFF_TRY(masked(w, mask, old_h, &h));
        if (c) TUFF_TRY(masked(w, mask, old_c, &c));
    }
    last[0] = h;
    last[1] = c;
    return TUFF_OK;
}

// Tensors [N, H] one behind the other, as [T, N, H].
static tuff_status join(net *w, const tuff_tensor *y[], const tuff_tensor **all)
{
    enum { MOST = 6 };
    const tuff_concat_params first = { .axis = 2 };
    int64_t count = w->t;
    for (int64_t i = 0; i < count; i++)
        TUFF_TRY(tuff_onnx_view(w->c, y[i], TUFF_SHAPE(TUFF_F32, 1, w->n, w->h), &y[i]));
    while (count > 1) {
        int64_t n = 0;
        for (int64_t i = 0; i < count; i += MOST) {
            const int some = count - i < MOST ? (int)(count - i) : MOST;
            const tuff_tensor *part = y[i];
            if (some > 1)
                TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_concat, y + i, some, &first, &part));
            y[n++] = part;
        }
        count = n;
    }
    *all = y[0];
    return TUFF_OK;
}

// ---- what is given
// ---------------------------------------------------------------------------

static tuff_status one_of(const tuff_onnx_call *c, const char *name, const char *const words[],
                          int *which)
{
    const char *given = tuff_onnx_get(&c->attrs, name);
    *which = 0;
    if (!given) return TUFF_OK;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], given) == 0) return *which = i, TUFF_OK;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s is %s, this library computes %s%s%s", name,
                     given, words[0], words[1] ? " and " : "", words[1] ? words[1] : "");
}

static tuff_status read_attributes(net *w)
{
    static const char *const directions[] = { "forward", "reverse", NULL };
    static const char *const layouts[] = { "0", "1", NULL };
    static const char *const standard[] = { "Tanh", NULL, "Sigmoid,Tanh", "Sigmoid,Tanh,Tanh" };
    const char *acts[] = { standard[w->gates - 1], NULL };
    int which;
    TUFF_TRY(one_of(w->c, "direction", directions, &which));
    w->reverse = which;
    TUFF_TRY(one_of(w->c, "layout", layouts, &which));
    w->batch_first = which;
    TUFF_TRY(one_of(w->c, "linear_before_reset", layouts, &which));
    w->before_reset = which;
    TUFF_TRY(one_of(w->c, "activations", (const char *const *)acts, &which));
    TUFF_REQUIRE(!tuff_onnx_get(&w->c->attrs, "clip") &&
                     !tuff_onnx_get(&w->c->attrs, "input_forget"), UNSUPPORTED,
                 "clip and input_forget are not computed");
    return TUFF_OK;
}

static const tuff_tensor *input(const net *w, int i)
{
    return i < w->c->nin ? w->c->in[i] : NULL;
}

static tuff_status read_lengths(net *w)
{
    const tuff_tensor *t = input(w, IN_LENGTHS);
    if (!t) return TUFF_OK;
    TUFF_REQUIRE(t->desc.dtype == TUFF_I32 && tuff_desc_count(&t->desc) == w->n, SHAPE,
                 "sequence_lens must be i32 [%lld]", (long long)w->n);
    w->lengths = tuff_alloc((size_t)w->n, sizeof *w->lengths);
    if (!w->lengths) return TUFF_ERR_MEMORY;
    return tuff_tensor_read(w->c->stream, t, w->lengths, (size_t)w->n * sizeof *w->lengths);
}

// The weights without their dim of directions, the two biases, the peepholes.
static tuff_status read_weights(net *w)
{
    const tuff_tensor *weights = input(w, IN_W), *r = input(w, IN_R), *b = input(w, IN_B);
    const tuff_tensor *p = input(w, IN_P);
    const int64_t rows = w->gates * w->h;
    char tw[96], tr[96];
    TUFF_REQUIRE(weights->desc.rank == 3 && r->desc.rank == 3 && weights->desc.dim[0] == 1 &&
                     weights->desc.dim[1] == rows && weights->desc.dim[2] == w->i &&
                     r->desc.dim[0] == 1 && r->desc.dim[1] == rows,
                 SHAPE, "W is %s and R is %s, expected [1, %d H, I] and [1, %d H, H] of one "
                 "direction", tuff_desc_print(&weights->desc, tw, sizeof tw),
                 tuff_desc_print(&r->desc, tr, sizeof tr), w->gates, w->gates);
    TUFF_TRY(tuff_onnx_view(w->c, weights, TUFF_SHAPE(TUFF_F32, rows, w->i), &w->w));
    TUFF_TRY(tuff_onnx_view(w->c, r, TUFF_SHAPE(TUFF_F32, rows, w->h), &w->r));
    if (b) {
        TUFF_REQUIRE(tuff_desc_count(&b->desc) == 2 * rows, SHAPE,
                     "B is %s, expected [1, %lld]", tuff_desc_print(&b->desc, tw, sizeof tw),
                     (long long)(2 * rows));
        TUFF_TRY(tuff_onnx_view(w->c, b, TUFF_SHAPE(TUFF_F32, 2 * rows), &b));
        TUFF_TRY(cut(w, b, 0, 0, rows, &w->x_bias));
        TUFF_TRY(cut(w, b, 0, rows, 2 * rows, &w->h_bias));
    }
    if (!p) return TUFF_OK;
    TUFF_REQUIRE(tuff_desc_count(&p->desc) == 3 * w->h, SHAPE, "P is %s, expected [1, %lld]",
                 tuff_desc_print(&p->desc, tw, sizeof tw), (long long)(3 * w->h));
    TUFF_TRY(tuff_onnx_view(w->c, p, TUFF_SHAPE(TUFF_F32, 3 * w->h), &p));
    for (int i = 0; i < 3; i++) TUFF_TRY(cut(w, p, 0, i * w->h, (i + 1) * w->h, &w->p[i]));
    return TUFF_OK;
}

static tuff_status read_state(net *w, int at, const tuff_tensor **state)
{
    const tuff_tensor *given = input(w, at);
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, w->n, w->h);
    char text[96];
    if (given) {
        TUFF_REQUIRE(tuff_desc_count(&given->desc) == w->n * w->h, SHAPE,
                     "the initial state is %s, expected [1, %lld, %lld]",
                     tuff_desc_print(&given->desc, text, sizeof text), (long long)w->n,
                     (long long)w->h);
        return tuff_onnx_view(w->c, given, d, state);
    }
    tuff_tensor *zero;
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(w->c->stream), d, &zero));
    TUFF_TRY(tuff_onnx_keep(w->c, zero));
    *state = zero;
    return tuff_fill(w->c->stream, zero, NULL);
}

static tuff_status read_sizes(net *w)
{
    const tuff_tensor *x = input(w, IN_X), *r = input(w, IN_R);
    char text[96];
    TUFF_REQUIRE(x && input(w, IN_W) && r, ARG, "X, W and R are needed");
    for (int i = 0; i < w->c->nin; i++)
        TUFF_REQUIRE(!w->c->in[i] || i == IN_LENGTHS || w->c->in[i]->desc.dtype == TUFF_F32,
                     DTYPE, "input %d is %s, expected f32", i,
                     tuff_dtype_name(w->c->in[i]->desc.dtype));
    TUFF_REQUIRE(x->desc.rank == 3, SHAPE, "X is %s, expected 3 dims",
                 tuff_desc_print(&x->desc, text, sizeof text));
    w->t = x->desc.dim[w->batch_first];
    w->n = x->desc.dim[!w->batch_first];
    w->i = x->desc.dim[2];
    w->h = r->desc.dim[r->desc.rank - 1];
    return TUFF_OK;
}

// ---- all -----------------------------------------------------------------------------------

static tuff_status swap(net *w, const tuff_tensor *x, const tuff_tensor **y)
{
    const tuff_transpose_params p = { .perm = { 1, 0, 2 } };
    return tuff_onnx_op(w->c, &tuff_op_transpose, &x, 1, &p, y);
}

static tuff_status compute(net *w, tuff_tensor *out[], int *nout)
{
    const tuff_tensor *x, *h, *c = NULL, *all, *last[2], *joined;
    TUFF_TRY(read_attributes(w));
    TUFF_TRY(read_sizes(w));
    TUFF_TRY(read_weights(w));
    TUFF_TRY(read_lengths(w));
    TUFF_TRY(read_state(w, IN_H, &h));
    if (w->gates == 4) TUFF_TRY(read_state(w, IN_C, &c));
    x = input(w, IN_X);
    if (w->batch_first) TUFF_TRY(swap(w, x, &x));
    TUFF_TRY(product(w, x, w->w, w->x_bias, NULL, &all));
    const tuff_tensor **y = tuff_alloc((size_t)w->t, sizeof(tuff_tensor *));
    if (!y) return TUFF_ERR_MEMORY;
    tuff_status status = run_steps(w, all, h, c, y, last);
    if (status == TUFF_OK) status = join(w, y, &joined);
    tuff_free(y);
    TUFF_TRY(status);
    if (w->batch_first) TUFF_TRY(swap(w, joined, &joined));
    const bool b = w->batch_first;
    const tuff_desc whole = b ? TUFF_SHAPE(TUFF_F32, w->n, w->t, 1, w->h)
                              : TUFF_SHAPE(TUFF_F32, w->t, 1, w->n, w->h);
    const tuff_desc end = b ? TUFF_SHAPE(TUFF_F32, w->n, 1, w->h)
                            : TUFF_SHAPE(TUFF_F32, 1, w->n, w->h);
    TUFF_TRY(tuff_onnx_give(joined, whole, &out[0]));
    TUFF_TRY(tuff_onnx_give(last[0], end, &out[1]));
    if (w->gates == 4) TUFF_TRY(tuff_onnx_give(last[1], end, &out[2]));
    *nout = w->gates == 4 ? 3 : 2;
    return TUFF_OK;
}

tuff_status tuff_onnx_recurrent(tuff_onnx_call *c, tuff_tensor *out[], int *nout)
{
    net w = { .c = c };
    w.gates = strcmp(c->op, "LSTM") == 0 ? 4 : strcmp(c->op, "GRU") == 0 ? 3 : 1;
    const tuff_status status = compute(&w, out, nout);
    tuff_free(w.lengths);
    return status;
}
