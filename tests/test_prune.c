// Pruning: masks that hold, what goes and what stays, and that smaller nets compute the same.
#include "harness.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
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

// Early stop gives the weights of an earlier epoch back, which are as sparse all the same.
static void gradually_with_early_stop(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 160, .test = 32, .held = 0.25f });
    tuff_model *model = tiny_model(device, data, TINY_NET), *pruned;
    const tuff_train_params tune = { .epochs = 6, .batch = 16, .patience = 1,
                                     .optimizer = { .lr = 0.02f } };
    const tuff_prune_params p = { .sparsity = 0.9, .gradual = true, .tune = &tune };
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    int64_t count;
    EXPECT_EQ(zeros_of(pruned, "4.weight", &count), 1440);
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

// ---- smaller nets --------------------------------------------------------------------------

enum { SAMPLES = 9 };

// The largest difference of what two nets give for some samples.
static double difference(tuff_model *a, tuff_model *b)
{
    const int64_t in = tuff_desc_count(tuff_model_input(a));
    const int64_t out = tuff_desc_count(tuff_model_output(a));
    float *x = malloc((size_t)(SAMPLES * in) * sizeof *x);
    float *y = malloc((size_t)(2 * SAMPLES * out) * sizeof *y), *z = y + SAMPLES * out;
    double most = 0;
    for (int64_t i = 0; i < SAMPLES * in; i++) x[i] = sinf((float)(i * i % 9973));
    EXPECT_OK(tuff_predict(a, x, SAMPLES, y));
    EXPECT_OK(tuff_predict(b, x, SAMPLES, z));
    for (int64_t i = 0; i < SAMPLES * out; i++) most = fmax(most, fabs((double)(y[i] - z[i])));
    free(x);
    free(y);
    return most;
}

// Sets the rows r of a parameter to zero for which r / run is odd.
static void silence(tuff_model *model, const char *name, int run)
{
    tuff_param_info p;
    int64_t count;
    float *x = param(model, name, &count);
    for (int i = 0; tuff_model_param(model, i, &p); i++) {
        if (strcmp(p.name, name) != 0) continue;
        const int64_t rows = p.desc.dim[0], wide = count / rows;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; r / run % 2 && k < wide; k++) x[r * wide + k] = 0;
    }
    EXPECT_OK(tuff_model_set(model, name, x, count));
    free(x);
}

// Every other run of features of all layers but the last is silent: names say which, as in
// "0.weight 0.bias 2.weight:2".
static void silence_all(tuff_model *model, const char *names)
{
    char name[64];
    for (const char *at = names; *at; at += strspn(at, " ")) {
        const size_t n = strcspn(at, " :");
        memcpy(name, at, n);
        name[n] = 0;
        at += n;
        const int run = *at == ':' ? atoi(at + 1) : 1;
        at += strcspn(at, " ");
        silence(model, name, run);
    }
}

