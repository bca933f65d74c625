// conv_transpose1d, 2d, 3d: the gradient of a convolution by x as an op of its own, with bias,
// residual and activation. Geometry: conv_shape.c. Kernels: conv_plan.c.
#include "ops/conv.h"
#include "ops/gemm.h"
#include "ops/ops.h"

enum { X, W, BIAS, RESIDUAL };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_transpose_of(c, &v));
    out[0] = tuff_conv_desc(c, v.n, v.c, v.x);
    return tuff_conv_check_after(c, v.c, &out[0]);
}

static void ref(const tuff_ref *r)
{
    tuff_conv v;
    tuff_conv_transpose_good(r->call, &v);
    tuff_conv_backward_ref(r, &v, r->in[X], r->in[W], tuff_conv_after_ref);
}

static size_t units(const tuff_call *c)
{
    return (size_t)(c->out[0].dim[0] * c->out[0].dim[1]);
}

// The part of y's gradient that the convolution reads whose output is as large as x, and that
// convolution's pads: *p receives them. At the end of y may be more than x reaches; where that
// would give one more output it is cut off.
static tuff_var what_x_reached(tuff_tape *t, const tuff_node *n, tuff_var dy,
                               tuff_conv_params *p)
{
    const int dims = tuff_conv_dims(n->call.op);
    tuff_slice_params cut = { .starts = { 0 } };
    bool any = false;
    tuff_conv v;
    tuff_conv_transpose_good(&n->call, &v);
    *p = *(const tuff_conv_params *)n->call.params;
    p->act = TUFF_ACT_NONE;
    p->auto_pad = TUFF_AUTO_PAD_NOTSET;
    for (int i = 0; i < dims; i++) {
        const int axis = 3 - dims + i;
        const int64_t reach = v.dilation[axis] * (v.k[axis] - 1) + 1;
        const int64_t end = (v.y[axis] - 1) * v.stride[axis] + reach - v.pad[axis];
        const int64_t over = v.x[axis] - end;
        p->pad[i] = (int)v.pad[axis];
        p->pad[dims + i] = over < 0 ? (int)-over : 0;
        p->size[i] = 0;
        if (over < v.stride[axis]) continue;
        cut.ends[2 + i] = (int)-over;
        any = true;
    }
    return any ? TUFF_V(t, &tuff_op_slice, &cut, dy) : dy;
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    static const tuff_op *const conv[] = { NULL, &tuff_op_conv1d, &tuff_op_conv2d,
                                           &tuff_op_conv3d };
    static const tuff_op *const weight_grad[] = {
        NULL, &tuff_op_conv1d_weight_grad, &tuff_op_conv2d_weight_grad,
        &tuff_op_conv3d_weight_grad };
    const tuff_conv_params *p = n->call.params;
    const int dims = tuff_conv_dims(n->call.op);
    const tuff_var d = tuff_act_grad(t, p->act, n->out[0], dy[0]);
    tuff_conv_params by_x, by_w;
    const tuff_var read = what_x_reached(t, n, d, &by_x);
    by_w = by_x;
    tuff_reduce_params but_channels = { .axes = 1u << (dims + 1) };
    for (int i = 0; i < dims; i++) {
        by_w.size[i] = (int)n->call.in[W].dim[2 + i];
        but_channels.axes |= 1u << i;
    }
    dx[X] = TUFF_V(t, conv[dims], &by_x, read, n->in[W]);
    dx[W] = TUFF_V(t, weight_grad[dims], &by_w, read, n->in[X]);
    if (tuff_call_has(&n->call, BIAS))
        dx[BIAS] = TUFF_V(t, &tuff_op_reduce_sum, &but_channels, d);
    if (tuff_call_has(&n->call, RESIDUAL)) dx[RESIDUAL] = d;
}

static tuff_cost cost(const tuff_call *c)
{
    tuff_conv v;
    tuff_conv_transpose_good(c, &v);
    return tuff_conv_cost(c, &v);
}

