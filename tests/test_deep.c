// Deep Compression: k-means of numbers, weights that share them, and the gradients of what they
// share. test_deep_paper.c has the whole.
#include "harness.h"
#include "base/distinct.h"
#include "base/rng.h"
#include "tiny.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;

// ---- different numbers ----------------------------------------------------------------------

static void different_numbers(void)
{
    static float x[2000];
    static uint8_t index[2000];
    tuff_distinct d;
    for (int i = 0; i < 2000; i++) x[i] = (float)(i * 7 % 256) - 100; // 255 and zero
    EXPECT(tuff_distinct_find(&d, x, 2000) && d.count == 255);
    for (int i = 2; i <= d.count; i++) EXPECT(d.number[i - 1] < d.number[i]);
    tuff_distinct_index(&d, x, 2000, index);
    for (int i = 0; i < 2000; i++) EXPECT(d.number[index[i]] == x[i]);
    x[1999] = 0.5f; // one more
    EXPECT(!tuff_distinct_find(&d, x, 2000));
    const float odd[] = { 0, -0.0f, NAN, INFINITY, 0, NAN };
    EXPECT(tuff_distinct_find(&d, odd, 6) && d.count == 3);
    tuff_distinct_index(&d, odd, 6, index);
    EXPECT(index[0] == 0 && index[4] == 0 && index[2] == index[5] && index[1] > 0);
    for (int i = 0; i < 6; i++) EXPECT(memcmp(&d.number[index[i]], &odd[i], 4) == 0);
}

// ---- k-means --------------------------------------------------------------------------------

// Lloyd's iterations as they are written: every number against every centroid.
static double plain_kmeans(const float *x, int n, double *centroid, int k)
{
    double error = 0;
    for (int round = 0; round < 1000; round++) {
        double sum[64] = { 0 };
        int count[64] = { 0 }, moved = 0;
        error = 0;
        for (int i = 0; i < n; i++) {
            int best = 0;
            for (int j = 1; j < k; j++)
                if (fabs((double)x[i] - centroid[j]) < fabs((double)x[i] - centroid[best]))
                    best = j;
            sum[best] += (double)x[i];
            count[best]++;
            error += ((double)x[i] - centroid[best]) * ((double)x[i] - centroid[best]);
        }
        for (int j = 0; j < k; j++) {
            if (!count[j]) continue;
            moved += fabs(sum[j] / count[j] - centroid[j]) > 1e-12;
            centroid[j] = sum[j] / count[j];
        }
        if (!moved) break;
    }
    return error;
}

