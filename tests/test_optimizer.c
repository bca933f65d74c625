// Optimizers beside PyTorch: ten steps of each with given gradients, on the device that
// TUFF_DEVICE names (tests/golden/make.py made the numbers, in f64); and what is said of them.
//
// Only public calls are made here. |got - want| <= tolerance * (|want| + rms(want)).
#include "harness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/format.h>

// Ten steps of a handful of operations, each rounded to f32.
#define STEPS 2e-6

enum { STEP_COUNT = 10, SIZE = 37, STARTS = 4 };

static tuff_device *dev;
static tuff_stream *stream;

// ---- tensors -------------------------------------------------------------------------------

static tuff_tensor *make(tuff_desc desc, const void *data)
{
    tuff_tensor *t = NULL;
    if (EXPECT_OK(tuff_tensor_create(dev, desc, &t)) && data)
        EXPECT_OK(tuff_tensor_write(stream, t, data, tuff_desc_bytes(&desc)));
    return t;
}

// All that an update may take, whatever the optimizer.
typedef struct set {
    tuff_tensor *w, *g, *hyper, *m, *v, *x, *starts;
    tuff_update_tensors more;
} set;

static set set_create(const float *w, const float *state)
{
    const tuff_desc flat = TUFF_SHAPE(TUFF_F32, SIZE);
    static const int32_t starts[STARTS] = { 0, 1, 12, 30 };
    set s = { make(flat, w), make(flat, NULL), make(TUFF_SHAPE(TUFF_F32, 8), NULL),
              make(flat, state), make(flat, state), make(flat, state),
              make(TUFF_SHAPE(TUFF_I32, STARTS), starts), { NULL } };
    s.more = (tuff_update_tensors){ s.m, s.v, s.x, s.starts };
    return s;
}

static void set_destroy(set *s)
{
    tuff_tensor **const all[] = { &s->w, &s->g, &s->hyper, &s->m, &s->v, &s->x, &s->starts };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(all[i]);
}

static void read(const tuff_tensor *t, float values[SIZE])
{
    EXPECT_OK(tuff_tensor_read(stream, t, values, SIZE * sizeof *values));
}

static bool load(const char *name, const char *tensor, tuff_array *a)
{
    char file[128];
    snprintf(file, sizeof file, "tests/golden/%s.%s.npy", name, tensor);
    const char *path = source_path(file);
    if (!path) return FAIL("%s is not there", file);
    return EXPECT_OK(tuff_npy_read(path, a));
}

static void compare(const char *what, const float got[SIZE], const float want[SIZE])
{
    double squares = 0;
    for (int i = 0; i < SIZE; i++) squares += (double)want[i] * want[i];
    const double rms = sqrt(squares / SIZE);
    for (int i = 0; i < SIZE; i++) {
        if (fabs((double)got[i] - want[i]) <= STEPS * (fabs(want[i]) + rms)) continue;
        FAIL("%s[%d] is %.9g, PyTorch has %.9g", what, i, got[i], want[i]);
        return;
    }
}

// ---- beside PyTorch ------------------------------------------------------------------------

typedef struct course {
    const char *name; // of the case
    const char *op;
    float lr;
    tuff_update_params params;
} course;

static const course courses[] = {
    { "sgd", "sgd", 0.1f, { .eps = 0 } },
    { "sgd_decay", "sgd", 0.1f, { .weight_decay = 0.25f } },
    { "sgd_clip", "sgd", 0.1f, { .clip_value = 0.5f, .l1 = 0.125f } },
    { "momentum", "momentum", 0.05f, { .weight_decay = 0.25f } },
    { "momentum_dampened", "momentum", 0.05f, { .momentum = 0.8f, .dampening = 0.25f } },
    { "sgd", "momentum", 0.1f, { .momentum = TUFF_ZERO } },
    { "nesterov", "nesterov", 0.05f, { .weight_decay = 0.25f } },
    { "adagrad", "adagrad", 0.05f, { .weight_decay = 0.25f } },
    { "rmsprop", "rmsprop", 0.01f, { .weight_decay = 0.25f } },
    { "rmsprop_momentum", "rmsprop_momentum", 0.01f, { .eps = 1e-4f } },
    { "rmsprop_centered", "rmsprop_centered", 0.01f, { .eps = 0 } },
    { "rmsprop_both", "rmsprop_centered", 0.01f,
      { .momentum = 0.5f, .alpha = 0.9f, .weight_decay = 0.25f } },
    { "adam", "adam", 0.01f, { .eps = 0 } },
    { "adam_decay", "adam", 0.01f, { .weight_decay = 0.25f, .eps = 1e-4f } },
    { "adamw", "adamw", 0.01f, { .weight_decay = 0.25f } },
    { "adamw", "adam", 0.01f, { .weight_decay = 0.25f, .decoupled = true } },
    { "amsgrad", "amsgrad", 0.01f, { .beta2 = 0.9f } },
    { "amsgrad_decoupled", "amsgrad", 0.01f,
      { .beta1 = 0.5f, .beta2 = 0.9f, .weight_decay = 0.25f, .decoupled = true } },
    { "adamax", "adamax", 0.01f, { .weight_decay = 0.25f } },
    { "nadam", "nadam", 0.01f, { .weight_decay = 0.25f } },
    { "lion", "lion", 0.01f, { .weight_decay = 0.25f } },
    { "lamb", "lamb", 0.01f, { .weight_decay = 0.25f } },
};

