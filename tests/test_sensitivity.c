// What each layer can bear: points in their order, that say what pruning and rounding do.
#include "harness.h"
#include "base/rng.h"
#include "compress/knapsack.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static tuff_device *device;
static tuff_dataset *data;

static tuff_model *trained(void)
{
    tuff_model *model = tiny_model(device, data, TINY_NET);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 2 }, NULL));
    return model;
}

typedef struct points {
    tuff_sensitivity_point point[16];
    int count, most;
} points;

static bool keep_point(void *user, const tuff_sensitivity_point *point)
{
    points *p = user;
    p->point[p->count++] = *point;
    return p->count < p->most;
}

static void weights_are_rounded(tuff_model *model)
{
    static const double bits[] = { 8, 2 }, wrong[] = { 17 };
    points got = { .most = 16 };
    tuff_sensitivity_params p = { .round = &(tuff_weights_params){ .per_tensor = true },
                                  .value = bits, .values = 2, .on_point = keep_point,
                                  .user = &got };
    EXPECT_OK(tuff_sensitivity(model, data, &p));
    static const int layers[] = { -1, 0, 0, 4, 4, 6, 6 };
    EXPECT_EQ(got.count, COUNT(layers));
    const double was = got.point[0].test.loss;
    double near = 0, far = 0;
    for (int i = 1; i < got.count; i += 2) {
        EXPECT(got.point[i].layer == layers[i] && got.point[i].value == 8);
        near += fabs(got.point[i].test.loss - was);
        far += fabs(got.point[i + 1].test.loss - was);
    }
    EXPECT(near > 0 && near < far / 4);
    p.value = wrong, p.values = 1;
    EXPECT_STATUS(tuff_sensitivity_check(&p), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "bits are 17");
}

static void each_layer_by_itself(void)
{
    static const double values[] = { 0, 0.9 };
    tuff_model *model = trained(), *pruned;
    points got = { .most = 16 };
    tuff_metrics m = { 0 };
    tuff_sensitivity_params p = { .value = values, .values = 2, .on_point = keep_point,
                                  .user = &got };
    EXPECT_OK(tuff_sensitivity(model, data, &p));
    static const int layers[] = { -1, 0, 0, 4, 4, 6, 6 };
    EXPECT_EQ(got.count, COUNT(layers));
    for (int i = 0; i < got.count; i++) EXPECT_EQ(got.point[i].layer, layers[i]);
    // Without anything gone it is the net as it is; with 0.9 it is the net pruned so.
    for (int i = 1; i < got.count; i += 2)
        EXPECT(got.point[i].test.loss == got.point[0].test.loss);
    EXPECT_OK(tuff_prune(model, NULL, &(tuff_prune_params){ .rates = "4=0.9" }, &pruned));
    EXPECT_OK(tuff_test(pruned, data, NULL, &m));
    EXPECT_NEAR(m.accuracy, got.point[4].test.accuracy, 0);
    tuff_model_destroy(&pruned);
    // Channels: of one layer; and who has seen enough says so.
    got = (points){ .most = 2 };
    p.prune.target = TUFF_PRUNE_CHANNELS;
    p.value = NULL;
    EXPECT_OK(tuff_sensitivity(model, data, &p));
    EXPECT(got.count == 2 && got.point[1].layer == 0 && got.point[1].value == 0.1);
    p.prune.sparsity = 0.5;
    EXPECT_STATUS(tuff_sensitivity(model, data, &p), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "what goes itself");
    p.prune = (tuff_prune_params){ 0 };
    weights_are_rounded(model);
    p.prune = (tuff_prune_params){ .target = TUFF_PRUNE_LAYERS };
    EXPECT_STATUS(tuff_sensitivity(model, data, &p), TUFF_ERR_ARG);
    tuff_model_destroy(&model);
}

// ---- choices under a budget ----------------------------------------------------------------

enum { ITEMS = 5, CHOICES = 4 };

