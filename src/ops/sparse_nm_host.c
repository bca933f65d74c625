// Products of N:M and vectors whose numbers are neighbours, in registers of AVX-512: 16 values
// of a row, whose places are 4, 6 or 8 bytes, pick their numbers of x out of the 32 or 64 that
// their groups span, or, where these are more, from memory.
//
//   places       2  3  0  2  1  3 ..      16 lanes, shifted out of their bytes
//   + groups     0  0  4  4  8  8 ..      which come again every `keep` vectors: 16 groups
//   x            32 numbers in two registers, from which a permute takes 16
#include "ops/sparse_nm.h"
#include "base/processor.h"
#include <string.h>

enum { LANES = 16, ROWS = TUFF_NM_ROWS, MOST = 16, REACH = 16 };
enum { PART = 16 }; // vectors of a part of a sum, which bounds its error

bool tuff_nm_here(void) { return tuff_processor_shuffles(); }

#if defined __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

// What all rows of a matrix share. A vector's groups begin at window[v], v = its index modulo
// `keep`, of which `groups` are relative.
typedef struct places {
    __m512i pattern, shift, mask;
    __m512i groups[MOST];
    int64_t window[MOST];
    int64_t period, reach; // numbers of x of `keep` vectors; of one, at most
} places;

TARGET static void places_of(const tuff_sparse *a, places *p)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                           14, 15);
    const __m512i at = _mm512_mullo_epi32(lane, _mm512_set1_epi32(a->bits));
    p->pattern = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_srli_epi32(at, 3),
                                                     _mm512_set1_epi32(0x01010101)),
                                  _mm512_set1_epi32(0x03020100));
    p->shift = _mm512_and_si512(at, _mm512_set1_epi32(7));
    p->mask = _mm512_set1_epi32(a->of - 1);
    p->period = LANES * a->of;
    p->reach = 0;
    for (int v = 0; v < a->keep; v++) {
        // Quotients of numbers below 256 by those below 16, which this gives exactly.
        const __m512i i = _mm512_add_epi32(lane, _mm512_set1_epi32(v * LANES));
        const __m512i group = _mm512_srli_epi32(
            _mm512_mullo_epi32(i, _mm512_set1_epi32(65536 / a->keep + 1)), 16);
        const int first = v * LANES / a->keep, last = (v * LANES + LANES - 1) / a->keep;
        p->window[v] = first * a->of;
        p->groups[v] = _mm512_mullo_epi32(_mm512_sub_epi32(group, _mm512_set1_epi32(first)),
                                          _mm512_set1_epi32(a->of));
        if ((last - first + 1) * a->of > p->reach) p->reach = (last - first + 1) * a->of;
    }
}

// Where 16 numbers lie, counted from their window.
INLINE __m512i take(const places *p, const void *words, int v)
{
    const __m512i q = _mm512_broadcast_i32x4(_mm_loadu_si128(words));
    const __m512i at = _mm512_srlv_epi32(_mm512_shuffle_epi8(q, p->pattern), p->shift);
    return _mm512_ternarylogic_epi32(at, p->mask, p->groups[v], 0xea); // (at & mask) | group
}

// Those of a row with index j, vector i, though the words may end with them.
INLINE __m512i take_near(const tuff_sparse *a, const places *p, const uint32_t *indices,
                         int64_t j, int64_t i)
{
    uint8_t room[REACH] = { 0 };
    const int64_t at = 4 * j * a->words + i * 2 * a->bits, left = 4 * a->m * a->words - at;
    const uint8_t *w = (const uint8_t *)indices + at;
    if (left < REACH) w = memcpy(room, w, (size_t)(left > 0 ? left : 0));
    return take(p, w, (int)(i % a->keep));
}

TARGET void tuff_nm_columns(const tuff_sparse *a, const uint32_t *indices, int64_t j,
                            int64_t at, int64_t n, int32_t *to)
{
    places p;
    places_of(a, &p);
    for (int64_t i = at / LANES; i * LANES < at + n; i++, to += LANES) {
        const int64_t from = i / a->keep * p.period + p.window[i % a->keep];
        const __m512i c = _mm512_add_epi32(take_near(a, &p, indices, j, i),
                                           _mm512_set1_epi32((int)from));
        _mm512_storeu_si512(to, c);
    }
}

// The numbers of x at these places; SPANS of 16, or 0: from memory.
INLINE __m512 pick(const float *x, const __m512 near[4], __m512i at, const int spans)
{
    if (!spans) return _mm512_i32gather_ps(at, x, 4);
    const __m512 low = _mm512_permutex2var_ps(near[0], at, near[1]);
    if (spans == 2) return low;
    const __mmask16 high = _mm512_test_epi32_mask(at, _mm512_set1_epi32(2 * LANES));
    return _mm512_mask_mov_ps(low, high, _mm512_permutex2var_ps(near[2], at, near[3]));
}

typedef struct matrix {
    const tuff_sparse *a;
    const tuff_sparse_data *d;
    const places *p;
    const float *x;
    int64_t row[ROWS];
} matrix;

