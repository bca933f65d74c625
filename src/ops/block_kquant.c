// Numbers to blocks of 256: q2_k to q6_k. A block is cut into parts of 16 or 32 numbers with a
// scale (and a minimum) each; those are whole numbers times a scale of the block.
//
//   1. every part gets the scale (and minimum) that suits it best: scales round the one that
//      makes its range fit are tried, the levels that follow are fixed, the best line through
//      them is found by least squares, and the trial with the smallest error wins
//   2. the largest of them decides the scale of the block
//   3. the whole numbers of each part are the nearest ones, or their neighbours where these
//      leave a smaller error now that all else is rounded
//
// The formats are ggml's, the search is not: it makes the squared error small. Every operation
// is one f32 rounding, and shaders/block_kquant.comp does the same in the same order.
#include "ops/block.h"
#include <float.h>
#include <math.h>

enum { TRIALS = 21 }; // ranges of most - 1, most - 0.9, ... most + 1 levels

#define MUL tuff_f32_mul
#define ADD tuff_f32_add
#define SUB tuff_f32_sub
#define DIV tuff_f32_div

static float inverse(float d) { return fabsf(d) >= FLT_MIN ? DIV(1, d) : 0; }

// The nearest whole number, halves upwards, within [least, most]; a NaN becomes `least`.
static float nearest(float v, float least, float most)
{
    const float whole = floorf(ADD(v, 0.5f));
    return whole >= most ? most : whole > least ? whole : least;
}

static float square(float v) { return MUL(v, v); }

// ---- parts with a minimum: x ~ scale q - min, q in 0 .. most ------------------------------

typedef struct line {
    float scale, min;
} line;

// The least squares line for the levels that `inv` gives, with a minimum of 0 or more.
static line line_of(const float *x, int n, float low, float inv, float most)
{
    float q1 = 0, q2 = 0, x1 = 0, xq = 0;
    for (int i = 0; i < n; i++) {
        const float q = nearest(MUL(SUB(x[i], low), inv), 0, most);
        q1 += q; // whole numbers below 2^24
        q2 += q * q;
        x1 = ADD(x1, x[i]);
        xq = ADD(xq, MUL(x[i], q));
    }
    const float det = (float)n * q2 - q1 * q1;
    line l = { 0, 0 };
    if (det > 0) {
        l.scale = DIV(SUB(MUL((float)n, xq), MUL(x1, q1)), det);
        l.min = DIV(SUB(MUL(q1, xq), MUL(q2, x1)), det);
    }
    if (!(l.min > 0)) {
        l.min = 0;
        l.scale = q2 > 0 ? DIV(xq, q2) : 0;
    }
    return l;
}

static float error_above(const float *x, int n, line l, float most)
{
    const float inv = inverse(l.scale);
    float error = 0;
    for (int i = 0; i < n; i++) {
        const float q = nearest(MUL(ADD(x[i], l.min), inv), 0, most);
        error = ADD(error, square(SUB(x[i], SUB(MUL(q, l.scale), l.min))));
    }
    return error;
}

static line fit_above(const float *x, int n, int most)
{
    float low = 0, high = x[0], best_error = 0;
    for (int i = 0; i < n; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
    }
    const float per = inverse(SUB(high, low));
    line best = { 0, -low };
    for (int t = 0; t < TRIALS; t++) {
        const float inv = MUL(MUL((float)(10 * most - 10 + t), 0.1f), per);
        const line l = line_of(x, n, low, inv, (float)most);
        const float error = error_above(x, n, l, (float)most);
        if (t == 0 || error < best_error) {
            best_error = error;
            best = l;
        }
    }
    return best;
}

// ---- parts without: x ~ scale q, q in -least .. least - 1 ---------------------------------

