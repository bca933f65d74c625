// Products of signs on the CPU path: an xor and a count of bits for 64 of them (`fast`), or
// where the processor counts in wide registers for 512 (`wide`).
//
// fast: four rows of the left operand meet two of the right one in registers, so that six words
// are read for eight counts; one row alone meets four.
//
// wide: 16 rows of the right operand lie side by side in a panel, word by word, and eight rows
// of the left one meet it. Panels of constant weights are made once.
//
//           16 rows of the right operand
//          +--+--+--+-- .. --+
//   word 0 |  |  |  |        |     A word of a left row is spread, and its bits that differ
//        1 |  |  |  |        |     are added to 16 sums.
//       .. +--+--+--+-- .. --+
#include "base/processor.h"
#include "ops/binarize.h"
#include "ops/product_host.h"
#include <string.h>

enum { A, B, A_SCALE, B_SCALE }; // binary_conv2d: x, w
enum {
    ROWS = 4, COLS = 2, FEW_COLS = 4, // of fast
    SPAN = 64,                        // columns of an item
    MOST = 8,                         // rows of wide
    PANEL = TUFF_PANEL
};

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

// Pixels j .. j + a.count of a row, whose windows have the same taps inside: v0 .. of each row.
typedef struct group {
    int64_t j, v0, signs; // signs: products in a sum
    rows_of a;
    runs t;
    double scale[MOST];
} group;

static void group_of(const tuff_ref *r, const window *v, int64_t j, int64_t count, int64_t v0,
                     int64_t v1, group *g)
{
    const tuff_binary_conv2d_params *p = r->call->params;
    const int64_t col = j * v->sx - v->pad;
    const bool whole = v->dx == 1; // taps of a row lie side by side
    const int64_t at = (v->n * v->h + v->from_row + v->u0 * v->dy) * v->w + col + v0 * v->dx;
    *g = (group){ .j = j, .v0 = v0, .signs = (v->u1 - v->u0) * (v1 - v0) * p->channels,
                  .t = { .words = whole ? (v1 - v0) * v->words : v->words,
                         .outer = v->u1 - v->u0, .inner = whole ? 1 : v1 - v0,
                         .a_outer = v->dy * v->w * v->words, .a_inner = v->dx * v->words,
                         .b_outer = v->kw * v->words, .b_inner = v->words } };
    if (!g->signs) g->t.outer = 0;
    g->a = (rows_of){ (const uint32_t *)(const void *)r->in[A] + (g->signs ? at * v->words : 0),
                      v->sx * v->words, count };
    for (int64_t i = 0; i < count; i++)
        g->scale[i] = r->in[A_SCALE] ? mean_scale(r, v, col + i * v->sx, v0, v1) : 1;
}

// The first word of output o's that a group's sums take.
static int64_t first_word(const window *v, const group *g)
{
    return g->signs ? (v->u0 * v->kw + g->v0) * v->words : 0;
}

static void conv_fast(const tuff_ref *r, const window *v, const group *g)
{
    const int64_t out = r->call->in[B].dim[0], plane = r->call->out[0].dim[2] * v->to_w;
    const int64_t step = v->kh * v->kw * v->words;
    const int cols = columns(g->a.count);
    int64_t sum[ROWS * COLS];
    for (int64_t o = 0; o < out; o += cols) {
        const rows_of b = { (const uint32_t *)(const void *)r->in[B] + o * step +
                                first_word(v, g), step, least(out - o, cols) };
        tiles_best()(&g->a, &b, &g->t, sum);
        for (int64_t i = 0; i < g->a.count; i++)
            for (int64_t k = 0; k < b.count; k++) {
                double y = (double)(g->signs - 2 * sum[i * cols + k]) * g->scale[i];
                if (r->in[B_SCALE]) y *= (double)r->in[B_SCALE][o + k];
                r->out[0][(v->n * out + o + k) * plane + v->row * v->to_w + g->j + i] =
                    (float)y;
            }
    }
}

