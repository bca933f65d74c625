// Pooling of images on the CPU path. A row of y is made in two steps: the rows that its windows
// cover become one (down), and in that one the columns do (across).
//
//   x  . . . . .            row, with what lies in the padding left out of the extremes and 0
//      . . . . .  down      in sums
//      . . . . .  ----->  . . . . .  ----->  y  . .
//                                    across
#include "ops/host.h"
#include "ops/host_math.h"
#include "ops/pool.h"

enum {
    ROW = 1024,        // columns of x, padding included, that are gone through at once
    LANES = TUFF_LANES // numbers of a step of the usual kernels
};

TUFF_INLINE float more_of(float a, float b) { return ((b > a) | (b != b)) ? b : a; }

// ---- down ----------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void most_of_rows(const tuff_pool2d *g, const float *x, int64_t top,
                                      int64_t bottom, int64_t cols, float *row)
{
    for (int64_t i = top; i < bottom; i++) {
        const float *from = x + i * g->w;
        for (int64_t j = 0; j < cols; j++) {
            const float v = from[j], best = row[j];
            row[j] = ((v > best) | (v != v)) ? v : best;
        }
    }
}

TUFF_EACH_PROCESSOR void sum_of_rows(const tuff_pool2d *g, const float *x, int64_t top,
                                     int64_t bottom, int64_t cols, double *row)
{
    for (int64_t i = top; i < bottom; i++) {
        const float *from = x + i * g->w;
        for (int64_t j = 0; j < cols; j++) row[j] += (double)from[j];
    }
}

// ---- across --------------------------------------------------------------------------------

TUFF_EACH_PROCESSOR void most_across(const float *row, int kernel, int stride, int64_t n,
                                     float *y)
{
    for (int64_t j = 0; j < n; j++) y[j] = row[j * stride];
    for (int k = 1; k < kernel; k++)
        for (int64_t j = 0; j < n; j++) {
            const float v = row[j * stride + k], best = y[j];
            y[j] = ((v > best) | (v != v)) ? v : best;
        }
}

TUFF_EACH_PROCESSOR void sum_across(const double *row, int kernel, int stride, int64_t n,
                                    double *sum)
{
    for (int64_t j = 0; j < n; j++) sum[j] = row[j * stride];
    for (int k = 1; k < kernel; k++)
        for (int64_t j = 0; j < n; j++) sum[j] += row[j * stride + k];
}

// ---- windows of 3 x 3, two apart -----------------------------------------------------------

// Where a step over n numbers, at least LANES of them, begins: the last one ends with them.
static inline int64_t step_of(int64_t j, int64_t n) { return j + LANES < n ? j : n - LANES; }

// row[j] of rows a, b and c, which may be one another.
TUFF_EACH_PROCESSOR void most_of_three(const float *a, const float *b, const float *c,
                                       int64_t cols, float *row)
{
    for (int64_t j = 0; j < cols; j += LANES) {
        const int64_t at = step_of(j, cols);
        float x0[LANES], x1[LANES], x2[LANES], most[LANES];
        memcpy(x0, a + at, sizeof x0);
        memcpy(x1, b + at, sizeof x1);
        memcpy(x2, c + at, sizeof x2);
        TUFF_EACH(k, LANES, const float v0 = x0[k]; const float v1 = x1[k];
                  const float v2 = x2[k]; const float v = more_of(v0, v1);
                  most[k] = more_of(v, v2))
        memcpy(row + at, most, sizeof most);
    }
}

// Of `row` there are 2 LANES + 2 numbers at least.
TUFF_EACH_PROCESSOR void three_across(const float *row, int64_t n, float *y)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t at = n < LANES ? 0 : step_of(j, n);
        float x0[2 * LANES], x2[2 * LANES], most[LANES];
        memcpy(x0, row + 2 * at, sizeof x0);
        memcpy(x2, row + 2 * at + 2, sizeof x2);
        TUFF_EACH(k, LANES, const float v0 = x0[2 * k]; const float v1 = x0[2 * k + 1];
                  const float v2 = x2[2 * k]; const float v = more_of(v0, v1);
                  most[k] = more_of(v, v2))
        if (n < LANES) memcpy(y, most, (size_t)n * sizeof *y);
        else memcpy(y + at, most, sizeof most);
    }
}

