// Sparse matrices and codebooks from dense ones: what the host encodes, the device that
// TUFF_DEVICE names turns back, and multiplies by as the dense matrix is.
#include "harness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 24, COLS = 64, BATCH = 7 };

static tuff_device *dev;
static tuff_stream *stream;

static tuff_tensor *tensor_of(tuff_desc desc, const void *data)
{
    return new_tensor(dev, stream, desc, data);
}

// Numbers of both signs, of which `zeros` of 8 blocks are 0.
static void draw(float *x, int rows, int cols, int height, int width, int zeros)
{
    uint32_t seed = 7;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) {
            const uint32_t block = (uint32_t)(r / height * 131 + c / width * 37);
            seed = seed * 1664525 + 1013904223;
            x[r * cols + c] = (int)(block * 2654435761u >> 29) < zeros
                            ? 0 : (float)(int32_t)seed / 2147483648.0f;
        }
}

static void dense_is(tuff_tensor *y, const float *want, size_t count)
{
    float *got = malloc(count * sizeof *got);
    if (EXPECT(got) && EXPECT_OK(tuff_tensor_read(stream, y, got, count * sizeof *got)))
        for (size_t i = 0; i < count; i++)
            if (got[i] != want[i]) {
                FAIL("number %zu is %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
                break;
            }
    free(got);
}

// y [BATCH, rows] of two tensors, within what f32 sums of COLS numbers lose.
static void same_product(tuff_tensor *a, tuff_tensor *b)
{
    float x[BATCH * ROWS], y[BATCH * ROWS];
    EXPECT_OK(tuff_tensor_read(stream, a, x, sizeof x));
    EXPECT_OK(tuff_tensor_read(stream, b, y, sizeof y));
    for (int i = 0; i < BATCH * ROWS; i++)
        if (fabs((double)x[i] - y[i]) > 1e-5) FAIL("%d: %.9g and %.9g", i, x[i], y[i]);
}

static void dense_product(const float *w, const float *b, tuff_tensor *y)
{
    const tuff_matmul_params p = { .trans_b = true };
    tuff_tensor *x = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, COLS), b);
    tuff_tensor *dense = tensor_of(TUFF_SHAPE(TUFF_F32, ROWS, COLS), w);
    EXPECT_OK(tuff_matmul(stream, x, dense, NULL, NULL, y, &p));
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&dense);
}

static void blocks(int height, int width, int zeros)
{
    static float x[ROWS * COLS], b[BATCH * COLS], values[ROWS * COLS];
    int32_t cols[ROWS * COLS], starts[ROWS + 1];
    draw(x, ROWS, COLS, height, width, zeros);
    draw(b, BATCH, COLS, 1, 1, 0);
    const int64_t count = tuff_sparse_count(x, ROWS, COLS, height, width);
    EXPECT(count >= 1 && count <= ROWS * COLS / height / width);
    if (zeros > 0 && zeros < 8) EXPECT(count < ROWS * COLS / height / width);
    EXPECT_OK(tuff_sparse_encode(x, ROWS, COLS, height, width, values, cols, starts));
    const bool csr = height * width == 1;
    tuff_tensor *v = tensor_of(csr ? TUFF_SHAPE(TUFF_F32, count)
                                   : TUFF_SHAPE(TUFF_F32, count, height, width), values);
    tuff_tensor *c = tensor_of(TUFF_SHAPE(TUFF_I32, count), cols);
    tuff_tensor *s = tensor_of(TUFF_SHAPE(TUFF_I32, ROWS / height + 1), starts);
    tuff_tensor *y = tensor_of(TUFF_SHAPE(TUFF_F32, ROWS, COLS), NULL);
    tuff_tensor *p = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, ROWS), NULL);
    tuff_tensor *q = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, ROWS), NULL);
    tuff_tensor *t = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, COLS), b);
    const tuff_sparse_dense_params whole = { .cols = COLS };
    const tuff_sparse_matmul_params linear = { .linear = true };
    EXPECT_OK(tuff_sparse_to_dense(stream, v, c, s, y, &whole));
    dense_is(y, x, ROWS * COLS);
    EXPECT_OK(csr ? tuff_csr_matmul(stream, v, c, s, t, p, &linear)
                  : tuff_bsr_matmul(stream, v, c, s, t, p, &linear));
    dense_product(x, b, q);
    same_product(p, q);
    tuff_tensor *all[] = { v, c, s, y, p, q, t };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(&all[i]);
}

static void rows_of_numbers(void) { blocks(1, 1, 6); }
static void blocks_of_numbers(void) { blocks(4, 4, 5); }
static void blocks_that_are_no_squares(void) { blocks(2, 8, 3); }
static void a_matrix_of_zeros(void) { blocks(4, 4, 8); }
static void a_full_matrix(void) { blocks(1, 1, 0); }

