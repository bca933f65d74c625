// Blocks beside the package `gguf`, on the host and on the device that TUFF_DEVICE names: what
// blocks hold, and the blocks that numbers become, both to the last bit. The files are made by
// tests/golden/make_blocks.py.
#include "harness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>

static tuff_device *dev;
static tuff_stream *stream;

static bool exists(const char *file)
{
    const char *path = source_path(file);
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (f) fclose(f);
    return f != NULL;
}

static bool load(tuff_block_format format, const char *what, tuff_array *a)
{
    char file[128];
    snprintf(file, sizeof file, "tests/golden/block_%s.%s.npy", tuff_block_name(format), what);
    if (!exists(file)) return FAIL("%s is not there", file);
    return EXPECT_OK(tuff_npy_read(source_path(file), a));
}

static bool load_x(tuff_array *a)
{
    const char *path = source_path("tests/golden/block_x.npy");
    return path ? EXPECT_OK(tuff_npy_read(path, a)) : FAIL("block_x.npy is not there");
}

// Runs an op with one input; `out` receives its result.
static bool run(const char *op, const tuff_array *in, tuff_array *out, tuff_block_format format)
{
    const tuff_blocks_params p = { .format = (int)format };
    tuff_tensor *x = NULL, *y = NULL;
    const bool ok =
        EXPECT_OK(tuff_tensor_create(dev, in->desc, &x)) &&
        EXPECT_OK(tuff_tensor_create(dev, out->desc, &y)) &&
        EXPECT_OK(tuff_tensor_write(stream, x, in->data, tuff_desc_bytes(&in->desc))) &&
        EXPECT_OK(tuff_op_run(stream, op, (const tuff_tensor *const[]){ x }, 1, &y, 1, &p)) &&
        EXPECT_OK(tuff_tensor_read(stream, y, out->data, tuff_desc_bytes(&out->desc)));
    tuff_tensor_destroy(&x);
    tuff_tensor_destroy(&y);
    return ok;
}

static void same_bytes(const char *where, const tuff_array *got, const tuff_array *want)
{
    const uint8_t *a = got->data, *b = want->data;
    const size_t n = tuff_desc_bytes(&want->desc);
    size_t wrong = 0, first = 0;
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && wrong++ == 0) first = i;
    if (wrong)
        FAIL("%s: %zu of %zu bytes differ; byte %zu is %d, gguf has %d", where, wrong, n, first,
             a[first], b[first]);
}

// -0 and 0 are one number, and gguf leaves either.
static void same_numbers(const char *where, const tuff_array *got, const tuff_array *want)
{
    const float *a = got->data, *b = want->data;
    const int64_t n = tuff_desc_count(&want->desc);
    for (int64_t i = 0; i < n; i++)
        if (!(a[i] == b[i])) {
            FAIL("%s: number %lld is %.9g, gguf has %.9g", where, (long long)i, (double)a[i],
                 (double)b[i]);
            return;
        }
}

static void holds(tuff_block_format format)
{
    tuff_array bytes = { 0 }, want = { 0 }, got = { 0 };
    if (load(format, "bytes", &bytes) && load(format, "numbers", &want) &&
        EXPECT_OK(tuff_array_init(&got, want.desc))) {
        EXPECT_EQ(tuff_desc_bytes(&bytes.desc) / tuff_block_bytes(format),
                  (size_t)(tuff_desc_count(&want.desc) / tuff_block_count(format)));
        EXPECT_OK(tuff_block_decode(format, bytes.data, want.desc.dim[0], want.desc.dim[1],
                                    got.data));
        same_numbers("on the host", &got, &want);
        if (run("dequantize_blocks", &bytes, &got, format))
            same_numbers("on the device", &got, &want);
    }
    tuff_array_clear(&bytes);
    tuff_array_clear(&want);
    tuff_array_clear(&got);
}

// Where gguf has no quantizer, how far the numbers may be off that come back, as a part of
// their rms: what the quantizers of ggml 0.13.1 leave of normally distributed ones (and for
// nf4, which it has not, what the format leaves).
static const double most_off[TUFF_BLOCK_FORMATS] = {
    [TUFF_BLOCK_Q2_K] = 0.298, [TUFF_BLOCK_Q3_K] = 0.151, [TUFF_BLOCK_Q4_K] = 0.0719,
    [TUFF_BLOCK_Q5_K] = 0.0363, [TUFF_BLOCK_Q6_K] = 0.0178, [TUFF_BLOCK_IQ4_NL] = 0.0763,
    [TUFF_BLOCK_NF4] = 0.1, [TUFF_BLOCK_NF4_F16] = 0.1,
};

