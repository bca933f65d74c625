// The shapes of convolutions: the only place where they are checked.
#include "ops/conv.h"
#include "ops/gemm.h"
#include <assert.h>
#include <string.h>
#include <tuff/ops/conv.h>

static const char *const axis_name[] = { "slices", "rows", "columns" };

// Of `dims` spatial dims, the number of the first among three.
static int first_axis(const tuff_call *c) { return 3 - tuff_conv_dims(c->op); }

// A number for each spatial dim; 0 stands for `zero`.
static tuff_status read_sizes(const tuff_call *c, const char *name, const int from[3],
                              int64_t zero, int64_t to[3])
{
    const int first = first_axis(c);
    for (int i = 0; i < 3; i++) {
        const int v = i < first ? 0 : from[i - first];
        TUFF_REQUIRE(v >= 0, ARG, "%s of %s is %d, expected at least 1", name, axis_name[i],
                     v);
        to[i] = i < first ? 1 : v ? v : zero;
    }
    return TUFF_OK;
}

static tuff_status read_params(const tuff_call *c, tuff_conv *v)
{
    const tuff_conv_params *p = c->params;
    const int dims = tuff_conv_dims(c->op);
    TUFF_TRY(read_sizes(c, "stride", p->stride, 1, v->stride));
    TUFF_TRY(read_sizes(c, "dilation", p->dilation, 1, v->dilation));
    TUFF_REQUIRE(p->auto_pad >= TUFF_AUTO_PAD_NOTSET && p->auto_pad <= TUFF_AUTO_PAD_LOWER, ARG,
                 "auto_pad is %d, expected 0 to %d", p->auto_pad, TUFF_AUTO_PAD_LOWER);
    for (int i = 0; i < 2 * dims; i++) {
        TUFF_REQUIRE(p->pad[i] >= 0, ARG, "pad %d is %d, expected at least 0", i, p->pad[i]);
        TUFF_REQUIRE(!p->pad[i] || !p->auto_pad, ARG, "pad %d is %d beside auto_pad %s", i,
                     p->pad[i], tuff_auto_pads[p->auto_pad]);
    }
    TUFF_REQUIRE(p->group >= 0, ARG, "group is %d, expected at least 1", p->group);
    TUFF_REQUIRE(p->act >= TUFF_ACT_NONE && p->act <= TUFF_ACT_TANH, ARG,
                 "act is %d, expected 0 to %d", p->act, TUFF_ACT_TANH);
    v->group = p->group ? p->group : 1;
    return TUFF_OK;
}

static tuff_status check_rank(const tuff_call *c, int input)
{
    if (input < 0) return TUFF_OK;
    const int want = 2 + tuff_conv_dims(c->op);
    TUFF_REQUIRE(c->in[input].rank == want, SHAPE, "%s has %d dims, expected %d",
                 c->op->in[input].name, c->in[input].rank, want);
    return TUFF_OK;
}

static void sizes_of(const tuff_call *c, int input, int64_t size[3])
{
    const int first = first_axis(c);
    for (int i = 0; i < 3; i++) size[i] = i < first ? 1 : c->in[input].dim[2 + i - first];
}

// A kernel given in params beside w, whose is k: they must agree.
static tuff_status check_kernel(const tuff_call *c, const int64_t k[3])
{
    const tuff_conv_params *p = c->params;
    int64_t want[3];
    TUFF_TRY(read_sizes(c, "kernel", p->kernel, 0, want));
    for (int i = first_axis(c); i < 3; i++)
        TUFF_REQUIRE(!want[i] || want[i] == k[i], SHAPE, "w has %lld %s, kernel says %lld",
                     (long long)k[i], axis_name[i], (long long)want[i]);
    return TUFF_OK;
}

static tuff_status channels(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const int64_t *dx = c->in[x < 0 ? 0 : x].dim, *dw = c->in[w < 0 ? 0 : w].dim;
    const int64_t *dy = c->in[y < 0 ? 0 : y].dim;
    const char *name = y < 0 ? "y" : c->op->in[y].name;
    v->n = x < 0 ? dy[0] : dx[0];
    v->o = w < 0 ? dy[1] : dw[0];
    v->c = x < 0 ? dw[1] * v->group : dx[1];
    TUFF_REQUIRE(v->c <= INT32_MAX, SHAPE, "%lld groups of %lld channels are over 2^31 - 1",
                 (long long)v->group, (long long)(v->c / v->group));
    if (y >= 0) {
        TUFF_REQUIRE(dy[0] == v->n, SHAPE, "%s holds %lld images, x holds %lld", name,
                     (long long)dy[0], (long long)v->n);
        TUFF_REQUIRE(dy[1] == v->o, SHAPE, "%s has %lld channels, w is for %lld", name,
                     (long long)dy[1], (long long)v->o);
    }
    TUFF_REQUIRE(v->o % v->group == 0, SHAPE, "group %lld does not divide %lld channels of %s",
                 (long long)v->group, (long long)v->o, name);
    TUFF_REQUIRE(v->c % v->group == 0, SHAPE, "group %lld does not divide %lld channels of x",
                 (long long)v->group, (long long)v->c);
    v->og = v->o / v->group;
    v->cg = v->c / v->group;
    if (w >= 0)
        TUFF_REQUIRE(dw[1] == v->cg, SHAPE,
                     "w takes %lld channels, x has %lld in each of %lld groups",
                     (long long)dw[1], (long long)v->cg, (long long)v->group);
    return TUFF_OK;
}

