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

bool tuff_matmul_packed(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                        tuff_plan *plan)
{
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

bool tuff_matmul_texel(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                       tuff_plan *plan)
{
    return tuff_product_texel(p, TUFF_SHADER_matmul_texel, pc, sizeof *pc, 1, k, plan);
}

bool tuff_matmul_tile(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    return tuff_product_tile(p, TUFF_SHADER_matmul_tile, pc, sizeof *pc, pc->a_k == 1,
                             pc->b_k == 1 && pc->b_n != 1, k, plan);
}

bool tuff_matmul_half(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                      tuff_plan *plan)
{
    return tuff_product_half(p, TUFF_SHADER_matmul_tile_half, pc, sizeof *pc, pc->a_k == 1,
                             pc->b_k == 1 && pc->b_n != 1, k, plan);
}

bool tuff_matmul_plain(tuff_product *p, struct tuff_matmul_pc *pc, const tuff_caps *k,
                       tuff_plan *plan)
{
    return tuff_product_plain(p, TUFF_SHADER_matmul_plain, pc, sizeof *pc, k, plan);
}