static void take_step(const set *s, const char *op, const tuff_update_params *p, double lr,
                      int64_t step, const float *g, bool skip)
{
    float hyper[8];
    tuff_update_hyper(op, p, lr, step, hyper);
    hyper[4] = skip;
    EXPECT_OK(tuff_tensor_write(stream, s->hyper, hyper, sizeof hyper));
    EXPECT_OK(tuff_tensor_write(stream, s->g, g, SIZE * sizeof *g));
    if (!EXPECT_OK(tuff_update(stream, op, s->w, s->g, s->hyper, &s->more, p)))
        FAIL("%s", tuff_last_error());
}

// Step after step with the rows of g, in place; w is compared with the rows of `want`.
static void run_course(const course *c)
{
    static const float zeros[SIZE];
    tuff_array w0 = { 0 }, g = { 0 }, want = { 0 };
    set s = { 0 };
    if (!load("update", "w", &w0) || !load("update", "g", &g) || !load(c->name, "w", &want) ||
        !EXPECT_EQ(want.desc.dim[0], STEP_COUNT) || !EXPECT_EQ(want.desc.dim[1], SIZE))
        goto exit;
    s = set_create(w0.data, zeros);
    for (int t = 0; t < STEP_COUNT && !case_failed(); t++) {
        float got[SIZE];
        char what[16];
        take_step(&s, c->op, &c->params, (double)c->lr, t, (const float *)g.data + t * SIZE,
                  false);
        snprintf(what, sizeof what, "step %d: w", t + 1);
        read(s.w, got);
        compare(what, got, (const float *)want.data + t * SIZE);
    }
exit:
    set_destroy(&s);
    tuff_array_clear(&w0);
    tuff_array_clear(&g);
    tuff_array_clear(&want);
}

// ---- what is said of all -------------------------------------------------------------------

static const char *const names[] = { "sgd", "momentum", "nesterov", "adagrad", "rmsprop",
                                     "rmsprop_momentum", "rmsprop_centered", "adam", "adamw",
                                     "amsgrad", "adamax", "nadam", "lion", "lamb" };

