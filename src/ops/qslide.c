// Plans of qslide.comp and qrows.comp: convolutions of bytes, and dense layers, on CPU-like
// drivers, in one launch beside what is made of weights once.
#include "ops/conv_integer.h"
#include "ops/gemm.h"
#include "ops/qgemm.h"
#include "ops/quantize.h"

enum {
    MOST_ROWS = 16,  // outputs of a tile
    MOST_TAPS = 11,  // of a row of a kernel
    MOST_BYTES = 16, // that four neighbours read of a row
    EXACT = 258,     // products of differences of bytes that floats add up exactly
    NARROW = 3       // a row of y that is worth its lanes of four
};
enum { WEIGHTS, ENDS, SUMS }; // scratch

typedef struct slide {
    const tuff_call *c;
    const tuff_qconv_inputs *in;
    tuff_conv v;
    uint32_t rows, tiles, panels, lines, quads; // see qslide_pack.comp
    bool sums;            // y is sums, or turned to bytes by another launch
} slide;

static bool takes(slide *s, const tuff_call *c, const tuff_caps *k, bool forced)
{
    s->c = c;
    s->in = tuff_qconv_inputs_of(c);
    const tuff_conv *v = &s->v;
    s->v = tuff_qconv_of(c);
    const int64_t taps = v->k[1] * v->k[2], step = v->stride[2];
    if (!tuff_takes_texels(k) || v->group > 1 || v->dilation[1] > 1 || v->dilation[2] > 1)
        return false;
    if (v->k[2] > MOST_TAPS || 3 * step + v->k[2] > MOST_BYTES || taps > EXACT) return false;
    if (v->y[2] < NARROW && !forced) return false;
    if (k->max_loop && 2 * v->cg * v->k[1] + 64 > k->max_loop) return false;
    s->tiles = tuff_ceil_div((uint64_t)v->o, MOST_ROWS);
    s->rows = tuff_ceil_div((uint64_t)v->o, s->tiles);
    s->panels = tuff_ceil_div(s->rows, k->subgroup);
    s->lines = (uint32_t)(v->cg * v->k[1]);
    s->quads = tuff_ceil_div((uint64_t)v->k[2], 4);
    s->sums = s->in->y_zero < 0 || (v->y[2] % 4 && !k->storage8);
    return true;
}

static uint64_t texels_of(const slide *s, const tuff_caps *k)
{
    return (uint64_t)s->tiles * s->lines * s->quads * s->panels * k->subgroup;
}

// Images whose x one texel buffer shows.
static uint64_t images_of(const slide *s, const tuff_caps *k)
{
    if (tuff_fits_words(k, &s->c->in[s->in->x])) return (uint64_t)s->v.n;
    return tuff_texel_runs(k, (uint64_t)(s->v.c * s->v.x[1] * s->v.x[2]), 4);
}

static void add_weights(const slide *s, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_call *c = s->c;
    const uint32_t wg = tuff_group_size_flat(k);
    const struct tuff_qslide_pack_pc pc = {
        .m = (uint32_t)s->v.o, .rows = s->rows, .lines = s->lines, .kw = (uint32_t)s->v.k[2],
        .count = (uint32_t)texels_of(s, k), .sign = tuff_qsign(&c->in[s->in->w]),
        .zeros = tuff_qzeros(c, s->in->w_zero) };
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_qslide_weights);
    tuff_spec(d, wg);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, (uint32_t)tuff_qconv_bits(c));
    tuff_bind_in(d, s->in->w);
    tuff_bind_in(d, tuff_call_has(c, s->in->w_zero) ? s->in->w_zero : s->in->w);
    tuff_bind(d, TUFF_ROLE_SCRATCH, WEIGHTS, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_grid(d, tuff_ceil_div(pc.count, wg), k);
    TUFF_PUSH(d, pc);
}

// A number alone, or a few bytes that are not read.
static void bind_number(const slide *s, tuff_dispatch *d, int input, tuff_bind_kind kind)
{
    tuff_bind_or_word(s->c, d, input, s->in->w, kind);
}

// What becomes of sums, which ENDS of scratch holds for each output.
static void add_ends(const slide *s, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_call *c = s->c;
    const tuff_qconv_inputs *in = s->in;
    const uint32_t wg = tuff_group_size(k);
    const bool bytes = in->y_zero >= 0, bias = tuff_call_has(c, in->bias);
    const struct tuff_qslide_pack_pc pc = {
        .m = (uint32_t)s->v.o, .bytes = bytes, .has_bias = bias && !(bytes && s->sums),
        .scales = bytes ? tuff_qzeros(c, in->w_scale) : 1 };
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_qslide_ends);
    tuff_spec(d, wg);
    tuff_bind_in(d, bytes ? in->w_scale : in->w);
    tuff_bind_in(d, bias ? in->bias : in->w);
    tuff_bind(d, TUFF_ROLE_SCRATCH, ENDS, TUFF_BIND_STORAGE, TUFF_WRITE);
    bind_number(s, d, in->x_scale, TUFF_BIND_TEXEL_F32);
    bind_number(s, d, in->y_scale, TUFF_BIND_TEXEL_F32);
    tuff_grid(d, tuff_ceil_div(pc.m, wg), k);
    TUFF_PUSH(d, pc);
}

