// ONNX's RNN, GRU and LSTM: whole sequences, made of products and of our cells step by step.
//
//   X [T, N, I]   W [D, G H, I]   R [D, G H, H]   B [D, 2 G H]   lengths [N]
//   H0 (and C0) [D, N, H]   P [D, 3 H]   ->   Y [T, D, N, H], Y_h [D, N, H] (and Y_c)
//
// D directions, of G gates each. With layout=1 N comes first everywhere but in the weights. The
// activations are those that ONNX takes unless told otherwise. Numbers of 16 bits are computed
// in f32. `clip` bounds what goes into the gates' activations; an LSTM's last one takes the
// cell as it is, as in ONNX Runtime.
#include "base/alloc.h"
#include "ops/onnx.h"
#include "ops/ops.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <string.h>

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P, INPUTS };

typedef struct net {
    tuff_onnx_call *c;
    int gates;                  // 1, 3 or 4
    int dirs;                   // 1 or 2
    int64_t t, n, i, h;
    bool reverse, batch_first, before_reset, input_forget;
    float clip;                 // 0: none
    int32_t *lengths;           // [n], or NULL: all t
    const tuff_tensor *in[INPUTS]; // as f32
    // Of the direction that is computed:
    const tuff_tensor *w, *r, *x_bias, *h_bias, *p[3];
} net;

// What a direction comes to: [T, N, H], or with batch_first [N, T, H]; [N, H] each.
typedef struct result {
    const tuff_tensor *y, *last[2];
} result;

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

// ---- one step ------------------------------------------------------------------------------

// The input of an activation.
static tuff_status clipped(net *w, const tuff_tensor **x)
{
    const tuff_clip_params p = { .min = -w->clip, .max = w->clip };
    return w->clip > 0 ? tuff_onnx_op(w->c, &tuff_op_clip, x, 1, &p, x) : TUFF_OK;
}

// act(gate + p c), where p is there: what a peephole adds.
static tuff_status gate(net *w, const tuff_op *act, const tuff_tensor *gates, int number,
                        const tuff_tensor *c, const tuff_tensor *p, const tuff_tensor **y)
{
    const tuff_tensor *own, *seen;
    TUFF_TRY(cut(w, gates, 1, number * w->h, (number + 1) * w->h, &own));
    if (p) {
        TUFF_TRY(two(w, &tuff_op_mul, c, p, &seen));
        TUFF_TRY(two(w, &tuff_op_add, own, seen, &own));
    }
    TUFF_TRY(clipped(w, &own));
    return two(w, act, own, NULL, y);
}

// Every gate by itself: i and f look at the old state, o at the new one.
static tuff_status lstm_parts(net *w, const tuff_tensor *gates, const tuff_tensor **h,
                              const tuff_tensor **c)
{
    const tuff_tensor *i, *o, *f, *g;
    const tuff_affine_params rest = { .scale = -1, .shift = 1 };
    TUFF_TRY(gate(w, &tuff_op_sigmoid, gates, 0, *c, w->p[0], &i));
    if (w->input_forget) TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_affine, &i, 1, &rest, &f));
    else TUFF_TRY(gate(w, &tuff_op_sigmoid, gates, 2, *c, w->p[2], &f));
    TUFF_TRY(gate(w, &tuff_op_tanh, gates, 3, *c, NULL, &g));
    TUFF_TRY(two(w, &tuff_op_mul, i, g, &i));
    TUFF_TRY(two(w, &tuff_op_mul, f, *c, &f));
    TUFF_TRY(two(w, &tuff_op_add, f, i, c));
    TUFF_TRY(gate(w, &tuff_op_sigmoid, gates, 1, *c, w->p[1], &o));
    TUFF_TRY(two(w, &tuff_op_tanh, *c, NULL, &g));
    return two(w, &tuff_op_mul, o, g, h);
}

