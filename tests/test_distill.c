// Distillation: the loss against plain sums on the host, what students learn from teachers,
// from their features, from a file of what they say and from each other, and classes that are
// left out of the data.
#include "harness.h"
#include "tiny.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, PIXELS = TINY_SIDE * TINY_SIDE };

static tuff_device *device;

static tuff_dataset *clean_data(void)
{
    return tiny_data(&(tiny_params){ .train = 640, .test = 256 });
}

static tuff_model *a_teacher(tuff_dataset *data)
{
    tuff_model *model = tiny_model(device, data, TINY_NET);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 6 }, NULL));
    return model;
}

static double accuracy(tuff_model *model, tuff_dataset *data)
{
    tuff_metrics m = { 0 };
    EXPECT_OK(tuff_test(model, data, NULL, &m));
    return m.accuracy;
}

static tuff_model *distilled(tuff_model *student, tuff_dataset *data,
                             tuff_model *const *teacher, int teachers, float alpha,
                             int epochs)
{
    tuff_model *made = NULL;
    const tuff_train_params tune = { .epochs = epochs, .seed = 5 };
    const tuff_distill_params p = {
        .teach = { .teacher = teacher, .teachers = teachers, .alpha = alpha }, .tune = &tune,
    };
    EXPECT_OK(tuff_distill(student, data, &p, &made));
    return made;
}

// ---- the loss ------------------------------------------------------------------------------

static void softened(const float *logits, double heat, double p[TINY_CLASSES])
{
    double sum = 0, most = -INFINITY;
    for (int c = 0; c < TINY_CLASSES; c++) most = fmax(most, (double)logits[c]);
    for (int c = 0; c < TINY_CLASSES; c++) sum += p[c] = exp(((double)logits[c] - most) / heat);
    for (int c = 0; c < TINY_CLASSES; c++) p[c] /= sum;
}

// The mean over the batch of alpha T^2 KL(mean of teachers || student) + (1 - alpha) CE.
static double loss_of(const float *student, float *const teacher[], int teachers,
                      const int32_t *labels, double heat, double alpha)
{
    double loss = 0;
    for (int i = 0; i < BATCH; i++) {
        double q[TINY_CLASSES], soft[TINY_CLASSES], hard[TINY_CLASSES], kl = 0;
        double p[TINY_CLASSES] = { 0 };
        for (int k = 0; k < teachers; k++) {
            softened(teacher[k] + i * TINY_CLASSES, heat, q);
            for (int c = 0; c < TINY_CLASSES; c++) p[c] += q[c] / teachers;
        }
        softened(student + i * TINY_CLASSES, heat, soft);
        softened(student + i * TINY_CLASSES, 1, hard);
        for (int c = 0; c < TINY_CLASSES; c++) kl += p[c] * log(p[c] / soft[c]);
        loss += alpha * heat * heat * kl - (1 - alpha) * log(hard[labels[i]]);
    }
    return loss / BATCH;
}

static tuff_model *random_net(tuff_dataset *data, const char *net, uint64_t seed,
                              float scale, float shift)
{
    tuff_model *model = NULL;
    const tuff_model_params p = { .net = net, .seed = seed,
                                  .input = tuff_dataset_get_info(data)->sample,
                                  .init = { TUFF_INIT_NORMAL, 0, 0.2f } };
    const tuff_model_data norm = { .channels = 1, .scale = &scale, .shift = &shift };
    EXPECT_OK(tuff_model_create(device, &p, &model));
    EXPECT_OK(tuff_model_set_data(model, &norm));
    return model;
}

// What a net whose samples are scale v + shift gives for v.
static void predict(tuff_model *model, const float *v, float *logits)
{
    static float x[BATCH * PIXELS];
    const tuff_model_data *norm = tuff_model_get_data(model);
    for (int i = 0; i < BATCH * PIXELS; i++) x[i] = norm->scale[0] * v[i] + norm->shift[0];
    EXPECT_OK(tuff_predict(model, x, BATCH, logits));
}

static void step_has_loss(tuff_model *student, const tuff_teach *teach, const float *v,
                          const int32_t *labels, double want)
{
    static float x[BATCH * PIXELS];
    const tuff_model_data *norm = tuff_model_get_data(student);
    const tuff_train_params p = { .optimizer = { .kind = TUFF_SGD, .lr = 1e-12f },
                                  .batch = BATCH, .teach = teach };
    tuff_trainer *trainer;
    tuff_metrics m = { 0 };
    for (int i = 0; i < BATCH * PIXELS; i++) x[i] = norm->scale[0] * v[i] + norm->shift[0];
    EXPECT_OK(tuff_trainer_create(student, &p, TINY_CLASSES, 0, &trainer));
    EXPECT_OK(tuff_trainer_step(trainer, x, labels, BATCH));
    EXPECT_OK(tuff_trainer_read(trainer, &m));
    EXPECT_NEAR(m.loss, want, 2e-5 * (1 + want));
    tuff_trainer_destroy(&trainer);
}