// Vector i of four rows; what is not in x or in the rows is left out.
INLINE void add_near(const matrix *m, int64_t i, const int spans, __m512 sum[ROWS])
{
    const tuff_sparse *a = m->a;
    const int64_t from = i / a->keep * m->p->period + m->p->window[i % a->keep];
    const int64_t left = a->length - i * LANES;
    const __mmask16 some = left < LANES ? (__mmask16)((1u << left) - 1) : 0xffff;
    __m512 near[4] = { { 0 } };
    for (int s = 0; s < spans; s++) {
        const int64_t there = a->k - from - s * LANES;
        const __mmask16 in = there >= LANES ? 0xffff
                             : there > 0 ? (__mmask16)((1u << there) - 1) : 0;
        near[s] = _mm512_maskz_loadu_ps(in, m->x + from + s * LANES);
    }
    for (int j = 0; j < ROWS; j++) {
        const __m512i at = _mm512_maskz_mov_epi32(
            some, take_near(a, m->p, m->d->indices, m->row[j], i));
        const __m512 b = _mm512_maskz_mov_ps(some, pick(m->x + from, near, at, spans));
        const __m512 v = _mm512_maskz_loadu_ps(
            some, m->d->values + m->row[j] * a->length + i * LANES);
        sum[j] = _mm512_fmadd_ps(v, b, sum[j]);
    }
}

// Vectors begin .. end of four rows, all of them whole and read as they lie.
INLINE void add(const matrix *m, int64_t begin, int64_t end, const int spans, __m512 sum[ROWS])
{
    const tuff_sparse *a = m->a;
    const float *values[ROWS], *x = m->x + begin / a->keep * m->p->period;
    const uint8_t *words[ROWS];
    __m512 part[ROWS];
    int v = (int)(begin % a->keep);
    for (int j = 0; j < ROWS; j++) {
        values[j] = m->d->values + m->row[j] * a->length;
        words[j] = (const uint8_t *)(m->d->indices + m->row[j] * a->words);
        part[j] = _mm512_setzero_ps();
    }
    for (int64_t i = begin; i < end; i++) {
        const float *from = x + m->p->window[v];
        __m512 near[4] = { { 0 } };
        for (int s = 0; s < spans; s++) near[s] = _mm512_loadu_ps(from + s * LANES);
        for (int j = 0; j < ROWS; j++) {
            const __m512i at = take(m->p, words[j] + i * 2 * a->bits, v);
            part[j] = _mm512_fmadd_ps(_mm512_loadu_ps(values[j] + i * LANES),
                                      pick(from, near, at, spans), part[j]);
        }
        if (++v == a->keep) v = 0, x += m->p->period;
    }
    for (int j = 0; j < ROWS; j++) sum[j] = _mm512_add_ps(sum[j], part[j]);
}

// The first vectors that `add` may take.
static int64_t safe(const matrix *m, const int spans)
{
    const tuff_sparse *a = m->a;
    const int64_t words = 4 * a->m * a->words - REACH;
    int64_t n = a->length / LANES;
    for (int j = 0; j < ROWS; j++) {
        const int64_t left = words - 4 * m->row[j] * a->words;
        const int64_t most = left < 0 ? 0 : left / (2 * a->bits) + 1;
        if (most < n) n = most;
    }
    while (n > 0 && (n - 1) / a->keep * m->p->period + m->p->window[(n - 1) % a->keep] +
                            spans * LANES > a->k) n--;
    return n;
}

INLINE void dots(const matrix *m, const int spans, float to[ROWS])
{
    __m512 sum[ROWS];
    const int64_t whole = safe(m, spans);
    for (int j = 0; j < ROWS; j++) sum[j] = _mm512_setzero_ps();
    for (int64_t i = 0; i < whole; i += PART)
        add(m, i, whole - i < PART ? whole : i + PART, spans, sum);
    for (int64_t i = whole; i * LANES < m->a->length; i++) add_near(m, i, spans, sum);
    for (int j = 0; j < ROWS; j++) to[j] = _mm512_reduce_add_ps(sum[j]);
}

TARGET void tuff_nm_dots(const tuff_sparse *a, const tuff_sparse_data *d, const float *x,
                         int64_t first, int64_t n, float *y)
{
    places p;
    matrix m = { .a = a, .d = d, .p = &p, .x = x };
    places_of(a, &p);
    for (int64_t i = 0; i < n; i += ROWS) {
        float sum[ROWS];
        const int64_t left = n - i < ROWS ? n - i : ROWS;
        for (int64_t j = 0; j < ROWS; j++) m.row[j] = first + i + (j < left ? j : left - 1);
        if (p.reach <= 2 * LANES) dots(&m, 2, sum);
        else if (p.reach <= 4 * LANES) dots(&m, 4, sum);
        else dots(&m, 0, sum);
        memcpy(y + i, sum, (size_t)left * sizeof *y);
    }
}
#else
void tuff_nm_dots(const tuff_sparse *a, const tuff_sparse_data *d, const float *x,
                  int64_t first, int64_t n, float *y)
{
    (void)a, (void)d, (void)x, (void)first, (void)n, (void)y;
}

void tuff_nm_columns(const tuff_sparse *a, const uint32_t *indices, int64_t j, int64_t at,
                     int64_t n, int32_t *to)
{
    (void)a, (void)indices, (void)j, (void)at, (void)n, (void)to;
}
#endif
