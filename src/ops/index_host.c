// Rows picked by indices, and what is scattered back of them, on the CPU path. A pick is a copy
// of a row, whatever its elements are. A gradient's picks are first put in order by their rows
// (a counting sort: the picks of a row stay in their order), so that each row of dx is one sum,
// in f64, that any thread may make.
#include "ops/host.h"
#include "ops/index.h"
#include <string.h>

enum {
    UNIT = 1 << 14, // elements of a unit
    STRIP = 512     // columns that are added up at once
};

// Rows of a unit.
static size_t group_of(const tuff_index *s)
{
    return s->inner < UNIT ? (size_t)(UNIT / s->inner) : 1;
}

static size_t groups_of(const tuff_index *s, size_t rows)
{
    return (rows + group_of(s) - 1) / group_of(s);
}

// ---- rows that are picked -------------------------------------------------------------------

// What the whole number i of `indices` names of n, or -1.
static int64_t named(tuff_dtype type, const void *indices, size_t i, int64_t n)
{
    int64_t at = type == TUFF_I64 ? ((const int64_t *)indices)[i]
                                  : ((const int32_t *)indices)[i];
    if (at < 0 && at >= -n) at += n;
    return at >= 0 && at < n ? at : -1;
}

// The row of pick j of block `outer`, or -1.
static int64_t row_of(const tuff_index *s, tuff_dtype type, const void *indices, size_t outer,
                      size_t j)
{
    if (s->kind == TUFF_INDEX_AXIS) return named(type, indices, j, s->rows);
    const size_t first = (outer * (size_t)s->picks + j) * (size_t)s->coords;
    int64_t row = 0;
    for (int k = 0; k < s->coords; k++) {
        const int64_t n = s->x.dim[s->first + k];
        const int64_t at = named(type, indices, first + (size_t)k, n);
        if (at < 0) return -1;
        row = row * n + at;
    }
    return row;
}

size_t tuff_gather_host_units(const tuff_index *s)
{
    return groups_of(s, (size_t)(s->outer * s->picks));
}

void tuff_gather_host(const tuff_ref *r, const tuff_index *s)
{
    const size_t picks = (size_t)s->picks, all = (size_t)s->outer * picks, group = group_of(s);
    const size_t row_bytes = (size_t)s->inner * tuff_dtype_size(r->call->out[0].dtype);
    const size_t end = r->end * group < all ? r->end * group : all;
    for (size_t i = r->begin * group; i < end; i++) {
        const size_t outer = i / picks;
        const int64_t row = row_of(s, r->call->in[1].dtype, r->in[1], outer, i % picks);
        char *y = (char *)r->out[0] + i * row_bytes;
        if (row < 0) memset(y, 0, row_bytes);
        else memcpy(y, (const char *)r->in[0] + (outer * (size_t)s->rows + (size_t)row) *
                                                    row_bytes, row_bytes);
    }
}

// ---- their gradient -------------------------------------------------------------------------

// Blocks along an axis share their indices.
static size_t lists_of(const tuff_index *s)
{
    return s->kind == TUFF_INDEX_AXIS ? 1 : (size_t)s->outer;
}

// Of each list: where the picks of each row begin in `order`, and the picks.
static size_t list_size(const tuff_index *s) { return (size_t)(s->rows + 1 + s->picks); }

size_t tuff_gather_grad_host_scratch(const tuff_index *s)
{
    return lists_of(s) * list_size(s) * sizeof(uint32_t);
}

size_t tuff_gather_grad_host_units(const tuff_index *s, int stage)
{
    if (stage == 0) return lists_of(s);
    return stage == 1 ? groups_of(s, (size_t)(s->outer * s->rows)) : 0;
}

static void sort(const tuff_ref *r, const tuff_index *s, size_t list)
{
    uint32_t *from = (uint32_t *)r->scratch + list * list_size(s);
    uint32_t *order = from + s->rows + 1, sum = 0;
    const tuff_dtype type = r->call->in[1].dtype;
    const size_t picks = (size_t)s->picks, rows = (size_t)s->rows;
    memset(from, 0, (rows + 1) * sizeof *from);
    for (size_t j = 0; j < picks; j++) {
        const int64_t row = row_of(s, type, r->in[1], list, j);
        if (row >= 0) from[row]++;
    }
    // Ends, which become beginnings as picks are put down from the last one on.
    for (size_t i = 0; i <= rows; i++) from[i] = sum += from[i];
    for (size_t j = picks; j-- > 0;) {
        const int64_t row = row_of(s, type, r->in[1], list, j);
        if (row >= 0) order[--from[row]] = (uint32_t)j;
    }
}

TUFF_EACH_PROCESSOR void add_rows(const float *dy, size_t step, const uint32_t *pick,
                                  size_t picks, float *dx, size_t n)
{
    double sum[STRIP] = { 0 };
    for (size_t j = 0; j < picks; j++) {
        const float *v = dy + pick[j] * step;
        TUFF_INDEPENDENT
        for (size_t i = 0; i < n; i++) sum[i] += (double)v[i];
    }
    TUFF_INDEPENDENT
    for (size_t i = 0; i < n; i++) dx[i] = (float)sum[i];
}
TUFF_FOR_PROCESSORS(add_rows, (const float *dy, size_t step, const uint32_t *pick, size_t picks,
                               float *dx, size_t n), (dy, step, pick, picks, dx, n))

static void one_row(const tuff_ref *r, const tuff_index *s, size_t i)
{
    const size_t inner = (size_t)s->inner, rows = (size_t)s->rows, outer = i / rows;
    const size_t list = lists_of(s) == 1 ? 0 : outer, row = i % rows;
    const uint32_t *from = (const uint32_t *)r->scratch + list * list_size(s);
    const uint32_t *pick = from + rows + 1 + from[row], picks = from[row + 1] - from[row];
    const float *dy = r->in[0] + outer * (size_t)s->picks * inner;
    float *dx = r->out[0] + i * inner;
    if (picks == 0) {
        memset(dx, 0, inner * sizeof *dx);
    } else if (picks == 1) {
        memcpy(dx, dy + *pick * inner, inner * sizeof *dx);
    } else {
        for (size_t at = 0; at < inner; at += STRIP)
            add_rows_best()(dy + at, inner, pick, picks, dx + at,
                            inner - at < STRIP ? inner - at : STRIP);
    }
}

void tuff_gather_grad_host(const tuff_ref *r, const tuff_index *s)
{
    const size_t group = group_of(s), rows = (size_t)(s->outer * s->rows);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        if (r->stage == 0) {
            sort(r, s, unit);
            continue;
        }
        for (size_t i = unit * group; i < (unit + 1) * group && i < rows; i++)
            one_row(r, s, i);
    }
}
