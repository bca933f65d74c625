// The kernels of depthwise convolutions on CPU-like drivers (shaders/conv_slide.glsl): kernels
// of 3 x 3 and 5 x 5, strides of 1 and 2, no dilation.
#include "abi/conv.h"
#include "ops/conv.h"
#include "ops/gemm.h"
#include <tuff/ops/conv.h>

enum {
    ROWS = 4,      // of an output, walked by one invocation
    SHORTEST = 16, // columns that are worth an invocation of their own
    BUSY = 512     // invocations that keep a CPU's threads and lanes busy
};

// A kernel that slides, over groups of one channel of x.
static bool slides(const tuff_conv *v, const tuff_caps *k)
{
    const bool kernel = v->k[1] == v->k[2] && (v->k[1] == 3 || v->k[1] == 5);
    const bool stride = v->stride[1] == v->stride[2] && v->stride[1] <= 2;
    return k->cpu_like && v->cg == 1 && kernel && stride && v->dilation[1] == 1 &&
           v->dilation[2] == 1 && v->x[0] == 1 && v->k[0] == 1 && v->y[0] == 1;
}

static bool texels(const tuff_call *c, int input, const tuff_caps *k)
{
    return tuff_fits_texel(k, &c->in[input], sizeof(float));
}

static void bind_texel(tuff_dispatch *d, int input)
{
    tuff_bind(d, TUFF_ROLE_IN, input, TUFF_BIND_TEXEL_F32, TUFF_READ);
}

// Binds what a kernel slides over.
static void bind_slid(tuff_dispatch *d, int input, bool fits)
{
    tuff_bind(d, TUFF_ROLE_IN, input, fits ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE,
              TUFF_READ);
}

// Cuts rows of `cols` columns into pieces: what an invocation walks. Returns the number of
// invocations, 0 when it is too large.
static uint32_t cut_rows(struct tuff_slide_pc *pc, uint32_t cols, const tuff_caps *k)
{
    const uint64_t strips = (uint64_t)pc->planes * pc->blocks;
    const uint32_t wanted = strips < BUSY ? tuff_ceil_div(BUSY, strips) : 1;
    const uint32_t most = tuff_ceil_div(cols, SHORTEST);
    const uint32_t loop = k->max_loop ? k->max_loop / 2 : INT32_MAX;
    pc->cols = tuff_ceil_div(cols, wanted < most ? wanted : most);
    if (pc->cols > loop) pc->cols = loop;
    pc->segments = tuff_ceil_div(cols, pc->cols);
    const uint64_t lanes = strips * pc->segments;
    return lanes > INT32_MAX ? 0 : (uint32_t)lanes; // what `quotient` takes
}

// Whether four columns at a time can be read and written.
static bool is_wide(const tuff_call *c, const tuff_caps *k, int shader,
                    const struct tuff_slide_pc *pc, const tuff_conv *v)
{
    return shader == TUFF_SHADER_conv_slide && v->k[1] == 3 && v->stride[1] == 1 &&
           pc->off_x == -1 && pc->from_x == pc->to_x && pc->to_x % 4 == 0 &&
           tuff_fits_texel(k, &c->in[0], 16);
}

// From input 0 with the weights in input 1, by one of the two kernels.
static bool plan_slide(const tuff_call *c, const tuff_caps *k, tuff_plan *plan, int shader,
                       struct tuff_slide_pc pc, uint32_t cols, const tuff_conv *v, int act)
{
    enum { FROM, W, BIAS, RESIDUAL };
    const bool back = shader == TUFF_SHADER_conv_slide_back;
    const bool bias = c->nin > BIAS && tuff_call_has(c, BIAS);
    if (act > TUFF_ACT_RELU || (c->nin > RESIDUAL && tuff_call_has(c, RESIDUAL))) return false;
    if (back && (bias || act)) return false;
    if (!texels(c, W, k) || (bias && !texels(c, BIAS, k))) return false;
    pc.after = (uint32_t)act | (bias ? TUFF_AFTER_BIAS : 0);
    const bool wide = is_wide(c, k, shader, &pc, v);
    const uint32_t lanes = cut_rows(&pc, wide ? cols / 4 : cols, k);
    const uint32_t wg = tuff_group_size_for(k, lanes);
    if (!lanes) return false;
    const bool fits = texels(c, FROM, k);
    tuff_dispatch *d = tuff_plan_add(plan, wide   ? TUFF_SHADER_conv_slide_wide
                                           : fits ? shader : tuff_shader_stored(shader));
    if (wide) tuff_bind(d, TUFF_ROLE_IN, FROM, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    else bind_slid(d, FROM, fits);
    bind_texel(d, W);
    tuff_bind_out(d, 0);
    if (!back) bind_texel(d, bias ? BIAS : W);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)v->k[1]);
    if (!back) tuff_spec(d, (uint32_t)v->stride[1]);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_ceil_div(lanes, wg), k);
    return true;
}

