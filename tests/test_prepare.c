// What a program computes once: the same as computing it at every run, however and whenever
// the weights are written.
#include "graph/program.h"
#include "harness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;
static tuff_stream *stream;

enum { N = 2, C = 8, O = 16, SIZE = 9, Y = N * O * SIZE * SIZE, W = O * C * 9, GAP = 64 };

static float x_data[N * C * SIZE * SIZE], w_data[W], small[4 * O], expand[O * O];

static void fill(float *x, int n, uint32_t seed, float least, float most)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = least + (most - least) * (float)(seed >> 8) / 16777216.0f;
    }
}

// y = relu(batch_norm(conv2d(x, w)) + p), y2 = relu(conv2d(y, v)): w lies in one tensor with
// something else, and the norm's numbers in another.
typedef struct net {
    tuff_graph *g;
    tuff_tensor *flat, *w, *beside, *norm[4], *v;
    tuff_var x, y, y2;
    tuff_program *once, *always;
} net;

static void net_open(net *n, tuff_tensor *stored)
{
    static const char *const names[] = { "scale", "b", "mean", "var" };
    memset(n, 0, sizeof *n);
    fill(x_data, (int)COUNT(x_data), 1, -1, 1);
    fill(w_data, W, 2, -1, 1);
    fill(small, 4 * O, 3, 0.5f, 1.5f);
    fill(expand, O * O, 4, -1, 1);
    n->flat = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, W + GAP), NULL);
    EXPECT_OK(tuff_tensor_view(n->flat, 0, TUFF_SHAPE(TUFF_F32, O, C, 3, 3), &n->w));
    EXPECT_OK(tuff_tensor_view(n->flat, W, TUFF_SHAPE(TUFF_F32, GAP), &n->beside));
    EXPECT_OK(tuff_tensor_write(stream, n->w, w_data, sizeof w_data));
    EXPECT_OK(tuff_stream_wait(stream));
    for (int i = 0; i < 4; i++)
        n->norm[i] = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, O), small + i * O);
    n->v = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, O, O, 1, 1), expand);
    EXPECT_OK(tuff_graph_create(&n->g));
    tuff_graph *g = n->g;
    const tuff_conv_params pad = { .pad = { 1, 1, 1, 1 } };
    n->x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, N, C, SIZE, SIZE));
    tuff_var in[5] = { n->x, tuff_graph_bind(g, "w", n->w) };
    in[0] = tuff_graph_op(g, "conv2d", in, 2, &pad);
    for (int i = 0; i < 4; i++) in[1 + i] = tuff_graph_bind(g, names[i], n->norm[i]);
    n->y = tuff_graph_op(g, "batch_norm", in, 5, NULL);
    n->y = tuff_graph_op(g, "relu", &n->y, 1, NULL);
    n->y2 = tuff_graph_op(g, "conv2d",
                          (tuff_var[]){ n->y, tuff_graph_bind(g, "v", n->v) }, 2, NULL);
    n->y2 = tuff_graph_op(g, "relu", &n->y2, 1, NULL);
    tuff_graph_output(g, "y", n->y);
    tuff_graph_output(g, "y2", n->y2);
    if (stored) tuff_graph_store(g, n->y2, stored);
    EXPECT_OK(tuff_graph_status(g));
    EXPECT_OK(tuff_program_create(device, g, NULL, &n->once));
    EXPECT_OK(tuff_program_create(device, g, &(tuff_program_params){ .no_prepare = true },
                                  &n->always));
}

static void net_close(net *n)
{
    tuff_program_destroy(&n->once);
    tuff_program_destroy(&n->always);
    tuff_graph_destroy(&n->g);
    tuff_tensor_destroy(&n->w);
    tuff_tensor_destroy(&n->beside);
    tuff_tensor_destroy(&n->flat);
    tuff_tensor_destroy(&n->v);
    for (int i = 0; i < 4; i++) tuff_tensor_destroy(&n->norm[i]);
}

static tuff_program_stats stats_of(const tuff_program *p)
{
    tuff_program_stats s;
    tuff_program_get_stats(p, &s);
    return s;
}

static void run(net *n, tuff_program *p, float *y)
{
    EXPECT_OK(tuff_program_write(p, n->x, x_data, sizeof x_data));
    EXPECT_OK(tuff_program_run(p));
    EXPECT_OK(tuff_program_read(p, n->y, y, Y * sizeof *y));
    EXPECT_OK(tuff_program_read(p, n->y2, y + Y, Y * sizeof *y));
}

