// matmul's kernels: which one runs a call, and with what numbers.
#include "ops/gemm.h"
#include "ops/matmul.h"
#include <assert.h>

// Leading dims as the kernels want them: where every matrix of `a` follows the one before and
// all meet the same b, they are one tall matrix; neighbours that broadcast alike are one dim.
static void merge(tuff_matmul_shape *s)
{
    bool one_b = true;
    for (int i = 0; i < s->dims; i++) one_b &= s->b_step[i] == 0 || s->dim[i] == 1;
    if (one_b && s->a_k == 1) { // b has no batches: a's rows lie at one distance
        s->m *= s->batches;
        s->batches = 1;
        s->dims = 0;
        return;
    }
    int out = 0;
    for (int i = 0; i < s->dims; i++) {
        if (s->dim[i] == 1) continue;
        const int p = out - 1;
        const bool next = out > 0 && s->a_step[i] == s->a_step[p] * s->dim[p] &&
                          s->b_step[i] == s->b_step[p] * s->dim[p];
        if (next) {
            s->dim[p] *= s->dim[i];
            continue;
        }
        s->dim[out] = s->dim[i];
        s->a_step[out] = s->a_step[i];
        s->b_step[out++] = s->b_step[i];
    }
    s->dims = out;
}

void tuff_matmul_product(const tuff_call *c, const tuff_matmul_shape *shape, tuff_product *p,
                         struct tuff_matmul_pc *pc)
{
    tuff_matmul_shape s = *shape;
    merge(&s);
    assert(s.dims <= TUFF_MATMUL_DIMS);
    *p = (tuff_product){ .call = c, .a = s.a, .b = s.b, .bias = -1, .residual = -1,
                         .bias_step = 1, .bias_n = (uint32_t)s.n };
    p->g = (tuff_gemm){ .m = (uint32_t)s.m, .n = (uint32_t)s.n, .k = (uint32_t)s.k,
                        .batches = (uint32_t)s.batches };
    *pc = (struct tuff_matmul_pc){ .a_m = (uint32_t)s.a_m, .a_k = (uint32_t)s.a_k,
                                   .b_k = (uint32_t)s.b_k, .b_n = (uint32_t)s.b_n };
    for (int i = 0; i < TUFF_MATMUL_DIMS; i++) {
        const int from = TUFF_MATMUL_DIMS - 1 - i; // the kernels' innermost is last
        pc->dim[i] = from < s.dims ? (uint32_t)s.dim[from] : 1;
        pc->a_step[i] = from < s.dims ? (uint32_t)s.a_step[from] : 0;
        pc->b_step[i] = from < s.dims ? (uint32_t)s.b_step[from] : 0;
    }
}

bool tuff_matmul_texel(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                       tuff_plan *plan)
{
    return tuff_product_texel(p, TUFF_SHADER_matmul_texel, pc, sizeof *pc, 1, k, plan);
}

// How matmul_wide.comp reads the operands: TUFF_WIDE_...
typedef struct wide {
    uint32_t left, right;
} wide;

static bool in_fours(uint32_t count, uint32_t step) { return count == 1 || step % 4 == 0; }

// Of an operand with `count` rows or columns, from which to which it is `step`, and products
// k_step apart.
static uint32_t way_of(const tuff_gemm *g, uint32_t count, uint32_t step, uint32_t k_step,
                       const uint32_t batch_step[])
{
    for (int i = 0; i < TUFF_MATMUL_DIMS; i++)
        if (batch_step[i] % 4 != 0) return TUFF_WIDE_SINGLE;
    if (k_step == 1 && g->k % 4 == 0 && in_fours(count, step)) return TUFF_WIDE_ALONG_K;
    if (step == 1 && count % 4 == 0 && in_fours(g->k, k_step)) return TUFF_WIDE_ACROSS;
    return TUFF_WIDE_SINGLE;
}

static size_t texel_of(uint32_t way) { return way == TUFF_WIDE_SINGLE ? 4 : 16; }

// False on devices that these kernels are not made for.
static bool wide_of(const tuff_product *p, const struct tuff_matmul_pc *pc, const tuff_caps *k,
                    wide *w)
{
    const tuff_gemm *g = &p->g;
    const tuff_call *c = p->call;
    w->left = way_of(g, g->m, pc->a_m, pc->a_k, pc->a_step);
    w->right = way_of(g, g->n, pc->b_n, pc->b_k, pc->b_step);
    return tuff_takes_texels(k) && k->subgroup >= 8 &&
           tuff_fits_texel(k, &c->in[p->a], texel_of(w->left)) &&
           tuff_fits_texel(k, &c->in[p->b], texel_of(w->right));
}