static const struct smaller {
    const char *net, *silent, *left;
    tuff_prune_target target;
} smaller[] = {
    { TINY_NET, "0.weight 0.bias",
      "conv 2 3 | relu | maxpool 2 | flatten | dense 16 | relu | dense 5",
      TUFF_PRUNE_CHANNELS },
    { TINY_NET, "4.weight 4.bias",
      "conv 4 3 | relu | maxpool 2 | flatten | dense 8 | relu | dense 5", TUFF_PRUNE_NEURONS },
    { "flatten | dense 12 | bn | tanh | dense 6 | dense 5",
      "1.weight 1.bias 2.weight 2.bias 4.weight 4.bias",
      "flatten | dense 6 | bn | tanh | dense 3 | dense 5", TUFF_PRUNE_NEURONS },
    { "conv 8 3 pad=1 bias=no | bn | relu | residual(conv 4 3 pad=1 bias=no | bn | relu | "
      "conv 8 3 pad=1 bias=no | bn) | relu | residual(conv 16 3 stride=2 pad=1 bias=no | bn ; "
      "maxpool 1 stride=2 | channelpad 4 4) | relu | gap | dense 5",
      "0.weight 1.weight 1.bias 3.0.weight 3.1.weight 3.1.bias 3.3.weight 3.4.weight 3.4.bias "
      "5.0.weight 5.1.weight 5.1.bias",
      "conv 4 3 pad=1 bias=no | bn | relu | residual(conv 2 3 pad=1 bias=no | bn | relu | "
      "conv 4 3 pad=1 bias=no | bn) | relu | residual(conv 8 3 stride=2 pad=1 bias=no | bn ; "
      "maxpool 1 stride=2 | channelpad 2 2) | relu | gap | dense 5",
      TUFF_PRUNE_CHANNELS },
    { "concat(conv 4 1 | relu ; conv 6 3 pad=1 ; maxpool 3 stride=1 pad=1) | conv 8 3 | "
      "flatten | dense 5",
      "0.0.0.weight 0.0.0.bias 0.1.0.weight 0.1.0.bias 1.weight 1.bias",
      "concat(conv 2 1 | relu ; conv 3 3 pad=1 ; maxpool 3 stride=1 pad=1) | conv 4 3 | "
      "flatten | dense 5",
      TUFF_PRUNE_CHANNELS },
    { "conv 8 3 | relu | dwconv 3 multiplier=2 | bn | relu | conv 8 1 | flatten | dense 5",
      "0.weight 0.bias 2.weight:2 2.bias:2 3.weight:2 3.bias:2 5.weight 5.bias",
      "conv 4 3 | relu | dwconv 3 multiplier=2 | bn | relu | conv 4 1 | flatten | dense 5",
      TUFF_PRUNE_CHANNELS },
    { "conv 8 3 | relu | conv 16 3 group=4 | relu | conv 4 1 | flatten | dense 5",
      "0.weight:2 0.bias:2 2.weight:4 2.bias:4 4.weight 4.bias",
      "conv 4 3 | relu | conv 8 3 group=2 | relu | conv 2 1 | flatten | dense 5",
      TUFF_PRUNE_CHANNELS },
};

static void a_smaller_net_computes_the_same(void)
{
    static const tuff_prune_method methods[] = { TUFF_PRUNE_L1, TUFF_PRUNE_L2 };
    tuff_dataset *data = some_data();
    for (size_t i = 0; i < COUNT(smaller); i++)
        for (size_t k = 0; k < COUNT(methods); k++) {
            tuff_model *model = trained(data, smaller[i].net), *pruned = NULL;
            const tuff_prune_params p = { .method = methods[k], .target = smaller[i].target,
                                          .sparsity = 0.5 };
            silence_all(model, smaller[i].silent);
            if (EXPECT_OK(tuff_prune(model, NULL, &p, &pruned))) {
                EXPECT_STR(tuff_model_net(pruned), smaller[i].left);
                EXPECT_NEAR(difference(model, pruned), 0, 1e-5);
                EXPECT(tuff_model_parameters(pruned) < tuff_model_parameters(model));
                EXPECT_EQ(tuff_model_get_data(pruned)->classes, TINY_CLASSES);
            }
            tuff_model_destroy(&pruned);
            tuff_model_destroy(&model);
        }
    tuff_dataset_destroy(&data);
}

