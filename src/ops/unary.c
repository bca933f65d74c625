// y = f(x), element by element, for any function of one element: references and planners. The
// shaders are shaders/unary.comp and, for dx = dy f'(x), shaders/unary_grad.comp. The records
// are in math.c, activation.c and clip.c.
#include "ops/elementwise.h"
#include <string.h>

static const tuff_unary *family_of(const tuff_call *c) { return c->op->family; }

static void numbers_of(const tuff_call *c, float p[2])
{
    p[0] = p[1] = 0;
    if (family_of(c)->numbers) family_of(c)->numbers(c, p);
}

uint32_t tuff_element_type(tuff_dtype type)
{
    switch (type) {
    case TUFF_I32: return TUFF_TYPE_I32;
    case TUFF_U32: return TUFF_TYPE_U32;
    case TUFF_F16: return TUFF_TYPE_F16;
    case TUFF_BF16: return TUFF_TYPE_BF16;
    case TUFF_BOOL: return TUFF_TYPE_BOOL;
    default: return TUFF_TYPE_F32;
    }
}

size_t tuff_elements(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static uint32_t words_of(const tuff_desc *d)
{
    return (uint32_t)((tuff_desc_bytes(d) + 3) / 4);
}

// ---- y = f(x) ------------------------------------------------------------------------------

tuff_status tuff_unary_infer(const tuff_call *c, tuff_desc out[])
{
    out[0] = c->in[0];
    return TUFF_OK;
}

static void ref_real(const tuff_ref *r, const tuff_unary *f)
{
    float p[2];
    numbers_of(r->call, p);
    for (size_t i = r->begin; i < r->end; i++)
        r->out[0][i] = (float)f->real((double)r->in[0][i], p);
}

static void ref_whole(const tuff_ref *r, const tuff_unary *f)
{
    const bool is_signed = r->call->in[0].dtype == TUFF_I32;
    const uint32_t *x = (const uint32_t *)(const void *)r->in[0];
    uint32_t *y = (uint32_t *)(void *)r->out[0];
    for (size_t i = r->begin; i < r->end; i++)
        y[i] = (uint32_t)f->whole(is_signed ? (int32_t)x[i] : (int64_t)x[i]);
}

static void ref_bool(const tuff_ref *r, const tuff_unary *f)
{
    const uint8_t *x = (const uint8_t *)r->in[0];
    uint8_t *y = (uint8_t *)r->out[0];
    for (size_t i = r->begin; i < r->end; i++) y[i] = f->whole(x[i]) != 0;
}

void tuff_unary_ref(const tuff_ref *r)
{
    const tuff_dtype type = r->call->in[0].dtype;
    const tuff_unary *f = family_of(r->call);
    if (type == TUFF_F32) ref_real(r, f);
    else if (type == TUFF_BOOL) ref_bool(r, f);
    else ref_whole(r, f);
}

static bool is_wide(const tuff_call *c) { return tuff_desc_bytes(&c->in[0]) % 16 == 0; }

// Words that one dispatch takes: with texels no more than a buffer of them shows. 0: texels do
// not serve, or the plan would be too long.
static uint64_t piece_of(const tuff_call *c, const tuff_caps *k, const tuff_plan *p, bool texel)
{
    const size_t size = is_wide(c) ? 16 : 4;
    const uint64_t words = words_of(&c->out[0]);
    if (!texel || tuff_fits_texel(k, &c->in[0], size)) return words;
    if (tuff_desc_bytes(&c->in[0]) % size != 0) return 0;
    const uint64_t piece = tuff_texel_piece(k, 64 / size);
    const uint64_t left = (uint64_t)(TUFF_PLAN_MAX - p->count);
    return piece && (words + piece - 1) / piece <= left ? piece : 0;
}

// The words from `first` on of a binding.
static void cut_to(tuff_dispatch *d, const tuff_call *c, uint64_t first, uint64_t words)
{
    if (words < words_of(&c->out[0])) tuff_bind_range(d, (size_t)first * 4, (size_t)words * 4);
}

// A function of `nin` inputs over words [first, first + pc.words).
static void add_piece(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader,
                      uint32_t function, int nin, bool texel, uint64_t first,
                      struct tuff_unary_pc pc)
{
    const uint32_t wg = tuff_group_size_flat(k);
    const bool wide = is_wide(c);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, function);
    tuff_spec(d, tuff_element_type(c->in[0].dtype));
    if (texel) tuff_spec(d, wide);
    for (int i = 0; i < nin; i++) {
        tuff_bind(d, TUFF_ROLE_IN, i, !texel ? TUFF_BIND_STORAGE
                                      : wide ? TUFF_BIND_TEXEL_U32X4 : TUFF_BIND_TEXEL_U32,
                  TUFF_READ);
        cut_to(d, c, first, pc.words);
    }
    tuff_bind_out(d, 0);
    cut_to(d, c, first, pc.words);
    tuff_grid(d, ((uint64_t)pc.words + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, pc);
}

static bool add_pieces(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader,
                       uint32_t function, int nin, bool texel, const uint32_t bits[2])
{
    if (texel && !k->cpu_like) return false;
    const uint64_t words = words_of(&c->out[0]), piece = piece_of(c, k, p, texel);
    if (!piece) return false;
    for (uint64_t first = 0; first < words; first += piece) {
        const uint64_t left = words - first, some = left < piece ? left : piece;
        add_piece(c, k, p, shader, function, nin, texel, first,
                  (struct tuff_unary_pc){ (uint32_t)some, bits[0], bits[1] });
    }
    return true;
}

bool tuff_unary_launch(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel,
                       uint32_t function, const uint32_t bits[2])
{
    return add_pieces(c, k, p, texel ? TUFF_SHADER_unary_texel : TUFF_SHADER_unary, function, 1,
                      texel, bits);
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    float v[2];
    uint32_t bits[2];
    numbers_of(c, v);
    memcpy(bits, v, sizeof bits);
    return tuff_unary_launch(c, k, p, texel, family_of(c)->function, bits);
}

bool tuff_unary_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, true);
}

