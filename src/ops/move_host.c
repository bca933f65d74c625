// Copies of elements on the CPU path: runs of neighbours where both sides have them, else tiles
// of a transposition, in which a row of x and a row of y each stay in a cache.
#include "ops/host.h"
#include "ops/move.h"
#include <string.h>

enum {
    RUN = 1 << 14, // elements of a unit
    TILE = 32      // a tile's side
};

typedef struct loop {
    tuff_walk walk;
    int64_t in_base;
    size_t count, size; // elements, bytes of one
    int along;          // dim along which neighbours of x lie; -1: no tiles are to be made
} loop;

// Elements of y must come in their order, without a gap.
static bool is_whole(const tuff_move *m, const tuff_desc *y)
{
    int64_t next = 1;
    for (int d = m->rank - 1; d >= 0; next *= m->dim[d--])
        if (m->dim[d] > 1 && m->out_step[d] != next) return false;
    return m->output == 0 && m->out_base == 0 && next == tuff_desc_count(y);
}

static loop loop_of(const tuff_call *c, const tuff_move *m)
{
    loop l = { .walk = tuff_walk_make(m->rank, m->dim, m->in_step, m->out_step),
               .in_base = m->in_base, .count = (size_t)tuff_desc_count(&c->out[0]),
               .size = tuff_dtype_size(c->out[0].dtype), .along = -1 };
    const tuff_walk *w = &l.walk;
    for (int d = 1; d < w->rank && w->step[0][0] > 1; d++)
        if (w->step[0][d] == 1 && w->dim[d] >= 8 && w->dim[0] >= 8) l.along = d;
    return l;
}

// Steps are kept modulo 2^32, which negative ones make use of.
static int64_t step_of(const loop *l, int d) { return (int32_t)l->walk.step[0][d]; }

static int64_t place_of(const loop *l, size_t i)
{
    int64_t at = l->in_base;
    for (int d = 0; d < l->walk.rank; i /= l->walk.dim[d++])
        at += (int64_t)(i % l->walk.dim[d]) * step_of(l, d);
    return at;
}

// n elements, `step` apart, to neighbours.
static void copy_run(const char *x, int64_t step, size_t n, size_t size, char *y)
{
    if (step == 1) {
        memcpy(y, x, n * size);
    } else if (size == sizeof(uint32_t)) {
        const uint32_t *from = (const uint32_t *)(const void *)x;
        uint32_t *to = (uint32_t *)(void *)y;
        for (size_t i = 0; i < n; i++) to[i] = from[(int64_t)i * step];
    } else {
        for (size_t i = 0; i < n; i++)
            memcpy(y + i * size, x + (int64_t)i * step * (int64_t)size, size);
    }
}

static void copy_runs(const tuff_ref *r, const loop *l, size_t begin, size_t end)
{
    const size_t length = l->walk.rank ? l->walk.dim[0] : 1;
    const int64_t step = l->walk.rank ? step_of(l, 0) : 1;
    for (size_t i = begin; i < end;) {
        const size_t left = length - i % length, n = left < end - i ? left : end - i;
        copy_run((const char *)r->in[0] + place_of(l, i) * (int64_t)l->size, step, n, l->size,
                 (char *)r->out[0] + i * l->size);
        i += n;
    }
}

// ---- tiles ---------------------------------------------------------------------------------

// y[a][b] = x[b][a]; a row of x is x_row elements long, and one of y y_row.
static void copy_tile(const uint32_t *x, int64_t x_row, uint32_t *y, int64_t y_row, size_t rows,
                      size_t cols)
{
    uint32_t tile[TILE][TILE];
    for (size_t b = 0; b < cols; b++)
        for (size_t a = 0; a < rows; a++) tile[a][b] = x[(int64_t)b * x_row + (int64_t)a];
    for (size_t a = 0; a < rows; a++)
        memcpy(y + (int64_t)a * y_row, tile[a], cols * sizeof *y);
}

static size_t strips(const loop *l)
{
    return (l->walk.dim[l->along] + TILE - 1) / TILE;
}

// A unit: TILE places of the dim along x, all of dim 0, one place of each other dim.
static void copy_strip(const tuff_ref *r, const loop *l, size_t unit)
{
    const tuff_walk *w = &l->walk;
    const size_t first = unit % strips(l) * TILE, left = w->dim[l->along] - first;
    const size_t rows = left < TILE ? left : TILE;
    int64_t from = l->in_base + (int64_t)first;
    int64_t to = (int64_t)(first * w->step[1][l->along]);
    size_t rest = unit / strips(l);
    for (int d = 1; d < w->rank; d++) {
        if (d == l->along) continue;
        from += (int64_t)(rest % w->dim[d]) * step_of(l, d);
        to += (int64_t)(rest % w->dim[d] * w->step[1][d]);
        rest /= w->dim[d];
    }
    const uint32_t *x = tuff_words(r, 0) + from;
    uint32_t *y = tuff_words_out(r, 0) + to;
    for (size_t b = 0; b < w->dim[0]; b += TILE) {
        const size_t cols = w->dim[0] - b < TILE ? w->dim[0] - b : TILE;
        copy_tile(x + (int64_t)b * step_of(l, 0), step_of(l, 0), y + b,
                  (int64_t)w->step[1][l->along], rows, cols);
    }
}

static bool is_tiled(const loop *l) { return l->along > 0 && l->size == sizeof(uint32_t); }

bool tuff_move_host_takes(const tuff_call *c, const tuff_move *m)
{
    return is_whole(m, &c->out[0]);
}

size_t tuff_move_host_units(const tuff_call *c, const tuff_move *m)
{
    const loop l = loop_of(c, m);
    if (!is_tiled(&l)) return (l.count + RUN - 1) / RUN;
    return l.count / l.walk.dim[0] / l.walk.dim[l.along] * strips(&l);
}

void tuff_move_host(const tuff_ref *r, const tuff_move *m)
{
    const loop l = loop_of(r->call, m);
    if (is_tiled(&l)) {
        for (size_t unit = r->begin; unit < r->end; unit++) copy_strip(r, &l, unit);
        return;
    }
    const size_t end = r->end * RUN < l.count ? r->end * RUN : l.count;
    copy_runs(r, &l, r->begin * RUN, end);
}
