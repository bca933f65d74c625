// max_pool, average_pool, lp_pool and the adaptive ones, over one, two or three dims. The
// shader is shaders/pool.comp, or for plain images pool2d.comp; gradients: pool_grad.c.
#include "ops/pool.h"
#include "ops/compose.h"
#include "ops/divide.h"
#include "ops/qlinear.h"
#include "ops/quantize.h"
#include <math.h>

static bool is_adaptive(const tuff_op *op)
{
    return op == &tuff_op_adaptive_max_pool || op == &tuff_op_adaptive_average_pool;
}

static tuff_pool good(const tuff_call *c)
{
    return tuff_pool_good(c->params, is_adaptive(c->op), &c->in[0]);
}

static uint32_t power_of(const tuff_call *c)
{
    const tuff_pool_params *p = c->params;
    return p->power ? (uint32_t)p->power : 2;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_pool_params *p = c->params;
    tuff_pool g;
    TUFF_REQUIRE(p->power >= 0 && p->power <= 16, ARG,
                 "power is %d, it must lie between 1 and 16 (0 means 2)", p->power);
    TUFF_TRY(tuff_pool_of(p, is_adaptive(c->op), &c->in[0], "x", &g));
    out[0] = tuff_pool_y(&g, &c->in[0]);
    return TUFF_OK;
}

