// nm_matmul, nm_to_dense and nm_values_grad. Kernels: sparse_plan.c.
#include "ops/codebook.h"
#include "ops/ops.h"
#include "ops/sparse.h"

enum { VALUES, INDICES, B };

bool tuff_sparse_nm(const tuff_nm_params *p, tuff_sparse *a)
{
    const bool given = p->keep || p->of;
    *a = (tuff_sparse){ .keep = given ? p->keep : 2, .of = given ? p->of : 4,
                        .linear = p->linear, .height = 1, .width = 1 };
    a->bits = a->of == 4 ? 2 : a->of == 8 ? 3 : a->of == 16 ? 4 : 0;
    return a->bits && a->keep >= 1 && a->keep < a->of;
}

int64_t tuff_nm_words(int64_t cols, const tuff_nm_params *p)
{
    static const tuff_nm_params two_of_four;
    tuff_sparse a;
    if (!tuff_sparse_nm(p ? p : &two_of_four, &a) || cols < 1 || cols % a.of) return 0;
    return tuff_codebook_words(a.bits, cols / a.of * a.keep);
}

// Fills in k and what follows from it.
static tuff_status check(const tuff_nm_params *p, int64_t k, const tuff_desc *indices,
                         tuff_sparse *a)
{
    char t[96];
    TUFF_REQUIRE(tuff_sparse_nm(p, a), ARG, "keep is %d, of is %d: of is 4, 8 or 16, and keep "
                 "is at least 1 and below it", p->keep, p->of);
    TUFF_REQUIRE(k % a->of == 0, SHAPE, "K is %lld, expected a multiple of %d", (long long)k,
                 a->of);
    a->k = k;
    a->length = k / a->of * a->keep;
    a->words = tuff_codebook_words(a->bits, a->length);
    TUFF_REQUIRE(indices->rank == 2 && indices->dim[1] == a->words, SHAPE, "indices is %s, "
                 "expected [M, %lld]: the words of %lld places of %d bits",
                 tuff_desc_print(indices, t, sizeof t), (long long)a->words,
                 (long long)a->length, a->bits);
    a->m = indices->dim[0];
    a->count = a->m * a->length;
    return TUFF_OK;
}

static tuff_status check_values(const tuff_desc *values, const tuff_sparse *a)
{
    char t[96];
    TUFF_REQUIRE(values->rank == 2 && values->dim[0] == a->m && values->dim[1] == a->length,
                 SHAPE, "values is %s, expected [%lld, %lld]",
                 tuff_desc_print(values, t, sizeof t), (long long)a->m, (long long)a->length);
    return TUFF_OK;
}

static tuff_status check_b(const tuff_desc *b)
{
    char t[96];
    TUFF_REQUIRE(b->rank == 2, SHAPE, "b is %s, expected 2 dims",
                 tuff_desc_print(b, t, sizeof t));
    return TUFF_OK;
}

static tuff_sparse_data data_of(const void *values, const void *indices)
{
    return (tuff_sparse_data){ .values = values, .indices = indices };
}

// Places that differ within a group, in order.
static void draw(const tuff_sparse *a, uint32_t *indices)
{
    for (int64_t i = 0; i < a->m * a->words; i++) indices[i] = 0;
    for (int64_t row = 0; row < a->m; row++)
        for (int64_t i = 0; i < a->length; i++) {
            const int64_t g = i / a->keep, room = a->of - a->keep;
            const int64_t place = i % a->keep + (g * 7 + row * 3) % (room + 1);
            tuff_codebook_put(a->bits, indices + row * a->words, i, (uint32_t)place);
        }
}

#define NM_PARAMS(...)                                                          \
    .params_size = sizeof(tuff_nm_params),                                      \
    .params = { TUFF_POSITIVE(tuff_nm_params, keep),                            \
                TUFF_POSITIVE(tuff_nm_params, of), __VA_ARGS__ }

// ---- nm_matmul -----------------------------------------------------------------------------

static tuff_status sparse_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_nm_params *p = c->params;
    const tuff_desc *b = &c->in[B];
    TUFF_TRY(check_b(b));
    TUFF_TRY(check(p, b->dim[p->linear], &c->in[INDICES], a));
    a->n = b->dim[!p->linear];
    return check_values(&c->in[VALUES], a);
}

TUFF_SPARSE_SHAPES

