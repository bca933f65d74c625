// max_pool2d, average_pool2d. The shader is shaders/pool2d.comp; gradients: pool2d_grad.c.
#include "ops/pool2d.h"
#include "ops/divide.h"
#include "ops/ops.h"
#include <math.h>

// ---- geometry ------------------------------------------------------------------------------

tuff_status tuff_pool2d_of(const tuff_pool2d_params *p, const tuff_desc *x, const char *name,
                           tuff_pool2d *g)
{
    TUFF_REQUIRE(x->rank == 4, SHAPE, "%s has %d dims, it must have 4 (N C H W)", name,
                 x->rank);
    *g = (tuff_pool2d){ .n = x->dim[0], .c = x->dim[1], .h = x->dim[2], .w = x->dim[3],
                        .top = p->pad[0], .left = p->pad[1], .bottom = p->pad[2],
                        .right = p->pad[3], .include_pad = p->count_include_pad };
    for (int i = 0; i < 2; i++) {
        TUFF_REQUIRE(p->kernel[i] >= 0, ARG, "kernel is %d, it must be at least 1 (0 means 2)",
                     p->kernel[i]);
        TUFF_REQUIRE(p->stride[i] >= 0, ARG,
                     "stride is %d, it must be at least 1 (0 means the kernel)", p->stride[i]);
        g->kernel[i] = p->kernel[i] ? p->kernel[i] : 2;
        g->stride[i] = p->stride[i] ? p->stride[i] : g->kernel[i];
    }
    for (int i = 0; i < 4; i++)
        TUFF_REQUIRE(p->pad[i] >= 0 && p->pad[i] < g->kernel[i % 2], ARG,
                     "pad is %d, it must be at least 0 and below the kernel, which is %d",
                     p->pad[i], g->kernel[i % 2]);
    const int64_t rows = g->h + g->top + g->bottom, cols = g->w + g->left + g->right;
    TUFF_REQUIRE(rows <= INT32_MAX && cols <= INT32_MAX, SHAPE,
                 "%s with its padding is %lld x %lld, at most 2^31 - 1 is possible", name,
                 (long long)rows, (long long)cols);
    TUFF_REQUIRE(g->kernel[0] <= rows && g->kernel[1] <= cols, SHAPE,
                 "the kernel is %d x %d, larger than %s with its padding, which is %lld x %lld",
                 g->kernel[0], g->kernel[1], name, (long long)rows, (long long)cols);
    g->oh = (rows - g->kernel[0]) / g->stride[0] + 1;
    g->ow = (cols - g->kernel[1]) / g->stride[1] + 1;
    return TUFF_OK;
}

tuff_pool2d tuff_pool2d_good(const tuff_pool2d_params *p, const tuff_desc *x)
{
    tuff_pool2d g = { 0 };
    const tuff_status status = tuff_pool2d_of(p, x, "x", &g);
    (void)status; // infer has found it good
    return g;
}

tuff_desc tuff_pool2d_y(const tuff_pool2d *g, const tuff_desc *x)
{
    return TUFF_SHAPE(x->dtype, g->n, g->c, g->oh, g->ow);
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    tuff_pool2d g;
    TUFF_TRY(tuff_pool2d_of(c->params, &c->in[0], "x", &g));
    out[0] = tuff_pool2d_y(&g, &c->in[0]);
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static size_t planes(const tuff_call *c)
{
    return (size_t)(c->in[0].dim[0] * c->in[0].dim[1]);
}

static float max_of_window(const tuff_pool2d *g, const float *x, int64_t top, int64_t left)
{
    float best = -INFINITY;
    for (int64_t i = top; i < top + g->kernel[0]; i++)
        for (int64_t j = left; j < left + g->kernel[1]; j++) {
            if (i < 0 || i >= g->h || j < 0 || j >= g->w) continue;
            const float v = x[i * g->w + j];
            if (v > best || isnan(v)) best = v;
        }
    return best;
}

static float mean_of_window(const tuff_pool2d *g, const float *x, int64_t top, int64_t left)
{
    double sum = 0;
    int64_t real = 0;
    for (int64_t i = top; i < top + g->kernel[0]; i++)
        for (int64_t j = left; j < left + g->kernel[1]; j++) {
            if (i < 0 || i >= g->h || j < 0 || j >= g->w) continue;
            sum += x[i * g->w + j];
            real++;
        }
    if (g->include_pad) real = (int64_t)g->kernel[0] * g->kernel[1];
    return (float)(sum / (double)real);
}

static void reduce_windows(const tuff_ref *r,
                           float (*reduce)(const tuff_pool2d *g, const float *x, int64_t top,
                                           int64_t left))
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->in[0]);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        const float *x = r->in[0] + plane * (size_t)(g.h * g.w);
        float *y = r->out[0] + plane * (size_t)(g.oh * g.ow);
        for (int64_t i = 0; i < g.oh; i++)
            for (int64_t j = 0; j < g.ow; j++)
                y[i * g.ow + j] = reduce(&g, x, i * g.stride[0] - g.top,
                                         j * g.stride[1] - g.left);
    }
}

