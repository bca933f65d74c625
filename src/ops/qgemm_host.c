// The loops of integer products on the CPU path; see qgemm_host.h.
#include "ops/qgemm_host.h"
#include "base/processor.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

enum {
    PANEL = TUFF_PANEL,
    ROWS = TUFF_PANEL_ROWS,
    BLOCK = 512, // rows of y at a time
    PART = 1024  // rows of a panel: 32 KiB
};

typedef int32_t vec __attribute__((vector_size(PANEL * sizeof(int32_t))));
typedef uint8_t bytes __attribute__((vector_size(PANEL)));
typedef uint32_t sums[PANEL];

// ---- sums ----------------------------------------------------------------------------------

// sum[r] += a's row r times a panel, `pairs` deep, on any processor.
static void add_plain(const int16_t *a, int64_t a_m, const int16_t *panel, int64_t pairs,
                      int64_t rows, sums *sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < pairs; p++) {
            const int32_t x = a[r * a_m + 2 * p], y = a[r * a_m + 2 * p + 1];
            const int16_t *b = panel + p * 2 * PANEL;
            for (int j = 0; j < PANEL; j++)
                sum[r][j] += (uint32_t)(x * b[2 * j]) + (uint32_t)(y * b[2 * j + 1]);
        }
}

#if defined __x86_64__
// Compilers do not find this instruction in C: pairs of products, added.
TUFF_TARGET_AVX2 static inline __attribute__((always_inline)) void
add_tile(const int16_t *a, int64_t a_m, const int16_t *panel, int64_t pairs, const int rows,
         sums *sum)
{
    __m256i s[ROWS][2];
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < 2; c++)
            s[r][c] = _mm256_loadu_si256((const __m256i *)(const void *)(sum[r] + 8 * c));
    for (int64_t p = 0; p < pairs; p++, panel += 2 * PANEL) {
        const __m256i b[2] = {
            _mm256_loadu_si256((const __m256i *)(const void *)panel),
            _mm256_loadu_si256((const __m256i *)(const void *)(panel + PANEL)) };
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, a + r * a_m + 2 * p, sizeof pair);
            const __m256i x = _mm256_set1_epi32(pair);
            for (int c = 0; c < 2; c++)
                s[r][c] = _mm256_add_epi32(s[r][c], _mm256_madd_epi16(x, b[c]));
        }
    }
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < 2; c++)
            _mm256_storeu_si256((__m256i *)(void *)(sum[r] + 8 * c), s[r][c]);
}

TUFF_TARGET_AVX2 static void add_avx2(const int16_t *a, int64_t a_m, const int16_t *panel,
                                      int64_t pairs, int64_t rows, sums *sum)
{
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_m, sum += ROWS)
        add_tile(a, a_m, panel, pairs, ROWS, sum);
    for (; rows >= 2; rows -= 2, a += 2 * a_m, sum += 2) add_tile(a, a_m, panel, pairs, 2, sum);
    if (rows) add_tile(a, a_m, panel, pairs, 1, sum);
}

// The same and the addition in one instruction, where there is one; a panel's two rows fill a
// register.
#define TARGET_VNNI __attribute__((target("avx512f,avx512vnni")))
enum { MANY = 12 }; // rows at a time

TARGET_VNNI static inline __attribute__((always_inline)) void
add_wide_tile(const int16_t *a, int64_t a_m, const int16_t *panel, int64_t pairs,
              const int rows, sums *sum)
{
    __m512i s[MANY];
    for (int r = 0; r < rows; r++) s[r] = _mm512_loadu_si512(sum[r]);
    for (int64_t p = 0; p < pairs; p++, panel += 2 * PANEL) {
        const __m512i b = _mm512_loadu_si512(panel);
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, a + r * a_m + 2 * p, sizeof pair);
            s[r] = _mm512_dpwssd_epi32(s[r], _mm512_set1_epi32(pair), b);
        }
    }
    for (int r = 0; r < rows; r++) _mm512_storeu_si512(sum[r], s[r]);
}

