// How the weight gradient of a 3 x 3 convolution is planned by Winograd's filtering, on
// CPU-like drivers; see shaders/winograd.glsl.
#include "abi/conv.h"
#include "ops/conv.h"
#include "ops/gemm.h"
#include <math.h>

enum { X, DY };           // inputs
enum { U, V, PRODUCTS };  // scratch: of dy, of x, and what is to be added
enum {
    PLACES = 16,          // of a tile
    CHUNK = 8 << 20,      // bytes of U and V that a cache may hold
    MOST_CHUNKS = 20,     // each takes three dispatches
    QUADS = TUFF_GEMM_SUM / 4 // of one sum
};

typedef struct winograd_dw {
    const tuff_caps *k;
    tuff_conv v;
    uint32_t quads_x, tiles_y, quads; // fours of tiles: in a row, and in all
    uint32_t chunk, chunks;           // fours of one, and how many
    size_t part;                      // elements of what one chunk sums
} winograd_dw;

static uint32_t panels_of(const winograd_dw *g, int64_t chs)
{
    return tuff_ceil_div((uint64_t)chs, g->k->subgroup);
}

static size_t panel_bytes(const winograd_dw *g, int64_t chs, uint32_t quads)
{
    return (size_t)PLACES * panels_of(g, chs) * g->k->subgroup * quads * 16;
}

static bool is_3x3(const tuff_conv *v)
{
    return v->k[0] == 1 && v->k[1] == 3 && v->k[2] == 3 && v->x[0] == 1 && v->y[0] == 1 &&
           v->group == 1 && v->stride[1] == 1 && v->stride[2] == 1 && v->dilation[1] == 1 &&
           v->dilation[2] == 1;
}

// By what parts of it take, and of conv_dw_texel.comp, on lavapipe 22.3, in products of 8: a
// four of tiles of x and of dy transformed, a pair of channels at the end, a product of packed
// operands and one of those that are gathered.
static bool is_worth(const winograd_dw *g)
{
    enum { OF_X = 1100, OF_DY = 900, PAIR = 300 };
    const double o = (double)g->v.o, c = (double)g->v.c, quads = g->quads;
    const double cols = 4 * g->k->subgroup;
    const double here = quads * (OF_X * c + OF_DY * o) + PAIR * o * c * g->chunks +
                        PLACES * 4 * quads * ceil(o / 16) * 16 * ceil(c / cols) * cols;
    const double there = 2 * (double)(g->v.n * g->v.y[1] * g->v.y[2]) * ceil(o / 8) * 8 *
                         ceil(9 * c / cols) * cols;
    return here < there;
}

static bool describe(winograd_dw *g)
{
    const tuff_conv *v = &g->v;
    g->quads_x = tuff_ceil_div((uint64_t)v->y[2], 8);
    g->tiles_y = tuff_ceil_div((uint64_t)v->y[1], 2);
    const uint64_t quads = (uint64_t)v->n * g->tiles_y * g->quads_x, most = INT32_MAX / PLACES;
    if (quads * (uint64_t)v->c > most / 4 || quads * (uint64_t)v->o > most / 4 ||
        (uint64_t)v->o * (uint64_t)v->c > most)
        return false;
    g->quads = (uint32_t)quads;
    const size_t of_quad = panel_bytes(g, v->c, 1) + panel_bytes(g, v->o, 1);
    uint32_t chunk = (uint32_t)(CHUNK / of_quad) + 1;
    if (chunk * (uint64_t)MOST_CHUNKS < quads) chunk = tuff_ceil_div(quads, MOST_CHUNKS);
    const size_t larger = panel_bytes(g, v->c > v->o ? v->c : v->o, 1);
    const uint64_t bound = g->k->max_texels / (larger / 16); // fours of tiles at once
    if (chunk > bound) chunk = (uint32_t)bound;
    if (chunk < 1) return false;
    g->chunks = tuff_ceil_div(quads, chunk < QUADS ? chunk : QUADS);
    g->chunk = tuff_ceil_div(quads, g->chunks); // all about as large
    g->part = (size_t)PLACES * (size_t)v->o * (size_t)v->c;
    if (g->chunks > 1) g->part = (g->part + 63) / 64 * 64; // each is bound apart
    return g->chunks <= MOST_CHUNKS;
}

static bool fits(const winograd_dw *g, size_t bytes, size_t texel)
{
    return tuff_fits(g->k, bytes) && bytes / texel <= g->k->max_texels;
}

