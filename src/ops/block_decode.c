// Blocks to numbers, a format a function. Layouts: ggml-common.h of ggml; bytes are read as
// bytes, so that the machine's byte order does not matter.
//
// Every product below is exact in f64, and so is every difference: an f16 has 11 bits, the
// whole numbers beside it at most 15, and the powers of two that f16 spans are 40. What is
// left is one rounding to f32.
#include "ops/block.h"

const int8_t tuff_iq4_table[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                    1, 13, 25, 38, 53, 69, 89, 113 };
// arXiv:2305.14314, appendix E, as f32.
const float tuff_nf4_table[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};

// ---- blocks of 32 --------------------------------------------------------------------------

// Number i of 32 lies in the lower half of byte i, number 16 + i in its upper half.
static int nibble(const uint8_t *q, int i) { return i < 16 ? q[i] & 15 : q[i - 16] >> 4; }

static int bit(const uint8_t *b, int i) { return b[i / 8] >> i % 8 & 1; }

void tuff_decode_q4_0(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(d * (nibble(b + 2, i) - 8));
}

void tuff_decode_q4_1(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b), m = tuff_load_f16(b + 2);
    for (int i = 0; i < 32; i++) y[i] = (float)(d * nibble(b + 4, i) + m);
}

void tuff_decode_q5_0(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b);
    for (int i = 0; i < 32; i++)
        y[i] = (float)(d * ((nibble(b + 6, i) | bit(b + 2, i) << 4) - 16));
}

void tuff_decode_q5_1(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b), m = tuff_load_f16(b + 2);
    for (int i = 0; i < 32; i++)
        y[i] = (float)(d * (nibble(b + 8, i) | bit(b + 4, i) << 4) + m);
}

void tuff_decode_q8_0(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(d * (int8_t)b[2 + i]);
}

void tuff_decode_iq4_nl(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b);
    for (int i = 0; i < 32; i++) y[i] = (float)(d * tuff_iq4_table[nibble(b + 2, i)]);
}

// ---- blocks of 64 --------------------------------------------------------------------------

static void decode_nf4(double absmax, const uint8_t *q, float *y)
{
    for (int i = 0; i < 32; i++) {
        y[2 * i] = (float)(absmax * (double)tuff_nf4_table[q[i] >> 4]);
        y[2 * i + 1] = (float)(absmax * (double)tuff_nf4_table[q[i] & 15]);
    }
}

void tuff_decode_nf4(const uint8_t *b, float *y) { decode_nf4(tuff_load_f32(b), b + 4, y); }

void tuff_decode_nf4_f16(const uint8_t *b, float *y) { decode_nf4(tuff_load_f16(b), b + 2, y); }

// ---- blocks of 256 -------------------------------------------------------------------------

// Two bits of number i: those of 32 numbers lie side by side, four deep, twice.
static int two_bits(const uint8_t *q, int i)
{
    return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

// Four bits of number i, in q4_k and q5_k: 64 numbers lie in 32 bytes.
static int four_bits(const uint8_t *q, int i)
{
    return q[i / 64 * 32 + i % 32] >> i % 64 / 32 * 4 & 15;
}

void tuff_decode_q2_k(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b + 80), dmin = tuff_load_f16(b + 82);
    for (int i = 0; i < 256; i++) {
        const int s = b[i / 16];
        y[i] = (float)(d * (s & 15) * two_bits(b + 16, i) - dmin * (s >> 4));
    }
}

// Scale j of 16: its lower four bits in 8 bytes, two a byte, and its upper two bits in 4
// bytes, four a byte; 32 stands for 0.
static int q3_scale(const uint8_t *s, int j)
{
    const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4;
    return (low | (s[8 + j % 4] >> j / 4 * 2 & 3) << 4) - 32;
}

void tuff_decode_q3_k(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b + 108);
    for (int i = 0; i < 256; i++) {
        const int high = b[i % 32] >> i / 32 & 1;
        y[i] = (float)(d * q3_scale(b + 96, i / 16) * (two_bits(b + 32, i) + 4 * high - 4));
    }
}

// Scale and minimum j of 8, six bits each, in 12 bytes: those of 0 to 3 are the lower bits of
// bytes j and 4 + j, whose upper two bits belong to those of 4 to 7.
static void scale_and_min(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

void tuff_decode_q4_k(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b), dmin = tuff_load_f16(b + 2);
    for (int i = 0; i < 256; i++) {
        int scale, min;
        scale_and_min(b + 4, i / 32, &scale, &min);
        y[i] = (float)(d * scale * four_bits(b + 16, i) - dmin * min);
    }
}

void tuff_decode_q5_k(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b), dmin = tuff_load_f16(b + 2);
    for (int i = 0; i < 256; i++) {
        int scale, min;
        scale_and_min(b + 4, i / 32, &scale, &min);
        const int high = b[16 + i % 32] >> i / 32 & 1;
        y[i] = (float)(d * scale * (four_bits(b + 48, i) + 16 * high) - dmin * min);
    }
}

// 128 numbers: lower four bits in 64 bytes, upper two in 32.
void tuff_decode_q6_k(const uint8_t *b, float *y)
{
    const double d = tuff_load_f16(b + 208);
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, j = i % 128 / 32, k = i % 32;
        const int low = b[64 * half + 32 * (j % 2) + k] >> j / 2 * 4 & 15;
        const int high = b[128 + 32 * half + k] >> 2 * j & 3;
        const int scale = (int8_t)b[192 + i / 16];
        y[i] = (float)(d * scale * ((low | high << 4) - 32));
    }
}
