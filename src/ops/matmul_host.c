// The products of the CPU path, in f32. There are three kinds:
//
//   tiles  operands that product_host.h cannot read where they lie are packed once, by all
//          threads, and blocks of y are computed
//   wide   few rows, b as it is read: its rows go by, each once, and are added to rows of y
//   dots   few rows, b the other way round: its columns go by, four at a time, each once
//
// Where y has few columns and many rows the operands change places.
#include "base/processor.h"
#include "ops/matmul.h"
#include "ops/product_host.h"
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    ROWS = TUFF_PANEL_ROWS,
    FEW = 8,        // rows
    STRAIGHT = 24,  // rows with which b is not worth packing
    BLOCK_ROWS = 96,
    BLOCK_COLS = 256,
    WIDE = 1024,    // columns of a unit
    DEEP = 512,     // products of a part of dots
    DOTS = 4        // columns at a time
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));

typedef enum kind { TILES, WIDE_ROWS, DOT_ROWS } kind;

// A product as it is computed: of the shape, or of the shape with its operands swapped.
typedef struct product {
    tuff_matmul_shape s;
    int64_t y_m, y_n, y_step; // of rows, columns and batches
    kind kind;
    bool swapped;
    bool pack_a, pack_b;
    int64_t a_count, b_count;     // of different operands
    int64_t a_panels, b_panels;   // of each
    int64_t block_rows, block_cols;
} product;

static void swap_operands(product *p)
{
    const tuff_matmul_shape s = p->s;
    p->s.a = s.b, p->s.b = s.a;
    p->s.m = s.n, p->s.n = s.m;
    p->s.a_m = s.b_n, p->s.a_k = s.b_k;
    p->s.b_k = s.a_k, p->s.b_n = s.a_m;
    for (int i = 0; i < s.dims; i++) {
        p->s.a_step[i] = s.b_step[i];
        p->s.b_step[i] = s.a_step[i];
    }
    p->y_m = 1, p->y_n = s.n;
    p->swapped = true;
}

static kind kind_of(const tuff_matmul_shape *s)
{
    if (s->m > FEW) return TILES;
    if (s->b_n == 1) return WIDE_ROWS;
    return s->a_k == 1 || s->m == 1 ? DOT_ROWS : TILES;
}

static double flops_of(const tuff_matmul_shape *s)
{
    return 2 * (double)s->m * (double)s->n * (double)s->k * (double)s->batches;
}

// Blocks of y that are as many as threads can share, where they are worth it.
static void cut_blocks(product *p)
{
    const tuff_matmul_shape *s = &p->s;
    const double want = flops_of(s) / 1e6 < 16 ? flops_of(s) / 1e6 : 16;
    p->block_rows = BLOCK_ROWS;
    p->block_cols = BLOCK_COLS;
    for (;;) {
        const int64_t rows = (s->m + p->block_rows - 1) / p->block_rows;
        const int64_t cols = (s->n + p->block_cols - 1) / p->block_cols;
        if ((double)(rows * cols * s->batches) >= want) return;
        if (p->block_cols > 4 * PANEL) p->block_cols /= 2;
        else if (p->block_rows > 2 * ROWS) p->block_rows /= 2;
        else return;
    }
}

static void product_of(const tuff_matmul_shape *s, product *p)
{
    *p = (product){ .s = *s, .y_m = s->n, .y_n = 1, .y_step = s->m * s->n, .a_count = 1,
                    .b_count = 1 };
    p->kind = kind_of(s);
    if (p->kind == TILES && s->n <= FEW) {
        swap_operands(p);
        p->kind = kind_of(&p->s);
        if (p->kind == TILES) {
            *p = (product){ .s = *s, .y_m = s->n, .y_n = 1, .y_step = s->m * s->n,
                            .a_count = 1, .b_count = 1 };
        }
    }
    if (p->kind != TILES) return;
    p->pack_a = s->a_k != 1 && s->k > 1;
    p->pack_b = s->b_n != 1 || s->m > STRAIGHT;
    p->a_panels = (s->m + ROWS - 1) / ROWS;
    p->b_panels = (s->n + PANEL - 1) / PANEL;
    for (int i = 0; i < s->dims; i++) {
        if (s->a_step[i]) p->a_count *= s->dim[i];
        if (s->b_step[i]) p->b_count *= s->dim[i];
    }
    cut_blocks(p);
}

