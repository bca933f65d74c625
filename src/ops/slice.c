// slice and its gradient: a part of a tensor.
#include "ops/compose.h"
#include "ops/move.h"
#include "ops/walk.h"
#include "abi/fill.h"
#include <string.h>

// What is read along each dim: start, start + step, ..., `count` of them.
typedef struct cut {
    int64_t start[TUFF_MAX_DIMS], step[TUFF_MAX_DIMS], count[TUFF_MAX_DIMS];
} cut;

// A place as params name it, made one of low .. high (ONNX Slice).
static int64_t place(int64_t at, int64_t n, int64_t low, int64_t high)
{
    if (at < 0) at += n;
    return at < low ? low : at > high ? high : at;
}

// One dim of n elements. Going backwards, what ends before element 0 ends at -1.
static tuff_status cut_dim(int64_t from, int64_t to, int64_t step, int d, int64_t n, cut *s)
{
    if (!step) step = 1;
    const bool back = step < 0;
    const int64_t start = back ? place(from, n, 0, n - 1) : place(from, n, 0, n);
    const int64_t end = back ? place(to, n, -1, n - 1) : to ? place(to, n, 0, n) : n;
    TUFF_REQUIRE(back ? end < start : end > start, SHAPE,
                 "nothing is left of dim %d: it runs from %lld to %lld of %lld", d,
                 (long long)start, (long long)end, (long long)n);
    s->start[d] = start;
    s->step[d] = step;
    s->count[d] = back ? (start - end - step - 1) / -step : (end - start + step - 1) / step;
    return TUFF_OK;
}

static tuff_status cut_of(const tuff_slice_params *p, int rank, const int64_t dim[], cut *s)
{
    int which[TUFF_MAX_DIMS], n;
    TUFF_TRY(tuff_dims_of(p->axes, rank, which, &n));
    for (int i = 0; i < rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->count[i] = dim[i];
    }
    for (int i = 0; i < n; i++)
        TUFF_TRY(cut_dim(p->starts[i], p->ends[i], p->steps[i], which[i], dim[which[i]], s));
    return TUFF_OK;
}

// The cut of a call that infer has accepted; `x` is the whole tensor's description.
static cut accepted_cut(const tuff_call *c, const tuff_desc *x)
{
    cut s = { .start = { 0 } };
    const tuff_status status = cut_of(c->params, x->rank, x->dim, &s);
    (void)status;
    return s;
}

// ---- slice ---------------------------------------------------------------------------------

static tuff_status slice_infer(const tuff_call *c, tuff_desc out[])
{
    cut s;
    TUFF_TRY(cut_of(c->params, c->in[0].rank, c->in[0].dim, &s));
    out[0] = c->in[0];
    for (int i = 0; i < out[0].rank; i++) out[0].dim[i] = s.count[i];
    return TUFF_OK;
}

static void slice_ref(const tuff_ref *r)
{
    const tuff_desc *x = &r->call->in[0], *y = &r->call->out[0];
    const cut s = accepted_cut(r->call, x);
    for (size_t i = r->begin; i < r->end; i++) {
        size_t left = i, at = 0, step = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            const size_t n = (size_t)y->dim[d];
            at += (size_t)(s.start[d] + (int64_t)(left % n) * s.step[d]) * step;
            step *= (size_t)x->dim[d];
            left /= n;
        }
        tuff_put(r, 0, i, 0, (int64_t)at);
    }
}

// The loop over the part; `part` is dense, `whole` is walked with the cut's steps.
static tuff_move cut_move(const tuff_call *c, const tuff_desc *whole, const tuff_desc *part,
                          bool into_whole)
{
    const cut s = accepted_cut(c, whole);
    int64_t step[TUFF_MAX_DIMS];
    tuff_steps(whole, step);
    tuff_move m = { .rank = part->rank };
    memcpy(m.dim, part->dim, sizeof m.dim);
    tuff_steps(part, into_whole ? m.in_step : m.out_step);
    for (int i = 0; i < part->rank; i++) {
        (into_whole ? m.out_step : m.in_step)[i] = s.step[i] * step[i];
        *(into_whole ? &m.out_base : &m.in_base) += s.start[i] * step[i];
    }
    return m;
}

static tuff_move slice_move(const tuff_call *c)
{
    return cut_move(c, &c->in[0], &c->out[0], false);
}
TUFF_ONE_MOVE(slice)

// One index of the outer dims, a run of one dim, and all of the inner ones.
static int64_t slice_piece(const tuff_call *c, int input, int output)
{
    const tuff_desc *x = &c->in[input], *y = &c->out[output];
    const tuff_move m = slice_move(c);
    int64_t step[TUFF_MAX_DIMS];
    tuff_steps(x, step);
    int d = 0;
    while (d < x->rank && y->dim[d] == 1) d++;
    if (d < x->rank && m.in_step[d] != step[d]) return -1;
    for (d++; d < x->rank; d++)
        if (y->dim[d] != x->dim[d] || m.in_step[d] != step[d]) return -1;
    return m.in_base * (int64_t)tuff_dtype_size(x->dtype);
}

static void slice_backward(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                           tuff_var dx[])
{
    tuff_slice_params p = *(const tuff_slice_params *)n->call.params;
    for (int i = 0; i < n->call.in[0].rank; i++) p.size[i] = (int)n->call.in[0].dim[i];
    dx[0] = TUFF_V(t, &tuff_op_slice_grad, &p, dy[0]);
}

