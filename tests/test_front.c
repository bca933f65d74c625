// The public functions as a caller meets them: each op by its own function on values that can
// be checked by hand, what there is to ask of things, and what mistakes are answered with; on
// the device that TUFF_DEVICE names.
#include "harness.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

#define SHAPE(...) TUFF_SHAPE(TUFF_F32, __VA_ARGS__)

static tuff_tensor *tensor(tuff_desc d, const void *data)
{
    return new_tensor(dev, stream, d, data);
}

static void holds(const tuff_tensor *t, const float *want, int n, const char *what)
{
    float got[16] = { 0 };
    EXPECT_OK(tuff_tensor_read(stream, t, got, (size_t)n * sizeof *got));
    for (int i = 0; i < n; i++)
        if (!EXPECT_NEAR(got[i], want[i], 1e-6)) FAIL("%s: element %d", what, i);
}

// Creates y, makes the call, and compares y with the numbers given.
#define GIVES(shape, call, ...)                                                 \
    do {                                                                        \
        const float want_[] = { __VA_ARGS__ };                                  \
        tuff_tensor *y = tensor(shape, NULL);                                   \
        EXPECT_OK(call);                                                        \
        holds(y, want_, COUNT(want_), #call);                                   \
        tuff_tensor_destroy(&y);                                                \
    } while (0)

static void convolutions(void)
{
    const float x9[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, w4[] = { 1, 0, 0, 1 };
    const float ones[] = { 1, 1, 1, 1 }, half = 0.5f;
    const tuff_conv_params size3 = { .size = { 3, 3 } }, size2 = { .size = { 2, 2 } };
    const tuff_conv_params relu = { .act = TUFF_ACT_RELU };
    tuff_tensor *x = tensor(SHAPE(1, 1, 3, 3), x9), *w = tensor(SHAPE(1, 1, 2, 2), w4);
    tuff_tensor *bias = tensor(SHAPE(1), &half), *dy = tensor(SHAPE(1, 1, 2, 2), ones);
    GIVES(SHAPE(1, 1, 2, 2), tuff_conv2d(stream, x, w, NULL, NULL, y, NULL), 6, 8, 12, 14);
    GIVES(SHAPE(1, 1, 2, 2), tuff_conv2d(stream, x, w, bias, dy, y, &relu), 7.5f, 9.5f, 13.5f,
          15.5f);
    GIVES(SHAPE(1, 1, 3, 3), tuff_conv2d_input_grad(stream, dy, w, y, &size3), 1, 1, 0, 1, 2,
          1, 0, 1, 1);
    GIVES(SHAPE(1, 1, 2, 2), tuff_conv2d_weight_grad(stream, x, dy, y, &size2), 12, 16, 24, 28);
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&w);
    tuff_tensor_destroy(&bias);
    tuff_tensor_destroy(&dy);
}

static void pooling(void)
{
    const float x4[] = { 1, 3, 2, 0 }, four = 4;
    const tuff_pool2d_params size = { .size = { 2, 2 } };
    tuff_tensor *x = tensor(SHAPE(1, 1, 2, 2), x4), *dy = tensor(SHAPE(1, 1, 1, 1), &four);
    GIVES(SHAPE(1, 1, 1, 1), tuff_max_pool2d(stream, x, y, NULL), 3);
    GIVES(SHAPE(1, 1, 1, 1), tuff_average_pool2d(stream, x, y, NULL), 1.5f);
    GIVES(SHAPE(1, 1, 2, 2), tuff_max_pool2d_grad(stream, x, dy, y, NULL), 0, 4, 0, 0);
    GIVES(SHAPE(1, 1, 2, 2), tuff_average_pool2d_grad(stream, dy, y, &size), 1, 1, 1, 1);
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&dy);
}

