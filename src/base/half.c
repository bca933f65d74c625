#include "base/half.h"
#include "base/bits.h"

float tuff_f16_to_f32(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7fff;
    if (rest >= 0x7c00) return tuff_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest >= 0x0400) return tuff_float(sign | ((rest << 13) + ((127 - 15) << 23)));
    // Zero, or a subnormal: a whole number of 2^-24.
    const float magnitude = (float)rest * 0x1p-24f;
    return tuff_float(sign | tuff_bits(magnitude));
}

// v / 2^shift rounded to the nearest whole number, ties to even; 1 <= shift <= 31.
static uint32_t round_shift(uint32_t v, int shift)
{
    const uint32_t half = 1u << (shift - 1), whole = v >> shift;
    const uint32_t left = v & ((1u << shift) - 1);
    return whole + (left > half || (left == half && (whole & 1)));
}

uint16_t tuff_f32_to_f16(float value)
{
    const uint32_t bits = tuff_bits(value), rest = bits & 0x7fffffff;
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (rest > 0x7f800000) return sign | 0x7e00;
    if (rest >= 0x477ff000) return sign | 0x7c00; // 65520 and over round to infinity
    if (rest >= 0x38800000) return sign | (uint16_t)round_shift(rest - ((127 - 15) << 23), 13);
    // Below 2^-14: a whole number of 2^-24. What is under half of that is zero.
    const int shift = 126 - (int)(rest >> 23);
    if (shift > 24) return sign;
    return sign | (uint16_t)round_shift((rest & 0x7fffff) | 0x800000, shift);
}

float tuff_bf16_to_f32(uint16_t bits) { return tuff_float((uint32_t)bits << 16); }

uint16_t tuff_f32_to_bf16(float value)
{
    const uint32_t bits = tuff_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)round_shift(bits, 16);
}
