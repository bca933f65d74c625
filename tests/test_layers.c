// Layers in training: that each kind learns, that dropout draws anew, that batch norm keeps its
// statistics.
#include "harness.h"
#include "base/rng.h"
#include <math.h>
#include <string.h>

static tuff_device *device;

// Nets that have every kind of layer with parameters learn one small batch by heart.
static void every_layer_learns(void)
{
    enum { N = 12, MOST = 64, CLASSES = 3, STEPS = 60 };
    static const struct {
        const char *net;
        tuff_desc sample;
        bool whole; // whole numbers below 8
    } cases[] = {
        { "embedding 8 6 | attention 2 | ln | flatten | dense 3",
          { TUFF_F32, 1, { 5 } }, true },
        { "dense 8 | residual(rms | attention 2 causal=yes ; dense 8) | flatten | dense 3",
          { TUFF_F32, 2, { 4, 6 } }, false },
        { "lstm 6 | dense 3", { TUFF_F32, 2, { 8, 4 } }, false },
        { "dense 9 | leaky_relu 0.2 | dense 9 | elu | dense 9 | gelu approximate=tanh | "
          "dense 3",
          { TUFF_F32, 1, { 20 } }, false },
        { "dense 16 | silu | dense 9 | mish | dense 9 | prelu | dense 9 | softplus | dense 3",
          { TUFF_F32, 1, { 20 } }, false },
        { "dense 16 | hardswish | dense 9 | selu | dense 9 | celu 2 | dense 9 | gelu | dense 3",
          { TUFF_F32, 1, { 20 } }, false },
        { "dense 16 | hardsigmoid | dense 9 | softsign | dense 3", { TUFF_F32, 1, { 20 } },
          false },
        { "gru 6 sequences=yes | flatten | dense 3", { TUFF_F32, 2, { 8, 4 } }, false },
        { "conv 4 3 pad=1 | gn 2 | tanh | dwconv 3 pad=1 multiplier=2 | bn | gap | dense 3",
          { TUFF_F32, 3, { 2, 5, 5 } }, false },
        { "concat(conv 3 1 ; residual(conv 2 3 pad=1 | bn)) | channelpad 1 2 | gmp | dense 3",
          { TUFF_F32, 3, { 2, 5, 5 } }, false },
    };
    const tuff_train_params p = { .batch = N, .optimizer = { .lr = 0.02f } };
    float x[N * MOST];
    int32_t y[N];
    for (int i = 0; i < N; i++) y[i] = i % CLASSES;
    for (size_t k = 0; k < COUNT(cases); k++) {
        tuff_model *model = NULL;
        tuff_trainer *trainer = NULL;
        tuff_metrics first = { 0 }, last = { 0 };
        const int64_t size = tuff_desc_count(&cases[k].sample);
        for (int64_t i = 0; i < N * size; i++) {
            const float u = tuff_rng_uniform_at(5 + k, (uint64_t)i);
            x[i] = cases[k].whole ? floorf(8 * u) : 2 * u - 1;
        }
        const tuff_model_params mp = { .net = cases[k].net, .input = cases[k].sample };
        if (EXPECT_OK(tuff_model_create(device, &mp, &model)) &&
            EXPECT_OK(tuff_trainer_create(model, &p, CLASSES, 0, &trainer))) {
            EXPECT_OK(tuff_trainer_step(trainer, x, y, N));
            EXPECT_OK(tuff_trainer_read(trainer, &first));
            for (int i = 0; i < STEPS; i++) EXPECT_OK(tuff_trainer_step(trainer, x, y, N));
            EXPECT_OK(tuff_trainer_read(trainer, &last));
            EXPECT_OK(tuff_trainer_step(trainer, x, y, N));
            EXPECT_OK(tuff_trainer_read(trainer, &last));
        }
        if (!(first.loss > 0.5 && last.loss < 0.5 * first.loss))
            FAIL("%s: the loss goes from %g to %g", cases[k].net, first.loss, last.loss);
        tuff_trainer_destroy(&trainer);
        tuff_model_destroy(&model);
    }
}

