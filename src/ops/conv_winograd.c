// How Winograd convolutions are planned; see conv_winograd.h.
#include "ops/conv_winograd.h"
#include "abi/conv.h"
#include <math.h>
#include <string.h>
#include <tuff/ops/conv.h>

enum {
    U, V, PRODUCTS,       // scratch
    SUMS = 240,           // channels of one f32 sum with m = 4, see winograd.glsl
    CHUNK = 4 << 20,      // bytes of V and the products that a cache may hold
    MOST_CHUNKS = 16,     // each takes three dispatches
    TILE = 64,            // most tiles of gemm_tile.glsl have edges of multiples of it
    ROWS = 16, COLS = 4,  // a tile of conv_point.comp: so many rows, and subgroups of columns
    TILE_CHANNELS = 32, TILE_PIXELS = 256 // what is thought to be worth the way on a GPU
};

typedef struct winograd {
    const tuff_product *p;
    const tuff_caps *k;
    int m;
    bool tile;
    uint32_t rows, chs;     // channels written and read
    uint32_t batches;       // places of a tile: (m + 2)^2 products
    uint32_t tiles;         // of all images
    uint32_t splits, step;  // of the sums over channels
    struct tuff_winograd_w_pc w;
    struct tuff_winograd_pc in, out;
} winograd;

static bool has(const winograd *g, int input)
{
    return tuff_call_has(g->p->call, input);
}

static bool is_for(const tuff_product *p, const struct tuff_conv_pc *c)
{
    const int s = c->step_x;
    return c->k_x == 3 && c->k_y == 3 && c->k_z == 1 && p->g.batches == 1 && c->mul_x == 1 &&
           c->mul_y == 1 && c->div_x == 1 && c->div_y == 1 && (s == 1 || s == -1) &&
           c->step_y == s && c->from_z == 1 && c->to_z == 1;
}

static void describe(winograd *g, const struct tuff_conv_pc *c)
{
    const tuff_product *p = g->p;
    const uint32_t taps = 9, m = (uint32_t)g->m;
    const bool flip = c->step_x < 0; // taps then run from right to left
    g->rows = p->g.m;
    g->chs = p->g.k / taps;
    g->batches = (m + 2) * (m + 2);
    // Kernels of CPU-like drivers take four tiles of a row at once.
    const uint32_t unit = g->tile ? 1 : 4;
    const struct tuff_winograd_pc tiles = {
        .tiles_x = tuff_ceil_div(tuff_ceil_div(c->to_x, m), unit) * unit,
        .tiles_y = tuff_ceil_div(c->to_y, m) };
    g->tiles = p->g.n / (c->to_x * c->to_y) * tiles.tiles_x * tiles.tiles_y;
    g->step = g->m == 4 ? SUMS : TUFF_GEMM_SUM;
    g->splits = tuff_ceil_div(g->chs, g->step);
    g->step = tuff_ceil_div(tuff_ceil_div(g->chs, g->splits), 4) * 4;
    g->w = (struct tuff_winograd_w_pc){ .rows = g->rows, .chs = g->chs, .w_row = c->w_row,
                                        .w_ch = c->w_ch, .flip = flip };
    g->in = g->out = tiles;
    g->in.chs = g->chs;
    g->in.size_x = c->from_x;
    g->in.size_y = c->from_y;
    g->in.off_x = c->off_x - (flip ? 2 : 0);
    g->in.off_y = c->off_y - (flip ? 2 : 0);
    g->out.chs = g->rows;
    g->out.size_x = c->to_x;
    g->out.size_y = c->to_y;
    g->out.splits = g->splits;
    g->out.after = (uint32_t)p->act | (has(g, p->bias) ? TUFF_AFTER_BIAS : 0) |
                   (has(g, p->residual) ? TUFF_AFTER_RESIDUAL : 0);
}

static double up_to(double n, double unit) { return ceil(n / unit) * unit; }

