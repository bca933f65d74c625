// matmul: the record, its shapes, reference and gradient. Kernels: matmul_plan.c.
#include "ops/matmul.h"
#include "ops/ops.h"
#include <string.h>

enum { A, B, BIAS, RESIDUAL };

static int64_t last(const tuff_desc *d, int i) { return d->dim[d->rank - 1 - i]; }

// Leading dim i of x, counted from the innermost of them; 1 where x has none.
static int64_t lead(const tuff_desc *x, int i)
{
    return i < x->rank - 2 ? x->dim[x->rank - 3 - i] : 1;
}

// A vector as numpy's matrix: one row on the left, one column on the right.
static tuff_desc as_matrix(const tuff_desc *x, int side)
{
    tuff_desc d = *x;
    if (d.rank != 1) return d;
    d.rank = 2;
    d.dim[1] = side == A ? x->dim[0] : 1;
    d.dim[0] = side == A ? 1 : x->dim[0];
    return d;
}

void tuff_matmul_shape_of(const tuff_call *c, tuff_matmul_shape *s)
{
    const tuff_matmul_params *p = c->params;
    const bool swap = c->in[B].rank == 1;
    const tuff_desc left = as_matrix(&c->in[swap ? B : A], A);
    const tuff_desc right = swap && c->in[A].rank == 1 ? as_matrix(&c->in[A], B)
                                                       : c->in[swap ? A : B];
    const bool trans_l = !swap && p->trans_a, trans_r = swap ? !p->trans_a : p->trans_b;
    const bool turned = trans_r && !(swap && c->in[A].rank == 1);
    const int lead_l = left.rank - 2, lead_r = right.rank - 2;
    *s = (tuff_matmul_shape){ .a = swap ? B : A, .b = swap ? A : B,
                              .m = last(&left, !trans_l), .k = last(&left, trans_l),
                              .n = last(&right, turned), .batches = 1,
                              .dims = lead_l > lead_r ? lead_l : lead_r };
    s->a_m = trans_l ? 1 : s->k;
    s->a_k = trans_l ? s->m : 1;
    s->b_k = turned ? 1 : s->n;
    s->b_n = turned ? s->k : 1;
    int64_t a_step = s->m * s->k, b_step = s->k * s->n;
    for (int i = 0; i < s->dims; i++) {
        const int64_t da = lead(&left, i), db = lead(&right, i);
        s->dim[i] = da > db ? da : db;
        s->a_step[i] = da > 1 ? a_step : 0;
        s->b_step[i] = db > 1 ? b_step : 0;
        a_step *= da;
        b_step *= db;
        s->batches *= s->dim[i];
    }
}

// "[3, 4]", without the type: what a sentence about shapes needs.
static const char *dims_of(const tuff_desc *d, char text[96])
{
    tuff_desc_print(d, text, 96);
    const char *open = strchr(text, '[');
    return open ? open : text;
}

// The inner sizes of both operands, as they were given.
static int64_t inner(const tuff_call *c, int side)
{
    const tuff_matmul_params *p = c->params;
    const tuff_desc x = as_matrix(&c->in[side], side);
    return last(&x, side == A ? p->trans_a : !p->trans_b);
}

