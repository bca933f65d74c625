// See levels_row.h.
#include "ops/levels_row.h"
#include "base/processor.h"
#include <string.h>

enum { LANES = 16, ROWS = TUFF_LEVEL_ROWS, VECTORS = TUFF_LEVEL_VECTORS, REACH = 64 };
enum { PART = 16 };        // vectors of a part of a sum, which bounds its error

bool tuff_level_rows_here(void)
{
    return tuff_processor_shuffles() || tuff_level_narrow_here();
}

bool tuff_level_books_here(void) { return tuff_processor_shuffles(); }

#if defined __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { MASK_FLIP = 0x6a };  // (q & mask) ^ flip
enum { FLOAT = 0x4b000000 }; // the bits of 2^23, to which a whole number is added by an or

// A row, and how its numbers come out of their bytes.
typedef struct source {
    const uint8_t *w;     // the byte in which the row begins
    __m512i pattern;      // of bits, or, of LONG, of bytes
    __m512i shift;        // LONG: behind it
    __m512i mask, flip;
    __m512 level;         // a table, or what is subtracted
    __m512 high;          // BOOK_OF_32: the table's other half
} source;

// Which bits become a lane's: its number, counted from where what is loaded for it begins.
TARGET static void pattern_of(const tuff_level_matrix *m, __m512i lane, int bit, source *s)
{
    const bool halves = m->kind == TUFF_LEVEL_TABLE || m->kind == TUFF_LEVEL_WHOLE ||
                        m->kind >= TUFF_LEVEL_BOOK;
    const __m512i in = _mm512_and_si512(lane, _mm512_set1_epi32(halves ? 7 : 15));
    const __m512i at = _mm512_add_epi32(_mm512_mullo_epi32(in, _mm512_set1_epi32(m->bits)),
                                        _mm512_set1_epi32(bit));
    const bool bytes = m->kind == TUFF_LEVEL_LONG;
    s->pattern = _mm512_add_epi32(
        _mm512_mullo_epi32(bytes ? _mm512_srli_epi32(at, 3) : at,
                           _mm512_set1_epi32(0x01010101)),
        _mm512_set1_epi32(bytes ? 0x03020100 : 0x18100800));
    s->shift = _mm512_and_si512(at, _mm512_set1_epi32(7));
}

TARGET static void source_of(const tuff_level_matrix *m, const tuff_level_row *row, source *s)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                           14, 15);
    const int64_t first = m->row_bytes ? row->j * m->row_bytes * 8 : row->j * m->k * m->bits;
    pattern_of(m, lane, (int)(first % 8), s);
    s->w = m->w + first / 8;
    s->mask = _mm512_set1_epi32((int)((1u << m->bits) - 1));
    if (m->book) {
        const __m512i entry = _mm512_and_si512(lane, s->mask);
        s->level = _mm512_i32gather_ps(entry, m->book, 4);
        s->high = m->bits < 5 ? s->level : _mm512_loadu_ps(m->book + LANES);
        return;
    }
    s->flip = _mm512_set1_epi32((int)(m->flip | FLOAT));
    s->level = _mm512_set1_ps(row->less + 0x1p23f);
    if (m->bits > 4) return;
    const __m512i q = _mm512_ternarylogic_epi32(lane, s->mask, s->flip, MASK_FLIP);
    const __m512 plain = _mm512_sub_ps(_mm512_castsi512_ps(q), _mm512_set1_ps(0x1p23f));
    s->level = _mm512_fmsub_ps(plain, _mm512_set1_ps(m->by), _mm512_set1_ps(row->less));
}

INLINE __m128i load16(const uint8_t *w)
{
    return _mm_loadu_si128((const __m128i *)(const void *)w);
}

INLINE __m512i load32(const uint8_t *w)
{
    return _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)w));
}

INLINE __m512i load8(const uint8_t *w)
{
    int64_t v;
    memcpy(&v, w, sizeof v);
    return _mm512_set1_epi64(v);
}

// 8 numbers in the first words of 64 bits, 8 in the others.
INLINE __m512i load_halves(const uint8_t *w, int64_t next)
{
    return _mm512_mask_mov_epi64(load8(w), 0xf0, load8(w + next));
}

