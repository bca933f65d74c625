#include "ops/qlinear.h"
#include "ops/host.h"
#include "ops/ops.h"
#include "ops/qgemm.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>

// ---- sums ----------------------------------------------------------------------------------

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO, UNIT = 1 << 14 };

// y = saturate(round((a fa + b fb - all) / 2^shift) + zero): all in 31 bits.
typedef struct sum {
    int32_t fa, fb, all, zero, low, high;
    int shift;
    bool a_signed, b_signed;
} sum;

TUFF_EACH_PROCESSOR void add_bytes(const sum *s, const uint8_t *a, const uint8_t *b, uint8_t *y,
                                   size_t n)
{
    const int32_t a_flip = s->a_signed ? 0x80 : 0, b_flip = s->b_signed ? 0x80 : 0;
    const int32_t fa = s->fa, fb = s->fb, all = s->all, zero = s->zero;
    const int32_t low = s->low, high = s->high;
    const int shift = s->shift;
    const int32_t half = (int32_t)((1u << (shift - 1)) - 1);
    for (size_t i = 0; i < n; i++) {
        const int32_t va = (int32_t)(a[i] ^ a_flip), vb = (int32_t)(b[i] ^ b_flip);
        const int32_t t = va * fa + vb * fb - all;
        // Ties to even: half less one, and the last bit of what is left.
        const int32_t q = ((t + half + ((t >> shift) & 1)) >> shift) + zero;
        const int32_t most = q < high ? q : high;
        y[i] = (uint8_t)(most > low ? most : low);
    }
}
TUFF_FOR_PROCESSORS(add_bytes, (const sum *s, const uint8_t *a, const uint8_t *b, uint8_t *y,
                                size_t n),
                    (s, a, b, y, n))

size_t tuff_qadd_host_units(const tuff_call *c, int stage)
{
    return stage ? 0 : ((size_t)tuff_desc_count(&c->out[0]) + UNIT - 1) / UNIT;
}

// The factors as qlinear_add has them; false where the shift is none of 1 to 30.
static bool sum_of(const tuff_ref *r, sum *s)
{
    const tuff_dtype ta = r->call->in[A].dtype, tb = r->call->in[B].dtype;
    const tuff_dtype ty = r->call->out[0].dtype;
    const double a = tuff_qfactor(r->in[A_SCALE][0], 1, r->in[Y_SCALE][0]);
    const double b = tuff_qfactor(r->in[B_SCALE][0], 1, r->in[Y_SCALE][0]);
    int e;
    (void)frexp(fmax(a, b), &e);
    *s = (sum){ .shift = 21 - e, .a_signed = ta == TUFF_I8, .b_signed = tb == TUFF_I8,
                .zero = (int32_t)tuff_whole_at(ty, r->in[Y_ZERO], 0),
                .low = ty == TUFF_I8 ? -128 : 0, .high = ty == TUFF_I8 ? 127 : 255 };
    if (s->shift < 1 || s->shift > 30) return false;
    s->fa = (int32_t)rint(ldexp(a, s->shift));
    s->fb = (int32_t)rint(ldexp(b, s->shift));
    // A signed number with its first bit turned over is 128 more.
    const int32_t za = (int32_t)tuff_whole_at(ta, r->in[A_ZERO], 0) + (s->a_signed ? 128 : 0);
    const int32_t zb = (int32_t)tuff_whole_at(tb, r->in[B_ZERO], 0) + (s->b_signed ? 128 : 0);
    s->all = za * s->fa + zb * s->fb;
    return true;
}

void tuff_qadd_host(const tuff_ref *r)
{
    const size_t count = (size_t)tuff_desc_count(&r->call->out[0]);
    const size_t begin = r->begin * UNIT, end = r->end * UNIT < count ? r->end * UNIT : count;
    sum s;
    if (sum_of(r, &s)) {
        add_bytes_best()(&s, (const uint8_t *)(const void *)r->in[A] + begin,
                         (const uint8_t *)(const void *)r->in[B] + begin,
                         (uint8_t *)(void *)r->out[0] + begin, end - begin);
        return;
    }
    tuff_ref part = *r; // units of the record are four elements
    part.begin = begin / 4;
    part.end = (end + 3) / 4;
    tuff_op_qlinear_add.ref(&part);
}

// ---- the largest of windows -----------------------------------------------------------------

enum { COLUMNS = 1024 }; // of y at once

// Of bytes with their first bit turned over where they are signed, the order is that of u8.
TUFF_EACH_PROCESSOR void most_of_row(const uint8_t *x, int64_t n, int stride, uint8_t flip,
                                     uint8_t *most)
{
    if (stride == 1)
        for (int64_t j = 0; j < n; j++) {
            const uint8_t v = x[j] ^ flip;
            most[j] = v > most[j] ? v : most[j];
        }
    else
        for (int64_t j = 0; j < n; j++) {
            const uint8_t v = x[j * stride] ^ flip;
            most[j] = v > most[j] ? v : most[j];
        }
}
TUFF_FOR_PROCESSORS(most_of_row, (const uint8_t *x, int64_t n, int stride, uint8_t flip,
                                  uint8_t *most),
                    (x, n, stride, flip, most))