static float fit_round(const float *x, int n, int least)
{
    float extreme = x[0], best_gain = -1, best = 0;
    for (int i = 1; i < n; i++)
        if (fabsf(x[i]) > fabsf(extreme)) extreme = x[i];
    const float per = inverse(extreme);
    for (int t = 0; t < 2 * TRIALS; t++) { // the extreme at either end
        const int end = t < TRIALS ? 10 - t - 10 * least : 10 * least - 20 + t - TRIALS;
        const float inv = MUL(MUL((float)end, 0.1f), per);
        float xq = 0, qq = 0;
        for (int i = 0; i < n; i++) {
            const float q = nearest(MUL(x[i], inv), (float)-least, (float)(least - 1));
            qq += q * q;
            xq = ADD(xq, MUL(x[i], q));
        }
        const float gain = qq > 0 ? DIV(square(xq), qq) : 0;
        if (gain > best_gain) {
            best_gain = gain;
            best = qq > 0 ? DIV(xq, qq) : 0;
        }
    }
    return best;
}

static float error_round(const float *x, int n, float scale, float least)
{
    const float inv = inverse(scale);
    float error = 0;
    for (int i = 0; i < n; i++) {
        const float q = nearest(MUL(x[i], inv), -least, least - 1);
        error = ADD(error, square(SUB(x[i], MUL(q, scale))));
    }
    return error;
}

// ---- whole blocks -------------------------------------------------------------------------

typedef struct super {
    float d, dmin;         // as f16 has them
    int scale[16], min[16]; // whole numbers
    uint8_t q[256];         // levels, from 0 on
} super;

static float as_f16(float v)
{
    uint8_t bits[2];
    tuff_store_f16(bits, v);
    return tuff_load_f16(bits);
}

// Chooses the whole numbers of a part, near what `l` asks for and within 0 .. top.
static void settle_above(const float *x, int n, line l, int most, int top, super *s, int part)
{
    const float scale = nearest(MUL(l.scale, inverse(s->d)), 0, (float)top);
    const float min = nearest(MUL(l.min, inverse(s->dmin)), 0, (float)top);
    float best = 0;
    for (int t = 0; t < 9; t++) { // the nearest first
        const float a = nearest(scale + (float)((t + 1) % 3 - 1), 0, (float)top);
        const float b = nearest(min + (float)((t / 3 + 1) % 3 - 1), 0, (float)top);
        const line tried = { MUL(s->d, a), MUL(s->dmin, b) };
        const float error = error_above(x, n, tried, (float)most);
        if (t > 0 && !(error < best)) continue;
        best = error;
        s->scale[part] = (int)a;
        s->min[part] = (int)b;
    }
}

static void fill_above(const float *x, int n, int most, int top, super *s)
{
    line l[16];
    float scale = 0, min = 0;
    for (int p = 0; p < 256 / n; p++) {
        l[p] = fit_above(x + p * n, n, most);
        if (l[p].scale > scale) scale = l[p].scale;
        if (l[p].min > min) min = l[p].min;
    }
    s->d = as_f16(DIV(scale, (float)top));
    s->dmin = as_f16(DIV(min, (float)top));
    for (int p = 0; p < 256 / n; p++) {
        settle_above(x + p * n, n, l[p], most, top, s, p);
        const float a = MUL(s->d, (float)s->scale[p]), b = MUL(s->dmin, (float)s->min[p]);
        for (int i = p * n; i < (p + 1) * n; i++)
            s->q[i] = (uint8_t)nearest(MUL(ADD(x[i], b), inverse(a)), 0, (float)most);
    }
}

static void settle_round(const float *x, int n, float fit, int least, int top, super *s,
                         int part)
{
    const float scale = nearest(MUL(fit, inverse(s->d)), (float)-top, (float)(top - 1));
    float best = 0;
    for (int t = 0; t < 3; t++) {
        const float a = nearest(scale + (float)((t + 1) % 3 - 1), (float)-top,
                                (float)(top - 1));
        const float error = error_round(x, n, MUL(s->d, a), (float)least);
        if (t > 0 && !(error < best)) continue;
        best = error;
        s->scale[part] = (int)a;
    }
}

static void fill_round(const float *x, int least, int top, super *s)
{
    float fit[16], extreme = 0;
    for (int p = 0; p < 16; p++) {
        fit[p] = fit_round(x + 16 * p, 16, least);
        if (fabsf(fit[p]) > fabsf(extreme)) extreme = fit[p];
    }
    s->d = as_f16(DIV(extreme, (float)-top));
    for (int p = 0; p < 16; p++) {
        settle_round(x + 16 * p, 16, fit[p], least, top, s, p);
        const float inv = inverse(MUL(s->d, (float)s->scale[p]));
        for (int i = 16 * p; i < 16 * p + 16; i++)
            s->q[i] = (uint8_t)(nearest(MUL(x[i], inv), (float)-least, (float)(least - 1)) +
                                (float)least);
    }
}

