// Products with weights of few levels on the CPU path: a part of a row of w becomes numbers in
// the first-level cache, for all rows of x. Many rows meet panels of 16 rows of w, few rows one
// row of w after another.
#include "abi/levels.h"
#include "base/convert.h"
#include "base/processor.h"
#include "ops/gemm.h"
#include "ops/levels.h"
#include "ops/levels_row.h"
#include "ops/packed.h"
#include "ops/quantize.h"
#include "ops/unpack_host.h"
#include <string.h>

enum { X, W };
enum {
    PANEL = TUFF_PANEL,
    PAIR = TUFF_UNPACK_COLS,
    FEW = 8,          // rows of x with which a row of w is used as it is
    COLUMNS = 8,      // columns of an item of few rows
    PART = TUFF_PART  // numbers at a time: whole words
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(PANEL * sizeof(int32_t))));
typedef uint8_t bytes __attribute__((vector_size(PANEL)));

typedef struct product {
    tuff_levels f;
    int64_t m, n, k, words; // words: of a bit plane's row
    const float *x, *scale, *bias; // NULL: 1; none
    const void *zero;              // NULL: 0
    bool one_scale, one_zero;
    const void *w;
    tuff_packed packed;
    bool by_rows;            // levels_row.h's
    tuff_level_matrix matrix;
    float *y;
} product;

static product product_of(const tuff_call *c)
{
    const tuff_levels f = tuff_levels_of(c);
    const bool ternary = f.format == TUFF_LEVELS_TERNARY;
    return (product){ .f = f, .m = tuff_desc_count(&c->in[X]) / f.k, .n = f.n, .k = f.k,
                      .words = ternary ? c->in[W].dim[2] : 0,
                      .one_scale = tuff_levels_count(c, f.scale) == 1,
                      .one_zero = tuff_levels_count(c, f.zero) == 1 };
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static float zero_of(const product *p, int64_t j)
{
    const size_t i = p->one_zero ? 0 : (size_t)j;
    if (!p->zero) return 0;
    if (p->f.bits) return (float)tuff_packed_number(p->f.bits, true, p->zero, (int64_t)i);
    return p->f.is_signed ? (float)((const int8_t *)p->zero)[i]
                          : (float)((const uint8_t *)p->zero)[i];
}

// ---- rows ----

static void describe_matrix(product *p)
{
    const int bits = p->f.bits ? p->f.bits : p->f.format == TUFF_LEVELS_HALF ? 16 : 8;
    const int64_t bytes = p->f.bits ? 4 * p->packed.count : p->f.n * p->f.k * bits / 8;
    const bool sign = p->f.bits == 1 && p->f.is_signed; // of 1 bit: -1 or 1
    const tuff_level_kind kind = p->f.format == TUFF_LEVELS_HALF    ? TUFF_LEVEL_HALF
                                 : p->f.format == TUFF_LEVELS_BYTES ? TUFF_LEVEL_BYTES
                                 : bits < 4 || (bits == 4 && p->f.k % 2 == 0)
                                     ? TUFF_LEVEL_WORD
                                 : bits == 4 ? TUFF_LEVEL_TABLE
                                 : bits <= 8 ? TUFF_LEVEL_WHOLE : TUFF_LEVEL_LONG;
    p->by_rows = p->f.format != TUFF_LEVELS_TERNARY && tuff_level_rows_here();
    p->matrix = (tuff_level_matrix){
        .kind = kind, .bits = bits, .by = sign ? 2 : 1, .w = p->w, .k = p->f.k,
        .flip = p->f.is_signed && !sign ? 1u << (bits - 1) : 0,
        .end = (const uint8_t *)p->w + bytes };
}

static tuff_level_row row_of(const product *p, int64_t j)
{
    const float flip = p->matrix.by == 2 ? 1 : (float)p->matrix.flip;
    return (tuff_level_row){ .j = j, .less = zero_of(p, j) + flip };
}

// ---- numbers -------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void decode_planes(const product *p, int64_t j, int64_t at, int64_t n,
                                       float *to)
{
    const ints lane = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    const uint32_t *there = (const uint32_t *)p->w + 2 * j * p->words;
    for (int64_t i = 0; i < n; i += PANEL) {
        const int64_t word = (at + i) / 32;
        const int shift = (int)(i % 32);
        const int32_t a = (int32_t)(there[word] >> shift);
        const int32_t b = (int32_t)(there[p->words + word] >> shift);
        const ints level = 2 * (b >> lane & 1) - (a >> lane & 1);
        const vec v = __builtin_convertvector(level, vec);
        memcpy(to + i, &v, sizeof v);
    }
}

