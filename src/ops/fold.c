// The shaders are fold.comp and rows.comp.
#include "ops/fold.h"
#include "ops/divide.h"

static void bind(tuff_dispatch *d, tuff_place p, int access)
{
    tuff_bind(d, p.role, p.index, TUFF_BIND_STORAGE, access);
}

int tuff_fold_add(const tuff_fold *f, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size(k);
    // Many invocations hide the latency of memory on a GPU; a software driver has few.
    const size_t span = (size_t)wg * (k->cpu_like ? 256 : 64);
    size_t count = f->count;
    tuff_place a = f->a, b = f->b;
    for (uint32_t stage = 0;; stage++) {
        const size_t groups = (count + span - 1) / span;
        const bool last = groups == 1;
        const int index = f->scratch + (int)(stage % 2);
        const bool to_scratch = !last || f->write == TUFF_FOLD_BOTH;
        const tuff_place out = to_scratch ? (tuff_place){ TUFF_ROLE_SCRATCH, index } : f->out;
        // The first stage to write a scratch writes the most there.
        if (to_scratch && stage < 2) p->scratch[index] = groups * 2 * sizeof(float);
        const bool loss = !stage && f->from >= TUFF_FOLD_PRODUCT;
        tuff_dispatch *d = tuff_plan_add(p, loss ? TUFF_SHADER_fold_loss : TUFF_SHADER_fold);
        bind(d, a, TUFF_READ);
        bind(d, b, TUFF_READ);
        bind(d, out, TUFF_WRITE);
        tuff_spec(d, wg);
        tuff_spec(d, stage ? TUFF_FOLD_PAIRS : f->from);
        tuff_spec(d, last ? f->write : TUFF_FOLD_BOTH);
        const struct tuff_fold_pc pc = { (uint32_t)count, (uint32_t)span, f->classes,
                                        f->period, f->delta };
        TUFF_PUSH(d, pc);
        tuff_grid(d, groups, k);
        if (last) return to_scratch ? index : -1;
        a = b = out;
        count = groups;
    }
}

// Parts that a row is cut into: about as many as each then has elements.
static uint32_t parts_of(size_t cols)
{
    if (cols <= 256) return 1;
    size_t parts = 16;
    while (parts * parts < cols) parts++;
    return (uint32_t)parts;
}

static void add_rows(const tuff_rows *r, const tuff_call *c, bool from_pairs, bool write_pairs,
                     uint32_t parts, const tuff_caps *k, tuff_plan *p)
{
    const size_t rows = (size_t)c->in[0].dim[0], cols = (size_t)c->in[0].dim[1];
    const bool whole = from_pairs || !write_pairs || parts == 1;
    const int out = whole ? r->out : r->scratch;
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_rows);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, 1);
    tuff_bind(d, from_pairs ? TUFF_ROLE_SCRATCH : TUFF_ROLE_IN, from_pairs ? r->scratch : 0,
              TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, out, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, wg);
    tuff_spec(d, r->kind);
    tuff_spec(d, from_pairs);
    tuff_spec(d, write_pairs);
    const struct tuff_rows_pc pc = { (uint32_t)rows, (uint32_t)cols, tuff_divide_by(parts) };
    TUFF_PUSH(d, pc);
    const size_t invocations = whole ? rows : rows * parts;
    tuff_grid(d, (invocations + wg - 1) / wg, k);
    p->scratch[out] = invocations * (write_pairs ? 2 : 1) * sizeof(float);
}

void tuff_rows_add(const tuff_rows *r, const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t parts = parts_of((size_t)c->in[0].dim[1]);
    if (parts > 1) add_rows(r, c, false, true, parts, k, p);
    add_rows(r, c, parts > 1, r->write_pairs, parts, k, p);
}

tuff_status tuff_labels_check(const tuff_call *c)
{
    const tuff_desc *x = &c->in[0], *labels = &c->in[1];
    TUFF_REQUIRE(x->rank == 2, SHAPE, "x has %d dims, it must have 2 (N C)", x->rank);
    char got[96];
    TUFF_REQUIRE(labels->rank == 1 && labels->dim[0] == x->dim[0], SHAPE,
                 "labels must have one dim of %lld, as x has rows, it is %s",
                 (long long)x->dim[0], tuff_desc_print(labels, got, sizeof got));
    return TUFF_OK;
}
