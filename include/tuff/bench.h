#ifndef TUFF_BENCH_H
#define TUFF_BENCH_H
#include <tuff/nn.h>
// How fast a device runs single operators and whole nets, and how near that is to what the
// device can do.
//
// A roof is what the device's arithmetic or its memory allows, whichever allows less:
//
//   operations/s
//     |            ________ arithmetic: the most multiply-adds that it makes
//     |          /
//     |        /   memory: operations a byte, times the bytes/s that it copies
//     |      /
//     +------------------- operations a byte
//
// Both are measured, by small kernels of the library's own. Times are wall-clock time, so a
// busy machine shows in them. Beside it stands the time by the device's own clock, without what
// submitting costs, where the device has a clock; runs of its own are stamped for it, since the
// stamps take their time as well. While a case is measured, tuff_device_set_timed is the
// bench's.

typedef struct tuff_bench_roof {
    // Operations a second, a multiply-add being two; 0 where the device has none of its own.
    double f32, f16, i32;
    double bf16, i8; // dot products: of two bf16, and of four i8, to a sum of 32 bits
    double matrix_f16, matrix_bf16, matrix_i8; // a matrix unit's, to sums of 32 bits
    double copy;     // bytes a second, those read and those written
} tuff_bench_roof;
// Takes about a second. Fails: TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_bench_measure_roof(tuff_device *device,
                                                        tuff_bench_roof *roof);

enum { TUFF_BENCH_TEXT = 600 }; // bytes that hold any case, its final 0 included

// A case is a string as in the check, "op type inputs params"; "matmul f32 MxKxN" is a short
// form of "matmul f32 MxK KxN". Writes it in its short form, if it has one, else as it is.
// Fails: TUFF_ERR_ARG (no such operator or type), FORMAT, SHAPE, DTYPE (no case of it).
TUFF_API TUFF_CHECK tuff_status tuff_bench_name(const char *text, char *name, size_t size);

typedef struct tuff_bench_params {
    int runs;       // timed, of which the median counts; 0: 15
    double seconds; // a case that takes longer is left at three runs or more; 0: 3
} tuff_bench_params;

// Seconds: least, first quarter, middle, third quarter, most. All 0: not known.
typedef struct tuff_bench_times {
    double min, low, median, high, max;
} tuff_bench_times;

typedef struct tuff_bench_result {
    char text[TUFF_BENCH_TEXT]; // as tuff_bench_name writes it
    const char *variant;        // the kernel's; on the CPU path its own kernel's, or "ref";
                                // of nets and replays: "program"
    int runs;
    tuff_bench_times wall;      // of a call; of a net: a step, or a batch
    tuff_bench_times device;    // the same by the device's own clock
    tuff_bench_times driver;    // a replay: what the driver takes for the same by itself
    double of_driver;           // a replay: the median of all rounds' wall time over driver's
    int launches;               // dispatches, on the CPU path calls
    int64_t examples;           // in a run of a net; else 0
    double flops, bytes;        // of a call: operations, and every tensor read or written once;
                                // 0: not known (bytes of a net)
    double peak;                // operations a second, of the arithmetic that counts for it
    double of_roof;             // the time that the roof allows, of the median: 1 reaches it,
                                // and what a cache holds may pass it; 0: not known
} tuff_bench_result;
// Runs a case again and again; a roof of zeros is not known. What is in a cache is not read
// from memory: a small case, and one that only reads, may come out above the roof of a copy.
// `p` may be NULL. Fails: as tuff_bench_name; UNSUPPORTED, LIMIT, MEMORY, LOST.
TUFF_API TUFF_CHECK tuff_status tuff_bench_case(tuff_device *device, const char *text,
                                                const tuff_bench_roof *roof,
                                                const tuff_bench_params *p,
                                                tuff_bench_result *result);

// ---- nets and programs ----------------------------------------------------------------------

// A case is one of
//
//   train NET SHAPE [optimizer=NAME]   a step: forward, backward, update (adam)
//   infer NET SHAPE                    a batch through the net, until its outputs are read
//
// NET is a preset's name, or the path of a file with a net's text; SHAPE begins with the batch,
// "64x1x28x28". Weights, samples and classes are drawn from seeds. Steps follow one another as
// tuff_train has them; a run is a few of them, and the device's time that of the last.
//
// Whether `text` begins as one does, and no operator's case.
TUFF_API bool tuff_bench_is_net(const char *text);
// Only checks. Fails: TUFF_ERR_FORMAT and TUFF_ERR_IO (the net), TUFF_ERR_ARG (a word).
TUFF_API TUFF_CHECK tuff_status tuff_bench_net_check(const char *text);
// `p` may be NULL. Fails: as the check; TUFF_ERR_SHAPE, UNSUPPORTED, LIMIT, MEMORY, LOST;
// TUFF_ERR_CHECK (a loss or an output that is no number).
TUFF_API TUFF_CHECK tuff_status tuff_bench_net(tuff_device *device, const char *text,
                                               const tuff_bench_roof *roof,
                                               const tuff_bench_params *p,
                                               tuff_bench_result *result);

// What a fresh process pays before it trains: seconds until a case of training, "train NET
// SHAPE [optimizer=NAME]", has a model and its program, and of its first step, the loss read.
// Fails: as tuff_bench_net.
TUFF_API TUFF_CHECK tuff_status tuff_bench_first_step(tuff_device *device, const char *text,
                                                      double *build, double *step);

// Replays a program of `launches` additions of 64 numbers, each to what the one before gave,
// in turns with what is no part of Tuff: a command buffer of the same dispatches and barriers,
// submitted and waited for by bare calls of Vulkan (on the CPU path: the same C function in a
// loop). Times are of a whole replay (short ones are timed some at a time); "replay 100" is its
// text. `p` may be NULL.
// Fails: TUFF_ERR_ARG (launches is not 1 to 10000), MEMORY, LOST.
TUFF_API TUFF_CHECK tuff_status tuff_bench_replay(tuff_device *device, int launches,
                                                  const tuff_bench_params *p,
                                                  tuff_bench_result *result);

// ---- models beside one another -------------------------------------------------------------

typedef struct tuff_bench_turns {
    int rounds, times;        // turns that each model had, and batches in each of them
    int launches;             // of a batch: dispatches, on the CPU path calls
    int64_t memory;           // bytes on the device: weights, what is made of them once, and
                              // the values between layers
    tuff_bench_times wall;    // of a batch, until its outputs are on the host
    tuff_bench_times speedup; // the first model's time over this one's, round by round: 2 is
                              // twice as fast
} tuff_bench_turns;
// Predicts batches with `count` models in turns, A B C A B C .., each round beginning with
// another one, so that a busy machine treats them alike. A turn is as many batches as take the
// fastest one a millisecond, behind one that is not timed. p->runs is of rounds, p->seconds
// each model's share of the time. The models stay as they are, and may be on different devices.
// Samples are drawn from a seed. `p` may be NULL. Fails: TUFF_ERR_ARG, UNSUPPORTED, LIMIT,
// MEMORY, LOST; TUFF_ERR_CHECK (an output that is no number).
TUFF_API TUFF_CHECK tuff_status tuff_bench_models(tuff_model *const models[], int count,
                                                  int64_t batch, const tuff_bench_params *p,
                                                  tuff_bench_turns turns[]);
#endif
