// matmul_integer and qlinear_matmul: records and references. Kernels: qgemm.c.
#include "ops/divide.h"
#include "ops/gemm.h"
#include "ops/qgemm_host.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>

// Where the inputs of either op lie; -1: it has none.
typedef struct inputs {
    int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero;
} inputs;

static const inputs integer = { .a = 0, .b = 1, .a_zero = 2, .b_zero = 3, .a_scale = -1,
                                .b_scale = -1, .y_scale = -1, .y_zero = -1 };
static const inputs qlinear = { .a = 0, .a_scale = 1, .a_zero = 2, .b = 3, .b_scale = 4,
                                .b_zero = 5, .y_scale = 6, .y_zero = 7 };

static const inputs *inputs_of(const tuff_call *c)
{
    return c->op->in[1].dtypes & TUFF_F32 ? &qlinear : &integer;
}

// Leading dims are batches, the innermost one first.
typedef struct shape {
    int64_t m, n, k, batches;
    int dims;
    int64_t dim[TUFF_MAX_DIMS], a_step[TUFF_MAX_DIMS], b_step[TUFF_MAX_DIMS];
} shape;

static int64_t last(const tuff_desc *d, int i) { return d->dim[d->rank - 1 - i]; }

// Leading dim i of x; 1 where x has none.
static int64_t lead(const tuff_desc *x, int i)
{
    return i < x->rank - 2 ? x->dim[x->rank - 3 - i] : 1;
}

static shape shape_of(const tuff_call *c)
{
    const inputs *in = inputs_of(c);
    const tuff_desc *a = &c->in[in->a], *b = &c->in[in->b];
    shape s = { .m = last(a, 1), .k = last(a, 0), .n = last(b, 0), .batches = 1,
                .dims = (a->rank > b->rank ? a->rank : b->rank) - 2 };
    // The rows of all batches are rows of one product, unless their zero points repeat.
    if (b->rank == 2 && (a->rank == 2 || tuff_qzeros(c, in->a_zero) <= 1)) {
        s.m = tuff_desc_count(a) / s.k;
        s.dims = 0;
    }
    int64_t a_step = s.m * s.k, b_step = s.k * s.n;
    for (int i = 0; i < s.dims; i++) {
        const int64_t da = lead(a, i), db = lead(b, i);
        s.dim[i] = da > db ? da : db;
        s.a_step[i] = da > 1 ? a_step : 0;
        s.b_step[i] = db > 1 ? b_step : 0;
        a_step *= da;
        b_step *= db;
        s.batches *= s.dim[i];
    }
    return s;
}

// ---- shapes ------------------------------------------------------------------------------

static int act_of(const tuff_call *c)
{
    const tuff_qmatmul_params *p = c->params;
    return c->op->params_size ? p->act : TUFF_ACT_NONE;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const inputs *in = inputs_of(c);
    const tuff_desc *a = &c->in[in->a], *b = &c->in[in->b];
    TUFF_REQUIRE(a->rank >= 2 && b->rank >= 2, SHAPE,
                 "a has %d dims, b has %d: each needs at least 2", a->rank, b->rank);
    TUFF_REQUIRE(last(a, 0) == last(b, 1), SHAPE, "a has rows of %lld, b has columns of %lld",
                 (long long)last(a, 0), (long long)last(b, 1));
    const int dims = (a->rank > b->rank ? a->rank : b->rank) - 2;
    out[0] = (tuff_desc){ .dtype = in->y_zero < 0 ? TUFF_I32 : c->in[in->y_zero].dtype,
                          .rank = dims + 2 };
    for (int i = 0; i < dims; i++) {
        const int64_t da = lead(a, i), db = lead(b, i);
        TUFF_REQUIRE(da == db || da == 1 || db == 1, SHAPE,
                     "the leading sizes %lld of a and %lld of b do not broadcast",
                     (long long)da, (long long)db);
        out[0].dim[dims - 1 - i] = da > db ? da : db;
    }
    out[0].dim[dims] = last(a, 1);
    out[0].dim[dims + 1] = last(b, 0);
    TUFF_REQUIRE(act_of(c) == TUFF_ACT_NONE || act_of(c) == TUFF_ACT_RELU, ARG,
                 "act is %d, expected %d (none) or %d (relu)", act_of(c), TUFF_ACT_NONE,
                 TUFF_ACT_RELU);
    TUFF_TRY(tuff_quant_same_type(c, in->a, in->a_zero));
    TUFF_TRY(tuff_quant_same_type(c, in->b, in->b_zero));
    TUFF_TRY(tuff_quant_vector(c, in->a_zero, last(a, 1), "rows"));
    TUFF_TRY(tuff_quant_vector(c, in->b_zero, last(b, 0), "columns"));
    TUFF_TRY(tuff_quant_vector(c, in->a_scale, last(a, 1), "rows"));
    TUFF_TRY(tuff_quant_vector(c, in->b_scale, last(b, 0), "columns"));
    TUFF_TRY(tuff_quant_vector(c, in->y_scale, 0, ""));
    return tuff_quant_vector(c, in->y_zero, 0, "");
}

