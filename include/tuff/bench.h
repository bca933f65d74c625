#ifndef TUFF_BENCH_H
#define TUFF_BENCH_H
#include <tuff/device.h>
// How fast a device runs single operators, and how near that is to what the device can do.
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
// busy machine shows in them.

typedef struct tuff_bench_roof {
    double f32, f16, i8; // operations a second, a multiply-add being two; 0 where the device
                         // has none of its own. i8: dot products of four, or else 32-bit
                         // multiply-adds of whole numbers
    double copy;         // bytes a second, those read and those written
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

typedef struct tuff_bench_result {
    char text[TUFF_BENCH_TEXT]; // as tuff_bench_name writes it
    const char *variant;        // the kernel's; on the CPU path its own kernel's, or "ref"
    int runs;
    double min, median, max;    // seconds of a call
    double flops, bytes;        // of a call: operations, and every tensor read or written once
    double peak;                // operations a second, of the arithmetic that counts for it
    double of_roof;             // the time that the roof allows, of the median: 1 reaches it,
                                // and what a cache holds may pass it
} tuff_bench_result;
// Runs a case again and again. What is in a cache is not read from memory: a small case, and
// one that only reads, may come out above the roof of a copy.
// `p` may be NULL. Fails: as tuff_bench_name; UNSUPPORTED, LIMIT, MEMORY, LOST.
TUFF_API TUFF_CHECK tuff_status tuff_bench_case(tuff_device *device, const char *text,
                                                const tuff_bench_roof *roof,
                                                const tuff_bench_params *p,
                                                tuff_bench_result *result);
#endif