static tuff_status infer_y(const tuff_call *c, const tuff_matmul_shape *s, tuff_desc *y)
{
    const tuff_desc *a = &c->in[A], *b = &c->in[B];
    char ta[96], tb[96];
    *y = (tuff_desc){ .dtype = a->dtype };
    for (int i = s->dims - 1; i >= 0; i--) {
        const int64_t da = lead(a, i), db = lead(b, i);
        TUFF_REQUIRE(da == db || da == 1 || db == 1, SHAPE,
                     "a is %s, b is %s: the leading sizes %lld and %lld do not broadcast",
                     dims_of(a, ta), dims_of(b, tb), (long long)da, (long long)db);
        y->dim[y->rank++] = s->dim[i];
    }
    if (a->rank > 1 && b->rank > 1) y->dim[y->rank++] = s->m;
    if (a->rank > 1 || b->rank > 1) y->dim[y->rank++] = s->n;
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_matmul_params *p = c->params;
    const tuff_desc *a = &c->in[A], *b = &c->in[B];
    char ta[96], tb[96], ty[96];
    const char *sa = dims_of(a, ta), *sb = dims_of(b, tb);
    TUFF_REQUIRE(a->rank >= 1 && b->rank >= 1, SHAPE,
                 "a is %s, b is %s: each needs at least 1 dim", sa, sb);
    TUFF_REQUIRE((a->rank > 1 || !p->trans_a) && (b->rank > 1 || !p->trans_b), ARG,
                 "a is %s, b is %s: a vector is not transposed", sa, sb);
    TUFF_REQUIRE(p->act >= TUFF_ACT_NONE && p->act <= TUFF_ACT_TANH, ARG,
                 "act is %d, expected 0 to %d", p->act, TUFF_ACT_TANH);
    TUFF_REQUIRE(inner(c, A) == inner(c, B), SHAPE,
                 "a is %s, b is %s: the inner sizes %lld and %lld differ", sa, sb,
                 (long long)inner(c, A), (long long)inner(c, B));
    tuff_matmul_shape s;
    tuff_desc y;
    tuff_matmul_shape_of(c, &s);
    TUFF_TRY(infer_y(c, &s, &y));
    if (tuff_call_has(c, BIAS)) {
        const tuff_desc *bias = &c->in[BIAS];
        TUFF_REQUIRE(bias->rank == 1 && bias->dim[0] == s.n, SHAPE,
                     "bias is %s, expected [%lld]", dims_of(bias, ta), (long long)s.n);
    }
    if (tuff_call_has(c, RESIDUAL))
        TUFF_REQUIRE(tuff_desc_equal(&c->in[RESIDUAL], &y), SHAPE,
                     "residual is %s, y is %s: they must be equal",
                     dims_of(&c->in[RESIDUAL], ta), dims_of(&y, ty));
    out[0] = y;
    return TUFF_OK;
}

// ---- reference ---------------------------------------------------------------------------

enum { BLOCK = TUFF_MATMUL_BLOCK };

void tuff_matmul_sum_row(const tuff_matmul_shape *s, const float *a, const float *b,
                         int64_t cols, double sum[])
{
    if (s->b_n == 1) {
        for (int64_t j = 0; j < cols; j++) sum[j] = 0;
        for (int64_t k = 0; k < s->k; k++)
            tuff_add_scaled(sum, b + k * s->b_k, a[k * s->a_k], cols);
        return;
    }
    for (int64_t j = 0; j < cols; j++) sum[j] = tuff_dot(b + j * s->b_n, a, s->a_k, s->k);
}

static void matmul_shape(const tuff_call *c, tuff_matmul_shape *s)
{
    tuff_matmul_shape_of(c, s);
}

static tuff_finish matmul_finish(const tuff_ref *r)
{
    const tuff_matmul_params *p = r->call->params;
    return (tuff_finish){ .residual = r->in[RESIDUAL], .plus = r->in[BIAS], .plus_n = 1,
                          .alpha = 1, .beta = 1, .act = p->act };
}
TUFF_MATMUL_HOST(matmul)

// One unit is one row of y.
static void ref(const tuff_ref *r)
{
    const tuff_matmul_params *p = r->call->params;
    tuff_matmul_shape s;
    tuff_matmul_shape_of(r->call, &s);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const float *a = r->in[s.a] + (int64_t)unit % s.m * s.a_m, *b = r->in[s.b];
        int64_t z = (int64_t)unit / s.m;
        for (int i = 0; i < s.dims; i++) {
            a += z % s.dim[i] * s.a_step[i];
            b += z % s.dim[i] * s.b_step[i];
            z /= s.dim[i];
        }
        for (int64_t n0 = 0; n0 < s.n; n0 += BLOCK) {
            double sum[BLOCK];
            const int64_t cols = s.n - n0 < BLOCK ? s.n - n0 : BLOCK;
            const size_t at = unit * (size_t)s.n + (size_t)n0;
            tuff_matmul_sum_row(&s, a, b + n0 * s.b_n, cols, sum);
            for (int64_t j = 0; j < cols; j++) {
                if (r->in[BIAS]) sum[j] += r->in[BIAS][n0 + j];
                if (r->in[RESIDUAL]) sum[j] += r->in[RESIDUAL][at + (size_t)j];
                r->out[0][at + (size_t)j] = (float)tuff_act_ref(sum[j], p->act);
            }
        }
    }
}

