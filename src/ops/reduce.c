// Sums, products, extremes and norms over a set of dims. The shader is shaders/reduce.comp.
#include "ops/reduce.h"
#include "ops/compose.h"
#include <math.h>

uint32_t tuff_reduce_axes(const tuff_call *c)
{
    const tuff_reduce_params *p = c->params;
    return p->axes || p->noop_with_empty_axes ? p->axes : (1u << c->in[0].rank) - 1;
}

double tuff_reduce_terms(const tuff_call *c)
{
    return (double)tuff_desc_count(&c->in[0]) / (double)tuff_desc_count(&c->out[0]);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_reduce_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    const uint32_t axes = tuff_reduce_axes(c);
    TUFF_REQUIRE(axes >> x->rank == 0, ARG, "axes is 0x%x, x has only %d dims", axes, x->rank);
    out[0] = (tuff_desc){ .dtype = x->dtype };
    for (int d = 0; d < x->rank; d++) {
        const bool goes = tuff_reduce_goes(x, axes, d);
        if (!goes || p->keepdims) out[0].dim[out[0].rank++] = goes ? 1 : x->dim[d];
    }
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

// ---- references ----------------------------------------------------------------------------

typedef struct visit {
    const tuff_desc *x;
    uint32_t axes;
    double (*join)(double so_far, double x);
    double result, most;                       // most: of log_sum_exp
    uint32_t (*join_ints)(uint32_t so_far, uint32_t x); // where x is i32
    uint32_t whole;
} visit;

static double sum_of(double so_far, double x) { return so_far + x; }
static double prod_of(double so_far, double x) { return so_far * x; }
static double l1_of(double so_far, double x) { return so_far + fabs(x); }
static double square_of(double so_far, double x) { return so_far + x * x; }
static double max_of(double so_far, double x) { return x > so_far || x != x ? x : so_far; }
static double min_of(double so_far, double x) { return x < so_far || x != x ? x : so_far; }

// Sums and products of ints keep their low bits.
static uint32_t int_sum_of(uint32_t so_far, uint32_t x) { return so_far + x; }
static uint32_t int_prod_of(uint32_t so_far, uint32_t x) { return so_far * x; }
static uint32_t int_square_of(uint32_t so_far, uint32_t x) { return so_far + x * x; }
static uint32_t int_l1_of(uint32_t so_far, uint32_t x)
{
    return so_far + ((int32_t)x < 0 ? 0 - x : x);
}
static uint32_t int_max_of(uint32_t so_far, uint32_t x)
{
    return (int32_t)x > (int32_t)so_far ? x : so_far;
}
static uint32_t int_min_of(uint32_t so_far, uint32_t x)
{
    return (int32_t)x < (int32_t)so_far ? x : so_far;
}

static void visit_element(visit *v, const float *x)
{
    if (v->join_ints)
        v->whole = v->join_ints(v->whole, *(const uint32_t *)(const void *)x);
    else if (v->join)
        v->result = v->join(v->result, *x);
    else if (*x != v->most || !isinf(*x)) // the sum of exponentials; of infinities, none
        v->result += exp(*x - v->most);
}

// Every element of a block of x: `x` points at it, `count` elements lie in it, and dims up to
// `d` have been gone through. `row` is what is left of the output's index, whose innermost dim
// comes last: `rows` outputs lie in the block.
static void visit_dim(visit *v, const float *x, size_t count, size_t row, size_t rows, int d)
{
    if (d == v->x->rank) {
        visit_element(v, x);
        return;
    }
    const size_t n = (size_t)v->x->dim[d];
    count /= n;
    if (tuff_reduce_goes(v->x, v->axes, d)) {
        for (size_t i = 0; i < n; i++) visit_dim(v, x + i * count, count, row, rows, d + 1);
        return;
    }
    rows /= n;
    visit_dim(v, x + row / rows * count, count, row % rows, rows, d + 1);
}

static void visit_row(visit *v, const tuff_ref *r, size_t row)
{
    const tuff_desc *x = &r->call->in[0];
    v->x = x;
    v->axes = tuff_reduce_axes(r->call);
    visit_dim(v, r->in[0], (size_t)tuff_desc_count(x), row,
              (size_t)tuff_desc_count(&r->call->out[0]), 0);
}

static double itself(double v) { return v; }

static void reduce(const tuff_ref *r, double (*join)(double, double), double start,
                   double (*finish)(double), double divisor)
{
    for (size_t i = r->begin; i < r->end; i++) {
        visit v = { .join = join, .result = start };
        visit_row(&v, r, i);
        r->out[0][i] = (float)(finish(v.result) / divisor);
    }
}

static void reduce_ints(const tuff_ref *r, uint32_t (*join)(uint32_t, uint32_t), uint32_t start)
{
    for (size_t i = r->begin; i < r->end; i++) {
        visit v = { .join_ints = join, .whole = start };
        visit_row(&v, r, i);
        ((uint32_t *)(void *)r->out[0])[i] = v.whole;
    }
}

#define REFERENCE(name, start, int_start)                                       \
    static void ref_##name(const tuff_ref *r)                                   \
    {                                                                           \
        if (r->call->in[0].dtype == TUFF_F32) reduce(r, name##_of, start, itself, 1); \
        else reduce_ints(r, int_##name##_of, int_start);                        \
    }
REFERENCE(sum, 0, 0)
REFERENCE(prod, 1, 1)
REFERENCE(l1, 0, 0)
REFERENCE(square, 0, 0)
REFERENCE(max, -INFINITY, 0x80000000)
REFERENCE(min, INFINITY, 0x7fffffff)

static void ref_mean(const tuff_ref *r)
{
    reduce(r, sum_of, 0, itself, tuff_reduce_terms(r->call));
}

static void ref_l2(const tuff_ref *r) { reduce(r, square_of, 0, sqrt, 1); }
static void ref_log_sum(const tuff_ref *r) { reduce(r, sum_of, 0, log, 1); }

static void ref_lse(const tuff_ref *r)
{
    for (size_t i = r->begin; i < r->end; i++) {
        visit most = { .join = max_of, .result = -INFINITY };
        visit_row(&most, r, i);
        visit v = { .most = most.result };
        visit_row(&v, r, i);
        r->out[0][i] = (float)(isinf(v.most) ? v.most : v.most + log(v.result));
    }
}

// ---- plans ---------------------------------------------------------------------------------

#define PLANS(name, ...)                                                        \
    static const tuff_reduction_of name##_function = { __VA_ARGS__ };           \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return tuff_reduce_plan(c, k, p, TUFF_REDUCE_TEXEL, &name##_function);  \
    }                                                                           \
    static bool group_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return tuff_reduce_plan(c, k, p, TUFF_REDUCE_GROUP, &name##_function);  \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return tuff_reduce_plan(c, k, p, TUFF_REDUCE_PLAIN, &name##_function);  \
    }                                                                           \
    static void host_##name(const tuff_ref *r)                                  \
    {                                                                           \
        tuff_reduce_host(r, &name##_function);                                  \
    }
PLANS(sum, .op = TUFF_REDUCE_SUM)
PLANS(mean, .op = TUFF_REDUCE_SUM, .mean = true)
PLANS(max, .op = TUFF_REDUCE_MAX)
PLANS(min, .op = TUFF_REDUCE_MIN)
PLANS(prod, .op = TUFF_REDUCE_PROD)
PLANS(l1, .op = TUFF_REDUCE_SUM, .map = TUFF_REDUCE_ABS)
PLANS(l2, .op = TUFF_REDUCE_SUM, .map = TUFF_REDUCE_SQUARE, .finish = TUFF_REDUCE_ROOT)
PLANS(square, .op = TUFF_REDUCE_SUM, .map = TUFF_REDUCE_SQUARE)
PLANS(log_sum, .op = TUFF_REDUCE_SUM, .finish = TUFF_REDUCE_LOG)
PLANS(lse, .op = TUFF_REDUCE_LSE)

static bool host_takes(const tuff_call *c)
{
    return c->op != &tuff_op_reduce_log_sum_exp && tuff_reduce_host_takes(c);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ n, 4 * (n + (double)tuff_desc_count(&c->out[0])) };
}

// ---- gradients -----------------------------------------------------------------------------

// v, of the result's shape, with dims of 1 for those that went: it broadcasts against x.
static tuff_var kept(tuff_tape *t, const tuff_node *n, tuff_var v)
{
    tuff_desc d = n->call.in[0];
    for (int i = 0; i < d.rank; i++)
        if (tuff_reduce_goes(&n->call.in[0], tuff_reduce_axes(&n->call), i)) d.dim[i] = 1;
    return t->reshape(t, v, &d);
}

// Such a sum of x, or of what has x's shape.
static tuff_var kept_sum(tuff_tape *t, const tuff_node *n, tuff_var v, const tuff_op *op)
{
    const tuff_reduce_params p = { .axes = tuff_reduce_axes(&n->call), .keepdims = true,
                                   .noop_with_empty_axes = true };
    return TUFF_V(t, op, &p, v);
}

static tuff_var multiply(tuff_tape *t, tuff_var a, tuff_var b)
{
    return TUFF_V(t, &tuff_op_mul, NULL, a, b);
}

static tuff_var divide(tuff_tape *t, tuff_var a, tuff_var b)
{
    return TUFF_V(t, &tuff_op_div, NULL, a, b);
}

static tuff_var line(tuff_tape *t, tuff_var v, float scale, float shift)
{
    const tuff_affine_params p = { .scale = scale, .shift = shift };
    return TUFF_V(t, &tuff_op_affine, &p, v);
}

// 1 where v is `number`, else 0: where v - number and number - v are equal.
static tuff_var is_number(tuff_tape *t, tuff_var v, float number)
{
    const tuff_var a = number != 0 ? line(t, v, 1, -number) : v;
    return tuff_mask(t, a, line(t, v, -1, number));
}

// Every element had the same share.
static void grad_sum(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_expand, NULL, kept(t, n, dy[0]), n->in[0]);
}

static void grad_mean(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const float part = (float)(1 / tuff_reduce_terms(&n->call));
    const tuff_var shares[] = { tuff_scaled(t, dy[0], part) };
    grad_sum(t, n, shares, dx);
}

// The elements that equal the result share dy evenly.
static void grad_extremum(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var chosen = tuff_mask(t, n->in[0], kept(t, n, n->out[0]));
    const tuff_var number = kept_sum(t, n, chosen, &tuff_op_reduce_sum);
    dx[0] = multiply(t, chosen, divide(t, kept(t, n, dy[0]), number));
}

// dx = dy times the product of the other elements. Zeros are counted, and the product of the
// rest is taken: without any it is divided by the element; where the element is the only one
// it is that product; elsewhere it is 0.
static void grad_prod(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var zero = is_number(t, n->in[0], 0);
    const tuff_var filled = TUFF_V(t, &tuff_op_add, NULL, n->in[0], zero);
    const tuff_var product = kept_sum(t, n, filled, &tuff_op_reduce_prod);
    const tuff_var zeros = kept_sum(t, n, zero, &tuff_op_reduce_sum);
    const tuff_var none = is_number(t, zeros, 0), one = is_number(t, zeros, 1);
    const tuff_var open = TUFF_V(t, &tuff_op_add, NULL, multiply(t, zero, one), none);
    const tuff_var g = multiply(t, kept(t, n, dy[0]), product);
    dx[0] = multiply(t, divide(t, g, filled), open);
}

static void grad_l1(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = multiply(t, TUFF_V(t, &tuff_op_sign, NULL, n->in[0]), kept(t, n, dy[0]));
}

// dx = dy x / y, and 0 where y is.
static void grad_l2(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var y = TUFF_V(t, &tuff_op_add, NULL, n->out[0], is_number(t, n->out[0], 0));
    dx[0] = multiply(t, n->in[0], kept(t, n, divide(t, dy[0], y)));
}

static void grad_square(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = multiply(t, n->in[0], kept(t, n, tuff_scaled(t, dy[0], 2)));
}

static void grad_log_sum(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var sum = kept_sum(t, n, n->in[0], &tuff_op_reduce_sum);
    const tuff_var g = divide(t, kept(t, n, dy[0]), sum);
    dx[0] = TUFF_V(t, &tuff_op_expand, NULL, g, n->in[0]);
}

static void grad_lse(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var d = TUFF_V(t, &tuff_op_sub, NULL, n->in[0], kept(t, n, n->out[0]));
    dx[0] = multiply(t, TUFF_V(t, &tuff_op_exp, NULL, d), kept(t, n, dy[0]));
}

// ---- records -------------------------------------------------------------------------------

// Numbers whose product neither vanishes nor overflows: near 1 and -1, ints odd. A few are 0,
// alone or two in a line along the middle of 5 x 7 x 11, where not many are multiplied.
static void prepare_prod(const tuff_call *c, void *const in[])
{
    const size_t count = (size_t)tuff_desc_count(&c->in[0]);
    float *x = in[0];
    for (size_t i = 0; i < count; i++) {
        if (c->in[0].dtype == TUFF_I32) ((uint32_t *)in[0])[i] |= 1;
        if (c->in[0].dtype != TUFF_F32) continue;
        const float near = 1 + fabsf(x[i]) / 4, v = i % 2 ? near : 1 / near;
        x[i] = x[i] < 0 ? -v : v;
        if (tuff_reduce_terms(c) < 32 && count > 128)
            if (i % 194 == 13 || i % 194 == 24 || i % 194 == 110) x[i] = 0;
    }
}

// The least of many bytes would be 0 in every line, which says nothing: every second line, and
// the first, gets none. A line's number is that of its element of y.
static void prepare_min(const tuff_call *c, void *const in[])
{
    const tuff_desc *x = &c->in[0];
    if (x->dtype != TUFF_U8 && x->dtype != TUFF_BOOL) return;
    uint8_t *v = in[0];
    for (size_t i = 0; i < (size_t)tuff_desc_count(x); i++) {
        size_t left = i, line = 0, step = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            const size_t n = (size_t)x->dim[d];
            if (!tuff_reduce_goes(x, tuff_reduce_axes(c), d)) {
                line += left % n * step;
                step *= n;
            }
            left /= n;
        }
        if (line % 2 == 0) v[i] |= v[i] == 0;
    }
}

