// Chains on GPUs: kernels made of their own GLSL where the build has a compiler, and
// chain.comp, whose steps are specialization constants.
#include "ops/chain_glsl.h"
#include "glsl/compile.h"
#include <string.h>

static const tuff_chain *chain_of(const tuff_call *c)
{
    return (const tuff_chain *)(const void *)c->op;
}

static bool few(const tuff_chain *c, const tuff_chain_code *code)
{
    if (code->count > TUFF_CHAIN_FEW || c->nin > TUFF_CHAIN_FEW) return false;
    for (int s = 0; s < code->count; s++)
        if (!tuff_chain_common(code->micro[s].function)) return false;
    return c->nout <= TUFF_CHAIN_FEW_OUT;
}

// What push constants hold.
static bool fits_push(const tuff_chain *c, const tuff_chain_code *code)
{
    uint32_t words[3 + 2 * TUFF_CHAIN_IN + 2 * TUFF_CHAIN_MICRO];
    return tuff_chain_words(code, c->nin, 0, 0, words) * sizeof *words <= TUFF_MAX_PUSH;
}

bool tuff_chain_fits(const tuff_chain *c, const tuff_caps *k)
{
    tuff_chain_code code;
    if (k->cpu) return true;
    if (!tuff_chain_encode(c, &code)) return false;
    return few(c, &code) || (tuff_compiler_there() && fits_push(c, &code));
}

// Whether elements' numbers are what small_quotient of shaders/quotient.glsl takes.
static bool is_small(int64_t count) { return count <= 1 << 24; }

// ---- bindings ------------------------------------------------------------------------------

// Elements that one dispatch takes: what texel buffers show of them is limited.
static uint64_t piece_of(const tuff_caps *k, tuff_chain_form form)
{
    const uint64_t texels = k->max_texels * (form.wide ? 4 : 1);
    uint64_t most = k->max_storage_range / 4;
    if (!form.storage && texels < most) most = texels;
    return most / 1024 * 1024;
}

static void bind_input(const tuff_call *c, const tuff_chain_code *code, tuff_dispatch *d,
                       int i, tuff_chain_form form, uint64_t first, uint64_t count)
{
    const bool same = code->mode[i] == TUFF_CHAIN_SAME;
    const bool four = same ? form.wide : code->mode[i] == TUFF_CHAIN_ROW;
    const tuff_bind_kind kind = same && form.storage ? TUFF_BIND_STORAGE
                              : four ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32;
    tuff_bind(d, TUFF_ROLE_IN, i, kind, TUFF_READ);
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

// ---- chain.comp ----------------------------------------------------------------------------

static void add_specs(const tuff_chain *c, const tuff_chain_code *code, tuff_dispatch *d,
                      uint32_t wg, tuff_chain_form form)
{
    uint32_t modes = 0, outs = 0;
    for (int i = 0; i < TUFF_CHAIN_FEW; i++)
        modes |= (i < c->nin ? code->mode[i] : TUFF_CHAIN_ABSENT) << 3 * i;
    for (int o = 0; o < c->nout; o++) outs |= (uint32_t)code->out[o] << 5 * o;
    tuff_spec(d, wg);
    tuff_spec(d, form.wide);
    tuff_spec(d, modes);
    tuff_spec(d, outs);
    for (int s = 0; s < TUFF_CHAIN_FEW; s++) {
        const tuff_chain_micro *m = &code->micro[s];
        tuff_spec(d, s < code->count ? m->function | (uint32_t)m->a << 8 |
                                           (uint32_t)m->b << 13 | (uint32_t)m->c << 18
                                     : TUFF_CHAIN_NONE);
    }
    tuff_spec(d, form.small);
}

static void add_steps(const tuff_call *c, const tuff_chain_code *code, const tuff_caps *k,
                      tuff_plan *p, tuff_chain_form form, uint64_t first, uint64_t count)
{
    const tuff_chain *chain = chain_of(c);
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_chain);
    struct tuff_chain_pc pc = { .count = (uint32_t)count, .first = (uint32_t)first };
    for (int i = 0; i < TUFF_CHAIN_FEW; i++) {
        if (i < chain->nin) bind_input(c, code, d, i, form, first, count);
        else tuff_bind_or_word(c, d, -1, 0, TUFF_BIND_TEXEL_F32);
        pc.div[i] = i < chain->nin ? code->div[i] : 1;
        pc.mod[i] = i < chain->nin ? code->mod[i] : 1;
        pc.p[i] = i < code->count ? code->micro[i].p : 0;
        pc.q[i] = i < code->count ? code->micro[i].q : 0;
    }
    for (int o = 0; o < TUFF_CHAIN_FEW_OUT; o++)
        bind_output(c, d, o < chain->nout ? o : 0, first, count);
    add_specs(chain, code, d, wg, form);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, pc);
}