static bool is_same(const tuff_conv_params *p)
{
    return p->auto_pad == TUFF_AUTO_PAD_UPPER || p->auto_pad == TUFF_AUTO_PAD_LOWER;
}

int64_t tuff_conv_same(int64_t x, int64_t y, int64_t stride, int64_t reach, bool lower,
                       int64_t *before)
{
    const int64_t over = (y - 1) * stride + reach - x, total = over > 0 ? over : 0;
    *before = lower ? total - total / 2 : total / 2;
    return total;
}

// Along one axis: what is padded in all, and what of it before x, where x has `size` elements
// (0: not known, and then the largest that gives y).
static int64_t pads(const tuff_call *c, const tuff_conv *v, int axis, int64_t size, int64_t y,
                    int64_t reach, int64_t *before)
{
    const tuff_conv_params *p = c->params;
    const int dims = tuff_conv_dims(c->op), i = axis - first_axis(c);
    *before = i < 0 ? 0 : p->pad[i];
    if (i < 0) return 0;
    if (!is_same(p)) return *before + p->pad[dims + i];
    const int64_t s = v->stride[axis];
    const int64_t out = size ? (size + s - 1) / s : y, in = size ? size : y * s;
    return tuff_conv_same(in, out, s, reach, p->auto_pad == TUFF_AUTO_PAD_LOWER, before);
}

// Along one axis: finds x (when its size is not given) or y, and checks what is given.
static tuff_status extent(const tuff_call *c, tuff_conv *v, int axis, const char *y_name)
{
    const int64_t s = v->stride[axis], y = v->y[axis];
    const int64_t reach = v->dilation[axis] * (v->k[axis] - 1) + 1;
    const bool same = is_same(c->params);
    int64_t x = v->x[axis];
    const int64_t total = pads(c, v, axis, x, y, reach, &v->pad[axis]);
    if (!x) { // the smallest that gives y
        x = same ? y * s : (y - 1) * s + reach - total;
        TUFF_REQUIRE(x >= 1, SHAPE, "no size of x gives %lld %s of %s with these pads",
                     (long long)y, axis_name[axis], y_name);
    }
    TUFF_REQUIRE(x + total <= INT32_MAX, ARG, "x with its pads has %lld %s, expected fewer",
                 (long long)(x + total), axis_name[axis]);
    TUFF_REQUIRE(reach <= x + total, SHAPE,
                 "the kernel covers %lld %s, x with its pads has %lld", (long long)reach,
                 axis_name[axis], (long long)(x + total));
    v->x[axis] = x;
    v->y[axis] = (x + total - reach) / s + 1;
    TUFF_REQUIRE(!y || y == v->y[axis], SHAPE, "%s has %lld %s, these sizes give %lld", y_name,
                 (long long)y, axis_name[axis], (long long)v->y[axis]);
    return TUFF_OK;
}

tuff_status tuff_conv_of(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const tuff_conv_params *p = c->params;
    memset(v, 0, sizeof *v);
    TUFF_TRY(read_params(c, v));
    TUFF_TRY(check_rank(c, x));
    TUFF_TRY(check_rank(c, w));
    TUFF_TRY(check_rank(c, y));
    TUFF_TRY(channels(c, x, w, y, v));
    if (x >= 0) sizes_of(c, x, v->x);
    else TUFF_TRY(read_sizes(c, "size", p->size, 0, v->x));
    if (w >= 0) sizes_of(c, w, v->k);
    else TUFF_TRY(read_sizes(c, "size", p->size, 1, v->k));
    if (y >= 0) sizes_of(c, y, v->y);
    TUFF_TRY(check_kernel(c, v->k));
    for (int i = 0; i < 3; i++) TUFF_TRY(extent(c, v, i, y < 0 ? "y" : c->op->in[y].name));
    return TUFF_OK;
}

