// Quantized numbers through the public functions, on values that can be checked by hand: what
// rounding to even, saturation, stochastic rounding, signs and ternary codes are to give, on
// the device that TUFF_DEVICE names. Kernels against references are test_ops.c's.
#include "harness.h"
#include "base/alloc.h"
#include "ops/check.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

#define OF(type, ...) TUFF_SHAPE(TUFF_##type, __VA_ARGS__)
#define ONE(type)     TUFF_SCALAR(TUFF_##type)

static tuff_tensor *tensor(tuff_desc d, const void *data)
{
    return new_tensor(dev, stream, d, data);
}

static void read(const tuff_tensor *t, void *data)
{
    EXPECT_OK(tuff_tensor_read(stream, t, data, tuff_desc_bytes(tuff_tensor_desc(t))));
}

// Destroys every tensor given.
#define DESTROY(...)                                                            \
    do {                                                                        \
        tuff_tensor **const all_[] = { __VA_ARGS__ };                           \
        for (size_t i_ = 0; i_ < COUNT(all_); i_++) tuff_tensor_destroy(all_[i_]); \
    } while (0)

static void halves_go_to_even(void)
{
    const float x[] = { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 3.4999998f, 126.5f, 127.5f, -128.5f,
                        1e9f, -INFINITY, NAN };
    const int8_t want[] = { 0, 2, 2, 0, -2, 3, 126, 127, -128, 127, -128, 0 };
    const float one = 1;
    const int8_t zero = 0;
    int8_t got[COUNT(x)];
    tuff_tensor *a = tensor(OF(F32, COUNT(x)), x);
    tuff_tensor *s = tensor(ONE(F32), &one), *z = tensor(ONE(I8), &zero);
    tuff_tensor *y = tensor(OF(I8, COUNT(x)), NULL);
    EXPECT_OK(tuff_quantize_linear(stream, a, s, z, y, NULL));
    read(y, got);
    for (size_t i = 0; i < COUNT(x); i++)
        if (got[i] != want[i])
            FAIL("%g becomes %d, expected %d", (double)x[i], got[i], want[i]);
    tuff_tensor *b = tensor(OF(F32, COUNT(x)), NULL);
    float back[COUNT(x)];
    EXPECT_OK(tuff_dequantize_linear(stream, y, s, z, b, NULL));
    read(b, back);
    for (size_t i = 0; i < COUNT(x); i++) EXPECT(back[i] == want[i]);
    DESTROY(&a, &s, &z, &y, &b);
}

// acc m of one row of products, as i8 round a zero point of 0.
static int scaled(const int8_t *a, const int8_t *b, int64_t k, float a_scale, float y_scale)
{
    const float one = 1;
    const int8_t zero = 0;
    int8_t y = 0;
    tuff_tensor *s1 = tensor(ONE(F32), &a_scale);
    tuff_tensor *s2 = tensor(ONE(F32), &one);
    tuff_tensor *s3 = tensor(ONE(F32), &y_scale);
    tuff_tensor *z = tensor(ONE(I8), &zero);
    tuff_tensor *ta = tensor(OF(I8, 1, k), a);
    tuff_tensor *tb = tensor(OF(I8, k, 1), b);
    tuff_tensor *ty = tensor(OF(I8, 1, 1), NULL);
    const tuff_quantized qa = { ta, s1, z }, qb = { tb, s2, z }, qy = { ty, s3, z };
    EXPECT_OK(tuff_qlinear_matmul(stream, &qa, &qb, &qy, NULL));
    read(ty, &y);
    DESTROY(&s1, &s2, &s3, &z, &ta, &tb, &ty);
    return y;
}

