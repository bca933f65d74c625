// Sum, mean, maximum and minimum over a set of dims. The shader is shaders/reduce.comp.
#include "ops/compose.h"
#include "ops/walk.h"
#include "abi/reduce.h"
#include <math.h>

static uint32_t axes_of(const tuff_call *c)
{
    const tuff_reduce_params *p = c->params;
    return p->axes ? p->axes : (1u << c->in[0].rank) - 1;
}

// True when x's dim `d` (from the outermost) goes.
static bool dim_goes(const tuff_desc *x, uint32_t axes, int d)
{
    return axes >> (x->rank - 1 - d) & 1;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_reduce_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    const uint32_t axes = axes_of(c);
    TUFF_REQUIRE(axes >> x->rank == 0, ARG, "axes is 0x%x, x has only %d dims", axes, x->rank);
    out[0] = (tuff_desc){ .dtype = x->dtype };
    for (int d = 0; d < x->rank; d++) {
        const bool goes = dim_goes(x, axes, d);
        if (!goes || p->keepdims) out[0].dim[out[0].rank++] = goes ? 1 : x->dim[d];
    }
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static double terms(const tuff_call *c)
{
    return (double)tuff_desc_count(&c->in[0]) / (double)tuff_desc_count(&c->out[0]);
}

// ---- references ----------------------------------------------------------------------------

typedef struct visit {
    const tuff_desc *x;
    uint32_t axes;
    double (*join)(double so_far, double x);
    double result;
} visit;

static double sum_of(double so_far, double x) { return so_far + x; }
static double max_of(double so_far, double x) { return x > so_far || x != x ? x : so_far; }
static double min_of(double so_far, double x) { return x < so_far || x != x ? x : so_far; }

// Joins every element of a block of x: `x` points at it, `count` elements lie in it, and dims
// up to `d` have been gone through. `row` is what is left of the output's index, whose
// innermost dim comes last: `rows` outputs lie in the block.
static void visit_dim(visit *v, const float *x, size_t count, size_t row, size_t rows, int d)
{
    if (d == v->x->rank) {
        v->result = v->join(v->result, *x);
        return;
    }
    const size_t n = (size_t)v->x->dim[d];
    count /= n;
    if (dim_goes(v->x, v->axes, d)) {
        for (size_t i = 0; i < n; i++) visit_dim(v, x + i * count, count, row, rows, d + 1);
        return;
    }
    rows /= n;
    visit_dim(v, x + row / rows * count, count, row % rows, rows, d + 1);
}

static void reduce(const tuff_ref *r, double (*join)(double, double), double start,
                   double divisor)
{
    const tuff_desc *x = &r->call->in[0];
    for (size_t i = r->begin; i < r->end; i++) {
        visit v = { x, axes_of(r->call), join, start };
        visit_dim(&v, r->in[0], (size_t)tuff_desc_count(x), i,
                  (size_t)tuff_desc_count(&r->call->out[0]), 0);
        r->out[0][i] = (float)(v.result / divisor);
    }
}

static void ref_sum(const tuff_ref *r) { reduce(r, sum_of, 0, 1); }
static void ref_mean(const tuff_ref *r) { reduce(r, sum_of, 0, terms(r->call)); }
static void ref_max(const tuff_ref *r) { reduce(r, max_of, -INFINITY, 1); }
static void ref_min(const tuff_ref *r) { reduce(r, min_of, INFINITY, 1); }

// ---- plans ---------------------------------------------------------------------------------

static struct tuff_reduce_pc layout_of(const tuff_call *c)
{
    const tuff_desc *x = &c->in[0];
    const uint32_t axes = axes_of(c);
    int64_t step_x[TUFF_MAX_DIMS] = { 0 }, step_y[TUFF_MAX_DIMS] = { 0 }, next = 1;
    tuff_steps(x, step_x);
    for (int d = x->rank - 1; d >= 0; d--) {
        step_y[d] = dim_goes(x, axes, d) ? 0 : next;
        if (step_y[d]) next *= x->dim[d];
    }
    const tuff_walk w = tuff_walk_make(x->rank, x->dim, step_x, step_y);
    const uint32_t rows = (uint32_t)tuff_desc_count(&c->out[0]);
    struct tuff_reduce_pc pc = { .rows = rows, .scale = 1 };
    pc.cols = (uint32_t)(tuff_desc_count(x) / rows);
    pc.kept_dim[0] = pc.gone_dim[0] = 1;
    // Neighbours that go, or stay, together have become one: at most four of each are left.
    for (int d = 0; d < w.rank; d++) {
        const bool kept = w.step[1][d] != 0;
        const uint32_t i = kept ? pc.kept_rank++ : pc.gone_rank++;
        (kept ? pc.kept_dim : pc.gone_dim)[i] = w.dim[d];
        (kept ? pc.kept_step : pc.gone_step)[i] = w.step[0][d];
    }
    return pc;
}

typedef struct function {
    uint32_t op; // TUFF_REDUCE_...
    bool mean;   // divided by the number of terms
} function;

typedef enum kernel { KERNEL_SERIAL, KERNEL_TEXEL, KERNEL_GROUP } kernel;

static uint32_t group_size(kernel how, const tuff_caps *k)
{
    return how == KERNEL_GROUP && !k->cpu_like && k->max_group >= 256 &&
                   k->max_group_size[0] >= 256
               ? 256 : tuff_group_size(k);
}

// Cuts rows into pieces: enough of them to keep the device busy, and none so long that an
// invocation passes the device's limit on loop iterations (an element may cost five: its own,
// and a run of one element with a walk over three more dims).
static void cut(struct tuff_reduce_pc *pc, kernel how, const tuff_caps *k)
{
    const uint32_t lanes = how == KERNEL_GROUP ? group_size(how, k) : 1;
    const uint32_t busy = k->cpu_like ? 16 * tuff_group_size(k)
                                      : how == KERNEL_GROUP ? 1024 : 65536;
    uint64_t longest = 4096ull * lanes;
    if (k->max_loop && longest > (uint64_t)k->max_loop / 5 * lanes)
        longest = (uint64_t)k->max_loop / 5 * lanes;
    uint64_t pieces = (busy + pc->rows - 1) / pc->rows;
    const uint64_t worth = pc->cols / (64ull * lanes); // shorter ones cost more than they gain
    if (pieces > worth) pieces = worth ? worth : 1;
    uint64_t span = (pc->cols + pieces - 1) / pieces;
    if (span > longest) span = longest;
    span = (span + 3) / 4 * 4; // of whole vec4 texels
    pc->span = (uint32_t)span;
    pc->segments = (uint32_t)((pc->cols + span - 1) / span);
}

// One dispatch a pass. Pass 0 reads x; a pass whose rows are still in pieces writes those to
// one of two scratch buffers [segments, rows], and the next pass reduces them over segments.
static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, kernel how,
                 const function *f)
{
    static const int shaders[] = { TUFF_SHADER_reduce, TUFF_SHADER_reduce_texel,
                                   TUFF_SHADER_reduce_group };
    struct tuff_reduce_pc pc = layout_of(c);
    bool wide = how == KERNEL_TEXEL && pc.gone_step[0] == 1 && pc.gone_dim[0] % 4 == 0;
    if (how == KERNEL_TEXEL && !tuff_fits_texel(k, &c->in[0], wide ? 16 : 4)) return false;
    for (int pass = 0;; pass++) {
        cut(&pc, how, k);
        const bool last = pc.segments == 1;
        if (last && f->mean) pc.scale = (float)(1 / terms(c));
        tuff_dispatch *d = tuff_plan_add(p, shaders[how]);
        const uint32_t wg = group_size(how, k);
        tuff_spec(d, wg);
        tuff_spec(d, f->op);
        if (how == KERNEL_TEXEL) tuff_spec(d, wide);
        const uint64_t pieces = (uint64_t)pc.rows * pc.segments;
        tuff_grid(d, how == KERNEL_GROUP ? pieces : (pieces + wg - 1) / wg, k);
        const tuff_bind_kind kind = how != KERNEL_TEXEL ? TUFF_BIND_STORAGE
                                  : wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32;
        tuff_bind(d, pass ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, pass ? 1 - pass % 2 : 0, kind,
                  TUFF_READ);
        tuff_bind(d, last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH, last ? 0 : pass % 2,
                  TUFF_BIND_STORAGE, TUFF_WRITE);
        TUFF_PUSH(d, pc);
        if (last) return true;
        const size_t bytes = pieces * sizeof(float);
        if (p->scratch[pass % 2] < bytes) p->scratch[pass % 2] = bytes;
        pc = (struct tuff_reduce_pc){ .rows = pc.rows, .cols = pc.segments, .scale = 1,
                                      .kept_rank = 1, .gone_rank = 1,
                                      .kept_dim = { pc.rows }, .kept_step = { 1 },
                                      .gone_dim = { pc.segments }, .gone_step = { pc.rows } };
        wide = false;
    }
}