// Over all layers, in parts of their layers' means: the silent ones go wherever they are.
static void over_all_layers(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, "flatten | dense 12 | relu | dense 8 | relu | dense 5");
    tuff_model *pruned;
    tuff_prune_params p = { .target = TUFF_PRUNE_NEURONS, .sparsity = 0.3, .global = true };
    silence_all(model, "1.weight 1.bias");
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), "flatten | dense 6 | relu | dense 8 | relu | dense 5");
    EXPECT_NEAR(difference(model, pruned), 0, 1e-5);
    tuff_model_destroy(&pruned);
    // No layer loses more than 0.9, or whatever is allowed; nor its last one.
    p.sparsity = 0.99;
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), "flatten | dense 2 | relu | dense 1 | relu | dense 5");
    tuff_model_destroy(&pruned);
    p.most = 1;
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), "flatten | dense 1 | relu | dense 1 | relu | dense 5");
    tuff_model_destroy(&pruned);
    p = (tuff_prune_params){ .target = TUFF_PRUNE_NEURONS, .rates = "1=7 3=0.25" };
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), "flatten | dense 7 | relu | dense 6 | relu | dense 5");
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void other_methods_for_units(void)
{
    const char *net = "conv 8 3 | bn | relu | maxpool 2 | flatten | dense 5";
    const char *left = "conv 4 3 | bn | relu | maxpool 2 | flatten | dense 5";
    static const tuff_prune_method methods[] = { TUFF_PRUNE_SLIMMING, TUFF_PRUNE_TAYLOR };
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, net), *pruned = NULL;
    tuff_prune_params p = { .target = TUFF_PRUNE_CHANNELS, .sparsity = 0.5, .examples = 192 };
    // What says nothing: l1 would keep these channels, their weights are large.
    silence_all(model, "1.weight 1.bias");
    int64_t count;
    float *w = param(model, "0.weight", &count);
    for (int64_t i = 0; i < count; i++) w[i] *= i / 9 % 2 ? 10 : 1;
    EXPECT_OK(tuff_model_set(model, "0.weight", w, count));
    free(w);
    for (size_t i = 0; i < COUNT(methods); i++) {
        p.method = methods[i];
        EXPECT_OK(tuff_prune(model, data, &p, &pruned));
        EXPECT_STR(tuff_model_net(pruned), left);
        EXPECT_NEAR(difference(model, pruned), 0, 1e-4);
        tuff_model_destroy(&pruned);
    }
    p.method = TUFF_PRUNE_L1;
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    EXPECT(difference(model, pruned) > 1e-2);
    tuff_model_destroy(&pruned);
    p.method = TUFF_PRUNE_RANDOM;
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), left);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void round_after_round(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *pruned;
    const tuff_train_params tune = { .epochs = 8, .batch = 16,
                                     .optimizer = { .lr = 0.003f } };
    const tuff_prune_params p = { .target = TUFF_PRUNE_NEURONS, .sparsity = 0.5,
                                  .gradual = true, .tune = &tune };
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned),
               "conv 4 3 | relu | maxpool 2 | flatten | dense 8 | relu | dense 5");
    const double before = accuracy(model, data), after = accuracy(pruned, data);
    if (!EXPECT(after >= before - 0.1)) FAIL("accuracy %g, pruned %g", before, after);
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// The second half of a parameter's rows become `factor` times the first.
static void double_rows(tuff_model *model, const char *name, float factor)
{
    int64_t count;
    float *x = param(model, name, &count);
    const int64_t half = count / 2;
    for (int64_t i = half; i < count; i++) x[i] = factor * x[i - half];
    EXPECT_OK(tuff_model_set(model, name, x, count));
    free(x);
}

// Units that are others again, or twice them, are merged and nothing is lost; where factors do
// not go through (tanh), only what is the same is merged so.
static void similar_units_are_merged(void)
{
    static const struct {
        const char *net, *rows, *left;
        float factor;
        tuff_prune_target target;
    } nets[] = {
        { "flatten | dense 12 | relu | dense 5", "1.weight 1.bias",
          "flatten | dense 6 | relu | dense 5", 2, TUFF_PRUNE_NEURONS },
        { "flatten | dense 12 | tanh | dense 5", "1.weight 1.bias",
          "flatten | dense 6 | tanh | dense 5", 1, TUFF_PRUNE_NEURONS },
        { "conv 8 3 | bn | relu | maxpool 2 | flatten | dense 5", "1.weight 1.bias",
          "conv 4 3 | bn | relu | maxpool 2 | flatten | dense 5", 3, TUFF_PRUNE_CHANNELS },
        { "concat(conv 8 3 pad=1 | relu ; conv 3 1) | conv 3 3 | flatten | dense 5",
          "0.0.0.weight 0.0.0.bias",
          "concat(conv 4 3 pad=1 | relu ; conv 3 1) | conv 3 3 | flatten | dense 5", 2,
          TUFF_PRUNE_CHANNELS },
    };
    tuff_dataset *data = some_data();
    for (size_t i = 0; i < COUNT(nets); i++) {
        tuff_model *model = trained(data, nets[i].net), *pruned = NULL;
        const bool norm = strstr(nets[i].net, "bn") != NULL;
        tuff_prune_params p = { .method = TUFF_PRUNE_SIMILAR, .target = nets[i].target,
                                .rates = i == 3 ? "0.0.0=0.5" : i == 2 ? "0=0.5" : "1=0.5" };
        if (norm) { // a norm's own numbers are the same, but for scale and shift
            double_rows(model, "0.weight", 1);
            double_rows(model, "0.bias", 1);
            double_rows(model, "1.running_mean", 1);
            double_rows(model, "1.running_var", 1);
        }
        char name[2][64];
        EXPECT_EQ(sscanf(nets[i].rows, "%63s %63s", name[0], name[1]), 2);
        for (int k = 0; k < 2; k++) double_rows(model, name[k], nets[i].factor);
        EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
        EXPECT_STR(tuff_model_net(pruned), nets[i].left);
        EXPECT_NEAR(difference(model, pruned), 0, 2e-5);
        tuff_model_destroy(&pruned);
        tuff_model_destroy(&model);
    }
    tuff_dataset_destroy(&data);
}

