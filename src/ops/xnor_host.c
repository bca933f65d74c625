// Products of signs on the CPU path: 64 of them are one xor and one count of bits. Four rows of
// the left operand meet two of the right one in registers, so that six words are read for eight
// counts; one row alone meets four.
#include "base/processor.h"
#include "ops/binarize.h"
#include "ops/product_host.h"
#include <string.h>

enum { A, B, A_SCALE, B_SCALE }; // binary_conv2d: x, w
enum { ROWS = 4, COLS = 2, FEW_COLS = 4, SPAN = 64 }; // SPAN: columns of an item

static inline uint64_t word(const uint32_t *x)
{
    uint64_t w;
    memcpy(&w, x, sizeof w);
    return w;
}

// sum[r cols + j] += the bits in which row r of a and row j of b differ; rows and cols are
// constants where this is inlined.
TUFF_EACH_PROCESSOR void differ(const uint32_t *const a[], const uint32_t *const b[],
                                int64_t words, const int rows, const int cols, int64_t *sum)
{
    int64_t own[ROWS * COLS] = { 0 };
    int64_t i = 0;
    for (; i + 2 <= words; i += 2)
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < cols; j++)
                own[r * cols + j] += __builtin_popcountll(word(a[r] + i) ^ word(b[j] + i));
    for (int r = 0; i < words && r < rows; r++)
        for (int j = 0; j < cols; j++)
            own[r * cols + j] += __builtin_popcount(a[r][i] ^ b[j][i]);
    for (int k = 0; k < rows * cols; k++) sum[k] += own[k];
}

// Rows behind one another by so many words.
typedef struct rows_of {
    const uint32_t *first;
    int64_t step, count;
} rows_of;

// Runs of words whose bits are compared one after the other: of a matrix's row one, of a window
// one for each of its rows (or taps).
typedef struct runs {
    int64_t words, outer, inner; // words of a run; how many runs, two deep
    int64_t a_outer, a_inner, b_outer, b_inner;
} runs;

TUFF_EACH_PROCESSOR void tile(const rows_of *a, const rows_of *b, const runs *t,
                              const int rows, const int cols, int64_t *sum)
{
    const uint32_t *pa[ROWS], *pb[FEW_COLS];
    memset(sum, 0, ROWS * COLS * sizeof *sum);
    for (int64_t u = 0; u < t->outer; u++)
        for (int64_t v = 0; v < t->inner; v++) {
            // What is not there is one that is, and is not looked at.
            for (int r = 0; r < rows; r++)
                pa[r] = a->first + (r < a->count ? r : 0) * a->step + u * t->a_outer +
                        v * t->a_inner;
            for (int j = 0; j < cols; j++)
                pb[j] = b->first + (j < b->count ? j : 0) * b->step + u * t->b_outer +
                        v * t->b_inner;
            differ(pa, pb, t->words, rows, cols, sum);
        }
}

// sum[ROWS COLS]: of up to four rows of a and two of b, or of one and four, by rows.
TUFF_EACH_PROCESSOR void tiles(const rows_of *a, const rows_of *b, const runs *t, int64_t *sum)
{
    if (a->count > 1) tile(a, b, t, ROWS, COLS, sum);
    else tile(a, b, t, 1, FEW_COLS, sum);
}
TUFF_FOR_PROCESSORS(tiles, (const rows_of *a, const rows_of *b, const runs *t, int64_t *sum),
                    (a, b, t, sum))

static int columns(int64_t rows) { return rows > 1 ? COLS : FEW_COLS; }

// ---- matrices -----------------------------------------------------------------------------

static int64_t parts(int64_t n, int64_t each) { return (n + each - 1) / each; }

static int64_t matmul_rows(const tuff_call *c)
{
    return tuff_desc_count(&c->out[0]) / c->in[B].dim[0];
}

static int64_t matmul_items(const tuff_call *c)
{
    return parts(matmul_rows(c), ROWS) * parts(c->in[B].dim[0], SPAN);
}