TUFF_CONV_PLAN(slide)
{
    tuff_conv v;
    tuff_conv_good(c, 0, 1, -1, &v);
    if (!slides(&v, k)) return false;
    const struct tuff_slide_pc pc = {
        .planes = (uint32_t)(v.n * v.o), .chs = (uint32_t)v.o, .og = (uint32_t)v.og,
        .from_x = (uint32_t)v.x[2], .from_y = (uint32_t)v.x[1], .to_x = (uint32_t)v.y[2],
        .to_y = (uint32_t)v.y[1], .off_x = -(int)v.pad[2], .off_y = -(int)v.pad[1],
        .blocks = tuff_ceil_div((uint64_t)v.y[1], ROWS),
    };
    return plan_slide(c, k, plan, TUFF_SHADER_conv_slide, pc, pc.to_x, &v,
                      ((const tuff_conv_params *)c->params)->act);
}

// Backwards without strides it is the same with the kernel turned round.
static bool plan_back(const tuff_call *c, const tuff_caps *k, tuff_plan *plan,
                      const tuff_conv *v, int act)
{
    if (!slides(v, k) || v->og != 1) return false;
    struct tuff_slide_pc pc = {
        .planes = (uint32_t)(v->n * v->c), .chs = (uint32_t)v->c, .og = 1,
        .from_x = (uint32_t)v->y[2], .from_y = (uint32_t)v->y[1], .to_x = (uint32_t)v->x[2],
        .to_y = (uint32_t)v->x[1], .off_x = (int)(v->pad[2] - v->k[2]) + 1,
        .off_y = (int)(v->pad[1] - v->k[1]) + 1, .flip = 1,
        .blocks = tuff_ceil_div((uint64_t)v->x[1], ROWS),
    };
    if (v->stride[1] == 1)
        return plan_slide(c, k, plan, TUFF_SHADER_conv_slide, pc, pc.to_x, v, act);
    pc.off_x = (int)v->pad[2];
    pc.off_y = (int)v->pad[1];
    pc.blocks = tuff_ceil_div((uint64_t)v->x[1] + v->pad[1] % 2, ROWS);
    const uint32_t cols = (uint32_t)((v->x[2] - 1 + v->pad[2]) / 2 - v->pad[2] / 2 + 1);
    return plan_slide(c, k, plan, TUFF_SHADER_conv_slide_back, pc, cols, v, act);
}

TUFF_CONV_PLAN(dx_slide)
{
    tuff_conv v;
    tuff_conv_good(c, -1, 1, 0, &v);
    return plan_back(c, k, plan, &v, TUFF_ACT_NONE);
}

TUFF_CONV_PLAN(transpose_slide)
{
    tuff_conv v;
    tuff_conv_transpose_good(c, &v);
    return plan_back(c, k, plan, &v, ((const tuff_conv_params *)c->params)->act);
}

// Parts of a channel's sum: as many as keep a CPU busy and its f32 sums short.
static bool cut_channel(const tuff_conv *v, const tuff_caps *k, struct tuff_slide_dw_pc *pc)
{
    const uint64_t total = (uint64_t)v->n * pc->blocks;
    const uint32_t loop = k->max_loop ? k->max_loop / 2 : INT32_MAX;
    uint32_t most = TUFF_GEMM_SUM / ROWS / pc->to_x;
    if (most > loop / (pc->to_x + 1)) most = loop / (pc->to_x + 1);
    if (!most || total > INT32_MAX) return false;
    const uint32_t wanted = tuff_ceil_div(BUSY, pc->chs);
    pc->of_part = tuff_ceil_div(total, wanted);
    if (pc->of_part > most) pc->of_part = most;
    pc->parts = tuff_ceil_div(total, pc->of_part);
    return (uint64_t)pc->parts * pc->chs <= INT32_MAX;
}

TUFF_CONV_PLAN(dw_slide)
{
    enum { X, DY };
    tuff_conv v;
    tuff_conv_good(c, X, -1, DY, &v);
    if (!slides(&v, k)) return false;
    struct tuff_slide_dw_pc pc = {
        .chs = (uint32_t)v.o, .og = (uint32_t)v.og, .images = (uint32_t)v.n,
        .from_x = (uint32_t)v.x[2], .from_y = (uint32_t)v.x[1], .to_x = (uint32_t)v.y[2],
        .to_y = (uint32_t)v.y[1], .off_x = -(int)v.pad[2], .off_y = -(int)v.pad[1],
        .blocks = tuff_ceil_div((uint64_t)v.y[1], ROWS),
    };
    if (!cut_channel(&v, k, &pc)) return false;
    tuff_product p = { .call = c, .bias = -1, .residual = -1, .bias_step = 1, .bias_n = 1 };
    p.g.count = (uint32_t)tuff_desc_count(&c->out[0]);
    p.g.splits = pc.parts;
    if (!tuff_fits(k, (size_t)p.g.splits * p.g.count * sizeof(float))) return false;
    const uint64_t lanes = (uint64_t)pc.parts * pc.chs;
    const uint32_t wg = tuff_group_size_for(k, lanes);
    const bool fits = texels(c, X, k) && texels(c, DY, k);
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_conv_slide_dw
                                                : TUFF_SHADER_conv_slide_dw_stored);
    bind_slid(d, X, fits);
    bind_slid(d, DY, fits);
    tuff_product_bind_y(&p, d);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)v.k[1]);
    tuff_spec(d, (uint32_t)v.stride[1]);
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_ceil_div(lanes, wg), k);
    tuff_product_finish(&p, k, plan);
    return true;
}
