// Training in few bits: gradients, 16-bit fixed point, and 16-bit floats with a scaled loss.
#include "harness.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;

enum { BATCH = 16, TRAIN = 160, EPOCHS = 6 };

static tuff_dataset *data_of(bool noise)
{
    return tiny_data(&(tiny_params){ .train = TRAIN, .test = 60, .noise = noise });
}

// Settings as a command line gives them.
static tuff_train_params params_of(const char *gradients, const char *precision)
{
    tuff_train_params p = { .optimizer = { .kind = TUFF_MOMENTUM, .lr = 0.02f },
                            .epochs = EPOCHS, .batch = BATCH, .seed = 5 };
    EXPECT_OK(tuff_gradients_parse(gradients, &p.gradients));
    EXPECT_OK(tuff_precision_parse(precision, &p.precision));
    return p;
}

static const struct {
    const char *gradients, *precision;
    tuff_optimizer_kind kind;
} settings[] = {
    { "minmax:8", "f32", TUFF_ADAM },         { "dorefa:8", "f32", TUFF_ADAM },
    { "dorefa:6", "f32", TUFF_MOMENTUM },     { "full", "fixed16", TUFF_MOMENTUM },
    { "full", "fixed16:12,9,nearest", TUFF_SGD }, { "full", "half", TUFF_NADAM },
    { "dorefa", "half", TUFF_ADAM },          { "full", "bf16", TUFF_MOMENTUM },
};

// ---- what is learnt -------------------------------------------------------------------------

static void every_setting_learns(void)
{
    tuff_dataset *data = data_of(false);
    for (size_t i = 0; i < COUNT(settings); i++) {
        tuff_model *model = tiny_model(device, data, NULL), *again;
        tuff_train_params p = params_of(settings[i].gradients, settings[i].precision);
        tuff_train_result result;
        p.optimizer.kind = settings[i].kind;
        if (p.optimizer.kind != TUFF_MOMENTUM) p.optimizer.lr = 0;
        if (p.optimizer.kind == TUFF_SGD) p.optimizer.lr = 0.2f;
        EXPECT_OK(tuff_train(model, data, &p, &result));
        const bool learnt = result.last.test.accuracy >= 0.95;
        if (!EXPECT(learnt))
            printf("  %s %s: %.3f\n", settings[i].gradients, settings[i].precision,
                   result.last.test.accuracy);
        again = tiny_model(device, data, NULL);
        EXPECT_OK(tuff_train(again, data, &p, NULL)); // the same bits twice
        EXPECT(tiny_same(model, again));
        tuff_model_destroy(&again);
        tuff_model_destroy(&model);
    }
    tuff_dataset_destroy(&data);
}

static double loss_of(tuff_dataset *data, const char *precision)
{
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_params p = params_of("full", precision);
    tuff_train_result result = { 0 };
    p.optimizer = (tuff_optimizer){ .kind = TUFF_SGD, .lr = 0.01f };
    p.epochs = 12;
    EXPECT_OK(tuff_train(model, data, &p, &result));
    tuff_model_destroy(&model);
    return result.last.train.loss;
}

// Gupta's point: with few bits behind the point, updates are lost unless chance rounds them.
static void nearest_loses_updates(void)
{
    tuff_dataset *data = data_of(false);
    const double f32 = loss_of(data, "f32"), chance = loss_of(data, "fixed16:9,9");
    const double nearest = loss_of(data, "fixed16:9,9,nearest");
    EXPECT(chance < f32 + 0.1 && nearest > 3 * chance);
    printf("loss in f32 %.4f, in fixed point by chance %.4f, to the nearest %.4f\n", f32,
           chance, nearest);
    tuff_dataset_destroy(&data);
}

// ---- what weights are -----------------------------------------------------------------------

