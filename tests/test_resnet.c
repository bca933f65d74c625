// ResNet-20 as net text, with somebody's weights for CIFAR-10 read through a map: the logits
// that PyTorch gave for the test images, and the errors that they make. The files are from the
// folder of shared data; without them the test is skipped.
//
//   test_resnet               some of the images
//   test_resnet every_image   all 10,000: minutes
#include "harness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>

enum { IMAGES = 10000, CLASSES = 10, ERRORS = 827, SOME = 32 };

static tuff_device *device;

static float *read_logits(void)
{
    const char *path = shared_path("models/cifar10-resnet20/resnet20.test_logits_f32.bin");
    float *want = malloc((size_t)IMAGES * CLASSES * sizeof *want);
    FILE *file = path ? fopen(path, "rb") : NULL;
    const size_t n = file && want ? fread(want, sizeof *want, IMAGES * CLASSES, file) : 0;
    if (file) fclose(file);
    if (n == IMAGES * CLASSES) return want;
    free(want);
    return NULL;
}

static tuff_model *load(void)
{
    static const float mean[] = { .485f, .456f, .406f }, std[] = { .229f, .224f, .225f };
    float scale[3], shift[3];
    tuff_model *model = NULL;
    const tuff_model_params p = { .net = "resnet20", .input = TUFF_SHAPE(TUFF_F32, 3, 32, 32) };
    const char *weights = shared_path("models/cifar10-resnet20/resnet20.safetensors");
    const char *map = source_path("tests/data/resnet20.map");
    for (int c = 0; c < 3; c++) {
        scale[c] = 1 / std[c];
        shift[c] = -mean[c] / std[c];
    }
    const tuff_model_data d = { .channels = 3, .scale = scale, .shift = shift };
    if (!EXPECT(map) || !EXPECT_OK(tuff_model_create(device, &p, &model)) ||
        !EXPECT_OK(tuff_model_map_weights(model, weights, map)) ||
        !EXPECT_OK(tuff_model_set_data(model, &d)))
        tuff_model_destroy(&model);
    return model;
}

// Logits of `count` test images, within 1e-3 of PyTorch's; returns the wrong ones among them.
static int judge(tuff_model *model, int64_t count, const float *want)
{
    tuff_dataset *data = NULL;
    char spec[600];
    const char *folder = shared_path("data/cifar10/test_batch.bin.gz");
    snprintf(spec, sizeof spec, "cifar10:%.*s", (int)(strrchr(folder, '/') - folder), folder);
    const tuff_model_data *d = tuff_model_get_data(model);
    float *x = malloc((size_t)count * 3072 * sizeof *x), *got = malloc((size_t)count * 10 * 4);
    int32_t *labels = malloc((size_t)count * sizeof *labels);
    int wrong = -1;
    double worst = 0;
    if (EXPECT(x && got && labels) && EXPECT_OK(tuff_dataset_open(spec, NULL, &data)) &&
        EXPECT_OK(tuff_dataset_set_norm(data, d->scale, d->shift, 3)) &&
        EXPECT_OK(tuff_dataset_read(data, TUFF_TEST, 0, count, x, labels, NULL)) &&
        EXPECT_OK(tuff_predict(model, x, count, got))) {
        wrong = 0;
        for (int64_t i = 0; i < count; i++) {
            int best = 0;
            for (int k = 0; k < CLASSES; k++) {
                const double e = fabs((double)got[i * 10 + k] - want[i * 10 + k]);
                if (!(e <= worst)) worst = isnan(e) ? INFINITY : e;
                if (got[i * 10 + k] > got[i * 10 + best]) best = k;
            }
            wrong += best != labels[i];
        }
        EXPECT(worst <= 1e-3);
    }
    tuff_dataset_destroy(&data);
    free(labels);
    free(got);
    free(x);
    return wrong;
}

static void some_images(void)
{
    float *want = read_logits();
    if (!want) SKIP("the folder of shared data has no models/cifar10-resnet20");
    tuff_model *model = load();
    const int wrong = model ? judge(model, SOME, want) : -1;
    EXPECT(wrong >= 0 && wrong <= SOME / 4);
    tuff_model_destroy(&model);
    free(want);
}

// 8.27 % of 10,000.
static void every_image(void)
{
    float *want = read_logits();
    if (!want) SKIP("the folder of shared data has no models/cifar10-resnet20");
    tuff_model *model = load();
    EXPECT_EQ(model ? judge(model, IMAGES, want) : -1, ERRORS);
    tuff_model_destroy(&model);
    free(want);
}

static void maps_are_refused(void)
{
    static const struct { const char *text, *says; } cases[] = {
        { "0 conv1 more\n", "line 1: expected two names" },
        { "0\n", "line 1: expected two names" },
        { "# all is well\n\n99 conv1\n", "line 3: the net has no parameter 99" },
        { "0 conv9\n", "conv9.weight" },
    };
    char weights[600];
    const char *found = shared_path("models/cifar10-resnet20/resnet20.safetensors");
    if (!found) SKIP("the folder of shared data has no models/cifar10-resnet20");
    snprintf(weights, sizeof weights, "%s", found);
    tuff_model *model = NULL;
    const tuff_model_params p = { .net = "resnet20", .input = TUFF_SHAPE(TUFF_F32, 3, 32, 32) };
    EXPECT_OK(tuff_model_create(device, &p, &model));
    char *whole = NULL;
    FILE *file = fopen(source_path("tests/data/resnet20.map"), "r");
    size_t room = 0;
    const bool read = file && getdelim(&whole, &room, '\0', file) > 0;
    if (file) fclose(file);
    for (size_t i = 0; EXPECT(read) && i < COUNT(cases); i++) {
        const char *path = temp_path("map");
        file = fopen(path, "w");
        fprintf(file, "%s%s", cases[i].text, whole);
        fclose(file);
        EXPECT_STATUS(tuff_model_map_weights(model, weights, path), TUFF_ERR_FORMAT);
        EXPECT_HAS(tuff_last_error(), cases[i].says);
    }
    EXPECT_STATUS(tuff_model_map_weights(model, weights, "/no/such/map"), TUFF_ERR_IO);
    free(whole);
    tuff_model_destroy(&model);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    if (argc > 1 && strcmp(argv[1], "every_image") == 0) {
        CASE(every_image);
    } else {
        CASE(some_images);
        CASE(maps_are_refused);
    }
    tuff_device_close(&device);
    return report();
}
