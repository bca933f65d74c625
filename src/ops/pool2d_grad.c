// max_pool2d_grad, average_pool2d_grad.
//
// Where windows do not overlap, a cell belongs to one window at most, and one invocation a
// window writes them all (pool2d_scatter.comp). Where they overlap, adding into cells from
// the windows would need atomics, whose order is nobody's; so each cell gathers from the
// windows that cover it (pool2d_gather.comp), after a first launch has noted where each
// window's maximum lies:
//
//   x  5 9 9 2      windows of 3, stride 1:  [5 9 9] [9 9 2]
//                   at (first maximum)          1       1
//                   dx                       0  dy0+dy1  0  0
#include "ops/pool2d.h"
#include "ops/divide.h"
#include "ops/ops.h"
#include <math.h>

static size_t planes(const tuff_call *c)
{
    return (size_t)(c->in[0].dim[0] * c->in[0].dim[1]);
}

static bool texels(const tuff_call *c, const tuff_caps *k)
{
    bool fit = k->cpu_like;
    for (int i = 0; i < c->nin; i++) fit = fit && tuff_fits_texel(k, &c->in[i], 4);
    return fit;
}

static void bind_in(tuff_dispatch *d, int i, bool texel)
{
    tuff_bind(d, TUFF_ROLE_IN, i, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
}

static void spec_window(tuff_dispatch *d, const tuff_pool2d *g, uint32_t wg)
{
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)g->kernel[0]);
    tuff_spec(d, (uint32_t)g->kernel[1]);
    tuff_spec(d, (uint32_t)g->stride[0]);
    tuff_spec(d, (uint32_t)g->stride[1]);
}

// Windows that may cover one cell, along an axis on which there are `out`.
static uint32_t covering(int kernel, int stride, int64_t out)
{
    const int64_t n = (kernel - 1) / stride + 1;
    return (uint32_t)(n < out ? n : out);
}

// Appends pool2d_gather.comp in all its parts. dy is in[dy_index]; `max`: the cells are in
// scratch[0].
static bool add_gather(const tuff_pool2d *g, int dy_index, bool max, bool texel,
                       const tuff_caps *k, tuff_plan *p)
{
    const tuff_parts parts =
        tuff_parts_of(covering(g->kernel[0], g->stride[0], g->oh),
                      covering(g->kernel[1], g->stride[1], g->ow), k);
    if (parts.count > (uint32_t)(TUFF_PLAN_MAX - p->count)) return false;
    const int shader = max ? texel ? TUFF_SHADER_max_pool2d_gather_texel
                                   : TUFF_SHADER_max_pool2d_gather
                     : texel ? TUFF_SHADER_average_pool2d_gather_texel
                             : TUFF_SHADER_average_pool2d_gather;
    const size_t count = (size_t)(g->n * g->c * g->h * g->w);
    const uint32_t wg = tuff_group_size_flat(k);
    for (uint32_t i = 0; i < parts.count; i++) {
        uint32_t corner[2], size[2];
        tuff_part(&parts, i, corner, size);
        struct tuff_pool_pc pc = tuff_pool2d_pc(g, count, g->h, g->w);
        pc.row = corner[0];
        pc.col = corner[1];
        pc.first = i == 0;
        tuff_dispatch *d = tuff_plan_add(p, shader);
        bind_in(d, dy_index, texel);
        tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
                  pc.first ? TUFF_WRITE : TUFF_READ | TUFF_WRITE);
        if (max)
            tuff_bind(d, TUFF_ROLE_SCRATCH, 0, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
                      TUFF_READ);
        spec_window(d, g, wg);
        tuff_spec(d, size[0]);
        tuff_spec(d, size[1]);
        TUFF_PUSH(d, pc);
        tuff_grid(d, (count + wg - 1) / wg, k);
    }
    return true;
}

// ---- max -----------------------------------------------------------------------------------

static tuff_status infer_max(const tuff_call *c, tuff_desc out[])
{
    tuff_pool2d g;
    TUFF_TRY(tuff_pool2d_of(c->params, &c->in[0], "x", &g));
    const tuff_desc y = tuff_pool2d_y(&g, &c->in[0]);
    char want[96], got[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[1], &y), SHAPE, "dy must be %s, it is %s",
                 tuff_desc_print(&y, want, sizeof want),
                 tuff_desc_print(&c->in[1], got, sizeof got));
    out[0] = c->in[0];
    return TUFF_OK;
}

