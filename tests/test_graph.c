// Graphs and programs: fused or not, with memory reused or not, replayed and pipelined, a
// program computes what its ops compute one by one.
#include "base/alloc.h"
#include "device/impl.h"
#include "graph/program.h"
#include "harness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static tuff_device *device;
static tuff_stream *stream;

enum { N = 5, K = 7, M = 6 };

static void fill(float *x, int n, uint32_t seed)
{
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static tuff_tensor *tensor_of(tuff_desc desc, const float *data)
{
    return new_tensor(device, stream, desc, data);
}

static float read_one(tuff_tensor *t)
{
    float v = NAN;
    EXPECT_OK(tuff_tensor_read(stream, t, &v, sizeof v));
    return v;
}

// ---- a small net: two layers, a shared weight, a reshape, a residual ------------------------

typedef struct net {
    tuff_graph *g;
    tuff_tensor *w, *b, *w2;
    tuff_var x, t, y, loss, dw, db, dw2;
} net;

static float w_data[K * K], b_data[K], w2_data[K * M], x_data[N * K], t_data[N * M];

static void net_build(net *n)
{
    memset(n, 0, sizeof *n);
    fill(w_data, K * K, 1);
    fill(b_data, K, 2);
    fill(w2_data, K * M, 3);
    fill(x_data, N * K, 4);
    fill(t_data, N * M, 5);
    n->w = tensor_of(TUFF_SHAPE(TUFF_F32, K, K), w_data);
    n->b = tensor_of(TUFF_SHAPE(TUFF_F32, K), b_data);
    n->w2 = tensor_of(TUFF_SHAPE(TUFF_F32, K, M), w2_data);
    EXPECT_OK(tuff_graph_create(&n->g));
    tuff_graph *g = n->g;
    n->x = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, N, K));
    n->t = tuff_graph_input(g, "t", TUFF_SHAPE(TUFF_F32, N * M));
    const tuff_var w = tuff_graph_bind(g, "w", n->w), b = tuff_graph_bind(g, "b", n->b);
    const tuff_var w2 = tuff_graph_bind(g, "w2", n->w2);
    // h = tanh(x w + b); h = sigmoid(h w + x); y = h w2
    tuff_var h = tuff_graph_op(g, "matmul", (tuff_var[]){ n->x, w }, 2, NULL);
    h = tuff_graph_op(g, "add", (tuff_var[]){ h, b }, 2, NULL);
    h = tuff_graph_op(g, "tanh", &h, 1, NULL);
    h = tuff_graph_op(g, "matmul", (tuff_var[]){ h, w }, 2, NULL);
    h = tuff_graph_op(g, "add", (tuff_var[]){ n->x, h }, 2, NULL);
    h = tuff_graph_op(g, "sigmoid", &h, 1, NULL);
    n->y = tuff_graph_op(g, "matmul", (tuff_var[]){ h, w2 }, 2, NULL);
    const tuff_var flat = tuff_graph_reshape(g, n->y, TUFF_SHAPE(TUFF_F32, N * M));
    n->loss = tuff_graph_op(g, "mse", (tuff_var[]){ flat, n->t }, 2, NULL);
    tuff_var grads[3];
    tuff_graph_backward(g, n->loss, (tuff_var[]){ w, b, w2 }, 3, grads);
    n->dw = grads[0];
    n->db = grads[1];
    n->dw2 = grads[2];
    tuff_graph_output(g, "loss", n->loss);
    tuff_graph_output(g, "y", n->y);
    for (int i = 0; i < 3; i++) tuff_graph_output(g, NULL, grads[i]);
    EXPECT_OK(tuff_graph_status(g));
}

static void net_free(net *n)
{
    tuff_graph_destroy(&n->g);
    tuff_tensor_destroy(&n->w);
    tuff_tensor_destroy(&n->b);
    tuff_tensor_destroy(&n->w2);
}

// The same in f64, in plain loops.
static double net_loss(const float *w, const float *b, const float *w2)
{
    double loss = 0;
    for (int n = 0; n < N; n++) {
        double h[K], s[K];
        for (int j = 0; j < K; j++) {
            h[j] = b[j];
            for (int k = 0; k < K; k++) h[j] += (double)x_data[n * K + k] * w[k * K + j];
            h[j] = tanh(h[j]);
        }
        for (int j = 0; j < K; j++) {
            s[j] = x_data[n * K + j];
            for (int k = 0; k < K; k++) s[j] += h[k] * w[k * K + j];
            s[j] = 1 / (1 + exp(-s[j]));
        }
        for (int m = 0; m < M; m++) {
            double y = -(double)t_data[n * M + m];
            for (int k = 0; k < K; k++) y += s[k] * w2[k * M + m];
            loss += y * y;
        }
    }
    return loss / (N * M);
}

