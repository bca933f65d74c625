// Judging an op by its own record. The parts:
//
//   check_trial.c  a case with drawn inputs and what the reference makes of them
//   check_run.c    one run on a device, between guard words
//   check_tape.c   a gradient rule run eagerly
//   check_grad.c   gradients against the CPU path and against central differences
//   check.c        every op, every case, every variant
//
//   Threads  everything here belongs to the calling thread.
#ifndef TUFF_OPS_CHECK_H
#define TUFF_OPS_CHECK_H
#include "ops/case.h"
#include <tuff/check.h>

// ---- a trial -----------------------------------------------------------------------------

typedef enum tuff_draw {
    TUFF_DRAW_ANY,   // half of the numbers on a coarse grid, so that equal ones and 0 occur
    TUFF_DRAW_SPACED, // all different and away from 0, where relu and max have no kink
    TUFF_DRAW_SPECIAL // a half huge, tiny, subnormal, infinite, NaN, or at a function's ends
} tuff_draw;

typedef struct tuff_trial {
    tuff_case c;
    void *in[TUFF_OP_IN];    // elements of each input, NULL for an absent one
    void *want[TUFF_OP_OUT]; // what the reference made of them
    // With TUFF_DRAW_SPECIAL: what it made of them with subnormal inputs as zeros, which a
    // device may take them for, and the size of ordinary results.
    void *flushed[TUFF_OP_OUT];
    double unit[TUFF_OP_OUT];
} tuff_trial;

// Reads the case, draws inputs from the op's sample range and runs its reference, once and in
// this thread. Draws again, a few times, while an output is all zeros.
// Fails: as tuff_case_parse; TUFF_ERR_CHECK when the case cannot prove anything (all-zero
// outputs would pass it, or the reference leaves a number that is not finite).
tuff_status tuff_trial_create(const tuff_op *op, tuff_dtype dtype, const char *text,
                              uint64_t seed, tuff_draw draw, tuff_trial **trial);
// The same case with special numbers; `ordinary` tells the size of its results.
tuff_status tuff_trial_special(const tuff_trial *ordinary, const char *text, uint64_t seed,
                               tuff_trial **trial);
void tuff_trial_destroy(tuff_trial **trial);

// Runs a reference over [begin, end) of its units.
void tuff_trial_ref(const tuff_call *call, void *const in[], void *const out[], size_t begin,
                    size_t end);
// All units of a kernel of the CPU path, or of the reference where it is NULL; those of each
// stage in one piece, or in two, the last ones first. TUFF_ERR_MEMORY.
tuff_status tuff_trial_units_by(const tuff_call *call, const tuff_host *host,
                                void *const in[], void *const out[], bool in_pieces);
size_t tuff_trial_units(const tuff_call *call);
// Draws numbers for the inputs of a call; in[i] is NULL for an absent one. TUFF_ERR_MEMORY.
tuff_status tuff_trial_draw(const tuff_call *c, void *const in[], uint64_t seed,
                            tuff_draw draw);
// The range that an f32 input is drawn from.
void tuff_trial_range(const tuff_op *op, int input, float *low, float *high);

// An op's tolerance for an output: with 16-bit elements a step of theirs more, unless it is 0.
double tuff_trial_tolerance(const tuff_desc *d, double tolerance);

// max |got - want| / (|want| + rms(want) + floor) over elements of f32, f16 or bf16, 0 / 0
// being 0; infinite where got is no number, and for other dtypes where any bit differs. With
// a tolerance of 0 it is above 0 wherever a bit differs; with another, results of f16 may be
// its smallest number away.
double tuff_trial_error(const tuff_desc *d, const void *got, const void *want, double floor,
                        double tolerance);

// The same for outputs of a trial with special numbers, element by element: NaN for NaN,
// infinity for infinity, else |got - want| / (|want| + unit), whichever of `want` and
// `flushed` is nearer. Results below f32's smallest normal number count as 0.
double tuff_trial_special_error(const tuff_trial *t, int output, const void *got,
                                double tolerance);

// ---- a run on a device ---------------------------------------------------------------------

// Runs `subject` (an op of the same ports as the trial's) with the trial's inputs `repeat`
// times (at least twice), and once more with each output in the place of the input it may
// alias. *error receives the largest error of the first and the last, by tuff_trial_error.
// Fails: TUFF_ERR_CHECK (beyond the tolerance, an element not written, one written or an
// input changed outside of the outputs, other bits in the second run), and as tuff_run does.
tuff_status tuff_trial_run(const tuff_trial *t, const tuff_op *subject, tuff_stream *stream,
                           double tolerance, int repeat, double *error);

// ---- gradients -----------------------------------------------------------------------------

// Runs the rule of `subject` on a stream's device with gradients dy of the outputs (NULL: of
// an output that is not f32). dx[i] receives a new array, to be freed with tuff_free, or NULL
// where no gradient flows. *tolerance receives the sum of the tolerances of the ops used.
// Fails: TUFF_ERR_LIMIT when an op takes more than `most_work` steps (tuff_call_work).
tuff_status tuff_eager_grad(const tuff_trial *t, const tuff_op *subject, tuff_stream *stream,
                            double most_work, float *const dy[], float *dx[],
                            double *tolerance);

// Judges the gradient rule of `subject` on stream's device: against the same rule on the CPU
// path (`cpu`, NULL when stream is itself on it), and against central differences of the
// reference of `op` where the case is small enough. *error is the larger of the two relative
// to its tolerance, with that tolerance; -1 when neither could be done. Differences that are
// not begun by `end` (as tuff_time_now tells it; 0: whenever) are left out.
tuff_status tuff_check_grad(const tuff_op *op, const tuff_op *subject, const char *text,
                            uint64_t seed, tuff_stream *stream, tuff_stream *cpu, double end,
                            double *error, double *tolerance);

// ---- an op ----------------------------------------------------------------------------------

typedef struct tuff_check_count {
    int run, failed, skipped;
    char first[TUFF_CASE_TEXT + 64]; // "op f32 case" of the first failure
} tuff_check_count;

// Judges one op; `subject` is what is run in its place: the op itself, or, to prove that the
// check can fail, one that is wrong. Calls `fn` (may be NULL) for each result and adds to
// *count. Variants and gradients that are not begun by `end` (as tuff_time_now tells it; 0:
// whenever) are left out. Fails only when nothing could be judged at all: the device gives no
// stream, or the filter spells out what is no case (as tuff_case_parse).
tuff_status tuff_check_op(tuff_device *device, const tuff_op *op, const tuff_op *subject,
                          const tuff_check_params *p, double end, tuff_check_fn fn, void *user,
                          tuff_check_count *count);

// Random cases of one op until `end` (as tuff_time_now tells it), or one when it is past;
// otherwise as tuff_check_fuzz.
tuff_status tuff_fuzz_op(tuff_device *device, const tuff_op *op, const tuff_op *subject,
                         double end, const tuff_check_params *p, tuff_check_fn fn, void *user,
                         tuff_fuzz_result *result);
#endif
