// lp_norm: lines along an axis divided by their length. The launches are those of norm.h.
#include "ops/compose.h"
#include "ops/norm.h"
#include <math.h>

static const tuff_lp_norm_params *params_of(const tuff_call *c) { return c->params; }

static bool l1(const tuff_call *c) { return params_of(c)->p == 1; }

static tuff_axis axis_of(const tuff_call *c)
{
    return tuff_axis_of(&c->in[0], params_of(c)->axis);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_lp_norm_params *p = c->params;
    TUFF_REQUIRE(p->axis >= 0 && p->axis < c->in[0].rank, ARG, "axis is %d, x has %d dims",
                 p->axis, c->in[0].rank);
    TUFF_REQUIRE(p->p == 0 || p->p == 1 || p->p == 2, ARG,
                 "p is %d, it must be 1 or 2 (0 means 2)", p->p);
    out[0] = c->in[0];
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const tuff_axis a = axis_of(r->call);
    for (size_t row = r->begin; row < r->end; row++) {
        const float *x = r->in[0] + tuff_axis_base(a, row);
        float *y = r->out[0] + tuff_axis_base(a, row);
        double sum = 0;
        for (size_t j = 0; j < a.cols; j++)
            sum += l1(r->call) ? fabs(x[j * a.step]) : (double)x[j * a.step] * x[j * a.step];
        const double norm = l1(r->call) ? sum : sqrt(sum);
        for (size_t j = 0; j < a.cols; j++)
            y[j * a.step] = norm > 0 ? (float)(x[j * a.step] / norm) : 0;
    }
}

static size_t units(const tuff_call *c) { return axis_of(c).rows; }

// ---- plans ---------------------------------------------------------------------------------

static tuff_norm norm_of(const tuff_call *c)
{
    const tuff_axis a = axis_of(c);
    return (tuff_norm){
        .count = a.rows * a.cols,
        .rows = { a.rows, a.cols, a.step, a.step == 1 ? a.cols : 1 },
        .params = 1, .span = a.rows * a.cols,
        .kind = l1(c) ? TUFF_NORM_L1 : TUFF_NORM_L2,
    };
}

static bool plan_row(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c);
    const tuff_norm_row r = { .x = TUFF_PLACE_IN(0), .y = TUFF_PLACE_OUT(0) };
    return tuff_norm_add_row(&g, how, &r, k, p);
}

// scratch[0]: pieces; scratch[1]: 1 / length of each line.
static bool plan_pieces(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c);
    if (how == TUFF_NORM_TEXEL && !tuff_norm_texels(&g, k)) return false;
    const tuff_norm_apply a = { .x = TUFF_PLACE_IN(0), .inv = TUFF_PLACE_SCRATCH(1),
                                .y = TUFF_PLACE_OUT(0) };
    const tuff_norm_pieces pieces = tuff_norm_add_stats(&g, how, a.x, 0, k, p);
    tuff_norm_add_merge(&g, pieces, 0, a.inv, a.inv, k, p);
    p->scratch[1] = g.rows.count * sizeof(float);
    return tuff_norm_add_apply(&g, how, &a, k, p);
}

#define PLAN(name, plan, how)                                                   \
    static bool name(const tuff_call *c, const tuff_caps *k, tuff_plan *p)      \
    {                                                                           \
        return plan(c, how, k, p);                                              \
    }
PLAN(row_lanes, plan_row, TUFF_NORM_LANES)
PLAN(row_texel, plan_row, TUFF_NORM_TEXEL)
PLAN(row, plan_row, TUFF_NORM_GROUP)
PLAN(texel, plan_pieces, TUFF_NORM_TEXEL)
PLAN(group, plan_pieces, TUFF_NORM_GROUP)
PLAN(plain, plan_pieces, TUFF_NORM_PLAIN)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ 3 * n, 8 * n };
}

// ---- gradient ------------------------------------------------------------------------------

// dx = (dy - f sum(dy y)) / length, where f is y, or of p = 1 the sign of x.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_reduce_params along = { .axes = 1u << params_of(&n->call)->axis,
                                       .keepdims = true };
    const bool p1 = l1(&n->call);
    const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &along,
                                TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->out[0]));
    const tuff_var length = TUFF_V(t, p1 ? &tuff_op_reduce_l1 : &tuff_op_reduce_l2, &along,
                                   n->in[0]);
    const tuff_var f = p1 ? TUFF_V(t, &tuff_op_sign, NULL, n->in[0]) : n->out[0];
    const tuff_var part = TUFF_V(t, &tuff_op_mul, NULL, f, sum);
    dx[0] = TUFF_V(t, &tuff_op_div, NULL, TUFF_V(t, &tuff_op_sub, NULL, dy[0], part), length);
}

const tuff_op tuff_op_lp_norm = {
    .name = "lp_norm", .special = TUFF_SPECIAL_NONE, // a norm of tiny numbers is 0 in f32
    .onnx = "LpNormalization",
    .doc = "y = x / its length along one axis: the root of the sum of x^2, or with p = 1 the "
           "sum of |x|; 0 where that is 0",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },
    .params_size = sizeof(tuff_lp_norm_params),
    .params = { TUFF_AXIS(tuff_lp_norm_params, axis), TUFF_POSITIVE(tuff_lp_norm_params, p) },
    .infer = infer, .ref = ref, .units = units, .cost = cost, .grad = grad,
    .variants = { TUFF_KERNEL("row_lanes", row_lanes), TUFF_KERNEL("row_texel", row_texel),
                  TUFF_GPU_KERNEL("row", row),
                  TUFF_KERNEL("texel", texel), TUFF_GPU_KERNEL("group", group),
                  TUFF_KERNEL("plain", plain) },
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("1x3", "5x257", "67x13 p=1", "5x7x11 axis=1", "5x7x12 axis=1 p=1",
                        "1x70001", "5x260", "3x4001x2 axis=1")
};

tuff_status tuff_lp_norm(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_lp_norm_params *p)
{
    return tuff_run(s, &tuff_op_lp_norm, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