bool tuff_unary_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, false);
}

void tuff_unary_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_unary *f = family_of(&n->call);
    dx[0] = TUFF_V(t, f->grad, n->call.params, f->by_y ? n->out[0] : n->in[0], dy[0]);
}

// ---- dx = dy f'(x) -------------------------------------------------------------------------

tuff_status tuff_slope_infer(const tuff_call *c, tuff_desc out[])
{
    const char *name = c->op->in[0].name;
    char tx[96], td[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[0], &c->in[1]), SHAPE,
                 "%s is %s and dy is %s, they must be equal", name,
                 tuff_desc_print(&c->in[0], tx, sizeof tx),
                 tuff_desc_print(&c->in[1], td, sizeof td));
    out[0] = c->in[0];
    return TUFF_OK;
}

void tuff_slope_ref(const tuff_ref *r)
{
    float p[2];
    const tuff_unary *f = family_of(r->call);
    numbers_of(r->call, p);
    for (size_t i = r->begin; i < r->end; i++) {
        const double x = (double)r->in[0][i], slope = isnan(x) ? x : f->real(x, p);
        r->out[0][i] = slope == 0 ? 0 : (float)(slope * (double)r->in[1][i]);
    }
}

static bool plan_slope(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    float v[2];
    uint32_t bits[2];
    numbers_of(c, v);
    memcpy(bits, v, sizeof bits);
    return add_pieces(c, k, p, texel ? TUFF_SHADER_unary_grad_texel : TUFF_SHADER_unary_grad,
                      family_of(c)->function, 2, texel, bits);
}

bool tuff_slope_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_slope(c, k, p, true);
}

bool tuff_slope_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_slope(c, k, p, false);
}
