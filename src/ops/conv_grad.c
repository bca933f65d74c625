// The gradients of convolutions as ops: by x (input) and by w (weight). Both are linear in both
// of their inputs, so that their own gradients are convolutions again.
#include "ops/conv.h"
#include "ops/gemm.h"
#include "ops/ops.h"

enum { BLOCK = 256 }; // columns summed at a time

static size_t units(const tuff_call *c)
{
    return (size_t)(c->out[0].dim[0] * c->out[0].dim[1]);
}

static void put_sizes(const tuff_desc *d, int dims, int size[3])
{
    for (int i = 0; i < dims; i++) size[i] = (int)d->dim[2 + i];
}

// ---- by x: dx[n, c, p] = sum of dy w over every output that read p -------------------------

enum { DX_DY, DX_W };

static tuff_status dx_infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, -1, DX_W, DX_DY, &v));
    out[0] = tuff_conv_desc(c, v.n, v.c, v.x);
    return TUFF_OK;
}

// The index along an axis of the output that read `at` by tap t, or -1.
static int64_t reader(const tuff_conv *v, int axis, int64_t at, int64_t t)
{
    const int64_t p = at + v->pad[axis] - t * v->dilation[axis], s = v->stride[axis];
    return p < 0 || p % s != 0 || p / s >= v->y[axis] ? -1 : p / s;
}

// Adds one row of one channel of dy under one row of the kernel to columns j0 .. j0 + cols.
static void add_back_row(const tuff_conv *v, const float *dy, const float *w, int64_t j0,
                         int64_t cols, double sum[BLOCK])
{
    const int64_t step = v->stride[2];
    for (int64_t t = 0; t < v->k[2]; t++) {
        const int64_t off = t * v->dilation[2] - v->pad[2] - j0;
        const tuff_span s = tuff_span_of(v->y[2], step, off, 0, cols);
        const double weight = w[t];
        if (step == 1)
            tuff_add_scaled(sum + s.begin + off, dy + s.begin, weight, s.end - s.begin);
        else
            for (int64_t j = s.begin; j < s.end; j++) sum[j * step + off] += weight * dy[j];
    }
}

// Adds one channel of dy to the columns j0 .. j0 + cols of row (d, i).
static void add_back(const tuff_conv *v, const float *dy, const float *w, int64_t d, int64_t i,
                     int64_t j0, int64_t cols, double sum[BLOCK])
{
    for (int64_t a = 0; a < v->k[0]; a++) {
        const int64_t slice = reader(v, 0, d, a);
        if (slice < 0) continue;
        for (int64_t b = 0; b < v->k[1]; b++) {
            const int64_t row = reader(v, 1, i, b);
            if (row < 0) continue;
            add_back_row(v, dy + (slice * v->y[1] + row) * v->y[2],
                         w + (a * v->k[1] + b) * v->k[2], j0, cols, sum);
        }
    }
}

// One unit is one channel of one image of dx.
void tuff_conv_backward_ref(const tuff_ref *r, const tuff_conv *v, const float *dy_all,
                            const float *w_all, tuff_conv_after *after)
{
    const int64_t taps = tuff_volume(v->k), plane = tuff_volume(v->y);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t n = (int64_t)unit / v->c, c = (int64_t)unit % v->c, g = c / v->cg;
        const float *dy = dy_all + (n * v->o + g * v->og) * plane;
        const float *w = w_all + (g * v->og * v->cg + c % v->cg) * taps;
        for (int64_t row = 0; row < v->x[0] * v->x[1]; row++)
            for (int64_t j0 = 0; j0 < v->x[2]; j0 += BLOCK) {
                const int64_t cols = v->x[2] - j0 < BLOCK ? v->x[2] - j0 : BLOCK;
                const int64_t at = ((int64_t)unit * v->x[0] * v->x[1] + row) * v->x[2] + j0;
                double sum[BLOCK] = { 0 };
                for (int64_t o = 0; o < v->og; o++)
                    add_back(v, dy + o * plane, w + o * v->cg * taps, row / v->x[1],
                             row % v->x[1], j0, cols, sum);
                if (after) after(r, sum, cols, c, at);
                for (int64_t j = 0; j < cols; j++) r->out[0][at + j] = (float)sum[j];
            }
    }
}

