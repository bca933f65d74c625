// Training: settings against their formulas, steps against the CPU path, what a step allocates,
// and what happens when an allocation fails.
#include "harness.h"
#include "base/alloc.h"
#include "tiny.h"
#include "train/settings.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS = TUFF_LAMB + 1 };

static tuff_device *device;

// ---- settings ------------------------------------------------------------------------------

static void schedules_follow_their_formulas(void)
{
    const double lr = 0.5, pi = 3.14159265358979323846;
    const int64_t per_epoch = 7, steps = 70;
    const tuff_schedule constant = { 0 }, warm = { .warmup = 4 };
    const tuff_schedule step = { .kind = TUFF_STEP, .every = 3, .factor = 0.25f };
    const tuff_schedule cosine = { .kind = TUFF_COSINE, .warmup = 10, .min = 0.125f };
    for (int64_t t = 0; t < 80; t++) {
        EXPECT(tuff_schedule_lr(&constant, lr, t, per_epoch, steps) == lr);
        EXPECT_NEAR(tuff_schedule_lr(&warm, lr, t, per_epoch, steps),
                    t < 4 ? lr * (double)(t + 1) / 4 : lr, 1e-15);
        EXPECT_NEAR(tuff_schedule_lr(&step, lr, t, per_epoch, steps),
                    lr * pow(0.25, floor(floor((double)t / 7) / 3)), 1e-15);
        const double p = t < 70 ? (double)(t - 10) / 60 : 1;
        EXPECT_NEAR(tuff_schedule_lr(&cosine, lr, t, per_epoch, steps),
                    t < 10 ? lr * (double)(t + 1) / 10
                           : 0.125 + (lr - 0.125) * (1 + cos(pi * p)) / 2,
                    1e-15);
    }
    // The ends and the middle, by hand.
    EXPECT_NEAR(tuff_schedule_lr(&cosine, lr, 10, per_epoch, steps), 0.5, 1e-15);
    EXPECT_NEAR(tuff_schedule_lr(&cosine, lr, 40, per_epoch, steps), 0.3125, 1e-15);
    EXPECT_NEAR(tuff_schedule_lr(&cosine, lr, 70, per_epoch, steps), 0.125, 1e-15);
    EXPECT_NEAR(tuff_schedule_lr(&step, lr, 21, per_epoch, steps), 0.125, 1e-15);
}