// Rows of a tile: what a fetch of the right operand costs is shared by them, but rows past the
// end are computed, too. It costs as much as 3 rows by fours, as 15 one by one.
static uint32_t wide_rows(uint32_t m, const wide *how)
{
    const uint32_t fetch = how->right == TUFF_WIDE_SINGLE ? 15 : 3;
    uint32_t best = 16, cost = UINT32_MAX;
    for (uint32_t rows = 16; rows >= 4; rows -= 4)
        if (tuff_ceil_div(m, rows) * (fetch + rows) < cost) {
            cost = tuff_ceil_div(m, rows) * (fetch + rows);
            best = rows;
        }
    return best;
}

// Parts of a sum that occupy the threads of a CPU.
static uint32_t parts_of(const tuff_gemm *g, uint64_t tiles)
{
    enum { FEW = 16, SHORTEST = 128 }; // tiles; products that are worth a part of their own
    const uint32_t parts = tiles < FEW ? 2 * FEW / (uint32_t)tiles : 1;
    return parts < g->k / SHORTEST ? parts : g->k / SHORTEST;
}

// What matmul_wide.comp and matmul_few.comp bind alike.
static tuff_dispatch *add_wide(const tuff_product *p, int shader, const wide *how,
                               const tuff_caps *k, tuff_plan *plan)
{
    tuff_dispatch *d = tuff_plan_add(plan, shader);
    const tuff_bind_kind kind[] = { TUFF_BIND_TEXEL_F32, TUFF_BIND_TEXEL_F32X4 };
    tuff_bind(d, TUFF_ROLE_IN, p->a, kind[how->left != TUFF_WIDE_SINGLE], TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, p->b, kind[how->right != TUFF_WIDE_SINGLE], TUFF_READ);
    tuff_product_bind_y(p, d);
    tuff_product_bind_bias(p, d);
    tuff_spec(d, k->subgroup);
    return d;
}

static bool direct(const tuff_product *p, const tuff_caps *k)
{
    return tuff_product_direct(p, k) && !tuff_call_has(p->call, p->residual);
}

bool tuff_matmul_is_wide(const tuff_product *p, const struct tuff_matmul_pc *pc,
                         const tuff_caps *k)
{
    wide how;
    return wide_of(p, pc, k, &how);
}

bool tuff_matmul_few(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                     tuff_plan *plan)
{
    // Rows; elements of a matrix that is no longer found in a cache near the core.
    enum { MOST = 32, LARGE = 1 << 18 };
    wide how;
    if (!wide_of(p, pc, k, &how) || p->g.batches != 1) return false;
    if (how.left != TUFF_WIDE_ALONG_K || how.right != TUFF_WIDE_ALONG_K) return false;
    const bool pays = p->g.m > 1 && p->g.m <= MOST && (uint64_t)p->g.n * p->g.k >= LARGE;
    if (!plan->forced && !pays) return false;
    const uint32_t rows = p->g.m <= 4 ? 4 : 8;
    const uint64_t tiles = (uint64_t)tuff_ceil_div(p->g.m, rows) *
                           tuff_ceil_div(p->g.n, 2 * k->subgroup);
    if (!tuff_product_cut(p, k, parts_of(&p->g, tiles), 4, direct(p, k))) return false;
    pc->g = p->g;
    tuff_dispatch *d = add_wide(p, TUFF_SHADER_matmul_few, &how, k, plan);
    tuff_spec(d, rows);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, tiles * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

bool tuff_matmul_wide(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    const uint32_t w = k->subgroup;
    wide how;
    if (!wide_of(p, pc, k, &how)) return false;
    const uint32_t rows = wide_rows(p->g.m, &how);
    const uint64_t tiles = (uint64_t)tuff_ceil_div(p->g.m, rows) *
                           tuff_ceil_div(p->g.n, 4 * w) * p->g.batches;
    if (!tuff_product_cut(p, k, parts_of(&p->g, tiles), 4, direct(p, k))) return false;
    pc->g = p->g;
    tuff_dispatch *d = add_wide(p, TUFF_SHADER_matmul_wide, &how, k, plan);
    tuff_spec(d, rows);
    tuff_spec(d, how.left);
    tuff_spec(d, how.right);
    TUFF_PUSH(d, *pc);
    tuff_grid(d, tiles * p->g.splits, k);
    tuff_product_finish(p, k, plan);
    return true;
}

// Whether operands are read once as fast as they are packed: of products that fit a cache, and
// of few rows, unless their matrix is read across its lines.
static bool wide_is_faster(const tuff_product *p, const struct tuff_matmul_pc *pc,
                           const tuff_caps *k)
{
    const double m = p->g.m, n = p->g.n, rows = m * n / (m + n);
    wide how;
    if (!wide_of(p, pc, k, &how)) return false;
    if (how.left == TUFF_WIDE_SINGLE || how.right == TUFF_WIDE_SINGLE) return rows < 32;
    return m * n * p->g.k < 1 << 25 || (how.right == TUFF_WIDE_ACROSS && rows < 64);
}

bool tuff_matmul_packed(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                        tuff_plan *plan)
{
    if (!plan->forced && wide_is_faster(p, pc, k)) return false;
    const struct tuff_pack_pc a = { .rows = p->g.m, .k = p->g.k, .row_step = pc->a_m,
                                    .inner_step = pc->a_k, .inner = p->g.k };
    const struct tuff_pack_pc b = { .rows = p->g.n, .k = p->g.k, .row_step = pc->b_n,
                                    .inner_step = pc->b_k, .inner = p->g.k };
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = p->a, .rows = p->g.m,
                               .pc = &a, .pc_bytes = sizeof a };
    const tuff_panels right = { .shader = TUFF_SHADER_pack, .input = p->b, .rows = p->g.n,
                                .pc = &b, .pc_bytes = sizeof b };
    return tuff_product_packed(p, &left, &right, p->g.n, 0, k, plan);
}

