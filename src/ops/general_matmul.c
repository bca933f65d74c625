// gemm and outer: matmul's kernels under other names.
#include "ops/compose.h"
#include "ops/matmul.h"
#include <math.h>

enum { A, B, C };

// ---- gemm ----------------------------------------------------------------------------------

static float or_one(float v) { return (float)tuff_number(v, 1); }

static void gemm_shape(const tuff_call *c, tuff_matmul_shape *s)
{
    const tuff_gemm_params *p = c->params;
    const int64_t *a = c->in[A].dim, *b = c->in[B].dim;
    *s = (tuff_matmul_shape){ .a = A, .b = B, .m = a[p->trans_a], .k = a[!p->trans_a],
                              .n = b[!p->trans_b], .batches = 1 };
    s->a_m = p->trans_a ? 1 : s->k;
    s->a_k = p->trans_a ? s->m : 1;
    s->b_k = p->trans_b ? 1 : s->n;
    s->b_n = p->trans_b ? s->k : 1;
}

static tuff_status gemm_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_gemm_params *p = c->params;
    const tuff_desc *a = &c->in[A], *b = &c->in[B], *plus = &c->in[C];
    char ta[96], tb[96];
    tuff_matmul_shape s;
    TUFF_REQUIRE(a->rank == 2 && b->rank == 2, SHAPE, "a is %s, b is %s: each needs 2 dims",
                 tuff_desc_print(a, ta, sizeof ta), tuff_desc_print(b, tb, sizeof tb));
    gemm_shape(c, &s);
    TUFF_REQUIRE(s.k == b->dim[p->trans_b], SHAPE,
                 "a is %s, b is %s: the inner sizes %lld and %lld differ",
                 tuff_desc_print(a, ta, sizeof ta), tuff_desc_print(b, tb, sizeof tb),
                 (long long)s.k, (long long)b->dim[p->trans_b]);
    out[0] = TUFF_SHAPE(a->dtype, s.m, s.n);
    bool fits = true;
    for (int i = 0; tuff_call_has(c, C) && i < plus->rank; i++) {
        const int64_t n = plus->dim[plus->rank - 1 - i];
        fits = fits && (n == 1 || (i < 2 && n == out[0].dim[1 - i]));
    }
    TUFF_REQUIRE(fits && (!tuff_call_has(c, C) || plus->rank <= 2), SHAPE,
                 "c is %s, it cannot be repeated to %s",
                 tuff_desc_print(plus, ta, sizeof ta), tuff_desc_print(&out[0], tb, sizeof tb));
    return TUFF_OK;
}

// Size of c along y's rows (1) or columns (0); 1 where it is repeated.
static int64_t c_dim(const tuff_call *c, int i)
{
    return i < c->in[C].rank ? c->in[C].dim[c->in[C].rank - 1 - i] : 1;
}

// One unit is one row of y.
static void gemm_ref(const tuff_ref *r)
{
    const tuff_gemm_params *p = r->call->params;
    const double alpha = or_one(p->alpha), beta = or_one(p->beta);
    double sum[TUFF_MATMUL_BLOCK];
    tuff_matmul_shape s;
    gemm_shape(r->call, &s);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t i = (int64_t)unit, row = r->in[C] && c_dim(r->call, 1) > 1 ? i : 0;
        for (int64_t first = 0; first < s.n; first += TUFF_MATMUL_BLOCK) {
            const int64_t left = s.n - first;
            const int64_t cols = left < TUFF_MATMUL_BLOCK ? left : TUFF_MATMUL_BLOCK;
            tuff_matmul_sum_row(&s, r->in[A] + i * s.a_m, r->in[B] + first * s.b_n, cols, sum);
            for (int64_t j = 0; j < cols; j++) {
                sum[j] *= alpha;
                const int64_t width = r->in[C] ? c_dim(r->call, 0) : 0;
                const int64_t at = row * width + (width > 1 ? first + j : 0);
                if (r->in[C]) sum[j] += beta * r->in[C][at];
                r->out[0][i * s.n + first + j] = (float)sum[j];
            }
        }
    }
}

