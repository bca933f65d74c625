// Elementwise functions, sums and random numbers at the places where drivers' built-ins and
// plain f32 sums go wrong, the public functions of these ops, and what they refuse; on the
// device that TUFF_DEVICE names, every variant.
#include "harness.h"
#include "ops/ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

static tuff_tensor *tensor(tuff_desc d, const float *data)
{
    return new_tensor(dev, stream, d, data);
}

static void take(tuff_tensor **t, float *data)
{
    EXPECT_OK(tuff_tensor_read(stream, *t, data, tuff_desc_bytes(tuff_tensor_desc(*t))));
    tuff_tensor_destroy(t);
}

// y = op(x) by its name; x has nx elements, y ny.
static void apply(const char *op, const float *x, int64_t nx, float *y, int64_t ny,
                  const void *params)
{
    tuff_tensor *tx = tensor(TUFF_SHAPE(TUFF_F32, nx), x);
    tuff_tensor *ty = tensor(ny ? TUFF_SHAPE(TUFF_F32, ny) : TUFF_SCALAR(TUFF_F32), NULL);
    EXPECT_OK(tuff_op_run(stream, op, TUFF_RUN_IN(tx), TUFF_RUN_OUT(ty), params));
    take(&ty, y);
    tuff_tensor_destroy(&tx);
}

// Calls `check` with each variant of an op that this device can run; on the CPU path once.
static void each_variant(const char *op, void (*check)(void))
{
    static const char *const names[] = { "texel", "group", "plain" };
    if (tuff_device_caps(dev)->cpu) {
        check();
        return;
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        bool has = false;
        for (int v = 0; v < TUFF_OP_VARIANTS && tuff_op_find(op)->variants[v].name; v++)
            has |= strcmp(tuff_op_find(op)->variants[v].name, names[i]) == 0;
        if (!has || (strcmp(names[i], "texel") == 0 && !tuff_device_caps(dev)->cpu_like))
            continue;
        tuff_variant_force(names[i]);
        check();
        tuff_variant_force(NULL);
    }
}

// ---- accuracy ---------------------------------------------------------------------------

enum { POINTS = 40003 };

// Largest relative error of op over POINTS arguments from low to high, evenly or by factors.
static double worst(const char *op, double (*f)(double), double low, double high, bool factors)
{
    float *x = malloc(POINTS * sizeof *x), *y = malloc(POINTS * sizeof *y);
    for (int i = 0; i < POINTS; i++) {
        const double u = (double)i / (POINTS - 1);
        x[i] = (float)(factors ? low * pow(high / low, u) : low + (high - low) * u);
    }
    apply(op, x, POINTS, y, POINTS, NULL);
    double most = 0;
    for (int i = 0; i < POINTS; i++) {
        const double want = f(x[i]), error = fabs(y[i] - want) / fabs(want);
        if (isnan(y[i])) most = INFINITY;
        else if (want != 0 && error > most) most = error;
    }
    free(x);
    free(y);
    return most;
}

static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }

static void exp_is_exact(void) { EXPECT_NEAR(worst("exp", exp, -87, 88.7, false), 0, 3e-7); }

static void log_is_exact(void)
{
    EXPECT_NEAR(worst("log", log, 2e-38, 3e38, true), 0, 3e-7);
    EXPECT_NEAR(worst("log", log, 0.99, 1.01, false), 0, 3e-7); // built-ins: 1e-7 absolute
}

static void tanh_is_exact(void)
{
    EXPECT_NEAR(worst("tanh", tanh, -100, 100, false), 0, 4e-7); // built-ins: NaN beyond 44
    EXPECT_NEAR(worst("tanh", tanh, 1e-30, 1, true), 0, 4e-7);
}

static void sigmoid_is_exact(void)
{
    EXPECT_NEAR(worst("sigmoid", sigmoid_of, -86, 100, false), 0, 4e-7);
}

// ---- what is no number ------------------------------------------------------------------