static tuff_program *net_program(net *n, const tuff_program_params *params)
{
    tuff_program *p = NULL;
    EXPECT_OK(tuff_program_create(device, n->g, params, &p));
    if (!p) return NULL;
    EXPECT_OK(tuff_program_write(p, n->x, x_data, sizeof x_data));
    EXPECT_OK(tuff_program_write(p, n->t, t_data, sizeof t_data));
    EXPECT_OK(tuff_program_run(p));
    return p;
}

// Programs made while the device is timed tell how long their last run took; others do not.
static void seconds_of_runs(void)
{
    for (int timed = 0; timed < 2; timed++) {
        net n;
        double seconds = 0;
        net_build(&n);
        tuff_device_set_timed(device, timed);
        tuff_program *p = net_program(&n, NULL);
        tuff_device_set_timed(device, false);
        EXPECT_EQ(tuff_program_seconds(p, &seconds), timed);
        EXPECT(timed ? seconds > 0 : seconds == 0);
        tuff_program_destroy(&p);
        net_free(&n);
    }
}

static void check_gradient(const float *got, float *param, int count)
{
    for (int i = 0; i < count; i++) {
        const float keep = param[i], h = 1e-3f;
        param[i] = keep + h;
        const double up = net_loss(w_data, b_data, w2_data);
        param[i] = keep - h;
        const double down = net_loss(w_data, b_data, w2_data);
        param[i] = keep;
        EXPECT_NEAR(got[i], (up - down) / (2 * (double)h), 2e-5);
    }
}

static void gradients_match_differences(void)
{
    net n;
    net_build(&n);
    tuff_program *p = net_program(&n, NULL);
    if (p) {
        float loss = 0, dw[K * K], db[K], dw2[K * M];
        EXPECT_OK(tuff_program_read(p, n.loss, &loss, sizeof loss));
        EXPECT_NEAR(loss, net_loss(w_data, b_data, w2_data), 1e-6);
        EXPECT_OK(tuff_program_read(p, n.dw, dw, sizeof dw));
        EXPECT_OK(tuff_program_read(p, n.db, db, sizeof db));
        EXPECT_OK(tuff_program_read(p, n.dw2, dw2, sizeof dw2));
        check_gradient(dw, w_data, K * K);
        check_gradient(db, b_data, K);
        check_gradient(dw2, w2_data, K * M);
    }
    tuff_program_destroy(&p);
    net_free(&n);
}

// Every way to compile gives the same numbers; reuse and fusing do what they say.
static void compiled_in_every_way(void)
{
    net n;
    net_build(&n);
    static const tuff_program_params ways[] = {
        { .no_fuse = true, .no_reuse = true }, { .no_fuse = true }, { .no_reuse = true },
        { .slots = 1 },                        { .slots = 3 },
    };
    float want[N * M], dwant[K * K];
    for (size_t i = 0; i < COUNT(ways); i++) {
        tuff_program *p = net_program(&n, &ways[i]);
        if (!p) break;
        float y[N * M], dw[K * K];
        EXPECT_OK(tuff_program_read(p, n.y, y, sizeof y));
        EXPECT_OK(tuff_program_read(p, n.dw, dw, sizeof dw));
        if (i == 0) memcpy(want, y, sizeof y), memcpy(dwant, dw, sizeof dw);
        for (int k = 0; k < N * M; k++) EXPECT_NEAR(y[k], want[k], 2e-6);
        for (int k = 0; k < K * K; k++) EXPECT_NEAR(dw[k], dwant[k], 2e-6);
        tuff_program_stats stats;
        tuff_program_get_stats(p, &stats);
        // add, tanh; residual, sigmoid; the two gradients of the shared weight are added
        EXPECT_EQ(stats.fused, ways[i].no_fuse ? 0 : 5);
        EXPECT(ways[i].no_reuse || stats.planned < stats.unshared);
        tuff_program_destroy(&p);
    }
    net_free(&n);
}

// ---- stores ---------------------------------------------------------------------------------

