// Copies whose coordinates are shifted, on the CPU path, row by row of y: what lies within x is
// a run of neighbours, and so is each repeat of a row.
#include "ops/host.h"
#include "ops/move.h"
#include <string.h>

enum { UNIT = 1 << 14 }; // elements of a unit

typedef struct rows {
    const tuff_remap *m;
    size_t count, length; // rows of y, elements of one
    size_t size;          // bytes of an element
    const char *x;
} rows;

static rows rows_of(const tuff_call *c, const tuff_remap *m)
{
    rows a = { .m = m, .length = m->rank ? (size_t)m->dim[m->rank - 1] : 1,
               .size = tuff_dtype_size(c->out[0].dtype) };
    a.count = (size_t)tuff_desc_count(&c->out[0]) / a.length;
    return a;
}

static size_t group_of(const rows *a) { return a->length < UNIT ? UNIT / a->length : 1; }

size_t tuff_remap_host_units(const tuff_call *c, const tuff_remap *m)
{
    const rows a = rows_of(c, m);
    return (a.count + group_of(&a) - 1) / group_of(&a);
}

// Coordinate c of a dim of n elements, or -1.
static int64_t coordinate(uint32_t mode, int64_t c, int64_t n)
{
    if (c >= 0 && c < n) return c;
    if (mode == TUFF_MODE_CONSTANT) return -1;
    if (mode == TUFF_MODE_EDGE) return c < 0 ? 0 : n - 1;
    const int64_t period = mode == TUFF_MODE_WRAP ? n : n > 1 ? 2 * n - 2 : 1;
    int64_t at = c % period;
    if (at < 0) at += period;
    return at < n ? at : period - at;
}

static void fill(const rows *a, size_t n, char *y)
{
    const uint32_t word = a->m->value;
    const int64_t wide = (int32_t)word; // the high word of an i64 is its sign
    if (a->size == sizeof word)
        for (size_t i = 0; i < n; i++) memcpy(y + i * sizeof word, &word, sizeof word);
    else
        for (size_t i = 0; i < n; i++) memcpy(y + i * sizeof wide, &wide, sizeof wide);
}

// Elements from .. end of a row of y from a row of x.
static void beside(const rows *a, const char *x, int64_t from, int64_t end, char *y)
{
    const int last = a->m->rank - 1;
    if (a->m->mode == TUFF_MODE_CONSTANT) {
        fill(a, (size_t)(end - from), y + (size_t)from * a->size);
        return;
    }
    for (int64_t i = from, n; i < end; i += n) {
        const int64_t at = coordinate(a->m->mode, i - a->m->before[last], a->m->size[last]);
        n = 1;
        if (a->m->mode == TUFF_MODE_WRAP) n = a->m->size[last] - at;
        if (n > end - i) n = end - i;
        memcpy(y + (size_t)i * a->size, x + (size_t)at * a->size, (size_t)n * a->size);
    }
}

// x NULL: there is no such row.
static void copy_row(const rows *a, const char *x, char *y)
{
    const int last = a->m->rank - 1;
    const int64_t length = (int64_t)a->length;
    if (!x) {
        fill(a, a->length, y);
        return;
    }
    int64_t begin = 0, end = length, shift = 0;
    if (last >= 0) {
        shift = a->m->before[last];
        begin = shift > 0 ? shift < length ? shift : length : 0;
        const int64_t behind = shift + a->m->size[last];
        end = behind < begin ? begin : behind < length ? behind : length;
    }
    beside(a, x, 0, begin, y);
    memcpy(y + (size_t)begin * a->size, x + (size_t)(begin - shift) * a->size,
           (size_t)(end - begin) * a->size);
    beside(a, x, end, length, y);
}

static const char *row_of(const rows *a, size_t i)
{
    size_t at = 0, step = a->m->rank ? (size_t)a->m->size[a->m->rank - 1] : 1;
    for (int d = a->m->rank - 2; d >= 0; i /= (size_t)a->m->dim[d--]) {
        const int64_t c = (int64_t)(i % (size_t)a->m->dim[d]) - a->m->before[d];
        const int64_t from = coordinate(a->m->mode, c, a->m->size[d]);
        if (from < 0) return NULL;
        at += (size_t)from * step;
        step *= (size_t)a->m->size[d];
    }
    return a->x + at * a->size;
}

void tuff_remap_host(const tuff_ref *r, const tuff_remap *m)
{
    rows a = rows_of(r->call, m);
    const size_t group = group_of(&a);
    const size_t end = r->end * group < a.count ? r->end * group : a.count;
    a.x = (const char *)r->in[0];
    for (size_t i = r->begin * group; i < end; i++)
        copy_row(&a, row_of(&a, i), (char *)r->out[0] + i * a.length * a.size);
}
