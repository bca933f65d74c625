// Sparse products on the CPU path. A row of A is taken in pieces of at most 256 numbers, whose
// columns are first written out, whatever form A has; then they meet b:
//
//   few vectors   each is a row of numbers that columns pick from, eight sums beside each other
//   many          b is packed 16 vectors by side, [K][16], so that a number of A meets 16
//                 neighbours, in as many sums
//
// N:M has two ways more:
//
//   registers     few vectors whose numbers are neighbours (sparse_nm.h)
//   unpacked      where A is not very sparse and y has A's rows for columns: many vectors meet
//                 dense panels of A (unpack_host.h)
//
// y is the sum of the pieces, which bounds the error of f32 sums. Their order depends on A
// alone.
#include "base/processor.h"
#include "ops/sparse_nm.h"
#include "ops/unpack_host.h"
#include <string.h>

enum {
    PIECE = 256, LANES = 16, FEW = 4,
    NEAR = 8,                         // vectors for registers
    PANELS = 24,                      // more than these for panels
    UNIT = 1 << 14, NEAR_UNIT = 1 << 16 // numbers
};

typedef struct piece {
    int count;
    int32_t at[PIECE];
    float room[PIECE];
    const float *v;
} piece;

typedef enum way { FEW_VECTORS, MANY_VECTORS, REGISTERS, UNPACKED } way;

static way way_of(const tuff_sparse *a)
{
    // Where 16 values span more than the registers, picking from memory pays for few alone.
    const int64_t near = 4 * a->keep >= a->of ? NEAR : FEW - 1;
    if (a->of && (a->linear ? a->n <= near : a->n == 1) && tuff_nm_here()) return REGISTERS;
    if (a->of && a->linear && a->n > PANELS && 4 * a->keep > a->of) return UNPACKED;
    return a->n < FEW ? FEW_VECTORS : MANY_VECTORS;
}

static bool is_few(const tuff_sparse *a) { return way_of(a) == FEW_VECTORS; }

// What is out of range is set to the last, as everywhere: data are not to be trusted.
static int32_t within(int32_t v, int64_t most)
{
    return (uint32_t)v > (uint32_t)most ? (int32_t)most : v;
}

// ---- a row in pieces -----------------------------------------------------------------------

typedef struct row {
    int64_t m, at, count; // numbers done, and all of them
    int64_t begin;        // the first block, or number
} row;

static row row_of(const tuff_sparse *a, const tuff_sparse_data *d, int64_t m)
{
    if (a->of) return (row){ .m = m, .count = a->length, .begin = m * a->length };
    const int64_t r = m / a->height;
    const int64_t begin = within(d->rows[r], a->count), end = within(d->rows[r + 1], a->count);
    return (row){ .m = m, .begin = begin, .count = end > begin ? (end - begin) * a->width : 0 };
}

static void take_csr(const tuff_sparse *a, const tuff_sparse_data *d, const row *r, piece *p)
{
    const int32_t *cols = d->cols + r->begin + r->at;
    const uint32_t most = (uint32_t)(a->k - 1);
    for (int i = 0; i < p->count; i++) {
        const uint32_t c = (uint32_t)cols[i];
        p->at[i] = (int32_t)(c < most ? c : most);
    }
    p->v = d->values + r->begin + r->at;
}

static void take_blocks(const tuff_sparse *a, const tuff_sparse_data *d, const row *r, piece *p)
{
    int64_t e = r->begin + r->at / a->width, j = r->at % a->width;
    for (int i = 0; i < p->count; i++) {
        const int64_t first = within(d->cols[e], a->k / a->width - 1) * a->width;
        p->at[i] = (int32_t)(first + j);
        p->room[i] = d->values[(e * a->height + r->m % a->height) * a->width + j];
        if (++j == a->width) j = 0, e++;
    }
    p->v = p->room;
}

static void take_nm(const tuff_sparse *a, const tuff_sparse_data *d, const row *r, piece *p)
{
    p->v = d->values + r->begin + r->at;
    if (tuff_nm_here()) {
        tuff_nm_columns(a, d->indices, r->m, r->at, p->count, p->at);
        return;
    }
    const uint32_t *words = d->indices + r->m * a->words;
    const uint32_t mask = (1u << a->bits) - 1;
    int64_t bit = r->at * a->bits, group = r->at / a->keep * a->of;
    int kept = (int)(r->at % a->keep);
    for (int i = 0; i < p->count; i++, bit += a->bits) {
        uint64_t w = words[bit / 32];
        if (bit % 32 + a->bits > 32) w |= (uint64_t)words[bit / 32 + 1] << 32;
        p->at[i] = within((int32_t)(group + (int64_t)((uint32_t)(w >> bit % 32) & mask)),
                          a->k - 1);
        if (++kept == a->keep) kept = 0, group += a->of;
    }
}

