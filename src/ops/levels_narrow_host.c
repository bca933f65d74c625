// The kernels of levels_row.h in registers of AVX2: 8 numbers at a time, whose bytes lie within
// 16. What each lane's are comes by a shuffle, and by a shift of its own.
#include "ops/levels_row.h"
#include "base/processor.h"

#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,f16c,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 8, ROWS = TUFF_LEVEL_ROWS, VECTORS = 2, REACH = 16, PART = 32 };
enum { FLOAT = 0x4b000000 }; // the bits of 2^23, to which a whole number is added by an or

// f16 by the instruction itself: not every compiler's __builtin_cpu_supports knows the name.
bool tuff_level_narrow_here(void)
{
    unsigned a, b, c, d;
    return tuff_this_processor() >= TUFF_PROCESSOR_AVX2 && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C);
}

// A row, and how its numbers come out of their bytes.
typedef struct source {
    const uint8_t *w; // the byte in which the row begins
    __m256i pattern, shift;
    __m256 less;
} source;

// What all rows share.
typedef struct common {
    const tuff_level_matrix *m;
    int64_t step; // bytes of 8 numbers
    __m256i mask, flip;
    __m256 by;
} common;

INLINE void common_of(const tuff_level_matrix *m, common *c)
{
    *c = (common){ .m = m, .step = m->bits, .by = _mm256_set1_ps(m->by),
                   .mask = _mm256_set1_epi32((int)((1u << m->bits) - 1)),
                   .flip = _mm256_set1_epi32((int)(m->flip | FLOAT)) };
}

INLINE void source_of(const common *c, const tuff_level_row *row, source *s)
{
    const tuff_level_matrix *m = c->m;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const int64_t first = row->j * m->k * m->bits;
    const __m256i at = _mm256_add_epi32(
        _mm256_mullo_epi32(lane, _mm256_set1_epi32(m->bits)),
        _mm256_set1_epi32((int)(first % 8)));
    s->w = m->w + first / 8;
    s->pattern = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_srli_epi32(at, 3),
                                                     _mm256_set1_epi32(0x01010101)),
                                  _mm256_set1_epi32(0x03020100));
    s->shift = _mm256_and_si256(at, _mm256_set1_epi32(7));
    s->less = _mm256_set1_ps(row->less);
}

// The levels of 8 numbers; the kind is a constant where this is inlined.
INLINE __m256 take(const common *c, const source *s, const uint8_t *w,
                   const tuff_level_kind kind)
{
    const __m128i near = _mm_loadu_si128((const __m128i *)(const void *)w);
    __m256i q;
    if (kind == TUFF_LEVEL_HALF) return _mm256_cvtph_ps(near);
    if (kind == TUFF_LEVEL_BYTES) {
        q = _mm256_cvtepu8_epi32(near);
    } else {
        q = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(near), s->pattern);
        q = _mm256_and_si256(_mm256_srlv_epi32(q, s->shift), c->mask);
    }
    q = _mm256_xor_si256(q, c->flip);
    const __m256 level = _mm256_sub_ps(_mm256_castsi256_ps(q), _mm256_set1_ps(0x1p23f));
    return _mm256_fmsub_ps(level, c->by, s->less);
}

// ---- sums ----------------------------------------------------------------------------------

typedef struct sums {
    __m256 of[VECTORS][ROWS];
} sums;

// Adds vectors begin .. end of 8 numbers.
INLINE void add(const common *c, const source s[ROWS], const float *x, int64_t begin,
                int64_t end, const int vectors, const tuff_level_kind kind, sums *total)
{
    __m256 part[VECTORS][ROWS];
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++) part[v][j] = _mm256_setzero_ps();
    for (int64_t i = begin; i < end; i++) {
        __m256 a[VECTORS];
        for (int v = 0; v < vectors; v++) a[v] = _mm256_loadu_ps(x + v * c->m->k + i * LANES);
        for (int j = 0; j < ROWS; j++) {
            const __m256 b = take(c, &s[j], s[j].w + i * c->step, kind);
            for (int v = 0; v < vectors; v++)
                part[v][j] = _mm256_fmadd_ps(a[v], b, part[v][j]);
        }
    }
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++)
            total->of[v][j] = _mm256_add_ps(total->of[v][j], part[v][j]);
}

// The rest: near the end of the matrix, or not whole.
INLINE void add_rest(const common *c, const source s[ROWS], const float *x, int64_t begin,
                     const int vectors, const tuff_level_kind kind, sums *total)
{
    uint8_t room[REACH];
    for (int64_t i = begin; i * LANES < c->m->k; i++) {
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const int64_t left = c->m->k - i * LANES;
        const __m256i some = _mm256_cmpgt_epi32(
            _mm256_set1_epi32((int)(left < LANES ? left : LANES)), lane);
        for (int j = 0; j < ROWS; j++) {
            const uint8_t *w = tuff_level_near_end(c->m, s[j].w + i * c->step, REACH,
                                                   room);
            const __m256 b = _mm256_and_ps(take(c, &s[j], w, kind), _mm256_castsi256_ps(some));
            for (int v = 0; v < vectors; v++)
                total->of[v][j] = _mm256_fmadd_ps(
                    _mm256_maskload_ps(x + v * c->m->k + i * LANES, some), b,
                    total->of[v][j]);
        }
    }
}

