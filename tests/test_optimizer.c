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
    return new_tensor(dev, stream, desc, data);
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
              make(TUFF_SHAPE(TUFF_I32, STARTS), starts), { .m = NULL } };
    s.more = (tuff_update_tensors){ .m = s.m, .v = s.v, .x = s.x, .starts = s.starts };
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

// ---- losses that are scaled ----------------------------------------------------------------

static float value_of(const tuff_tensor *t)
{
    float v = NAN;
    EXPECT_OK(tuff_tensor_read(stream, t, &v, sizeof v));
    return v;
}

static void overflow_is_found_where_there_is_one(void)
{
    enum { N = 1000 };
    float g[N], y[N];
    tuff_tensor *t = make(TUFF_SHAPE(TUFF_F32, N), NULL);
    tuff_tensor *scaler = make(TUFF_SHAPE(TUFF_F32, 4), (const float[]){ 1024, 0, 0, 0 });
    tuff_tensor *found = make(TUFF_SCALAR(TUFF_F32), NULL);
    tuff_tensor *norm = make(TUFF_SCALAR(TUFF_F32), NULL);
    for (int where = -1; where < N; where += 333) {
        for (int i = 0; i < N; i++) g[i] = i % 2 ? 3e38f : -1e-30f;
        if (where >= 0) g[where] = where % 2 ? NAN : -INFINITY;
        EXPECT_OK(tuff_tensor_write(stream, t, g, sizeof g));
        EXPECT_OK(tuff_unscale(stream, t, scaler, t, found));
        EXPECT_OK(tuff_tensor_read(stream, t, y, sizeof y));
        EXPECT(value_of(found) == (where >= 0));
        for (int i = 0; i < N; i++) EXPECT(y[i] == (i == where ? 0 : g[i] / 1024));
    }
    // What overflowed does not reach the length that gradients are clipped by.
    for (int i = 0; i < N; i++) g[i] = i ? 0.5f : INFINITY;
    EXPECT_OK(tuff_tensor_write(stream, t, g, sizeof g));
    EXPECT_OK(tuff_tensor_write(stream, scaler, (const float[]){ 0.5f, 0, 0, 0 }, 16));
    EXPECT_OK(tuff_unscale(stream, t, scaler, t, found));
    EXPECT_OK(tuff_clip_norm(stream, t, t, norm, NULL));
    EXPECT_NEAR(value_of(norm), sqrt(N - 1), 1e-4);
    EXPECT_OK(tuff_tensor_read(stream, t, y, sizeof y));
    EXPECT(y[0] == 0);
    EXPECT_NEAR(y[1], 1 / sqrt(N - 1), 1e-6);
    tuff_tensor **const all[] = { &t, &scaler, &found, &norm };
    for (size_t i = 0; i < COUNT(all); i++) tuff_tensor_destroy(all[i]);
}

// A recorded step: the gradient is what the test writes times the scale.
typedef struct recorded {
    set s;
    tuff_tensor *scaler;
    tuff_var g, hyper;
    tuff_program *program;
} recorded;

static void record(recorded *r, const char *op, const tuff_update_params *p,
                   const tuff_loss_scale_params *scale)
{
    static const float zeros[SIZE], ones[SIZE] = { 1, 2, 3 };
    tuff_graph *g = NULL;
    r->s = set_create(ones, zeros);
    r->scaler = make(TUFF_SHAPE(TUFF_F32, 4), (const float[]){ 64, 0, 0, 0 });
    if (!EXPECT_OK(tuff_graph_create(&g))) return;
    r->g = tuff_graph_input(g, "g", TUFF_SHAPE(TUFF_F32, SIZE));
    r->hyper = tuff_graph_input(g, "hyper", TUFF_SHAPE(TUFF_F32, 8));
    const tuff_var scaler = tuff_graph_bind(g, "scaler", r->scaler);
    tuff_var fine[2], next[2], done[3];
    tuff_graph_op_n(g, "unscale", (tuff_var[]){ r->g, scaler }, 2, NULL, fine, 2);
    tuff_graph_op_n(g, "loss_scale", (tuff_var[]){ fine[1], scaler, r->hyper }, 3, scale, next,
                    2);
    const tuff_var in[] = { tuff_graph_bind(g, "w", r->s.w), fine[0], next[1],
                            tuff_graph_bind(g, "m", r->s.m), tuff_graph_bind(g, "v", r->s.v) };
    tuff_graph_op_n(g, op, in, 5, p, done, 3);
    tuff_graph_store(g, done[0], r->s.w);
    tuff_graph_store(g, done[1], r->s.m);
    tuff_graph_store(g, done[2], r->s.v);
    tuff_graph_store(g, next[0], r->scaler);
    EXPECT_OK(tuff_program_create(dev, g, NULL, &r->program));
    tuff_graph_destroy(&g);
}

