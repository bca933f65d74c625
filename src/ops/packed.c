// dequantize_packed, and packed whole numbers on the host. The shader is packed.comp.
#include "ops/packed.h"
#include "abi/block.h"
#include "ops/ops.h"
#include "ops/product_host.h"
#include <string.h>
#include <tuff/ops/block.h>

enum { WORDS, SCALE, ZERO, MOST_BITS = TUFF_PACKED_BITS };

// ---- host ----------------------------------------------------------------------------------

int64_t tuff_packed_words(int bits, int64_t n)
{
    return bits < 1 || bits > MOST_BITS ? 0 : (n / 32) * bits + (n % 32 * bits + 31) / 32;
}

static tuff_status check_host(int bits, const void *a, const void *b, int64_t n)
{
    TUFF_REQUIRE(a && b, ARG, "packed: a pointer is NULL");
    TUFF_REQUIRE(bits >= 1 && bits <= MOST_BITS, ARG, "packed: bits is %d, expected 1 to %d",
                 bits, MOST_BITS);
    TUFF_REQUIRE(n >= 0, ARG, "packed: %lld numbers", (long long)n);
    return TUFF_OK;
}

// The bits of a number, or more than `bits` have for one that is not of them.
static uint32_t bits_of(int bits, bool zero, int32_t q)
{
    const int32_t half = 1 << (bits - 1);
    if (zero) return (uint32_t)q;
    if (bits == 1) return q == 1 ? 1 : q == -1 ? 0 : 2;
    return q >= -half && q < half ? (uint32_t)q & ((1u << bits) - 1) : 1u << bits;
}

tuff_status tuff_packed_write(int bits, bool zero, const int32_t *q, int64_t n, uint32_t *words)
{
    TUFF_TRY(check_host(bits, q, words, n));
    memset(words, 0, (size_t)tuff_packed_words(bits, n) * sizeof *words);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t v = bits_of(bits, zero, q[i]);
        TUFF_REQUIRE(v >> bits == 0, ARG, "packed: number %lld is %d, which is none of %d bits",
                     (long long)i, (int)q[i], bits);
        const int64_t bit = i * bits;
        words[bit / 32] |= v << bit % 32;
        if (bit % 32 + bits > 32) words[bit / 32 + 1] |= v >> (32 - bit % 32);
    }
    return TUFF_OK;
}

int32_t tuff_packed_number(int bits, bool zero, const uint32_t *words, int64_t i)
{
    const int64_t bit = i * bits;
    uint64_t w = words[bit / 32];
    if (bit % 32 + bits > 32) w |= (uint64_t)words[bit / 32 + 1] << 32;
    const int32_t v = (int32_t)(w >> bit % 32) & ((1 << bits) - 1);
    if (zero) return v;
    return bits == 1 ? 2 * v - 1 : v < 1 << (bits - 1) ? v : v - (1 << bits);
}

tuff_status tuff_packed_read(int bits, bool zero, const uint32_t *words, int64_t n, int32_t *q)
{
    TUFF_TRY(check_host(bits, words, q, n));
    for (int64_t i = 0; i < n; i++) q[i] = tuff_packed_number(bits, zero, words, i);
    return TUFF_OK;
}

// ---- the op --------------------------------------------------------------------------------

static int bits_in(const tuff_call *c)
{
    const tuff_packed_params *p = c->params;
    return p->bits ? p->bits : 4;
}

