// conv2d's gradients as ops: by x (input) and by w (weight). Both are linear in both of their
// inputs, so that their own gradients are convolutions again.
#include "ops/conv2d.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include <assert.h>

enum { BLOCK = 256 }; // columns summed at a time

static void geometry(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const tuff_status status = tuff_conv_of(c, x, w, y, v);
    assert(status == TUFF_OK); // infer has passed
    (void)status;
}

static size_t units(const tuff_call *c)
{
    return (size_t)(c->out[0].dim[0] * c->out[0].dim[1]);
}

// ---- by x: dx[n, c, i, j] = sum of dy w over every output that read (i, j) ---------------

enum { DX_DY, DX_W };

static tuff_status dx_infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, -1, DX_W, DX_DY, &v));
    out[0] = TUFF_SHAPE(TUFF_F32, v.n, v.c, v.h, v.w);
    return TUFF_OK;
}

// Adds output channel o's part of row i, columns j0 .. j0 + cols, of dx to sum[].
static void dx_add(const tuff_conv *v, const float *dy, const float *w, int64_t i, int64_t j0,
                   int64_t cols, double sum[BLOCK])
{
    const int64_t step = v->stride[1];
    for (int64_t u = 0; u < v->kh; u++) {
        const int64_t at = i + v->pad[0] - u * v->dilation[0], row = at / v->stride[0];
        if (at < 0 || at % v->stride[0] != 0 || row >= v->oh) continue;
        for (int64_t q = 0; q < v->kw; q++) {
            const int64_t off = q * v->dilation[1] - v->pad[1] - j0;
            const tuff_span s = tuff_span_of(v->ow, step, off, 0, cols);
            const double weight = w[u * v->kw + q];
            const float *from = dy + row * v->ow;
            if (step == 1)
                tuff_add_scaled(sum + s.begin + off, from + s.begin, weight, s.end - s.begin);
            else
                for (int64_t j = s.begin; j < s.end; j++)
                    sum[j * step + off] += weight * from[j];
        }
    }
}

// One unit is one plane [h, w] of dx.
static void dx_ref(const tuff_ref *r)
{
    tuff_conv v;
    geometry(r->call, -1, DX_W, DX_DY, &v);
    const int64_t taps = v.kh * v.kw, plane = v.oh * v.ow;
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t n = (int64_t)unit / v.c, c = (int64_t)unit % v.c, g = c / v.cg;
        const float *dy = r->in[DX_DY] + (n * v.o + g * v.og) * plane;
        const float *w = r->in[DX_W] + (g * v.og * v.cg + c % v.cg) * taps;
        for (int64_t i = 0; i < v.h; i++)
            for (int64_t j0 = 0; j0 < v.w; j0 += BLOCK) {
                const int64_t cols = v.w - j0 < BLOCK ? v.w - j0 : BLOCK;
                double sum[BLOCK] = { 0 };
                for (int64_t o = 0; o < v.og; o++)
                    dx_add(&v, dy + o * plane, w + o * v.cg * taps, i, j0, cols, sum);
                float *to = r->out[0] + ((int64_t)unit * v.h + i) * v.w + j0;
                for (int64_t j = 0; j < cols; j++) to[j] = (float)sum[j];
            }
    }
}

// out = conv(x, w)^T applied to dy: by dy it is the convolution, by w the weight gradient.
static void dx_grad(tuff_tape *t, const tuff_node *n, const tuff_var d[], tuff_var dx[])
{
    const tuff_conv2d_params *p = n->call.params;
    tuff_conv2d_params by_dy = *p, by_w = *p;
    by_dy.size[0] = by_dy.size[1] = 0;
    for (int i = 0; i < 2; i++) by_w.size[i] = (int)n->call.in[DX_W].dim[2 + i];
    dx[DX_DY] = TUFF_V(t, &tuff_op_conv2d, &by_dy, d[0], n->in[DX_W]);
    dx[DX_W] = TUFF_V(t, &tuff_op_conv2d_weight_grad, &by_w, d[0], n->in[DX_DY]);
}