static void settings_as_text(void)
{
    static const char *const right[] = { "constant", "step=3,0.25", "cosine", "cosine=0.001",
                                         "warmup=500 cosine", "  step=1,0.5\twarmup=3",
                                         "warmup=7" };
    static const char *const wrong[] = { "", " ", "linear", "step", "step=3", "step=0,0.5",
                                         "step=3,0.5,1", "step=3,-1", "cosine=x", "cosine=1,2",
                                         "warmup", "warmup=-1", "warmup=1.5", "constant cosine",
                                         "constant=1", "step=3,0.5x" };
    tuff_schedule s, again;
    for (size_t i = 0; i < COUNT(right); i++) {
        char text[96];
        EXPECT_OK(tuff_schedule_parse(right[i], &s));
        tuff_schedule_print(&s, text, sizeof text);
        EXPECT_OK(tuff_schedule_parse(text, &again));
        EXPECT(s.kind == again.kind && s.warmup == again.warmup && s.every == again.every &&
               s.factor == again.factor && s.min == again.min);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        EXPECT(tuff_schedule_parse(wrong[i], &s) != TUFF_OK);
    tuff_optimizer_kind kind;
    tuff_loss loss;
    for (int k = 0; k < KINDS; k++) {
        EXPECT_OK(tuff_optimizer_parse(tuff_optimizer_name((tuff_optimizer_kind)k), &kind));
        EXPECT_EQ(kind, k);
    }
    EXPECT_STATUS(tuff_optimizer_parse("adadelta", &kind), TUFF_ERR_FORMAT);
    EXPECT_OK(tuff_loss_parse("mse", &loss));
    EXPECT_EQ(loss, TUFF_LOSS_MSE);
    EXPECT_STATUS(tuff_loss_parse("hinge", &loss), TUFF_ERR_FORMAT);
}

static bool is_zero(float x) { return x == 0 && signbit(x); } // as TUFF_ZERO is

// 0 is the default of the optimizer in question, TUFF_ZERO is 0, and what is filled in may be
// filled again: a checkpoint stores it so.
static void settings_and_their_defaults(void)
{
    for (int k = 0; k < KINDS; k++) {
        tuff_optimizer o = { .kind = (tuff_optimizer_kind)k }, again;
        EXPECT_OK(tuff_optimizer_fill(&o));
        EXPECT(o.lr > 0 && o.beta1 == 0.9f && o.alpha == 0.99f && o.momentum_decay == 0.004f);
        EXPECT(o.beta2 == (k == TUFF_LION ? 0.99f : is_zero(o.beta2) ? 0 : 0.999f));
        again = o;
        EXPECT_OK(tuff_optimizer_fill(&again));
        EXPECT(memcmp(&again, &o, sizeof o) == 0);
    }
    tuff_optimizer o = { .kind = TUFF_MOMENTUM, .momentum = TUFF_ZERO, .eps = TUFF_ZERO };
    EXPECT_OK(tuff_optimizer_fill(&o));
    EXPECT(is_zero(o.momentum) && is_zero(o.eps) && o.lr == 0.01f);
    o = (tuff_optimizer){ .kind = TUFF_RMSPROP_CENTERED };
    EXPECT_OK(tuff_optimizer_fill(&o));
    EXPECT(is_zero(o.momentum));
    o = (tuff_optimizer){ .kind = TUFF_LAMB };
    EXPECT_OK(tuff_optimizer_fill(&o));
    EXPECT(o.eps == 1e-6f);
}

static void settings_out_of_range(void)
{
    const tuff_train_params wrong[] = {
        { .optimizer = { .lr = -1 } },
        { .optimizer = { .lr = NAN } },
        { .optimizer = { .momentum = 1 } },
        { .optimizer = { .momentum = -0.5f } },
        { .optimizer = { .dampening = 0.5f } }, // of adam
        { .optimizer = { .beta1 = 1.5f } },
        { .optimizer = { .weight_decay = -1 } },
        { .optimizer = { .clip_norm = INFINITY } },
        { .optimizer = { .kind = (tuff_optimizer_kind)17 } },
        { .schedule = { .warmup = -1 } },
        { .schedule = { .kind = TUFF_COSINE } }, // of an epoch whose length is not known
        { .loss = (tuff_loss)9 },
        { .epochs = -1 },
        { .batch = -1 },
        { .batch = 1 << 30 },
        { .patience = -2 },
    };
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 5 });
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_trainer *trainer;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(tuff_trainer_create(model, &wrong[i], TINY_CLASSES, 0, &trainer),
                      TUFF_ERR_ARG);
        EXPECT(!trainer);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void nets_that_do_not_fit_the_data(void)
{
    static const struct {
        const char *net;
        tuff_status status;
        const char *why;
    } cases[] = {
        { "flatten | dense 4", TUFF_ERR_SHAPE, "data of 5 classes needs f32 [5]" },
        { "conv 5 3", TUFF_ERR_SHAPE, "the net gives f32 [5, 10, 10]" },
        { "flatten | dense 5 | softmax", TUFF_ERR_ARG, "cross entropy takes logits" },
        { "flatten | relu", TUFF_ERR_ARG, "no parameters to train" },
    };
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 5 });
    for (size_t i = 0; i < COUNT(cases); i++) {
        tuff_model *model = tiny_model(device, data, cases[i].net);
        EXPECT_STATUS(tuff_train(model, data, NULL, NULL), cases[i].status);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
        tuff_model_destroy(&model);
    }
    tuff_dataset *other = tiny_data(&(tiny_params){ .train = 8, .test = 5, .numbers = true });
    tuff_model *model = tiny_model(device, other, "dense 2");
    EXPECT_STATUS(tuff_train(model, data, NULL, NULL), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "samples are f32 [1, 12, 12], the net takes f32 [4]");
    EXPECT_STATUS(tuff_train(model, other, NULL, NULL), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "1 targets an example, the net gives 2 numbers");
    tuff_metrics m;
    const tuff_test_params held = { .held = true };
    EXPECT_STATUS(tuff_test(model, other, &held, &m), TUFF_ERR_ARG);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&other);
    tuff_dataset_destroy(&data);
}

