// The library beside PyTorch: convolution, pooling, normalisation and losses, on the device
// that TUFF_DEVICE names. tests/golden/make.py made the numbers, in f64. Optimizers:
// test_optimizer.c.
//
// Only public calls are made here. |got - want| <= tolerance * (|want| + rms(want)); where a
// result is NaN, so must the other be.
#include "harness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>

// At most 60 products of numbers below 2 are added in f32 here, each addition to within 6e-8
// of a sum that stays below ten times the result's rms.
#define SUMS 4e-6
// Chosen elements, and few numbers added.
#define FEW 5e-7

enum { MAX_TENSORS = 5 };

static tuff_device *dev;
static tuff_stream *stream;

// ---- files and tensors ---------------------------------------------------------------------

static bool load(const char *name, const char *tensor, tuff_array *a)
{
    char file[128];
    snprintf(file, sizeof file, "tests/golden/%s.%s.npy", name, tensor);
    const char *path = source_path(file);
    if (!path) return FAIL("%s is not there", file);
    return EXPECT_OK(tuff_npy_read(path, a));
}

static tuff_tensor *to_device(const tuff_array *a)
{
    return new_tensor(dev, stream, a->desc, a->data);
}

static tuff_tensor *tensor_of(const char *name, const char *tensor)
{
    tuff_array a = { 0 };
    tuff_tensor *t = load(name, tensor, &a) ? to_device(&a) : NULL;
    tuff_array_clear(&a);
    return t;
}

static void compare(const char *what, const float *got, const float *want, int64_t n,
                    double tolerance)
{
    double squares = 0;
    int64_t real = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(want[i])) continue;
        squares += (double)want[i] * want[i];
        real++;
    }
    const double rms = real ? sqrt(squares / (double)real) : 0;
    for (int64_t i = 0; i < n; i++) {
        const bool near = isnan(want[i])
                        ? isnan(got[i])
                        : fabs((double)got[i] - want[i]) <= tolerance * (fabs(want[i]) + rms);
        if (near) continue;
        FAIL("%s[%lld] is %.9g, PyTorch has %.9g", what, (long long)i, got[i], want[i]);
        return;
    }
}

static void compare_tensor(const char *what, const tuff_tensor *got, const float *want,
                           double tolerance)
{
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(got));
    float *host = malloc(bytes);
    if (EXPECT(host) && EXPECT_OK(tuff_tensor_read(stream, got, host, bytes)))
        compare(what, host, want, tuff_desc_count(tuff_tensor_desc(got)), tolerance);
    free(host);
}

// ---- single ops ----------------------------------------------------------------------------

// One call: which tensors of a case go in ("-": none), and which must come out.
typedef struct golden {
    const char *name; // of the case
    const char *op;
    const char *in[MAX_TENSORS], *out[MAX_TENSORS];
    const void *params;
    double tolerance;
} golden;

static void run_golden(const golden *g)
{
    tuff_tensor *in[MAX_TENSORS] = { 0 }, *out[MAX_TENSORS] = { 0 };
    tuff_array want[MAX_TENSORS] = { { .data = NULL } };
    int nin = 0, nout = 0;
    for (; nin < MAX_TENSORS && g->in[nin]; nin++)
        if (strcmp(g->in[nin], "-") != 0 && !(in[nin] = tensor_of(g->name, g->in[nin])))
            goto exit;
    for (; nout < MAX_TENSORS && g->out[nout]; nout++) {
        if (!load(g->name, g->out[nout], &want[nout])) goto exit;
        if (!EXPECT_OK(tuff_tensor_create(dev, want[nout].desc, &out[nout]))) goto exit;
    }
    const tuff_tensor *const const_in[] = { in[0], in[1], in[2], in[3], in[4] };
    if (!EXPECT_OK(tuff_op_run(stream, g->op, const_in, nin, out, nout, g->params))) {
        FAIL("%s", tuff_last_error());
        goto exit;
    }
    for (int i = 0; i < nout; i++)
        compare_tensor(g->out[i], out[i], want[i].data, g->tolerance);
exit:
    for (int i = 0; i < MAX_TENSORS; i++) {
        tuff_tensor_destroy(&in[i]);
        tuff_tensor_destroy(&out[i]);
        tuff_array_clear(&want[i]);
    }
}