static tuff_status infer_max(const tuff_call *c, tuff_desc out[])
{
    const tuff_pool_params *p = c->params;
    TUFF_TRY(infer(c, out));
    out[1] = (tuff_desc){ .dtype = 0 };
    if (!p->indices) return TUFF_OK;
    TUFF_REQUIRE(tuff_desc_count(&c->in[0]) <= INT32_MAX, SHAPE,
                 "x has %lld elements, indices count at most 2^31 - 1",
                 (long long)tuff_desc_count(&c->in[0]));
    out[1] = out[0];
    out[1].dtype = TUFF_I32;
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static size_t planes(const tuff_call *c)
{
    return (size_t)(c->in[0].dim[0] * c->in[0].dim[1]);
}

// What is made of a window, cell by cell.
typedef struct window {
    const tuff_ref *r;
    tuff_pool g;
    size_t base;      // of the plane
    int64_t best;     // cell of the maximum, -1: none
    double sum;
    int64_t real, all; // cells of x; those and the padding's
} window;

static double number(const window *w, int64_t cell)
{
    const size_t i = w->base + (size_t)cell;
    if (w->r->call->in[0].dtype != TUFF_I32) return (double)w->r->in[0][i];
    return ((const int32_t *)(const void *)w->r->in[0])[i];
}

static void see_cell(window *w, int64_t cell)
{
    const double v = number(w, cell);
    if (w->best < 0 || v > number(w, w->best) || isnan(v)) w->best = cell;
    w->sum += w->r->call->op == &tuff_op_lp_pool ? pow(fabs(v), power_of(w->r->call)) : v;
    w->real++;
}

// Goes through dim `axis` of the window over place o[] and what lies inside; `inside`: no dim
// further out is in the padding.
static void see_window(window *w, const int64_t o[], int axis, int64_t cell, bool inside)
{
    if (axis == TUFF_POOL_AXES) {
        w->all++;
        if (inside) see_cell(w, cell);
        return;
    }
    const tuff_pool_axis *a = &w->g.axis[axis];
    int64_t start, taps;
    tuff_pool_window(&w->g, axis, o[axis], &start, &taps);
    for (int64_t k = 0; k < taps; k++) {
        const int64_t at = start + k * a->dilation;
        if (at >= a->size + a->after) break; // ceil_mode's, which nothing counts
        see_window(w, o, axis + 1, cell * a->size + at, inside && at >= 0 && at < a->size);
    }
}

static void look(window *w, size_t plane, int64_t number_of_window)
{
    const tuff_pool_axis *a = w->g.axis;
    const int64_t o[] = { number_of_window / a[2].out / a[1].out,
                          number_of_window / a[2].out % a[1].out,
                          number_of_window % a[2].out };
    w->base = plane * (size_t)(a[0].size * a[1].size * a[2].size);
    w->best = -1;
    w->sum = 0;
    w->real = w->all = 0;
    see_window(w, o, 0, 0, true);
}

static int32_t index_of(const window *w)
{
    const tuff_pool_params *p = w->r->call->params;
    const tuff_pool_axis *a = w->g.axis;
    int64_t cell = w->best;
    if (p->storage_order && cell >= 0)
        cell = cell / a[2].size / a[1].size + cell / a[2].size % a[1].size * a[0].size +
               cell % a[2].size * a[0].size * a[1].size;
    return (int32_t)((int64_t)w->base + cell);
}

static void ref_max(const tuff_ref *r)
{
    window w = { .r = r, .g = good(r->call) };
    const int64_t n = w.g.axis[0].out * w.g.axis[1].out * w.g.axis[2].out;
    for (size_t plane = r->begin; plane < r->end; plane++)
        for (int64_t i = 0; i < n; i++) {
            const size_t at = plane * (size_t)n + (size_t)i;
            look(&w, plane, i);
            if (r->call->in[0].dtype == TUFF_I32)
                ((int32_t *)(void *)r->out[0])[at] = (int32_t)number(&w, w.best);
            else
                r->out[0][at] = w.best < 0 ? -INFINITY : (float)number(&w, w.best);
            if (r->call->nout > 1) ((int32_t *)(void *)r->out[1])[at] = index_of(&w);
        }
}

static void ref_sums(const tuff_ref *r)
{
    window w = { .r = r, .g = good(r->call) };
    const int64_t n = w.g.axis[0].out * w.g.axis[1].out * w.g.axis[2].out;
    for (size_t plane = r->begin; plane < r->end; plane++)
        for (int64_t i = 0; i < n; i++) {
            look(&w, plane, i);
            const double cells = (double)(w.g.include_pad ? w.all : w.real);
            r->out[0][plane * (size_t)n + (size_t)i] =
                (float)(r->call->op == &tuff_op_lp_pool ? pow(w.sum, 1.0 / power_of(r->call))
                                                        : w.sum / fmax(cells, 1));
        }
}

// ---- the CPU path ---------------------------------------------------------------------------

static bool host_takes(const tuff_call *c)
{
    const tuff_pool g = good(c);
    tuff_pool2d image;
    return c->nout == 1 && c->op != &tuff_op_lp_pool &&
           tuff_pool_as_image(&g, c->op == &tuff_op_average_pool, &image) &&
           tuff_pool2d_host_takes(&image, &c->in[0]);
}

static void host(const tuff_ref *r)
{
    const tuff_pool g = good(r->call);
    const bool mean = r->call->op == &tuff_op_average_pool;
    tuff_pool2d image;
    if (tuff_pool_as_image(&g, mean, &image)) tuff_pool2d_host(r, &image, mean);
}

// Of i8 and u8 as they are.
static bool byte_takes(const tuff_call *c)
{
    const tuff_pool g = good(c);
    tuff_pool2d image;
    return c->nout == 1 && c->op == &tuff_op_max_pool && tuff_dtype_size(c->in[0].dtype) == 1 &&
           tuff_pool_as_image(&g, false, &image);
}

static void byte_host(const tuff_ref *r)
{
    const tuff_pool g = good(r->call);
    tuff_pool2d image;
    if (tuff_pool_as_image(&g, false, &image)) tuff_byte_pool_host(r, &image);
}

// ---- plans ---------------------------------------------------------------------------------

static bool texels(const tuff_call *c, const tuff_caps *k)
{
    return k->cpu_like && tuff_fits_texel(k, &c->in[0], 4);
}

static bool plan_max(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool_params *params = c->params;
    const tuff_pool g = good(c);
    const bool ints = c->in[0].dtype == TUFF_I32;
    const tuff_windows w = { .mode = ints ? TUFF_WINDOW_MAX_INT : TUFF_WINDOW_MAX,
                             .role = TUFF_ROLE_OUT, .texel = texel, .indices = c->nout > 1,
                             .form = params->storage_order ? TUFF_CELLS_COLUMNS
                                                           : TUFF_CELLS_ROWS };
    tuff_pool2d image;
    if (texel && (w.indices || ints || !texels(c, k))) return false;
    if (!w.indices && !ints && tuff_pool_as_image(&g, false, &image))
        return tuff_pool2d_add(&image, TUFF_POOL_MAX, texel, TUFF_ROLE_OUT, k, p);
    return tuff_windows_add(&g, &w, k, p);
}

static bool plan_sums(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool g = good(c);
    const bool lp = c->op == &tuff_op_lp_pool;
    const tuff_windows w = { .mode = lp ? TUFF_WINDOW_LP : TUFF_WINDOW_MEAN,
                             .role = TUFF_ROLE_OUT, .texel = texel, .power = power_of(c) };
    tuff_pool2d image;
    if (texel && !texels(c, k)) return false;
    if (!lp && tuff_pool_as_image(&g, true, &image))
        return tuff_pool2d_add(&image, TUFF_POOL_MEAN, texel, TUFF_ROLE_OUT, k, p);
    return tuff_windows_add(&g, &w, k, p);
}

// Plain images of bytes as they are; longer windows than a loop may be go as i32.
static bool plan_bytes(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool g = good(c);
    const tuff_desc *x = &c->in[0], *y = &c->out[0];
    tuff_pool2d i;
    if (!(x->dtype & TUFF_BYTES) || c->nout > 1 || !tuff_pool_as_image(&g, false, &i))
        return false;
    if (4 * (uint64_t)i.kernel[0] * (uint64_t)i.kernel[1] > k->max_loop) return false;
    const uint32_t wg = tuff_group_size_flat(k), count = (uint32_t)tuff_desc_count(y);
    const uint32_t sign = x->dtype == TUFF_I8 ? 0x80 : 0;
    if (texel && !(k->cpu_like && tuff_fits_words(k, x))) return false;
    const bool inside = !i.top && !i.left && (i.oh - 1) * i.stride[0] + i.kernel[0] <= i.h &&
                        (i.ow - 1) * i.stride[1] + i.kernel[1] <= i.w;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_pool_bytes_texel
                                              : TUFF_SHADER_pool_bytes);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)i.kernel[0]);
    tuff_spec(d, (uint32_t)i.kernel[1]);
    tuff_spec(d, (uint32_t)i.stride[0]);
    tuff_spec(d, (uint32_t)i.stride[1]);
    tuff_spec(d, inside && i.kernel[1] == 2 && i.stride[1] == 2 && i.w % 2 == 0);
    tuff_bind(d, TUFF_ROLE_IN, 0, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_qpool_pc){
        .count = count, .h = (uint32_t)i.h, .w = (uint32_t)i.w, .oh = (uint32_t)i.oh,
        .ow = (uint32_t)i.ow, .pad_top = (uint32_t)i.top, .pad_left = (uint32_t)i.left,
        .rows = tuff_divide_by((size_t)i.oh), .cols = tuff_divide_by((size_t)i.ow),
        .x_sign = sign, .low = -(int)sign });
    return true;
}