// ---- steps ---------------------------------------------------------------------------------

// The first `count` training examples.
typedef struct batch {
    int count;
    float *x;
    int32_t *y;
} batch;

static batch read_batch(const tuff_dataset *data, int count)
{
    const tuff_dataset_info *info = tuff_dataset_get_info(data);
    const size_t sample = (size_t)tuff_desc_count(&info->sample);
    batch b = { count, malloc(sample * (size_t)count * sizeof(float)),
                malloc((size_t)count * sizeof(int32_t)) };
    EXPECT_OK(tuff_dataset_read(data, TUFF_TRAIN, 0, count, b.x, b.y, NULL));
    return b;
}

static void free_batch(batch *b)
{
    free(b->x);
    free(b->y);
}

static void overfits_one_batch(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 32, .test = 5, .noise = true });
    tuff_model *model = tiny_model(device, data, NULL);
    batch b = read_batch(data, 32);
    const tuff_train_params p = { .optimizer = { .lr = 0.01f } };
    tuff_trainer *trainer;
    tuff_metrics first, last;
    if (EXPECT_OK(tuff_trainer_create(model, &p, TINY_CLASSES, 0, &trainer))) {
        EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 32));
        EXPECT_OK(tuff_trainer_read(trainer, &first));
        for (int i = 0; i < 200; i++) EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 32));
        EXPECT_OK(tuff_trainer_read(trainer, &last)); // forget those
        EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 32));
        EXPECT_OK(tuff_trainer_read(trainer, &last));
        EXPECT(first.loss > 1.3 && first.loss < 2.2); // about ln 5
        EXPECT(last.loss < 0.01);
        EXPECT(first.examples == 32 && last.correct == 32 && last.accuracy == 1);
    }
    tuff_trainer_destroy(&trainer);
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

enum { STEPS = 50 };