// Where the innermost dim goes, neighbouring invocations read neighbouring elements of a row;
// where it stays, the plain kernel already does, with a row each.
static bool group_pays(const tuff_call *c)
{
    const struct tuff_reduce_pc pc = layout_of(c);
    return pc.gone_step[0] == 1 && pc.cols >= 32;
}

#define PLANS(name, ...)                                                        \
    static const function name##_function = { __VA_ARGS__ };                    \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return k->cpu_like && plan(c, k, p, KERNEL_TEXEL, &name##_function);    \
    }                                                                           \
    static bool group_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return group_pays(c) && plan(c, k, p, KERNEL_GROUP, &name##_function);  \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan(c, k, p, KERNEL_SERIAL, &name##_function);                  \
    }
PLANS(sum, TUFF_REDUCE_SUM, false)
PLANS(mean, TUFF_REDUCE_SUM, true)
PLANS(max, TUFF_REDUCE_MAX, false)
PLANS(min, TUFF_REDUCE_MIN, false)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ n, 4 * (n + (double)tuff_desc_count(&c->out[0])) };
}

// ---- gradients -----------------------------------------------------------------------------

// x's shape with 1 for the dims that go, so that a result broadcasts against x.
static tuff_desc kept_shape(const tuff_call *c)
{
    tuff_desc d = c->in[0];
    for (int i = 0; i < d.rank; i++)
        if (dim_goes(&c->in[0], axes_of(c), i)) d.dim[i] = 1;
    return d;
}

