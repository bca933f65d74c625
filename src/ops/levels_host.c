// Products with packed weights of three levels on the CPU path: a part of a row of w becomes
// numbers in the first-level cache, for all rows of x. Many rows meet panels of 16 rows of w,
// few rows one row of w after another.
#include "base/processor.h"
#include "ops/levels.h"
#include "ops/product_host.h"
#include <string.h>

enum { X, W, SCALE };
enum {
    PANEL = TUFF_PANEL,
    PAIR = 2 * PANEL, // columns of an item of many rows
    FEW = 8,          // rows of x with which a row of w is used as it is
    COLUMNS = 8,      // columns of an item of few rows
    PART = TUFF_PART  // numbers at a time: whole words
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(PANEL * sizeof(int32_t))));

typedef struct product {
    int64_t m, n, k, words;
    const float *x, *scale; // scale NULL: 1
    bool one_scale;
    const uint32_t *w;
    float *y;
} product;

static product product_of(const tuff_call *c)
{
    const int64_t k = c->in[X].dim[c->in[X].rank - 1];
    return (product){ .m = tuff_desc_count(&c->in[X]) / k, .n = c->in[W].dim[0], .k = k,
                      .words = c->in[W].dim[2],
                      .one_scale = tuff_desc_count(&c->in[SCALE]) == 1 };
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Numbers at .. at + PART of row j; behind the row's end they are 0.
TUFF_EACH_PROCESSOR void decode(const product *p, int64_t j, int64_t at, float *to)
{
    const ints lane = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    const uint32_t *there = p->w + 2 * j * p->words;
    for (int64_t i = 0; i < PART; i += PANEL) {
        const int64_t word = (at + i) / 32;
        const int shift = (int)(i % 32);
        const int32_t a = word < p->words ? (int32_t)(there[word] >> shift) : 0;
        const int32_t b = word < p->words ? (int32_t)(there[p->words + word] >> shift) : 0;
        const ints level = 2 * (b >> lane & 1) - (a >> lane & 1);
        const vec v = __builtin_convertvector(level, vec);
        memcpy(to + i, &v, sizeof v);
    }
}

// ---- few rows ------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void few(const product *p, int64_t j, float *sum)
{
    float w[PART];
    vec sums[FEW] = { { 0 } };
    for (int64_t at = 0; at < p->k; at += PART) {
        const int64_t n = least(p->k - at, PART), whole = n / PANEL * PANEL;
        decode(p, j, at, w);
        for (int64_t r = 0; r < p->m; r++) {
            const float *x = p->x + r * p->k + at;
            vec part = { 0 };
            for (int64_t i = 0; i < whole; i += PANEL) {
                vec a, b;
                memcpy(&a, x + i, sizeof a);
                memcpy(&b, w + i, sizeof b);
                part += a * b;
            }
            for (int64_t i = whole; i < n; i++) part[i - whole] += x[i] * w[i];
            sums[r] += part;
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
    const uint32_t *there = p->w + 2 * j * p->words, *above = there + p->words;
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

static few_fn *few_of_this(void)
{
    return tuff_this_processor() == TUFF_PROCESSOR_AVX512 ? few_masked : few_best();
}
#else
static few_fn *few_of_this(void) { return few_best(); }
#endif

static float scale_of(const product *p, int64_t j)
{
    return p->scale ? p->scale[p->one_scale ? 0 : j] : 1;
}

static void run_few(const product *p, int64_t first)
{
    few_fn *const best = few_of_this();
    float sum[FEW];
    for (int64_t j = first; j < least(first + COLUMNS, p->n); j++) {
        best(p, j, sum);
        for (int64_t r = 0; r < p->m; r++) p->y[r * p->n + j] = sum[r] * scale_of(p, j);
    }
}

// ---- many rows -----------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void decode_rows(const product *p, int64_t j, int64_t count, int64_t at,
                                     float to[][PART])
{
    for (int64_t i = 0; i < count; i++) decode(p, j + i, at, to[i]);
}
TUFF_FOR_PROCESSORS(decode_rows, (const product *p, int64_t j, int64_t count, int64_t at,
                                  float to[][PART]), (p, j, count, at, to))

static void run_many(const product *p, int64_t col)
{
    const int64_t cols = least(p->n - col, PAIR);
    const tuff_finish f = { .alpha = 1 };
    float numbers[PAIR][PART], pair[PART * PAIR];
    tuff_tiles t = { .a_m = p->k, .a_six = TUFF_PANEL_ROWS * p->k, .a_k = 1, .b = pair,
                     .b_k = PANEL, .rows = p->m, .cols = cols, .y = p->y + col, .y_m = p->n,
                     .finish = &f };
    for (int64_t at = 0; at < p->k; at += PART) {
        t.depth = least(p->k - at, PART);
        t.b_panel = t.depth * PANEL;
        t.first = at == 0;
        t.last = at + PART >= p->k;
        t.a = p->x + at;
        decode_rows_best()(p, col, cols, at, numbers);
        for (int64_t j = 0; j < cols; j += PANEL)
            tuff_panel_pack(numbers[j], 1, PART, t.depth, least(cols - j, PANEL),
                            pair + j * t.depth);
        tuff_tiles_add(&t);
    }
    for (int64_t r = 0; p->scale && r < p->m; r++)
        for (int64_t j = col; j < col + cols; j++) p->y[r * p->n + j] *= scale_of(p, j);
}

// ---- the call ------------------------------------------------------------------------------

static int64_t items_of(const product *p)
{
    const int64_t each = p->m <= FEW ? COLUMNS : PAIR;
    return (p->n + each - 1) / each;
}

size_t tuff_ternary_host_units(const tuff_call *c, int stage)
{
    const product p = product_of(c);
    return stage ? 0 : tuff_host_share(items_of(&p), 2.0 * (double)(p.n * p.k) *
                                                         (double)(p.m + 8));
}

void tuff_ternary_host(const tuff_ref *r)
{
    product p = product_of(r->call);
    p.x = r->in[X];
    p.w = (const uint32_t *)(const void *)r->in[W];
    p.scale = r->in[SCALE];
    p.y = r->out[0];
    const int64_t items = items_of(&p);
    const size_t units = tuff_ternary_host_units(r->call, 0);
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++) {
        if (p.m <= FEW) run_few(&p, i * COLUMNS);
        else run_many(&p, i * PAIR);
    }
}
