// transpose, reshape and expand: the same elements under another shape.
#include "ops/compose.h"
#include "ops/move.h"
#include "ops/walk.h"
#include <string.h>

#define XY                                                                      \
    .in = { { .name = "x", .dtypes = TUFF_F32 } },                              \
    .out = { { .name = "y", .dtypes = TUFF_F32 } }
#define COMMON .units = tuff_move_units, .cost = tuff_move_cost, .sample = { -4, 4 }

// ---- transpose -----------------------------------------------------------------------------

// y's dim i is x's dim perm[i]; all zero means reversed.
static void perm_of(const tuff_call *c, int perm[])
{
    const tuff_transpose_params *p = c->params;
    bool given = false;
    for (int i = 0; i < TUFF_MAX_DIMS; i++) given |= p->perm[i] != 0;
    for (int i = 0; i < c->in[0].rank; i++)
        perm[i] = given ? p->perm[i] : c->in[0].rank - 1 - i;
}

static tuff_status transpose_infer(const tuff_call *c, tuff_desc out[])
{
    const int rank = c->in[0].rank;
    int perm[TUFF_MAX_DIMS];
    unsigned seen = 0;
    perm_of(c, perm);
    out[0] = c->in[0];
    for (int i = 0; i < rank; i++) {
        TUFF_REQUIRE(perm[i] >= 0 && perm[i] < rank && !(seen >> perm[i] & 1), ARG,
                     "perm[%d] is %d: perm must hold each of 0 to %d once", i, perm[i],
                     rank - 1);
        seen |= 1u << perm[i];
        out[0].dim[i] = c->in[0].dim[perm[i]];
    }
    return TUFF_OK;
}

static void transpose_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    int perm[TUFF_MAX_DIMS];
    size_t step[TUFF_MAX_DIMS], next = 1;
    perm_of(r->call, perm);
    for (int i = x->rank - 1; i >= 0; i--) {
        step[i] = next;
        next *= (size_t)x->dim[i];
    }
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0;
        for (int d = y->rank - 1; d >= 0; d--) {
            at += left % (size_t)y->dim[d] * step[perm[d]];
            left /= (size_t)y->dim[d];
        }
        r->out[0][i] = r->in[0][at];
    }
}

static tuff_move transpose_move(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    int perm[TUFF_MAX_DIMS];
    int64_t step[TUFF_MAX_DIMS];
    perm_of(c, perm);
    tuff_steps(&c->in[0], step);
    tuff_move m = { .rank = y->rank };
    memcpy(m.dim, y->dim, sizeof m.dim);
    tuff_steps(y, m.out_step);
    for (int i = 0; i < y->rank; i++) m.in_step[i] = step[perm[i]];
    return m;
}

static bool transpose_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = transpose_move(c);
    return tuff_move_texel(c, k, p, 0, &m);
}

static bool transpose_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = transpose_move(c);
    return tuff_move_plain(c, k, p, 0, &m);
}

static void transpose_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                           tuff_var dx[])
{
    int perm[TUFF_MAX_DIMS];
    tuff_transpose_params back = { { 0 } };
    perm_of(&n->call, perm);
    for (int i = 0; i < n->call.in[0].rank; i++) back.perm[perm[i]] = i;
    dx[0] = n->call.in[0].rank < 2 ? dy[0] : TUFF_V(t, &tuff_op_transpose, &back, dy[0]);
}

const tuff_op tuff_op_transpose = {
    .name = "transpose", .onnx = "Transpose", XY, COMMON,
    .doc = "y's dim i is x's dim perm[i]",
    .params_size = sizeof(tuff_transpose_params),
    .params = { TUFF_INTS(tuff_transpose_params, perm, NULL) },
    .infer = transpose_infer, .ref = transpose_ref, .grad = transpose_grad,
    .variants = { TUFF_KERNEL("texel", transpose_texel),
                  TUFF_KERNEL("plain", transpose_plain) },
    .cases = TUFF_CASES("1", "257", "13x5", "64x32", "257x131", "3x5x7 perm=0,2,1",
                        "2x4x3x8 perm=0,2,1,3", "5x2x3x7 perm=2,0,3,1",
                        "2x1x3x2x1x2x3x2 perm=7,0,6,1,5,2,4,3")
};