// Steps whose gradients overflow, among others, leave no trace: after it all w is what the
// others alone make of it, with the corrections of as many steps, and the scale is what
// PyTorch's GradScaler has by its rules, counted here on the host.
static void overflows_leave_no_trace(void)
{
    enum { RUNS = 14 };
    static const bool bad[RUNS] = { true, true, [5] = true, [9] = true };
    static const char *const ops[] = { "adam", "nadam" };
    for (size_t k = 0; k < COUNT(ops); k++) {
        const tuff_update_params p = { .weight_decay = 0.125f };
        const tuff_loss_scale_params scale = { .growth_interval = 3, .backoff_factor = 0.25f,
                                               .momentum_decay = k == 1 ? 0.004f : 0 };
        static const float zeros[SIZE], ones[SIZE] = { 1, 2, 3 };
        float g[SIZE], hyper[8] = { 0.0625f, 0, 0, 1 }, got[SIZE], want[SIZE], state[4];
        float factor = 64;
        int good = 0, row = 0;
        recorded r = { .program = NULL };
        record(&r, ops[k], &p, &scale);
        set alone = set_create(ones, zeros);
        for (int t = 0; t < RUNS && r.program; t++) {
            for (int i = 0; i < SIZE; i++) g[i] = (float)((i * 7 + t * 5) % 11 - 5) / 8;
            if (!bad[t]) take_step(&alone, ops[k], &p, 0.0625, good++, g, false);
            for (int i = 0; i < SIZE; i++) g[i] *= factor;
            if (bad[t]) g[t] = t % 2 ? NAN : INFINITY;
            EXPECT_OK(tuff_program_write(r.program, r.g, g, sizeof g));
            EXPECT_OK(tuff_program_write(r.program, r.hyper, hyper, sizeof hyper));
            EXPECT_OK(tuff_program_run(r.program));
            row = bad[t] ? 0 : row + 1;
            if (bad[t]) factor *= 0.25f;
            else if (row == 3) factor *= 2, row = 0;
        }
        EXPECT_OK(tuff_program_wait(r.program));
        read(r.s.w, got);
        read(alone.w, want);
        compare(ops[k], got, want);
        EXPECT_OK(tuff_tensor_read(stream, r.scaler, state, sizeof state));
        EXPECT(state[0] == factor && state[1] == (float)row && state[2] == (float)good);
        tuff_program_destroy(&r.program);
        tuff_tensor_destroy(&r.scaler);
        set_destroy(&r.s);
        set_destroy(&alone);
    }
}

// ---- weights of 16 bits with a master of 32 -------------------------------------------------

enum { ROWS = 32 };

typedef struct mixed {
    set s;
    tuff_tensor *half, *scaler;
    tuff_var x, target, hyper, loss;
    tuff_program *program;
} mixed;

// y = x w and the loss in f32 from weights in `type`, whose gradient is in it too.
static void record_mixed(mixed *r, tuff_dtype type)
{
    static const float zeros[SIZE];
    tuff_graph *g = NULL;
    r->s = set_create(zeros, zeros);
    r->half = make(TUFF_SHAPE(type, SIZE), zeros);
    r->scaler = make(TUFF_SHAPE(TUFF_F32, 4), (const float[]){ 0x1p30f, 0, 0, 0 });
    tuff_tensor *scale = NULL, *w = NULL;
    EXPECT_OK(tuff_tensor_view(r->scaler, 0, TUFF_SCALAR(TUFF_F32), &scale));
    EXPECT_OK(tuff_tensor_view(r->half, 0, TUFF_SHAPE(type, SIZE, 1), &w));
    if (!EXPECT_OK(tuff_graph_create(&g))) return;
    const tuff_cast_params to_f32 = { .to = TUFF_F32 };
    const tuff_update_params adam = { .copy = type };
    r->x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, ROWS, SIZE));
    r->target = tuff_graph_input(g, "target", TUFF_SHAPE(TUFF_F32, ROWS, 1));
    r->hyper = tuff_graph_input(g, "hyper", TUFF_SHAPE(TUFF_F32, 8));
    const tuff_var half = tuff_graph_bind(g, "half", w);
    const tuff_var wide = tuff_graph_op(g, "cast", &half, 1, &to_f32);
    const tuff_var y = tuff_graph_op(g, "matmul", (tuff_var[]){ r->x, wide }, 2, NULL);
    tuff_var grad;
    r->loss = tuff_graph_op(g, "mse", (tuff_var[]){ y, r->target }, 2, NULL);
    const tuff_var by[] = { r->loss, tuff_graph_bind(g, "scale", scale) };
    tuff_graph_backward(g, tuff_graph_op(g, "mul", by, 2, NULL), &half, 1, &grad);
    grad = tuff_graph_op(g, "cast", &grad, 1, &to_f32);
    grad = tuff_graph_reshape(g, grad, TUFF_SHAPE(TUFF_F32, SIZE));
    const tuff_var scaler = tuff_graph_bind(g, "scaler", r->scaler);
    tuff_var fine[2], next[2], clipped[2], done[4];
    tuff_graph_op_n(g, "unscale", (tuff_var[]){ grad, scaler }, 2, NULL, fine, 2);
    tuff_graph_op_n(g, "loss_scale", (tuff_var[]){ fine[1], scaler, r->hyper }, 3, NULL, next,
                    2);
    tuff_graph_op_n(g, "clip_norm", fine, 1, NULL, clipped, 2);
    const tuff_var in[] = { tuff_graph_bind(g, "w", r->s.w), clipped[0], next[1],
                            tuff_graph_bind(g, "m", r->s.m), tuff_graph_bind(g, "v", r->s.v) };
    tuff_graph_op_n(g, "adam", in, 5, &adam, done, 4);
    tuff_tensor *const into[] = { r->s.w, r->s.m, r->s.v, r->half };
    for (int i = 0; i < 4; i++) tuff_graph_store(g, done[i], into[i]);
    tuff_graph_store(g, next[0], r->scaler);
    tuff_graph_output(g, "loss", r->loss);
    EXPECT_OK(tuff_program_create(dev, g, NULL, &r->program));
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&scale);
    tuff_tensor_destroy(&w);
}