TUFF_EACH_PROCESSOR void decode_bytes(const product *p, int64_t j, int64_t at, int64_t n,
                                      float *to)
{
    const uint8_t *from = (const uint8_t *)p->w + j * p->k + at;
    const uint8_t flip = p->f.is_signed ? 128 : 0;
    const float less = zero_of(p, j) + (float)flip;
    for (int64_t i = 0; i < n; i += PANEL) {
        bytes b = { 0 };
        if (n - i >= PANEL) memcpy(&b, from + i, sizeof b);
        else memcpy(&b, from + i, (size_t)(n - i));
        const ints q = __builtin_convertvector(b ^ flip, ints);
        const vec v = __builtin_convertvector(q, vec) - less;
        memcpy(to + i, &v, sizeof v);
    }
}

// Numbers at .. at + n of row j, n <= PART; there is room for whole panels.
TUFF_EACH_PROCESSOR void decode(const product *p, int64_t j, int64_t at, int64_t n, float *to)
{
    if (p->by_rows) {
        const tuff_level_row row = row_of(p, j);
        tuff_level_numbers(&p->matrix, &row, at, n, to);
    } else if (p->f.bits)
        tuff_packed_host(&p->packed, j * p->k + at, n, zero_of(p, j), to);
    else if (p->f.format == TUFF_LEVELS_HALF)
        tuff_convert_fast(TUFF_F16, (const uint16_t *)p->w + j * p->k + at, TUFF_F32, to, false,
                          0, (size_t)n);
    else if (p->f.format == TUFF_LEVELS_BYTES)
        decode_bytes(p, j, at, n, to);
    else
        decode_planes(p, j, at, n, to);
}

// ---- few rows ------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void few(const product *p, int64_t j, float *sum)
{
    float w[PART];
    vec sums[FEW] = { { 0 } };
    for (int64_t at = 0; at < p->k; at += PART) {
        const int64_t n = least(p->k - at, PART), whole = n / PANEL * PANEL;
        decode(p, j, at, n, w);
        for (int64_t r = 0; r < p->m; r++) {
            const float *x = p->x + r * p->k + at;
            vec part[2] = { { 0 } };
            for (int64_t i = 0; i < whole; i += PANEL) {
                vec a, b;
                memcpy(&a, x + i, sizeof a);
                memcpy(&b, w + i, sizeof b);
                part[i / PANEL % 2] += a * b;
            }
            for (int64_t i = whole; i < n; i++) part[0][i - whole] += x[i] * w[i];
            sums[r] += part[0] + part[1];
        }
    }
    for (int64_t r = 0; r < p->m; r++) {
        sum[r] = 0;
        for (int i = 0; i < PANEL; i++) sum[r] += sums[r][i];
    }
}
TUFF_FOR_PROCESSORS(few, (const product *p, int64_t j, float *sum), (p, j, sum))

// With masks the bits choose which numbers of x are added and which subtracted, as they are.
#if defined __x86_64__
#include <immintrin.h>

// Numbers of a half word that there are in a row.
static inline uint32_t in_row(const product *p, int64_t at)
{
    return p->k - at >= PANEL ? 0xffff : p->k > at ? (1u << (p->k - at)) - 1 : 0;
}

TUFF_TARGET_AVX512 static void few_masked(const product *p, int64_t j, float *sum)
{
    const uint32_t *there = (const uint32_t *)p->w + 2 * j * p->words;
    const uint32_t *above = there + p->words;
    const __m512 zero = _mm512_setzero_ps();
    for (int64_t r = 0; r < p->m; r++) {
        const float *x = p->x + r * p->k;
        __m512 plus[2] = { zero, zero }, minus[2] = { zero, zero }, none = zero;
        for (int64_t w = 0; w < p->words; w++)
            for (int half = 0; half < 2; half++) {
                const uint32_t row = in_row(p, 32 * w + PANEL * half);
                const uint32_t all = there[w] >> PANEL * half & row;
                const uint32_t up = above[w] >> PANEL * half & all;
                const __m512 v = _mm512_maskz_loadu_ps((__mmask16)row,
                                                       x + 32 * w + PANEL * half);
                plus[half] = _mm512_mask_add_ps(plus[half], (__mmask16)up, plus[half], v);
                minus[half] = _mm512_mask_add_ps(minus[half], (__mmask16)(all & ~up),
                                                 minus[half], v);
                // A weight of 0 times a NaN is one.
                if (all != row) none = _mm512_fmadd_ps(v, zero, none);
            }
        none = _mm512_add_ps(none, _mm512_add_ps(plus[0], plus[1]));
        sum[r] = _mm512_reduce_add_ps(
            _mm512_sub_ps(none, _mm512_add_ps(minus[0], minus[1])));
    }
}

