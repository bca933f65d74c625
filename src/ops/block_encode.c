// Numbers to blocks of 32 and 64. Scale and rounding are those of ggml's reference (and of
// bitsandbytes for nf4), so the bytes are too; shaders/block_quantize.comp computes the same
// bytes, which is why every operation below is one f32 rounding of its own.
#include "ops/block.h"
#include <float.h>
#include <math.h>

// The first of the numbers with the largest size.
static float extreme(const float *x, int n)
{
    float best = x[0];
    for (int i = 1; i < n; i++)
        if (fabsf(x[i]) > fabsf(best)) best = x[i];
    return best;
}

// A scale that is subnormal counts as none: its inverse may not be finite, and as an f16 it is
// 0 anyway.
static float inverse(float d) { return fabsf(d) >= FLT_MIN ? tuff_f32_div(1, d) : 0; }

static int clamp(float v, int most)
{
    return v >= most ? most : v > 0 ? (int)v : 0; // NaN: 0
}

// floor(x id + shift), each step rounded to f32.
static int level(float x, float id, float shift, int most)
{
    return clamp(tuff_f32_add(tuff_f32_mul(x, id), shift), most);
}

// The same of x - min, with a shift of 1/2.
static int level_above(float x, float min, float id, int most)
{
    return level(tuff_f32_sub(x, min), id, 0.5f, most);
}

static void limits(const float *x, int n, float *min, float *max)
{
    *min = *max = x[0];
    for (int i = 1; i < n; i++) {
        if (x[i] < *min) *min = x[i];
        if (x[i] > *max) *max = x[i];
    }
}

static void put_nibble(uint8_t *q, int i, int level)
{
    if (i < 16) q[i] = (uint8_t)level;
    else q[i - 16] |= (uint8_t)(level << 4);
}

static void put_fifth(uint8_t *high, uint8_t *q, int i, int level)
{
    if (i % 8 == 0) high[i / 8] = 0;
    high[i / 8] |= (uint8_t)(level >> 4 << i % 8);
    put_nibble(q, i, level & 15);
}

void tuff_encode_q4_0(const float *x, uint8_t *b)
{
    const float d = tuff_f32_mul(extreme(x, 32), -1.0f / 8), id = inverse(d);
    tuff_store_f16(b, d);
    for (int i = 0; i < 32; i++) put_nibble(b + 2, i, level(x[i], id, 8.5f, 15));
}

void tuff_encode_q4_1(const float *x, uint8_t *b)
{
    float min, max;
    limits(x, 32, &min, &max);
    const float d = tuff_f32_div(tuff_f32_sub(max, min), 15), id = inverse(d);
    tuff_store_f16(b, d);
    tuff_store_f16(b + 2, min);
    for (int i = 0; i < 32; i++) put_nibble(b + 4, i, level_above(x[i], min, id, 15));
}

void tuff_encode_q5_0(const float *x, uint8_t *b)
{
    const float d = tuff_f32_mul(extreme(x, 32), -1.0f / 16), id = inverse(d);
    tuff_store_f16(b, d);
    for (int i = 0; i < 32; i++) put_fifth(b + 2, b + 6, i, level(x[i], id, 16.5f, 31));
}

void tuff_encode_q5_1(const float *x, uint8_t *b)
{
    float min, max;
    limits(x, 32, &min, &max);
    const float d = tuff_f32_div(tuff_f32_sub(max, min), 31), id = inverse(d);
    tuff_store_f16(b, d);
    tuff_store_f16(b + 2, min);
    for (int i = 0; i < 32; i++) put_fifth(b + 4, b + 8, i, level_above(x[i], min, id, 31));
}

// The nearest whole number, halves away from 0.
void tuff_encode_q8_0(const float *x, uint8_t *b)
{
    const float d = tuff_f32_div(fabsf(extreme(x, 32)), 127), id = inverse(d);
    tuff_store_f16(b, d);
    for (int i = 0; i < 32; i++) {
        const float v = tuff_f32_mul(x[i], id), whole = floorf(fabsf(v));
        const int size = clamp(whole + (fabsf(v) - whole >= 0.5f), 127);
        b[2 + i] = (uint8_t)(v < 0 ? -size : size);
    }
}

// ---- formats with a table ------------------------------------------------------------------

// The middles of a table's neighbours: a number belongs to the value above as soon as it is
// larger than their middle. nf4's are those of bitsandbytes, which round some of them away.
static const float iq4_middle[15] = { -115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f,
                                      7, 19, 31.5f, 45.5f, 61, 79, 101 };
static const float nf4_middle[15] = {
    -0.84809643f, -0.610632896f, -0.45999527f, -0.33967942f, -0.234607399f,
    -0.137911737f, -0.0455250181f, 0.0397901498f, 0.120255254f, 0.203521252f,
    0.292013764f, 0.389312536f, 0.501663387f, 0.64278692f, 0.861478388f,
};

static int nearest(const float middle[15], float v)
{
    int i = 0;
    while (i < 15 && v > middle[i]) i++;
    return i;
}

static void put_nf4(float id, const float *x, uint8_t *q)
{
    for (int i = 0; i < 32; i++) {
        const int first = nearest(nf4_middle, tuff_f32_mul(x[2 * i], id));
        q[i] = (uint8_t)(first << 4 | nearest(nf4_middle, tuff_f32_mul(x[2 * i + 1], id)));
    }
}

void tuff_encode_nf4(const float *x, uint8_t *b)
{
    const float absmax = fabsf(extreme(x, 64));
    tuff_store_f32(b, absmax);
    put_nf4(inverse(absmax), x, b + 4);
}

void tuff_encode_nf4_f16(const float *x, uint8_t *b)
{
    tuff_store_f16(b, fabsf(extreme(x, 64)));
    put_nf4(inverse(tuff_load_f16(b)), x, b + 2);
}

// A scale is tried by laying the extreme number on a value near either end of the table; the
// levels that follow from it have a best scale of their own (least squares), and the trial
// with the smallest error wins:
//   sum (x - d q)^2 = sum x^2 - (sum x q)^2 / sum q^2   at   d = sum x q / sum q^2
enum { IQ4_TRIALS = 15 }; // the extreme lies on -127 + t - 7, or with it on 127 + ...

void tuff_encode_iq4_nl(const float *x, uint8_t *b)
{
    const float most = extreme(x, 32), per = inverse(most);
    float best = -1, d = 0;
    for (int t = 0; t < 2 * IQ4_TRIALS; t++) {
        const float end = t < IQ4_TRIALS ? (float)(t - 134) : (float)(t + 91);
        const float id = tuff_f32_mul(end, per);
        float xq = 0, qq = 0;
        for (int i = 0; i < 32; i++) {
            const float q = tuff_iq4_table[nearest(iq4_middle, tuff_f32_mul(x[i], id))];
            xq = tuff_f32_add(xq, tuff_f32_mul(x[i], q));
            qq = tuff_f32_add(qq, tuff_f32_mul(q, q));
        }
        const float gain = tuff_f32_div(tuff_f32_mul(xq, xq), qq);
        if (gain > best) {
            best = gain;
            d = tuff_f32_div(xq, qq);
        }
    }
    tuff_store_f16(b, d);
    const float id = inverse(tuff_load_f16(b));
    for (int i = 0; i < 32; i++)
        put_nibble(b + 2, i, nearest(iq4_middle, tuff_f32_mul(x[i], id)));
}