static bool same(float a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void ends_of_functions(void)
{
    const float x[] = { 0, INFINITY, -INFINITY, NAN, -1, 200, -200 };
    static const struct {
        const char *op;
        double want[7];
    } rows[] = {
        { "exp", { 1, INFINITY, 0, NAN, -0.0, INFINITY, 0 } },
        { "log", { -INFINITY, INFINITY, NAN, NAN, NAN, -0.0, NAN } },
        { "tanh", { 0, 1, -1, NAN, -0.0, 1, -1 } },
        { "sigmoid", { 0.5, 1, 0, NAN, -0.0, 1, 0 } },
        { "relu", { 0, INFINITY, 0, NAN, 0, 200, 0 } },
        { "abs", { 0, INFINITY, INFINITY, NAN, 1, 200, 200 } },
        { "sign", { 0, 1, -1, NAN, -1, 1, -1 } },
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        float y[COUNT(x)];
        apply(rows[r].op, x, COUNT(x), y, COUNT(x), NULL);
        for (size_t i = 0; i < COUNT(x); i++) {
            // -0 marks what the accuracy above has judged.
            if (rows[r].want[i] == 0 && signbit(rows[r].want[i])) continue;
            if (!same(y[i], rows[r].want[i]))
                FAIL("%s(%g) is %g, expected %g", rows[r].op, x[i], y[i], rows[r].want[i]);
        }
    }
}

static void softmax_of_ends(void)
{
    static const float rows[][4] = {
        { 1e30f, -1e30f, 0, 1e30f }, { 1, NAN, 2, 3 }, { 0, -INFINITY, 0, -INFINITY }
    };
    static const double want[][4] = { { 0.5, 0, 0, 0.5 }, { NAN, NAN, NAN, NAN },
                                      { 0.5, 0, 0.5, 0 } };
    for (size_t r = 0; r < COUNT(rows); r++) {
        float y[4];
        apply("softmax", rows[r], 4, y, 4, NULL);
        for (int i = 0; i < 4; i++)
            if (!same(y[i], want[r][i])) FAIL("row %zu is %g at %d", r, y[i], i);
    }
}

// ---- sums -------------------------------------------------------------------------------

// Terms that a plain f32 sum loses: beside 2^24 each 1 is half of the last place.
static void sums_lose_nothing(void)
{
    enum { N = 4097 };
    float x[N], y;
    for (int i = 0; i < N; i++) x[i] = 1;
    x[0] = 16777216;
    apply("reduce_sum", x, N, &y, 0, NULL);
    EXPECT_NEAR(y, 16777216 + N - 1, 2);
    x[N - 1] = INFINITY;
    apply("reduce_sum", x, N, &y, 0, NULL);
    EXPECT(same(y, INFINITY));
    x[77] = NAN;
    apply("reduce_sum", x, N, &y, 0, NULL);
    EXPECT(same(y, NAN));
}

static void extrema_keep_nan(void)
{
    enum { N = 1031 };
    float x[N], y;
    for (int i = 0; i < N; i++) x[i] = (float)(i * 7919 % N) - 500;
    apply("reduce_max", x, N, &y, 0, NULL);
    EXPECT(same(y, N - 1 - 500));
    apply("reduce_min", x, N, &y, 0, NULL);
    EXPECT(same(y, -500));
    x[600] = NAN;
    apply("reduce_max", x, N, &y, 0, NULL);
    EXPECT(same(y, NAN));
    apply("reduce_min", x, N, &y, 0, NULL);
    EXPECT(same(y, NAN));
}

// ---- random numbers ---------------------------------------------------------------------

// The known answers of Philox 4x32-10 for counter 0, key 0 (Random123's kat_vectors).
static void philox_knows_its_answers(void)
{
    static const uint32_t words[] = { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 };
    float y[4];
    tuff_tensor *t = tensor(TUFF_SHAPE(TUFF_F32, 4), NULL);
    EXPECT_OK(tuff_random_uniform(stream, t, NULL));
    take(&t, y);
    for (int i = 0; i < 4; i++) EXPECT_EQ(y[i] * 16777216.0, words[i] >> 8);
}

static void normal_numbers_are_normal(void)
{
    enum { N = 100000 };
    float *y = malloc(N * sizeof *y);
    tuff_tensor *t = tensor(TUFF_SHAPE(TUFF_F32, N), NULL);
    EXPECT_OK(tuff_random_normal(stream, t, &(tuff_random_params){ .seed = 5 }));
    take(&t, y);
    double moment[5] = { 0 };
    for (int i = 0; i < N; i++)
        for (int k = 1; k < 5; k++) moment[k] += pow(y[i], k) / N;
    EXPECT_NEAR(moment[1], 0, 0.02);
    EXPECT_NEAR(moment[2], 1, 0.03);
    EXPECT_NEAR(moment[3], 0, 0.05);
    EXPECT_NEAR(moment[4], 3, 0.2);
    free(y);
}

// ---- the public functions ---------------------------------------------------------------

static tuff_status scale_by_two(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y)
{
    return tuff_affine(s, x, y, &(tuff_affine_params){ .scale = 2, .shift = 1 });
}

static void functions_of_one(void)
{
    static const struct {
        const char *name;
        tuff_status (*run)(tuff_stream *, const tuff_tensor *, tuff_tensor *);
        double want; // of 0.25
    } rows[] = {
        { "relu", tuff_relu, 0.25 },       { "sigmoid", tuff_sigmoid, 0.56217650088579807 },
        { "tanh", tuff_tanh, 0.24491866240370913 }, { "exp", tuff_exp, 1.2840254166877414 },
        { "log", tuff_log_e, -1.3862943611198906 }, { "sqrt", tuff_sqrt, 0.5 },
        { "abs", tuff_abs, 0.25 },         { "sign", tuff_sign, 1 },
        { "square", tuff_square, 0.0625 }, { "affine", scale_by_two, 1.5 },
    };
    const float x = 0.25f;
    for (size_t i = 0; i < COUNT(rows); i++) {
        float y = NAN;
        tuff_tensor *tx = tensor(TUFF_SCALAR(TUFF_F32), &x);
        EXPECT_OK(rows[i].run(stream, tx, tx)); // y may be x
        take(&tx, &y);
        if (!EXPECT_NEAR(y, rows[i].want, 1e-6)) FAIL("in %s", rows[i].name);
    }
}

static void functions_of_two(void)
{
    static const struct {
        const char *name;
        tuff_status (*run)(tuff_stream *, const tuff_tensor *, const tuff_tensor *,
                           tuff_tensor *);
        double want; // of 0.75 and 0.5
    } rows[] = {
        { "add", tuff_add, 1.25 },   { "sub", tuff_sub, 0.25 },
        { "mul", tuff_mul, 0.375 },  { "div", tuff_div, 1.5 },
        { "relu_grad", tuff_relu_grad, 0.5 },
        { "sigmoid_grad", tuff_sigmoid_grad, 0.09375 },
        { "tanh_grad", tuff_tanh_grad, 0.21875 },
    };
    const float a = 0.75f, b = 0.5f;
    for (size_t i = 0; i < COUNT(rows); i++) {
        float y = NAN;
        tuff_tensor *ta = tensor(TUFF_SCALAR(TUFF_F32), &a);
        tuff_tensor *tb = tensor(TUFF_SCALAR(TUFF_F32), &b);
        EXPECT_OK(rows[i].run(stream, ta, tb, tb)); // y may be b
        take(&tb, &y);
        if (!EXPECT_NEAR(y, rows[i].want, 1e-6)) FAIL("in %s", rows[i].name);
        tuff_tensor_destroy(&ta);
    }
}

static void reductions_and_movement(void)
{
    const float x[] = { 1, 2, 3, 4, 5, 6 };
    float y[12] = { 0 };
    tuff_tensor *tx = tensor(TUFF_SHAPE(TUFF_F32, 2, 3), x), *ty = NULL;
    const tuff_reduce_params rows = { .axes = 1 };
#define GIVES(shape, call, ...)                                                 \
    do {                                                                        \
        const float want[] = { __VA_ARGS__ };                                   \
        ty = tensor(shape, NULL);                                               \
        EXPECT_OK(call);                                                        \
        EXPECT_EQ(tuff_desc_count(tuff_tensor_desc(ty)), COUNT(want));          \
        take(&ty, y);                                                           \
        EXPECT(memcmp(y, want, sizeof want) == 0);                              \
    } while (0)
#define SHAPE(...) TUFF_SHAPE(TUFF_F32, __VA_ARGS__)
    GIVES(SHAPE(2), tuff_reduce_sum(stream, tx, ty, &rows), 6, 15);
    GIVES(SHAPE(2), tuff_reduce_mean(stream, tx, ty, &rows), 2, 5);
    GIVES(SHAPE(2), tuff_reduce_max(stream, tx, ty, &rows), 3, 6);
    GIVES(TUFF_SCALAR(TUFF_F32), tuff_reduce_min(stream, tx, ty, NULL), 1);
    GIVES(SHAPE(3, 2), tuff_transpose(stream, tx, ty, NULL), 1, 4, 2, 5, 3, 6);
    GIVES(SHAPE(6), tuff_reshape(stream, tx, ty, NULL), 1, 2, 3, 4, 5, 6);
    GIVES(SHAPE(2, 1),
          tuff_slice(stream, tx, ty, &(tuff_slice_params){ .starts = { 0, -1 } }), 3, 6);
    GIVES(SHAPE(2, 5),
          tuff_slice_grad(stream, tx, ty, &(tuff_slice_params){ .steps = { 0, 2 },
                                                                .size = { 2, 5 } }),
          1, 0, 2, 0, 3, 4, 0, 5, 0, 6);
    GIVES(SHAPE(2, 2, 3), tuff_expand(stream, tx, ty), 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6);
    GIVES(SHAPE(2, 6), tuff_concat(stream, (const tuff_tensor *[]){ tx, tx }, 2, ty, NULL), 1,
          2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6);
    GIVES(SHAPE(3), tuff_fill(stream, ty, &(tuff_fill_params){ .value = 7 }), 7, 7, 7);
    ty = tensor(SHAPE(2, 3), NULL);
    EXPECT_OK(tuff_log_softmax(stream, tx, ty, NULL));
    take(&ty, y);
    EXPECT_NEAR(y[0], -2.4076059644443806, 1e-6);
    tuff_tensor_destroy(&tx);
}

// ---- refusals ---------------------------------------------------------------------------

static void refuses_what_does_not_fit(void)
{
    static const struct {
        const char *op, *part;
        tuff_desc in[2];
        union {
            tuff_reduce_params reduce;
            tuff_softmax_params softmax;
            tuff_transpose_params transpose;
            tuff_reshape_params reshape;
            tuff_slice_params slice;
            tuff_concat_params concat;
        } params;
    } rows[] = {
#define D(...) { .dtype = TUFF_F32, __VA_ARGS__ }
        { "add", "a is f32 [2, 3] and b is f32 [2]",
          { D(.rank = 2, .dim = { 2, 3 }), D(.rank = 1, .dim = { 2 }) }, { { 0 } } },
        { "relu_grad", "y is f32 [2] and dy is f32 [3]",
          { D(.rank = 1, .dim = { 2 }), D(.rank = 1, .dim = { 3 }) }, { { 0 } } },
        { "expand", "x is f32 [2], it cannot be repeated to f32 [3]",
          { D(.rank = 1, .dim = { 2 }), D(.rank = 1, .dim = { 3 }) }, { { 0 } } },
        { "reduce_sum", "axes is 0x4, x has only 2 dims", { D(.rank = 2, .dim = { 2, 3 }) },
          { .reduce = { .axes = 4 } } },
        { "softmax", "axis is 3, x has 2 dims", { D(.rank = 2, .dim = { 2, 3 }) },
          { .softmax = { .axis = 3 } } },
        { "transpose", "perm[1] is 1: perm must hold each of 0 to 1 once",
          { D(.rank = 2, .dim = { 2, 3 }) }, { .transpose = { { 1, 1 } } } },
        { "reshape", "shape is [4, -1], it must have the 6 elements of x, f32 [2, 3]",
          { D(.rank = 2, .dim = { 2, 3 }) }, { .reshape = { { 4, -1 }, 2 } } },
        { "reshape", "shape is [2000000000, 2000000000, 2000000000], it must have the 6",
          { D(.rank = 2, .dim = { 2, 3 }) },
          { .reshape = { { 2000000000, 2000000000, 2000000000 }, 3 } } },
        { "slice", "nothing is left of dim 0: it runs from 2 to 1 of 2",
          { D(.rank = 1, .dim = { 2 }) }, { .slice = { .starts = { 9 }, .ends = { 1 } } } },
        { "slice_grad", "size[0] is 0", { D(.rank = 1, .dim = { 2 }) }, { { 0 } } },
        { "concat", "only dim 1 may differ",
          { D(.rank = 2, .dim = { 2, 3 }), D(.rank = 2, .dim = { 3, 3 }) }, { { 0 } } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        tuff_tensor *in[2] = { tensor(rows[i].in[0], NULL) }, *y = tensor(rows[i].in[0], NULL);
        const int n = rows[i].in[1].dtype ? 2 : 1;
        if (n == 2) in[1] = tensor(rows[i].in[1], NULL);
        const tuff_status status = tuff_op_run(stream, rows[i].op,
                                               (const tuff_tensor *const *)in, n,
                                               TUFF_RUN_OUT(y), &rows[i].params);
        EXPECT(status == TUFF_ERR_ARG || status == TUFF_ERR_SHAPE);
        EXPECT_HAS(tuff_last_error(), rows[i].part);
        EXPECT_HAS(tuff_last_error(), rows[i].op);
        tuff_tensor_destroy(&in[0]);
        tuff_tensor_destroy(&in[1]);
        tuff_tensor_destroy(&y);
    }
}

// Whatever is not allowed to lie over an input would be read after it was overwritten.
static void refuses_shared_memory(void)
{
    const tuff_desc square = TUFF_SHAPE(TUFF_F32, 128, 128);
    tuff_tensor *a = tensor(square, NULL), *b = tensor(square, NULL), *m = tensor(square, NULL);
    tuff_tensor *hyper = tensor(TUFF_SHAPE(TUFF_F32, 8), NULL), *upper = NULL, *lower = NULL;
    EXPECT_OK(tuff_tensor_view(a, 0, TUFF_SHAPE(TUFF_F32, 64, 128), &upper));
    EXPECT_OK(tuff_tensor_view(a, 32 * 128, TUFF_SHAPE(TUFF_F32, 64, 128), &lower));
#define SHARED(call, part)                                                      \
    (void)(EXPECT_STATUS(call, TUFF_ERR_ARG) && EXPECT_HAS(tuff_last_error(), part))
    SHARED(tuff_matmul(stream, a, b, NULL, NULL, a, NULL), "matmul: y may not share memory");
    SHARED(tuff_matmul(stream, a, b, NULL, NULL, b, NULL), "with b here");
    SHARED(tuff_relu_grad(stream, a, b, a), "dx may not share memory with y here");
    SHARED(tuff_transpose(stream, a, a, NULL), "y may not share memory with x here");
    SHARED(tuff_relu(stream, upper, lower), "y may not share memory with x here");
    const tuff_update_tensors twice = { .m = m, .v = m };
    SHARED(tuff_update(stream, "adam", a, b, hyper, &twice, NULL), "may not share memory with");
    EXPECT_OK(tuff_stream_wait(stream));
    tuff_tensor *const all[] = { upper, lower, hyper, a, b, m };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(&(tuff_tensor *){ all[i] });
}

// y over b: every element is read before it is written, also by kernels that take several.
static void in_place_of_b(void)
{
    enum { N = 257 * 13 };
    static float a[N], b[N], apart[N], over[N];
    for (int i = 0; i < N; i++) a[i] = (float)(i % 71) - 3, b[i] = (float)(i % 17) + 0.5f;
    tuff_tensor *row = tensor(TUFF_SHAPE(TUFF_F32, 13), a);
    tuff_tensor *tb = tensor(TUFF_SHAPE(TUFF_F32, 257, 13), b);
    tuff_tensor *ty = tensor(TUFF_SHAPE(TUFF_F32, 257, 13), NULL);
    EXPECT_OK(tuff_div(stream, row, tb, ty));
    EXPECT_OK(tuff_div(stream, row, tb, tb));
    take(&ty, apart);
    take(&tb, over);
    EXPECT(memcmp(apart, over, sizeof apart) == 0);
    EXPECT(apart[5] != apart[18]);
    tuff_tensor_destroy(&row);
}

static void all_in_place(void) { each_variant("div", in_place_of_b); }
static void all_ends(void) { each_variant("relu", ends_of_functions); }
static void all_exp(void) { each_variant("exp", exp_is_exact); }
static void all_log(void) { each_variant("log", log_is_exact); }
static void all_tanh(void) { each_variant("tanh", tanh_is_exact); }
static void all_sigmoid(void) { each_variant("sigmoid", sigmoid_is_exact); }
static void all_softmax(void) { each_variant("softmax", softmax_of_ends); }
static void all_sums(void) { each_variant("reduce_sum", sums_lose_nothing); }
static void all_extrema(void) { each_variant("reduce_max", extrema_keep_nan); }

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    CASE(all_exp);
    CASE(all_log);
    CASE(all_tanh);
    CASE(all_sigmoid);
    CASE(all_ends);
    CASE(all_softmax);
    CASE(all_sums);
    CASE(all_extrema);
    CASE(philox_knows_its_answers);
    CASE(normal_numbers_are_normal);
    CASE(functions_of_one);
    CASE(functions_of_two);
    CASE(reductions_and_movement);
    CASE(all_in_place);
    CASE(refuses_what_does_not_fit);
    CASE(refuses_shared_memory);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
