// im2col and col2im. The shader is shaders/im2col.comp.
#include "ops/move.h"
#include "ops/ops.h"
#include "abi/im2col.h"

// Of an image [n, c, h, w] cut into windows.
typedef struct windows {
    int64_t n, c, h, w, kh, kw, oh, ow;
    int64_t stride[2], step[2], top, left;
} windows;

static int or_else(int v, int other) { return v ? v : other; }

static tuff_status windows_of(const tuff_im2col_params *p, int64_t n, int64_t c, int64_t h,
                              int64_t w, windows *s)
{
    *s = (windows){ .n = n, .c = c, .h = h, .w = w, .kh = or_else(p->kernel[0], 2),
                    .kw = or_else(p->kernel[1], 2), .top = p->pad[0], .left = p->pad[1] };
    const int64_t size[] = { h + p->pad[0] + p->pad[2], w + p->pad[1] + p->pad[3] };
    const int64_t kernel[] = { s->kh, s->kw };
    int64_t out[2];
    for (int i = 0; i < 2; i++) {
        s->stride[i] = or_else(p->stride[i], 1);
        s->step[i] = or_else(p->dilation[i], 1);
        TUFF_REQUIRE(kernel[i] > 0 && s->stride[i] > 0 && s->step[i] > 0 && p->pad[i] >= 0 &&
                     p->pad[i + 2] >= 0, ARG, "kernel is %d,%d, stride %d,%d, dilation %d,%d, "
                     "pad %d,%d,%d,%d: none may be negative", p->kernel[0], p->kernel[1],
                     p->stride[0], p->stride[1], p->dilation[0], p->dilation[1], p->pad[0],
                     p->pad[1], p->pad[2], p->pad[3]);
        const int64_t span = (kernel[i] - 1) * s->step[i] + 1;
        TUFF_REQUIRE(span <= size[i], SHAPE, "a window spans %lld %s, the padded image has "
                     "%lld", (long long)span, i ? "columns" : "rows", (long long)size[i]);
        out[i] = (size[i] - span) / s->stride[i] + 1;
    }
    s->oh = out[0];
    s->ow = out[1];
    return TUFF_OK;
}

static tuff_status of_image(const tuff_call *c, const tuff_desc *x, windows *s)
{
    TUFF_REQUIRE(x->rank == 4, SHAPE, "x has %d dims, it must have 4 (N C H W)", x->rank);
    return windows_of(c->params, x->dim[0], x->dim[1], x->dim[2], x->dim[3], s);
}

static tuff_status of_columns(const tuff_call *c, const tuff_desc *x, windows *s)
{
    const tuff_im2col_params *p = c->params;
    TUFF_REQUIRE(x->rank == 3, SHAPE, "x has %d dims, it must have 3 (N, C kh kw, L)", x->rank);
    TUFF_REQUIRE(p->size[0] > 0 && p->size[1] > 0, ARG,
                 "size is %d,%d, it must name the image's rows and columns", p->size[0],
                 p->size[1]);
    const int64_t taps = (int64_t)or_else(p->kernel[0], 2) * or_else(p->kernel[1], 2);
    TUFF_REQUIRE(taps > 0 && x->dim[1] % taps == 0, SHAPE,
                 "x has %lld rows, expected a multiple of the kernel's %lld taps",
                 (long long)x->dim[1], (long long)taps);
    TUFF_TRY(windows_of(p, x->dim[0], x->dim[1] / taps, p->size[0], p->size[1], s));
    TUFF_REQUIRE(x->dim[2] == s->oh * s->ow, SHAPE,
                 "x has %lld columns, an image of %d,%d has %lld x %lld windows",
                 (long long)x->dim[2], p->size[0], p->size[1], (long long)s->oh,
                 (long long)s->ow);
    return TUFF_OK;
}

static windows good(const tuff_call *c, bool back)
{
    windows s = { 0 };
    const tuff_status status = back ? of_columns(c, &c->in[0], &s) : of_image(c, &c->in[0], &s);
    (void)status; // infer has accepted it
    return s;
}

static tuff_status im2col_infer(const tuff_call *c, tuff_desc out[])
{
    windows s;
    TUFF_TRY(of_image(c, &c->in[0], &s));
    out[0] = TUFF_SHAPE(c->in[0].dtype, s.n, s.c * s.kh * s.kw, s.oh * s.ow);
    return TUFF_OK;
}

static tuff_status col2im_infer(const tuff_call *c, tuff_desc out[])
{
    windows s;
    TUFF_TRY(of_columns(c, &c->in[0], &s));
    out[0] = TUFF_SHAPE(c->in[0].dtype, s.n, s.c, s.h, s.w);
    return TUFF_OK;
}

// Where element (row, col) of the columns [planes kh kw, oh ow] lies in the image, or -1.
static int64_t place(const windows *s, int64_t row, int64_t col)
{
    const int64_t plane = row / (s->kh * s->kw), tap = row % (s->kh * s->kw);
    const int64_t y = col / s->ow * s->stride[0] + tap / s->kw * s->step[0] - s->top;
    const int64_t x = col % s->ow * s->stride[1] + tap % s->kw * s->step[1] - s->left;
    const bool inside = y >= 0 && y < s->h && x >= 0 && x < s->w;
    return inside ? (plane * s->h + y) * s->w + x : -1;
}

static void im2col_ref(const tuff_ref *r)
{
    const windows s = good(r->call, false);
    const int64_t cols = s.oh * s.ow;
    for (size_t i = r->begin; i < r->end; i++) {
        const int64_t at = place(&s, (int64_t)i / cols, (int64_t)i % cols);
        tuff_words_out(r, 0)[i] = at < 0 ? 0 : tuff_words(r, 0)[at];
    }
}

