// qlinear_add and qlinear_average_pool2d: what stands between integer products, so that a net
// of 8-bit numbers stays in them. All in integers, so every device gives the same bits. The
// shaders are shaders/qlinear_add.comp and shaders/qlinear_pool.comp.
#include "ops/divide.h"
#include "ops/pool2d.h"
#include "ops/qgemm.h"
#include "ops/qlinear.h"
#include "ops/quantize.h"
#include <math.h>
#include <string.h>

// One unit is four elements, so that no two share a word.
static size_t units(const tuff_call *c)
{
    return ((size_t)tuff_desc_count(&c->out[0]) + 3) / 4;
}

static size_t end_of(const tuff_ref *r)
{
    const size_t count = (size_t)tuff_desc_count(&r->call->out[0]);
    return 4 * r->end < count ? 4 * r->end : count;
}

static bool is_signed(const tuff_desc *d) { return d->dtype == TUFF_I8; }

// A tensor of one number as a texel; what is a byte alone has its own end.
static void bind_number(const tuff_call *c, tuff_dispatch *d, int input, tuff_bind_kind kind)
{
    tuff_bind(d, TUFF_ROLE_IN, input, kind, TUFF_READ);
    if (tuff_desc_bytes(&c->in[input]) >= 4) d->slot[d->nslot - 1].size = 4;
}

// ---- add: shapes and reference --------------------------------------------------------------

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO };

static tuff_status infer_add(const tuff_call *c, tuff_desc out[])
{
    char a[96], b[96];
    TUFF_REQUIRE(c->in[A].rank == c->in[B].rank &&
                     memcmp(c->in[A].dim, c->in[B].dim, sizeof c->in[A].dim) == 0,
                 SHAPE, "a is %s, b is %s: they must be of one shape",
                 tuff_desc_print(&c->in[A], a, sizeof a),
                 tuff_desc_print(&c->in[B], b, sizeof b));
    TUFF_TRY(tuff_quant_same_type(c, A, A_ZERO));
    TUFF_TRY(tuff_quant_same_type(c, B, B_ZERO));
    for (int i = A_SCALE; i <= Y_ZERO; i++)
        if (i != B) TUFF_TRY(tuff_quant_vector(c, i, 0, ""));
    out[0] = c->in[A];
    out[0].dtype = c->in[Y_ZERO].dtype;
    return TUFF_OK;
}

// Both factors as whole numbers below 2^21, or just that, under one power of two: f 2^shift.
typedef struct factors {
    int64_t a, b;
    int shift;
} factors;

static factors factors_of(const tuff_ref *r)
{
    const float y = r->in[Y_SCALE][0];
    const double a = tuff_qfactor(r->in[A_SCALE][0], 1, y);
    const double b = tuff_qfactor(r->in[B_SCALE][0], 1, y);
    int e;
    (void)frexp(fmax(a, b), &e);
    const int shift = 21 - e;
    return (factors){ (int64_t)rint(ldexp(a, shift)), (int64_t)rint(ldexp(b, shift)), shift };
}

// sum / 2^shift to the nearest whole number, ties to even, as far as 8 bits can tell.
static int64_t shifted(int64_t sum, int shift)
{
    if (shift > 62) return 0;
    const double y = rint(ldexp((double)sum, -shift)); // a sum has 31 bits: exact
    return (int64_t)fmax(fmin(y, 1 << 20), -(1 << 20));
}

static void ref_add(const tuff_ref *r)
{
    const tuff_dtype a = r->call->in[A].dtype, b = r->call->in[B].dtype;
    const tuff_dtype to = r->call->out[0].dtype;
    const int64_t za = tuff_whole_at(a, r->in[A_ZERO], 0);
    const int64_t zb = tuff_whole_at(b, r->in[B_ZERO], 0);
    const int64_t zy = tuff_whole_at(to, r->in[Y_ZERO], 0);
    const int64_t low = to == TUFF_I8 ? -128 : 0, high = to == TUFF_I8 ? 127 : 255;
    const factors f = factors_of(r);
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        const int64_t sum = (tuff_whole_at(a, r->in[A], i) - za) * f.a +
                            (tuff_whole_at(b, r->in[B], i) - zb) * f.b;
        const int64_t y = shifted(sum, f.shift) + zy;
        ((uint8_t *)(void *)r->out[0])[i] = (uint8_t)(y < low ? low : y > high ? high : y);
    }
}