static tuff_status check_words(const tuff_desc *d, const char *name, int bits, int64_t n)
{
    char text[96];
    TUFF_REQUIRE(d->rank == 1 && d->dim[0] == tuff_packed_words(bits, n), SHAPE,
                 "%s is %s, expected [%lld] for %lld numbers of %d bits", name,
                 tuff_desc_print(d, text, sizeof text), (long long)tuff_packed_words(bits, n),
                 (long long)n, bits);
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_packed_params *p = c->params;
    const int bits = bits_in(c);
    const tuff_desc *words = &c->in[WORDS], *scale = &c->in[SCALE];
    TUFF_REQUIRE(bits >= 1 && bits <= MOST_BITS, ARG, "bits is %d, expected 1 to %d", bits,
                 MOST_BITS);
    TUFF_REQUIRE(words->rank == 1, SHAPE, "words has %d dims, expected 1", words->rank);
    const int64_t rows = p->rows ? p->rows : 1;
    const int64_t cols = p->cols ? p->cols : words->dim[0] * 32 / bits / (rows > 0 ? rows : 1);
    TUFF_REQUIRE(rows > 0 && cols > 0 && rows <= INT32_MAX && cols <= INT32_MAX / rows, ARG,
                 "%lld rows of %lld numbers", (long long)rows, (long long)cols);
    TUFF_TRY(check_words(words, "words", bits, rows * cols));
    TUFF_REQUIRE(scale->rank == 1 && (scale->dim[0] == 1 || scale->dim[0] == rows), SHAPE,
                 "scale has %d dims and %lld numbers, expected 1 dim of 1 or %lld", scale->rank,
                 (long long)tuff_desc_count(scale), (long long)rows);
    if (tuff_call_has(c, ZERO))
        TUFF_TRY(check_words(&c->in[ZERO], "zero_point", bits, scale->dim[0]));
    out[0] = TUFF_SHAPE(TUFF_F32, rows, cols);
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)c->out[0].dim[0]; }

static void ref(const tuff_ref *r)
{
    const int bits = bits_in(r->call);
    const uint32_t *words = (const uint32_t *)(const void *)r->in[WORDS];
    const uint32_t *zeros = (const uint32_t *)(const void *)r->in[ZERO];
    const size_t cols = (size_t)r->call->out[0].dim[1];
    const bool one = r->call->in[SCALE].dim[0] == 1;
    for (size_t row = r->begin; row < r->end; row++) {
        const size_t of = one ? 0 : row;
        const int32_t zero = zeros ? tuff_packed_number(bits, true, zeros, (int64_t)of) : 0;
        for (size_t i = row * cols; i < (row + 1) * cols; i++) {
            const int32_t q = tuff_packed_number(bits, zeros != NULL, words, (int64_t)i);
            r->out[0][i] = (float)((double)(q - zero) * (double)r->in[SCALE][of]);
        }
    }
}

// ---- the CPU path's kernel: parts of rows at a time ----

enum { PART = 256, ITEM = 4096 }; // numbers

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static int64_t items_of(const tuff_call *c)
{
    return (tuff_desc_count(&c->out[0]) + ITEM - 1) / ITEM;
}

static size_t host_units(const tuff_call *c, int stage)
{
    return stage ? 0 : tuff_host_share(items_of(c), 8.0 * (double)tuff_desc_count(&c->out[0]));
}

// Numbers at .. at + n of one row.
static void host_part(const tuff_ref *r, const tuff_packed *p, int64_t at, int64_t n)
{
    float part[PART];
    const tuff_call *c = r->call;
    const int64_t of = c->in[SCALE].dim[0] == 1 ? 0 : at / c->out[0].dim[1];
    const uint32_t *zeros = (const uint32_t *)(const void *)r->in[ZERO];
    const float scale = r->in[SCALE][of];
    const float zero = zeros ? (float)tuff_packed_number(p->bits, true, zeros, of) : 0;
    tuff_packed_host(p, at, n, zero, part);
    for (int64_t i = 0; i < n; i++) r->out[0][at + i] = part[i] * scale;
}