static struct tuff_qslide_pc pc_of(const slide *s, uint64_t first, uint64_t images)
{
    const tuff_conv *v = &s->v;
    const tuff_conv_params *p = s->c->params;
    const tuff_desc *y = &s->c->out[0];
    const bool is_signed = y->dtype == TUFF_I8;
    const uint32_t quads = tuff_ceil_div((uint64_t)v->y[2], 4);
    return (struct tuff_qslide_pc){
        .m = (uint32_t)v->o, .rows = s->rows, .chs = (uint32_t)v->c, .kh = (uint32_t)v->k[1],
        .from_h = (uint32_t)v->x[1], .from_w = (uint32_t)v->x[2], .to_h = (uint32_t)v->y[1],
        .to_w = (uint32_t)v->y[2], .quads = quads, .first = (uint32_t)first,
        .count = (uint32_t)(images * (uint64_t)v->y[1] * quads),
        .words = tuff_ceil_div(images * (uint64_t)(v->c * v->x[1] * v->x[2]), 4),
        .stride_y = (uint32_t)v->stride[1], .pad_y = (int)v->pad[1], .pad_x = (int)v->pad[2],
        .x_sign = tuff_qsign(&s->c->in[s->in->x]), .x_zeros = tuff_qzeros(s->c, s->in->x_zero),
        .low = is_signed ? -128 : 0, .high = is_signed ? 127 : 255,
        .relu = p->act == TUFF_ACT_RELU, .y_sign = tuff_qsign(y),
    };
}

static void add_product(const slide *s, uint64_t first, uint64_t images, const tuff_caps *k,
                        tuff_plan *plan)
{
    const tuff_conv *v = &s->v;
    const struct tuff_qslide_pc pc = pc_of(s, first, images);
    const uint64_t image = (uint64_t)(v->c * v->x[1] * v->x[2]);
    const bool last = first + images == (uint64_t)v->n;
    tuff_dispatch *d = tuff_plan_add(plan, s->sums        ? TUFF_SHADER_qslide_sums
                                           : v->y[2] % 4 ? TUFF_SHADER_qslide_bytes
                                                         : TUFF_SHADER_qslide);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, s->rows);
    tuff_spec(d, (uint32_t)v->k[2]);
    tuff_spec(d, (uint32_t)v->stride[2]);
    tuff_spec(d, EXACT / (uint32_t)(v->k[1] * v->k[2]));
    tuff_bind(d, TUFF_ROLE_IN, s->in->x, TUFF_BIND_TEXEL_U32, TUFF_READ);
    if (images < (uint64_t)v->n)
        tuff_bind_range(d, first * image, last ? 0 : images * image);
    tuff_bind(d, TUFF_ROLE_SCRATCH, WEIGHTS, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    if (s->sums && s->in->y_zero >= 0)
        tuff_bind(d, TUFF_ROLE_SCRATCH, SUMS, TUFF_BIND_STORAGE, TUFF_WRITE);
    else
        tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_SCRATCH, ENDS, TUFF_BIND_TEXEL_U32X4, TUFF_READ);
    bind_number(s, d, s->in->x_zero, TUFF_BIND_TEXEL_U32);
    bind_number(s, d, s->in->y_zero, TUFF_BIND_TEXEL_U32);
    tuff_grid(d, tuff_ceil_div(pc.count, k->subgroup) * (uint64_t)s->tiles, k);
    TUFF_PUSH(d, pc);
}

bool tuff_qslide(const tuff_call *c, const tuff_requant *requant, const tuff_caps *k,
                 tuff_plan *plan)
{
    slide s;
    if (!takes(&s, c, k, plan->forced)) return false;
    const uint64_t images = images_of(&s, k), n = (uint64_t)s.v.n, texels = texels_of(&s, k);
    if (!images || tuff_ceil_div(n, images) > TUFF_PLAN_MAX - 3) return false;
    if (texels > k->max_texels || texels * 16 > k->max_storage_range) return false;
    if ((uint64_t)s.v.o > k->max_texels) return false;
    plan->scratch[WEIGHTS] = texels * 16;
    plan->scratch[ENDS] = (size_t)s.v.o * 16;
    if (s.sums && s.in->y_zero >= 0)
        plan->scratch[SUMS] = (size_t)tuff_desc_count(&c->out[0]) * 4;
    if (!tuff_fits(k, plan->scratch[SUMS])) return false;
    add_weights(&s, k, plan);
    add_ends(&s, k, plan);
    for (uint64_t first = 0; first < n; first += images)
        add_product(&s, first, n - first < images ? n - first : images, k, plan);
    if (plan->scratch[SUMS]) tuff_requant_add(c, requant, SUMS, 1, k, plan);
    return true;
}

