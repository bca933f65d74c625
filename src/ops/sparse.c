// csr_matmul, bsr_matmul, sparse_to_dense and sparse_values_grad. Kernels: sparse_plan.c.
#include "ops/sparse.h"
#include "base/alloc.h"
#include "base/convert.h"
#include "base/rng.h"
#include "ops/ops.h"

enum { VALUES, COLS, ROWS, B };

static const char *text_of(const tuff_desc *d, char text[96])
{
    return tuff_desc_print(d, text, 96);
}

// Fills in what values, cols and rows say; k and n are not among it.
static tuff_status check_blocks(const tuff_desc *values, const tuff_desc *cols,
                                const tuff_desc *rows, int rank, tuff_sparse *a)
{
    char t[96];
    TUFF_REQUIRE(cols->rank == 1, SHAPE, "cols is %s, expected 1 dim", text_of(cols, t));
    TUFF_REQUIRE(rows->rank == 1 && rows->dim[0] >= 2, SHAPE,
                 "rows is %s, expected 1 dim of at least 2", text_of(rows, t));
    a->count = cols->dim[0];
    if (values) {
        TUFF_REQUIRE(values->rank == rank && values->dim[0] == a->count, SHAPE,
                     rank == 1 ? "values is %s, expected [%lld] as cols has"
                               : "values is %s, expected [%lld, height, width]",
                     text_of(values, t), (long long)a->count);
        a->height = rank == 1 ? 1 : values->dim[1];
        a->width = rank == 1 ? 1 : values->dim[2];
    }
    a->m = (rows->dim[0] - 1) * a->height;
    return TUFF_OK;
}

static tuff_status check_b(const tuff_desc *b, tuff_sparse *a)
{
    char t[96];
    TUFF_REQUIRE(b->rank == 2, SHAPE, "b is %s, expected 2 dims", text_of(b, t));
    a->k = b->dim[a->linear];
    a->n = b->dim[!a->linear];
    TUFF_REQUIRE(a->k % a->width == 0, SHAPE, "b is %s: %lld is no multiple of the %lld "
                 "columns of a block", text_of(b, t), (long long)a->k, (long long)a->width);
    return TUFF_OK;
}

static tuff_sparse_data data_of(const void *values, const void *cols, const void *rows)
{
    return (tuff_sparse_data){ .values = values, .cols = cols, .rows = rows };
}

// Rows of different lengths, some of them empty, that fill all blocks but the last, where there
// are several; columns that rise within a row.
static void draw(const tuff_sparse *a, int32_t *cols, int32_t *rows)
{
    const int64_t count = a->m / a->height, wide = a->k / a->width;
    const int64_t used = a->count > 1 ? a->count - 1 : a->count;
    tuff_rng rng = { .seed = (uint64_t)a->count * 31 + (uint64_t)a->m };
    rows[0] = 0;
    for (int64_t r = 1; r <= count; r++) {
        int64_t at = r == count ? used : used * r / count - tuff_rng_below(&rng, 3);
        if (at < rows[r - 1]) at = rows[r - 1];
        if (at > rows[r - 1] + wide) at = rows[r - 1] + wide;
        rows[r] = (int32_t)at;
        for (int64_t e = rows[r - 1]; e < at; e++) {
            const int64_t i = e - rows[r - 1], n = at - rows[r - 1];
            const int64_t low = wide * i / n, high = wide * (i + 1) / n;
            cols[e] = (int32_t)(low + tuff_rng_below(&rng, (uint32_t)(high - low)));
        }
    }
    for (int64_t e = rows[count]; e < a->count; e++) cols[e] = 0;
}

// Draws for the inputs `cols` and `rows` of a call, whatever their type.
static void draw_inputs(const tuff_call *c, const tuff_sparse *a, int cols, int rows,
                        void *const in[])
{
    const size_t count = (size_t)a->count, starts = (size_t)(a->m / a->height) + 1;
    int32_t *drawn = tuff_alloc(count + starts, sizeof *drawn);
    if (!drawn) return;
    draw(a, drawn, drawn + count);
    tuff_convert(TUFF_I32, drawn, c->in[cols].dtype, in[cols], false, 0, count);
    tuff_convert(TUFF_I32, drawn + count, c->in[rows].dtype, in[rows], false, 0, starts);
    tuff_free(drawn);
}

