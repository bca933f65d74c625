// clip_norm: a gradient whose length is limited. The shaders are fold.comp and clip_norm.comp.
#include "ops/fold.h"
#include "abi/update.h"
#include <math.h>

static double max_norm(const tuff_call *c)
{
    const tuff_clip_norm_params *p = c->params;
    return tuff_number(p->max_norm, 1);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(max_norm(c) > 0 && max_norm(c) < HUGE_VAL, ARG,
                 "max_norm is %g, it must be above 0", max_norm(c));
    out[0] = c->in[0];
    out[1] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const size_t n = (size_t)tuff_desc_count(&r->call->in[0]);
    const float *x = r->in[0];
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * x[i];
    const double norm = sqrt(squares), scale = max_norm(r->call) / (norm + 1e-6);
    for (size_t i = 0; i < n; i++) r->out[0][i] = (float)(scale >= 1 ? x[i] : x[i] * scale);
    r->out[1][0] = (float)norm;
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const size_t count = (size_t)tuff_desc_count(&c->in[0]);
    const tuff_fold fold = { .from = TUFF_FOLD_SQUARE, .write = TUFF_FOLD_ROOT,
                             .a = { TUFF_ROLE_IN, 0 }, .b = { TUFF_ROLE_IN, 0 },
                             .count = count, .out = { TUFF_ROLE_OUT, 1 }, .scratch = 0 };
    tuff_fold_add(&fold, k, p);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_clip_norm);
    tuff_bind_in(d, 0);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_OUT, 1, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_spec(d, wg);
    const struct tuff_clip_pc pc = { (uint32_t)count, (float)max_norm(c) };
    TUFF_PUSH(d, pc);
    tuff_grid(d, (count + wg - 1) / wg, k);
    return true;
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ .flops = 3 * n, .bytes = 12 * n };
}

const tuff_op tuff_op_clip_norm = {
    .name = "clip_norm",
    .doc = "norm = |x|, the root of the sum of squares; y = x min(1, max_norm / (norm + 1e-6))",
    .in = { { .name = "x", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true },
             { .name = "norm", .dtypes = TUFF_F32 } },
    .params_size = sizeof(tuff_clip_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_clip_norm_params, max_norm) },
    .infer = infer,
    .ref = ref,
    .variants = { TUFF_KERNEL("plain", plain) },
    .cost = cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1", "7x11x3", "997 max_norm=100", "61706 max_norm=0.5", "600011"),
};

tuff_status tuff_clip_norm(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                           tuff_tensor *norm, const tuff_clip_norm_params *p)
{
    return tuff_run(s, &tuff_op_clip_norm, TUFF_RUN_IN(x), TUFF_RUN_OUT(y, norm), p);
}
