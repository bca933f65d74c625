// Block formats: what there is, and whole matrices of them on the host.
#include "ops/block.h"
#include "base/half.h"
#include "base/thread.h"
#include <string.h>

#define KIND(name_, count_, bytes_)                                             \
    { .name = #name_, .count = (count_), .bytes = (bytes_),                     \
      .encode = tuff_encode_##name_, .decode = tuff_decode_##name_ }
const tuff_block_kind tuff_block_kinds[TUFF_BLOCK_FORMATS] = {
    [TUFF_BLOCK_Q4_0] = KIND(q4_0, 32, 18),
    [TUFF_BLOCK_Q4_1] = KIND(q4_1, 32, 20),
    [TUFF_BLOCK_Q5_0] = KIND(q5_0, 32, 22),
    [TUFF_BLOCK_Q5_1] = KIND(q5_1, 32, 24),
    [TUFF_BLOCK_Q8_0] = KIND(q8_0, 32, 34),
    [TUFF_BLOCK_Q2_K] = KIND(q2_k, 256, 84),
    [TUFF_BLOCK_Q3_K] = KIND(q3_k, 256, 110),
    [TUFF_BLOCK_Q4_K] = KIND(q4_k, 256, 144),
    [TUFF_BLOCK_Q5_K] = KIND(q5_k, 256, 176),
    [TUFF_BLOCK_Q6_K] = KIND(q6_k, 256, 210),
    [TUFF_BLOCK_IQ4_NL] = KIND(iq4_nl, 32, 18),
    [TUFF_BLOCK_NF4] = KIND(nf4, 64, 36),
    [TUFF_BLOCK_NF4_F16] = KIND(nf4_f16, 64, 34),
};

const char *const tuff_block_names[] = { "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k",
                                         "q4_k", "q5_k", "q6_k", "iq4_nl", "nf4", "nf4_f16",
                                         NULL };

static const tuff_block_kind *kind_of(int format)
{
    return format >= 0 && format < TUFF_BLOCK_FORMATS ? &tuff_block_kinds[format] : NULL;
}

const char *tuff_block_name(tuff_block_format format)
{
    return kind_of((int)format) ? kind_of((int)format)->name : "?";
}

int tuff_block_count(tuff_block_format format)
{
    return kind_of((int)format) ? kind_of((int)format)->count : 0;
}

size_t tuff_block_bytes(tuff_block_format format)
{
    return kind_of((int)format) ? kind_of((int)format)->bytes : 0;
}

// ---- shapes --------------------------------------------------------------------------------

tuff_status tuff_block_check(int format)
{
    TUFF_REQUIRE(kind_of(format), ARG, "format is %d, expected 0 to %d", format,
                 TUFF_BLOCK_FORMATS - 1);
    return TUFF_OK;
}

size_t tuff_block_row(int format, int64_t cols)
{
    return (size_t)(cols / tuff_block_kinds[format].count) * tuff_block_kinds[format].bytes;
}

static tuff_status whole(const char *name, const tuff_desc *d, int64_t unit, const char *what,
                         int format)
{
    char text[96];
    TUFF_REQUIRE(d->rank >= 1, SHAPE, "%s has no dims, expected at least 1", name);
    const int64_t last = d->dim[d->rank - 1];
    TUFF_REQUIRE(last % unit == 0, SHAPE, "%s is %s: its last dim is %lld, expected a multiple "
                 "of %lld, the %s of a block of %s", name,
                 tuff_desc_print(d, text, sizeof text), (long long)last, (long long)unit, what,
                 tuff_block_kinds[format].name);
    return TUFF_OK;
}

tuff_status tuff_block_to_numbers(int format, const char *name, const tuff_desc *d,
                                  int64_t *out)
{
    const tuff_block_kind *kind = &tuff_block_kinds[format];
    TUFF_TRY(whole(name, d, (int64_t)kind->bytes, "bytes", format));
    *out = d->dim[d->rank - 1] / (int64_t)kind->bytes * kind->count;
    return TUFF_OK;
}

tuff_status tuff_block_to_bytes(int format, const char *name, const tuff_desc *d, int64_t *out)
{
    const tuff_block_kind *kind = &tuff_block_kinds[format];
    TUFF_TRY(whole(name, d, kind->count, "numbers", format));
    *out = d->dim[d->rank - 1] / kind->count * (int64_t)kind->bytes;
    return TUFF_OK;
}

// ---- bytes ---------------------------------------------------------------------------------

float tuff_load_f16(const uint8_t *p)
{
    return tuff_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

void tuff_store_f16(uint8_t *p, float v)
{
    const uint16_t bits = tuff_f32_to_f16(v);
    p[0] = (uint8_t)bits;
    p[1] = (uint8_t)(bits >> 8);
}

float tuff_load_f32(const uint8_t *p)
{
    const uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                          (uint32_t)p[3] << 24;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void tuff_store_f32(uint8_t *p, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(bits >> 8 * i);
}

// Scales between a fortieth and a twentieth, of both signs, another one in every block.
void tuff_block_make_valid(int format, uint8_t *blocks, size_t bytes)
{
    static const int scale_at[][2] = { // of the f16 scales; -1: none
        [TUFF_BLOCK_Q4_0] = { 0, -1 }, [TUFF_BLOCK_Q4_1] = { 0, 2 },
        [TUFF_BLOCK_Q5_0] = { 0, -1 }, [TUFF_BLOCK_Q5_1] = { 0, 2 },
        [TUFF_BLOCK_Q8_0] = { 0, -1 }, [TUFF_BLOCK_Q2_K] = { 80, 82 },
        [TUFF_BLOCK_Q3_K] = { 108, -1 }, [TUFF_BLOCK_Q4_K] = { 0, 2 },
        [TUFF_BLOCK_Q5_K] = { 0, 2 }, [TUFF_BLOCK_Q6_K] = { 208, -1 },
        [TUFF_BLOCK_IQ4_NL] = { 0, -1 }, [TUFF_BLOCK_NF4] = { -1, -1 },
        [TUFF_BLOCK_NF4_F16] = { 0, -1 },
    };
    const size_t step = tuff_block_kinds[format].bytes;
    for (size_t at = 0; at + step <= bytes; at += step) {
        uint8_t *b = blocks + at;
        if (format == TUFF_BLOCK_NF4) tuff_store_f32(b, (float)(b[0] + 1) / 127.0f);
        for (int i = 0; i < 2; i++)
            if (scale_at[format][i] >= 0) {
                uint8_t *s = b + scale_at[format][i];
                const float size = (1.0f + (float)s[0] / 256.0f) / 40.0f;
                tuff_store_f16(s, s[1] & 1 ? -size : size);
            }
    }
}

// ---- whole matrices ------------------------------------------------------------------------

typedef struct matrix {
    const tuff_block_kind *kind;
    const void *from;
    void *to;
} matrix;

static void encode_some(void *arg, size_t begin, size_t end)
{
    const matrix *m = arg;
    const float *x = m->from;
    uint8_t *blocks = m->to;
    for (size_t i = begin; i < end; i++)
        m->kind->encode(x + i * (size_t)m->kind->count, blocks + i * m->kind->bytes);
}

static void decode_some(void *arg, size_t begin, size_t end)
{
    const matrix *m = arg;
    const uint8_t *blocks = m->from;
    float *y = m->to;
    for (size_t i = begin; i < end; i++)
        m->kind->decode(blocks + i * m->kind->bytes, y + i * (size_t)m->kind->count);
}

static tuff_status check_matrix(tuff_block_format format, const void *from, int64_t rows,
                                int64_t cols, const void *to)
{
    TUFF_REQUIRE(from && to, ARG, "blocks: a pointer is NULL");
    TUFF_TRY(tuff_block_check((int)format));
    const int count = tuff_block_kinds[format].count;
    TUFF_REQUIRE(rows >= 0 && cols >= 0 && cols % count == 0, ARG, "blocks: %lld x %lld "
                 "numbers, expected columns in multiples of %d", (long long)rows,
                 (long long)cols, count);
    return TUFF_OK;
}

tuff_status tuff_block_encode(tuff_block_format format, const float *x, int64_t rows,
                              int64_t cols, void *blocks)
{
    TUFF_TRY(check_matrix(format, x, rows, cols, blocks));
    matrix m = { &tuff_block_kinds[format], x, blocks };
    tuff_parallel_for((size_t)(rows * cols / m.kind->count), encode_some, &m);
    return TUFF_OK;
}

tuff_status tuff_block_decode(tuff_block_format format, const void *blocks, int64_t rows,
                              int64_t cols, float *y)
{
    TUFF_TRY(check_matrix(format, blocks, rows, cols, y));
    matrix m = { &tuff_block_kinds[format], blocks, y };
    tuff_parallel_for((size_t)(rows * cols / m.kind->count), decode_some, &m);
    return TUFF_OK;
}