static void losses_of(tuff_device *on, const tuff_train_params *p, const char *net,
                      double loss[STEPS])
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 96, .test = 5, .noise = true });
    tuff_model *model = tiny_model(on, data, net);
    batch b = read_batch(data, 96);
    tuff_trainer *trainer;
    if (EXPECT_OK(tuff_trainer_create(model, p, TINY_CLASSES, 0, &trainer)))
        for (int i = 0; i < STEPS; i++) {
            tuff_metrics m = { .loss = NAN };
            const int at = i % 6 * 16, pixels = TINY_SIDE * TINY_SIDE;
            EXPECT_OK(tuff_trainer_step(trainer, b.x + at * pixels, b.y + at, 16));
            EXPECT_OK(tuff_trainer_read(trainer, &m));
            loss[i] = m.loss;
        }
    tuff_trainer_destroy(&trainer);
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Sums are in f32 on one side and in f64 on the other; 50 steps let their difference (1e-6 a
// step) grow, by the optimizer's division most of all, and still it stays far below 1e-3.
static void losses_agree_with_the_cpu_path(void)
{
    static const struct {
        const char *name;
        tuff_train_params p;
    } cases[] = {
        { "adam", { .optimizer = { .kind = TUFF_ADAM } } },
        { "adamw clip", { .optimizer = { .kind = TUFF_ADAMW, .weight_decay = 0.01f,
                                         .clip_norm = 0.5f } } },
        { "sgd l1", { .optimizer = { .kind = TUFF_SGD, .lr = 0.05f, .l1 = 1e-4f } } },
        { "momentum", { .optimizer = { .kind = TUFF_MOMENTUM, .weight_decay = 1e-3f } } },
        { "nesterov clip", { .optimizer = { .kind = TUFF_NESTEROV, .clip_value = 0.1f } } },
        { "rmsprop", { .optimizer = { .kind = TUFF_RMSPROP } } },
        { "centered", { .optimizer = { .kind = TUFF_RMSPROP_CENTERED, .momentum = 0.5f } } },
        { "amsgrad", { .optimizer = { .kind = TUFF_AMSGRAD, .decoupled = true } } },
        { "nadam", { .optimizer = { .kind = TUFF_NADAM } } },
        { "lamb", { .optimizer = { .kind = TUFF_LAMB, .weight_decay = 0.01f } } },
        { "mse", { .loss = TUFF_LOSS_MSE } },
    };
    tuff_device *cpu;
    if (!EXPECT_OK(tuff_device_open("cpu", &cpu))) return;
    const char *net = "conv 4 3 pad=1 | tanh | avgpool 2 | conv 6 3 | relu | maxpool 2 | "
                      "flatten | dense 16 | sigmoid | dense 5";
    for (size_t i = 0; i < COUNT(cases); i++) {
        double want[STEPS], got[STEPS];
        losses_of(cpu, &cases[i].p, net, want);
        losses_of(device, &cases[i].p, net, got);
        for (int k = 0; k < STEPS; k++)
            if (!(fabs(got[k] - want[k]) <= 1e-3 * fabs(want[k])))
                FAIL("%s, step %d: the loss is %.8g, on the CPU path %.8g", cases[i].name, k,
                     got[k], want[k]);
        EXPECT(want[STEPS - 1] != want[0] && want[0] > 0); // it did learn something
    }
    tuff_device_close(&cpu);
}

// A batch of 6 in a trainer of batches of 64 is what it is in a trainer of batches of 6.
static void partial_batches_count_their_examples(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 70, .test = 61 });
    batch b = read_batch(data, 6);
    tuff_model *model[2];
    tuff_trainer *trainer;
    for (int i = 0; i < 2; i++) {
        const tuff_train_params p = { .batch = i ? 6 : 64 };
        model[i] = tiny_model(device, data, NULL);
        if (!EXPECT_OK(tuff_trainer_create(model[i], &p, TINY_CLASSES, 0, &trainer))) return;
        EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 6));
        tuff_trainer_destroy(&trainer);
    }
    EXPECT(tiny_same(model[0], model[1]));
    // The mean over a part does not depend on how it is cut: 61 = 61 = 7 * 8 + 5 = 61 * 1.
    static const int sizes[] = { 61, 8, 1, 100 };
    tuff_metrics m[COUNT(sizes)];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        EXPECT_OK(tuff_test(model[0], data, &(tuff_test_params){ .batch = sizes[i] }, &m[i]));
        EXPECT_EQ(m[i].examples, 61);
        EXPECT_EQ(m[i].correct, m[0].correct);
        EXPECT_NEAR(m[i].loss, m[0].loss, 1e-5);
    }
    // An epoch of 70 examples in batches of 32 has all of them.
    tuff_train_result result;
    EXPECT_OK(tuff_train(model[0], data, &(tuff_train_params){ .batch = 32, .epochs = 1 },
                         &result));
    EXPECT_EQ(result.steps, 3);
    EXPECT_EQ(result.last.train.examples, 70);
    EXPECT_EQ(result.last.test.examples, 61);
    for (int i = 0; i < 2; i++) tuff_model_destroy(&model[i]);
    free_batch(&b);
    tuff_dataset_destroy(&data);
}

static void wrong_classes_are_refused(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 5 });
    tuff_model *model = tiny_model(device, data, NULL);
    batch b = read_batch(data, 8);
    tuff_trainer *trainer;
    if (EXPECT_OK(tuff_trainer_create(model, NULL, TINY_CLASSES, 0, &trainer))) {
        b.y[3] = TINY_CLASSES;
        EXPECT_STATUS(tuff_trainer_step(trainer, b.x, b.y, 8), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), "example 3 of the batch is of class 5, expected 0 to 4");
        b.y[3] = -1;
        EXPECT_STATUS(tuff_trainer_step(trainer, b.x, b.y, 8), TUFF_ERR_ARG);
        b.y[3] = 0;
        EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 8));
    }
    tuff_trainer_destroy(&trainer);
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- runs ----------------------------------------------------------------------------------