// ---- reference ---------------------------------------------------------------------------

static int64_t vector_at(const tuff_ref *r, int input, int64_t i)
{
    if (!r->in[input]) return 0;
    const tuff_desc *d = &r->call->in[input];
    return tuff_whole_at(d->dtype, r->in[input], tuff_desc_count(d) == 1 ? 0 : (size_t)i);
}

static float scale_at(const tuff_ref *r, int input, int64_t i)
{
    return r->in[input][tuff_desc_count(&r->call->in[input]) == 1 ? 0 : i];
}

// The sum of one element of y, whose row is `above` among those of all batches.
static int32_t sum_of(const tuff_ref *r, const shape *s, const inputs *in, int64_t above,
                      int64_t col)
{
    const tuff_dtype ta = r->call->in[in->a].dtype, tb = r->call->in[in->b].dtype;
    const int64_t rows = last(&r->call->in[in->a], 1);
    const int64_t u = vector_at(r, in->a_zero, above % rows), v = vector_at(r, in->b_zero, col);
    int64_t a = above % s->m * s->k, b = col, z = above / s->m, sum = 0;
    for (int i = 0; i < s->dims; i++) {
        a += z % s->dim[i] * s->a_step[i];
        b += z % s->dim[i] * s->b_step[i];
        z /= s->dim[i];
    }
    for (int64_t k = 0; k < s->k; k++)
        sum += (tuff_whole_at(ta, r->in[in->a], (size_t)(a + k)) - u) *
               (tuff_whole_at(tb, r->in[in->b], (size_t)(b + k * s->n)) - v);
    return (int32_t)(uint32_t)sum; // wraps round
}

// One unit is four elements of y, a whole word when they are bytes.
static size_t units(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->out[0]) + 3) / 4;
}

static void ref(const tuff_ref *r)
{
    const inputs *in = inputs_of(r->call);
    const shape s = shape_of(r->call);
    const tuff_desc *y = &r->call->out[0];
    const int64_t rows = last(&r->call->in[in->a], 1);
    const size_t count = (size_t)tuff_desc_count(y);
    const bool relu = act_of(r->call) == TUFF_ACT_RELU;
    for (size_t i = 4 * r->begin; i < 4 * r->end && i < count; i++) {
        const int64_t above = (int64_t)i / s.n, col = (int64_t)i % s.n;
        const int32_t sum = sum_of(r, &s, in, above, col);
        if (in->y_zero < 0) {
            ((int32_t *)(void *)r->out[0])[i] = sum;
            continue;
        }
        const double m = tuff_qfactor(scale_at(r, in->a_scale, above % rows),
                                      scale_at(r, in->b_scale, col), r->in[in->y_scale][0]);
        ((uint8_t *)(void *)r->out[0])[i] = (uint8_t)tuff_requant_ref(
            sum, m, vector_at(r, in->y_zero, 0), y->dtype, relu);
    }
}

static tuff_cost cost(const tuff_call *c)
{
    const shape s = shape_of(c);
    return (tuff_cost){ .flops = 2 * (double)tuff_desc_count(&c->out[0]) * (double)s.k,
                        .bytes = tuff_call_bytes(c) };
}

// ---- on the CPU path -----------------------------------------------------------------------

typedef struct host {
    tuff_qhost h;
    shape s;
} host;

static int64_t host_first_row(const tuff_qhost *h, int64_t z)
{
    const shape *s = h->own;
    int64_t at = 0;
    for (int i = 0; i < s->dims; z /= s->dim[i++]) at += z % s->dim[i] * s->a_step[i];
    return at / s->k;
}