// ---- products ------------------------------------------------------------------------------

static tuff_status sparse_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_sparse_matmul_params *p = c->params;
    *a = (tuff_sparse){ .linear = p->linear };
    TUFF_TRY(check_blocks(&c->in[VALUES], &c->in[COLS], &c->in[ROWS],
                          c->op == &tuff_op_bsr_matmul ? 3 : 1, a));
    return check_b(&c->in[B], a);
}

TUFF_SPARSE_SHAPES

static void ref(const tuff_ref *r)
{
    const tuff_sparse a = known(r->call);
    const tuff_sparse_data d = data_of(r->in[VALUES], r->in[COLS], r->in[ROWS]);
    for (size_t m = r->begin; m < r->end; m++)
        tuff_sparse_ref_matmul(&a, &d, r->in[B], r->out[0], (int64_t)m);
}

static tuff_sparse_plan plan_of(const tuff_call *c)
{
    return (tuff_sparse_plan){ .call = c, .a = known(c),
                               .in = { .values = VALUES, .cols = COLS, .rows = ROWS, .b = B } };
}

TUFF_SPARSE_PLANS
TUFF_SPARSE_HOST(data_of(r->in[VALUES], r->in[COLS], r->in[ROWS]))

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_sparse a = known(&n->call);
    const bool blocks = n->call.op == &tuff_op_bsr_matmul;
    const tuff_sparse_dense_params whole = { .cols = a.k };
    const tuff_sparse_grad_params by_value = { .height = blocks ? (int)a.height : 0,
                                               .width = blocks ? (int)a.width : 0,
                                               .linear = a.linear };
    dx[VALUES] = TUFF_V(t, &tuff_op_sparse_values_grad, &by_value, dy[0], n->in[B], n->in[COLS],
                        n->in[ROWS]);
    const tuff_var dense = TUFF_V(t, &tuff_op_sparse_to_dense, &whole, n->in[VALUES],
                                  n->in[COLS], n->in[ROWS]);
    dx[B] = tuff_sparse_grad_b(t, dense, dy[0], a.linear);
}

static void prepare(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known(c);
    draw_inputs(c, &a, COLS, ROWS, in);
}

#define SPARSE_IN                                                               \
    { .name = "values", .dtypes = TUFF_FLOATS },                                \
        { .name = "cols", .dtypes = TUFF_INDEX, .no_grad = true },              \
    { .name = "rows", .dtypes = TUFF_INDEX, .no_grad = true }
#define PRODUCT                                                                 \
    .in = { SPARSE_IN, { .name = "b", .dtypes = TUFF_FLOATS } },                \
    .out = { { .name = "y" } }, .params_size = sizeof(tuff_sparse_matmul_params), \
    .params = { TUFF_BOOLEAN(tuff_sparse_matmul_params, linear) }, .infer = infer, \
    .ref = ref, .units = units, .grad = grad, .cost = cost, .prepare = prepare, \
    .variants = TUFF_SPARSE_VARIANTS, .hosts = TUFF_SPARSE_HOSTS,               \
    .tol = { .f32 = 1e-5f }, /* as matmul's */                                  \
    .sample = { -1, 1 }

const tuff_op tuff_op_csr_matmul = {
    .name = "csr_matmul",
    .doc = "y = A b, or b A^T where linear; A's numbers are values, by rows",
    PRODUCT,
    // A row over the limit of loops; more rows than the weakest device has texels.
    .cases = TUFF_CASES("1 1 2 1x1", "107 107 14 37x5", "107 107 14 5x37 linear=1",
                        "331 331 34 65x8", "47 47 12 1x19 linear=1", "40001 40001 2 40003x1",
                        "70001 70001 70002 3x1")
};

const tuff_op tuff_op_bsr_matmul = {
    .name = "bsr_matmul",
    .doc = "y = A b, or b A^T where linear; A's blocks [height, width] are values, by rows",
    PRODUCT,
    .cases = TUFF_CASES("1x1x1 1 2 1x1", "13x4x4 13 6 20x7", "29x8x8 29 8 40x12",
                        "17x2x5 17 9 5x35 linear=1", "11x4x4 11 4 1x24 linear=1",
                        "67x1x1 67 8 5x33 linear=1")
};

