// Packed signed numbers of 2 to 7 bits in registers of AVX-512, 64 at a time, on processors
// that shift bytes out of words of 64 bits (AVX512-VBMI): a lane of 8 bytes is given the `bits`
// bytes that its eight numbers lie in.
#ifndef TUFF_OPS_PACKED_HOST_H
#define TUFF_OPS_PACKED_HOST_H
#include "base/processor.h"
#include "ops/packed.h"

#if defined __x86_64__
#include <immintrin.h>
// Where tuff_processor_shuffles().
#define TUFF_TARGET_BITS __attribute__((target("avx512f,avx512bw,avx512vbmi")))

// What is the same for all that are read.
typedef struct tuff_bits64 {
    __m512i bytes, shift, mask, half;
    const tuff_packed *p;
} tuff_bits64;

// Where the next 64 begin.
typedef struct tuff_bits64_at {
    const uint8_t *byte;
    int64_t left; // bytes from there on
    __m512i shift;
} tuff_bits64_at;

TUFF_TARGET_BITS static inline tuff_bits64 tuff_bits64_of(const tuff_packed *p)
{
    uint8_t bytes[64], shift[64];
    for (int i = 0; i < 64; i++) {
        bytes[i] = (uint8_t)(i / 8 * p->bits + i % 8);
        shift[i] = (uint8_t)(i % 8 * p->bits);
    }
    return (tuff_bits64){
        .bytes = _mm512_loadu_si512(bytes), .shift = _mm512_loadu_si512(shift),
        .mask = _mm512_set1_epi8((char)((1 << p->bits) - 1)),
        .half = _mm512_set1_epi8((char)(1 << (p->bits - 1))), .p = p };
}

TUFF_TARGET_BITS static inline __attribute__((always_inline)) tuff_bits64_at
tuff_bits64_from(const tuff_bits64 *b, int64_t first)
{
    const int64_t bit = first * b->p->bits;
    return (tuff_bits64_at){ (const uint8_t *)b->p->words + bit / 8, b->p->count * 4 - bit / 8,
                             _mm512_add_epi8(b->shift, _mm512_set1_epi8((char)(bit % 8))) };
}

// What is behind the last number is any. `inside`: 64 bytes are left.
TUFF_TARGET_BITS static inline __attribute__((always_inline)) __m512i
tuff_bits64_next(const tuff_bits64 *b, tuff_bits64_at *at, const bool inside)
{
    enum { AND_XOR = 0x6a }; // (v & mask) ^ half
    const int64_t n = at->left;
    const __mmask64 there = n >= 64 ? ~(__mmask64)0 : n > 0 ? ((__mmask64)1 << n) - 1 : 0;
    const __m512i found = inside ? _mm512_loadu_si512(at->byte)
                                 : _mm512_maskz_loadu_epi8(there, at->byte);
    const __m512i w = _mm512_permutexvar_epi8(b->bytes, found);
    const __m512i v = _mm512_multishift_epi64_epi8(at->shift, w);
    at->byte += 8 * b->p->bits;
    at->left -= 8 * b->p->bits;
    return _mm512_sub_epi8(_mm512_ternarylogic_epi64(v, b->mask, b->half, AND_XOR), b->half);
}
#endif
#endif