// With one teacher and with two, each of which knows samples normalised in a way of its own.
static void loss_is_the_papers(void)
{
    static float v[BATCH * PIXELS], y[BATCH * TINY_CLASSES];
    static float a[BATCH * TINY_CLASSES], b[BATCH * TINY_CLASSES];
    int32_t labels[BATCH];
    tuff_dataset *data = clean_data();
    tuff_model *student = random_net(data, "flatten | dense 5", 1, 2, -1);
    tuff_model *teacher[] = { random_net(data, TINY_NET, 2, 5, -2),
                              random_net(data, "flatten | dense 9 | relu | dense 5", 3, 2, 1) };
    EXPECT_OK(tuff_dataset_set_norm(data, (float[]){ 1 }, (float[]){ 0 }, 1));
    EXPECT_OK(tuff_dataset_read(data, TUFF_TRAIN, 3, BATCH, v, labels, NULL));
    predict(student, v, y);
    predict(teacher[0], v, a);
    predict(teacher[1], v, b);
    float *const logits[] = { a, b };
    for (int n = 1; n <= 2; n++) {
        const tuff_teach soft = { .teacher = teacher, .teachers = n, .temperature = 3,
                                  .alpha = 0.7f };
        const tuff_teach alone = { .teacher = teacher, .teachers = n, .temperature = 1.5f,
                                   .alpha = 1 };
        step_has_loss(student, &soft, v, labels, loss_of(y, logits, n, labels, 3, 0.7));
        step_has_loss(student, &alone, v, labels, loss_of(y, logits, n, labels, 1.5, 1));
    }
    // The two teachers differ, so that the mean of both is neither.
    EXPECT(fabs(loss_of(y, logits, 1, labels, 3, 0.7) - loss_of(y, logits, 2, labels, 3, 0.7)) >
           0.01);
    for (int i = 0; i < 2; i++) tuff_model_destroy(&teacher[i]);
    tuff_model_destroy(&student);
    tuff_dataset_destroy(&data);
}

static void without_weight_it_is_plain_training(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *teacher = a_teacher(data), *student, *plain, *taught;
    student = tiny_model(device, data, "flatten | dense 6 | relu | dense 5");
    EXPECT_OK(tuff_model_copy(student, device, &plain));
    EXPECT_OK(tuff_train(plain, data, &(tuff_train_params){ .epochs = 2, .seed = 5 }, NULL));
    taught = distilled(student, data, &teacher, 1, TUFF_ZERO, 2);
    EXPECT(tiny_same(plain, taught));
    tuff_model_destroy(&taught);
    taught = distilled(student, data, &teacher, 1, 0.5f, 2);
    EXPECT(!tiny_same(plain, taught));
    tuff_model_destroy(&taught);
    tuff_model_destroy(&plain);
    tuff_model_destroy(&student);
    tuff_model_destroy(&teacher);
    tuff_dataset_destroy(&data);
}

// ---- what is learnt ------------------------------------------------------------------------

// The labels of the transfer set are drawn at random: what the student knows it has of the
// teacher, who knows samples normalised otherwise and stays as it was, batch norm included.
static void student_learns_from_teachers_not_from_labels(void)
{
    tuff_dataset *clean = clean_data();
    tuff_dataset *noisy = tiny_data(&(tiny_params){ .train = 320, .test = 64, .noise = true });
    tuff_model *teacher[2] = { a_teacher(clean), NULL }, *student, *copy, *plain, *taught;
    teacher[1] = tiny_model(device, clean, "flatten | dense 24 | bn | relu | dense 5");
    EXPECT_OK(tuff_train(teacher[1], clean, &(tuff_train_params){ .epochs = 6 }, NULL));
    student = tiny_model(device, noisy, "flatten | dense 8 | relu | dense 5");
    EXPECT_OK(tuff_model_copy(teacher[1], device, &copy));
    plain = distilled(student, noisy, teacher, 1, TUFF_ZERO, 60);
    EXPECT(accuracy(teacher[0], clean) > 0.95 && accuracy(teacher[1], clean) > 0.95);
    EXPECT(accuracy(plain, clean) < 0.6);
    for (int n = 1; n <= 2; n++) {
        taught = distilled(student, noisy, teacher, n, 0.9f, 60);
        EXPECT(accuracy(taught, clean) > 0.9);
        tuff_model_destroy(&taught);
    }
    EXPECT(tiny_same(copy, teacher[1]));
    tuff_model_destroy(&copy);
    tuff_model_destroy(&plain);
    tuff_model_destroy(&student);
    for (int i = 0; i < 2; i++) tuff_model_destroy(&teacher[i]);
    tuff_dataset_destroy(&noisy);
    tuff_dataset_destroy(&clean);
}

