// Pruning: masks that hold, what goes and what stays, and that smaller nets compute the same.
#include "harness.h"
#include "tiny.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;

static tuff_dataset *some_data(void)
{
    return tiny_data(&(tiny_params){ .train = 320, .test = 64 });
}

static tuff_model *trained(tuff_dataset *data, const char *net)
{
    tuff_model *model = tiny_model(device, data, net);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 2 }, NULL));
    return model;
}

static double accuracy(tuff_model *model, tuff_dataset *data)
{
    tuff_metrics m = { 0 };
    EXPECT_OK(tuff_test(model, data, NULL, &m));
    return m.accuracy;
}

// A parameter, which the caller frees, and its elements.
static float *param(tuff_model *model, const char *name, int64_t *count)
{
    tuff_param_info p;
    for (int i = 0; tuff_model_param(model, i, &p); i++) {
        if (strcmp(p.name, name) != 0) continue;
        *count = tuff_desc_count(&p.desc);
        float *x = malloc((size_t)*count * sizeof *x);
        EXPECT_OK(tuff_model_get(model, name, x, *count));
        return x;
    }
    FAIL("there is no %s", name);
    return calloc(1, sizeof(float));
}

// How many elements of a parameter are zero, and how many there are.
static int64_t zeros_of(tuff_model *model, const char *name, int64_t *count)
{
    int64_t zeros = 0;
    float *x = param(model, name, count);
    for (int64_t k = 0; k < *count; k++) zeros += x[k] == 0;
    free(x);
    return zeros;
}

static int64_t nonzeros(tuff_model *model)
{
    tuff_measure m = { 0 };
    EXPECT_OK(tuff_model_measure(model, NULL, &(tuff_measure_params){ .runs = -1 }, &m));
    return m.nonzeros;
}

// Whether all weights that are zero in one are zero in the other, and some are.
static bool zeros_held(tuff_model *before, tuff_model *after)
{
    bool held = true;
    int64_t zeros = 0, n;
    tuff_param_info p;
    for (int i = 0; tuff_model_param(before, i, &p); i++) {
        if (!strstr(p.name, "weight")) continue;
        float *a = param(before, p.name, &n), *b = param(after, p.name, &n);
        for (int64_t k = 0; k < n; k++) {
            zeros += a[k] == 0;
            if (a[k] == 0 && b[k] != 0) held = false;
        }
        free(a);
        free(b);
    }
    return held && zeros > 0;
}

// ---- weights -------------------------------------------------------------------------------

