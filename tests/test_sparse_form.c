// Which form a matrix with zeros takes: what was measured or assumed decides, and every form
// multiplies as the dense matrix does, on the device that TUFF_DEVICE names.
#include "harness.h"
#include "device/backend.h"
#include "ops/sparse.h"
#include <math.h>
#include <stdlib.h>
#include <tuff/tuff.h>

enum { ROWS = 96, COLS = 64, BATCH = 5 };

static tuff_device *dev;
static tuff_stream *stream;

static float number(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return (float)(int32_t)(*seed | 1) / 2147483648.0f;
}

static void draw(float *x, int64_t count, uint32_t seed)
{
    for (int64_t i = 0; i < count; i++) x[i] = number(&seed);
}

// Leaves only every `step`-th block of 4 x 4, and within it `keep` of every four.
static void thin(float *x, int rows, int cols, int step, int keep)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            if ((r / 4 * (cols / 4) + c / 4) % step || (c + r) % 4 >= keep) x[r * cols + c] = 0;
}

static tuff_tensor *tensor_of(tuff_desc desc, const void *data)
{
    return new_tensor(dev, stream, desc, data);
}

// y = A b, or b A^T, by hand.
static void multiply(const float *a, const float *b, bool linear, double *y)
{
    for (int m = 0; m < ROWS; m++)
        for (int n = 0; n < BATCH; n++) {
            double sum = 0;
            for (int k = 0; k < COLS; k++)
                sum += (double)a[m * COLS + k] *
                       (double)(linear ? b[n * COLS + k] : b[k * BATCH + n]);
            y[linear ? n * ROWS + m : m * BATCH + n] = sum;
        }
}

static void in_form(const float *x, tuff_sparse_form form, bool linear)
{
    static float b[COLS * BATCH], y[ROWS * BATCH];
    static double want[ROWS * BATCH];
    const tuff_sparse_matrix_params p = { .batch = BATCH, .linear = linear, .form = form };
    tuff_sparse_matrix *a = NULL;
    draw(b, COLS * BATCH, 3);
    multiply(x, b, linear, want);
    if (!EXPECT_OK(tuff_sparse_matrix_create(stream, x, ROWS, COLS, &p, &a))) return;
    if (form) EXPECT_EQ(tuff_sparse_matrix_form(a), form);
    tuff_tensor *t = tensor_of(linear ? TUFF_SHAPE(TUFF_F32, BATCH, COLS)
                                      : TUFF_SHAPE(TUFF_F32, COLS, BATCH), b);
    tuff_tensor *to = tensor_of(linear ? TUFF_SHAPE(TUFF_F32, BATCH, ROWS)
                                       : TUFF_SHAPE(TUFF_F32, ROWS, BATCH), NULL);
    EXPECT_OK(tuff_sparse_multiply(stream, a, t, to));
    EXPECT_OK(tuff_tensor_read(stream, to, y, sizeof y));
    for (int i = 0; i < ROWS * BATCH; i++)
        if (!(fabs((double)y[i] - want[i]) <= 1e-5)) {
            FAIL("%s: %d is %.9g, expected %.9g", tuff_sparse_form_name(form), i, (double)y[i],
                 want[i]);
            break;
        }
    tuff_tensor_destroy(&t);
    tuff_tensor_destroy(&to);
    tuff_sparse_matrix_destroy(&a);
}

static void every_form_multiplies_alike(void)
{
    static float x[ROWS * COLS];
    draw(x, ROWS * COLS, 1);
    thin(x, ROWS, COLS, 3, 2);
    for (tuff_sparse_form f = TUFF_SPARSE_ANY; f < TUFF_SPARSE_FORMS; f++) {
        in_form(x, f, false);
        in_form(x, f, true);
    }
}

static void what_there_is_to_keep(void)
{
    static float x[ROWS * COLS];
    tuff_sparse_kept k;
    draw(x, ROWS * COLS, 1);
    EXPECT_OK(tuff_sparse_inspect(x, ROWS, COLS, &k));
    EXPECT(k.csr == 1 && k.bsr == 1 && k.nm == 0);
    thin(x, ROWS, COLS, 1, 1);
    EXPECT_OK(tuff_sparse_inspect(x, ROWS, COLS, &k));
    EXPECT(k.csr == 0.25 && k.bsr == 1 && k.nm == 0.25 && k.keep == 1 && k.of == 4);
    thin(x, ROWS, COLS, 2, 1);
    EXPECT_OK(tuff_sparse_inspect(x, ROWS, COLS, &k));
    EXPECT(k.csr == 0.125 && k.bsr == 0.5 && k.nm == 0.125 && k.keep == 1 && k.of == 8);
    EXPECT_OK(tuff_sparse_inspect(x, 3, 7, &k));
    EXPECT(k.csr > 0 && k.bsr == 0 && k.nm == 0);
    x[0] = 0;
    EXPECT_OK(tuff_sparse_inspect(x, 1, 1, &k));
    EXPECT_STATUS(tuff_sparse_inspect(NULL, 1, 1, &k), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_sparse_inspect(x, 0, 1, &k), TUFF_ERR_ARG);
}

