// resize and its gradient: references and records. Geometry and launches: resize_plan.c.
#include "ops/resize.h"
#include "ops/ops.h"
#include <math.h>

static const char *const modes[] = { "nearest", "linear", "cubic", NULL };
static const char *const modes_2d[] = { NULL, "bilinear", "bicubic" }; // PyTorch's, old ONNX's
static const char *const places[] = { "half_pixel", "half_pixel_symmetric",
                                      "pytorch_half_pixel", "align_corners", "asymmetric",
                                      "tf_half_pixel_for_nn", NULL };
static const char *const nearests[] = { "round_prefer_floor", "round_prefer_ceil", "floor",
                                        "ceil", NULL };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    tuff_resizing g;
    TUFF_TRY(tuff_resize_of(c->params, &c->in[0], &g));
    out[0] = c->in[0];
    for (int i = 0; i < g.rank; i++) out[0].dim[i] = g.dim[i].out;
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    const tuff_resize_params *p = c->params;
    const tuff_desc *dy = &c->in[0];
    tuff_desc x = *dy, y;
    tuff_resizing g;
    for (int i = 0; i < TUFF_MAX_DIMS; i++) {
        TUFF_REQUIRE(p->size[i] >= 0, ARG, "size[%d] is %d, it must be at least 1 (0: dy's)", i,
                     p->size[i]);
        TUFF_REQUIRE(i < dy->rank || !p->size[i], ARG, "size has a number %d, dy has %d dims",
                     i, dy->rank);
        if (p->size[i]) x.dim[i] = p->size[i];
    }
    TUFF_TRY(tuff_resize_of(p, &x, &g));
    y = x;
    for (int i = 0; i < g.rank; i++) y.dim[i] = g.dim[i].out;
    char tx[96], ty[96], td[96];
    TUFF_REQUIRE(tuff_desc_equal(&y, dy), SHAPE, "dy is %s; resize makes %s of an x of %s",
                 tuff_desc_print(dy, td, sizeof td), tuff_desc_print(&y, ty, sizeof ty),
                 tuff_desc_print(&x, tx, sizeof tx));
    out[0] = x;
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// The element of x nearest to place n / den, before it is brought inside.
static int64_t nearest(const tuff_resize_params *p, int64_t n, int64_t den)
{
    const int64_t below = floor_div(n, den), rest = n - below * den;
    switch ((tuff_resize_nearest)p->nearest) {
    case TUFF_NEAREST_FLOOR: return below;
    case TUFF_NEAREST_CEIL: return below + (rest > 0);
    case TUFF_NEAREST_PREFER_FLOOR: return below + (2 * rest > den);
    default: return below + (2 * rest >= den);
    }
}