static void stores_happen_in_order(void)
{
    const float zero = 0, one = 1;
    tuff_tensor *count = tensor_of(TUFF_SCALAR(TUFF_F32), &zero);
    tuff_tensor *before = tensor_of(TUFF_SCALAR(TUFF_F32), &zero);
    tuff_tensor *after = tensor_of(TUFF_SCALAR(TUFF_F32), &zero);
    tuff_graph *g;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var c = tuff_graph_bind(g, "count", count);
    const tuff_var step = tuff_graph_constant(g, TUFF_SCALAR(TUFF_F32), &one);
    const tuff_affine_params twice = { .scale = 2 };
    const tuff_var next = tuff_graph_op(g, "add", (tuff_var[]){ c, step }, 2, NULL);
    // Reads the old value although the new one was computed already.
    tuff_graph_store(g, tuff_graph_op(g, "affine", &c, 1, &twice), before);
    tuff_graph_store(g, next, count);
    tuff_graph_store(g, tuff_graph_op(g, "affine", &c, 1, &twice), after);
    tuff_program *p = NULL;
    if (EXPECT_OK(tuff_program_create(device, g, NULL, &p))) {
        for (int i = 0; i < 10; i++) EXPECT_OK(tuff_program_run(p));
        EXPECT_OK(tuff_program_wait(p));
        EXPECT_EQ(read_one(count), 10);
        EXPECT_EQ(read_one(before), 18);
        EXPECT_EQ(read_one(after), 20);
    }
    tuff_program_destroy(&p);
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&count);
    tuff_tensor_destroy(&before);
    tuff_tensor_destroy(&after);
}

// A sum over a hundred runs, each with an input of its own, several in flight.
static void inputs_are_pipelined(void)
{
    static float x[1000], sum[1000];
    tuff_tensor *total = tensor_of(TUFF_SHAPE(TUFF_F32, 1000), sum);
    tuff_graph *g;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in = tuff_graph_input(g, "x", TUFF_SHAPE(TUFF_F32, 1000));
    const tuff_var kept = tuff_graph_input(g, "kept", TUFF_SHAPE(TUFF_F32, 1000));
    const tuff_var t = tuff_graph_bind(g, "total", total);
    tuff_var y = tuff_graph_op(g, "add", (tuff_var[]){ t, in }, 2, NULL);
    y = tuff_graph_op(g, "add", (tuff_var[]){ y, kept }, 2, NULL);
    tuff_graph_store(g, y, total);
    tuff_program *p = NULL;
    if (EXPECT_OK(tuff_program_create(device, g, &(tuff_program_params){ .slots = 3 }, &p))) {
        for (int i = 0; i < 1000; i++) x[i] = 0.5f;
        EXPECT_OK(tuff_program_write(p, kept, x, sizeof x)); // stays for every run
        for (int run = 0; run < 100; run++) {
            for (int i = 0; i < 1000; i++) x[i] = (float)(run + i);
            EXPECT_OK(tuff_program_write(p, in, x, sizeof x));
            EXPECT_OK(tuff_program_run(p));
        }
        EXPECT_OK(tuff_program_wait(p));
        EXPECT_OK(tuff_tensor_read(stream, total, sum, sizeof sum));
        for (int i = 0; i < 1000; i++) EXPECT_EQ(sum[i], 4950 + 100 * i + 50);
    }
    tuff_program_destroy(&p);
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&total);
}

// The next input is taken while the run before is still under way: its upload does not wait.
static void the_next_batch_is_taken_meanwhile(void)
{
    enum { SIDE = 512 };
    const int deep = tuff_device_caps(device)->cpu_like ? 4 : 64;
    if (tuff_device_caps(device)->cpu) SKIP("the CPU path has done a run when it returns");
    static float x[SIDE * SIDE];
    const tuff_desc square = TUFF_SHAPE(TUFF_F32, SIDE, SIDE);
    tuff_graph *g;
    tuff_program *p = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var in = tuff_graph_input(g, "x", square);
    tuff_var y = in;
    for (int i = 0; i < deep; i++)
        y = tuff_graph_op(g, "matmul", (tuff_var[]){ y, in }, 2, NULL);
    tuff_graph_output(g, "y", y);
    if (EXPECT_OK(tuff_program_create(device, g, NULL, &p))) {
        bool meanwhile = false;
        for (int run = 0; run < 10 && !meanwhile; run++) {
            EXPECT_OK(tuff_program_write(p, in, x, sizeof x));
            EXPECT_OK(tuff_program_run(p));
            EXPECT_OK(tuff_program_write(p, in, x, sizeof x)); // of the run to come
            meanwhile = !tuff_device_done(device, p->last);
            EXPECT_OK(tuff_program_wait(p));
        }
        EXPECT(meanwhile);
    }
    tuff_program_destroy(&p);
    tuff_graph_destroy(&g);
}

