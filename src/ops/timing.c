#include "ops/timing.h"
#include "base/alloc.h"
#include "base/time.h"
#include "ops/check.h"
#include "tensor/tensor.h"
#include <math.h>
#include <stdlib.h>
#include <tuff/tensor.h>

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

static tuff_status run(tuff_device *dev, tuff_cmd *cmd)
{
    tuff_ticket ticket;
    TUFF_TRY(tuff_device_submit(dev, &cmd, 1, &ticket));
    return tuff_device_wait(dev, ticket);
}

// What a program does once is done here, and is no part of the list.
static tuff_status prepare(tuff_timing *t, tuff_device *dev, const tuff_call *c,
                           const tuff_range in[], const tuff_range out[])
{
    const uint64_t once = tuff_plan_once(&t->plan, c->constant);
    tuff_cmd *cmd = NULL;
    if (!once) return TUFF_OK;
    tuff_timing whole = *t;
    whole.calls = 1;
    tuff_status status = record(&whole, dev, c, in, out, &cmd);
    if (status == TUFF_OK) status = run(dev, cmd);
    tuff_cmd_destroy(&cmd);
    tuff_plan_keep(&t->plan, ~once);
    return status;
}

tuff_status tuff_timing_record_calls(tuff_timing *t, tuff_device *dev, const tuff_call *c,
                                     const tuff_range in[], const tuff_range out[], int calls)
{
    *t = (tuff_timing){ .calls = calls };
    TUFF_TRY(tuff_select(c, tuff_device_caps(dev), &t->plan));
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        t->scratch[i].size = t->plan.scratch[i];
        if (t->plan.scratch[i])
            TUFF_TRY(tuff_buffer_create(dev, t->plan.scratch[i], &t->scratch[i].buffer));
    }
    TUFF_TRY(prepare(t, dev, c, in, out));
    return record(t, dev, c, in, out, &t->cmd);
}

tuff_status tuff_timing_record(tuff_timing *t, tuff_device *dev, const tuff_call *c, bool clock,
                               const tuff_range in[], const tuff_range out[])
{
    TUFF_TRY(tuff_timing_record_calls(t, dev, c, in, out, calls_for(c)));
    if (!clock || !tuff_timing_has_clock(dev)) return TUFF_OK;
    tuff_device_set_timed(dev, true);
    const tuff_status status = record(t, dev, c, in, out, &t->stamped);
    tuff_device_set_timed(dev, false);
    return status;
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

enum { LEAST_RUNS = 3 };

tuff_bench_times tuff_timing_spread(double seconds[], int count)
{
    const double median = tuff_timing_median(seconds, count);
    if (!(seconds[0] > 0)) return (tuff_bench_times){ 0 };
    return (tuff_bench_times){ .min = seconds[0], .low = seconds[count / 4], .median = median,
                               .high = seconds[count - 1 - count / 4],
                               .max = seconds[count - 1] };
}

// Of t[runs] and t[2 * most + runs]: what stood in the way of one round did so of both times.
static double ratio_of(const double *t, int most, int n, double *ratio)
{
    for (int i = 0; i < n; i++) ratio[i] = t[2 * most + i] > 0 ? t[i] / t[2 * most + i] : 0;
    return tuff_timing_median(ratio, n);
}

tuff_status tuff_timing_repeat(tuff_run_fn once, void *arg, const tuff_bench_params *p,
                               tuff_bench_result *r)
{
    const int most = p->runs > 0 ? p->runs : TUFF_TIMING_RUNS;
    const double enough = p->seconds > 0 ? p->seconds : TUFF_TIMING_SECONDS;
    tuff_run_seconds s = { 0 };
    double *t = tuff_alloc((size_t)most * 4, sizeof *t);
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
        r->of_driver = ratio_of(t, most, n, t + 3 * most); // before they are sorted
        r->wall = tuff_timing_spread(t, n);
        r->device = tuff_timing_spread(t + most, n);
        r->driver = tuff_timing_spread(t + 2 * most, n);
    }
    tuff_free(t);
    return status;
}

// ---- operands ----------------------------------------------------------------------------

static tuff_status fill_inputs(const tuff_call *c, tuff_stream *s, tuff_operands *o)
{
    void *data[TUFF_OP_IN] = { 0 };
    tuff_status status = TUFF_OK;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        data[i] = tuff_alloc(tuff_desc_bytes(&c->in[i]), 1);
        if (!data[i]) TUFF_GO(TUFF_ERR_MEMORY);
    }
    TUFF_GO(tuff_trial_draw(c, data, 1, TUFF_DRAW_ANY));
    for (int i = 0; i < c->nin; i++)
        if (data[i])
            TUFF_GO(tuff_tensor_write(s, o->in[i], data[i], tuff_desc_bytes(&c->in[i])));
    TUFF_GO(tuff_stream_wait(s));
exit:
    for (int i = 0; i < c->nin; i++) tuff_free(data[i]);
    return status;
}

tuff_status tuff_operands_create(tuff_device *dev, const tuff_call *c, tuff_operands *o)
{
    *o = (tuff_operands){ 0 };
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        TUFF_TRY(tuff_tensor_create(dev, c->in[i], &o->in[i]));
        o->in_range[i] = tuff_tensor_range(o->in[i]);
    }
    for (int i = 0; i < c->nout; i++) {
        if (!c->out[i].dtype) continue;
        TUFF_TRY(tuff_tensor_create(dev, c->out[i], &o->out[i]));
        o->out_range[i] = tuff_tensor_range(o->out[i]);
    }
    tuff_stream *s;
    TUFF_TRY(tuff_stream_create(dev, &s));
    const tuff_status status = fill_inputs(c, s, o);
    tuff_stream_destroy(&s);
    return status;
}

void tuff_operands_free(tuff_operands *o)
{
    for (int i = 0; i < TUFF_OP_IN; i++) tuff_tensor_destroy(&o->in[i]);
    for (int i = 0; i < TUFF_OP_OUT; i++) tuff_tensor_destroy(&o->out[i]);
}