static void dx_ref(const tuff_ref *r)
{
    tuff_conv v;
    tuff_conv_good(r->call, -1, DX_W, DX_DY, &v);
    tuff_conv_backward_ref(r, &v, r->in[DX_DY], r->in[DX_W], NULL);
}

static const tuff_op *const conv[] = { NULL, &tuff_op_conv1d, &tuff_op_conv2d,
                                       &tuff_op_conv3d };
static const tuff_op *const input_grad[] = { NULL, &tuff_op_conv1d_input_grad,
                                             &tuff_op_conv2d_input_grad,
                                             &tuff_op_conv3d_input_grad };
static const tuff_op *const weight_grad[] = { NULL, &tuff_op_conv1d_weight_grad,
                                              &tuff_op_conv2d_weight_grad,
                                              &tuff_op_conv3d_weight_grad };

// out = conv(x, w)^T applied to dy: by dy it is the convolution, by w the weight gradient.
static void dx_grad(tuff_tape *t, const tuff_node *n, const tuff_var d[], tuff_var dx[])
{
    const tuff_conv_params *p = n->call.params;
    const int dims = tuff_conv_dims(n->call.op);
    tuff_conv_params by_dy = *p, by_w = *p;
    by_dy.act = by_w.act = TUFF_ACT_NONE;
    put_sizes(&n->call.in[DX_W], dims, by_w.size);
    dx[DX_DY] = TUFF_V(t, conv[dims], &by_dy, d[0], n->in[DX_W]);
    dx[DX_W] = TUFF_V(t, weight_grad[dims], &by_w, d[0], n->in[DX_DY]);
}

static tuff_cost dx_cost(const tuff_call *c)
{
    tuff_conv v;
    tuff_conv_good(c, -1, DX_W, DX_DY, &v);
    return tuff_conv_cost(c, &v);
}

#define INPUT_GRAD(name_, dims, ...)                                            \
    const tuff_op tuff_op_##name_##_input_grad = {                              \
        .name = #name_ "_input_grad", .special = TUFF_SPECIAL_TINY,             \
        .doc = "dx = the gradient of " #name_ " by x, for the gradient dy of its output", \
        .in = { { .name = "dy", .dtypes = TUFF_FLOATS },                        \
                TUFF_CONV_W },                                                  \
        .out = { { .name = "dx" } },                                            \
        .params_size = sizeof(tuff_conv_params),                                \
        .params = { TUFF_CONV_FIELDS(dims), TUFF_CONV_COUNTS(dims, size, NULL) }, \
        .infer = dx_infer,                                                      \
        .ref = dx_ref,                                                          \
        .units = units,                                                         \
        .variants = TUFF_CONV_VARIANTS_##dims(dx_, TUFF_CONV_SPREAD(dx_)),      \
        .hosts = TUFF_CONV_FASTS(dx_),                                          \
        .grad = dx_grad,                                                        \
        .cost = dx_cost,                                                        \
        .tol = { .f32 = 1e-5f }, /* see matmul.c */                             \
        .sample = { -1, 1 },                                                    \
        .cases = TUFF_CASES(__VA_ARGS__),                                       \
    };                                                                          \
    tuff_status tuff_##name_##_input_grad(tuff_stream *s, const tuff_tensor *dy, \
                                          const tuff_tensor *w, tuff_tensor *dx, \
                                          const tuff_conv_params *p)            \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name_##_input_grad, TUFF_RUN_IN(dy, w),   \
                        TUFF_RUN_OUT(dx), p);                                   \
    }

INPUT_GRAD(conv1d, 1, "1x1x1 1x1x1", "2x5x37 5x3x4 pad=2,1 size=37",
           "2x9x9 9x2x3 stride=2 dilation=2 group=3 size=22",
           "2x7x7 7x1x5 auto_pad=SAME_UPPER stride=3 group=7 size=19",
           "2x9x12 9x5x4 stride=3 size=38", "1x70x67 70x33x3", "1x20x19 20x13x5 pad=1",
           "2x9x12 9x19x1")
