// The launches of reductions; see reduce.h.
#include "ops/reduce.h"
#include "ops/walk.h"

struct tuff_reduce_pc tuff_reduce_layout(const tuff_call *c)
{
    const tuff_desc *x = &c->in[0];
    const uint32_t axes = tuff_reduce_axes(c);
    int64_t step_x[TUFF_MAX_DIMS] = { 0 }, step_y[TUFF_MAX_DIMS] = { 0 }, next = 1;
    tuff_steps(x, step_x);
    for (int d = x->rank - 1; d >= 0; d--) {
        step_y[d] = tuff_reduce_goes(x, axes, d) ? 0 : next;
        if (step_y[d]) next *= x->dim[d];
    }
    const tuff_walk w = tuff_walk_make(x->rank, x->dim, step_x, step_y);
    const uint32_t rows = (uint32_t)tuff_desc_count(&c->out[0]);
    struct tuff_reduce_pc pc = { .rows = rows, .scale = 1 };
    pc.cols = (uint32_t)(tuff_desc_count(x) / rows);
    pc.kept_dim[0] = pc.gone_dim[0] = 1;
    // Neighbours that go, or stay, together have become one: at most four of each are left.
    for (int d = 0; d < w.rank; d++) {
        const bool kept = w.step[1][d] != 0;
        const uint32_t i = kept ? pc.kept_rank++ : pc.gone_rank++;
        (kept ? pc.kept_dim : pc.gone_dim)[i] = w.dim[d];
        (kept ? pc.kept_step : pc.gone_step)[i] = w.step[0][d];
    }
    return pc;
}

static uint32_t group_size(tuff_reduce_how how, const tuff_caps *k)
{
    return how == TUFF_REDUCE_GROUP && !k->cpu_like && k->max_group >= 256 &&
                   k->max_group_size[0] >= 256
               ? 256 : tuff_group_size(k);
}

// Cuts rows into pieces: enough of them to keep the device busy, and none so long that an
// invocation passes the device's limit on loop iterations (an element may cost five: its own,
// and a run of one element with a walk over three more dims).
static void cut(struct tuff_reduce_pc *pc, tuff_reduce_how how, uint32_t wide,
                const tuff_caps *k)
{
    const uint32_t rows = wide == TUFF_REDUCE_STAYS ? pc->rows / 4 : pc->rows;
    const uint32_t lanes = how == TUFF_REDUCE_GROUP ? group_size(how, k) : 1;
    const uint32_t busy = k->cpu_like ? 16 * tuff_group_size(k)
                                      : how == TUFF_REDUCE_GROUP ? 1024 : 65536;
    uint64_t longest = 4096ull * lanes;
    if (k->max_loop && longest > (uint64_t)k->max_loop / 5 * lanes)
        longest = (uint64_t)k->max_loop / 5 * lanes;
    uint64_t pieces = (busy + rows - 1) / rows;
    const uint64_t worth = pc->cols / (64ull * lanes); // shorter ones cost more than they gain
    if (pieces > worth) pieces = worth ? worth : 1;
    uint64_t span = (pc->cols + pieces - 1) / pieces;
    if (span > longest) span = longest;
    span = (span + 3) / 4 * 4; // of whole vec4 texels
    pc->span = (uint32_t)span;
    pc->segments = (uint32_t)((pc->cols + span - 1) / span);
}

// Where the innermost dim goes, neighbouring invocations read neighbouring elements of a row;
// where it stays, the plain kernel already does, with a row each.
static bool group_pays(const struct tuff_reduce_pc *pc)
{
    return pc->gone_step[0] == 1 && pc->cols >= 32;
}

// Along which dims vec4 texels serve a texel kernel: TUFF_REDUCE_GOES ...
static uint32_t wide_of(const struct tuff_reduce_pc *pc)
{
    if (pc->gone_step[0] == 1)
        return pc->gone_dim[0] % 4 ? TUFF_REDUCE_NARROW : TUFF_REDUCE_GOES;
    bool fours = pc->kept_step[0] == 1 && pc->kept_dim[0] % 4 == 0;
    for (uint32_t d = 0; d < pc->gone_rank; d++) fours = fours && pc->gone_step[d] % 4 == 0;
    for (uint32_t d = 1; d < pc->kept_rank; d++) fours = fours && pc->kept_step[d] % 4 == 0;
    return fours ? TUFF_REDUCE_STAYS : TUFF_REDUCE_NARROW;
}

static tuff_dispatch *add_pass(tuff_plan *p, int shader, uint32_t wg,
                               const tuff_reduction_of *f, bool first, bool last, bool ints)
{
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, f->op);
    tuff_spec(d, first ? f->map : TUFF_REDUCE_ASIS);
    tuff_spec(d, last ? f->finish : TUFF_REDUCE_ASIS);
    tuff_spec(d, ints);
    return d;
}

