// Plans of copies; see move.h.
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

static uint32_t words_of(const tuff_desc *x) { return (uint32_t)tuff_dtype_size(x->dtype) / 4; }

static tuff_dispatch *add_dispatch(const tuff_caps *k, tuff_plan *p, int shader,
                                   const struct tuff_move_pc *pc, int rank, uint32_t words)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)rank);
    tuff_spec(d, words);
    tuff_grid(d, ((uint64_t)pc->count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, *pc);
    return d;
}

bool tuff_move_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m)
{
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_move, &pc, rank, words_of(&c->in[input]));
    tuff_bind_in(d, input);
    tuff_bind_out(d, m->output);
    return true;
}

// True when runs of four along dim d are vec4s of a tensor of `count` elements.
static bool fours(const struct tuff_move_pc *pc, int rank, int d, const uint32_t step[],
                  uint32_t base, int64_t count)
{
    bool fit = d < rank && pc->dim[d] % 4 == 0 && step[d] == 1 && base % 4 == 0 &&
               count % 4 == 0;
    for (int i = 0; i < rank; i++) fit = fit && (i == d || step[i] % 4 == 0);
    return fit;
}

bool tuff_move_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m)
{
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    const uint32_t words = words_of(&c->in[input]);
    const bool in4 = words == 1 && fours(&pc, rank, 0, pc.in_step, pc.in_base,
                                         tuff_desc_count(&c->in[input]));
    const bool out4 = fours(&pc, rank, 0, pc.out_step, pc.out_base,
                            tuff_desc_count(&c->out[m->output]));
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[input], in4 ? 16 : 4)) return false;
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_move_texel, &pc, rank, words);
    tuff_spec(d, words == 1 && rank > 0 && pc.dim[0] % 4 == 0);
    tuff_spec(d, in4);
    tuff_spec(d, out4);
    tuff_bind(d, TUFF_ROLE_IN, input, in4 ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32,
              TUFF_READ);
    tuff_bind_out(d, m->output);
    return true;
}

// The dim whose neighbours lie side by side in x; the rank where there is none.
static int dim_along_x(const struct tuff_move_pc *pc, int rank)
{
    int d = 0;
    while (d < rank && pc->in_step[d] != 1) d++;
    return d;
}

bool tuff_move_block(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m)
{
    enum { RUN = 16 }; // elements along dim 0 that an invocation takes
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    const int d = dim_along_x(&pc, rank);
    if (!k->cpu_like || words_of(&c->in[input]) != 1 || d == 0) return false;
    if (!fours(&pc, rank, d, pc.in_step, pc.in_base, tuff_desc_count(&c->in[input])) ||
        !fours(&pc, rank, 0, pc.out_step, pc.out_base, tuff_desc_count(&c->out[m->output])) ||
        !tuff_fits_texel(k, &c->in[input], 16))
        return false;
    const uint32_t wg = tuff_group_size_flat(k);
    uint64_t invocations = (uint64_t)(pc.dim[0] + RUN - 1) / RUN * (pc.dim[d] / 4);
    for (int i = 1; i < rank; i++) invocations *= i == d ? 1 : pc.dim[i];
    tuff_dispatch *launch = tuff_plan_add(p, TUFF_SHADER_move_block);
    tuff_spec(launch, wg);
    tuff_spec(launch, (uint32_t)rank);
    tuff_spec(launch, (uint32_t)d);
    tuff_bind(launch, TUFF_ROLE_IN, input, TUFF_BIND_TEXEL_U32X4, TUFF_READ);
    tuff_bind_out(launch, m->output);
    tuff_grid(launch, (invocations + wg - 1) / wg, k);
    TUFF_PUSH(launch, pc);
    return true;
}

bool tuff_move_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                    const tuff_move *m)
{
    enum { SIDE = 32, GROUP = 256, LEAST = 8 }; // a tile's; worth a tile: elements along it
    int rank;
    const struct tuff_move_pc pc = layout_of(m, &rank);
    if (k->max_group < GROUP || k->max_group_size[0] < GROUP) return false;
    if (words_of(&c->in[input]) != 1 || rank < 2 || pc.out_step[0] != 1) return false;
    const int d = dim_along_x(&pc, rank);
    if (d == 0 || d == rank || pc.dim[0] < LEAST || pc.dim[d] < LEAST) return false;
    uint64_t tiles = 1;
    for (int i = 0; i < rank; i++)
        tiles *= i == 0 || i == d ? (pc.dim[i] + SIDE - 1) / SIDE : pc.dim[i];
    tuff_dispatch *launch = tuff_plan_add(p, TUFF_SHADER_move_tile);
    tuff_spec(launch, (uint32_t)rank);
    tuff_spec(launch, (uint32_t)d);
    tuff_bind_in(launch, input);
    tuff_bind_out(launch, m->output);
    tuff_grid(launch, tiles, k);
    TUFF_PUSH(launch, pc);
    return true;
}

