// The five steps on images of 3 x 32 x 32: load data, define the model, choose the optimizer,
// train, test.
//
//   simplenet [CIFAR-10 FOLDER] [EPOCHS] [IMAGES]
//
// With a folder of CIFAR-10's binary batches (plain or .gz) it learns those; without one (or
// with ""), the default data (Fashion-MNIST), padded to 32 x 32 with the grey channel
// repeated. IMAGES trains on and tests with that many at most.
#include "example.h"

static bool on_epoch(void *user, const tuff_epoch *e)
{
    (void)user;
    printf("epoch %d  loss %.4f  test loss %.4f  test accuracy %.2f %%  %.0f images/s\n",
           e->epoch, e->train.loss, e->test.loss, e->test.accuracy * 100,
           e->train.images_per_second);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 && argv[1][0] ? argv[1] : NULL;
    const int epochs = argc > 2 ? atoi(argv[2]) : 2;
    const int images = argc > 3 ? atoi(argv[3]) : 0;
    if (epochs < 1 || images < 0)
        return fprintf(stderr, "usage: simplenet [CIFAR-10 FOLDER] [EPOCHS] [IMAGES]\n"), 2;
    tuff_device *device;
    DO(tuff_device_open(NULL, &device));

    // 1. Load data.
    char spec[4096] = "fashion";
    if (folder) snprintf(spec, sizeof spec, "cifar10:%s", folder);
    tuff_dataset *data;
    tuff_dataset_params how = { .limit_train = images, .limit_test = images };
    if (!folder) how.pad_to = 32, how.channels = 3; // grey 28 x 28 becomes 3 x 32 x 32
    DO(tuff_dataset_open(spec, &how, &data));

    // 2. Define the model: conv 3 -> 6 -> 16, dense 120 - 84 - 10.
    tuff_model *model;
    DO(tuff_model_create(device, &(tuff_model_params){
        .net = "conv 6 5 | relu | maxpool 2 | conv 16 5 | relu | maxpool 2 | flatten | "
               "dense 120 | relu | dense 84 | relu | dense 10",
        .input = tuff_dataset_get_info(data)->sample }, &model));

    // 3. Choose the optimizer.
    const tuff_train_params params = { .optimizer = { .kind = TUFF_SGD, .lr = 0.05f },
                                       .epochs = epochs, .on_epoch = on_epoch };

    // 4. Train.
    tuff_train_result result;
    printf("%s on %s\n", spec, tuff_device_get_info(device)->name);
    DO(tuff_train(model, data, &params, &result));

    // 5. Test.
    tuff_metrics m;
    DO(tuff_test(model, data, NULL, &m));
    printf("test: %lld of %lld right (%.2f %%)\n", (long long)m.correct, (long long)m.examples,
           m.accuracy * 100);

    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return 0;
}