static bool max_bytes_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_bytes(c, true, k, p);
}

static bool max_bytes(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_bytes(c, false, k, p);
}

static bool max_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_max(c, true, k, p);
}

static bool max_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_max(c, false, k, p);
}

static bool sums_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_sums(c, true, k, p);
}

static bool sums_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_sums(c, false, k, p);
}

// ---- gradients -----------------------------------------------------------------------------

// The params of a gradient: an adaptive pool's number of windows is written out.
static tuff_pool_params grad_params(const tuff_node *n)
{
    tuff_pool_params p = *(const tuff_pool_params *)n->call.params;
    const tuff_desc *x = &n->call.in[0], *y = &n->call.out[0];
    for (int i = 0; i < x->rank - 2; i++) {
        p.size[i] = (int)x->dim[2 + i];
        p.output_size[i] = is_adaptive(n->call.op) ? (int)y->dim[2 + i] : 0;
    }
    p.indices = p.storage_order = false;
    return p;
}

static void max_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_pool_params p = grad_params(n);
    dx[0] = TUFF_V(t, &tuff_op_max_pool_grad, &p, n->in[0], dy[0]);
}

static void mean_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_pool_params p = grad_params(n);
    dx[0] = TUFF_V(t, &tuff_op_average_pool_grad, &p, dy[0]);
}

static tuff_var raised(tuff_tape *t, tuff_var v, uint32_t power)
{
    tuff_var p = v;
    for (uint32_t i = 1; i < power; i++) p = TUFF_V(t, &tuff_op_mul, NULL, p, v);
    return p;
}