static void losses(void)
{
    const float even[] = { 0, 0 }, scores[] = { 1, 2, 3, 0 }, a2[] = { 1, 2 }, b2[] = { 0, 4 };
    const float one = 1, legs[] = { 3, 4 };
    const int32_t first = 0, both[] = { 1, 1 };
    tuff_tensor *x = tensor(SHAPE(1, 2), even), *dloss = tensor(TUFF_SCALAR(TUFF_F32), &one);
    tuff_tensor *label = tensor(TUFF_SHAPE(TUFF_I32, 1), &first);
    tuff_tensor *rows = tensor(SHAPE(2, 2), scores);
    tuff_tensor *labels = tensor(TUFF_SHAPE(TUFF_I32, 2), both);
    tuff_tensor *a = tensor(SHAPE(2), a2), *b = tensor(SHAPE(2), b2);
    tuff_tensor *leg = tensor(SHAPE(2), legs), *norm = tensor(TUFF_SCALAR(TUFF_F32), NULL);
    const tuff_desc scalar = TUFF_SCALAR(TUFF_F32);
    GIVES(scalar, tuff_cross_entropy(stream, x, label, y), logf(2));
    GIVES(SHAPE(1, 2), tuff_cross_entropy_grad(stream, x, label, dloss, y), -0.5f, 0.5f);
    GIVES(scalar, tuff_mse(stream, a, b, y), 2.5f);
    GIVES(scalar, tuff_count_correct(stream, rows, labels, y), 1);
    GIVES(SHAPE(2), tuff_clip_norm(stream, leg, y, norm, NULL), 0.6f, 0.8f);
    holds(norm, &(float){ 5 }, 1, "norm");
    tuff_tensor *const all[] = { x, dloss, label, rows, labels, a, b, leg, norm };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(&(tuff_tensor *){ all[i] });
}

static void by_name_and_text(void)
{
    const float x6[] = { 1, 2, 3, 4, 5, 6 }, turned[] = { 1, 4, 2, 5, 3, 6 };
    const char *perm[] = { "perm=1,0" }, *wrong[] = { "prem=1,0" };
    tuff_tensor *x = tensor(SHAPE(2, 3), x6), *out[8];
    const tuff_tensor *const in[] = { x };
    int n = 0;
    EXPECT_OK(tuff_op_apply(stream, "transpose", in, 1, perm, 1, NULL, out, &n));
    EXPECT_EQ(n, 1);
    holds(out[0], turned, 6, "transpose");
    EXPECT(tuff_tensor_device(out[0]) == dev && tuff_stream_device(stream) == dev);
    tuff_tensor_destroy(&out[0]);
    EXPECT_STATUS(tuff_op_apply(stream, "transpose", in, 1, wrong, 1, NULL, out, &n),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "perm");
    EXPECT_STATUS(tuff_op_apply(stream, "trans", in, 1, NULL, 0, NULL, out, &n), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_op_apply(stream, "not", in, 1, NULL, 0, NULL, out, &n),
                  TUFF_ERR_DTYPE);
    EXPECT_HAS(tuff_last_error(), "x is f32, expected bool");
    tuff_tensor_destroy(&x);

    tuff_op_info info;
    int found = 0;
    for (int i = 0; tuff_op_get_info(i, &info); i++)
        if (strcmp(info.name, "conv2d") == 0) {
            found++;
            EXPECT_STR(info.onnx, "Conv");
            EXPECT(info.inputs == 4 && info.outputs == 1 && info.optional[2]);
            EXPECT_STR(info.attribute[0], "strides");
        }
    for (int i = 0; tuff_op_get_info(i, &info); i++)
        for (int a = 0; a < info.attributes; a++)
            if (!EXPECT(info.attribute_type[a] && *info.attribute_type[a]))
                FAIL("attribute %s of %s", info.attribute[a], info.name);
    EXPECT_EQ(found, 1);
    EXPECT(!tuff_op_get_info(-1, &info));
}

static void descriptions(void)
{
    char text[40], small[9];
    EXPECT_STR(tuff_desc_print(&SHAPE(64, 1, 28), text, sizeof text), "f32 [64, 1, 28]");
    EXPECT_STR(tuff_desc_print(&TUFF_SCALAR(TUFF_I32), text, sizeof text), "i32 []");
    EXPECT_STR(tuff_desc_print(&SHAPE(123456, 7), small, sizeof small), "f32 [123");
    EXPECT_EQ(tuff_desc_bytes(&TUFF_SHAPE(TUFF_BF16, 3, 5)), 30);
    EXPECT_STR(tuff_dtype_name(TUFF_U8), "u8");
    EXPECT_STR(tuff_dtype_name((tuff_dtype)3), "?");
    EXPECT_EQ(tuff_dtype_size((tuff_dtype)3), 0);
    EXPECT_STR(tuff_status_text(TUFF_ERR_LOST), "the device was lost");
    EXPECT_STR(tuff_status_text((tuff_status)999), "unknown status");
}

static void count_lines(void *user, const char *text)
{
    *(int *)user += strlen(text) > 0;
}

