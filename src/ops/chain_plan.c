// Chains on GPUs: chain.comp, whose steps are specialization constants.
#include "ops/chain.h"
#include <string.h>

static const tuff_chain *chain_of(const tuff_call *c)
{
    return (const tuff_chain *)(const void *)c->op;
}

static bool few(const tuff_chain *c, const tuff_chain_code *code)
{
    if (code->count > TUFF_CHAIN_FEW || c->nin > TUFF_CHAIN_FEW) return false;
    return c->nout <= TUFF_CHAIN_FEW_OUT;
}

bool tuff_chain_fits(const tuff_chain *c, const tuff_caps *k)
{
    tuff_chain_code code;
    if (k->cpu) return true;
    return tuff_chain_encode(c, &code) && few(c, &code);
}

// Elements that one dispatch takes: what texel buffers show of them is limited.
static uint64_t piece_of(const tuff_caps *k, bool wide)
{
    const uint64_t texels = k->max_texels * (wide ? 4 : 1), storage = k->max_storage_range / 4;
    return (texels < storage ? texels : storage) / 1024 * 1024;
}

static void bind_input(const tuff_call *c, const tuff_chain_code *code, tuff_dispatch *d,
                       int i, bool wide, uint64_t first, uint64_t count)
{
    const bool same = code->mode[i] == TUFF_CHAIN_SAME;
    const bool four = same ? wide : code->mode[i] == TUFF_CHAIN_ROW;
    tuff_bind(d, TUFF_ROLE_IN, i, four ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
              TUFF_READ);
    if (!same || count == (uint64_t)tuff_desc_count(&c->out[0])) return;
    d->slot[d->nslot - 1].offset = (size_t)first * 4;
    d->slot[d->nslot - 1].size = (size_t)count * 4;
}

static void bind_output(const tuff_call *c, tuff_dispatch *d, int o, uint64_t first,
                        uint64_t count)
{
    tuff_bind_out(d, o);
    if (count == (uint64_t)tuff_desc_count(&c->out[0])) return;
    d->slot[d->nslot - 1].offset = (size_t)first * 4;
    d->slot[d->nslot - 1].size = (size_t)count * 4;
}

static void add_specs(const tuff_chain *c, const tuff_chain_code *code, tuff_dispatch *d,
                      uint32_t wg, bool wide)
{
    uint32_t modes = 0, outs = 0;
    for (int i = 0; i < TUFF_CHAIN_FEW; i++)
        modes |= (i < c->nin ? code->mode[i] : TUFF_CHAIN_ABSENT) << 3 * i;
    for (int o = 0; o < c->nout; o++) outs |= (uint32_t)code->out[o] << 5 * o;
    tuff_spec(d, wg);
    tuff_spec(d, wide);
    tuff_spec(d, modes);
    tuff_spec(d, outs);
    for (int s = 0; s < TUFF_CHAIN_FEW; s++) {
        const tuff_chain_micro *m = &code->micro[s];
        tuff_spec(d, s < code->count ? m->function | (uint32_t)m->a << 8 |
                                           (uint32_t)m->b << 13 | (uint32_t)m->c << 18
                                     : TUFF_CHAIN_NONE);
    }
}

static void add_piece(const tuff_call *c, const tuff_chain_code *code, const tuff_caps *k,
                      tuff_plan *p, bool wide, uint64_t first, uint64_t count)
{
    const tuff_chain *chain = chain_of(c);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_chain);
    struct tuff_chain_pc pc = { .count = (uint32_t)count, .first = (uint32_t)first };
    for (int i = 0; i < TUFF_CHAIN_FEW; i++) {
        if (i < chain->nin) bind_input(c, code, d, i, wide, first, count);
        else tuff_bind_or_word(c, d, -1, 0, TUFF_BIND_TEXEL_F32);
        pc.div[i] = i < chain->nin ? code->div[i] : 1;
        pc.mod[i] = i < chain->nin ? code->mod[i] : 1;
        pc.p[i] = i < code->count ? code->micro[i].p : 0;
        pc.q[i] = i < code->count ? code->micro[i].q : 0;
    }
    for (int o = 0; o < TUFF_CHAIN_FEW_OUT; o++)
        bind_output(c, d, o < chain->nout ? o : 0, first, count);
    add_specs(chain, code, d, wg, wide);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, pc);
}

bool tuff_chain_plan_steps(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    tuff_chain_code code;
    const tuff_chain *chain = chain_of(c);
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]);
    const bool wide = count % 4 == 0;
    const uint64_t piece = piece_of(k, wide);
    if (!tuff_chain_encode(chain, &code) || !few(chain, &code)) return false;
    if ((count + piece - 1) / piece > TUFF_PLAN_MAX) return false;
    for (int i = 0; i < chain->nin; i++)
        if (code.mode[i] != TUFF_CHAIN_SAME && !tuff_fits_texel(k, &c->in[i], 4)) return false;
    for (uint64_t first = 0; first < count; first += piece)
        add_piece(c, &code, k, p, wide, first, count - first < piece ? count - first : piece);
    return true;
}
