// A call recorded so that it can be timed: alone in a list, several times over, so that the
// cost of a submission is shared as it is in a program.
#ifndef TUFF_OPS_TIMING_H
#define TUFF_OPS_TIMING_H
#include "ops/op.h"

typedef struct tuff_timing {
    tuff_plan plan;
    tuff_range scratch[TUFF_PLAN_SCRATCH];
    tuff_cmd *cmd;
    int calls; // in the list
} tuff_timing;

// Records a call whose descriptions are complete; what it reads must have been written. A
// failed one is freed like any other.
tuff_status tuff_timing_record(tuff_timing *t, tuff_device *dev, const tuff_call *c,
                               const tuff_range in[], const tuff_range out[]);
// Runs the list and waits: seconds of wall time that a call took.
tuff_status tuff_timing_run(tuff_timing *t, tuff_device *dev, double *seconds);
void tuff_timing_free(tuff_timing *t);

// Sorts; returns the median.
double tuff_timing_median(double seconds[], int count);
#endif