// y = (sum |x|^p)^(1/p), so that dx = sign(x) |x|^(p-1) times the sum of dy / y^(p-1) over the
// windows: a mean's gradient of as many elements, where every window is padded to be whole.
static void lp_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_pool g = good(&n->call);
    const uint32_t power = power_of(&n->call);
    const tuff_var x = n->in[0];
    tuff_pool_params p = { .count_include_pad = true };
    float cells = 1;
    for (int i = 0; i < g.dims; i++) {
        const tuff_pool_axis *a = &g.axis[TUFF_POOL_AXES - g.dims + i];
        const int64_t end = (a->out - 1) * a->stride + (a->kernel - 1) * a->dilation + 1;
        const int64_t after = end - a->size - a->before;
        p.kernel[i] = (int)a->kernel;
        p.stride[i] = (int)a->stride;
        p.dilation[i] = (int)a->dilation;
        p.pad[i] = (int)a->before;
        p.pad[i + g.dims] = after > 0 ? (int)after : 0;
        p.size[i] = (int)a->size;
        cells *= (float)a->kernel;
    }
    tuff_var share = dy[0];
    if (power > 1)
        share = TUFF_V(t, &tuff_op_div, NULL, share, raised(t, n->out[0], power - 1));
    share = TUFF_V(t, &tuff_op_average_pool_grad, &p, share);
    share = tuff_scaled(t, share, cells);
    if (power % 2)
        share = TUFF_V(t, &tuff_op_mul, NULL, share, TUFF_V(t, &tuff_op_sign, NULL, x));
    dx[0] = power > 1 ? TUFF_V(t, &tuff_op_mul, NULL, share, raised(t, x, power - 1)) : share;
}

static tuff_cost cost(const tuff_call *c)
{
    const tuff_pool g = good(c);
    const double y = (double)tuff_desc_count(&c->out[0]);
    double cells = 1;
    for (int i = 0; i < TUFF_POOL_AXES; i++) cells *= (double)g.axis[i].kernel;
    return (tuff_cost){ .flops = y * cells,
                        .bytes = 4 * (y + (double)tuff_desc_count(&c->in[0])) };
}

// ---- records -------------------------------------------------------------------------------

#define INDICES_FIELDS                                                          \
    TUFF_BOOLEAN(tuff_pool_params, indices),                                    \
        TUFF_BOOLEAN(tuff_pool_params, storage_order)
#define COMMON(numbers)                                                         \
    .in = { { .name = "x", .dtypes = (numbers) } },                             \
    .params_size = sizeof(tuff_pool_params), .units = planes, .cost = cost, \
    .hosts = { { .name = "fast", .takes = host_takes, .run = host },            \
               { .name = "bytes", .takes = byte_takes, .run = byte_host,        \
                 .types = TUFF_I8 | TUFF_U8 } }
// With the variants that come before these, each with a comma behind it.
#define MAX(numbers, ...)                                                       \
    COMMON(numbers), .infer = infer_max, .ref = ref_max, .grad = max_grad,      \
    .out = { { .name = "y", .dtypes = (numbers) },                              \
             { .name = "indices", .dtypes = TUFF_INDEX, .optional = true } },   \
    .variants = { __VA_ARGS__                                                   \
                  TUFF_KERNEL("texel", max_texel), TUFF_KERNEL("plain", max_plain) }, \
    .tol = { .f32 = 0 }, /* a choice among elements: the same bits */           \
    .sample = { -8, 8 }, .special = TUFF_SPECIAL_EACH
// Few numbers added in f32: 1e-7 of their magnitudes each; sums of hundreds are cut into rows.
#define SUMS                                                                    \
    COMMON(TUFF_FLOATS), .infer = infer, .ref = ref_sums,                       \
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },                          \
    .variants = { TUFF_KERNEL("texel", sums_texel), TUFF_KERNEL("plain", sums_plain) }, \
    .tol = { .f32 = 2e-6f }, .sample = { -4, 8 }

const tuff_op tuff_op_max_pool = {
    .name = "max_pool", .onnx = "MaxPool", 
    MAX(TUFF_FLOATS | TUFF_I8 | TUFF_U8,
        { .name = "bytes_texel", .plan = max_bytes_texel, .types = TUFF_BYTES },
        { .name = "bytes", .plan = max_bytes, .types = TUFF_BYTES }, ),
    .doc = "y = the maximum over each window of x's last 1, 2 or 3 dims; indices: where it is",
    .params = { TUFF_POOL_FIELDS, INDICES_FIELDS },
    .cases = TUFF_CASES("1x1x2", "2x3x13x17 kernel=3,2 stride=2,1 pad=1,1,0,0 dilation=2,3",
                        "2x3x9x10 kernel=3 stride=2 ceil_mode=1 indices=1",
                        "3x2x5x7x6 kernel=3,2,2 stride=2,1,3 pad=1,0,1,0,1,0 indices=1 "
                        "storage_order=1",
                        "1x5x11x8 kernel=3 stride=2 auto_pad=SAME_UPPER",
                        "3x5x9x43 kernel=2 stride=2",
                        "2x3x37 kernel=5 stride=3 dilation=2 auto_pad=SAME_LOWER indices=1",
                        "1x1x31x41x67 kernel=31,41,67"),
};

