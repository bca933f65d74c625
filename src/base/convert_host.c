// The casts that nets are full of, for the CPU path: f32 from and to 16 bits, by whole numbers
// and without branches, so that loops become vectors; the bits are those of base/half.c. The
// others go element by element.
#include "base/bits.h"
#include "base/convert.h"
#include "base/processor.h"

// A subnormal is what remains of 2^-14 + its 2^-24ths.
static inline __attribute__((always_inline)) float f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    const uint32_t usual = (rest << 13) + (112u << 23), ends = 0x7f800000 | rest << 13;
    const float tiny = tuff_float((rest << 13) + (113u << 23)) - tuff_float(113u << 23);
    const uint32_t magnitude = rest >= 0x7c00 ? ends : rest >= 0x400 ? usual : tuff_bits(tiny);
    return tuff_float(sign | magnitude);
}

// What is below 2^-14 is rounded by adding a number whose last bit is 2^-24.
static inline __attribute__((always_inline)) uint16_t f32_to_f16(float x)
{
    const uint32_t bits = tuff_bits(x), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    const uint32_t odd = rest >> 13 & 1;
    const uint32_t usual = (rest - (112u << 23) + 0xfff + odd) >> 13;
    const uint32_t tiny = tuff_bits(tuff_float(rest) + 0.5f) - tuff_bits(0.5f);
    const uint32_t ends = rest > 0x7f800000 ? 0x7e00 : 0x7c00;
    return (uint16_t)(sign | (rest >= 0x477ff000 ? ends : rest >= 0x38800000 ? usual : tiny));
}

static inline __attribute__((always_inline)) uint16_t f32_to_bf16(float x)
{
    const uint32_t bits = tuff_bits(x), round = 0x7fff + (bits >> 16 & 1);
    const uint32_t nan = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : (bits + round) >> 16);
}

enum kind { F16_TO_F32, BF16_TO_F32, F32_TO_F16, F32_TO_BF16, COPIED, OTHER };

TUFF_EACH_PROCESSOR void convert(enum kind kind, const void *from, void *to, size_t n)
{
    const uint16_t *h = from;
    const float *f = from;
    float *y = to;
    uint16_t *z = to;
    switch (kind) {
    case F16_TO_F32: for (size_t i = 0; i < n; i++) y[i] = f16_to_f32(h[i]); break;
    case BF16_TO_F32:
        for (size_t i = 0; i < n; i++) y[i] = tuff_float((uint32_t)h[i] << 16);
        break;
    case F32_TO_F16: for (size_t i = 0; i < n; i++) z[i] = f32_to_f16(f[i]); break;
    default: for (size_t i = 0; i < n; i++) z[i] = f32_to_bf16(f[i]); break;
    }
}
TUFF_FOR_PROCESSORS(convert, (enum kind kind, const void *from, void *to, size_t n),
                    (kind, from, to, n))

static enum kind kind_of(tuff_dtype from, tuff_dtype to)
{
    if (from == to) return COPIED;
    if (from == TUFF_F16 && to == TUFF_F32) return F16_TO_F32;
    if (from == TUFF_BF16 && to == TUFF_F32) return BF16_TO_F32;
    if (from == TUFF_F32 && to == TUFF_F16) return F32_TO_F16;
    return from == TUFF_F32 && to == TUFF_BF16 ? F32_TO_BF16 : OTHER;
}

bool tuff_convert_is_fast(tuff_dtype from_type, tuff_dtype to_type)
{
    return kind_of(from_type, to_type) != OTHER;
}

void tuff_convert_fast(tuff_dtype from_type, const void *from, tuff_dtype to_type, void *to,
                       bool saturate, size_t begin, size_t end)
{
    const enum kind kind = kind_of(from_type, to_type);
    const size_t a = tuff_dtype_size(from_type), b = tuff_dtype_size(to_type);
    const char *x = (const char *)from + begin * a;
    if (kind == OTHER) tuff_convert(from_type, from, to_type, to, saturate, begin, end);
    else if (kind == COPIED) memmove((char *)to + begin * b, x, (end - begin) * a);
    else convert_best()(kind, x, (char *)to + begin * b, end - begin);
}
