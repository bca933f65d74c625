// Plans of the tiles in shared memory (gemm_tile.glsl): which size, and in how many parts a
// sum is made.
#include "ops/gemm.h"
#include <math.h>
#include <string.h>

enum {
    STEP = 16,           // products of each sum that pass through shared memory at a time
    SHORT_STEP = 8,      // the same where shared memory is small
    SHORTEST_PART = 256, // products that are worth a part of their own
    BUSY_LANES = 256,    // invocations that keep one core busy
    CORES = 64,          // of a GPU that does not tell
    FEW_CORES = 16,      // of one that shares the host's memory
    MOST_PARTS = 64,
    CUT_ROWS = 128,      // of two bytes an element at least: 256 bytes
    LOOPS = 6            // iterations of all loops a product, see gemm_load.glsl
};

// What a product costs there beside one of an 8 x 8 block of an invocation, which has twice the
// products for each value from shared memory that a 4 x 4 block has.
typedef struct size {
    tuff_gemm_tile tile;
    double cost;
} size;

static const size sizes[] = {
    { { .rows = 128, .cols = 128, .group = 256, .tall = true, .broad = true }, 1 },
    { { .rows = 128, .cols = 64, .group = 128, .tall = true, .broad = true }, 1.05 },
    { { .rows = 64, .cols = 64, .group = 64, .tall = true, .broad = true }, 1.15 },
    { { .rows = 32, .cols = 64, .group = 64, .tall = false, .broad = true }, 1.5 },
};

// Of the time without it, where a launch more is worth its while.
static const double WORTH = 0.95;

enum { SIZES = sizeof sizes / sizeof *sizes };

// What a tuner may ask for: a size, of those above in their order.
static const char *const ways[] = { "usual", "large", "long", "medium", "small", NULL };

uint32_t tuff_gemm_tile_shared(const tuff_gemm_tile *t, uint32_t element)
{
    return 2 * t->step * (t->rows + t->cols + 8) * element;
}

// Whether the device has room for one, and with how long a step.
static bool fits(const tuff_caps *k, uint32_t element, tuff_gemm_tile *t)
{
    if (k->max_group < t->group || k->max_group_size[0] < t->group) return false;
    for (t->step = STEP; t->step >= SHORT_STEP; t->step /= 2)
        if (tuff_gemm_tile_shared(t, element) <= k->shared) return true;
    return false;
}

// How long a product takes in tiles of one size is counted in products of a core. Workgroups
// are dealt to the cores in rounds. Parts are written and read once more: a number from memory
// and back takes a whole GPU about as long as 150 products.
static uint32_t cores_of(const tuff_caps *k)
{
    return k->cores ? k->cores : k->unified ? FEW_CORES : CORES;
}

// A number of workgroups dealt to the cores, in rounds of one each. A core with few invocations
// at work waits for memory, and those of several workgroups help each other.
static double rounds_of(const tuff_gemm_time *t, double groups)
{
    const double rounds = ceil(groups / t->cores);
    const double lanes = fmin(rounds, fmax(1, 2.0 * t->busy / t->group)) * t->group;
    return rounds * fmax(1, t->busy / lanes);
}

double tuff_gemm_share(const tuff_gemm *g, const tuff_gemm_time *t, bool by_rows,
                       tuff_gemm_cut *cut)
{
    const uint32_t across = tuff_ceil_div(g->n, t->cols) * g->batches;
    const double tiles = (double)tuff_ceil_div(g->m, t->rows) * across, one = t->tile * g->k;
    const double numbers = (double)g->m * g->n * g->batches * t->number / t->cores;
    double best = rounds_of(t, tiles) * one;
    *cut = (tuff_gemm_cut){ .parts = 1 };
    for (uint32_t p = 2; p <= t->useful && p <= MOST_PARTS; p *= 2) {
        const double time = rounds_of(t, tiles * p) * one / p + numbers * (p + 1);
        if (time < best) *cut = (tuff_gemm_cut){ .parts = p };
        best = fmin(best, time);
    }
    // Rows of tiles that fill whole rounds of the cores, at offsets that may be bound.
    uint32_t rows = (uint32_t)(floor(tiles / t->cores) * t->cores / across) * t->rows;
    rows -= rows % CUT_ROWS;
    if (!by_rows || !rows || rows >= g->m) return best;
    const double left = (double)tuff_ceil_div(g->m - rows, t->rows) * across;
    uint32_t parts = (uint32_t)(t->cores / left);
    if (parts > t->useful) parts = t->useful;
    if (parts < 2) return best;
    const double both = rounds_of(t, tiles - left) + 1.0 / parts;
    const double time = both * one + numbers * (g->m - rows) / g->m * (parts + 1);
    if (time >= WORTH * best) return best;
    *cut = (tuff_gemm_cut){ .parts = parts, .rows = rows };
    return time;
}

