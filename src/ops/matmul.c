// matmul: the record, its shapes, reference and gradient. Kernels: matmul_plan.c.
#include "ops/matmul.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include <string.h>

enum { A, B, BIAS, RESIDUAL };

static int64_t last(const tuff_desc *d, int i) { return d->dim[d->rank - 1 - i]; }

// Leading dim i of x, counted from the innermost of them; 1 where x has none.
static int64_t lead(const tuff_desc *x, int i)
{
    return i < x->rank - 2 ? x->dim[x->rank - 3 - i] : 1;
}

void tuff_matmul_shape_of(const tuff_call *c, tuff_matmul_shape *s)
{
    const tuff_matmul_params *p = c->params;
    const tuff_desc *a = &c->in[A], *b = &c->in[B];
    const int lead_a = a->rank - 2, lead_b = b->rank - 2;
    *s = (tuff_matmul_shape){ .m = last(a, !p->trans_a), .k = last(a, p->trans_a),
                              .n = last(b, p->trans_b), .batches = 1,
                              .dims = lead_a > lead_b ? lead_a : lead_b };
    s->a_m = p->trans_a ? 1 : s->k;
    s->a_k = p->trans_a ? s->m : 1;
    s->b_k = p->trans_b ? 1 : s->n;
    s->b_n = p->trans_b ? s->k : 1;
    int64_t a_step = s->m * s->k, b_step = s->k * s->n;
    for (int i = 0; i < s->dims; i++) {
        const int64_t da = lead(a, i), db = lead(b, i);
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

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_matmul_params *p = c->params;
    const tuff_desc *a = &c->in[A], *b = &c->in[B];
    char ta[96], tb[96], ty[96];
    const char *sa = dims_of(a, ta), *sb = dims_of(b, tb);
    TUFF_REQUIRE(a->rank >= 2 && b->rank >= 2, SHAPE,
                 "a is %s, b is %s: each needs at least 2 dims", sa, sb);
    TUFF_REQUIRE(p->act >= TUFF_ACT_NONE && p->act <= TUFF_ACT_TANH, ARG,
                 "act is %d, expected 0 to %d", p->act, TUFF_ACT_TANH);
    tuff_matmul_shape s;
    tuff_matmul_shape_of(c, &s);
    TUFF_REQUIRE(s.k == last(b, !p->trans_b), SHAPE,
                 "a is %s, b is %s: the inner sizes %lld and %lld differ", sa, sb,
                 (long long)s.k, (long long)last(b, !p->trans_b));
    tuff_desc y = { .dtype = TUFF_F32, .rank = s.dims + 2 };
    for (int i = 0; i < s.dims; i++) {
        const int64_t da = lead(a, i), db = lead(b, i);
        TUFF_REQUIRE(da == db || da == 1 || db == 1, SHAPE,
                     "a is %s, b is %s: the leading sizes %lld and %lld do not broadcast", sa,
                     sb, (long long)da, (long long)db);
        y.dim[s.dims - 1 - i] = s.dim[i];
    }
    y.dim[s.dims] = s.m;
    y.dim[s.dims + 1] = s.n;
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

enum { BLOCK = 256 }; // columns summed at a time

// sum[j] = sum over k of a[k * a_k] * b[k, j], for the columns j of one block.
static void sum_row(const tuff_matmul_shape *s, const float *a, const float *b, int64_t cols,
                    double sum[BLOCK])
{
    if (s->b_n == 1) {
        for (int64_t j = 0; j < cols; j++) sum[j] = 0;
        for (int64_t k = 0; k < s->k; k++)
            tuff_add_scaled(sum, b + k * s->b_k, a[k * s->a_k], cols);
        return;
    }
    for (int64_t j = 0; j < cols; j++) sum[j] = tuff_dot(b + j * s->b_n, a, s->a_k, s->k);
}

// One unit is one row of y.
static void ref(const tuff_ref *r)
{
    const tuff_matmul_params *p = r->call->params;
    tuff_matmul_shape s;
    tuff_matmul_shape_of(r->call, &s);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const float *a = r->in[A] + (int64_t)unit % s.m * s.a_m, *b = r->in[B];
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
            sum_row(&s, a, b + n0 * s.b_n, cols, sum);
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
    return (size_t)(tuff_desc_count(&c->out[0]) / last(&c->out[0], 0));
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

// With d = dy: y = a b gives da = d b^T and db = a^T d; where an input was given transposed
// its gradient is the transpose of that, which is another product of the same two.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_matmul_params *p = n->call.params;
    const tuff_var dpre = tuff_act_grad(t, p->act, n->out[0], dy[0]), b = n->in[B];
    tuff_var a = n->in[A], d = dpre;
    if (n->call.in[B].rank == 2 && !p->trans_a) { // one tall matrix: no batches to sum after
        const int64_t k = last(&n->call.in[A], 0), cols = last(&n->call.out[0], 0);
        const int64_t rows = tuff_desc_count(&n->call.out[0]) / cols;
        a = t->reshape(t, a, &TUFF_SHAPE(TUFF_F32, rows, k));
        d = t->reshape(t, d, &TUFF_SHAPE(TUFF_F32, rows, cols));
    }
    const tuff_matmul_params by_a = { .trans_a = p->trans_a && p->trans_b,
                                      .trans_b = p->trans_a || !p->trans_b };
    const tuff_matmul_params by_b = { .trans_a = !p->trans_a || p->trans_b,
                                      .trans_b = p->trans_a && p->trans_b };
    const tuff_var da = p->trans_a ? TUFF_V(t, &tuff_op_matmul, &by_a, b, d)
                                   : TUFF_V(t, &tuff_op_matmul, &by_a, d, b);
    const tuff_var db = p->trans_b ? TUFF_V(t, &tuff_op_matmul, &by_b, d, a)
                                   : TUFF_V(t, &tuff_op_matmul, &by_b, a, d);
    dx[A] = unbroadcast(t, da, &n->call.in[A]);
    dx[B] = unbroadcast(t, db, &n->call.in[B]);
    if (tuff_call_has(&n->call, BIAS)) {
        const tuff_reduce_params rows = { .axes = ((1u << n->call.out[0].rank) - 1) & ~1u };
        dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &rows, dpre);
    }
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = dpre;
}

static tuff_cost cost(const tuff_call *c)
{
    tuff_matmul_shape s;
    tuff_matmul_shape_of(c, &s);
    tuff_cost k = { .flops = 2.0 * (double)s.m * (double)s.n * (double)s.k * (double)s.batches,
                    .bytes = (double)tuff_desc_bytes(&c->out[0]) };
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) k.bytes += (double)tuff_desc_bytes(&c->in[i]);
    return k;
}

