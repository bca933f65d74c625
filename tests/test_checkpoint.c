// Model files and checkpoints: what is written comes back, a run that was stopped or killed
// goes on to the same bits, and files that lie are refused.
#include "harness.h"
#include "base/alloc.h"
#include "tiny.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static tuff_device *device;

// ---- runs that are broken off ---------------------------------------------------------------

enum { EPOCHS = 3, BATCH = 16, TRAIN = 70, PER_EPOCH = 5 };

static tuff_dataset *run_data(void)
{
    return tiny_data(&(tiny_params){ .train = TRAIN, .test = 9, .noise = true });
}

static tuff_train_params run_params(tuff_optimizer_kind kind)
{
    return (tuff_train_params){
        .optimizer = { .kind = kind, .weight_decay = 0.01f, .clip_norm = 1 },
        .schedule = { .kind = TUFF_COSINE, .warmup = 4, .min = 1e-5f },
        .epochs = EPOCHS, .batch = BATCH, .seed = 99,
        .augment = { .shift = 1, .flip = true },
    };
}

// What a run that nothing breaks ends with.
static tuff_model *unbroken(tuff_dataset *data, tuff_optimizer_kind kind)
{
    tuff_model *model = tiny_model(device, data, NULL);
    const tuff_train_params p = run_params(kind);
    EXPECT_OK(tuff_train(model, data, &p, NULL));
    return model;
}

static bool stop_at_step(void *user, const tuff_progress *p)
{
    return (p->epoch - 1) * PER_EPOCH + p->step < *(const int *)user;
}

static bool stop_after_epoch(void *user, const tuff_epoch *e)
{
    return e->epoch < *(const int *)user;
}

// Goes on from the file until the end, as another process would.
static void resume(const char *path, tuff_dataset *data, tuff_model *want, int epochs)
{
    tuff_model *model;
    tuff_train_result result;
    if (!EXPECT_OK(tuff_model_load(device, path, &model))) return;
    const tuff_train_params p = { .resume = path, .out = path, .epochs = epochs };
    EXPECT_OK(tuff_train(model, data, &p, &result));
    EXPECT_EQ(result.steps, EPOCHS * PER_EPOCH);
    EXPECT(tiny_same(model, want));
    tuff_model_destroy(&model);
    if (!EXPECT_OK(tuff_model_load(device, path, &model))) return; // and so does its file
    EXPECT(tiny_same(model, want));
    tuff_model_destroy(&model);
}

static void stopped_and_resumed(void)
{
    static const tuff_optimizer_kind kinds[] = { TUFF_ADAM, TUFF_SGD, TUFF_NESTEROV,
                                                 TUFF_RMSPROP, TUFF_AMSGRAD, TUFF_NADAM,
                                                 TUFF_LAMB };
    static const int stops[] = { 1, 4, 5, 7, 15 }; // 5: at the end of an epoch; 15: of all
    tuff_dataset *data = run_data();
    const char *path = temp_path("stopped.safetensors");
    for (size_t k = 0; k < COUNT(kinds); k++) {
        tuff_model *want = unbroken(data, kinds[k]);
        for (size_t i = 0; i < (k ? 1 : COUNT(stops)); i++) {
            tuff_model *model = tiny_model(device, data, NULL);
            tuff_train_params p = run_params(kinds[k]);
            tuff_train_result result;
            int stop = stops[k ? 3 : i];
            p.out = path;
            p.on_step = stop_at_step;
            p.user = &stop;
            EXPECT_OK(tuff_train(model, data, &p, &result));
            EXPECT(result.asked && result.steps == stop);
            EXPECT(!tiny_same(model, want) || stop == 15);
            tuff_model_destroy(&model);
            resume(path, data, want, 0);
        }
        tuff_model_destroy(&want);
    }
    tuff_dataset_destroy(&data);
}

static void stopped_after_an_epoch(void)
{
    tuff_dataset *data = run_data();
    tuff_model *want = unbroken(data, TUFF_ADAM), *model = tiny_model(device, data, NULL);
    const char *path = temp_path("epoch.safetensors");
    tuff_train_params p = run_params(TUFF_ADAM);
    int stop = 2;
    p.out = path;
    p.on_epoch = stop_after_epoch;
    p.user = &stop;
    EXPECT_OK(tuff_train(model, data, &p, NULL));
    resume(path, data, want, EPOCHS);
    resume(path, data, want, EPOCHS); // nothing is left to do
    // What the images were augmented by had a part in it.
    tuff_model *plain = tiny_model(device, data, NULL);
    p = run_params(TUFF_ADAM);
    p.augment = (tuff_augment){ .shift = 0 };
    EXPECT_OK(tuff_train(plain, data, &p, NULL));
    EXPECT(!tiny_same(plain, want));
    tuff_model_destroy(&plain);
    tuff_model_destroy(&model);
    tuff_model_destroy(&want);
    tuff_dataset_destroy(&data);
}

