// conv2d_blocked: a convolution between images in blocks of four channels,
// [N, C / 4, H, W, 4], which is how kernels of CPU-like drivers want what they read
// (shaders/gemm_packed.comp): four products of a pixel in one texel. The program compiler puts
// it where it saves conversions (graph/layout.c).
#include "abi/conv.h"
#include "ops/conv.h"
#include "ops/gemm.h"
#include "ops/ops.h"
#include <stddef.h>
#include <tuff/ops/conv.h>

enum { X, W, BIAS, QUAD = 4, SUMS = 16384 };

// ---- shapes --------------------------------------------------------------------------------

static bool is_blocked(const tuff_desc *d) { return d->rank == 5; }

// The same call between planes of channels.
static tuff_call in_planes(const tuff_call *c)
{
    tuff_call p = *c;
    if (is_blocked(&c->in[X]))
        p.in[X] = TUFF_SHAPE(c->in[X].dtype, c->in[X].dim[0], c->in[X].dim[1] * QUAD,
                             c->in[X].dim[2], c->in[X].dim[3]);
    return p;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_conv_blocked_params *p = c->params;
    const tuff_desc *x = &c->in[X];
    char text[96];
    TUFF_REQUIRE(x->rank == 4 || (is_blocked(x) && x->dim[4] == QUAD), SHAPE,
                 "x is %s, expected [N, C, H, W] or [N, C / 4, H, W, 4]",
                 tuff_desc_print(x, text, sizeof text));
    const tuff_call plain = in_planes(c);
    tuff_conv v;
    TUFF_TRY(tuff_conv_of(&plain, X, W, -1, &v));
    TUFF_REQUIRE(v.group == 1, ARG, "group is %lld, it must be 1", (long long)v.group);
    TUFF_REQUIRE(v.cg % QUAD == 0, SHAPE, "x has %lld channels, expected a multiple of 4",
                 (long long)v.cg);
    TUFF_REQUIRE(p->planes || v.o % QUAD == 0, SHAPE, "y has %lld channels, expected a "
                 "multiple of 4, or planes=1", (long long)v.o);
    TUFF_REQUIRE(v.cg * tuff_volume(v.k) <= SUMS, LIMIT, "a sum has %lld products, %d are the "
                 "most", (long long)(v.cg * tuff_volume(v.k)), SUMS);
    out[0] = tuff_conv_desc(c, v.n, v.o, v.y);
    TUFF_TRY(tuff_conv_check_after(c, v.o, &out[0]));
    if (!p->planes)
        out[0] = TUFF_SHAPE(out[0].dtype, v.n, v.o / QUAD, v.y[1], v.y[2], QUAD);
    return TUFF_OK;
}

static void geometry(const tuff_call *c, tuff_conv *v)
{
    const tuff_call plain = in_planes(c);
    tuff_conv_good(&plain, X, W, -1, v);
}

// ---- reference -----------------------------------------------------------------------------

static size_t place(bool blocked, int64_t chs, int64_t plane, int64_t n, int64_t ch, int64_t at)
{
    return blocked ? (size_t)(((n * (chs / QUAD) + ch / QUAD) * plane + at) * QUAD + ch % QUAD)
                   : (size_t)((n * chs + ch) * plane + at);
}

static double sum_of(const tuff_ref *r, const tuff_conv *v, int64_t n, int64_t o, int64_t row,
                     int64_t col)
{
    const bool blocked = is_blocked(&r->call->in[X]);
    const int64_t taps = tuff_volume(v->k);
    double sum = 0;
    for (int64_t a = 0; a < v->k[1]; a++)
        for (int64_t b = 0; b < v->k[2]; b++) {
            const int64_t i = row * v->stride[1] - v->pad[1] + a * v->dilation[1];
            const int64_t j = col * v->stride[2] - v->pad[2] + b * v->dilation[2];
            if (i < 0 || i >= v->x[1] || j < 0 || j >= v->x[2]) continue;
            for (int64_t c = 0; c < v->c; c++)
                sum += (double)r->in[W][(o * v->c + c) * taps + a * v->k[2] + b] *
                       r->in[X][place(blocked, v->c, tuff_volume(v->x), n, c, i * v->x[2] + j)];
        }
    return sum;
}

// One unit is one channel of one image of y.
static void ref(const tuff_ref *r)
{
    const tuff_conv_blocked_params *p = r->call->params;
    tuff_conv v;
    geometry(r->call, &v);
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t n = (int64_t)unit / v.o, o = (int64_t)unit % v.o;
        for (int64_t i = 0; i < tuff_volume(v.y); i++) {
            double sum = sum_of(r, &v, n, o, i / v.y[2], i % v.y[2]);
            if (r->in[BIAS]) sum += r->in[BIAS][o];
            r->out[0][place(!p->planes, v.o, tuff_volume(v.y), n, o, i)] =
                (float)tuff_act_ref(sum, p->conv.act);
        }
    }
}