static void replay_allocates_nothing(void)
{
    net n;
    net_build(&n);
    tuff_program *p = net_program(&n, NULL);
    if (p) {
        EXPECT_OK(tuff_program_run(p));
        EXPECT_OK(tuff_program_wait(p));
        tuff_memory_stats before, after;
        tuff_device_get_stats(device, &before);
        const int64_t allocations = tuff_alloc_count();
        for (int i = 0; i < 50; i++) {
            EXPECT_OK(tuff_program_write(p, n.x, x_data, sizeof x_data));
            EXPECT_OK(tuff_program_run(p));
        }
        EXPECT_OK(tuff_program_wait(p));
        EXPECT_EQ(tuff_alloc_count(), allocations);
        tuff_device_get_stats(device, &after);
        EXPECT_EQ(after.pipelines, before.pipelines);
        EXPECT_EQ(after.reserved, before.reserved);
        EXPECT_EQ(after.submits, before.submits + 50);
    }
    tuff_program_destroy(&p);
    net_free(&n);
}

static int submissions, lists, waits;

static tuff_status count_submit(tuff_device *dev, tuff_cmd *const cmds[], int count,
                                tuff_ticket *ticket);

static tuff_status count_wait(tuff_device *dev, tuff_ticket ticket);

static const tuff_backend *behind;
// No other call is there: one would end the test.
static const tuff_backend counting = { .submit = count_submit, .wait = count_wait };

static tuff_status count_submit(tuff_device *dev, tuff_cmd *const cmds[], int count,
                                tuff_ticket *ticket)
{
    submissions++;
    lists += count;
    return behind->submit(dev, cmds, count, ticket);
}

static tuff_status count_wait(tuff_device *dev, tuff_ticket ticket)
{
    waits++;
    return behind->wait(dev, ticket);
}

// A replay of a thousand additions asks of the device what a replay of one does: one submission
// of one list, which knows as few buffers, and a wait for it.
static void replay_costs_alike(void)
{
    enum { RUNS = 6 };
    int kept[2];
    float y;
    behind = device->backend;
    for (int many = 0; many < 2; many++) {
        tuff_program *p;
        tuff_graph *g;
        EXPECT_OK(tuff_graph_create(&g));
        const tuff_var one = tuff_graph_input(g, "one", TUFF_SHAPE(TUFF_F32, 1));
        tuff_var sum = one;
        for (int i = 0; i < (many ? 1000 : 4); i++)
            sum = tuff_graph_op(g, "add", (tuff_var[]){ sum, one }, 2, NULL);
        tuff_graph_output(g, "sum", sum);
        EXPECT_OK(tuff_program_create(device, g, &(tuff_program_params){ .no_fuse = true },
                                      &p));
        EXPECT_OK(tuff_program_write(p, one, (float[]){ 1 }, sizeof(float)));
        submissions = lists = waits = 0;
        device->backend = &counting;
        for (int i = 0; i < RUNS; i++) {
            EXPECT_OK(tuff_program_run(p));
            EXPECT_OK(tuff_program_wait(p));
        }
        device->backend = behind;
        EXPECT_EQ(submissions, RUNS);
        EXPECT_EQ(lists, RUNS);
        EXPECT(waits <= 2 * RUNS);
        kept[many] = p->slot[0].cmd->nkept;
        EXPECT_OK(tuff_program_read(p, sum, &y, sizeof y));
        EXPECT_NEAR((double)y, many ? 1001 : 5, 0);
        tuff_program_destroy(&p);
        tuff_graph_destroy(&g);
    }
    EXPECT_EQ(kept[0], kept[1]);
}

// ---- mistakes -------------------------------------------------------------------------------