// A run with early stop, broken off in the middle, ends as it would have: same best epoch,
// same weights, though the best ones were in the past when it broke.
static void early_stop_and_resume(void)
{
    const tiny_params noise = { .train = 100, .test = 9, .noise = true, .held = 0.3f };
    tuff_dataset *data = tiny_data(&noise);
    tuff_model *want = tiny_model(device, data, NULL), *model = tiny_model(device, data, NULL);
    const char *path = temp_path("early.safetensors");
    tuff_train_params p = { .optimizer = { .lr = 0.01f }, .epochs = 100, .batch = 16,
                            .patience = 4 };
    tuff_train_result whole, first, second;
    EXPECT_OK(tuff_train(want, data, &p, &whole));
    int stop = whole.best_epoch + 2;
    p.out = path;
    p.on_epoch = stop_after_epoch;
    p.user = &stop;
    EXPECT_OK(tuff_train(model, data, &p, &first));
    EXPECT(first.asked && !first.early);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .resume = path, .out = path },
                         &second));
    EXPECT(second.early && whole.early && second.best_epoch == whole.best_epoch);
    EXPECT(tiny_same(model, want));
    tuff_model_destroy(&model);
    EXPECT_OK(tuff_model_load(device, path, &model)); // the file holds the best weights
    EXPECT(tiny_same(model, want));
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .resume = path, .out = path },
                         &second)); // what early stop has ended stays ended
    EXPECT(second.early && second.last.epoch == 0);
    EXPECT(tiny_same(model, want));
    tuff_model_destroy(&model);
    tuff_model_destroy(&want);
    tuff_dataset_destroy(&data);
}

// ---- a run that is killed -------------------------------------------------------------------

static bool dawdle(void *user, const tuff_progress *p)
{
    (void)user, (void)p;
    usleep(20000); // so that the end of the run is not reached before the signal
    return true;
}

// In a process of its own, begun before anything here has a device or a thread.
static pid_t begin_victim(const char *path)
{
    fflush(NULL);
    const pid_t pid = fork();
    if (pid != 0) return pid;
    device = open_device();
    tuff_dataset *data = run_data();
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_params p = run_params(TUFF_ADAM);
    p.out = path;
    p.save_every = 2;
    p.on_step = dawdle;
    _exit(tuff_train(model, data, &p, NULL) == TUFF_OK ? 0 : 1);
}

static pid_t victim;
static char victim_path[512];

static void killed_and_resumed(void)
{
    struct stat s;
    int status = 0;
    for (int i = 0; i < 3000 && stat(victim_path, &s) != 0; i++) usleep(10000);
    EXPECT(stat(victim_path, &s) == 0);
    usleep(50000);
    EXPECT(kill(victim, SIGKILL) == 0 && waitpid(victim, &status, 0) == victim);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); // it was not done yet
    victim = 0;
    tuff_dataset *data = run_data();
    tuff_model *want = unbroken(data, TUFF_ADAM);
    resume(victim_path, data, want, 0);
    tuff_model_destroy(&want);
    tuff_dataset_destroy(&data);
}

// ---- files ---------------------------------------------------------------------------------