// ---- rows ---------------------------------------------------------------------------------

// Bits that a weight is kept in; a word holds whole ones.
static uint32_t kept_bits(const tuff_call *c)
{
    const int bits = tuff_qconv_bits(c);
    return bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
}

static void add_row_weights(const slide *s, const struct tuff_qrows_pc *pc, uint64_t texels,
                            const tuff_caps *k, tuff_plan *plan)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_qrows_weights);
    tuff_spec(d, wg);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, (uint32_t)tuff_qconv_bits(s->c));
    tuff_spec(d, kept_bits(s->c));
    tuff_bind_in(d, s->in->w);
    tuff_bind_in(d, tuff_call_has(s->c, s->in->w_zero) ? s->in->w_zero : s->in->w);
    tuff_bind(d, TUFF_ROLE_SCRATCH, WEIGHTS, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_grid(d, tuff_ceil_div(texels, wg), k);
    tuff_push(d, pc, sizeof *pc);
}

static void add_rows(const slide *s, const struct tuff_qrows_pc *pc, const tuff_caps *k,
                     tuff_plan *plan)
{
    const uint32_t tiles = tuff_ceil_div(pc->m, MOST_ROWS), rows = tuff_ceil_div(pc->m, tiles);
    tuff_dispatch *d = tuff_plan_add(plan, pc->n % 4 ? TUFF_SHADER_qrows_bytes
                                                     : TUFF_SHADER_qrows);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, rows);
    tuff_spec(d, pc->k % 4 == 0);
    tuff_spec(d, kept_bits(s->c));
    tuff_bind(d, TUFF_ROLE_IN, s->in->x, TUFF_BIND_TEXEL_U32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, WEIGHTS, TUFF_BIND_TEXEL_U32X4, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_SCRATCH, ENDS, TUFF_BIND_TEXEL_U32X4, TUFF_READ);
    bind_number(s, d, s->in->x_zero, TUFF_BIND_TEXEL_U32);
    bind_number(s, d, s->in->w_zero, TUFF_BIND_TEXEL_U32);
    bind_number(s, d, s->in->y_zero, TUFF_BIND_TEXEL_U32);
    const uint64_t across = tuff_ceil_div(pc->n, 4 * (uint64_t)k->subgroup);
    tuff_grid(d, across * tuff_ceil_div(pc->m, rows), k);
    tuff_push(d, pc, sizeof *pc);
}

bool tuff_qrows(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_conv_params *p = c->params;
    slide s = { .c = c, .in = tuff_qconv_inputs_of(c), .v = tuff_qconv_of(c) };
    const tuff_conv *v = &s.v;
    const bool is_signed = c->out[0].dtype == TUFF_I8;
    if (!tuff_takes_texels(k) || !tuff_qconv_is_row(v) || s.in->y_zero < 0) return false;
    if (v->o % 4 && !k->storage8) return false;
    if (!tuff_fits_words(k, &c->in[s.in->x]) || !tuff_fits_words(k, &c->in[s.in->w_zero]))
        return false;
    const struct tuff_qrows_pc pc = {
        .m = (uint32_t)v->n, .n = (uint32_t)v->o, .k = (uint32_t)v->c,
        .quads = tuff_ceil_div((uint64_t)v->c, 4),
        .words = tuff_ceil_div((uint64_t)(v->n * v->c), 4),
        .x_sign = tuff_qsign(&c->in[s.in->x]), .x_zeros = tuff_qzeros(c, s.in->x_zero),
        .w_sign = tuff_qsign(&c->in[s.in->w]), .w_zeros = tuff_qzeros(c, s.in->w_zero),
        .y_sign = tuff_qsign(&c->out[0]), .low = is_signed ? -128 : 0,
        .high = is_signed ? 127 : 255, .relu = p->act == TUFF_ACT_RELU };
    const uint64_t lanes = k->subgroup, texels =
        tuff_ceil_div(pc.n, 4 * lanes) * lanes * tuff_ceil_div(pc.k, 32 / kept_bits(c));
    if (texels > k->max_texels || texels * 16 > k->max_storage_range || pc.n > k->max_texels)
        return false;
    if (k->max_loop && pc.quads + pc.quads / 32 + 64 > k->max_loop) return false;
    plan->scratch[WEIGHTS] = texels * 16;
    plan->scratch[ENDS] = (size_t)pc.n * 16;
    add_row_weights(&s, &pc, texels, k, plan);
    add_ends(&s, k, plan);
    add_rows(&s, &pc, k, plan);
    return true;
}