// The next piece of a row; false at its end.
static bool take(const tuff_sparse *a, const tuff_sparse_data *d, row *r, piece *p)
{
    const int64_t left = r->count - r->at;
    p->count = (int)(left < PIECE ? left : PIECE);
    if (left <= 0) return false;
    if (a->of) take_nm(a, d, r, p);
    else if (a->width == 1 && a->height == 1) take_csr(a, d, r, p);
    else take_blocks(a, d, r, p);
    r->at += p->count;
    return true;
}

// ---- products ------------------------------------------------------------------------------

// Four sums by name: as an array they would lie in memory.
TUFF_EACH_PROCESSOR void dot(const float *v, const int32_t *at, int n, const float *x,
                             int64_t step, float *y)
{
    float a = 0, b = 0, c = 0, d = 0;
    int i = 0;
    for (; i + 4 <= n; i += 4) {
        a += v[i] * x[at[i] * step];
        b += v[i + 1] * x[at[i + 1] * step];
        c += v[i + 2] * x[at[i + 2] * step];
        d += v[i + 3] * x[at[i + 3] * step];
    }
    for (; i < n; i++) a += v[i] * x[at[i] * step];
    *y += (a + b) + (c + d);
}
TUFF_FOR_PROCESSORS(dot, (const float *v, const int32_t *at, int n, const float *x,
                          int64_t step, float *y), (v, at, n, x, step, y))

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

// Two sums, so that an addition need not wait for the one before.
TUFF_EACH_PROCESSOR void dots(const float *v, const int32_t *at, int n, const float *x,
                              float *y)
{
    vec even = { 0 }, odd = { 0 }, from, sum;
    for (int i = 0; i < n; i += 2) {
        memcpy(&from, x + (int64_t)at[i] * LANES, sizeof from);
        even += v[i] * from;
        if (i + 1 == n) break;
        memcpy(&from, x + (int64_t)at[i + 1] * LANES, sizeof from);
        odd += v[i + 1] * from;
    }
    memcpy(&sum, y, sizeof sum);
    sum += even + odd;
    memcpy(y, &sum, sizeof sum);
}
TUFF_FOR_PROCESSORS(dots, (const float *v, const int32_t *at, int n, const float *x, float *y),
                    (v, at, n, x, y))

// Blocks of 4 x 4 and a vector whose numbers are neighbours: four rows at once.
enum { SIDE = 4, BLOCK = SIDE * SIDE };
TUFF_EACH_PROCESSOR void quads(const float *v, const int32_t *cols, int64_t n, int64_t last,
                               const float *x, float *y)
{
    float s[BLOCK] = { 0 };
    for (int64_t e = 0; e < n; e++, v += BLOCK) {
        const float *from = x + (int64_t)within(cols[e], last) * SIDE;
        float four[BLOCK];
        for (int l = 0; l < BLOCK; l++) four[l] = from[l % SIDE];
        for (int l = 0; l < BLOCK; l++) s[l] += v[l] * four[l];
    }
    for (int i = 0; i < SIDE; i++)
        y[i] += (s[SIDE * i] + s[SIDE * i + 1]) + (s[SIDE * i + 2] + s[SIDE * i + 3]);
}
TUFF_FOR_PROCESSORS(quads, (const float *v, const int32_t *cols, int64_t n, int64_t last,
                            const float *x, float *y), (v, cols, n, last, x, y))

static bool is_quad(const tuff_sparse *a)
{
    return is_few(a) && !a->of && a->height == SIDE && a->width == SIDE &&
           (a->linear || a->n == 1);
}

static void four_rows(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                      const float *b, int64_t m, int64_t n)
{
    const row w = row_of(a, d, m);
    float sum[SIDE] = { 0 };
    for (int64_t e = 0; e < w.count / SIDE; e += PIECE / SIDE) {
        const int64_t left = w.count / SIDE - e, at = w.begin + e;
        quads_best()(d->values + at * BLOCK, d->cols + at,
                     left < PIECE / SIDE ? left : PIECE / SIDE, a->k / SIDE - 1, b + n * a->k,
                     sum);
    }
    for (int i = 0; i < SIDE; i++) r->out[0][n * a->m + m + i] = sum[i];
}

static void few(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                const float *b, int64_t m, int64_t n)
{
    row w = row_of(a, d, m);
    dot_fn *product = dot_best();
    float sum = 0;
    piece p;
    const float *x = b + (a->linear ? n * a->k : n);
    while (take(a, d, &w, &p)) product(p.v, p.at, p.count, x, a->linear ? 1 : a->n, &sum);
    r->out[0][a->linear ? n * a->m + m : m * a->n + n] = sum;
}

static void many(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d, int64_t m,
                 int64_t block)
{
    row w = row_of(a, d, m);
    dots_fn *products = dots_best();
    float sum[LANES] = { 0 };
    piece p;
    const float *packed = (const float *)r->scratch + block * a->k * LANES;
    while (take(a, d, &w, &p)) products(p.v, p.at, p.count, packed, sum);
    for (int64_t l = 0; l < LANES && block * LANES + l < a->n; l++) {
        const int64_t n = block * LANES + l;
        r->out[0][a->linear ? n * a->m + m : m * a->n + n] = sum[l];
    }
}

