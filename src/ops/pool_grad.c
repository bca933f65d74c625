// max_pool_grad, average_pool_grad: by x, each of whose cells gathers from the windows that
// cover it (see pool2d_grad.c). The shaders are pool.comp, which notes where each window's
// maximum lies, and pool_gather.comp; those of pool2d.h where they will do.
#include "ops/pool.h"
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

// Goes through the windows of a plane, in order, and their cells.
typedef struct walker {
    tuff_pool g;
    void (*see)(void *user, int64_t cell); // a real one of the window
    void *user;
    int64_t all; // places that include_pad counts, cells and padding
} walker;

static void walk(walker *w, const int64_t o[], int axis, int64_t cell, bool inside)
{
    if (axis == TUFF_POOL_AXES) {
        w->all++;
        if (inside) w->see(w->user, cell);
        return;
    }
    const tuff_pool_axis *a = &w->g.axis[axis];
    int64_t start, taps;
    tuff_pool_window(&w->g, axis, o[axis], &start, &taps);
    for (int64_t k = 0; k < taps; k++) {
        const int64_t at = start + k * a->dilation;
        if (at >= a->size + a->after) break;
        walk(w, o, axis + 1, cell * a->size + at, inside && at >= 0 && at < a->size);
    }
}

static void walk_window(walker *w, int64_t number)
{
    const tuff_pool_axis *a = w->g.axis;
    const int64_t o[] = { number / a[2].out / a[1].out, number / a[2].out % a[1].out,
                          number % a[2].out };
    w->all = 0;
    walk(w, o, 0, 0, true);
}

static int64_t windows(const tuff_pool *g)
{
    return g->axis[0].out * g->axis[1].out * g->axis[2].out;
}

static int64_t cells(const tuff_pool *g)
{
    return g->axis[0].size * g->axis[1].size * g->axis[2].size;
}

// ---- max -----------------------------------------------------------------------------------

static tuff_status infer_max(const tuff_call *c, tuff_desc out[])
{
    tuff_pool g;
    TUFF_TRY(tuff_pool_of(c->params, false, &c->in[0], "x", &g));
    const tuff_desc y = tuff_pool_y(&g, &c->in[0]);
    char want[96], got[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[1], &y), SHAPE, "dy must be %s, it is %s",
                 tuff_desc_print(&y, want, sizeof want),
                 tuff_desc_print(&c->in[1], got, sizeof got));
    out[0] = c->in[0];
    return TUFF_OK;
}

typedef struct maximum {
    const float *x;
    int64_t at;
} maximum;

static void see_max(void *user, int64_t cell)
{
    maximum *m = user;
    if (m->at < 0 || m->x[cell] > m->x[m->at] || isnan(m->x[cell])) m->at = cell;
}

static void ref_max(const tuff_ref *r)
{
    maximum m;
    walker w = { .g = tuff_pool_good(r->call->params, false, &r->call->in[0]), .see = see_max,
                 .user = &m };
    const int64_t n = windows(&w.g), size = cells(&w.g);
    for (size_t plane = r->begin; plane < r->end; plane++) {
        float *dx = r->out[0] + plane * (size_t)size;
        m.x = r->in[0] + plane * (size_t)size;
        for (int64_t i = 0; i < size; i++) dx[i] = 0;
        for (int64_t i = 0; i < n; i++) {
            m.at = -1;
            walk_window(&w, i);
            if (m.at >= 0) dx[m.at] += r->in[1][plane * (size_t)n + (size_t)i];
        }
    }
}

static bool scatter(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->in[0]);
    tuff_pool2d image;
    return (!texel || texels(c, k)) && tuff_pool_as_image(&g, false, &image) &&
           tuff_pool2d_scatter_add(&image, texel, k, p);
}

static bool gather(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->in[0]);
    const tuff_windows w = { .mode = TUFF_WINDOW_ARGMAX, .role = TUFF_ROLE_SCRATCH,
                             .texel = texel };
    tuff_pool2d image;
    if (texel && !texels(c, k)) return false;
    if (tuff_pool_as_image(&g, false, &image))
        return tuff_pool2d_gather_max_add(&image, texel, k, p);
    p->scratch[0] = tuff_desc_bytes(&c->in[1]);
    return tuff_windows_add(&g, &w, k, p) && tuff_pool_gather_add(&g, 1, true, texel, k, p);
}

static bool scatter_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return scatter(c, true, k, p);
}

static bool scatter_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return scatter(c, false, k, p);
}

static bool gather_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return gather(c, true, k, p);
}

static bool gather_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return gather(c, false, k, p);
}

static bool host_takes_max(const tuff_call *c)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->in[0]);
    tuff_pool2d image;
    return tuff_pool_as_image(&g, false, &image) && tuff_pool2d_host_takes(&image, &c->in[0]);
}

