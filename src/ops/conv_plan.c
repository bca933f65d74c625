// The kernels of convolutions and their gradients that are matrix products: which one runs a
// call, and with what numbers.
#include "abi/conv.h"
#include "ops/conv.h"
#include "ops/conv_winograd.h"
#include "ops/gemm.h"
#include <stdlib.h>
#include <tuff/ops/conv.h>

// What the kernels call `a` is w of the convolutions and dy of the weight gradient. There are
// two sets of kernels: for two spatial dims and for three (`deep`).
typedef struct conv_plan {
    tuff_product p;
    bool deep;
    union {
        tuff_gemm g;
        struct tuff_conv_pc conv;
        struct tuff_conv_dw_pc dw;
    } pc;
    size_t pc_bytes;
} conv_plan;

// Three dims as one member of push constants after another, x first.
#define EACH(name, size)                                                        \
    .name##_x = (uint32_t)(size)[2], .name##_y = (uint32_t)(size)[1],           \
    .name##_z = (uint32_t)(size)[0]
#define EACH_INT(name, sign, size)                                              \
    .name##_x = sign(int)(size)[2], .name##_y = sign(int)(size)[1],             \
    .name##_z = sign(int)(size)[0]

static bool is_deep(const tuff_conv *v) { return v->x[0] != 1 || v->k[0] != 1 || v->y[0] != 1; }

static void forward_of(const tuff_call *c, conv_plan *f)
{
    const tuff_conv_params *params = c->params;
    tuff_conv v;
    tuff_conv_good(c, 0, 1, -1, &v);
    const int64_t taps = tuff_volume(v.k), pixels = tuff_volume(v.y);
    f->deep = is_deep(&v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = 2, .residual = 3,
                           .act = params->act, .fast = params->fast,
                           .bias_step = (uint32_t)pixels, .bias_n = (uint32_t)v.o };
    f->p.g = (tuff_gemm){ .m = (uint32_t)v.og, .n = (uint32_t)(v.n * pixels),
                          .k = (uint32_t)(v.cg * taps), .batches = (uint32_t)v.group };
    f->pc.conv = (struct tuff_conv_pc){
        EACH(from, v.x), EACH(to, v.y), EACH(k, v.k), EACH_INT(mul, +, v.stride),
        EACH_INT(off, -, v.pad), EACH_INT(step, +, v.dilation), .div_x = 1, .div_y = 1,
        .div_z = 1, .w_row = (uint32_t)(v.cg * taps), .w_ch = (uint32_t)taps,
    };
    f->pc_bytes = sizeof f->pc.conv;
}

// dx is the same gather from dy: pixel i of x was read by output (i + pad - tap * dilation) /
// stride, where that is whole; w's two channel dims change places.
static void backward_of(const tuff_conv *v, conv_plan *f)
{
    const int64_t taps = tuff_volume(v->k), pixels = tuff_volume(v->x);
    f->deep = is_deep(v);
    f->p.bias_step = (uint32_t)pixels;
    f->p.bias_n = (uint32_t)v->c;
    f->p.g = (tuff_gemm){ .m = (uint32_t)v->cg, .n = (uint32_t)(v->n * pixels),
                          .k = (uint32_t)(v->og * taps), .batches = (uint32_t)v->group };
    f->pc.conv = (struct tuff_conv_pc){
        EACH(from, v->y), EACH(to, v->x), EACH(k, v->k), .mul_x = 1, .mul_y = 1, .mul_z = 1,
        EACH_INT(off, +, v->pad), EACH_INT(step, -, v->dilation), EACH_INT(div, +, v->stride),
        .w_row = (uint32_t)taps, .w_ch = (uint32_t)(v->cg * taps),
    };
    f->pc_bytes = sizeof f->pc.conv;
}

static void input_grad_of(const tuff_call *c, conv_plan *f)
{
    tuff_conv v;
    tuff_conv_good(c, -1, 1, 0, &v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = -1, .residual = -1,
                           .fast = ((const tuff_conv_params *)c->params)->fast };
    backward_of(&v, f);
}