static void ref_max(const tuff_ref *r) { reduce_windows(r, max_of_window); }
static void ref_mean(const tuff_ref *r) { reduce_windows(r, mean_of_window); }

// ---- the CPU path ---------------------------------------------------------------------------

static bool host_takes(const tuff_call *c)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[0]);
    return tuff_pool2d_host_takes(&g, &c->in[0]);
}

static void host_max(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->in[0]);
    tuff_pool2d_host(r, &g, false);
}

static void host_mean(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->in[0]);
    tuff_pool2d_host(r, &g, true);
}

// ---- plans ---------------------------------------------------------------------------------

static uint32_t at_most(uint32_t a, uint32_t b) { return a < b ? a : b; }

tuff_parts tuff_parts_of(uint32_t rows, uint32_t cols, const tuff_caps *k)
{
    // Two nested loops make rows * cols + rows iterations: at most twice the area.
    const uint32_t area = k->max_loop ? k->max_loop / 2 : 1u << 20;
    tuff_parts p = { .rows = rows, .cols = cols, .part_cols = at_most(cols, area) };
    p.part_rows = at_most(rows, area / p.part_cols);
    p.count = ((rows - 1) / p.part_rows + 1) * ((cols - 1) / p.part_cols + 1);
    return p;
}

void tuff_part(const tuff_parts *p, uint32_t i, uint32_t corner[2], uint32_t size[2])
{
    const uint32_t across = (p->cols - 1) / p->part_cols + 1;
    corner[0] = i / across * p->part_rows;
    corner[1] = i % across * p->part_cols;
    size[0] = at_most(p->part_rows, p->rows - corner[0]);
    size[1] = at_most(p->part_cols, p->cols - corner[1]);
}

struct tuff_pool_pc tuff_pool2d_pc(const tuff_pool2d *g, size_t count, int64_t rows,
                                   int64_t cols)
{
    const double whole = (double)g->kernel[0] * g->kernel[1];
    return (struct tuff_pool_pc){
        .count = (uint32_t)count,
        .h = (uint32_t)g->h, .w = (uint32_t)g->w,
        .oh = (uint32_t)g->oh, .ow = (uint32_t)g->ow,
        .pad_top = (uint32_t)g->top, .pad_left = (uint32_t)g->left,
        .first = 1, .last = 1,
        // Without padding every window is whole, and its size need not be counted.
        .scale = g->include_pad || g->top + g->left + g->bottom + g->right == 0
               ? (float)(1 / whole) : 0,
        .rows = tuff_divide_by((size_t)rows), .cols = tuff_divide_by((size_t)cols),
    };
}

bool tuff_pool2d_add(const tuff_pool2d *g, uint32_t mode, bool texel, tuff_role role,
                     const tuff_caps *k, tuff_plan *p)
{
    const tuff_parts parts =
        tuff_parts_of((uint32_t)g->kernel[0], (uint32_t)g->kernel[1], k);
    if (parts.count > (uint32_t)(TUFF_PLAN_MAX - p->count)) return false;
    const size_t count = (size_t)(g->n * g->c * g->oh * g->ow);
    const uint32_t wg = tuff_group_size_flat(k);
    for (uint32_t i = 0; i < parts.count; i++) {
        uint32_t corner[2], size[2];
        tuff_part(&parts, i, corner, size);
        struct tuff_pool_pc pc = tuff_pool2d_pc(g, count, g->oh, g->ow);
        pc.row = corner[0];
        pc.col = corner[1];
        pc.first = i == 0;
        pc.last = i + 1 == parts.count;
        tuff_dispatch *d =
            tuff_plan_add(p, texel ? TUFF_SHADER_pool2d_texel : TUFF_SHADER_pool2d);
        tuff_bind(d, TUFF_ROLE_IN, 0, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE,
                  TUFF_READ);
        tuff_bind(d, role, 0, TUFF_BIND_STORAGE,
                  pc.first ? TUFF_WRITE : TUFF_READ | TUFF_WRITE);
        tuff_spec(d, wg);
        tuff_spec(d, size[0]);
        tuff_spec(d, size[1]);
        tuff_spec(d, (uint32_t)g->stride[0]);
        tuff_spec(d, (uint32_t)g->stride[1]);
        tuff_spec(d, mode);
        tuff_spec(d, g->top + g->left + g->bottom + g->right == 0);
        TUFF_PUSH(d, pc);
        tuff_grid(d, (count + wg - 1) / wg, k);
    }
    return true;
}