// The levels of 16 numbers; the kind is a constant where this is inlined.
INLINE __m512 take(const tuff_level_matrix *m, const source *s, const uint8_t *w,
                   const tuff_level_kind kind)
{
    __m512i q;
    switch (kind) {
    case TUFF_LEVEL_HALF:
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)w));
    case TUFF_LEVEL_BYTES: q = _mm512_cvtepu8_epi32(load16(w)); break;
    case TUFF_LEVEL_LONG:
        q = _mm512_permutexvar_epi8(s->pattern, load32(w));
        q = _mm512_srlv_epi32(q, s->shift);
        break;
    case TUFF_LEVEL_WORD:
        q = _mm512_multishift_epi64_epi8(s->pattern, load8(w));
        return _mm512_permutexvar_ps(q, s->level);
    default: q = _mm512_multishift_epi64_epi8(s->pattern, load_halves(w, m->bits)); break;
    }
    if (kind == TUFF_LEVEL_BOOK_OF_32) return _mm512_permutex2var_ps(s->level, q, s->high);
    if (kind == TUFF_LEVEL_BOOK_IN_MEMORY)
        return _mm512_i32gather_ps(_mm512_and_si512(q, s->mask), m->book, 4);
    if (kind == TUFF_LEVEL_TABLE || kind == TUFF_LEVEL_BOOK)
        return _mm512_permutexvar_ps(q, s->level);
    q = _mm512_ternarylogic_epi32(q, s->mask, s->flip, MASK_FLIP);
    return _mm512_sub_ps(_mm512_castsi512_ps(q), s->level);
}

// ---- sums ----------------------------------------------------------------------------------

typedef struct sums {
    __m512 of[VECTORS][ROWS];
} sums;

// Adds vectors begin .. end of 16 numbers.
INLINE void add(const tuff_level_matrix *m, const source s[ROWS], const float *x,
                int64_t begin, int64_t end, const int vectors, const tuff_level_kind kind,
                sums *total)
{
    const int64_t step = 2 * m->bits;
    for (int64_t i = begin; i < end;) {
        const int64_t stop = end - i < PART ? end : i + PART;
        __m512 part[VECTORS][ROWS];
        for (int v = 0; v < vectors; v++)
            for (int j = 0; j < ROWS; j++) part[v][j] = _mm512_setzero_ps();
        for (; i < stop; i++) {
            __m512 a[VECTORS];
            for (int v = 0; v < vectors; v++) a[v] = _mm512_loadu_ps(x + v * m->k + i * LANES);
            for (int j = 0; j < ROWS; j++) {
                const __m512 b = take(m, &s[j], s[j].w + i * step, kind);
                for (int v = 0; v < vectors; v++)
                    part[v][j] = _mm512_fmadd_ps(a[v], b, part[v][j]);
            }
        }
        for (int v = 0; v < vectors; v++)
            for (int j = 0; j < ROWS; j++)
                total->of[v][j] = _mm512_add_ps(total->of[v][j], part[v][j]);
    }
}

// The rest: near the end of the matrix, or not whole.
INLINE void add_rest(const tuff_level_matrix *m, const source s[ROWS], const float *x,
                     int64_t begin, const int vectors, const tuff_level_kind kind, sums *total)
{
    uint8_t room[REACH];
    for (int64_t i = begin; i * LANES < m->k; i++) {
        const int64_t left = m->k - i * LANES;
        const __mmask16 some = left < LANES ? (__mmask16)((1u << left) - 1) : 0xffff;
        for (int j = 0; j < ROWS; j++) {
            const uint8_t *w = tuff_level_near_end(m, s[j].w + i * 2 * m->bits, REACH,
                                                   room);
            const __m512 b = _mm512_maskz_mov_ps(some, take(m, &s[j], w, kind));
            for (int v = 0; v < vectors; v++)
                total->of[v][j] = _mm512_fmadd_ps(
                    _mm512_maskz_loadu_ps(some, x + v * m->k + i * LANES), b,
                    total->of[v][j]);
        }
    }
}

INLINE void dots(const tuff_level_matrix *m, const tuff_level_row row[ROWS], const float *x,
                 const int vectors, const tuff_level_kind kind, float sum[VECTORS][ROWS])
{
    source s[ROWS];
    sums total;
    int64_t whole = m->k / LANES;
    for (int j = 0; j < ROWS; j++) {
        source_of(m, &row[j], &s[j]);
        whole = tuff_level_safe(m, s[j].w, 2 * m->bits, REACH, whole);
    }
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++) total.of[v][j] = _mm512_setzero_ps();
    add(m, s, x, 0, whole, vectors, kind, &total);
    add_rest(m, s, x, whole, vectors, kind, &total);
    for (int v = 0; v < vectors; v++)
        for (int j = 0; j < ROWS; j++) sum[v][j] = _mm512_reduce_add_ps(total.of[v][j]);
}

#define DOTS(name, kind)                                                        \
    TARGET static void name(const tuff_level_matrix *m, const tuff_level_row row[ROWS], \
                            const float *x, int vectors, float sum[VECTORS][ROWS]) \
    {                                                                           \
        if (vectors == 1) dots(m, row, x, 1, kind, sum);                        \
        else if (vectors == 2) dots(m, row, x, 2, kind, sum);                   \
        else if (vectors == 3) dots(m, row, x, 3, kind, sum);                   \
        else dots(m, row, x, 4, kind, sum);                                     \
    }
