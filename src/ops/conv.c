// conv1d, conv2d, conv3d: records, reference and gradient. Shapes: conv_shape.c. Kernels:
// conv_plan.c.
#include "ops/conv.h"
#include "ops/gemm.h"
#include "ops/ops.h"

enum { X, W, BIAS, RESIDUAL };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, X, W, -1, &v));
    out[0] = tuff_conv_desc(c, v.n, v.o, v.y);
    return tuff_conv_check_after(c, v.o, &out[0]);
}

// ---- reference ---------------------------------------------------------------------------

enum { BLOCK = 256 }; // columns summed at a time

void tuff_conv_after_ref(const tuff_ref *r, double *sum, int64_t cols, int64_t ch, int64_t at)
{
    const tuff_conv_params *p = r->call->params;
    for (int64_t j = 0; j < cols; j++) {
        if (r->in[BIAS]) sum[j] += r->in[BIAS][ch];
        if (r->in[RESIDUAL]) sum[j] += r->in[RESIDUAL][at + j];
        sum[j] = tuff_act_ref(sum[j], p->act);
    }
}

// Adds one row of one channel of x under one row of the kernel to the columns
// j0 .. j0 + cols of a row of y, in sum[].
static void add_row(const tuff_conv *v, const float *x, const float *w, int64_t j0,
                    int64_t cols, double sum[BLOCK])
{
    const int64_t step = v->stride[2];
    for (int64_t t = 0; t < v->k[2]; t++) {
        const int64_t off = j0 * step - v->pad[2] + t * v->dilation[2];
        const tuff_span s = tuff_span_of(cols, step, off, 0, v->x[2]);
        const double weight = w[t];
        const float *from = x + off;
        if (step == 1)
            tuff_add_scaled(sum + s.begin, from + s.begin, weight, s.end - s.begin);
        else
            for (int64_t j = s.begin; j < s.end; j++) sum[j] += weight * from[j * step];
    }
}

// Adds one channel of x to the columns j0 .. j0 + cols of row (d, i) of y.
static void add_channel(const tuff_conv *v, const float *x, const float *w, int64_t d,
                        int64_t i, int64_t j0, int64_t cols, double sum[BLOCK])
{
    for (int64_t a = 0; a < v->k[0]; a++) {
        const int64_t slice = d * v->stride[0] - v->pad[0] + a * v->dilation[0];
        if (slice < 0 || slice >= v->x[0]) continue;
        for (int64_t b = 0; b < v->k[1]; b++) {
            const int64_t row = i * v->stride[1] - v->pad[1] + b * v->dilation[1];
            if (row < 0 || row >= v->x[1]) continue;
            add_row(v, x + (slice * v->x[1] + row) * v->x[2], w + (a * v->k[1] + b) * v->k[2],
                    j0, cols, sum);
        }
    }
}

