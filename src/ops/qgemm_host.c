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

// Signed bytes are read as u8, 128 too large; packed numbers become signed ones.
static int32_t bias_of(const tuff_ref *r, int input)
{
    return r->call->in[input].dtype == TUFF_U8 ? 0 : 128;
}

static bool has_many(const tuff_ref *r, int input)
{
    return tuff_desc_count(&r->call->in[input]) > 1;
}

static double factor_of(const tuff_qhost *h, const tuff_ref *r, int64_t left, int64_t right)
{
    const float a = r->in[h->left_scale][has_many(r, h->left_scale) ? left : 0];
    const float b = r->in[h->right_scale][has_many(r, h->right_scale) ? right : 0];
    return tuff_qfactor(a, b, r->in[h->y_scale][0]);
}

// ---- where things lie ----------------------------------------------------------------------
//
//   kept NONE, LEFT  the rows at the left, and their factors
//   kept RIGHT       the panels at the right, and their columns' factors
//   scratch          what is not kept of those, then what is the op's

static int64_t panels_of(const tuff_qhost *h) { return (h->n + PANEL - 1) / PANEL; }

static size_t rows_bytes(const tuff_qhost *h)
{
    return (size_t)(h->left_rows * even(h->k) * 2 + 63) / 64 * 64;
}

static size_t panels_bytes(const tuff_qhost *h)
{
    return (size_t)(panels_of(h) * even(h->k) * PANEL) * sizeof(int16_t);
}

static size_t factors_bytes(const tuff_qhost *h)
{
    const int64_t n = h->kept == TUFF_QKEPT_RIGHT ? panels_of(h) * PANEL : h->period;
    return ((size_t)n * sizeof(double) + 63) / 64 * 64;
}

static int16_t *rows_of(const tuff_qhost *h, const tuff_ref *r)
{
    return h->kept == TUFF_QKEPT_LEFT ? r->kept : r->scratch;
}

static double *factors_of(const tuff_qhost *h, const tuff_ref *r)
{
    char *first = h->kept == TUFF_QKEPT_NONE ? r->scratch : r->kept;
    return (double *)(void *)(first + (h->kept == TUFF_QKEPT_RIGHT ? panels_bytes(h)
                                                                    : rows_bytes(h)));
}

static void *extra_of(const tuff_qhost *h, const tuff_ref *r)
{
    return (char *)r->scratch + (h->kept == TUFF_QKEPT_LEFT ? 0 : rows_bytes(h)) +
           (h->kept == TUFF_QKEPT_NONE ? factors_bytes(h) : 0);
}

static void pack_row(const tuff_qhost *h, const tuff_ref *r, int64_t row)
{
    enum { SOME = 256 };
    uint8_t room[SOME];
    int16_t *to = rows_of(h, r) + row * even(h->k);
    const int32_t zero = tuff_qhost_zero(r, h->left_zero, row % h->period);
    const uint8_t flip = (uint8_t)bias_of(r, h->left);
    for (int64_t k = 0; k < h->k; k += SOME) {
        const int64_t n = h->k - k < SOME ? h->k - k : SOME, first = row * h->k + k;
        const uint8_t *from = h->numbers
                                  ? h->numbers(r, first, n, room)
                                  : (const uint8_t *)(const void *)r->in[h->left] + first;
        for (int64_t i = 0; i < n; i++)
            to[k + i] = (int16_t)((from[i] ^ flip) - flip - zero);
    }
    if (h->k % 2) to[h->k] = 0;
    if (h->kept == TUFF_QKEPT_RIGHT || row >= h->period || h->y_zero < 0) return;
    if (!has_many(r, h->right_scale)) factors_of(h, r)[row] = factor_of(h, r, row, 0);
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
    const bool each = h->right_zero >= 0 && r->in[h->right_zero] && has_many(r, h->right_zero);
    const int32_t first = flip + tuff_qhost_zero(r, h->right_zero, col);
    for (int j = 0; j < PANEL; j++)
        zero[j] = each && j < cols ? flip + tuff_qhost_zero(r, h->right_zero, col + j) : first;
    weave_fn *best = weave_best();
    for (int64_t i = 0; i < depth; i += SOME) {
        const int64_t n = depth - i < SOME ? depth - i : SOME;
        h->columns(h, r, extra_of(h, r), z, col, cols, k + i, n, rows);
        best((const uint8_t (*)[PANEL])rows, (n + 1) / 2, flip, &zero, panel + i * PANEL);
    }
}

// A whole panel of those that are kept.
static void pack_panel(const tuff_qhost *h, const tuff_ref *r, int64_t i)
{
    const int64_t col = i * PANEL, cols = h->n - col < PANEL ? h->n - col : PANEL;
    fill(h, r, 0, col, cols, 0, h->k, (int16_t *)r->kept + col * even(h->k));
    for (int64_t j = 0; h->y_zero >= 0 && j < PANEL; j++)
        factors_of(h, r)[col + j] = j < cols ? factor_of(h, r, 0, col + j) : 1;
}