// How both operands lie: `quad` where rows (or what lies side by side) are whole units of four
// elements, wherever a batch begins.
static tuff_gemm_form form_of(const tuff_product *p, const struct tuff_matmul_pc *pc)
{
    const uint32_t m = p->g.m, n = p->g.n, k = p->g.k;
    uint32_t a_steps = 0, b_steps = 0;
    for (int i = 0; i < TUFF_MATMUL_DIMS; i++) {
        if (pc->dim[i] > 1) a_steps |= pc->a_step[i];
        if (pc->dim[i] > 1) b_steps |= pc->b_step[i];
    }
    tuff_gemm_form f = { .a_long_k = pc->a_k == 1, .b_long_k = pc->b_k == 1 && pc->b_n != 1,
                         .y_quad = n % 4 == 0, .a_row = pc->a_m };
    f.a_quad = f.a_long_k ? (k | pc->a_m | a_steps) % 4 == 0
                          : pc->a_m == 1 && (m | pc->a_k | a_steps) % 4 == 0;
    f.b_quad = f.b_long_k ? (k | pc->b_n | b_steps) % 4 == 0
                          : pc->b_n == 1 && (n | pc->b_k | b_steps) % 4 == 0;
    return f;
}

bool tuff_matmul_tile(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    const tuff_gemm_form form = form_of(p, pc);
    return tuff_product_tile(p, TUFF_SHADER_matmul_tile, pc, sizeof *pc, &form, k, plan);
}

bool tuff_matmul_half(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    const tuff_gemm_form form = form_of(p, pc);
    return tuff_product_half(p, TUFF_SHADER_matmul_tile_half, pc, sizeof *pc, &form, k, plan);
}

static const tuff_coop_shaders coop = { TUFF_SHADER_matmul_coop,
                                         TUFF_SHADER_matmul_coop_bf16,
                                         TUFF_SHADER_matmul_coop_each };

bool tuff_matmul_coop(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    const tuff_gemm_form form = form_of(p, pc);
    return tuff_product_coop(p, &coop, pc, sizeof *pc, &form, TUFF_COOP_16, k, plan);
}

bool tuff_matmul_coop2(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                       tuff_plan *plan)
{
    const tuff_gemm_form form = form_of(p, pc);
    return tuff_product_coop(p, &coop, pc, sizeof *pc, &form, TUFF_COOP_EACH, k, plan);
}

bool tuff_matmul_coop_fast(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                           tuff_plan *plan)
{
    const tuff_gemm_form form = form_of(p, pc);
    return tuff_product_coop(p, &coop, pc, sizeof *pc, &form, TUFF_COOP_FROM_F32, k, plan);
}

bool tuff_matmul_plain(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                       tuff_plan *plan)
{
    return tuff_product_plain(p, TUFF_SHADER_matmul_plain, pc, sizeof *pc, k, plan);
}