static few_fn *few_of_this(const product *p)
{
    return p->f.format == TUFF_LEVELS_TERNARY &&
           tuff_this_processor() == TUFF_PROCESSOR_AVX512 ? few_masked : few_best();
}
#else
static few_fn *few_of_this(const product *p)
{
    (void)p;
    return few_best();
}
#endif

static float finished(const product *p, int64_t j, float sum)
{
    if (p->scale) sum *= p->scale[p->one_scale ? 0 : j];
    if (p->bias) sum += p->bias[j];
    return tuff_act_host(sum, p->f.act);
}

// The same of rows that are unpacked in registers.
static void run_rows(const product *p, int64_t first)
{
    const int64_t cols = least(TUFF_LEVEL_ROWS, p->n - first);
    float sum[TUFF_LEVEL_VECTORS][TUFF_LEVEL_ROWS];
    tuff_level_row row[TUFF_LEVEL_ROWS];
    for (int64_t j = 0; j < TUFF_LEVEL_ROWS; j++)
        row[j] = row_of(p, first + least(j, cols - 1));
    for (int64_t r = 0; r < p->m; r += TUFF_LEVEL_VECTORS) {
        const int64_t vectors = least(TUFF_LEVEL_VECTORS, p->m - r);
        tuff_level_dots(&p->matrix, row, p->x + r * p->k, (int)vectors, sum);
        for (int64_t v = 0; v < vectors; v++)
            for (int64_t j = 0; j < cols; j++)
                p->y[(r + v) * p->n + first + j] = finished(p, first + j, sum[v][j]);
    }
}

static void run_few(const product *p, int64_t first)
{
    for (int64_t j = first; p->by_rows && j < least(first + COLUMNS, p->n);
         j += TUFF_LEVEL_ROWS)
        run_rows(p, j);
    if (p->by_rows) return;
    few_fn *const best = few_of_this(p);
    float sum[FEW];
    for (int64_t j = first; j < least(first + COLUMNS, p->n); j++) {
        best(p, j, sum);
        for (int64_t r = 0; r < p->m; r++) p->y[r * p->n + j] = finished(p, j, sum[r]);
    }
}

// ---- many rows -----------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void decode_rows(const product *p, int64_t j, int64_t count, int64_t at,
                                     int64_t n, float to[][PART])
{
    for (int64_t i = 0; i < count; i++) decode(p, j + i, at, n, to[i]);
}
TUFF_FOR_PROCESSORS(decode_rows, (const product *p, int64_t j, int64_t count, int64_t at,
                                  int64_t n, float to[][PART]), (p, j, count, at, n, to))

static void numbers(const void *w, int64_t first, int64_t cols, int64_t at, int64_t n,
                    float to[][PART])
{
    decode_rows_best()(w, first, cols, at, n, to);
}

static void run_many(const product *p, int64_t col)
{
    const tuff_unpack u = { .rows = p->m, .n = p->n, .k = p->k, .x = p->x, .y = p->y,
                            .finish = { .alpha = 1 }, .numbers = numbers, .w = p };
    tuff_unpack_run(&u, col);
    for (int64_t r = 0; r < p->m; r++)
        for (int64_t j = col; j < least(col + PAIR, p->n); j++)
            p->y[r * p->n + j] = finished(p, j, p->y[r * p->n + j]);
}

// ---- the call ------------------------------------------------------------------------------

static int64_t items_of(const product *p)
{
    const int64_t each = p->m <= FEW ? COLUMNS : PAIR;
    return (p->n + each - 1) / each;
}

size_t tuff_levels_host_units(const tuff_call *c, int stage)
{
    const product p = product_of(c);
    return stage ? 0 : tuff_host_share(items_of(&p), 2.0 * (double)(p.n * p.k) *
                                                         (double)(p.m + 8));
}

void tuff_levels_host(const tuff_ref *r)
{
    product p = product_of(r->call);
    p.x = r->in[X];
    p.w = r->in[W];
    p.scale = p.f.scale < 0 ? NULL : r->in[p.f.scale];
    p.zero = p.f.zero < 0 ? NULL : r->in[p.f.zero];
    p.bias = p.f.bias < 0 ? NULL : r->in[p.f.bias];
    p.packed = (tuff_packed){ .words = p.w, .count = tuff_desc_count(&r->call->in[W]),
                              .bits = p.f.bits, .is_signed = p.f.is_signed };
    p.y = r->out[0];
    describe_matrix(&p);
    const int64_t items = items_of(&p);
    const size_t units = tuff_levels_host_units(r->call, 0);
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++) {
        if (p.m <= FEW) run_few(&p, i * COLUMNS);
        else run_many(&p, i * PAIR);
    }
}