// ---- what becomes of the sums --------------------------------------------------------------

int64_t tuff_requantized(int32_t acc, double m)
{
    int e;
    const int64_t product = acc * (int64_t)ldexp(frexp(m, &e), 24), far = (int64_t)1 << 20;
    const int shift = 24 - e;
    if (shift > 62) return 0;
    if (shift <= 0) return product < 0 ? -far : product > 0 ? far : 0;
    const int64_t one = (int64_t)1 << shift, whole = product >> shift;
    const int64_t rest = product & (one - 1), half = one / 2;
    const int64_t y = whole + (rest > half || (rest == half && (whole & 1)));
    return y < -far ? -far : y > far ? far : y;
}

typedef struct range {
    int32_t zero, low, high;
} range;

// 16 numbers by their factors, of 24 bits: products of sums below 2^29 are exact in double.
// What is beyond 2^20 has no other end than 2^20 has, and below it a double's last bit can be
// made a whole. `far` says whether one of them was not.
TUFF_EACH_PROCESSOR void put_row(const uint32_t *sum, const double *m, range to, uint8_t *y,
                                 bool *far)
{
    const double end = 1 << 20, whole = 6755399441055744.0; // 1.5 2^52
    uint32_t above = 0;
    for (int j = 0; j < PANEL; j++) above |= (sum[j] + (1u << 29)) >> 30;
    for (int j = 0; j < PANEL; j++) {
        double v = (double)(int32_t)sum[j] * m[j];
        v = v < -end ? -end : v;
        v = v > end ? end : v;
        const int32_t q = (int32_t)((v + whole) - whole) + to.zero;
        const int32_t least = q < to.low ? to.low : q;
        y[j] = (uint8_t)(least > to.high ? to.high : least);
    }
    *far = above != 0;
}
TUFF_FOR_PROCESSORS(put_row, (const uint32_t *sum, const double *m, range to, uint8_t *y,
                              bool *far),
                    (sum, m, to, y, far))

// What is the same for all rows of an item.
typedef struct target {
    range to;
    const double *columns; // their factors; NULL: rows have one each
    const int32_t *bias;   // NULL: none
    bool both;             // each row and column has one
    put_row_fn *put;
} target;

static target target_of(const tuff_qhost *h, const tuff_ref *r)
{
    target t = { .put = put_row_best() };
    if (h->bias >= 0) t.bias = (const int32_t *)(const void *)r->in[h->bias];
    if (h->y_zero < 0) return t;
    const bool is_signed = r->call->out[0].dtype == TUFF_I8;
    t.to = (range){ tuff_qhost_zero(r, h->y_zero, 0), is_signed ? -128 : 0,
                    is_signed ? 127 : 255 };
    if (h->relu && t.to.zero > t.to.low) t.to.low = t.to.zero;
    t.both = has_many(r, h->left_scale) && has_many(r, h->right_scale);
    return t;
}

static void put_bytes(const target *t, const uint32_t *sum, const double *m, int64_t cols,
                      uint8_t *y)
{
    uint8_t row[PANEL];
    bool far;
    t->put(sum, m, t->to, row, &far);
    if (cols == PANEL) memcpy(y, row, PANEL);
    else memcpy(y, row, (size_t)cols);
    for (int64_t j = 0; far && j < cols; j++) {
        const int64_t v = tuff_requantized((int32_t)sum[j], m[j]) + t->to.zero;
        y[j] = (uint8_t)(v < t->to.low ? t->to.low : v > t->to.high ? t->to.high : v);
    }
}

static void add_bias(const tuff_qhost *h, const target *t, int64_t left, int64_t col,
                     int64_t cols, uint32_t *sum)
{
    if (!t->bias) return;
    for (int64_t j = 0; j < cols; j++)
        sum[j] += (uint32_t)t->bias[h->column_bias ? col + j : left];
}

static void put(const tuff_qhost *h, const tuff_ref *r, const target *t, int64_t z,
                int64_t row, int64_t col, int64_t cols, uint32_t *sum)
{
    const int64_t at = (z * h->m + row) * h->n + col;
    const int64_t left = (h->first_row(h, z) + row) % h->period;
    double m[PANEL];
    add_bias(h, t, left, col, cols, sum);
    if (h->y_zero < 0) {
        memcpy((uint32_t *)(void *)r->out[0] + at, sum, (size_t)cols * sizeof *sum);
        return;
    }
    const double one = t->columns || t->both ? 1 : factors_of(h, r)[left];
    for (int j = 0; !t->columns && j < PANEL; j++)
        m[j] = t->both && j < cols ? factor_of(h, r, left, col + j) : one;
    put_bytes(t, sum, t->columns ? t->columns : m, cols, (uint8_t *)(void *)r->out[0] + at);
}

// ---- stages --------------------------------------------------------------------------------

