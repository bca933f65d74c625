// Movement to the bit: numbers that only a copy of words leaves alone, indices that name
// nothing, updates for one place in their order; and what the ops of this family refuse. On the
// device that TUFF_DEVICE names.
#include "harness.h"
#include "ops/case.h"
#include "ops/ops.h"
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

static tuff_tensor *tensor(tuff_desc d, const void *data)
{
    return new_tensor(dev, stream, d, data);
}

// Reads y, which is destroyed with the inputs, and compares its bytes.
static void holds(const char *what, tuff_tensor *y, const void *want, tuff_tensor *a,
                  tuff_tensor *b, tuff_tensor *c)
{
    unsigned char got[512];
    const size_t bytes = tuff_desc_bytes(tuff_tensor_desc(y));
    EXPECT_OK(tuff_tensor_read(stream, y, got, bytes));
    if (!EXPECT(memcmp(got, want, bytes) == 0)) FAIL("%s has other bits", what);
    tuff_tensor *all[] = { y, a, b, c };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(&all[i]);
}

#define F32(...) TUFF_SHAPE(TUFF_F32, __VA_ARGS__)
#define I32(...) TUFF_SHAPE(TUFF_I32, __VA_ARGS__)
#define I64(...) TUFF_SHAPE(TUFF_I64, __VA_ARGS__)

// A signalling NaN, a subnormal, -0: arithmetic would change the first two.
static void words_are_left_alone(void)
{
    const uint32_t x[] = { 0x7f800001, 1, 0x80000000, 0xffc12345, 0x00400000 };
    const uint32_t back[] = { 0x00400000, 0xffc12345, 0x80000000, 1, 0x7f800001 };
    const uint32_t on[] = { 0x00400000, 0x7f800001, 1, 0x80000000, 0xffc12345 };
    const uint32_t picked[] = { 1, 0xffc12345, 0 };
    const int32_t at[] = { 1, -2, 5 };
    tuff_tensor *tx = tensor(F32(5), x), *y = tensor(F32(5), NULL);
    EXPECT_OK(tuff_flip(stream, tx, y, NULL));
    holds("flip", y, back, tx, NULL, NULL);
    tx = tensor(F32(5), x), y = tensor(F32(5), NULL);
    EXPECT_OK(tuff_roll(stream, tx, y, &(tuff_roll_params){ .shifts = { 1 } }));
    holds("roll", y, on, tx, NULL, NULL);
    tx = tensor(F32(5), x), y = tensor(F32(3), NULL);
    tuff_tensor *indices = tensor(I32(3), at);
    EXPECT_OK(tuff_gather(stream, tx, indices, y, NULL));
    holds("gather", y, picked, tx, indices, NULL);
}

static void wide_numbers_keep_both_words(void)
{
    const int64_t x[] = { INT64_C(1) << 40, -1, INT64_MIN }, y_pad[] = { -7, x[0], x[1] };
    const int64_t both[] = { x[2], x[1], x[0], x[0], x[1], x[2] };
    tuff_tensor *tx = tensor(I64(3), x), *back = tensor(I64(3), NULL);
    tuff_tensor *y = tensor(I64(6), NULL);
    EXPECT_OK(tuff_flip(stream, tx, back, NULL));
    EXPECT_OK(tuff_concat(stream, (const tuff_tensor *[]){ back, tx }, 2, y, NULL));
    holds("concat", y, both, tx, back, NULL);
    tx = tensor(I64(3), x), y = tensor(I64(3), NULL);
    EXPECT_OK(tuff_pad(stream, tx, y, &(tuff_pad_params){ .pads = { 1, -1 }, .value = -7 }));
    holds("pad", y, y_pad, tx, NULL, NULL);
}