static bool takes_add(const tuff_call *c)
{
    (void)c;
    return true;
}

// ---- add: plans -----------------------------------------------------------------------------

static bool plan_add(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !(tuff_quant_texel(k, &c->in[A]) && tuff_quant_texel(k, &c->in[B])))
        return false;
    const tuff_bind_kind kind = texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE;
    const uint32_t wg = tuff_group_size_flat(k);
    const struct tuff_qadd_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->out[0]), .a_sign = tuff_qsign(&c->in[A]),
        .b_sign = tuff_qsign(&c->in[B]), .y_sign = tuff_qsign(&c->out[0]),
        .low = is_signed(&c->out[0]) ? -128 : 0, .high = is_signed(&c->out[0]) ? 127 : 255,
    };
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_qlinear_add_texel
                                              : TUFF_SHADER_qlinear_add);
    tuff_spec(d, wg);
    tuff_bind(d, TUFF_ROLE_IN, A, kind, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, B, kind, TUFF_READ);
    tuff_bind_out(d, 0);
    bind_number(c, d, A_SCALE, TUFF_BIND_TEXEL_F32);
    bind_number(c, d, B_SCALE, TUFF_BIND_TEXEL_F32);
    bind_number(c, d, Y_SCALE, TUFF_BIND_TEXEL_F32);
    bind_number(c, d, A_ZERO, TUFF_BIND_TEXEL_U32);
    bind_number(c, d, B_ZERO, TUFF_BIND_TEXEL_U32);
    bind_number(c, d, Y_ZERO, TUFF_BIND_TEXEL_U32);
    tuff_grid(d, ((uint64_t)pc.count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, pc);
    return true;
}

TUFF_QUANT_PLANS(add)

// A y_scale with which little of y saturates.
static void fit_add(const tuff_call *c, void *const in[])
{
    const float *a = in[A_SCALE], *b = in[B_SCALE];
    (void)c;
    ((float *)in[Y_SCALE])[0] *= fmaxf(a[0], b[0]);
}

// ---- average pool: shapes and reference -----------------------------------------------------

enum { X, X_SCALE, X_ZERO, P_SCALE, P_ZERO };

static tuff_status infer_pool(const tuff_call *c, tuff_desc out[])
{
    tuff_pool2d g;
    TUFF_TRY(tuff_pool2d_of(c->params, &c->in[X], "x", &g));
    TUFF_TRY(tuff_quant_same_type(c, X, X_ZERO));
    for (int i = X_SCALE; i <= P_ZERO; i++) TUFF_TRY(tuff_quant_vector(c, i, 0, ""));
    out[0] = tuff_pool2d_y(&g, &c->in[X]);
    out[0].dtype = c->in[P_ZERO].dtype;
    return TUFF_OK;
}

// The sum of a window's real cells less the zero point, and how many count.
static int64_t window_sum(const tuff_ref *r, const tuff_pool2d *g, size_t i, int64_t *cells)
{
    const tuff_dtype from = r->call->in[X].dtype;
    const int64_t zero = tuff_whole_at(from, r->in[X_ZERO], 0), at = (int64_t)i;
    const int64_t top = at / g->ow % g->oh * g->stride[0] - g->top;
    const int64_t left = at % g->ow * g->stride[1] - g->left;
    const int64_t plane = at / g->ow / g->oh * g->h * g->w;
    int64_t sum = 0;
    *cells = 0;
    for (int64_t y = top; y < top + g->kernel[0]; y++)
        for (int64_t x = left; x < left + g->kernel[1]; x++) {
            if (y < 0 || y >= g->h || x < 0 || x >= g->w) continue;
            sum += tuff_whole_at(from, r->in[X], (size_t)(plane + y * g->w + x)) - zero;
            ++*cells;
        }
    if (g->include_pad) *cells = (int64_t)g->kernel[0] * g->kernel[1];
    return sum;
}