// All rows of a block times 16 columns, panel by panel or with those that are kept.
static void multiply(const tuff_qhost *h, const tuff_ref *r, const int16_t *a, int64_t z,
                     int64_t col, int64_t cols, int64_t rows, sums *sum)
{
    int16_t panel[PART * PANEL];
    const int64_t kp = even(h->k);
    memset(sum, 0, (size_t)rows * sizeof *sum);
    for (int64_t k = 0; k < h->k; k += PART) {
        const int64_t depth = h->k - k < PART ? h->k - k : PART;
        const int16_t *b = panel;
        if (h->kept == TUFF_QKEPT_RIGHT) b = (const int16_t *)r->kept + col * kp + k * PANEL;
        else fill(h, r, z, col, cols, k, depth, panel);
        add_sums(a + k, kp, b, (depth + 1) / 2, rows, sum);
    }
}

static void run_item(const tuff_qhost *h, const tuff_ref *r, int64_t i)
{
    sums sum[BLOCK];
    const int64_t panels = panels_of(h), blocks = (h->m + BLOCK - 1) / BLOCK;
    const int64_t col = i % panels * PANEL, row = i / panels % blocks * BLOCK;
    const int64_t z = i / panels / blocks;
    const int64_t rows = h->m - row < BLOCK ? h->m - row : BLOCK;
    const int64_t cols = h->n - col < PANEL ? h->n - col : PANEL;
    multiply(h, r, rows_of(h, r) + (h->first_row(h, z) + row) * even(h->k), z, col, cols, rows,
             sum);
    target t = target_of(h, r);
    double columns[PANEL];
    if (h->y_zero >= 0 && h->kept == TUFF_QKEPT_RIGHT) {
        t.columns = factors_of(h, r) + col;
    } else if (h->y_zero >= 0 && has_many(r, h->right_scale) && !has_many(r, h->left_scale)) {
        for (int64_t j = 0; j < PANEL; j++)
            columns[j] = j < cols ? factor_of(h, r, 0, col + j) : 1;
        t.columns = columns;
    }
    for (int64_t j = 0; j < rows; j++) put(h, r, &t, z, row + j, col, cols, sum[j]);
}

typedef enum work { PACK_ROWS, PACK_PANELS, PREPARE, MULTIPLY, NOTHING } work;

// What is kept is made first, and alone.
static work work_of(const tuff_qhost *h, int stage)
{
    static const work plain[] = { PACK_ROWS, MULTIPLY };
    static const work left[] = { PACK_ROWS, PREPARE, MULTIPLY };
    static const work right[] = { PACK_PANELS, PACK_ROWS, MULTIPLY };
    if (h->kept == TUFF_QKEPT_RIGHT) return stage < 3 ? right[stage] : NOTHING;
    if (h->kept == TUFF_QKEPT_LEFT) return stage < 3 ? left[stage] : NOTHING;
    return stage < 2 ? plain[stage] : NOTHING;
}

static int64_t items_of(const tuff_qhost *h, work w)
{
    switch (w) {
    case PACK_ROWS: return h->left_rows;
    case PACK_PANELS: return panels_of(h);
    case PREPARE: return h->items;
    case MULTIPLY: return h->products * panels_of(h) * ((h->m + BLOCK - 1) / BLOCK);
    default: return 0;
    }
}

static double steps_of(const tuff_qhost *h, work w)
{
    switch (w) {
    case PACK_ROWS: return 4.0 * (double)(h->left_rows * h->k);
    case PACK_PANELS: return 4.0 * (double)(h->n * h->k);
    case PREPARE: return 4.0 * (double)h->extra;
    default: return 2.0 * (double)(h->products * h->m * h->n) * (double)h->k;
    }
}

size_t tuff_qhost_units(const tuff_qhost *h, int stage)
{
    const work w = work_of(h, stage);
    return w == NOTHING ? 0 : tuff_host_share(items_of(h, w), steps_of(h, w));
}

size_t tuff_qhost_scratch(const tuff_qhost *h)
{
    size_t all = h->extra + 64;
    if (h->kept != TUFF_QKEPT_LEFT) all += rows_bytes(h);
    return h->kept == TUFF_QKEPT_NONE ? all + factors_bytes(h) : all;
}

size_t tuff_qhost_keeps(const tuff_qhost *h)
{
    if (h->kept == TUFF_QKEPT_NONE) return 0;
    return factors_bytes(h) + (h->kept == TUFF_QKEPT_RIGHT ? panels_bytes(h) : rows_bytes(h));
}

void tuff_qhost_run(const tuff_qhost *h, const tuff_ref *r)
{
    const work w = work_of(h, r->stage);
    const size_t units = tuff_qhost_units(h, r->stage);
    const int64_t items = items_of(h, w), end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++) {
        if (w == MULTIPLY) run_item(h, r, i);
        else if (w == PACK_ROWS) pack_row(h, r, i);
        else if (w == PACK_PANELS) pack_panel(h, r, i);
        else h->prepare(h, r, i, extra_of(h, r));
    }
}