// Windows col .. col + n of a row of y; rows top .. bottom of x are theirs.
typedef struct part {
    int64_t top, bottom, col, n;
    int64_t left, right; // columns of x, beside which there is padding
    int64_t first;       // of the row: may lie left of them
} part;

TUFF_EACH_PROCESSOR void most_of_part(const tuff_pool2d *g, const part *p, const float *x,
                                      float *y)
{
    float row[ROW + 2];
    const int64_t all = (p->n - 1) * g->stride[1] + g->kernel[1], cols = p->right - p->left;
    const bool threes = g->kernel[0] == 3 && g->kernel[1] == 3 && g->stride[1] == 2 &&
                        cols >= LANES;
    if (threes) {
        const int64_t left = p->left - p->first;
        const float *a = x + p->top * g->w + p->left, *c = x + (p->bottom - 1) * g->w + p->left;
        const int64_t end = all + 1 > 2 * LANES + 2 ? all + 1 : 2 * LANES + 2;
        for (int64_t j = 0; j < left; j++) row[j] = -INFINITY;
        for (int64_t j = left + cols; j < end; j++) row[j] = -INFINITY;
        most_of_three(a, p->bottom - p->top > 1 ? a + g->w : a, c, cols, row + left);
        three_across(row, p->n, y);
        return;
    }
    for (int64_t j = 0; j < all; j++) row[j] = -INFINITY;
    most_of_rows(g, x + p->left, p->top, p->bottom, cols, row + (p->left - p->first));
    switch (g->stride[1]) {
    case 1: most_across(row, g->kernel[1], 1, p->n, y); break;
    case 2: most_across(row, g->kernel[1], 2, p->n, y); break;
    default: most_across(row, g->kernel[1], g->stride[1], p->n, y); break;
    }
}

TUFF_EACH_PROCESSOR void mean_of_part(const tuff_pool2d *g, const part *p, const float *x,
                                      float *y)
{
    double row[ROW], sum[ROW];
    const int64_t all = (p->n - 1) * g->stride[1] + g->kernel[1];
    memset(row, 0, (size_t)all * sizeof *row);
    sum_of_rows(g, x + p->left, p->top, p->bottom, p->right - p->left,
                row + (p->left - p->first));
    switch (g->stride[1]) {
    case 1: sum_across(row, g->kernel[1], 1, p->n, sum); break;
    case 2: sum_across(row, g->kernel[1], 2, p->n, sum); break;
    default: sum_across(row, g->kernel[1], g->stride[1], p->n, sum); break;
    }
    const int whole = g->kernel[0] * g->kernel[1], rows = (int)(p->bottom - p->top);
    for (int64_t j = 0; j < p->n; j++) {
        const int from = (int)((p->col + j) * g->stride[1] - g->left);
        const int end = from + g->kernel[1], last = (int)g->w;
        const int cols = (end < last ? end : last) - (from > 0 ? from : 0);
        y[j] = (float)(sum[j] / (double)(g->include_pad ? whole : rows * cols));
    }
}

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// Row i of a plane of y, windows `col` and on, as many as `room` columns of x serve.
static part part_of(const tuff_pool2d *g, int64_t i, int64_t col)
{
    part p = { .top = i * g->stride[0] - g->top, .col = col,
               .first = col * g->stride[1] - g->left };
    p.n = at_most((ROW - g->kernel[1]) / g->stride[1] + 1, g->ow - col);
    p.bottom = at_most(p.top + g->kernel[0], g->h);
    p.right = at_most(p.first + (p.n - 1) * g->stride[1] + g->kernel[1], g->w);
    if (p.top < 0) p.top = 0;
    p.left = p.first > 0 ? p.first : 0;
    if (p.right < p.left) p.right = p.left;
    return p;
}

TUFF_EACH_PROCESSOR void pool_plane(const tuff_pool2d *g, bool mean, const float *x, float *y)
{
    for (int64_t i = 0; i < g->oh; i++, y += g->ow) {
        part p = part_of(g, i, 0);
        for (;;) {
            if (mean) mean_of_part(g, &p, x, y + p.col);
            else most_of_part(g, &p, x, y + p.col);
            if (p.col + p.n == g->ow) break;
            p = part_of(g, i, p.col + p.n);
        }
    }
}
TUFF_FOR_PROCESSORS(pool_plane, (const tuff_pool2d *g, bool mean, const float *x, float *y),
                    (g, mean, x, y))