static tuff_cost dx_cost(const tuff_call *c)
{
    tuff_conv v;
    geometry(c, -1, DX_W, DX_DY, &v);
    return tuff_conv_cost(c, &v);
}

const tuff_op tuff_op_conv2d_input_grad = {
    .name = "conv2d_input_grad",
    .doc = "dx = the gradient of conv2d by x, for the gradient dy of its output",
    .in = { { .name = "dy", .dtypes = TUFF_F32 }, { .name = "w", .dtypes = TUFF_F32 } },
    .out = { { .name = "dx" } },
    .params_size = sizeof(tuff_conv2d_params),
    .params = TUFF_CONV2D_FIELDS,
    .infer = dx_infer,
    .ref = dx_ref,
    .units = units,
    .variants = { TUFF_KERNEL("packed", tuff_conv2d_dx_packed),
                  TUFF_KERNEL("texel", tuff_conv2d_dx_texel),
                  TUFF_GPU_KERNEL("tile", tuff_conv2d_dx_tile),
                  TUFF_KERNEL("plain", tuff_conv2d_dx_plain) },
    .grad = dx_grad,
    .cost = dx_cost,
    .tol = { .f32 = 1e-5f }, // see matmul.c
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1", "3x6x28x28 6x1x5x5 pad=2,2,2,2",
                        "2x16x10x10 16x6x5x5", "2x5x15x18 5x3x5x3 stride=2,1 pad=1,2,0,1 "
                        "size=33,17", "1x7x9x7 7x5x3x3 dilation=2,2",
                        "2x4x5x5 4x3x3x3 stride=2,2 pad=1,1,1,1 group=2 size=9,9",
                        "2x4x5x5 4x3x3x3 stride=2,2 pad=1,1,1,1 group=2 size=10,10",
                        "2x7x8x9 7x1x3x3 pad=1,1,1,1 group=7", "1x65x7x7 65x64x1x1",
                        "1x3x5x4 3x2x3x3 pad=7,0,3,9 stride=3,4 size=7,8",
                        "1x3x4x4 3x2x1x1 stride=3,5 size=12,18", "1x32771x1x1 32771x2x1x2",
                        "1x20x8x12 20x67x3x3 stride=2,2 pad=1,1,1,1 size=16,23"),
};

tuff_status tuff_conv2d_input_grad(tuff_stream *s, const tuff_tensor *dy, const tuff_tensor *w,
                                   tuff_tensor *dx, const tuff_conv2d_params *p)
{
    return tuff_run(s, &tuff_op_conv2d_input_grad, TUFF_RUN_IN(dy, w), TUFF_RUN_OUT(dx), p);
}

// ---- by w: dw[o, c, u, v] = sum of dy x over every image and pixel -----------------------

enum { DW_X, DW_DY };

static tuff_status dw_infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, DW_X, -1, DW_DY, &v));
    out[0] = TUFF_SHAPE(TUFF_F32, v.o, v.cg, v.kh, v.kw);
    return TUFF_OK;
}

// One element of dw: kernel tap (u, q) of one pair of channels.
static double dw_tap(const tuff_conv *v, const float *x, const float *dy, int64_t u, int64_t q)
{
    const int64_t off_y = u * v->dilation[0] - v->pad[0];
    const int64_t off_x = q * v->dilation[1] - v->pad[1];
    const tuff_span rows = tuff_span_of(v->oh, v->stride[0], off_y, 0, v->h);
    const tuff_span cols = tuff_span_of(v->ow, v->stride[1], off_x, 0, v->w);
    double sum = 0;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t i = rows.begin; i < rows.end; i++) {
            const float *a = dy + (n * v->o * v->oh + i) * v->ow + cols.begin;
            const float *b = x + (n * v->c * v->h + i * v->stride[0] + off_y) * v->w +
                             cols.begin * v->stride[1] + off_x;
            sum += tuff_dot(a, b, v->stride[1], cols.end - cols.begin);
        }
    return sum;
}

