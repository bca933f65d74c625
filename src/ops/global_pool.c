// global_max_pool, global_average_pool: reductions over all spatial dims, with the kernels of
// reduce.c.
#include "ops/ops.h"
#include "ops/reduce.h"
#include <math.h>
#include <string.h>

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(x->rank >= 3 && x->rank <= 5, SHAPE,
                 "x has %d dims, it must have 3, 4 or 5 (N C and one to three more)", x->rank);
    out[0] = *x;
    for (int i = 2; i < x->rank; i++) out[0].dim[i] = 1;
    return TUFF_OK;
}

static size_t planes(const tuff_call *c)
{
    return (size_t)(c->in[0].dim[0] * c->in[0].dim[1]);
}

static size_t cells(const tuff_call *c)
{
    return (size_t)tuff_desc_count(&c->in[0]) / planes(c);
}

static void ref_max(const tuff_ref *r)
{
    const size_t n = cells(r->call);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        const float *x = r->in[0] + plane * n;
        float best = x[0];
        for (size_t i = 1; i < n; i++)
            if (x[i] > best || isnan(x[i])) best = x[i];
        r->out[0][plane] = best;
    }
}

static void ref_mean(const tuff_ref *r)
{
    const size_t n = cells(r->call);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += r->in[0][plane * n + i];
        r->out[0][plane] = (float)(sum / (double)n);
    }
}

static bool host_takes(const tuff_call *c) { return c->in[0].dtype == TUFF_F32; }

static void host(const tuff_ref *r)
{
    const bool max = r->call->op == &tuff_op_global_max_pool;
    const tuff_reduction_of f = { .op = max ? TUFF_REDUCE_MAX : TUFF_REDUCE_SUM, .mean = !max };
    const size_t n = cells(r->call);
    tuff_reduce_rows_host(r->in[0] + r->begin * n, r->end - r->begin, n, &f,
                          r->out[0] + r->begin);
}

// The same call as one of a reduction, with its kernel of that name.
static bool plan(const tuff_call *c, const char *kernel, const tuff_caps *k, tuff_plan *p)
{
    const bool max = c->op == &tuff_op_global_max_pool;
    const tuff_reduce_params params = { .axes = (1u << (c->in[0].rank - 2)) - 1,
                                        .keepdims = true };
    tuff_call as = *c;
    as.op = max ? &tuff_op_reduce_max : &tuff_op_reduce_mean;
    as.params = &params;
    const tuff_variant *v = as.op->variants;
    while (strcmp(v->name, kernel) != 0)
        if (!(++v)->name) return false;
    return v->plan(&as, k, p);
}

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, "texel", k, p);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, "group", k, p);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, "plain", k, p);
}

// As one adaptive window, so that the first of equal maxima takes all, as in PyTorch.
static void grad_max(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_pool_params p = { .output_size = { 1, 1, 1 } };
    dx[0] = TUFF_V(t, &tuff_op_max_pool_grad, &p, n->in[0], dy[0]);
}

static void grad_mean(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_affine_params share = { .scale = 1 / (float)cells(&n->call) };
    const tuff_var scaled = TUFF_V(t, &tuff_op_affine, &share, dy[0]);
    dx[0] = TUFF_V(t, &tuff_op_expand, NULL, scaled, n->in[0]);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ .flops = n, .bytes = 4 * n };
}

#define COMMON                                                                  \
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },                           \
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },                          \
    .infer = infer, .units = planes, .cost = cost,                              \
    .variants = { TUFF_KERNEL("texel", texel), TUFF_GPU_KERNEL("group", group), \
                  TUFF_KERNEL("plain", plain) },                                \
    TUFF_FAST(host_takes, host),                                                \
    .sample = { -4, 8 },                                                        \
    .cases = TUFF_CASES("1x1x1", "2x3x37", "2x5x7x7", "3x2x13x11", "1x3x5x6x7", "1x1x97x1021")

const tuff_op tuff_op_global_max_pool = {
    .name = "global_max_pool", .onnx = "GlobalMaxPool", COMMON,
    .doc = "y = the maximum of each plane of x",
    .ref = ref_max, .grad = grad_max, .special = TUFF_SPECIAL_EACH,
};

const tuff_op tuff_op_global_average_pool = {
    .name = "global_average_pool", .onnx = "GlobalAveragePool", COMMON,
    .doc = "y = the mean of each plane of x",
    .ref = ref_mean, .grad = grad_mean,
    .tol = { .f32 = 1e-6f }, // as reduce_mean
};

tuff_status tuff_global_max_pool(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_global_max_pool, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL);
}

tuff_status tuff_global_average_pool(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_global_average_pool, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), NULL);
}
