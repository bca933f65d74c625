// The geometry of a convolution, read by all ops of the family, their references and their
// plans. Everything here has three spatial dims; those of conv1d and conv2d are the last
// ones, and the others are 1.
//
//   y[n, o, p] = sum over c, t of w[o, c, t] * x[n, c, p stride - pad + t dilation]
//
// with p, t, pad, stride and dilation a number for each of depth, rows and columns. A
// transposed convolution has the geometry of the convolution whose gradient by x it is: its
// input is that one's y, its output that one's x.
#ifndef TUFF_OPS_CONV_H
#define TUFF_OPS_CONV_H
#include "ops/op.h"
#include "ops/pool.h"

typedef struct tuff_conv {
    int64_t n, c, o;        // images, channels of x, channels of y
    int64_t group, cg, og;  // groups; channels of x and of y in one of them
    int64_t x[3], k[3], y[3]; // depth, rows, columns; w is [o, cg, k]
    int64_t stride[3], dilation[3], pad[3]; // the defaults filled in; pad: what is before x
} tuff_conv;

static inline int64_t tuff_volume(const int64_t size[3])
{
    return size[0] * size[1] * size[2];
}

// The geometry of a call of a convolution or of one of its gradients, checked: fails with the
// sentence that infer gives. `x`, `w`, `y` say which inputs of the call they are; -1: the one
// that is computed.
tuff_status tuff_conv_of(const tuff_call *c, int x, int w, int y, tuff_conv *v);
// The same of a transposed convolution, whose inputs are y and w.
tuff_status tuff_conv_transpose_of(const tuff_call *c, tuff_conv *v);
// What auto_pad pads along an axis in all, and what of it before the x elements, so that y
// windows of `reach` begin `stride` apart. `lower`: SAME_LOWER.
int64_t tuff_conv_same(int64_t x, int64_t y, int64_t stride, int64_t reach, bool lower,
                       int64_t *before);
// Of calls that infer has passed.
void tuff_conv_good(const tuff_call *c, int x, int w, int y, tuff_conv *v);
void tuff_conv_transpose_good(const tuff_call *c, tuff_conv *v);

// Spatial dims of the op: its field `stride`, the first one, has a number for each.
static inline int tuff_conv_dims(const tuff_op *op) { return op->params[0].count; }

// [a, b, size...] with as many spatial dims as the op has, of the type of its first input.
tuff_desc tuff_conv_desc(const tuff_call *c, int64_t a, int64_t b, const int64_t size[3]);
// Checks bias [channels] and residual (like y) where they are given; they follow x and w.
tuff_status tuff_conv_check_after(const tuff_call *c, int64_t channels, const tuff_desc *y);

// Indices i, 0 <= i < n, for which lo <= i * step + off < hi: begin <= i < end.
typedef struct tuff_span {
    int64_t begin, end;
} tuff_span;
tuff_span tuff_span_of(int64_t n, int64_t step, int64_t off, int64_t lo, int64_t hi);

// One plane of dx is y's gather backwards; shared by the input gradient and the transposed
// convolution. `after` may change a row of sums before it is rounded: columns j0 .. j0 + cols
// that begin at element `at` of the output, of channel `ch`.
typedef void tuff_conv_after(const tuff_ref *r, double *sum, int64_t cols, int64_t ch,
                             int64_t at);
void tuff_conv_backward_ref(const tuff_ref *r, const tuff_conv *v, const float *dy,
                            const float *w, tuff_conv_after *after);
// Bias, residual and activation, as the forward ops have them.
void tuff_conv_after_ref(const tuff_ref *r, double *sum, int64_t cols, int64_t ch, int64_t at);

tuff_cost tuff_conv_cost(const tuff_call *c, const tuff_conv *v);

// The described fields of tuff_conv_params for an op of so many spatial dims.
#define TUFF_CONV_INTS(dims_, name_, onnx_, ...)                                \
    { .name = #name_, .type = TUFF_FIELD_INTS, .count = (dims_), .onnx = (onnx_), \
      .offset = offsetof(tuff_conv_params, name_), __VA_ARGS__ }
#define TUFF_CONV_COUNTS(dims_, name_, onnx_)                                   \
    TUFF_CONV_INTS(dims_, name_, onnx_, .range = TUFF_AT_LEAST_1,               \
                   .length = TUFF_PER_SPATIAL)
#define TUFF_CONV_PADS(dims_)                                                   \
    TUFF_CONV_INTS(2 * (dims_), pad, "pads", .length = TUFF_PER_SIDE)