// One unit is one kernel [kh, kw] of dw: a pair of channels.
static void dw_ref(const tuff_ref *r)
{
    tuff_conv v;
    geometry(r->call, DW_X, -1, DW_DY, &v);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t o = (int64_t)unit / v.cg, c = o / v.og * v.cg + (int64_t)unit % v.cg;
        const float *x = r->in[DW_X] + c * v.h * v.w, *dy = r->in[DW_DY] + o * v.oh * v.ow;
        float *dw = r->out[0] + (int64_t)unit * v.kh * v.kw;
        for (int64_t u = 0; u < v.kh; u++)
            for (int64_t q = 0; q < v.kw; q++)
                dw[u * v.kw + q] = (float)dw_tap(&v, x, dy, u, q);
    }
}

// By x it is the input gradient of dy with the given kernel, by dy the convolution.
static void dw_grad(tuff_tape *t, const tuff_node *n, const tuff_var d[], tuff_var dx[])
{
    const tuff_conv2d_params *p = n->call.params;
    tuff_conv2d_params by_x = *p, by_dy = *p;
    for (int i = 0; i < 2; i++) by_x.size[i] = (int)n->call.in[DW_X].dim[2 + i];
    by_dy.size[0] = by_dy.size[1] = 0;
    dx[DW_X] = TUFF_V(t, &tuff_op_conv2d_input_grad, &by_x, n->in[DW_DY], d[0]);
    dx[DW_DY] = TUFF_V(t, &tuff_op_conv2d, &by_dy, n->in[DW_X], d[0]);
}

static tuff_cost dw_cost(const tuff_call *c)
{
    tuff_conv v;
    geometry(c, DW_X, -1, DW_DY, &v);
    return tuff_conv_cost(c, &v);
}

const tuff_op tuff_op_conv2d_weight_grad = {
    .name = "conv2d_weight_grad",
    .doc = "dw = the gradient of conv2d by w, for the gradient dy of its output",
    .in = { { .name = "x", .dtypes = TUFF_F32 }, { .name = "dy", .dtypes = TUFF_F32 } },
    .out = { { .name = "dw" } },
    .params_size = sizeof(tuff_conv2d_params),
    .params = TUFF_CONV2D_FIELDS,
    .infer = dw_infer,
    .ref = dw_ref,
    .units = units,
    .variants = { TUFF_KERNEL("texel", tuff_conv2d_dw_texel),
                  TUFF_GPU_KERNEL("tile", tuff_conv2d_dw_tile),
                  TUFF_KERNEL("plain", tuff_conv2d_dw_plain) },
    .grad = dw_grad,
    .cost = dw_cost,
    .tol = { .f32 = 1e-5f }, // see matmul.c
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1", "3x1x28x28 3x6x28x28 pad=2,2,2,2 size=5,5",
                        "7x6x14x14 7x16x10x10 size=5,5",
                        "2x3x33x17 2x5x15x18 stride=2,1 pad=1,2,0,1 size=5,3",
                        "1x5x13x11 1x7x9x7 dilation=2,2 size=3,3",
                        "2x6x9x9 2x4x5x5 stride=2,2 pad=1,1,1,1 group=2 size=3,3",
                        "2x7x8x9 2x7x8x9 pad=1,1,1,1 group=7 size=3,3", "1x64x7x7 1x65x7x7",
                        "1x2x5x5 1x3x5x3 pad=7,0,3,9 stride=3,4 size=3,3",
                        "2x1x3x33000 2x1x2x33000 size=2,1", "70001x1x1x2 70001x2x1x1 size=1,2"),
};

tuff_status tuff_conv2d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                    const tuff_tensor *dy, tuff_tensor *dw,
                                    const tuff_conv2d_params *p)
{
    return tuff_run(s, &tuff_op_conv2d_weight_grad, TUFF_RUN_IN(x, dy), TUFF_RUN_OUT(dw), p);
}