static void ref_max(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->in[0]);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        const float *x = r->in[0] + plane * (size_t)(g.h * g.w);
        const float *dy = r->in[1] + plane * (size_t)(g.oh * g.ow);
        float *dx = r->out[0] + plane * (size_t)(g.h * g.w);
        for (int64_t i = 0; i < g.h * g.w; i++) dx[i] = 0;
        for (int64_t w = 0; w < g.oh * g.ow; w++) {
            const int64_t top = w / g.ow * g.stride[0] - g.top;
            const int64_t left = w % g.ow * g.stride[1] - g.left;
            int64_t at = -1;
            for (int64_t i = top; i < top + g.kernel[0]; i++)
                for (int64_t j = left; j < left + g.kernel[1]; j++) {
                    if (i < 0 || i >= g.h || j < 0 || j >= g.w) continue;
                    const float v = x[i * g.w + j];
                    if (at < 0 || v > x[at] || isnan(v)) at = i * g.w + j;
                }
            dx[at] += dy[w];
        }
    }
}

// Cells that one invocation of the scattering kernel writes along an axis, at most.
static int64_t reach(int64_t size, int64_t out, int64_t stride, int64_t pad)
{
    const int64_t last = size - ((out - 1) * stride - pad);
    return out > 1 && stride > last ? stride : last;
}

bool tuff_pool2d_scatter_add(const tuff_pool2d *g, bool texel, const tuff_caps *k, tuff_plan *p)
{
    if (g->stride[0] < g->kernel[0] || g->stride[1] < g->kernel[1]) return false;
    const int64_t rows = reach(g->h, g->oh, g->stride[0], g->top);
    const int64_t cols = reach(g->w, g->ow, g->stride[1], g->left);
    // Few invocations that each write a large part of x would be slower than gathering.
    const double loops = 2.0 * g->kernel[0] * g->kernel[1] + 2.0 * (double)rows * (double)cols;
    if (loops > 4096) return false;
    const uint32_t wg = tuff_group_size_flat(k);
    const size_t count = (size_t)(g->n * g->c * g->oh * g->ow);
    tuff_dispatch *d =
        tuff_plan_add(p, texel ? TUFF_SHADER_pool2d_scatter_texel : TUFF_SHADER_pool2d_scatter);
    bind_in(d, 0, texel);
    bind_in(d, 1, texel);
    tuff_bind_out(d, 0);
    spec_window(d, g, wg);
    tuff_spec(d, (uint32_t)rows);
    tuff_spec(d, (uint32_t)cols);
    tuff_spec(d, g->h == g->oh * g->kernel[0] && g->w == g->ow * g->kernel[1] &&
                 g->stride[0] == g->kernel[0] && g->stride[1] == g->kernel[1] &&
                 g->top + g->left + g->bottom + g->right == 0);
    const struct tuff_pool_pc pc = tuff_pool2d_pc(g, count, g->oh, g->ow);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (count + wg - 1) / wg, k);
    return true;
}

bool tuff_pool2d_gather_max_add(const tuff_pool2d *g, bool texel, const tuff_caps *k,
                                tuff_plan *p)
{
    p->scratch[0] = (size_t)(g->n * g->c * g->oh * g->ow) * sizeof(uint32_t);
    return tuff_pool2d_add(g, TUFF_POOL_ARGMAX, texel, TUFF_ROLE_SCRATCH, k, p) &&
           add_gather(g, 1, true, texel, k, p);
}

bool tuff_pool2d_gather_mean_add(const tuff_pool2d *g, bool texel, const tuff_caps *k,
                                 tuff_plan *p)
{
    return add_gather(g, 0, false, texel, k, p);
}

static tuff_pool2d good(const tuff_call *c)
{
    return tuff_pool2d_good(c->params, &c->in[0]);
}

static bool scatter_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = good(c);
    return texels(c, k) && tuff_pool2d_scatter_add(&g, true, k, p);
}