const tuff_op tuff_op_average_pool = {
    .name = "average_pool", .onnx = "AveragePool", SUMS,
    .doc = "y = the mean over each window of x's last 1, 2 or 3 dims",
    .grad = mean_grad,
    .params = { TUFF_POOL_FIELDS, TUFF_BOOLEAN(tuff_pool_params, count_include_pad) },
    .cases = TUFF_CASES("1x1x2", "2x3x13x17 kernel=3,2 stride=2,1 pad=1,1,0,0 dilation=2,3",
                        "2x3x9x10 kernel=3 stride=2 ceil_mode=1",
                        "2x3x9x10 kernel=3 stride=2 pad=1 ceil_mode=1 count_include_pad=1",
                        "3x2x5x7x6 kernel=3,2,2 stride=2,1,3 pad=1,0,1,0,1,0",
                        "1x5x11x8 kernel=3 stride=2 auto_pad=SAME_UPPER count_include_pad=1",
                        "2x3x37 kernel=5 stride=3 dilation=2 auto_pad=SAME_LOWER",
                        "1x1x31x41x67 kernel=31,41,67"),
};

const tuff_op tuff_op_lp_pool = {
    .name = "lp_pool", .onnx = "LpPool", SUMS,
    .doc = "y = (sum of |x|^power over each window of x's last 1, 2 or 3 dims)^(1 / power)",
    .grad = lp_grad,
    .params = { TUFF_POOL_FIELDS,
                { .name = "power", .type = TUFF_FIELD_INT,
                  .offset = offsetof(tuff_pool_params, power), .onnx = "p",
                  .range = TUFF_AT_LEAST_1 } },
    .cases = TUFF_CASES("1x1x2", "2x3x13x17 kernel=3,2 stride=2,1 pad=1,1,0,0 dilation=2,3",
                        "3x2x5x7x6 kernel=2 stride=1 power=1",
                        "2x3x37 kernel=5 stride=3 power=3 ceil_mode=1"),
};

const tuff_op tuff_op_adaptive_max_pool = {
    .name = "adaptive_max_pool", MAX(TUFF_FLOATS, ),
    .doc = "y = the maximum over output_size windows of nearly equal size along each of x's "
           "last 1, 2 or 3 dims; indices: where it lies",
    .params = { TUFF_POSITIVES(tuff_pool_params, output_size, NULL), INDICES_FIELDS },
    .cases = TUFF_CASES("1x1x2", "2x5x7x7", "2x3x11x13 output_size=4,7 indices=1",
                        "3x2x5x4 output_size=7,4", "1x3x5x6x7 output_size=2,3,3"),
};

const tuff_op tuff_op_adaptive_average_pool = {
    .name = "adaptive_average_pool", SUMS,
    .doc = "y = the mean over output_size windows of nearly equal size along each of x's last "
           "1, 2 or 3 dims",
    .grad = mean_grad,
    .params = { TUFF_POSITIVES(tuff_pool_params, output_size, NULL) },
    .cases = TUFF_CASES("1x1x2", "2x5x7x7", "2x3x11x13 output_size=4,7",
                        "3x2x5x4 output_size=7,4", "1x3x5x6x7 output_size=2,3,3",
                        "1x1x97x1021"),
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,      \
                     const tuff_pool_params *p)                                 \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);        \
    }
#define PUBLIC_MAX(name, record)                                                \
    tuff_status name(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,      \
                     tuff_tensor *indices, const tuff_pool_params *p)           \
    {                                                                           \
        tuff_tensor *const out[] = { y, indices };                              \
        return tuff_run(s, &record, TUFF_RUN_IN(x), out, p && p->indices ? 2 : 1, p); \
    }
PUBLIC_MAX(tuff_max_pool, tuff_op_max_pool)
PUBLIC_MAX(tuff_adaptive_max_pool, tuff_op_adaptive_max_pool)
PUBLIC(tuff_average_pool, tuff_op_average_pool)
PUBLIC(tuff_lp_pool, tuff_op_lp_pool)
PUBLIC(tuff_adaptive_average_pool, tuff_op_adaptive_average_pool)