static void host_run(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_packed p = { .words = (const uint32_t *)(const void *)r->in[WORDS],
                            .count = c->in[WORDS].dim[0], .bits = bits_in(c),
                            .is_signed = !r->in[ZERO] };
    const int64_t count = tuff_desc_count(&c->out[0]), cols = c->out[0].dim[1];
    const size_t units = host_units(c, 0);
    int64_t end = tuff_host_item(items_of(c), units, r->end) * ITEM;
    if (end > count) end = count;
    for (int64_t at = tuff_host_item(items_of(c), units, r->begin) * ITEM; at < end;) {
        const int64_t row = (at / cols + 1) * cols - at;
        int64_t n = end - at < PART ? end - at : PART;
        if (n > row) n = row;
        host_part(r, &p, at, n);
        at += n;
    }
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size_flat(k), count = (uint32_t)tuff_desc_count(&c->out[0]);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_packed);
    tuff_bind_in(d, WORDS);
    tuff_bind_in(d, SCALE);
    tuff_bind_or_word(c, d, ZERO, SCALE, TUFF_BIND_STORAGE);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)bits_in(c));
    tuff_spec(d, tuff_call_has(c, ZERO));
    TUFF_PUSH(d, (struct tuff_unpack_pc){ .cols = (uint32_t)c->out[0].dim[1], .count = count,
                                          .scales = (uint32_t)c->in[SCALE].dim[0] });
    tuff_grid(d, (count + (uint64_t)wg - 1) / wg, k);
    return true;
}

// Any bits are numbers; what is drawn has few.
static void prepare(const tuff_call *c, void *const in[])
{
    for (int k = WORDS; k <= ZERO; k += ZERO - WORDS) {
        uint32_t *words = in[k];
        for (int64_t i = 0; tuff_call_has(c, k) && i < tuff_desc_count(&c->in[k]); i++)
            words[i] = (words[i] + (uint32_t)i + 1) * 2654435761u ^ (uint32_t)i * 40503u << 7;
    }
}

const tuff_op tuff_op_dequantize_packed = {
    .name = "dequantize_packed",
    .doc = "y = (q - zero_point) scale, where numbers q of 1 to 16 bits lie packed in words",
    .in = { { .name = "words", .dtypes = TUFF_U32, .no_grad = true },
            { .name = "scale", .dtypes = TUFF_F32, .no_grad = true },
            { .name = "zero_point", .dtypes = TUFF_U32, .optional = true, .no_grad = true,
              .mixed = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_packed_params),
    .params = { TUFF_POSITIVE(tuff_packed_params, bits), TUFF_INT64(tuff_packed_params, rows),
                TUFF_INT64(tuff_packed_params, cols) },
    .infer = infer, .ref = ref, .units = units,
    .variants = { TUFF_KERNEL("plain", plain) },
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_run, .units = host_units } },
    .tol = { .f32 = 0 }, // one rounding of a product
    .sample = { -2, 2 },
    .prepare = prepare,
    // Every width, signed and not; numbers that lie across words, rows that begin within them.
    .cases = TUFF_CASES("1 1 bits=1 cols=1", "4 5 bits=1 rows=5 cols=23",
                        "2 3 1 bits=2 rows=3 cols=7", "11 1 1 bits=3 rows=5 cols=23",
                        "8 7 1 rows=7 cols=9", "125 1 bits=5", "23 17 4 bits=6 rows=17 cols=7",
                        "9 3 bits=7 rows=3 cols=13", "9 5 2 bits=8 rows=5 cols=7",
                        "11 3 bits=9 rows=3 cols=13", "35 37 12 bits=10 rows=37 cols=3",
                        "2 1 bits=11 cols=5", "14 5 2 bits=12 rows=5 cols=7",
                        "15 1 1 bits=13 rows=5 cols=7", "16 5 bits=14 rows=5 cols=7",
                        "17 5 3 bits=15 rows=5 cols=7", "18 35 18 bits=16 rows=35 cols=1",
                        "61261 70012 rows=70012 cols=7")
};

tuff_status tuff_dequantize_packed(tuff_stream *s, const tuff_tensor *words,
                                   const tuff_tensor *scale, const tuff_tensor *zero_point,
                                   tuff_tensor *y, const tuff_packed_params *p)
{
    return tuff_run(s, &tuff_op_dequantize_packed, TUFF_RUN_IN(words, scale, zero_point),
                    TUFF_RUN_OUT(y), p);
}
