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
    LOOPS = 6            // iterations of all loops a product, see gemm_load.glsl
};

// What a product costs there beside one of an 8 x 8 block of an invocation, which has twice the
// products for each value from shared memory that a 4 x 4 block has.
typedef struct size {
    const char *name;
    tuff_gemm_tile tile;
    double cost;
} size;

static const size sizes[] = {
    { "large", { .rows = 128, .cols = 128, .group = 256, .tall = true, .broad = true }, 1 },
    { "long", { .rows = 128, .cols = 64, .group = 128, .tall = true, .broad = true }, 1.05 },
    { "medium", { .rows = 64, .cols = 64, .group = 64, .tall = true, .broad = true }, 1.15 },
    { "small", { .rows = 32, .cols = 64, .group = 64, .tall = false, .broad = true }, 1.5 },
};

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

static uint32_t cores_of(const tuff_caps *k)
{
    return k->cores ? k->cores : k->unified ? FEW_CORES : CORES;
}

// How long a product takes in tiles of one size and parts of sums, in products of a core.
// Workgroups are dealt to the cores in rounds; a core with few invocations at work waits for
// memory. Parts are written and read once more: a number from memory and back takes a whole
// GPU about as long as 150 products.
static double time_of(const tuff_gemm *g, const size *s, uint32_t parts, uint32_t cores)
{
    const double tiles = (double)tuff_ceil_div(g->m, s->tile.rows) *
                         tuff_ceil_div(g->n, s->tile.cols) * g->batches * parts;
    const double rounds = ceil(tiles / cores);
    const double lanes = fmin(rounds, 2.0 * BUSY_LANES / s->tile.group) * s->tile.group;
    const double idle = fmax(1, BUSY_LANES / lanes);
    const double products = (double)s->tile.rows * s->tile.cols * g->k / parts;
    const double numbers = parts > 1 ? (double)g->m * g->n * g->batches * (parts + 1) : 0;
    return rounds * products * s->cost * idle + 150 * numbers / cores;
}

bool tuff_gemm_tile_choose(const tuff_gemm *g, uint32_t element, int wanted, const tuff_caps *k,
                      tuff_gemm_tile *tile, uint32_t *parts)
{
    const uint32_t useful = g->k / SHORTEST_PART;
    double best = INFINITY;
    for (int i = 0; i < SIZES; i++) {
        tuff_gemm_tile t = sizes[i].tile;
        if ((wanted > 0 && wanted != i + 1) || !fits(k, element, &t)) continue;
        for (uint32_t p = 1; p == 1 || (p <= useful && p <= 64); p *= 2) {
            const double time = time_of(g, &sizes[i], p, cores_of(k));
            if (time >= best) continue;
            best = time;
            *tile = t;
            *parts = p;
        }
    }
    return best < INFINITY;
}

const char *tuff_gemm_tile_name(int i)
{
    return i >= 1 && i <= SIZES ? sizes[i - 1].name : NULL;
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

static bool tile(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                 const tuff_gemm_form *form, uint32_t element, const tuff_caps *k,
                 tuff_plan *plan)
{
    const tuff_gemm *g = &p->g;
    tuff_gemm_tile t;
    uint32_t parts;
    p->acts = true;
    p->loops = LOOPS;
    const int wanted = tuff_plan_way(plan, ways);
    if (!tuff_gemm_tile_choose(g, element, wanted, k, &t, &parts)) return false;
    if (!tuff_product_cut(p, k, parts, STEP, tuff_product_direct(p, k))) return false;
    memcpy(pc, g, sizeof *g);
    tuff_dispatch *d = tuff_product_add(p, shader, plan);
    tuff_gemm_tile_spec(d, &t, form);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, tuff_gemm_tile_count(&t, g->m, g->n) * g->batches * g->splits, k);
    tuff_product_finish(p, k, plan);
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