// A count of 64 takes about what four products of floats do.
static size_t share(const tuff_call *c, int64_t items, double words)
{
    return tuff_host_share(items, (double)tuff_desc_count(&c->out[0]) * words * 4);
}

size_t tuff_xnor_matmul_units(const tuff_call *c, int stage)
{
    return stage ? 0 : share(c, matmul_items(c), (double)c->in[B].dim[1]);
}

static void matmul_item(const tuff_ref *r, int64_t row, int64_t col, tiles_fn *best)
{
    const tuff_binary_matmul_params *p = r->call->params;
    const int64_t n = r->call->in[B].dim[0], m = matmul_rows(r->call);
    const int64_t words = r->call->in[B].dim[1];
    const int64_t end = col + SPAN < n ? col + SPAN : n;
    const runs t = { .words = words, .outer = 1, .inner = 1 };
    const rows_of a = { (const uint32_t *)(const void *)r->in[A] + row * words, words,
                        m - row < ROWS ? m - row : ROWS };
    const int cols = columns(a.count);
    int64_t sum[ROWS * COLS];
    for (int64_t j = col; j < end; j += cols) {
        const rows_of b = { (const uint32_t *)(const void *)r->in[B] + j * words, words,
                            end - j < cols ? end - j : cols };
        best(&a, &b, &t, sum);
        for (int64_t i = 0; i < a.count; i++)
            for (int64_t k = 0; k < b.count; k++) {
                double y = (double)(p->k - 2 * sum[i * cols + k]);
                if (r->in[A_SCALE]) y *= (double)r->in[A_SCALE][row + i];
                if (r->in[B_SCALE]) y *= (double)r->in[B_SCALE][j + k];
                r->out[0][(row + i) * n + j + k] = (float)y;
            }
    }
}

void tuff_xnor_matmul_host(const tuff_ref *r)
{
    const int64_t items = matmul_items(r->call), wide = parts(r->call->in[B].dim[0], SPAN);
    const size_t units = tuff_xnor_matmul_units(r->call, 0);
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++)
        matmul_item(r, i / wide * ROWS, i % wide * SPAN, tiles_best());
}

// ---- convolutions -------------------------------------------------------------------------

// An item is a row of pixels of y, of all channels.
typedef struct window {
    int64_t n, row, words;
    int64_t h, w, kh, kw, to_w, sx, sy, dx, dy; // dims of x, w and y; strides, dilations
    int64_t u0, u1;       // rows of the window that are inside
    int64_t from_row;     // of x, where its first row would be
    int64_t pad;
} window;