// Every window must have a cell of x, and fit a row.
bool tuff_pool2d_host_takes(const tuff_pool2d *g, const tuff_desc *x)
{
    const int64_t last_row = (g->oh - 1) * g->stride[0] - g->top;
    const int64_t last_col = (g->ow - 1) * g->stride[1] - g->left;
    return x->dtype == TUFF_F32 && g->kernel[1] <= ROW / 2 && g->top < g->kernel[0] &&
           g->left < g->kernel[1] && last_row < g->h && last_col < g->w;
}

// ---- windows of 2 x 2 side by side, the usual case -----------------------------------------

enum { FOURS = 64 }; // windows at once: rows are short, and so are filled up to whole lanes

static bool is_fours(const tuff_pool2d *g)
{
    return g->kernel[0] == 2 && g->kernel[1] == 2 && g->stride[0] == 2 && g->stride[1] == 2 &&
           g->h == 2 * g->oh && g->w == 2 * g->ow;
}

TUFF_INLINE uint32_t all_if(int condition) { return condition ? ~0u : 0; }

// n windows of rows a and b. (All is loaded before anything is chosen, or gcc makes branches.)
TUFF_INLINE void most_of_fours(const float *a, const float *b, size_t n, float *y)
{
    float x0[2 * FOURS], x1[2 * FOURS], most[FOURS];
    memcpy(x0, a, 2 * n * sizeof *x0);
    memcpy(x1, b, 2 * n * sizeof *x1);
    TUFF_EACH(j, n, const float v0 = x0[2 * j]; const float v1 = x0[2 * j + 1];
              const float v2 = x1[2 * j]; const float v3 = x1[2 * j + 1];
              float v = more_of(v0, v1); v = more_of(v, v2); most[j] = more_of(v, v3))
    memcpy(y, most, n * sizeof *y);
}

// dy to the first of the largest.
TUFF_INLINE void give_to_fours(const float *a, const float *b, const float *dy, size_t n,
                               float *da, float *db)
{
    float x0[2 * FOURS], x1[2 * FOURS], dx0[2 * FOURS], dx1[2 * FOURS], d[FOURS];
    memcpy(x0, a, 2 * n * sizeof *x0);
    memcpy(x1, b, 2 * n * sizeof *x1);
    memcpy(d, dy, n * sizeof *d);
    TUFF_EACH(j, n, const float v0 = x0[2 * j]; const float v1 = x0[2 * j + 1];
              const float v2 = x1[2 * j]; const float v3 = x1[2 * j + 1];
              const uint32_t g = tuff_bits(d[j]);
              const float top = more_of(v0, v1); const float below = more_of(v2, v3);
              const uint32_t right = all_if((v1 > v0) | (v1 != v1));
              const uint32_t low_right = all_if((v3 > v2) | (v3 != v3));
              const uint32_t down = all_if((below > top) | (below != below));
              dx0[2 * j] = tuff_float(g & ~down & ~right);
              dx0[2 * j + 1] = tuff_float(g & ~down & right);
              dx1[2 * j] = tuff_float(g & down & ~low_right);
              dx1[2 * j + 1] = tuff_float(g & down & low_right))
    memcpy(da, dx0, 2 * n * sizeof *dx0);
    memcpy(db, dx1, 2 * n * sizeof *dx1);
}

// A plane: y of x, or where dy is given dx.
TUFF_EACH_PROCESSOR void fours(const tuff_pool2d *g, const float *x, const float *dy, float *to)
{
    for (int64_t i = 0; i < g->oh; i++)
        for (int64_t j = 0; j < g->ow; j += FOURS) {
            const float *a = x + 2 * i * g->w + 2 * j;
            const size_t n = (size_t)at_most(FOURS, g->ow - j);
            float *dx = to + 2 * i * g->w + 2 * j;
            if (dy) give_to_fours(a, a + g->w, dy + i * g->ow + j, n, dx, dx + g->w);
            else most_of_fours(a, a + g->w, n, to + i * g->ow + j);
        }
}
TUFF_FOR_PROCESSORS(fours, (const tuff_pool2d *g, const float *x, const float *dy, float *to),
                    (g, x, dy, to))

