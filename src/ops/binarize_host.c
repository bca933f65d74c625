// Signs packed into words on the CPU path: a row of numbers 32 at a time, or 16 rows side by
// side, one number of each after the other.
#include "base/processor.h"
#include "ops/binarize.h"
#include "ops/product_host.h"
#include <string.h>

static int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

enum { LANES = 16 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef double wide __attribute__((vector_size(LANES * sizeof(double))));

#define SIZE_OF(x) ((vec)((ints)(x) & 0x7fffffff)) // |x|

// A row: its words, and the sum of |x|.
TUFF_EACH_PROCESSOR void pack_row(const float *x, int64_t cols, uint32_t *y, double *sum)
{
    const ints bit = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
                       32768 };
    wide sums = { 0 };
    for (int64_t at = 0; at < cols; at += 2 * LANES) {
        float part[2 * LANES];
        const int64_t n = least(cols - at, 2 * LANES);
        for (int64_t i = 0; i < 2 * LANES; i++) part[i] = -0.0f;
        memcpy(part, x + at, (size_t)n * sizeof *part);
        vec low, high;
        memcpy(&low, part, sizeof low);
        memcpy(&high, part + LANES, sizeof high);
        const ints set = (~(low < 0) & bit) | ((~(high < 0) & bit) << LANES);
        uint32_t w = 0;
        for (int i = 0; i < LANES; i++) w |= (uint32_t)set[i];
        y[at / 32] = n < 32 ? w & ((1u << n) - 1) : w;
        sums += __builtin_convertvector(SIZE_OF(low) + SIZE_OF(high), wide);
    }
    *sum = 0;
    for (int i = 0; i < LANES; i++) *sum += sums[i];
}

// 16 rows side by side, `step` numbers from one column to the next.
TUFF_EACH_PROCESSOR void pack_lanes(const float *x, int64_t step, int64_t rows, int64_t cols,
                                    uint32_t *y, double *sum)
{
    const int64_t words = parts(cols, 32);
    wide sums = { 0 };
    ints set = { 0 };
    for (int64_t c = 0; c < cols; c++) {
        float part[LANES] = { 0 };
        vec v;
        memcpy(part, x + c * step, (size_t)rows * sizeof *part);
        memcpy(&v, part, sizeof v);
        set |= ~(v < 0) & (int32_t)(1u << c % 32);
        sums += __builtin_convertvector(SIZE_OF(v), wide);
        if (c % 32 != 31 && c + 1 < cols) continue;
        for (int64_t i = 0; i < rows; i++) y[i * words + c / 32] = (uint32_t)set[i];
        set = (ints){ 0 };
    }
    for (int64_t i = 0; i < rows; i++) sum[i] = sums[i];
}

// Up to 16 rows that lie side by side.
TUFF_EACH_PROCESSOR void pack(const float *x, int64_t step, int64_t rows, int64_t cols,
                              uint32_t *y, double *sum)
{
    if (step > 1) pack_lanes(x, step, rows, cols, y, sum);
    else
        for (int64_t i = 0; i < rows; i++)
            pack_row(x + i * cols, cols, y + i * parts(cols, 32), &sum[i]);
}
TUFF_FOR_PROCESSORS(pack, (const float *x, int64_t step, int64_t rows, int64_t cols,
                           uint32_t *y, double *sum), (x, step, rows, cols, y, sum))

static tuff_axis packed_axis(const tuff_call *c)
{
    const tuff_binarize_params *p = c->params;
    return tuff_axis_of(&c->in[0], p->axis);
}

// Rows with neighbours: `step` of them lie side by side.
static int64_t pack_items(const tuff_axis *a)
{
    const int64_t rows = (int64_t)a->rows, step = (int64_t)a->step;
    return step > 1 ? rows / step * parts(step, LANES) : parts(rows, LANES);
}

bool tuff_xnor_pack_takes(const tuff_call *c)
{
    const tuff_binarize_params *p = c->params;
    return p->keep == 0;
}

size_t tuff_xnor_pack_units(const tuff_call *c, int stage)
{
    const tuff_axis a = packed_axis(c);
    return stage ? 0 : tuff_host_share(pack_items(&a), (double)a.rows * (double)a.cols * 8);
}

void tuff_xnor_pack_host(const tuff_ref *r)
{
    const tuff_axis a = packed_axis(r->call);
    const int64_t items = pack_items(&a), step = (int64_t)a.step, cols = (int64_t)a.cols;
    const int64_t side = step > 1 ? step : (int64_t)a.rows, each = parts(side, LANES);
    const size_t units = tuff_xnor_pack_units(r->call, 0);
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++) {
        const int64_t row = i / each * side + i % each * LANES;
        const int64_t rows = least(side - i % each * LANES, LANES);
        double sum[LANES];
        pack_best()(r->in[0] + tuff_axis_base(a, (size_t)row), step, rows, cols,
                    (uint32_t *)(void *)r->out[0] + row * parts(cols, 32), sum);
        for (int64_t k = 0; k < rows; k++)
            r->out[1][row + k] = (float)(sum[k] / (double)cols);
    }
}
