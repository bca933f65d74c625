// Functions built for several instruction sets, of which the best that this processor has is
// taken. With TUFF_FOR_PROCESSORS(add, (float *x, int n), (x, n)) after an inline function
// `add`, add_best() gives the one to call.
#ifndef TUFF_BASE_PROCESSOR_H
#define TUFF_BASE_PROCESSOR_H
#include <stdbool.h>

// What the functions below are made of.
#define TUFF_EACH_PROCESSOR static inline __attribute__((always_inline))

typedef enum tuff_processor {
    TUFF_PROCESSOR_ANY,
    TUFF_PROCESSOR_AVX2, // and FMA
    TUFF_PROCESSOR_AVX512 // and FMA
} tuff_processor;

tuff_processor tuff_this_processor(void);
// From now on no processor is taken for more than this, so that tests see what others run.
void tuff_processor_limit(tuff_processor most);

#if defined __x86_64__
// Dot products in registers of AVX-512: of four bytes, and of two bf16.
static inline bool tuff_processor_dots_i8(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 &&
           __builtin_cpu_supports("avx512vnni");
}
static inline bool tuff_processor_dots_bf16(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 &&
           __builtin_cpu_supports("avx512bf16");
}
// Counts of bits in registers of AVX-512.
static inline bool tuff_processor_counts(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 &&
           __builtin_cpu_supports("avx512vpopcntdq");
}
// Shuffles of bytes, and shifts of each, in registers of AVX-512.
static inline bool tuff_processor_shuffles(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
}
#define TUFF_WIDE true
#define TUFF_TARGET_AVX2   __attribute__((target("avx2,fma")))
#define TUFF_TARGET_AVX512 __attribute__((target("avx512f,fma")))
#else
static inline bool tuff_processor_dots_i8(void) { return false; }
static inline bool tuff_processor_dots_bf16(void) { return false; }
static inline bool tuff_processor_counts(void) { return false; }
static inline bool tuff_processor_shuffles(void) { return false; }
#define TUFF_WIDE false
#define TUFF_TARGET_AVX2
#define TUFF_TARGET_AVX512
#endif

// The same for a function with one argument more, the last: whether registers hold 16 floats.
#define TUFF_FOR_PROCESSORS_WIDE(name, params, ...)                             \
    typedef void name##_fn params;                                              \
    static void name##_any params { name(__VA_ARGS__, false); }                 \
    TUFF_TARGET_AVX2 static void name##_avx2 params { name(__VA_ARGS__, false); } \
    TUFF_TARGET_AVX512 static void name##_avx512 params { name(__VA_ARGS__, TUFF_WIDE); } \
    TUFF_BEST_PROCESSOR(name)

#define TUFF_FOR_PROCESSORS(name, params, args)                                 \
    typedef void name##_fn params;                                              \
    static void name##_any params { name args; }                                \
    TUFF_TARGET_AVX2 static void name##_avx2 params { name args; }              \
    TUFF_TARGET_AVX512 static void name##_avx512 params { name args; }          \
    TUFF_BEST_PROCESSOR(name)

#define TUFF_BEST_PROCESSOR(name)                                               \
    static name##_fn *name##_best(void)                                         \
    {                                                                           \
        const tuff_processor p = tuff_this_processor();                         \
        return p == TUFF_PROCESSOR_AVX512 ? name##_avx512                       \
             : p == TUFF_PROCESSOR_AVX2   ? name##_avx2 : name##_any;           \
    }

// Before a loop whose rounds may be made in any order. gcc is kept from unrolling it before it
// sees vectors in it; clang warns of what it leaves scalar.
#ifdef __clang__
#define TUFF_INDEPENDENT
#else
#define TUFF_INDEPENDENT _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#endif
#endif