static void indices_that_name_nothing(void)
{
    const float x[] = { 1, 2, 3, 4 }, u[] = { 10, 20, 30, 40, 50 };
    const int64_t far[] = { INT64_C(1) << 32, -4, 4, -5, 3 }; // 2^32 is 0 in its low word
    const float y[] = { 0, 1, 0, 0, 4 }, sums[] = { 21, 2, 3, 54 };
    tuff_tensor *tx = tensor(F32(4), x), *at = tensor(I64(5), far), *ty = tensor(F32(5), NULL);
    EXPECT_OK(tuff_gather(stream, tx, at, ty, NULL));
    holds("gather", ty, y, tx, at, NULL);
    tx = tensor(F32(4), x), at = tensor(I64(5), far), ty = tensor(F32(4), NULL);
    tuff_tensor *tu = tensor(F32(5), u);
    EXPECT_OK(tuff_scatter_elements(stream, tx, at, tu, ty,
                                    &(tuff_scatter_params){ .reduction = TUFF_REDUCTION_ADD }));
    holds("scatter", ty, sums, tx, at, tu);
}

// Of whole numbers, wrapping sums; of updates that are put, the last.
static void updates_come_in_their_order(void)
{
    const int32_t x[] = { INT32_MAX, 5, 6 }, at[] = { 0, 1, 1, -3, 1 }, u[] = { 1, 7, 8, 1, 9 };
    const int32_t put[] = { 1, 9, 6 }, sums[] = { INT32_MIN + 1, 29, 6 };
    for (int how = TUFF_REDUCTION_NONE; how <= TUFF_REDUCTION_ADD; how++) {
        tuff_tensor *tx = tensor(I32(3), x), *indices = tensor(I32(5), at);
        tuff_tensor *tu = tensor(I32(5), u), *y = tensor(I32(3), NULL);
        EXPECT_OK(tuff_scatter_elements(stream, tx, indices, tu, y,
                                        &(tuff_scatter_params){ .reduction = how }));
        holds("scatter", y, how ? sums : put, tx, indices, tu);
    }
}

static void split_has_as_many_as_it_is_told(void)
{
    const float x[] = { 1, 2, 3, 4, 5 };
    tuff_tensor *tx = tensor(F32(5), x), *a = tensor(F32(2), NULL), *b = tensor(F32(3), NULL);
    const tuff_split_params sizes = { .split = { 2, 3 } }, three = { .num_outputs = 3 };
    tuff_tensor *const y[] = { a, b };
    EXPECT_STATUS(tuff_split_parts(stream, tx, y, 2, &three), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "split: 2 outputs given, it has 3");
    EXPECT_STATUS(tuff_split_parts(stream, tx, y, 1, &sizes), TUFF_ERR_ARG);
    EXPECT_OK(tuff_split_parts(stream, tx, y, 2, &sizes));
    holds("y0", a, x, NULL, NULL, NULL);
    holds("y1", b, x + 2, tx, NULL, NULL);
}

// ---- what is refused -----------------------------------------------------------------------

