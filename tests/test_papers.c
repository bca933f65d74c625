// Tables of distillation and pruning in short, on real images: part of them, and few epochs.
// The programs in bench/papers are the whole.
#include "harness.h"
#include <stdio.h>
#include <sys/stat.h>

static tuff_device *device;

static tuff_dataset *images(int64_t train, const char *without)
{
    const tuff_dataset_params some = { .limit_train = train, .limit_test = 4000,
                                       .without = without };
    tuff_dataset *data = NULL;
    EXPECT_OK(tuff_dataset_open("fashion", &some, &data));
    return data;
}

static bool have_images(void)
{
    struct stat s;
    return stat("/usr/share/datasets/fashion-mnist", &s) == 0;
}

static tuff_model *net_of(const char *net)
{
    const tuff_model_params p = { .net = net, .seed = 1,
                                  .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) };
    tuff_model *model = NULL;
    EXPECT_OK(tuff_model_create(device, &p, &model));
    return model;
}

static double accuracy(tuff_model *model, tuff_dataset *data)
{
    tuff_metrics m = { 0 };
    EXPECT_OK(tuff_test(model, data, NULL, &m));
    return m.accuracy;
}

// Hinton et al. 2015: of the same 1,000 examples a student learns more from a teacher than from
// labels, and knows a class that it has never seen.
static void distillation(void)
{
    if (!have_images()) SKIP("Fashion-MNIST is not installed");
    enum { BAG = 8 };
    tuff_dataset *all = images(12000, NULL), *few = images(1000, NULL);
    tuff_dataset *blind = images(1000, "8");
    tuff_model *teacher = net_of("flatten | dense 200 | relu | dropout 0.3 | dense 10");
    tuff_model *student = net_of("flatten | dense 50 | relu | dense 10"), *made[3];
    const tuff_train_params learn = { .epochs = 6, .batch = 128 };
    const tuff_train_params tune = { .epochs = 30, .schedule = { .kind = TUFF_COSINE } };
    tuff_distill_params p = { .teach = { .teacher = &teacher, .teachers = 1,
                                         .temperature = 4, .alpha = 0.9f,
                                         .cache = temp_path("papers.said") }, .tune = &tune };
    EXPECT_OK(tuff_train(teacher, all, &learn, NULL));
    EXPECT_OK(tuff_distill(student, few, &p, &made[1]));
    p.teach.cache = NULL;
    EXPECT_OK(tuff_distill(student, blind, &p, &made[2]));
    p.teach.alpha = TUFF_ZERO;
    EXPECT_OK(tuff_distill(student, few, &p, &made[0]));
    const double best = accuracy(teacher, all), plain = accuracy(made[0], all);
    const double taught = accuracy(made[1], all);
    static float scores[4000 * 10];
    static int32_t label[4000];
    tuff_metrics m;
    int seen = 0, right = 0;
    EXPECT_OK(tuff_test(made[2], all, &(tuff_test_params){ .scores = scores }, &m));
    EXPECT_OK(tuff_dataset_read(all, TUFF_TEST, 0, 4000, NULL, label, NULL));
    for (int i = 0; i < 4000; i++) {
        bool most = true;
        for (int c = 0; c < 10; c++) most &= scores[i * 10 + c] <= scores[i * 10 + BAG];
        seen += label[i] == BAG;
        right += label[i] == BAG && most;
    }
    printf("distillation in short: teacher %.2f, labels %.2f, taught %.2f %%; of a class never "
           "seen %d of %d\n", 100 * best, 100 * plain, 100 * taught, right, seen);
    EXPECT(best > plain + 0.02 && taught > plain + 0.005);
    EXPECT(seen > 300 && right > seen / 4);
    for (int i = 0; i < 3; i++) tuff_model_destroy(&made[i]);
    tuff_model_destroy(&student);
    tuff_model_destroy(&teacher);
    tuff_dataset_destroy(&blind);
    tuff_dataset_destroy(&few);
    tuff_dataset_destroy(&all);
}