static tuff_status lstm_step(net *w, const tuff_tensor *x, const tuff_tensor **h,
                             const tuff_tensor **c)
{
    const tuff_tensor *gates, *out[2];
    TUFF_TRY(product(w, *h, w->r, w->h_bias, x, &gates));
    if (w->p[0] || w->clip > 0 || w->input_forget) return lstm_parts(w, gates, h, c);
    const tuff_tensor *const in[] = { gates, *c };
    TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_lstm_cell, in, 2, NULL, out));
    *h = out[0];
    *c = out[1];
    return TUFF_OK;
}

// n + z (h - n), n what tanh makes of `next`.
static tuff_status mix(net *w, const tuff_tensor *z, const tuff_tensor *next,
                       const tuff_tensor **h)
{
    const tuff_tensor *d;
    TUFF_TRY(clipped(w, &next));
    TUFF_TRY(two(w, &tuff_op_tanh, next, NULL, &next));
    TUFF_TRY(two(w, &tuff_op_sub, *h, next, &d));
    TUFF_TRY(two(w, &tuff_op_mul, z, d, &d));
    return two(w, &tuff_op_add, next, d, h);
}

// The two gates of their sums [N, 2 H].
static tuff_status both_gates(net *w, const tuff_tensor *zr, const tuff_tensor **z,
                              const tuff_tensor **r)
{
    TUFF_TRY(clipped(w, &zr));
    TUFF_TRY(two(w, &tuff_op_sigmoid, zr, NULL, &zr));
    TUFF_TRY(cut(w, zr, 1, 0, w->h, z));
    return cut(w, zr, 1, w->h, 2 * w->h, r);
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
    TUFF_TRY(both_gates(w, zr, &z, &r));
    TUFF_TRY(two(w, &tuff_op_mul, r, *h, &r));
    TUFF_TRY(product(w, r, r_n, b_n, x_n, &n));
    return mix(w, z, n, h);
}

// With it, where the cell of ours does not clip: x and y are the two sums [N, 3 H].
static tuff_status reset_last_step(net *w, const tuff_tensor *x, const tuff_tensor *y,
                                   const tuff_tensor **h)
{
    const tuff_tensor *both, *zr, *z, *r, *x_n, *y_n;
    const int64_t H = w->h;
    TUFF_TRY(two(w, &tuff_op_add, x, y, &both));
    TUFF_TRY(cut(w, both, 1, 0, 2 * H, &zr));
    TUFF_TRY(both_gates(w, zr, &z, &r));
    TUFF_TRY(cut(w, x, 1, 2 * H, 3 * H, &x_n));
    TUFF_TRY(cut(w, y, 1, 2 * H, 3 * H, &y_n));
    TUFF_TRY(two(w, &tuff_op_mul, r, y_n, &r));
    TUFF_TRY(two(w, &tuff_op_add, x_n, r, &x_n));
    return mix(w, z, x_n, h);
}

static tuff_status one_step(net *w, const tuff_tensor *x, const tuff_tensor **h,
                            const tuff_tensor **c)
{
    const tuff_tensor *y;
    if (w->gates == 4) return lstm_step(w, x, h, c);
    if (w->gates == 3 && !w->before_reset) return reset_first_step(w, x, h);
    if (w->gates == 3) {
        TUFF_TRY(product(w, *h, w->r, w->h_bias, NULL, &y));
        if (w->clip > 0) return reset_last_step(w, x, y, h);
        const tuff_tensor *const in[] = { x, y, *h };
        return tuff_onnx_op(w->c, &tuff_op_gru_cell, in, 3, NULL, h);
    }
    TUFF_TRY(product(w, *h, w->r, w->h_bias, x, &y));
    TUFF_TRY(clipped(w, &y));
    return two(w, &tuff_op_tanh, y, NULL, h);
}

