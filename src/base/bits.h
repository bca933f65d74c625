// A float's 32 bits, and the float that bits are.
#ifndef TUFF_BASE_BITS_H
#define TUFF_BASE_BITS_H
#include <stdint.h>
#include <string.h>

static inline __attribute__((always_inline)) float tuff_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline __attribute__((always_inline)) uint32_t tuff_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
#endif