static bool scatter_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = good(c);
    return tuff_pool2d_scatter_add(&g, false, k, p);
}

static bool gather_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = good(c);
    return texels(c, k) && tuff_pool2d_gather_max_add(&g, true, k, p);
}

static bool gather_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = good(c);
    return tuff_pool2d_gather_max_add(&g, false, k, p);
}

static bool host_takes_max(const tuff_call *c)
{
    const tuff_pool2d g = good(c);
    return tuff_pool2d_host_takes(&g, &c->in[0]);
}

static void host_max(const tuff_ref *r)
{
    const tuff_pool2d g = good(r->call);
    tuff_pool2d_max_grad_host(r, &g);
}

static tuff_cost cost_max(const tuff_call *c)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->in[0]);
    const double x = (double)tuff_desc_count(&c->in[0]);
    const double y = (double)tuff_desc_count(&c->in[1]);
    return (tuff_cost){ .flops = y * g.kernel[0] * g.kernel[1], .bytes = 4 * (2 * x + y) };
}

const tuff_op tuff_op_max_pool2d_grad = {
    .name = "max_pool2d_grad",
    .doc = "dx = for each window of x, dy at its first maximum, summed over the windows",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true, .whole = true }, // ties
            { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool2d_params),
    .params = { TUFF_POOL2D_FIELDS },
    .infer = infer_max,
    .ref = ref_max,
    .units = planes,
    .variants = { TUFF_KERNEL("scatter_texel", scatter_texel),
                  TUFF_KERNEL("scatter", scatter_plain),
                  TUFF_KERNEL("gather_texel", gather_texel),
                  TUFF_KERNEL("gather", gather_plain) },
    TUFF_FAST(host_takes_max, host_max),
    .cost = cost_max,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1x2x2 1x1x1x1", "2x6x28x28 2x6x14x14", "3x5x11x10 3x5x5x5",
                        "2x3x13x17 2x3x6x17 kernel=3,2 stride=2,1 pad=1,1,0,0",
                        "1x7x5x9 1x7x3x5 kernel=3 stride=2 pad=1,1,1,1",
                        "1x2x9x11 1x2x3x3 kernel=2,1 stride=3,4",
                        "1x3x8x8 1x3x3x3 kernel=3 pad=1,0,1,1",
                        "1x1x9x9 1x1x5x5 kernel=5 stride=1",
                        "1x1x281x283 1x1x1x1 kernel=281,283"),
};

tuff_status tuff_max_pool2d_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                                 tuff_tensor *dx, const tuff_pool2d_params *p)
{
    return tuff_run(s, &tuff_op_max_pool2d_grad, TUFF_RUN_IN(x, dy), TUFF_RUN_OUT(dx), p);
}

// ---- average -------------------------------------------------------------------------------

// The size that x had along an axis: the one that was asked for, or the smallest that gives
// dy's; -1 when none does.
static int64_t size_before(int64_t out, int asked, int kernel, int stride, int64_t pads)
{
    const int64_t k = kernel ? kernel : 2, s = stride ? stride : k;
    const int64_t least = (out - 1) * s + k - pads;
    if (!asked) return least > 0 ? least : 1;
    return (asked + pads - k) / s + 1 == out && asked + pads >= k ? asked : -1;
}

static tuff_status infer_mean(const tuff_call *c, tuff_desc out[])
{
    const tuff_pool2d_params *p = c->params;
    const tuff_desc *dy = &c->in[0];
    TUFF_REQUIRE(dy->rank == 4, SHAPE, "dy has %d dims, it must have 4 (N C H W)", dy->rank);
    tuff_desc x = *dy;
    for (int i = 0; i < 2; i++) {
        x.dim[2 + i] = size_before(dy->dim[2 + i], p->size[i], p->kernel[i], p->stride[i],
                                   (int64_t)p->pad[i] + p->pad[i + 2]);
        TUFF_REQUIRE(x.dim[2 + i] > 0, SHAPE,
                     "size is %d x %d, which pooling does not turn into dy's %lld x %lld",
                     p->size[0], p->size[1], (long long)dy->dim[2], (long long)dy->dim[3]);
    }
    tuff_pool2d g;
    TUFF_TRY(tuff_pool2d_of(p, &x, "dx", &g));
    TUFF_REQUIRE(g.oh == dy->dim[2] && g.ow == dy->dim[3], SHAPE,
                 "no x has windows of which there are %lld x %lld, as dy says",
                 (long long)dy->dim[2], (long long)dy->dim[3]);
    out[0] = x;
    return TUFF_OK;
}