enum { NORMAL_ROWS = 3 }; // of block_x, of three sizes

static double off_by(tuff_block_format format, const void *blocks, const float *x, int64_t cols)
{
    float *y = malloc((size_t)cols * NORMAL_ROWS * sizeof *y);
    double sum = 0;
    if (!y || !EXPECT_OK(tuff_block_decode(format, blocks, NORMAL_ROWS, cols, y)))
        return INFINITY;
    for (int64_t row = 0; row < NORMAL_ROWS; row++) {
        double wrong = 0, all = 0;
        for (int64_t i = row * cols; i < (row + 1) * cols; i++) {
            wrong += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
            all += (double)x[i] * x[i];
        }
        sum += wrong / all / NORMAL_ROWS;
    }
    free(y);
    return sqrt(sum);
}

static void become(tuff_block_format format)
{
    char file[128];
    tuff_array x = { 0 }, want = { 0 }, host = { 0 }, device = { 0 };
    snprintf(file, sizeof file, "tests/golden/block_%s.encoded.npy", tuff_block_name(format));
    if (!load_x(&x)) return;
    const int64_t rows = x.desc.dim[0], cols = x.desc.dim[1];
    const int64_t bytes = cols / tuff_block_count(format) * (int64_t)tuff_block_bytes(format);
    if (!EXPECT_OK(tuff_array_init(&host, TUFF_SHAPE(TUFF_U8, rows, bytes))) ||
        !EXPECT_OK(tuff_array_init(&device, host.desc)))
        goto exit;
    EXPECT_OK(tuff_block_encode(format, x.data, rows, cols, host.data));
    if (exists(file)) {
        if (!load(format, "encoded", &want)) goto exit;
        same_bytes("on the host", &host, &want);
    } else {
        const double off = off_by(format, host.data, x.data, cols);
    if (!(off < most_off[format])) FAIL("off by %.4g, expected %.4g", off, most_off[format]);
    }
    if (run("quantize_blocks", &x, &device, format))
        same_bytes("on the device", &device, &host);
exit:
    tuff_array_clear(&x);
    tuff_array_clear(&want);
    tuff_array_clear(&host);
    tuff_array_clear(&device);
}

static void what_is_wrong_is_said(void)
{
    float x[64] = { 0 };
    uint8_t b[64];
    EXPECT_STATUS(tuff_block_encode(TUFF_BLOCK_FORMATS, x, 1, 64, b), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "format is 13, expected 0 to 12");
    EXPECT_STATUS(tuff_block_encode(TUFF_BLOCK_Q4_0, x, 1, 63, b), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(),
               "blocks: 1 x 63 numbers, expected columns in multiples of 32");
    EXPECT_STATUS(tuff_block_decode(TUFF_BLOCK_Q4_0, NULL, 1, 64, x), TUFF_ERR_ARG);
    EXPECT_STR(tuff_block_name(TUFF_BLOCK_FORMATS), "?");
    EXPECT_EQ(tuff_block_count(TUFF_BLOCK_FORMATS), 0);
    EXPECT_EQ((int)tuff_block_bytes(TUFF_BLOCK_FORMATS), 0);
    tuff_tensor *w = NULL, *y = NULL, *v = NULL;
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_U8, 5, 34), &w));
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, 5, 32), &y));
    EXPECT_OK(tuff_tensor_create(dev, TUFF_SHAPE(TUFF_F32, 3, 64), &v));
    EXPECT_STATUS(tuff_dequantize_blocks(stream, w, y, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "dequantize_blocks: blocks is u8 [5, 34]: its last dim is "
                                  "34, expected a multiple of 18, the bytes of a block of "
                                  "q4_0");
    const tuff_block_matmul_params p = { .format = TUFF_BLOCK_Q8_0 };
    EXPECT_STATUS(tuff_block_matmul(stream, v, w, NULL, NULL, y, &p), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "block_matmul: x is f32 [3, 64], w is u8 [5, 34]: a row of w "
                                  "holds 32 numbers, expected 64");
    tuff_tensor_destroy(&w);
    tuff_tensor_destroy(&y);
    tuff_tensor_destroy(&v);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    for (int f = 0; f < TUFF_BLOCK_FORMATS; f++) {
        const tuff_block_format format = (tuff_block_format)f;
        if (case_begin("what blocks of %s hold", tuff_block_name(format))) {
            holds(format);
            case_end();
        }
        if (case_begin("what becomes %s", tuff_block_name(format))) {
            become(format);
            case_end();
        }
    }
    CASE(what_is_wrong_is_said);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