// Calls `each` with groups of up to `most` pixels of a row.
static void conv_row(const tuff_ref *r, const window *v, int64_t most,
                     void (*each)(const tuff_ref *, const window *, const group *))
{
    for (int64_t j = 0, count; j < v->to_w; j += count) {
        int64_t v0, v1, w0, w1;
        group g;
        inside(j * v->sx - v->pad, v->dx, v->kw, v->w, &v0, &v1);
        for (count = 1; count < most && j + count < v->to_w; count++) {
            inside((j + count) * v->sx - v->pad, v->dx, v->kw, v->w, &w0, &w1);
            if (w0 != v0 || w1 != v1) break;
        }
        group_of(r, v, j, count, v0, v1, &g);
        each(r, v, &g);
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
        conv_row(r, &v, ROWS, conv_fast);
    }
}

// ---- wide ---------------------------------------------------------------------------------

// A left row by itself is not worth making panels for, unless they are kept.
static bool worth_panels(const tuff_call *c, int64_t rows)
{
    return tuff_processor_counts() && (tuff_call_constant(c, B) || rows >= 2 * MOST);
}

bool tuff_xnor_wide_matmul_takes(const tuff_call *c) { return worth_panels(c, matmul_rows(c)); }

bool tuff_xnor_wide_conv_takes(const tuff_call *c)
{
    const int64_t *y = c->out[0].dim;
    return worth_panels(c, y[0] * y[2] * y[3]);
}

static int64_t panels(const tuff_call *c) { return parts(c->in[B].dim[0], PANEL); }

// Words of one row of the right operand.
static int64_t row_words(const tuff_call *c)
{
    return tuff_desc_count(&c->in[B]) / c->in[B].dim[0];
}

size_t tuff_xnor_wide_keeps(const tuff_call *c)
{
    return (size_t)(panels(c) * row_words(c)) * PANEL * sizeof(uint32_t);
}

// Panel by panel: [words][16 rows].
static void make_panels(const tuff_ref *r)
{
    const int64_t words = row_words(r->call), rows = r->call->in[B].dim[0];
    uint32_t *to = r->kept;
    for (int64_t i = (int64_t)r->begin * PANEL; i < (int64_t)r->end * PANEL; i++) {
        const uint32_t *from = (const uint32_t *)(const void *)r->in[B] + i * words;
        uint32_t *at = to + i / PANEL * words * PANEL + i % PANEL;
        for (int64_t k = 0; k < words; k++) at[k * PANEL] = i < rows ? from[k] : 0;
    }
}

typedef int32_t sums[PANEL];

#if defined __x86_64__
#include <immintrin.h>
#define TARGET_COUNTS __attribute__((target("avx512f,avx512vpopcntdq")))

TARGET_COUNTS static inline __attribute__((always_inline)) void
wide_tile(const rows_of *a, const runs *t, const uint32_t *panel, const int rows, sums *sum)
{
    __m512i s[MOST];
    for (int r = 0; r < rows; r++) s[r] = _mm512_setzero_si512();
    for (int64_t u = 0; u < t->outer; u++)
        for (int64_t v = 0; v < t->inner; v++) {
            const uint32_t *x = a->first + u * t->a_outer + v * t->a_inner;
            const uint32_t *w = panel + (u * t->b_outer + v * t->b_inner) * PANEL;
            for (int64_t i = 0; i < t->words; i++) {
                const __m512i b = _mm512_loadu_si512(w + i * PANEL);
                for (int r = 0; r < rows; r++) {
                    const __m512i spread = _mm512_set1_epi32((int)x[r * a->step + i]);
                    const __m512i apart = _mm512_xor_si512(spread, b);
                    s[r] = _mm512_add_epi32(s[r], _mm512_popcnt_epi32(apart));
                }
            }
        }
    for (int r = 0; r < rows; r++) _mm512_storeu_si512(sum[r], s[r]);
}

// The bits in which up to eight rows of a and the 16 of a panel differ.
TARGET_COUNTS static void wide_sums(const rows_of *a, const runs *t, const uint32_t *panel,
                                    sums *sum)
{
    rows_of rest = *a;
    if (a->count == MOST) {
        wide_tile(a, t, panel, MOST, sum);
        return;
    }
    for (; rest.count >= 4; rest.count -= 4, rest.first += 4 * rest.step, sum += 4)
        wide_tile(&rest, t, panel, 4, sum);
    for (; rest.count > 0; rest.count--, rest.first += rest.step, sum++)
        wide_tile(&rest, t, panel, 1, sum);
}
#else
static void wide_sums(const rows_of *a, const runs *t, const uint32_t *panel, sums *sum)
{
    (void)a, (void)t, (void)panel, (void)sum; // worth_panels says no
}
#endif