static size_t units(const tuff_call *c)
{
    tuff_matmul_shape s;
    tuff_matmul_shape_of(c, &s);
    return (size_t)(s.m * s.batches);
}

// ---- gradient ----------------------------------------------------------------------------

// Sums g over the leading dims along which x was broadcast.
static tuff_var unbroadcast(tuff_tape *t, tuff_var g, const tuff_desc *x)
{
    const tuff_desc *dg = t->desc(t, g);
    if (!dg) return g; // an earlier rule failed
    tuff_reduce_params p = { .axes = 0, .keepdims = true };
    for (int i = 2; i < dg->rank; i++)
        if (dg->dim[dg->rank - 1 - i] > 1 && lead(x, i - 2) == 1) p.axes |= 1u << i;
    if (p.axes) g = TUFF_V(t, &tuff_op_reduce_sum, &p, g);
    return t->reshape(t, g, x);
}

// y's shape before numpy drops the row or column that a vector was made.
static tuff_desc y_as_matrix(const tuff_call *c)
{
    tuff_desc y = c->out[0];
    if (c->in[A].rank == 1) { // a dim of 1 before the last
        y.dim[y.rank] = y.rank ? y.dim[y.rank - 1] : 1;
        y.dim[y.rank ? y.rank - 1 : 0] = 1;
        y.rank++;
    }
    if (c->in[B].rank == 1) y.dim[y.rank++] = 1;
    return y;
}

static void grad_bias(tuff_tape *t, const tuff_node *n, tuff_var dpre, tuff_var dx[])
{
    if (!tuff_call_has(&n->call, BIAS)) return;
    const tuff_reduce_params rows = { .axes = ((1u << n->call.out[0].rank) - 1) & ~1u };
    if (n->call.out[0].rank > 1) dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &rows, dpre);
    else dx[BIAS] = t->reshape(t, dpre, &n->call.in[BIAS]);
}

// With d = dy: y = a b gives da = d b^T and db = a^T d; where an input was given transposed
// its gradient is the transpose of that, which is another product of the same two.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_matmul_params *p = n->call.params;
    const tuff_var dpre = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    const tuff_desc ma = as_matrix(&n->call.in[A], A), mb = as_matrix(&n->call.in[B], B);
    const tuff_desc my = y_as_matrix(&n->call);
    const bool flat = n->call.in[A].rank == 1 || n->call.in[B].rank == 1;
    tuff_var a = flat ? t->reshape(t, n->in[A], &ma) : n->in[A];
    tuff_var d = flat ? t->reshape(t, dpre, &my) : dpre;
    const tuff_var b = flat ? t->reshape(t, n->in[B], &mb) : n->in[B];
    if (mb.rank == 2 && !p->trans_a) { // one tall matrix: no batches to sum after
        const int64_t k = last(&ma, 0), cols = last(&my, 0);
        const int64_t rows = tuff_desc_count(&my) / cols;
        a = t->reshape(t, a, &TUFF_SHAPE(ma.dtype, rows, k));
        d = t->reshape(t, d, &TUFF_SHAPE(ma.dtype, rows, cols));
    }
    const tuff_matmul_params by_a = { .trans_a = p->trans_a && p->trans_b,
                                      .trans_b = p->trans_a || !p->trans_b,
                                      .fast = p->fast };
    const tuff_matmul_params by_b = { .trans_a = !p->trans_a || p->trans_b,
                                      .trans_b = p->trans_a && p->trans_b,
                                      .fast = p->fast };
    const tuff_var da = p->trans_a ? TUFF_V(t, &tuff_op_matmul, &by_a, b, d)
                                   : TUFF_V(t, &tuff_op_matmul, &by_a, d, b);
    const tuff_var db = p->trans_b ? TUFF_V(t, &tuff_op_matmul, &by_b, d, a)
                                   : TUFF_V(t, &tuff_op_matmul, &by_b, a, d);
    dx[A] = unbroadcast(t, da, &n->call.in[A]);
    dx[B] = unbroadcast(t, db, &n->call.in[B]);
    grad_bias(t, n, dpre, dx);
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = dpre;
}