static void a_saved_model_comes_back(void)
{
    const char *path = temp_path("model.safetensors");
    const char *const names[] = { "T-shirt/top", "", "two\nlines" };
    const float scale = 2.8284272f, shift = -0.1f;
    tuff_dataset *data = run_data();
    tuff_model *model = tiny_model(device, data, "2x(flatten | dense 7 bias=no) | tanh"), *back;
    EXPECT_OK(tuff_model_set_data(model, &(tuff_model_data){ 1, &scale, &shift, 3, names }));
    EXPECT_OK(tuff_model_save(model, path));
    if (!EXPECT_OK(tuff_model_load(device, path, &back))) return;
    EXPECT(tiny_same(model, back));
    EXPECT_STR(tuff_model_net(back),
               "flatten | dense 7 bias=no | flatten | dense 7 bias=no | tanh");
    EXPECT(tuff_desc_equal(tuff_model_input(back), tuff_model_input(model)));
    const tuff_model_data *d = tuff_model_get_data(back);
    EXPECT(d->channels == 1 && d->scale[0] == scale && d->shift[0] == shift && d->classes == 3);
    EXPECT_STR(d->class_names[0], "T-shirt/top");
    EXPECT_STR(d->class_names[2], "two lines");
    EXPECT_STATUS(tuff_train(back, data, &(tuff_train_params){ .resume = path }, NULL),
                  TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it is no checkpoint");
    EXPECT_STATUS(tuff_model_save(model, "/no/such/folder/model"), TUFF_ERR_IO);
    tuff_model_destroy(&back);
    EXPECT_STATUS(tuff_model_load(device, "/no/such/file", &back), TUFF_ERR_IO);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// A loaded model has the data normalised as it was trained, whatever the data says.
static void a_model_knows_its_normalisation(void)
{
    const char *path = temp_path("norm.safetensors");
    tuff_dataset *data = run_data();
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_metrics before, after;
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1, .out = path }, NULL));
    EXPECT_OK(tuff_test(model, data, NULL, &before));
    tuff_model_destroy(&model);
    EXPECT_OK(tuff_dataset_set_norm(data, (float[]){ 9 }, (float[]){ -3 }, 1));
    if (EXPECT_OK(tuff_model_load(device, path, &model))) {
        EXPECT_OK(tuff_test(model, data, NULL, &after));
        EXPECT(before.loss == after.loss && before.correct == after.correct);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Classes may be trained by squared error; a test of the loaded model is then by that too.
static void a_model_knows_its_loss(void)
{
    const char *path = temp_path("loss.safetensors");
    tuff_dataset *data = run_data();
    tuff_model *model = tiny_model(device, data, NULL);
    tuff_train_result result;
    tuff_metrics again, other;
    const tuff_train_params p = { .epochs = 1, .out = path, .loss = TUFF_LOSS_MSE };
    EXPECT_OK(tuff_train(model, data, &p, &result));
    tuff_model_destroy(&model);
    if (EXPECT_OK(tuff_model_load(device, path, &model))) {
        const tuff_test_params entropy = { .loss = TUFF_LOSS_CROSS_ENTROPY };
        EXPECT_OK(tuff_test(model, data, NULL, &again));
        EXPECT_OK(tuff_test(model, data, &entropy, &other));
        EXPECT(again.loss == result.last.test.loss && again.loss < 0.5 * other.loss);
        EXPECT_EQ(again.correct, other.correct);
    }
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

static void weights_of_another_file(void)
{
    const char *path = temp_path("weights.safetensors");
    tuff_dataset *data = run_data();
    tuff_model *from = tiny_model(device, data, "flatten | dense 5"), *to;
    EXPECT_OK(tuff_model_save(from, path));
    const tuff_model_params p = { .net = "flatten | dense 5 | relu",
                                  .input = *tuff_model_input(from), .seed = 1234 };
    EXPECT_OK(tuff_model_create(device, &p, &to));
    EXPECT(!tiny_same(from, to));
    EXPECT_OK(tuff_model_load_weights(to, path)); // same names and shapes are enough
    EXPECT(tiny_same(from, to));
    tuff_model_destroy(&to);
    to = tiny_model(device, data, "flatten | dense 6");
    EXPECT_STATUS(tuff_model_load_weights(to, path), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "1.weight is f32 [5, 144], the net has f32 [6, 144]");
    tuff_model_destroy(&to);
    tuff_model_destroy(&from);
    tuff_dataset_destroy(&data);
}

// ---- files that lie -------------------------------------------------------------------------

static float weight[20], bias[5];

// A good file with some of its metadata changed or (value NULL) left out.
static tuff_status load_with(const char *key, const char *value, int arrays)
{
    const tuff_named_array all[] = {
        { "0.weight", { TUFF_SHAPE(TUFF_F32, 5, 4), weight } },
        { "0.bias", { TUFF_SHAPE(TUFF_F32, 5), bias } },
        { "7.weight", { TUFF_SHAPE(TUFF_F32, 5), bias } },
    };
    tuff_pair pair[] = { { "tuff.version", "1" }, { "tuff.net", "dense 5" },
                         { "tuff.input", "4" },   { "tuff.scale", "1,2,3,4" },
                         { "tuff.shift", "0,0,0,1e-3" }, { "tuff.classes", "2" },
                         { "tuff.class_names", "a\nb" }, { "tuff.loss", "mse" } };
    int count = COUNT(pair);
    for (int i = 0; i < count; i++) {
        if (!key || strcmp(pair[i].key, key) != 0) continue;
        if (value)
            pair[i].value = value;
        else
            pair[i] = pair[--count];
        key = NULL;
    }
    const char *path = temp_path("lie.safetensors");
    tuff_model *model;
    EXPECT_OK(tuff_safetensors_write(path, all, arrays, pair, count));
    const tuff_status status = tuff_model_load(device, path, &model);
    EXPECT((status == TUFF_OK) == (model != NULL));
    tuff_model_destroy(&model);
    return status;
}

static void files_that_lie(void)
{
    static const struct {
        const char *key, *value, *why;
    } cases[] = {
        { "tuff.version", NULL, "have no tuff.version" },
        { "tuff.version", "2", "its version is '2'" },
        { "tuff.net", NULL, "have no tuff.net" },
        { "tuff.net", "dens 5", "'dens' is no layer" },
        { "tuff.net", "lenet5", "'lenet5' is no layer" }, // text only: no preset, no path
        { "tuff.net", "/etc/passwd", "is no layer" },
        { "tuff.net", "", "expected a layer, found the end" },
        { "tuff.net", "dense 6", "the file holds 25 numbers" },
        { "tuff.net", "dense 1000000 | dense 1000", "the file holds 25 numbers" },
        { "tuff.net", "dense 5 bias=no", "the net has no parameter 0.bias" },
        { "tuff.net", "relu | dense 5", "the net has no parameter 0." },
        { "tuff.input", NULL, "have no tuff.input" },
        { "tuff.input", "", "tuff.input is ''" },
        { "tuff.input", "4,", "tuff.input is '4,'" },
        { "tuff.input", "0", "expected dims such as" },
        { "tuff.input", "3", "0.weight is f32 [5, 4], the net has f32 [5, 3]" },
        { "tuff.input", "1,1,1,1,1,1,1,1,1", "expected dims such as" },
        { "tuff.input", "99999999999999999999", "expected dims such as" },
        { "tuff.input", "1000000", "the file holds 25 numbers" },
        { "tuff.input", "2147483648", "2^31" },
        { "tuff.scale", "1,2,3", "must hold 4 numbers" },
        { "tuff.scale", "1,2,3,4,5", "must hold 4 numbers" },
        { "tuff.scale", "1,2,3,x", "must hold 4 numbers" },
        { "tuff.scale", "1,2,3,1e300", "expected finite numbers" },
        { "tuff.scale", NULL, "must hold 4 numbers" },
        { "tuff.loss", "hinge", "'hinge' is not known" },
        { "tuff.classes", "-1", "tuff.classes is '-1'" },
        { "tuff.classes", "99999999", "tuff.classes is '99999999'" },
        { "tuff.classes", "3", "must hold 3 lines" },
        { "tuff.classes", "1", "must hold 1 lines" },
        { "tuff.classes", "0", "must hold 0 lines" },
    };
    EXPECT_OK(load_with(NULL, NULL, 2));
    EXPECT_OK(load_with("tuff.class_names", NULL, 2));
    EXPECT_STATUS(load_with(NULL, NULL, 1), TUFF_ERR_FORMAT); // no bias
    EXPECT_STATUS(load_with(NULL, NULL, 3), TUFF_ERR_FORMAT); // 7.weight
    EXPECT_HAS(tuff_last_error(), "the net has no parameter 7.weight");
    for (size_t i = 0; i < COUNT(cases); i++) {
        EXPECT(load_with(cases[i].key, cases[i].value, 2) != TUFF_OK);
        EXPECT_HAS(tuff_last_error(), cases[i].why);
    }
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*size);
    if (fread(data, 1, *size, file) != *size) *size = 0;
    fclose(file);
    return data;
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    fwrite(data, 1, size, file);
    fclose(file);
}

// A checkpoint that is cut anywhere, or has any byte of its header changed, is refused or
// read, never more than that; and a run can be resumed from it or is refused.
static void damaged_checkpoints(void)
{
    const char *path = temp_path("damaged.safetensors");
    const char *whole = temp_path("whole.safetensors");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 20, .test = 5, .numbers = true });
    tuff_model *model = tiny_model(device, data, "dense 1"), *other;
    size_t size;
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1, .out = whole }, NULL));
    char *good = read_file(whole, &size);
    if (!EXPECT(size > 500)) return;
    for (size_t n = 0; n < size; n += n < 64 ? 1 : 13) {
        write_file(path, good, n);
        EXPECT(tuff_model_load(device, path, &other) != TUFF_OK);
    }
    int read = 0, refused = 0;
    for (size_t i = 0; i + 64 < size; i++) {
        const char old = good[i];
        good[i] = (char)(i % 3 == 0 ? '9' : i % 3 == 1 ? old ^ 1 : '"');
        write_file(path, good, size);
        good[i] = old;
        const tuff_train_params p = { .resume = path, .epochs = 1 };
        const bool ok = tuff_train(model, data, &p, NULL) == TUFF_OK;
        read += ok;
        refused += !ok;
        if (tuff_model_load(device, path, &other) == TUFF_OK) tuff_model_destroy(&other);
    }
    EXPECT(read > 10 && refused > 100);
    free(good);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