typedef void add_fn(const tuff_call *c, const tuff_chain_code *code, const tuff_caps *k,
                    tuff_plan *p, tuff_chain_form form, uint64_t first, uint64_t count);

// All elements, in pieces.
static bool add_all(const tuff_call *c, const tuff_chain_code *code, const tuff_caps *k,
                    tuff_plan *p, tuff_chain_form form, add_fn *add)
{
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]), piece = piece_of(k, form);
    if ((count + piece - 1) / piece > TUFF_PLAN_MAX) return false;
    for (int i = 0; i < c->nin; i++)
        if (code->mode[i] != TUFF_CHAIN_SAME && !tuff_fits_texel(k, &c->in[i], 4)) return false;
    for (uint64_t first = 0; first < count; first += piece)
        add(c, code, k, p, form, first, count - first < piece ? count - first : piece);
    return true;
}

bool tuff_chain_plan_steps(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    tuff_chain_code code;
    const int64_t count = tuff_desc_count(&c->out[0]);
    const tuff_chain_form form = { .wide = count % 4 == 0, .small = is_small(count) };
    if (!tuff_chain_encode(chain_of(c), &code) || !few(chain_of(c), &code)) return false;
    return add_all(c, &code, k, p, form, add_steps);
}

// ---- kernels made at run time --------------------------------------------------------------

// What is read SAME is a storage buffer on a GPU, as long as there are enough of them, and else
// texels; which is faster there is for the tuner to find out. Software drivers, which take
// eight times as long for a storage buffer, do so when they are asked.
static bool stored(const tuff_chain *c, const tuff_chain_code *code, const tuff_caps *k,
                   tuff_plan *p)
{
    static const char *const ways[] = { "storage", "texel", NULL };
    static const char *const texels[] = { "texel", NULL };
    uint32_t buffers = (uint32_t)c->nout;
    for (int i = 0; i < c->nin; i++) buffers += code->mode[i] == TUFF_CHAIN_SAME;
    const bool can = buffers <= k->storage_buffers;
    const bool asked = p->way && strcmp(p->way, ways[0]) == 0;
    return tuff_plan_way(p, can && (asked || !k->cpu_like) ? ways : texels) == 0 &&
           p->ways == ways;
}

static tuff_chain_form form_of(const tuff_call *c, const tuff_chain_code *code,
                               const tuff_caps *k, tuff_plan *p)
{
    const int64_t count = tuff_desc_count(&c->out[0]);
    return (tuff_chain_form){ .wide = count % 4 == 0, .small = is_small(count),
                              .storage = stored(chain_of(c), code, k, p) };
}

static void add_generated(const tuff_call *c, const tuff_chain_code *code, const tuff_caps *k,
                          tuff_plan *p, tuff_chain_form form, uint64_t first, uint64_t count)
{
    const tuff_chain *chain = chain_of(c);
    const uint32_t wg = tuff_group_size_flat(k);
    uint32_t words[3 + 2 * TUFF_CHAIN_IN + 2 * TUFF_CHAIN_MICRO];
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_chain);
    for (int i = 0; i < chain->nin; i++) bind_input(c, code, d, i, form, first, count);
    for (int o = 0; o < chain->nout; o++) bind_output(c, d, o, first, count);
    tuff_spec(d, wg);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    const uint32_t n = tuff_chain_words(code, chain->nin, first, count, words);
    tuff_push(d, words, n * sizeof *words);
}

bool tuff_chain_plan_generated(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    tuff_chain_code code;
    const tuff_chain *chain = chain_of(c);
    char source[TUFF_CHAIN_SOURCE];
    if (!tuff_compiler_there() || !tuff_chain_encode(chain, &code)) return false;
    const tuff_chain_form form = form_of(c, &code, k, p);
    if (!fits_push(chain, &code) || !add_all(c, &code, k, p, form, add_generated)) return false;
    if (!tuff_chain_source(&code, chain->nin, chain->nout, form, source, sizeof source))
        return false;
    const int shader = tuff_chain_shader(source);
    for (int i = 0; i < p->count; i++) p->d[i].launch.shader = shader;
    return shader >= 0;
}
