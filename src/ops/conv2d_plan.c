// The kernels of conv2d and its gradients: which one runs a call, and with what numbers.
#include "ops/conv2d.h"
#include "ops/gemm.h"
#include <assert.h>
#include <stdlib.h>

static void geometry(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const tuff_status status = tuff_conv_of(c, x, w, y, v);
    assert(status == TUFF_OK); // infer has passed
    (void)status;
}

// What the kernels call `a` is w of the convolutions and dy of the weight gradient.
typedef struct conv_plan {
    tuff_product p;
    union {
        tuff_gemm g;
        struct tuff_conv_pc conv;
        struct tuff_conv_dw_pc dw;
    } pc;
    size_t pc_bytes;
} conv_plan;

static void forward_of(const tuff_call *c, conv_plan *f)
{
    const tuff_conv2d_params *params = c->params;
    tuff_conv v;
    geometry(c, 0, 1, -1, &v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = 2, .residual = 3,
                           .act = params->act, .bias_step = (uint32_t)(v.oh * v.ow),
                           .bias_n = (uint32_t)v.o };
    f->p.g = (tuff_gemm){ .m = (uint32_t)v.og, .n = (uint32_t)(v.n * v.oh * v.ow),
                          .k = (uint32_t)(v.cg * v.kh * v.kw), .batches = (uint32_t)v.group };
    f->pc.conv = (struct tuff_conv_pc){
        .from_c = (uint32_t)v.c, .from_h = (uint32_t)v.h, .from_w = (uint32_t)v.w,
        .to_c = (uint32_t)v.o, .to_h = (uint32_t)v.oh, .to_w = (uint32_t)v.ow,
        .kh = (uint32_t)v.kh, .kw = (uint32_t)v.kw,
        .mul_y = (int)v.stride[0], .mul_x = (int)v.stride[1],
        .off_y = -(int)v.pad[0], .off_x = -(int)v.pad[1],
        .step_y = (int)v.dilation[0], .step_x = (int)v.dilation[1], .div_y = 1, .div_x = 1,
        .w_row = (uint32_t)(v.cg * v.kh * v.kw), .w_ch = (uint32_t)(v.kh * v.kw),
    };
    f->pc_bytes = sizeof f->pc.conv;
}

// dx is the same gather from dy: pixel i of x was read by output (i + pad - tap * dilation) /
// stride, where that is whole; w's two channel dims change places.
static void input_grad_of(const tuff_call *c, conv_plan *f)
{
    tuff_conv v;
    geometry(c, -1, 1, 0, &v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = -1, .residual = -1,
                           .bias_step = 1, .bias_n = 1 };
    f->p.g = (tuff_gemm){ .m = (uint32_t)v.cg, .n = (uint32_t)(v.n * v.h * v.w),
                          .k = (uint32_t)(v.og * v.kh * v.kw), .batches = (uint32_t)v.group };
    f->pc.conv = (struct tuff_conv_pc){
        .from_c = (uint32_t)v.o, .from_h = (uint32_t)v.oh, .from_w = (uint32_t)v.ow,
        .to_c = (uint32_t)v.c, .to_h = (uint32_t)v.h, .to_w = (uint32_t)v.w,
        .kh = (uint32_t)v.kh, .kw = (uint32_t)v.kw, .mul_y = 1, .mul_x = 1,
        .off_y = (int)v.pad[0], .off_x = (int)v.pad[1],
        .step_y = -(int)v.dilation[0], .step_x = -(int)v.dilation[1],
        .div_y = (int)v.stride[0], .div_x = (int)v.stride[1],
        .w_row = (uint32_t)(v.kh * v.kw), .w_ch = (uint32_t)(v.cg * v.kh * v.kw),
    };
    f->pc_bytes = sizeof f->pc.conv;
}

static void weight_grad_of(const tuff_call *c, conv_plan *f)
{
    tuff_conv v;
    geometry(c, 0, -1, 1, &v);
    f->p = (tuff_product){ .call = c, .a = 1, .b = 0, .bias = -1, .residual = -1,
                           .bias_step = 1, .bias_n = 1 };
    f->p.g = (tuff_gemm){ .m = (uint32_t)v.og, .n = (uint32_t)(v.cg * v.kh * v.kw),
                          .k = (uint32_t)(v.n * v.oh * v.ow), .batches = (uint32_t)v.group };
    f->pc.dw = (struct tuff_conv_dw_pc){
        .x_c = (uint32_t)v.c, .x_h = (uint32_t)v.h, .x_w = (uint32_t)v.w,
        .y_c = (uint32_t)v.o, .y_h = (uint32_t)v.oh, .y_w = (uint32_t)v.ow,
        .kh = (uint32_t)v.kh, .kw = (uint32_t)v.kw,
        .mul_y = (int)v.stride[0], .mul_x = (int)v.stride[1],
        .off_y = -(int)v.pad[0], .off_x = -(int)v.pad[1],
        .step_y = (int)v.dilation[0], .step_x = (int)v.dilation[1],
    };
    f->pc_bytes = sizeof f->pc.dw;
}

