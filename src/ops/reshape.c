// The same elements in the same order under another shape: reshape, squeeze, unsqueeze,
// flatten, identity. Each is a copy; tuff_tensor_view and a graph's reshape share instead.
#include "ops/move.h"
#include "ops/ops.h"
#include <string.h>

static void reshape_ref(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) tuff_put(r, 0, i, 0, (int64_t)i);
}

static tuff_move reshape_move(const tuff_call *c)
{
    return (tuff_move){ .rank = 1, .dim = { tuff_desc_count(&c->in[0]) }, .in_step = { 1 },
                        .out_step = { 1 } };
}
TUFF_ONE_MOVE(reshape)

static int64_t reshape_piece(const tuff_call *c, int input, int output)
{
    (void)c, (void)input, (void)output;
    return 0;
}

static void reshape_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = t->reshape(t, dy[0], &n->call.in[0]);
}

#define COMMON                                                                  \
    TUFF_MOVE_XY, TUFF_MOVE_COMMON, .ref = reshape_ref, .grad = reshape_grad,   \
    .piece = reshape_piece, .variants = TUFF_MOVE_KERNELS(reshape),             \
    TUFF_MOVE_FAST(reshape)

// ---- reshape -------------------------------------------------------------------------------

static tuff_status wrong_count(const tuff_desc *x, const int *shape, int rank)
{
    tuff_desc asked = { .dtype = x->dtype, .rank = rank };
    char text[96], of[96];
    for (int i = 0; i < rank; i++) asked.dim[i] = shape[i];
    return tuff_fail(TUFF_ERR_SHAPE, "shape is %s, it must have the %lld elements of x, %s",
                     strchr(tuff_desc_print(&asked, text, sizeof text), '['),
                     (long long)tuff_desc_count(x), tuff_desc_print(x, of, sizeof of));
}

static tuff_status reshape_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_reshape_params *p = c->params;
    const int64_t count = tuff_desc_count(&c->in[0]);
    TUFF_REQUIRE(p->rank >= 0 && p->rank <= TUFF_MAX_DIMS, ARG,
                 "rank is %d, it must be 0 to %d", p->rank, TUFF_MAX_DIMS);
    tuff_desc y = { .dtype = c->in[0].dtype, .rank = p->rank };
    for (int i = 0; !p->rank && i < TUFF_MAX_DIMS; i++)
        if (p->shape[i]) y.rank = i + 1;
    int open = -1;
    int64_t known = 1;
    for (int i = 0; i < y.rank; i++) {
        const bool same = p->shape[i] == 0 && i < c->in[0].rank;
        const int64_t n = same ? c->in[0].dim[i] : p->shape[i];
        TUFF_REQUIRE(n > 0 || (n == -1 && open < 0), ARG,
                     "shape[%d] is %lld: dims are at least 1, 0 is x's dim there, and one may "
                     "be -1", i, (long long)n);
        if (n > 0 && known > count / n) return wrong_count(&c->in[0], p->shape, y.rank);
        if (n < 0) open = i;
        else known *= n;
        y.dim[i] = n;
    }
    const int said = y.rank;
    if (y.rank == 0) open = y.rank++; // nothing was said: one dim
    if (open >= 0) y.dim[open] = count / known;
    if (tuff_desc_count(&y) != count) return wrong_count(&c->in[0], p->shape, said);
    out[0] = y;
    return TUFF_OK;
}

const tuff_op tuff_op_reshape = {
    .name = "reshape", .onnx = "Reshape", COMMON,
    .doc = "the same elements in the same order under another shape",
    .params_size = sizeof(tuff_reshape_params),
    .params = { TUFF_INTS(tuff_reshape_params, shape, NULL),
                TUFF_INT(tuff_reshape_params, rank) },
    .infer = reshape_infer,
    .cases = TUFF_CASES("1", "[] shape=1,1", "3x257", "6x35 shape=-1,7",
                        "12x5x4 shape=3,-1 rank=2", "5x2x7 shape=1,10,7,1",
                        "5x2x7 shape=0,0,1,-1")
};