INPUT_GRAD(conv2d, 2, "1x1x1x1 1x1x1x1", "3x6x28x28 6x1x5x5 pad=2,2,2,2",
           "2x16x10x10 16x6x5x5", "2x5x15x18 5x3x5x3 stride=2,1 pad=1,2,0,1 size=33,17",
           "1x7x9x7 7x5x3x3 dilation=2,2",
           "2x4x5x5 4x3x3x3 stride=2,2 pad=1,1,1,1 group=2 size=9,9",
           "2x4x5x5 4x3x3x3 stride=2,2 pad=1,1,1,1 group=2 size=10,10",
           "2x7x8x9 7x1x3x3 pad=1,1,1,1 group=7",
           "2x10x5x6 10x1x3x3 stride=2 pad=1,1,1,1 group=5 size=9,11",
           "1x3x13x38 3x1x5x5 pad=2,2,2,1 group=3",
           "1x5x9x12 5x1x3x3 pad=1,1,0,1 group=5",
           "2x3x7x19 3x1x3x3 stride=2 pad=1,0,1,1 group=3 size=14,38",
           "1x2x5x6 2x1x5x5 stride=2 pad=2,1,2,2 group=2 size=10,13", "1x65x7x7 65x64x1x1",
           "2x19x6x10 19x9x1x1", "1x3x5x4 3x2x3x3 pad=7,0,3,9 stride=3,4 size=7,8",
           "1x3x4x4 3x2x1x1 stride=3,5 size=12,18", "1x32771x1x1 32771x2x1x2",
           "1x20x8x12 20x67x3x3 stride=2,2 pad=1,1,1,1 size=16,23",
           "2x9x5x8 9x5x5x4 stride=2,3 pad=1,2,0,1 size=12,22",
           "1x2x3x4 2x3x3x2 auto_pad=SAME_LOWER stride=2,3", "2x1x7x9 1x1x3x3",
           "1x40x41x42 40x1x3x3 stride=2 pad=1,1,1,1 group=40 size=81,83",
           "2x9x14x12 9x5x3x3 pad=2,0,1,3", "1x67x11x13 67x24x3x3 pad=1,1,1,1")
INPUT_GRAD(conv3d, 3, "1x1x1x1x1 1x1x1x1x1", "2x4x5x7x6 4x3x3x2x3 pad=1,0,2,0,1,0",
           "1x6x3x3x5 6x2x2x3x3 stride=2,1,2 dilation=1,2,1 group=2 size=7,7,11",
           "2x5x4x3x2 5x1x3x3x3 auto_pad=SAME_UPPER stride=1,2,3 group=5",
           "1x8x5x13x11 8x37x3x3x3 pad=1,1,1,1,1,1", "1x5x1x9x11 5x1x1x3x3 group=5",
           "1x9x1x11x6 9x13x1x3x3 pad=0,1,1,0,1,1",
           "2x9x1x6x4 9x5x1x3x3 stride=1,2,2 pad=0,1,1,0,1,1 size=1,12,7",
           "2x9x2x3x4 9x19x1x1x1")

// ---- by w: dw[o, c, t] = sum of dy x over every image and pixel ----------------------------

enum { DW_X, DW_DY };

static tuff_status dw_infer(const tuff_call *c, tuff_desc out[])
{
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(c, DW_X, -1, DW_DY, &v));
    out[0] = tuff_conv_desc(c, v.o, v.cg, v.k);
    return TUFF_OK;
}

// One element of dw: kernel tap t of one pair of channels.
static double dw_tap(const tuff_conv *v, const float *x, const float *dy, const int64_t t[3])
{
    int64_t off[3];
    tuff_span s[3];
    for (int i = 0; i < 3; i++) {
        off[i] = t[i] * v->dilation[i] - v->pad[i];
        s[i] = tuff_span_of(v->y[i], v->stride[i], off[i], 0, v->x[i]);
    }
    const int64_t y_image = v->o * tuff_volume(v->y), x_image = v->c * tuff_volume(v->x);
    double sum = 0;
    for (int64_t n = 0; n < v->n; n++)
        for (int64_t d = s[0].begin; d < s[0].end; d++)
            for (int64_t i = s[1].begin; i < s[1].end; i++) {
                const int64_t slice = d * v->stride[0] + off[0];
                const int64_t row = i * v->stride[1] + off[1];
                const int64_t col = s[2].begin * v->stride[2] + off[2];
                const float *a = dy + n * y_image + (d * v->y[1] + i) * v->y[2] + s[2].begin;
                const float *b = x + n * x_image + (slice * v->x[1] + row) * v->x[2] + col;
                sum += tuff_dot(a, b, v->stride[2], s[2].end - s[2].begin);
            }
    return sum;
}

