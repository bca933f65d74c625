#include "ops/move.h"
#include "ops/walk.h"
#include "abi/move.h"
#include <string.h>

static struct tuff_move_pc layout_of(const tuff_move *m, int *rank)
{
    const tuff_walk w = tuff_walk_make(m->rank, m->dim, m->in_step, m->out_step);
    *rank = w.rank;
    struct tuff_move_pc pc = { .count = 1, .in_base = (uint32_t)m->in_base,
                               .out_base = (uint32_t)m->out_base };
    for (int d = 0; d < w.rank; d++) pc.count *= w.dim[d];
    memcpy(pc.dim, w.dim, sizeof w.dim);
    memcpy(pc.in_step, w.step[0], sizeof w.dim);
    memcpy(pc.out_step, w.step[1], sizeof w.dim);
    return pc;
}

static tuff_dispatch *add_dispatch(const tuff_caps *k, tuff_plan *p, int shader,
                                   const struct tuff_move_pc *pc, int rank)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)rank);
    tuff_grid(d, ((uint64_t)pc->count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, *pc);
    return d;
}

bool tuff_move_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m)
{
    (void)c;
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_move, &pc, rank);
    tuff_bind_in(d, input);
    tuff_bind_out(d, 0);
    return true;
}

// True when runs of four along dim 0 are vec4s of a tensor of `count` elements.
static bool fours(const struct tuff_move_pc *pc, int rank, const uint32_t step[],
                  uint32_t base, int64_t count)
{
    bool fit = rank > 0 && pc->dim[0] % 4 == 0 && step[0] == 1 && base % 4 == 0 &&
               count % 4 == 0;
    for (int d = 1; d < rank; d++) fit = fit && step[d] % 4 == 0;
    return fit;
}

bool tuff_move_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m)
{
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    const bool in4 = fours(&pc, rank, pc.in_step, pc.in_base,
                           tuff_desc_count(&c->in[input]));
    const bool out4 = fours(&pc, rank, pc.out_step, pc.out_base,
                            tuff_desc_count(&c->out[0]));
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[input], in4 ? 16 : 4)) return false;
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_move_texel, &pc, rank);
    tuff_spec(d, rank > 0 && pc.dim[0] % 4 == 0);
    tuff_spec(d, in4);
    tuff_spec(d, out4);
    tuff_bind(d, TUFF_ROLE_IN, input, in4 ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
              TUFF_READ);
    tuff_bind_out(d, 0);
    return true;
}

size_t tuff_move_units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

tuff_cost tuff_move_cost(const tuff_call *c)
{
    double bytes = (double)tuff_desc_bytes(&c->out[0]);
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) bytes += (double)tuff_desc_bytes(&c->in[i]);
    return (tuff_cost){ 0, bytes };
}