TARGET_VNNI static void add_vnni(const int16_t *a, int64_t a_m, const int16_t *panel,
                                 int64_t pairs, int64_t rows, sums *sum)
{
    for (; rows >= MANY; rows -= MANY, a += MANY * a_m, sum += MANY)
        add_wide_tile(a, a_m, panel, pairs, MANY, sum);
    for (; rows >= 4; rows -= 4, a += 4 * a_m, sum += 4)
        add_wide_tile(a, a_m, panel, pairs, 4, sum);
    for (; rows > 0; rows--, a += a_m, sum++) add_wide_tile(a, a_m, panel, pairs, 1, sum);
}
#endif

static void add_sums(const int16_t *a, int64_t a_m, const int16_t *panel, int64_t pairs,
                     int64_t rows, sums *sum)
{
#if defined __x86_64__
    const bool vnni = __builtin_cpu_supports("avx512vnni");
    if (tuff_this_processor() != TUFF_PROCESSOR_ANY) {
        (vnni ? add_vnni : add_avx2)(a, a_m, panel, pairs, rows, sum);
        return;
    }
#endif
    add_plain(a, a_m, panel, pairs, rows, sum);
}

// ---- operands ------------------------------------------------------------------------------

int32_t tuff_qhost_zero(const tuff_ref *r, int input, int64_t i)
{
    if (input < 0 || !r->in[input]) return 0;
    const tuff_desc *d = &r->call->in[input];
    return (int32_t)tuff_whole_at(d->dtype, r->in[input],
                                  tuff_desc_count(d) == 1 ? 0 : (size_t)i);
}

static int64_t even(int64_t k) { return (k + 1) / 2 * 2; }

// Bytes of an i8 tensor are read as u8, 128 too large.
static int32_t bias_of(const tuff_ref *r, int input)
{
    return r->call->in[input].dtype == TUFF_I8 ? 128 : 0;
}

// A factor as tuff_requant_ref takes it apart: mantissa 2^-shift.
typedef struct factor {
    int64_t mantissa;
    int shift;
} factor;

static bool has_many(const tuff_ref *r, int input)
{
    return tuff_desc_count(&r->call->in[input]) > 1;
}

static factor factor_of(const tuff_qhost *h, const tuff_ref *r, int64_t left, int64_t right)
{
    const float a = r->in[h->left_scale][has_many(r, h->left_scale) ? left : 0];
    const float b = r->in[h->right_scale][has_many(r, h->right_scale) ? right : 0];
    int e;
    factor f;
    const double m = tuff_qfactor(a, b, r->in[h->y_scale][0]);
    f.mantissa = (int64_t)ldexp(frexp(m, &e), 24);
    f.shift = 24 - e;
    return f;
}

// Behind the rows lie the factors of their scales, and then what is the op's.
static factor *factors_of(const tuff_qhost *h, const tuff_ref *r)
{
    return (factor *)(void *)((char *)r->scratch +
                              (h->left_rows * even(h->k) * 2 + 63) / 64 * 64);
}

static void *extra_of(const tuff_qhost *h, const tuff_ref *r)
{
    return factors_of(h, r) + h->period;
}

static void pack_row(const tuff_qhost *h, const tuff_ref *r, int64_t row)
{
    const uint8_t *from = (const uint8_t *)(const void *)r->in[h->left] + row * h->k;
    int16_t *to = (int16_t *)r->scratch + row * even(h->k);
    const int32_t zero = tuff_qhost_zero(r, h->left_zero, row % h->period);
    const uint8_t flip = (uint8_t)bias_of(r, h->left);
    for (int64_t k = 0; k < h->k; k++)
        to[k] = (int16_t)((from[k] ^ flip) - flip - zero);
    if (h->k % 2) to[h->k] = 0;
    if (row < h->period && h->y_zero >= 0 && !has_many(r, h->right_scale))
        factors_of(h, r)[row] = factor_of(h, r, row, 0);
}

// 16 numbers of a row of the right operand, less their zero points.
TUFF_EACH_PROCESSOR void widen(const uint8_t *from, uint8_t flip, const vec *zero, vec *to)
{
    bytes b;
    memcpy(&b, from, sizeof b);
    *to = __builtin_convertvector(b ^ flip, vec) - *zero;
}

