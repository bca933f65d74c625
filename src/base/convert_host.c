// The casts that nets are full of, for the CPU path, without branches, so that loops become
// vectors; 16-bit floats by whole numbers, with the bits of base/half.c, where a processor has
// no instruction for them. The others go element by element.
#include "base/bits.h"
#include "base/convert.h"
#include "base/processor.h"
#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

// A subnormal is what remains of 2^-14 + its 2^-24ths.
static inline __attribute__((always_inline)) float f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    const uint32_t usual = (rest << 13) + (112u << 23), ends = 0x7f800000 | rest << 13;
    const float tiny = tuff_float((rest << 13) + (113u << 23)) - tuff_float(113u << 23);
    const uint32_t magnitude = rest >= 0x7c00 ? ends : rest >= 0x400 ? usual : tuff_bits(tiny);
    return tuff_float(sign | magnitude);
}

// What is below 2^-14 is rounded by adding a number whose last bit is 2^-24.
static inline __attribute__((always_inline)) uint16_t f32_to_f16(float x)
{
    const uint32_t bits = tuff_bits(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    const uint32_t odd = rest >> 13 & 1;
    const uint32_t usual = (rest - (112u << 23) + 0xfff + odd) >> 13;
    const uint32_t tiny = tuff_bits(tuff_float(rest) + 0.5f) - tuff_bits(0.5f);
    const uint32_t ends = rest > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (rest >= 0x477ff000 ? ends : rest >= 0x38800000 ? usual : tiny));
}

static inline __attribute__((always_inline)) uint16_t f32_to_bf16(float x)
{
    const uint32_t bits = tuff_bits(x), round = 0x7fff + (bits >> 16 & 1);
    const uint32_t nan = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : (bits + round) >> 16);
}

// Towards zero; what does not fit becomes the nearest end, a NaN 0.
static inline __attribute__((always_inline)) int32_t f32_to_i32(float x)
{
    const float v = x != x ? 0 : x, low = v < -0x1p31f ? -0x1p31f : v;
    const int32_t y = (int32_t)(low < 0x1p31f ? low : 0);
    return low < 0x1p31f ? y : INT32_MAX;
}

// The same within least .. most.
static inline __attribute__((always_inline)) int32_t f32_to_small(float x, float least,
                                                                  float most)
{
    const float v = x != x ? 0 : x, low = v < least ? least : v;
    return (int32_t)(low > most ? most : low);
}

static inline __attribute__((always_inline)) int32_t i64_to_i32(int64_t x)
{
    const int64_t low = x < INT32_MIN ? INT32_MIN : x;
    return (int32_t)(low > INT32_MAX ? INT32_MAX : low);
}

// NAME(tuff_dtype from, its type in C, tuff_dtype to, its type in C, y of v)
#define EACH_KIND(NAME)                                                         \
    NAME(F16, uint16_t, F32, float, f16_to_f32(v))                              \
    NAME(BF16, uint16_t, F32, float, tuff_float((uint32_t)v << 16))             \
    NAME(F32, float, F16, uint16_t, f32_to_f16(v))                              \
    NAME(F32, float, BF16, uint16_t, f32_to_bf16(v))                            \
    NAME(F32, float, I32, int32_t, f32_to_i32(v))                               \
    NAME(F32, float, I8, int8_t, (int8_t)f32_to_small(v, -128, 127))            \
    NAME(F32, float, U8, uint8_t, (uint8_t)f32_to_small(v, 0, 255))             \
    NAME(F32, float, BOOL, uint8_t, v != 0)                                     \
    NAME(I32, int32_t, F32, float, (float)v)                                    \
    NAME(I8, int8_t, F32, float, (float)v)                                      \
    NAME(U8, uint8_t, F32, float, (float)v)                                     \
    NAME(BOOL, uint8_t, F32, float, (float)(v != 0))                            \
    NAME(I8, int8_t, I32, int32_t, v)                                           \
    NAME(U8, uint8_t, I32, int32_t, v)                                          \
    NAME(BOOL, uint8_t, I32, int32_t, v != 0)                                   \
    NAME(I32, int32_t, BOOL, uint8_t, v != 0)

// Those whose bits hang on whether they saturate: the low bits, or the nearest end.
#define EACH_CUT(NAME)                                                          \
    NAME(I32, int32_t, I8, int8_t, (int8_t)(uint32_t)v)                         \
    NAME(I32, int32_t, U8, uint8_t, (uint8_t)(uint32_t)v)

enum kind {
    OTHER,
    COPIED,
    I64_TO_I32, // with saturation
#define KIND(from, from_c, to, to_c, y) from##_TO_##to,
    EACH_KIND(KIND) EACH_CUT(KIND)
#undef KIND
};