static float got[2 * Y], want[2 * Y], before[2 * Y];

// Both programs say the same; returns whether that differs from the time before.
static bool agree(net *n)
{
    double worst = 0, rms = 0;
    run(n, n->once, got);
    run(n, n->always, want);
    for (int i = 0; i < 2 * Y; i++) rms += (double)want[i] * (double)want[i] / (2 * Y);
    for (int i = 0; i < 2 * Y; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]) /
                                (fabs((double)want[i]) + sqrt(rms)));
    EXPECT(rms > 0.1);
    EXPECT(worst < 3e-5);
    const bool changed = memcmp(before, got, sizeof got) != 0;
    memcpy(before, got, sizeof got);
    return changed;
}

static void is_done_once(void)
{
    net n;
    net_open(&n, NULL);
    EXPECT(stats_of(n.once).prepared > 0);
    EXPECT_EQ(stats_of(n.always).prepared, 0);
    EXPECT(stats_of(n.once).launches < stats_of(n.always).launches);
    EXPECT_EQ(stats_of(n.once).preparations, 0);
    for (int i = 0; i < 5; i++) {
        (void)agree(&n);
        EXPECT_EQ(stats_of(n.once).preparations, 1);
    }
    net_close(&n);
}

// ---- ways to write a weight ----------------------------------------------------------------

static void by_upload(net *n)
{
    static uint32_t seed = 20;
    fill(w_data, W, seed++, -1, 1);
    EXPECT_OK(tuff_tensor_write(stream, n->w, w_data, sizeof w_data));
    EXPECT_OK(tuff_stream_flush(stream));
}

static void by_upload_in_flight(net *n)
{
    EXPECT_OK(tuff_program_run(n->once)); // the buffer is in use: no write in place
    by_upload(n);
}

static void by_whole(net *n)
{
    static float whole[W + GAP];
    fill(whole, W + GAP, 11, -1, 1);
    EXPECT_OK(tuff_tensor_write(stream, n->flat, whole, sizeof whole));
    EXPECT_OK(tuff_stream_flush(stream));
}

static void by_call(net *n)
{
    EXPECT_OK(tuff_op_run(stream, "neg", (const tuff_tensor *const[]){ n->w }, 1,
                          (tuff_tensor *const[]){ n->w }, 1, NULL));
    EXPECT_OK(tuff_stream_flush(stream));
}

static void by_norm(net *n)
{
    fill(small, O, 12, 0.5f, 1.5f);
    EXPECT_OK(tuff_tensor_write(stream, n->norm[3], small, O * sizeof *small));
    EXPECT_OK(tuff_stream_flush(stream));
}

// A program's store, made before: its list was recorded when the weights were others.
static tuff_program *writer;

static void by_program(net *n)
{
    (void)n;
    EXPECT_OK(tuff_program_run(writer));
}

static void make_writer(net *n)
{
    tuff_graph *g = NULL;
    const float half = 0.5f;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in[] = { tuff_graph_bind(g, "w", n->w),
                            tuff_graph_constant(g, TUFF_SCALAR(TUFF_F32), &half) };
    tuff_graph_store(g, tuff_graph_op(g, "mul", in, 2, NULL), n->w);
    EXPECT_OK(tuff_program_create(device, g, NULL, &writer));
    tuff_graph_destroy(&g);
}

static void never_stale(void)
{
    static void (*const ways[])(net *) = { by_upload, by_upload_in_flight, by_whole, by_call,
                                           by_norm,   by_program,          by_program };
    net n;
    net_open(&n, NULL);
    make_writer(&n);
    (void)agree(&n);
    for (size_t i = 0; i < COUNT(ways); i++) {
        const uint64_t made = stats_of(n.once).preparations;
        ways[i](&n);
        if (!agree(&n)) FAIL("way %zu changed nothing", i);
        if (stats_of(n.once).preparations == made) FAIL("way %zu was not noticed", i);
        const uint64_t now = stats_of(n.once).preparations;
        EXPECT(!agree(&n));
        EXPECT_EQ(stats_of(n.once).preparations, now);
    }
    tuff_program_destroy(&writer);
    net_close(&n);
}

