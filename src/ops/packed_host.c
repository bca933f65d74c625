// Packed whole numbers on the CPU path, 16 at a time.
//
// Lanes hold copies of the bytes in which their numbers lie, each shifts out its own:
//
//   8 of at most 3 or 4 bits     one word of 32 bits for all eight
//   4 of at most 6 or 7          one word for four
//   4 of at most 14              one of 64 bits for four
//
// Eight numbers are whole bytes, so that the bit at which the first one begins is the same for
// all eights of a row. What is read too much is within the words; the last few numbers of all,
// and those of more bits, are made one by one.
#include "ops/packed_host.h"
#include <string.h>

enum { LANES = TUFF_PACKED_LANES, HALF = LANES / 2, QUAD = LANES / 4 };

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t words8 __attribute__((vector_size(HALF * sizeof(uint32_t))));
typedef int32_t whole8 __attribute__((vector_size(HALF * sizeof(int32_t))));
typedef float vec8 __attribute__((vector_size(HALF * sizeof(float))));
typedef uint32_t words4 __attribute__((vector_size(QUAD * sizeof(uint32_t))));
typedef uint64_t longs4 __attribute__((vector_size(QUAD * sizeof(uint64_t))));

// How numbers become levels: (q ^ flip) by - less.
typedef struct levels {
    uint32_t mask, flip;
    float by, less;
} levels;

static levels levels_of(const tuff_packed *p, float zero)
{
    const uint32_t mask = (1u << p->bits) - 1, highest = p->is_signed ? mask / 2 + 1 : 0;
    if (p->bits == 1 && p->is_signed)
        return (levels){ .mask = 1, .by = 2, .less = 1 + zero };
    return (levels){ .mask = mask, .flip = highest, .by = 1, .less = (float)highest + zero };
}

// By its address: not every target passes such a vector by itself.
TUFF_EACH_PROCESSOR void put(const words8 *q, const levels *l, float *to)
{
    const whole8 w = (whole8)((*q & l->mask) ^ l->flip);
    const vec8 v = __builtin_convertvector(w, vec8) * l->by - l->less;
    memcpy(to, &v, sizeof v);
}

static inline uint32_t load32(const uint8_t *b)
{
    uint32_t w;
    memcpy(&w, b, sizeof w);
    return w;
}

static inline uint64_t load64(const uint8_t *b)
{
    uint64_t w;
    memcpy(&w, b, sizeof w);
    return w;
}

// Eights of numbers from bit `bit` on; b is at the byte of it.
TUFF_EACH_PROCESSOR void eights(const uint8_t *b, int bit, int bits, int64_t n,
                                const levels *l, float *to)
{
    const uint32_t s = (uint32_t)bits;
    const words8 shift = (words8){ 0, s, 2 * s, 3 * s, 4 * s, 5 * s, 6 * s, 7 * s } +
                         (uint32_t)bit;
    for (int64_t i = 0; i < n; i++, b += bits, to += HALF) {
        const words8 q = ((words8){ 0 } + load32(b)) >> shift;
        put(&q, l, to);
    }
}

// The same as two fours each, of which the second begins at bit `next` of byte `far`.
TUFF_EACH_PROCESSOR void fours(const uint8_t *b, int bit, int bits, int64_t n, const levels *l,
                               float *to)
{
    const int64_t far = (bit + 4 * bits) / 8;
    const uint32_t s = (uint32_t)bits, f = (uint32_t)bit, g = (uint32_t)(bit + 4 * bits) % 8;
    const words8 shift = { f, f + s, f + 2 * s, f + 3 * s, g, g + s, g + 2 * s, g + 3 * s };
    for (int64_t i = 0; i < n; i++, b += bits, to += HALF) {
        const uint32_t x = load32(b), y = load32(b + far);
        const words8 q = (words8){ x, x, x, x, y, y, y, y } >> shift;
        put(&q, l, to);
    }
}

TUFF_EACH_PROCESSOR void long_fours(const uint8_t *b, int bit, int bits, int64_t n,
                                    const levels *l, float *to)
{
    const int64_t far = (bit + 4 * bits) / 8;
    const uint64_t s = (uint64_t)bits, f = (uint64_t)bit, g = (uint64_t)(bit + 4 * bits) % 8;
    const longs4 step = { 0, s, 2 * s, 3 * s };
    for (int64_t i = 0; i < n; i++, b += bits, to += HALF) {
        const longs4 x = ((longs4){ 0 } + load64(b)) >> (step + f);
        const longs4 y = ((longs4){ 0 } + load64(b + far)) >> (step + g);
        words4 part[2] = { __builtin_convertvector(x, words4),
                           __builtin_convertvector(y, words4) };
        words8 q;
        memcpy(&q, part, sizeof q);
        put(&q, l, to);
    }
}