static void transpose_of(const tuff_call *c, conv_plan *f)
{
    const tuff_conv_params *params = c->params;
    tuff_conv v;
    tuff_conv_transpose_good(c, &v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = 2, .residual = 3,
                           .act = params->act, .fast = params->fast };
    backward_of(&v, f);
}

static void weight_grad_of(const tuff_call *c, conv_plan *f)
{
    tuff_conv v;
    tuff_conv_good(c, 0, -1, 1, &v);
    f->deep = is_deep(&v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = -1, .residual = -1,
                           .fast = ((const tuff_conv_params *)c->params)->fast,
                           .bias_step = 1, .bias_n = 1 };
    f->p.g = (tuff_gemm){ .m = (uint32_t)v.og, .n = (uint32_t)(v.cg * tuff_volume(v.k)),
                          .k = (uint32_t)(v.n * tuff_volume(v.y)),
                          .batches = (uint32_t)v.group };
    f->pc.dw = (struct tuff_conv_dw_pc){
        EACH(from, v.x), EACH(to, v.y), EACH(k, v.k), EACH_INT(mul, +, v.stride),
        EACH_INT(off, -, v.pad), EACH_INT(step, +, v.dilation),
    };
    f->pc_bytes = sizeof f->pc.dw;
}

// The gathering kernels of CPU-like drivers find quotients of positions by floats, within a
// range; see pixel_of in conv_texel.comp.
static bool divided(const struct tuff_conv_pc *pc)
{
    return pc->div_x != 1 || pc->div_y != 1 || pc->div_z != 1;
}

static bool near(uint32_t to, int off, uint32_t k, int step)
{
    return (int64_t)to + abs(off) + (int64_t)k * abs(step) <= 1 << 21;
}

static bool divides(const struct tuff_conv_pc *pc)
{
    return !divided(pc) || (near(pc->to_x, pc->off_x, pc->k_x, pc->step_x) &&
                            near(pc->to_y, pc->off_y, pc->k_y, pc->step_y) &&
                            near(pc->to_z, pc->off_z, pc->k_z, pc->step_z));
}

static uint32_t taps_of(const struct tuff_conv_pc *pc) { return pc->k_x * pc->k_y * pc->k_z; }

// Products of a sum run by taps of channels, or where channels do not come in fours by channels
// of taps.
static bool gather_packed(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    struct tuff_conv_pc *pc = &f->pc.conv;
    const uint32_t taps = taps_of(pc), chs = f->p.g.k / taps;
    const uint32_t plane = pc->to_x * pc->to_y * pc->to_z;
    const bool fours = chs % 4 == 0;
    const struct tuff_pack_pc w = { .rows = f->p.g.m, .k = f->p.g.k, .row_step = pc->w_row,
                                    .outer_step = fours ? 1 : pc->w_ch,
                                    .inner_step = fours ? pc->w_ch : 1,
                                    .inner = fours ? chs : taps };
    pc->g = f->p.g;
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = f->p.a, .rows = f->p.g.m,
                               .pc = &w, .pc_bytes = sizeof w };
    const int flat = fours ? TUFF_SHADER_conv_pack : TUFF_SHADER_conv_pack_taps;
    const int deep = fours ? TUFF_SHADER_conv3_pack : TUFF_SHADER_conv3_pack_taps;
    const tuff_panels right = {
        .shader = f->deep ? deep : flat, .input = f->p.b, .rows = f->p.g.n,
        .pc = pc, .pc_bytes = sizeof *pc, .flagged = true, .flag = divided(pc) };
    return divides(pc) &&
           tuff_product_packed(&f->p, &left, &right, plane, f->p.g.m * plane, k, plan);
}

static bool gather_texel(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    struct tuff_conv_pc *pc = &f->pc.conv;
    if (!divides(pc)) return false;
    const uint32_t taps = taps_of(pc);
    const int shader = f->deep ? TUFF_SHADER_conv3_texel
                     : f->p.g.k == taps ? TUFF_SHADER_conv1_texel : TUFF_SHADER_conv_texel;
    if (!tuff_product_texel(&f->p, shader, pc, f->pc_bytes, taps, k, plan)) return false;
    tuff_spec(&plan->d[0], divided(pc));
    return true;
}