// Rows, columns, the middle, outer and inner together, every second of eight dims; everything;
// nothing; one row over the limit of loop iterations of a known driver, and many short rows.
#define CASES                                                                   \
    TUFF_CASES("1", "5x7x11 axes=1", "3x257 axes=0 keepdims=1", "257x13 axes=1", \
               "4x3x6x8 axes=0,1,3", "2x3x2x3x2x1x2x3 axes=0,2,4,6", "13x4097", \
               "70001x3 axes=0", "70001x3 axes=1")
#define FEW_CASES                                                               \
    TUFF_CASES("3x1 axes=0", "3x257 axes=0 keepdims=1", "5x7x11 axes=1",        \
               "4x3x6x8 axes=0,1,3", "3x5 noop_with_empty_axes=1", "1031", "7001x3 axes=1")
#define COMMON(name_, types)                                                    \
    .in = { { .name = "x", .dtypes = (types) } },                               \
    .out = { { .name = "y", .dtypes = (types) } },                              \
    .params_size = sizeof(tuff_reduce_params),                                  \
    .params = { TUFF_AXES(tuff_reduce_params, axes),                            \
                TUFF_BOOLEAN(tuff_reduce_params, keepdims),                     \
                TUFF_BOOLEAN(tuff_reduce_params, noop_with_empty_axes) },       \
    .infer = infer, .units = units, .cost = cost, .ref = ref_##name_,           \
    .variants = { TUFF_KERNEL("texel", texel_##name_),                          \
                  TUFF_KERNEL("group", group_##name_),                          \
                  TUFF_KERNEL("plain", plain_##name_) },                        \
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_##name_,      \
                 .units = tuff_reduce_host_units, .scratch = tuff_reduce_host_scratch } }
#define NUMBERS (TUFF_FLOATS | TUFF_I32)
#define ALL     (TUFF_FLOATS | TUFF_I32 | TUFF_I8 | TUFF_U8 | TUFF_BOOL)

const tuff_op tuff_op_reduce_sum = {
    .name = "reduce_sum", .onnx = "ReduceSum", COMMON(sum, NUMBERS),
    .doc = "y = sum of x over some dims",
    .grad = grad_sum,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 4 },
    // And a sum that takes three passes.
    .cases = TUFF_CASES("1", "3x257 axes=0 keepdims=1", "257x13 axes=1", "5x7x11 axes=1",
                        "300x1020 axes=0", "33x260 axes=1", "4x3x6x8 axes=0,1,3",
                        "3x8x5x12 axes=1,3", "2x3x2x3x2x1x2x3 axes=0,2,4,6",
                        "3x5 noop_with_empty_axes=1", "70001x3 axes=0", "70001x3 axes=1",
                        "5000000")
};

const tuff_op tuff_op_reduce_mean = {
    .name = "reduce_mean", .onnx = "ReduceMean", COMMON(mean, TUFF_FLOATS),
    .doc = "y = mean of x over some dims",
    .grad = grad_mean,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 4 }, .cases = CASES
};