static void the_first_mistake_is_kept(void)
{
    tuff_graph *g;
    tuff_program *p = NULL;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var a = tuff_graph_input(g, "a", TUFF_SHAPE(TUFF_F32, 3, 4));
    const tuff_var b = tuff_graph_input(g, "b", TUFF_SHAPE(TUFF_F32, 5, 6));
    const tuff_var y = tuff_graph_op(g, "matmul", (tuff_var[]){ a, b }, 2, NULL);
    EXPECT_EQ(y.id, 0);
    const tuff_var z = tuff_graph_op(g, "relu", &y, 1, NULL);
    EXPECT_EQ(z.id, 0);
    tuff_graph_output(g, "z", z);
    EXPECT_STATUS(tuff_graph_status(g), TUFF_ERR_SHAPE);
    EXPECT_HAS(tuff_last_error(), "matmul");
    EXPECT_STATUS(tuff_program_create(device, g, NULL, &p), TUFF_ERR_SHAPE);
    EXPECT(!p);
    tuff_graph_destroy(&g);

    EXPECT_OK(tuff_graph_create(&g));
    EXPECT_EQ(tuff_graph_op(g, "nonesuch", NULL, 0, NULL).id, 0);
    EXPECT_HAS(tuff_last_error(), "'nonesuch'");
    tuff_graph_destroy(&g);
}

static void copies_never_overlap(void)
{
    static float x[192];
    tuff_tensor *whole = tensor_of(TUFF_SHAPE(TUFF_F32, 192), x), *front = NULL, *back = NULL;
    EXPECT_OK(tuff_tensor_view(whole, 0, TUFF_SHAPE(TUFF_F32, 128), &front));
    EXPECT_OK(tuff_tensor_view(whole, 64, TUFF_SHAPE(TUFF_F32, 128), &back));
    tuff_graph *g;
    EXPECT_OK(tuff_graph_create(&g));
    const tuff_var v = tuff_graph_bind(g, "front", front);
    tuff_graph_store(g, v, front); // nothing to do
    EXPECT_OK(tuff_graph_status(g));
    tuff_graph_store(g, v, back);
    EXPECT_STATUS(tuff_graph_status(g), TUFF_ERR_ARG);
    EXPECT_HAS(tuff_last_error(), "over a part of the tensor");
    tuff_graph_destroy(&g);
    tuff_tensor_destroy(&front);
    tuff_tensor_destroy(&back);
    tuff_tensor_destroy(&whole);
}

static void wrong_calls_are_refused(void)
{
    net n;
    net_build(&n);
    tuff_program *p = net_program(&n, NULL);
    if (p) {
        float few[3];
        EXPECT_STATUS(tuff_program_write(p, n.x, few, sizeof few), TUFF_ERR_ARG);
        EXPECT_STATUS(tuff_program_write(p, n.y, few, sizeof few), TUFF_ERR_ARG);
        EXPECT_STATUS(tuff_program_read(p, n.y, few, sizeof few), TUFF_ERR_ARG);
        EXPECT_STATUS(tuff_program_read(p, (tuff_var){ 9999 }, few, sizeof few), TUFF_ERR_ARG);
    }
    tuff_program_destroy(&p);
    net_free(&n);
}

// The n-th allocation fails, for every n: a clean error each time, until none fails.
static void every_allocation_may_fail(void)
{
    net n;
    net_build(&n);
    bool done = false;
    for (int i = 1; !done && i < 5000; i++) {
        tuff_program *p = NULL;
        tuff_alloc_fail_at(i);
        tuff_status status = tuff_program_create(device, n.g, NULL, &p);
        if (status == TUFF_OK) status = tuff_program_write(p, n.x, x_data, sizeof x_data);
        if (status == TUFF_OK) status = tuff_program_run(p);
        if (status == TUFF_OK) status = tuff_program_wait(p);
        tuff_alloc_fail_at(0);
        done = status == TUFF_OK;
        if (!done) EXPECT_STATUS(status, TUFF_ERR_MEMORY);
        tuff_program_destroy(&p);
    }
    EXPECT(done);
    net_free(&n);
}

int main(int argc, char **argv)
{
    harness_init(argc, argv, NULL, 0);
    device = open_device();
    EXPECT_OK(tuff_stream_create(device, &stream));
    CASE(gradients_match_differences);
    CASE(compiled_in_every_way);
    CASE(seconds_of_runs);
    CASE(stores_happen_in_order);
    CASE(inputs_are_pipelined);
    CASE(the_next_batch_is_taken_meanwhile);
    CASE(replay_allocates_nothing);
    CASE(replay_costs_alike);
    CASE(the_first_mistake_is_kept);
    CASE(copies_never_overlap);
    CASE(wrong_calls_are_refused);
    CASE(every_allocation_may_fail);
    tuff_stream_destroy(&stream);
    tuff_device_close(&device);
    return report();
}