enum { FEW = 8 }; // pairs of channels in a group that are no matrix to speak of

// Spec constant 1 is for one dispatch alone, and one of gemm_sum.comp may follow.
static bool gather_direct(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    const uint32_t chs = f->p.g.k / taps_of(pc);
    if ((uint64_t)f->p.g.m * chs > FEW) return false;
    if (!tuff_product_plain(&f->p, TUFF_SHADER_conv_direct, &f->pc, f->pc_bytes, k, plan))
        return false;
    tuff_spec(&plan->d[0], divided(pc));
    return f->p.g.splits == 1; // the kernel takes a sum whole
}

// w is read by fours where it lies as the sum runs, and y written so where its pixels are.
static tuff_gemm_form gather_form(const conv_plan *f)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    const uint32_t plane = pc->to_x * pc->to_y * pc->to_z, k = f->p.g.k;
    const bool whole = pc->w_row == k && pc->w_ch == taps_of(pc);
    return (tuff_gemm_form){ .a_long_k = true, .y_quad = plane % 4 == 0,
                             .a_quad = whole && k % 4 == 0 };
}

static bool gather_tile(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm_form form = gather_form(f);
    return tuff_product_tile(&f->p, f->deep ? TUFF_SHADER_conv3_tile : TUFF_SHADER_conv_tile,
                             &f->pc, f->pc_bytes, &form, k, plan);
}

static bool gather_half_tile(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm_form form = gather_form(f);
    return tuff_product_half(&f->p, f->deep ? TUFF_SHADER_conv3_tile_half
                                            : TUFF_SHADER_conv_tile_half,
                             &f->pc, f->pc_bytes, &form, k, plan);
}

static bool gather_coop_of(conv_plan *f, tuff_coop_kind kind, const tuff_caps *k,
                           tuff_plan *plan)
{
    static const tuff_coop_shaders flat = { TUFF_SHADER_conv_coop, TUFF_SHADER_conv_coop_bf16,
                                            -1 };
    static const tuff_coop_shaders deep = { TUFF_SHADER_conv3_coop,
                                            TUFF_SHADER_conv3_coop_bf16, -1 };
    const tuff_gemm_form form = gather_form(f);
    return tuff_product_coop(&f->p, f->deep ? &deep : &flat, &f->pc, f->pc_bytes, &form,
                             kind, k, plan);
}

static bool gather_coop(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return gather_coop_of(f, TUFF_COOP_16, k, plan);
}

static bool gather_coop_fast(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return gather_coop_of(f, TUFF_COOP_FROM_F32, k, plan);
}

static bool gather_plain(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return tuff_product_plain(&f->p, f->deep ? TUFF_SHADER_conv3_plain : TUFF_SHADER_conv_plain,
                              &f->pc, f->pc_bytes, k, plan);
}

// ---- kernels of one tap ------------------------------------------------------------------

enum {
    POINT_COLS = 4, // subgroups of columns in a tile of conv_point.comp
    POINT_LEAST = 1 << 14            // products that are worth packing w
};

// Where a convolution is a matrix product on the same memory: no step from one pixel read to
// the next but one, nothing around them.
static bool is_point(const conv_plan *f, struct tuff_point_pc *point)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    *point = (struct tuff_point_pc){ .plane = pc->to_x * pc->to_y * pc->to_z,
                                     .w_row = pc->w_row, .w_ch = pc->w_ch };
    return taps_of(pc) == 1 && !divided(pc) && pc->mul_x == 1 && pc->mul_y == 1 &&
           pc->mul_z == 1 && !pc->off_x && !pc->off_y && !pc->off_z &&
           pc->from_x == pc->to_x && pc->from_y == pc->to_y && pc->from_z == pc->to_z;
}