// ---- batches -----------------------------------------------------------------------------

// Where the operands of product z begin, and which of the different operands they are.
typedef struct place {
    int64_t a, b, a_index, b_index;
} place;

static place place_of(const tuff_matmul_shape *s, int64_t z)
{
    place p = { 0 };
    int64_t a_count = 1, b_count = 1;
    for (int i = 0; i < s->dims; z /= s->dim[i++]) {
        const int64_t at = z % s->dim[i];
        p.a += at * s->a_step[i];
        p.b += at * s->b_step[i];
        if (s->a_step[i]) p.a_index += at * a_count, a_count *= s->dim[i];
        if (s->b_step[i]) p.b_index += at * b_count, b_count *= s->dim[i];
    }
    return p;
}

// Where operand number `index` of the different ones begins.
static int64_t operand_at(const tuff_matmul_shape *s, const int64_t step[], int64_t index)
{
    int64_t at = 0;
    for (int i = 0; i < s->dims; i++) {
        if (!step[i]) continue;
        at += index % s->dim[i] * step[i];
        index /= s->dim[i];
    }
    return at;
}

static tuff_finish finish_at(const product *p, const tuff_finish *f, int64_t z, int64_t row,
                             int64_t col)
{
    tuff_finish at = *f;
    if (p->swapped) at.plus_m = f->plus_n, at.plus_n = f->plus_m;
    if (at.plus) at.plus += row * at.plus_m + col * at.plus_n;
    if (at.residual) at.residual += z * p->y_step + row * p->y_m + col * p->y_n;
    return at;
}

// ---- tiles: packing ------------------------------------------------------------------------

static int64_t b_floats(const product *p)
{
    return p->pack_b ? p->b_count * p->b_panels * PANEL * p->s.k : 0;
}

static int64_t a_floats(const product *p)
{
    return p->pack_a ? p->a_count * p->a_panels * ROWS * p->s.k : 0;
}

static int64_t packs(const product *p)
{
    return (p->pack_b ? p->b_count * p->b_panels : 0) +
           (p->pack_a ? p->a_count * p->a_panels : 0);
}

// Panel number i of b, or, after these, of a.
static void pack(const product *p, const float *a, const float *b, int64_t i, float *to)
{
    const tuff_matmul_shape *s = &p->s;
    const int64_t of_b = p->pack_b ? p->b_count * p->b_panels : 0;
    if (i < of_b) {
        const int64_t col = i % p->b_panels * PANEL;
        const int64_t cols = s->n - col < PANEL ? s->n - col : PANEL;
        b += operand_at(s, s->b_step, i / p->b_panels);
        tuff_panel_pack(b + col * s->b_n, s->b_k, s->b_n, s->k, cols, to + i * PANEL * s->k);
        return;
    }
    i -= of_b;
    const int64_t row = i % p->a_panels * ROWS;
    a += operand_at(s, s->a_step, i / p->a_panels);
    tuff_rows_pack(a + row * s->a_m, s->a_m, s->a_k, s->k,
                   s->m - row < ROWS ? s->m - row : ROWS,
                   to + b_floats(p) + i * ROWS * s->k);
}

// ---- tiles: products -----------------------------------------------------------------------

