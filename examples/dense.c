// Dense layers only: 32 inputs, 64 hidden, 10 classes, softmax cross-entropy, Adam, batches of
// 32. The samples are drawn around ten centres, one a class.
#include "example.h"

enum { SAMPLES = 4000, INPUTS = 32, CLASSES = 10 };

int main(void)
{
    tuff_device *device;
    tuff_stream *s;
    tuff_array x = { 0 }, y = { 0 };
    tuff_dataset *data;
    tuff_model *model;
    float centres[CLASSES * INPUTS];
    DO(tuff_device_open(NULL, &device));
    DO(tuff_stream_create(device, &s));

    // 1. Data: a fifth of it is held out for the test.
    DO(tuff_array_init(&x, TUFF_SHAPE(TUFF_F32, SAMPLES, INPUTS)));
    DO(tuff_array_init(&y, TUFF_SHAPE(TUFF_I32, SAMPLES)));
    normals(s, 1, CLASSES * INPUTS, centres);
    normals(s, 2, SAMPLES * INPUTS, x.data);
    for (int i = 0; i < SAMPLES; i++) {
        const int c = i * 7 % CLASSES;
        ((int32_t *)y.data)[i] = c;
        for (int k = 0; k < INPUTS; k++)
            ((float *)x.data)[i * INPUTS + k] += centres[c * INPUTS + k] * 0.7f;
    }
    DO(tuff_dataset_from_arrays(&x, &y, NULL, NULL, NULL, &data));

    // 2. Model, 3. optimizer, 4. train, 5. test.
    DO(tuff_model_create(device, &(tuff_model_params){
        .net = "dense 64 | relu | dense 10", .input = TUFF_SHAPE(TUFF_F32, INPUTS) }, &model));
    tuff_train_result result;
    DO(tuff_train(model, data, &(tuff_train_params){
        .optimizer = { .kind = TUFF_ADAM }, .loss = TUFF_LOSS_CROSS_ENTROPY, .epochs = 10,
        .batch = 32 }, &result));
    tuff_metrics m;
    DO(tuff_test(model, data, NULL, &m));
    printf("test: loss %.4f, %lld of %lld right (%.2f %%)\n", m.loss, (long long)m.correct,
           (long long)m.examples, m.accuracy * 100);

    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    tuff_array_clear(&x), tuff_array_clear(&y);
    tuff_stream_destroy(&s);
    tuff_device_close(&device);
    return m.accuracy > 0.9 ? 0 : 1;
}