// The product, of a left operand of so many rows in scratch 1; into y or its parts, or
// (`apart`) into scratch 0.
static void add_point(const tuff_product *p, struct tuff_point_pc pc, uint32_t rows, bool apart,
                      const tuff_caps *k, tuff_plan *plan)
{
    const tuff_gemm *g = &p->g;
    const bool fits = tuff_fits_texel(k, &p->call->in[p->b], 16) &&
                      tuff_panel_fits_texel(p, rows, k);
    const tuff_bind_kind kind = fits ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_conv_point
                                                : TUFF_SHADER_conv_point_stored);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 1, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, p->b, kind, TUFF_READ);
    if (apart) tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    else tuff_product_bind_y(p, d);
    tuff_product_bind_bias(p, d);
    const bool residual = tuff_product_bind_residual(p, d, TUFF_BIND_TEXEL_F32X4);
    pc.g = *g;
    const uint64_t pieces = (uint64_t)tuff_ceil_div(g->n, POINT_COLS * k->subgroup) *
                            g->batches * g->splits;
    const uint32_t tile = tuff_packed_rows(g->m, pieces, k);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, residual);
    tuff_spec(d, tile);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_ceil_div(g->m, tile) * pieces, k);
}

static bool gather_point(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const tuff_product *p = &f->p;
    const tuff_gemm *g = &p->g;
    const uint32_t w = k->subgroup;
    struct tuff_point_pc pc;
    if (!is_point(f, &pc) || pc.plane % 4 != 0 || !tuff_takes_texels(k)) return false;
    // Panels hold rows of one group; backwards its rows lie apart from those of the next.
    if (g->batches > 1 && (g->m % w != 0 || pc.w_ch != 1)) return false;
    if (!plan->forced && (double)g->m * g->n * g->k * g->batches < POINT_LEAST) return false;
    if (!tuff_product_texels(p, k, 16)) return false;
    if (k->max_loop && g->k > k->max_loop / 2) return false; // pack.comp takes it whole
    if (!tuff_product_cut(&f->p, k, 1, 4, true)) return false;
    const struct tuff_pack_pc pack = { .rows = g->m * g->batches, .k = g->k,
                                       .row_step = pc.w_row, .inner_step = pc.w_ch,
                                       .inner = g->k };
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = p->a, .rows = pack.rows,
                               .pc = &pack, .pc_bytes = sizeof pack };
    if (!tuff_product_pack(p, &left, 1, k, plan)) return false;
    add_point(p, pc, pack.rows, false, k, plan);
    tuff_product_finish(p, k, plan);
    return true;
}

static bool gather_point_tile(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    struct tuff_point_pc pc;
    if (!is_point(f, &pc)) return false;
    const uint32_t m = f->p.g.m, sum = f->p.g.k;
    const bool quads = pc.plane % 4 == 0, long_k = pc.w_ch == 1;
    const tuff_gemm_form form = {
        .a_long_k = long_k, .b_quad = quads, .y_quad = quads,
        .a_quad = long_k ? (sum | pc.w_row) % 4 == 0 : pc.w_row == 1 && (m | pc.w_ch) % 4 == 0,
    };
    return tuff_product_tile(&f->p, TUFF_SHADER_conv_point_tile, &pc, sizeof pc, &form, k,
                             plan);
}

// ---- backwards with strides ----------------------------------------------------------------

enum { SPREAD_ROWS = 16, SPREAD_K = 8 }; // from which on the product is one to speak of

static bool spreads(const conv_plan *f, const tuff_caps *k)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    const tuff_product *p = &f->p;
    const uint32_t plane = pc->from_x * pc->from_y;
    return tuff_takes_texels(k) && !f->deep && divided(pc) && p->g.batches == 1 &&
           pc->step_x == -1 && pc->step_y == -1 && plane % 4 == 0 &&
           tuff_product_direct(p, k) && !tuff_call_has(p->call, p->residual);
}