static void kmeans_is_lloyds(void)
{
    enum { N = 3001, K = 17 };
    static float x[N];
    float centroid[K];
    double plain[K], error, want;
    int count;
    tuff_rng rng = { .seed = 3 };
    float low = INFINITY, high = -INFINITY;
    for (int i = 0; i < N; i++) {
        x[i] = tuff_rng_normal(&rng) * (i % 5 ? 0.3f : 1);
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    EXPECT_OK(tuff_kmeans(x, N, &(tuff_kmeans_params){ .clusters = K }, centroid, &count,
                          &error));
    for (int j = 0; j < K; j++)
        plain[j] = (double)low + ((double)high - (double)low) * j / (K - 1);
    want = plain_kmeans(x, N, plain, K);
    EXPECT_EQ(count, K);
    EXPECT_NEAR(error, want, 1e-9 * want);
    for (int j = 0; j < K; j++) EXPECT_NEAR(centroid[j], plain[j], 1e-6);
}

static void each_way_to_begin(void)
{
    // Three heaps, of which the third is a single number.
    float x[201], centroid[3];
    int count;
    double error, last = INFINITY;
    for (int i = 0; i < 200; i++) x[i] = (i % 2 ? 5.0f : -5.0f) + 0.001f * (float)(i % 10);
    x[200] = 40;
    for (int i = 0; i < 2; i++) {
        const tuff_kmeans_params p = { .clusters = 3, .init = (tuff_share_init)i };
        EXPECT_OK(tuff_kmeans(x, 201, &p, centroid, &count, &error));
        // A single number far away is what linear ones keep and others lose (the paper, 3.2).
        if (i == TUFF_SHARE_LINEAR) EXPECT_NEAR(centroid[count - 1], 40, 1e-6);
    }
    for (int rounds = 1; rounds < 8; rounds++) { // it only gets better
        const tuff_kmeans_params p = { .clusters = 3, .init = TUFF_SHARE_RANDOM, .seed = 1,
                                       .rounds = rounds };
        EXPECT_OK(tuff_kmeans(x, 201, &p, centroid, &count, &error));
        EXPECT(error <= last && count >= 1 && count <= 3);
        last = error;
    }
    EXPECT_OK(tuff_kmeans(x, 1, &(tuff_kmeans_params){ .clusters = 3 }, centroid, &count,
                          &error));
    EXPECT(count == 1 && centroid[0] == x[0] && error == 0);
}

static void what_kmeans_refuses(void)
{
    const float x[] = { 1, NAN };
    float c[2];
    int count;
    const tuff_kmeans_params none = { 0 }, two = { .clusters = 2 };
    const tuff_kmeans_params other = { .clusters = 2, .init = (tuff_share_init)7 };
    tuff_share_init init;
    EXPECT_STATUS(tuff_kmeans(x, 1, &none, c, &count, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "0 clusters");
    EXPECT_STATUS(tuff_kmeans(x, 2, &two, c, &count, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "number 1 is nan");
    EXPECT_STATUS(tuff_kmeans(x, 0, &two, c, &count, NULL), TUFF_ERR_ARG);
    EXPECT_STATUS(tuff_kmeans(x, 1, &other, c, &count, NULL), TUFF_ERR_ARG);
    EXPECT_OK(tuff_share_init_parse("density", &init));
    EXPECT(init == TUFF_SHARE_DENSITY);
    EXPECT_STATUS(tuff_share_init_parse("forgy", &init), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "'forgy' is not known");
}

// ---- shared weights -------------------------------------------------------------------------

static int different(tuff_model *model, const char *name, int64_t count, int64_t *zeros)
{
    tuff_distinct d;
    float *w = malloc((size_t)count * sizeof *w);
    EXPECT_OK(tuff_model_get(model, name, w, count));
    *zeros = 0;
    for (int64_t i = 0; i < count; i++) *zeros += w[i] == 0;
    const int n = tuff_distinct_find(&d, w, count) ? d.count : 256;
    free(w);
    return n;
}

enum { DENSE = 1600 };

// The tiny net with every third weight of its first dense layer zero.
static tuff_model *thinned(tuff_dataset *data)
{
    tuff_model *model = tiny_model(device, data, TINY_NET);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 4 }, NULL));
    float *w = malloc(DENSE * sizeof *w);
    EXPECT_OK(tuff_model_get(model, "4.weight", w, DENSE));
    for (int i = 0; i < DENSE; i += 3) w[i] = 0;
    EXPECT_OK(tuff_model_set(model, "4.weight", w, DENSE));
    free(w);
    return model;
}