static void ref_pool(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->in[X]);
    const tuff_dtype to = r->call->out[0].dtype;
    const int64_t zero = tuff_whole_at(to, r->in[P_ZERO], 0);
    for (size_t i = 4 * r->begin; i < end_of(r); i++) {
        int64_t cells;
        const int64_t sum = window_sum(r, &g, i, &cells);
        const float by = r->in[P_SCALE][0] * (float)cells;
        const double m = tuff_qfactor(r->in[X_SCALE][0], 1, by);
        ((uint8_t *)(void *)r->out[0])[i] =
            (uint8_t)tuff_requant_ref((int32_t)sum, m, zero, to, false);
    }
}

static tuff_cost cost_pool(const tuff_call *c)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[X]);
    return (tuff_cost){ .flops = (double)tuff_desc_count(&c->out[0]) * g.kernel[0] *
                                 g.kernel[1],
                        .bytes = tuff_call_bytes(c) };
}

// ---- average pool: plans --------------------------------------------------------------------

static struct tuff_qpool_pc pool_pc(const tuff_call *c, const tuff_pool2d *g)
{
    return (struct tuff_qpool_pc){
        .count = (uint32_t)tuff_desc_count(&c->out[0]), .h = (uint32_t)g->h,
        .w = (uint32_t)g->w, .oh = (uint32_t)g->oh, .ow = (uint32_t)g->ow,
        .pad_top = (uint32_t)g->top, .pad_left = (uint32_t)g->left,
        .rows = tuff_divide_by((size_t)g->oh), .cols = tuff_divide_by((size_t)g->ow),
        .x_sign = tuff_qsign(&c->in[X]), .y_sign = tuff_qsign(&c->out[0]),
        .low = is_signed(&c->out[0]) ? -128 : 0, .high = is_signed(&c->out[0]) ? 127 : 255,
        .cells = g->include_pad ? (uint32_t)(g->kernel[0] * g->kernel[1]) : 0,
    };
}

// A window in as many launches as its size asks for; sums wait in scratch between them.
static bool plan_pool(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    if (texel && !tuff_quant_texel(k, &c->in[X])) return false;
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[X]);
    const size_t count = (size_t)tuff_desc_count(&c->out[0]);
    tuff_caps four = *k; // an invocation runs over four windows
    four.max_loop = k->max_loop / 4;
    const tuff_parts parts = tuff_parts_of((uint32_t)g.kernel[0], (uint32_t)g.kernel[1], &four);
    const uint32_t wg = tuff_group_size_flat(k);
    if (parts.count > TUFF_PLAN_MAX) return false;
    p->scratch[0] = parts.count > 1 ? count * 4 : 4;
    if (!tuff_fits(k, p->scratch[0])) return false;
    for (uint32_t i = 0; i < parts.count; i++) {
        uint32_t corner[2], size[2];
        tuff_part(&parts, i, corner, size);
        struct tuff_qpool_pc pc = pool_pc(c, &g);
        pc.row = corner[0];
        pc.col = corner[1];
        pc.first = i == 0;
        pc.last = i + 1 == parts.count;
        tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_qlinear_pool_texel
                                                  : TUFF_SHADER_qlinear_pool);
        tuff_spec(d, wg);
        tuff_spec(d, size[0]);
        tuff_spec(d, size[1]);
        tuff_spec(d, (uint32_t)g.stride[0]);
        tuff_spec(d, (uint32_t)g.stride[1]);
        tuff_spec(d, (uint32_t)g.kernel[0]);
        tuff_spec(d, (uint32_t)g.kernel[1]);
        tuff_bind(d, TUFF_ROLE_IN, X, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
                  TUFF_READ);
        tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE,
                  pc.first ? TUFF_WRITE : TUFF_READ | TUFF_WRITE);
        tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
        bind_number(c, d, X_SCALE, TUFF_BIND_TEXEL_F32);
        bind_number(c, d, P_SCALE, TUFF_BIND_TEXEL_F32);
        bind_number(c, d, X_ZERO, TUFF_BIND_TEXEL_U32);
        bind_number(c, d, P_ZERO, TUFF_BIND_TEXEL_U32);
        tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
        TUFF_PUSH(d, pc);
    }
    return true;
}

TUFF_QUANT_PLANS(pool)