static void every_optimizer_learns(void)
{
    static const float lr[KINDS] = { 0.003f, 0.003f, 0.1f, 0.02f, 0.02f, 0.001f, 0.001f,
                                     0.001f, 0.03f, 0.003f, 0.003f, 0.003f, 0.001f, 0.02f };
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 300, .test = 100 });
    for (int k = 0; k < KINDS; k++) {
        tuff_model *model = tiny_model(device, data, NULL);
        tuff_train_result result;
        tuff_metrics m;
        const tuff_train_params p = { .optimizer = { .kind = (tuff_optimizer_kind)k,
                                                     .lr = lr[k] },
                                      .epochs = 12, .batch = 16, .seed = 5 };
        EXPECT_OK(tuff_train(model, data, &p, &result));
        EXPECT_OK(tuff_test(model, data, &(tuff_test_params){ .batch = 16 }, &m));
        if (!(m.accuracy >= 0.95))
            FAIL("%s: accuracy %.3f", tuff_optimizer_name((tuff_optimizer_kind)k), m.accuracy);
        EXPECT(m.correct == result.last.test.correct && m.loss == result.last.test.loss);
        tuff_model_destroy(&model);
    }
    tuff_dataset_destroy(&data);
}

static void a_regression_learns(void)
{
    const tiny_params numbers = { .train = 300, .test = 100, .numbers = true };
    tuff_dataset *data = tiny_data(&numbers);
    tuff_model *model = tiny_model(device, data, "dense 1");
    tuff_metrics m;
    const tuff_train_params p = { .optimizer = { .lr = 0.03f }, .epochs = 20, .batch = 16 };
    EXPECT_OK(tuff_train(model, data, &p, NULL));
    EXPECT_OK(tuff_test(model, data, NULL, &m));
    EXPECT(m.loss < 1e-4 && m.accuracy == -1 && m.examples == 100);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Weight decay and L1 shrink what the loss does not need.
static void penalties_shrink_weights(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 5 });
    double size[3];
    for (int i = 0; i < 3; i++) {
        tuff_model *model = tiny_model(device, data, "flatten | dense 5");
        const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD, .lr = 0.1f,
                                                     .weight_decay = i == 1 ? 0.1f : 0,
                                                     .l1 = i == 2 ? 0.02f : 0 },
                                      .epochs = 10 };
        EXPECT_OK(tuff_train(model, data, &p, NULL));
        size_t n;
        float *w = tiny_weights(model, &n);
        size[i] = 0;
        for (size_t k = 0; k < n; k++) size[i] += fabs((double)w[k]);
        free(w);
        tuff_model_destroy(&model);
    }
    EXPECT(size[1] < 0.95 * size[0] && size[2] < 0.8 * size[0]);
    tuff_dataset_destroy(&data);
}

// Classes drawn at random are learnt by heart, so the held-out loss rises and ends the run;
// the model then has the weights of its best epoch.
static void early_stop_keeps_the_best(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 100, .test = 5, .noise = true,
                                                   .held = 0.3f });
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_result result;
    tuff_metrics held;
    const tuff_train_params p = { .optimizer = { .lr = 0.01f }, .epochs = 200, .batch = 16,
                                  .patience = 3 };
    EXPECT_OK(tuff_train(model, data, &p, &result));
    EXPECT(result.early && !result.asked && result.last.epoch < 200);
    EXPECT_EQ(result.last.epoch, result.best_epoch + 3);
    EXPECT_OK(tuff_test(model, data, &(tuff_test_params){ .held = true }, &held));
    EXPECT(held.examples == 30 && held.loss < result.last.held.loss);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
    data = tiny_data(&(tiny_params){ .train = 20, .test = 5 });
    model = tiny_model(device, data, NULL);
    EXPECT_STATUS(tuff_train(model, data, &p, &result), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "early stop needs a held-out part");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void a_lost_loss_is_told(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 64, .test = 5, .numbers = true });
    tuff_model *model = tiny_model(device, data, "dense 8 | dense 1");
    const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD, .lr = 1e20f }, .epochs = 3 };
    EXPECT_STATUS(tuff_train(model, data, &p, NULL), TUFF_ERR_CHECK);
    EXPECT_HAS(tuff_last_error(), "the loss is no longer a number");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