DOTS(dots_word, TUFF_LEVEL_WORD)
DOTS(dots_table, TUFF_LEVEL_TABLE)
DOTS(dots_whole, TUFF_LEVEL_WHOLE)
DOTS(dots_long, TUFF_LEVEL_LONG)
DOTS(dots_bytes, TUFF_LEVEL_BYTES)
DOTS(dots_half, TUFF_LEVEL_HALF)
DOTS(dots_book, TUFF_LEVEL_BOOK)
DOTS(dots_32, TUFF_LEVEL_BOOK_OF_32)
DOTS(dots_memory, TUFF_LEVEL_BOOK_IN_MEMORY)

void tuff_level_dots(const tuff_level_matrix *w, const tuff_level_row row[ROWS], const float *x,
                     int vectors, float sum[VECTORS][ROWS])
{
    if (!tuff_processor_shuffles()) {
        tuff_level_narrow_dots(w, row, x, vectors, sum);
        return;
    }
    switch (w->kind) {
    case TUFF_LEVEL_WORD: dots_word(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_TABLE: dots_table(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_WHOLE: dots_whole(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_LONG: dots_long(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_BYTES: dots_bytes(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_HALF: dots_half(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_BOOK: dots_book(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_BOOK_OF_32: dots_32(w, row, x, vectors, sum); break;
    case TUFF_LEVEL_BOOK_IN_MEMORY: dots_memory(w, row, x, vectors, sum); break;
    }
}

// ---- numbers -------------------------------------------------------------------------------

INLINE void numbers(const tuff_level_matrix *m, const source *s, const uint8_t *w, int64_t n,
                    const tuff_level_kind kind, float *to)
{
    uint8_t room[REACH];
    const int64_t all = (n + LANES - 1) / LANES;
    const int64_t whole = tuff_level_safe(m, w, 2 * m->bits, REACH, all);
    for (int64_t i = 0; i < whole; i++)
        _mm512_storeu_ps(to + i * LANES, take(m, s, w + i * 2 * m->bits, kind));
    for (int64_t i = whole; i < all; i++)
        _mm512_storeu_ps(to + i * LANES,
                         take(m, s, tuff_level_near_end(m, w + i * 2 * m->bits, REACH, room),
                              kind));
}

TARGET static void numbers_here(const tuff_level_matrix *m, const tuff_level_row *row,
                                int64_t at, int64_t n, float *to)
{
    source s;
    source_of(m, row, &s);
    const uint8_t *w = s.w + at / LANES * 2 * m->bits;
    switch (m->kind) {
    case TUFF_LEVEL_WORD: numbers(m, &s, w, n, TUFF_LEVEL_WORD, to); break;
    case TUFF_LEVEL_TABLE: numbers(m, &s, w, n, TUFF_LEVEL_TABLE, to); break;
    case TUFF_LEVEL_WHOLE: numbers(m, &s, w, n, TUFF_LEVEL_WHOLE, to); break;
    case TUFF_LEVEL_LONG: numbers(m, &s, w, n, TUFF_LEVEL_LONG, to); break;
    case TUFF_LEVEL_BYTES: numbers(m, &s, w, n, TUFF_LEVEL_BYTES, to); break;
    case TUFF_LEVEL_HALF: numbers(m, &s, w, n, TUFF_LEVEL_HALF, to); break;
    case TUFF_LEVEL_BOOK: numbers(m, &s, w, n, TUFF_LEVEL_BOOK, to); break;
    case TUFF_LEVEL_BOOK_OF_32: numbers(m, &s, w, n, TUFF_LEVEL_BOOK_OF_32, to); break;
    case TUFF_LEVEL_BOOK_IN_MEMORY:
        numbers(m, &s, w, n, TUFF_LEVEL_BOOK_IN_MEMORY, to);
        break;
    }
}

void tuff_level_numbers(const tuff_level_matrix *m, const tuff_level_row *row, int64_t at,
                        int64_t n, float *to)
{
    if (tuff_processor_shuffles()) numbers_here(m, row, at, n, to);
    else tuff_level_narrow_numbers(m, row, at, n, to);
}
#else
void tuff_level_dots(const tuff_level_matrix *w, const tuff_level_row row[ROWS], const float *x,
                     int vectors, float sum[VECTORS][ROWS])
{
    (void)w, (void)row, (void)x, (void)vectors, (void)sum;
}

void tuff_level_numbers(const tuff_level_matrix *w, const tuff_level_row *row, int64_t at,
                        int64_t n, float *to)
{
    (void)w, (void)row, (void)at, (void)n, (void)to;
}
#endif
