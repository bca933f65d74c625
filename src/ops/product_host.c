// The innermost loops of products on the CPU path. The same code is built for several
// instruction sets, and the best one of this processor is taken.
#include "ops/product_host.h"
#include "base/processor.h"
#include <math.h>
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    ROWS = TUFF_PANEL_ROWS,
    AHEAD = 1024 // of packed rows, which are read once: what memory is asked for early
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));
typedef float half __attribute__((vector_size(PANEL / 2 * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(PANEL * sizeof(int32_t))));
typedef float four __attribute__((vector_size(16)));

float tuff_act_host(float x, int act)
{
    switch (act) {
    case TUFF_ACT_RELU: return x <= 0 ? 0 : x;
    case TUFF_ACT_SIGMOID: return 1 / (1 + expf(-x));
    case TUFF_ACT_TANH: return tanhf(x);
    default: return x;
    }
}

size_t tuff_host_share(int64_t items, double flops)
{
    const double most = flops / 1e6 + 1;
    return most < (double)items ? (size_t)most : (size_t)items;
}

// ---- the sums ----------------------------------------------------------------------------

// The products of `rows` rows and of one or two panels; both constants where this is inlined.
TUFF_EACH_PROCESSOR void sum_tile(const tuff_tiles *t, const float *a, const float *b,
                                  const int rows, const int panels, vec sum[ROWS][2])
{
    const float *p = a, *q = a + 3 * t->a_m;
    const int64_t m = t->a_m, a_k = t->a_k, b_k = t->b_k, panel = t->b_panel;
    const int64_t ahead = t->a_m == 1 ? AHEAD : 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < panels; c++) sum[r][c] = (vec){ 0 };
    for (int64_t k = 0; k < t->depth; k++, p += a_k, q += a_k, b += b_k) {
        vec v[2];
        __builtin_prefetch(p + ahead);
        for (int c = 0; c < panels; c++) memcpy(&v[c], b + c * panel, sizeof v[c]);
        for (int r = 0; r < rows; r++) {
            const float w = r < 3 ? p[r * m] : q[(r - 3) * m];
            for (int c = 0; c < panels; c++) sum[r][c] += w * v[c];
        }
    }
}

// The same of the first half of a panel: what is left of y may be no more.
TUFF_EACH_PROCESSOR void sum_half(const tuff_tiles *t, const float *a, const float *b,
                                  const int rows, vec sum[ROWS][2])
{
    const float *p = a, *q = a + 3 * t->a_m;
    const int64_t m = t->a_m, a_k = t->a_k, b_k = t->b_k;
    half s[ROWS];
    for (int r = 0; r < rows; r++) s[r] = (half){ 0 };
    for (int64_t k = 0; k < t->depth; k++, p += a_k, q += a_k, b += b_k) {
        half v;
        memcpy(&v, b, sizeof v);
        for (int r = 0; r < rows; r++) s[r] += (r < 3 ? p[r * m] : q[(r - 3) * m]) * v;
    }
    for (int r = 0; r < rows; r++) {
        sum[r][0] = (vec){ 0 };
        memcpy(&sum[r][0], &s[r], sizeof s[r]);
    }
}

// ---- what follows them -------------------------------------------------------------------

// Vectors go by address: without AVX-512 they have no registers to be passed in.
TUFF_EACH_PROCESSOR void load(const float *from, const int64_t *at, int64_t step, int64_t n,
                              vec *v)
{
    *v = (vec){ 0 };
    if (!at && step == 1 && n == PANEL) memcpy(v, from, sizeof *v);
    else if (at) for (int64_t j = 0; j < n; j++) (*v)[j] = from[at[j]];
    else for (int64_t j = 0; j < n; j++) (*v)[j] = from[j * step];
}

TUFF_EACH_PROCESSOR void finish(const tuff_finish *f, int64_t row, int64_t col, int64_t n,
                                vec *v)
{
    if (f->alpha != 1) *v *= f->alpha;
    if (f->plus) {
        const float *from = f->plus + row * f->plus_m + col * f->plus_n;
        vec plus = (vec){ 0 } + *from;
        if (f->plus_n) load(from, NULL, f->plus_n, n, &plus);
        *v += f->beta * plus;
    }
    if (f->act == TUFF_ACT_RELU) *v = (vec)((mask)*v & ~(*v <= (vec){ 0 }));
    else if (f->act != TUFF_ACT_NONE)
        for (int64_t j = 0; j < n; j++) (*v)[j] = tuff_act_host((*v)[j], f->act);
}