static int64_t or_1(int v) { return v ? v : 1; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// Taps of a window that begins at `at`, of which those at 0 <= at + tap step < size are inside.
static void inside(int64_t at, int64_t step, int64_t taps, int64_t size, int64_t *from,
                   int64_t *to)
{
    *from = at < 0 ? least(parts(-at, step), taps) : 0;
    *to = at >= size ? 0 : least(parts(size - at, step), taps);
    if (*to < *from) *to = *from;
}

static window window_of(const tuff_call *c, int64_t item)
{
    const tuff_binary_conv2d_params *p = c->params;
    const int64_t *x = c->in[A].dim, *k = c->in[B].dim, *y = c->out[0].dim;
    window v = { .n = item / y[2], .row = item % y[2], .words = x[3], .h = x[1], .w = x[2],
                 .kh = k[1], .kw = k[2], .to_w = y[3], .sy = or_1(p->stride[0]),
                 .sx = or_1(p->stride[1]), .dy = or_1(p->dilation[0]),
                 .dx = or_1(p->dilation[1]), .pad = p->pad[1] };
    v.from_row = v.row * v.sy - p->pad[0];
    inside(v.from_row, v.dy, v.kh, v.h, &v.u0, &v.u1);
    return v;
}

// The mean of the scales that a window's taps have.
static double mean_scale(const tuff_ref *r, const window *v, int64_t col, int64_t v0,
                         int64_t v1)
{
    double sum = 0;
    for (int64_t u = v->u0; u < v->u1; u++)
        for (int64_t k = v0; k < v1; k++)
            sum += (double)r->in[A_SCALE][(v->n * v->h + v->from_row + u * v->dy) * v->w + col +
                                          k * v->dx];
    return sum / (double)(v->kh * v->kw);
}

// Pixels j .. j + count of a row, whose windows have taps v0 .. v1 of each row inside.
static void conv_pixels(const tuff_ref *r, const window *v, int64_t j, int64_t count,
                        int64_t v0, int64_t v1)
{
    const tuff_binary_conv2d_params *p = r->call->params;
    const int64_t out = r->call->in[B].dim[0], plane = r->call->out[0].dim[2] * v->to_w;
    const int64_t col = j * v->sx - v->pad, taps = v->kh * v->kw;
    const bool whole = v->dx == 1; // taps of a row lie side by side
    const runs t = { .words = whole ? (v1 - v0) * v->words : v->words, .outer = v->u1 - v->u0,
                     .inner = whole ? 1 : v1 - v0, .a_outer = v->dy * v->w * v->words,
                     .a_inner = v->dx * v->words, .b_outer = v->kw * v->words,
                     .b_inner = v->words };
    const int64_t signs = (v->u1 - v->u0) * (v1 - v0) * p->channels;
    const int64_t at = (v->n * v->h + v->from_row + v->u0 * v->dy) * v->w + col + v0 * v->dx;
    const bool any = signs > 0;
    const rows_of a = { (const uint32_t *)(const void *)r->in[A] + (any ? at : 0) * v->words,
                        v->sx * v->words, count };
    const int cols = columns(count);
    double scale[ROWS];
    int64_t sum[ROWS * COLS];
    for (int64_t i = 0; i < count; i++)
        scale[i] = r->in[A_SCALE] ? mean_scale(r, v, col + i * v->sx, v0, v1) : 1;
    for (int64_t o = 0; o < out; o += cols) {
        const rows_of b = { (const uint32_t *)(const void *)r->in[B] +
                                (o * taps + v->u0 * v->kw + v0) * v->words * any,
                            taps * v->words, least(out - o, cols) };
        tiles_best()(&a, &b, &t, sum);
        for (int64_t i = 0; i < count; i++)
            for (int64_t k = 0; k < b.count; k++) {
                double y = (double)(signs - 2 * sum[i * cols + k]) * scale[i];
                if (r->in[B_SCALE]) y *= (double)r->in[B_SCALE][o + k];
                r->out[0][(v->n * out + o + k) * plane + v->row * v->to_w + j + i] = (float)y;
            }
    }
}

static void conv_row(const tuff_ref *r, const window *v)
{
    for (int64_t j = 0, count; j < v->to_w; j += count) {
        int64_t v0, v1, w0, w1;
        inside(j * v->sx - v->pad, v->dx, v->kw, v->w, &v0, &v1);
        for (count = 1; count < ROWS && j + count < v->to_w; count++) {
            inside((j + count) * v->sx - v->pad, v->dx, v->kw, v->w, &w0, &w1);
            if (w0 != v0 || w1 != v1) break;
        }
        conv_pixels(r, v, j, count, v0, v1);
    }
}

static int64_t conv_items(const tuff_call *c) { return c->out[0].dim[0] * c->out[0].dim[2]; }

size_t tuff_xnor_conv_units(const tuff_call *c, int stage)
{
    const int64_t *w = c->in[B].dim;
    return stage ? 0 : share(c, conv_items(c), (double)(w[1] * w[2] * w[3]));
}

void tuff_xnor_conv_host(const tuff_ref *r)
{
    const int64_t items = conv_items(r->call);
    const size_t units = tuff_xnor_conv_units(r->call, 0);
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++) {
        const window v = window_of(r->call, i);
        conv_row(r, &v);
    }
}

// ---- packing ------------------------------------------------------------------------------

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