static size_t units(const tuff_call *c)
{
    tuff_conv v;
    geometry(c, &v);
    return (size_t)(v.n * v.o);
}

static tuff_cost cost(const tuff_call *c)
{
    tuff_conv v;
    geometry(c, &v);
    return tuff_conv_cost(c, &v);
}

// ---- plans ---------------------------------------------------------------------------------

static void product_of(const tuff_call *c, tuff_conv *v, tuff_product *p,
                       struct tuff_conv_pc *pc)
{
    geometry(c, v);
    const uint32_t taps = (uint32_t)tuff_volume(v->k), pixels = (uint32_t)tuff_volume(v->y);
    const tuff_conv_blocked_params *params = c->params;
    *p = (tuff_product){ .call = c, .a = W, .b = X, .bias = BIAS, .residual = -1,
                         .act = params->conv.act, .bias_step = pixels,
                         .bias_n = (uint32_t)v->o };
    p->g = (tuff_gemm){ .m = (uint32_t)v->o, .n = (uint32_t)v->n * pixels,
                        .k = (uint32_t)v->c * taps, .batches = 1 };
    *pc = (struct tuff_conv_pc){
        .from_x = (uint32_t)v->x[2], .from_y = (uint32_t)v->x[1], .from_z = 1,
        .to_x = (uint32_t)v->y[2], .to_y = (uint32_t)v->y[1], .to_z = 1,
        .k_x = (uint32_t)v->k[2], .k_y = (uint32_t)v->k[1], .k_z = 1,
        .mul_x = (int)v->stride[2], .mul_y = (int)v->stride[1], .mul_z = 1,
        .off_x = -(int)v->pad[2], .off_y = -(int)v->pad[1],
        .step_x = (int)v->dilation[2], .step_y = (int)v->dilation[1], .step_z = 1,
        .div_x = 1, .div_y = 1, .div_z = 1, .w_row = (uint32_t)v->c * taps, .w_ch = taps };
}

// Where pixels are read in the order in which they are written, x is the operand itself.
static bool is_operand(const tuff_call *c, const tuff_conv *v)
{
    bool same = is_blocked(&c->in[X]) && tuff_volume(v->k) == 1;
    for (int i = 1; i < 3; i++) same &= v->stride[i] == 1 && !v->pad[i] && v->x[i] == v->y[i];
    return same;
}

// The columns of the product into scratch 2.
static bool pack_columns(const tuff_product *p, struct tuff_conv_pc pc, const tuff_caps *k,
                         tuff_plan *plan)
{
    const tuff_desc *x = &p->call->in[X];
    pc.g = p->g;
    const tuff_panels planes = { .shader = TUFF_SHADER_conv_pack, .input = X, .rows = p->g.n,
                                 .pc = &pc, .pc_bytes = sizeof pc, .flagged = true };
    if (!is_blocked(x)) return tuff_product_pack(p, &planes, 2, k, plan);
    const uint32_t w = k->subgroup, panels = tuff_ceil_div(p->g.n, w);
    const bool fits = tuff_fits_texel(k, x, 16);
    plan->scratch[2] = (size_t)panels * w * p->g.k * sizeof(float);
    if (!tuff_fits(k, plan->scratch[2]) || !tuff_fits(k, tuff_desc_bytes(x))) return false;
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_conv_blocked_pack
                                                : TUFF_SHADER_conv_blocked_pack_stored);
    tuff_bind(d, TUFF_ROLE_IN, X, fits ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 2, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_spec(d, w);
    tuff_spec(d, false);
    TUFF_PUSH(d, pc);
    tuff_grid(d, panels, k);
    return true;
}