static bool plan(const tuff_call *c, uint32_t mode, bool texel, const tuff_caps *k,
                 tuff_plan *p)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[0]);
    if (texel && !(k->cpu_like && tuff_fits_texel(k, &c->in[0], 4))) return false;
    return tuff_pool2d_add(&g, mode, texel, TUFF_ROLE_OUT, k, p);
}

static bool max_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, TUFF_POOL_MAX, true, k, p);
}

static bool max_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, TUFF_POOL_MAX, false, k, p);
}

static bool mean_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, TUFF_POOL_MEAN, true, k, p);
}

static bool mean_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, TUFF_POOL_MEAN, false, k, p);
}

// ---- gradients -----------------------------------------------------------------------------

static void max_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_max_pool2d_grad, n->call.params, n->in[0], dy[0]);
}

static void mean_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_pool2d_params p = *(const tuff_pool2d_params *)n->call.params;
    p.size[0] = (int)n->call.in[0].dim[2];
    p.size[1] = (int)n->call.in[0].dim[3];
    dx[0] = TUFF_V(t, &tuff_op_average_pool2d_grad, &p, dy[0]);
}

static tuff_cost cost(const tuff_call *c)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[0]);
    const double y = (double)tuff_desc_count(&c->out[0]);
    return (tuff_cost){ .flops = y * g.kernel[0] * g.kernel[1],
                        .bytes = 4 * (y + (double)tuff_desc_count(&c->in[0])) };
}

// ---- records -------------------------------------------------------------------------------

const tuff_op tuff_op_max_pool2d = {
    .name = "max_pool2d",
    .doc = "y[n, c, i, j] = the maximum over a window of x[n, c]",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool2d_params),
    .params = { TUFF_POOL2D_FIELDS },
    .infer = infer,
    .ref = ref_max,
    .units = planes,
    .variants = { TUFF_KERNEL("texel", max_texel), TUFF_KERNEL("plain", max_plain) },
    TUFF_FAST(host_takes, host_max),
    .grad = max_grad,
    .cost = cost,
    .tol = { .f32 = 0 }, // a choice among elements: the same bits
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1x2x2", "2x6x28x28", "3x5x11x10", "2x3x13x17 kernel=3,2 stride=2,1 "
                        "pad=1,1,0,0", "1x7x5x9 kernel=3 stride=2 pad=1,1,1,1",
                        "1x2x9x11 kernel=2,1 stride=3,4", "1x1x7x7 kernel=7",
                        "1x2x281x283 kernel=281,283", "1061x1x2x997 kernel=1",
                        "2x3x37x53 kernel=3 stride=2 pad=1,1,1,1",
                        "1x5x9x27 kernel=3 stride=2"),
};

const tuff_op tuff_op_average_pool2d = {
    .name = "average_pool2d",
    .doc = "y[n, c, i, j] = the mean over a window of x[n, c]",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool2d_params),
    .params = { TUFF_POOL2D_FIELDS },
    .infer = infer,
    .ref = ref_mean,
    .units = planes,
    .variants = { TUFF_KERNEL("texel", mean_texel), TUFF_KERNEL("plain", mean_plain) },
    TUFF_FAST(host_takes, host_mean),
    .grad = mean_grad,
    .cost = cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -4, 8 },
    .cases = TUFF_CASES("1x1x2x2", "2x6x28x28", "2x3x13x17 kernel=3,2 stride=2,1 pad=1,1,0,0",
                        "1x7x5x9 kernel=3 stride=2 pad=1,1,1,1 count_include_pad=1",
                        "1x7x5x9 kernel=3 stride=2 pad=1,2,2,1",
                        "1x2x9x11 kernel=2,1 stride=3,4", "2x5x7x7 kernel=7",
                        "1x2x281x283 kernel=281,283"),
};

tuff_status tuff_max_pool2d(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                            const tuff_pool2d_params *p)
{
    return tuff_run(s, &tuff_op_max_pool2d, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_average_pool2d(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                                const tuff_pool2d_params *p)
{
    return tuff_run(s, &tuff_op_average_pool2d, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