// Two steps drop other numbers, the same two steps the same ones, and a test none.
static void dropout_draws_anew_each_step(void)
{
    enum { N = 8, W = 16 };
    float x[N * W], a[W], b[W], y[W];
    int32_t labels[N];
    for (int i = 0; i < N * W; i++) x[i] = 1 + (float)(i % 5) / 4;
    for (int i = 0; i < N; i++) labels[i] = i % W;
    const tuff_train_params p = { .batch = N, .seed = 9, .optimizer = { .kind = TUFF_SGD,
                                                                       .lr = 0.1f } };
    const tuff_model_params mp = { .net = "dense 16 | dropout 0.5",
                                   .input = TUFF_SHAPE(TUFF_F32, W) };
    float bias[3][W];
    for (int run = 0; run < 2; run++) {
        tuff_model *model = NULL;
        tuff_trainer *trainer = NULL;
        if (!EXPECT_OK(tuff_model_create(device, &mp, &model)) ||
            !EXPECT_OK(tuff_trainer_create(model, &p, W, 0, &trainer)))
            return;
        EXPECT_OK(tuff_trainer_step(trainer, x, labels, N));
        EXPECT_OK(tuff_model_get(model, "0.bias", a, W));
        EXPECT_OK(tuff_trainer_step(trainer, x, labels, N));
        EXPECT_OK(tuff_model_get(model, "0.bias", b, W));
        for (int i = 0; i < W; i++) bias[run][i] = b[i];
        if (run == 0) {
            float again[W];
            EXPECT_OK(tuff_predict(model, x, 1, y));
            EXPECT_OK(tuff_predict(model, x, 1, again));
            int zeros = 0;
            for (int i = 0; i < W; i++) zeros += y[i] == 0;
            EXPECT(zeros == 0 && memcmp(y, again, sizeof y) == 0);
        }
        tuff_trainer_destroy(&trainer);
        tuff_model_destroy(&model);
    }
    EXPECT(memcmp(bias[0], bias[1], sizeof *bias) == 0);
    EXPECT(memcmp(a, b, sizeof a) != 0);
}

// One step of a batch norm: the running statistics move by a tenth towards the batch's, no
// optimizer touches them, and testing uses them.
static void running_statistics_follow_the_batches(void)
{
    enum { N = 16, C = 3 };
    float x[N * C], mean[C], var[C], y[C];
    int32_t labels[N];
    double want[C], spread[C];
    tuff_model *model = NULL;
    tuff_trainer *trainer = NULL;
    const tuff_train_params p = { .batch = N, .optimizer = { .kind = TUFF_ADAMW, .lr = 0.1f,
                                                             .weight_decay = 0.5f } };
    if (!EXPECT_OK(tuff_model_create(device, &(tuff_model_params){ .net = "bn",
                                     .input = TUFF_SHAPE(TUFF_F32, C) }, &model)))
        return;
    for (int c = 0; c < C; c++) {
        want[c] = spread[c] = 0;
        for (int i = 0; i < N; i++) {
            x[i * C + c] = (float)(i * (c + 2) % 7);
            want[c] += (double)x[i * C + c] / N;
        }
        for (int i = 0; i < N; i++)
            spread[c] += pow((double)x[i * C + c] - want[c], 2) / (N - 1);
    }
    for (int i = 0; i < N; i++) labels[i] = i % C;
    if (EXPECT_OK(tuff_trainer_create(model, &p, C, 0, &trainer)))
        EXPECT_OK(tuff_trainer_step(trainer, x, labels, N));
    EXPECT_OK(tuff_model_get(model, "0.running_mean", mean, C));
    EXPECT_OK(tuff_model_get(model, "0.running_var", var, C));
    for (int c = 0; c < C; c++) {
        EXPECT_NEAR((double)mean[c], 0.1 * want[c], 1e-6);
        EXPECT_NEAR((double)var[c], 0.9 + 0.1 * spread[c], 1e-5);
    }
    const float one[] = { 1, 1, 1 }, zero[] = { 0, 0, 0 };
    EXPECT_OK(tuff_model_set(model, "0.weight", one, C));
    EXPECT_OK(tuff_model_set(model, "0.bias", zero, C));
    EXPECT_OK(tuff_predict(model, x, 1, y));
    for (int c = 0; c < C; c++)
        EXPECT_NEAR((double)y[c],
                    ((double)x[c] - (double)mean[c]) / sqrt((double)var[c] + 1e-5), 1e-5);
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&model);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(every_layer_learns);
    CASE(dropout_draws_anew_each_step);
    CASE(running_statistics_follow_the_batches);
    tuff_device_close(&device);
    return report();
}