tuff_gemm_form tuff_product_form(const tuff_product *p, const tuff_gemm_form *form,
                                 const tuff_caps *k)
{
    tuff_gemm_form f = *form;
    if (p->g.batches > 1 || p->g.k > TUFF_GEMM_SUM || !tuff_product_direct(p, k)) f.a_row = 0;
    return f;
}

bool tuff_product_piece(const tuff_product *p, const tuff_gemm_cut *cut, int i,
                        const tuff_gemm_form *form, tuff_product *piece, uint32_t *parts)
{
    *piece = *p;
    *parts = cut->rows && i == 0 ? 1 : cut->parts;
    if (!cut->rows) return i == 0;
    piece->a_row = form->a_row;
    piece->first = i == 0 ? 0 : cut->rows;
    piece->g.m = i == 0 ? cut->rows : p->g.m - cut->rows;
    return i < 2;
}

bool tuff_gemm_tile_choose(const tuff_gemm *g, uint32_t element, const tuff_gemm_form *form,
                           int wanted, const tuff_caps *k, tuff_gemm_tile *tile,
                           tuff_gemm_cut *cut)
{
    double best = INFINITY;
    for (int i = 0; i < SIZES; i++) {
        tuff_gemm_tile t = sizes[i].tile;
        if ((wanted > 0 && wanted != i + 1) || !fits(k, element, &t)) continue;
        const tuff_gemm_time time = {
            .rows = t.rows, .cols = t.cols, .group = t.group, .busy = BUSY_LANES,
            .cores = cores_of(k), .useful = cut ? g->k / SHORTEST_PART : 1, .number = 150,
            .tile = t.rows * t.cols * sizes[i].cost,
        };
        tuff_gemm_cut way;
        const double took = tuff_gemm_share(g, &time, form->a_row > 0, &way);
        if (took >= best) continue;
        best = took;
        *tile = t;
        if (cut) *cut = way;
    }
    return best < INFINITY;
}

void tuff_gemm_tile_spec(tuff_dispatch *d, const tuff_gemm_tile *t, const tuff_gemm_form *form)
{
    tuff_spec(d, t->group);
    tuff_spec(d, t->rows);
    tuff_spec(d, t->cols);
    tuff_spec(d, t->step);
    tuff_spec(d, form->a_long_k);
    tuff_spec(d, form->b_long_k);
    tuff_spec(d, form->a_quad);
    tuff_spec(d, form->b_quad);
    tuff_spec(d, form->y_quad);
    tuff_spec(d, t->tall);
    tuff_spec(d, t->broad);
}

uint64_t tuff_gemm_tile_count(const tuff_gemm_tile *t, uint32_t m, uint32_t n)
{
    return (uint64_t)tuff_ceil_div(m, t->rows) * tuff_ceil_div(n, t->cols);
}

// One launch of rows of y, and the sum of its parts.
static bool launch(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                   const tuff_gemm_tile *t, const tuff_gemm_form *form, uint32_t parts,
                   const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm *g = &p->g;
    if (!tuff_product_cut(p, k, parts, STEP, tuff_product_direct(p, k))) return false;
    memcpy(pc, g, sizeof *g);
    tuff_dispatch *d = tuff_product_add(p, shader, plan);
    tuff_gemm_tile_spec(d, t, form);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, tuff_gemm_tile_count(t, g->m, g->n) * g->batches * g->splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

static bool tile(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                 const tuff_gemm_form *given, uint32_t element, const tuff_caps *k,
                 tuff_plan *plan)
{
    tuff_gemm_tile t;
    tuff_gemm_cut cut;
    tuff_product piece;
    uint32_t parts;
    p->acts = true;
    p->loops = LOOPS;
    const tuff_gemm_form form = tuff_product_form(p, given, k);
    const int wanted = tuff_plan_way(plan, ways);
    if (!tuff_gemm_tile_choose(&p->g, element, &form, wanted, k, &t, &cut)) return false;
    for (int i = 0; tuff_product_piece(p, &cut, i, &form, &piece, &parts); i++)
        if (!launch(&piece, shader, pc, pc_bytes, &t, &form, parts, k, plan)) return false;
    return true;
}

bool tuff_product_tile(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                       const tuff_gemm_form *form, const tuff_caps *k, tuff_plan *plan)
{
    return tile(p, shader, pc, pc_bytes, form, sizeof(float), k, plan);
}

bool tuff_product_half(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                       const tuff_gemm_form *form, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_call *c = p->call;
    const bool halves = c->in[p->a].dtype == TUFF_F16 && c->in[p->b].dtype == TUFF_F16;
    // What saturates leaves the error of a sum and takes its size.
    const bool saturates = p->act == TUFF_ACT_SIGMOID || p->act == TUFF_ACT_TANH;
    // A single number is too little to bind in place of what is not there.
    const bool bound = tuff_desc_bytes(&c->in[0]) >= sizeof(float);
    return k->f16 && halves && bound && !saturates && (p->fast || plan->forced) &&
           tile(p, shader, pc, pc_bytes, form, sizeof(uint16_t), k, plan);
}