// The kernels of conv2d and its input gradient on CPU-like drivers find quotients of positions
// by floats, within a range; see pixel_of in conv_texel.comp.
static bool divided(const struct tuff_conv_pc *pc)
{
    return pc->div_y != 1 || pc->div_x != 1;
}

static bool divides(const struct tuff_conv_pc *pc)
{
    const int64_t most = 1 << 21;
    const int64_t reach_y = (int64_t)pc->to_h + abs(pc->off_y) +
                            (int64_t)pc->kh * abs(pc->step_y);
    const int64_t reach_x = (int64_t)pc->to_w + abs(pc->off_x) +
                            (int64_t)pc->kw * abs(pc->step_x);
    return !divided(pc) || (reach_y <= most && reach_x <= most);
}

static bool gather_packed(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    struct tuff_conv_pc *pc = &f->pc.conv;
    const uint32_t chs = f->p.g.k / (pc->kh * pc->kw), plane = pc->to_h * pc->to_w;
    const struct tuff_pack_pc w = { .rows = f->p.g.m, .k = f->p.g.k, .row_step = pc->w_row,
                                    .outer_step = 1, .inner_step = pc->w_ch, .inner = chs };
    pc->g = f->p.g;
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = f->p.a, .rows = f->p.g.m,
                               .pc = &w, .pc_bytes = sizeof w };
    const tuff_panels right = { .shader = TUFF_SHADER_conv_pack, .input = f->p.b,
                                .rows = f->p.g.n, .pc = pc, .pc_bytes = sizeof *pc,
                                .flagged = true, .flag = divided(pc) };
    return chs % 4 == 0 && divides(pc) &&
           tuff_product_packed(&f->p, &left, &right, plane, pc->to_c * plane, k, plan);
}

static bool gather_texel(conv_plan *f, const tuff_caps *k, tuff_plan *plan)
{
    struct tuff_conv_pc *pc = &f->pc.conv;
    if (!divides(pc)) return false;
    const uint32_t taps = pc->kh * pc->kw;
    const int shader = f->p.g.k == taps ? TUFF_SHADER_conv1_texel : TUFF_SHADER_conv_texel;
    if (!tuff_product_texel(&f->p, shader, pc, f->pc_bytes, taps, k, plan)) return false;
    tuff_spec(&plan->d[0], divided(pc));
    return true;
}

bool tuff_conv2d_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    forward_of(c, &f);
    return gather_packed(&f, k, plan);
}

bool tuff_conv2d_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    forward_of(c, &f);
    return gather_texel(&f, k, plan);
}

bool tuff_conv2d_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    forward_of(c, &f);
    return tuff_product_tile(&f.p, TUFF_SHADER_conv_tile, &f.pc, f.pc_bytes, true, false, k,
                             plan);
}

bool tuff_conv2d_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    forward_of(c, &f);
    return tuff_product_plain(&f.p, TUFF_SHADER_conv_plain, &f.pc, f.pc_bytes, k, plan);
}

bool tuff_conv2d_dx_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    input_grad_of(c, &f);
    return gather_packed(&f, k, plan);
}

bool tuff_conv2d_dx_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    input_grad_of(c, &f);
    return gather_texel(&f, k, plan);
}

bool tuff_conv2d_dx_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    input_grad_of(c, &f);
    return tuff_product_tile(&f.p, TUFF_SHADER_conv_tile, &f.pc, f.pc_bytes, true, false, k,
                             plan);
}

bool tuff_conv2d_dx_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    input_grad_of(c, &f);
    return tuff_product_plain(&f.p, TUFF_SHADER_conv_plain, &f.pc, f.pc_bytes, k, plan);
}

bool tuff_conv2d_dw_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    weight_grad_of(c, &f);
    return tuff_product_texel(&f.p, TUFF_SHADER_conv_dw_texel, &f.pc, f.pc_bytes, 1, k, plan);
}

bool tuff_conv2d_dw_tile(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    weight_grad_of(c, &f);
    return tuff_product_tile(&f.p, TUFF_SHADER_conv_dw_tile, &f.pc, f.pc_bytes, true, true, k,
                             plan);
}

bool tuff_conv2d_dw_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    conv_plan f;
    weight_grad_of(c, &f);
    return tuff_product_plain(&f.p, TUFF_SHADER_conv_dw_plain, &f.pc, f.pc_bytes, k, plan);
}