#define CONV(...) &(const tuff_conv_params){ __VA_ARGS__ }
#define POOL(...) &(const tuff_pool2d_params){ __VA_ARGS__ }

// Forward and the gradients by x, w and b, the last being a sum over N, H and W.
#define CONV_CASES(name, height, width, rows, cols, ...)                        \
    { name, "conv2d", { "x", "w", "b" }, { "y" }, CONV(__VA_ARGS__), SUMS },    \
    { name, "conv2d_input_grad", { "dy", "w" }, { "dx" },                       \
      CONV(.size = { height, width }, __VA_ARGS__), SUMS },                     \
    { name, "conv2d_weight_grad", { "x", "dy" }, { "dw" },                      \
      CONV(.size = { rows, cols }, __VA_ARGS__), SUMS },                        \
    { name, "reduce_sum", { "dy" }, { "db" },                                   \
      &(const tuff_reduce_params){ .axes = 1 | 2 | 8 }, SUMS }
// The same over other dims; `axes` is all but channels. Backwards a transposed convolution is a
// plain one, and its gradient by w has its input in the place of dy.
#define CONV_ANY(name, sizes, kernel, all, ...)                                 \
    { name, name, { "x", "w", "b" }, { "y" }, CONV(__VA_ARGS__), SUMS },        \
    { name, name "_input_grad", { "dy", "w" }, { "dx" },                        \
      CONV(.size = SIZES sizes, __VA_ARGS__), SUMS },                            \
    { name, name "_weight_grad", { "x", "dy" }, { "dw" },                       \
      CONV(.size = SIZES kernel, __VA_ARGS__), SUMS },                           \
    { name, "reduce_sum", { "dy" }, { "db" },                                   \
      &(const tuff_reduce_params){ .axes = (all) }, SUMS }
#define TRANSPOSE_CASES(name, conv, kernel, all, more, ...)                     \
    { name, name, { "x", "w", "b" }, { "y" },                                   \
      CONV(.output_padding = SIZES more, __VA_ARGS__), SUMS },                   \
    { name, conv, { "dy", "w" }, { "dx" }, CONV(__VA_ARGS__), SUMS },           \
    { name, conv "_weight_grad", { "dy", "x" }, { "dw" },                       \
      CONV(.size = SIZES kernel, __VA_ARGS__), SUMS },                           \
    { name, "reduce_sum", { "dy" }, { "db" },                                   \
      &(const tuff_reduce_params){ .axes = (all) }, SUMS }
#define SIZES(...) { __VA_ARGS__ }
#define MAX_CASES(name, ...)                                                    \
    { name, "max_pool2d", { "x" }, { "y" }, POOL(__VA_ARGS__), 0 },             \
    { name, "max_pool2d_grad", { "x", "dy" }, { "dx" }, POOL(__VA_ARGS__), FEW }
#define AVERAGE_CASES(name, height, width, ...)                                 \
    { name, "average_pool2d", { "x" }, { "y" }, POOL(__VA_ARGS__), FEW },       \
    { name, "average_pool2d_grad", { "dy" }, { "dx" },                          \
      POOL(.size = { height, width }, __VA_ARGS__), FEW }
#define CROSS_CASES(name)                                                       \
    { name, "cross_entropy", { "x", "labels" }, { "loss" }, NULL, SUMS },       \
    { name, "cross_entropy_grad", { "x", "labels", "dloss" }, { "dx" }, NULL, SUMS }

#define LIST(...) __VA_ARGS__
#define POOL_CASES(name, op, grad, back, ...)                                   \
    { name, op, { "x" }, { "y" }, &(const tuff_pool_params){ __VA_ARGS__ }, FEW }, \
    { name, grad, { LIST back }, { "dx" }, &(const tuff_pool_params){ __VA_ARGS__ }, FEW }
#define RESIZE_CASES(name, ...)                                                 \
    { name, "resize", { "x" }, { "y" },                                         \
      &(const tuff_resize_params){ .sizes = { 0, 0, 8, 6 }, __VA_ARGS__ }, SUMS }, \
    { name, "resize_grad", { "dy" }, { "dx" },                                  \
      &(const tuff_resize_params){ .sizes = { 0, 0, 8, 6 }, .size = { 1, 2, 5, 8 }, \
                                   __VA_ARGS__ }, SUMS }