// What the program itself stores into is no constant, nor is what lies in the same buffer.
static void own_stores_are_no_constants(void)
{
    tuff_tensor *into = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, Y), NULL);
    net n;
    net_open(&n, into);
    EXPECT(stats_of(n.once).prepared > 0);
    net_close(&n);
    tuff_tensor_destroy(&into);

    tuff_graph *g = NULL;
    tuff_tensor *flat = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, 128), x_data);
    tuff_tensor *a = NULL, *b = NULL;
    EXPECT_OK(tuff_tensor_view(flat, 0, TUFF_SHAPE(TUFF_F32, 64), &a));
    EXPECT_OK(tuff_tensor_view(flat, 64, TUFF_SHAPE(TUFF_F32, 64), &b));
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 64));
    const tuff_var in[] = { tuff_graph_bind(g, "a", a), tuff_graph_bind(g, "b", b) };
    const tuff_var sum = tuff_graph_op(g, "add", in, 2, NULL); // of bound tensors alone
    const tuff_var y = tuff_graph_op(g, "add", (tuff_var[]){ sum, x }, 2, NULL);
    tuff_graph_store(g, y, b);
    tuff_program *p = NULL;
    EXPECT_OK(tuff_program_create(device, g, NULL, &p));
    EXPECT_EQ(stats_of(p).prepared, 0);
    tuff_program_destroy(&p);
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&a);
    tuff_tensor_destroy(&b);
    tuff_tensor_destroy(&flat);
}

// A value that is made once and stored at every run.
static void stores_of_constants_happen(void)
{
    tuff_graph *g = NULL;
    float y[GAP], other[GAP];
    tuff_tensor *a = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, GAP), small);
    tuff_tensor *into = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, GAP), w_data);
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, GAP));
    const tuff_var bound = tuff_graph_bind(g, "a", a);
    const tuff_var twice = tuff_graph_op(g, "add", (tuff_var[]){ bound, bound }, 2, NULL);
    tuff_graph_store(g, twice, into);
    const tuff_var sum = tuff_graph_op(g, "add", (tuff_var[]){ twice, x }, 2, NULL);
    tuff_graph_output(g, "y", sum);
    tuff_program *p = NULL;
    EXPECT_OK(tuff_program_create(device, g, NULL, &p));
    EXPECT_EQ(stats_of(p).prepared, 1);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(tuff_program_write(p, x, w_data, sizeof y));
        EXPECT_OK(tuff_program_run(p));
        EXPECT_OK(tuff_program_read(p, sum, y, sizeof y));
        EXPECT_OK(tuff_tensor_read(stream, into, other, sizeof other));
        for (int k = 0; k < GAP; k++) {
            EXPECT_NEAR(y[k], 2 * (double)small[k] + (double)w_data[k], 1e-5);
            EXPECT_NEAR(other[k], 2 * (double)small[k], 1e-6);
        }
        EXPECT_OK(tuff_tensor_write(stream, into, w_data, sizeof y));
        EXPECT_OK(tuff_stream_wait(stream));
    }
    tuff_program_destroy(&p);
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&a);
    tuff_tensor_destroy(&into);
}

// Each kernel that packs or transforms weights, where the device has it.
static void in_every_variant(void)
{
    static const char *const names[] = { "winograd2", "winograd4", "winograd2_tile", "packed",
                                         "texel",     "tile",      "plain" };
    for (size_t i = 0; i < COUNT(names); i++) {
        const tuff_conv_params pad = { .pad = { 1, 1, 1, 1 } };
        tuff_graph *g = NULL;
        tuff_program *p = NULL;
        float y[2][Y];
        tuff_tensor *w = new_tensor(device, stream, TUFF_SHAPE(TUFF_F32, O, C, 3, 3), w_data);
        EXPECT_OK(tuff_graph_create(&g));
        const tuff_var x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, N, C, SIZE, SIZE));
        const tuff_var in[] = { x, tuff_graph_bind(g, "w", w) };
        const tuff_var out = tuff_graph_op(g, "conv2d", in, 2, &pad);
        tuff_graph_output(g, "y", out);
        tuff_variant_force(names[i]);
        const tuff_status status = tuff_program_create(device, g, NULL, &p);
        for (int k = 0; status == TUFF_OK && k < 4; k++) {
            if (k == 2) { // doubled weights, doubled results
                const tuff_tensor *const two[] = { w, w };
                tuff_variant_force(NULL);
                EXPECT_OK(tuff_op_run(stream, "add", two, 2, &w, 1, NULL));
                EXPECT_OK(tuff_stream_flush(stream));
            }
            EXPECT_OK(tuff_program_write(p, x, x_data, sizeof x_data));
            EXPECT_OK(tuff_program_run(p));
            EXPECT_OK(tuff_program_read(p, out, y[k % 2], sizeof y[0]));
            for (int j = 0; k == 2 && j < Y; j++)
                EXPECT_NEAR(y[0][j], 2 * (double)y[1][j], 1e-5 * (1 + fabs((double)y[0][j])));
            if (k % 2) EXPECT(memcmp(y[0], y[1], sizeof y[0]) == 0);
        }
        tuff_variant_force(NULL);
        tuff_program_destroy(&p);
        tuff_graph_destroy(&g);
        tuff_tensor_destroy(&w);
    }
}