static void ref(const tuff_ref *r)
{
    const tuff_sparse a = known(r->call);
    const tuff_sparse_data d = data_of(r->in[VALUES], r->in[INDICES]);
    for (size_t m = r->begin; m < r->end; m++)
        tuff_sparse_ref_matmul(&a, &d, r->in[B], r->out[0], (int64_t)m);
}

static tuff_sparse_plan plan_of(const tuff_call *c)
{
    return (tuff_sparse_plan){ .call = c, .a = known(c),
                               .in = { .values = VALUES, .cols = INDICES, .rows = -1,
                                       .b = B } };
}

TUFF_SPARSE_PLANS
TUFF_SPARSE_HOST(data_of(r->in[VALUES], r->in[INDICES]))

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_sparse a = known(&n->call);
    const tuff_nm_params p = { .keep = a.keep, .of = a.of, .linear = a.linear };
    const tuff_nm_params whole = { .keep = a.keep, .of = a.of };
    dx[VALUES] = TUFF_V(t, &tuff_op_nm_values_grad, &p, dy[0], n->in[B], n->in[INDICES]);
    const tuff_var dense = TUFF_V(t, &tuff_op_nm_to_dense, &whole, n->in[VALUES],
                                  n->in[INDICES]);
    dx[B] = tuff_sparse_grad_b(t, dense, dy[0], a.linear);
}

static void prepare(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known(c);
    draw(&a, in[INDICES]);
}