// Two rows into one of a panel, each `pairs` deep.
TUFF_EACH_PROCESSOR void weave(const uint8_t (*rows)[PANEL], int64_t pairs, uint8_t flip,
                               const vec *zero, int16_t *panel)
{
    for (int64_t p = 0; p < pairs; p++) {
        vec low, high;
        widen(rows[2 * p], flip, zero, &low);
        widen(rows[2 * p + 1], flip, zero, &high);
        const vec both = (low & 0xffff) | (high << 16);
        memcpy(panel + p * 2 * PANEL, &both, sizeof both);
    }
}
TUFF_FOR_PROCESSORS(weave,
                    (const uint8_t (*rows)[PANEL], int64_t pairs, uint8_t flip,
                     const vec *zero, int16_t *panel),
                    (rows, pairs, flip, zero, panel))

// Rows k .. k + depth of 16 columns. A row past the last has left numbers of 0.
static void fill(const tuff_qhost *h, const tuff_ref *r, int64_t z, int64_t col, int64_t cols,
                 int64_t k, int64_t depth, int16_t *panel)
{
    enum { SOME = 64 };
    uint8_t rows[SOME + 1][PANEL] = { { 0 } };
    const uint8_t flip = (uint8_t)bias_of(r, h->right);
    vec zero;
    for (int j = 0; j < PANEL; j++)
        zero[j] = flip + tuff_qhost_zero(r, h->right_zero, j < cols ? col + j : col);
    weave_fn *best = weave_best();
    for (int64_t i = 0; i < depth; i += SOME) {
        const int64_t n = depth - i < SOME ? depth - i : SOME;
        h->columns(h, r, extra_of(h, r), z, col, cols, k + i, n, rows);
        best((const uint8_t (*)[PANEL])rows, (n + 1) / 2, flip, &zero, panel + i * PANEL);
    }
}

// ---- what becomes of the sums --------------------------------------------------------------

// As tuff_requant_ref, without divisions.
static int64_t requantized(int32_t acc, factor f)
{
    const int64_t product = acc * f.mantissa, far = (int64_t)1 << 20;
    if (f.shift > 62) return 0;
    if (f.shift <= 0) return product < 0 ? -far : product > 0 ? far : 0;
    const int64_t one = (int64_t)1 << f.shift, whole = product >> f.shift;
    const int64_t rest = product & (one - 1), half = one / 2;
    const int64_t y = whole + (rest > half || (rest == half && (whole & 1)));
    return y < -far ? -far : y > far ? far : y;
}

// 16 numbers by one factor, whose shift is 1 to 62.
typedef struct range {
    int64_t zero, low, high;
} range;
TUFF_EACH_PROCESSOR void put_row(const uint32_t *sum, factor f, range to, uint8_t *y)
{
    const int64_t far = (int64_t)1 << 20, one = (int64_t)1 << f.shift, half = one / 2;
    for (int j = 0; j < PANEL; j++) {
        const int64_t product = (int32_t)sum[j] * f.mantissa, whole = product >> f.shift;
        const int64_t rest = product & (one - 1);
        int64_t v = whole + ((rest > half) | ((rest == half) & (whole & 1)));
        v = v < -far ? -far : v > far ? far : v;
        v += to.zero;
        y[j] = (uint8_t)(v < to.low ? to.low : v > to.high ? to.high : v);
    }
}
TUFF_FOR_PROCESSORS(put_row, (const uint32_t *sum, factor f, range to, uint8_t *y),
                    (sum, f, to, y))

// `columns`: their factors, where the left operand has one scale and the right one many.
static void put_bytes(const tuff_qhost *h, const tuff_ref *r, const factor *columns,
                      int64_t left, int64_t col, int64_t cols, const uint32_t *sum, uint8_t *y)
{
    const tuff_dtype type = r->call->out[0].dtype;
    range to = { tuff_qhost_zero(r, h->y_zero, 0), type == TUFF_I8 ? -128 : 0,
                 type == TUFF_I8 ? 127 : 255 };
    const bool each = has_many(r, h->right_scale), both = each && has_many(r, h->left_scale);
    if (h->relu && to.zero > to.low) to.low = to.zero;
    factor f = { 0 };
    if (!each) f = factors_of(h, r)[left];
    if (!each && f.shift > 0 && f.shift < 63) {
        uint8_t row[PANEL];
        put_row_best()(sum, f, to, row);
        memcpy(y, row, (size_t)cols);
        return;
    }
    for (int64_t j = 0; j < cols; j++) {
        if (each) f = both ? factor_of(h, r, left, col + j) : columns[j];
        const int64_t v = requantized((int32_t)sum[j], f) + to.zero;
        y[j] = (uint8_t)(v < to.low ? to.low : v > to.high ? to.high : v);
    }
}