// Adds the sums of up to 16 columns of one row to y.
TUFF_EACH_PROCESSOR void put(const tuff_tiles *t, int64_t row, int64_t col, const vec *sum)
{
    const int64_t n = t->cols - col < PANEL ? t->cols - col : PANEL;
    const int64_t *at = t->at ? t->at + col : NULL;
    const int64_t from = row * t->y_m + (at ? 0 : col);
    const tuff_finish *f = t->finish;
    float *y = t->y + from;
    vec v = *sum, before;
    if (!t->first || f->residual) {
        load(t->first ? f->residual + from : y, at, 1, n, &before);
        v += before;
    }
    if (t->last) finish(f, row, col, n, &v);
    if (!at && n == PANEL) memcpy(y, &v, sizeof v);
    else if (at) for (int64_t j = 0; j < n; j++) y[at[j]] = v[j];
    else for (int64_t j = 0; j < n; j++) y[j] = v[j];
}

// Whether sums of whole panels need nothing but what put_whole does with them.
static inline bool is_usual(const tuff_tiles *t)
{
    const tuff_finish *f = t->finish;
    return !t->at && (!t->last || (f->alpha == 1 && !(f->plus && f->plus_n) &&
                                   (f->act == TUFF_ACT_NONE || f->act == TUFF_ACT_RELU)));
}

// The same as `put` for all sums of a tile, which so stay in registers.
TUFF_EACH_PROCESSOR void put_whole(const tuff_tiles *t, int64_t row, int64_t col,
                                   const int rows, const int panels, vec sum[ROWS][2])
{
    const tuff_finish *f = t->finish;
    const float *before = t->first ? f->residual : t->y;
    const bool plus = t->last && f->plus, relu = t->last && f->act == TUFF_ACT_RELU;
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        const int64_t at = (row + r) * t->y_m + col;
        const float bias = plus ? f->beta * f->plus[(row + r) * f->plus_m] : 0;
#pragma GCC unroll 2
        for (int c = 0; c < panels; c++) {
            vec v = sum[r][c], more;
            if (before) {
                memcpy(&more, before + at + c * PANEL, sizeof more);
                v += more;
            }
            if (plus) v += bias;
            if (relu) v = (vec)((mask)v & ~(v <= (vec){ 0 }));
            memcpy(t->y + at + c * PANEL, &v, sizeof v);
        }
    }
}

// Rows row .. row + rows and the panels from column col on; 0: half a panel.
TUFF_EACH_PROCESSOR void add_tile(const tuff_tiles *t, int64_t row, int64_t col, const int rows,
                                  const int panels, bool usual)
{
    vec sum[ROWS][2];
    const float *a = t->a + row / ROWS * t->a_six, *b = t->b + col / PANEL * t->b_panel;
    if (panels) sum_tile(t, a, b, rows, panels, sum);
    else sum_half(t, a, b, rows, sum);
    if (panels && usual && col + panels * PANEL <= t->cols) {
        put_whole(t, row, col, rows, panels, sum);
        return;
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < (panels ? panels : 1); c++)
            put(t, row + r, col + c * PANEL, &sum[r][c]);
}

TUFF_EACH_PROCESSOR void add_rows(const tuff_tiles *t, int64_t row, int64_t col,
                                  const int panels, bool usual)
{
    switch (t->rows - row) {
    case 1: add_tile(t, row, col, 1, panels, usual); break;
    case 2: add_tile(t, row, col, 2, panels, usual); break;
    case 3: add_tile(t, row, col, 3, panels, usual); break;
    case 4: add_tile(t, row, col, 4, panels, usual); break;
    case 5: add_tile(t, row, col, 5, panels, usual); break;
    default: add_tile(t, row, col, ROWS, panels, usual);
    }
}

