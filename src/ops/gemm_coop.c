// Plans of products by cooperative matrices (gemm_coop.glsl): which block of those that a
// device lists, and tiles of what size.
#include "ops/gemm.h"
#include <math.h>
#include <string.h>

enum {
    SHORTEST_PART = 512, // products that are worth a part of their own
    CORES = 64,          // of a GPU that does not tell
    FEW_CORES = 16,      // of one that shares the host's memory
    BUSY_LANES = 128,    // invocations that keep one core busy
    LEAST_EDGE = 8,      // of a block: units of four elements, two at a time
    MOST_EDGE = 32
};

// Sums that an invocation holds, and what a product costs beside one of the largest tile: a
// subgroup of 32 with 64 sums each reads a value from shared memory for 21 products.
typedef struct size {
    uint32_t rows, cols, sums;
    double cost;
} size;

static const size sizes[] = {
    { TUFF_COOP_EDGE, TUFF_COOP_EDGE, 64, 1 },
    { 64, 64, 32, 1.3 },
    { 32, 64, 32, 1.6 },
};

enum { SIZES = sizeof sizes / sizeof *sizes };

// What a tuner may ask for: a size, of those above in their order.
static const char *const ways[] = { "usual", "large", "medium", "small", NULL };

bool tuff_coop_pick(const tuff_caps *k, tuff_coop_type type, tuff_coop *block)
{
    uint32_t best = 0;
    for (int i = 0; i < TUFF_COOP_MOST && k->coop[type][i].m; i++) {
        const tuff_coop c = k->coop[type][i];
        const uint32_t least = c.m < c.n ? c.m : c.n, most = c.m > c.n ? c.m : c.n;
        if (least < LEAST_EDGE || most > MOST_EDGE || c.k < LEAST_EDGE || c.k > MOST_EDGE)
            continue;
        // The largest: it is one that the device's units are made for, or several of them. Of
        // two as large the squarer one, of which fewer values are read for a product.
        const uint32_t work = (uint32_t)c.m * c.n * c.k * 4 + least / 8;
        if (work > best) *block = c;
        if (work > best) best = work;
    }
    return best > 0;
}

uint32_t tuff_coop_shared(const tuff_coop_tile *t, const tuff_gemm_form *form, uint32_t element)
{
    const uint32_t pad = 16 / element; // elements
    const uint32_t a = form->a_long_k ? t->rows * (t->step + pad) : t->step * (t->rows + pad);
    const uint32_t b = form->b_long_k ? t->cols * (t->step + pad) : t->step * (t->cols + pad);
    const uint32_t sums = element == 1 ? 2 * TUFF_COOP_EDGE : 0; // of rows and columns
    return 2 * (a + b) * element +
           (t->group / t->lanes * t->block.m * t->block.n + sums) * (uint32_t)sizeof(float);
}

// Shares a tile among subgroups, as square as it goes, and finds the longest step that fits.
static bool cut_tile(const size *s, tuff_coop block, const tuff_gemm_form *form,
                     uint32_t element, const tuff_caps *k, tuff_coop_tile *t)
{
    *t = (tuff_coop_tile){ .rows = s->rows, .cols = s->cols, .lanes = k->subgroup,
                           .block = block };
    const uint32_t own = k->subgroup * s->sums; // elements of one subgroup
    uint32_t cols = 1;
    while (cols * cols < own) cols *= 2;
    if (cols < block.n) cols = block.n;
    if (cols > s->cols) cols = s->cols;
    uint32_t rows = own / cols;
    if (rows < block.m) rows = block.m;
    if (rows > s->rows) rows = s->rows;
    t->row_blocks = rows / block.m;
    t->col_blocks = cols / block.n;
    if (!t->row_blocks || !t->col_blocks) return false;
    t->group = s->rows / rows * (s->cols / cols) * k->subgroup;
    if (t->group > k->max_group || t->group > k->max_group_size[0]) return false;
    for (t->step = 64 / element; t->step >= block.k; t->step /= 2) {
        // Each invocation carries whole units of four, and the same number of them.
        if (s->rows * t->step / 4 % t->group || s->cols * t->step / 4 % t->group) continue;
        if (t->group % (t->step / 4) || t->group % (s->rows / 4) || t->group % (s->cols / 4))
            continue;
        if (tuff_coop_shared(t, form, element) <= k->shared) return true;
    }
    return false;
}