const tuff_op tuff_op_nm_matmul = {
    .name = "nm_matmul",
    .doc = "y = A b, or b A^T where linear; of every `of` neighbours in a row A keeps `keep`",
    .in = { { .name = "values", .dtypes = TUFF_FLOATS },
            { .name = "indices", .dtypes = TUFF_U32, .no_grad = true },
            { .name = "b", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y" } },
    NM_PARAMS(TUFF_BOOLEAN(tuff_nm_params, linear)),
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = TUFF_SPARSE_VARIANTS, .hosts = TUFF_SPARSE_HOSTS,
    .tol = { .f32 = 1e-5f }, // as matmul's
    .sample = { -1, 1 },
    .prepare = prepare,
    .cases = TUFF_CASES("1x2 1x1 4x1", "13x22 13x2 44x5", "13x22 13x2 5x44 linear=1",
                        "7x12 7x2 32x8 keep=3 of=8", "9x5 9x1 1x80 keep=1 of=16 linear=1",
                        "33x100 33x7 1x200 linear=1", "1x70002 1x4376 140004x1")
};

tuff_status tuff_nm_matmul(tuff_stream *s, const tuff_tensor *values,
                           const tuff_tensor *indices, const tuff_tensor *b, tuff_tensor *y,
                           const tuff_nm_params *p)
{
    return tuff_run(s, &tuff_op_nm_matmul, TUFF_RUN_IN(values, indices, b), TUFF_RUN_OUT(y), p);
}

// ---- nm_to_dense ---------------------------------------------------------------------------

static tuff_status dense_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_nm_params *p = c->params;
    const tuff_desc *values = &c->in[VALUES];
    char t[96];
    TUFF_REQUIRE(values->rank == 2, SHAPE, "values is %s, expected 2 dims",
                 tuff_desc_print(values, t, sizeof t));
    (void)tuff_sparse_nm(p, a); // `check` says so
    TUFF_REQUIRE(a->keep > 0 && values->dim[1] % a->keep == 0, SHAPE, "values is %s: %lld is "
                 "no multiple of keep, which is %d", tuff_desc_print(values, t, sizeof t),
                 (long long)values->dim[1], a->keep);
    TUFF_TRY(check(p, values->dim[1] / a->keep * a->of, &c->in[INDICES], a));
    a->n = 1;
    return check_values(values, a);
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
    const tuff_sparse_data d = data_of(r->in[VALUES], r->in[INDICES]);
    for (size_t m = r->begin; m < r->end; m++)
        tuff_sparse_ref_dense(&a, &d, r->out[0], (int64_t)m);
}

static bool plan_dense(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_sparse_plan s = { .call = c, .a = known_dense(c),
                                 .in = { .values = VALUES, .cols = INDICES, .rows = -1 } };
    return tuff_sparse_plan_dense(&s, k, p);
}

static void prepare_dense(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known_dense(c);
    draw(&a, in[INDICES]);
}

const tuff_op tuff_op_nm_to_dense = {
    .name = "nm_to_dense",
    .doc = "y = A, which keeps `keep` of every `of` neighbours in a row; 0 elsewhere",
    .in = { { .name = "values", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "indices", .dtypes = TUFF_U32, .no_grad = true } },
    .out = { { .name = "y" } },
    NM_PARAMS({ .name = NULL }),
    .infer = infer_dense, .ref = ref_dense, .units = units_dense,
    .variants = { TUFF_KERNEL("plain", plan_dense) },
    .tol = { .f32 = 0 }, // numbers are copied
    .sample = { -2, 2 },
    .prepare = prepare_dense,
    .cases = TUFF_CASES("1x2 1x1", "13x22 13x2", "7x12 7x2 keep=3 of=8", "9x5 9x1 keep=1 of=16")
};

tuff_status tuff_nm_to_dense(tuff_stream *s, const tuff_tensor *values,
                             const tuff_tensor *indices, tuff_tensor *y,
                             const tuff_nm_params *p)
{
    return tuff_run(s, &tuff_op_nm_to_dense, TUFF_RUN_IN(values, indices), TUFF_RUN_OUT(y), p);
}

// ---- nm_values_grad ------------------------------------------------------------------------

enum { DY, OF_B, OF_INDICES };

static tuff_status values_of(const tuff_call *c, tuff_sparse *a)
{
    const tuff_nm_params *p = c->params;
    const tuff_desc *b = &c->in[OF_B];
    char t[96], u[96];
    TUFF_TRY(check_b(b));
    TUFF_TRY(check(p, b->dim[p->linear], &c->in[OF_INDICES], a));
    a->n = b->dim[!p->linear];
    const tuff_desc y = tuff_sparse_y(a, c->in[DY].dtype);
    TUFF_REQUIRE(tuff_desc_equal(&c->in[DY], &y), SHAPE, "dy is %s, expected %s",
                 tuff_desc_print(&c->in[DY], t, sizeof t), tuff_desc_print(&y, u, sizeof u));
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
    tuff_sparse a;
    TUFF_TRY(values_of(c, &a));
    out[0] = TUFF_SHAPE(c->in[DY].dtype, a.m, a.length);
    return TUFF_OK;
}

static size_t units_values(const tuff_call *c) { return (size_t)known_values(c).m; }

static void ref_values(const tuff_ref *r)
{
    const tuff_sparse a = known_values(r->call);
    const tuff_sparse_data d = data_of(NULL, r->in[OF_INDICES]);
    for (size_t m = r->begin; m < r->end; m++)
        tuff_sparse_ref_values(&a, &d, r->in[DY], r->in[OF_B], r->out[0], (int64_t)m);
}

static bool plan_values(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_sparse_plan s = { .call = c, .a = known_values(c),
                                 .in = { .dy = DY, .b = OF_B, .cols = OF_INDICES,
                                         .rows = -1 } };
    return tuff_sparse_plan_values(&s, k, p);
}

static void prepare_values(const tuff_call *c, void *const in[])
{
    const tuff_sparse a = known_values(c);
    draw(&a, in[OF_INDICES]);
}

const tuff_op tuff_op_nm_values_grad = {
    .name = "nm_values_grad",
    .doc = "dvalues = sum over n of dy b for every number that A keeps",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "b", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "indices", .dtypes = TUFF_U32, .no_grad = true } },
    .out = { { .name = "dvalues" } },
    NM_PARAMS(TUFF_BOOLEAN(tuff_nm_params, linear)),
    .infer = infer_values, .ref = ref_values, .units = units_values,
    .variants = { TUFF_KERNEL("plain", plan_values) },
    .tol = { .f32 = 1e-5f }, // as matmul's
    .sample = { -1, 1 },
    .prepare = prepare_values,
    .cases = TUFF_CASES("1x1 4x1 1x1", "13x5 44x5 13x2", "5x13 5x44 13x2 linear=1",
                        "7x8 32x8 7x2 keep=3 of=8", "1x9 1x80 9x1 keep=1 of=16 linear=1")
};

tuff_status tuff_nm_values_grad(tuff_stream *s, const tuff_tensor *dy, const tuff_tensor *b,
                                const tuff_tensor *indices, tuff_tensor *dvalues,
                                const tuff_nm_params *p)
{
    return tuff_run(s, &tuff_op_nm_values_grad, TUFF_RUN_IN(dy, b, indices),
                    TUFF_RUN_OUT(dvalues), p);
}