// `most`: panels at a time, which the registers of a processor have room for.
TUFF_EACH_PROCESSOR void add_block(const tuff_tiles *t, const int most)
{
    const bool usual = is_usual(t);
    for (int64_t col = 0; col < t->cols;) {
        const int64_t left = t->cols - col;
        const int panels = most == 2 && left > PANEL + PANEL / 2 ? 2 : left > PANEL / 2;
        for (int64_t row = 0; row < t->rows; row += ROWS) {
            if (most == 2 && panels == 2) add_rows(t, row, col, 2, usual);
            else if (panels) add_rows(t, row, col, 1, usual);
            else add_rows(t, row, col, 0, usual);
        }
        col += panels ? panels * PANEL : left;
    }
}

static void add_any(const tuff_tiles *t) { add_block(t, 1); }
TUFF_TARGET_AVX2 static void add_avx2(const tuff_tiles *t) { add_block(t, 1); }
TUFF_TARGET_AVX512 static void add_avx512(const tuff_tiles *t) { add_block(t, 2); }

void tuff_tiles_add(const tuff_tiles *t)
{
    switch (tuff_this_processor()) {
    case TUFF_PROCESSOR_AVX512: add_avx512(t); break;
    case TUFF_PROCESSOR_AVX2: add_avx2(t); break;
    default: add_any(t);
    }
}

// ---- packing -----------------------------------------------------------------------------

// to[j][i] = from[i][j] for 4 x 4 numbers.
static inline void turn(const float *from, int64_t from_step, float *to, int64_t to_step)
{
    four x[4];
    for (int i = 0; i < 4; i++) memcpy(&x[i], from + i * from_step, sizeof x[i]);
    const four a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
    const four b = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
    const four c = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
    const four d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    const four y[4] = { __builtin_shufflevector(a, c, 0, 1, 4, 5),
                        __builtin_shufflevector(a, c, 2, 3, 6, 7),
                        __builtin_shufflevector(b, d, 0, 1, 4, 5),
                        __builtin_shufflevector(b, d, 2, 3, 6, 7) };
    for (int i = 0; i < 4; i++) memcpy(to + i * to_step, &y[i], sizeof y[i]);
}

// Columns that are contiguous along k.
static void pack_turned(const float *from, int64_t b_n, int64_t depth, int64_t cols,
                        float *panel)
{
    int64_t k = 0, j;
    for (; k + 4 <= depth; k += 4) {
        for (j = 0; j + 4 <= cols; j += 4)
            turn(from + j * b_n + k, b_n, panel + k * PANEL + j, PANEL);
        for (; j < cols; j++)
            for (int i = 0; i < 4; i++) panel[(k + i) * PANEL + j] = from[j * b_n + k + i];
    }
    for (; k < depth; k++)
        for (j = 0; j < cols; j++) panel[k * PANEL + j] = from[j * b_n + k];
}

void tuff_panel_pack(const float *from, int64_t b_k, int64_t b_n, int64_t depth, int64_t cols,
                     float *panel)
{
    if (cols < PANEL) memset(panel, 0, (size_t)depth * PANEL * sizeof *panel);
    if (b_n == 1 && cols == PANEL)
        for (int64_t k = 0; k < depth; k++)
            memcpy(panel + k * PANEL, from + k * b_k, PANEL * sizeof *panel);
    else if (b_n == 1)
        for (int64_t k = 0; k < depth; k++)
            memcpy(panel + k * PANEL, from + k * b_k, (size_t)cols * sizeof *panel);
    else if (b_k == 1)
        pack_turned(from, b_n, depth, cols, panel);
    else
        for (int64_t k = 0; k < depth; k++)
            for (int64_t j = 0; j < cols; j++) panel[k * PANEL + j] = from[k * b_k + j * b_n];
}

void tuff_rows_pack(const float *from, int64_t a_m, int64_t a_k, int64_t depth, int64_t rows,
                    float *to)
{
    if (a_m == 1 && rows == ROWS)
        for (int64_t k = 0; k < depth; k++)
            memcpy(to + k * ROWS, from + k * a_k, ROWS * sizeof *to);
    else
        for (int64_t k = 0; k < depth; k++)
            for (int64_t r = 0; r < rows; r++) to[k * ROWS + r] = from[r * a_m + k * a_k];
}