// Columns begin .. begin + n of row i of y.
static void row_of(const tuff_pool2d *g, const uint8_t *x, int64_t i, int64_t begin, int64_t n,
                   uint8_t flip, uint8_t *most)
{
    most_of_row_fn *row = most_of_row_best();
    memset(most, 0, (size_t)n);
    for (int64_t a = 0; a < g->kernel[0]; a++) {
        const int64_t h = i * g->stride[0] - g->top + a;
        if (h < 0 || h >= g->h) continue;
        for (int64_t b = 0; b < g->kernel[1]; b++) {
            // Columns of y that see one of x there.
            int64_t from = begin, to = begin + n;
            while (from < to && from * g->stride[1] - g->left + b < 0) from++;
            while (to > from && (to - 1) * g->stride[1] - g->left + b >= g->w) to--;
            row(x + h * g->w + from * g->stride[1] - g->left + b, to - from, g->stride[1], flip,
                most + (from - begin));
        }
    }
}

// Windows of 2 x 2 side by side, none of which has a pad.
static bool is_pairs(const tuff_pool2d *g)
{
    return g->kernel[0] == 2 && g->kernel[1] == 2 && g->stride[1] == 2 && !g->top && !g->left &&
           (g->oh - 1) * g->stride[0] + 2 <= g->h && 2 * g->ow <= g->w;
}

enum { PAIRS = 16 }; // at a time

// The largest of each pair of two rows: bytes as the halves of 16-bit numbers.
TUFF_EACH_PROCESSOR void most_of_pairs(const uint8_t *a, const uint8_t *b, uint8_t flip,
                                       uint8_t *y)
{
    typedef uint16_t pairs __attribute__((vector_size(2 * PAIRS)));
    typedef uint8_t half __attribute__((vector_size(PAIRS)));
    pairs u, v;
    memcpy(&u, a, sizeof u);
    memcpy(&v, b, sizeof v);
    u ^= (uint16_t)(flip * 0x101u);
    v ^= (uint16_t)(flip * 0x101u);
    const pairs of[4] = { u & 0xff, u >> 8, v & 0xff, v >> 8 };
    pairs most = of[0];
    for (int i = 1; i < 4; i++) {
        const pairs more = (pairs)(of[i] > most);
        most = (of[i] & more) | (most & ~more);
    }
    const half out = __builtin_convertvector(most, half) ^ flip;
    memcpy(y, &out, sizeof out);
}
TUFF_FOR_PROCESSORS(most_of_pairs,
                    (const uint8_t *a, const uint8_t *b, uint8_t flip, uint8_t *y),
                    (a, b, flip, y))

// What is read and written too much is x's and y's own, and y's is written over by the next
// rows; near the ends it is copied.
static void pool_pairs(const tuff_ref *r, const tuff_pool2d *g, uint8_t flip)
{
    most_of_pairs_fn *most = most_of_pairs_best();
    const int64_t step = g->h * g->w, plane = g->oh * g->ow;
    const uint8_t *x = (const uint8_t *)(const void *)r->in[0];
    const uint8_t *x_end = x + tuff_desc_count(&r->call->in[0]);
    uint8_t *y = (uint8_t *)(void *)r->out[0] + (int64_t)r->begin * plane;
    uint8_t *const y_end = (uint8_t *)(void *)r->out[0] + (int64_t)r->end * plane;
    for (size_t p = r->begin; p < r->end; p++)
        for (int64_t i = 0; i < g->oh; i++, y += g->ow)
            for (int64_t j = 0; j < g->ow; j += PAIRS) {
                const uint8_t *a = x + (int64_t)p * step + i * g->stride[0] * g->w + 2 * j;
                const int64_t n = g->ow - j < PAIRS ? g->ow - j : PAIRS;
                uint8_t rows[2][2 * PAIRS] = { { 0 } }, out[PAIRS];
                const bool in = x_end - a >= g->w + 2 * PAIRS, fits = y_end - y >= j + PAIRS;
                for (int k = 0; !in && k < 2; k++)
                    memcpy(rows[k], a + k * g->w, (size_t)(2 * n));
                most(in ? a : rows[0], in ? a + g->w : rows[1], flip, fits ? y + j : out);
                if (!fits) memcpy(y + j, out, (size_t)n);
            }
}

void tuff_byte_pool_host(const tuff_ref *r, const tuff_pool2d *g)
{
    const uint8_t flip = r->call->in[0].dtype == TUFF_I8 ? 0x80 : 0;
    const uint8_t *x = (const uint8_t *)(const void *)r->in[0];
    uint8_t most[COLUMNS];
    if (is_pairs(g)) {
        pool_pairs(r, g, flip);
        return;
    }
    for (size_t plane = r->begin; plane < r->end; plane++)
        for (int64_t i = 0; i < g->oh; i++)
            for (int64_t j = 0; j < g->ow; j += COLUMNS) {
                const int64_t n = g->ow - j < COLUMNS ? g->ow - j : COLUMNS;
                uint8_t *y = (uint8_t *)(void *)r->out[0] +
                             ((int64_t)plane * g->oh + i) * g->ow + j;
                row_of(g, x + (int64_t)plane * g->h * g->w, i, j, n, flip, most);
                for (int64_t k = 0; k < n; k++) y[k] = most[k] ^ flip;
            }
}