// The sum of the sizes that a group of `of` keeps must be the largest there is.
static void kept_are_the_largest(const float *x, const float *y, int keep, int of)
{
    for (int g = 0; g < ROWS * COLS / of; g++) {
        int kept = 0;
        float smallest = INFINITY, left = 0;
        for (int i = g * of; i < (g + 1) * of; i++) {
            const bool here = y[i] != 0;
            kept += here;
            if (here && fabsf(x[i]) < smallest) smallest = fabsf(x[i]);
            if (!here && fabsf(x[i]) > left) left = fabsf(x[i]);
            if (here) EXPECT(y[i] == x[i]);
        }
        EXPECT_EQ(kept, keep);
        EXPECT(left <= smallest);
    }
}

static void some_of_many(int keep, int of)
{
    static float x[ROWS * COLS], y[ROWS * COLS], b[BATCH * COLS], values[ROWS * COLS];
    uint32_t places[ROWS * 8];
    const tuff_nm_params p = { .keep = keep, .of = of, .linear = true };
    const int64_t words = tuff_nm_words(COLS, &p), length = COLS / of * keep;
    draw(x, ROWS, COLS, 1, 1, 0);
    draw(b, BATCH, COLS, 1, 1, 0);
    EXPECT(words > 0 && words <= 8);
    EXPECT_OK(tuff_nm_encode(x, ROWS, COLS, &p, values, places));
    tuff_tensor *v = tensor_of(TUFF_SHAPE(TUFF_F32, ROWS, length), values);
    tuff_tensor *i = tensor_of(TUFF_SHAPE(TUFF_U32, ROWS, words), places);
    tuff_tensor *dense = tensor_of(TUFF_SHAPE(TUFF_F32, ROWS, COLS), NULL);
    tuff_tensor *r = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, ROWS), NULL);
    tuff_tensor *q = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, ROWS), NULL);
    tuff_tensor *t = tensor_of(TUFF_SHAPE(TUFF_F32, BATCH, COLS), b);
    EXPECT_OK(tuff_nm_to_dense(stream, v, i, dense, &p));
    EXPECT_OK(tuff_tensor_read(stream, dense, y, sizeof y));
    kept_are_the_largest(x, y, keep, of);
    EXPECT_OK(tuff_nm_matmul(stream, v, i, t, r, &p));
    dense_product(y, b, q);
    same_product(r, q);
    tuff_tensor *all[] = { v, i, dense, r, q, t };
    for (size_t k = 0; k < COUNT(all); k++) tuff_tensor_destroy(&all[k]);
}

static void two_of_four(void) { some_of_many(2, 4); }
static void three_of_eight(void) { some_of_many(3, 8); }
static void one_of_sixteen(void) { some_of_many(1, 16); }

static void indices_are_packed(void)
{
    uint8_t indices[3 * 37], back[3 * 37];
    uint32_t words[3 * 10];
    for (int bits = 1; bits <= 8; bits++) {
        for (int i = 0; i < 3 * 37; i++) indices[i] = (uint8_t)(i * 59 % (1 << bits));
        EXPECT_EQ(tuff_codebook_words(bits, 37), (37 * bits + 31) / 32);
        EXPECT_OK(tuff_codebook_pack(bits, indices, 3, 37, words));
        EXPECT_OK(tuff_codebook_unpack(bits, words, 3, 37, back));
        EXPECT(memcmp(indices, back, sizeof back) == 0);
    }
    EXPECT_EQ(words[0], 0xb1763b00u); // 0, 59, 118, 177: the lowest byte is the first
    indices[5] = 4;
    EXPECT_STATUS(tuff_codebook_pack(2, indices, 3, 37, words), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_codebook_pack(9, indices, 3, 37, words), TUFF_ERR_ARG);
    EXPECT_EQ((int)tuff_codebook_words(0, 37), 0);
}

static void what_is_wrong_is_said(void)
{
    float x[8] = { 0 }, values[8];
    int32_t cols[8], starts[9];
    uint32_t places[2];
    EXPECT_STATUS(tuff_sparse_encode(x, 2, 4, 3, 1, values, cols, starts), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "sparse: blocks of 3 x 1 do not divide 2 x 4 numbers");
    EXPECT_EQ((int)tuff_sparse_count(x, 2, 4, 1, 3), 0);
    EXPECT_STATUS(tuff_nm_encode(x, 2, 3, NULL, values, places), TUFF_ERR_ARG);
    const tuff_nm_params p = { .keep = 4, .of = 4 };
    EXPECT_EQ((int)tuff_nm_words(8, &p), 0);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    CASE(rows_of_numbers);
    CASE(blocks_of_numbers);
    CASE(blocks_that_are_no_squares);
    CASE(a_matrix_of_zeros);
    CASE(a_full_matrix);
    CASE(two_of_four);
    CASE(three_of_eight);
    CASE(one_of_sixteen);
    CASE(indices_are_packed);
    CASE(what_is_wrong_is_said);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