static void resumed_with_teachers_is_the_same(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *teacher = a_teacher(data), *whole, *part, *again = NULL;
    const char *net = "flatten | dense 6 | relu | dense 5";
    const tuff_teach teach = { .teacher = &teacher, .teachers = 1 };
    tuff_train_params p = { .epochs = 2, .seed = 7, .teach = &teach };
    whole = tiny_model(device, data, net);
    part = tiny_model(device, data, net);
    EXPECT_OK(tuff_train(whole, data, &p, NULL));
    p.epochs = 1;
    p.out = temp_path("part.safetensors");
    EXPECT_OK(tuff_train(part, data, &p, NULL));
    EXPECT_OK(tuff_model_load(device, p.out, &again));
    const tuff_train_params rest = { .epochs = 2, .resume = p.out, .teach = &teach };
    EXPECT_OK(tuff_train(again, data, &rest, NULL));
    EXPECT(tiny_same(whole, again) && !tiny_same(whole, part));
    tuff_model_destroy(&again);
    tuff_model_destroy(&part);
    tuff_model_destroy(&whole);
    tuff_model_destroy(&teacher);
    tuff_dataset_destroy(&data);
}

// ---- features ------------------------------------------------------------------------------

#define HIDDEN 6

// What the first three layers of `net | dense 5` give for a batch.
static void features(tuff_model *model, tuff_dataset *data, const char *net, const float *v,
                     float *f)
{
    tuff_model *first = random_net(data, net, 9, 1, 0);
    static float w[HIDDEN * PIXELS], b[HIDDEN];
    EXPECT_OK(tuff_model_get(model, "1.weight", w, HIDDEN * PIXELS));
    EXPECT_OK(tuff_model_get(model, "1.bias", b, HIDDEN));
    EXPECT_OK(tuff_model_set(first, "1.weight", w, HIDDEN * PIXELS));
    EXPECT_OK(tuff_model_set(first, "1.bias", b, HIDDEN));
    EXPECT_OK(tuff_model_set_data(first, tuff_model_get_data(model)));
    predict(first, v, f);
    tuff_model_destroy(&first);
}

static void features_are_in_the_loss(void)
{
    static float v[BATCH * PIXELS], y[BATCH * TINY_CLASSES], a[BATCH * TINY_CLASSES];
    float f[BATCH * HIDDEN], F[BATCH * HIDDEN];
    const char *net = "flatten | dense 6 | tanh | dense 5", *start = "flatten | dense 6 | tanh";
    int32_t labels[BATCH];
    tuff_dataset *data = clean_data();
    tuff_model *student = random_net(data, net, 1, 2, -1);
    tuff_model *teacher = random_net(data, net, 2, 3, 1);
    EXPECT_OK(tuff_dataset_set_norm(data, (float[]){ 1 }, (float[]){ 0 }, 1));
    EXPECT_OK(tuff_dataset_read(data, TUFF_TRAIN, 3, BATCH, v, labels, NULL));
    predict(student, v, y);
    predict(teacher, v, a);
    features(student, data, start, v, f);
    features(teacher, data, start, v, F);
    double apart = 0;
    for (int i = 0; i < BATCH * HIDDEN; i++)
        apart += pow((double)f[i] - (double)F[i], 2) / (BATCH * HIDDEN);
    EXPECT(apart > 0.1);
    float *const logits[] = { a };
    const double soft = loss_of(y, logits, 1, labels, 3, 0.7);
    const double hard = loss_of(y, logits, 1, labels, 3, 0);
    tuff_teach teach = { .teacher = &teacher, .teachers = 1, .temperature = 3, .alpha = 0.7f,
                         .match = "2=2" };
    step_has_loss(student, &teach, v, labels, soft + apart);
    teach.match = " 2=2:0.25  2=2 ";
    step_has_loss(student, &teach, v, labels, soft + 1.25 * apart);
    teach.alpha = TUFF_ZERO;
    step_has_loss(student, &teach, v, labels, hard + 1.25 * apart);
    tuff_model_destroy(&teacher);
    tuff_model_destroy(&student);
    tuff_dataset_destroy(&data);
}

