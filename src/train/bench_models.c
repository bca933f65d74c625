// tuff_bench_models: batches through several models, in turns.
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/time.h"
#include "nn/model.h"
#include "ops/timing.h"
#include "train/pass.h"
#include <math.h>
#include <string.h>
#include <tuff/bench.h>

enum { MOST_TIMES = 64 };
static const double TURN = 1e-3; // seconds of a turn, at least

typedef struct runner {
    tuff_model *model;
    tuff_passes *passes;
    tuff_pass *pass;
    float *x, *y;
    int64_t y_count;
    double first;     // seconds of the second run, when kernels are compiled
    double *seconds;  // of a batch, round by round
    double *speedup;
} runner;

static tuff_status run(runner *r)
{
    TUFF_TRY(tuff_pass_run(r->pass, r->x, NULL, NULL, 0));
    return tuff_pass_scores(r->pass, r->y);
}

static tuff_status draw(runner *r, int64_t batch)
{
    const int64_t count = batch * tuff_desc_count(&r->model->input);
    tuff_rng rng = { .seed = 7 };
    r->y_count = batch * tuff_desc_count(&r->model->output);
    r->x = tuff_alloc((size_t)count, sizeof *r->x);
    r->y = tuff_alloc((size_t)r->y_count, sizeof *r->y);
    if (!r->x || !r->y) return TUFF_ERR_MEMORY;
    for (int64_t i = 0; i < count; i++) r->x[i] = tuff_rng_normal(&rng);
    return TUFF_OK;
}

// What the device holds more than before is the program's; the weights were there.
static tuff_status make(runner *r, int64_t batch, int rounds, tuff_bench_turns *t)
{
    tuff_memory_stats before, after;
    tuff_program_stats stats;
    r->seconds = tuff_alloc((size_t)rounds, sizeof *r->seconds);
    r->speedup = tuff_alloc((size_t)rounds, sizeof *r->speedup);
    if (!r->seconds || !r->speedup) return TUFF_ERR_MEMORY;
    TUFF_TRY(draw(r, batch));
    tuff_device_get_stats(r->model->device, &before);
    TUFF_TRY(tuff_passes_create(&(tuff_pass_spec){ .model = r->model }, &r->passes));
    TUFF_TRY(tuff_passes_get(r->passes, batch, &r->pass));
    TUFF_TRY(run(r)); // kernels are compiled in it
    tuff_device_get_stats(r->model->device, &after);
    tuff_program_get_stats(tuff_pass_program(r->pass), &stats);
    t->launches = stats.launches;
    t->memory = (int64_t)tuff_desc_bytes(tuff_tensor_desc(r->model->weights)) +
                (int64_t)after.used - (int64_t)before.used;
    const double start = tuff_time_now();
    TUFF_TRY(run(r));
    r->first = tuff_time_now() - start;
    for (int64_t i = 0; i < r->y_count; i++)
        TUFF_REQUIRE(isfinite(r->y[i]), CHECK, "bench: output %lld of %s is no number",
                     (long long)i, r->model->text);
    return TUFF_OK;
}

// The caches are first filled again with what is this model's.
static tuff_status take_turn(runner *r, int times, double *seconds)
{
    TUFF_TRY(run(r));
    const double start = tuff_time_now();
    for (int i = 0; i < times; i++) TUFF_TRY(run(r));
    *seconds = (tuff_time_now() - start) / times;
    return TUFF_OK;
}

static tuff_status take_turns(runner r[], int count, int most, double enough, int times,
                              int *rounds)
{
    const double start = tuff_time_now();
    int n = 0;
    for (; n < most && (n < 3 || tuff_time_now() - start < enough); n++) {
        for (int i = 0; i < count; i++) {
            runner *one = &r[(n + i) % count];
            TUFF_TRY(take_turn(one, times, &one->seconds[n]));
        }
        for (int i = 0; i < count; i++) r[i].speedup[n] = r[0].seconds[n] / r[i].seconds[n];
    }
    *rounds = n;
    return TUFF_OK;
}

static void destroy(runner *r)
{
    tuff_passes_destroy(&r->passes);
    tuff_free(r->x);
    tuff_free(r->y);
    tuff_free(r->seconds);
    tuff_free(r->speedup);
}

tuff_status tuff_bench_models(tuff_model *const models[], int count, int64_t batch,
                              const tuff_bench_params *p, tuff_bench_turns turns[])
{
    static const tuff_bench_params defaults = { 0 };
    tuff_status status = TUFF_OK;
    TUFF_REQUIRE(models && turns && count >= 1, ARG, "bench: no models, or no results");
    TUFF_REQUIRE(batch >= 1 && batch <= 1 << 20, ARG,
                 "bench: batch is %lld, expected 1 to 1048576", (long long)batch);
    if (!p) p = &defaults;
    const int most = p->runs > 0 ? p->runs : TUFF_TIMING_RUNS;
    const double enough = count * (p->seconds > 0 ? p->seconds : TUFF_TIMING_SECONDS);
    double fastest = TURN;
    int rounds = 0;
    runner *r = tuff_alloc((size_t)count, sizeof *r);
    if (!r) return TUFF_ERR_MEMORY;
    memset(turns, 0, (size_t)count * sizeof *turns);
    for (int i = 0; i < count; i++) {
        r[i].model = models[i];
        TUFF_GO(make(&r[i], batch, most, &turns[i]));
        fastest = fmin(fastest, fmax(r[i].first, TURN / MOST_TIMES));
    }
    const int times = (int)ceil(TURN / fastest);
    TUFF_GO(take_turns(r, count, most, enough, times, &rounds));
    for (int i = 0; i < count; i++) {
        turns[i].rounds = rounds;
        turns[i].times = times;
        turns[i].wall = tuff_timing_spread(r[i].seconds, rounds);
        turns[i].speedup = tuff_timing_spread(r[i].speedup, rounds);
    }
exit:
    for (int i = 0; i < count; i++) destroy(&r[i]);
    tuff_free(r);
    return status;
}