#define LOOP(from_c, to_c, formula)                                             \
    {                                                                           \
        const from_c *x = from;                                                 \
        to_c *y = to;                                                           \
        for (size_t i = 0; i < n; i++) {                                        \
            const from_c v = x[i];                                              \
            y[i] = formula;                                                     \
        }                                                                       \
        break;                                                                  \
    }

TUFF_EACH_PROCESSOR void convert(enum kind kind, const void *from, void *to, size_t n)
{
    switch (kind) {
    case I64_TO_I32: LOOP(int64_t, int32_t, i64_to_i32(v))
#define CASE(from_, from_c, to_, to_c, formula)                                 \
    case from_##_TO_##to_: LOOP(from_c, to_c, formula)
    EACH_KIND(CASE)
    EACH_CUT(CASE)
#undef CASE
    default: break;
    }
}
TUFF_FOR_PROCESSORS(convert, (enum kind kind, const void *from, void *to, size_t n),
                    (kind, from, to, n))

// ---- f16 by instructions -------------------------------------------------------------------

#if defined __x86_64__
// As many of n as fill vectors; returns how many.
TUFF_TARGET_AVX512 static size_t half_avx512(enum kind kind, const void *from, void *to,
                                             size_t n)
{
    const uint16_t *h = from;
    const float *f = from;
    const size_t whole = n / 16 * 16;
    for (size_t i = 0; i < whole; i += 16) {
        if (kind == F16_TO_F32)
            _mm512_storeu_ps((float *)to + i,
                             _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(h + i))));
        else
            _mm256_storeu_si256((void *)((uint16_t *)to + i),
                                _mm512_cvtps_ph(_mm512_loadu_ps(f + i),
                                                _MM_FROUND_TO_NEAREST_INT));
    }
    return whole;
}

__attribute__((target("avx2,f16c"))) static size_t half_avx2(enum kind kind, const void *from,
                                                             void *to, size_t n)
{
    const uint16_t *h = from;
    const float *f = from;
    const size_t whole = n / 8 * 8;
    for (size_t i = 0; i < whole; i += 8) {
        if (kind == F16_TO_F32)
            _mm256_storeu_ps((float *)to + i,
                             _mm256_cvtph_ps(_mm_loadu_si128((const void *)(h + i))));
        else
            _mm_storeu_si128((void *)((uint16_t *)to + i),
                             _mm256_cvtps_ph(_mm256_loadu_ps(f + i),
                                             _MM_FROUND_TO_NEAREST_INT));
    }
    return whole;
}

// By the instruction itself: not every compiler's __builtin_cpu_supports knows the name.
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static size_t half(enum kind kind, const void *from, void *to, size_t n)
{
    const tuff_processor p = tuff_this_processor();
    if (kind != F16_TO_F32 && kind != F32_TO_F16) return 0;
    if (p == TUFF_PROCESSOR_AVX512) return half_avx512(kind, from, to, n);
    if (p == TUFF_PROCESSOR_AVX2 && has_f16c())
        return half_avx2(kind, from, to, n);
    return 0;
}
#else
static size_t half(enum kind kind, const void *from, void *to, size_t n)
{
    (void)kind, (void)from, (void)to, (void)n;
    return 0;
}
#endif

static enum kind kind_of(tuff_dtype from, tuff_dtype to, bool saturate)
{
    if (from == to) return COPIED;
    if (from == TUFF_I64 && to == TUFF_I32 && saturate) return I64_TO_I32;
#define SAME(from_, from_c, to_, to_c, formula)                                 \
    if (from == TUFF_##from_ && to == TUFF_##to_) return from_##_TO_##to_;
    EACH_KIND(SAME)
    if (!saturate) { EACH_CUT(SAME) }
#undef SAME
    return OTHER;
}

bool tuff_convert_is_fast(tuff_dtype from_type, tuff_dtype to_type, bool saturate)
{
    return kind_of(from_type, to_type, saturate) != OTHER;
}

void tuff_convert_fast(tuff_dtype from_type, const void *from, tuff_dtype to_type, void *to,
                       bool saturate, size_t begin, size_t end)
{
    const enum kind kind = kind_of(from_type, to_type, saturate);
    const size_t a = tuff_dtype_size(from_type), b = tuff_dtype_size(to_type);
    const char *x = (const char *)from + begin * a;
    char *y = (char *)to + begin * b;
    const size_t n = end - begin;
    if (kind == OTHER) {
        tuff_convert(from_type, from, to_type, to, saturate, begin, end);
    } else if (kind == COPIED) {
        memmove(y, x, n * a);
    } else {
        const size_t done = half(kind, x, y, n);
        convert_best()(kind, x + done * a, y + done * b, n - done);
    }
}