// y of 16 columns, `cols` of which there are, of one row.
static void finish(const int32_t *sum, int64_t signs, float scale, const float *scales,
                   int64_t cols, float *y)
{
    for (int64_t k = 0; k < cols; k++) y[k] = (float)(signs - 2 * sum[k]) * scale;
    for (int64_t k = 0; scales && k < cols; k++) y[k] *= scales[k];
}

static int64_t wide_matmul_items(const tuff_call *c)
{
    return parts(matmul_rows(c), MOST) * parts(c->in[B].dim[0], SPAN);
}

// A count of 512 takes about what 12 products of floats do.
static size_t wide_share(const tuff_call *c, int64_t items)
{
    return tuff_host_share(items, (double)tuff_desc_count(&c->out[0]) * (double)row_words(c));
}

size_t tuff_xnor_wide_matmul_units(const tuff_call *c, int stage)
{
    if (stage == 0) return (size_t)panels(c);
    return stage == 1 ? wide_share(c, wide_matmul_items(c)) : 0;
}

static void wide_matmul_item(const tuff_ref *r, int64_t row, int64_t col)
{
    const tuff_binary_matmul_params *p = r->call->params;
    const int64_t n = r->call->in[B].dim[0], words = r->call->in[B].dim[1];
    const int64_t end = least(col + SPAN, n);
    const runs t = { .words = words, .outer = 1, .inner = 1 };
    const rows_of a = { (const uint32_t *)(const void *)r->in[A] + row * words, words,
                        least(matmul_rows(r->call) - row, MOST) };
    sums sum[MOST];
    for (int64_t j = col; j < end; j += PANEL) {
        wide_sums(&a, &t, (const uint32_t *)r->kept + j * words, sum);
        for (int64_t i = 0; i < a.count; i++)
            finish(sum[i], p->k, r->in[A_SCALE] ? r->in[A_SCALE][row + i] : 1,
                   r->in[B_SCALE] ? r->in[B_SCALE] + j : NULL, least(end - j, PANEL),
                   r->out[0] + (row + i) * n + j);
    }
}

void tuff_xnor_wide_matmul_host(const tuff_ref *r)
{
    const int64_t wide = parts(r->call->in[B].dim[0], SPAN);
    const int64_t items = wide_matmul_items(r->call);
    const size_t units = tuff_xnor_wide_matmul_units(r->call, 1);
    if (r->stage == 0) {
        make_panels(r);
        return;
    }
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++)
        wide_matmul_item(r, i / wide * MOST, i % wide * SPAN);
}

size_t tuff_xnor_wide_conv_units(const tuff_call *c, int stage)
{
    if (stage == 0) return (size_t)panels(c);
    return stage == 1 ? wide_share(c, conv_items(c)) : 0;
}

static void conv_wide(const tuff_ref *r, const window *v, const group *g)
{
    const int64_t out = r->call->in[B].dim[0], plane = r->call->out[0].dim[2] * v->to_w;
    const int64_t words = row_words(r->call);
    sums sum[MOST];
    float y[MOST][PANEL];
    for (int64_t o = 0; o < out; o += PANEL) {
        const int64_t cols = least(out - o, PANEL);
        float *to = r->out[0] + (v->n * out + o) * plane + v->row * v->to_w + g->j;
        wide_sums(&g->a, &g->t,
                  (const uint32_t *)r->kept + o * words + first_word(v, g) * PANEL, sum);
        for (int64_t i = 0; i < g->a.count; i++)
            finish(sum[i], g->signs, (float)g->scale[i],
                   r->in[B_SCALE] ? r->in[B_SCALE] + o : NULL, cols, y[i]);
        for (int64_t k = 0; k < cols; k++)
            for (int64_t i = 0; i < g->a.count; i++) to[k * plane + i] = y[i][k];
    }
}

void tuff_xnor_wide_conv_host(const tuff_ref *r)
{
    const int64_t items = conv_items(r->call);
    const size_t units = tuff_xnor_wide_conv_units(r->call, 1);
    if (r->stage == 0) {
        make_panels(r);
        return;
    }
    const int64_t last = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < last; i++) {
        const window v = window_of(r->call, i);
        conv_row(r, &v, MOST, conv_wide);
    }
}
