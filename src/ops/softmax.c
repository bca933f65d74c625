// softmax, its logarithm, and softmin. The shader is shaders/softmax.comp.
#include "ops/compose.h"
#include "ops/gemm.h"
#include "ops/softmax.h"
#include "abi/softmax.h"
#include <math.h>

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_softmax_params *p = c->params;
    TUFF_REQUIRE(p->axis >= 0 && p->axis < c->in[0].rank, ARG, "axis is %d, x has %d dims",
                 p->axis, c->in[0].rank);
    out[0] = c->in[0];
    return TUFF_OK;
}

static tuff_axis axis_of(const tuff_call *c)
{
    const tuff_softmax_params *p = c->params;
    return tuff_axis_of(&c->in[0], p->axis);
}

static size_t units(const tuff_call *c) { return axis_of(c).rows; }

// What is written of d = x - max and the sum of exp(d); `sign` -1 is softmin's.
static void reference(const tuff_ref *r, double sign, double (*write)(double d, double sum))
{
    const tuff_axis a = axis_of(r->call);
    for (size_t row = r->begin; row < r->end; row++) {
        const float *x = r->in[0] + tuff_axis_base(a, row);
        float *y = r->out[0] + tuff_axis_base(a, row);
        double max = -INFINITY, sum = 0;
        for (size_t j = 0; j < a.cols; j++) max = fmax(max, sign * x[j * a.step]);
        for (size_t j = 0; j < a.cols; j++) sum += exp(sign * x[j * a.step] - max);
        for (size_t j = 0; j < a.cols; j++)
            y[j * a.step] = (float)write(sign * x[j * a.step] - max, sum);
    }
}

static double share_of(double d, double sum) { return exp(d) / sum; }
static double log_of(double d, double sum) { return d - log(sum); }

static void ref(const tuff_ref *r) { reference(r, 1, share_of); }
static void ref_log(const tuff_ref *r) { reference(r, 1, log_of); }
static void ref_min(const tuff_ref *r) { reference(r, -1, share_of); }

static size_t host_units(const tuff_call *c, int stage)
{
    return stage ? 0 : tuff_softmax_host_units(axis_of(c));
}

static void host_softmax(const tuff_ref *r)
{
    tuff_softmax_host(r, axis_of(r->call), false, false);
}

static void host_log_softmax(const tuff_ref *r)
{
    tuff_softmax_host(r, axis_of(r->call), true, false);
}

static void host_softmin(const tuff_ref *r)
{
    tuff_softmax_host(r, axis_of(r->call), false, true);
}

// The constants of softmax.comp.
typedef struct form {
    bool log, min;
} form;

static tuff_dispatch *add_dispatch(tuff_axis a, const tuff_caps *k, tuff_plan *p, form f,
                                   int shader, uint32_t wg, uint64_t groups)
{
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, f.log);
    tuff_spec(d, f.min);
    tuff_grid(d, groups, k);
    TUFF_PUSH(d, (struct tuff_softmax_pc){ (uint32_t)a.rows, (uint32_t)a.cols,
                                           (uint32_t)a.step });
    return d;
}

// An invocation goes over its elements three times, once in short pieces.
static bool loop_fits(const tuff_caps *k, uint64_t elements)
{
    return !k->max_loop || 4 * elements + 64 <= k->max_loop;
}