// Columns of b that lie side by side as they are, but for those of a last panel that is not
// whole, which would be read beyond the end.
static void add_straight(const product *p, const tuff_tiles *whole, const float *b)
{
    tuff_tiles t = *whole;
    float panel[TUFF_PART * PANEL];
    tuff_finish f = *t.finish;
    const int64_t left = t.cols % PANEL;
    t.cols -= left;
    t.b = b;
    t.b_panel = PANEL;
    t.b_k = p->s.b_k;
    if (t.cols) tuff_tiles_add(&t);
    if (!left) return;
    tuff_panel_pack(b + t.cols, p->s.b_k, 1, t.depth, left, panel);
    if (f.plus) f.plus += t.cols * f.plus_n;
    if (f.residual) f.residual += t.cols;
    t.finish = &f;
    t.y += t.cols;
    t.cols = left;
    t.b = panel;
    t.b_k = PANEL;
    tuff_tiles_add(&t);
}

static int64_t block_count(const product *p, int64_t *across)
{
    *across = (p->s.n + p->block_cols - 1) / p->block_cols;
    return *across * ((p->s.m + p->block_rows - 1) / p->block_rows) * p->s.batches;
}

static void run_block(const product *p, const float *a, const float *b, const float *scratch,
                      float *y, const tuff_finish *finish, int64_t i)
{
    const tuff_matmul_shape *s = &p->s;
    int64_t across;
    const int64_t each = block_count(p, &across) / s->batches, z = i / each;
    const int64_t row = i % each / across * p->block_rows;
    const int64_t col = i % each % across * p->block_cols;
    const place at = place_of(s, z);
    const tuff_finish f = finish_at(p, finish, z, row, col);
    const float *a_packed = scratch + b_floats(p) + at.a_index * p->a_panels * ROWS * s->k;
    const float *b_packed = scratch + at.b_index * p->b_panels * PANEL * s->k;
    tuff_tiles t = { .rows = s->m - row < p->block_rows ? s->m - row : p->block_rows,
                     .cols = s->n - col < p->block_cols ? s->n - col : p->block_cols,
                     .a_m = p->pack_a ? 1 : s->a_m, .a_k = p->pack_a ? ROWS : s->a_k,
                     .a_six = p->pack_a ? ROWS * s->k : ROWS * s->a_m,
                     .b_panel = PANEL * s->k, .b_k = PANEL,
                     .y = y + z * p->y_step + row * s->n + col, .y_m = s->n, .finish = &f };
    for (int64_t part = 0; part < tuff_sum_parts(s->k); part++) {
        const int64_t k = tuff_sum_part(s->k, part);
        t.depth = tuff_sum_part(s->k, part + 1) - k;
        t.first = part == 0;
        t.last = part == tuff_sum_parts(s->k) - 1;
        t.a = p->pack_a ? a_packed + row * s->k + k * ROWS
                        : a + at.a + row * s->a_m + k * s->a_k;
        t.b = b_packed + col * s->k + k * PANEL;
        if (p->pack_b) tuff_tiles_add(&t);
        else add_straight(p, &t, b + at.b + k * s->b_k + col);
    }
}

// ---- few rows ------------------------------------------------------------------------------

// The rows of y are finished one number at a time: they are few.
static void put(const product *p, const tuff_finish *f, float *y, int64_t z, int64_t row,
                int64_t col, int64_t cols, const float *sum)
{
    const tuff_finish at = finish_at(p, f, z, row, col);
    y += z * p->y_step + row * p->y_m + col * p->y_n;
    for (int64_t j = 0; j < cols; j++) {
        float v = sum[j];
        if (at.residual) v += at.residual[j * p->y_n];
        v *= at.alpha;
        if (at.plus) v += at.beta * at.plus[j * at.plus_n];
        y[j * p->y_n] = tuff_act_host(v, at.act);
    }
}