// Liu et al. 2017: of the paper's MLP four of five neurons go, and what is left is a smaller
// net, a faster one, that is about as right.
static void network_slimming(void)
{
    if (!have_images()) SKIP("Fashion-MNIST is not installed");
    tuff_dataset *data = images(12000, NULL);
    tuff_model *model = net_of("flatten | dense 500 | bn | relu | dense 300 | bn | relu | "
                               "dense 10"), *small = NULL;
    const tuff_optimizer sgd = { .kind = TUFF_NESTEROV, .lr = 0.1f, .weight_decay = 1e-4f };
    const tuff_schedule steps = { .kind = TUFF_STEP, .every = 2 };
    const tuff_train_params slim = { .epochs = 4, .batch = 256, .optimizer = sgd,
                                     .schedule = steps, .slim = 1e-3f };
    const tuff_train_params tune = { .epochs = 4, .batch = 256, .optimizer = sgd,
                                     .schedule = steps };
    const tuff_prune_params prune = { .method = TUFF_PRUNE_SLIMMING, .sparsity = 0.8,
                                      .target = TUFF_PRUNE_NEURONS, .tune = &tune };
    tuff_measure before, after;
    EXPECT_OK(tuff_train(model, data, &slim, NULL));
    EXPECT_OK(tuff_prune(model, data, &prune, &small));
    EXPECT_OK(tuff_model_measure(model, data, NULL, &before));
    EXPECT_OK(tuff_model_measure(small, data, NULL, &after));
    const double gone = 1 - (double)after.parameters / (double)before.parameters;
    printf("network slimming in short: %.2f -> %.2f %% right, %.1f %% gone, %.3f -> %.3f ms\n",
           100 * before.test.accuracy, 100 * after.test.accuracy, 100 * gone, before.device_ms,
           after.device_ms);
    EXPECT(gone > 0.84 && after.device_ms < before.device_ms);
    EXPECT(before.test.accuracy > 0.82);
    EXPECT(after.test.accuracy > before.test.accuracy - 0.015);
    EXPECT(after.memory * 3 < before.memory);
    tuff_model_destroy(&small);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Han et al. 2015: 12 times fewer weights at no loss, and it matters which.
static void pruning(void)
{
    if (!have_images()) SKIP("Fashion-MNIST is not installed");
    tuff_dataset *data = images(12000, NULL);
    tuff_model *model = net_of("lenet-300-100"), *pruned[2];
    const tuff_train_params learn = { .epochs = 5, .batch = 128 };
    const tuff_train_params tune = { .epochs = 5, .batch = 128,
                                     .schedule = { .kind = TUFF_COSINE } };
    tuff_prune_params p = { .rates = "1=0.92 3=0.91 5=0.74", .gradual = true, .tune = &tune };
    tuff_measure before, after[2];
    const tuff_measure_params untimed = { .runs = -1 };
    EXPECT_OK(tuff_train(model, data, &learn, NULL));
    EXPECT_OK(tuff_model_measure(model, data, &untimed, &before));
    for (int i = 0; i < 2; i++) {
        p.method = i ? TUFF_PRUNE_RANDOM : TUFF_PRUNE_L1;
        EXPECT_OK(tuff_prune(model, data, &p, &pruned[i]));
        EXPECT_OK(tuff_model_measure(pruned[i], data, &untimed, &after[i]));
        EXPECT(after[i].nonzeros * 12 <= before.parameters);
        tuff_model_destroy(&pruned[i]);
    }
    printf("pruning in short: %.2f -> %.2f %% right, %.2f by lot, %.1fx fewer weights\n",
           100 * before.test.accuracy, 100 * after[0].test.accuracy,
           100 * after[1].test.accuracy,
           (double)before.parameters / (double)after[0].nonzeros);
    EXPECT(after[0].test.accuracy > before.test.accuracy - 0.005);
    EXPECT(after[0].test.accuracy > after[1].test.accuracy + 0.005);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(distillation);
    CASE(network_slimming);
    CASE(pruning);
    tuff_device_close(&device);
    return report();
}
