// The table of quantization in short, on real images.
#include "harness.h"
#include <stdio.h>
#include <sys/stat.h>

static tuff_device *device;
static tuff_dataset *data;

// Accuracy of a net of integers; with `train` trained as one.
static double right(tuff_model *model, const tuff_ptq_params *p, const tuff_train_params *train)
{
    tuff_model *q = NULL;
    tuff_metrics m = { 0 };
    if (EXPECT_OK(train ? tuff_quantize_aware(model, data, p, train, &q)
                        : tuff_quantize(model, data, p, &q)))
        EXPECT_OK(tuff_test(q, data, NULL, &m));
    tuff_model_destroy(&q);
    return m.accuracy;
}

// Part of the images, and few epochs. bench/papers/quantization is the whole.
static void the_tables_direction(void)
{
    const char *folder = "/usr/share/datasets/fashion-mnist";
    struct stat s;
    if (stat(folder, &s) != 0) SKIP("Fashion-MNIST is not installed");
    const tuff_dataset_params some = { .limit_train = 6000, .limit_test = 2000 };
    if (!EXPECT_OK(tuff_dataset_open("fashion", &some, &data))) return;
    const tuff_model_params net = { .net = "lenet5", .seed = 1,
                                    .input = TUFF_SHAPE(TUFF_F32, 1, 28, 28) };
    const tuff_train_params train = { .epochs = 4 };
    const tuff_train_params tune = { .epochs = 2, .schedule = { .kind = TUFF_COSINE } };
    const tuff_ptq_params eight = { .method = TUFF_CALIBRATE_MSE };
    const tuff_ptq_params two = { .bits = 2, .mse_weights = true,
                                  .method = TUFF_CALIBRATE_MSE };
    tuff_model *model;
    tuff_metrics whole = { 0 };
    EXPECT_OK(tuff_model_create(device, &net, &model));
    EXPECT_OK(tuff_train(model, data, &train, NULL));
    EXPECT_OK(tuff_test(model, data, NULL, &whole));
    const double of8 = right(model, &eight, NULL), of2 = right(model, &two, NULL);
    const double aware = right(model, &two, &tune);
    EXPECT(whole.accuracy > 0.75 && of8 > whole.accuracy - 0.005);
    EXPECT(aware > of2 + 0.03 && aware > whole.accuracy - 0.04);
    printf("quantization in short: %.2f %% right, 8 bits %.2f, 2 bits %.2f, aware %.2f\n",
           100 * whole.accuracy, 100 * of8, 100 * of2, 100 * aware);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(the_tables_direction);
    tuff_device_close(&device);
    return report();
}