// ---- the set of dispatches -----------------------------------------------------------------

static void binds(tuff_plan *p, tuff_role role, int index, int access, size_t offset,
                  size_t size)
{
    tuff_dispatch *d = &p->d[p->count - 1];
    tuff_bind(d, role, index, TUFF_BIND_STORAGE, access);
    d->slot[d->nslot - 1].offset = offset;
    d->slot[d->nslot - 1].size = size;
}

static void dispatches_are_told_apart(void)
{
    static tuff_plan p;
    p.scratch[0] = p.scratch[1] = 512;
    (void)tuff_plan_add(&p, 0); // 0: in 1 -> scratch 0
    binds(&p, TUFF_ROLE_IN, 1, TUFF_READ, 0, 0);
    binds(&p, TUFF_ROLE_SCRATCH, 0, TUFF_WRITE, 0, 256);
    (void)tuff_plan_add(&p, 0); // 1: in 0 -> the rest of it
    binds(&p, TUFF_ROLE_IN, 0, TUFF_READ, 0, 0);
    binds(&p, TUFF_ROLE_SCRATCH, 0, TUFF_WRITE, 256, 0);
    (void)tuff_plan_add(&p, 0); // 2: what 0 wrote -> scratch 1
    binds(&p, TUFF_ROLE_SCRATCH, 0, TUFF_READ, 0, 256);
    binds(&p, TUFF_ROLE_SCRATCH, 1, TUFF_WRITE, 0, 0);
    (void)tuff_plan_add(&p, 0); // 3: what all wrote -> out
    binds(&p, TUFF_ROLE_SCRATCH, 0, TUFF_READ, 0, 0);
    binds(&p, TUFF_ROLE_SCRATCH, 1, TUFF_READ, 0, 0);
    binds(&p, TUFF_ROLE_OUT, 0, TUFF_WRITE, 0, 0);
    EXPECT_EQ(tuff_plan_once(&p, 0), 0);
    EXPECT_EQ(tuff_plan_once(&p, 1), 2);
    EXPECT_EQ(tuff_plan_once(&p, 2), 5);
    EXPECT_EQ(tuff_plan_once(&p, 3), 7);
    // A second writer of the same bytes: neither is done apart, nor what reads them.
    p.d[1].slot[1].offset = 252;
    EXPECT_EQ(tuff_plan_once(&p, 3), 0);
    EXPECT_EQ(tuff_plan_once(&p, 2), 0);
    tuff_plan_keep(&p, 9);
    EXPECT_EQ(p.count, 2);
    EXPECT_EQ(p.d[1].nslot, 3);
}

static void stages_are_told_apart(void)
{
    static const tuff_host host = { .name = "fast", .made_of = 2 };
    tuff_plan p = { .host = &host, .stages = UINT64_MAX };
    EXPECT_EQ(tuff_plan_once(&p, 3), 0); // it keeps nothing
    p.scratch[TUFF_PLAN_KEPT] = 64;
    EXPECT_EQ(tuff_plan_once(&p, 0), 0);
    EXPECT_EQ(tuff_plan_once(&p, 1), 0);
    EXPECT_EQ(tuff_plan_once(&p, 2), 1);
    EXPECT_EQ(tuff_plan_once(&p, 3), 1);
    p.scratch[TUFF_PLAN_LOWERED] = 64;
    EXPECT_EQ(tuff_plan_once(&p, 3), 0);
    tuff_plan_keep(&p, ~UINT64_C(1));
    EXPECT_EQ(p.stages, ~UINT64_C(1));
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    EXPECT_OK(tuff_stream_create(device, &stream));
    CASE(is_done_once);
    CASE(never_stale);
    CASE(own_stores_are_no_constants);
    CASE(stores_of_constants_happen);
    CASE(in_every_variant);
    CASE(dispatches_are_told_apart);
    CASE(stages_are_told_apart);
    tuff_stream_destroy(&stream);
    tuff_device_close(&device);
    return report();
}