static void whole_layers_go(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, "flatten | dense 12 | relu | dense 12 | relu | "
                                      "residual(dense 12 | relu | dense 12) | dense 5");
    tuff_model *pruned;
    tuff_prune_params p = { .target = TUFF_PRUNE_LAYERS, .sparsity = 0.5 };
    // A block that adds nothing is the first to go, and nothing is lost.
    float *zeros = calloc(144, sizeof *zeros);
    EXPECT_OK(tuff_model_set(model, "5.0.weight", zeros, 144));
    EXPECT_OK(tuff_model_set(model, "5.2.weight", zeros, 144));
    EXPECT_OK(tuff_model_set(model, "5.2.bias", zeros, 12));
    free(zeros);
    EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned),
               "flatten | dense 12 | relu | dense 12 | relu | dense 5");
    EXPECT_NEAR(difference(model, pruned), 0, 1e-6);
    tuff_model_destroy(&pruned);
    // All that can go, go: the layers that are left are those that they were.
    const tuff_train_params tune = { .epochs = 1 };
    p = (tuff_prune_params){ .target = TUFF_PRUNE_LAYERS, .sparsity = 0.99,
                             .method = TUFF_PRUNE_TAYLOR, .tune = &tune };
    EXPECT_OK(tuff_prune(model, data, &p, &pruned));
    EXPECT_STR(tuff_model_net(pruned), "flatten | dense 12 | relu | dense 5");
    tuff_model_destroy(&pruned);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- sparse forms --------------------------------------------------------------------------