#define CLASSES(...) &(const tuff_class_loss_params){ __VA_ARGS__ }
#define EACH(...)    &(const tuff_pointwise_params){ __VA_ARGS__ }
// A loss with what it compares x with and maybe a weight, and its gradient.
#define LOSS_CASES(name, op, second, grad, weight, params)                      \
    { name, op, { "x", second, weight }, { "loss" }, params, SUMS },            \
    { name, grad, { "x", second, "dloss", weight }, { "dx" }, params, SUMS }

#define NORM_GRAD(...) &(const tuff_norm_grad_params){ __VA_ARGS__ }
// The forward op's own params, and what its gradients are told of it.
#define ROWS_CASES(name, forward, ...)                                          \
    { name, name, { "x", "scale", "b" }, { "y", "mean", "inv" }, forward, SUMS }, \
    { name, "norm_grad", { "x", "dy", "inv", "mean", "scale" }, { "dx" },       \
      NORM_GRAD(__VA_ARGS__), SUMS },                                           \
    { name, "norm_param_grad", { "x", "dy", "inv", "scale", "mean" },           \
      { "dscale", "dbias" }, NORM_GRAD(__VA_ARGS__), SUMS }

#define ROLL(...) &(const tuff_roll_params){ __VA_ARGS__ }
#define WINDOWS(...)                                                            \
    &(const tuff_im2col_params){ .kernel = { 2, 3 }, .dilation = { 1, 2 },      \
                                 .pad = { 1, 2, 1, 2 }, __VA_ARGS__ }
// A movement and its gradient.
#define MOVED_CASES(name, op, params, grad, back)                               \
    { name, op, { "x" }, { "y" }, params, 0 },                                  \
    { name, grad, { "dy" }, { "dx" }, back, FEW }
#define PAD(how)                                                                \
    &(const tuff_pad_params){ .pads = { 0, 0, 3, 2, 0, 0, 0, 1 }, .mode = how }
#define PAD_CASES(name, how) MOVED_CASES(name, "pad", PAD(how), "pad_grad", PAD(how))