#define SLICE_PARAMS                                                            \
    .params_size = sizeof(tuff_slice_params),                                   \
    .params = { TUFF_INTS(tuff_slice_params, starts, NULL),                     \
                TUFF_INTS(tuff_slice_params, ends, NULL),                       \
                { .name = "steps", .type = TUFF_FIELD_INTS, .count = TUFF_MAX_DIMS, \
                  .offset = offsetof(tuff_slice_params, steps), .range = TUFF_NOT_0 }, \
                TUFF_INTS(tuff_slice_params, size, NULL),                       \
                TUFF_DIMS(tuff_slice_params, axes) }

const tuff_op tuff_op_slice = {
    .name = "slice", .onnx = "Slice", TUFF_MOVE_COMMON, SLICE_PARAMS,
    .doc = "y = x[starts : ends : steps], dim by dim; an end of 0 before a step above 0 is x's "
           "end",
    TUFF_MOVE_XY,
    .infer = slice_infer, .ref = slice_ref, .grad = slice_backward, .piece = slice_piece,
    .variants = TUFF_MOVE_KERNELS(slice), TUFF_MOVE_FAST(slice),
    .cases = TUFF_CASES("1", "257 starts=3 ends=-5 steps=7", "13x16 starts=2,4 ends=-1,12",
                        "5x7x11 starts=1,0,2 steps=2,3,4", "64x3x8 starts=-9 ends=-3",
                        "2x3x2x3x2x3x2x3 starts=1,1,0,2,0,1,1,1",
                        "20x10x5 starts=20,10,4 ends=0,0,1 steps=-1,-3,-2",
                        "5x64 starts=-1,4 ends=-9,40 steps=-2,4 axes=1,0")
};

tuff_status tuff_slice(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                       const tuff_slice_params *p)
{
    return tuff_run(s, &tuff_op_slice, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

// ---- slice_grad ----------------------------------------------------------------------------

static tuff_status slice_grad_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_slice_params *p = c->params;
    const tuff_desc *dy = &c->in[0];
    tuff_desc dx = *dy;
    for (int i = 0; i < dx.rank; i++) {
        TUFF_REQUIRE(p->size[i] >= 1, ARG, "size[%d] is %d, it must be at least 1", i,
                     p->size[i]);
        dx.dim[i] = p->size[i];
    }
    cut s;
    TUFF_TRY(cut_of(p, dx.rank, dx.dim, &s));
    for (int i = 0; i < dx.rank; i++)
        TUFF_REQUIRE(s.count[i] == dy->dim[i], SHAPE,
                     "the slice has %lld elements along dim %d, dy has %lld",
                     (long long)s.count[i], i, (long long)dy->dim[i]);
    out[0] = dx;
    return TUFF_OK;
}

// Gathers: an element of dx looks whether the slice read it.
static void slice_grad_ref(const tuff_ref *r)
{
    const tuff_desc *dy = &r->call->in[0], *dx = &r->call->out[0];
    const cut s = accepted_cut(r->call, dx);
    for (size_t i = r->begin; i < r->end; i++) {
        int64_t left = (int64_t)i, at = 0, step = 1;
        bool read = true;
        for (int d = dx->rank - 1; d >= 0; d--) {
            const int64_t from_start = left % dx->dim[d] - s.start[d];
            const int64_t j = from_start / s.step[d];
            read = read && from_start % s.step[d] == 0 && j >= 0 && j < s.count[d];
            at += j * step;
            step *= dy->dim[d];
            left /= dx->dim[d];
        }
        tuff_put(r, 0, i, 0, read ? at : -1);
    }
}

// Zeros everywhere first, unless the slice reads everything.
static void add_zeros(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (tuff_desc_count(&c->out[0]) == tuff_desc_count(&c->in[0])) return;
    const uint64_t count = tuff_desc_bytes(&c->out[0]) / 4; // words
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_fill);
    tuff_spec(d, wg);
    tuff_bind_out(d, 0);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_fill_pc){ (uint32_t)count, 0 });
}

static bool slice_grad_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                            tuff_move_fn *copy)
{
    const tuff_move m = cut_move(c, &c->out[0], &c->in[0], true);
    add_zeros(c, k, p);
    return copy(c, k, p, 0, &m);
}
TUFF_MOVE_PLANS(slice_grad)

static void slice_grad_backward(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                                tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_slice, n->call.params, dy[0]);
}

const tuff_op tuff_op_slice_grad = {
    .name = "slice_grad", TUFF_MOVE_COMMON, SLICE_PARAMS,
    .doc = "dx = dy at the places that slice reads, 0 elsewhere",
    .in = { { .name = "dy", .dtypes = TUFF_MOVED } },
    .out = { { .name = "dx", .dtypes = TUFF_MOVED } },
    .infer = slice_grad_infer, .ref = slice_grad_ref, .grad = slice_grad_backward,
    .variants = TUFF_MOVE_KERNELS(slice_grad),
    .cases = TUFF_CASES("1 size=1", "36 starts=3 ends=-5 steps=7 size=257",
                        "10x8 starts=2,4 ends=-1,12 size=13,16",
                        "2x3x3 starts=1,0,2 steps=2,3,4 size=5,7,11",
                        "6x3x8 starts=-9 ends=-3 size=64,3,8",
                        "3x4 starts=-1,9 ends=-9,2 steps=-2,-2 size=5,13")
};

tuff_status tuff_slice_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                            const tuff_slice_params *p)
{
    return tuff_run(s, &tuff_op_slice_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}
