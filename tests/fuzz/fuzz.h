// A fuzz target is a function that takes hostile bytes and must survive them:
//
//   FUZZ_TARGET(npy)            // tests/fuzz/npy.c: defines fuzz_npy(data, size)
//   {
//       ...                     // parse data[0, size), FUZZ_REQUIRE what must hold
//       return status;          // what the parser said
//   }
//
// tests/test_fuzz.c runs every target on mutated seeds in each test run (add it to the table
// there). For a longer hunt with libFuzzer:
//
//   cmake -G Ninja -B build-fuzz -DCMAKE_C_COMPILER=clang -DTUFF_SANITIZE=fuzzer
//   ninja -C build-fuzz fuzz_npy && build-fuzz/fuzz/fuzz_npy -max_total_time=600
#ifndef TUFF_TESTS_FUZZ_H
#define TUFF_TESTS_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/base.h>

#ifdef TUFF_FUZZ_ALONE
#define FUZZ_ENTRY(name)                                                        \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);               \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)                \
    {                                                                           \
        fuzz_sentence(fuzz_##name(data, size));                                 \
        return 0;                                                               \
    }
#else
#define FUZZ_ENTRY(name)
#endif

#define FUZZ_TARGET(name)                                                       \
    tuff_status fuzz_##name(const uint8_t *data, size_t size);                  \
    FUZZ_ENTRY(name)                                                            \
    tuff_status fuzz_##name(const uint8_t *data, size_t size)

#define FUZZ_REQUIRE(condition)                                                 \
    do {                                                                        \
        if (condition) break;                                                   \
        fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
        abort();                                                                \
    } while (0)

// A refusal must come with a sentence that a terminal can show.
static inline void fuzz_sentence(tuff_status status)
{
    const unsigned char *text = (const unsigned char *)tuff_last_error();
    if (status == TUFF_OK) return;
    FUZZ_REQUIRE(strlen((const char *)text) > 10);
    for (; *text; text++) FUZZ_REQUIRE(*text >= ' ' && *text != 127);
}

// Reads every byte, so that a sanitizer sees those that are not there.
static inline void fuzz_touch(const void *data, size_t size)
{
    static volatile unsigned char sink;
    unsigned char sum = 0;
    for (size_t i = 0; i < size; i++) sum ^= ((const unsigned char *)data)[i];
    sink = sum;
    (void)sink;
}
#endif