const tuff_op tuff_op_reduce_max = {
    .name = "reduce_max", .onnx = "ReduceMax", COMMON(max, ALL),
    .doc = "y = largest x over some dims",
    .grad = grad_extremum,
    .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_reduce_min = {
    .name = "reduce_min", .onnx = "ReduceMin", COMMON(min, ALL),
    .doc = "y = smallest x over some dims",
    .grad = grad_extremum, .prepare = prepare_min,
    .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_reduce_prod = {
    .name = "reduce_prod", .onnx = "ReduceProd", COMMON(prod, NUMBERS),
    .doc = "y = product of x over some dims",
    .grad = grad_prod, .prepare = prepare_prod,
    // What rounding takes is kept beside the product, so that it does not grow with the terms.
    .tol = { .f32 = 1e-6f }, .sample = { -1, 1 }, .cases = FEW_CASES
};

const tuff_op tuff_op_reduce_l1 = {
    .name = "reduce_l1", .onnx = "ReduceL1", COMMON(l1, NUMBERS),
    .doc = "y = sum of |x| over some dims",
    .grad = grad_l1,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 }, .cases = FEW_CASES
};

const tuff_op tuff_op_reduce_l2 = {
    .name = "reduce_l2", .onnx = "ReduceL2", COMMON(l2, TUFF_FLOATS),
    .doc = "y = root of the sum of x^2 over some dims",
    .grad = grad_l2,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 }, .cases = FEW_CASES
};

