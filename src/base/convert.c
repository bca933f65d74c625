#include "base/convert.h"
#include "base/half.h"
#include <math.h>

// An element on its way. Every type but i64 fits the double, and i64 the whole number.
typedef struct element {
    bool whole;
    int64_t i;
    double f;
} element;

static element load(tuff_dtype type, const void *from, size_t at)
{
#define WHOLE(c) ((element){ .whole = true, .i = (int64_t)((const c *)from)[at] })
    switch (type) {
    case TUFF_F32: return (element){ .f = (double)((const float *)from)[at] };
    case TUFF_F16: return (element){ .f = (double)tuff_f16_to_f32(((uint16_t *)from)[at]) };
    case TUFF_BF16: return (element){ .f = (double)tuff_bf16_to_f32(((uint16_t *)from)[at]) };
    case TUFF_I32: return WHOLE(int32_t);
    case TUFF_U32: return WHOLE(uint32_t);
    case TUFF_I8: return WHOLE(int8_t);
    case TUFF_U8: return WHOLE(uint8_t);
    case TUFF_BOOL: return (element){ .whole = true, .i = ((const uint8_t *)from)[at] != 0 };
    default: return WHOLE(int64_t);
    }
#undef WHOLE
}

// The ends of a whole type.
static void range_of(tuff_dtype type, int64_t *low, int64_t *high)
{
    *low = type == TUFF_I8 ? INT8_MIN : type == TUFF_I32 ? INT32_MIN
         : type == TUFF_I64 ? INT64_MIN : 0;
    *high = type == TUFF_I8 ? INT8_MAX : type == TUFF_U8 ? UINT8_MAX
          : type == TUFF_I32 ? INT32_MAX : type == TUFF_U32 ? UINT32_MAX : INT64_MAX;
}

static int64_t whole_of(element e, tuff_dtype type, bool saturate)
{
    int64_t low, high;
    range_of(type, &low, &high);
    if (e.whole) return !saturate ? e.i : e.i < low ? low : e.i > high ? high : e.i;
    if (isnan(e.f)) return 0;
    // 2^63 as a double is over INT64_MAX; below it the cast is exact.
    if (e.f >= (double)high) return high;
    return e.f <= (double)low ? low : (int64_t)e.f;
}

// A double that rounds to f16 or bf16 as the whole number itself does: from i64 to f32 and on
// would round twice, so the bits that f32 cannot hold are kept as a last odd one.
static float odd_float(element e)
{
    if (!e.whole) return (float)e.f; // came from at most 32 bits: exact
    const uint64_t m = e.i < 0 ? 0 - (uint64_t)e.i : (uint64_t)e.i;
    int shift = 0;
    while (m >> shift >= (1u << 23)) shift++;
    uint64_t top = m >> shift;
    if (top << shift != m) top |= 1;
    const double v = ldexp((double)top, shift);
    return (float)(e.i < 0 ? -v : v);
}

static void store(tuff_dtype type, void *to, size_t at, element e, bool saturate)
{
    switch (type) {
    case TUFF_F32: ((float *)to)[at] = e.whole ? (float)e.i : (float)e.f; break;
    case TUFF_F16: ((uint16_t *)to)[at] = tuff_f32_to_f16(odd_float(e)); break;
    case TUFF_BF16: ((uint16_t *)to)[at] = tuff_f32_to_bf16(odd_float(e)); break;
    case TUFF_I32: ((int32_t *)to)[at] = (int32_t)whole_of(e, type, saturate); break;
    case TUFF_U32: ((uint32_t *)to)[at] = (uint32_t)whole_of(e, type, saturate); break;
    case TUFF_I8: ((int8_t *)to)[at] = (int8_t)whole_of(e, type, saturate); break;
    case TUFF_U8: ((uint8_t *)to)[at] = (uint8_t)whole_of(e, type, saturate); break;
    case TUFF_BOOL: ((uint8_t *)to)[at] = e.whole ? e.i != 0 : e.f != 0; break;
    default: ((int64_t *)to)[at] = whole_of(e, type, saturate); break;
    }
}

void tuff_convert(tuff_dtype from_type, const void *from, tuff_dtype to_type, void *to,
                  bool saturate, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        store(to_type, to, i, load(from_type, from, i), saturate);
}