static void write_data(mixed *r)
{
    static float x[ROWS * SIZE];
    float target[ROWS] = { 0 };
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < SIZE; k++) {
            const int v = (i * i * 3 + k * k * 5 + i * k * 7) % 3 - 1;
            x[i * SIZE + k] = (float)v;
            target[i] += (float)v * (float)(k % 5 - 2) / 4;
        }
    EXPECT_OK(tuff_program_write(r->program, r->x, x, sizeof x));
    EXPECT_OK(tuff_program_write(r->program, r->target, target, sizeof target));
}

static void a_master_of_32_bits(void)
{
    static const tuff_dtype types[] = { TUFF_F16, TUFF_BF16 };
    for (size_t k = 0; k < COUNT(types); k++) {
        mixed r = { .program = NULL };
        record_mixed(&r, types[k]);
        float loss[2] = { 0 }, state[4], w[SIZE];
        for (int t = 0; t < 150 && r.program; t++) {
            const float hyper[8] = { t < 100 ? 0.03125f : 0.00390625f, 1, 1, 1 };
            if (t < 2) write_data(&r); // once for each of two slots
            EXPECT_OK(tuff_program_write(r.program, r.hyper, hyper, sizeof hyper));
            EXPECT_OK(tuff_program_run(r.program));
            EXPECT_OK(tuff_program_read(r.program, r.loss, &loss[t > 0], sizeof *loss));
        }
        EXPECT_OK(tuff_tensor_read(stream, r.scaler, state, sizeof state));
        read(r.s.w, w);
        EXPECT(loss[1] < 0.01f * loss[0]);
        // f16 overflows at 2^30 and no longer after some halvings; bf16 reaches as far as f32.
        if (types[k] == TUFF_F16)
            EXPECT(state[0] < 0x1p30f && state[2] < 150 && state[2] > 110);
        else
            EXPECT(state[0] == 0x1p30f && state[2] == 150);
        // The copy is the master, rounded.
        tuff_tensor *wide = make(TUFF_SHAPE(TUFF_F32, SIZE), NULL);
        float copy[SIZE];
        EXPECT_OK(tuff_cast(stream, r.half, wide, NULL));
        read(wide, copy);
        const double step = types[k] == TUFF_F16 ? 0x1p-11 : 0x1p-8;
        for (int i = 0; i < SIZE; i++)
            EXPECT_NEAR(copy[i], w[i], fabs((double)w[i]) * step + 1e-7);
        tuff_tensor_destroy(&wide);
        tuff_program_destroy(&r.program);
        tuff_tensor_destroy(&r.half);
        tuff_tensor_destroy(&r.scaler);
        set_destroy(&r.s);
    }
}

// ---- ONNX's ---------------------------------------------------------------------------------

// One step of each of ai.onnx.preview.training's on two tensors, by ONNX's formulas.
typedef struct node {
    const char *op, *attributes[5];
    int states;
} node;

static double by_hand(const node *n, double t, double x, double g, const double s[2])
{
    if (strcmp(n->op, "Adagrad") == 0) {
        g += 0.125 * x;
        return x - 0.5 / (1 + t * 0.25) * g / (sqrt(s[0] + g * g) + 0.01);
    }
    if (strcmp(n->op, "Adam") == 0) {
        const double v = 0.75 * s[0] + 0.25 * g, h = 0.5 * s[1] + 0.5 * g * g;
        const double r = t > 0 ? 0.5 * sqrt(1 - pow(0.5, t)) / (1 - pow(0.75, t)) : 0.5;
        return (1 - 0.25) * (x - r * v / (sqrt(h) + 0.01));
    }
    const double v = 0.5 * s[0] + (t > 0 ? 0.25 : 1) * g;
    return n->attributes[2][5] == 'n' ? x - 0.5 * (g + 0.5 * v) : x - 0.5 * v;
}