static void fixed_weights_are_multiples(void)
{
    tuff_dataset *data = data_of(true);
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_params p = params_of("full", "fixed16:14,10");
    size_t count, large = 0;
    p.epochs = 1;
    p.optimizer.lr = 2; // so that some saturate
    (void)!tuff_train(model, data, &p, NULL);
    float *w = tiny_weights(model, &count);
    for (size_t i = 0; i < count; i++) {
        const double n = ldexp((double)w[i], 14);
        EXPECT(n == rint(n) && n >= -32768 && n <= 32767);
        large += fabs(n) > 30000;
    }
    EXPECT(large > 0);
    free(w);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// What one step of plain descent takes from weights that were zero, which is their gradient.
static float *slope_of(const char *gradients, int64_t batch, size_t *count)
{
    static float x[BATCH * 12];
    static const int32_t y[BATCH] = { 1, 4, 0, 2, 3, 3, 1, 0, 2, 4, 4, 1, 3, 2, 0, 1 };
    const tuff_model_params zeros = { .net = "dense 5", .input = TUFF_SHAPE(TUFF_F32, 12),
                                      .init = { .kind = TUFF_INIT_ZEROS } };
    tuff_train_params p = params_of(gradients, "f32");
    tuff_model *model;
    tuff_trainer *trainer;
    p.optimizer = (tuff_optimizer){ .kind = TUFF_SGD, .lr = 1 };
    for (size_t i = 0; i < COUNT(x); i++) x[i] = sinf((float)(7 * i * i + 1));
    EXPECT_OK(tuff_model_create(device, &zeros, &model));
    EXPECT_OK(tuff_trainer_create(model, &p, 5, 0, &trainer));
    EXPECT_OK(tuff_trainer_step(trainer, x, y, batch));
    EXPECT_OK(tuff_trainer_read(trainer, &(tuff_metrics){ 0 }));
    float *w = calloc(60 + 5, sizeof *w);
    EXPECT_OK(tuff_model_get(model, "0.weight", w, 60));
    EXPECT_OK(tuff_model_get(model, "0.bias", w + 60, 5));
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&model);
    *count = 65;
    return w;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int distinct(float *x, size_t n)
{
    int count = 1;
    qsort(x, n, sizeof *x, by_value);
    for (size_t i = 1; i < n; i++) count += x[i] != x[i - 1];
    return count;
}

static void gradients_have_few_levels(void)
{
    size_t n;
    float *full = slope_of("full", BATCH, &n), *few = slope_of("minmax:3", BATCH, &n);
    float *two = slope_of("dorefa:1", 1, &n), *eight = slope_of("minmax:8", BATCH, &n);
    double off = 0, most = 0;
    for (size_t i = 0; i < 60; i++) {
        off = fmax(off, fabs((double)(eight[i] - full[i])));
        most = fmax(most, fabs((double)full[i]));
    }
    EXPECT(off > 0 && off < 0.03 * most); // a level of dy, and one of dw
    EXPECT(distinct(full, 60) == 60 && distinct(few, 60) <= 8 && distinct(few, 60) > 2);
    EXPECT(fabsf(two[60]) > 0 && distinct(two + 60, 5) <= 2); // dy of one example: its bias's
    EXPECT(fabsf(two[60]) == fabsf(two[64]));
    free(full);
    free(few);
    free(two);
    free(eight);
}

// ---- 16-bit floats --------------------------------------------------------------------------

// A scale that is far too large at first: steps are left out until gradients are finite.
static void a_scale_finds_its_size(void)
{
    tuff_dataset *data = data_of(false);
    tuff_model *model = tiny_model(device, data, "conv 4 3 | bn | relu | maxpool 2 | "
                                   "residual(conv 4 3 pad=1 | bn | relu) | flatten | dense 5");
    tuff_train_params p = params_of("full", "half");
    tuff_train_result result;
    p.precision.loss_scale = 0x1p40f;
    p.precision.growth_interval = 8;
    p.optimizer = (tuff_optimizer){ .kind = TUFF_ADAM, .lr = 0.01f };
    EXPECT_OK(tuff_train(model, data, &p, &result));
    EXPECT(result.last.skipped >= 15 && result.last.skipped <= 40);
    EXPECT(result.last.loss_scale >= 1024 && result.last.loss_scale <= 0x1p24);
    EXPECT(result.last.test.accuracy >= 0.95);
    float *w = tiny_weights(model, &(size_t){ 0 });
    EXPECT(isfinite(w[0]));
    free(w);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- runs that are broken off ---------------------------------------------------------------

static bool stop_at_7(void *user, const tuff_progress *p)
{
    (void)user;
    return (p->epoch - 1) * (TRAIN / BATCH) + p->step < 7;
}

static void resumed_runs_are_the_same(void)
{
    tuff_dataset *data = data_of(true);
    const char *path = temp_path("few.safetensors");
    for (size_t i = 0; i < COUNT(settings); i++) {
        tuff_model *want = tiny_model(device, data, NULL), *model;
        tuff_train_params p = params_of(settings[i].gradients, settings[i].precision);
        tuff_train_result whole, rest;
        p.optimizer.kind = settings[i].kind;
        p.precision.loss_scale = 0x1p30f; // steps are skipped before and after the break
        p.precision.growth_interval = 5;
        p.epochs = 2;
        EXPECT_OK(tuff_train(want, data, &p, &whole));
        model = tiny_model(device, data, NULL);
        p.out = path;
        p.on_step = stop_at_7;
        EXPECT_OK(tuff_train(model, data, &p, NULL));
        EXPECT(!tiny_same(model, want));
        tuff_model_destroy(&model);
        EXPECT_OK(tuff_model_load(device, path, &model));
        EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .resume = path }, &rest));
        EXPECT(tiny_same(model, want));
        EXPECT(rest.last.skipped == whole.last.skipped);
        EXPECT(rest.last.loss_scale == whole.last.loss_scale);
        tuff_model_destroy(&model);
        tuff_model_destroy(&want);
    }
    tuff_dataset_destroy(&data);
}

