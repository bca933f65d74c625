// Rows of blocks of 32 or 64 numbers times a row of x, in registers of AVX-512: 16 numbers are
// looked up in a table by their nibbles, or converted, and a block's sum meets its scale. Four
// rows of w at once read the same numbers of x.
#include "ops/block.h"
#include "base/processor.h"
#include <string.h>

bool tuff_block_rows_takes(int format)
{
    switch (format) {
    case TUFF_BLOCK_Q4_0: case TUFF_BLOCK_Q4_1: case TUFF_BLOCK_Q5_0: case TUFF_BLOCK_Q5_1:
    case TUFF_BLOCK_Q8_0: case TUFF_BLOCK_IQ4_NL: case TUFF_BLOCK_NF4:
    case TUFF_BLOCK_NF4_F16: return tuff_processor_shuffles();
    default: return false;
    }
}

#if defined __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,f16c,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 16, ROWS = TUFF_BLOCK_HOST_ROWS, MOST = 4 }; // MOST: vectors of a block

// What is looked up, and which bits of 8 bytes a lane's nibble is (nf4: the upper one first).
typedef struct levels {
    __m512 table;
    __m512i pattern;
} levels;

TARGET static void levels_of(int format, levels *l)
{
    float table[LANES];
    uint8_t pattern[4 * LANES];
    for (int i = 0; i < LANES; i++) {
        table[i] = format == TUFF_BLOCK_Q4_0     ? (float)(i - 8)
                   : format == TUFF_BLOCK_Q5_0   ? (float)(i - 16)
                   : format == TUFF_BLOCK_IQ4_NL ? (float)tuff_iq4_table[i]
                   : format == TUFF_BLOCK_NF4 || format == TUFF_BLOCK_NF4_F16
                       ? tuff_nf4_table[i] : (float)i;
        for (int b = 0; b < 4; b++)
            pattern[4 * i + b] = (uint8_t)(i / 2 * 8 + (i % 2 ? 0 : 4) + 8 * b);
    }
    l->table = _mm512_loadu_ps(table);
    l->pattern = _mm512_loadu_si512(pattern);
}

INLINE __m512 half_at(const uint8_t *b)
{
    uint16_t h;
    memcpy(&h, b, sizeof h);
    return _mm512_set1_ps(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))));
}

INLINE __m512 float_at(const uint8_t *b)
{
    float f;
    memcpy(&f, b, sizeof f);
    return _mm512_set1_ps(f);
}

INLINE __m128i load16(const uint8_t *b)
{
    return _mm_loadu_si128((const __m128i *)(const void *)b);
}

// Sums of 32 numbers by nibbles times x; `fives`: where their fifth bits are, or NULL.
INLINE __m512 nibbles(const levels *l, const uint8_t *b, const uint8_t *fives,
                      const __m512 x[MOST])
{
    const __m512i q = _mm512_cvtepu8_epi32(load16(b));
    __m512 low = _mm512_permutexvar_ps(q, l->table);
    __m512 high = _mm512_permutexvar_ps(_mm512_srli_epi32(q, 4), l->table);
    if (fives) {
        uint32_t set;
        memcpy(&set, fives, sizeof set);
        const __m512 more = _mm512_set1_ps(16);
        low = _mm512_mask_add_ps(low, (__mmask16)set, low, more);
        high = _mm512_mask_add_ps(high, (__mmask16)(set >> 16), high, more);
    }
    return _mm512_fmadd_ps(high, x[1], _mm512_mul_ps(low, x[0]));
}

INLINE __m512 whole(const uint8_t *b, const __m512 x[MOST])
{
    const __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load16(b)));
    const __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load16(b + LANES)));
    return _mm512_fmadd_ps(high, x[1], _mm512_mul_ps(low, x[0]));
}

INLINE __m512 pairs(const levels *l, const uint8_t *b, const __m512 x[MOST])
{
    __m512 sum = _mm512_setzero_ps();
    for (int i = 0; i < MOST; i++, b += 8) {
        int64_t v;
        memcpy(&v, b, sizeof v);
        const __m512i q = _mm512_multishift_epi64_epi8(l->pattern, _mm512_set1_epi64(v));
        sum = _mm512_fmadd_ps(_mm512_permutexvar_ps(q, l->table), x[i], sum);
    }
    return sum;
}