// Whether it is faster than a sum over kernel taps. On CPU-like drivers by what parts of both
// take (lavapipe 22.3), in products of a tile of conv_point.comp: a tile of x transformed, one
// of a result transformed back, a kernel, an output of a product, an element packed. Where
// multiplying is slow (SwiftShader), the transforms cost next to nothing beside it.
static bool is_worth(const winograd *g, double pixels)
{
    enum { OUTPUT = 28, PACKED = 4 };
    if (g->tile)
        return g->rows >= TILE_CHANNELS && g->chs >= TILE_CHANNELS && pixels >= TILE_PIXELS;
    const bool slow = g->k->slow_multiply;
    const double part = slow ? 0.125 : 1;
    const double in = part * (slow ? (g->m == 4 ? 1650 : 700) : (g->m == 4 ? 1100 : 340));
    const double out = part * (g->m == 4 ? 780 : slow ? 260 : 240);
    const bool once = tuff_call_constant(g->p->call, g->p->a);
    const double kernel = part * (once ? 0 : g->m == 4 ? 1100 : 400);
    const double rows = up_to(g->rows, ROWS), cols = COLS * g->k->subgroup, chs = g->chs;
    const double here = g->tiles * (in * chs + out * g->rows) + kernel * chs * g->rows +
                        g->batches * rows * up_to(g->tiles, cols) * (chs + OUTPUT);
    const double there = up_to(pixels, cols) * (9 * chs * (rows + PACKED) + OUTPUT * rows);
    return here < there;
}

// ---- sizes -------------------------------------------------------------------------------

static uint32_t panel(const winograd *g) { return g->tile ? 0 : g->k->subgroup; }

// Channels that U has.
static uint32_t channels(const winograd *g)
{
    return g->tile ? g->chs : tuff_ceil_div(g->chs, 4) * 4;
}

static size_t u_bytes(const winograd *g)
{
    const uint32_t w = panel(g);
    const size_t rows = w ? (size_t)tuff_ceil_div(g->rows, w) * w : g->rows;
    return g->batches * rows * channels(g) * sizeof(float);
}

static size_t v_bytes(const winograd *g, uint32_t tiles)
{
    return (size_t)g->batches * g->chs * tiles * sizeof(float);
}

static size_t product_bytes(const winograd *g, uint32_t tiles)
{
    return (size_t)g->splits * g->batches * g->rows * tiles * sizeof(float);
}

static bool fits(const winograd *g, size_t bytes)
{
    return tuff_fits(g->k, bytes) && (g->tile || bytes / 16 <= g->k->max_texels);
}

// Tiles of one chunk: all of them, or what fits, in full tiles of the product.
static bool chunk_of(const winograd *g, uint32_t *tiles)
{
    const uint32_t unit = g->tile ? TILE : COLS * g->k->subgroup;
    uint64_t units = CHUNK / (v_bytes(g, unit) + product_bytes(g, unit));
    if (units * MOST_CHUNKS * unit < g->tiles)
        units = tuff_ceil_div(g->tiles, MOST_CHUNKS * unit);
    if (units < 1) units = 1;
    *tiles = units * unit < g->tiles ? (uint32_t)(units * unit) : g->tiles;
    return fits(g, u_bytes(g)) && fits(g, v_bytes(g, *tiles)) &&
           fits(g, product_bytes(g, *tiles));
}

// ---- dispatches --------------------------------------------------------------------------

static tuff_dispatch *add(const winograd *g, int shader, int texel_shader, tuff_plan *plan)
{
    return tuff_plan_add(plan, g->tile ? shader : texel_shader);
}

static tuff_bind_kind kind(const winograd *g, tuff_bind_kind texels)
{
    return g->tile ? TUFF_BIND_STORAGE : texels;
}

static void end(const winograd *g, tuff_dispatch *d, uint64_t invocations)
{
    const uint32_t wg = tuff_group_size_for(g->k, invocations);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)g->m);
    tuff_spec(d, panel(g));
    tuff_grid(d, tuff_ceil_div(invocations, wg), g->k);
}