static void sparse_forms_compute_the_same(void)
{
    static const struct {
        const char *target, *left;
        tuff_sparse_form form;
        double sparsity;
    } forms[] = {
        { "weights", "conv 4 3 | relu | maxpool 2 | flatten | csr 16 160 | relu | csr 5 8",
          TUFF_SPARSE_CSR, 0.9 },
        { "4x4", "conv 4 3 | relu | maxpool 2 | flatten | bsr 16 25 | relu | dense 5",
          TUFF_SPARSE_BSR, 0.75 },
        { "2:4", "conv 4 3 | relu | maxpool 2 | flatten | nm 16 2 4 | relu | nm 5 2 4",
          TUFF_SPARSE_NM, 0 },
    };
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET);
    const char *path = temp_path("sparse.tuff");
    for (size_t i = 0; i < COUNT(forms); i++) {
        tuff_prune_params p = { .sparsity = forms[i].sparsity };
        const tuff_sparsify_params q = { .form = forms[i].form };
        tuff_model *pruned, *sparse, *loaded;
        EXPECT_OK(tuff_prune_target_parse(forms[i].target, &p));
        EXPECT_OK(tuff_prune(model, NULL, &p, &pruned));
        EXPECT_OK(tuff_sparsify(pruned, &q, &sparse));
        EXPECT_STR(tuff_model_net(sparse), forms[i].left);
        EXPECT_NEAR(difference(pruned, sparse), 0, 1e-5);
        EXPECT_EQ(tuff_model_parameters(sparse), tuff_model_parameters(model));
        EXPECT_EQ(nonzeros(sparse), nonzeros(pruned));
        // It is trained on in its form, and lies in a file.
        const tuff_train_params tune = { .epochs = 1, .keep_zeros = true };
        const int64_t left = nonzeros(sparse);
        EXPECT_OK(tuff_train(sparse, data, &tune, NULL));
        EXPECT(difference(pruned, sparse) > 1e-3);
        EXPECT_EQ(nonzeros(sparse), left);
        EXPECT_OK(tuff_model_save(sparse, path));
        EXPECT_OK(tuff_model_load(device, path, &loaded));
        EXPECT_NEAR(difference(loaded, sparse), 0, 0);
        tuff_model_destroy(&loaded);
        tuff_model_destroy(&sparse);
        tuff_model_destroy(&pruned);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Full matrices stay dense whatever is faster, and so does what cannot have a form.
static void what_stays_dense(void)
{
    tuff_dataset *data = some_data();
    tuff_model *model = trained(data, TINY_NET), *sparse;
    tuff_sparsify_params p = { .measure = true };
    EXPECT_OK(tuff_sparsify(model, &p, &sparse));
    EXPECT_STR(tuff_model_net(sparse), TINY_NET);
    EXPECT_NEAR(difference(model, sparse), 0, 0);
    tuff_model_destroy(&sparse);
    p = (tuff_sparsify_params){ .form = TUFF_SPARSE_NM };
    EXPECT_OK(tuff_sparsify(model, &p, &sparse));
    EXPECT_STR(tuff_model_net(sparse), TINY_NET);
    tuff_model_destroy(&sparse);
    p.form = TUFF_SPARSE_FORMS;
    EXPECT_STATUS(tuff_sparsify(model, &p, &sparse), TUFF_ERR_ARG);
    p = (tuff_sparsify_params){ .batch = -1 };
    EXPECT_STATUS(tuff_sparsify(model, &p, &sparse), TUFF_ERR_ARG);
    tuff_model_destroy(&model);
    // A net's text must fit what it is given.
    static const char *const wrong[] = { "flatten | csr 5 721", "flatten | bsr 5 3",
                                         "flatten | nm 5 3 5", "csr 5 3" };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const tuff_model_params mp = { .net = wrong[i],
                                       .input = tuff_dataset_get_info(data)->sample };
        EXPECT_STATUS(tuff_model_create(device, &mp, &model), TUFF_ERR_SHAPE);
    }
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
    REFUSE("the most that a layer loses is 2", .target = TUFF_PRUNE_CHANNELS, .sparsity = 0.5,
           .global = true, .most = 2);
    REFUSE("rates do not go with layers", .target = TUFF_PRUNE_LAYERS, .rates = "4=0.5");
    REFUSE("no layer of the net gives", .target = TUFF_PRUNE_LAYERS, .sparsity = 0.5);
    REFUSE("the net has none", .target = TUFF_PRUNE_CHANNELS, .method = TUFF_PRUNE_SLIMMING,
           .sparsity = 0.5);
    REFUSE("not over all", .target = TUFF_PRUNE_CHANNELS, .method = TUFF_PRUNE_SIMILAR,
           .global = true, .sparsity = 0.5);
    REFUSE("threshold does not go with", .target = TUFF_PRUNE_CHANNELS,
           .method = TUFF_PRUNE_THRESHOLD, .threshold = 1);
    refuse(model, NULL, (tuff_prune_params){ .sparsity = 0.5, .tune = &tune },
           "fine-tuning needs data");
    refuse(model, NULL, (tuff_prune_params){ .sparsity = 0.5, .method = TUFF_PRUNE_TAYLOR },
           "taylor needs data");
    EXPECT_STATUS(tuff_prune_method_parse("l3", &method), TUFF_ERR_FORMAT);
    EXPECT_STATUS(tuff_prune_target_parse("4:2", &p), TUFF_ERR_FORMAT);
    EXPECT_STATUS(tuff_prune_target_parse("everything", &p), TUFF_ERR_FORMAT);
    tuff_model_destroy(&model);
    model = tiny_model(device, data, "flatten | dense 5");
    REFUSE("no convolution layers", .target = TUFF_PRUNE_CHANNELS, .sparsity = 0.5);
    REFUSE("needs them all", .target = TUFF_PRUNE_NEURONS, .sparsity = 0.5);
    tuff_model_destroy(&model);
    model = tiny_model(device, data, "conv 8 3 | gn 4 | flatten | dense 5");
    REFUSE("needs them all", .target = TUFF_PRUNE_CHANNELS, .sparsity = 0.5);
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
    CASE(gradually_with_early_stop);
    CASE(slim_pulls_at_scales);
    CASE(a_smaller_net_computes_the_same);
    CASE(over_all_layers);
    CASE(other_methods_for_units);
    CASE(round_after_round);
    CASE(similar_units_are_merged);
    CASE(whole_layers_go);
    CASE(sparse_forms_compute_the_same);
    CASE(what_stays_dense);
    CASE(what_is_refused);
    tuff_device_close(&device);
    return report();
}