typedef struct told {
    int steps, epochs;
    int64_t last_step;
    double best_accuracy;
} told;

static bool on_step(void *user, const tuff_progress *p)
{
    told *t = user;
    t->steps++;
    t->last_step = p->step;
    EXPECT(p->steps == 5 && p->epochs == 2 && p->step >= 1 && p->step <= 5);
    return true;
}

static bool on_epoch(void *user, const tuff_epoch *e)
{
    told *t = user;
    t->epochs++;
    EXPECT(e->epoch == t->epochs && e->epochs == 2 && e->train.seconds > 0);
    EXPECT(e->train.images_per_second > 0 && e->test.images_per_second > 0);
    EXPECT(t->last_step == 5);
    return true;
}

static void progress_is_told(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 70, .test = 20 });
    tuff_model *model = tiny_model(device, data, NULL);
    told t = { 0 };
    const tuff_train_params p = { .batch = 16, .epochs = 2, .on_step = on_step,
                                  .on_epoch = on_epoch, .user = &t };
    EXPECT_OK(tuff_train(model, data, &p, NULL));
    EXPECT(t.steps == 10 && t.epochs == 2);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void predictions_are_the_tests_scores(void)
{
    enum { N = 77 };
    static float x[N * TINY_SIDE * TINY_SIDE], scores[N * 5], predicted[N * 5];
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 20, .test = N });
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_metrics m;
    int32_t labels[N];
    EXPECT_OK(tuff_test(model, data, &(tuff_test_params){ .scores = scores, .batch = 10 }, &m));
    EXPECT_OK(tuff_dataset_read(data, TUFF_TEST, 0, N, x, labels, NULL));
    EXPECT_OK(tuff_predict(model, x, N, predicted));
    double loss = 0;
    int correct = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        int best = 0;
        for (int k = 0; k < 5; k++) {
            EXPECT_NEAR(predicted[5 * i + k], scores[5 * i + k], 1e-5);
            sum += exp((double)scores[5 * i + k]);
            if (scores[5 * i + k] > scores[5 * i + best]) best = k;
        }
        loss += log(sum) - (double)scores[5 * i + labels[i]];
        correct += best == labels[i];
    }
    EXPECT_NEAR(m.loss, loss / N, 1e-5); // loss and hits by hand
    EXPECT_EQ(m.correct, correct);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void a_predictor_runs_again_and_sees_new_weights(void)
{
    enum { N = 70 };
    static float x[N * TINY_SIDE * TINY_SIDE], one[N * 5], got[N * 5], zeros[4096];
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 20, .test = N });
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_predictor *p;
    EXPECT_OK(tuff_dataset_read(data, TUFF_TEST, 0, N, x, NULL, NULL));
    EXPECT_OK(tuff_predict(model, x, N, one));
    if (!EXPECT_OK(tuff_predictor_create(model, &p))) return;
    tuff_memory_stats before, after;
    EXPECT_OK(tuff_predictor_run(p, x, N, got)); // 64 and 6
    tuff_device_get_stats(device, &before);
    for (int i = 0; i < 3; i++) EXPECT_OK(tuff_predictor_run(p, x, N, got));
    tuff_device_get_stats(device, &after);
    EXPECT_EQ(after.submits - before.submits, 3 * 2);
    EXPECT(memcmp(got, one, sizeof got) == 0);
    tuff_param_info info;
    EXPECT(tuff_model_param(model, tuff_model_param_count(model) - 1, &info));
    EXPECT_OK(tuff_model_get(model, info.name, zeros, info.desc.dim[0]));
    for (int i = 0; i < info.desc.dim[0]; i++) zeros[i] += 1;
    EXPECT_OK(tuff_model_set(model, info.name, zeros, info.desc.dim[0]));
    EXPECT_OK(tuff_predictor_run(p, x, N, got));
    for (int i = 0; i < N * 5; i++) EXPECT_NEAR(got[i], one[i] + 1, 1e-5);
    EXPECT_STATUS(tuff_predictor_run(p, x, 0, got), TUFF_ERR_ARG);
    tuff_predictor_destroy(&p);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Copies every parameter of a model to v, one behind the other; returns their elements.
