// What each layer can bear: points in their order, that say what pruning and rounding do.
#include "harness.h"
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

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    data = tiny_data(&(tiny_params){ .train = 320, .test = 64 });
    CASE(each_layer_by_itself);
    tuff_dataset_destroy(&data);
    tuff_device_close(&device);
    return report();
}