static tuff_finish gemm_finish(const tuff_ref *r)
{
    const tuff_gemm_params *p = r->call->params;
    tuff_finish f = { .plus = r->in[C], .alpha = or_one(p->alpha), .beta = or_one(p->beta) };
    if (!f.plus) return f;
    f.plus_n = c_dim(r->call, 0) > 1;
    f.plus_m = c_dim(r->call, 1) > 1 ? c_dim(r->call, 0) : 0;
    return f;
}
TUFF_MATMUL_HOST(gemm)

static size_t gemm_units(const tuff_call *c) { return (size_t)c->out[0].dim[0]; }

// c is a bias where one of its dims is repeated: element i of y takes c[i / step % n].
static void gemm_product(const tuff_call *c, tuff_product *p, struct tuff_matmul_pc *pc)
{
    const tuff_gemm_params *params = c->params;
    tuff_matmul_shape s;
    gemm_shape(c, &s);
    tuff_matmul_product(c, &s, p, pc);
    p->alpha = params->alpha;
    p->fast = params->fast;
    p->beta = tuff_call_has(c, C) ? params->beta : 1;
    if (!tuff_call_has(c, C)) return;
    const int64_t rows = c_dim(c, 1), cols = c_dim(c, 0);
    if (rows > 1 && cols > 1) {
        p->residual = C;
        return;
    }
    p->bias = C;
    p->bias_step = rows > 1 ? (uint32_t)s.n : 1;
    p->bias_n = (uint32_t)(rows * cols);
    p->apart = p->bias_step != 1 || p->bias_n != (uint32_t)s.n;
}
TUFF_MATMUL_PLANS(gemm)

static tuff_cost product_cost(const tuff_call *c)
{
    const double n = (double)c->out[0].dim[1];
    return (tuff_cost){ 2 * (double)tuff_desc_count(&c->in[A]) * n, tuff_call_bytes(c) };
}

static tuff_var scaled(tuff_tape *t, tuff_var v, float by)
{
    return by == 1 ? v : tuff_scaled(t, v, by);
}

// With d = alpha dy the rules of matmul; an input given transposed gets the transpose of its
// gradient, which is another product of the same two.
static void gemm_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_gemm_params *p = n->call.params;
    const tuff_var a = n->in[A], b = n->in[B], d = scaled(t, dy[0], or_one(p->alpha));
    const tuff_matmul_params by_a = { .trans_a = p->trans_a && p->trans_b,
                                      .trans_b = p->trans_a || !p->trans_b,
                                      .fast = p->fast };
    const tuff_matmul_params by_b = { .trans_a = !p->trans_a || p->trans_b,
                                      .trans_b = p->trans_a && p->trans_b,
                                      .fast = p->fast };
    dx[A] = p->trans_a ? TUFF_V(t, &tuff_op_matmul, &by_a, b, d)
                       : TUFF_V(t, &tuff_op_matmul, &by_a, d, b);
    dx[B] = p->trans_b ? TUFF_V(t, &tuff_op_matmul, &by_b, d, a)
                       : TUFF_V(t, &tuff_op_matmul, &by_b, a, d);
    if (tuff_call_has(&n->call, C))
        dx[C] = tuff_unbroadcast(t, scaled(t, dy[0], or_one(p->beta)), &n->call.in[C]);
}

#define PORT(name_) { .name = name_, .dtypes = TUFF_FLOATS }