// One unit is one kernel of dw: a pair of channels.
static void dw_ref(const tuff_ref *r)
{
    tuff_conv v;
    tuff_conv_good(r->call, DW_X, -1, DW_DY, &v);
    const int64_t taps = tuff_volume(v.k);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t o = (int64_t)unit / v.cg, c = o / v.og * v.cg + (int64_t)unit % v.cg;
        const float *x = r->in[DW_X] + c * tuff_volume(v.x);
        const float *dy = r->in[DW_DY] + o * tuff_volume(v.y);
        for (int64_t i = 0; i < taps; i++) {
            const int64_t t[3] = { i / v.k[2] / v.k[1], i / v.k[2] % v.k[1], i % v.k[2] };
            r->out[0][(int64_t)unit * taps + i] = (float)dw_tap(&v, x, dy, t);
        }
    }
}

// By x it is the input gradient of dy with the given kernel, by dy the convolution.
static void dw_grad(tuff_tape *t, const tuff_node *n, const tuff_var d[], tuff_var dx[])
{
    const tuff_conv_params *p = n->call.params;
    const int dims = tuff_conv_dims(n->call.op);
    tuff_conv_params by_x = *p, by_dy = *p;
    by_x.act = by_dy.act = TUFF_ACT_NONE;
    put_sizes(&n->call.in[DW_X], dims, by_x.size);
    dx[DW_X] = TUFF_V(t, input_grad[dims], &by_x, n->in[DW_DY], d[0]);
    dx[DW_DY] = TUFF_V(t, conv[dims], &by_dy, n->in[DW_X], d[0]);
}

static tuff_cost dw_cost(const tuff_call *c)
{
    tuff_conv v;
    tuff_conv_good(c, DW_X, -1, DW_DY, &v);
    return tuff_conv_cost(c, &v);
}

// Of one spatial dim none slides.
#define DW_VARIANTS_1                                                           \
    { TUFF_KERNEL("texel", tuff_conv_dw_texel),                                 \
      TUFF_GPU_KERNEL("direct", tuff_conv_dw_direct),                           \
      TUFF_HALF_KERNEL(tuff_conv_dw_half_tile),                                 \
      TUFF_GPU_KERNEL("tile", tuff_conv_dw_tile),                               \
      TUFF_KERNEL("plain", tuff_conv_dw_plain) }
#define DW_VARIANTS_2                                                           \
    { TUFF_KERNEL("slide", tuff_conv_dw_slide),                                 \
      TUFF_KERNEL("winograd2", tuff_conv_dw_winograd2),                         \
      TUFF_KERNEL("texel", tuff_conv_dw_texel),                                 \
      TUFF_COOP_KERNEL(tuff_conv_dw_coop),                                      \
      TUFF_COOP_FAST_KERNEL(tuff_conv_dw_coop_fast),                            \
      TUFF_GPU_KERNEL("direct", tuff_conv_dw_direct),                           \
      TUFF_HALF_KERNEL(tuff_conv_dw_half_tile),                                 \
      TUFF_GPU_KERNEL("tile", tuff_conv_dw_tile),                               \
      TUFF_KERNEL("plain", tuff_conv_dw_plain) }
#define DW_VARIANTS_3 DW_VARIANTS_2