// Resuming with other data than the run had is noticed.
static void resumed_with_other_data(void)
{
    const char *path = temp_path("other.safetensors");
    tuff_dataset *data = run_data();
    tuff_dataset *other = tiny_data(&(tiny_params){ .train = 200, .test = 9 });
    tuff_model *model = tiny_model(device, data, NULL);
    EXPECT_OK(tuff_train(model, data, &(tuff_train_params){ .epochs = 1, .out = path }, NULL));
    const tuff_train_params p = { .resume = path, .epochs = 2 };
    EXPECT_STATUS(tuff_train(model, other, &p, NULL), TUFF_ERR_FORMAT);
    EXPECT_HAS(tuff_last_error(), "it was not made with this data");
    tuff_model_destroy(&model);
    model = tiny_model(device, data, "flatten | dense 5");
    EXPECT_STATUS(tuff_train(model, data, &p, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "resume: the file is of the net \"conv 4 3");
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&other);
    tuff_dataset_destroy(&data);
}

// Each allocation of a run with a checkpoint fails once. The file is then the old one, whole.
static void failed_allocations_are_clean(void)
{
    const char *path = temp_path("memory.safetensors");
    tuff_dataset *data = tiny_data(&(tiny_params){ .train = 20, .test = 5, .numbers = true });
    tuff_model *model = tiny_model(device, data, "dense 1"), *back;
    const tuff_train_params first = { .epochs = 1, .out = path };
    EXPECT_OK(tuff_train(model, data, &first, NULL));
    tuff_memory_stats before, after;
    tuff_device_get_stats(device, &before);
    const tuff_train_params p = { .epochs = 2, .out = path, .resume = path };
    size_t size;
    char *good = read_file(path, &size);
    int64_t n = 1, failed = 0;
    for (; n < 100000; n++) {
        write_file(path, good, size);
        const int64_t made = tuff_alloc_count();
        tuff_alloc_fail_at(n);
        const tuff_status status = tuff_train(model, data, &p, NULL);
        tuff_alloc_fail_at(0);
        if (tuff_alloc_count() - made < n) break; // none failed
        // A program may do without dropping what it does not need.
        EXPECT(status == TUFF_OK || status == TUFF_ERR_MEMORY);
        failed += status != TUFF_OK;
        if (!EXPECT_OK(tuff_model_load(device, path, &back))) break;
        tuff_model_destroy(&back);
    }
    EXPECT(n > 100 && n < 100000 && failed > n * 9 / 10);
    tuff_device_get_stats(device, &after);
    EXPECT_EQ(after.used, before.used);
    free(good);
    tuff_model_destroy(&model);
    tuff_dataset_destroy(&data);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    snprintf(victim_path, sizeof victim_path, "%s", temp_path("killed.safetensors"));
    victim = begin_victim(victim_path);
    device = open_device();
    CASE(killed_and_resumed);
    if (victim) (void)kill(victim, SIGKILL); // when that case was filtered away
    CASE(stopped_and_resumed);
    CASE(stopped_after_an_epoch);
    CASE(early_stop_and_resume);
    CASE(a_saved_model_comes_back);
    CASE(a_model_knows_its_normalisation);
    CASE(a_model_knows_its_loss);
    CASE(weights_of_another_file);
    CASE(files_that_lie);
    CASE(damaged_checkpoints);
    CASE(resumed_with_other_data);
    CASE(failed_allocations_are_clean);
    tuff_device_close(&device);
    return report();
}