const tuff_op tuff_op_gemm = {
    .name = "gemm", .onnx = "Gemm",
    .doc = "y = alpha a b + beta c, with c repeated to y's shape",
    .in = { PORT("a"), PORT("b"), { .name = "c", .dtypes = TUFF_FLOATS, .optional = true } },
    .out = { PORT("y") },
    .params_size = sizeof(tuff_gemm_params),
    .params = { { .name = "trans_a", .type = TUFF_FIELD_BOOL, .onnx = "transA",
                  .offset = offsetof(tuff_gemm_params, trans_a) },
                { .name = "trans_b", .type = TUFF_FIELD_BOOL, .onnx = "transB",
                  .offset = offsetof(tuff_gemm_params, trans_b) },
                TUFF_FLOAT_ZERO(tuff_gemm_params, alpha),
                TUFF_FLOAT_ZERO(tuff_gemm_params, beta),
                TUFF_BOOLEAN(tuff_gemm_params, fast) },
    .infer = gemm_infer, .ref = gemm_ref, .units = gemm_units, .cost = product_cost,
    .grad = gemm_grad, .variants = TUFF_MATMUL_KERNELS(gemm),
    .hosts = TUFF_MATMUL_HOSTS(gemm),
    .tol = { .f32 = 1e-5f }, // as matmul's
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1 1x1", "33x17 17x29 29", "17x33 29x17 33x29 trans_a=1 trans_b=1",
                        "7x5 5x3 7x1 alpha=0.5 beta=2", "7x5 5x3 alpha=-1.5",
                        "7x5 5x3 7x1 beta=0",
                        "131x67 67x129 129 beta=0.25", "5x300 300x7 [] trans_a=0",
                        "13x1 13x11 1x11 trans_a=1 alpha=3",
                        "5x36 19x36 19 trans_b=1 alpha=2")
};

tuff_status tuff_general_matmul(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                                const tuff_tensor *c, tuff_tensor *y,
                                const tuff_gemm_params *p)
{
    return tuff_run(s, &tuff_op_gemm, TUFF_RUN_IN(a, b, c), TUFF_RUN_OUT(y), p);
}

// ---- outer ---------------------------------------------------------------------------------

static tuff_status outer_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(c->in[A].rank == 1 && c->in[B].rank == 1, SHAPE,
                 "a has %d dims and b %d, each must have 1", c->in[A].rank, c->in[B].rank);
    out[0] = TUFF_SHAPE(c->in[A].dtype, c->in[A].dim[0], c->in[B].dim[0]);
    return TUFF_OK;
}

static void outer_ref(const tuff_ref *r)
{
    const size_t n = (size_t)r->call->in[B].dim[0];
    for (size_t i = r->begin; i < r->end; i++)
        for (size_t j = 0; j < n; j++) r->out[0][i * n + j] = r->in[A][i] * r->in[B][j];
}

static void outer_product(const tuff_call *c, tuff_product *p, struct tuff_matmul_pc *pc)
{
    const tuff_matmul_shape s = { .a = A, .b = B, .m = c->in[A].dim[0], .k = 1,
                                  .n = c->in[B].dim[0], .batches = 1, .a_m = 1, .a_k = 1,
                                  .b_k = 1, .b_n = 1 };
    tuff_matmul_product(c, &s, p, pc);
}
TUFF_MATMUL_PLAN(outer, texel)
TUFF_MATMUL_PLAN(outer, plain)

static void outer_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[A] = TUFF_V(t, &tuff_op_matmul, NULL, dy[0], n->in[B]);
    dx[B] = TUFF_V(t, &tuff_op_matmul, NULL, n->in[A], dy[0]);
}

const tuff_op tuff_op_outer = {
    .name = "outer",
    .doc = "y[i, j] = a[i] b[j]",
    .in = { PORT("a"), PORT("b") }, .out = { PORT("y") },
    .infer = outer_infer, .ref = outer_ref, .units = gemm_units, .cost = product_cost,
    .grad = outer_grad,
    .variants = { TUFF_KERNEL("texel", outer_texel), TUFF_KERNEL("plain", outer_plain) },
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("1 1", "7 33", "129 65")
};

tuff_status tuff_outer(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                       tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_outer, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), NULL);
}
