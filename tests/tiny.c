#include "tiny.h"
#include "base/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(tuff_status status, const char *what)
{
    if (status == TUFF_OK) return;
    printf("tiny: %s: %s\n", what, tuff_last_error());
    exit(3);
}

// An image of class c is noise with a bright stripe in row 2 c + 1.
static void fill_image(float *x, int class, tuff_rng *rng)
{
    for (int i = 0; i < TINY_SIDE * TINY_SIDE; i++)
        x[i] = 0.5f * tuff_rng_uniform(rng) + (i / TINY_SIDE == 2 * class + 1 ? 0.6f : 0);
}

static void images(const tiny_params *p, int count, tuff_rng *rng, tuff_array *x, tuff_array *y)
{
    must(tuff_array_init(x, TUFF_SHAPE(TUFF_F32, count, 1, TINY_SIDE, TINY_SIDE)), "x");
    must(tuff_array_init(y, TUFF_SHAPE(TUFF_I32, count)), "y");
    for (int i = 0; i < count; i++) {
        const int class = (int)tuff_rng_below(rng, TINY_CLASSES);
        fill_image((float *)x->data + (size_t)i * TINY_SIDE * TINY_SIDE, class, rng);
        ((int32_t *)y->data)[i] = p->noise ? (int)tuff_rng_below(rng, TINY_CLASSES) : class;
    }
    // Every class is there, so that their number is known.
    for (int i = 0; i < TINY_CLASSES && i < count; i++) ((int32_t *)y->data)[i] = i;
    for (int i = 0; i < TINY_CLASSES && i < count; i++)
        fill_image((float *)x->data + (size_t)i * TINY_SIDE * TINY_SIDE, i, rng);
}

static void rows(int count, tuff_rng *rng, tuff_array *x, tuff_array *y)
{
    must(tuff_array_init(x, TUFF_SHAPE(TUFF_F32, count, 4)), "x");
    must(tuff_array_init(y, TUFF_SHAPE(TUFF_F32, count, 1)), "y");
    for (int i = 0; i < count; i++) {
        float *v = (float *)x->data + 4 * (size_t)i;
        for (int k = 0; k < 4; k++) v[k] = tuff_rng_normal(rng);
        ((float *)y->data)[i] = 0.5f * v[0] - v[1] + 0.25f * v[2] + 1;
    }
}

tuff_dataset *tiny_data(const tiny_params *p)
{
    tuff_array x = { 0 }, y = { 0 }, test_x = { 0 }, test_y = { 0 };
    tuff_rng rng = { .seed = 11 };
    tuff_dataset *data = NULL;
    if (p->numbers) {
        rows(p->train, &rng, &x, &y);
        rows(p->test, &rng, &test_x, &test_y);
    } else {
        images(p, p->train, &rng, &x, &y);
        images(p, p->test, &rng, &test_x, &test_y);
    }
    must(tuff_dataset_from_arrays(&x, &y, &test_x, &test_y,
                                  &(tuff_dataset_params){ .held_out = p->held }, &data),
         "dataset");
    tuff_array_clear(&x);
    tuff_array_clear(&y);
    tuff_array_clear(&test_x);
    tuff_array_clear(&test_y);
    return data;
}

tuff_model *tiny_model(tuff_device *device, const tuff_dataset *data, const char *net)
{
    tuff_model *model = NULL;
    const tuff_model_params p = { .net = net ? net : TINY_NET,
                                  .input = tuff_dataset_get_info(data)->sample, .seed = 3 };
    must(tuff_model_create(device, &p, &model), "model");
    return model;
}

float *tiny_weights(tuff_model *model, size_t *count)
{
    tuff_tensor *flat = tuff_model_weights(model);
    tuff_stream *stream;
    *count = (size_t)tuff_desc_count(tuff_tensor_desc(flat));
    float *all = malloc(*count * sizeof *all);
    must(tuff_stream_create(tuff_model_device(model), &stream), "stream");
    must(tuff_tensor_read(stream, flat, all, *count * sizeof *all), "weights");
    tuff_stream_destroy(&stream);
    return all;
}

float *tiny_outputs(tuff_model *model, tuff_dataset *data, int64_t examples)
{
    const size_t in = (size_t)(examples * tuff_desc_count(tuff_model_input(model)));
    const size_t out = (size_t)(examples * tuff_desc_count(tuff_model_output(model)));
    float *x = malloc(in * sizeof *x), *y = malloc(out * sizeof *y);
    must(tuff_dataset_read(data, TUFF_TEST, 0, examples, x, NULL, NULL), "examples");
    must(tuff_predict(model, x, examples, y), "outputs");
    free(x);
    return y;
}

bool tiny_same(tuff_model *a, tuff_model *b)
{
    size_t na, nb;
    float *x = tiny_weights(a, &na), *y = tiny_weights(b, &nb);
    const bool same = na == nb && memcmp(x, y, na * sizeof *x) == 0;
    free(x);
    free(y);
    return same;
}