static void bind_or(const winograd *g, tuff_dispatch *d, int input, tuff_bind_kind how)
{
    tuff_bind_or_word(g->p->call, d, input, g->p->a, how);
}

static void transform_w(const winograd *g, tuff_plan *plan)
{
    tuff_dispatch *d = add(g, TUFF_SHADER_winograd_w, TUFF_SHADER_winograd_w_texel, plan);
    tuff_bind(d, TUFF_ROLE_IN, g->p->a, kind(g, TUFF_BIND_TEXEL_F32), TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, U, TUFF_BIND_STORAGE, TUFF_WRITE);
    TUFF_PUSH(d, g->w);
    end(g, d, (uint64_t)g->rows * channels(g) / (g->tile ? 1 : 4));
}

// Whether rows of pixels come in fours, and the second column of the first tile begins one.
static bool is_wide(const struct tuff_winograd_pc *pc)
{
    return pc->size_x % 4 == 0 && (pc->off_x + 1) % 4 == 0;
}

static void transform_in(const winograd *g, tuff_plan *plan, struct tuff_winograd_pc pc)
{
    const bool wide = !g->tile && is_wide(&pc);
    tuff_dispatch *d = add(g, TUFF_SHADER_winograd_in, TUFF_SHADER_winograd_in_texel, plan);
    tuff_bind(d, TUFF_ROLE_IN, g->p->b,
              kind(g, wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32), TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, V, TUFF_BIND_STORAGE, TUFF_WRITE);
    TUFF_PUSH(d, pc);
    end(g, d, (uint64_t)pc.tiles / (g->tile ? 1 : 4) * g->chs);
    if (!g->tile) tuff_spec(d, wide);
}

static tuff_gemm product_of(const winograd *g, uint32_t tiles)
{
    return (tuff_gemm){ .m = g->rows, .n = tiles, .k = g->chs, .batches = g->batches,
                        .count = g->batches * g->rows * tiles, .splits = g->splits,
                        .k_step = g->step };
}

static void multiply_panels(const winograd *g, tuff_plan *plan, uint32_t tiles)
{
    const uint64_t pieces = (uint64_t)tuff_ceil_div(tiles, COLS * g->k->subgroup) *
                            g->batches * g->splits;
    const uint32_t rows = tuff_packed_rows(g->rows, pieces, g->k);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_conv_point);
    tuff_bind(d, TUFF_ROLE_SCRATCH, U, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, V, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, PRODUCTS, TUFF_BIND_STORAGE, TUFF_WRITE);
    bind_or(g, d, -1, TUFF_BIND_TEXEL_F32);
    bind_or(g, d, -1, TUFF_BIND_TEXEL_F32);
    tuff_spec(d, g->k->subgroup);
    tuff_spec(d, false);
    TUFF_PUSH(d, (struct tuff_point_pc){ .g = product_of(g, tiles),
                                         .plane = tiles });
    tuff_spec(d, rows);
    tuff_grid(d, tuff_ceil_div(g->rows, rows) * pieces, g->k);
}

static void multiply_tile(const winograd *g, tuff_plan *plan, uint32_t tiles)
{
    struct tuff_matmul_pc pc = { .g = product_of(g, tiles), .a_m = 1, .a_k = g->rows,
                                 .b_k = tiles, .b_n = 1 };
    for (int i = 0; i < TUFF_MATMUL_DIMS; i++) pc.dim[i] = 1;
    pc.dim[TUFF_MATMUL_DIMS - 1] = g->batches;
    pc.a_step[TUFF_MATMUL_DIMS - 1] = g->rows * g->chs;
    pc.b_step[TUFF_MATMUL_DIMS - 1] = g->chs * tiles;
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_matmul_tile);
    tuff_bind(d, TUFF_ROLE_SCRATCH, U, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, V, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, PRODUCTS, TUFF_BIND_STORAGE, TUFF_WRITE);
    bind_or(g, d, -1, TUFF_BIND_TEXEL_F32);
    bind_or(g, d, -1, TUFF_BIND_STORAGE);
    tuff_gemm_tile tile;
    // Neighbours lie along rows and columns, not along k.
    const tuff_gemm_form form = { .a_quad = g->rows % 4 == 0, .b_quad = tiles % 4 == 0,
                                  .y_quad = tiles % 4 == 0 };
    // can_run has asked whether there is one.
    (void)tuff_gemm_tile_choose(&pc.g, sizeof(float), &form, 0, g->k, &tile, NULL);
    tuff_gemm_tile_spec(d, &tile, &form);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_gemm_tile_count(&tile, g->rows, tiles) * g->batches * g->splits, g->k);
}