// A row an invocation: nothing is shared, nothing waits. Where a device shows few texels, rows
// that lie together are done in pieces.
static bool texel_row(const tuff_call *c, const tuff_caps *k, tuff_plan *p, form f)
{
    const tuff_axis a = axis_of(c);
    const bool wide = a.step == 1 && a.cols % 4 == 0;
    const uint32_t wg = tuff_group_size(k);
    const size_t texel = wide ? 16 : 4, run = a.cols * a.step * sizeof(float);
    const size_t runs = a.rows / a.step;
    if (!k->cpu_like || a.cols > 4096 || !loop_fits(k, a.cols)) return false;
    const bool all = tuff_fits_texel(k, &c->in[0], texel);
    const size_t piece = all ? runs : (size_t)tuff_texel_runs(k, run, texel);
    if (piece == 0 || (runs + piece - 1) / piece > TUFF_PLAN_MAX) return false;
    for (size_t first = 0; first < runs; first += piece) {
        const size_t some = runs - first < piece ? runs - first : piece;
        const tuff_axis part = { some * a.step, a.cols, a.step };
        tuff_dispatch *d = add_dispatch(part, k, p, f, TUFF_SHADER_softmax_texel, wg,
                                        (part.rows + wg - 1) / wg);
        tuff_spec(d, wide);
        tuff_bind(d, TUFF_ROLE_IN, 0, wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
                  TUFF_READ);
        if (!all) tuff_bind_range(d, first * run, some * run);
        tuff_bind_out(d, 0);
        if (!all) tuff_bind_range(d, first * run, some * run);
    }
    return true;
}

// vec4s of a row that an invocation keeps, a power of two; 0: too many. Code for 32 takes a
// driver 0.3 s to compile.
static uint32_t kept_of(const tuff_axis a, uint32_t subgroup)
{
    const uint64_t most = a.rows * a.cols >= 1 << 20 ? 32 : 16;
    uint64_t kept = 1;
    while (kept < most && kept * 4 * subgroup < a.cols) kept *= 2;
    return kept * 4 * subgroup < a.cols ? 0 : (uint32_t)kept;
}

// A row a subgroup: what its lanes read lies side by side, where eight rows side by side would
// not share a cache well. Four (SwiftShader) do.
static bool lanes_row(const tuff_call *c, const tuff_caps *k, tuff_plan *p, form f)
{
    enum { SHORTEST = 32, ENOUGH = 16384, GROUPS = 64 };
    const tuff_axis a = axis_of(c);
    if (!tuff_takes_texels(k) || k->subgroup < 8 || a.step != 1 || a.cols % 4 != 0 ||
        a.cols < SHORTEST || !loop_fits(k, a.cols / (4 * k->subgroup) + 1) ||
        !tuff_fits_texel(k, &c->in[0], 16))
        return false;
    uint64_t rows = ENOUGH / a.cols;
    if (rows > a.rows / GROUPS) rows = a.rows / GROUPS;
    if (rows == 0) rows = 1;
    tuff_dispatch *d = add_dispatch(a, k, p, f, TUFF_SHADER_softmax_lanes, k->subgroup,
                                    (a.rows + rows - 1) / rows);
    tuff_spec(d, true);
    tuff_spec(d, kept_of(a, k->subgroup));
    tuff_spec(d, (uint32_t)rows);
    tuff_bind(d, TUFF_ROLE_IN, 0, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind_out(d, 0);
    return true;
}

// A row a workgroup, which is as wide as the row within reason.
static bool group_row(const tuff_call *c, const tuff_caps *k, tuff_plan *p, form f)
{
    const tuff_axis a = axis_of(c);
    uint32_t wg = tuff_group_size(k);
    const uint32_t most = k->max_group < k->max_group_size[0] ? k->max_group
                                                               : k->max_group_size[0];
    while (!k->cpu_like && wg < a.cols && wg < 256 && 2 * wg <= most) wg *= 2;
    while (!loop_fits(k, (a.cols + wg - 1) / wg) && 2 * wg <= most) wg *= 2;
    if (!loop_fits(k, (a.cols + wg - 1) / wg)) return false;
    tuff_dispatch *d = add_dispatch(a, k, p, f, TUFF_SHADER_softmax, wg, a.rows);
    tuff_bind_in(d, 0);
    tuff_bind_out(d, 0);
    return true;
}

#define PLANS(name, ...)                                                        \
    static bool lanes_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return lanes_row(c, k, p, (form){ __VA_ARGS__ });                       \
    }                                                                           \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return texel_row(c, k, p, (form){ __VA_ARGS__ });                       \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return group_row(c, k, p, (form){ __VA_ARGS__ });                       \
    }
