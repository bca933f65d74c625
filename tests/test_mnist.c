// The real thing: LeNet-5 learns MNIST in five epochs of Adam. Takes minutes.
#include "harness.h"
#include <stdio.h>

static bool tell(void *user, const tuff_epoch *e)
{
    (void)user;
    printf("epoch %d: loss %.4f, test accuracy %.4f, %.0f images/s\n", e->epoch, e->train.loss,
           e->test.accuracy, e->train.images_per_second);
    fflush(stdout);
    return true;
}

static void lenet5_learns_mnist(void)
{
    const char *folder = shared_path("data/mnist");
    if (!folder) SKIP("data/mnist is not there");
    char spec[1024];
    snprintf(spec, sizeof spec, "idx:%s", folder);
    tuff_device *device = open_device();
    tuff_dataset *data = NULL;
    tuff_model *model = NULL;
    tuff_metrics m = { 0 };
    if (EXPECT_OK(tuff_dataset_open(spec, NULL, &data))) {
        const tuff_dataset_info *info = tuff_dataset_get_info(data);
        EXPECT(info->count[TUFF_TRAIN] == 60000 && info->count[TUFF_TEST] == 10000);
        const tuff_model_params net = { .net = "lenet5", .input = info->sample, .seed = 1 };
        const tuff_train_params p = { .schedule = { .kind = TUFF_COSINE }, .epochs = 5,
                                      .seed = 1, .on_epoch = tell };
        EXPECT_OK(tuff_model_create(device, &net, &model));
        EXPECT_OK(tuff_train(model, data, &p, NULL));
        EXPECT_OK(tuff_test(model, data, NULL, &m));
        EXPECT_EQ(m.examples, 10000);
        EXPECT(m.accuracy >= 0.988);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    CASE(lenet5_learns_mnist);
    return report();
}