static void host_max(const tuff_ref *r)
{
    const tuff_pool g = tuff_pool_good(r->call->params, false, &r->call->in[0]);
    tuff_pool2d image;
    if (tuff_pool_as_image(&g, false, &image)) tuff_pool2d_max_grad_host(r, &image);
}

static tuff_cost cost_of(const tuff_pool *g, double tensors)
{
    double taps = 1;
    for (int i = 0; i < TUFF_POOL_AXES; i++) taps *= (double)g->axis[i].kernel;
    return (tuff_cost){ .flops = (double)(g->planes * windows(g)) * taps,
                        .bytes = 4 * tensors };
}

static tuff_cost cost_max(const tuff_call *c)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->in[0]);
    return cost_of(&g, 2 * (double)tuff_desc_count(&c->in[0]) +
                           (double)tuff_desc_count(&c->in[1]));
}

#define FIELDS                                                                  \
    TUFF_POOL_FIELDS, TUFF_INTS(tuff_pool_params, output_size, NULL)

const tuff_op tuff_op_max_pool_grad = {
    .name = "max_pool_grad",
    .doc = "dx = for each window of x, dy at its first maximum, summed over the windows",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true, .whole = true }, // ties
            { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool_params),
    .params = { FIELDS },
    .infer = infer_max,
    .ref = ref_max,
    .units = planes,
    .variants = { TUFF_KERNEL("scatter_texel", scatter_texel),
                  TUFF_KERNEL("scatter", scatter_plain),
                  TUFF_KERNEL("gather_texel", gather_texel),
                  TUFF_KERNEL("gather", gather_plain) },
    TUFF_FAST(host_takes_max, host_max),
    .cost = cost_max,
    .tol = { .f32 = 2e-6f }, // few numbers added in f32
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1x2 1x1x1", "2x3x9x10 2x3x5x5 stride=2 kernel=2 ceil_mode=1",
                        "2x3x13x17 2x3x5x7 kernel=3,2 stride=2 pad=1,0,0,0 dilation=2,4",
                        "3x2x5x7x6 3x2x3x6x3 kernel=3,2,2 stride=2,1,2 pad=1,0,0,1,0,0",
                        "2x3x11x13 2x3x4x7 output_size=4,7", "1x2x3x5 1x2x7x2 output_size=7,2",
                        "1x1x31x41x67 1x1x1x1x1 kernel=31,41,67"),
};

tuff_status tuff_max_pool_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                               tuff_tensor *dx, const tuff_pool_params *p)
{
    return tuff_run(s, &tuff_op_max_pool_grad, TUFF_RUN_IN(x, dy), TUFF_RUN_OUT(dx), p);
}

// ---- average -------------------------------------------------------------------------------

// The smallest size of x that gives so many windows along spatial dim i of n.
static int64_t size_before(const tuff_pool_params *p, int i, int n, int64_t out)
{
    const int64_t kernel = p->kernel[i] ? p->kernel[i] : 2;
    const int64_t stride = p->stride[i] ? p->stride[i] : kernel;
    const int64_t dilation = p->dilation[i] ? p->dilation[i] : 1;
    if (tuff_pool_is_adaptive(p)) return out;
    if (p->auto_pad > TUFF_AUTO_PAD_VALID) return (out - 1) * stride + 1;
    const int64_t least = (out - 1) * stride + (kernel - 1) * dilation + 1 - p->pad[i] -
                          p->pad[i + n] - (p->ceil_mode ? stride - 1 : 0);
    return least > 0 ? least : 1;
}

static tuff_status infer_mean(const tuff_call *c, tuff_desc out[])
{
    const tuff_pool_params *p = c->params;
    const tuff_desc *dy = &c->in[0];
    TUFF_REQUIRE(dy->rank >= 3 && dy->rank <= 5, SHAPE,
                 "dy has %d dims, it must have 3, 4 or 5 (N C and one to three more)",
                 dy->rank);
    tuff_desc x = *dy;
    const int n = dy->rank - 2;
    for (int i = 0; i < n; i++) {
        TUFF_REQUIRE(p->size[i] >= 0, ARG, "size is %d, it must be at least 1 (0 means the "
                     "smallest)", p->size[i]);
        x.dim[2 + i] = p->size[i] ? p->size[i] : size_before(p, i, n, dy->dim[2 + i]);
    }
    tuff_pool g;
    TUFF_TRY(tuff_pool_of(p, false, &x, "dx", &g));
    const tuff_desc y = tuff_pool_y(&g, &x);
    char tx[96], ty[96], td[96];
    TUFF_REQUIRE(tuff_desc_equal(&y, dy), SHAPE, "dy is %s; pooling makes %s of an x of %s",
                 tuff_desc_print(dy, td, sizeof td), tuff_desc_print(&y, ty, sizeof ty),
                 tuff_desc_print(&x, tx, sizeof tx));
    out[0] = x;
    return TUFF_OK;
}

