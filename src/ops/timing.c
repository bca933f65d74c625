#include "ops/timing.h"
#include "base/alloc.h"
#include "base/time.h"
#include <math.h>
#include <stdlib.h>

enum { MOST_CALLS = 16 };

// So many that small calls do not measure the submission.
static int calls_for(const tuff_call *c)
{
    const double calls = 1e8 / fmax(tuff_call_cost(c).flops, 1);
    return calls < 1 ? 1 : calls > MOST_CALLS ? MOST_CALLS : (int)calls;
}

bool tuff_timing_needs_twin(const tuff_device *dev)
{
    const tuff_caps *k = tuff_device_caps(dev);
    return !k->cpu && k->timestamp_ns > 0;
}

bool tuff_timing_has_clock(const tuff_device *dev)
{
    return tuff_device_caps(dev)->cpu || tuff_timing_needs_twin(dev);
}

static tuff_status record(const tuff_timing *t, tuff_device *dev, const tuff_call *c,
                          const tuff_range in[], const tuff_range out[], tuff_cmd **cmd)
{
    TUFF_TRY(tuff_cmd_create(dev, true, cmd));
    for (int i = 0; i < t->calls; i++)
        TUFF_TRY(tuff_record(*cmd, c, &t->plan, in, out, t->scratch));
    return tuff_cmd_finish(*cmd);
}

tuff_status tuff_timing_record(tuff_timing *t, tuff_device *dev, const tuff_call *c, bool clock,
                               const tuff_range in[], const tuff_range out[])
{
    *t = (tuff_timing){ .calls = calls_for(c) };
    TUFF_TRY(tuff_select(c, tuff_device_caps(dev), &t->plan));
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        t->scratch[i].size = t->plan.scratch[i];
        if (t->plan.scratch[i])
            TUFF_TRY(tuff_buffer_create(dev, t->plan.scratch[i], &t->scratch[i].buffer));
    }
    TUFF_TRY(record(t, dev, c, in, out, &t->cmd));
    if (!clock || !tuff_timing_has_clock(dev)) return TUFF_OK;
    tuff_device_set_timed(dev, true);
    const tuff_status status = record(t, dev, c, in, out, &t->stamped);
    tuff_device_set_timed(dev, false);
    return status;
}

static tuff_status run(tuff_device *dev, tuff_cmd *cmd)
{
    tuff_ticket ticket;
    TUFF_TRY(tuff_device_submit(dev, &cmd, 1, &ticket));
    return tuff_device_wait(dev, ticket);
}

tuff_status tuff_timing_run(tuff_timing *t, tuff_device *dev, double *seconds)
{
    const double start = tuff_time_now();
    TUFF_TRY(run(dev, t->cmd));
    *seconds = (tuff_time_now() - start) / t->calls;
    return TUFF_OK;
}

tuff_status tuff_timing_run_clock(tuff_timing *t, tuff_device *dev, double *seconds)
{
    *seconds = 0;
    if (!t->stamped) return TUFF_OK;
    TUFF_TRY(run(dev, t->stamped));
    if (tuff_cmd_seconds(t->stamped, seconds)) *seconds /= t->calls;
    return TUFF_OK;
}

void tuff_timing_free(tuff_timing *t)
{
    tuff_cmd_destroy(&t->cmd);
    tuff_cmd_destroy(&t->stamped);
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) tuff_buffer_release(&t->scratch[i].buffer);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double tuff_timing_median(double seconds[], int count)
{
    qsort(seconds, (size_t)count, sizeof *seconds, by_value);
    return seconds[count / 2];
}

// ---- again and again ---------------------------------------------------------------------

enum { RUNS = 15, LEAST_RUNS = 3 };
static const double SECONDS = 3;

// Of times of which each is known; all 0 else. Sorts.
static tuff_bench_times spread(double seconds[], int count)
{
    const double median = tuff_timing_median(seconds, count);
    if (!(seconds[0] > 0)) return (tuff_bench_times){ 0 };
    return (tuff_bench_times){ .min = seconds[0], .low = seconds[count / 4], .median = median,
                               .high = seconds[count - 1 - count / 4],
                               .max = seconds[count - 1] };
}

tuff_status tuff_timing_repeat(tuff_run_fn once, void *arg, const tuff_bench_params *p,
                               tuff_bench_result *r)
{
    const int most = p->runs > 0 ? p->runs : RUNS;
    const double enough = p->seconds > 0 ? p->seconds : SECONDS;
    tuff_run_seconds s = { 0 };
    double *t = tuff_alloc((size_t)most * 3, sizeof *t);
    if (!t) return TUFF_ERR_MEMORY;
    tuff_status status = once(arg, &s);
    const double start = tuff_time_now();
    int n = 0;
    while (status == TUFF_OK && n < most &&
           (n < LEAST_RUNS || tuff_time_now() - start < enough)) {
        s = (tuff_run_seconds){ 0 };
        status = once(arg, &s);
        t[n] = s.wall, t[most + n] = s.device, t[2 * most + n] = s.driver;
        n++;
    }
    if (status == TUFF_OK) {
        r->runs = n;
        r->wall = spread(t, n);
        r->device = spread(t + most, n);
        r->driver = spread(t + 2 * most, n);
    }
    tuff_free(t);
    return status;
}