static void weights_are_shared(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 128, .test = 64 });
    tuff_model *model = thinned(data), *shared, *again;
    const tuff_share_params p = { .bits_conv = 3, .bits_dense = 4 };
    float bias[2][16], before[36], after[36];
    int64_t zeros;
    EXPECT_OK(tuff_share(model, NULL, &p, &shared));
    EXPECT_EQ(different(shared, "4.weight", DENSE, &zeros), 15);
    EXPECT_EQ(zeros, (DENSE + 2) / 3);
    EXPECT(different(shared, "0.weight", 36, &zeros) <= 7 && zeros == 0);
    EXPECT_EQ(different(model, "4.weight", DENSE, &zeros), 256); // as it was
    EXPECT_OK(tuff_model_get(model, "4.bias", bias[0], 16));
    EXPECT_OK(tuff_model_get(shared, "4.bias", bias[1], 16));
    EXPECT(memcmp(bias[0], bias[1], sizeof bias[0]) == 0);
    // Each weight has the nearest of the numbers.
    EXPECT_OK(tuff_model_get(model, "0.weight", before, 36));
    EXPECT_OK(tuff_model_get(shared, "0.weight", after, 36));
    for (int i = 0; i < 36; i++)
        for (int k = 0; k < 36; k++)
            EXPECT(fabsf(before[i] - after[i]) <= fabsf(before[i] - after[k]) + 1e-6f);
    // What is few already stays as it is, and the defaults are 8 and 5 bits.
    EXPECT_OK(tuff_share(shared, NULL, NULL, &again));
    EXPECT(tiny_same(shared, again));
    tuff_model_destroy(&again);
    const tuff_share_params biases = { .bits_bias = 2 };
    EXPECT_OK(tuff_share(model, NULL, &biases, &again));
    EXPECT_EQ(different(again, "4.weight", DENSE, &zeros), 31);
    EXPECT_EQ(different(again, "4.bias", 16, &zeros), 3);
    tuff_model_destroy(&again);
    tuff_model_destroy(&shared);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- training what is shared ----------------------------------------------------------------

static void one_step(tuff_model *model, bool shared, const float *x, const int32_t *y)
{
    tuff_trainer *t;
    const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD, .lr = 0.5f }, .batch = 8,
                                  .keep_shared = shared };
    if (!EXPECT_OK(tuff_trainer_create(model, &p, 3, 0, &t))) return;
    EXPECT_OK(tuff_trainer_step(t, x, y, 8));
    tuff_metrics m;
    EXPECT_OK(tuff_trainer_read(t, &m));
    tuff_trainer_destroy(&t);
}

// A plain step tells each weight's gradient; a shared number must move by the sum of its
// weights', zeros not at all, and biases as they would.
static void gradients_are_summed(void)
{
    enum { IN = 6, OUT = 3, N = IN * OUT };
    static const float number[] = { 0, 0.25f, -0.5f };
    const tuff_model_params p = { .net = "dense 3", .input = TUFF_SHAPE(TUFF_F32, IN) };
    tuff_model *plain, *shared;
    float w[N], apart[N], together[N], bias[2][OUT], x[8 * IN], sum[3] = { 0 };
    int32_t y[8];
    for (int i = 0; i < N; i++) w[i] = number[i * 5 % 7 % 3];
    for (int i = 0; i < 8 * IN; i++) x[i] = sinf((float)i * 1.7f);
    for (int i = 0; i < 8; i++) y[i] = i % 3;
    EXPECT_OK(tuff_model_create(device, &p, &plain));
    EXPECT_OK(tuff_model_set(plain, "0.weight", w, N));
    EXPECT_OK(tuff_model_copy(plain, device, &shared));
    one_step(plain, false, x, y);
    one_step(shared, true, x, y);
    EXPECT_OK(tuff_model_get(plain, "0.weight", apart, N));
    EXPECT_OK(tuff_model_get(shared, "0.weight", together, N));
    EXPECT_OK(tuff_model_get(plain, "0.bias", bias[0], OUT));
    EXPECT_OK(tuff_model_get(shared, "0.bias", bias[1], OUT));
    for (int i = 0; i < N; i++) sum[i * 5 % 7 % 3] += apart[i] - w[i];
    EXPECT(fabsf(sum[0]) > 1e-3f && fabsf(sum[1]) > 1e-3f && fabsf(sum[2]) > 1e-3f);
    for (int i = 0; i < N; i++) {
        const int of = i * 5 % 7 % 3;
        EXPECT_NEAR(together[i], of ? w[i] + sum[of] : 0, 1e-5);
    }
    for (int i = 0; i < OUT; i++) EXPECT_NEAR(bias[0][i], bias[1][i], 1e-6);
    tuff_model_destroy(&shared);
    tuff_model_destroy(&plain);
}

