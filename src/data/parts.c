// Examples as they come from files or from memory, brought into one form.
#include "data/parts.h"
#include "base/alloc.h"
#include "base/status.h"
#include "data/npy.h"
#include <string.h>

void tuff_parts_clear(tuff_parts *parts)
{
    tuff_array_clear(&parts->x);
    tuff_array_clear(&parts->y);
    tuff_array_clear(&parts->test_x);
    tuff_array_clear(&parts->test_y);
    for (int i = 0; parts->names && i < parts->name_count; i++) tuff_free(parts->names[i]);
    tuff_free(parts->names);
    *parts = (tuff_parts){ 0 };
}

tuff_status tuff_parts_name(tuff_parts *parts, int count)
{
    parts->names = tuff_alloc((size_t)count, sizeof *parts->names);
    if (!parts->names) return TUFF_ERR_MEMORY;
    parts->name_count = count;
    return TUFF_OK;
}

// Replaces an array by one of another type.
static tuff_status retype(tuff_array *a, tuff_dtype dtype)
{
    tuff_array converted;
    if (a->desc.dtype == dtype) return TUFF_OK;
    TUFF_TRY(tuff_array_convert(a, dtype, &converted));
    tuff_array_clear(a);
    *a = converted;
    return TUFF_OK;
}

static bool is_real(tuff_dtype dtype) { return dtype & (TUFF_F32 | TUFF_F16 | TUFF_BF16); }

tuff_status tuff_parts_arrange(tuff_array *x, tuff_array *y)
{
    tuff_desc *d = &x->desc;
    TUFF_REQUIRE(d->rank >= 1 && d->rank <= 4, SHAPE,
                 "the examples have %d dims, expected [N, F], [N, H, W] or [N, C, H, W]",
                 d->rank);
    if (d->rank == 1) {
        d->dim[1] = 1;
        d->rank = 2;
    } else if (d->rank == 3) {
        memmove(d->dim + 2, d->dim + 1, 2 * sizeof *d->dim);
        d->dim[1] = 1;
        d->rank = 4;
    }
    tuff_status status = retype(x, d->dtype == TUFF_U8 ? TUFF_U8 : TUFF_F32);
    if (status != TUFF_OK) tuff_fail_prefix("examples");
    TUFF_TRY(status);

    tuff_desc *e = &y->desc;
    const bool real = is_real(e->dtype);
    TUFF_REQUIRE(e->rank == 1 || (real && e->rank == 2), SHAPE,
                 "the %s have %d dims, expected [N]%s", real ? "targets" : "labels", e->rank,
                 real ? " or [N, T]" : "");
    TUFF_REQUIRE(e->dim[0] == d->dim[0], SHAPE, "there are %lld examples, but %lld %s",
                 (long long)d->dim[0], (long long)e->dim[0], real ? "targets" : "labels");
    status = retype(y, real ? TUFF_F32 : TUFF_I32);
    if (status != TUFF_OK) tuff_fail_prefix("labels");
    TUFF_TRY(status);
    if (real && y->desc.rank == 1) {
        y->desc.dim[1] = 1;
        y->desc.rank = 2;
    }
    return TUFF_OK;
}

tuff_status tuff_parts_npy(const char *spec, tuff_parts *parts)
{
    const char *comma = strchr(spec, ',');
    TUFF_REQUIRE(comma && comma > spec && comma[1], ARG,
                 "npy:%s names no two files, expected npy:X,Y", spec);
    char *path = tuff_strdup(spec);
    if (!path) return TUFF_ERR_MEMORY;
    path[comma - spec] = '\0';
    tuff_status status = tuff_npy_read(path, &parts->x);
    tuff_free(path);
    TUFF_TRY(status);
    TUFF_TRY(tuff_npy_read(comma + 1, &parts->y));
    status = tuff_parts_arrange(&parts->x, &parts->y);
    if (status != TUFF_OK) tuff_fail_prefix(spec);
    return status;
}