PLANS(softmax, .log = false)
PLANS(log_softmax, .log = true)
PLANS(softmin, .min = true)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ 4 * n, 8 * n };
}

static tuff_reduce_params along(const tuff_node *n)
{
    const tuff_softmax_params *p = n->call.params;
    return (tuff_reduce_params){ .axes = 1u << p->axis, .keepdims = true };
}

// y (dy - sum(dy y)).
static tuff_var share_grad(tuff_tape *t, const tuff_node *n, tuff_var dy)
{
    const tuff_reduce_params p = along(n);
    const tuff_var y = n->out[0];
    const tuff_var part = TUFF_V(t, &tuff_op_mul, NULL, dy, y);
    const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &p, part);
    return TUFF_V(t, &tuff_op_mul, NULL, y, TUFF_V(t, &tuff_op_sub, NULL, dy, sum));
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = share_grad(t, n, dy[0]);
}

static void grad_min(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_scaled(t, share_grad(t, n, dy[0]), -1);
}

// dy - exp(y) sum(dy).
static void grad_log(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_reduce_params p = along(n);
    const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &p, dy[0]);
    const tuff_var e = TUFF_V(t, &tuff_op_exp, NULL, n->out[0]);
    dx[0] = TUFF_V(t, &tuff_op_sub, NULL, dy[0], TUFF_V(t, &tuff_op_mul, NULL, e, sum));
}

// Rows over the limit of loop iterations of a known driver, rows over its grid limit.
#define COMMON(name_)                                                           \
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },                           \
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },           \
    .params_size = sizeof(tuff_softmax_params),                                 \
    .params = { TUFF_AXIS(tuff_softmax_params, axis) },                         \
    .infer = infer, .units = units, .cost = cost,                               \
    .variants = { TUFF_KERNEL("lanes", lanes_##name_),                          \
                  TUFF_KERNEL("texel", texel_##name_),                          \
                  TUFF_KERNEL("plain", plain_##name_) },                        \
    .hosts = { { .name = "fast", .takes = tuff_softmax_host_takes,              \
                 .run = host_##name_, .units = host_units } },                  \
    .tol = { .f32 = 1e-6f }, .sample = { -8, 8 }

const tuff_op tuff_op_softmax = {
    .name = "softmax", .onnx = "Softmax", COMMON(softmax), .ref = ref, .grad = grad,
    .doc = "y = exp(x - max(x)) / sum(exp(x - max(x))) along one axis",
    .cases = TUFF_CASES("1", "3x257", "70000x3", "5x7x11 axis=1", "13x4096", "13x4097",
                        "7x300", "2x200003",
                        "131x32", "67x516", "1031x1020")
};

const tuff_op tuff_op_log_softmax = {
    .name = "log_softmax", .onnx = "LogSoftmax", COMMON(log_softmax), .ref = ref_log,
    .grad = grad_log,
    .doc = "y = x - max(x) - log(sum(exp(x - max(x)))) along one axis",
    .cases = TUFF_CASES("3x2", "5x7x11 axis=2", "64x10", "33x64", "5x260", "1x70001")
};

const tuff_op tuff_op_softmin = {
    .name = "softmin", COMMON(softmin), .ref = ref_min, .grad = grad_min,
    .doc = "y = exp(min(x) - x) / sum(exp(min(x) - x)) along one axis",
    .cases = TUFF_CASES("1", "3x257", "3x260", "5x7x11 axis=1")
};

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,      \
                     const tuff_softmax_params *p)                              \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);        \
    }
PUBLIC(tuff_softmax, tuff_op_softmax)
PUBLIC(tuff_log_softmax, tuff_op_log_softmax)
PUBLIC(tuff_softmin, tuff_op_softmin)