tuff_status tuff_transpose(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                           const tuff_transpose_params *p)
{
    return tuff_run(s, &tuff_op_transpose, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- reshape -------------------------------------------------------------------------------

static tuff_status reshape_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_reshape_params *p = c->params;
    const int64_t count = tuff_desc_count(&c->in[0]);
    TUFF_REQUIRE(p->rank >= 0 && p->rank <= TUFF_MAX_DIMS, ARG,
                 "rank is %d, it must be 0 to %d", p->rank, TUFF_MAX_DIMS);
    tuff_desc y = { .dtype = c->in[0].dtype, .rank = p->rank };
    while (!p->rank && y.rank < TUFF_MAX_DIMS && p->shape[y.rank]) y.rank++;
    int open = -1;
    int64_t known = 1;
    for (int i = 0; i < y.rank; i++) {
        const int n = p->shape[i];
        TUFF_REQUIRE(n > 0 || (n == -1 && open < 0), ARG,
                     "shape[%d] is %d: dims are at least 1, and one may be -1", i, n);
        TUFF_REQUIRE(n < 0 || known <= count / n, SHAPE,
                     "the shape has more than x's %lld elements", (long long)count);
        if (n < 0) open = i;
        else known *= n;
        y.dim[i] = n;
    }
    if (y.rank == 0) open = y.rank++; // nothing was said: one dim
    if (open >= 0) y.dim[open] = count / known;
    TUFF_REQUIRE(tuff_desc_count(&y) == count, SHAPE,
                 "the shape does not hold x's %lld elements", (long long)count);
    out[0] = y;
    return TUFF_OK;
}

static void reshape_ref(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) r->out[0][i] = r->in[0][i];
}

static tuff_move reshape_move(const tuff_call *c)
{
    return (tuff_move){ .rank = 1, .dim = { tuff_desc_count(&c->in[0]) }, .in_step = { 1 },
                        .out_step = { 1 } };
}

static bool reshape_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = reshape_move(c);
    return tuff_move_texel(c, k, p, 0, &m);
}

static bool reshape_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = reshape_move(c);
    return tuff_move_plain(c, k, p, 0, &m);
}

static void reshape_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = t->reshape(t, dy[0], &n->call.in[0]);
}

const tuff_op tuff_op_reshape = {
    .name = "reshape", .onnx = "Reshape", XY, COMMON,
    .doc = "the same elements in the same order under another shape",
    .params_size = sizeof(tuff_reshape_params),
    .params = { TUFF_INTS(tuff_reshape_params, shape, NULL),
                TUFF_INT(tuff_reshape_params, rank) },
    .infer = reshape_infer, .ref = reshape_ref, .grad = reshape_grad,
    .variants = { TUFF_KERNEL("texel", reshape_texel), TUFF_KERNEL("plain", reshape_plain) },
    .cases = TUFF_CASES("1", "[] shape=1,1", "3x257", "6x35 shape=-1,7",
                        "12x5x4 shape=3,-1 rank=2", "5x2x7 shape=1,10,7,1")
};

tuff_status tuff_reshape(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_reshape_params *p)
{
    return tuff_run(s, &tuff_op_reshape, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- expand --------------------------------------------------------------------------------

static tuff_status expand_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0], *like = &c->in[1];
    bool fits = x->rank <= like->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = x->dim[i] == 1 || x->dim[i] == like->dim[like->rank - x->rank + i];
    char tx[96], tl[96];
    TUFF_REQUIRE(fits, SHAPE, "x is %s, it cannot be repeated to %s",
                 tuff_desc_print(x, tx, sizeof tx), tuff_desc_print(like, tl, sizeof tl));
    out[0] = *like;
    return TUFF_OK;
}

static void expand_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0, step = 1;
        for (int d = y->rank - 1, e = x->rank - 1; e >= 0; d--, e--) {
            if (x->dim[e] > 1) at += left % (size_t)y->dim[d] * step;
            step *= (size_t)x->dim[e];
            left /= (size_t)y->dim[d];
        }
        r->out[0][i] = r->in[0][at];
    }
}

static tuff_move expand_move(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    tuff_move m = { .rank = y->rank };
    memcpy(m.dim, y->dim, sizeof m.dim);
    tuff_steps_as(&c->in[0], y, m.in_step);
    tuff_steps(y, m.out_step);
    return m;
}

static bool expand_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = expand_move(c);
    return tuff_move_texel(c, k, p, 0, &m);
}

static bool expand_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = expand_move(c);
    return tuff_move_plain(c, k, p, 0, &m);
}

static void expand_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
}

const tuff_op tuff_op_expand = {
    .name = "expand", .onnx = "Expand", COMMON,
    .doc = "x repeated to the shape of `like`, whose elements are not read",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "like", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true, .alias_in = 1 } },
    .infer = expand_infer, .ref = expand_ref, .grad = expand_grad,
    .variants = { TUFF_KERNEL("texel", expand_texel), TUFF_KERNEL("plain", expand_plain) },
    .cases = TUFF_CASES("[] 7", "1 257x13", "11 3x7x11", "13x1 13x8", "6x1x1 2x6x4x8",
                        "5x1x7 5x3x7", "3x1x2x1x2x1x1 2x3x3x2x1x2x3x2")
};

tuff_status tuff_expand(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_expand, TUFF_RUN_IN(x, y), TUFF_RUN_OUT(y), NULL);
}