static tuff_sparse_form of_csr(const tuff_sparse_shape *shape, double density)
{
    return tuff_sparse_choose(dev, shape, &(tuff_sparse_kept){ .csr = density });
}

// Dense from the break-even on, sparse below it.
static void one_break_even(const tuff_sparse_shape *shape)
{
    const double even = tuff_sparse_break_even(dev, shape, TUFF_SPARSE_CSR);
    EXPECT(even >= 0 && even <= 1);
    for (double d = 1; d > 0.001; d *= 0.9)
        if (fabs(d - even) > 1e-6)
            EXPECT_EQ(of_csr(shape, d), d < even ? TUFF_SPARSE_CSR : TUFF_SPARSE_DENSE);
}

static void zeros_decide(void)
{
    const int64_t batches[] = { 0, 1, 64 };
    for (int i = 0; i < 6; i++) {
        const tuff_sparse_shape large = { 2048, 4096, batches[i / 2], i % 2 };
        const tuff_sparse_shape small = { 16, 16, batches[i / 2], i % 2 };
        one_break_even(&large);
        EXPECT_EQ(of_csr(&large, 1), TUFF_SPARSE_DENSE);
        EXPECT_EQ(of_csr(&large, 0), TUFF_SPARSE_DENSE);
        EXPECT_EQ(of_csr(&large, 0.005), TUFF_SPARSE_CSR);
        EXPECT_EQ(of_csr(&small, 0.005), TUFF_SPARSE_DENSE);
        const tuff_sparse_kept full = { .csr = 1, .bsr = 1 };
        EXPECT_EQ(tuff_sparse_choose(dev, &large, &full), TUFF_SPARSE_DENSE);
    }
    EXPECT_EQ(tuff_sparse_choose(dev, NULL, NULL), TUFF_SPARSE_DENSE);
    EXPECT(tuff_sparse_break_even(dev, NULL, TUFF_SPARSE_CSR) == 0);
}

// The whole way: numbers of a large matrix of which one in 200 is not 0.
static void a_large_matrix_becomes_sparse(void)
{
    enum { N = 1024 };
    float *x = calloc(N * N, sizeof *x);
    tuff_sparse_matrix *a = NULL;
    if (!EXPECT(x)) return;
    EXPECT_OK(tuff_sparse_matrix_create(stream, x, 16, 16, NULL, &a)); // of zeros
    tuff_sparse_matrix_destroy(&a);
    for (int i = 0; i < N * N; i += 200) x[i] = 1;
    EXPECT_OK(tuff_sparse_matrix_create(stream, x, N, N, NULL, &a));
    EXPECT(tuff_sparse_matrix_form(a) > TUFF_SPARSE_DENSE);
    tuff_sparse_matrix_destroy(&a);
    draw(x, N * N, 9);
    EXPECT_OK(tuff_sparse_matrix_create(stream, x, N, N, NULL, &a));
    EXPECT_EQ(tuff_sparse_matrix_form(a), TUFF_SPARSE_DENSE);
    tuff_sparse_matrix_destroy(&a);
    free(x);
}

static void curves_rise_and_cross_once(void)
{
    tuff_sparse_curve c = { 5, { 0.02, 0.1, 0.2, 0.3, 0.5 }, { 0.5, 0.3, 0.7, 1.5, 1.3 } };
    tuff_sparse_curve_level(&c);
    const double want[] = { 0.4, 0.4, 0.7, 1.4, 1.4 };
    for (int i = 0; i < 5; i++) EXPECT(fabs(c.ratio[i] - want[i]) < 1e-12);
    const double even = tuff_sparse_curve_even(&c);
    EXPECT(fabs(even - (0.2 + 0.1 * 0.3 / 0.7)) < 1e-12);
    EXPECT(fabs(tuff_sparse_curve_at(&c, even) - 1) < 1e-12);
    EXPECT(tuff_sparse_curve_at(&c, 0.001) == c.ratio[0]);
    const tuff_sparse_curve none = { 0 }, never = { 1, { 0.1 }, { 1.5 } };
    const tuff_sparse_curve beyond = { 1, { 0.5 }, { 0.8 } }, always = { 1, { 0.5 }, { 0.3 } };
    EXPECT(tuff_sparse_curve_even(&none) == 0 && tuff_sparse_curve_even(&never) == 0);
    EXPECT(fabs(tuff_sparse_curve_even(&beyond) - 0.625) < 1e-12);
    EXPECT(tuff_sparse_curve_even(&always) == 1);
}

