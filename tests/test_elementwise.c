// Elementwise functions where drivers' built-ins and plain formulas go wrong: over their whole
// range against the C library, at the ends, of whole numbers that overflow, and the public
// functions; on the device that TUFF_DEVICE names, every variant.
#include "harness.h"
#include "ops/ops.h"
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *dev;
static tuff_stream *stream;

static tuff_tensor *tensor(tuff_dtype type, int64_t n, const void *data)
{
    return new_tensor(dev, stream, TUFF_SHAPE(type, n), data);
}

static void take(tuff_tensor **t, void *data)
{
    EXPECT_OK(tuff_tensor_read(stream, *t, data, tuff_desc_bytes(tuff_tensor_desc(*t))));
    tuff_tensor_destroy(t);
}

// y[n] = op(a[n]), or op(a[n], b[n]) where b is not NULL.
static void apply(const char *op, tuff_dtype type, const void *a, const void *b, int64_t n,
                  tuff_dtype y_type, void *y, const void *params)
{
    tuff_tensor *ta = tensor(type, n, a), *tb = b ? tensor(type, n, b) : NULL;
    tuff_tensor *ty = tensor(y_type, n, NULL);
    const tuff_tensor *in[] = { ta, tb };
    EXPECT_OK(tuff_op_run(stream, op, in, b ? 2 : 1, TUFF_RUN_OUT(ty), params));
    take(&ty, y);
    tuff_tensor_destroy(&ta);
    tuff_tensor_destroy(&tb);
}

// Calls `check` once for each kernel that this device can run.
static void each_variant(void (*check)(void))
{
    const tuff_caps *k = tuff_device_caps(dev);
    if (k->cpu) {
        check();
        return;
    }
    tuff_variant_force("plain");
    check();
    if (k->cpu_like) tuff_variant_force("texel");
    if (k->cpu_like) check();
    tuff_variant_force(NULL);
}

// ---- accuracy ------------------------------------------------------------------------------

enum { POINTS = 20001 };