// Along one axis of a transposed convolution, as ONNX has it: without a size for the output it
// is all that the input reaches, less the pads; with one, pads are what makes it so (those that
// are given do not count), and where it is larger than all that, what is over is at the end.
static tuff_status transposed_extent(const tuff_call *c, tuff_conv *v, int axis)
{
    const tuff_conv_params *p = c->params;
    const int dims = tuff_conv_dims(c->op), i = axis - first_axis(c);
    const int64_t more = i < 0 ? 0 : p->output_padding[i], s = v->stride[axis];
    const int64_t reach = v->dilation[axis] * (v->k[axis] - 1) + 1;
    TUFF_REQUIRE(more >= 0 && (more < s || more < v->dilation[axis]), ARG,
                 "output_padding of %s is %lld, expected at least 0 and below the stride or "
                 "the dilation", axis_name[axis], (long long)more);
    const int64_t all = (v->y[axis] - 1) * s + reach + more;
    int64_t size = i < 0 ? 1 : p->size[i];
    if (!size && is_same(p)) size = v->y[axis] * s;
    if (i >= 0 && size) {
        const int64_t total = all > size ? all - size : 0;
        v->pad[axis] = p->auto_pad == TUFF_AUTO_PAD_UPPER ? total / 2 : total - total / 2;
    } else if (i >= 0) {
        v->pad[axis] = p->pad[i];
        size = all - p->pad[i] - p->pad[dims + i];
    }
    TUFF_REQUIRE(size >= 1, SHAPE, "y would have %lld %s: the pads take more than there is",
                 (long long)size, axis_name[axis]);
    TUFF_REQUIRE(all - more > v->pad[axis], SHAPE, "no %s of x reach y with these pads",
                 axis_name[axis]);
    TUFF_REQUIRE(all <= INT32_MAX && size <= INT32_MAX - all, ARG,
                 "x reaches %lld %s and y has %lld, expected fewer", (long long)all,
                 axis_name[axis], (long long)size);
    v->x[axis] = size;
    return TUFF_OK;
}

tuff_status tuff_conv_transpose_of(const tuff_call *c, tuff_conv *v)
{
    const tuff_conv_params *p = c->params;
    enum { X, W };
    memset(v, 0, sizeof *v);
    TUFF_TRY(read_params(c, v));
    TUFF_TRY(check_rank(c, X));
    TUFF_TRY(check_rank(c, W));
    TUFF_TRY(channels(c, -1, W, X, v));
    TUFF_TRY(read_sizes(c, "size", p->size, 0, v->x));
    sizes_of(c, W, v->k);
    sizes_of(c, X, v->y);
    TUFF_TRY(check_kernel(c, v->k));
    for (int i = 0; i < 3; i++) TUFF_TRY(transposed_extent(c, v, i));
    return TUFF_OK;
}

void tuff_conv_good(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const tuff_status status = tuff_conv_of(c, x, w, y, v);
    assert(status == TUFF_OK); // infer has passed
    (void)status;
}

void tuff_conv_transpose_good(const tuff_call *c, tuff_conv *v)
{
    const tuff_status status = tuff_conv_transpose_of(c, v);
    assert(status == TUFF_OK);
    (void)status;
}

tuff_desc tuff_conv_desc(const tuff_call *c, int64_t a, int64_t b, const int64_t size[3])
{
    const int dims = tuff_conv_dims(c->op);
    tuff_desc d = { .dtype = c->in[0].dtype, .rank = 2 + dims, .dim = { a, b } };
    for (int i = 0; i < dims; i++) d.dim[2 + i] = size[3 - dims + i];
    return d;
}

tuff_status tuff_conv_check_after(const tuff_call *c, int64_t ch, const tuff_desc *y)
{
    enum { BIAS = 2, RESIDUAL };
    if (tuff_call_has(c, BIAS))
        TUFF_REQUIRE(c->in[BIAS].rank == 1 && c->in[BIAS].dim[0] == ch, SHAPE,
                     "bias has %lld elements in %d dims, expected [%lld]",
                     (long long)tuff_desc_count(&c->in[BIAS]), c->in[BIAS].rank,
                     (long long)ch);
    if (tuff_call_has(c, RESIDUAL)) {
        char residual[96], want[96];
        TUFF_REQUIRE(tuff_desc_equal(&c->in[RESIDUAL], y), SHAPE,
                     "residual is %s, y is %s: they must be equal",
                     tuff_desc_print(&c->in[RESIDUAL], residual, sizeof residual),
                     tuff_desc_print(y, want, sizeof want));
    }
    return TUFF_OK;
}

tuff_span tuff_span_of(int64_t n, int64_t step, int64_t off, int64_t lo, int64_t hi)
{
    tuff_span s = { 0, n };
    if (hi <= off) return (tuff_span){ 0, 0 };
    int64_t begin = lo - off, end = hi - off;
    if (step > 1) { // a division takes longer than a short row
        begin = begin > 0 ? (begin + step - 1) / step : 0;
        end = (end + step - 1) / step;
    }
    if (begin > 0) s.begin = begin;
    if (end < n) s.end = end;
    if (s.begin > s.end) s.begin = s.end;
    return s;
}

tuff_cost tuff_conv_cost(const tuff_call *c, const tuff_conv *v)
{
    const double pixels = (double)v->n * (double)tuff_volume(v->y);
    return (tuff_cost){ .flops = 2 * pixels * (double)v->o * (double)v->cg *
                                 (double)tuff_volume(v->k),
                        .bytes = tuff_call_bytes(c) };
}