static void transform_out(const winograd *g, tuff_plan *plan, struct tuff_winograd_pc pc)
{
    const bool wide = !g->tile && pc.size_x % 4 == 0, residual = has(g, g->p->residual);
    tuff_dispatch *d = add(g, TUFF_SHADER_winograd_out, TUFF_SHADER_winograd_out_texel, plan);
    pc.part = g->batches * g->rows * pc.pitch;
    tuff_bind(d, TUFF_ROLE_SCRATCH, PRODUCTS, kind(g, TUFF_BIND_TEXEL_F32X4), TUFF_READ);
    tuff_bind_out(d, 0);
    bind_or(g, d, g->p->bias, kind(g, TUFF_BIND_TEXEL_F32));
    bind_or(g, d, g->p->residual,
            kind(g, wide && residual ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32));
    TUFF_PUSH(d, pc);
    end(g, d, (uint64_t)g->rows * pc.tiles / (g->tile ? 1 : 4));
    if (g->tile) return;
    tuff_spec(d, residual);
    tuff_spec(d, wide);
}

static bool can_run(const winograd *g)
{
    const tuff_call *c = g->p->call;
    const uint64_t most = (uint64_t)INT32_MAX / g->batches; // elements of U, V, products
    if ((uint64_t)g->chs * g->tiles > most || (uint64_t)g->rows * g->tiles > most) return false;
    if (g->tile) {
        tuff_gemm_tile tile;
        const tuff_gemm any = { .m = 1, .n = 1, .k = 1, .batches = 1 };
        return tuff_gemm_tile_choose(&any, sizeof(float), &(tuff_gemm_form){ 0 }, 0, g->k,
                                     &tile, NULL);
    }
    return tuff_takes_texels(g->k) && tuff_product_texels(g->p, g->k, sizeof(float)) &&
           tuff_fits_texel(g->k, &c->in[g->p->a], sizeof(float)) &&
           tuff_fits_texel(g->k, &c->in[g->p->b], sizeof(float));
}

bool tuff_winograd(const tuff_product *p, const struct tuff_conv_pc *conv, int m, bool tile,
                   const tuff_caps *k, tuff_plan *plan)
{
    winograd g = { .p = p, .k = k, .m = m, .tile = tile };
    uint32_t chunk;
    const tuff_conv_params *params = p->call->params;
    if (!is_for(p, conv) || (m == 4 && !params->fast && !plan->forced)) return false;
    describe(&g, conv);
    if (!can_run(&g) || !(plan->forced || is_worth(&g, p->g.n)) || !chunk_of(&g, &chunk))
        return false;
    plan->scratch[U] = u_bytes(&g);
    plan->scratch[V] = v_bytes(&g, chunk);
    plan->scratch[PRODUCTS] = product_bytes(&g, chunk);
    transform_w(&g, plan);
    for (uint32_t first = 0; first < g.tiles; first += chunk) {
        const uint32_t tiles = g.tiles - first < chunk ? g.tiles - first : chunk;
        g.in.first = g.out.first = first;
        g.in.tiles = g.out.tiles = tiles;
        g.in.pitch = g.out.pitch = tiles;
        transform_in(&g, plan, g.in);
        if (tile) multiply_tile(&g, plan, tiles);
        else multiply_panels(&g, plan, tiles);
        transform_out(&g, plan, g.out);
    }
    return true;
}