void tuff_pool2d_host(const tuff_ref *r, const tuff_pool2d *g, bool mean)
{
    const size_t cells = (size_t)(g->h * g->w), windows = (size_t)(g->oh * g->ow);
    const bool usual = !mean && is_fours(g);
    pool_plane_fn *plane = pool_plane_best();
    fours_fn *four = fours_best();
    for (size_t i = r->begin; i < r->end; i++) {
        const float *x = r->in[0] + i * cells;
        float *y = r->out[0] + i * windows;
        if (usual) four(g, x, NULL, y);
        else plane(g, mean, x, y);
    }
}

// ---- gradients -----------------------------------------------------------------------------

static void give_to_first(const tuff_pool2d *g, const float *x, const float *dy, float *dx)
{
    for (int64_t i = 0; i < g->oh; i++)
        for (int64_t j = 0; j < g->ow; j++) {
            const part p = { .top = i * g->stride[0] - g->top,
                             .left = j * g->stride[1] - g->left };
            const int64_t bottom = at_most(p.top + g->kernel[0], g->h);
            const int64_t right = at_most(p.left + g->kernel[1], g->w);
            const int64_t top = p.top > 0 ? p.top : 0, left = p.left > 0 ? p.left : 0;
            int64_t at = top * g->w + left;
            float best = x[at];
            for (int64_t a = top; a < bottom; a++)
                for (int64_t b = a * g->w + left; b < a * g->w + right; b++) {
                    const bool more = (x[b] > best) | (x[b] != x[b]);
                    best = more ? x[b] : best;
                    at = more ? b : at;
                }
            dx[at] += dy[i * g->ow + j];
        }
}

void tuff_pool2d_max_grad_host(const tuff_ref *r, const tuff_pool2d *g)
{
    const size_t cells = (size_t)(g->h * g->w), windows = (size_t)(g->oh * g->ow);
    const bool usual = is_fours(g);
    fours_fn *give = fours_best();
    for (size_t i = r->begin; i < r->end; i++) {
        const float *x = r->in[0] + i * cells, *dy = r->in[1] + i * windows;
        float *dx = r->out[0] + i * cells;
        if (usual) {
            give(g, x, dy, dx);
            continue;
        }
        memset(dx, 0, cells * sizeof *dx);
        give_to_first(g, x, dy, dx);
    }
}

// The share of each of a row's windows, and then to each of their columns.
static void share_plane(const tuff_pool2d *g, const float *dy, float *dx)
{
    for (int64_t i = 0; i < g->oh; i++)
        for (int64_t j = 0; j < g->ow; j++) {
            int64_t top = i * g->stride[0] - g->top, left = j * g->stride[1] - g->left;
            const int64_t bottom = at_most(top + g->kernel[0], g->h);
            const int64_t right = at_most(left + g->kernel[1], g->w);
            if (top < 0) top = 0;
            if (left < 0) left = 0;
            const int64_t whole = (int64_t)g->kernel[0] * g->kernel[1];
            const int64_t n = g->include_pad ? whole : (bottom - top) * (right - left);
            const float share = dy[i * g->ow + j] / (float)n;
            for (int64_t a = top; a < bottom; a++)
                for (int64_t b = left; b < right; b++) dx[a * g->w + b] += share;
        }
}

// Sums of few numbers in f32.
bool tuff_pool2d_mean_grad_host_takes(const tuff_pool2d *g, const tuff_desc *x)
{
    const double windows = (double)g->kernel[0] * g->kernel[1] /
                           ((double)g->stride[0] * g->stride[1]);
    return tuff_pool2d_host_takes(g, x) && windows <= 64;
}

void tuff_pool2d_mean_grad_host(const tuff_ref *r, const tuff_pool2d *g)
{
    const size_t cells = (size_t)(g->h * g->w), windows = (size_t)(g->oh * g->ow);
    for (size_t i = r->begin; i < r->end; i++) {
        memset(r->out[0] + i * cells, 0, cells * sizeof(float));
        share_plane(g, r->in[0] + i * windows, r->out[0] + i * cells);
    }
}