static void refusals(void)
{
    static const struct { const char *op, *text, *part; } rows[] = {
        { "matmul", "3x4 5x6", "the inner sizes 4 and 5 differ" },
        { "matmul", "3 4x6", "the inner sizes 3 and 4 differ" },
        { "matmul", "4 4x6 trans_a=1", "a vector is not transposed" },
        { "matmul", "5x4 4 4", "bias is [4], expected [5]" },
        { "matmul", "[] 4", "each needs at least 1 dim" },
        { "gemm", "2x3x4 4x5", "each needs 2 dims" },
        { "gemm", "3x4 4x5 3", "c is f32 [3], it cannot be repeated to f32 [3, 5]" },
        { "gemm", "3x4 4x5 1x3x5", "it cannot be repeated" },
        { "outer", "3 4x5", "each must have 1" },
        { "slice", "5 starts=2 ends=2", "nothing is left of dim 0: it runs from 2 to 2 of 5" },
        { "slice", "5 starts=1 ends=3 steps=-1", "nothing is left of dim 0" },
        { "slice", "5x3 starts=1 axes=4", "axes[0] is 4, x has 2 dims" },
        { "slice", "5x3 starts=1,1 axes=0,0", "axes names dim 1 twice" },
        { "split", "5 num_outputs=4", "5 elements cannot be split into 4 parts of 2" },
        { "split", "5 split=2,2", "split have 4 elements together, the dim has 5" },
        { "split", "9 num_outputs=9", "num_outputs is 9, it must be 1 to 8" },
        { "tile", "5 repeats=-1", "repeats is -1, it must be at least 1" },
        { "tile", "5 repeats=1,2", "repeats has a number 1, x has 1 dims" },
        { "pad", "5 pads=-3,-2", "nothing is left of dim 0: it has 5 elements" },
        { "pad", "5 pads=1,1,1", "pads has a number 2, 1 dims have 2" },
        { "pad_grad", "5 pads=3,2", "nothing is left" },
        { "roll", "5 shifts=1,2", "shifts has a number 1 for 1 dims" },
        { "flip", "5x3 axes=2", "axes is 0x4, x has only 2 dims" },
        { "trilu", "5", "x has 1 dims, it must have 2 or more" },
        { "squeeze", "5x3 axes=0", "dim 1 of x is 3, only dims of 1 are left out" },
        { "unsqueeze", "1x1x1x1x1x1x1x1", "y would have 9 dims, 8 are the most" },
        { "flatten", "5 axis=1", "inner is 2, x has 1 dims" },
        { "depth_to_space", "1x6x2x2", "x has 6 channels, no multiple of 4" },
        { "space_to_depth", "1x6x3x2", "x has 3 rows and 2 columns, no multiples of 2" },
        { "im2col", "1x1x2x2 kernel=3", "a window spans 3 rows, the padded image has 2" },
        { "im2col", "1x1x2x2 stride=-1", "stride is -1, it must be at least 1" },
        { "col2im", "1x4x9", "size is 0,0, it must name the image's rows and columns" },
        { "col2im", "1x4x8 size=4,4", "x has 8 columns, an image of 4,4 has 3 x 3 windows" },
        { "gather", "5x3 2 axis=2", "axis is 2, x has 2 dims" },
        { "gather", "1x1x1x1x1 1x1x1x1x1", "the result would have 9, 8 are the most" },
        { "gather_nd", "5x3 2x3", "the last dim of indices is 3, x has 2 dims" },
        { "gather_nd", "5x3 4x1 batch_dims=1", "dim 0 is 5 in x and 4 in indices" },
        { "gather_elements", "5x3 6x2", "indices no larger ones but for dim 1" },
        { "gather_grad", "4x3 4 axis=1 size=5,2", "dy must be f32 [4, 2], it is f32 [4, 3]" },
        { "scatter_nd", "5x3 2x1 2x4", "updates must be f32 [2, 3], it is f32 [2, 4]" },
        { "one_hot", "5 3", "values is f32 [3], it must hold two: off and on" },
        { "one_hot", "5 axis=2", "axis is 2, y has 2 dims" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_case c;
        const tuff_op *op = tuff_op_find(rows[i].op);
        const tuff_status status = tuff_case_parse(op, TUFF_F32, rows[i].text, &c);
        if (!EXPECT(status == TUFF_ERR_ARG || status == TUFF_ERR_SHAPE ||
                    status == TUFF_ERR_FORMAT))
            FAIL("%s %s is not refused", rows[i].op, rows[i].text);
        else if (!EXPECT_HAS(tuff_last_error(), rows[i].part))
            FAIL("%s %s", rows[i].op, rows[i].text);
    }
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    CASE(words_are_left_alone);
    CASE(wide_numbers_keep_both_words);
    CASE(indices_that_name_nothing);
    CASE(updates_come_in_their_order);
    CASE(split_has_as_many_as_it_is_told);
    CASE(refusals);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