static void scaling_is_exact(void)
{
    static const struct { int8_t a, b; float scale, by; int want; } rows[] = {
        { 5, 1, 0.5f, 1, 2 },     // 2.5
        { 7, 1, 0.5f, 1, 4 },     // 3.5
        { -5, 1, 0.5f, 1, -2 },   { -7, 1, 1, 2, -4 },  { 1, 1, 1, 3, 0 },
        { 2, 1, 1, 3, 1 },        { 100, 100, 1, 1, 127 }, { -100, 100, 1, 1, -128 },
        { 3, 1, 0.1f, 0.1f, 3 },  { 1, 1, 1e-30f, 2e-30f, 0 }, { 3, 1, 1e-30f, 2e-30f, 2 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const int got = scaled(&rows[i].a, &rows[i].b, 1, rows[i].scale, rows[i].by);
        if (got != rows[i].want) FAIL("row %zu gives %d, expected %d", i, got, rows[i].want);
    }
    // 63.5 2^20 - 1, which no f32 holds: rounded to one first, it would go to 64.
    enum { K = 8192 + 1 };
    int8_t *a = calloc(2 * K, 1), *b = a ? a + K : NULL;
    if (!EXPECT(a)) return;
    int64_t left = 66584576 / 64; // as a sum of a, under b of 64
    for (int i = 0; i < K - 1; i++) {
        a[i] = (int8_t)(left > 127 ? 127 : left);
        b[i] = 64;
        left -= a[i];
    }
    EXPECT_EQ(left, 0);
    a[K - 1] = 1;
    b[K - 1] = -1;
    EXPECT_EQ(scaled(a, b, K, 0x1p-20f, 1), 63);
    b[K - 1] = 0;
    EXPECT_EQ(scaled(a, b, K, 0x1p-20f, 1), 64);
    free(a);
}

// Sums so large that their products with a factor are no doubles, and would round to a tie.
static void far_sums_are_exact(void)
{
    // 47.5 2^49 - 1 and 44.5 2^49 + 1.
    const int32_t bias[] = { 1619356391 - 1, 1523029185 - 1 };
    const float factor[] = { 16512809 * 0x1p-49f, 16448321 * 0x1p-49f }, one = 1;
    const int8_t ones[] = { 1, 1 }, none = 0;
    int8_t got[2];
    tuff_tensor *x = tensor(OF(I8, 1, 1, 1, 1), ones), *w = tensor(OF(I8, 2, 1, 1, 1), ones);
    tuff_tensor *y = tensor(OF(I8, 1, 2, 1, 1), NULL), *b = tensor(OF(I32, 2), bias);
    tuff_tensor *s = tensor(ONE(F32), &one), *f = tensor(OF(F32, 2), factor);
    tuff_tensor *z = tensor(ONE(I8), &none);
    const tuff_quantized qx = { x, s, z }, qw = { w, f, z }, qy = { y, s, z };
    EXPECT_OK(tuff_qlinear_conv(stream, &qx, &qw, b, &qy, &(tuff_conv_params){ 0 }));
    read(y, got);
    EXPECT_EQ(got[0], 47);
    EXPECT_EQ(got[1], 45);
    DESTROY(&x, &w, &y, &b, &s, &f, &z);
}

// Weights of few bits give what the same ones in bytes do.
static void packed_weights_are_bytes(void)
{
    enum { N = 3, C = 4, O = 5, K = 3, SIDE = 6, WEIGHTS = O * C * K * K };
    int8_t x[N * C * SIDE * SIDE], bytes[WEIGHTS], zero[O], none = -3;
    int8_t want[N * O * SIDE * SIDE], got[N * O * SIDE * SIDE];
    int32_t q[WEIGHTS];
    uint32_t words[WEIGHTS];
    const float one = 1, scale[O] = { 0.5f, 1, 2, 0.25f, 1 };
    for (size_t i = 0; i < sizeof x; i++) x[i] = (int8_t)(i * 37 % 251);
    for (int bits = 2; bits <= 7; bits++) {
        const tuff_packed_conv_params p = {
            .bits = bits, .channels = O,
            .conv = { .pad = { 1, 1, 1, 1 }, .kernel = { K, K } } };
        const float step = (float)(1 << bits);
        for (int i = 0; i < WEIGHTS; i++)
            bytes[i] = (int8_t)(q[i] = i * 29 % (1 << bits) - (1 << (bits - 1)));
        for (int i = 0; i < O; i++) zero[i] = (int8_t)(i % 3 - 1);
        EXPECT_OK(tuff_packed_write(bits, false, q, WEIGHTS, words));
        tuff_tensor *tx = tensor(OF(I8, N, C, SIDE, SIDE), x), *z = tensor(ONE(I8), &none);
        tuff_tensor *w = tensor(OF(I8, O, C, K, K), bytes), *wz = tensor(OF(I8, O), zero);
        tuff_tensor *few = tensor(OF(U32, tuff_packed_words(bits, WEIGHTS)), words);
        tuff_tensor *ws = tensor(OF(F32, O), scale), *s = tensor(ONE(F32), &one);
        tuff_tensor *ys = tensor(ONE(F32), &step);
        tuff_tensor *y = tensor(OF(I8, N, O, SIDE, SIDE), NULL);
        const tuff_quantized qx = { tx, s, z }, qw = { w, ws, wz }, qf = { few, ws, wz };
        const tuff_quantized qy = { y, ys, z };
        EXPECT_OK(tuff_qlinear_conv(stream, &qx, &qw, NULL, &qy, &p.conv));
        read(y, want);
        EXPECT_OK(tuff_qlinear_conv_packed(stream, &qx, &qf, NULL, &qy, &p));
        read(y, got);
        if (memcmp(got, want, sizeof got) != 0) FAIL("%d bits give something else", bits);
        DESTROY(&tx, &z, &w, &wz, &few, &ws, &s, &ys, &y);
    }
}

static void zero_points_pad(void)
{
    const uint8_t x[] = { 2, 3, 4, 5 }, w[] = { 1, 1, 1, 1 }, zero = 1, y_zero = 100;
    const int32_t bias[] = { -4 };
    const float one = 1, half = 0.5f;
    const int32_t want[] = { 1, 3, 2, 4, 10, 6, 3, 7, 4 };
    const tuff_conv_params pads = { .pad = { 1, 1, 1, 1 } };
    const tuff_conv_params relu = { .pad = { 1, 1, 1, 1 }, .act = TUFF_ACT_RELU };
    tuff_tensor *tx = tensor(OF(U8, 1, 1, 2, 2), x);
    tuff_tensor *tw = tensor(OF(U8, 1, 1, 2, 2), w);
    tuff_tensor *z = tensor(ONE(U8), &zero), *acc, *y;
    acc = tensor(OF(I32, 1, 1, 3, 3), NULL);
    y = tensor(OF(U8, 1, 1, 3, 3), NULL);
    int32_t got[9];
    uint8_t bytes[9];
    EXPECT_OK(tuff_conv_integer(stream, tx, tw, z, NULL, acc, &pads));
    read(acc, got);
    for (int i = 0; i < 9; i++) EXPECT_EQ(got[i], want[i]);
    const uint8_t none = 0;
    tuff_tensor *s = tensor(ONE(F32), &one), *h = tensor(ONE(F32), &half);
    tuff_tensor *n = tensor(ONE(U8), &none);
    tuff_tensor *yz = tensor(ONE(U8), &y_zero);
    tuff_tensor *b = tensor(OF(I32, 1), bias);
    const tuff_quantized qx = { tx, s, z }, qw = { tw, s, n }, qy = { y, h, yz };
    EXPECT_OK(tuff_qlinear_conv(stream, &qx, &qw, b, &qy, &relu));
    read(y, bytes);
    for (int i = 0; i < 9; i++) {
        const int32_t v = want[i] - 4;
        EXPECT_EQ(bytes[i], 100 + (v > 0 ? 2 * v : 0));
    }
    DESTROY(&tx, &tw, &z, &acc, &y, &s, &h, &n, &yz, &b);
}

// What a layer of a net of 8-bit numbers adds and averages, by hand.
static void sums_and_means_of_8_bits(void)
{
    // 0.5 (a - 1) + 0.25 (b + 2) in steps of 0.5: a - 1 + (b + 2) / 2, less 3; ties to even.
    const int8_t a[] = { 1, 2, 3, 10, 100, -100, 0 }, b[] = { -2, -1, 1, 3, 120, -120, 126 };
    const int8_t sum[] = { -3, -1, 1, 9, 127, -128, 60 };
    const float scale[] = { 0.5f, 0.25f, 0.5f, 2 };
    const int8_t zero[] = { 1, -2, -3 };
    int8_t got[7];
    tuff_tensor *s[4], *z[3];
    for (int i = 0; i < 4; i++) s[i] = tensor(ONE(F32), &scale[i]);
    for (int i = 0; i < 3; i++) z[i] = tensor(ONE(I8), &zero[i]);
    tuff_tensor *ta = tensor(OF(I8, 7), a), *tb = tensor(OF(I8, 7), b);
    tuff_tensor *ty = tensor(OF(I8, 7), NULL);
    const tuff_quantized qa = { ta, s[0], z[0] }, qb = { tb, s[1], z[1] };
    const tuff_quantized qy = { ty, s[2], z[2] };
    EXPECT_OK(tuff_qlinear_add(stream, &qa, &qb, &qy));
    read(ty, got);
    for (int i = 0; i < 7; i++)
        if (got[i] != sum[i]) FAIL("sum %d is %d, expected %d", i, got[i], sum[i]);
    // Means of 2 x 2 of (x - 1) / 2 in steps of 2, less 3; the padding does not count.
    const int8_t x[] = { 1, 9, 17, 25, 33, 41, 49, 57, 65 }, mean[] = { -3, 0, 6, 9 };
    const tuff_pool2d_params p = { .kernel = { 2, 2 }, .stride = { 2, 2 },
                                   .pad = { 1, 1, 0, 0 } };
    tuff_tensor *tx = tensor(OF(I8, 1, 1, 3, 3), x), *tm = tensor(OF(I8, 1, 1, 2, 2), NULL);
    const tuff_quantized qx = { tx, s[0], z[0] }, qm = { tm, s[3], z[2] };
    EXPECT_OK(tuff_qlinear_average_pool2d(stream, &qx, &qm, &p));
    read(tm, got);
    for (int i = 0; i < 4; i++)
        if (got[i] != mean[i]) FAIL("mean %d is %d, expected %d", i, got[i], mean[i]);
    DESTROY(&ta, &tb, &ty, &tx, &tm);
    for (int i = 0; i < 4; i++) tuff_tensor_destroy(&s[i]);
    for (int i = 0; i < 3; i++) tuff_tensor_destroy(&z[i]);
}

static void the_point_is_chosen(void)
{
    static const struct { float most; int bits, want; } rows[] = {
        { 1, 8, 6 }, { 0.99f, 8, 7 }, { 127, 8, 0 }, { 128, 8, -1 }, { 0.001f, 8, 16 },
        { 1, 16, 14 }, { 3, 32, 29 }, { 0, 8, 126 }, { 1e30f, 8, -93 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const float w[] = { rows[i].most / 3, -rows[i].most, NAN, INFINITY };
        int point = 999;
        size_t saturated = 999;
        EXPECT_OK(tuff_fixed_choose(w, 4, rows[i].bits, &point));
        if (point != rows[i].want) FAIL("row %zu: %d, expected %d", i, point, rows[i].want);
        EXPECT_OK(tuff_fixed_saturated(w, 2, rows[i].bits, point, &saturated));
        EXPECT_EQ(saturated, 0);
        if (point == 126) continue;
        // With one more the largest may only fit as the most negative number does.
        EXPECT_OK(tuff_fixed_saturated(w, 2, rows[i].bits, point + 2, &saturated));
        EXPECT(saturated >= 1);
    }
    int point;
    EXPECT_STATUS(tuff_fixed_choose((float[]){ 1 }, 1, 33, &point), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_fixed_choose((float[]){ 1 }, 1, 0, &point), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "expected 1 to 32");
}

static void the_point_is_chosen_for_a_tensor(void)
{
    const float x[] = { 0.3f, -3, 1 };
    const uint16_t half[] = { 0x3c00, 0xc200, 0x3800 }; // 1, -3, 0.5
    tuff_tensor *wide = tensor(TUFF_SHAPE(TUFF_F32, 3), x);
    tuff_tensor *narrow = tensor(TUFF_SHAPE(TUFF_F16, 3), half);
    tuff_tensor *whole = tensor(TUFF_SHAPE(TUFF_I32, 3), x);
    int point = 999;
    EXPECT_OK(tuff_fixed_choose_for(stream, wide, 16, &point));
    EXPECT_EQ(point, 13); // 3 2^13 = 24,576
    EXPECT_OK(tuff_fixed_choose_for(stream, narrow, 0, &point));
    EXPECT_EQ(point, 5); // 3 2^5 = 96
    EXPECT_STATUS(tuff_fixed_choose_for(stream, wide, 12, &point), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "expected 8, 16 or 32");
    EXPECT_STATUS(tuff_fixed_choose_for(stream, NULL, 8, &point), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_fixed_choose_for(stream, whole, 8, &point), TUFF_ERR_DTYPE);
    EXPECT_HAS(tuff_last_error(), "x is i32");
    DESTROY(&wide, &narrow, &whole);
}

static void fixed_point_saturates(void)
{
    const float x[] = { 0.75f, -0.2f, 2.5f, -3, 0.0078125f };
    const int32_t want8[] = { 48, -13, 127, -128, 0 },
                  want16[] = { 12288, -3277, 32767, -32768, 128 };
    int8_t small[5];
    int32_t wide[5];
    const tuff_fixed_params p8 = { .point = 6 }, p16 = { .bits = 16, .point = 14 };
    tuff_tensor *t = tensor(OF(F32, 5), x), *y = tensor(OF(I8, 5), NULL);
    tuff_tensor *v = tensor(OF(I32, 5), NULL), *b = tensor(OF(F32, 5), NULL);
    EXPECT_OK(tuff_quantize_fixed(stream, t, y, &p8));
    EXPECT_OK(tuff_quantize_fixed(stream, t, v, &p16));
    read(y, small);
    read(v, wide);
    for (int i = 0; i < 5; i++) EXPECT(small[i] == want8[i] && wide[i] == want16[i]);
    float back[5];
    EXPECT_OK(tuff_dequantize_fixed(stream, v, b, &p16));
    read(b, back);
    EXPECT(back[0] == 0.75f && back[4] == 0.0078125f && back[3] == -2);
    DESTROY(&t, &y, &v, &b);
}

// The mean of many roundings of one number is that number; one rounding is off by less than 1.
static void stochastic_rounding_is_unbiased(void)
{
    enum { N = 40000, LARGEST = 127 };
    static const float numbers[] = { 0.25f, -3.9f, 17.5f, 100.01f, -0.003f };
    float *x = calloc(N, sizeof *x);
    int8_t *y = calloc(N, 1);
    if (!EXPECT(x && y)) return;
    const tuff_stochastic_params p = { .seed = 11, .offset = 8 };
    tuff_tensor *t = tensor(OF(F32, N), NULL), *q = tensor(OF(I8, N), NULL);
    tuff_tensor *s = tensor(ONE(F32), NULL);
    for (size_t k = 0; k < COUNT(numbers); k++) {
        float scale;
        for (int i = 0; i < N; i++) x[i] = numbers[k] * 0.5f;
        x[0] = LARGEST * 0.5f; // so that the scale is 0.5
        EXPECT_OK(tuff_tensor_write(stream, t, x, N * sizeof *x));
        EXPECT_OK(tuff_quantize_stochastic(stream, t, q, s, &p));
        read(q, y);
        read(s, &scale);
        EXPECT(scale == 0.5f && y[0] == LARGEST);
        double sum = 0;
        for (int i = 1; i < N; i++) {
            sum += y[i];
            if (fabs(y[i] - (double)numbers[k]) >= 1)
                FAIL("%g gives %d", (double)numbers[k], y[i]);
        }
        const double part = numbers[k] - floor((double)numbers[k]);
        const double deviation = sqrt(part * (1 - part) / (N - 1));
        EXPECT_NEAR(sum / (N - 1), numbers[k], 4 * deviation + 1e-6);
    }
    DESTROY(&t, &q, &s);
    free(x);
    free(y);
}

// dx of an op with one input, against a formula.
static void surrogate(const char *name, const char *text, float (*want)(float x, float dy,
                                                                       double mean, int64_t n))
{
    const tuff_op *op = tuff_op_find(name);
    tuff_trial *t = NULL;
    if (!EXPECT_OK(tuff_trial_create(op, TUFF_F32, text, 3, TUFF_DRAW_SPACED, &t))) return;
    const tuff_desc *x = &t->c.call.in[0];
    const int64_t count = tuff_desc_count(x), n = count / x->dim[0];
    float *dy = calloc((size_t)count, sizeof *dy), *dx[TUFF_OP_IN] = { 0 };
    for (int64_t i = 0; i < count; i++) dy[i] = (float)(i % 7 - 3) * 0.5f;
    double tolerance;
    EXPECT_OK(tuff_eager_grad(t, op, stream, INFINITY, (float *[TUFF_OP_OUT]){ dy }, dx,
                              &tolerance));
    for (int64_t row = 0; row < x->dim[0] && EXPECT(dx[0]); row++) {
        const float *v = (const float *)t->in[0] + row * n;
        double mean = 0;
        for (int64_t i = 0; i < n; i++) mean += fabs((double)v[i]) / (double)n;
        for (int64_t i = 0; i < n; i++)
            EXPECT_NEAR(dx[0][row * n + i], want(v[i], dy[row * n + i], mean, n), 1e-5);
    }
    tuff_free(dx[0]);
    free(dy);
    tuff_trial_destroy(&t);
}

static float through_sign(float x, float dy, double mean, int64_t n)
{
    (void)mean, (void)n;
    return fabsf(x) <= 1 ? dy : 0;
}

static float through_binarize(float x, float dy, double mean, int64_t n)
{
    return (float)(dy * (1 / (double)n + (fabsf(x) <= 1 ? mean : 0)));
}

static void gradients_go_straight_through(void)
{
    surrogate("sign_ste", "3x5", through_sign);
    surrogate("binarize", "3x7", through_binarize);
    surrogate("binarize", "4x3x2x2 keep=1", through_binarize);
}

// A convolution of packed signs is the convolution of signs, zeros of the padding included.
static void packed_signs_convolve(void)
{
    enum { X = 2 * 35 * 5 * 6, W = 9 * 35 * 3 * 3, Y = 2 * 9 * 5 * 6 };
    static float xv[X], wv[W], want[Y], got[Y];
    for (int i = 0; i < X; i++) xv[i] = (float)(i * 7919 % 101 - 50);
    for (int i = 0; i < W; i++) wv[i] = (float)(i * 104729 % 103 - 51);
    const tuff_binarize_params along = { .axis = 2 }, filters = { .axis = 2, .keep = 1 };
    const tuff_binary_conv2d_params p = { .channels = 35, .pad = { 1, 1, 1, 1 } };
    const tuff_conv_params same = { .pad = { 1, 1, 1, 1 } };
    tuff_tensor *x = tensor(OF(F32, 2, 35, 5, 6), xv);
    tuff_tensor *w = tensor(OF(F32, 9, 35, 3, 3), wv);
    tuff_tensor *px = tensor(OF(U32, 2, 5, 6, 2), NULL);
    tuff_tensor *pw = tensor(OF(U32, 9, 3, 3, 2), NULL);
    tuff_tensor *sx = tensor(OF(F32, 2, 5, 6), NULL);
    tuff_tensor *sw = tensor(OF(F32, 9), NULL);
    tuff_tensor *y = tensor(OF(F32, 2, 9, 5, 6), NULL);
    EXPECT_OK(tuff_binarize_pack(stream, x, px, sx, &along));
    EXPECT_OK(tuff_binarize_pack(stream, w, pw, sw, &filters));
    EXPECT_OK(tuff_binary_conv2d(stream, px, pw, NULL, NULL, y, &p));
    read(y, got);
    EXPECT_OK(tuff_sign_ste(stream, x, x));
    EXPECT_OK(tuff_sign_ste(stream, w, w));
    EXPECT_OK(tuff_conv2d(stream, x, w, NULL, NULL, y, &same));
    read(y, want);
    EXPECT(memcmp(got, want, sizeof got) == 0);
    float alpha[9], first = 0;
    read(sw, alpha);
    for (int i = 0; i < W / 9; i++) first += fabsf(wv[i]) / (W / 9);
    EXPECT_NEAR(alpha[0], first, 1e-4);
    DESTROY(&x, &w, &px, &pw, &sx, &sw, &y);
}

static void ternary_weights(void)
{
    const float wv[] = { 1, -1, 0.1f, 0, -0.2f, 2 }, xv[] = { 1, 2, 4, 8, 16, 32 };
    const tuff_binarize_params seven_tenths = { .factor = 0.7f };
    float limit, scale, y;
    uint32_t codes[2];
    tuff_tensor *w = tensor(OF(F32, 1, 6), wv), *x = tensor(OF(F32, 6), xv);
    tuff_tensor *t = tensor(OF(F32, 1), NULL), *s = tensor(OF(F32, 1), NULL);
    tuff_tensor *q = tensor(OF(U32, 1, 2, 1), NULL), *out = tensor(OF(F32, 1), NULL);
    EXPECT_OK(tuff_mean_abs(stream, w, t, &seven_tenths));
    EXPECT_OK(tuff_ternarize(stream, w, t, q, s));
    EXPECT_OK(tuff_ternary_matmul(stream, x, q, s, out));
    read(t, &limit);
    read(q, codes);
    read(s, &scale);
    read(out, &y);
    EXPECT_NEAR(limit, 0.7 * 4.3 / 6, 1e-6);
    EXPECT_EQ(codes[0], 1 | 2 | 32);
    EXPECT_EQ(codes[1], 1 | 32);
    EXPECT_NEAR(scale, 4.0 / 3, 1e-6);
    EXPECT_NEAR(y, (1 - 2 + 32) * 4.0 / 3, 1e-4);
    DESTROY(&w, &x, &t, &s, &q, &out);
}

static void weights_of_8_bits(void)
{
    const int8_t wv[] = { 1, -2, 127, -128, 5, 0 };
    const float xv[] = { 0.5f, 2, -1 }, scales[] = { 2, 0.25f };
    float got[2];
    tuff_tensor *w = tensor(OF(I8, 2, 3), wv), *x = tensor(OF(F32, 3), xv);
    tuff_tensor *s = tensor(OF(F32, 2), scales), *y = tensor(OF(F32, 2), NULL);
    EXPECT_OK(tuff_matmul_q8(stream, x, w, s, NULL, NULL, y, NULL));
    read(y, got);
    EXPECT_NEAR(got[0], 2 * (0.5 - 4 - 127), 1e-4);
    EXPECT_NEAR(got[1], 0.25 * (-64 + 10), 1e-4);
    DESTROY(&w, &x, &s, &y);
}

static void weights_of_few_bits(void)
{
    const int32_t q[] = { 1, -2, 3, -4, 2, 0 };
    const uint16_t half[] = { 0x3c00, 0xc000, 0x4200, 0xc400, 0x4000, 0 }; // the same
    const float xv[] = { 0.5f, 2, -1 }, scales[] = { 2, 0.25f }, biases[] = { 20, 1 };
    const tuff_few_bits_params three = { .bits = 3, .rows = 2, .act = TUFF_ACT_RELU };
    const tuff_few_bits_params nine = { .bits = 3, .rows = 9 };
    uint32_t words;
    float got[2];
    EXPECT_OK(tuff_packed_write(3, false, q, 6, &words));
    tuff_tensor *w = tensor(OF(U32, 1), &words), *x = tensor(OF(F32, 3), xv);
    tuff_tensor *s = tensor(OF(F32, 2), scales), *b = tensor(OF(F32, 2), biases);
    tuff_tensor *h = tensor(OF(F16, 2, 3), half), *y = tensor(OF(F32, 2), NULL);
    EXPECT_STATUS(tuff_packed_matmul(stream, x, w, s, NULL, NULL, y, &nine), TUFF_ERR_SHAPE);
    EXPECT_OK(tuff_packed_matmul(stream, x, w, s, NULL, b, y, &three));
    read(y, got);
    EXPECT_NEAR(got[0], 20 + 2 * (0.5 - 4 - 3), 1e-5);
    EXPECT_NEAR(got[1], 1.0 + 0.25 * (-2 + 4), 1e-5);
    EXPECT_OK(tuff_half_matmul(stream, x, h, NULL, y, NULL));
    read(y, got);
    EXPECT_NEAR(got[0], 0.5 - 4 - 3, 1e-5);
    EXPECT_NEAR(got[1], -2.0 + 4, 1e-5);
    DESTROY(&w, &x, &s, &b, &h, &y);
}

static void ranges_are_found(void)
{
    const float x[] = { 0, 2, -3, -2.5f, 1.34f, 0.5f, NAN }; // ONNX's example, and a NaN
    const uint8_t want[] = { 153, 255, 0, 26, 221, 179, 153 };
    uint8_t got[7], zero;
    float scale;
    tuff_tensor *t = tensor(OF(F32, 7), x), *y = tensor(OF(U8, 7), NULL);
    tuff_tensor *s = tensor(ONE(F32), NULL), *z = tensor(ONE(U8), NULL);
    EXPECT_OK(tuff_dynamic_quantize_linear(stream, t, y, s, z));
    read(y, got);
    read(s, &scale);
    read(z, &zero);
    for (int i = 0; i < 7; i++) EXPECT_EQ(got[i], want[i]);
    EXPECT(scale == 5.0f / 255 && zero == 153);
    DESTROY(&t, &y, &s, &z);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    CASE(halves_go_to_even);
    CASE(scaling_is_exact);
    CASE(far_sums_are_exact);
    CASE(packed_weights_are_bytes);
    CASE(zero_points_pad);
    CASE(sums_and_means_of_8_bits);
    CASE(the_point_is_chosen);
    CASE(the_point_is_chosen_for_a_tensor);
    CASE(fixed_point_saturates);
    CASE(stochastic_rounding_is_unbiased);
    CASE(gradients_go_straight_through);
    CASE(packed_signs_convolve);
    CASE(ternary_weights);
    CASE(weights_of_8_bits);
    CASE(weights_of_few_bits);
    CASE(ranges_are_found);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