// ---- the op ---------------------------------------------------------------------------------

static void rounding_by_chance_keeps_the_mean(void)
{
    enum { N = 20000 };
    static float x[N], y[N];
    const float scale = 0.5f;
    const uint32_t at[2] = { 7, 1 };
    tuff_stream *s;
    tuff_tensor *tx, *ts, *tc, *ty;
    double sum = 0;
    for (int i = 0; i < N; i++) x[i] = 0.6f;
    EXPECT_OK(tuff_stream_create(device, &s));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, N), &tx));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_F32, N), &ty));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SCALAR(TUFF_F32), &ts));
    EXPECT_OK(tuff_tensor_create(device, TUFF_SHAPE(TUFF_I32, 2), &tc));
    EXPECT_OK(tuff_tensor_write(s, tx, x, sizeof x));
    EXPECT_OK(tuff_tensor_write(s, ts, &scale, sizeof scale));
    EXPECT_OK(tuff_tensor_write(s, tc, at, sizeof at));
    EXPECT_OK(tuff_round_levels(s, tx, ts, NULL, tc, ty,
                                &(tuff_round_levels_params){ .stochastic = true, .seed = 3 }));
    EXPECT_OK(tuff_tensor_read(s, ty, y, sizeof y));
    for (int i = 0; i < N; i++) {
        EXPECT(y[i] == 0.5f || y[i] == 1);
        sum += (double)y[i];
    }
    EXPECT(fabs(sum / N - 0.6) < 0.007); // four deviations
    EXPECT_STATUS(tuff_round_levels(s, tx, ts, NULL, NULL, ty,
                                    &(tuff_round_levels_params){ .bits = 17 }), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "bits is 17, expected 1 to 16");
    tuff_tensor_destroy(&tx);
    tuff_tensor_destroy(&ty);
    tuff_tensor_destroy(&ts);
    tuff_tensor_destroy(&tc);
    tuff_stream_destroy(&s);
}

// ---- nets -----------------------------------------------------------------------------------