// ---- bytes: the inverse of block_decode.c -------------------------------------------------

static void put_two_bits(const uint8_t *q, int shift, uint8_t *b)
{
    for (int i = 0; i < 64; i++) {
        b[i] = 0;
        for (int j = 0; j < 4; j++)
            b[i] |= (uint8_t)((q[i / 32 * 128 + 32 * j + i % 32] >> shift & 3) << 2 * j);
    }
}

static void put_four_bits(const uint8_t *q, uint8_t *b)
{
    for (int i = 0; i < 128; i++) {
        const int at = i / 32 * 64 + i % 32;
        b[i] = (uint8_t)((q[at] & 15) | (q[at + 32] & 15) << 4);
    }
}

// Bit `shift` of 256 levels in 32 bytes.
static void put_bits(const uint8_t *q, int shift, uint8_t *b)
{
    for (int i = 0; i < 32; i++) {
        b[i] = 0;
        for (int j = 0; j < 8; j++) b[i] |= (uint8_t)((q[32 * j + i] >> shift & 1) << j);
    }
}

static void put_scales_and_mins(const super *s, uint8_t *b)
{
    for (int j = 0; j < 4; j++) {
        b[j] = (uint8_t)(s->scale[j] | s->scale[j + 4] >> 4 << 6);
        b[j + 4] = (uint8_t)(s->min[j] | s->min[j + 4] >> 4 << 6);
        b[j + 8] = (uint8_t)((s->scale[j + 4] & 15) | (s->min[j + 4] & 15) << 4);
    }
}

void tuff_encode_q2_k(const float *x, uint8_t *b)
{
    super s;
    fill_above(x, 16, 3, 15, &s);
    for (int j = 0; j < 16; j++) b[j] = (uint8_t)(s.scale[j] | s.min[j] << 4);
    put_two_bits(s.q, 0, b + 16);
    tuff_store_f16(b + 80, s.d);
    tuff_store_f16(b + 82, s.dmin);
}

void tuff_encode_q3_k(const float *x, uint8_t *b)
{
    super s;
    fill_round(x, 4, 32, &s);
    put_bits(s.q, 2, b);
    put_two_bits(s.q, 0, b + 32);
    for (int j = 0; j < 12; j++) b[96 + j] = 0;
    for (int j = 0; j < 16; j++) {
        const int v = s.scale[j] + 32;
        b[96 + j % 8] |= (uint8_t)((v & 15) << j / 8 * 4);
        b[104 + j % 4] |= (uint8_t)(v >> 4 << j / 4 * 2);
    }
    tuff_store_f16(b + 108, s.d);
}

void tuff_encode_q4_k(const float *x, uint8_t *b)
{
    super s;
    fill_above(x, 32, 15, 63, &s);
    tuff_store_f16(b, s.d);
    tuff_store_f16(b + 2, s.dmin);
    put_scales_and_mins(&s, b + 4);
    put_four_bits(s.q, b + 16);
}

void tuff_encode_q5_k(const float *x, uint8_t *b)
{
    super s;
    fill_above(x, 32, 31, 63, &s);
    tuff_store_f16(b, s.d);
    tuff_store_f16(b + 2, s.dmin);
    put_scales_and_mins(&s, b + 4);
    put_bits(s.q, 4, b + 16);
    put_four_bits(s.q, b + 48);
}

void tuff_encode_q6_k(const float *x, uint8_t *b)
{
    super s;
    fill_round(x, 32, 128, &s);
    for (int i = 0; i < 128; i++) {
        const int at = i / 64 * 128 + i % 64;
        b[i] = (uint8_t)((s.q[at] & 15) | (s.q[at + 64] & 15) << 4);
    }
    put_two_bits(s.q, 4, b + 128);
    for (int j = 0; j < 16; j++) b[192 + j] = (uint8_t)s.scale[j];
    tuff_store_f16(b + 208, s.d);
}