static int64_t all_params(tuff_model *model, float *v)
{
    int64_t count = 0;
    for (int i = 0; i < tuff_model_param_count(model); i++) {
        tuff_param_info info;
        EXPECT(tuff_model_param(model, i, &info));
        const int64_t n = tuff_desc_count(&info.desc);
        EXPECT_OK(tuff_model_get(model, info.name, v + count, n));
        count += n;
    }
    return count;
}

// What was prepared need not be compiled again, and the weights are as before.
static void a_warmed_model_compiles_nothing(void)
{
    enum { N = 16 };
    static float x[N * TINY_SIDE * TINY_SIDE], before[65536], after[65536], y[N * 5];
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 4 * N, .test = N });
    tuff_model *model = tiny_model(device, data, NULL);
    const tuff_train_params train = { .batch = N, .epochs = 1 };
    const tuff_warm_params p = { .batch = N, .train = &train };
    tuff_warm_result first, second;
    const int64_t count = all_params(model, before);
    EXPECT_OK(tuff_warm(model, &p, &first));
    EXPECT(first.programs == 4 && first.seconds > 0); // 16, 1, a test, a step
    EXPECT_EQ(all_params(model, after), count);
    EXPECT(memcmp(before, after, (size_t)count * sizeof *after) == 0);
    tuff_memory_stats stats, now;
    tuff_device_get_stats(device, &stats);
    EXPECT_OK(tuff_predict(model, x, N, y));
    EXPECT_OK(tuff_predict(model, x, 1, y));
    EXPECT_OK(tuff_train(model, data, &train, NULL));
    EXPECT_OK(tuff_warm(model, &p, &second));
    tuff_device_get_stats(device, &now);
    EXPECT_EQ(now.pipelines, stats.pipelines);
    EXPECT_EQ(second.pipelines, 0);
    EXPECT_STATUS(tuff_warm(model, &(tuff_warm_params){ .batch = -1 }, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "batch is -1");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// ---- memory --------------------------------------------------------------------------------

// Once every program is made, a step allocates nothing and creates no pipeline.
static void steady_state_allocates_nothing(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 40, .test = 5 });
    tuff_model *model = tiny_model(device, data, NULL);
    batch b = read_batch(data, 16);
    tuff_trainer *trainer;
    const tuff_train_params p = { .batch = 16, .optimizer = { .clip_norm = 1 } };
    if (EXPECT_OK(tuff_trainer_create(model, &p, TINY_CLASSES, 0, &trainer))) {
        tuff_memory_stats before, after;
        for (int i = 0; i < 6; i++)
            EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, i % 2 ? 16 : 9));
        const int64_t made = tuff_alloc_count();
        tuff_device_get_stats(device, &before);
        for (int i = 0; i < 20; i++)
            EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, i % 2 ? 16 : 9));
        EXPECT_EQ(tuff_alloc_count() - made, 0);
        tuff_device_get_stats(device, &after);
        EXPECT_EQ(after.pipelines, before.pipelines);
        EXPECT_EQ(after.used, before.used);
        EXPECT_EQ(after.reserved, before.reserved);
    }
    tuff_trainer_destroy(&trainer);
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

typedef struct counted {
    int64_t made;
    uint32_t pipelines;
    int steps;
} counted;

static bool count_step(void *user, const tuff_progress *p)
{
    counted *c = user;
    tuff_memory_stats stats;
    tuff_device_get_stats(device, &stats);
    if (p->epoch == 2 && p->step >= 2) { // the programs' memory has settled
        if (c->steps++) {
            EXPECT_EQ(tuff_alloc_count() - c->made, 0);
            EXPECT_EQ(stats.pipelines, c->pipelines);
        }
        c->made = tuff_alloc_count();
        c->pipelines = stats.pipelines;
    }
    return true;
}

