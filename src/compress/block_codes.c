#include "compress/block_codes.h"
#include "base/status.h"
#include <assert.h>
#include <string.h>

static void decode(const tuff_block_codes *c, const uint8_t *block, float *y)
{
    const tuff_status status = tuff_block_decode(c->format, block, 1, c->count, y);
    assert(status == TUFF_OK);
    (void)status;
}

// The only number that differs, or -1.
static int only_change(const float *a, const float *b, int count)
{
    int which = -1;
    for (int i = 0; i < count; i++) {
        if (a[i] == b[i]) continue;
        if (which >= 0) return -1;
        which = i;
    }
    return which;
}

// Numbers of both signs and of all sizes up to 1 in every part of a block, so that no scale is
// 0 and a change of one is seen by several.
static float sample(int i) { return (float)((i * 37 % 64) - 31.5) / 31.5f; }

void tuff_block_codes_of(tuff_block_format format, tuff_block_codes *c)
{
    float x[TUFF_BLOCK_MOST], before[TUFF_BLOCK_MOST], after[TUFF_BLOCK_MOST];
    uint8_t block[2 * TUFF_BLOCK_MOST];
    int found[TUFF_BLOCK_MOST] = { 0 };
    *c = (tuff_block_codes){ .format = format, .count = tuff_block_count(format),
                             .bytes = tuff_block_bytes(format) };
    for (int i = 0; i < c->count; i++) x[i] = sample(i);
    const tuff_status status = tuff_block_encode(format, x, 1, c->count, block);
    assert(status == TUFF_OK);
    (void)status;
    decode(c, block, before);
    for (int bit = 0; bit < 8 * (int)c->bytes; bit++) {
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        decode(c, block, after);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const int k = only_change(before, after, c->count);
        if (k < 0) continue;
        assert(found[k] < 8);
        c->place[k][found[k]++] = bit;
    }
    c->bits = found[0];
    for (int i = 1; i < c->count; i++) assert(found[i] == found[0]);
}

void tuff_block_codes_put(const tuff_block_codes *c, uint8_t *block, int k, int code)
{
    for (int b = 0; b < c->bits; b++) {
        const int bit = c->place[k][b];
        const uint8_t mask = (uint8_t)(1 << bit % 8);
        block[bit / 8] = (uint8_t)(code >> b & 1 ? block[bit / 8] | mask
                                                 : block[bit / 8] & ~mask);
    }
}

void tuff_block_codes_open(const tuff_block_codes *c, const float *number, uint8_t *block,
                           float value[][TUFF_BLOCK_MOST])
{
    const tuff_status status = tuff_block_encode(c->format, number, 1, c->count, block);
    assert(status == TUFF_OK);
    (void)status;
    for (int code = 0; code < 1 << c->bits; code++) {
        for (int k = 0; k < c->count; k++) tuff_block_codes_put(c, block, k, code);
        decode(c, block, value[code]);
    }
}