static const golden goldens[] = {
    { "batch_norm", "batch_norm", { "x", "scale", "b", "mean", "var" }, { "frozen" }, NULL,
      SUMS },
    { "batch_norm", "batch_norm_train", { "x", "scale", "b", "mean", "var" },
      { "y", "new_mean", "new_var", "saved" },
      &(const tuff_batch_norm_params){ .momentum = 0.75f, .unbiased = true }, SUMS },
    { "batch_norm", "batch_norm_grad", { "x", "dy", "scale", "saved" },
      { "dx", "dscale", "dbias" }, NULL, SUMS },
    ROWS_CASES("layer_norm", &(const tuff_layer_norm_params){ .axis = 1 }, .axis = 1),
    ROWS_CASES("group_norm", &(const tuff_group_norm_params){ .num_groups = 3 },
               .num_groups = 3),
    { "rms_norm", "rms_norm", { "x", "scale" }, { "y", "inv" }, NULL, SUMS },
    { "rms_norm", "norm_grad", { "x", "dy", "inv", "-", "scale" }, { "dx" }, NULL, SUMS },
    CONV_CASES("conv2d_plain", 7, 9, 3, 3, .group = 1),
    CONV_CASES("conv2d_stride", 11, 8, 3, 2, .stride = { 2, 3 }, .pad = { 1, 0, 2, 1 }),
    CONV_CASES("conv2d_dilation", 10, 11, 3, 3, .dilation = { 2, 3 }, .pad = { 2, 1, 2, 1 }),
    CONV_CASES("conv2d_group", 6, 7, 3, 3, .group = 3, .pad = { 1, 1, 1, 1 }),
    CONV_CASES("conv2d_depthwise", 6, 7, 3, 3, .group = 5, .stride = { 2, 2 },
               .pad = { 1, 1, 1, 1 }),
    CONV_ANY("conv1d", (11), (3), 1 | 4, .stride = { 2 }, .pad = { 2, 1 }, .dilation = { 2 },
             .group = 2),
    CONV_ANY("conv3d", (4, 5, 5), (2, 3, 3), 1 | 2 | 4 | 16, .stride = { 1, 2, 1 },
             .pad = { 1, 0, 1, 0, 1, 2 }, .dilation = { 2, 1, 1 }, .group = 2),
    TRANSPOSE_CASES("conv_transpose1d", "conv1d", (4), 1 | 4, (2), .stride = { 3 },
                    .pad = { 1, 1 }, .group = 2),
    TRANSPOSE_CASES("conv_transpose2d", "conv2d", (3, 3), 1 | 2 | 8, (1, 2),
                    .stride = { 2, 3 }, .pad = { 1, 0, 1, 0 }, .dilation = { 2, 1 },
                    .group = 3),
    TRANSPOSE_CASES("conv_transpose3d", "conv3d", (2, 3, 2), 1 | 2 | 4 | 16, (1, 0, 0),
                    .stride = { 2, 1, 2 }, .pad = { 0, 1, 1, 0, 1, 1 }),
    MAX_CASES("max_halves", .kernel = { 2, 2 }),
    MAX_CASES("max_overlap", .kernel = { 3, 3 }, .stride = { 2, 2 }, .pad = { 1, 1, 1, 1 }),
    MAX_CASES("max_ties", .kernel = { 3, 2 }, .stride = { 1, 2 }, .pad = { 1, 0, 1, 0 }),
    MAX_CASES("max_apart", .kernel = { 2, 1 }, .stride = { 3, 4 }),
    MAX_CASES("max_nan", .kernel = { 3, 3 }, .stride = { 1, 1 }),
    AVERAGE_CASES("average_halves", 8, 6, .kernel = { 2, 2 }),
    AVERAGE_CASES("average_overlap", 9, 8, .kernel = { 3, 3 }, .stride = { 2, 2 },
                  .pad = { 1, 1, 1, 1 }, .count_include_pad = true),
    AVERAGE_CASES("average_inside", 9, 8, .kernel = { 3, 4 }, .stride = { 2, 1 },
                  .pad = { 1, 2, 1, 2 }),
    CROSS_CASES("cross_entropy_all"),
    CROSS_CASES("cross_entropy_some"),
    POOL_CASES("pool_max_ceil", "max_pool", "max_pool_grad", ("x", "dy"),
               .kernel = { 3, 3 }, .stride = { 2, 3 }, .dilation = { 2, 1 },
               .pad = { 1, 1, 1, 1 }, .ceil_mode = true),
    POOL_CASES("pool_average_ceil", "average_pool", "average_pool_grad", ("dy"),
               .kernel = { 3, 3 }, .stride = { 2, 2 }, .pad = { 1, 1, 1, 1 },
               .ceil_mode = true, .count_include_pad = true, .size = { 9, 8 }),
    POOL_CASES("pool_3d", "max_pool", "max_pool_grad", ("x", "dy"),
               .kernel = { 2, 2, 2 }, .stride = { 1, 2, 2 }, .pad = { 0, 1, 1, 0, 1, 1 }),
    POOL_CASES("adaptive_max", "adaptive_max_pool", "max_pool_grad", ("x", "dy"),
               .output_size = { 3, 5 }),
    POOL_CASES("adaptive_average", "adaptive_average_pool", "average_pool_grad", ("dy"),
               .output_size = { 3, 5 }, .size = { 7, 8 }),
    RESIZE_CASES("resize_bilinear", .mode = TUFF_RESIZE_LINEAR),
    RESIZE_CASES("resize_corners", .mode = TUFF_RESIZE_LINEAR,
                 .place = TUFF_PLACE_ALIGN_CORNERS),
    RESIZE_CASES("resize_bicubic", .mode = TUFF_RESIZE_CUBIC),
    RESIZE_CASES("resize_nearest", .place = TUFF_PLACE_ASYMMETRIC,
                 .nearest = TUFF_NEAREST_FLOOR),
    LOSS_CASES("class_labels", "cross_entropy", "labels", "cross_entropy_grad", "weight",
               CLASSES(.ignore = 3, .label_smoothing = 0.125f)),
    LOSS_CASES("class_chances", "soft_cross_entropy", "target", "soft_cross_entropy_grad",
               "weight", CLASSES(.label_smoothing = 0.125f)),
    LOSS_CASES("distillation", "kl_div", "teacher", "kl_div_grad", NULL,
               CLASSES(.temperature = 4)),
    LOSS_CASES("margins", "multi_margin_loss", "labels", "multi_margin_loss_grad", "weight",
               CLASSES(.margin = 0.75f)),
    LOSS_CASES("huber", "huber_loss", "target", "pointwise_loss_grad", NULL,
               EACH(.kind = TUFF_HUBER, .delta = 0.75f)),
    LOSS_CASES("smooth_l1", "smooth_l1_loss", "target", "pointwise_loss_grad", NULL,
               EACH(.kind = TUFF_SMOOTH_L1, .delta = 0.75f, .reduction = TUFF_LOSS_SUM)),
    { "logits", "bce_with_logits", { "x", "target", "weight", "weight" }, { "loss" }, NULL,
      SUMS },
    { "logits", "pointwise_loss_grad", { "x", "target", "dloss", "weight", "weight" }, { "dx" },
      EACH(.kind = TUFF_BCE_WITH_LOGITS), SUMS },
    MOVED_CASES("roll", "roll", ROLL(.shifts = { 2, -1 }, .axes = { 3, 1 }), "roll",
                ROLL(.shifts = { -2, 1 }, .axes = { 3, 1 })),
    MOVED_CASES("flip", "flip", &(const tuff_flip_params){ .axes = 5 }, "flip",
                &(const tuff_flip_params){ .axes = 5 }),
    MOVED_CASES("unfold", "im2col", WINDOWS(.stride = { 2, 1 }), "col2im",
                WINDOWS(.stride = { 2, 1 }, .size = { 6, 7 })),
    PAD_CASES("pad_reflect", TUFF_PAD_REFLECT), PAD_CASES("pad_replicate", TUFF_PAD_EDGE),
    PAD_CASES("pad_circular", TUFF_PAD_WRAP),
    { "embedding", "gather", { "x", "indices" }, { "y" },
      &(const tuff_gather_params){ .axis = 1 }, 0 },
    { "embedding", "gather_grad", { "dy", "indices" }, { "dx" },
      &(const tuff_gather_params){ .axis = 1, .size = { 7, 5 } }, FEW },
    { "scatter_add", "scatter_elements", { "x", "indices", "updates" }, { "y" },
      &(const tuff_scatter_params){ .axis = 1, .reduction = TUFF_REDUCTION_ADD }, FEW },
    { "mse", "mse", { "x", "target" }, { "loss" }, NULL, SUMS },
    { "clip_norm", "clip_norm", { "x" }, { "y", "norm" },
      &(const tuff_clip_norm_params){ .max_norm = 1.5f }, SUMS },
};