// ---- remap ---------------------------------------------------------------------------------

// Dims innermost first, with as few as describe it: those that are left alone join a neighbour
// that is, and one that is filled up or counted round, where a step is a row of them.
static struct tuff_remap_pc remap_of(const tuff_remap *m, int *rank)
{
    struct tuff_remap_pc pc = { .count = 1, .value = m->value };
    const bool rows = m->mode == TUFF_MODE_CONSTANT || m->mode == TUFF_MODE_WRAP;
    bool alone = false; // the last dim kept is left alone
    int n = 0;
    for (int d = m->rank - 1; d >= 0; d--) {
        const uint32_t dim = (uint32_t)m->dim[d], size = (uint32_t)m->size[d];
        const uint32_t shift = (uint32_t)-m->before[d];
        const bool same = dim == size && !shift, join = alone && (same || rows);
        pc.count *= dim;
        if (same && dim == 1) continue;
        const uint32_t width = join ? pc.dim[n - 1] : 1;
        n += !join;
        pc.dim[n - 1] = dim * width;
        pc.size[n - 1] = size * width;
        pc.shift[n - 1] = shift * width;
        alone = same;
    }
    *rank = n;
    return pc;
}

// Shifts made positive, by whole periods, where the shader divides by them.
static void make_positive(const tuff_remap *m, struct tuff_remap_pc *pc, int rank)
{
    if (m->mode != TUFF_MODE_REFLECT && m->mode != TUFF_MODE_WRAP) return;
    for (int d = 0; d < rank; d++) {
        const int64_t n = pc->size[d];
        const int64_t period = m->mode == TUFF_MODE_WRAP ? n : n > 1 ? 2 * n - 2 : 1;
        const int64_t shift = (int32_t)pc->shift[d] % period;
        pc->shift[d] = (uint32_t)(shift < 0 ? shift + period : shift);
    }
}

static struct tuff_remap_pc triangle_of(const tuff_remap *m)
{
    const int r = m->rank;
    struct tuff_remap_pc pc = { .count = 1, .value = m->value };
    for (int d = 0; d < r; d++) pc.count *= (uint32_t)m->dim[d];
    pc.dim[0] = (uint32_t)m->dim[r - 1];
    pc.dim[1] = (uint32_t)m->dim[r - 2];
    pc.shift[0] = (uint32_t)m->before[r - 1];
    return pc;
}

static bool remap(const tuff_call *c, const tuff_caps *k, tuff_plan *p, const tuff_remap *m,
                  int shader, tuff_bind_kind kind)
{
    int rank = 0;
    const bool triangle = m->mode == TUFF_MODE_UPPER || m->mode == TUFF_MODE_LOWER;
    struct tuff_remap_pc pc = triangle ? triangle_of(m) : remap_of(m, &rank);
    make_positive(m, &pc, rank);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)rank);
    tuff_spec(d, m->mode);
    tuff_spec(d, words_of(&c->in[0]));
    tuff_bind(d, TUFF_ROLE_IN, 0, kind, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)pc.count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, pc);
    return true;
}

bool tuff_remap_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                      const tuff_remap *m)
{
    return remap(c, k, p, m, TUFF_SHADER_remap, TUFF_BIND_STORAGE);
}

bool tuff_remap_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                      const tuff_remap *m)
{
    return k->cpu_like && tuff_fits_texel(k, &c->in[0], 4) &&
           remap(c, k, p, m, TUFF_SHADER_remap_texel, TUFF_BIND_TEXEL_U32);
}

// ---- what records share --------------------------------------------------------------------

size_t tuff_move_units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

tuff_cost tuff_move_cost(const tuff_call *c)
{
    return (tuff_cost){ 0, tuff_call_bytes(c) };
}

tuff_status tuff_dims_of(const int axes[], int rank, int dim[], int *count)
{
    uint32_t seen = 0;
    *count = 0;
    while (*count < TUFF_MAX_DIMS && axes[*count]) {
        const int d = rank - axes[*count];
        TUFF_REQUIRE(axes[*count] > 0 && d >= 0, ARG, "axes[%d] is %d, x has %d dims", *count,
                     axes[*count] - 1, rank);
        TUFF_REQUIRE(!(seen >> d & 1), ARG, "axes names dim %d twice", d);
        seen |= 1u << d;
        dim[(*count)++] = d;
    }
    for (int d = 0; d < rank && !axes[0]; d++) dim[(*count)++] = d;
    return TUFF_OK;
}