// The same for a whole run: loader, program of the last batch, progress.
static void a_run_allocates_nothing_between_steps(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 100, .test = 5 });
    tuff_model *model = tiny_model(device, data, NULL);
    counted c = { 0 };
    const tuff_train_params p = { .batch = 16, .epochs = 2, .on_step = count_step, .user = &c };
    EXPECT_OK(tuff_train(model, data, &p, NULL));
    EXPECT_EQ(c.steps, 6);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// The device sums in f32; over many runs the sums are those of a sum in f64.
static void sums_of_many_runs_keep_their_digits(void)
{
    enum { RUNS = 9000 };
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 5 });
    tuff_model *model = tiny_model(device, data, "flatten | dense 5");
    batch b = read_batch(data, 1);
    const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD, .lr = 1e-20f } };
    tuff_trainer *trainer;
    tuff_metrics one, many;
    if (EXPECT_OK(tuff_trainer_create(model, &p, TINY_CLASSES, 0, &trainer))) {
        EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 1));
        EXPECT_OK(tuff_trainer_read(trainer, &one));
        for (int i = 0; i < RUNS; i++) EXPECT_OK(tuff_trainer_step(trainer, b.x, b.y, 1));
        EXPECT_OK(tuff_trainer_read(trainer, &many));
        EXPECT(many.examples == RUNS && many.correct == RUNS * one.correct);
        // 1024 equal numbers added in f32 err by at most 512 roundings of 2^-24.
        EXPECT_NEAR(many.loss, one.loss, 3.1e-5 * one.loss);
    }
    tuff_trainer_destroy(&trainer);
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static tuff_status two_steps(tuff_model *model, const batch *b)
{
    tuff_trainer *trainer = NULL;
    tuff_metrics m;
    const tuff_train_params p = { .optimizer = { .clip_norm = 1 } };
    tuff_status status = tuff_trainer_create(model, &p, TINY_CLASSES, 0, &trainer);
    for (int i = 0; i < 2 && status == TUFF_OK; i++)
        status = tuff_trainer_step(trainer, b->x, b->y, b->count);
    if (status == TUFF_OK) status = tuff_trainer_read(trainer, &m);
    tuff_trainer_destroy(&trainer);
    return status;
}

// Each allocation of making a trainer and running it fails once: a clean error each time, and
// the device works on.
static void failed_allocations_are_clean(void)
{
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 8, .test = 5 });
    tuff_model *model = tiny_model(device, data, "flatten | dense 5");
    batch b = read_batch(data, 8);
    EXPECT_OK(two_steps(model, &b)); // kernels are built
    tuff_memory_stats before, after;
    tuff_device_get_stats(device, &before);
    int64_t n = 1;
    for (; n < 100000; n++) {
        const int64_t made = tuff_alloc_count();
        tuff_alloc_fail_at(n);
        const tuff_status status = two_steps(model, &b);
        tuff_alloc_fail_at(0);
        if (tuff_alloc_count() - made < n) break; // none failed
        EXPECT_STATUS(status, TUFF_ERR_MEMORY);
    }
    EXPECT(n > 50 && n < 100000);
    EXPECT_OK(two_steps(model, &b));
    tuff_device_get_stats(device, &after);
    EXPECT_EQ(after.used, before.used); // nothing was left behind
    free_batch(&b);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(schedules_follow_their_formulas);
    CASE(settings_as_text);
    CASE(settings_and_their_defaults);
    CASE(settings_out_of_range);
    CASE(nets_that_do_not_fit_the_data);
    CASE(overfits_one_batch);
    CASE(losses_agree_with_the_cpu_path);
    CASE(partial_batches_count_their_examples);
    CASE(wrong_classes_are_refused);
    CASE(every_optimizer_learns);
    CASE(a_regression_learns);
    CASE(penalties_shrink_weights);
    CASE(early_stop_keeps_the_best);
    CASE(a_lost_loss_is_told);
    CASE(progress_is_told);
    CASE(predictions_are_the_tests_scores);
    CASE(a_predictor_runs_again_and_sees_new_weights);
    CASE(a_warmed_model_compiles_nothing);
    CASE(steady_state_allocates_nothing);
    CASE(a_run_allocates_nothing_between_steps);
    CASE(sums_of_many_runs_keep_their_digits);
    CASE(failed_allocations_are_clean);
    tuff_device_close(&device);
    return report();
}