// One unit is one channel of one image of y.
static void ref(const tuff_ref *r)
{
    tuff_conv v;
    tuff_conv_good(r->call, X, W, -1, &v);
    const int64_t taps = tuff_volume(v.k), plane = tuff_volume(v.x);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t n = (int64_t)unit / v.o, o = (int64_t)unit % v.o;
        const float *x = r->in[X] + (n * v.c + o / v.og * v.cg) * plane;
        const float *w = r->in[W] + o * v.cg * taps;
        for (int64_t row = 0; row < v.y[0] * v.y[1]; row++)
            for (int64_t j0 = 0; j0 < v.y[2]; j0 += BLOCK) {
                const int64_t cols = v.y[2] - j0 < BLOCK ? v.y[2] - j0 : BLOCK;
                const int64_t at = ((int64_t)unit * v.y[0] * v.y[1] + row) * v.y[2] + j0;
                double sum[BLOCK] = { 0 };
                for (int64_t c = 0; c < v.cg; c++)
                    add_channel(&v, x + c * plane, w + c * taps, row / v.y[1], row % v.y[1],
                                j0, cols, sum);
                tuff_conv_after_ref(r, sum, cols, o, at);
                for (int64_t j = 0; j < cols; j++) r->out[0][at + j] = (float)sum[j];
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
    static const tuff_op *const input_grad[] = {
        NULL, &tuff_op_conv1d_input_grad, &tuff_op_conv2d_input_grad,
        &tuff_op_conv3d_input_grad };
    static const tuff_op *const weight_grad[] = {
        NULL, &tuff_op_conv1d_weight_grad, &tuff_op_conv2d_weight_grad,
        &tuff_op_conv3d_weight_grad };
    const tuff_conv_params *p = n->call.params;
    const int dims = tuff_conv_dims(n->call.op);
    const tuff_var d = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    tuff_conv_params by_x = *p, by_w = *p;
    by_x.act = by_w.act = TUFF_ACT_NONE;
    tuff_reduce_params but_channels = { .axes = 1u << (dims + 1) };
    for (int i = 0; i < dims; i++) {
        by_x.size[i] = (int)n->call.in[X].dim[2 + i];
        by_w.size[i] = (int)n->call.in[W].dim[2 + i];
        but_channels.axes |= 1u << i;
    }
    dx[X] = TUFF_V(t, input_grad[dims], &by_x, d, n->in[W]);
    dx[W] = TUFF_V(t, weight_grad[dims], &by_w, n->in[X], d);
    if (tuff_call_has(&n->call, BIAS))
        dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &but_channels, d);
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = d;
}

static tuff_cost cost(const tuff_call *c)
{
    tuff_conv v;
    tuff_conv_good(c, X, W, -1, &v);
    return tuff_conv_cost(c, &v);
}

// ---- records -----------------------------------------------------------------------------

#define CONV(name_, dims, ...)                                                  \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .special = TUFF_SPECIAL_TINY,                           \
        .doc = "y = act(cross-correlation of x with w + bias + residual)",      \
        .onnx = "Conv", .spatial = (dims),                                      \
        .in = { { .name = "x", .dtypes = TUFF_FLOATS },                         \
                TUFF_CONV_W,                                                    \
                { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true },    \
                { .name = "residual", .dtypes = TUFF_FLOATS, .optional = true } }, \
        .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },        \
        .params_size = sizeof(tuff_conv_params),                                \
        .params = { TUFF_CONV_FIELDS(dims) },                                   \
        .infer = infer,                                                         \
        .ref = ref,                                                             \
        .units = units,                                                         \
        .variants = TUFF_CONV_VARIANTS_##dims(, ),                              \
        .hosts = TUFF_CONV_FASTS(),                                             \
        .grad = grad,                                                           \
        .cost = cost,                                                           \
        .fuse = { .bias = BIAS, .residual = RESIDUAL,                           \
                  .act = offsetof(tuff_conv_params, act), .bias_axis = (dims), .weight = W }, \
        .tol = { .f32 = 1e-5f }, /* see matmul.c */                             \
        .sample = { -1, 1 },                                                    \
        .cases = TUFF_CASES(__VA_ARGS__),                                       \
    }

CONV(conv1d, 1, "1x1x1 1x1x1", "2x3x37 5x3x4 5 pad=2,1 act=relu",
     "2x6x23 9x2x3 - 2x9x10 stride=2 dilation=2 group=3 act=sigmoid",
     "2x7x19 7x1x5 7 auto_pad=SAME_UPPER kernel=5 stride=3 group=7",
     "1x33x131 65x33x3 65 auto_pad=SAME_LOWER", "1x2x70003 1x2x3 1",
     "1x20x19 13x20x5 13 pad=1 act=relu", "2x9x12 19x9x1 19");