static void fit_pool(const tuff_call *c, void *const in[])
{
    (void)c;
    ((float *)in[P_SCALE])[0] = ((float *)in[X_SCALE])[0] * 0.7f;
}

// ---- records ----------------------------------------------------------------------------

// One element, one past a word, mixed types, more than a row of workgroups.
const tuff_op tuff_op_qlinear_add = {
    .name = "qlinear_add",
    .doc = "y = saturate(round((a - a_zero_point) a_scale / y_scale + (b - b_zero_point) "
           "b_scale / y_scale) + y_zero_point), ties to even, the two factors as whole "
           "multiples of one power of two, the larger of 21 bits",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "a", .dtypes = TUFF_BYTES },
            { .name = "a_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "a_zero_point", .dtypes = TUFF_BYTES },
            { .name = "b", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "b_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "b_zero_point", .dtypes = TUFF_BYTES, .mixed = true },
            { .name = "y_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "y_zero_point", .dtypes = TUFF_BYTES, .mixed = true } },
    .out = { { .name = "y" } },
    .infer = infer_add, .ref = ref_add, .units = units,
    .variants = { TUFF_KERNEL("texel", texel_add), TUFF_KERNEL("plain", plain_add) },
    .hosts = { { .name = "fast", .takes = takes_add, .run = tuff_qadd_host,
                 .units = tuff_qadd_host_units } },
    .prepare = fit_add,
    .cases = TUFF_CASES("1 [] [] 1 [] [] [] []", "2x3x7x5 1 1 2x3x7x5 1 1 1 1",
                        "257 [] [] i8:257 [] i8:1 [] []", "3x5 [] [] i8:3x5 [] i8:1 [] i8:1",
                        "67x1063 1 1 67x1063 1 1 1 1")
};

const tuff_op tuff_op_qlinear_average_pool2d = {
    .name = "qlinear_average_pool2d",
    .doc = "y = saturate(round(sum m) + y_zero_point), ties to even, sum that of x - "
           "x_zero_point over a window, m = x_scale / (y_scale n) for a window of n cells",
    .native = TUFF_WORDS | TUFF_BYTES,
    .in = { { .name = "x", .dtypes = TUFF_BYTES },
            { .name = "x_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "x_zero_point", .dtypes = TUFF_BYTES },
            { .name = "y_scale", .dtypes = TUFF_F32, .positive = true },
            { .name = "y_zero_point", .dtypes = TUFF_BYTES, .mixed = true } },
    .out = { { .name = "y" } },
    .params_size = sizeof(tuff_pool2d_params),
    .params = { TUFF_POOL2D_FIELDS },
    .infer = infer_pool, .ref = ref_pool, .units = units, .cost = cost_pool,
    .variants = { TUFF_KERNEL("texel", texel_pool), TUFF_KERNEL("plain", plain_pool) },
    .prepare = fit_pool,
    .cases = TUFF_CASES("1x1x2x2 [] [] [] []", "2x3x13x17 1 1 1 1 kernel=3,2 stride=2,1 "
                        "pad=1,1,0,0", "1x7x5x9 [] [] [] i8:1 kernel=3 stride=2 pad=1,1,1,1 "
                        "count_include_pad=1", "3x5x7x7 [] [] [] [] kernel=7",
                        "1x2x181x183 [] [] [] [] kernel=181,183")
};

// ---- public functions -------------------------------------------------------------------

tuff_status tuff_qlinear_add(tuff_stream *s, const tuff_quantized *a, const tuff_quantized *b,
                             const tuff_quantized *y)
{
    return tuff_run(s, &tuff_op_qlinear_add,
                    TUFF_RUN_IN(a->q, a->scale, a->zero_point, b->q, b->scale, b->zero_point,
                                y->scale, y->zero_point),
                    TUFF_RUN_OUT(y->q), NULL);
}

tuff_status tuff_qlinear_average_pool2d(tuff_stream *s, const tuff_quantized *x,
                                        const tuff_quantized *y, const tuff_pool2d_params *p)
{
    return tuff_run(s, &tuff_op_qlinear_average_pool2d,
                    TUFF_RUN_IN(x->q, x->scale, x->zero_point, y->scale, y->zero_point),
                    TUFF_RUN_OUT(y->q), p);
}
