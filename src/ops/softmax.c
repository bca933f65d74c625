// softmax and log-softmax. The shader is shaders/softmax.comp.
#include "ops/compose.h"
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

static void ref(const tuff_ref *r)
{
    const tuff_softmax_params *p = r->call->params;
    const tuff_axis a = axis_of(r->call);
    for (size_t row = r->begin; row < r->end; row++) {
        const float *x = r->in[0] + tuff_axis_base(a, row);
        float *y = r->out[0] + tuff_axis_base(a, row);
        double max = -INFINITY, sum = 0;
        for (size_t j = 0; j < a.cols; j++) max = fmax(max, x[j * a.step]);
        for (size_t j = 0; j < a.cols; j++) sum += exp(x[j * a.step] - max);
        for (size_t j = 0; j < a.cols; j++) {
            const double d = x[j * a.step] - max;
            y[j * a.step] = (float)(p->log ? d - log(sum) : exp(d) / sum);
        }
    }
}

static tuff_dispatch *add_dispatch(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                                   int shader, uint32_t wg, uint64_t groups)
{
    const tuff_softmax_params *params = c->params;
    const tuff_axis a = axis_of(c);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, params->log);
    tuff_grid(d, groups, k);
    TUFF_PUSH(d, (struct tuff_softmax_pc){ (uint32_t)a.rows, (uint32_t)a.cols,
                                           (uint32_t)a.step });
    return d;
}

// An invocation goes over its elements three times.
static bool loop_fits(const tuff_caps *k, uint64_t elements)
{
    return !k->max_loop || 3 * elements + 64 <= k->max_loop;
}

// A row an invocation: nothing is shared, nothing waits.
static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = axis_of(c);
    if (!k->cpu_like || a.cols > 4096 || !loop_fits(k, a.cols) ||
        !tuff_fits_texel(k, &c->in[0], 4))
        return false;
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = add_dispatch(c, k, p, TUFF_SHADER_softmax_texel, wg,
                                    (a.rows + wg - 1) / wg);
    tuff_bind(d, TUFF_ROLE_IN, 0, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_out(d, 0);
    return true;
}

// A row a workgroup, which is as wide as the row within reason.
static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = axis_of(c);
    uint32_t wg = tuff_group_size(k);
    const uint32_t most = k->max_group < k->max_group_size[0] ? k->max_group
                                                               : k->max_group_size[0];
    while (!k->cpu_like && wg < a.cols && wg < 256 && 2 * wg <= most) wg *= 2;
    while (!loop_fits(k, (a.cols + wg - 1) / wg) && 2 * wg <= most) wg *= 2;
    if (!loop_fits(k, (a.cols + wg - 1) / wg)) return false;
    tuff_dispatch *d = add_dispatch(c, k, p, TUFF_SHADER_softmax, wg, a.rows);
    tuff_bind_in(d, 0);
    tuff_bind_out(d, 0);
    return true;
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ 4 * n, 8 * n };
}

// log: dx = dy - exp(y) sum(dy); else dx = y (dy - sum(dy y)).
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_softmax_params *p = n->call.params;
    const tuff_reduce_params along = { .axes = 1u << p->axis, .keepdims = true };
    const tuff_var y = n->out[0];
    if (p->log) {
        const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &along, dy[0]);
        const tuff_var share = TUFF_V(t, &tuff_op_mul, NULL,
                                      TUFF_V(t, &tuff_op_exp, NULL, y), sum);
        dx[0] = TUFF_V(t, &tuff_op_sub, NULL, dy[0], share);
        return;
    }
    const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &along,
                                TUFF_V(t, &tuff_op_mul, NULL, dy[0], y));
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, y, TUFF_V(t, &tuff_op_sub, NULL, dy[0], sum));
}

const tuff_op tuff_op_softmax = {
    .name = "softmax", .onnx = "Softmax",
    .doc = "y = exp(x - max(x)) / sum(exp(x - max(x))) along one axis, or its logarithm",
    .in = { { .name = "x", .dtypes = TUFF_F32 } },
    .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true } },
    .params_size = sizeof(tuff_softmax_params),
    .params = { TUFF_AXIS(tuff_softmax_params, axis), TUFF_BOOLEAN(tuff_softmax_params, log) },
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("texel", plan_texel), TUFF_KERNEL("plain", plan_plain) },
    .tol = { .f32 = 1e-6f }, .sample = { -8, 8 },
    // Rows over the limit of loop iterations of a known driver, rows over its grid limit.
    .cases = TUFF_CASES("1", "3x257", "70000x3", "5x7x11 axis=1", "5x7x11 axis=2 log=1",
                        "64x10 log=1", "13x4097", "2x200003", "2x200003 log=1")
};

tuff_status tuff_softmax(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_softmax_params *p)
{
    return tuff_run(s, &tuff_op_softmax, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