#define TUFF_CONV_FIELDS(dims)                                                  \
    TUFF_CONV_COUNTS(dims, stride, "strides"),                                  \
        TUFF_CONV_PADS(dims),                                                   \
        TUFF_CONV_COUNTS(dims, dilation, "dilations"),                          \
        TUFF_POSITIVE(tuff_conv_params, group),                                 \
        TUFF_ENUM(tuff_conv_params, act, tuff_act_names),                       \
        TUFF_CONV_COUNTS(dims, kernel, "kernel_shape"),                         \
        TUFF_ENUM(tuff_conv_params, auto_pad, tuff_auto_pads),                  \
        TUFF_BOOLEAN(tuff_conv_params, fast)

// Variants, best first.
#define TUFF_CONV_PLAN(name)                                                    \
    bool tuff_conv_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
#define TUFF_CONV_PLANS(kind)                                                   \
    TUFF_CONV_PLAN(kind##slide);  /* depthwise, on CPU-like drivers */          \
    TUFF_CONV_PLAN(kind##winograd4); /* 3 x 3, see conv_winograd.h; on CPU-like drivers */ \
    TUFF_CONV_PLAN(kind##winograd2);                                            \
    TUFF_CONV_PLAN(kind##point);  /* kernels of one tap, on CPU-like drivers */ \
    TUFF_CONV_PLAN(kind##packed); /* large, on CPU-like drivers */              \
    TUFF_CONV_PLAN(kind##texel);  /* on CPU-like drivers */                     \
    TUFF_CONV_PLAN(kind##winograd4_tile); /* on GPUs */                         \
    TUFF_CONV_PLAN(kind##winograd2_tile);                                       \
    TUFF_CONV_PLAN(kind##point_tile);                                           \
    TUFF_CONV_PLAN(kind##direct); /* few channels in a group, on GPUs */        \
    TUFF_CONV_PLAN(kind##coop);      /* on GPUs, of f16 and bf16 */             \
    TUFF_CONV_PLAN(kind##coop_fast); /* on GPUs, of f32 that is rounded */      \
    TUFF_CONV_PLAN(kind##half_tile); /* on GPUs, of f16 */                      \
    TUFF_CONV_PLAN(kind##tile);   /* on GPUs */                                 \
    TUFF_CONV_PLAN(kind##plain)
TUFF_CONV_PLANS();
TUFF_CONV_PLANS(dx_);
TUFF_CONV_PLANS(transpose_);
TUFF_CONV_PLAN(dx_spread);    // with strides, on CPU-like drivers
TUFF_CONV_PLAN(transpose_spread);
TUFF_CONV_PLAN(dw_slide);
TUFF_CONV_PLAN(dw_winograd2);
TUFF_CONV_PLAN(dw_texel);
TUFF_CONV_PLAN(dw_direct);
TUFF_CONV_PLAN(dw_coop);
TUFF_CONV_PLAN(dw_coop_fast);
TUFF_CONV_PLAN(dw_half_tile);
TUFF_CONV_PLAN(dw_tile);
TUFF_CONV_PLAN(dw_plain);

// The CPU path's own: conv_host.c, conv_winograd_host.c, conv_weight_host.c, conv_depth_host.c.
#define TUFF_CONV_HOST(kind)                                                    \
    bool tuff_conv_##kind##host_takes(const tuff_call *c);                      \
    size_t tuff_conv_##kind##host_units(const tuff_call *c, int stage);         \
    size_t tuff_conv_##kind##host_scratch(const tuff_call *c);                  \
    void tuff_conv_##kind##host_run(const tuff_ref *r)
TUFF_CONV_HOST();
TUFF_CONV_HOST(dx_);
TUFF_CONV_HOST(transpose_);
TUFF_CONV_HOST(dw_);
#define TUFF_CONV_DEPTH_HOST(kind)                                              \
    bool tuff_conv_##kind##depth_takes(const tuff_call *c);                     \
    size_t tuff_conv_##kind##depth_units(const tuff_call *c, int stage);        \
    void tuff_conv_##kind##depth_run(const tuff_ref *r)
TUFF_CONV_DEPTH_HOST();
TUFF_CONV_DEPTH_HOST(dx_);
TUFF_CONV_DEPTH_HOST(dw_);
#define TUFF_CONV_WINOGRAD_HOST(kind)                                           \
    bool tuff_conv_##kind##winograd_takes(const tuff_call *c);                  \
    size_t tuff_conv_##kind##winograd_units(const tuff_call *c, int stage);     \
    size_t tuff_conv_##kind##winograd_scratch(const tuff_call *c);              \
    size_t tuff_conv_##kind##winograd_keeps(const tuff_call *c);                \
    void tuff_conv_##kind##winograd_run(const tuff_ref *r)
TUFF_CONV_WINOGRAD_HOST();
TUFF_CONV_WINOGRAD_HOST(dx_);
// Planes of their own, 3 x 3 of many channels (whose weights are input 1), and all others.
#define TUFF_CONV_FASTS(kind)                                                   \
    { TUFF_CONV_DEPTH(kind), TUFF_CONV_WINOGRAD(kind), TUFF_CONV_FAST(kind) }
#define TUFF_CONV_DEPTH(kind)                                                   \
    { .name = "depth", .takes = tuff_conv_##kind##depth_takes,                  \
      .run = tuff_conv_##kind##depth_run, .units = tuff_conv_##kind##depth_units }
#define TUFF_CONV_WINOGRAD(kind)                                                \
    { .name = "winograd2", .takes = tuff_conv_##kind##winograd_takes,           \
      .run = tuff_conv_##kind##winograd_run,                                    \
      .units = tuff_conv_##kind##winograd_units,                                \
      .scratch = tuff_conv_##kind##winograd_scratch,                            \
      .keeps = tuff_conv_##kind##winograd_keeps, .made_of = 1u << 1 }
#define TUFF_CONV_FAST(kind)                                                    \
    { .name = "fast", .takes = tuff_conv_##kind##host_takes,                    \
      .run = tuff_conv_##kind##host_run, .units = tuff_conv_##kind##host_units, \
      .scratch = tuff_conv_##kind##host_scratch }

// Winograd's sums mix the pixels of a tile, so that a NaN reaches its neighbours: convolutions
// are judged with tiny numbers.
#define TUFF_CONV_W { .name = "w", .dtypes = TUFF_FLOATS }

#define TUFF_WINOGRAD4 2e-5f // see shaders/winograd.glsl
// Of one spatial dim none is 3 x 3, and none slides.
#define TUFF_CONV_VARIANTS_1(kind, ...)                                         \
    { __VA_ARGS__                                                               \
      TUFF_KERNEL("point", tuff_conv_##kind##point),                            \
      TUFF_KERNEL("packed", tuff_conv_##kind##packed),                          \
      TUFF_KERNEL("texel", tuff_conv_##kind##texel),                            \
      TUFF_COOP_KERNEL(tuff_conv_##kind##coop),                                 \
      TUFF_COOP_FAST_KERNEL(tuff_conv_##kind##coop_fast),                       \
      TUFF_GPU_KERNEL("point_tile", tuff_conv_##kind##point_tile),              \
      TUFF_GPU_KERNEL("direct", tuff_conv_##kind##direct),                      \
      TUFF_HALF_KERNEL(tuff_conv_##kind##half_tile),                            \
      TUFF_GPU_KERNEL("tile", tuff_conv_##kind##tile),                          \
      TUFF_KERNEL("plain", tuff_conv_##kind##plain) }
#define TUFF_CONV_VARIANTS_2(kind, ...)                                         \
    { TUFF_KERNEL("slide", tuff_conv_##kind##slide),                            \
      __VA_ARGS__                                                               \
      TUFF_COARSE_KERNEL("winograd4", tuff_conv_##kind##winograd4, TUFF_WINOGRAD4), \
      TUFF_KERNEL("winograd2", tuff_conv_##kind##winograd2),                    \
      TUFF_KERNEL("point", tuff_conv_##kind##point),                            \
      TUFF_KERNEL("packed", tuff_conv_##kind##packed),                          \
      TUFF_KERNEL("texel", tuff_conv_##kind##texel),                            \
      TUFF_COOP_KERNEL(tuff_conv_##kind##coop),                                 \
      TUFF_COOP_FAST_KERNEL(tuff_conv_##kind##coop_fast),                       \
      TUFF_COARSE_GPU_KERNEL("winograd4_tile", tuff_conv_##kind##winograd4_tile, \
                             TUFF_WINOGRAD4),                                   \
      TUFF_GPU_KERNEL("winograd2_tile", tuff_conv_##kind##winograd2_tile),      \
      TUFF_GPU_KERNEL("point_tile", tuff_conv_##kind##point_tile),              \
      TUFF_GPU_KERNEL("direct", tuff_conv_##kind##direct),                      \
      TUFF_HALF_KERNEL(tuff_conv_##kind##half_tile),                            \
      TUFF_GPU_KERNEL("tile", tuff_conv_##kind##tile),                          \
      TUFF_KERNEL("plain", tuff_conv_##kind##plain) }
#define TUFF_CONV_VARIANTS_3 TUFF_CONV_VARIANTS_2 // images one deep are flat
// What those that go backwards have beside the others.
#define TUFF_CONV_SPREAD(kind) TUFF_KERNEL("spread", tuff_conv_##kind##spread),
#endif