// The least cost of all assignments that keep the budget; infinite where none does.
static double by_trying(const double *cost, const int64_t *weight, int64_t budget)
{
    double best = INFINITY;
    for (int all = 0; all < 1 << (2 * ITEMS); all++) {
        double sum = 0;
        int64_t heavy = 0;
        for (int i = 0; i < ITEMS; i++) {
            const int k = i * CHOICES + (all >> (2 * i) & 3);
            sum += cost[k];
            heavy += weight[k];
        }
        if (heavy <= budget && sum < best) best = sum;
    }
    return best;
}

static void budgets_are_kept(void)
{
    double cost[ITEMS * CHOICES];
    int64_t weight[ITEMS * CHOICES];
    int chosen[ITEMS], kept = 0;
    for (int trial = 0; trial < 40; trial++) {
        const int64_t scale = trial % 2 ? 1 : 1000003; // exactly; in steps
        for (int k = 0; k < ITEMS * CHOICES; k++) {
            const uint64_t at = (uint64_t)(trial * ITEMS * CHOICES + k);
            cost[k] = tuff_rng_uniform_at(3, at);
            weight[k] = scale * (1 + (int64_t)(30 * tuff_rng_uniform_at(4, at)));
        }
        const int64_t budget = scale * (5 + 3 * trial);
        const double want = by_trying(cost, weight, budget);
        const tuff_status status = tuff_knapsack(ITEMS, CHOICES, cost, weight, budget, chosen);
        if (status != TUFF_OK) {
            EXPECT(status == TUFF_ERR_LIMIT && want == INFINITY);
            continue;
        }
        double sum = 0;
        int64_t heavy = 0;
        for (int i = 0; i < ITEMS; i++) {
            sum += cost[i * CHOICES + chosen[i]];
            heavy += weight[i * CHOICES + chosen[i]];
        }
        kept++;
        EXPECT(heavy <= budget && sum >= want - 1e-12);
        if (scale == 1) EXPECT_NEAR(sum, want, 1e-12);
        else EXPECT(sum <= by_trying(cost, weight, budget - budget / 1000));
    }
    EXPECT(kept > 20 && kept < 40);
    EXPECT_STATUS(tuff_knapsack(ITEMS, CHOICES, cost, weight, -1, chosen), TUFF_ERR_LIMIT);
}

// ---- bits under a budget ------------------------------------------------------------------

static int64_t bytes_of(tuff_model *m)
{
    int64_t bytes = 0;
    tuff_param_info p;
    for (int i = 0; tuff_model_param(m, i, &p); i++) bytes += (int64_t)tuff_desc_bytes(&p.desc);
    return bytes;
}

static double loss_of(tuff_model *m, tuff_dataset *d)
{
    tuff_metrics got = { 0 };
    EXPECT_OK(tuff_test(m, d, &(tuff_test_params){ .held = true }, &got));
    return got.loss;
}

// The net with these bits; its loss on the held-out part.
static double loss_with(tuff_model *m, tuff_dataset *d, const tuff_weights_params *p,
                        int64_t *bytes)
{
    tuff_model *stored;
    double loss = NAN;
    if (!EXPECT_OK(tuff_store_weights(m, NULL, p, &stored))) return loss;
    *bytes = bytes_of(stored);
    loss = loss_of(stored, d);
    tuff_model_destroy(&stored);
    return loss;
}

// What one kind of bits everywhere takes is a budget: mixed bits keep it, and lose less.
static int beats_uniform(tuff_model *m, tuff_dataset *d, const tuff_mixed *mixed, int uniform)
{
    int bits[64], differ = 0;
    int64_t budget, bytes;
    const double plain = loss_with(m, d, &(tuff_weights_params){ .bits = uniform }, &budget);
    EXPECT_OK(tuff_mixed_assign(mixed, &(tuff_mixed_budget){ .bytes = budget }, bits));
    const double best = loss_with(m, d, &(tuff_weights_params){ .layer_bits = bits }, &bytes);
    if (!(bytes <= budget && best <= plain))
        FAIL("%d bits take %lld bytes and lose %.4f, mixed %lld and %.4f", uniform,
             (long long)budget, plain, (long long)bytes, best);
    for (int i = 0; i < tuff_model_layer_count(m); i++)
        differ += bits[i] > 0 && bits[i] != uniform;
    return differ;
}

static void count_point(void *user, const tuff_mixed_point *point)
{
    *(int *)user += point->bits > 0;
}