static void shared_numbers_are_trained(void)
{
    static const tuff_optimizer_kind kinds[] = { TUFF_ADAM, TUFF_NESTEROV, TUFF_LAMB };
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 256, .test = 128 });
    tuff_model *model = thinned(data), *coarse, *shared;
    tuff_share_params p = { .bits_conv = 3, .bits_dense = 2 };
    tuff_metrics before, after;
    int64_t zeros;
    EXPECT_OK(tuff_share(model, NULL, &p, &coarse));
    EXPECT_OK(tuff_test(coarse, data, NULL, &before));
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const tuff_train_params tune = {
            .optimizer = { .kind = kinds[k], .lr = 0.002f, .clip_norm = 1,
                           .weight_decay = 1e-4f },
            .epochs = 5, .batch = 32,
        };
        p.tune = &tune;
        if (!EXPECT_OK(tuff_share(model, data, &p, &shared))) continue;
        EXPECT_EQ(different(shared, "4.weight", DENSE, &zeros), 3);
        EXPECT_EQ(zeros, (DENSE + 2) / 3);
        EXPECT(different(shared, "0.weight", 36, &zeros) <= 7);
        EXPECT_OK(tuff_test(shared, data, NULL, &after));
        EXPECT(after.loss < before.loss);
        tuff_model_destroy(&shared);
    }
    tuff_model_destroy(&coarse);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// A run that is broken off and resumed shares on, to the same bits.
static bool stop_early(void *user, const tuff_progress *p)
{
    (void)user;
    return p->epoch < 2;
}

static void shared_and_resumed(void)
{
    const char *path = temp_path("shared.safetensors");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 16 });
    tuff_model *model = thinned(data), *want, *broken, *back;
    EXPECT_OK(tuff_share(model, NULL, &(tuff_share_params){ .bits_dense = 3 }, &want));
    EXPECT_OK(tuff_model_copy(want, device, &broken));
    tuff_train_params p = { .epochs = 3, .batch = 16, .keep_shared = true };
    EXPECT_OK(tuff_train(want, data, &p, NULL));
    p.out = path;
    p.on_step = stop_early;
    EXPECT_OK(tuff_train(broken, data, &p, NULL));
    if (EXPECT_OK(tuff_model_load(device, path, &back))) {
        EXPECT_OK(tuff_train(back, data, &(tuff_train_params){ .resume = path }, NULL));
        EXPECT(tiny_same(back, want));
    }
    tuff_model_destroy(&back);
    tuff_model_destroy(&broken);
    tuff_model_destroy(&want);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void what_share_refuses(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 8 });
    tuff_model *model = tiny_model(device, data, TINY_NET), *shared;
    tuff_model *bare = tiny_model(device, data, "flatten | relu");
    const tuff_train_params tune = { .epochs = 1 };
    const tuff_share_params one = { .bits_dense = 1 }, nine = { .bits_conv = 9 };
    const tuff_share_params blind = { .tune = &tune };
    EXPECT_STATUS(tuff_share(model, data, &one, &shared), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "1 bits for dense layers, expected 2 to 8");
    EXPECT_STATUS(tuff_share(model, data, &nine, &shared), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "9 bits for convolutions");
    EXPECT_STATUS(tuff_share(model, NULL, &blind, &shared), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "needs data");
    EXPECT_STATUS(tuff_share(bare, data, NULL, &shared), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no weights");
    tuff_model_destroy(&bare);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(different_numbers);
    CASE(kmeans_is_lloyds);
    CASE(each_way_to_begin);
    CASE(what_kmeans_refuses);
    CASE(weights_are_shared);
    CASE(gradients_are_summed);
    CASE(shared_numbers_are_trained);
    CASE(shared_and_resumed);
    CASE(what_share_refuses);
    tuff_device_close(&device);
    return report();
}