// Elements that share the gradient of the window in row i, column j of the windows.
static double share(const tuff_pool2d *g, int64_t i, int64_t j)
{
    if (g->include_pad) return (double)g->kernel[0] * g->kernel[1];
    double cells[2];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t first = axis ? j * g->stride[1] - g->left : i * g->stride[0] - g->top;
        const int64_t end = first + g->kernel[axis], size = axis ? g->w : g->h;
        cells[axis] = (double)((end < size ? end : size) - (first > 0 ? first : 0));
    }
    return cells[0] * cells[1];
}

static double sum_of_shares(const tuff_pool2d *g, const float *dy, int64_t y, int64_t x)
{
    double sum = 0;
    for (int64_t i = y / g->stride[0]; i >= 0 && i * g->stride[0] + g->kernel[0] > y; i--)
        for (int64_t j = x / g->stride[1]; j >= 0 && j * g->stride[1] + g->kernel[1] > x; j--)
            if (i < g->oh && j < g->ow) sum += dy[i * g->ow + j] / share(g, i, j);
    return sum;
}

static void ref_mean(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->out[0]);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        const float *dy = r->in[0] + plane * (size_t)(g.oh * g.ow);
        float *dx = r->out[0] + plane * (size_t)(g.h * g.w);
        for (int64_t i = 0; i < g.h; i++)
            for (int64_t j = 0; j < g.w; j++)
                dx[i * g.w + j] = (float)sum_of_shares(&g, dy, i + g.top, j + g.left);
    }
}

static bool host_takes_mean(const tuff_call *c)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->out[0]);
    return tuff_pool2d_mean_grad_host_takes(&g, &c->out[0]);
}

static void host_mean(const tuff_ref *r)
{
    const tuff_pool2d g = tuff_pool2d_good(r->call->params, &r->call->out[0]);
    tuff_pool2d_mean_grad_host(r, &g);
}

static bool mean_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->out[0]);
    return texels(c, k) && add_gather(&g, 0, false, true, k, p);
}

static bool mean_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool2d g = tuff_pool2d_good(c->params, &c->out[0]);
    return add_gather(&g, 0, false, false, k, p);
}

// The op is linear in dy, and pooling is its transpose.
static void grad_mean(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_average_pool2d, n->call.params, dy[0]);
}

const tuff_op tuff_op_average_pool2d_grad = {
    .name = "average_pool2d_grad",
    .doc = "dx = each window's dy shared equally among its elements, summed over the windows",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool2d_params),
    .params = { TUFF_POOL2D_FIELDS, TUFF_INTS(tuff_pool2d_params, size, NULL) },
    .infer = infer_mean,
    .ref = ref_mean,
    .units = planes,
    .variants = { TUFF_KERNEL("texel", mean_texel), TUFF_KERNEL("plain", mean_plain) },
    TUFF_FAST(host_takes_mean, host_mean),
    .grad = grad_mean,
    .tol = { .f32 = 2e-6f },
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1x1x1", "2x6x14x14", "3x5x5x5 size=11,10",
                        "2x3x6x17 kernel=3,2 stride=2,1 pad=1,1,0,0 size=13,17",
                        "1x7x3x5 kernel=3 stride=2 pad=1,1,1,1 count_include_pad=1",
                        "1x7x3x5 kernel=3 stride=2 pad=1,2,2,1 size=5,9",
                        "1x2x3x3 kernel=2,1 stride=3,4 size=9,11", "2x5x1x1 kernel=7",
                        "1x1x257x257 kernel=257 stride=1 pad=256,256,256,256"),
};

tuff_status tuff_average_pool2d_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                                     const tuff_pool2d_params *p)
{
    return tuff_run(s, &tuff_op_average_pool2d_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}