// One step and its loss, of a net that takes f32 [4, 12] sequences or [1, 12, 12] images.
static void step_of(const char *net, bool image, const char *gradients, const char *precision)
{
    static float x[8 * 144];
    static const int32_t y[8] = { 1, 4, 0, 2, 3, 3, 1, 0 };
    const tuff_model_params mp = { .net = net, .seed = 1,
                                   .input = image ? TUFF_SHAPE(TUFF_F32, 1, 12, 12)
                                                  : TUFF_SHAPE(TUFF_F32, 4, 12) };
    tuff_train_params p = params_of(gradients, precision);
    tuff_model *model;
    tuff_trainer *trainer = NULL;
    p.precision.loss_scale = 256; // so that the first step is not skipped
    tuff_metrics first = { 0 }, second = { 0 };
    for (size_t i = 0; i < COUNT(x); i++) x[i] = sinf((float)(7 * i * i + 1));
    if (!EXPECT_OK(tuff_model_create(device, &mp, &model))) return;
    if (EXPECT_OK(tuff_trainer_create(model, &p, 5, 0, &trainer))) {
        EXPECT_OK(tuff_trainer_step(trainer, x, y, 8));
        EXPECT_OK(tuff_trainer_read(trainer, &first));
        EXPECT_OK(tuff_trainer_step(trainer, x, y, 8));
        EXPECT_OK(tuff_trainer_read(trainer, &second));
        const bool fine = isfinite(second.loss) && first.loss != second.loss;
        if (!EXPECT(fine))
            printf("  %s in %s, %s: %g, then %g\n", net, gradients, precision, first.loss,
                   second.loss);
    }
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&model);
}

static void nets_of_all_kinds(void)
{
    static const struct {
        const char *net;
        bool image;
    } nets[] = {
        { "residual(attention 3 | dropout 0.1) | ln | gelu | flatten | dense 5", false },
        { "lstm 6 | bn | dense 5", false },
        { "residual(conv 1 3 pad=1 | prelu) | concat(conv 2 1 ; avgpool 3 stride=1 pad=1) | "
          "gn 3 | dwconv 3 | maxpool 2 | flatten | dense 5", true },
        { "conv 4 3 fake=4 | relu | fake_quantize 8 | flatten | bdense 8 | bn | sign | "
          "dense 5", true },
    };
    for (size_t i = 0; i < COUNT(nets); i++) {
        step_of(nets[i].net, nets[i].image, "full", "half");
        step_of(nets[i].net, nets[i].image, "full", "fixed16");
        step_of(nets[i].net, nets[i].image, "minmax:6", "bf16");
    }
}

// ---- what is refused ------------------------------------------------------------------------

static void settings_that_are_refused(void)
{
    static const struct {
        const char *text, *why;
        bool gradients;
    } cases[] = {
        { "foo", "'foo' does not fit, expected full, minmax:BITS or dorefa:BITS", true },
        { "minmax:", "'minmax:' does not fit", true },
        { "full:8", "'full:8' does not fit", true },
        { "dorefa:0", "0 bits, expected 1 to 16", true },
        { "minmax:17", "17 bits, expected 1 to 16", true },
        { "quarter", "'quarter' does not fit, expected f32, half, bf16", false },
        { "half:3", "'half:3' does not fit", false },
        { "fixed16:14,10,down", "does not fit", false },
        { "fixed16:16", "the point of fixed16 is 16, expected 1 to 15", false },
        { "fixed16:14,0", "the outputs' point of fixed16 is 0", false },
    };
    tuff_gradients g;
    tuff_precision p;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const tuff_status status = cases[i].gradients ? tuff_gradients_parse(cases[i].text, &g)
                                                      : tuff_precision_parse(cases[i].text, &p);
        EXPECT(status == TUFF_ERR_FORMAT || status == TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
    }
    tuff_dataset *data = data_of(true);
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_params both = params_of("dorefa:6", "fixed16");
    EXPECT_STATUS(tuff_train(model, data, &both, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "with the precision fixed16 they are fixed point already");
    both = params_of("full", "half");
    both.precision.loss_scale = -1;
    EXPECT_STATUS(tuff_train(model, data, &both, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "the loss scale is -1");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(rounding_by_chance_keeps_the_mean);
    CASE(settings_that_are_refused);
    CASE(nets_of_all_kinds);
    CASE(gradients_have_few_levels);
    CASE(fixed_weights_are_multiples);
    CASE(resumed_runs_are_the_same);
    CASE(every_setting_learns);
    CASE(nearest_loses_updates);
    CASE(a_scale_finds_its_size);
    tuff_device_close(&device);
    return report();
}
