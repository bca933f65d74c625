// tuff_bench_replay: what replaying a program costs beside what its driver takes.
#include "base/alloc.h"
#include "base/time.h"
#include "graph/program.h"
#include "ops/timing.h"
#include "tensor/tensor.h"
#include <stdio.h>
#include <tuff/tensor.h>

enum {
    MOST = 10000,
    N = 64,
    BLOCK = 100 // dispatches that are timed together, or more
};

typedef struct replay {
    tuff_device *dev;
    int launches, times; // times: replays that are timed together
    bool second;         // the driver's turn came first
    tuff_tensor *zero, *one, *sum; // [N]; sum is what the driver's side adds to
    tuff_program *program[TUFF_TWINS];
    tuff_var y;
    tuff_call call; // of one addition
    tuff_plan plan;
    tuff_bare *bare;
    void (*run)(const tuff_ref *r); // the CPU path's
    tuff_ref ref;
} replay;

static tuff_status make_tensor(replay *t, tuff_stream *s, float value, tuff_tensor **made)
{
    float data[N];
    for (int i = 0; i < N; i++) data[i] = value;
    TUFF_TRY(tuff_tensor_create(t->dev, TUFF_SHAPE(TUFF_F32, N), made));
    return tuff_tensor_write(s, *made, data, sizeof data);
}

static tuff_status make_program(replay *t)
{
    tuff_graph *g = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_graph_create(&g));
    const tuff_var one = tuff_graph_bind(g, "one", t->one);
    t->y = tuff_graph_bind(g, "zero", t->zero);
    for (int i = 0; i < t->launches; i++)
        t->y = tuff_graph_op(g, "add", (tuff_var[]){ t->y, one }, 2, NULL);
    tuff_graph_output(g, "y", t->y);
    for (int i = 0; i <= tuff_timing_needs_twin(t->dev); i++) {
        tuff_device_set_timed(t->dev, i == tuff_timing_needs_twin(t->dev));
        // Else a chain of additions may become a single kernel.
        TUFF_GO(tuff_program_create(t->dev, g, &(tuff_program_params){ .no_fuse = true },
                                    &t->program[i]));
    }
exit:
    tuff_device_set_timed(t->dev, false);
    tuff_graph_destroy(&g);
    return status;
}

// The driver's side: the same addition, of one to what is in `sum`.
static tuff_status make_bare(replay *t)
{
    const tuff_range sum = tuff_tensor_range(t->sum), one = tuff_tensor_range(t->one);
    const tuff_dispatch *d = &t->plan.d[0];
    tuff_binding b[TUFF_MAX_BINDINGS];
    if (!t->plan.count) {
        float *y = (float *)((char *)tuff_buffer_map(sum.buffer) + sum.offset);
        const tuff_host *host = t->plan.host;
        TUFF_REQUIRE(!host || !(host->units || host->scratch), UNSUPPORTED,
                     "replay: an addition is no single C function");
        t->run = host ? host->run : t->call.op->ref;
        t->ref = (tuff_ref){ .call = &t->call, .out = { y },
                             .end = tuff_host_units(host, &t->call, 0) };
        t->ref.in[0] = y;
        t->ref.in[1] = (float *)((char *)tuff_buffer_map(one.buffer) + one.offset);
        return TUFF_OK;
    }
    for (int i = 0; i < d->nslot; i++) {
        const bool second = d->slot[i].role == TUFF_ROLE_IN && d->slot[i].index == 1;
        b[i] = (tuff_binding){ second ? one : sum, d->slot[i].kind, d->slot[i].access };
    }
    return tuff_bare_create(t->dev, &d->launch, b, d->nslot, t->launches, &t->bare);
}

static tuff_status run_bare(replay *t)
{
    if (t->bare) return tuff_bare_run(t->bare);
    for (int i = 0; i < t->launches; i++) t->run(&t->ref);
    return TUFF_OK;
}

static tuff_status run_program(replay *t)
{
    TUFF_TRY(tuff_program_run(t->program[0]));
    return tuff_program_wait(t->program[0]);
}

