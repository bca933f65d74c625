#ifndef TUFF_CHECK_H
#define TUFF_CHECK_H
#include <tuff/device.h>
// Judges a device: every op, every case, every variant against the CPU path's reference.

typedef struct tuff_check_result {
    const char *device;  // id of the device
    const char *op;
    const char *variant; // "ref" on the CPU path
    const char *text;    // the case: "f32 3x257 axis=1"
    double error;        // max |got - want| / (|want| + rms(want)), forward
    double tolerance;
    double grad_error;   // of the gradient, -1 when it was not judged
    double grad_tolerance;
    bool passed, skipped;
    bool refused;        // tuff_check_fuzz: no such call can be, and words said so, as they
                         // should; passed then
    const char *problem; // one sentence when it failed, was skipped or refused, else ""
} tuff_check_result;
typedef void (*tuff_check_fn)(void *user, const tuff_check_result *result);

typedef struct tuff_check_params {
    const char *filter; // glob over "op variant f32 case" and "op f32 case"; without * and ?
                        // any case, also one that no list has; NULL = everything
    bool no_grad;       // forward only
    bool thorough;      // every case in every type, and special numbers in every case
    bool quick;         // a few cases of each operator, in its first type
    int repeat;         // runs that must give the same bits; at least 2
    uint64_t seed;
    int64_t cases;      // tuff_check_fuzz: ends after so many turns of operators; 0: when the
                        // time is over
} tuff_check_params;

// Calls `fn` for each result. The string "op f32 case" reproduces a result when it is given
// as the filter. Fails: TUFF_ERR_CHECK when any failed (after all were run); ARG, FORMAT,
// SHAPE, DTYPE when the filter matches nothing, or spells out what is no case.
TUFF_API TUFF_CHECK tuff_status tuff_check_device(tuff_device *device,
                                                  const tuff_check_params *p, tuff_check_fn fn,
                                                  void *user);

typedef struct tuff_fuzz_result {
    int64_t run, refused; // cases that were judged; that an op refused, as it should, in words
    int failed;
    char first[600];      // the first failure, shrunk: a filter for tuff_check_device
    char problem[512];
} tuff_fuzz_result;
// Draws cases (shapes and attributes mutated from those of the records: odd, prime, 1, just
// past a tile, 0, over a limit), one of each operator in turn, and judges each as
// tuff_check_device does. It ends when `seconds` are over and what was begun is done: the
// launch that runs, and at most 5 s of making a failing case as small as it stays failing.
// `fn` (may be NULL) is called once a case, with the variant that failed or came nearest to
// it. p->filter names ops ("conv2d *"). p->seed makes it repeatable but for where the time
// ends.
// Fails: TUFF_ERR_CHECK when any failed.
TUFF_API TUFF_CHECK tuff_status tuff_check_fuzz(tuff_device *device, double seconds,
                                                const tuff_check_params *p, tuff_check_fn fn,
                                                void *user, tuff_fuzz_result *result);
#endif
