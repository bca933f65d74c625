// The fast product of the CPU path, in f32: four to twelve vectors of sums in registers, and
// the columns of b that they need packed side by side.
//
//              COLS columns, K_PART deep: a panel, packed once for BLOCK rows
//            +--+
//            |  | K_PART       A step reads one row of the panel and one number of each of
//            |  |              ROWS rows of a, and adds their products to ROWS x COLS sums.
//   K_PART   +--+              What a panel of K_PART gives is added to the sums of the panels
//  +------+  +--+              before it, which bounds the error of an f32 sum as the GPU's
//  |      |  |  | ROWS         kernels do.
//  +------+  +--+
//
// The order of adding depends on nothing but k, so that any cut between threads gives the same
// bits. The same code is built for several instruction sets, and the best one of this
// processor is taken.
#include "base/processor.h"
#include "ops/matmul.h"
#include <math.h>
#include <string.h>

enum {
    COLS = 16,
    ROWS = 6,     // with COLS of 16: twelve registers of eight floats, of the sixteen there are
    BLOCK = 96,   // rows that a panel serves
    K_PART = 512, // 32 KiB of a panel
    FEWEST = 4,   // rows of a worth packing b for,
    FEWEST_TURNED = 24 // and where its columns lie apart, which the reference likes
};

typedef float vec __attribute__((vector_size(COLS * sizeof(float))));

// Columns col .. col + COLS of rows k .. k + depth of b; zeros past its last column.
static void pack(const tuff_matmul_shape *s, const float *b, int64_t k, int64_t depth,
                 int64_t col, float *panel)
{
    const int64_t cols = s->n - col < COLS ? s->n - col : COLS;
    const float *from = b + k * s->b_k + col * s->b_n;
    if (cols < COLS) memset(panel, 0, (size_t)depth * COLS * sizeof *panel);
    if (s->b_n == 1) {
        for (int64_t i = 0; i < depth; i++)
            memcpy(panel + i * COLS, from + i * s->b_k, (size_t)cols * sizeof *panel);
        return;
    }
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < depth; i++)
            panel[i * COLS + j] = from[i * s->b_k + j * s->b_n];
}

// sum[r] += a panel's part of row r, for `rows` rows: a constant where this is inlined.
TUFF_EACH_PROCESSOR void
add_rows(const float *a, int64_t a_m, int64_t a_k, const float *panel, int64_t depth, int rows,
         vec *sum)
{
    vec part[ROWS];
    for (int r = 0; r < rows; r++) part[r] = (vec){ 0 };
    for (int64_t i = 0; i < depth; i++) {
        vec b;
        memcpy(&b, panel + i * COLS, sizeof b);
        for (int r = 0; r < rows; r++) part[r] += a[r * a_m + i * a_k] * b;
    }
    for (int r = 0; r < rows; r++) sum[r] += part[r];
}

TUFF_EACH_PROCESSOR void add_block(const float *a, int64_t a_m, int64_t a_k, const float *panel,
                                   int64_t depth, int64_t rows, vec *sum)
{
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_m, sum += ROWS)
        add_rows(a, a_m, a_k, panel, depth, ROWS, sum);
    for (; rows > 0; rows--, a += a_m, sum++) add_rows(a, a_m, a_k, panel, depth, 1, sum);
}
TUFF_FOR_PROCESSORS(add_block,
                    (const float *a, int64_t a_m, int64_t a_k, const float *panel,
                     int64_t depth, int64_t rows, vec *sum),
                    (a, a_m, a_k, panel, depth, rows, sum))

static float activated(float x, int act)
{
    switch (act) {
    case TUFF_ACT_RELU: return x <= 0 ? 0 : x;
    case TUFF_ACT_SIGMOID: return 1 / (1 + expf(-x));
    case TUFF_ACT_TANH: return tanhf(x);
    default: return x;
    }
}

// What follows the sums of one row, which begins at element `at` of y.
static void finish(const tuff_ref *r, const tuff_matmul_host *h, int64_t at, int64_t col,
                   int64_t cols, const vec *sum)
{
    float v[COLS];
    memcpy(v, sum, sizeof v);
    const float *bias = h->bias < 0 ? NULL : r->in[h->bias];
    const float *residual = h->residual < 0 ? NULL : r->in[h->residual];
    float *y = r->out[0] + at + col;
    for (int64_t j = 0; j < cols; j++) {
        float x = v[j];
        if (bias) x += bias[col + j];
        if (residual) x += residual[at + col + j];
        y[j] = activated(x, h->act);
    }
}

// Rows row .. row + rows of one product.
static void run_block(const tuff_ref *r, const tuff_matmul_host *h, const float *a,
                      const float *b, int64_t at, int64_t rows, add_block_fn *block)
{
    const tuff_matmul_shape *s = &h->shape;
    vec sum[BLOCK];
    float panel[K_PART * COLS] __attribute__((aligned(64)));
    for (int64_t col = 0; col < s->n; col += COLS) {
        const int64_t cols = s->n - col < COLS ? s->n - col : COLS;
        memset(sum, 0, sizeof sum);
        for (int64_t k = 0; k < s->k; k += K_PART) {
            const int64_t depth = s->k - k < K_PART ? s->k - k : K_PART;
            pack(s, b, k, depth, col, panel);
            block(a + k * s->a_k, s->a_m, s->a_k, panel, depth, rows, sum);
        }
        for (int64_t i = 0; i < rows; i++) finish(r, h, at + i * s->n, col, cols, &sum[i]);
    }
}

bool tuff_matmul_host_takes(const tuff_matmul_shape *s)
{
    return s->m >= (s->b_n == 1 ? FEWEST : FEWEST_TURNED);
}

void tuff_matmul_host_run(const tuff_ref *r, const tuff_matmul_host *h)
{
    const tuff_matmul_shape *s = &h->shape;
    add_block_fn *block = add_block_best();
    for (size_t unit = r->begin; unit < r->end;) {
        const int64_t row = (int64_t)unit % s->m;
        int64_t rows = s->m - row < BLOCK ? s->m - row : BLOCK;
        if (rows > (int64_t)(r->end - unit)) rows = (int64_t)(r->end - unit);
        const float *a = r->in[s->a], *b = r->in[s->b];
        for (int64_t i = 0, z = (int64_t)unit / s->m; i < s->dims; z /= s->dim[i++]) {
            a += z % s->dim[i] * s->a_step[i];
            b += z % s->dim[i] * s->b_step[i];
        }
        run_block(r, h, a + row * s->a_m, b, (int64_t)unit * s->n, rows, block);
        unit += (size_t)rows;
    }
}