// Keys' kernel at distance t.
static double cubic(double a, double t)
{
    t = fabs(t);
    if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

typedef struct taps {
    int count;
    int64_t at[4];
    double weight[4];
} taps;

static taps taps_of(const tuff_resize_params *p, const tuff_resize_dim *d, int64_t o)
{
    const int64_t n = d->mul * o + d->add, below = floor_div(n, d->den);
    const double t = (double)(n - below * d->den) / (double)d->den;
    const double a = (double)tuff_resize_cubic(p);
    taps r = { 1, { o }, { 1 } };
    if (d->same) return r;
    if (p->mode == TUFF_RESIZE_NEAREST) {
        r.at[0] = nearest(p, n, d->den);
    } else if (p->mode == TUFF_RESIZE_LINEAR) {
        r = (taps){ 2, { below, below + 1 }, { 1 - t, t } };
    } else {
        r.count = 4;
        for (int k = 0; k < 4; k++) {
            r.at[k] = below - 1 + k;
            r.weight[k] = cubic(a, t + 1 - k);
        }
    }
    double sum = 0;
    for (int k = 0; k < r.count; k++) {
        const bool out = r.at[k] < 0 || r.at[k] >= d->in;
        if (out && r.count == 4 && p->exclude_outside) r.weight[k] = 0;
        sum += r.weight[k];
        r.at[k] = r.at[k] < 0 ? 0 : r.at[k] < d->in ? r.at[k] : d->in - 1;
    }
    for (int k = 0; k < r.count && p->exclude_outside; k++) r.weight[k] /= sum;
    return r;
}

// Element at[..] of y as a sum over the taps of dims `dim` and further in.
static double sum_of(const tuff_ref *r, const tuff_resizing *g, const int64_t at[], int dim,
                     int64_t base)
{
    if (dim == g->rank) return (double)r->in[0][base];
    const taps t = taps_of(r->call->params, &g->dim[dim], at[dim]);
    double sum = 0;
    for (int k = 0; k < t.count; k++)
        sum += t.weight[k] * sum_of(r, g, at, dim + 1, base * g->dim[dim].in + t.at[k]);
    return sum;
}

static void index_of(const tuff_desc *d, size_t i, int64_t at[])
{
    for (int k = d->rank - 1; k >= 0; k--) {
        at[k] = (int64_t)(i % (size_t)d->dim[k]);
        i /= (size_t)d->dim[k];
    }
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static void ref(const tuff_ref *r)
{
    const tuff_resizing g = tuff_resize_good(r->call->params, &r->call->in[0]);
    int64_t at[TUFF_MAX_DIMS];
    for (size_t i = r->begin; i < r->end; i++) {
        index_of(&r->call->out[0], i, at);
        r->out[0][i] = (float)sum_of(r, &g, at, 0, 0);
    }
}

// Over all elements of dy along dims `dim` and further in that read element at[..] of x.
static double read_of(const tuff_ref *r, const tuff_resizing *g, const int64_t at[], int dim,
                      int64_t base)
{
    if (dim == g->rank) return (double)r->in[0][base];
    const tuff_resize_dim *d = &g->dim[dim];
    if (d->same) return read_of(r, g, at, dim + 1, base * d->out + at[dim]);
    // Elements of y within some four of x's from it; what lies outside reads the ends.
    const double step = d->mul ? (double)d->den / (double)d->mul : (double)d->out;
    const double middle = (double)at[dim] * step - (double)d->add / fmax(1, (double)d->mul);
    const double near = 4 * step + 2;
    double sum = 0;
    const int64_t begin = at[dim] == 0 || middle < near ? 0 : (int64_t)(middle - near);
    const bool to_end = at[dim] + 1 == d->in || !d->mul;
    for (int64_t o = begin; o < d->out && (to_end || (double)o < middle + near); o++) {
        const taps t = taps_of(r->call->params, d, o);
        double weight = 0;
        for (int k = 0; k < t.count; k++) weight += t.at[k] == at[dim] ? t.weight[k] : 0;
        if (weight != 0) sum += weight * read_of(r, g, at, dim + 1, base * d->out + o);
    }
    return sum;
}

static void ref_grad(const tuff_ref *r)
{
    const tuff_resizing g = tuff_resize_good(r->call->params, &r->call->out[0]);
    int64_t at[TUFF_MAX_DIMS];
    for (size_t i = r->begin; i < r->end; i++) {
        index_of(&r->call->out[0], i, at);
        r->out[0][i] = (float)read_of(r, &g, at, 0, 0);
    }
}

// ---- the CPU path's kernels ----------------------------------------------------------------

#define HOST(name, grad_)                                                       \
    static bool name##_takes(const tuff_call *c)                                \
    {                                                                           \
        return tuff_resize_host_takes(c, grad_);                                \
    }                                                                           \
    static size_t name##_units(const tuff_call *c, int stage)                   \
    {                                                                           \
        return tuff_resize_host_units(c, grad_, stage);                         \
    }                                                                           \
    static size_t name##_scratch(const tuff_call *c)                            \
    {                                                                           \
        return tuff_resize_host_scratch(c, grad_);                              \
    }                                                                           \
    static void name(const tuff_ref *r) { tuff_resize_host(r, grad_); }
HOST(host, false)
HOST(host_grad, true)
#define FAST(name_)                                                             \
    .hosts = { { .name = "fast", .takes = name_##_takes, .run = name_,          \
                 .units = name_##_units, .scratch = name_##_scratch } }

// ---- plans ---------------------------------------------------------------------------------

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return k->cpu_like && tuff_resize_plan(c, true, k, p);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return tuff_resize_plan(c, false, k, p);
}

static bool texel_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return k->cpu_like && tuff_resize_grad_plan(c, true, k, p);
}

static bool plain_grad(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return tuff_resize_grad_plan(c, false, k, p);
}

// ---- gradients -----------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_resize_params p = *(const tuff_resize_params *)n->call.params;
    for (int i = 0; i < n->call.in[0].rank; i++) p.size[i] = (int)n->call.in[0].dim[i];
    dx[0] = TUFF_V(t, &tuff_op_resize_grad, &p, dy[0]);
}

// The op is linear in dy, and resize is its transpose.
static void grad_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_resize, n->call.params, dy[0]);
}