// ---- refusals ------------------------------------------------------------------------------

static void pooling_says_what_is_wrong(void)
{
    tuff_tensor *x = NULL, *y = NULL, *flat = NULL;
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, 1, 1, 4, 5), &x));
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, 1, 1, 2, 2), &y));
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, 20), &flat));
    EXPECT_STATUS(tuff_max_pool2d(stream, flat, y, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "max_pool2d: x has 1 dims, it must have 4 (N C H W)");
    EXPECT_STATUS(tuff_max_pool2d(stream, x, y, POOL(.pad = { 0, 2, 0, 0 })), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(),
               "max_pool2d: pad is 2, it must be at least 0 and below the kernel, which is 2");
    EXPECT_STATUS(tuff_average_pool2d(stream, x, y, POOL(.kernel = { 5, 1 })), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "average_pool2d: the kernel is 5 x 1, larger than x with its "
                                  "padding, which is 4 x 5");
    EXPECT_STATUS(tuff_average_pool2d_grad(stream, y, x, POOL(.size = { 4, 6 })),
                  TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "average_pool2d_grad: size is 4 x 6, which pooling does not "
                                  "turn into dy's 2 x 2");
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&y);
    tuff_tensor_destroy(&flat);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    for (size_t i = 0; i < COUNT(goldens); i++)
        if (case_begin("%s %s", goldens[i].name, goldens[i].op)) {
            run_golden(&goldens[i]);
            case_end();
        }
    CASE(pooling_says_what_is_wrong);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