static void bits_are_assigned(void)
{
    tuff_dataset *d = tiny_data(&(tiny_params){ .train = 400, .test = 16, .held = 0.2f });
    tuff_model *m = tiny_model(device, d, "conv 4 3 | bn | relu | maxpool 2 | flatten | "
                                          "dense 32 | relu | dense 5");
    static const int few[] = { 6, 3, 2 }, wrong[] = { 4, 4 };
    int points = 0, bits[16];
    tuff_mixed *mixed = NULL;
    tuff_mixed_point point;
    tuff_mixed_params p = { .bits = few, .choices = 3, .held = true, .timed = true,
                            .on_point = count_point, .user = &points };
    EXPECT_OK(tuff_train(m, d, &(tuff_train_params){ .epochs = 3 }, NULL));
    EXPECT_OK(tuff_mixed_measure(m, d, &p, &mixed));
    EXPECT_EQ(points, 9);
    EXPECT(tuff_mixed_at(mixed, 0, &point) && point.layer == 0 && point.bits == 0);
    EXPECT(tuff_mixed_at(mixed, 11, &point) && point.layer == 7 && point.bits == 2);
    EXPECT(point.bytes < 0 && !tuff_mixed_at(mixed, 12, &point));
    (void)beats_uniform(m, d, mixed, 3);
    // All fits: what loses nothing, unless the machine was too busy to time. Nothing fits.
    if (tuff_mixed_assign(mixed, &(tuff_mixed_budget){ .ms = 1e6 }, bits) == TUFF_OK)
        EXPECT(bits[0] == TUFF_BITS_F32 && bits[5] == TUFF_BITS_F32 && bits[1] == 0);
    else EXPECT_HAS(tuff_last_error(), "too noisy");
    const tuff_mixed_budget little[] = { { .bytes = 100 }, { .ms = 1e-6 } }, none = { 0 };
    for (int i = 0; i < 2; i++) {
        EXPECT_STATUS(tuff_mixed_assign(mixed, &little[i], bits), TUFF_ERR_LIMIT);
        EXPECT_HAS(tuff_last_error(), "the budget is");
    }
    EXPECT_STATUS(tuff_mixed_assign(mixed, &none, bits), TUFF_ERR_ARG);
    tuff_mixed_destroy(&mixed);
    p = (tuff_mixed_params){ .bits = wrong, .choices = 2 };
    EXPECT_STATUS(tuff_mixed_measure(m, d, &p, &mixed), TUFF_ERR_ARG);
    EXPECT(mixed == NULL);
    tuff_mixed_destroy(&mixed);
    tuff_model_destroy(&m);
    tuff_dataset_destroy(&d);
}

// LeNet-5 on real images, on the CPU path alone: elsewhere the bits of weights are the same.
static void lenet5_has_mixed_bits(void)
{
    tuff_dataset *d = NULL;
    tuff_model *m = NULL;
    tuff_mixed *mixed = NULL;
    const tuff_dataset_params dp = { .limit_train = 8000, .limit_test = 16,
                                     .held_out = 0.125f };
    if (tuff_dataset_open("fashion", &dp, &d) != TUFF_OK) SKIP("%s", tuff_last_error());
    m = tiny_model(device, d, "lenet5");
    EXPECT_OK(tuff_train(m, d, &(tuff_train_params){ .epochs = 2 }, NULL));
    EXPECT_OK(tuff_mixed_measure(m, d, &(tuff_mixed_params){ .held = true }, &mixed));
    int differ = 0;
    for (int uniform = 2; uniform <= 4; uniform++)
        differ += beats_uniform(m, d, mixed, uniform);
    EXPECT(differ > 2);
    tuff_mixed_destroy(&mixed);
    tuff_model_destroy(&m);
    tuff_dataset_destroy(&d);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 320, .test = 64 });
    if (argc > 1 && strcmp(argv[1], "lenet5_has_mixed_bits") == 0) {
        CASE(lenet5_has_mixed_bits);
    } else {
        CASE(each_layer_by_itself);
        CASE(budgets_are_kept);
        CASE(bits_are_assigned);
    }
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