CONV(conv2d, 2, "1x1x1x1 1x1x1x1", "3x1x28x28 6x1x5x5 6 pad=2,2,2,2 act=relu",
     "2x6x14x14 16x6x5x5 16", "2x3x33x17 5x3x5x3 5 stride=2,1 pad=1,2,0,1",
     "1x5x13x11 7x5x3x3 - 1x7x9x7 dilation=2,2 act=tanh",
     "2x6x9x9 4x3x3x3 4 2x4x5x5 stride=2,2 pad=1,1,1,1 group=2",
     "2x7x8x9 7x1x3x3 7 pad=1,1,1,1 group=7",
     "2x5x9x11 10x1x3x3 10 stride=2 pad=1,1,1,1 group=5 act=relu",
     "1x3x13x38 3x1x5x5 pad=2,2,2,2 group=3",
     "2x3x10x20 6x1x3x3 6 pad=1,1,1,1 group=3 act=relu",
     "2x3x12x9 3x1x5x5 3 stride=2 pad=2,1,1,2 group=3", "1x64x7x7 65x64x1x1 65",
     "2x9x6x10 19x9x1x1 19 act=relu", "2x9x6x10 19x9x1x1 19 2x19x6x10 act=relu",
     "3x16x2x6 16x8x1x1 16 group=2",
     "1x1x1x9 2x1x1x9 2", "1x2x5x5 3x2x3x3 pad=7,0,3,9 stride=3,4",
     "2x3x8x5 4x3x3x4 4 auto_pad=SAME_LOWER stride=3,2 kernel=3,4",
     "65537x1x1x2 1x1x1x2 1", "1x32771x1x2 2x32771x1x2 2",
     "1x24x19x17 67x24x3x3 67 pad=1,1,1,1 act=relu",
     "1x24x19x17 67x24x3x3 67 1x67x19x17 pad=1,1,1,1 act=relu", "2x1x7x9 1x1x3x3 1",
     "2x5x13x11 9x5x3x3 9 2x9x14x12 pad=2,0,1,3 act=tanh",
     "1x243x41x45 3x243x3x3 3 pad=1,1,1,1", "1x13x21x18 35x13x3x3 pad=1,1,1,1 fast=1",
     "40x5x20x20 7x5x3x3 7", "80x1x30x30 4x1x4x4", "5x16x30x30 24x16x3x3",
     "1x72x64x60 19x72x1x1", "1x12x9x12 18x12x3x3 18 1x18x9x12 pad=1,1,1,1 act=relu",
     "2x9x7x20 11x9x3x3 pad=1,1,1,1", "2x7x13x28 9x7x3x3 9 2x9x13x28 pad=1,1,1,1 fast=1",
     "1x40x41x43 40x1x3x3 40 pad=1,1,1,1 group=40",
     "1x2x211x19 2x1x3x3 pad=1,1,1,1 group=2",
     "2x3x17x37 3x1x3x3 3 stride=2,2 pad=1,1,1,1 group=3 act=relu",
     "1x2x23x39 2x1x5x5 2 1x2x12x20 stride=2,2 pad=2,2,2,2 group=2",
     "2x24x9x260 9x24x3x3 9 2x9x9x260 pad=1,1,1,1 act=relu");
CONV(conv3d, 3, "1x1x1x1x1 1x1x1x1x1", "2x3x5x7x6 4x3x3x2x3 4 pad=1,0,2,0,1,1 act=relu",
     "1x4x6x7x9 6x2x2x3x3 - 1x6x3x3x4 stride=2,1,2 dilation=1,2,1 group=2 pad=0,0,1 act=tanh",
     "2x5x4x5x6 5x1x3x3x3 5 auto_pad=SAME_UPPER stride=1,2,3 group=5",
     "1x8x5x13x11 37x8x3x3x3 37 pad=1,1,1,1,1,1", "1x3x9x1x1 2x3x9x1x1",
     "1x5x1x9x11 5x1x1x3x3 5 group=5 act=relu", "1x9x1x11x6 13x9x1x3x3 13 pad=0,1,1,0,1,1",
     "2x9x2x3x4 19x9x1x1x1 19",
     "2x3x23x22x23 5x3x3x3x3", "1x8x21x20x20 24x8x3x3x3");

#define FUNCTION(name)                                                          \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w, \
                            const tuff_tensor *bias, const tuff_tensor *residual, \
                            tuff_tensor *y, const tuff_conv_params *p)          \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(x, w, bias, residual),  \
                        TUFF_RUN_OUT(y), p);                                    \
    }
FUNCTION(conv1d)
FUNCTION(conv2d)
FUNCTION(conv3d)
