// The shapes of a convolution: the only place where they are checked.
#include "ops/conv2d.h"
#include <string.h>

static const char *const axis_name[] = { "rows", "columns" };

static tuff_status read_params(const tuff_conv2d_params *p, tuff_conv *v)
{
    for (int i = 0; i < 2; i++) {
        TUFF_REQUIRE(p->stride[i] >= 0, ARG, "stride of %s is %d, expected at least 1",
                     axis_name[i], p->stride[i]);
        TUFF_REQUIRE(p->dilation[i] >= 0, ARG, "dilation of %s is %d, expected at least 1",
                     axis_name[i], p->dilation[i]);
        TUFF_REQUIRE(p->size[i] >= 0, ARG, "size of %s is %d, expected at least 1",
                     axis_name[i], p->size[i]);
        v->stride[i] = p->stride[i] ? p->stride[i] : 1;
        v->dilation[i] = p->dilation[i] ? p->dilation[i] : 1;
    }
    for (int i = 0; i < 4; i++) {
        TUFF_REQUIRE(p->pad[i] >= 0, ARG, "pad %d is %d, expected at least 0", i, p->pad[i]);
        v->pad[i] = p->pad[i];
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
    TUFF_REQUIRE(c->in[input].rank == 4, SHAPE, "%s has %d dims, expected 4",
                 c->op->in[input].name, c->in[input].rank);
    return TUFF_OK;
}

static tuff_status channels(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const int64_t *dx = c->in[x < 0 ? 0 : x].dim, *dw = c->in[w < 0 ? 0 : w].dim;
    const int64_t *dy = c->in[y < 0 ? 0 : y].dim;
    v->n = x < 0 ? dy[0] : dx[0];
    v->o = w < 0 ? dy[1] : dw[0];
    v->c = x < 0 ? dw[1] * v->group : dx[1];
    TUFF_REQUIRE(v->o % v->group == 0, SHAPE, "group %lld does not divide %lld output channels",
                 (long long)v->group, (long long)v->o);
    TUFF_REQUIRE(v->c % v->group == 0, SHAPE, "group %lld does not divide %lld input channels",
                 (long long)v->group, (long long)v->c);
    v->og = v->o / v->group;
    v->cg = v->c / v->group;
    if (w >= 0)
        TUFF_REQUIRE(dw[1] == v->cg, SHAPE,
                     "w takes %lld channels, x has %lld in each of %lld groups",
                     (long long)dw[1], (long long)v->cg, (long long)v->group);
    if (y >= 0) {
        TUFF_REQUIRE(dy[0] == v->n, SHAPE, "dy holds %lld images, x holds %lld",
                     (long long)dy[0], (long long)v->n);
        TUFF_REQUIRE(dy[1] == v->o, SHAPE, "dy has %lld channels, w gives %lld",
                     (long long)dy[1], (long long)v->o);
    }
    return TUFF_OK;
}

// Along one axis: the size of x, of the kernel and of y, of which one is to be found or (when
// all are known) to be checked.
static tuff_status extent(const tuff_conv *v, int axis, int64_t x, int64_t k, int64_t y,
                          int64_t *size_x, int64_t *size_y)
{
    const int64_t pads = v->pad[axis] + v->pad[axis + 2], s = v->stride[axis];
    const int64_t reach = v->dilation[axis] * (k - 1) + 1;
    if (!x) { // the smallest that gives y
        x = (y - 1) * s + reach - pads;
        TUFF_REQUIRE(x >= 1, SHAPE, "no size of x gives %lld %s of dy with these pads",
                     (long long)y, axis_name[axis]);
    }
    TUFF_REQUIRE(x + pads <= INT32_MAX, ARG, "x with its pads has %lld %s, expected fewer",
                 (long long)(x + pads), axis_name[axis]);
    TUFF_REQUIRE(reach <= x + pads, SHAPE,
                 "the kernel covers %lld %s, x with its pads has %lld", (long long)reach,
                 axis_name[axis], (long long)(x + pads));
    const int64_t got = (x + pads - reach) / s + 1;
    TUFF_REQUIRE(!y || y == got, SHAPE, "dy has %lld %s, these sizes give %lld", (long long)y,
                 axis_name[axis], (long long)got);
    *size_x = x;
    *size_y = got;
    return TUFF_OK;
}

tuff_status tuff_conv_of(const tuff_call *c, int x, int w, int y, tuff_conv *v)
{
    const tuff_conv2d_params *p = c->params;
    memset(v, 0, sizeof *v);
    TUFF_TRY(read_params(p, v));
    TUFF_TRY(check_rank(c, x));
    TUFF_TRY(check_rank(c, w));
    TUFF_TRY(check_rank(c, y));
    TUFF_TRY(channels(c, x, w, y, v));
    int64_t size[2], out[2], kernel[2];
    for (int i = 0; i < 2; i++) {
        const int64_t in = x < 0 ? p->size[i] : c->in[x].dim[2 + i];
        const int64_t have = y < 0 ? 0 : c->in[y].dim[2 + i];
        kernel[i] = w < 0 ? (p->size[i] ? p->size[i] : 1) : c->in[w].dim[2 + i];
        TUFF_TRY(extent(v, i, in, kernel[i], have, &size[i], &out[i]));
    }
    v->h = size[0];
    v->w = size[1];
    v->kh = kernel[0];
    v->kw = kernel[1];
    v->oh = out[0];
    v->ow = out[1];
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
    const double pixels = (double)v->n * (double)v->oh * (double)v->ow;
    tuff_cost k = { .flops = 2 * pixels * (double)v->o * (double)v->cg * (double)v->kh *
                             (double)v->kw,
                    .bytes = (double)tuff_desc_bytes(&c->out[0]) };
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) k.bytes += (double)tuff_desc_bytes(&c->in[i]);
    return k;
}