static void transform(const winograd_dw *g, const tuff_call *c, tuff_plan *plan, int input,
                      uint32_t first, uint32_t quads)
{
    const tuff_conv *v = &g->v;
    const bool dy = input == DY;
    const int64_t *size = dy ? v->y : v->x;
    const struct tuff_winograd_panel_pc pc = {
        .chs = (uint32_t)(dy ? v->o : v->c), .size_x = (uint32_t)size[2],
        .size_y = (uint32_t)size[1], .off_x = dy ? 0 : -(int)v->pad[2],
        .off_y = dy ? 0 : -(int)v->pad[1], .quads_x = g->quads_x, .tiles_y = g->tiles_y,
        .first = first, .quads = quads };
    const int shader = dy ? TUFF_SHADER_winograd_panel_dy : TUFF_SHADER_winograd_panel;
    const bool texels = tuff_fits_texel(g->k, &c->in[input], sizeof(float));
    tuff_dispatch *d = tuff_plan_add(plan, texels ? shader : tuff_shader_stored(shader));
    tuff_bind(d, TUFF_ROLE_IN, input, texels ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE,
              TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, dy ? U : V, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, g->k->subgroup);
    tuff_spec(d, 2);
    tuff_spec(d, g->k->subgroup);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (uint64_t)panels_of(g, pc.chs) * quads, g->k);
}

// The products of one chunk into its part.
static void multiply(const winograd_dw *g, const tuff_call *c, tuff_plan *plan, uint32_t chunk,
                     uint32_t quads)
{
    const uint32_t o = (uint32_t)g->v.o, ch = (uint32_t)g->v.c, w = g->k->subgroup;
    const tuff_gemm of = { .m = o, .n = ch, .k = 4 * quads, .batches = PLACES,
                           .count = PLACES * o * ch, .splits = 1, .k_step = 4 * quads };
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_gemm_packed);
    tuff_bind(d, TUFF_ROLE_SCRATCH, U, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    d->slot[0].size = panel_bytes(g, o, quads);
    tuff_bind(d, TUFF_ROLE_SCRATCH, V, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    d->slot[1].size = panel_bytes(g, ch, quads);
    tuff_bind(d, TUFF_ROLE_SCRATCH, PRODUCTS, TUFF_BIND_STORAGE, TUFF_WRITE);
    d->slot[2].offset = chunk * g->part * sizeof(float);
    d->slot[2].size = g->part * sizeof(float);
    tuff_bind_or_word(c, d, -1, X, TUFF_BIND_TEXEL_F32);
    tuff_bind_or_word(c, d, -1, X, TUFF_BIND_TEXEL_F32);
    const uint64_t pieces = (uint64_t)tuff_ceil_div(ch, 4 * w) * PLACES;
    const uint32_t rows = tuff_packed_rows(o, pieces, g->k);
    tuff_spec(d, w);
    tuff_spec(d, false);
    tuff_spec(d, rows);
    TUFF_PUSH(d, (struct tuff_packed_pc){ .g = of, .plane = ch });
    tuff_grid(d, tuff_ceil_div(o, rows) * pieces, g->k);
}

static void transform_back(const winograd_dw *g, tuff_plan *plan)
{
    const uint32_t pairs = (uint32_t)(g->v.o * g->v.c);
    const uint32_t wg = tuff_group_size_for(g->k, pairs);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_winograd_dw);
    tuff_bind(d, TUFF_ROLE_SCRATCH, PRODUCTS, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_spec(d, wg);
    tuff_spec(d, 2);
    tuff_spec(d, 0);
    TUFF_PUSH(d, (struct tuff_winograd_dw_pc){ .pairs = pairs, .parts = g->chunks,
                                               .part = (uint32_t)g->part });
    tuff_grid(d, tuff_ceil_div(pairs, wg), g->k);
}

TUFF_CONV_PLAN(dw_winograd2)
{
    winograd_dw g = { .k = k };
    tuff_conv_good(c, X, -1, DY, &g.v);
    if (!tuff_takes_texels(k) || !is_3x3(&g.v) || !describe(&g)) return false;
    if (!plan->forced && !is_worth(&g)) return false;
    plan->scratch[U] = panel_bytes(&g, g.v.o, g.chunk);
    plan->scratch[V] = panel_bytes(&g, g.v.c, g.chunk);
    plan->scratch[PRODUCTS] = g.chunks * g.part * sizeof(float);
    if (!fits(&g, plan->scratch[U], 16) || !fits(&g, plan->scratch[V], 16) ||
        !fits(&g, plan->scratch[PRODUCTS], 4))
        return false;
    for (uint32_t i = 0; i < g.chunks; i++) {
        const uint32_t first = i * g.chunk;
        const uint32_t quads = g.quads - first < g.chunk ? g.quads - first : g.chunk;
        transform(&g, c, plan, DY, first, quads);
        transform(&g, c, plan, X, first, quads);
        multiply(&g, c, plan, i, quads);
    }
    transform_back(&g, plan);
    return true;
}