// ---- sequences -----------------------------------------------------------------------------

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
    const tuff_status status = tuff_onnx_upload(w->c, TUFF_SHAPE(TUFF_F32, w->n, 1), host,
                                                mask);
    tuff_free(host);
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
    const tuff_concat_params first = { .axis = 2 };
    for (int64_t i = 0; i < w->t; i++)
        TUFF_TRY(tuff_onnx_view(w->c, y[i], TUFF_SHAPE(TUFF_F32, 1, w->n, w->h), &y[i]));
    return tuff_onnx_chain(w->c, &tuff_op_concat, &first, y, w->t, all);
}

// ---- what is given -------------------------------------------------------------------------

static tuff_status one_of(const tuff_onnx_call *c, const char *name, const char *const words[],
                          int *which)
{
    const char *given = tuff_onnx_get(&c->attrs, name);
    *which = 0;
    if (!given) return TUFF_OK;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], given) == 0) return *which = i, TUFF_OK;
    return tuff_fail(TUFF_ERR_UNSUPPORTED, "%s is %.80s, this library computes %s%s%s%s%s",
                     name, given, words[0], words[1] ? ", " : "", words[1] ? words[1] : "",
                     words[1] && words[2] ? ", " : "", words[1] && words[2] ? words[2] : "");
}

static tuff_status read_activations(net *w)
{
    static const char *const standard[] = { "Tanh", NULL, "Sigmoid,Tanh", "Sigmoid,Tanh,Tanh" };
    const char *own = standard[w->gates - 1];
    char all[64];
    int which;
    snprintf(all, sizeof all, "%s%s%s", own, w->dirs == 2 ? "," : "", w->dirs == 2 ? own : "");
    const char *const acts[] = { all, NULL };
    return one_of(w->c, "activations", acts, &which);
}

static tuff_status read_attributes(net *w)
{
    static const char *const directions[] = { "forward", "reverse", "bidirectional", NULL };
    static const char *const layouts[] = { "0", "1", NULL };
    double clip;
    int which;
    TUFF_TRY(tuff_onnx_only(w->c, "direction hidden_size layout linear_before_reset "
                            "input_forget clip activations activation_alpha activation_beta "
                            "output_sequence"));
    TUFF_TRY(one_of(w->c, "direction", directions, &which));
    w->reverse = which == 1;
    w->dirs = which == 2 ? 2 : 1;
    TUFF_TRY(one_of(w->c, "layout", layouts, &which));
    w->batch_first = which;
    TUFF_TRY(one_of(w->c, "linear_before_reset", layouts, &which));
    w->before_reset = which;
    TUFF_TRY(one_of(w->c, "input_forget", layouts, &which));
    w->input_forget = which;
    TUFF_TRY(tuff_onnx_float(w->c, "clip", 0, &clip));
    w->clip = (float)clip;
    TUFF_REQUIRE(!tuff_onnx_get(&w->c->attrs, "clip") || w->clip > 0, FORMAT,
                 "clip is %g, it must be a number above 0", clip);
    return read_activations(w);
}

static tuff_status read_lengths(net *w)
{
    const tuff_tensor *t = w->in[IN_LENGTHS];
    if (!t) return TUFF_OK;
    TUFF_REQUIRE(t->desc.dtype == TUFF_I32 && tuff_desc_count(&t->desc) == w->n, SHAPE,
                 "sequence_lens must be i32 [%lld]", (long long)w->n);
    w->lengths = tuff_alloc((size_t)w->n, sizeof *w->lengths);
    if (!w->lengths) return TUFF_ERR_MEMORY;
    return tuff_tensor_read(w->c->stream, t, w->lengths, (size_t)w->n * sizeof *w->lengths);
}

