// Products with a matrix of indices into a codebook on the CPU path: few rows of x meet rows
// whose numbers are looked up in registers (levels_row.h), or a part of a row at a time; many
// rows meet panels of them (unpack_host.h).
#include "base/processor.h"
#include "ops/codebook.h"
#include "ops/levels_row.h"
#include "ops/unpack_host.h"
#include <string.h>

enum { PART = TUFF_PART, FEW = 8, COLUMNS = TUFF_LEVEL_ROWS, LANES = 16 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- numbers -------------------------------------------------------------------------------

// Numbers at .. at + n of a row; at is a multiple of 8, of which one begins with a byte.
static void look_up(const tuff_level_matrix *m, int64_t j, int64_t at, int64_t n, float *to)
{
    const uint32_t *row = (const uint32_t *)(const void *)(m->w + j * m->row_bytes);
    const uint8_t *w = m->w + j * m->row_bytes + at / 8 * m->bits;
    const uint32_t mask = (1u << m->bits) - 1;
    int64_t i = 0;
    for (; i + 8 <= n && m->end - w >= 8; i += 8, w += m->bits) {
        uint64_t eight;
        memcpy(&eight, w, sizeof eight);
        for (int k = 0; k < 8; k++) to[i + k] = m->book[eight >> k * m->bits & mask];
    }
    for (; i < n; i++) to[i] = m->book[tuff_codebook_index(m->bits, row, at + i)];
}

static void numbers(const void *w, int64_t first, int64_t cols, int64_t at, int64_t count,
                    float to[][PART])
{
    const tuff_level_matrix *m = w;
    for (int64_t j = 0; j < cols; j++) {
        const tuff_level_row row = { .j = first + j };
        if (tuff_level_books_here()) tuff_level_numbers(m, &row, at, count, to[j]);
        else look_up(m, first + j, at, count, to[j]);
    }
}

// ---- few rows ------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void dot(const float *x, const float *w, int64_t n, float *sum)
{
    vec part = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec a, b;
        memcpy(&a, x + i, sizeof a);
        memcpy(&b, w + i, sizeof b);
        part += a * b;
    }
    for (int64_t lane = 0; i < n; i++) part[lane++] += x[i] * w[i];
    for (int lane = 0; lane < LANES; lane++) *sum += part[lane];
}
TUFF_FOR_PROCESSORS(dot, (const float *x, const float *w, int64_t n, float *sum),
                    (x, w, n, sum))

// Sums of COLUMNS rows of w from `first` on, of which there are `cols`, with `rows` rows of x.
static void dots(const tuff_unpack *u, int64_t first, int64_t cols, int64_t row, int64_t rows,
                 float sum[TUFF_LEVEL_VECTORS][COLUMNS])
{
    const tuff_level_matrix *m = u->w;
    if (tuff_level_books_here()) {
        tuff_level_row of[COLUMNS];
        for (int64_t j = 0; j < COLUMNS; j++)
            of[j] = (tuff_level_row){ .j = first + least(j, cols - 1) };
        tuff_level_dots(m, of, u->x + row * u->k, (int)rows, sum);
        return;
    }
    float w[PART];
    memset(sum, 0, sizeof *sum * TUFF_LEVEL_VECTORS);
    for (int64_t j = 0; j < cols; j++)
        for (int64_t at = 0; at < u->k; at += PART) {
            const int64_t n = least(u->k - at, PART);
            look_up(m, first + j, at, n, w);
            for (int64_t r = 0; r < rows; r++)
                dot_best()(u->x + (row + r) * u->k + at, w, n, &sum[r][j]);
        }
}

static void run_few(const tuff_unpack *u, int64_t first)
{
    const tuff_finish *f = &u->finish;
    const int64_t cols = least(COLUMNS, u->n - first);
    float sum[TUFF_LEVEL_VECTORS][COLUMNS];
    for (int64_t row = 0; row < u->rows; row += TUFF_LEVEL_VECTORS) {
        const int64_t rows = least(TUFF_LEVEL_VECTORS, u->rows - row);
        dots(u, first, cols, row, rows, sum);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < cols; j++) {
                const int64_t at = (row + r) * u->n + first + j;
                float v = sum[r][j];
                if (f->residual) v += f->residual[at];
                if (f->plus) v += f->plus[first + j];
                u->y[at] = tuff_act_host(v, f->act);
            }
    }
}

// ---- the call ------------------------------------------------------------------------------

static int64_t items_of(const tuff_unpack *u)
{
    const int64_t each = u->rows <= FEW ? COLUMNS : TUFF_UNPACK_COLS;
    return (u->n + each - 1) / each;
}

size_t tuff_codebook_host_units(int64_t rows, int64_t n, int64_t k)
{
    const tuff_unpack u = { .rows = rows, .n = n };
    return tuff_host_share(items_of(&u), 2.0 * (double)(n * k) * (double)(rows + 8));
}

void tuff_codebook_host(const tuff_codebook_product *p, size_t begin, size_t end)
{
    const tuff_level_matrix m = {
        .kind = p->bits < 5 ? TUFF_LEVEL_BOOK : p->bits == 5 ? TUFF_LEVEL_BOOK_OF_32
                                                             : TUFF_LEVEL_BOOK_IN_MEMORY,
        .bits = p->bits, .by = 1, .w = (const uint8_t *)p->indices, .k = p->k,
        .row_bytes = 4 * p->words, .book = p->codebook,
        .end = (const uint8_t *)(p->indices + p->n * p->words) };
    const tuff_unpack u = { .rows = p->rows, .n = p->n, .k = p->k, .x = p->x, .y = p->y,
                            .finish = p->finish, .numbers = numbers, .w = &m };
    const size_t units = tuff_codebook_host_units(p->rows, p->n, p->k);
    const int64_t items = items_of(&u), last = tuff_host_item(items, units, end);
    for (int64_t i = tuff_host_item(items, units, begin); i < last; i++) {
        if (p->rows <= FEW) run_few(&u, i * COLUMNS);
        else tuff_unpack_run(&u, i * TUFF_UNPACK_COLS);
    }
}