// The teacher has twice the student's features, each of which it has as another linear function
// of them: a projection that is trained finds it, one that is not cannot.
static void projections_are_trained(void)
{
    enum { STEPS = 300 };
    static float v[BATCH * PIXELS], w[2 * HIDDEN * PIXELS], mine[HIDDEN * PIXELS];
    int32_t labels[BATCH];
    tuff_dataset *data = clean_data();
    tuff_model *student = random_net(data, "flatten | dense 6 bias=no | dense 5", 1, 1, 0);
    tuff_model *teacher = random_net(data, "flatten | dense 12 bias=no | dense 5", 2, 1, 0);
    EXPECT_OK(tuff_dataset_set_norm(data, (float[]){ 1 }, (float[]){ 0 }, 1));
    EXPECT_OK(tuff_dataset_read(data, TUFF_TRAIN, 0, BATCH, v, labels, NULL));
    EXPECT_OK(tuff_model_get(student, "1.weight", mine, HIDDEN * PIXELS));
    for (int i = 0; i < 2 * HIDDEN; i++)
        for (int k = 0; k < PIXELS; k++)
            w[i * PIXELS + k] = (i % 2 ? 2.0f : -1.0f) * mine[i / 2 * PIXELS + k];
    EXPECT_OK(tuff_model_set(teacher, "1.weight", w, 2 * HIDDEN * PIXELS));
    const tuff_teach teach = { .teacher = &teacher, .teachers = 1, .alpha = TUFF_ZERO,
                               .match = "1=1:1000" };
    const tuff_train_params p = { .optimizer = { .kind = TUFF_ADAM, .lr = 0.01f },
                                  .batch = BATCH, .teach = &teach };
    tuff_trainer *trainer;
    tuff_metrics first, last;
    const int64_t parameters = tuff_model_parameters(student);
    EXPECT_OK(tuff_trainer_create(student, &p, TINY_CLASSES, 0, &trainer));
    EXPECT_OK(tuff_trainer_step(trainer, v, labels, BATCH));
    EXPECT_OK(tuff_trainer_read(trainer, &first));
    for (int i = 0; i < STEPS; i++)
        EXPECT_OK(tuff_trainer_step(trainer, v, labels, BATCH));
    EXPECT_OK(tuff_trainer_read(trainer, &last));
    EXPECT_OK(tuff_trainer_step(trainer, v, labels, BATCH));
    EXPECT_OK(tuff_trainer_read(trainer, &last));
    EXPECT(first.loss > 100 && last.loss < 0.005 * first.loss);
    EXPECT_EQ(tuff_model_parameters(student), parameters);
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&teacher);
    tuff_model_destroy(&student);
    tuff_dataset_destroy(&data);
}

// Images of other channels, sequences of other widths: the net that is saved has the student's
// layers alone, and the same seed gives the same bits.
static void images_are_matched_by_convolutions(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *teacher = a_teacher(data), *student, *taught[2] = { NULL };
    student = tiny_model(device, data, "conv 2 3 | relu | maxpool 2 | flatten | dense 5");
    const tuff_train_params tune = { .epochs = 2, .seed = 5,
                                     .optimizer = { .kind = TUFF_LAMB } };
    const tuff_distill_params p = { .teach = { .teacher = &teacher, .teachers = 1,
                                               .match = "1=1 2=2:0.5" }, .tune = &tune };
    for (int i = 0; i < 2; i++) EXPECT_OK(tuff_distill(student, data, &p, &taught[i]));
    EXPECT(tiny_same(taught[0], taught[1]));
    EXPECT_STR(tuff_model_net(taught[0]), tuff_model_net(student));
    tuff_model *plain = distilled(student, data, &teacher, 1, 0, 2);
    EXPECT(!tiny_same(taught[0], plain));
    tuff_model_destroy(&plain);
    for (int i = 0; i < 2; i++) tuff_model_destroy(&taught[i]);
    tuff_model_destroy(&student);
    tuff_model_destroy(&teacher);
    tuff_dataset_destroy(&data);
}

// ---- a file of what teachers say -----------------------------------------------------------

static tuff_status with_cache(tuff_model *student, tuff_dataset *data, tuff_teach teach,
                              tuff_model **made)
{
    const tuff_train_params tune = { .epochs = 2, .seed = 5 };
    const tuff_distill_params p = { .teach = teach, .tune = &tune };
    return tuff_distill(student, data, &p, made);
}

