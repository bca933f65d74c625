// Distillation: the loss against plain sums on the host, what students learn from teachers, and
// classes that are left out of the data.
#include "harness.h"
#include "tiny.h"
#include <math.h>
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
        const tuff_teach soft = { teacher, n, 3, 0.7f }, alone = { teacher, n, 1.5f, 1 };
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
    const tuff_teach self = { .teacher = &student, .teachers = 1 };
    EXPECT_STATUS(tuff_train(student, data, &(tuff_train_params){ .teach = &self }, NULL),
                  TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "the student itself");
    const tuff_train_params twice = { .teach = &self }, mse = { .loss = TUFF_LOSS_MSE };
    tuff_distill_params p = { .teach = { &good, 1, 0, 0 }, .tune = &twice };
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
    CASE(classes_are_left_out);
    CASE(what_is_refused);
    CASE(classes_of_other_names_are_refused);
    tuff_device_close(&device);
    return report();
}
