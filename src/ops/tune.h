// The tuner: which candidate of an op runs the calls of a class, measured on the device. The
// parts:
//
//   tune_list.c    what there is to be tried, and on which smaller call it is judged
//   tune.c         trying: results first, then times
//   tune_device.c  the table and the file of a device, and <tuff/tune.h>
//   tune_auto.c    the CPU path or a software driver
//   tuning.h       the table
#ifndef TUFF_OPS_TUNE_H
#define TUFF_OPS_TUNE_H
#include "ops/case.h"
#include "ops/tuning.h"

enum { TUFF_TUNE_MOST = 64 };

typedef struct tuff_candidates {
    tuff_candidate at[TUFF_TUNE_MOST];
    int count;
} tuff_candidates;

// The candidates of a call: first what would run it without tuning, then the other variants,
// then ways and sizes of workgroups, each of which makes a plan that no one before makes. Where
// `full` is not set, those that can hardly win are left out (kernels for GPUs on software
// drivers). Pure. Fails: TUFF_ERR_MEMORY.
tuff_status tuff_tune_candidates(const tuff_call *c, const tuff_caps *k, bool full,
                                 tuff_candidates *list);
// The same call with smaller dims, so that its reference takes at most `most` steps: equal ones
// are halved together, and stay multiples of four. False: no such call fits the op. Pure.
bool tuff_tune_cut(const tuff_call *c, double most, tuff_case *cut);

// Measures what is not known of these calls, as the device's mode and seconds allow, and saves
// it. A candidate that fails, whatever the reason, is left out and the next is tried.
// Fails: TUFF_ERR_MEMORY, TUFF_ERR_LOST.
tuff_status tuff_tune_calls(tuff_device *dev, const tuff_call calls[], int count);
// Whether there is anything for it to do.
bool tuff_tune_wanted(tuff_device *dev);

// The file that holds for a device, "" for none; *own tells whether the library named it.
void tuff_tune_place(const tuff_device_info *info, char *path, size_t size, bool *own);
// Saves what is new, and notes it where that fails.
void tuff_tune_keep(tuff_tuning *t);
#endif