// All of X's type, which becomes f32.
static tuff_status read_inputs(net *w)
{
    for (int i = 0; i < INPUTS && i < w->c->nin; i++) {
        const tuff_tensor *x = w->c->in[i];
        w->in[i] = x;
        if (!x || i == IN_LENGTHS) continue;
        const tuff_dtype type = x->desc.dtype;
        TUFF_REQUIRE(type & TUFF_FLOATS && w->in[IN_X] && type == w->in[IN_X]->desc.dtype,
                     DTYPE, "input %d is %s, all but sequence_lens must be f32, f16 or bf16 "
                     "and alike", i, tuff_dtype_name(type));
    }
    TUFF_REQUIRE(w->in[IN_X] && w->in[IN_W] && w->in[IN_R], ARG, "X, W and R are needed");
    for (int i = INPUTS - 1; i >= 0; i--)
        if (w->in[i] && i != IN_LENGTHS)
            TUFF_TRY(tuff_onnx_cast(w->c, w->in[i], TUFF_F32, &w->in[i]));
    return TUFF_OK;
}

static tuff_status read_sizes(net *w)
{
    const tuff_tensor *x = w->in[IN_X], *r = w->in[IN_R];
    int64_t size;
    char text[96];
    TUFF_REQUIRE(x->desc.rank == 3, SHAPE, "X is %s, expected 3 dims",
                 tuff_desc_print(&x->desc, text, sizeof text));
    TUFF_REQUIRE(r->desc.rank == 3, SHAPE, "R is %s, expected 3 dims",
                 tuff_desc_print(&r->desc, text, sizeof text));
    w->t = x->desc.dim[w->batch_first];
    w->n = x->desc.dim[!w->batch_first];
    w->i = x->desc.dim[2];
    w->h = r->desc.dim[2];
    TUFF_TRY(tuff_onnx_int(w->c, "hidden_size", w->h, &size));
    TUFF_REQUIRE(size == w->h, SHAPE, "hidden_size is %lld, R is %s", (long long)size,
                 tuff_desc_print(&r->desc, text, sizeof text));
    return TUFF_OK;
}

// ---- one direction -------------------------------------------------------------------------

// The part of an input that belongs to direction `dir`, which lies along dim d, in another
// shape; NULL where the input is left out.
static tuff_status part_of(net *w, int input, int dir, int d, tuff_desc desc,
                           const tuff_tensor **y)
{
    const tuff_tensor *x = w->in[input];
    char tx[96], td[96];
    *y = NULL;
    if (!x) return TUFF_OK;
    TUFF_REQUIRE(x->desc.rank > d && x->desc.dim[d] == w->dirs &&
                     tuff_desc_count(&x->desc) == w->dirs * tuff_desc_count(&desc),
                 SHAPE, "input %d is %s, expected %s for each of %d directions", input,
                 tuff_desc_print(&x->desc, tx, sizeof tx),
                 tuff_desc_print(&desc, td, sizeof td), w->dirs);
    if (w->dirs > 1) TUFF_TRY(cut(w, x, d, dir, dir + 1, &x));
    return tuff_onnx_view(w->c, x, desc, y);
}

// The weights, the two biases, the peepholes.
static tuff_status read_weights(net *w, int dir)
{
    const tuff_tensor *b, *p;
    const int64_t rows = w->gates * w->h;
    TUFF_TRY(part_of(w, IN_W, dir, 0, TUFF_SHAPE(TUFF_F32, rows, w->i), &w->w));
    TUFF_TRY(part_of(w, IN_R, dir, 0, TUFF_SHAPE(TUFF_F32, rows, w->h), &w->r));
    TUFF_TRY(part_of(w, IN_B, dir, 0, TUFF_SHAPE(TUFF_F32, 2 * rows), &b));
    TUFF_TRY(part_of(w, IN_P, dir, 0, TUFF_SHAPE(TUFF_F32, 3 * w->h), &p));
    if (b) TUFF_TRY(cut(w, b, 0, 0, rows, &w->x_bias));
    if (b) TUFF_TRY(cut(w, b, 0, rows, 2 * rows, &w->h_bias));
    for (int i = 0; p && i < 3; i++)
        TUFF_TRY(cut(w, p, 0, i * w->h, (i + 1) * w->h, &w->p[i]));
    return TUFF_OK;
}