// Every element had the same share.
static void grad_sum(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_desc shape = kept_shape(&n->call);
    dx[0] = TUFF_V(t, &tuff_op_expand, NULL, t->reshape(t, dy[0], &shape), n->in[0]);
}

static void grad_mean(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var shares[] = { tuff_scaled(t, dy[0], (float)(1 / terms(&n->call))) };
    grad_sum(t, n, shares, dx);
}

// The elements that equal the result share dy evenly.
static void grad_extremum(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_desc shape = kept_shape(&n->call);
    const tuff_reduce_params count = { .axes = axes_of(&n->call), .keepdims = true };
    const tuff_var y = t->reshape(t, n->out[0], &shape), g = t->reshape(t, dy[0], &shape);
    const tuff_var chosen = TUFF_V(t, &tuff_op_equal, NULL, n->in[0], y);
    const tuff_var number = TUFF_V(t, &tuff_op_reduce_sum, &count, chosen);
    const tuff_var share = TUFF_V(t, &tuff_op_div, NULL, g, number);
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, chosen, share);
}

// ---- records -------------------------------------------------------------------------------

// Rows, columns, the middle, outer and inner together, every second of eight dims; everything;
// one row over the limit of loop iterations of a known driver, and many short rows.
#define CASES                                                                   \
    TUFF_CASES("1", "3x257 axes=0 keepdims=1", "257x13 axes=1", "5x7x11 axes=1", \
               "4x3x6x8 axes=0,1,3", "2x3x2x3x2x1x2x3 axes=0,2,4,6", "13x4097", \
               "70001x3 axes=0", "70001x3 axes=1")
#define COMMON(name_)                                                           \
    .in = { { .name = "x", .dtypes = TUFF_F32 } },                              \
    .out = { { .name = "y", .dtypes = TUFF_F32 } },                             \
    .params_size = sizeof(tuff_reduce_params),                                  \
    .params = { TUFF_AXES(tuff_reduce_params, axes),                            \
                TUFF_BOOLEAN(tuff_reduce_params, keepdims) },                   \
    .infer = infer, .units = units, .cost = cost, .ref = ref_##name_,           \
    .variants = { TUFF_KERNEL("texel", texel_##name_),                          \
                  TUFF_KERNEL("group", group_##name_),                          \
                  TUFF_KERNEL("plain", plain_##name_) }

const tuff_op tuff_op_reduce_sum = {
    .name = "reduce_sum", .onnx = "ReduceSum", COMMON(sum),
    .doc = "y = sum of x over some dims",
    .grad = grad_sum,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 4 },
    // And a sum that takes three passes.
    .cases = TUFF_CASES("1", "3x257 axes=0 keepdims=1", "257x13 axes=1", "5x7x11 axes=1",
                        "4x3x6x8 axes=0,1,3", "2x3x2x3x2x1x2x3 axes=0,2,4,6", "70001x3 axes=0",
                        "70001x3 axes=1", "5000000")
};

const tuff_op tuff_op_reduce_mean = {
    .name = "reduce_mean", .onnx = "ReduceMean", COMMON(mean),
    .doc = "y = mean of x over some dims",
    .grad = grad_mean,
    .tol = { .f32 = 1e-6f }, .sample = { -2, 4 }, .cases = CASES
};

const tuff_op tuff_op_reduce_max = {
    .name = "reduce_max", .onnx = "ReduceMax", COMMON(max),
    .doc = "y = largest x over some dims",
    .grad = grad_extremum,
    .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_reduce_min = {
    .name = "reduce_min", .onnx = "ReduceMin", COMMON(min),
    .doc = "y = smallest x over some dims",
    .grad = grad_extremum,
    .sample = { -4, 4 }, .cases = CASES
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