bool tuff_coop_choose(const tuff_gemm *g, tuff_coop_type type, const tuff_gemm_form *form,
                      int wanted, const tuff_caps *k, tuff_coop_tile *tile, tuff_gemm_cut *cut)
{
    const uint32_t cores = k->cores ? k->cores : k->unified ? FEW_CORES : CORES;
    const uint32_t element = type == TUFF_COOP_I8 ? 1 : 2;
    double best = INFINITY;
    tuff_coop block;
    if (!k->coopmat || !k->subgroup_basic || !tuff_coop_pick(k, type, &block)) return false;
    for (int i = 0; i < SIZES; i++) {
        tuff_coop_tile t;
        if (wanted > 0 && wanted != i + 1) continue;
        if (!cut_tile(&sizes[i], block, form, element, k, &t)) continue;
        // Matrix units are kept busy by fewer invocations than others, and a number from
        // memory and back takes them as long as 1000 products.
        const tuff_gemm_time time = {
            .rows = t.rows, .cols = t.cols, .group = t.group, .busy = BUSY_LANES,
            .cores = cores, .useful = cut ? g->k / SHORTEST_PART : 1, .number = 1000,
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

void tuff_coop_spec(tuff_dispatch *d, const tuff_coop_tile *t, const tuff_gemm_form *form,
                    bool flag, const tuff_caps *k)
{
    if (k->subgroup_control) d->launch.subgroup = t->lanes;
    tuff_spec(d, t->group);
    tuff_spec(d, t->rows);
    tuff_spec(d, t->cols);
    tuff_spec(d, t->step);
    tuff_spec(d, form->a_long_k);
    tuff_spec(d, form->b_long_k);
    tuff_spec(d, form->a_quad);
    tuff_spec(d, form->b_quad);
    tuff_spec(d, flag);
    tuff_spec(d, t->lanes);
    tuff_spec(d, t->block.m);
    tuff_spec(d, t->block.n);
    tuff_spec(d, t->block.k);
    tuff_spec(d, t->row_blocks);
    tuff_spec(d, t->col_blocks);
}

// Whether all of a call has one type of 16 bits.
static bool has_type(const tuff_call *c, tuff_dtype type)
{
    bool all = c->out[0].dtype == type;
    for (int i = 0; i < c->nin; i++)
        all = all && (!tuff_call_has(c, i) || c->in[i].dtype == type);
    return all;
}

static bool launch(tuff_product *p, int shader, void *pc, size_t pc_bytes,
                   const tuff_coop_tile *t, const tuff_gemm_form *form, bool from_f32,
                   uint32_t parts, const tuff_caps *k, tuff_plan *plan)
{
    if (!tuff_product_cut(p, k, parts, t->step, tuff_product_direct(p, k))) return false;
    tuff_dispatch *d = tuff_product_add(p, shader, plan);
    tuff_gemm push = p->g;
    if (!from_f32 && d->slot[2].role == TUFF_ROLE_OUT) push.after |= TUFF_AFTER_16;
    memcpy(pc, &push, sizeof push);
    tuff_coop_spec(d, t, form, from_f32, k);
    tuff_push(d, pc, pc_bytes);
    tuff_grid(d, (uint64_t)tuff_ceil_div(p->g.m, t->rows) * tuff_ceil_div(p->g.n, t->cols) *
                     p->g.batches * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

bool tuff_product_coop(tuff_product *p, const tuff_coop_shaders *shaders, void *pc,
                       size_t pc_bytes, const tuff_gemm_form *given, tuff_coop_kind kind,
                       const tuff_caps *k, tuff_plan *plan)
{
    const bool from_f32 = kind == TUFF_COOP_FROM_F32, each = kind == TUFF_COOP_EACH;
    const tuff_call *c = p->call;
    const bool bf16 = has_type(c, TUFF_BF16);
    const tuff_coop_type type = bf16 ? TUFF_COOP_BF16 : TUFF_COOP_F16;
    const int shader = each ? shaders->each : bf16 ? shaders->bf16 : shaders->f16;
    tuff_coop_tile t;
    tuff_gemm_cut cut;
    tuff_product piece;
    uint32_t parts;
    if (from_f32 ? !has_type(c, TUFF_F32) : !bf16 && !has_type(c, TUFF_F16)) return false;
    if (each && (!k->coopmat2 || bf16)) return false;
    // What saturates leaves the error of rounded factors and takes their size.
    if (from_f32 && p->act > TUFF_ACT_RELU) return false;
    if (from_f32 && !p->fast && !plan->forced) return false;
    // A single number is too little to bind in place of what is not there.
    if (!k->storage16 || tuff_desc_bytes(&c->in[0]) < sizeof(float)) return false;
    if (!tuff_shader_built(shader)) return false; // the build's tools were too old
    p->acts = p->words = true;
    const tuff_gemm_form form = tuff_product_form(p, given, k);
    const int wanted = tuff_plan_way(plan, ways);
    if (!tuff_coop_choose(&p->g, type, &form, wanted, k, &t, &cut)) return false;
    for (int i = 0; tuff_product_piece(p, &cut, i, &form, &piece, &parts); i++)
        if (!launch(&piece, shader, pc, pc_bytes, &t, &form, from_f32, parts, k, plan))
            return false;
    return true;
}
