// What the CPU path's integer products have in common on processors that multiply four unsigned
// bytes by four signed ones and add them to a sum (AVX-512's vpdpbusd). Signed numbers of x are
// taken 128 larger and unsigned ones of w 128 smaller, as their zero points are; of those
//
//   sum (x - zx)(w - zw) = sum x w - zw sum x + (k zx zw - zx sum w)
//
// so that bytes are multiplied as they lie. The second sum is asked for only where a zw is not
// 0, which is rare. All of it wraps round, and is right in the end.
#ifndef TUFF_OPS_DOTS_HOST_H
#define TUFF_OPS_DOTS_HOST_H
#include "base/processor.h"
#include "ops/conv_integer.h"
#include "ops/product_host.h"
#include "ops/qgemm.h"
#include "ops/quantize.h"
#include <stdint.h>
#include <string.h>

enum { TUFF_DOTS_LANES = 16 };

// What is known of an output's weights alone.
typedef struct tuff_dots_row {
    double factor;     // of the sums; conv_integer: 0
    int64_t reach;     // no sum is larger
    int32_t sum, zero; // of its weights, and their zero point
} tuff_dots_row;

// What a call makes of it.
typedef struct tuff_dots_end {
    double factor;
    int32_t plus, zero; // what is added to sums, and what the sum of x is multiplied by
    bool far;           // sums may be too large for doubles
} tuff_dots_end;

// Where bytes of y end.
typedef struct tuff_dots_range {
    int32_t zero, low, high;
} tuff_dots_range;

// What is the same for all outputs of a call.
typedef struct tuff_dots_call {
    const int32_t *bias; // NULL: none
    int32_t zero, k;     // of x, turned over; bytes of a sum
} tuff_dots_call;

// The row of output o.
tuff_dots_row tuff_dots_row_of(const tuff_ref *r, const tuff_conv *v, int64_t o);
tuff_dots_call tuff_dots_call_of(const tuff_ref *r, const tuff_conv *v);

enum { TUFF_DOTS_FAR = 1 << 28 }; // half of what doubles take

static inline tuff_dots_end tuff_dots_end_of(const tuff_dots_call *c, const tuff_dots_row *row,
                                             int64_t o)
{
    const int32_t bias = c->bias ? c->bias[o] : 0;
    const uint32_t zeros = (uint32_t)c->k * (uint32_t)row->zero - (uint32_t)row->sum;
    const bool far = bias >= TUFF_DOTS_FAR || bias <= -TUFF_DOTS_FAR;
    return (tuff_dots_end){ row->factor, (int32_t)((uint32_t)bias + (uint32_t)c->zero * zeros),
                            row->zero, far || row->reach >= TUFF_DOTS_FAR };
}

tuff_dots_range tuff_dots_range_of(const tuff_ref *r);
// What turns the bytes of an input over, so that x is unsigned and w signed.
uint8_t tuff_dots_flip_x(const tuff_ref *r);
uint8_t tuff_dots_flip_w(const tuff_ref *r);
// x's zero point, of bytes turned over.
int32_t tuff_dots_zero_x(const tuff_ref *r);
bool tuff_dots_takes(void);
// Bytes of sums of which some may be far, each with its own factor or one for all.
void tuff_dots_far(const int32_t *sum, const double *factor, bool one,
                   const tuff_dots_range *to, int64_t n, uint8_t *y);

static inline int64_t tuff_dots_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

#if defined __x86_64__
#include <immintrin.h>
#define TUFF_TARGET_DOTS                                                        \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

// 16 sums times their factors, to the nearest number, ties to even: exact below 2^29.
TUFF_TARGET_DOTS static inline __m128i tuff_dots_bytes(__m512i sum, __m512d low_factors,
                                                       __m512d high_factors,
                                                       const tuff_dots_range *to)
{
    enum { NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
    const __m512d end = _mm512_set1_pd(INT32_MAX);
    const __m512d a = _mm512_cvtepi32_pd(_mm512_castsi512_si256(sum));
    const __m512d b = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sum, 1));
    // What is below -2^31 becomes just that.
    const __m256i low = _mm512_cvt_roundpd_epi32(
        _mm512_min_pd(_mm512_mul_pd(a, low_factors), end), NEAREST);
    const __m256i high = _mm512_cvt_roundpd_epi32(
        _mm512_min_pd(_mm512_mul_pd(b, high_factors), end), NEAREST);
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    __m256i y = _mm256_adds_epi16(_mm512_cvtsepi32_epi16(both),
                                  _mm256_set1_epi16((short)to->zero));
    y = _mm256_max_epi16(y, _mm256_set1_epi16((short)to->low));
    y = _mm256_min_epi16(y, _mm256_set1_epi16((short)to->high));
    return _mm256_cvtepi16_epi8(y);
}
#endif
#endif
