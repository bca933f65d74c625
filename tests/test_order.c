// What is largest where there are NaNs, infinities, zeros of both signs and numbers too small
// to be normal: argmax, argmin, top_k and the log of a sum of exponentials, every variant, on
// the device that TUFF_DEVICE names.
#include "harness.h"
#include "ops/ops.h"
#include <float.h>
#include <math.h>
#include <string.h>

#define TINY (FLT_MIN / 4)
enum { N = 6 };

static tuff_device *dev;
static tuff_stream *stream;

static tuff_tensor *tensor(tuff_desc d, const void *data)
{
    return new_tensor(dev, stream, d, data);
}

static void take(tuff_tensor *t, void *data)
{
    EXPECT_OK(tuff_tensor_read(stream, t, data, tuff_desc_bytes(tuff_tensor_desc(t))));
    tuff_tensor_destroy(&t);
}

// Calls `check` with each variant of an op that this device can run; on the CPU path once.
static void each_variant(const char *op, void (*check)(void))
{
    const tuff_caps *k = tuff_device_caps(dev);
    const tuff_variant *v = tuff_op_find(op)->variants;
    if (k->cpu) check();
    for (int i = 0; !k->cpu && v[i].name; i++) {
        // Rows of six elements are nothing for a workgroup.
        const bool texel = strcmp(v[i].name, "texel") == 0;
        if (strcmp(v[i].name, "group") == 0 || (texel && !k->cpu_like)) continue;
        tuff_variant_force(v[i].name);
        check();
        tuff_variant_force(NULL);
    }
}

static const float rows[][N] = {
    { 1, NAN, 3, NAN, -1, 2 },
    { -INFINITY, -FLT_MAX, -INFINITY, INFINITY, FLT_MAX, INFINITY },
    { -0.0f, 0, -0.0f, 0, -0.0f, -0.0f },
    { 0, TINY, -TINY, 2 * TINY, -2 * TINY, TINY },
    { -3, -2, -2, -1, -1, -5 },
};

static int32_t place(const char *op, const float *x, const tuff_arg_params *p)
{
    int32_t y = -1;
    tuff_tensor *tx = tensor(TUFF_SHAPE(TUFF_F32, N), x);
    tuff_tensor *ty = tensor(TUFF_SCALAR(TUFF_I32), NULL);
    EXPECT_OK(tuff_op_run(stream, op, TUFF_RUN_IN(tx), TUFF_RUN_OUT(ty), p));
    take(ty, &y);
    tuff_tensor_destroy(&tx);
    return y;
}

static void places(void)
{
    static const int32_t first_max[] = { 1, 3, 0, 3, 3 }, last_max[] = { 3, 5, 5, 3, 4 };
    static const int32_t first_min[] = { 1, 0, 0, 4, 5 }, last_min[] = { 3, 2, 5, 4, 5 };
    const tuff_arg_params last = { .select_last_index = true };
    for (size_t r = 0; r < COUNT(rows); r++) {
        EXPECT_EQ(place("argmax", rows[r], NULL), first_max[r]);
        EXPECT_EQ(place("argmax", rows[r], &last), last_max[r]);
        EXPECT_EQ(place("argmin", rows[r], NULL), first_min[r]);
        EXPECT_EQ(place("argmin", rows[r], &last), last_min[r]);
    }
}

static void order_of(const float *x, bool smallest, const int32_t want[N])
{
    float values[N];
    int32_t at[N];
    const tuff_top_k_params p = { .k = N, .smallest = smallest };
    tuff_tensor *tx = tensor(TUFF_SHAPE(TUFF_F32, N), x);
    tuff_tensor *tv = tensor(TUFF_SHAPE(TUFF_F32, N), NULL);
    tuff_tensor *ti = tensor(TUFF_SHAPE(TUFF_I32, N), NULL);
    EXPECT_OK(tuff_top_k(stream, tx, tv, ti, &p));
    take(tv, values);
    take(ti, at);
    tuff_tensor_destroy(&tx);
    for (int i = 0; i < N; i++) {
        EXPECT_EQ(at[i], want[i]);
        EXPECT(memcmp(&values[i], &x[want[i]], sizeof *x) == 0); // -0 and NaNs as they were
    }
}

static void orders(void)
{
    static const int32_t largest[][N] = { { 1, 3, 2, 5, 0, 4 }, { 3, 5, 4, 1, 0, 2 },
                                          { 0, 1, 2, 3, 4, 5 }, { 3, 1, 5, 0, 2, 4 },
                                          { 3, 4, 1, 2, 0, 5 } };
    static const int32_t smallest[][N] = { { 4, 0, 5, 2, 1, 3 }, { 0, 2, 1, 4, 3, 5 },
                                           { 0, 1, 2, 3, 4, 5 }, { 4, 2, 0, 1, 5, 3 },
                                           { 5, 0, 1, 2, 3, 4 } };
    for (size_t r = 0; r < COUNT(rows); r++) {
        order_of(rows[r], false, largest[r]);
        order_of(rows[r], true, smallest[r]);
    }
}

static float log_sum_exp(const float *x, int64_t n)
{
    float y = 0;
    tuff_tensor *tx = tensor(TUFF_SHAPE(TUFF_F32, n), x);
    tuff_tensor *ty = tensor(TUFF_SCALAR(TUFF_F32), NULL);
    EXPECT_OK(tuff_reduce_log_sum_exp(stream, tx, ty, NULL));
    take(ty, &y);
    tuff_tensor_destroy(&tx);
    return y;
}

static void sums_of_exponentials(void)
{
    EXPECT(isnan(log_sum_exp(rows[0], N)));
    EXPECT(log_sum_exp(rows[1], N) == INFINITY);
    EXPECT(log_sum_exp((const float[]){ -INFINITY, -INFINITY }, 2) == -INFINITY);
    EXPECT(log_sum_exp((const float[]){ -INFINITY, 7, -INFINITY }, 3) == 7);
    EXPECT(isnan(log_sum_exp((const float[]){ INFINITY, 7, NAN }, 3)));
    EXPECT_NEAR(log_sum_exp((const float[]){ 1000, 1000 }, 2), 1000 + log(2), 1e-4);
    EXPECT_NEAR(log_sum_exp((const float[]){ -1e30f, -1000 }, 2), -1000, 1e-4);
}

static void all_places(void) { each_variant("argmax", places); }
static void all_orders(void) { each_variant("top_k", orders); }
static void all_sums(void) { each_variant("reduce_log_sum_exp", sums_of_exponentials); }

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    EXPECT_OK(tuff_stream_create(dev, &stream));
    CASE(all_places);
    CASE(all_orders);
    CASE(all_sums);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