// Sixteen vectors of b as [K][16]; those that there are not as zeros.
static void pack(const tuff_sparse *a, const float *b, int64_t block, float *to)
{
    const int64_t first = block * LANES, left = a->n - first;
    const int64_t some = left < LANES ? left : LANES;
    const int64_t b_k = a->linear ? 1 : a->n, b_n = a->linear ? a->k : 1;
    if (some < LANES) memset(to, 0, (size_t)(a->k * LANES) * sizeof *to);
    for (int64_t k = 0; k < a->k; k++)
        for (int64_t l = 0; l < some; l++)
            to[k * LANES + l] = b[k * b_k + (first + l) * b_n];
}

// ---- unpacked panels -----------------------------------------------------------------------

typedef struct unpacked {
    const tuff_sparse *a;
    const tuff_sparse_data *d;
} unpacked;

// A part begins with a group, as does each row.
static void numbers(const void *w, int64_t first, int64_t cols, int64_t at, int64_t n,
                    float to[][TUFF_PART])
{
    const unpacked *u = w;
    const tuff_sparse *a = u->a;
    for (int64_t j = 0; j < cols; j++) {
        row r = row_of(a, u->d, first + j);
        piece p;
        r.at = at / a->of * a->keep;
        r.count = (at + n) / a->of * a->keep;
        memset(to[j], 0, (size_t)n * sizeof(float));
        if (!take(a, u->d, &r, &p)) continue;
        for (int i = 0; i < p.count; i++) to[j][p.at[i] - at] = p.v[i];
    }
}

static void run_unpacked(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                         const float *b, int64_t item)
{
    const unpacked w = { a, d };
    const tuff_unpack u = { .rows = a->n, .n = a->m, .k = a->k, .x = b, .y = r->out[0],
                            .finish = { .alpha = 1 }, .numbers = numbers, .w = &w };
    tuff_unpack_run(&u, item * TUFF_UNPACK_COLS);
}

// ---- units ---------------------------------------------------------------------------------

static int64_t blocks(const tuff_sparse *a)
{
    const way w = way_of(a);
    if (w == UNPACKED) return (a->m + TUFF_UNPACK_COLS - 1) / TUFF_UNPACK_COLS;
    return w == MANY_VECTORS ? (a->n + LANES - 1) / LANES : a->n;
}

// Rows of a unit: some 10 us of work.
static int64_t rows_of(const tuff_sparse *a)
{
    const way w = way_of(a);
    const int64_t numbers = a->of ? a->length : a->count * a->height * a->width / a->m;
    const int64_t unit = w == REGISTERS ? NEAR_UNIT : w == MANY_VECTORS ? UNIT / 2 : UNIT;
    const int64_t rows = unit / (numbers + 16) + a->height;
    const int64_t whole = rows / a->height * a->height;
    return whole > a->m || w == UNPACKED ? a->m : whole;
}

static int64_t groups(const tuff_sparse *a) { return (a->m + rows_of(a) - 1) / rows_of(a); }

size_t tuff_sparse_host_units(const tuff_sparse *a, int stage)
{
    const bool packs = way_of(a) == MANY_VECTORS;
    if (packs && stage == 0) return (size_t)blocks(a);
    return stage == packs ? (size_t)(blocks(a) * groups(a)) : 0;
}

size_t tuff_sparse_host_scratch(const tuff_sparse *a)
{
    return way_of(a) == MANY_VECTORS ? (size_t)(blocks(a) * a->k * LANES) * sizeof(float) : 0;
}

// Rows first .. end, times a vector or a block of them.
static void run_rows(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                     const float *b, int64_t block, int64_t first, int64_t end)
{
    const way w = way_of(a);
    const int64_t step = is_quad(a) ? SIDE : 1;
    if (w == REGISTERS) {
        tuff_nm_dots(a, d, b + block * a->k, first, end - first,
                     r->out[0] + block * a->m + first);
        return;
    }
    for (int64_t m = first; m < end; m += step) {
        if (w == MANY_VECTORS) many(r, a, d, m, block);
        else if (step > 1) four_rows(r, a, d, b, m, block);
        else few(r, a, d, b, m, block);
    }
}

void tuff_sparse_host_run(const tuff_ref *r, const tuff_sparse *a, const tuff_sparse_data *d,
                          const float *b)
{
    const way w = way_of(a);
    for (int64_t u = (int64_t)r->begin; u < (int64_t)r->end; u++) {
        const int64_t block = u / groups(a), first = u % groups(a) * rows_of(a);
        const int64_t end = first + rows_of(a) < a->m ? first + rows_of(a) : a->m;
        if (w == UNPACKED) run_unpacked(r, a, d, b, u);
        else if (w == MANY_VECTORS && r->stage == 0)
            pack(a, b, u, (float *)r->scratch + u * a->k * LANES);
        else run_rows(r, a, d, b, block, first, end);
    }
}
