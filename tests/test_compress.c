// What a net costs, and that a copy is the same net.
#include "harness.h"
#include "tiny.h"
#include <stdlib.h>

static tuff_device *device;

static void a_copy_is_the_same_net(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 32 });
    tuff_model *model = tiny_model(device, data, TINY_NET), *copy, *there;
    tuff_device *cpu;
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1 }, NULL));
    EXPECT_OK(tuff_model_copy(model, device, &copy));
    EXPECT(tiny_same(model, copy));
    EXPECT(tuff_model_get_data(copy)->classes == TINY_CLASSES);
    EXPECT(tuff_model_get_data(copy)->channels == 1);
    EXPECT(tuff_model_get_data(copy)->scale[0] == tuff_model_get_data(model)->scale[0]);
    EXPECT_OK(tuff_device_open("cpu", &cpu));
    EXPECT_OK(tuff_model_copy(model, cpu, &there));
    EXPECT(tiny_same(model, there));
    tuff_model_destroy(&there);
    tuff_device_close(&cpu);
    tuff_model_destroy(&copy);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void a_measure_says_what_there_is(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 32 });
    tuff_model *model = tiny_model(device, data, TINY_NET);
    const int64_t parameters = 4 * 9 + 4 + 100 * 16 + 16 + 16 * 5 + 5;
    tuff_measure m;
    tuff_metrics test;
    EXPECT_OK(tuff_model_measure(model, data, NULL, &m));
    EXPECT(m.parameters == parameters && m.nonzeros == parameters);
    EXPECT(m.file_bytes == 0 && m.device_ms > 0 && m.cpu_ms > 0);
    EXPECT(m.memory >= parameters * 4);
    EXPECT_OK(tuff_test(model, data, NULL, &test));
    EXPECT(m.test.correct == test.correct && m.test.examples == 32);
    float *weights = calloc(1600, sizeof *weights);
    weights[7] = 1;
    EXPECT_OK(tuff_model_set(model, "4.weight", weights, 1600));
    EXPECT_OK(tuff_model_measure(model, NULL, &(tuff_measure_params){ .runs = -1 }, &m));
    EXPECT(m.nonzeros == parameters - 1599);
    EXPECT(m.test.examples == 0 && m.device_ms == 0 && m.cpu_ms == 0);
    free(weights);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// A checkpoint is the model and the state of its training, which is twice as much again.
static void a_checkpoint_counts_as_its_model(void)
{
    const char *path = temp_path("m.safetensors");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 8 });
    tuff_model *model = tiny_model(device, data, TINY_NET);
    const tuff_measure_params p = { .path = path, .runs = -1 };
    tuff_measure a, b;
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1, .out = path }, NULL));
    EXPECT_OK(tuff_model_measure(model, NULL, &p, &a));
    EXPECT_OK(tuff_model_save(model, path));
    EXPECT_OK(tuff_model_measure(model, NULL, &p, &b));
    EXPECT(b.file_bytes > b.parameters * 4 && b.file_bytes < b.parameters * 4 + 2000);
    EXPECT(a.file_bytes >= b.file_bytes && a.file_bytes < b.file_bytes + 4000);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void a_larger_net_takes_more_memory(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 8 });
    tuff_model *small = tiny_model(device, data, "flatten | dense 5");
    tuff_model *large = tiny_model(device, data, "flatten | dense 5000 | relu | dense 5");
    tuff_measure a, b;
    EXPECT_OK(tuff_model_measure(small, NULL, &(tuff_measure_params){ .runs = -1 }, &a));
    EXPECT_OK(tuff_model_measure(large, NULL, &(tuff_measure_params){ .runs = -1 }, &b));
    EXPECT(a.memory > 0 && b.memory - a.memory >= (144 * 5000 + 5000 * 5) * 4);
    tuff_model_destroy(&large);
    tuff_model_destroy(&small);
    tuff_dataset_destroy(&data);
}

static void what_a_measure_refuses(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 8 });
    tuff_model *model = tiny_model(device, data, TINY_NET);
    tuff_measure m;
    const tuff_measure_params many = { .runs = 10000 }, nowhere = { .path = "/no/file" };
    EXPECT_STATUS(tuff_model_measure(model, NULL, &many, &m), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "10000 runs");
    EXPECT_STATUS(tuff_model_measure(model, NULL, &nowhere, &m), TUFF_ERR_IO);
    EXPECT_HAS(tuff_last_error(), "/no/file");
    EXPECT_STATUS(tuff_model_measure(NULL, NULL, NULL, &m), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "NULL");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(a_copy_is_the_same_net);
    CASE(a_measure_says_what_there_is);
    CASE(a_checkpoint_counts_as_its_model);
    CASE(a_larger_net_takes_more_memory);
    CASE(what_a_measure_refuses);
    tuff_device_close(&device);
    return report();
}