INLINE float sum_of(__m256 v)
{
    float each[LANES], sum = 0;
    _mm256_storeu_ps(each, v);
    for (int i = 0; i < LANES; i++) sum += each[i];
    return sum;
}

INLINE void dots(const tuff_level_matrix *m, const tuff_level_row row[ROWS], const float *x,
                 const int vectors, const tuff_level_kind kind,
                 float sum[][TUFF_LEVEL_ROWS])
{
    source s[ROWS];
    common c;
    sums total;
    int64_t whole = m->k / LANES;
    common_of(m, &c);
    for (int j = 0; j < ROWS; j++) {
        source_of(&c, &row[j], &s[j]);
        whole = tuff_level_safe(m, s[j].w, c.step, REACH, whole);
    }
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++) total.of[v][j] = _mm256_setzero_ps();
    for (int64_t i = 0; i < whole; i += PART)
        add(&c, s, x, i, whole - i < PART ? whole : i + PART, vectors, kind, &total);
    add_rest(&c, s, x, whole, vectors, kind, &total);
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++) sum[v][j] = sum_of(total.of[v][j]);
}

#define DOTS(name, vectors)                                                     \
    TARGET static void name(const tuff_level_matrix *m, const tuff_level_row row[ROWS], \
                            const float *x, float sum[][ROWS])                  \
    {                                                                           \
        switch (m->kind) {                                                      \
        case TUFF_LEVEL_HALF: dots(m, row, x, vectors, TUFF_LEVEL_HALF, sum); break; \
        case TUFF_LEVEL_BYTES: dots(m, row, x, vectors, TUFF_LEVEL_BYTES, sum); break; \
        default: dots(m, row, x, vectors, TUFF_LEVEL_WHOLE, sum); break;        \
        }                                                                       \
    }
DOTS(one, 1)
DOTS(two, 2)

void tuff_level_narrow_dots(const tuff_level_matrix *m, const tuff_level_row row[ROWS],
                            const float *x, int vectors,
                            float sum[TUFF_LEVEL_VECTORS][ROWS])
{
    int v = 0;
    for (; v + 2 <= vectors; v += 2) two(m, row, x + v * m->k, sum + v);
    if (v < vectors) one(m, row, x + v * m->k, sum + v);
}

// ---- numbers -------------------------------------------------------------------------------

INLINE void numbers(const common *c, const source *s, const uint8_t *w, int64_t n,
                    const tuff_level_kind kind, float *to)
{
    uint8_t room[REACH];
    const int64_t all = (n + LANES - 1) / LANES;
    const int64_t whole = tuff_level_safe(c->m, w, c->step, REACH, all);
    for (int64_t i = 0; i < whole; i++)
        _mm256_storeu_ps(to + i * LANES, take(c, s, w + i * c->step, kind));
    for (int64_t i = whole; i < all; i++)
        _mm256_storeu_ps(to + i * LANES,
                         take(c, s, tuff_level_near_end(c->m, w + i * c->step, REACH, room),
                              kind));
}

TARGET void tuff_level_narrow_numbers(const tuff_level_matrix *m, const tuff_level_row *row,
                                      int64_t at, int64_t n, float *to)
{
    source s;
    common c;
    common_of(m, &c);
    source_of(&c, row, &s);
    const uint8_t *w = s.w + at / LANES * c.step;
    switch (m->kind) {
    case TUFF_LEVEL_HALF: numbers(&c, &s, w, n, TUFF_LEVEL_HALF, to); break;
    case TUFF_LEVEL_BYTES: numbers(&c, &s, w, n, TUFF_LEVEL_BYTES, to); break;
    default: numbers(&c, &s, w, n, TUFF_LEVEL_WHOLE, to); break;
    }
}
#else
bool tuff_level_narrow_here(void) { return false; }

void tuff_level_narrow_dots(const tuff_level_matrix *m,
                            const tuff_level_row row[TUFF_LEVEL_ROWS], const float *x,
                            int vectors, float sum[TUFF_LEVEL_VECTORS][TUFF_LEVEL_ROWS])
{
    (void)m, (void)row, (void)x, (void)vectors, (void)sum;
}

void tuff_level_narrow_numbers(const tuff_level_matrix *m, const tuff_level_row *row,
                               int64_t at, int64_t n, float *to)
{
    (void)m, (void)row, (void)at, (void)n, (void)to;
}
#endif
