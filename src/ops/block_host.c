// Products with matrices in blocks on the CPU path. Blocks are decoded once, a part of a row at
// a time, and used for all rows of x while they lie in the first-level cache: as a panel of 16
// rows of w, or, for few rows of x, one row of w after another.
#include "base/processor.h"
#include "ops/block.h"
#include "ops/unpack_host.h"
#include <string.h>

enum {
    PANEL = TUFF_PANEL,
    FEW = 8,       // rows of x with which a row of w is used as it is
    COLUMNS = TUFF_BLOCK_HOST_ROWS, // of them at a time
    NEAR = 4,      // rows of x that meet a row of w in registers
    PAIR = TUFF_UNPACK_COLS,
    PART = TUFF_PART // numbers decoded at a time: a block, or blocks
};

typedef float vec __attribute__((vector_size(PANEL * sizeof(float))));
typedef uint8_t bytes __attribute__((vector_size(PANEL)));
typedef int32_t whole __attribute__((vector_size(PANEL * sizeof(int32_t))));

// ---- decoding ------------------------------------------------------------------------------

#define NOTHING (-0.0f) // added, it leaves a zero its sign, too

// 16 numbers that begin at `least`, times d and plus m.
TUFF_EACH_PROCESSOR void put(bytes q, float least, float d, float m, float *y)
{
    const whole w = __builtin_convertvector(q, whole);
    const vec v = (__builtin_convertvector(w, vec) + least) * d + m;
    memcpy(y, &v, sizeof v);
}

// `count` numbers of q4_0 (whose levels begin at -8) or q4_1, whose blocks have `head` bytes
// before theirs.
TUFF_EACH_PROCESSOR void decode_nibbles(const uint8_t *b, int64_t count, int head, float *y)
{
    for (int64_t i = 0; i < count; i += 32, b += head + 16, y += 32) {
        const float d = tuff_load_f16(b), m = head == 4 ? tuff_load_f16(b + 2) : NOTHING;
        bytes q;
        memcpy(&q, b + head, sizeof q);
        put(q & 15, head == 4 ? 0 : -8, d, m, y);
        put(q >> 4, head == 4 ? 0 : -8, d, m, y + 16);
    }
}

TUFF_EACH_PROCESSOR void decode_bytes(const uint8_t *b, int64_t count, float *y)
{
    for (int64_t i = 0; i < count; i += 32, b += 34, y += 32) {
        const float d = tuff_load_f16(b);
        for (int half = 0; half < 2; half++) {
            bytes q;
            memcpy(&q, b + 2 + 16 * half, sizeof q);
            put(q ^ 0x80, -128, d, NOTHING, y + 16 * half);
        }
    }
}

// The levels of a table times d: a product is rounded once, as a block's number is.
static inline void decode_iq4_nl(const uint8_t *b, float *y)
{
    const float d = tuff_load_f16(b);
    float level[16];
    for (int i = 0; i < 16; i++) level[i] = d * tuff_iq4_table[i];
    for (int i = 0; i < 16; i++) {
        y[i] = level[b[2 + i] & 15];
        y[16 + i] = level[b[2 + i] >> 4];
    }
}

static inline void decode_nf4(float absmax, const uint8_t *q, float *y)
{
    float level[16];
    for (int i = 0; i < 16; i++) level[i] = absmax * tuff_nf4_table[i];
    for (int i = 0; i < 32; i++) {
        y[2 * i] = level[q[i] >> 4];
        y[2 * i + 1] = level[q[i] & 15];
    }
}

TUFF_EACH_PROCESSOR bytes load(const uint8_t *b)
{
    bytes q;
    memcpy(&q, b, sizeof q);
    return q;
}

// 16 where each of 16 bits is set, else 0.
TUFF_EACH_PROCESSOR bytes sixteens(const uint8_t *b)
{
    const uint8_t u = b[0], v = b[1];
    const bytes q = { u, u, u, u, u, u, u, u, v, v, v, v, v, v, v, v };
    const bytes bit = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    return (bytes)((q & bit) != 0) & 16;
}

// q5_0 (whose levels begin at -16) or q5_1: nibbles, before which lie their fifth bits.
TUFF_EACH_PROCESSOR void decode_fives(const uint8_t *b, int64_t count, int head, float *y)
{
    const float least = head == 4 ? 0 : -16;
    for (int64_t i = 0; i < count; i += 32, b += head + 20, y += 32) {
        const float d = tuff_load_f16(b), m = head == 4 ? tuff_load_f16(b + 2) : NOTHING;
        const bytes q = load(b + head + 4);
        put((q & 15) | sixteens(b + head), least, d, m, y);
        put(q >> 4 | sixteens(b + head + 2), least, d, m, y + 16);
    }
}

// The others of 256 numbers, 16 at a time, as block_decode.c has them. Two bits of 32 numbers
// lie side by side, four deep.
TUFF_EACH_PROCESSOR bytes two_bits(const uint8_t *q, int group)
{
    return load(q + group / 8 * 32 + group % 2 * 16) >> group % 8 / 2 * 2 & 3;
}