static void host_columns(const tuff_qhost *h, const tuff_ref *r, const void *extra, int64_t z,
                         int64_t col, int64_t cols, int64_t k, int64_t depth,
                         uint8_t to[][TUFF_PANEL])
{
    const shape *s = h->own;
    const uint8_t *b = (const uint8_t *)(const void *)r->in[h->right] + k * s->n + col;
    (void)extra;
    for (int i = 0; i < s->dims; z /= s->dim[i++]) b += z % s->dim[i] * s->b_step[i];
    if (cols == TUFF_PANEL)
        for (int64_t i = 0; i < depth; i++) memcpy(to[i], b + i * s->n, TUFF_PANEL);
    else
        for (int64_t i = 0; i < depth; i++) memcpy(to[i], b + i * s->n, (size_t)cols);
}

static void describe_host(host *f, const tuff_call *c)
{
    const inputs *in = inputs_of(c);
    f->s = shape_of(c);
    f->h = (tuff_qhost){
        .m = f->s.m, .n = f->s.n, .k = f->s.k, .products = f->s.batches,
        .left_rows = tuff_desc_count(&c->in[in->a]) / f->s.k, .period = last(&c->in[in->a], 1),
        .left = in->a, .left_zero = in->a_zero, .left_scale = in->a_scale, .right = in->b,
        .right_zero = in->b_zero, .right_scale = in->b_scale, .y_scale = in->y_scale,
        .y_zero = in->y_zero, .bias = -1, .relu = act_of(c) == TUFF_ACT_RELU, .own = &f->s,
        .first_row = host_first_row, .columns = host_columns };
}

TUFF_QHOST

// ---- plans -------------------------------------------------------------------------------

typedef struct product {
    tuff_qproduct p;
    tuff_requant requant;
    struct tuff_qmatmul_pc pc;
} product;

static void describe_plain(product *f, const tuff_call *c, const inputs *in, const shape *s)
{
    f->pc = (struct tuff_qmatmul_pc){
        .m = (uint32_t)s->m, .n = (uint32_t)s->n, .k = (uint32_t)s->k, .a_m = (uint32_t)s->k,
        .a_k = 1, .b_k = (uint32_t)s->n, .b_n = 1,
        .count = (uint32_t)tuff_desc_count(&c->out[0]),
        .signs = tuff_qsign(&c->in[in->a]) | tuff_qsign(&c->in[in->b]) << 8,
        .a_zeros = tuff_qzeros(c, in->a_zero), .b_zeros = tuff_qzeros(c, in->b_zero),
    };
    for (int i = 0; i < TUFF_QMATMUL_DIMS; i++) {
        f->pc.dim[i] = i < s->dims ? (uint32_t)s->dim[i] : 1;
        f->pc.a_step[i] = i < s->dims ? (uint32_t)s->a_step[i] : 0;
        f->pc.b_step[i] = i < s->dims ? (uint32_t)s->b_step[i] : 0;
    }
    f->p.shader = TUFF_SHADER_qmatmul_plain;
    f->p.shader_texel = TUFF_SHADER_qmatmul_texel;
    f->p.pc = &f->pc;
    f->p.pc_bytes = sizeof f->pc;
    f->p.splits = &f->pc.splits;
    f->p.k_step = &f->pc.k_step;
}

static void describe_requant(product *f, const tuff_call *c, const inputs *in, const shape *s)
{
    f->requant = tuff_requant_of(c, in->a_scale, in->b_scale, in->y_scale, in->y_zero,
                                 act_of(c) == TUFF_ACT_RELU);
    f->requant.pc.row_step = tuff_divide_by((size_t)s->n);
    f->requant.pc.rows = tuff_divide_by((size_t)last(&c->in[in->a], 1));
    f->requant.pc.cols = tuff_divide_by((size_t)s->n);
    f->requant.shared = f->requant.pc.left_scales == 1 && f->requant.pc.right_scales == 1;
    f->p.requant = &f->requant;
}

static void describe(product *f, const tuff_call *c)
{
    const inputs *in = inputs_of(c);
    const shape s = shape_of(c);
    memset(f, 0, sizeof *f);
    f->p = (tuff_qproduct){
        .call = c, .m = (uint32_t)s.m, .n = (uint32_t)s.n, .k = (uint32_t)s.k,
        .plane = (uint32_t)s.n, .image_step = 0, .batches = s.batches > 1,
        .left = { .input = in->a, .zero = in->a_zero, .layout = TUFF_QPACK_CONTIGUOUS,
                  .pc = { .row_step = (uint32_t)s.k, .k_step = 1 } },
        .right = { .input = in->b, .zero = in->b_zero, .layout = TUFF_QPACK_STRIDED,
                   .pc = { .row_step = 1, .k_step = (uint32_t)s.n } },
    };
    const tuff_divide one = tuff_divide_by(1);
    f->p.left.pc.plane = f->p.left.pc.to_w = f->p.left.pc.taps = f->p.left.pc.kw = one;
    f->p.right.pc.plane = f->p.right.pc.to_w = f->p.right.pc.taps = f->p.right.pc.kw = one;
    describe_plain(f, c, in, &s);
    if (in->y_zero >= 0) describe_requant(f, c, in, &s);
}