static tuff_status read_state(net *w, int at, int dir, const tuff_tensor **state)
{
    const tuff_desc d = TUFF_SHAPE(TUFF_F32, w->n, w->h);
    TUFF_TRY(part_of(w, at, dir, w->batch_first, d, state));
    if (*state) return TUFF_OK;
    tuff_tensor *zero;
    TUFF_TRY(tuff_tensor_create(tuff_stream_device(w->c->stream), d, &zero));
    TUFF_TRY(tuff_onnx_keep(w->c, zero));
    *state = zero;
    return tuff_fill(w->c->stream, zero, NULL);
}

static tuff_status swap(net *w, const tuff_tensor *x, const tuff_tensor **y)
{
    const tuff_transpose_params p = { .perm = { 1, 0, 2 } };
    return tuff_onnx_op(w->c, &tuff_op_transpose, &x, 1, &p, y);
}

// x [T, N, I].
static tuff_status one_direction(net *w, const tuff_tensor *x, int dir, result *r)
{
    const tuff_tensor *h, *c = NULL, *all;
    TUFF_TRY(read_weights(w, dir));
    TUFF_TRY(read_state(w, IN_H, dir, &h));
    if (w->gates == 4) TUFF_TRY(read_state(w, IN_C, dir, &c));
    TUFF_TRY(product(w, x, w->w, w->x_bias, NULL, &all));
    const tuff_tensor **y = tuff_alloc((size_t)w->t, sizeof(tuff_tensor *));
    if (!y) return TUFF_ERR_MEMORY;
    tuff_status status = run_steps(w, all, h, c, y, r->last);
    if (status == TUFF_OK) status = join(w, y, &r->y);
    tuff_free(y);
    TUFF_TRY(status);
    return w->batch_first ? swap(w, r->y, &r->y) : TUFF_OK;
}

// ---- all -----------------------------------------------------------------------------------

// An output of X's type: each direction's, which get a dim of their own before dim d.
static tuff_status give(net *w, const tuff_tensor *const x[], int d, tuff_tensor **out)
{
    const tuff_tensor *part[2] = { NULL }, *y;
    tuff_desc desc = x[0]->desc;
    memmove(desc.dim + d + 1, desc.dim + d, (size_t)(desc.rank - d) * sizeof *desc.dim);
    desc.dim[d] = 1;
    desc.rank++;
    for (int i = 0; i < w->dirs; i++) TUFF_TRY(tuff_onnx_view(w->c, x[i], desc, &part[i]));
    const tuff_concat_params p = { .axis = desc.rank - 1 - d };
    y = part[0];
    if (w->dirs > 1) TUFF_TRY(tuff_onnx_op(w->c, &tuff_op_concat, part, 2, &p, &y));
    TUFF_TRY(tuff_onnx_cast(w->c, y, w->c->in[IN_X]->desc.dtype, &y));
    return tuff_onnx_give(y, y->desc, out);
}

static tuff_status compute(net *w, tuff_tensor *out[], int *nout)
{
    result r[2];
    TUFF_TRY(read_attributes(w));
    TUFF_TRY(read_inputs(w));
    TUFF_TRY(read_sizes(w));
    TUFF_TRY(read_lengths(w));
    const tuff_tensor *x = w->in[IN_X];
    if (w->batch_first) TUFF_TRY(swap(w, x, &x));
    for (int i = 0; i < w->dirs; i++) {
        if (w->dirs == 2) w->reverse = i == 1;
        TUFF_TRY(one_direction(w, x, i, &r[i]));
    }
    const bool b = w->batch_first;
    TUFF_TRY(give(w, (const tuff_tensor *[]){ r[0].y, r[w->dirs - 1].y }, b ? 2 : 1, &out[0]));
    *nout = w->gates == 4 ? 3 : 2;
    for (int i = 0; i + 1 < *nout; i++)
        TUFF_TRY(give(w, (const tuff_tensor *[]){ r[0].last[i], r[w->dirs - 1].last[i] }, b,
                      &out[1 + i]));
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