TUFF_EACH_PROCESSOR void decode_q2_k(const uint8_t *b, float *y)
{
    const float d = tuff_load_f16(b + 80), dmin = tuff_load_f16(b + 82);
    for (int g = 0; g < 16; g++)
        put(two_bits(b + 16, g), 0, d * (float)(b[g] & 15), -dmin * (float)(b[g] >> 4),
            y + 16 * g);
}

TUFF_EACH_PROCESSOR void decode_q3_k(const uint8_t *b, float *y)
{
    const float d = tuff_load_f16(b + 108);
    const uint8_t *s = b + 96;
    for (int g = 0; g < 16; g++) {
        const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
        const int scale = (low | (s[8 + g % 4] >> g / 4 * 2 & 3) << 4) - 32;
        const bytes high = load(b + g % 2 * 16) >> g / 2 & 1;
        put(two_bits(b + 32, g) | high << 2, -4, d * (float)scale, NOTHING, y + 16 * g);
    }
}

TUFF_EACH_PROCESSOR void decode_q6_k(const uint8_t *b, float *y)
{
    const float d = tuff_load_f16(b + 208);
    for (int g = 0; g < 16; g++) {
        const int half = g / 8, j = g % 8 / 2, k = g % 2 * 16;
        const bytes low = load(b + 64 * half + 32 * (j % 2) + k) >> j / 2 * 4 & 15;
        const bytes high = load(b + 128 + 32 * half + k) >> 2 * j & 3;
        put(low | high << 4, -32, d * (float)(int8_t)b[192 + g], NOTHING, y + 16 * g);
    }
}

// q4_k, and q5_k with fifth bits: 64 numbers lie in 32 bytes.
TUFF_EACH_PROCESSOR void decode_q4_k(const uint8_t *b, bool five, float *y)
{
    const uint8_t *nibbles = b + (five ? 48 : 16);
    const float d = tuff_load_f16(b), dmin = tuff_load_f16(b + 2);
    const uint8_t *s = b + 4;
    for (int j = 0; j < 8; j++, y += 32) {
        const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        const int min = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
        for (int half = 0; half < 2; half++) {
            const bytes q = load(nibbles + j / 2 * 32 + 16 * half);
            bytes level = j % 2 ? q >> 4 : q & 15;
            if (five) level |= (load(b + 16 + 16 * half) >> j & 1) << 4;
            put(level, 0, d * (float)scale, -dmin * (float)min, y + 16 * half);
        }
    }
}

TUFF_EACH_PROCESSOR void decode(int format, const uint8_t *b, int64_t count, float *y)
{
    const tuff_block_kind *kind = &tuff_block_kinds[format];
    switch (format) {
    case TUFF_BLOCK_Q4_0: decode_nibbles(b, count, 2, y); return;
    case TUFF_BLOCK_Q4_1: decode_nibbles(b, count, 4, y); return;
    case TUFF_BLOCK_Q5_0: decode_fives(b, count, 2, y); return;
    case TUFF_BLOCK_Q5_1: decode_fives(b, count, 4, y); return;
    case TUFF_BLOCK_Q8_0: decode_bytes(b, count, y); return;
    default: break;
    }
    for (int64_t i = 0; i < count; i += kind->count, b += kind->bytes, y += kind->count) {
        switch (format) {
        case TUFF_BLOCK_Q2_K: decode_q2_k(b, y); break;
        case TUFF_BLOCK_Q3_K: decode_q3_k(b, y); break;
        case TUFF_BLOCK_Q4_K: decode_q4_k(b, false, y); break;
        case TUFF_BLOCK_Q5_K: decode_q4_k(b, true, y); break;
        case TUFF_BLOCK_Q6_K: decode_q6_k(b, y); break;
        case TUFF_BLOCK_IQ4_NL: decode_iq4_nl(b, y); break;
        case TUFF_BLOCK_NF4: decode_nf4(tuff_load_f32(b), b + 4, y); break;
        default: decode_nf4(tuff_load_f16(b), b + 2, y); break;
        }
    }
}
TUFF_FOR_PROCESSORS(decode, (int format, const uint8_t *b, int64_t count, float *y),
                    (format, b, count, y))

void tuff_block_host_decode(int format, const uint8_t *blocks, int64_t count, float *y)
{
    decode_best()(format, blocks, count, y);
}

// ---- few rows ------------------------------------------------------------------------------

// sum[r][j] += row r of x times `count` numbers of rows j of w, for `rows` rows.
TUFF_EACH_PROCESSOR void dot(const float *x, int64_t k, int64_t rows, float w[][PART],
                             int64_t count, vec sum[][COLUMNS])
{
    for (int64_t r = 0; r < rows; r++) {
        vec part[COLUMNS] = { { 0 } };
        for (int64_t i = 0; i < count; i += PANEL) {
            vec a, b;
            memcpy(&a, x + r * k + i, sizeof a);
            for (int j = 0; j < COLUMNS; j++) {
                memcpy(&b, w[j] + i, sizeof b);
                part[j] += a * b;
            }
        }
        for (int j = 0; j < COLUMNS; j++) sum[r][j] += part[j];
    }
}