// With hyper's `skip` a gradient of infinities and NaN leaves every bit as it was.
static void a_skipped_step_changes_nothing(void)
{
    float w[SIZE], state[SIZE], g[SIZE];
    for (int i = 0; i < SIZE; i++) {
        w[i] = (float)(i - 7) / 8;
        state[i] = (float)(i + 1) / 64;
        g[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
    }
    const tuff_update_params p = { .weight_decay = 0.5f, .l1 = 0.25f };
    for (size_t k = 0; k < COUNT(names); k++) {
        set s = set_create(w, state);
        float got[4][SIZE];
        take_step(&s, names[k], &p, 0.5, 3, g, true);
        read(s.w, got[0]);
        read(s.m, got[1]);
        read(s.v, got[2]);
        read(s.x, got[3]);
        const bool same = memcmp(got[0], w, sizeof w) == 0;
        if (!same) FAIL("%s: w has changed", names[k]);
        for (int i = 1; i < 4; i++)
            if (memcmp(got[i], state, sizeof state) != 0)
                FAIL("%s: state %d has changed", names[k], i);
        // And without it, w is changed by every one of them.
        take_step(&s, names[k], &p, 0.5, 3, state, false);
        read(s.w, got[0]);
        if (memcmp(got[0], w, sizeof w) == 0) FAIL("%s: w has not changed", names[k]);
        set_destroy(&s);
    }
}

static void hyper_by_hand(void)
{
    float h[8];
    tuff_update_hyper("adam", NULL, 0.25, 0, h);
    EXPECT(h[0] == 0.25f && h[3] == 1 && h[4] == 0 && h[6] == 0 && h[7] == 0);
    EXPECT_NEAR(h[1], 0.1, 1e-8);
    EXPECT_NEAR(h[2], 0.001, 1e-10);
    tuff_update_hyper("lion", NULL, 0.25, 1, h);
    EXPECT_NEAR(h[2], 1 - 0.99 * 0.99, 1e-8);
    tuff_update_hyper("momentum", NULL, 0.25, 0, h);
    EXPECT(h[5] == 1);
    tuff_update_hyper("momentum", NULL, 0.25, 1, h);
    EXPECT(h[5] == 0);
    // NAdam's first two steps, and one so late that all corrections are gone.
    const double mu1 = 0.9 * (1 - 0.5 * pow(0.96, 0.004));
    const double mu2 = 0.9 * (1 - 0.5 * pow(0.96, 0.008));
    const double mu3 = 0.9 * (1 - 0.5 * pow(0.96, 0.012));
    tuff_update_hyper("nadam", NULL, 0.25, 0, h);
    EXPECT_NEAR(h[5], 1, 1e-7);
    EXPECT_NEAR(h[1], (1 - mu1 * mu2) / mu2, 1e-6);
    tuff_update_hyper("nadam", NULL, 0.25, 1, h);
    EXPECT_NEAR(h[5], (1 - mu2) / (1 - mu1 * mu2), 1e-7);
    EXPECT_NEAR(h[1], (1 - mu1 * mu2 * mu3) / mu3, 1e-6);
    tuff_update_hyper("nadam", NULL, 0.25, 1000000, h);
    EXPECT_NEAR(h[5], 0.1, 1e-7);
    EXPECT_NEAR(h[1], 1 / 0.9, 1e-6);
}

static void updates_say_what_is_wrong(void)
{
    const tuff_desc desc = TUFF_SHAPE(TUFF_F32, 3), eight = TUFF_SHAPE(TUFF_F32, 8);
    tuff_tensor *w = make(desc, NULL), *g = make(desc, NULL), *hyper = make(eight, NULL);
    tuff_tensor *m = make(desc, NULL), *v = make(desc, NULL);
    tuff_tensor *square = make(TUFF_SHAPE(TUFF_I32, 1, 1), NULL);
    EXPECT_STATUS(tuff_update(stream, "adadelta", w, g, hyper, NULL, NULL), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "no optimizer named 'adadelta'");
    tuff_update_tensors t = { .m = m };
    EXPECT_STATUS(tuff_update(stream, "adam", w, g, hyper, &t, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "adam: input v is missing");
    t.v = hyper;
    EXPECT_STATUS(tuff_update(stream, "nadam", w, g, hyper, &t, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "nadam: v must be f32 [3], it is f32 [8]");
    t.v = v;
    EXPECT_STATUS(tuff_update(stream, "lamb", w, g, hyper, &t, NULL), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "lamb: input starts is missing");
    t.starts = square;
    EXPECT_STATUS(tuff_update(stream, "lamb", w, g, hyper, &t, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "lamb: starts must have one dim, it is i32 [1, 1]");
    EXPECT_STATUS(tuff_update(stream, "sgd", w, hyper, hyper, NULL, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "sgd: g must be f32 [3], it is f32 [8]");
    const tuff_update_params l1 = { .l1 = -1 }, beta = { .beta1 = -0.5f },
                             damp = { .dampening = 0.5f };
    EXPECT_STATUS(tuff_update(stream, "sgd", w, g, hyper, NULL, &l1), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "sgd: l1 is -1, it must be at least 0");
    EXPECT_STATUS(tuff_update(stream, "adam", w, g, hyper, &t, &beta), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "adam: beta1 is -0.5, it must be at least 0 and below 1");
    EXPECT_STATUS(tuff_update(stream, "nesterov", w, g, hyper, &t, &damp), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "nesterov: dampening is 0.5, only momentum takes one");
    tuff_tensor **const all[] = { &w, &g, &hyper, &m, &v, &square };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(all[i]);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    dev = open_device();
    if (!EXPECT_OK(tuff_stream_create(dev, &stream))) return report();
    for (size_t i = 0; i < COUNT(courses); i++)
        if (case_begin("ten steps of %s by %s", courses[i].name, courses[i].op)) {
            run_course(&courses[i]);
            case_end();
        }
    CASE(a_skipped_step_changes_nothing);
    CASE(hyper_by_hand);
    CASE(updates_say_what_is_wrong);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