tuff_status tuff_csr_matmul(tuff_stream *s, const tuff_tensor *values, const tuff_tensor *cols,
                            const tuff_tensor *rows, const tuff_tensor *b, tuff_tensor *y,
                            const tuff_sparse_matmul_params *p)
{
    return tuff_run(s, &tuff_op_csr_matmul, TUFF_RUN_IN(values, cols, rows, b),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_bsr_matmul(tuff_stream *s, const tuff_tensor *values, const tuff_tensor *cols,
                            const tuff_tensor *rows, const tuff_tensor *b, tuff_tensor *y,
                            const tuff_sparse_matmul_params *p)
{
    return tuff_run(s, &tuff_op_bsr_matmul, TUFF_RUN_IN(values, cols, rows, b),
                    TUFF_RUN_OUT(y), p);
}

// ---- sparse_to_dense -----------------------------------------------------------------------

static tuff_status dense_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_sparse_dense_params *p = c->params;
    *a = (tuff_sparse){ .n = 1 };
    TUFF_TRY(check_blocks(&c->in[VALUES], &c->in[COLS], &c->in[ROWS],
                          c->in[VALUES].rank == 3 ? 3 : 1, a));
    a->k = p->cols ? p->cols : a->m;
    TUFF_REQUIRE(a->k > 0 && a->k % a->width == 0, ARG, "cols is %lld, expected a multiple of "
                 "the %lld columns of a block", (long long)a->k, (long long)a->width);
    return TUFF_OK;
}

static tuff_sparse known_dense(const tuff_call *c)
{
    tuff_sparse a;
    (void)(dense_of(c, &a) == TUFF_OK);
    return a;
}

static tuff_status infer_dense(const tuff_call *c, tuff_desc out[])
{
    tuff_sparse a;
    TUFF_TRY(dense_of(c, &a));
    out[0] = TUFF_SHAPE(c->in[VALUES].dtype, a.m, a.k);
    return TUFF_OK;
}

static size_t units_dense(const tuff_call *c) { return (size_t)known_dense(c).m; }

static void ref_dense(const tuff_ref *r)
{
    const tuff_sparse a = known_dense(r->call);
    const tuff_sparse_data d = data_of(r->in[VALUES], r->in[COLS], r->in[ROWS]);
    for (size_t m = r->begin; m < r->end; m++)
        tuff_sparse_ref_dense(&a, &d, r->out[0], (int64_t)m);
}

static bool plan_dense(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_sparse_plan s = { .call = c, .a = known_dense(c),
                                 .in = { .values = VALUES, .cols = COLS, .rows = ROWS } };
    return tuff_sparse_plan_dense(&s, k, p);
}

static void prepare_dense(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known_dense(c);
    draw_inputs(c, &a, COLS, ROWS, in);
}

const tuff_op tuff_op_sparse_to_dense = {
    .name = "sparse_to_dense",
    .doc = "y = A, whose numbers or blocks are values, by rows; 0 elsewhere",
    .in = { { .name = "values", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "cols", .dtypes = TUFF_INDEX, .no_grad = true },
            { .name = "rows", .dtypes = TUFF_INDEX, .no_grad = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_sparse_dense_params),
    .params = { TUFF_INT64(tuff_sparse_dense_params, cols) },
    .infer = infer_dense, .ref = ref_dense, .units = units_dense,
    .variants = { TUFF_KERNEL("plain", plan_dense) },
    .tol = { .f32 = 0 }, // a sum of few numbers, in their order
    .sample = { -2, 2 },
    .prepare = prepare_dense,
    .cases = TUFF_CASES("1 1 2", "107 107 14 cols=37", "13x4x4 13 6", "17x2x5 17 9 cols=35",
                        "40001 40001 2 cols=40003", "70001 70001 70002 cols=3")
};

tuff_status tuff_sparse_to_dense(tuff_stream *s, const tuff_tensor *values,
                                 const tuff_tensor *cols, const tuff_tensor *rows,
                                 tuff_tensor *y, const tuff_sparse_dense_params *p)
{
    return tuff_run(s, &tuff_op_sparse_to_dense, TUFF_RUN_IN(values, cols, rows),
                    TUFF_RUN_OUT(y), p);
}

// ---- sparse_values_grad --------------------------------------------------------------------

enum { DY, OF_B, OF_COLS, OF_ROWS };

static tuff_status values_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_sparse_grad_params *p = c->params;
    char t[96], u[96];
    TUFF_REQUIRE(p->height >= 0 && p->width >= 0 && !p->height == !p->width, ARG,
                 "height is %d, width is %d: both are at least 1, or 0 for CSR", p->height,
                 p->width);
    *a = (tuff_sparse){ .linear = p->linear, .height = p->height ? p->height : 1,
                        .width = p->width ? p->width : 1 };
    TUFF_TRY(check_blocks(NULL, &c->in[OF_COLS], &c->in[OF_ROWS], 0, a));
    TUFF_TRY(check_b(&c->in[OF_B], a));
    const tuff_desc *dy = &c->in[DY], y = tuff_sparse_y(a, dy->dtype);
    TUFF_REQUIRE(tuff_desc_equal(dy, &y), SHAPE, "dy is %s, expected %s", text_of(dy, t),
                 text_of(&y, u));
    return TUFF_OK;
}

static tuff_sparse known_values(const tuff_call *c)
{
    tuff_sparse a;
    (void)(values_of(c, &a) == TUFF_OK);
    return a;
}

static tuff_status infer_values(const tuff_call *c, tuff_desc out[])
{
    const tuff_sparse_grad_params *p = c->params;
    tuff_sparse a;
    TUFF_TRY(values_of(c, &a));
    const tuff_dtype type = c->in[DY].dtype;
    out[0] = p->height ? TUFF_SHAPE(type, a.count, a.height, a.width)
                       : TUFF_SHAPE(type, a.count);
    return TUFF_OK;
}

static void ref_values(const tuff_ref *r)
{
    const tuff_sparse a = known_values(r->call);
    const tuff_sparse_data d = data_of(NULL, r->in[OF_COLS], r->in[OF_ROWS]);
    for (int64_t i = 0; i < tuff_desc_count(&r->call->out[0]); i++) r->out[0][i] = 0;
    for (int64_t m = 0; m < a.m; m++)
        tuff_sparse_ref_values(&a, &d, r->in[DY], r->in[OF_B], r->out[0], m);
}

static bool plan_values(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_sparse_plan s = { .call = c, .a = known_values(c),
                                 .in = { .dy = DY, .b = OF_B, .cols = OF_COLS,
                                         .rows = OF_ROWS } };
    return tuff_sparse_plan_values(&s, k, p);
}

static void prepare_values(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known_values(c);
    draw_inputs(c, &a, OF_COLS, OF_ROWS, in);
}

const tuff_op tuff_op_sparse_values_grad = {
    .name = "sparse_values_grad",
    .doc = "dvalues = sum over n of dy b for every number that A keeps",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "b", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "cols", .dtypes = TUFF_INDEX, .no_grad = true },
            { .name = "rows", .dtypes = TUFF_INDEX, .no_grad = true } },
    .out = { { .name = "dvalues" } },
    .params_size = sizeof(tuff_sparse_grad_params),
    .params = { TUFF_INT(tuff_sparse_grad_params, height),
                TUFF_INT(tuff_sparse_grad_params, width),
                TUFF_BOOLEAN(tuff_sparse_grad_params, linear) },
    .infer = infer_values, .ref = ref_values,
    .variants = { TUFF_KERNEL("plain", plan_values) },
    .tol = { .f32 = 1e-5f }, // as matmul's
    .sample = { -1, 1 },
    .prepare = prepare_values,
    .cases = TUFF_CASES("1x1 1x1 1 2", "13x5 37x5 107 14", "5x13 5x37 107 14 linear=1",
                        "20x7 24x7 13 6 height=4 width=4", "1x40001 3x40001 2 2",
                        "70001x1 3x1 70001 70002")
};

tuff_status tuff_sparse_values_grad(tuff_stream *s, const tuff_tensor *dy, const tuff_tensor *b,
                                    const tuff_tensor *cols, const tuff_tensor *rows,
                                    tuff_tensor *dvalues, const tuff_sparse_grad_params *p)
{
    return tuff_run(s, &tuff_op_sparse_values_grad, TUFF_RUN_IN(dy, b, cols, rows),
                    TUFF_RUN_OUT(dvalues), p);
}