// Largest difference between the weights of two models.
static double distance(tuff_model *a, tuff_model *b)
{
    size_t n, m;
    double most = 0;
    float *x = tiny_weights(a, &n), *y = tiny_weights(b, &m);
    EXPECT_EQ(n, m);
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    free(x);
    free(y);
    return most;
}

// 640 examples in batches of 64, and 600, whose last batch is smaller.
static void cached_is_as_live(void)
{
    for (int n = 1; n <= 2; n++) {
        tuff_dataset *data = tiny_data(&(tiny_params){ .train = n == 1 ? 640 : 600,
                                                       .test = 64 });
        const char *path = temp_path(n == 1 ? "one.said" : "two.said");
        const char *second = "flatten | dense 9 | bn | dense 5";
        tuff_model *teacher[] = { a_teacher(data), tiny_model(device, data, second) };
        tuff_model *student = tiny_model(device, data, "flatten | dense 6 | relu | dense 5");
        tuff_model *live, *written, *read;
        tuff_teach teach = { .teacher = teacher, .teachers = n };
        EXPECT_OK(with_cache(student, data, teach, &live));
        teach.cache = path;
        EXPECT_OK(with_cache(student, data, teach, &written));
        EXPECT_OK(with_cache(student, data, teach, &read));
        EXPECT(tiny_same(written, read));
        EXPECT(distance(live, read) < 1e-4 && distance(live, student) > 0.01);
        tuff_model_destroy(&read);
        tuff_model_destroy(&written);
        tuff_model_destroy(&live);
        tuff_model_destroy(&student);
        for (int i = 0; i < 2; i++) tuff_model_destroy(&teacher[i]);
        tuff_dataset_destroy(&data);
    }
}