static void add_spread(const conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    tuff_product p = f->p;
    (void)tuff_product_cut(&p, k, 1, p.g.k, true); // what follows
    const uint32_t wg = tuff_group_size_for(k, p.g.count);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_conv_spread);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_product_bind_bias(&p, d);
    tuff_spec(d, wg);
    TUFF_PUSH(d, (struct tuff_spread_pc){
        .count = p.g.count, .chs = p.g.m, .to_x = pc->to_x, .to_y = pc->to_y,
        .from_x = pc->from_x, .from_y = pc->from_y, .k_x = pc->k_x, .k_y = pc->k_y,
        .stride_x = (uint32_t)pc->div_x, .stride_y = (uint32_t)pc->div_y,
        .pad_x = (uint32_t)pc->off_x, .pad_y = (uint32_t)pc->off_y,
        .times_x = tuff_ceil_div(pc->k_x, (uint32_t)pc->div_x),
        .times_y = tuff_ceil_div(pc->k_y, (uint32_t)pc->div_y), .after = p.g.after });
    tuff_grid(d, tuff_ceil_div(p.g.count, wg), k);
}

// A product of w, its rows being channels written x taps, with all pixels read; and the sums of
// what falls on each pixel written.
static bool gather_spread(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    const struct tuff_conv_pc *pc = &f->pc.conv;
    const tuff_call *c = f->p.call;
    const uint32_t taps = taps_of(pc), chs = f->p.g.k / taps, plane = pc->from_x * pc->from_y;
    if (!spreads(f, k)) return false;
    if (!plan->forced && (f->p.g.m * taps < SPREAD_ROWS || chs < SPREAD_K)) return false;
    tuff_product p = { .call = c, .a = f->p.a, .b = f->p.b, .bias = -1, .residual = -1 };
    p.g = (tuff_gemm){ .m = f->p.g.m * taps, .k = chs, .batches = 1,
                       .n = f->p.g.n / (pc->to_x * pc->to_y) * plane };
    const uint64_t count = (uint64_t)p.g.m * p.g.n;
    if (count > INT32_MAX || !tuff_fits(k, count * sizeof(float)) || count > k->max_texels)
        return false;
    // One f32 sum takes all of both: channels, and the taps of a pixel.
    if (f->p.g.k > TUFF_GEMM_SUM || !tuff_product_cut(&p, k, 1, 4, true) || p.g.splits > 1)
        return false;
    const struct tuff_pack_pc pack = { .rows = p.g.m, .k = chs, .row_step = 1,
                                       .inner_step = pc->w_ch, .inner = chs };
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = p.a, .rows = p.g.m,
                               .pc = &pack, .pc_bytes = sizeof pack };
    if (!tuff_product_pack(&p, &left, 1, k, plan)) return false;
    plan->scratch[0] = count * sizeof(float);
    add_point(&p, (struct tuff_point_pc){ .plane = plane }, p.g.m, true, k, plan);
    add_spread(f, k, plan);
    return true;
}

// ---- 3 x 3 -------------------------------------------------------------------------------

static bool gather_winograd4(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return tuff_winograd(&f->p, &f->pc.conv, 4, false, k, plan);
}

static bool gather_winograd2(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return tuff_winograd(&f->p, &f->pc.conv, 2, false, k, plan);
}

static bool gather_winograd4_tile(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return tuff_winograd(&f->p, &f->pc.conv, 4, true, k, plan);
}

static bool gather_winograd2_tile(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    return tuff_winograd(&f->p, &f->pc.conv, 2, true, k, plan);
}

// ---- all ---------------------------------------------------------------------------------