static void what_was_measured_counts(void)
{
    const tuff_sparse_shape at = { 512, 768, 32, false };
    tuff_sparse_curves c = { 0 };
    c.of[TUFF_SPARSE_CSR] = (tuff_sparse_curve){ 2, { 0.5, 0.9 }, { 0.5, 0.9 } };
    tuff_sparse_remember(dev, &at, &c);
    EXPECT_EQ(of_csr(&at, 0.95), TUFF_SPARSE_CSR);
    EXPECT_EQ(of_csr(&(tuff_sparse_shape){ 1024, 400, 17, false }, 0.95), TUFF_SPARSE_CSR);
    EXPECT_EQ(of_csr(&(tuff_sparse_shape){ 1025, 768, 32, false }, 0.95), TUFF_SPARSE_DENSE);
    EXPECT_EQ(of_csr(&(tuff_sparse_shape){ 512, 768, 32, true }, 0.95), TUFF_SPARSE_DENSE);
    c.of[TUFF_SPARSE_CSR] = (tuff_sparse_curve){ 1, { 0.01 }, { 2 } }; // the newest counts
    tuff_sparse_remember(dev, &at, &c);
    EXPECT_EQ(of_csr(&at, 0.005), TUFF_SPARSE_DENSE);
    EXPECT(tuff_sparse_break_even(dev, &at, TUFF_SPARSE_CSR) == 0);
    one_break_even(&at);
}

static void it_can_be_measured(void)
{
    const tuff_sparse_shape shape = { 128, 64, 3, true };
    const tuff_sparse_measure_params p = { .density = { 0.5f, 0.1f }, .runs = 3 };
    tuff_sparse_times t;
    EXPECT_OK(tuff_sparse_measure(dev, &shape, &p, &t));
    EXPECT_EQ(t.count, 6);
    for (int i = 0; i < t.count; i++) {
        const tuff_sparse_point *at = &t.point[i];
        EXPECT_EQ(at->form, TUFF_SPARSE_CSR + i / 2);
        EXPECT(at->seconds > 0 && at->seconds < 60 && at->dense > 0 && at->dense < 60);
        EXPECT(fabs(at->density - (i % 2 ? 0.1 : 0.5)) < 0.06);
    }
    for (tuff_sparse_form f = TUFF_SPARSE_CSR; f < TUFF_SPARSE_FORMS; f++) {
        EXPECT(t.break_even[f] >= 0 && t.break_even[f] <= 1);
        EXPECT(tuff_sparse_break_even(dev, &shape, f) == t.break_even[f]);
    }
    one_break_even(&shape);
}

static void what_is_wrong_is_said(void)
{
    float x[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    tuff_sparse_matrix *a = NULL;
    tuff_sparse_matrix_params p = { .form = TUFF_SPARSE_NM };
    EXPECT_STATUS(tuff_sparse_matrix_create(stream, x, 2, 4, &p, &a), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "sparse: 2 x 4 numbers are no N:M");
    p.form = TUFF_SPARSE_BSR;
    EXPECT_STATUS(tuff_sparse_matrix_create(stream, x, 2, 4, &p, &a), TUFF_ERR_ARG);
    p.form = TUFF_SPARSE_FORMS;
    EXPECT_STATUS(tuff_sparse_matrix_create(stream, x, 2, 4, &p, &a), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_sparse_matrix_create(stream, NULL, 2, 4, NULL, &a), TUFF_ERR_ARG);
    EXPECT(a == NULL);
    EXPECT_STATUS(tuff_sparse_multiply(stream, NULL, NULL, NULL), TUFF_ERR_ARG);
    tuff_sparse_shape shape = { 24, 64, 1, false };
    EXPECT_STATUS(tuff_sparse_measure(dev, &shape, NULL, NULL), TUFF_ERR_ARG);
    shape.rows = 32;
    tuff_sparse_measure_params m = { .density = { 1.5f } };
    EXPECT_STATUS(tuff_sparse_measure(dev, &shape, &m, NULL), TUFF_ERR_ARG);
    m = (tuff_sparse_measure_params){ .runs = 2 };
    EXPECT_STATUS(tuff_sparse_measure(dev, &shape, &m, NULL), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_sparse_measure(NULL, &shape, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_sparse_form_name((tuff_sparse_form)9), "?");
    EXPECT_STR(tuff_sparse_form_name(TUFF_SPARSE_BSR), "bsr");
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    CASE(every_form_multiplies_alike);
    CASE(what_there_is_to_keep);
    CASE(zeros_decide);
    CASE(a_large_matrix_becomes_sparse);
    CASE(curves_rise_and_cross_once);
    CASE(what_was_measured_counts);
    CASE(it_can_be_measured);
    CASE(what_is_wrong_is_said);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