const tuff_op tuff_op_matmul = {
    .name = "matmul",
    .doc = "y = act(a b + bias + residual) over the last two dims, leading dims broadcast",
    .onnx = "MatMul",
    .in = { { .name = "a", .dtypes = TUFF_F32 },
            { .name = "b", .dtypes = TUFF_F32 },
            { .name = "bias", .dtypes = TUFF_F32, .optional = true },
            { .name = "residual", .dtypes = TUFF_F32, .optional = true } },
    .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },
    .params_size = sizeof(tuff_matmul_params),
    .params = { TUFF_BOOLEAN(tuff_matmul_params, trans_a),
                TUFF_BOOLEAN(tuff_matmul_params, trans_b),
                TUFF_ENUM(tuff_matmul_params, act, tuff_act_names) },
    .infer = infer,
    .ref = ref,
    .units = units,
    .variants = { TUFF_KERNEL("packed", tuff_matmul_packed),
                  TUFF_KERNEL("texel", tuff_matmul_texel),
                  TUFF_GPU_KERNEL("tile", tuff_matmul_tile),
                  TUFF_KERNEL("plain", tuff_matmul_plain) },
    .grad = grad,
    .cost = cost,
    .fuse = { .bias = BIAS, .residual = RESIDUAL, .act = offsetof(tuff_matmul_params, act),
              .bias_axis = 0 },
    // An f32 sum of K products of mixed signs is off by about 2^-24 sqrt(K) / 2 of its rms,
    // and K is at most TUFF_GEMM_SUM before parts are added: 4e-6.
    .tol = { .f32 = 1e-5f },
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1 1x1", "33x77 77x129", "77x33 77x129 trans_a=1",
                        "33x77 129x77 trans_b=1 act=tanh",
                        "65x31 17x65 17 31x17 trans_a=1 trans_b=1 act=relu",
                        "64x400 400x120 120 act=relu", "3x2x5x7 2x7x11 11",
                        "2x1x3x5x7 4x1x7x9 - 2x4x3x5x9 act=sigmoid", "1x70001 70001x3 3",
                        "70001x1 1x1", "1x1 1x70001 70001", "5x3x17x9 9x13 trans_b=0",
                        "129x257 257x131 131 129x131",
                        "131x263 259x263 259 trans_b=1 act=relu"),
};

tuff_status tuff_matmul(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                        const tuff_tensor *bias, const tuff_tensor *residual, tuff_tensor *y,
                        const tuff_matmul_params *p)
{
    return tuff_run(s, &tuff_op_matmul, TUFF_RUN_IN(a, b, bias, residual), TUFF_RUN_OUT(y), p);
}