static void graphs_tell_of_themselves(void)
{
    const float legs[] = { 3, 4 };
    float norm = 0, clipped[2];
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
    tuff_var out[2];
    int lines = 0;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", SHAPE(2));
    tuff_graph_op_n(g, "clip_norm", &x, 1, NULL, out, 2);
    EXPECT(tuff_graph_desc(g, out[1])->rank == 0 && !tuff_graph_desc(g, (tuff_var){ 99 }));
    tuff_graph_output(g, "y", out[0]);
    tuff_graph_output(g, "norm", out[1]);
    EXPECT_OK(tuff_program_create(dev, g, NULL, &program));
    EXPECT_OK(tuff_program_write(program, x, legs, sizeof legs));
    EXPECT_OK(tuff_program_run(program));
    EXPECT_OK(tuff_program_read(program, out[1], &norm, sizeof norm));
    EXPECT_OK(tuff_program_read(program, out[0], clipped, sizeof clipped));
    EXPECT_NEAR(norm, 5, 1e-6);
    EXPECT_NEAR(clipped[1], 0.8, 1e-6);
    tuff_program_describe(program, count_lines, &lines);
    EXPECT(lines >= 4); // a heading, the op, two of totals
    EXPECT_STATUS(tuff_program_write(program, x, NULL, sizeof legs), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_program_read(program, x, clipped, sizeof clipped), TUFF_ERR_ARG);
    tuff_program_destroy(&program);
    tuff_graph_destroy(&g);
}

// A mistake of the caller's is a sentence, never a crash.
static void null_is_refused(void)
{
    float data[2] = { 0 };
    tuff_tensor *t = tensor(SHAPE(2), data), *none = NULL;
    tuff_graph *g = NULL;
    tuff_program *program = NULL;
#define REFUSES(call) (void)(EXPECT_STATUS(call, TUFF_ERR_ARG) && \
                             EXPECT_HAS(tuff_last_error(), "NULL"))
    REFUSES(tuff_tensor_create(NULL, SHAPE(2), &none));
    REFUSES(tuff_tensor_create(dev, SHAPE(2), NULL));
    REFUSES(tuff_tensor_view(NULL, 0, SHAPE(2), &none));
    REFUSES(tuff_tensor_write(NULL, t, data, sizeof data));
    REFUSES(tuff_tensor_write(stream, NULL, data, sizeof data));
    REFUSES(tuff_tensor_read(stream, t, NULL, sizeof data));
    REFUSES(tuff_relu(NULL, t, t));
    REFUSES(tuff_op_run(stream, "relu", NULL, 1, NULL, 1, NULL));
    REFUSES(tuff_program_create(dev, NULL, NULL, &program));
    EXPECT_STATUS(tuff_relu(stream, NULL, t), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "relu: input x is missing");
    EXPECT_STATUS(tuff_relu(stream, t, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "relu: output y is missing");
    EXPECT_STATUS(tuff_op_run(stream, NULL, NULL, 0, NULL, 0, NULL), TUFF_ERR_ARG);
    EXPECT_OK(tuff_graph_create(&g));
    EXPECT_EQ(tuff_graph_bind(g, "w", NULL).id, 0);
    REFUSES(tuff_graph_status(g));
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&t);
    tuff_tensor_destroy(&none);
    tuff_device_close(NULL);
    tuff_stream_destroy(&(tuff_stream *){ NULL });
}

// A program runs where its tensors are.
static void another_device_is_refused(void)
{
    tuff_device *other = NULL;
    tuff_tensor *there = NULL;
    tuff_program *program = NULL;
    const float data[2] = { 1, 2 };
    if (!EXPECT_OK(tuff_device_open("cpu", &other))) return;
    EXPECT_OK(tuff_tensor_create(other, SHAPE(2), &there));
    EXPECT_STATUS(tuff_tensor_write(stream, there, data, sizeof data), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_relu(stream, there, there), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "another device");
    for (int store = 0; store < 2; store++) {
        tuff_graph *g = NULL;
        EXPECT_OK(tuff_graph_create(&g));
        const tuff_var x = store ? tuff_graph_input(g, "x", SHAPE(2))
                                 : tuff_graph_bind(g, "x", there);
        const tuff_var y = tuff_graph_op(g, "relu", &x, 1, NULL);
        tuff_graph_output(g, "y", y);
        if (store) tuff_graph_store(g, y, there);
        EXPECT_STATUS(tuff_program_create(dev, g, NULL, &program), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), "another device");
        tuff_graph_destroy(&g);
    }
    tuff_tensor_destroy(&there);
    tuff_device_close(&other);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    CASE(convolutions);
    CASE(pooling);
    CASE(losses);
    CASE(by_name_and_text);
    CASE(descriptions);
    CASE(graphs_tell_of_themselves);
    CASE(null_is_refused);
    CASE(another_device_is_refused);
    EXPECT_OK(tuff_stream_flush(stream));
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
