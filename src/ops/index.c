// See index.h.
#include "ops/index.h"
#include "base/convert.h"
#include "ops/walk.h"
#include <string.h>

static int64_t product(const int64_t dim[], int from, int to)
{
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= dim[i];
    return n;
}

static tuff_status along_axis(const tuff_gather_params *p, const char *name,
                              const tuff_desc *indices, tuff_index *s)
{
    const tuff_desc *x = &s->x;
    TUFF_REQUIRE(p->axis >= 0 && p->axis < x->rank, ARG, "axis is %d, %s has %d dims", p->axis,
                 name, x->rank);
    TUFF_REQUIRE(x->rank - 1 + indices->rank <= TUFF_MAX_DIMS, SHAPE,
                 "%s has %d dims and indices %d: the result would have %d, %d are the most",
                 name, x->rank, indices->rank, x->rank - 1 + indices->rank, TUFF_MAX_DIMS);
    const int d = x->rank - 1 - p->axis;
    s->outer = product(x->dim, 0, d);
    s->rows = x->dim[d];
    s->inner = product(x->dim, d + 1, x->rank);
    s->picks = tuff_desc_count(indices);
    s->y.rank = 0;
    for (int i = 0; i < d; i++) s->y.dim[s->y.rank++] = x->dim[i];
    for (int i = 0; i < indices->rank; i++) s->y.dim[s->y.rank++] = indices->dim[i];
    for (int i = d + 1; i < x->rank; i++) s->y.dim[s->y.rank++] = x->dim[i];
    return TUFF_OK;
}

static tuff_status by_tuples(const tuff_gather_params *p, const char *name,
                             const tuff_desc *indices, tuff_index *s)
{
    const tuff_desc *x = &s->x;
    const int b = p->batch_dims;
    TUFF_REQUIRE(indices->rank >= 1, SHAPE, "indices has no dims, it must have 1 or more");
    const int64_t coords = indices->dim[indices->rank - 1];
    TUFF_REQUIRE(b >= 0 && b < indices->rank && b <= x->rank, ARG,
                 "batch_dims is %d, %s has %d dims and indices %d", b, name, x->rank,
                 indices->rank);
    TUFF_REQUIRE(coords <= x->rank - b, SHAPE,
                 "the last dim of indices is %lld, %s has %d dims behind batch_dims",
                 (long long)coords, name, x->rank - b);
    for (int i = 0; i < b; i++)
        TUFF_REQUIRE(x->dim[i] == indices->dim[i], SHAPE,
                     "dim %d is %lld in %s and %lld in indices, and counted in batch_dims", i,
                     (long long)x->dim[i], name, (long long)indices->dim[i]);
    const int from = b + (int)coords;
    s->coords = (int)coords;
    s->first = b;
    s->outer = product(x->dim, 0, b);
    s->rows = product(x->dim, b, from);
    s->inner = product(x->dim, from, x->rank);
    s->picks = product(indices->dim, b, indices->rank - 1);
    TUFF_REQUIRE(indices->rank - 1 + x->rank - from <= TUFF_MAX_DIMS, SHAPE,
                 "the result would have %d dims, %d are the most",
                 indices->rank - 1 + x->rank - from, TUFF_MAX_DIMS);
    s->y.rank = 0;
    for (int i = 0; i < indices->rank - 1; i++) s->y.dim[s->y.rank++] = indices->dim[i];
    for (int i = from; i < x->rank; i++) s->y.dim[s->y.rank++] = x->dim[i];
    return TUFF_OK;
}

static tuff_status by_elements(const tuff_gather_params *p, const char *name,
                               const tuff_desc *indices, tuff_index *s)
{
    const tuff_desc *x = &s->x;
    TUFF_REQUIRE(p->axis >= 0 && p->axis < x->rank, ARG, "axis is %d, %s has %d dims", p->axis,
                 name, x->rank);
    s->axis = x->rank - 1 - p->axis;
    bool fits = x->rank == indices->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == s->axis || indices->dim[i] <= x->dim[i];
    char tx[96], ti[96];
    TUFF_REQUIRE(fits, SHAPE, "%s is %s and indices %s: they must have as many dims, and "
                 "indices no larger ones but for dim %d", name,
                 tuff_desc_print(x, tx, sizeof tx), tuff_desc_print(indices, ti, sizeof ti),
                 s->axis);
    s->rows = x->dim[s->axis];
    s->picks = tuff_desc_count(indices);
    s->outer = s->inner = 1;
    memcpy(s->y.dim, indices->dim, sizeof s->y.dim);
    return TUFF_OK;
}

tuff_status tuff_index_of(uint32_t kind, const tuff_gather_params *p, const tuff_desc *x,
                          const char *name, const tuff_desc *indices, tuff_index *s)
{
    *s = (tuff_index){ .kind = kind, .x = *x, .y = *x };
    return kind == TUFF_INDEX_AXIS ? along_axis(p, name, indices, s)
         : kind == TUFF_INDEX_ND ? by_tuples(p, name, indices, s)
                                 : by_elements(p, name, indices, s);
}