static void a_part_of_each_layer_goes(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *pruned;
    const tuff_prune_params p = { .sparsity = 0.8, .rates = "0=0.25, 6=10" };
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    int64_t count;
    EXPECT_EQ(zeros_of(pruned, "0.weight", &count), 9);
    EXPECT_EQ(zeros_of(pruned, "4.weight", &count), 1280);
    EXPECT_EQ(zeros_of(pruned, "6.weight", &count), 80 - 10);
    EXPECT_EQ(zeros_of(pruned, "4.bias", &count), 0);
    EXPECT_EQ(zeros_of(model, "4.weight", &count), 0);
    // Of each layer the smallest went.
    float most_gone = 0, least_left = 1e9f;
    float *before = param(model, "4.weight", &count);
    float *after = param(pruned, "4.weight", &count);
    for (int64_t k = 0; k < count; k++) {
        if (after[k] == 0) most_gone = fmaxf(most_gone, fabsf(before[k]));
        else least_left = fminf(least_left, fabsf(before[k]));
        EXPECT(after[k] == 0 || after[k] == before[k]);
    }
    EXPECT(most_gone > 0 && most_gone <= least_left);
    free(before);
    free(after);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void one_ranking_over_all_layers(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *pruned;
    const int64_t weights = 36 + 1600 + 80;
    int64_t count, zeros[3];
    const tuff_prune_params all = { .sparsity = 0.5, .global = true };
    EXPECT_OK(tuff_prune(model, NULL, &all, &pruned));
    zeros[0] = zeros_of(pruned, "0.weight", &count);
    zeros[1] = zeros_of(pruned, "4.weight", &count);
    zeros[2] = zeros_of(pruned, "6.weight", &count);
    EXPECT_EQ(zeros[0] + zeros[1] + zeros[2], weights / 2);
    EXPECT(zeros[0] != 18); // its weights are larger than those of the others
    tuff_model_destroy(&pruned);
    // A layer with a rate of its own is out of the ranking.
    const tuff_prune_params but = { .sparsity = 0.5, .global = true, .rates = "4=0" };
    EXPECT_OK(tuff_prune(model, NULL, &but, &pruned));
    EXPECT_EQ(zeros_of(pruned, "4.weight", &count), 0);
    EXPECT_EQ(zeros_of(pruned, "0.weight", &count) + zeros_of(pruned, "6.weight", &count), 58);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void other_methods_for_weights(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *a, *b;
    int64_t count;
    tuff_prune_params p = { .method = TUFF_PRUNE_RANDOM, .sparsity = 0.5, .seed = 1 };
    EXPECT_OK(tuff_prune(model, NULL, &p, &a));
    EXPECT_OK(tuff_prune(model, NULL, &p, &b));
    EXPECT(tiny_same(a, b));
    EXPECT_EQ(zeros_of(a, "4.weight", &count), 800);
    tuff_model_destroy(&b);
    p.seed = 2;
    EXPECT_OK(tuff_prune(model, NULL, &p, &b));
    EXPECT(!tiny_same(a, b));
    tuff_model_destroy(&a);
    tuff_model_destroy(&b);
    p = (tuff_prune_params){ .method = TUFF_PRUNE_THRESHOLD, .threshold = 0.05,
                             .global = true };
    EXPECT_OK(tuff_prune(model, NULL, &p, &a));
    float *x = malloc(1600 * sizeof *x);
    EXPECT_OK(tuff_model_get(a, "4.weight", x, 1600));
    for (int i = 0; i < 1600; i++) EXPECT(x[i] == 0 || fabsf(x[i]) >= 0.05f);
    free(x);
    EXPECT(zeros_of(a, "4.weight", &count) > 100);
    tuff_model_destroy(&a);
    p = (tuff_prune_params){ .method = TUFF_PRUNE_TAYLOR, .sparsity = 0.5, .examples = 128 };
    EXPECT_OK(tuff_prune(model, data, &p, &a));
    EXPECT_EQ(zeros_of(a, "4.weight", &count), 800);
    tuff_model_destroy(&a);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void blocks_and_two_of_four(void)
{
    tuff_dataset *data = some_data();
    const char *net = "conv 4 3 | relu | conv 4 3 | flatten | dense 16 | dense 5";
    tuff_model *model = trained(data, net), *pruned;
    tuff_prune_params p = { 0 };
    EXPECT_OK(tuff_prune_target_parse("2:4", &p));
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    int64_t count;
    EXPECT_EQ(zeros_of(pruned, "0.weight", &count), 0); // of one channel
    EXPECT_EQ(zeros_of(pruned, "2.weight", &count), 72);
    float *w = param(pruned, "4.weight", &count);
    EXPECT_EQ(count, 4096);
    for (int64_t i = 0; i < count; i += 4)
        EXPECT((w[i] == 0) + (w[i + 1] == 0) + (w[i + 2] == 0) + (w[i + 3] == 0) == 2);
    free(w);
    tuff_model_destroy(&pruned);
    p = (tuff_prune_params){ .sparsity = 0.5, .method = TUFF_PRUNE_L2 };
    EXPECT_OK(tuff_prune_target_parse("4x4", &p));
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_EQ(zeros_of(pruned, "2.weight", &count), 0);
    w = param(pruned, "4.weight", &count);
    EXPECT_EQ(tuff_sparse_count(w, 16, 256, 4, 4), 128);
    free(w);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- zeros that stay -----------------------------------------------------------------------

static void zeros_stay_while_training(void)
{
    static const tuff_optimizer kinds[] = { { .kind = TUFF_ADAM },
                                            { .kind = TUFF_SGD, .lr = 0.1f },
                                            { .kind = TUFF_LAMB, .clip_norm = 1 },
                                            { .kind = TUFF_NESTEROV, .weight_decay = 1e-3f } };
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const tuff_train_params tune = { .epochs = 1, .optimizer = kinds[i] };
        tuff_prune_params p = { .sparsity = 0.7 };
        tuff_model *once, *tuned;
        EXPECT_OK(tuff_prune(model, NULL, &p, &once));
        p.tune = &tune;
        EXPECT_OK(tuff_prune(model, data, &p, &tuned));
        EXPECT(zeros_held(once, tuned));
        EXPECT(!tiny_same(once, tuned));
        EXPECT_EQ(nonzeros(once), nonzeros(tuned));
        tuff_model_destroy(&once);
        tuff_model_destroy(&tuned);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static bool stop_early(void *user, const tuff_progress *p)
{
    (void)user;
    return !(p->epoch == 1 && p->step == 3);
}

// A run that was stopped within an epoch and resumed has the bits of one that went on.
static void zeros_outlive_a_checkpoint(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *whole, *half, *loaded;
    const char *path = temp_path("pruned.tuff");
    tuff_train_params p = { .epochs = 2, .keep_zeros = true };
    EXPECT_OK(tuff_prune(model, NULL, &(tuff_prune_params){ .sparsity = 0.7 }, &whole));
    EXPECT_OK(tuff_model_copy(whole, device, &half));
    EXPECT_OK(tuff_train(whole, data, &p, NULL));
    p.out = path;
    p.on_step = stop_early;
    EXPECT_OK(tuff_train(half, data, &p, NULL));
    EXPECT_OK(tuff_model_load(device, path, &loaded));
    EXPECT_OK(tuff_train(loaded, data, &(tuff_train_params){ .resume = path }, NULL));
    EXPECT(tiny_same(whole, loaded));
    EXPECT(zeros_held(half, loaded));
    tuff_model_destroy(&loaded);
    tuff_model_destroy(&half);
    tuff_model_destroy(&whole);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}


static void gradually(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *pruned;
    const tuff_train_params tune = { .epochs = 8, .batch = 16,
                                     .optimizer = { .lr = 0.003f } };
    const tuff_prune_params p = { .sparsity = 0.9, .rates = "0=0.3", .gradual = true,
                                  .tune = &tune };
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    int64_t count;
    EXPECT_EQ(zeros_of(pruned, "0.weight", &count), 11);
    EXPECT_EQ(zeros_of(pruned, "4.weight", &count), 1440);
    EXPECT_EQ(zeros_of(pruned, "6.weight", &count), 72);
    const double before = accuracy(model, data), after = accuracy(pruned, data);
    if (!EXPECT(after >= before - 0.1)) FAIL("accuracy %g, pruned %g", before, after);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// The penalty pulls at the scales of batch norms, and at nothing else.
static void slim_pulls_at_scales(void)
{
    const char *net = "conv 4 3 | bn | relu | flatten | dense 5";
    tuff_dataset *data = some_data();
    tuff_model *a = tiny_model(device, data, net), *b = tiny_model(device, data, net);
    tuff_train_params p = { .epochs = 1, .batch = 64,
                            .optimizer = { .kind = TUFF_SGD, .lr = 0.01f } };
    float plain[4], slim[4];
    EXPECT_OK(tuff_train(a, data, &p, NULL));
    p.slim = 2;
    EXPECT_OK(tuff_train(b, data, &p, NULL));
    EXPECT_OK(tuff_model_get(a, "1.weight", plain, 4));
    EXPECT_OK(tuff_model_get(b, "1.weight", slim, 4));
    // Five steps, each by lr slim.
    for (int i = 0; i < 4; i++) EXPECT_NEAR(plain[i] - slim[i], 0.1, 0.02);
    tuff_model_destroy(&a);
    tuff_model_destroy(&b);
    tuff_dataset_destroy(&data);
}

// ---- what is refused -----------------------------------------------------------------------

static void refuse(tuff_model *model, tuff_dataset *data, tuff_prune_params p, const char *why)
{
    tuff_model *pruned;
    EXPECT_STATUS(tuff_prune(model, data, &p, &pruned), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), why);
    EXPECT(pruned == NULL);
}

static void what_is_refused(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = tiny_model(device, data, TINY_NET);
    const tuff_train_params tune = { .epochs = 1 };
    tuff_prune_method method;
    tuff_prune_params p;
#define REFUSE(why, ...) refuse(model, data, (tuff_prune_params){ __VA_ARGS__ }, why)
    REFUSE("sparsity is 1", .sparsity = 1);
    REFUSE("sparsity is -0.5", .sparsity = -0.5);
    REFUSE("neither a sparsity nor rates", .sparsity = 0);
    REFUSE("at the place '9'", .rates = "9=0.5");
    REFUSE("at the place '1'", .rates = "1=0.5");
    REFUSE("'4' is no rate", .rates = "4");
    REFUSE("how many are kept", .rates = "4=1.5");
    REFUSE("threshold is 0", .method = TUFF_PRUNE_THRESHOLD);
    REFUSE("a sparsity or rates cannot", .method = TUFF_PRUNE_THRESHOLD, .threshold = 1,
           .sparsity = 0.5);
    REFUSE("slimming does not go with weights", .method = TUFF_PRUNE_SLIMMING, .sparsity = 0.5);
    REFUSE("3:5", .target = TUFF_PRUNE_NM, .keep = 3, .of = 5);
    REFUSE("no training was asked for", .sparsity = 0.5, .gradual = true);
    REFUSE("not gradually", .target = TUFF_PRUNE_NM, .gradual = true, .tune = &tune);
    refuse(model, NULL, (tuff_prune_params){ .sparsity = 0.5, .tune = &tune },
           "fine-tuning needs data");
    refuse(model, NULL, (tuff_prune_params){ .sparsity = 0.5, .method = TUFF_PRUNE_TAYLOR },
           "taylor needs data");
    EXPECT_STATUS(tuff_prune_method_parse("l3", &method), TUFF_ERR_FORMAT);
    EXPECT_STATUS(tuff_prune_target_parse("4:2", &p), TUFF_ERR_FORMAT);
    EXPECT_STATUS(tuff_prune_target_parse("everything", &p), TUFF_ERR_FORMAT);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(a_part_of_each_layer_goes);
    CASE(one_ranking_over_all_layers);
    CASE(other_methods_for_weights);
    CASE(blocks_and_two_of_four);
    CASE(zeros_stay_while_training);
    CASE(zeros_outlive_a_checkpoint);
    CASE(gradually);
    CASE(slim_pulls_at_scales);
    CASE(what_is_refused);
    tuff_device_close(&device);
    return report();
}