// `cols` rows of w times `rows` rows of x.
TUFF_EACH_PROCESSOR void few(int format, const uint8_t *w, const float *x, int64_t k,
                             int64_t rows, int64_t cols, float out[][COLUMNS])
{
    const tuff_block_kind *kind = &tuff_block_kinds[format];
    const size_t row_bytes = (size_t)(k / kind->count) * kind->bytes;
    float numbers[COLUMNS][PART] = { { 0 } };
    vec sum[FEW][COLUMNS] = { { { 0 } } };
    for (int64_t at = 0; at < k; at += PART) {
        const int64_t count = k - at < PART ? k - at : PART;
        const uint8_t *from = w + at / kind->count * (int64_t)kind->bytes;
        for (int64_t j = 0; j < cols; j++)
            decode(format, from + (size_t)j * row_bytes, count, numbers[j]);
        dot(x + at, k, rows, numbers, count, sum);
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < cols; j++) {
            out[r][j] = 0;
            for (int i = 0; i < PANEL; i++) out[r][j] += sum[r][j][i];
        }
}
TUFF_FOR_PROCESSORS(few,
                    (int format, const uint8_t *w, const float *x, int64_t k, int64_t rows,
                     int64_t cols, float out[][COLUMNS]),
                    (format, w, x, k, rows, cols, out))

// The same by block_row_host.c.
static void few_near(const tuff_block_host *h, int64_t first, int64_t cols,
                     float sum[][COLUMNS])
{
    const uint8_t *w[COLUMNS];
    for (int64_t j = 0; j < COLUMNS; j++)
        w[j] = h->w + (size_t)(first + (j < cols ? j : cols - 1)) *
                          tuff_block_row(h->format, h->k);
    for (int64_t r = 0; r < h->rows; r++)
        tuff_block_rows(h->format, w, h->x + r * h->k, h->k, sum[r]);
}

static void run_few(const tuff_block_host *h, int64_t first)
{
    const tuff_finish *f = &h->finish;
    const int64_t cols = h->n - first < COLUMNS ? h->n - first : COLUMNS;
    float sum[FEW][COLUMNS];
    if (h->rows <= NEAR && tuff_block_rows_takes(h->format)) few_near(h, first, cols, sum);
    else few_best()(h->format, h->w + (size_t)first * tuff_block_row(h->format, h->k), h->x,
                    h->k, h->rows, cols, sum);
    for (int64_t r = 0; r < h->rows; r++)
        for (int64_t j = 0; j < cols; j++) {
            const int64_t at = r * h->n + first + j;
            float v = sum[r][j];
            if (f->residual) v += f->residual[at];
            if (f->plus) v += f->plus[first + j];
            h->y[at] = tuff_act_host(v, f->act);
        }
}

// ---- many rows -----------------------------------------------------------------------------

static void numbers(const void *w, int64_t first, int64_t cols, int64_t at, int64_t count,
                    float to[][PART])
{
    const tuff_block_host *h = w;
    const tuff_block_kind *kind = &tuff_block_kinds[h->format];
    const size_t row_bytes = tuff_block_row(h->format, h->k);
    const uint8_t *from = h->w + at / kind->count * (int64_t)kind->bytes;
    decode_fn *best = decode_best();
    for (int64_t j = 0; j < cols; j++)
        best(h->format, from + (size_t)(first + j) * row_bytes, count, to[j]);
}

static void run_panels(const tuff_block_host *h, int64_t col)
{
    const tuff_unpack u = { .rows = h->rows, .n = h->n, .k = h->k, .x = h->x, .y = h->y,
                            .finish = h->finish, .numbers = numbers, .w = h };
    tuff_unpack_run(&u, col);
}

static int64_t items_of(int64_t rows, int64_t n)
{
    const int64_t each = rows <= FEW ? COLUMNS : PAIR;
    return (n + each - 1) / each;
}

size_t tuff_block_host_units(int64_t rows, int64_t n, int64_t k)
{
    return tuff_host_share(items_of(rows, n), 2.0 * (double)(n * k) * (double)(rows + 8));
}

void tuff_block_host_run(const tuff_block_host *h, size_t begin, size_t end)
{
    const int64_t items = items_of(h->rows, h->n);
    const size_t units = tuff_block_host_units(h->rows, h->n, h->k);
    const int64_t last = tuff_host_item(items, units, end);
    for (int64_t i = tuff_host_item(items, units, begin); i < last; i++) {
        if (h->rows <= FEW) run_few(h, i * COLUMNS);
        else run_panels(h, i * PAIR);
    }
}
