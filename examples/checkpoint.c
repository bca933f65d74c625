// Train, save, load, resume: a run of two epochs that is stopped after one and resumed from
// its file ends with the very same weights as one that was never stopped.
//
//   checkpoint [FOLDER]     where the two model files go; the current folder by default
#include "example.h"
#include <string.h>

static tuff_model *new_model(tuff_device *device, tuff_dataset *data)
{
    tuff_model *model;
    DO(tuff_model_create(device, &(tuff_model_params){
        .net = "conv 4 5 | relu | maxpool 2 | flatten | dense 10",
        .input = tuff_dataset_get_info(data)->sample }, &model));
    return model;
}

static float *weights(tuff_model *model, size_t *bytes)
{
    tuff_tensor *flat = tuff_model_weights(model);
    tuff_stream *s;
    *bytes = tuff_desc_bytes(tuff_tensor_desc(flat));
    float *w = malloc(*bytes);
    if (!w) exit(2);
    DO(tuff_stream_create(tuff_model_device(model), &s));
    DO(tuff_tensor_read(s, flat, w, *bytes));
    tuff_stream_destroy(&s);
    return w;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : ".";
    char one[4096], two[4096];
    snprintf(one, sizeof one, "%s/whole.safetensors", folder);
    snprintf(two, sizeof two, "%s/parts.safetensors", folder);
    tuff_device *device;
    tuff_dataset *data;
    tuff_train_result r;
    DO(tuff_device_open(NULL, &device));
    DO(tuff_dataset_open("fashion", &(tuff_dataset_params){ .limit_train = 4000,
                                                            .limit_test = 1000 }, &data));

    // Without a stop: two epochs.
    tuff_model *whole = new_model(device, data);
    DO(tuff_train(whole, data, &(tuff_train_params){ .epochs = 2, .seed = 7, .out = one }, &r));

    // With one: an epoch, a file, and later another epoch from that file.
    tuff_model *first = new_model(device, data), *second;
    DO(tuff_train(first, data, &(tuff_train_params){ .epochs = 1, .seed = 7, .out = two }, &r));
    tuff_model_destroy(&first);
    DO(tuff_model_load(device, two, &second));
    DO(tuff_train(second, data, &(tuff_train_params){ .epochs = 2, .resume = two, .out = two },
                  &r));

    size_t na, nb;
    float *a = weights(whole, &na), *b = weights(second, &nb);
    const bool same = na == nb && memcmp(a, b, na) == 0;
    printf("test accuracy %.2f %%; the resumed run ends with %s weights\n",
           r.last.test.accuracy * 100, same ? "the same" : "OTHER");
    printf("files: %s, %s\n", one, two);

    free(a), free(b);
    tuff_model_destroy(&whole);
    tuff_model_destroy(&second);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return same ? 0 : 1;
}