static void onnx_has_three(void)
{
    static const node nodes[] = {
        { "Adagrad", { "decay_factor=0.25", "epsilon=0.01", "norm_coefficient=0.125" }, 1 },
        { "Adam", { "alpha=0.75", "beta=0.5", "epsilon=0.01", "norm_coefficient_post=0.25" },
          2 },
        { "Momentum", { "alpha=0.5", "beta=0.25", "mode=standard" }, 1 },
        { "Momentum", { "alpha=0.5", "beta=0.25", "mode=nesterov" }, 1 },
    };
    static const int64_t steps[] = { 0, 3 };
    for (size_t i = 0; i < COUNT(nodes) * COUNT(steps); i++) {
        const node *n = &nodes[i / COUNT(steps)];
        const int64_t t = steps[i % COUNT(steps)];
        const float rate = 0.5f;
        tuff_tensor *in[10] = { make(TUFF_SCALAR(TUFF_F32), &rate),
                                make(TUFF_SCALAR(TUFF_I64), &t) };
        tuff_tensor *out[8];
        const int nin = 2 + 2 * (2 + n->states);
        float data[10][3];
        int count = 0, nout;
        while (count < 5 && n->attributes[count]) count++;
        for (int k = 2; k < nin; k++) {
            for (int e = 0; e < 3; e++) data[k][e] = (float)((k * 5 + e * 3) % 7 + 1) / 8;
            in[k] = make(TUFF_SHAPE(TUFF_F32, 3), data[k]);
        }
        const tuff_tensor *const inputs[] = { in[0], in[1], in[2], in[3], in[4], in[5],
                                              in[6], in[7], in[8], in[9] };
        EXPECT(tuff_onnx_has(n->op));
        if (!EXPECT_OK(tuff_onnx_apply(stream, n->op, 1, inputs, nin, n->attributes, count,
                                       NULL, out, &nout)))
            FAIL("%s: %s", n->op, tuff_last_error());
        EXPECT_EQ(nout, 2 * (1 + n->states));
        for (int k = 0; k < 2 && nout; k++) {
            float got[3];
            EXPECT_OK(tuff_tensor_read(stream, out[k], got, sizeof got));
            for (int e = 0; e < 3; e++) {
                const double s[] = { data[6 + k][e], data[nin - 2 + k][e] };
                EXPECT_NEAR(got[e], by_hand(n, (double)t, data[2 + k][e], data[4 + k][e], s),
                            1e-6);
            }
        }
        for (int k = 0; k < nout; k++) tuff_tensor_destroy(&out[k]);
        EXPECT_STATUS(tuff_onnx_apply(stream, n->op, 1, inputs, nin - 1, n->attributes, count,
                                      NULL, out, &nout),
                      TUFF_ERR_ARG);
        for (int k = 0; k < nin; k++) tuff_tensor_destroy(&in[k]);
    }
}

// ---- refusals ------------------------------------------------------------------------------

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
    EXPECT_STATUS(tuff_update(stream, "lion", w, g, hyper, &t, &damp), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(),
               "lion: dampening is 0.5, only momentum and nesterov take one");
    const tuff_update_params wide = { .copy = TUFF_F32 }, half = { .copy = TUFF_F16 };
    EXPECT_STATUS(tuff_update(stream, "sgd", w, g, hyper, NULL, &wide), TUFF_ERR_DTYPE);
    EXPECT_STR(tuff_last_error(), "sgd: copy is f32, it must be f16 or bf16");
    EXPECT_STATUS(tuff_update(stream, "sgd", w, g, hyper, NULL, &half), TUFF_ERR_ARG);
    EXPECT_STR(tuff_last_error(), "sgd: output copy is missing");
    EXPECT_STATUS(tuff_unscale(stream, g, hyper, g, m), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "unscale: scaler must be f32 [4], it is f32 [8]");
    EXPECT_STATUS(tuff_loss_scale(stream, m, hyper, hyper, g, g, NULL), TUFF_ERR_SHAPE);
    EXPECT_STR(tuff_last_error(), "loss_scale: found must be f32 [], it is f32 [3]");
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
    CASE(overflow_is_found_where_there_is_one);
    CASE(overflows_leave_no_trace);
    CASE(a_master_of_32_bits);
    CASE(onnx_has_three);
    CASE(updates_say_what_is_wrong);
    tuff_stream_destroy(&stream);
    tuff_device_close(&dev);
    return report();
}