static double sigmoid_of(double x) { return 1 / (1 + exp(-x)); }
static double gelu_of(double x) { return 0.5 * x * erfc(-x * sqrt(0.5)); }
static double silu_of(double x) { return x * sigmoid_of(x); }
static double softplus_of(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double mish_of(double x) { return x * tanh(softplus_of(x)); }
static double rsqrt_of(double x) { return 1 / sqrt(x); }
static double reciprocal_of(double x) { return 1 / x; }

// The largest error over arguments from low to high, evenly or by factors; relative, or where
// `floor` is above 0 relative to at least that.
static void accurate(void)
{
    static const struct {
        const char *op;
        double (*f)(double);
        double low, high;
        bool factors;
        double floor, most;
    } rows[] = {
        { "erf", erf, -6, 6, false, 0, 3e-7 },
        { "erf", erf, 1e-30, 1, true, 0, 3e-7 },
        { "sin", sin, -100, 100, false, 0.1, 3e-7 },
        { "cos", cos, -100, 100, false, 0.1, 3e-7 },
        { "sin", sin, 8000, 8400, false, 0.1, 3e-7 },
        { "cos", cos, 1e4, 3.4e38, true, 0.1, 3e-7 },
        { "sin", sin, 1e-30, 1, true, 0, 3e-7 },
        { "gelu", gelu_of, -12, 8, false, 0, 5e-7 },
        { "silu", silu_of, -80, 80, false, 0, 5e-7 },
        { "softplus", softplus_of, -80, 80, false, 0, 5e-7 },
        { "mish", mish_of, -80, 80, false, 0, 5e-7 },
        { "elu", expm1, -30, -1e-30, false, 0, 4e-7 },
        { "rsqrt", rsqrt_of, 2e-38, 3e38, true, 0, 5e-7 },
        { "sqrt", sqrt, 2e-38, 3e38, true, 0, 5e-7 },
        { "reciprocal", reciprocal_of, 2e-38, 4e37, true, 0, 3e-7 },
    };
    static float x[POINTS], y[POINTS];
    for (size_t r = 0; r < COUNT(rows); r++) {
        double most = 0, at = 0;
        for (int i = 0; i < POINTS; i++) {
            const double u = (double)i / (POINTS - 1), low = rows[r].low, high = rows[r].high;
            x[i] = (float)(rows[r].factors ? low * pow(high / low, u) : low + (high - low) * u);
        }
        apply(rows[r].op, TUFF_F32, x, NULL, POINTS, TUFF_F32, y, NULL);
        for (int i = 0; i < POINTS; i++) {
            const double want = rows[r].f(x[i]), scale = fmax(fabs(want), rows[r].floor);
            const double e = scale > 0 ? fabs(y[i] - want) / scale : 0;
            if (!(e <= most)) most = isnan(e) ? INFINITY : e, at = x[i];
        }
        if (!(most <= rows[r].most))
            FAIL("%s(%.9g) is off by %.3g, at most %.3g is expected", rows[r].op, at, most,
                 rows[r].most);
    }
}

// Powers from 1e-30 to 1e30 of bases near 1 and far from it.
static void powers_are_accurate(void)
{
    static float a[POINTS], b[POINTS], y[POINTS];
    double most = 0;
    int at = 0;
    for (int i = 0; i < POINTS; i++) {
        const double u = (double)i / (POINTS - 1), size = i % 7 * i % 11 * 6 - 30;
        a[i] = (float)(i % 2 ? exp(160 * u - 80) : 1 + (u - 0.5) / (1 << i % 13));
        b[i] = (float)(size / log10(a[i] == 1 ? 2 : (double)a[i]));
    }
    apply("pow", TUFF_F32, a, b, POINTS, TUFF_F32, y, NULL);
    for (int i = 0; i < POINTS; i++) {
        const double want = pow(a[i], b[i]), e = fabs(y[i] - want) / want;
        if (want < 2e-38 || want > 3.4e38 || e <= most) continue;
        most = e;
        at = i;
    }
    if (!(most < 5e-7)) FAIL("%.9g^%.9g is off by %.3g", a[at], b[at], most);
}

static void remainders_are_exact(void)
{
    static float a[POINTS], b[POINTS], y[POINTS];
    for (int i = 0; i < POINTS; i++) {
        const double u = (double)i / (POINTS - 1);
        a[i] = (float)((i % 2 ? -1 : 1) * exp(120 * u - 60));
        b[i] = (float)((i % 3 ? -1 : 1) * exp(120 * (i * 7919 % POINTS / (double)POINTS) - 60));
    }
    for (int cut = 0; cut < 2; cut++) {
        apply("mod", TUFF_F32, a, b, POINTS, TUFF_F32, y, &(tuff_mod_params){ .fmod = cut });
        for (int i = 0; i < POINTS; i++) {
            double want = fmod(a[i], b[i]);
            if (!cut && want != 0 && (want < 0) != (b[i] < 0)) want += b[i];
            if (fabs(want) < 2e-38 || y[i] == (float)want) continue;
            FAIL("%s(%.9g, %.9g) is %.9g, not %.9g", cut ? "fmod" : "mod", a[i], b[i], y[i],
                 want);
            return;
        }
    }
}

// ---- the ends ------------------------------------------------------------------------------

static bool same(float a, double b)
{
    return (isnan(a) && isnan(b)) || (a == (float)b && (b != 0 || !signbit(a) == !signbit(b)));
}

// What the accuracy above has judged, or nobody asks for.
#define ANY 7777

static void ends_of_one(void)
{
    static const float x[] = { 0, -0.0f, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, -200 };
    static const struct {
        const char *op;
        double want[COUNT(x)];
    } rows[] = {
        { "neg", { -0.0, 0, -INFINITY, INFINITY, NAN, -3e38f, 3e38f, 200 } },
        { "abs", { 0, 0, INFINITY, INFINITY, NAN, 3e38f, 3e38f, 200 } },
        { "sign", { 0, -0.0, 1, -1, NAN, 1, -1, -1 } },
        { "square", { 0, 0, INFINITY, INFINITY, NAN, INFINITY, INFINITY, 40000 } },
        { "sqrt", { 0, -0.0, INFINITY, NAN, NAN, ANY, NAN, NAN } },
        { "rsqrt", { INFINITY, ANY, 0, NAN, NAN, ANY, NAN, NAN } },
        { "reciprocal", { INFINITY, -INFINITY, 0, -0.0, NAN, ANY, ANY, ANY } },
        { "floor", { 0, -0.0, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, -200 } },
        { "ceil", { 0, -0.0, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, -200 } },
        { "round", { 0, -0.0, INFINITY, -INFINITY, NAN, 3e38f, -3e38f, -200 } },
        { "erf", { 0, -0.0, 1, -1, NAN, 1, -1, -1 } },
        { "sin", { 0, -0.0, NAN, NAN, NAN, ANY, ANY, ANY } },
        { "cos", { 1, 1, NAN, NAN, NAN, ANY, ANY, ANY } },
        { "relu", { 0, 0, INFINITY, 0, NAN, 3e38f, 0, 0 } },
        { "leaky_relu", { 0, -0.0, INFINITY, -INFINITY, NAN, 3e38f, ANY, -2 } },
        { "elu", { 0, -0.0, INFINITY, -1, NAN, 3e38f, -1, -1 } },
        { "celu", { 0, -0.0, INFINITY, -1, NAN, 3e38f, -1, -1 } },
        { "selu", { 0, -0.0, INFINITY, ANY, NAN, ANY, ANY, ANY } },
        { "gelu", { 0, -0.0, INFINITY, -0.0, NAN, 3e38f, -0.0, -0.0 } },
        { "silu", { 0, -0.0, INFINITY, -0.0, NAN, 3e38f, -0.0, -0.0 } },
        { "hardswish", { 0, -0.0, INFINITY, -0.0, NAN, 3e38f, -0.0, -0.0 } },
        { "hardsigmoid", { 0.5, 0.5, 1, 0, NAN, 1, 0, 0 } },
        { "softplus", { ANY, ANY, INFINITY, 0, NAN, 3e38f, 0, 0 } },
        { "mish", { 0, -0.0, INFINITY, -0.0, NAN, 3e38f, -0.0, -0.0 } },
        { "softsign", { 0, -0.0, 1, -1, NAN, 1, -1, ANY } },
        { "thresholded_relu", { 0, 0, INFINITY, 0, NAN, 3e38f, 0, 0 } },
    };
    float y[COUNT(x)];
    for (size_t r = 0; r < COUNT(rows); r++) {
        apply(rows[r].op, TUFF_F32, x, NULL, COUNT(x), TUFF_F32, y, NULL);
        for (size_t i = 0; i < COUNT(x); i++)
            if (rows[r].want[i] != ANY && !same(y[i], rows[r].want[i]))
                FAIL("%s(%g) is %g, expected %g", rows[r].op, x[i], y[i], rows[r].want[i]);
    }
    const tuff_gelu_params by_tanh = { .approximate = TUFF_GELU_TANH };
    apply("gelu", TUFF_F32, x, NULL, COUNT(x), TUFF_F32, y, &by_tanh);
    EXPECT(same(y[2], INFINITY) && same(y[3], -0.0) && same(y[4], NAN) && same(y[6], -0.0));
}

static void roundings(void)
{
    static const float x[] = { 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -0.3f, 8388607.5f, -0.7f };
    static const double want[3][COUNT(x)] = { { 0, 2, 2, -0.0, -2, -0.0, 8388608, -1 },
                                              { 0, 1, 2, -1, -2, -1, 8388607, -1 },
                                              { 1, 2, 3, -0.0, -1, -0.0, 8388608, -0.0 } };
    static const char *const op[] = { "round", "floor", "ceil" };
    float y[COUNT(x)];
    for (int o = 0; o < 3; o++) {
        apply(op[o], TUFF_F32, x, NULL, COUNT(x), TUFF_F32, y, NULL);
        for (size_t i = 0; i < COUNT(x); i++)
            if (!same(y[i], want[o][i])) FAIL("%s(%g) is %g", op[o], x[i], y[i]);
    }
}

// Derivatives far out are those of the straight lines that the functions become.
static void ends_of_slopes(void)
{
    static const float x[] = { INFINITY, -INFINITY, 1e30f, -1e30f }, dy[] = { 2, 2, 2, 2 };
    static const struct {
        const char *op;
        double right, left;
    } rows[] = {
        { "gelu_grad", 2, 0 },      { "silu_grad", 2, 0 },     { "mish_grad", 2, 0 },
        { "softplus_grad", 2, 0 },  { "elu_grad", 2, 0 },      { "celu_grad", 2, 0 },
        { "hardswish_grad", 2, 0 }, { "softsign_grad", 0, 0 }, { "erf_grad", 0, 0 },
    };
    float y[COUNT(x)];
    for (size_t r = 0; r < COUNT(rows); r++) {
        apply(rows[r].op, TUFF_F32, x, dy, COUNT(x), TUFF_F32, y, NULL);
        for (size_t i = 0; i < COUNT(x); i++) {
            const double want = x[i] > 0 ? rows[r].right : rows[r].left;
            if (y[i] != (float)want) FAIL("%s(%g) is %g", rows[r].op, x[i], y[i]);
        }
    }
}

static void ends_of_two(void)
{
    static const struct {
        const char *op;
        float a, b;
        double want;
    } rows[] = {
        { "pow", 0, 0, 1 },
        { "pow", NAN, 0, 1 },
        { "pow", 1, NAN, 1 },
        { "pow", 1, INFINITY, 1 },
        { "pow", -1, INFINITY, 1 },
        { "pow", NAN, 2, NAN },
        { "pow", 2, NAN, NAN },
        { "pow", -2, 3, -8 },
        { "pow", -2, 4, 16 },
        { "pow", -2, 0.5f, NAN },
        { "pow", -2, (float)16777217, INFINITY }, // 2^24 + 1 is 2^24 in f32: even
        { "pow", 0, -1, INFINITY },
        { "pow", -0.0f, -1, -INFINITY },
        { "pow", -0.0f, -2, INFINITY },
        { "pow", -0.0f, 3, -0.0 },
        { "pow", 0, 2.5f, 0 },
        { "pow", INFINITY, -0.5f, 0 },
        { "pow", -INFINITY, 3, -INFINITY },
        { "pow", -INFINITY, -3, -0.0 },
        { "pow", -INFINITY, 0.5f, INFINITY },
        { "pow", 0.5f, INFINITY, 0 },
        { "pow", 0.5f, -INFINITY, INFINITY },
        { "pow", 1.0000001f, 3e38f, INFINITY },
        { "pow", 10, 39, INFINITY },
        { "pow", 10, -50, 0 },
        { "mod", 5.5f, INFINITY, 5.5 },
        { "mod", 5, 0, NAN },
        { "mod", INFINITY, 3, NAN },
        { "mod", NAN, 3, NAN },
        { "mod", -5, 3, 1 },
        { "mod", 5, -3, -1 },
        { "mod", 3e38f, 1e-37f, ANY },
        { "min", NAN, 1, NAN },
        { "min", 1, NAN, NAN },
        { "max", NAN, 1, NAN },
        { "max", 1, NAN, NAN },
        { "max", -INFINITY, -3e38f, -3e38f },
        { "div", 1, 0, INFINITY },
        { "div", -1, 0, -INFINITY },
        { "div", 0, 0, NAN },
        { "xlogy", 0, 0, 0 },
        { "xlogy", 0, INFINITY, 0 },
        { "xlogy", 0, NAN, NAN },
        { "xlogy", 2, 0, -INFINITY },
        { "prelu", -INFINITY, 0.5f, -INFINITY },
        { "prelu", NAN, 0.5f, NAN },
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        // Several at once, as every kernel takes them.
        const float a[] = { rows[r].a, rows[r].a, rows[r].a, rows[r].a };
        const float b[] = { rows[r].b, rows[r].b, rows[r].b, rows[r].b };
        double want = rows[r].want;
        float y[4];
        apply(rows[r].op, TUFF_F32, a, b, 4, TUFF_F32, y, NULL);
        if (want != ANY && !same(y[2], want))
            FAIL("%s(%g, %g) is %g, expected %g", rows[r].op, rows[r].a, rows[r].b, y[2], want);
    }
}

static void comparisons_know_nan(void)
{
    static const float a[] = { 1, NAN, NAN, 0, INFINITY, 2 }, b[] = { NAN, 1, NAN, -0.0f,
                                                                     INFINITY, 1 };
    static const struct {
        const char *op;
        uint8_t want[COUNT(a)];
    } rows[] = {
        { "equal", { 0, 0, 0, 1, 1, 0 } },         { "greater", { 0, 0, 0, 0, 0, 1 } },
        { "greater_or_equal", { 0, 0, 0, 1, 1, 1 } }, { "less", { 0, 0, 0, 0, 0, 0 } },
        { "less_or_equal", { 0, 0, 0, 1, 1, 0 } },
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        uint8_t y[COUNT(a)];
        apply(rows[r].op, TUFF_F32, a, b, COUNT(a), TUFF_BOOL, y, NULL);
        for (size_t i = 0; i < COUNT(a); i++)
            if (y[i] != rows[r].want[i]) FAIL("%s(%g, %g) is %d", rows[r].op, a[i], b[i], y[i]);
    }
}

// ---- whole numbers -------------------------------------------------------------------------

static void whole_numbers_wrap(void)
{
    static const struct {
        const char *op;
        int32_t a, b, want;
        tuff_dtype type;
    } rows[] = {
        { "add", INT_MAX, 1, INT_MIN, TUFF_I32 },
        { "sub", INT_MIN, 1, INT_MAX, TUFF_I32 },
        { "mul", 65537, 65537, 131073, TUFF_I32 },
        { "mul", -7, 3, -21, TUFF_I32 },
        { "div", INT_MIN, -1, INT_MIN, TUFF_I32 },
        { "div", -7, 2, -3, TUFF_I32 },
        { "div", 7, 0, 0, TUFF_I32 },
        { "div", -2, 2, INT_MAX, TUFF_U32 },
        { "mod", -7, 3, 2, TUFF_I32 },
        { "mod", 7, -3, -2, TUFF_I32 },
        { "mod", INT_MIN, -1, 0, TUFF_I32 },
        { "mod", 7, 0, 0, TUFF_I32 },
        { "mod", -1, 10, 5, TUFF_U32 },
        { "pow", 3, 20, -808182895, TUFF_I32 },
        { "pow", 2, -1, 0, TUFF_I32 },
        { "pow", -1, -3, -1, TUFF_I32 },
        { "pow", 0, 0, 1, TUFF_I32 },
        { "min", -1, 1, 1, TUFF_U32 },
        { "max", -1, 1, -1, TUFF_U32 },
        { "max", -1, 1, 1, TUFF_I32 },
        { "bit_shift", 1, 31, INT_MIN, TUFF_U32 },
        { "bit_shift", 1, 32, 0, TUFF_U32 },
        { "bitwise_and", -256, 4095, 3840, TUFF_I32 },
        { "bitwise_xor", -1, 1, -2, TUFF_U32 },
        { "neg", INT_MIN, 0, INT_MIN, TUFF_I32 },
        { "abs", INT_MIN, 0, INT_MIN, TUFF_I32 },
        { "sign", INT_MIN, 0, -1, TUFF_I32 },
        { "bitwise_not", 5, 0, -6, TUFF_I32 },
    };
    for (size_t r = 0; r < COUNT(rows); r++) {
        const int32_t a[] = { rows[r].a, rows[r].a, rows[r].a, rows[r].a };
        const int32_t b[] = { rows[r].b, rows[r].b, rows[r].b, rows[r].b };
        const bool one = strcmp(rows[r].op, "neg") == 0 || strcmp(rows[r].op, "abs") == 0 ||
                         strcmp(rows[r].op, "sign") == 0 ||
                         strcmp(rows[r].op, "bitwise_not") == 0;
        int32_t y[4];
        apply(rows[r].op, rows[r].type, a, one ? NULL : b, 4, rows[r].type, y, NULL);
        if (y[1] != rows[r].want)
            FAIL("%s(%d, %d) is %d, expected %d", rows[r].op, rows[r].a, rows[r].b, y[1],
                 rows[r].want);
    }
}

static void unsigned_numbers_compare(void)
{
    const uint32_t a[] = { 0xffffffffu, 1 }, b[] = { 1, 0x80000000u };
    uint8_t y[2], z[2];
    apply("greater", TUFF_U32, a, b, 2, TUFF_BOOL, y, NULL);
    apply("greater", TUFF_I32, a, b, 2, TUFF_BOOL, z, NULL);
    EXPECT(y[0] == 1 && y[1] == 0 && z[0] == 0 && z[1] == 1);
}

// A byte other than 0 is true, whatever it is.
static void truth_is_not_zero(void)
{
    const uint8_t a[] = { 0, 1, 2, 255, 0 }, b[] = { 0, 2, 1, 0, 128 };
    static const uint8_t want[4][5] = { { 0, 1, 1, 0, 0 }, { 0, 1, 1, 1, 1 },
                                        { 0, 0, 0, 1, 1 }, { 1, 1, 1, 0, 0 } };
    static const char *const op[] = { "and", "or", "xor", "equal" };
    uint8_t y[5];
    for (int o = 0; o < 4; o++) {
        apply(op[o], TUFF_BOOL, a, b, 5, TUFF_BOOL, y, NULL);
        if (memcmp(y, want[o], 5) != 0) FAIL("%s of bool is wrong", op[o]);
    }
    apply("not", TUFF_BOOL, a, NULL, 5, TUFF_BOOL, y, NULL);
    EXPECT(y[0] == 1 && !y[1] && !y[2] && !y[3] && y[4] == 1);
}

// ---- refusals ------------------------------------------------------------------------------

static void refuses_what_does_not_fit(void)
{
    tuff_tensor *x = tensor(TUFF_F32, 3, NULL), *slope = tensor(TUFF_F32, 1, NULL);
    tuff_tensor *two = tensor(TUFF_F32, 2, NULL), *whole = tensor(TUFF_I32, 3, NULL);
    tuff_tensor *y = tensor(TUFF_F32, 3, NULL), *mask = tensor(TUFF_BOOL, 3, NULL);
    const tuff_tensor *const many[] = { x, slope, two };
#define REFUSED(call, code, part)                                               \
    (void)(EXPECT_STATUS(call, code) && EXPECT_HAS(tuff_last_error(), part))
    REFUSED(tuff_add(stream, x, two, y), TUFF_ERR_SHAPE, "add: a is f32 [3] and b is f32 [2]");
    REFUSED(tuff_sum(stream, many, 3, y), TUFF_ERR_SHAPE, "what comes before is f32 [3] and c");
    REFUSED(tuff_add(stream, x, whole, y), TUFF_ERR_DTYPE, "a is f32 and b is i32");
    REFUSED(tuff_prelu(stream, slope, x, y), TUFF_ERR_SHAPE, "slope is f32 [3], it cannot be");
    REFUSED(tuff_less(stream, x, x, y), TUFF_ERR_SHAPE, "y must be bool [3]");
    REFUSED(tuff_and(stream, x, x, y), TUFF_ERR_DTYPE, "a is f32, expected bool");
    REFUSED(tuff_where(stream, mask, NULL, NULL, y), TUFF_ERR_ARG, "a and b are missing");
    REFUSED(tuff_where(stream, x, x, x, y), TUFF_ERR_DTYPE, "cond is f32");
    REFUSED(tuff_erf(stream, whole, whole), TUFF_ERR_DTYPE, "x is i32, expected f32");
    tuff_tensor *const all[] = { x, slope, two, whole, y, mask };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(&(tuff_tensor *){ all[i] });
}

static void all_accurate(void) { each_variant(accurate); }
static void all_powers(void) { each_variant(powers_are_accurate); }
static void all_remainders(void) { each_variant(remainders_are_exact); }
static void all_ends(void) { each_variant(ends_of_one); }
static void all_roundings(void) { each_variant(roundings); }
static void all_slopes(void) { each_variant(ends_of_slopes); }
static void all_ends_of_two(void) { each_variant(ends_of_two); }
static void all_comparisons(void) { each_variant(comparisons_know_nan); }
static void all_whole(void) { each_variant(whole_numbers_wrap); }
static void all_unsigned(void) { each_variant(unsigned_numbers_compare); }

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    CASE(all_accurate);
    CASE(all_powers);
    CASE(all_remainders);
    CASE(all_ends);
    CASE(all_roundings);
    CASE(all_slopes);
    CASE(all_ends_of_two);
    CASE(all_comparisons);
    CASE(all_whole);
    CASE(all_unsigned);
    CASE(truth_is_not_zero);
    CASE(refuses_what_does_not_fit);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
