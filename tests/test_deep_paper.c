// Table 1 of Deep Compression in short, on real images.
#include "harness.h"
#include <stdio.h>
#include <sys/stat.h>

static tuff_device *device;

// Part of the images, and few epochs. bench/papers/deep_compression is the whole.
static void the_papers_direction(void)
{
    const char *folder = "/usr/share/datasets/fashion-mnist", *path = temp_path("paper.tuffz");
    tuff_dataset *data;
    struct stat s;
    if (stat(folder, &s) != 0) SKIP("Fashion-MNIST is not installed");
    const tuff_dataset_params some = { .limit_train = 12000, .limit_test = 4000 };
    if (!EXPECT_OK(tuff_dataset_open("fashion", &some, &data))) return;
    const tuff_model_params net = { .net = "lenet-300-100", .seed = 1,
                                    .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) };
    const tuff_train_params train = { .epochs = 5, .batch = 128 };
    const tuff_train_params tune = { .epochs = 5, .batch = 128,
                                     .schedule = { .kind = TUFF_COSINE } };
    const tuff_train_params share_tune = { .epochs = 2, .batch = 128,
                                           .optimizer = { .lr = 1e-4f } };
    const tuff_prune_params prune = { .rates = "1=0.92 3=0.91 5=0.74", .gradual = true,
                                      .tune = &tune };
    const tuff_share_params share = { .tune = &share_tune };
    tuff_model *model, *pruned = NULL, *shared = NULL, *back = NULL;
    tuff_metrics before, after;
    EXPECT_OK(tuff_model_create(device, &net, &model));
    EXPECT_OK(tuff_train(model, data, &train, NULL));
    EXPECT_OK(tuff_test(model, data, NULL, &before));
    EXPECT_OK(tuff_prune(model, data, &prune, &pruned));
    EXPECT_OK(tuff_share(pruned, data, &share, &shared));
    EXPECT_OK(tuff_model_save(shared, path));
    EXPECT_OK(tuff_model_load(device, path, &back));
    EXPECT_OK(tuff_test(back, data, NULL, &after));
    EXPECT(stat(path, &s) == 0 && s.st_size * 40 < 266610 * 4);
    EXPECT(before.accuracy > 0.82 && after.accuracy > before.accuracy - 0.01);
    printf("deep compression in short: %.2f -> %.2f %% right, %.1fx\n", 100 * before.accuracy,
           100 * after.accuracy, 266610 * 4.0 / (double)s.st_size);
    tuff_model_destroy(&back);
    tuff_model_destroy(&shared);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(the_papers_direction);
    tuff_device_close(&device);
    return report();
}