TUFF_QPRODUCT_PLANS

// A y_scale with which most of y neither saturates nor is the zero point.
static void make_scales_fit(const tuff_call *c, void *const in[])
{
    const inputs *at = inputs_of(c);
    const float *a = in[at->a_scale], *b = in[at->b_scale];
    float *y = in[at->y_scale];
    y[0] *= a[0] * b[0] * 300 * sqrtf((float)shape_of(c).k);
}

// ---- records -----------------------------------------------------------------------------

// Rows of a, mixed types, batches that are rows and batches that are not, sums over 2^24 and
// past a chunk of exact floats, one past a tile, and more terms than an invocation may take.
const tuff_op tuff_op_matmul_integer = {
    .name = "matmul_integer", .onnx = "MatMulInteger",
    .doc = "y = (a - a_zero_point) (b - b_zero_point), sums in i32 that wrap round",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "a", .dtypes = TUFF_BYTES },
            { .name = "b", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "a_zero_point", .dtypes = TUFF_BYTES, .optional = true },
            { .name = "b_zero_point", .dtypes = TUFF_BYTES, .optional = true, .mixed = true } },
    .out = { { .name = "y" } },
    .infer = infer, .ref = ref, .units = units, .cost = cost,
    .variants = TUFF_QPRODUCT_VARIANTS(), .hosts = { TUFF_QHOST_FAST(0) },
    .cases = TUFF_CASES("1x1 1x1", "7x13 13x5 7 5", "2x3x5x9 9x7 5", "2x1x5x7 3x7x6 - 1",
                        "17x300 i8:300x67 [] i8:67", "65x1031 1031x66 65 66",
                        "3x2x129 129x130", "5x70001 70001x2 1 1")
};

const tuff_op tuff_op_qlinear_matmul = {
    .name = "qlinear_matmul", .onnx = "QLinearMatMul",
    .doc = "y = saturate(round(acc a_scale b_scale / y_scale) + y_zero_point), ties to even, "
           "acc = (a - a_zero_point) (b - b_zero_point); relu: y is y_zero_point or more",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "a", .dtypes = TUFF_BYTES },
            { .name = "a_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "a_zero_point", .dtypes = TUFF_BYTES },
            { .name = "b", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "b_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "b_zero_point", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "y_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "y_zero_point", .dtypes = TUFF_BYTES, .mixed = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_qmatmul_params),
    .params = { TUFF_ENUM(tuff_qmatmul_params, act, tuff_act_names) },
    .infer = infer, .ref = ref, .units = units, .cost = cost,
    .variants = TUFF_QPRODUCT_VARIANTS(), .hosts = { TUFF_QHOST_FAST(0) },
    .prepare = make_scales_fit,
    .cases = TUFF_CASES("1x1 [] [] 1x1 [] [] [] []", "7x13 7 7 13x5 5 5 1 1",
                        "2x3x5x9 5 [] 9x7 1 7 [] []", "2x1x5x7 1 1 i8:3x7x6 6 i8:1 1 i8:1",
                        "17x300 [] [] i8:300x67 67 i8:67 [] u8:1",
                        "65x131 65 65 131x66 66 66 1 1 act=relu",
                        "33x2065 33 33 2065x34 34 34 1 1 act=relu",
                        "7x13 1 1 i8:13x5 5 i8:1 1 i8:1 act=relu")
};

// ---- public functions --------------------------------------------------------------------

tuff_status tuff_matmul_integer(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                                const tuff_tensor *a_zero_point,
                                const tuff_tensor *b_zero_point, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_matmul_integer, TUFF_RUN_IN(a, b, a_zero_point, b_zero_point),
                    TUFF_RUN_OUT(y), NULL);
}

tuff_status tuff_qlinear_matmul(tuff_stream *s, const tuff_quantized *a,
                                const tuff_quantized *b, const tuff_quantized *y,
                                const tuff_qmatmul_params *p)
{
    return tuff_run(s, &tuff_op_qlinear_matmul,
                    TUFF_RUN_IN(a->q, a->scale, a->zero_point, b->q, b->scale, b->zero_point,
                                y->scale, y->zero_point),
                    TUFF_RUN_OUT(y->q), p);
}