tuff_index tuff_index_good(uint32_t kind, const tuff_gather_params *p, const tuff_desc *x,
                           const tuff_desc *indices)
{
    tuff_index s;
    const tuff_status status = tuff_index_of(kind, p, x, "x", indices, &s);
    (void)status;
    return s;
}

struct tuff_index_pc tuff_index_layout(const tuff_index *s, bool wide)
{
    const uint32_t by = wide ? 4 : 1;
    struct tuff_index_pc pc = { .count = (uint32_t)tuff_desc_count(&s->y) / by,
                                .picks = (uint32_t)s->picks, .rows = (uint32_t)s->rows,
                                .inner = (uint32_t)s->inner / by,
                                .coords = (uint32_t)s->coords };
    for (int k = 0; k < s->coords; k++) pc.dim[k] = (uint32_t)s->x.dim[s->first + k];
    if (s->kind != TUFF_INDEX_ELEMENTS) return pc;
    int64_t step[TUFF_MAX_DIMS];
    tuff_steps(&s->x, step);
    for (int d = 0; d < TUFF_MAX_DIMS; d++) pc.dim[d] = 1;
    for (int d = 0; d < s->x.rank; d++) {
        const int from = s->x.rank - 1 - d;
        pc.dim[d] = (uint32_t)s->y.dim[from];
        pc.step[d] = from == s->axis ? 0 : (uint32_t)step[from];
    }
    pc.axis_step = (uint32_t)step[s->axis];
    return pc;
}

// ---- references --------------------------------------------------------------------------

static int64_t wrapped(int64_t i, int64_t n)
{
    if (i < 0) i += n;
    return i >= 0 && i < n ? i : -1;
}

int64_t tuff_index_row(const tuff_index *s, const int32_t *indices, int64_t outer, int64_t j)
{
    if (s->kind == TUFF_INDEX_AXIS) return wrapped(indices[j], s->rows);
    int64_t row = 0;
    for (int k = 0; k < s->coords; k++) {
        const int64_t n = s->x.dim[s->first + k];
        const int64_t c = wrapped(indices[(outer * s->picks + j) * s->coords + k], n);
        if (c < 0) return -1;
        row = row * n + c;
    }
    return row;
}

int64_t tuff_index_source(const tuff_index *s, const int32_t *indices, size_t i)
{
    if (s->kind != TUFF_INDEX_ELEMENTS) {
        const int64_t col = (int64_t)i % s->inner, q = (int64_t)i / s->inner;
        const int64_t row = tuff_index_row(s, indices, q / s->picks, q % s->picks);
        return row < 0 ? -1 : (q / s->picks * s->rows + row) * s->inner + col;
    }
    const int64_t row = wrapped(indices[i], s->rows);
    int64_t at = 0, step = 1, left = (int64_t)i;
    for (int d = s->x.rank - 1; d >= 0; d--) {
        const int64_t c = left % s->y.dim[d];
        at += (d == s->axis ? row : c) * step;
        step *= s->x.dim[d];
        left /= s->y.dim[d];
    }
    return row < 0 ? -1 : at;
}

// ---- samples -----------------------------------------------------------------------------

static int64_t drawn(const tuff_desc *d, const void *data, size_t i)
{
    int64_t v;
    tuff_convert(d->dtype, (const char *)data + i * tuff_dtype_size(d->dtype), TUFF_I64, &v,
                 false, 0, 1);
    return v;
}

static void put(const tuff_desc *d, void *data, size_t i, int64_t v)
{
    tuff_convert(TUFF_I64, &v, d->dtype, (char *)data + i * tuff_dtype_size(d->dtype), false, 0,
                 1);
}

// Every fifth index is counted from the end, every thirteenth is out of range.
static int64_t disguise(int64_t row, int64_t n, size_t i)
{
    if (i % 13 == 12) return i % 2 ? n + 2 : -n - 1;
    return i % 5 == 3 ? row - n : row;
}

void tuff_index_prepare(const tuff_index *s, const tuff_desc *indices, void *data)
{
    const size_t count = (size_t)tuff_desc_count(indices);
    const int coords = s->kind == TUFF_INDEX_ND ? s->coords : 1;
    for (size_t i = 0; i < count / (size_t)coords; i++) {
        const uint32_t any = (uint32_t)drawn(indices, data, i * (size_t)coords) + (uint32_t)i;
        int64_t row = (int64_t)(any * 2654435761u >> 7) % s->rows;
        for (int k = coords - 1; k >= 0; k--) {
            const int64_t n = s->kind == TUFF_INDEX_ND ? s->x.dim[s->first + k] : s->rows;
            put(indices, data, i * (size_t)coords + (size_t)k, disguise(row % n, n, i));
            row /= n;
        }
    }
}
