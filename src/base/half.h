// 16-bit floating point numbers as bits, converted in plain C.
#ifndef TUFF_BASE_HALF_H
#define TUFF_BASE_HALF_H
#include <stdint.h>

// IEEE 754 binary16 (f16) and the upper half of a binary32 (bf16). To 16 bits they round to
// nearest, ties to even; too large becomes infinite; a NaN stays one.
float tuff_f16_to_f32(uint16_t bits);
uint16_t tuff_f32_to_f16(float value);
float tuff_bf16_to_f32(uint16_t bits);
uint16_t tuff_f32_to_bf16(float value);
#endif