TUFF_EACH_PROCESSOR void unpack(const uint8_t *b, int bit, int bits, int64_t n,
                                const levels *l, float *to)
{
    const int second = (bit + 4 * bits) % 8, most = bit > second ? bit : second;
    if (bit + 8 * bits <= 32) eights(b, bit, bits, n, l, to);
    else if (most + 4 * bits <= 32) fours(b, bit, bits, n, l, to);
    else long_fours(b, bit, bits, n, l, to);
}
TUFF_FOR_PROCESSORS(unpack, (const uint8_t *b, int bit, int bits, int64_t n, const levels *l,
                             float *to), (b, bit, bits, n, l, to))

static void one_by_one(const tuff_packed *p, int64_t first, int64_t n, const levels *l,
                       float *to)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = (first + i) * p->bits, word = at / 32;
        uint64_t w = p->words[word];
        if (at % 32 + p->bits > 32) w |= (uint64_t)p->words[word + 1] << 32;
        to[i] = (float)(((uint32_t)(w >> at % 32) & l->mask) ^ l->flip) * l->by - l->less;
    }
}

void tuff_packed_host(const tuff_packed *p, int64_t first, int64_t n, float zero, float *to)
{
    const int64_t bit = first * p->bits, room = p->count * 4 - bit / 8;
    const levels l = levels_of(p, zero);
    // An eight reads at most 8 bytes from where its second half begins.
    int64_t eight = (n + HALF - 1) / HALF;
    const int64_t most = (room - 8 - p->bits) / p->bits;
    if (eight > most) eight = n / HALF < most ? n / HALF : most;
    if (p->bits > 14 || eight < 0) eight = 0;
    unpack_best()((const uint8_t *)p->words + bit / 8, (int)(bit % 8), p->bits, eight, &l, to);
    if (HALF * eight < n) one_by_one(p, first + HALF * eight, n - HALF * eight, &l,
                                     to + HALF * eight);
}

// ---- bytes ---------------------------------------------------------------------------------

// Eight numbers are `bits` whole bytes, within the 8 from where they begin.
TUFF_EACH_PROCESSOR void byte_eights(const uint8_t *b, int bit, int bits, int64_t n, int8_t *to)
{
    const uint64_t s = (uint64_t)bits, ones = 0x0101010101010101u;
    const uint64_t half = ones << (bits - 1), mask = (half << 1) - ones;
    for (int64_t i = 0; i < n; i++, b += bits, to += HALF) {
        const uint64_t x = load64(b) >> bit;
        uint64_t v = 0;
        for (uint64_t k = 0; k < HALF; k++) v |= (x >> k * s) << 56 >> (56 - 8 * k);
        v &= mask;
        // (v ^ half) - half in each byte; 128 keeps what one borrows out of the next.
        v = (((v ^ half) | ones << 7) - half) ^ ones << 7;
        memcpy(to, &v, sizeof v);
    }
}
TUFF_FOR_PROCESSORS(byte_eights, (const uint8_t *b, int bit, int bits, int64_t n, int8_t *to),
                    (b, bit, bits, n, to))

#if defined __x86_64__
TUFF_TARGET_BITS static void byte_wide(const tuff_packed *p, int64_t first, int64_t n,
                                       int8_t *to)
{
    const tuff_bits64 b = tuff_bits64_of(p);
    tuff_bits64_at at = tuff_bits64_from(&b, first);
    for (; n >= 64 && at.left >= 64; n -= 64, to += 64)
        _mm512_storeu_si512(to, tuff_bits64_next(&b, &at, true));
    for (; n > 0; n -= 64, to += 64) {
        const __mmask64 some = n < 64 ? ((__mmask64)1 << n) - 1 : ~(__mmask64)0;
        _mm512_mask_storeu_epi8(to, some, tuff_bits64_next(&b, &at, false));
    }
}
#else
static void byte_wide(const tuff_packed *p, int64_t first, int64_t n, int8_t *to)
{
    (void)p, (void)first, (void)n, (void)to;
}
#endif

void tuff_packed_bytes(const tuff_packed *p, int64_t first, int64_t n, int8_t *to)
{
    if (tuff_processor_shuffles()) {
        byte_wide(p, first, n, to);
        return;
    }
    const int64_t bit = first * p->bits, room = p->count * 4 - bit / 8;
    int64_t eights = n / HALF;
    // The last ones read 8 bytes, too.
    const int64_t most = room < 8 ? 0 : (room - 8) / p->bits + 1;
    if (eights > most) eights = most;
    const uint8_t *b = (const uint8_t *)p->words + bit / 8;
    byte_eights_best()(b, (int)(bit % 8), p->bits, eights, to);
    for (int64_t i = HALF * eights; i < n; i++)
        to[i] = (int8_t)tuff_packed_number(p->bits, false, p->words, first + i);
}
