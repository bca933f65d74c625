#include "data/array.h"
#include "base/alloc.h"
#include "base/half.h"
#include "base/status.h"
#include <math.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files here are little-endian");

bool tuff_dims_bytes(const int64_t *dim, int rank, size_t size, size_t *bytes)
{
    // A dim of zero makes the product zero whatever the others are; they are checked all the
    // same, as strides are made of them.
    size_t product = size, nonzero = size;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || (uint64_t)dim[i] > SIZE_MAX / 2) return false;
        const size_t n = dim[i] ? (size_t)dim[i] : 1;
        if (__builtin_mul_overflow(nonzero, n, &nonzero)) return false;
        product *= (size_t)dim[i];
    }
    *bytes = product;
    return nonzero <= SIZE_MAX / 2;
}

void tuff_narrow_f64(const void *from, float *to, size_t n)
{
    const char *bytes = from;
    for (size_t i = 0; i < n; i++) {
        double wide;
        memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
        const float narrow = (float)wide;
        memcpy((char *)to + i * sizeof narrow, &narrow, sizeof narrow);
    }
}

tuff_status tuff_array_init(tuff_array *a, tuff_desc desc)
{
    size_t bytes;
    *a = (tuff_array){ 0 };
    const size_t size = tuff_dtype_size(desc.dtype);
    TUFF_REQUIRE(size > 0, DTYPE, "an array's type is none of tuff_dtype");
    TUFF_REQUIRE(desc.rank >= 0 && desc.rank <= TUFF_MAX_DIMS, SHAPE,
                 "an array has %d dims, expected at most %d", desc.rank, TUFF_MAX_DIMS);
    for (int i = 0; i < desc.rank; i++)
        TUFF_REQUIRE(desc.dim[i] >= 1, SHAPE, "dim %d of an array is %lld, expected at least 1",
                     i, (long long)desc.dim[i]);
    TUFF_REQUIRE(tuff_dims_bytes(desc.dim, desc.rank, size, &bytes), SHAPE,
                 "an array's size overflows");
    a->data = tuff_alloc_aligned(bytes);
    if (!a->data) return TUFF_ERR_MEMORY;
    memset(a->data, 0, bytes);
    a->desc = desc;
    return TUFF_OK;
}

void tuff_array_clear(tuff_array *a)
{
    tuff_free(a->data);
    *a = (tuff_array){ 0 };
}

// ---- conversion -----------------------------------------------------------------------------

// An element on its way: whole numbers as such, so that none loses a bit unseen.
struct element {
    bool whole;
    int64_t i;
    double f;
};

static struct element load(const tuff_array *a, size_t at)
{
#define WHOLE(type) ((struct element){ .whole = true, .i = ((const type *)a->data)[at] })
    switch (a->desc.dtype) {
    case TUFF_F32: return (struct element){ .f = ((const float *)a->data)[at] };
    case TUFF_F16: return (struct element){ .f = tuff_f16_to_f32(((uint16_t *)a->data)[at]) };
    case TUFF_BF16: return (struct element){ .f = tuff_bf16_to_f32(((uint16_t *)a->data)[at]) };
    case TUFF_I32: return WHOLE(int32_t);
    case TUFF_U32: return WHOLE(uint32_t);
    case TUFF_I8: return WHOLE(int8_t);
    case TUFF_U8: return WHOLE(uint8_t);
    case TUFF_I64: return WHOLE(int64_t);
    case TUFF_BOOL: break;
    }
#undef WHOLE
    return (struct element){ .whole = true, .i = ((const uint8_t *)a->data)[at] != 0 };
}

// Writes an element; false when it does not fit.
static bool store_float(tuff_array *a, size_t at, struct element e)
{
    const double limit = 9007199254740992.0; // 2^53: every whole number up to it is a double
    const double v = e.whole ? (double)e.i : e.f;
    double kept;
    if (e.whole && !(fabs(v) <= limit)) return false;
    if (a->desc.dtype == TUFF_F32) {
        kept = ((float *)a->data)[at] = (float)v;
    } else if (a->desc.dtype == TUFF_F16) {
        const uint16_t bits = tuff_f32_to_f16((float)v);
        ((uint16_t *)a->data)[at] = bits;
        kept = tuff_f16_to_f32(bits);
    } else {
        const uint16_t bits = tuff_f32_to_bf16((float)v);
        ((uint16_t *)a->data)[at] = bits;
        kept = tuff_bf16_to_f32(bits);
    }
    return !e.whole || kept == v;
}

static bool store_whole(tuff_array *a, size_t at, struct element e)
{
    if (!e.whole) {
        if (!(e.f >= -0x1p63 && e.f < 0x1p63) || e.f != floor(e.f)) return false;
        e.i = (int64_t)e.f;
    }
#define STORE(type, low, high)                                                  \
    if (e.i < (low) || e.i > (high)) return false;                              \
    ((type *)a->data)[at] = (type)e.i;                                          \
    return true
    switch (a->desc.dtype) {
    case TUFF_I32: STORE(int32_t, INT32_MIN, INT32_MAX);
    case TUFF_U32: STORE(uint32_t, 0, UINT32_MAX);
    case TUFF_I8: STORE(int8_t, INT8_MIN, INT8_MAX);
    case TUFF_U8: STORE(uint8_t, 0, UINT8_MAX);
    case TUFF_BOOL: STORE(uint8_t, 0, 1);
    default: break;
    }
#undef STORE
    ((int64_t *)a->data)[at] = e.i;
    return true;
}

tuff_status tuff_array_convert(const tuff_array *from, tuff_dtype dtype, tuff_array *to)
{
    tuff_desc desc = from->desc;
    desc.dtype = dtype;
    TUFF_TRY(tuff_array_init(to, desc));
    if (dtype == from->desc.dtype) {
        memcpy(to->data, from->data, tuff_desc_bytes(&desc));
        return TUFF_OK;
    }
    const bool real = dtype & (TUFF_F32 | TUFF_F16 | TUFF_BF16);
    const size_t n = (size_t)tuff_desc_count(&desc);
    for (size_t i = 0; i < n; i++) {
        const struct element e = load(from, i);
        if (real ? store_float(to, i, e) : store_whole(to, i, e)) continue;
        tuff_array_clear(to);
        if (e.whole)
            return tuff_fail(TUFF_ERR_DTYPE, "element %zu is %lld, which is not exact in %s", i,
                             (long long)e.i, tuff_dtype_name(dtype));
        return tuff_fail(TUFF_ERR_DTYPE, "element %zu is %g, which is not exact in %s", i, e.f,
                         tuff_dtype_name(dtype));
    }
    return TUFF_OK;
}
