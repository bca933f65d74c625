// A call recorded so that it can be timed: alone in a list, several times over, so that the
// cost of a submission is shared as it is in a program.
#ifndef TUFF_OPS_TIMING_H
#define TUFF_OPS_TIMING_H
#include "ops/case.h"
#include <tuff/bench.h>

typedef struct tuff_timing {
    tuff_plan plan;
    tuff_range scratch[TUFF_PLAN_SCRATCH];
    tuff_cmd *cmd;
    tuff_cmd *stamped; // the same with time stamps, which take their time themselves; or NULL
    int calls;         // in the list
} tuff_timing;

// Records a call whose descriptions are complete; what it reads must have been written. With
// `clock` also for the device's own clock, where there is one. A failed one is freed like any
// other.
tuff_status tuff_timing_record(tuff_timing *t, tuff_device *dev, const tuff_call *c, bool clock,
                               const tuff_range in[], const tuff_range out[]);
// The same by wall time alone, with so many calls in the list.
tuff_status tuff_timing_record_calls(tuff_timing *t, tuff_device *dev, const tuff_call *c,
                                     const tuff_range in[], const tuff_range out[], int calls);
// Runs the list and waits: seconds of wall time that a call took.
tuff_status tuff_timing_run(tuff_timing *t, tuff_device *dev, double *seconds);
// The same by the device's clock; 0 where it has none.
tuff_status tuff_timing_run_clock(tuff_timing *t, tuff_device *dev, double *seconds);
void tuff_timing_free(tuff_timing *t);

// The tensors of a call, with numbers for every input as the check draws them; made even where
// it failed, and then to be freed.
typedef struct tuff_operands {
    tuff_tensor *in[TUFF_OP_IN], *out[TUFF_OP_OUT]; // NULL: absent
    tuff_range in_range[TUFF_OP_IN], out_range[TUFF_OP_OUT];
} tuff_operands;
tuff_status tuff_operands_create(tuff_device *dev, const tuff_call *c, tuff_operands *o);
void tuff_operands_free(tuff_operands *o);

// A case as the bench reads it: "op type inputs params", or "matmul f32 MxKxN". `name` (may be
// NULL) receives it as tuff_bench_name writes it (bench.c).
tuff_status tuff_bench_parse(const char *text, tuff_case *c, char *name, size_t size);

// Sorts; returns the median.
double tuff_timing_median(double seconds[], int count);
// Of times of which each is known; all 0 else. Sorts.
tuff_bench_times tuff_timing_spread(double seconds[], int count);

// Whether a device has a clock, and whether stamps of it take time that a run without them
// should not be blamed for (60 us of a submission on lavapipe, nothing on the CPU path).
// If so, what is timed is made twice: [0] for wall time, and [TUFF_STAMPED] with stamps.
bool tuff_timing_has_clock(const tuff_device *dev);
bool tuff_timing_needs_twin(const tuff_device *dev);
enum { TUFF_TWINS = 2, TUFF_STAMPED = 1 };

// The defaults of tuff_bench_params.
#define TUFF_TIMING_RUNS 15
#define TUFF_TIMING_SECONDS 3.0
// What the bench calls again and again: one run, whose seconds go to wall, device and driver
// (see tuff_bench_result); what it leaves at 0 is not known.
typedef struct tuff_run_seconds {
    double wall, device, driver;
} tuff_run_seconds;
typedef tuff_status (*tuff_run_fn)(void *arg, tuff_run_seconds *s);
// Runs once, where kernels are compiled, and then as often as `p` says; fills the times of `r`.
tuff_status tuff_timing_repeat(tuff_run_fn once, void *arg, const tuff_bench_params *p,
                               tuff_bench_result *r);
#endif