tuff_status tuff_reshape(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_reshape_params *p)
{
    return tuff_run(s, &tuff_op_reshape, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- squeeze, unsqueeze --------------------------------------------------------------------

static tuff_status squeeze_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_squeeze_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    tuff_desc y = { .dtype = x->dtype };
    TUFF_REQUIRE(p->axes >> x->rank == 0, ARG, "axes is 0x%x, x has only %d dims", p->axes,
                 x->rank);
    for (int d = 0; d < x->rank; d++) {
        const bool named = p->axes >> (x->rank - 1 - d) & 1;
        TUFF_REQUIRE(!named || x->dim[d] == 1, SHAPE,
                     "dim %d of x is %lld, only dims of 1 are left out", d,
                     (long long)x->dim[d]);
        if (!named && (p->axes || x->dim[d] != 1)) y.dim[y.rank++] = x->dim[d];
    }
    out[0] = y;
    return TUFF_OK;
}

static tuff_status unsqueeze_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_squeeze_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    const uint32_t axes = p->axes ? p->axes : 1;
    tuff_desc y = { .dtype = x->dtype, .rank = x->rank };
    for (int a = 0; a < 32; a++) y.rank += axes >> a & 1;
    TUFF_REQUIRE(y.rank <= TUFF_MAX_DIMS && axes >> y.rank == 0, ARG,
                 "axes is 0x%x, y would have %d dims, %d are the most", axes, y.rank,
                 TUFF_MAX_DIMS);
    for (int d = 0, from = 0; d < y.rank; d++)
        y.dim[d] = axes >> (y.rank - 1 - d) & 1 ? 1 : x->dim[from++];
    out[0] = y;
    return TUFF_OK;
}

const tuff_op tuff_op_squeeze = {
    .name = "squeeze", .onnx = "Squeeze", COMMON,
    .doc = "x without some of its dims of 1 (without axes: without any)",
    .params_size = sizeof(tuff_squeeze_params),
    .params = { TUFF_AXES(tuff_squeeze_params, axes) },
    .infer = squeeze_infer,
    .cases = TUFF_CASES("1", "3x1x257x1", "1x13x1x7 axes=1", "1x13x1x1 axes=0,3")
};

const tuff_op tuff_op_unsqueeze = {
    .name = "unsqueeze", .onnx = "Unsqueeze", COMMON,
    .doc = "x with dims of 1 in addition, at `axes` of y",
    .params_size = sizeof(tuff_squeeze_params),
    .params = { TUFF_NEW_AXES(tuff_squeeze_params, axes) },
    .infer = unsqueeze_infer,
    .cases = TUFF_CASES("[]", "257", "13x7 axes=1", "3x5x7 axes=0,2,5")
};

tuff_status tuff_squeeze(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_squeeze_params *p)
{
    return tuff_run(s, &tuff_op_squeeze, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_unsqueeze(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                           const tuff_squeeze_params *p)
{
    return tuff_run(s, &tuff_op_unsqueeze, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- flatten -------------------------------------------------------------------------------

static tuff_status flatten_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_flatten_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(p->inner >= 0 && p->inner <= x->rank, ARG, "inner is %d, x has %d dims",
                 p->inner, x->rank);
    const int inner = p->inner ? p->inner : x->rank - 1;
    int64_t cols = 1;
    for (int i = 0; i < inner; i++) cols *= x->dim[x->rank - 1 - i];
    out[0] = TUFF_SHAPE(x->dtype, tuff_desc_count(x) / cols, cols);
    return TUFF_OK;
}

// An axis of ONNX's, counted from the innermost and with 1 added, is the number of dims from
// there on.
const tuff_op tuff_op_flatten = {
    .name = "flatten", .onnx = "Flatten", COMMON,
    .doc = "x as a matrix: its dims before `axis` are the rows, those from it on the columns",
    .params_size = sizeof(tuff_flatten_params),
    .params = { { .name = "axis", .type = TUFF_FIELD_DIMS, .count = 1,
                  .offset = offsetof(tuff_flatten_params, inner) } },
    .infer = flatten_infer,
    .cases = TUFF_CASES("[]", "257", "3x5x7x2", "3x5x7x2 axis=1", "3x5x7 axis=2")
};

tuff_status tuff_flatten(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_flatten_params *p)
{
    return tuff_run(s, &tuff_op_flatten, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- identity ------------------------------------------------------------------------------

static tuff_status identity_infer(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

const tuff_op tuff_op_identity = {
    .name = "identity", .onnx = "Identity", COMMON, .doc = "y = x",
    .infer = identity_infer, .cases = TUFF_CASES("1", "257x13")
};

tuff_status tuff_identity(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_identity, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL);
}