static bool plan_packed(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_conv v;
    tuff_product p;
    struct tuff_conv_pc pc;
    product_of(c, &v, &p, &pc);
    const bool whole = is_operand(c, &v), blocked = is_blocked(&c->out[0]);
    if (!tuff_takes_texels(k) || !tuff_product_direct(&p, k)) return false;
    if (k->max_loop && p.g.k > k->max_loop / 2) return false;
    if (!tuff_product_cut(&p, k, 1, QUAD, true)) return false;
    if (p.g.splits > 1 && blocked) return false;
    const struct tuff_pack_pc w = { .rows = p.g.m, .k = p.g.k, .row_step = pc.w_row,
                                    .outer_step = 1, .inner_step = pc.w_ch,
                                    .inner = (uint32_t)v.c };
    const tuff_panels left = { .shader = TUFF_SHADER_pack, .input = W, .rows = p.g.m, .pc = &w,
                               .pc_bytes = sizeof w };
    if (!tuff_product_pack(&p, &left, 1, k, plan)) return false;
    if (!whole && !pack_columns(&p, pc, k, plan)) return false;
    const bool fits = tuff_panel_fits_texel(&p, p.g.m, k) &&
                      tuff_panel_fits_texel(&p, p.g.n, k);
    const tuff_bind_kind kind = fits ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_STORAGE;
    tuff_dispatch *d = tuff_plan_add(plan, fits ? TUFF_SHADER_gemm_blocked
                                                : TUFF_SHADER_gemm_blocked_stored);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 1, kind, TUFF_READ);
    tuff_bind(d, whole ? TUFF_ROLE_IN : TUFF_ROLE_SCRATCH, whole ? X : 2, kind, TUFF_READ);
    tuff_product_bind_y(&p, d);
    tuff_product_bind_bias(&p, d);
    (void)tuff_product_bind_residual(&p, d, TUFF_BIND_TEXEL_F32);
    tuff_spec(d, k->subgroup);
    tuff_spec(d, false);
    tuff_spec(d, whole);
    tuff_spec(d, blocked);
    const uint32_t plane = (uint32_t)tuff_volume(v.y);
    TUFF_PUSH(d, (struct tuff_packed_pc){ .g = p.g, .plane = plane,
                                          .image_step = p.g.m * plane });
    tuff_grid(d, (uint64_t)tuff_ceil_div(p.g.m, 16) *
                     tuff_ceil_div(p.g.n, 4 * k->subgroup) * p.g.splits, k);
    tuff_product_finish(&p, k, plan);
    return true;
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *plan)
{
    tuff_conv v;
    tuff_product p;
    struct tuff_conv_pc pc;
    product_of(c, &v, &p, &pc);
    const uint32_t wg = tuff_group_size(k);
    pc.g = p.g;
    pc.g.count = p.g.m * p.g.n;
    pc.g.after = (uint32_t)p.act | (tuff_call_has(c, BIAS) ? TUFF_AFTER_BIAS : 0);
    tuff_dispatch *d = tuff_plan_add(plan, TUFF_SHADER_conv_blocked_plain);
    tuff_bind_in(d, X);
    tuff_bind_in(d, W);
    tuff_bind_out(d, 0);
    tuff_bind_or_word(c, d, BIAS, W, TUFF_BIND_STORAGE);
    tuff_spec(d, wg);
    tuff_spec(d, is_blocked(&c->in[X]));
    tuff_spec(d, is_blocked(&c->out[0]));
    TUFF_PUSH(d, pc);
    tuff_grid(d, tuff_ceil_div(pc.g.count, wg), k);
    return true;
}

const tuff_op tuff_op_conv2d_blocked = {
    .name = "conv2d_blocked", .special = TUFF_SPECIAL_TINY,
    .doc = "conv2d of x [N, C, H, W] or [N, C / 4, H, W, 4], y in blocks of four channels too",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS }, TUFF_CONV_W,
            { .name = "bias", .dtypes = TUFF_FLOATS, .optional = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_conv_blocked_params),
    .params = { TUFF_CONV_FIELDS(2), TUFF_BOOLEAN(tuff_conv_blocked_params, planes) },
    .infer = infer, .ref = ref, .units = units, .cost = cost,
    .variants = { TUFF_KERNEL("packed", plan_packed), TUFF_KERNEL("plain", plan_plain) },
    .tol = { .f32 = 1e-5f }, /* see matmul.c */
    .sample = { -1, 1 },
    .cases = TUFF_CASES("1x1x1x1x4 4x4x1x1", "2x3x7x9x4 20x12x1x1 20 act=relu",
                        "1x4x13x11x4 36x16x3x3 36 pad=1,1,1,1 act=relu",
                        "2x2x9x8x4 12x8x3x2 12 stride=2,1 pad=1,0,1,1 dilation=1,2 act=tanh",
                        "2x8x7x9 24x8x1x1 24", "1x12x9x10 8x12x3x3 pad=1,1,1,1",
                        "2x3x7x5x4 19x12x1x1 19 planes=1 act=relu",
                        "1x2x6x7x4 5x8x3x3 5 planes=1 pad=0,1,2,1",
                        "2x5x37x33x4 68x20x1x1 68 act=relu", "1x300x5x5x4 8x1200x3x3 8")
};

tuff_status tuff_conv2d_blocked(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *w,
                                const tuff_tensor *bias, tuff_tensor *y,
                                const tuff_conv_blocked_params *p)
{
    return tuff_run(s, &tuff_op_conv2d_blocked, TUFF_RUN_IN(x, w, bias), TUFF_RUN_OUT(y), p);
}
