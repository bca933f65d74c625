// Types of elements and descriptions of tensors; declared in <tuff/base.h>.
#include "base/dtype.h"
#include <stdio.h>
#include <string.h>

static const struct {
    tuff_dtype dtype;
    size_t size;
    const char *name;
} types[] = {
    { TUFF_F32, 4, "f32" }, { TUFF_F16, 2, "f16" }, { TUFF_BF16, 2, "bf16" },
    { TUFF_I32, 4, "i32" }, { TUFF_U32, 4, "u32" }, { TUFF_I8, 1, "i8" },
    { TUFF_U8, 1, "u8" },   { TUFF_BOOL, 1, "bool" }, { TUFF_I64, 8, "i64" },
};

size_t tuff_dtype_size(tuff_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype) return types[i].size;
    return 0;
}

const char *tuff_dtype_name(tuff_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype) return types[i].name;
    return "?";
}

tuff_dtype tuff_dtype_find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == n && memcmp(types[i].name, name, n) == 0)
            return types[i].dtype;
    return (tuff_dtype)0;
}

int64_t tuff_desc_count(const tuff_desc *d)
{
    int64_t n = 1;
    for (int i = 0; i < d->rank; i++) n *= d->dim[i];
    return n;
}

size_t tuff_desc_bytes(const tuff_desc *d)
{
    return (size_t)tuff_desc_count(d) * tuff_dtype_size(d->dtype);
}

bool tuff_desc_equal(const tuff_desc *a, const tuff_desc *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

const char *tuff_desc_print(const tuff_desc *d, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s [", tuff_dtype_name(d->dtype));
    for (int i = 0; i < d->rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %lld" : "%lld",
                                 (long long)d->dim[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}