static void matmul_product(const tuff_call *c, tuff_product *p, struct tuff_matmul_pc *pc)
{
    const tuff_matmul_params *params = c->params;
    tuff_matmul_shape s;
    tuff_matmul_shape_of(c, &s);
    tuff_matmul_product(c, &s, p, pc);
    p->bias = BIAS;
    p->residual = RESIDUAL;
    p->act = params->act;
    p->fast = params->fast;
}
TUFF_MATMUL_PLANS(matmul)

static tuff_cost cost(const tuff_call *c)
{
    tuff_matmul_shape s;
    tuff_matmul_shape_of(c, &s);
    const double terms = (double)s.m * (double)s.n * (double)s.k * (double)s.batches;
    return (tuff_cost){ .flops = 2 * terms, .bytes = tuff_call_bytes(c) };
}

const tuff_op tuff_op_matmul = {
    .name = "matmul",
    .doc = "y = act(a b + bias + residual) over the last two dims, leading dims broadcast",
    .onnx = "MatMul",
    .in = { { .name = "a", .dtypes = TUFF_FLOATS },
            { .name = "b", .dtypes = TUFF_FLOATS },
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true },
            { .name = "residual", .dtypes = TUFF_FLOATS, .optional = true } },
    .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },
    .params_size = sizeof(tuff_matmul_params),
    .params = { TUFF_BOOLEAN(tuff_matmul_params, trans_a),
                TUFF_BOOLEAN(tuff_matmul_params, trans_b),
                TUFF_ENUM(tuff_matmul_params, act, tuff_act_names),
                TUFF_BOOLEAN(tuff_matmul_params, fast) },
    .infer = infer,
    .ref = ref,
    .units = units,
    .variants = TUFF_MATMUL_KERNELS(matmul),
    .hosts = TUFF_MATMUL_HOSTS(matmul),
    .grad = grad,
    .cost = cost,
    .fuse = { .bias = BIAS, .residual = RESIDUAL, .act = offsetof(tuff_matmul_params, act),
              .bias_axis = 0 },
    // An f32 sum of K products of mixed signs is off by about 2^-24 sqrt(K) / 2 of its rms,
    // and K is at most TUFF_GEMM_SUM before parts are added: 4e-6.
    .tol = { .f32 = 1e-5f },
    .sample = { -1, 1 },
    // The first ones are judged with 16-bit types, too.
    .cases = TUFF_CASES("3x260 260x132 132 3x132 act=relu", "67x517 517x1", "1x1 1x1",
                        "137x291 291x67 67 fast=1",
                        "33x77 77x129", "77x33 77x129 trans_a=1",
                        "33x77 129x77 trans_b=1 act=tanh",
                        "65x31 17x65 17 31x17 trans_a=1 trans_b=1 act=relu",
                        "64x400 400x120 120 act=relu", "3x2x5x7 2x7x11 11",
                        "2x1x3x5x7 4x1x7x9 - 2x4x3x5x9 act=sigmoid", "1x70001 70001x3 3",
                        "70001x1 1x1", "1x1 1x70001 70001", "5x3x17x9 9x13 trans_b=0",
                        "129x257 257x131 131 129x131",
                        "131x263 259x263 259 trans_b=1 act=relu", "7 7", "13 13x5 5",
                        "3x5x7 7 5 3x5", "5x7 5 trans_a=1", "11 2x3x11x4 - 2x3x4 act=tanh",
                        "67x516 516x1", "3x2x300 3x300x17",
                        "2x190x180 2x180x37", "260x256 256x261 261", "520x512 512x65",
                        "1x300 300x900", "900x300 300x2", "21x12 21x36 trans_a=1",
                        "9x44 37x44 37 trans_b=1 act=relu", "13x20 20x68"),
};

tuff_status tuff_matmul(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                        const tuff_tensor *bias, const tuff_tensor *residual, tuff_tensor *y,
                        const tuff_matmul_params *p)
{
    return tuff_run(s, &tuff_op_matmul, TUFF_RUN_IN(a, b, bias, residual), TUFF_RUN_OUT(y), p);
}
