// conv2d: record, reference and gradient. Shapes: conv2d_shape.c. Kernels: conv2d_plan.c.
#include "ops/conv2d.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include <assert.h>

enum { X, W, BIAS, RESIDUAL };

static void conv_of(const tuff_call *c, tuff_conv *v)
{
    const tuff_status status = tuff_conv_of(c, X, W, -1, v);
    assert(status == TUFF_OK); // infer has passed
    (void)status;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, X, W, -1, &v));
    out[0] = TUFF_SHAPE(TUFF_F32, v.n, v.o, v.oh, v.ow);
    if (tuff_call_has(c, BIAS))
        TUFF_REQUIRE(c->in[BIAS].rank == 1 && c->in[BIAS].dim[0] == v.o, SHAPE,
                     "bias has %lld elements in %d dims, expected [%lld]",
                     (long long)tuff_desc_count(&c->in[BIAS]), c->in[BIAS].rank,
                     (long long)v.o);
    if (tuff_call_has(c, RESIDUAL)) {
        char residual[96], y[96];
        TUFF_REQUIRE(tuff_desc_equal(&c->in[RESIDUAL], &out[0]), SHAPE,
                     "residual is %s, y is %s: they must be equal",
                     tuff_desc_print(&c->in[RESIDUAL], residual, sizeof residual),
                     tuff_desc_print(&out[0], y, sizeof y));
    }
    return TUFF_OK;
}

// ---- reference ---------------------------------------------------------------------------

enum { BLOCK = 256 }; // columns summed at a time

// Adds channel c's part of output row i, columns j0 .. j0 + cols, to sum[].
static void add_channel(const tuff_conv *v, const float *x, const float *w, int64_t i,
                        int64_t j0, int64_t cols, double sum[BLOCK])
{
    const int64_t step = v->stride[1];
    for (int64_t u = 0; u < v->kh; u++) {
        const int64_t row = i * v->stride[0] - v->pad[0] + u * v->dilation[0];
        if (row < 0 || row >= v->h) continue;
        for (int64_t q = 0; q < v->kw; q++) {
            const int64_t off = j0 * step - v->pad[1] + q * v->dilation[1];
            const tuff_span s = tuff_span_of(cols, step, off, 0, v->w);
            const double weight = w[u * v->kw + q];
            const float *from = x + row * v->w + off;
            if (step == 1)
                tuff_add_scaled(sum + s.begin, from + s.begin, weight, s.end - s.begin);
            else
                for (int64_t j = s.begin; j < s.end; j++) sum[j] += weight * from[j * step];
        }
    }
}

// One unit is one plane [oh, ow] of y.
static void ref(const tuff_ref *r)
{
    const tuff_conv2d_params *p = r->call->params;
    tuff_conv v;
    conv_of(r->call, &v);
    const int64_t taps = v.kh * v.kw, plane = v.h * v.w;
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t n = (int64_t)unit / v.o, o = (int64_t)unit % v.o;
        const float *x = r->in[X] + (n * v.c + o / v.og * v.cg) * plane;
        const float *w = r->in[W] + o * v.cg * taps;
        for (int64_t i = 0; i < v.oh; i++)
            for (int64_t j0 = 0; j0 < v.ow; j0 += BLOCK) {
                const int64_t cols = v.ow - j0 < BLOCK ? v.ow - j0 : BLOCK;
                const int64_t at = ((int64_t)unit * v.oh + i) * v.ow + j0;
                double sum[BLOCK];
                for (int64_t j = 0; j < cols; j++) sum[j] = r->in[BIAS] ? r->in[BIAS][o] : 0;
                for (int64_t c = 0; c < v.cg; c++)
                    add_channel(&v, x + c * plane, w + c * taps, i, j0, cols, sum);
                for (int64_t j = 0; j < cols; j++) {
                    if (r->in[RESIDUAL]) sum[j] += r->in[RESIDUAL][at + j];
                    r->out[0][at + j] = (float)tuff_act_ref(sum[j], p->act);
                }
            }
    }
}