// One unit is one pixel.
static void col2im_ref(const tuff_ref *r)
{
    const windows s = good(r->call, true);
    const int64_t taps = s.kh * s.kw, cols = s.oh * s.ow;
    for (size_t i = r->begin; i < r->end; i++) {
        const int64_t plane = (int64_t)i / (s.h * s.w);
        const int64_t y = (int64_t)i / s.w % s.h, x = (int64_t)i % s.w;
        double sum = 0;
        for (int64_t t = 0; t < taps; t++) {
            const int64_t down = y + s.top - t / s.kw * s.step[0];
            const int64_t right = x + s.left - t % s.kw * s.step[1];
            if (down % s.stride[0] || right % s.stride[1]) continue;
            const int64_t oy = down / s.stride[0], ox = right / s.stride[1];
            if (oy < 0 || oy >= s.oh || ox < 0 || ox >= s.ow) continue;
            sum += r->in[0][(plane * taps + t) * cols + oy * s.ow + ox];
        }
        r->out[0][i] = (float)sum;
    }
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool back)
{
    const windows s = good(c, back);
    const uint32_t wg = tuff_group_size_flat(k), taps = (uint32_t)(s.kh * s.kw);
    const uint32_t most = k->max_loop ? k->max_loop / 2 : 1 << 20;
    struct tuff_im2col_pc pc = {
        .count = (uint32_t)tuff_desc_count(&c->out[0]), .h = (uint32_t)s.h, .w = (uint32_t)s.w,
        .kh = (uint32_t)s.kh, .kw = (uint32_t)s.kw, .oh = (uint32_t)s.oh, .ow = (uint32_t)s.ow,
        .stride_y = (uint32_t)s.stride[0], .stride_x = (uint32_t)s.stride[1],
        .step_y = (uint32_t)s.step[0], .step_x = (uint32_t)s.step[1], .top = (int32_t)s.top,
        .left = (int32_t)s.left
    };
    for (uint32_t first = 0; first < (back ? taps : 1); first += most) {
        if (p->count == TUFF_PLAN_MAX) return false;
        pc.first = first;
        pc.taps = taps - first < most ? taps - first : most;
        tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_im2col);
        tuff_spec(d, wg);
        tuff_spec(d, back);
        tuff_bind_in(d, 0);
        tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE,
                  first ? TUFF_READ | TUFF_WRITE : TUFF_WRITE);
        tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
        TUFF_PUSH(d, pc);
    }
    return true;
}

static bool im2col_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, false);
}

static bool col2im_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, k, p, true);
}

static tuff_cost col2im_cost(const tuff_call *c)
{
    return (tuff_cost){ (double)tuff_desc_count(&c->in[0]), tuff_move_cost(c).bytes };
}

static void im2col_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_im2col_params p = *(const tuff_im2col_params *)n->call.params;
    p.size[0] = (int)n->call.in[0].dim[2];
    p.size[1] = (int)n->call.in[0].dim[3];
    dx[0] = TUFF_V(t, &tuff_op_col2im, &p, dy[0]);
}

static void col2im_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_im2col, n->call.params, dy[0]);
}

#define PARAMS                                                                  \
    .params_size = sizeof(tuff_im2col_params),                                  \
    .params = { TUFF_POSITIVES(tuff_im2col_params, kernel, "block_shape"),      \
                TUFF_POSITIVES(tuff_im2col_params, stride, "strides"),          \
                TUFF_INTS(tuff_im2col_params, pad, "pads"),                     \
                TUFF_POSITIVES(tuff_im2col_params, dilation, "dilations"),      \
                TUFF_INTS(tuff_im2col_params, size, "image_shape") }

const tuff_op tuff_op_im2col = {
    .name = "im2col", PARAMS, .units = tuff_move_units, .cost = tuff_move_cost,
    .sample = { -4, 4 },
    .in = { { .name = "x", .dtypes = TUFF_MOVABLE } },
    .out = { { .name = "y", .dtypes = TUFF_MOVABLE } },
    .doc = "y[n, c kh kw, oh ow] = the windows of the image x [N C H W] as columns",
    .infer = im2col_infer, .ref = im2col_ref, .grad = im2col_grad,
    .variants = { TUFF_KERNEL("plain", im2col_plain) },
    .cases = TUFF_CASES("1x1x2x2", "2x3x7x5 kernel=3 pad=1", "1x2x9x11 kernel=3,2 stride=2,3",
                        "2x2x8x9 kernel=2,3 dilation=3,2 pad=0,1,2,3", "1x5x13x1 kernel=1")
};

const tuff_op tuff_op_col2im = {
    .name = "col2im", .onnx = "Col2Im", PARAMS, .units = tuff_move_units,
    .doc = "y[n, c, h, w] = the sum of the elements of columns x [N, C kh kw, L] that im2col "
           "would read there",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .infer = col2im_infer, .ref = col2im_ref, .grad = col2im_grad, .cost = col2im_cost,
    .variants = { TUFF_KERNEL("plain", col2im_plain) },
    // Sums carry what they lose.
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    .cases = TUFF_CASES("1x4x1 size=2", "2x27x35 kernel=3 pad=1 size=7,5",
                        "1x12x16 kernel=3,2 stride=2,3 size=9,11",
                        "2x12x63 kernel=2,3 dilation=3,2 pad=0,1,2,3 size=8,9",
                        "1x66049x1 kernel=257 pad=128 size=1")
};

tuff_status tuff_im2col(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_im2col_params *p)
{
    return tuff_run(s, &tuff_op_im2col, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_col2im(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_im2col_params *p)
{
    return tuff_run(s, &tuff_op_col2im, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