static tuff_status time_block(replay *t, tuff_status (*once)(replay *), double *seconds)
{
    const double start = tuff_time_now();
    for (int i = 0; i < t->times; i++) TUFF_TRY(once(t));
    *seconds = (tuff_time_now() - start) / t->times;
    return TUFF_OK;
}

// Who comes first has the caches as the stamped program left them: in turns.
static tuff_status run_both(void *arg, tuff_run_seconds *s)
{
    replay *t = arg;
    tuff_program *stamped = t->program[TUFF_STAMPED] ? t->program[TUFF_STAMPED] : t->program[0];
    t->second = !t->second;
    if (t->second) TUFF_TRY(time_block(t, run_bare, &s->driver));
    TUFF_TRY(time_block(t, run_program, &s->wall));
    if (!t->second) TUFF_TRY(time_block(t, run_bare, &s->driver));
    if (stamped != t->program[0]) TUFF_TRY(tuff_program_run(stamped));
    if (!tuff_program_seconds(stamped, &s->device)) s->device = 0;
    return TUFF_OK;
}

// Each replay counts to `launches`, which f32 holds.
static tuff_status check_sum(replay *t)
{
    float y[N];
    TUFF_TRY(tuff_program_read(t->program[0], t->y, y, sizeof y));
    for (int i = 0; i < N; i++)
        TUFF_REQUIRE(y[i] == (float)t->launches, CHECK, "replay: %d additions of 1 gave %g",
                     t->launches, (double)y[i]);
    return TUFF_OK;
}

static tuff_status prepare(replay *t, tuff_stream *s)
{
    TUFF_TRY(make_tensor(t, s, 0, &t->zero));
    TUFF_TRY(make_tensor(t, s, 1, &t->one));
    TUFF_TRY(make_tensor(t, s, 0, &t->sum));
    TUFF_TRY(tuff_stream_wait(s));
    t->call = (tuff_call){ .op = tuff_op_find("add"), .nin = 2,
                           .in = { *tuff_tensor_desc(t->sum), *tuff_tensor_desc(t->one) } };
    TUFF_TRY(tuff_call_infer(&t->call));
    TUFF_TRY(tuff_select(&t->call, tuff_device_caps(t->dev), &t->plan));
    TUFF_REQUIRE(t->plan.count <= 1, UNSUPPORTED, "replay: an addition takes %d dispatches",
                 t->plan.count);
    TUFF_TRY(make_program(t));
    return make_bare(t);
}

static void replay_free(replay *t)
{
    for (int i = 0; i < TUFF_TWINS; i++) tuff_program_destroy(&t->program[i]);
    tuff_bare_destroy(&t->bare);
    tuff_tensor_destroy(&t->zero);
    tuff_tensor_destroy(&t->one);
    tuff_tensor_destroy(&t->sum);
    tuff_free(t);
}

tuff_status tuff_bench_replay(tuff_device *device, int launches, const tuff_bench_params *p,
                              tuff_bench_result *r)
{
    static const tuff_bench_params defaults = { 0 };
    tuff_stream *s = NULL;
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(device && r, ARG, "the device or the result is NULL");
    TUFF_REQUIRE(launches >= 1 && launches <= MOST, ARG,
                 "replay: %d launches, expected 1 to %d", launches, (int)MOST);
    replay *t = tuff_alloc(1, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    t->dev = device;
    t->launches = launches;
    t->times = (BLOCK + launches - 1) / launches;
    *r = (tuff_bench_result){ .variant = "program", .launches = launches };
    snprintf(r->text, sizeof r->text, "replay %d", launches);
    TUFF_GO(tuff_stream_create(device, &s));
    TUFF_GO(prepare(t, s));
    TUFF_GO(tuff_timing_repeat(run_both, t, p ? p : &defaults, r));
    TUFF_GO(check_sum(t));
exit:
    replay_free(t);
    tuff_stream_destroy(&s);
    return status;
}