static void other_caches_are_refused(void)
{
    const char *path = temp_path("other.said");
    tuff_dataset *data = clean_data(), *fewer = tiny_data(&(tiny_params){ .train = 320,
                                                                          .test = 64 });
    tuff_model *teacher = a_teacher(data), *student, *made = NULL;
    student = tiny_model(device, data, "flatten | dense 5");
    tuff_model *another = tiny_model(device, data, TINY_NET);
    tuff_teach teach = { .teacher = &teacher, .teachers = 1, .cache = path };
    EXPECT_OK(with_cache(student, data, teach, &made));
    tuff_model_destroy(&made);
    EXPECT_STATUS(with_cache(student, fewer, teach, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "is of other training examples");
    teach.teacher = &another;
    EXPECT_STATUS(with_cache(student, data, teach, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "is of another teacher");
    teach.match = "1=1";
    EXPECT_STATUS(with_cache(student, data, teach, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no features to match");
    teach.match = NULL;
    teach.cache = temp_path("model.safetensors");
    EXPECT_OK(tuff_model_save(student, teach.cache));
    EXPECT_STATUS(with_cache(student, data, teach, &made), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "no cache of what teachers say");
    // One bit of the logits, which lie at the end of the file.
    FILE *f = fopen(path, "r+b");
    EXPECT(f && fseek(f, -5, SEEK_END) == 0);
    const int byte = fgetc(f);
    EXPECT(fseek(f, -5, SEEK_END) == 0 && fputc(byte ^ 4, f) == (byte ^ 4));
    fclose(f);
    teach.teacher = &teacher;
    teach.cache = path;
    EXPECT_STATUS(with_cache(student, data, teach, &made), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "are damaged");
    // Single steps know no examples.
    tuff_trainer *trainer;
    static float x[BATCH * PIXELS];
    static const int32_t labels[BATCH];
    EXPECT_OK(tuff_trainer_create(student, &(tuff_train_params){ .teach = &teach },
                                  TINY_CLASSES, 0, &trainer));
    EXPECT_STATUS(tuff_trainer_step(trainer, x, labels, BATCH), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "single steps run the teachers");
    tuff_trainer_destroy(&trainer);
    tuff_model_destroy(&another);
    tuff_model_destroy(&student);
    tuff_model_destroy(&teacher);
    tuff_dataset_destroy(&fewer);
    tuff_dataset_destroy(&data);
}

// ---- students that teach each other --------------------------------------------------------

enum { TOGETHER = 15 }; // epochs of 10 steps

typedef struct heard {
    int epochs, steps;
    double loss[2 * TOGETHER]; // of each epoch and student
} heard;

static bool count_epoch(void *user, const tuff_epoch *e)
{
    heard *h = user;
    if (h->epochs < 2 * TOGETHER) h->loss[h->epochs] = e->train.loss;
    EXPECT(e->test.examples == 256 && e->epoch == h->epochs / 2 + 1);
    h->epochs++;
    return true;
}

static bool count_step(void *user, const tuff_progress *p)
{
    ((heard *)user)->steps++;
    return p->epoch <= TOGETHER;
}

// The first step of the first student is that of a distillation by the second; a whole run is
// that of two trainers that take turns, and two runs have the same bits.
static void students_teach_each_other(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *student[] = { tiny_model(device, data, "flatten | dense 6 | relu | dense 5"),
                              tiny_model(device, data, TINY_NET) };
    tuff_model *made[2], *again[2], *hand[2];
    heard h = { 0 };
    const tuff_train_params tune = { .epochs = TOGETHER, .seed = 3, .on_epoch = count_epoch,
                                     .augment = { .flip = true }, .on_step = count_step,
                                     .user = &h };
    const tuff_mutual_params p = { .tune = &tune };
    EXPECT_OK(tuff_distill_mutual(student, 2, data, &p, made));
    EXPECT_EQ(h.epochs, 2 * TOGETHER);
    EXPECT_EQ(h.steps, 10 * TOGETHER);
    for (int i = 0; i < 2; i++)
        EXPECT(h.loss[2 * TOGETHER - 2 + i] < 0.5 * h.loss[i]);
    EXPECT(accuracy(made[0], data) > 0.9 && accuracy(made[1], data) > 0.9);
    h = (heard){ 0 };
    EXPECT_OK(tuff_distill_mutual(student, 2, data, &p, again));
    for (int i = 0; i < 2; i++) {
        EXPECT(tiny_same(made[i], again[i]) && !tiny_same(made[i], student[i]));
        EXPECT_OK(tuff_model_copy(student[i], device, &hand[i]));
        EXPECT_OK(tuff_model_set_data(hand[i], tuff_model_get_data(made[i])));
    }
    tuff_trainer *trainer[2];
    for (int i = 0; i < 2; i++) {
        const tuff_teach teach = { .teacher = &hand[1 - i], .teachers = 1, .temperature = 1,
                                   .alpha = 0.5f };
        const tuff_train_params own = { .seed = 3 + (uint64_t)i, .teach = &teach };
        EXPECT_OK(tuff_trainer_create(hand[i], &own, TINY_CLASSES, 640, &trainer[i]));
    }
    tuff_loader *loader;
    tuff_batch b;
    const tuff_loader_params lp = { .shuffle = true, .seed = 3, .augment = tune.augment };
    EXPECT_OK(tuff_loader_create(data, &lp, &loader));
    for (int step = 0; step < 10 * TOGETHER; step++) {
        tuff_loader_next(loader, &b);
        for (int i = 0; i < 2; i++)
            EXPECT_OK(tuff_trainer_step(trainer[i], b.x, b.labels, b.count));
    }
    for (int i = 0; i < 2; i++) {
        tuff_trainer_destroy(&trainer[i]);
        EXPECT(tiny_same(made[i], hand[i]));
        tuff_model_destroy(&hand[i]);
        tuff_model_destroy(&again[i]);
        tuff_model_destroy(&made[i]);
        tuff_model_destroy(&student[i]);
    }
    tuff_loader_destroy(&loader);
    tuff_dataset_destroy(&data);
}

static void refuse_mutual(tuff_model *const *student, int n, tuff_dataset *data,
                          const tuff_train_params *tune, const char *why)
{
    tuff_model *made[2];
    const tuff_mutual_params p = { .tune = tune };
    EXPECT(tuff_distill_mutual(student, n, data, &p, made) != TUFF_OK);
    EXPECT_HAS(tuff_last_error(), why);
    for (int i = 0; i < n; i++) EXPECT(made[i] == NULL);
}

static void what_mutual_refuses(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *student[] = { tiny_model(device, data, "flatten | dense 5"),
                              tiny_model(device, data, TINY_NET) };
    const float scale = 2, shift = 1;
    const tuff_model_data norm = { .channels = 1, .scale = &scale, .shift = &shift };
    const tuff_train_params patient = { .patience = 1 };
    refuse_mutual(student, 1, data, NULL, "1 student, expected 2 to 16");
    refuse_mutual(student, 2, data, &patient, "no early stop");
    refuse_mutual((tuff_model *[]){ student[0], NULL }, 2, data, NULL, "student 2 is NULL");
    EXPECT_OK(tuff_model_set_data(student[1], &norm));
    tuff_model *taught = random_net(data, "flatten | dense 5", 1, 3, 1);
    refuse_mutual((tuff_model *[]){ student[1], taught }, 2, data, NULL,
                  "students 1 and 2 know samples normalised in different ways");
    tuff_model_destroy(&taught);
    for (int i = 0; i < 2; i++) tuff_model_destroy(&student[i]);
    tuff_dataset_destroy(&data);
}

// ---- classes that are left out -------------------------------------------------------------

static tuff_status open_without(const char *without, int64_t limit, tuff_dataset **data)
{
    enum { N = 40 };
    tuff_array x = { 0 }, y = { 0 };
    EXPECT_OK(tuff_array_init(&x, TUFF_SHAPE(TUFF_F32, N, 3)));
    EXPECT_OK(tuff_array_init(&y, TUFF_SHAPE(TUFF_I32, N)));
    for (int i = 0; i < N; i++) ((int32_t *)y.data)[i] = i % 4;
    for (int i = 0; i < 3 * N; i++) ((float *)x.data)[i] = (float)i;
    const tuff_dataset_params p = { .without = without, .limit_train = limit };
    const tuff_status status = tuff_dataset_from_arrays(&x, &y, &x, &y, &p, data);
    tuff_array_clear(&x);
    tuff_array_clear(&y);
    return status;
}

static void classes_are_left_out(void)
{
    tuff_dataset *data;
    int32_t label[20];
    EXPECT_OK(open_without("3,1", 0, &data));
    EXPECT_EQ(tuff_dataset_get_info(data)->classes, 4);
    EXPECT_EQ(tuff_dataset_get_info(data)->count[TUFF_TRAIN], 20);
    EXPECT_EQ(tuff_dataset_get_info(data)->count[TUFF_TEST], 40);
    EXPECT_OK(tuff_dataset_read(data, TUFF_TRAIN, 0, 20, NULL, label, NULL));
    for (int i = 0; i < 20; i++) EXPECT_EQ(label[i], i % 2 * 2);
    tuff_dataset_destroy(&data);
    EXPECT_OK(open_without("0", 25, &data)); // the limit counts what is left
    EXPECT_EQ(tuff_dataset_get_info(data)->count[TUFF_TRAIN], 25);
    tuff_dataset_destroy(&data);
    static const struct {
        const char *without, *why;
    } wrong[] = {
        { "4", "'4' is no class, expected numbers from 0 to 3" }, { "-1", "'-1' is no class" },
        { "1,", "'' is no class" },       { "two", "'two' is no class" },
        { "0,1,2,3", "no training example is left" },
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        EXPECT_STATUS(open_without(wrong[i].without, 0, &data), TUFF_ERR_ARG);
        EXPECT_HAS(tuff_last_error(), wrong[i].why);
        EXPECT(data == NULL);
    }
}

// ---- what is refused -----------------------------------------------------------------------

static void refuse(tuff_model *student, tuff_dataset *data, tuff_teach teach,
                   tuff_status want, const char *why)
{
    tuff_model *made;
    const tuff_distill_params p = { .teach = teach };
    EXPECT_STATUS(tuff_distill(student, data, &p, &made), want);
    EXPECT_HAS(tuff_last_error(), why);
    EXPECT(made == NULL);
}

static tuff_model *net_for(tuff_desc input, const char *net)
{
    tuff_model *model = NULL;
    EXPECT_OK(tuff_model_create(device, &(tuff_model_params){ .net = net, .input = input },
                                &model));
    return model;
}

static void what_is_refused(void)
{
    tuff_dataset *data = clean_data();
    const tuff_desc sample = tuff_dataset_get_info(data)->sample;
    tuff_model *student = tiny_model(device, data, "flatten | dense 5"), *made;
    tuff_model *good = net_for(sample, "flatten | dense 5");
    tuff_model *bad[] = { net_for(sample, "flatten | dense 7"),
                          net_for(TUFF_SHAPE(TUFF_F32, 1, 6, 6), "flatten | dense 5"),
                          net_for(sample, "flatten | dense 5 | softmax") };
#define TEACH(who, ...)                                                          \
    ((tuff_teach){ .teacher = (who), .teachers = 1, __VA_ARGS__ })
    refuse(student, data, (tuff_teach){ 0 }, TUFF_ERR_ARG, "there is no teacher");
    refuse(student, data, TEACH(&good, .temperature = TUFF_ZERO), TUFF_ERR_ARG,
           "temperature is 0, expected a number above 0");
    refuse(student, data, TEACH(&good, .temperature = -2), TUFF_ERR_ARG,
           "temperature is -2");
    refuse(student, data, TEACH(&good, .alpha = 1.5f), TUFF_ERR_ARG,
           "alpha is 1.5, expected 0 to 1");
    refuse(student, data, TEACH(&good, .alpha = -0.5f), TUFF_ERR_ARG, "alpha is -0.5");
    refuse(student, data, TEACH(&bad[0], .alpha = 1),
           TUFF_ERR_SHAPE, "expected the same classes");
    refuse(student, data, TEACH(&bad[1], .alpha = 1), TUFF_ERR_SHAPE, "takes samples of");
    refuse(student, data, TEACH(&bad[2], .alpha = 1), TUFF_ERR_ARG, "ends with softmax");
    static const struct {
        const char *match, *why;
        tuff_status status;
    } matches[] = {
        { "", "match is empty", TUFF_ERR_FORMAT },
        { "1", "'1' is no pair", TUFF_ERR_FORMAT },
        { "1=1:x", "no number behind the colon", TUFF_ERR_FORMAT },
        { "1=1:-2", "weighs -2", TUFF_ERR_ARG },
        { "7=1", "the teacher has no layer 7", TUFF_ERR_ARG },
        { "1=1 0=3", "the student has no layer 3", TUFF_ERR_ARG },
    };
    for (size_t i = 0; i < COUNT(matches); i++)
        refuse(student, data, TEACH(&good, .match = matches[i].match), matches[i].status,
               matches[i].why);
    tuff_model *image = net_for(sample, "conv 3 3 pad=1 | conv 3 5 | flatten | dense 5");
    refuse(image, data, TEACH(&good, .match = "0=0"), TUFF_ERR_SHAPE,
           "expected the same but for the number of features");
    refuse(image, data, TEACH(&good, .match = "1=1"), TUFF_ERR_SHAPE, "match 1=1");
    tuff_model *small = net_for(sample, "conv 4 3 | conv 3 3 | flatten | dense 5");
    refuse(image, data, TEACH(&small, .match = "1=1 0=0"), TUFF_ERR_SHAPE, "match 0=0");
    tuff_model_destroy(&small);
    tuff_model_destroy(&image);
    const tuff_teach self = { .teacher = &student, .teachers = 1 };
    EXPECT_STATUS(tuff_train(student, data, &(tuff_train_params){ .teach = &self }, NULL),
                  TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "the student itself");
    const tuff_train_params twice = { .teach = &self }, mse = { .loss = TUFF_LOSS_MSE };
    tuff_distill_params p = { .teach = { .teacher = &good, .teachers = 1 }, .tune = &twice };
    EXPECT_STATUS(tuff_distill(student, data, &p, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "teachers of its own");
    p.tune = &mse;
    EXPECT_STATUS(tuff_distill(student, data, &p, &made), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "the loss is mse");
    for (size_t i = 0; i < COUNT(bad); i++) tuff_model_destroy(&bad[i]);
    tuff_model_destroy(&good);
    tuff_model_destroy(&student);
    tuff_dataset_destroy(&data);
}

static void classes_of_other_names_are_refused(void)
{
    tuff_dataset *data = clean_data();
    tuff_model *student = tiny_model(device, data, "flatten | dense 5");
    tuff_model *teacher = tiny_model(device, data, "flatten | dense 5");
    const char *ours[] = { "a", "b", "c", "d", "e" }, *theirs[] = { "a", "b", "x", "d", "e" };
    EXPECT_OK(tuff_model_set_data(student, &(tuff_model_data){ .classes = 5,
                                                               .class_names = ours }));
    EXPECT_OK(tuff_model_set_data(teacher, &(tuff_model_data){ .classes = 5,
                                                               .class_names = theirs }));
    const tuff_teach teach = { .teacher = &teacher, .teachers = 1 };
    tuff_trainer *trainer;
    EXPECT_STATUS(tuff_trainer_create(student, &(tuff_train_params){ .teach = &teach }, 5, 0,
                                      &trainer), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "class 2 is 'c' for the student and 'x' for teacher 1");
    tuff_model_destroy(&teacher);
    tuff_model_destroy(&student);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    CASE(loss_is_the_papers);
    CASE(without_weight_it_is_plain_training);
    CASE(student_learns_from_teachers_not_from_labels);
    CASE(resumed_with_teachers_is_the_same);
    CASE(features_are_in_the_loss);
    CASE(projections_are_trained);
    CASE(images_are_matched_by_convolutions);
    CASE(cached_is_as_live);
    CASE(other_caches_are_refused);
    CASE(students_teach_each_other);
    CASE(what_mutual_refuses);
    CASE(classes_are_left_out);
    CASE(what_is_refused);
    CASE(classes_of_other_names_are_refused);
    tuff_device_close(&device);
    return report();
}