// Rows that lie one behind the other and are more than texels show: in pieces, each of which is
// done in one pass.
static bool plan_pieces(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                        struct tuff_reduce_pc pc, const tuff_reduction_of *f)
{
    enum { ROWS = 64, LONGEST = 4096 }; // so many rows end where y may be cut
    const size_t run = pc.cols * sizeof(float), rows = pc.rows;
    const uint32_t wg = group_size(TUFF_REDUCE_TEXEL, k);
    const size_t piece = ROWS * (size_t)tuff_texel_runs(k, ROWS * run, 16);
    const bool lines = pc.gone_rank == 1 && pc.kept_rank == 1 && pc.kept_step[0] == pc.cols;
    if (wide_of(&pc) != TUFF_REDUCE_GOES || !lines || pc.cols > LONGEST || piece == 0 ||
        (rows + piece - 1) / piece > TUFF_PLAN_MAX)
        return false;
    pc.segments = 1;
    pc.span = pc.cols;
    if (f->mean) pc.scale = (float)(1 / tuff_reduce_terms(c));
    for (size_t first = 0; first < rows; first += piece) {
        const size_t some = rows - first < piece ? rows - first : piece;
        pc.rows = pc.kept_dim[0] = (uint32_t)some;
        tuff_dispatch *d = add_pass(p, TUFF_SHADER_reduce_texel, wg, f, true, true, false);
        tuff_spec(d, TUFF_REDUCE_GOES);
        tuff_grid(d, (some + wg - 1) / wg, k);
        tuff_bind(d, TUFF_ROLE_IN, 0, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
        tuff_bind_range(d, first * run, some * run);
        tuff_bind_out(d, 0);
        tuff_bind_range(d, first * sizeof(float), some * sizeof(float));
        TUFF_PUSH(d, pc);
    }
    return true;
}

// One dispatch a pass. Pass 0 reads x; a pass whose rows are still in pieces writes those to
// one of two scratch buffers [segments, rows], and the next pass reduces them over segments.
bool tuff_reduce_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, tuff_reduce_how how,
                      const tuff_reduction_of *f)
{
    static const int shaders[] = { TUFF_SHADER_reduce, TUFF_SHADER_reduce_texel,
                                   TUFF_SHADER_reduce_group };
    const bool ints = c->in[0].dtype != TUFF_F32;
    struct tuff_reduce_pc pc = tuff_reduce_layout(c);
    if (how == TUFF_REDUCE_GROUP && !group_pays(&pc)) return false;
    if (how == TUFF_REDUCE_TEXEL && (ints || !k->cpu_like)) return false;
    if (how == TUFF_REDUCE_TEXEL && !tuff_fits_texel(k, &c->in[0], wide_of(&pc) ? 16 : 4))
        return plan_pieces(c, k, p, pc, f);
    for (int pass = 0;; pass++) {
        const uint32_t wide = how == TUFF_REDUCE_TEXEL ? wide_of(&pc) : TUFF_REDUCE_NARROW;
        cut(&pc, how, wide, k);
        const bool last = pc.segments == 1;
        if (last && f->mean) pc.scale = (float)(1 / tuff_reduce_terms(c));
        const uint32_t wg = group_size(how, k);
        tuff_dispatch *d = add_pass(p, shaders[how], wg, f, pass == 0, last, ints);
        if (how == TUFF_REDUCE_TEXEL) tuff_spec(d, wide);
        const uint64_t pieces = (uint64_t)pc.rows * pc.segments;
        const uint64_t alone = wide == TUFF_REDUCE_STAYS ? pieces / 4 : pieces;
        tuff_grid(d, how == TUFF_REDUCE_GROUP ? pieces : (alone + wg - 1) / wg, k);
        const tuff_bind_kind kind = how != TUFF_REDUCE_TEXEL ? TUFF_BIND_STORAGE
                                  : wide ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32;
        tuff_bind(d, pass ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, pass ? 1 - pass % 2 : 0, kind,
                  TUFF_READ);
        tuff_bind(d, last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH, last ? 0 : pass % 2,
                  TUFF_BIND_STORAGE, TUFF_WRITE);
        TUFF_PUSH(d, pc);
        if (last) return true;
        const size_t bytes = pieces * sizeof(float);
        if (p->scratch[pass % 2] < bytes) p->scratch[pass % 2] = bytes;
        pc = (struct tuff_reduce_pc){ .rows = pc.rows, .cols = pc.segments, .scale = 1,
                                      .kept_rank = 1, .gone_rank = 1,
                                      .kept_dim = { pc.rows }, .kept_step = { 1 },
                                      .gone_dim = { pc.segments }, .gone_step = { pc.rows } };
    }
}
