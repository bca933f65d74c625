// clip_norm: a gradient whose length is limited. The shaders are fold.comp and clip_norm.comp.
#include "ops/fold.h"
#include "ops/norm_host.h"
#include "abi/update.h"
#include <math.h>
#include <string.h>

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

// ---- the CPU path's kernel ------------------------------------------------------------------

// Squares of spans, their sum, and y by spans.
enum { SPAN = 1 << 14 };

static size_t spans_of(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->in[0]) + SPAN - 1) / SPAN;
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static size_t host_units(const tuff_call *c, int stage)
{
    return stage > 2 ? 0 : stage == 1 ? 1 : spans_of(c);
}

static size_t host_scratch(const tuff_call *c) { return (spans_of(c) + 1) * sizeof(double); }

// The sum of `spans` numbers lies behind them.
static void host_span(const tuff_ref *r, size_t span, double *squares, size_t spans)
{
    const size_t at = span * SPAN, left = (size_t)tuff_desc_count(&r->call->in[0]) - at;
    const tuff_runs run = { .runs = 1, .run = left < SPAN ? left : SPAN };
    const float *x = r->in[0] + at;
    float *y = r->out[0] + at;
    if (r->stage == 0) {
        double mean;
        tuff_norm_host_moments(x, &run, true, &mean, &squares[span]);
        squares[span] *= (double)run.run;
        return;
    }
    const double scale = max_norm(r->call) / (sqrt(squares[spans]) + 1e-6);
    if (!(scale >= 1)) tuff_norm_host_apply(x, &run, 0, scale, NULL, NULL, 0, y);
    else if (x != y) memcpy(y, x, run.run * sizeof *y);
}

static void host(const tuff_ref *r)
{
    double *squares = r->scratch;
    const size_t spans = spans_of(r->call);
    if (r->stage == 1) {
        squares[spans] = 0;
        for (size_t i = 0; i < spans; i++) squares[spans] += squares[i];
        r->out[1][0] = (float)sqrt(squares[spans]);
        return;
    }
    for (size_t i = r->begin; i < r->end; i++) host_span(r, i, squares, spans);
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
    .hosts = { { .name = "fast", .takes = host_takes, .run = host, .units = host_units,
                 .scratch = host_scratch } },
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