// Adds a block times its numbers of x, whose sums by lanes are `all`.
INLINE __m512 add(const int format, const levels *l, const uint8_t *b, const __m512 x[MOST],
                  __m512 all, __m512 sum)
{
    switch (format) {
    case TUFF_BLOCK_Q4_0: case TUFF_BLOCK_IQ4_NL:
        return _mm512_fmadd_ps(half_at(b), nibbles(l, b + 2, NULL, x), sum);
    case TUFF_BLOCK_Q4_1:
        sum = _mm512_fmadd_ps(half_at(b + 2), all, sum);
        return _mm512_fmadd_ps(half_at(b), nibbles(l, b + 4, NULL, x), sum);
    case TUFF_BLOCK_Q5_0:
        return _mm512_fmadd_ps(half_at(b), nibbles(l, b + 6, b + 2, x), sum);
    case TUFF_BLOCK_Q5_1:
        sum = _mm512_fmadd_ps(half_at(b + 2), all, sum);
        return _mm512_fmadd_ps(half_at(b), nibbles(l, b + 8, b + 4, x), sum);
    case TUFF_BLOCK_Q8_0: return _mm512_fmadd_ps(half_at(b), whole(b + 2, x), sum);
    case TUFF_BLOCK_NF4: return _mm512_fmadd_ps(float_at(b), pairs(l, b + 4, x), sum);
    default: return _mm512_fmadd_ps(half_at(b), pairs(l, b + 2, x), sum);
    }
}

INLINE void rows(const int format, const uint8_t *const w[ROWS], const float *x, int64_t k,
                 float sum[ROWS])
{
    const tuff_block_kind *kind = &tuff_block_kinds[format];
    const int64_t step = (int64_t)kind->bytes, count = kind->count;
    __m512 s[ROWS];
    levels l;
    levels_of(format, &l);
    for (int j = 0; j < ROWS; j++) s[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < k / count; i++, x += count) {
        __m512 v[MOST], all;
        for (int a = 0; a < MOST; a++)
            v[a] = a * LANES < count ? _mm512_loadu_ps(x + a * LANES) : _mm512_setzero_ps();
        all = _mm512_add_ps(v[0], v[1]);
        for (int j = 0; j < ROWS; j++) s[j] = add(format, &l, w[j] + i * step, v, all, s[j]);
    }
    for (int j = 0; j < ROWS; j++) sum[j] = _mm512_reduce_add_ps(s[j]);
}

TARGET void tuff_block_rows(int format, const uint8_t *const w[ROWS], const float *x, int64_t k,
                            float sum[ROWS])
{
    switch (format) {
    case TUFF_BLOCK_Q4_0: rows(TUFF_BLOCK_Q4_0, w, x, k, sum); break;
    case TUFF_BLOCK_Q4_1: rows(TUFF_BLOCK_Q4_1, w, x, k, sum); break;
    case TUFF_BLOCK_Q5_0: rows(TUFF_BLOCK_Q5_0, w, x, k, sum); break;
    case TUFF_BLOCK_Q5_1: rows(TUFF_BLOCK_Q5_1, w, x, k, sum); break;
    case TUFF_BLOCK_Q8_0: rows(TUFF_BLOCK_Q8_0, w, x, k, sum); break;
    case TUFF_BLOCK_IQ4_NL: rows(TUFF_BLOCK_IQ4_NL, w, x, k, sum); break;
    case TUFF_BLOCK_NF4: rows(TUFF_BLOCK_NF4, w, x, k, sum); break;
    default: rows(TUFF_BLOCK_NF4_F16, w, x, k, sum); break;
    }
}
#else
void tuff_block_rows(int format, const uint8_t *const w[TUFF_BLOCK_HOST_ROWS], const float *x,
                     int64_t k, float sum[TUFF_BLOCK_HOST_ROWS])
{
    (void)format, (void)w, (void)x, (void)k, (void)sum;
}
#endif
