#include "ops/timing.h"
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

tuff_status tuff_timing_record(tuff_timing *t, tuff_device *dev, const tuff_call *c,
                               const tuff_range in[], const tuff_range out[])
{
    *t = (tuff_timing){ .calls = calls_for(c) };
    TUFF_TRY(tuff_select(c, tuff_device_caps(dev), &t->plan));
    for (int i = 0; i < TUFF_PLAN_SCRATCH; i++) {
        t->scratch[i].size = t->plan.scratch[i];
        if (t->plan.scratch[i])
            TUFF_TRY(tuff_buffer_create(dev, t->plan.scratch[i], &t->scratch[i].buffer));
    }
    TUFF_TRY(tuff_cmd_create(dev, true, &t->cmd));
    for (int i = 0; i < t->calls; i++)
        TUFF_TRY(tuff_record(t->cmd, c, &t->plan, in, out, t->scratch));
    return tuff_cmd_finish(t->cmd);
}

tuff_status tuff_timing_run(tuff_timing *t, tuff_device *dev, double *seconds)
{
    tuff_ticket ticket;
    const double start = tuff_time_now();
    TUFF_TRY(tuff_device_submit(dev, &t->cmd, 1, &ticket));
    TUFF_TRY(tuff_device_wait(dev, ticket));
    *seconds = (tuff_time_now() - start) / t->calls;
    return TUFF_OK;
}

void tuff_timing_free(tuff_timing *t)
{
    tuff_cmd_destroy(&t->cmd);
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