static size_t units(const tuff_call *c)
{
    return (size_t)(c->out[0].dim[0] * c->out[0].dim[1]);
}

// ---- gradient ----------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_conv2d_params *p = n->call.params;
    const tuff_var d = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    tuff_conv v;
    conv_of(&n->call, &v);
    tuff_conv2d_params by_x = *p, by_w = *p;
    by_x.act = by_w.act = TUFF_ACT_NONE;
    by_x.size[0] = (int)v.h;
    by_x.size[1] = (int)v.w;
    by_w.size[0] = (int)v.kh;
    by_w.size[1] = (int)v.kw;
    dx[X] = TUFF_V(t, &tuff_op_conv2d_input_grad, &by_x, d, n->in[W]);
    dx[W] = TUFF_V(t, &tuff_op_conv2d_weight_grad, &by_w, n->in[X], d);
    if (tuff_call_has(&n->call, BIAS)) {
        const tuff_reduce_params but_channels = { .axes = 1u << 0 | 1u << 1 | 1u << 3 };
        dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &but_channels, d);
    }
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = d;
}

static tuff_cost cost(const tuff_call *c)
{
    tuff_conv v;
    conv_of(c, &v);
    return tuff_conv_cost(c, &v);
}

const tuff_op tuff_op_conv2d = {
    .name = "conv2d",
    .doc = "y = act(cross-correlation of x with w + bias + residual)",
    .onnx = "Conv",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "w", .dtypes = TUFF_F32 },
            { .name = "bias", .dtypes = TUFF_F32, .optional = true },
            { .name = "residual", .dtypes = TUFF_F32, .optional = true } },
    .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },
    .params_size = sizeof(tuff_conv2d_params),
    .params = TUFF_CONV2D_FIELDS,
    .infer = infer,
    .ref = ref,
    .units = units,
    .variants = { TUFF_KERNEL("packed", tuff_conv2d_packed),
                  TUFF_KERNEL("texel", tuff_conv2d_texel),
                  TUFF_GPU_KERNEL("tile", tuff_conv2d_tile),
                  TUFF_KERNEL("plain", tuff_conv2d_plain) },
    .grad = grad,
    .cost = cost,
    .fuse = { .bias = BIAS, .residual = RESIDUAL, .act = offsetof(tuff_conv2d_params, act),
              .bias_axis = 2 },
    .tol = { .f32 = 1e-5f }, // see matmul.c
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1", "3x1x28x28 6x1x5x5 6 pad=2,2,2,2 act=relu",
                        "2x6x14x14 16x6x5x5 16", "2x3x33x17 5x3x5x3 5 stride=2,1 pad=1,2,0,1",
                        "1x5x13x11 7x5x3x3 - 1x7x9x7 dilation=2,2 act=tanh",
                        "2x6x9x9 4x3x3x3 4 2x4x5x5 stride=2,2 pad=1,1,1,1 group=2",
                        "2x7x8x9 7x1x3x3 7 pad=1,1,1,1 group=7", "1x64x7x7 65x64x1x1 65",
                        "1x1x1x9 2x1x1x9 2", "1x2x5x5 3x2x3x3 pad=7,0,3,9 stride=3,4",
                        "65537x1x1x2 1x1x1x2 1", "1x32771x1x2 2x32771x1x2 2",
                        "1x24x19x17 67x24x3x3 67 pad=1,1,1,1 act=relu"),
};

tuff_status tuff_conv2d(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                        const tuff_tensor *bias, const tuff_tensor *residual, tuff_tensor *y,
                        const tuff_conv2d_params *p)
{
    return tuff_run(s, &tuff_op_conv2d, TUFF_RUN_IN(x, w, bias, residual), TUFF_RUN_OUT(y), p);
}
