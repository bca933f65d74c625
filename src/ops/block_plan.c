// Plans of products with blocks; see block_plan.h.
#include "ops/block_plan.h"

enum {
    FEW_TILES = 16,      // fewer than this leave threads of a CPU idle
    SHORTEST_PART = 1024 // products that are worth a part of their own
};

tuff_status tuff_block_infer(const tuff_call *c, int64_t columns, int bias, int residual,
                             int act, tuff_desc *y)
{
    char a[96], b[96];
    TUFF_REQUIRE(act >= TUFF_ACT_NONE && act <= TUFF_ACT_TANH, ARG,
                 "act is %d, expected 0 to %d", act, TUFF_ACT_TANH);
    TUFF_REQUIRE(c->in[0].rank >= 1, SHAPE, "x has no dims, expected at least 1");
    *y = c->in[0];
    y->dim[y->rank - 1] = columns;
    if (tuff_call_has(c, bias))
        TUFF_REQUIRE(c->in[bias].rank == 1 && c->in[bias].dim[0] == columns, SHAPE,
                     "bias is %s, expected [%lld]",
                     tuff_desc_print(&c->in[bias], a, sizeof a), (long long)columns);
    if (tuff_call_has(c, residual))
        TUFF_REQUIRE(tuff_desc_equal(&c->in[residual], y), SHAPE,
                     "residual is %s, y is %s: they must be equal",
                     tuff_desc_print(&c->in[residual], a, sizeof a),
                     tuff_desc_print(y, b, sizeof b));
    return TUFF_OK;
}

tuff_product tuff_block_product_of(const tuff_call *c, int64_t columns, int bias, int residual,
                                   int act)
{
    const tuff_desc *x = &c->in[0];
    const uint32_t n = (uint32_t)columns, k = (uint32_t)x->dim[x->rank - 1];
    return (tuff_product){ .call = c, .a = 0, .b = 1, .bias = bias, .residual = residual,
                           .act = act, .bias_step = 1, .bias_n = n,
                           .g = { .m = (uint32_t)(tuff_desc_count(x) / k), .n = n, .k = k,
                                  .batches = 1 } };
}

struct tuff_block_matmul_pc tuff_block_push(const tuff_block_product *b)
{
    const size_t bytes = (size_t)b->row_bytes * b->p.g.n;
    return (struct tuff_block_matmul_pc){ .g = b->p.g, .row_bytes = b->row_bytes,
                                          .last_texel = (uint32_t)((bytes - 1) / 16) };
}

static void bind_codebook(const tuff_block_product *b, tuff_dispatch *d)
{
    if (b->codebook >= 0)
        tuff_bind(d, TUFF_ROLE_IN, b->codebook, TUFF_BIND_TEXEL_F32, TUFF_READ);
}

static const tuff_desc *blocks_of(const tuff_block_product *b)
{
    return &b->p.call->in[b->p.b];
}

static bool is_direct(const tuff_block_product *b, const tuff_caps *k)
{
    return tuff_product_direct(&b->p, k) && !tuff_call_has(b->p.call, b->p.residual);
}

// The kernels that take blocks by the chunk are large ones.
static bool takes_chunks(const tuff_block_product *b, const tuff_caps *k)
{
    return tuff_takes_texels(k) && !k->slow_compile && tuff_fits_texel(k, blocks_of(b), 16);
}

// The blocks become an operand of the packed product.
bool tuff_block_packed(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm *g = &b->p.g;
    const int shader = b->codebook >= 0 ? TUFF_SHADER_codebook_pack : TUFF_SHADER_block_pack;
    const struct tuff_pack_pc x = { .rows = g->m, .k = g->k, .row_step = g->k,
                                    .inner_step = 1, .inner = g->k };
    const struct tuff_block_matmul_pc w = tuff_block_push(b);
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = b->p.a, .rows = g->m,
                               .pc = &x, .pc_bytes = sizeof x };
    const tuff_panels right = { .shader = shader, .input = b->p.b, .rows = g->n, .pc = &w,
                                .pc_bytes = sizeof w, .words = true, .flagged = true,
                                .flag = b->format };
    if (!takes_chunks(b, k) || !tuff_product_packed(&b->p, &left, &right, g->n, 0, k, plan))
        return false;
    bind_codebook(b, &plan->d[1]);
    return true;
}

// The rows of x that one subgroup, or group, takes.
static uint32_t rows_of_tile(const tuff_block_product *b)
{
    return b->p.g.m >= 3 ? 4 : b->p.g.m;
}

// What the kernels for few rows share from their bindings on.
static void finish(tuff_block_product *b, tuff_dispatch *d, uint64_t tiles, const tuff_caps *k,
                   tuff_plan *plan)
{
    tuff_product_bind_y(&b->p, d);
    tuff_product_bind_bias(&b->p, d);
    bind_codebook(b, d);
    const struct tuff_block_matmul_pc pc = tuff_block_push(b);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tiles * b->p.g.splits, k);
    tuff_product_finish(&b->p, k, plan);
}

// A subgroup takes some rows of x and two columns a lane.
bool tuff_block_texel(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm *g = &b->p.g;
    const uint32_t w = k->subgroup, rows = rows_of_tile(b);
    if (!takes_chunks(b, k) || !tuff_fits_texel(k, &b->p.call->in[b->p.a], 16)) return false;
    const uint64_t tiles = (uint64_t)tuff_ceil_div(g->n, 2 * w) * tuff_ceil_div(g->m, rows);
    uint32_t parts = tiles < FEW_TILES ? FEW_TILES / (uint32_t)tiles : 1;
    if (parts > g->k / SHORTEST_PART) parts = g->k / SHORTEST_PART;
    if (!tuff_product_cut(&b->p, k, parts, b->unit, is_direct(b, k))) return false;
    tuff_dispatch *d = tuff_plan_add(plan, b->codebook >= 0
                                               ? TUFF_SHADER_codebook_matmul_texel
                                               : TUFF_SHADER_block_matmul_texel);
    tuff_bind(d, TUFF_ROLE_IN, b->p.a, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, b->p.b, TUFF_BIND_TEXEL_U32X4, TUFF_READ);
    tuff_spec(d, w);
    tuff_spec(d, b->format);
    tuff_spec(d, rows);
    finish(b, d, tiles, k, plan);
    return true;
}

bool tuff_block_group(tuff_block_product *b, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm *g = &b->p.g;
    const uint32_t rows = rows_of_tile(b);
    if (g->m > TUFF_BLOCK_ROWS || k->max_group < 128 || k->max_group_size[0] < 128)
        return false;
    if (!tuff_product_cut(&b->p, k, 1, 4, is_direct(b, k))) return false;
    tuff_dispatch *d = tuff_plan_add(plan, b->codebook >= 0
                                               ? TUFF_SHADER_codebook_matmul_group
                                               : TUFF_SHADER_block_matmul_group);
    tuff_bind_in(d, b->p.a);
    tuff_bind_in(d, b->p.b);
    tuff_spec(d, b->format);
    tuff_spec(d, rows);
    finish(b, d, (uint64_t)tuff_ceil_div(g->n, 4) * tuff_ceil_div(g->m, rows), k, plan);
    return true;
}