// sum[j] += four rows of b, each by its number of a; `rows` of them, constant where inlined.
TUFF_EACH_PROCESSOR void add_rows(const float *a, int64_t a_k, const float *b, int64_t b_k,
                                  int64_t cols, const int rows, float *sum)
{
    float w[4];
    int64_t j = 0;
    for (int i = 0; i < rows; i++) w[i] = a[i * a_k];
    for (; j + PANEL <= cols; j += PANEL) {
        vec s, x;
        memcpy(&s, sum + j, sizeof s);
        for (int i = 0; i < rows; i++) {
            memcpy(&x, b + i * b_k + j, sizeof x);
            s += w[i] * x;
        }
        memcpy(sum + j, &s, sizeof s);
    }
    for (; j < cols; j++)
        for (int i = 0; i < rows; i++) sum[j] += w[i] * b[i * b_k + j];
}

// Columns of up to WIDE, for all rows of a; parts of the sum are added up in `sum`.
TUFF_EACH_PROCESSOR void wide(const tuff_matmul_shape *s, const float *a, const float *b,
                              int64_t cols, float (*part)[WIDE], float (*sum)[WIDE])
{
    for (int64_t r = 0; r < s->m; r++) memset(sum[r], 0, (size_t)cols * sizeof(float));
    for (int64_t k0 = 0; k0 < s->k; k0 += DEEP) {
        const int64_t end = s->k - k0 < DEEP ? s->k : k0 + DEEP;
        for (int64_t r = 0; r < s->m; r++) memset(part[r], 0, (size_t)cols * sizeof(float));
        int64_t k = k0;
        for (; k + 4 <= end; k += 4)
            for (int64_t r = 0; r < s->m; r++)
                add_rows(a + r * s->a_m + k * s->a_k, s->a_k, b + k * s->b_k, s->b_k, cols, 4,
                         part[r]);
        for (; k < end; k++)
            for (int64_t r = 0; r < s->m; r++)
                add_rows(a + r * s->a_m + k * s->a_k, s->a_k, b + k * s->b_k, s->b_k, cols, 1,
                         part[r]);
        for (int64_t r = 0; r < s->m; r++)
            for (int64_t j = 0; j < cols; j++) sum[r][j] += part[r][j];
    }
}
TUFF_FOR_PROCESSORS(wide,
                    (const tuff_matmul_shape *s, const float *a, const float *b, int64_t cols,
                     float (*part)[WIDE], float (*sum)[WIDE]),
                    (s, a, b, cols, part, sum))

static void run_wide(const product *p, const float *a, const float *b, float *y,
                     const tuff_finish *f, int64_t i)
{
    float part[FEW][WIDE], sum[FEW][WIDE];
    const int64_t across = (p->s.n + WIDE - 1) / WIDE, z = i / across, col = i % across * WIDE;
    const int64_t cols = p->s.n - col < WIDE ? p->s.n - col : WIDE;
    const place at = place_of(&p->s, z);
    wide_best()(&p->s, a + at.a, b + at.b + col, cols, part, sum);
    for (int64_t r = 0; r < p->s.m; r++) put(p, f, y, z, r, col, cols, sum[r]);
}

// The sums of a row and `cols` columns, constant where inlined, over `depth` numbers of each.
TUFF_EACH_PROCESSOR void dot_part(const float *a, const float *b, int64_t b_n, int64_t depth,
                                  const int cols, vec sum[DOTS])
{
    vec part[DOTS];
    int64_t k = 0;
    for (int j = 0; j < cols; j++) part[j] = (vec){ 0 };
    for (; k < depth; k += PANEL) {
        vec x = { 0 }, y = { 0 };
        const size_t n = (size_t)(depth - k < PANEL ? depth - k : PANEL) * sizeof(float);
        if (n == sizeof x) memcpy(&x, a + k, sizeof x);
        else memcpy(&x, a + k, n);
        for (int j = 0; j < cols; j++) {
            if (n == sizeof y) memcpy(&y, b + j * b_n + k, sizeof y);
            else memcpy(&y, b + j * b_n + k, n);
            part[j] += x * y;
        }
    }
    for (int j = 0; j < cols; j++) sum[j] += part[j];
}