#define TRANSPOSE(name_, dims, ...)                                             \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .special = TUFF_SPECIAL_TINY,                           \
        .doc = "y = act(w times every x, added up where it falls, + bias + residual)", \
        .onnx = "ConvTranspose", .spatial = (dims),                             \
        .in = { { .name = "x", .dtypes = TUFF_FLOATS },                         \
                TUFF_CONV_W,                                                    \
                { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true },    \
                { .name = "residual", .dtypes = TUFF_FLOATS, .optional = true } }, \
        .out = { { .name = "y", .alias = true, .alias_in = RESIDUAL } },        \
        .params_size = sizeof(tuff_conv_params),                                \
        .params = { TUFF_CONV_FIELDS(dims),                                     \
                    TUFF_CONV_INTS(dims, output_padding, NULL,                  \
                                   .length = TUFF_PER_SPATIAL),                 \
                    TUFF_CONV_COUNTS(dims, size, "output_shape") },             \
        .infer = infer,                                                         \
        .ref = ref,                                                             \
        .units = units,                                                         \
        .variants = TUFF_CONV_VARIANTS_##dims(transpose_, TUFF_CONV_SPREAD(transpose_)), \
        .hosts = { TUFF_CONV_FAST(transpose_) },                                \
        .grad = grad,                                                           \
        .cost = cost,                                                           \
        .fuse = { .bias = BIAS, .residual = RESIDUAL,                           \
                  .act = offsetof(tuff_conv_params, act), .bias_axis = (dims) }, \
        .tol = { .f32 = 1e-5f }, /* see matmul.c */                             \
        .sample = { -1, 1 },                                                    \
        .cases = TUFF_CASES(__VA_ARGS__),                                       \
    };                                                                          \
    tuff_status tuff_##name_(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w, \
                             const tuff_tensor *bias, const tuff_tensor *residual, \
                             tuff_tensor *y, const tuff_conv_params *p)         \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name_, TUFF_RUN_IN(x, w, bias, residual), \
                        TUFF_RUN_OUT(y), p);                                    \
    }

TRANSPOSE(conv_transpose1d, 1, "1x1x1 1x1x1", "2x5x17 5x3x4 3 stride=3 pad=2,1 act=relu",
          "2x6x9 6x2x3 - 2x6x30 stride=3 dilation=2 group=3 output_padding=2 pad=1,0 act=tanh",
          "1x3x7 3x2x3 2 output_padding=3 dilation=5 stride=2 pad=1,2",
          "1x33x67 33x65x3 65 pad=1", "1x20x19 20x13x5 13 pad=1 act=relu", "2x9x12 9x19x1 19",
          "2x9x12 9x5x4 5 stride=3 output_padding=2 act=relu")
TRANSPOSE(conv_transpose2d, 2, "1x1x1x1 1x1x1x1", "2x3x7x5 3x4x3x3 4 stride=2 pad=1,0,1,2",
          "1x6x5x4 6x3x3x2 9 1x9x10x8 stride=2 group=3 auto_pad=SAME_UPPER act=sigmoid",
          "1x2x3x3 2x3x3x3 3 stride=3,2 size=10,8", "2x4x5x6 4x1x3x3 4 pad=1,1,1,1 group=4",
          "1x3x4x5 3x2x5x4 auto_pad=SAME_LOWER stride=3,1 kernel=5,4",
          "1x3x4x5 3x2x3x3 2 size=5,4 stride=2",
          "2x7x6x5 7x5x3x3 5 2x5x8x6 pad=0,1,0,0 act=tanh",
          "1x20x9x13 20x67x3x3 67 stride=2 output_padding=1 pad=1,1,1,1 act=relu",
          "1x13x11x6 13x9x3x3 9 pad=1,0,1,2 act=relu",
          "2x11x6x8 11x6x4x4 6 stride=2 pad=1,1,1,1 act=relu", "2x9x6x10 9x19x1x1 19")
TRANSPOSE(conv_transpose3d, 3, "1x1x1x1x1 1x1x1x1x1",
          "2x3x3x4x5 3x4x2x3x3 4 stride=2,1,2 pad=0,1,2,1,1,0 output_padding=1,0,0 act=relu",
          "1x6x3x3x4 6x2x2x3x2 - 1x6x5x5x4 dilation=2,1,1 group=3 pad=0,0,0,0,0,1 act=tanh",
          "1x4x3x2x3 4x3x3x3x3 3 auto_pad=SAME_LOWER stride=2,3,2",
          "1x5x1x9x11 5x1x1x3x3 group=5", "1x9x1x11x6 9x13x1x3x3 13 pad=0,1,1,0,1,1",
          "1x9x1x6x8 9x5x1x4x3 5 stride=1,2,2 pad=0,1,0,0,1,1",
          "1x8x5x7x6 8x37x3x3x3 37 pad=1,1,1,1,1,1", "2x9x2x3x4 9x19x1x1x1 19")