static void put(const tuff_qhost *h, const tuff_ref *r, const factor *columns, int64_t z,
                int64_t row, int64_t col, int64_t cols, uint32_t *sum)
{
    const int64_t at = (z * h->m + row) * h->n + col;
    const int64_t left = (h->first_row(h, z) + row) % h->period;
    if (h->bias >= 0 && r->in[h->bias]) {
        const uint32_t bias = ((const uint32_t *)(const void *)r->in[h->bias])[left];
        for (int64_t j = 0; j < cols; j++) sum[j] += bias;
    }
    if (h->y_zero < 0)
        memcpy((uint32_t *)(void *)r->out[0] + at, sum, (size_t)cols * sizeof *sum);
    else
        put_bytes(h, r, columns, left, col, cols, sum, (uint8_t *)(void *)r->out[0] + at);
}

// ---- stages --------------------------------------------------------------------------------

static void run_item(const tuff_qhost *h, const tuff_ref *r, int64_t i)
{
    int16_t panel[PART * PANEL];
    sums sum[BLOCK];
    const int64_t panels = (h->n + PANEL - 1) / PANEL, blocks = (h->m + BLOCK - 1) / BLOCK;
    const int64_t col = i % panels * PANEL, row = i / panels % blocks * BLOCK;
    const int64_t z = i / panels / blocks, kp = even(h->k);
    const int64_t rows = h->m - row < BLOCK ? h->m - row : BLOCK;
    const int64_t cols = h->n - col < PANEL ? h->n - col : PANEL;
    const int16_t *a = (const int16_t *)r->scratch + (h->first_row(h, z) + row) * kp;
    memset(sum, 0, (size_t)rows * sizeof *sum);
    for (int64_t k = 0; k < h->k; k += PART) {
        const int64_t depth = h->k - k < PART ? h->k - k : PART;
        fill(h, r, z, col, cols, k, depth, panel);
        add_sums(a + k, kp, panel, (depth + 1) / 2, rows, sum);
    }
    factor columns[PANEL] = { { 0, 0 } };
    if (h->y_zero >= 0 && has_many(r, h->right_scale) && !has_many(r, h->left_scale))
        for (int64_t j = 0; j < cols; j++) columns[j] = factor_of(h, r, 0, col + j);
    for (int64_t j = 0; j < rows; j++) put(h, r, columns, z, row + j, col, cols, sum[j]);
}

static int64_t items_of(const tuff_qhost *h, int stage)
{
    if (stage == 0) return h->left_rows + h->items;
    return h->products * ((h->n + PANEL - 1) / PANEL) * ((h->m + BLOCK - 1) / BLOCK);
}

size_t tuff_qhost_units(const tuff_qhost *h, int stage)
{
    const double work = stage ? 2.0 * (double)(h->products * h->m * h->n) * (double)h->k
                              : 4.0 * ((double)(h->left_rows * h->k) + (double)h->extra);
    return stage > 1 ? 0 : tuff_host_share(items_of(h, stage), work);
}

size_t tuff_qhost_scratch(const tuff_qhost *h)
{
    const size_t rows = (size_t)(h->left_rows * even(h->k)) * sizeof(int16_t);
    return rows + 64 + (size_t)h->period * sizeof(factor) + h->extra + 64;
}

void tuff_qhost_run(const tuff_qhost *h, const tuff_ref *r)
{
    const size_t units = tuff_qhost_units(h, r->stage);
    const int64_t items = items_of(h, r->stage), end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++) {
        if (r->stage == 1) run_item(h, r, i);
        else if (i < h->left_rows) pack_row(h, r, i);
        else h->prepare(h, r, i - h->left_rows, extra_of(h, r));
    }
}