// Each of them for the three kinds of call that gather.
#define GATHER(name, gather)                                                    \
    TUFF_CONV_PLAN(name)                                                        \
    {                                                                           \
        conv_plan f;                                                            \
        forward_of(c, &f);                                                      \
        return gather(&f, k, plan);                                             \
    }                                                                           \
    TUFF_CONV_PLAN(dx_##name)                                                   \
    {                                                                           \
        conv_plan f;                                                            \
        input_grad_of(c, &f);                                                   \
        return gather(&f, k, plan);                                             \
    }                                                                           \
    TUFF_CONV_PLAN(transpose_##name)                                            \
    {                                                                           \
        conv_plan f;                                                            \
        transpose_of(c, &f);                                                    \
        return gather(&f, k, plan);                                             \
    }
GATHER(winograd4, gather_winograd4)
GATHER(winograd2, gather_winograd2)
GATHER(winograd4_tile, gather_winograd4_tile)
GATHER(winograd2_tile, gather_winograd2_tile)
GATHER(point, gather_point)
GATHER(point_tile, gather_point_tile)
GATHER(packed, gather_packed)
GATHER(texel, gather_texel)
GATHER(direct, gather_direct)
GATHER(coop, gather_coop)
GATHER(coop_fast, gather_coop_fast)
GATHER(half_tile, gather_half_tile)
GATHER(tile, gather_tile)
GATHER(plain, gather_plain)

TUFF_CONV_PLAN(dx_spread)
{
    conv_plan f;
    input_grad_of(c, &f);
    return gather_spread(&f, k, plan);
}

TUFF_CONV_PLAN(transpose_spread)
{
    conv_plan f;
    transpose_of(c, &f);
    return gather_spread(&f, k, plan);
}

TUFF_CONV_PLAN(dw_texel)
{
    conv_plan f;
    weight_grad_of(c, &f);
    return tuff_product_texel(&f.p, f.deep ? TUFF_SHADER_conv3_dw_texel
                                           : TUFF_SHADER_conv_dw_texel,
                              &f.pc, f.pc_bytes, 1, k, plan);
}

TUFF_CONV_PLAN(dw_direct)
{
    conv_plan f;
    weight_grad_of(c, &f);
    const uint32_t taps = f.pc.dw.k_x * f.pc.dw.k_y * f.pc.dw.k_z;
    return (uint64_t)f.p.g.m * (f.p.g.n / taps) <= FEW &&
           tuff_product_element(&f.p, TUFF_SHADER_conv_dw_direct, &f.pc, f.pc_bytes, k, plan);
}

static tuff_gemm_form dw_form(const conv_plan *f)
{
    const uint32_t plane = f->pc.dw.to_x * f->pc.dw.to_y * f->pc.dw.to_z;
    return (tuff_gemm_form){ .a_long_k = true, .b_long_k = true, .a_quad = plane % 4 == 0 };
}

TUFF_CONV_PLAN(dw_half_tile)
{
    conv_plan f;
    weight_grad_of(c, &f);
    const tuff_gemm_form form = dw_form(&f);
    return tuff_product_half(&f.p, f.deep ? TUFF_SHADER_conv3_dw_tile_half
                                          : TUFF_SHADER_conv_dw_tile_half,
                             &f.pc, f.pc_bytes, &form, k, plan);
}

static bool dw_coop_of(const tuff_call *c, tuff_coop_kind kind, const tuff_caps *k,
                       tuff_plan *plan)
{
    static const tuff_coop_shaders flat = { TUFF_SHADER_conv_dw_coop,
                                            TUFF_SHADER_conv_dw_coop_bf16, -1 };
    static const tuff_coop_shaders deep = { TUFF_SHADER_conv3_dw_coop,
                                            TUFF_SHADER_conv3_dw_coop_bf16, -1 };
    conv_plan f;
    weight_grad_of(c, &f);
    const tuff_gemm_form form = dw_form(&f);
    return tuff_product_coop(&f.p, f.deep ? &deep : &flat, &f.pc, f.pc_bytes, &form, kind, k,
                             plan);
}

TUFF_CONV_PLAN(dw_coop) { return dw_coop_of(c, TUFF_COOP_16, k, plan); }
TUFF_CONV_PLAN(dw_coop_fast) { return dw_coop_of(c, TUFF_COOP_FROM_F32, k, plan); }

TUFF_CONV_PLAN(dw_tile)
{
    conv_plan f;
    weight_grad_of(c, &f);
    const tuff_gemm_form form = dw_form(&f);
    return tuff_product_tile(&f.p, f.deep ? TUFF_SHADER_conv3_dw_tile
                                          : TUFF_SHADER_conv_dw_tile,
                             &f.pc, f.pc_bytes, &form, k, plan);
}

TUFF_CONV_PLAN(dw_plain)
{
    conv_plan f;
    weight_grad_of(c, &f);
    return tuff_product_plain(&f.p, f.deep ? TUFF_SHADER_conv3_dw_plain
                                           : TUFF_SHADER_conv_dw_plain,
                              &f.pc, f.pc_bytes, k, plan);
}