const tuff_op tuff_op_reduce_sum_square = {
    .name = "reduce_sum_square", .onnx = "ReduceSumSquare", COMMON(square, NUMBERS),
    .doc = "y = sum of x^2 over some dims",
    .grad = grad_square,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 }, .cases = FEW_CASES
};

const tuff_op tuff_op_reduce_log_sum = {
    .name = "reduce_log_sum", .onnx = "ReduceLogSum", COMMON(log_sum, TUFF_FLOATS),
    .doc = "y = log of the sum of x over some dims",
    .grad = grad_log_sum,
    .tol = { .f32 = 1e-6f }, .sample = { 0.25f, 2 }, .cases = FEW_CASES
};

const tuff_op tuff_op_reduce_log_sum_exp = {
    .name = "reduce_log_sum_exp", .onnx = "ReduceLogSumExp", COMMON(lse, TUFF_FLOATS),
    .doc = "y = log of the sum of exp(x) over some dims",
    .grad = grad_lse,
    .tol = { .f32 = 1e-6f }, .sample = { -8, 8 }, .cases = FEW_CASES
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,      \
                     const tuff_reduce_params *p)                               \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);        \
    }
PUBLIC(tuff_reduce_sum, tuff_op_reduce_sum)
PUBLIC(tuff_reduce_mean, tuff_op_reduce_mean)
PUBLIC(tuff_reduce_max, tuff_op_reduce_max)
PUBLIC(tuff_reduce_min, tuff_op_reduce_min)
PUBLIC(tuff_reduce_prod, tuff_op_reduce_prod)
PUBLIC(tuff_reduce_l1, tuff_op_reduce_l1)
PUBLIC(tuff_reduce_l2, tuff_op_reduce_l2)
PUBLIC(tuff_reduce_sum_square, tuff_op_reduce_sum_square)
PUBLIC(tuff_reduce_log_sum, tuff_op_reduce_log_sum)
PUBLIC(tuff_reduce_log_sum_exp, tuff_op_reduce_log_sum_exp)
