// A small regression: 10 inputs, 20 hidden, 1 output, mean squared error, Adam at 0.001 for
// 100 epochs over 1,000 samples of normal inputs. The target is a smooth function of them
// with a little noise, so that the best test loss is about the noise's variance, 0.01.
#include "example.h"
#include <math.h>

enum { SAMPLES = 1000, TESTS = 200, INPUTS = 10 };

static void make(tuff_stream *s, uint64_t seed, int n, tuff_array *x, tuff_array *y)
{
    DO(tuff_array_init(x, TUFF_SHAPE(TUFF_F32, n, INPUTS)));
    DO(tuff_array_init(y, TUFF_SHAPE(TUFF_F32, n)));
    float *v = x->data, *t = y->data;
    normals(s, seed, n * INPUTS, v);
    normals(s, seed + 1, n, t);
    for (int i = 0; i < n; i++, v += INPUTS) {
        t[i] *= 0.1f;
        for (int k = 0; k < INPUTS; k++) t[i] += v[k] * (float)(k - 4) / 10;
        t[i] += tanhf(v[0]);
    }
}

int main(void)
{
    tuff_device *device;
    tuff_stream *s;
    tuff_array x = { 0 }, y = { 0 }, test_x = { 0 }, test_y = { 0 };
    tuff_dataset *data;
    tuff_model *model;
    DO(tuff_device_open(NULL, &device));
    DO(tuff_stream_create(device, &s));
    make(s, 1, SAMPLES, &x, &y);
    make(s, 3, TESTS, &test_x, &test_y);
    DO(tuff_dataset_from_arrays(&x, &y, &test_x, &test_y, NULL, &data));
    DO(tuff_model_create(device, &(tuff_model_params){
        .net = "dense 20 | relu | dense 1", .input = TUFF_SHAPE(TUFF_F32, INPUTS) }, &model));

    tuff_metrics before, after;
    tuff_train_result result;
    DO(tuff_test(model, data, &(tuff_test_params){ .loss = TUFF_LOSS_MSE }, &before));
    DO(tuff_train(model, data, &(tuff_train_params){
        .optimizer = { .kind = TUFF_ADAM, .lr = 0.001f }, .loss = TUFF_LOSS_MSE,
        .epochs = 100, .batch = 32 }, &result));
    DO(tuff_test(model, data, &(tuff_test_params){ .loss = TUFF_LOSS_MSE }, &after));
    printf("train loss %.4f\n", result.last.train.loss);
    printf("test loss %.4f (before training %.4f)\n", after.loss, before.loss);

    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    tuff_array_clear(&x), tuff_array_clear(&y);
    tuff_array_clear(&test_x), tuff_array_clear(&test_y);
    tuff_stream_destroy(&s);
    tuff_device_close(&device);
    return after.loss < before.loss / 4 ? 0 : 1;
}