// The numbers of a row that lie a_k apart are brought together for one column, as a vector is.
TUFF_EACH_PROCESSOR void dots(const tuff_matmul_shape *s, const float *a, const float *b,
                              int64_t cols, float (*out)[DOTS])
{
    vec sum[FEW][DOTS] = { 0 };
    for (int64_t k = 0; k < s->k; k += DEEP) {
        const int64_t depth = s->k - k < DEEP ? s->k - k : DEEP;
        for (int64_t r = 0; r < s->m; r++) {
            float near[DEEP];
            const float *row = a + r * s->a_m + k * s->a_k;
            if (s->a_k != 1) {
                for (int64_t i = 0; i < depth; i++) near[i] = row[i * s->a_k];
                row = near;
            }
            if (cols == DOTS) dot_part(row, b + k, s->b_n, depth, DOTS, sum[r]);
            else
                for (int64_t j = 0; j < cols; j++)
                    dot_part(row, b + j * s->b_n + k, 0, depth, 1, &sum[r][j]);
        }
    }
    for (int64_t r = 0; r < s->m; r++)
        for (int64_t j = 0; j < cols; j++) {
            float v = 0;
            for (int i = 0; i < PANEL; i++) v += sum[r][j][i];
            out[r][j] = v;
        }
}
TUFF_FOR_PROCESSORS(dots,
                    (const tuff_matmul_shape *s, const float *a, const float *b, int64_t cols,
                     float (*out)[DOTS]),
                    (s, a, b, cols, out))

static void run_dots(const product *p, const float *a, const float *b, float *y,
                     const tuff_finish *f, int64_t i)
{
    float sum[FEW][DOTS];
    const int64_t across = (p->s.n + DOTS - 1) / DOTS, z = i / across, col = i % across * DOTS;
    const int64_t cols = p->s.n - col < DOTS ? p->s.n - col : DOTS;
    const place at = place_of(&p->s, z);
    dots_best()(&p->s, a + at.a, b + at.b + col * p->s.b_n, cols, sum);
    for (int64_t r = 0; r < p->s.m; r++) put(p, f, y, z, r, col, cols, sum[r]);
}

// ---- what an op's record calls -------------------------------------------------------------

// Items of the stage that computes y.
static int64_t items(const product *p)
{
    int64_t across;
    if (p->kind == TILES) return block_count(p, &across);
    const int64_t step = p->kind == WIDE_ROWS ? WIDE : DOTS;
    return (p->s.n + step - 1) / step * p->s.batches;
}

size_t tuff_matmul_host_units(const tuff_matmul_shape *s, int stage)
{
    product p;
    product_of(s, &p);
    const int64_t first = packs(&p);
    if (first && stage == 0) return tuff_host_share(first, 16.0 * (double)(first * s->k) * 8);
    if (stage > (first > 0)) return 0;
    return tuff_host_share(items(&p), p.kind == TILES ? flops_of(s) : 8 * flops_of(s));
}

size_t tuff_matmul_host_scratch(const tuff_matmul_shape *s)
{
    product p;
    product_of(s, &p);
    return (size_t)(a_floats(&p) + b_floats(&p)) * sizeof(float);
}

void tuff_matmul_host_run(const tuff_ref *r, const tuff_matmul_shape *s, const tuff_finish *f)
{
    product p;
    product_of(s, &p);
    const bool packing = packs(&p) && r->stage == 0;
    const int64_t n = packing ? packs(&p) : items(&p);
    const size_t units = tuff_matmul_host_units(s, r->stage);
    const float *a = r->in[p.s.a], *b = r->in[p.s.b];
    const int64_t end = tuff_host_item(n, units, r->end);
    for (int64_t i = tuff_host_item(n, units, r->begin); i < end; i++) {
        if (packing) pack(&p, a, b, i, r->scratch);
        else if (p.kind == TILES) run_block(&p, a, b, r->scratch, r->out[0], f, i);
        else if (p.kind == WIDE_ROWS) run_wide(&p, a, b, r->out[0], f, i);
        else run_dots(&p, a, b, r->out[0], f, i);
    }
}