static tuff_cost cost(const tuff_call *c)
{
    const tuff_resize_params *p = c->params;
    const double x = (double)tuff_desc_count(&c->in[0]);
    const double y = (double)tuff_desc_count(&c->out[0]), taps = p->mode ? 2 * p->mode : 1;
    return (tuff_cost){ .flops = (x + y) * 2 * taps * taps, .bytes = 4 * (x + y) };
}

// ---- records -------------------------------------------------------------------------------

#define FIELDS                                                                  \
    TUFF_INTS(tuff_resize_params, sizes, NULL),                                 \
        TUFF_REALS(tuff_resize_params, scales),                                 \
        TUFF_DIMS(tuff_resize_params, axes),                                    \
        { .name = "mode", .type = TUFF_FIELD_ENUM, .names = modes, .also = modes_2d, \
          .offset = offsetof(tuff_resize_params, mode) },                       \
        { .name = "place", .type = TUFF_FIELD_ENUM, .names = places,            \
          .offset = offsetof(tuff_resize_params, place),                        \
          .onnx = "coordinate_transformation_mode" },                           \
        { .name = "nearest", .type = TUFF_FIELD_ENUM, .names = nearests,        \
          .offset = offsetof(tuff_resize_params, nearest), .onnx = "nearest_mode" }, \
        TUFF_FLOAT_ZERO(tuff_resize_params, cubic_coeff_a),                     \
        TUFF_BOOLEAN(tuff_resize_params, exclude_outside)

const tuff_op tuff_op_resize = {
    .name = "resize", .onnx = "Resize",
    .doc = "y = x with other sizes: an element of y is the one of x nearest to its place, or "
           "is made of 2 (linear) or 4 (cubic) elements along each dim",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_resize_params),
    .params = { FIELDS },
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("texel", texel), TUFF_KERNEL("plain", plain) },
    FAST(host),
    .tol = { .f32 = 2e-6f }, // up to 16 products, and weights of a few roundings each
    .sample = { -4, 8 },
    .cases = TUFF_CASES("1x1x1x1 sizes=1,1,2,3", "2x3x5x7 scales=1,1,2,3",
                        "1x2x12x4 sizes=0,0,7,6 nearest=round_prefer_ceil",
                        "2x3x8x6 sizes=12,9 axes=1,0 mode=linear",
                        "2x3x13x17 scales=1,1,0.6,1.5 mode=linear place=align_corners",
                        "1x3x4x6x5 sizes=0,2,8,3,9 mode=linear place=pytorch_half_pixel",
                        "1x2x4x5 scales=1,1,0.8,1.7 mode=cubic place=half_pixel_symmetric "
                        "exclude_outside=1",
                        "3x70001 sizes=0,46337 mode=linear"),
};

const tuff_op tuff_op_resize_grad = {
    .name = "resize_grad",
    .doc = "dx = for each element of x the sum of dy over those that resize made of it, times "
           "their weights",
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_resize_params),
    .params = { FIELDS, TUFF_INTS(tuff_resize_params, size, NULL) },
    .infer = infer_grad, .ref = ref_grad, .units = units, .grad = grad_grad, .cost = cost,
    .variants = { TUFF_KERNEL("texel", texel_grad), TUFF_KERNEL("plain", plain_grad) },
    FAST(host_grad),
    .tol = { .f32 = 2e-6f }, // sums that carry what they lose; weights of a few roundings
    .sample = { -4, 8 },
    .cases = TUFF_CASES("1x1x2x3 sizes=1,1,2,3 size=1,1,1,1",
                        "2x3x10x21 scales=1,1,2,3 size=2,3,5,7",
                        "1x2x7x6 sizes=0,0,7,6 nearest=round_prefer_ceil size=1,2,12,4",
                        "2x3x12x9 sizes=12,9 axes=1,0 mode=linear size=2,3,8,6",
                        "1x2x7x25 scales=1,1,0.6,1.5 mode=linear place=align_corners "
                        "size=1,2,13,17",
                        "1x2x3x8 scales=1,1,0.8,1.7 mode=cubic place=half_pixel_symmetric "
                        "exclude_outside=1 size=1,2,4,5",
                        "70001 sizes=70001 mode=linear size=2"),
};

// ---- public functions ----------------------------------------------------------------------

tuff_status tuff_resize(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_resize_params *p)
{
    return tuff_run(s, &tuff_op_resize, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_resize_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                             const tuff_resize_params *p)
{
    return tuff_run(s, &tuff_op_resize_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}