#define WEIGHT_GRAD(name_, dims, ...)                                           \
    const tuff_op tuff_op_##name_##_weight_grad = {                             \
        .name = #name_ "_weight_grad", .special = TUFF_SPECIAL_TINY,            \
        .doc = "dw = the gradient of " #name_ " by w, for the gradient dy of its output", \
        .in = { { .name = "x", .dtypes = TUFF_FLOATS },                         \
                { .name = "dy", .dtypes = TUFF_FLOATS, .ordinary = true } },    \
        .out = { { .name = "dw" } },                                            \
        .params_size = sizeof(tuff_conv_params),                                \
        .params = { TUFF_CONV_FIELDS(dims), TUFF_CONV_COUNTS(dims, size, NULL) }, \
        .infer = dw_infer,                                                      \
        .ref = dw_ref,                                                          \
        .units = units,                                                         \
        .variants = DW_VARIANTS_##dims,                                         \
        .hosts = { TUFF_CONV_DEPTH(dw_), TUFF_CONV_FAST(dw_) },                 \
        .grad = dw_grad,                                                        \
        .cost = dw_cost,                                                        \
        .tol = { .f32 = 1e-5f }, /* see matmul.c */                             \
        .sample = { -1, 1 },                                                    \
        .cases = TUFF_CASES(__VA_ARGS__),                                       \
    };                                                                          \
    tuff_status tuff_##name_##_weight_grad(tuff_stream *s, const tuff_tensor *x, \
                                           const tuff_tensor *dy, tuff_tensor *dw, \
                                           const tuff_conv_params *p)           \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name_##_weight_grad, TUFF_RUN_IN(x, dy),  \
                        TUFF_RUN_OUT(dw), p);                                   \
    }

WEIGHT_GRAD(conv1d, 1, "1x1x1 1x1x1", "2x3x37 2x5x37 pad=2,1 size=4",
            "2x6x23 2x9x10 stride=2 dilation=2 group=3 size=3",
            "2x7x19 2x7x7 auto_pad=SAME_UPPER stride=3 group=7 size=5",
            "1x1x70003 1x2x70001 size=3")
WEIGHT_GRAD(conv2d, 2, "1x1x1x1 1x1x1x1", "3x1x28x28 3x6x28x28 pad=2,2,2,2 size=5,5",
            "7x6x14x14 7x16x10x10 size=5,5", "40x5x20x20 40x7x18x18 size=3,3",
            "1x40x41x43 1x40x41x43 pad=1,1,1,1 group=40 size=3,3",
            "2x3x33x17 2x5x15x18 stride=2,1 pad=1,2,0,1 size=5,3",
            "1x5x13x11 1x7x9x7 dilation=2,2 size=3,3",
            "2x6x9x9 2x4x5x5 stride=2,2 pad=1,1,1,1 group=2 size=3,3",
            "2x7x8x9 2x7x8x9 pad=1,1,1,1 group=7 size=3,3",
            "2x5x9x11 2x10x5x6 stride=2 pad=1,1,1,1 group=5 size=3,3",
            "1x3x13x38 1x3x13x38 pad=2,2,2,2 group=3 size=5,5",
            "3x2x12x9 3x2x6x4 stride=2 pad=2,1,1,2 group=2 size=5,5", "1x64x7x7 1x65x7x7",
            "2x11x13x14 2x19x13x14 pad=1,1,1,1 size=3,3",
            "1x5x9x23 1x9x10x22 pad=2,0,1,1 size=3,3", "3x67x8x5 3x33x6x3 size=3,3",
            "1x2x5x5 1x3x5x3 pad=7,0,3,9 stride=3,4 size=3,3",
            "2x1x3x33000 2x1x2x33000 size=2,1", "70001x1x1x2 70001x2x1x1 size=1,2")
WEIGHT_GRAD(conv3d, 3, "1x1x1x1x1 1x1x1x1x1",
            "2x3x5x7x6 2x4x5x6x7 pad=1,0,2,1,0,1 size=3,2,3",
            "1x4x7x7x9 1x6x3x3x4 stride=2,1,2 dilation=1,2,1 pad=0,0,1 group=2 size=2,3,3",
            "2x5x4x5x6 2x5x4x3x2 auto_pad=SAME_UPPER stride=1,2,3 group=5 size=3,3,3",
            "1x8x5x13x11 1x37x5x13x11 pad=1,1,1,1,1,1 size=3,3,3",
            "2x3x1x9x11 2x3x1x7x9 group=3 size=1,3,3",
            "1x37x1x12x9 1x19x1x11x9 pad=0,1,1,0,0,1 size=1,3,3")
