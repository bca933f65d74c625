// What each layer can bear: points in their order, that say what pruning and rounding do.
#include "harness.h"
#include "base/rng.h"
#include "compress/knapsack.h"
#include "tiny.h"
#include <math.h>

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
    static const double bits[] = { 8, 2 }, wrong[] = { 1 };
    points got = { .most = 16 };
    tuff_sensitivity_params p = { .round = &(tuff_ptq_params){ .per_tensor = true },
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
    EXPECT_HAS(tuff_last_error(), "bits are 1");
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

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 320, .test = 64 });
    CASE(each_layer_by_itself);
    CASE(budgets_are_kept);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