// Along an axis: elements that share window o's gradient, 0 when cell c is none of them.
static int64_t sharers(const tuff_pool *g, int axis, int64_t o, int64_t c)
{
    const tuff_pool_axis *a = &g->axis[axis];
    const int64_t low = g->include_pad ? -a->before : 0;
    const int64_t high = a->size + (g->include_pad ? a->after : 0);
    int64_t start, taps, n = 0;
    bool covers = false;
    tuff_pool_window(g, axis, o, &start, &taps);
    for (int64_t at = start; at < start + taps * a->dilation && at < high; at += a->dilation) {
        n += at >= low;
        covers |= at == c;
    }
    return covers ? n : 0;
}

// dx of one cell: what every window that covers it sends there.
static double gathered(const tuff_pool *g, const float *dy, const int64_t c[])
{
    const tuff_pool_axis *a = g->axis;
    double sum = 0;
    for (int64_t i = 0; i < a[0].out; i++) {
        const int64_t ni = sharers(g, 0, i, c[0]);
        for (int64_t j = 0; ni && j < a[1].out; j++) {
            const int64_t nj = sharers(g, 1, j, c[1]);
            for (int64_t k = 0; nj && k < a[2].out; k++) {
                const int64_t nk = sharers(g, 2, k, c[2]);
                const double all = (double)ni * (double)nj * (double)nk;
                if (nk) sum += dy[(i * a[1].out + j) * a[2].out + k] / all;
            }
        }
    }
    return sum;
}

static void ref_mean(const tuff_ref *r)
{
    const tuff_pool g = tuff_pool_good(r->call->params, false, &r->call->out[0]);
    const int64_t h = g.axis[1].size, w = g.axis[2].size;
    for (size_t plane = r->begin; plane < r->end; plane++) {
        const float *dy = r->in[0] + plane * (size_t)windows(&g);
        float *dx = r->out[0] + plane * (size_t)cells(&g);
        for (int64_t i = 0; i < cells(&g); i++)
            dx[i] = (float)gathered(&g, dy, (int64_t[]){ i / w / h, i / w % h, i % w });
    }
}

static bool host_takes_mean(const tuff_call *c)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->out[0]);
    tuff_pool2d image;
    return tuff_pool_as_image(&g, true, &image) &&
           tuff_pool2d_mean_grad_host_takes(&image, &c->out[0]);
}

static void host_mean(const tuff_ref *r)
{
    const tuff_pool g = tuff_pool_good(r->call->params, false, &r->call->out[0]);
    tuff_pool2d image;
    if (tuff_pool_as_image(&g, true, &image)) tuff_pool2d_mean_grad_host(r, &image);
}

static bool share(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->out[0]);
    tuff_pool2d image;
    if (texel && !texels(c, k)) return false;
    if (tuff_pool_as_image(&g, true, &image))
        return tuff_pool2d_gather_mean_add(&image, texel, k, p);
    return tuff_pool_gather_add(&g, 0, false, texel, k, p);
}

static bool share_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return share(c, true, k, p);
}

static bool share_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return share(c, false, k, p);
}

// The op is linear in dy, and pooling is its transpose.
static void grad_mean(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_average_pool, n->call.params, dy[0]);
}

static tuff_cost cost_mean(const tuff_call *c)
{
    const tuff_pool g = tuff_pool_good(c->params, false, &c->out[0]);
    return cost_of(&g, (double)tuff_desc_count(&c->in[0]) +
                           (double)tuff_desc_count(&c->out[0]));
}

const tuff_op tuff_op_average_pool_grad = {
    .name = "average_pool_grad",
    .doc = "dx = each window's dy shared equally among its elements, summed over the windows",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_pool_params),
    .params = { FIELDS, TUFF_BOOLEAN(tuff_pool_params, count_include_pad),
                TUFF_INTS(tuff_pool_params, size, NULL) },
    .infer = infer_mean,
    .ref = ref_mean,
    .units = planes,
    .variants = { TUFF_KERNEL("texel", share_texel), TUFF_KERNEL("plain", share_plain) },
    TUFF_FAST(host_takes_mean, host_mean),
    .grad = grad_mean,
    .cost = cost_mean,
    .tol = { .f32 = 2e-6f }, // few numbers added in f32
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1x1", "2x3x5x5 stride=2 kernel=2 ceil_mode=1 size=9,10",
                        "2x3x5x6 stride=2 kernel=3 pad=1 ceil_mode=1 count_include_pad=1 "
                        "size=9,10",
                        "2x3x5x7 kernel=3,2 stride=2 pad=1,0,0,0 dilation=2,4 size=13,17",
                        "3x2x3x6x3 kernel=3,2,2 stride=2,1,2 pad=1,0,0,1,0,0 size=5,7,6",
                        "2x3x4x7 output_size=4,7 size=11,13",
                        "1x2x7x2 output_size=7,2 size=3,5",
                        "1x1x41x41x41 output_size=41 size=1"),
};

tuff_status tuff_average_pool_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                                   const tuff_pool_params *p)
{
    return tuff_run(s, &tuff_op_average_pool_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}
