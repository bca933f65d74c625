// slice, its gradient, and concat: parts of a tensor.
#include "ops/compose.h"
#include "ops/move.h"
#include "ops/walk.h"
#include "abi/fill.h"
#include <string.h>

// What is read along each dim: start, start + step, ..., `count` of them.
typedef struct cut {
    int64_t start[TUFF_MAX_DIMS], step[TUFF_MAX_DIMS], count[TUFF_MAX_DIMS];
} cut;

// A place as params name it, made one of 0 .. n (ONNX Slice).
static int64_t place(int64_t at, int64_t n)
{
    if (at < 0) at += n;
    return at < 0 ? 0 : at > n ? n : at;
}

static tuff_status cut_of(const tuff_slice_params *p, int rank, const int64_t dim[], cut *s)
{
    for (int i = 0; i < rank; i++) {
        const int64_t end = p->ends[i] ? place(p->ends[i], dim[i]) : dim[i];
        s->start[i] = place(p->starts[i], dim[i]);
        TUFF_REQUIRE(p->steps[i] >= 0, ARG, "steps[%d] is %d, it must be at least 1", i,
                     p->steps[i]);
        s->step[i] = p->steps[i] ? p->steps[i] : 1;
        TUFF_REQUIRE(end > s->start[i], SHAPE,
                     "nothing is left of dim %d: it runs from %lld to %lld of %lld", i,
                     (long long)s->start[i], (long long)end, (long long)dim[i]);
        s->count[i] = (end - s->start[i] + s->step[i] - 1) / s->step[i];
    }
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
            at += ((size_t)s.start[d] + left % n * (size_t)s.step[d]) * step;
            step *= (size_t)x->dim[d];
            left /= n;
        }
        r->out[0][i] = r->in[0][at];
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

static bool slice_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = cut_move(c, &c->in[0], &c->out[0], false);
    return tuff_move_texel(c, k, p, 0, &m);
}

static bool slice_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = cut_move(c, &c->in[0], &c->out[0], false);
    return tuff_move_plain(c, k, p, 0, &m);
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
                TUFF_INTS(tuff_slice_params, steps, NULL),                      \
                TUFF_INTS(tuff_slice_params, size, NULL) }
#define COMMON .units = tuff_move_units, .cost = tuff_move_cost, .sample = { -4, 4 }

const tuff_op tuff_op_slice = {
    .name = "slice", .onnx = "Slice", COMMON, SLICE_PARAMS,
    .doc = "y = x[starts : ends : steps], dim by dim",
    .in = { { .name = "x", .dtypes = TUFF_F32 } },
    .out = { { .name = "y", .dtypes = TUFF_F32 } },
    .infer = slice_infer, .ref = slice_ref, .grad = slice_backward,
    .variants = { TUFF_KERNEL("texel", slice_texel), TUFF_KERNEL("plain", slice_plain) },
    .cases = TUFF_CASES("1", "257 starts=3 ends=-5 steps=7", "13x16 starts=2,4 ends=-1,12",
                        "5x7x11 starts=1,0,2 steps=2,3,4", "64x3x8 starts=-9 ends=-3",
                        "2x3x2x3x2x3x2x3 starts=1,1,0,2,0,1,1,1")
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
            read = read && from_start >= 0 && from_start % s.step[d] == 0 && j < s.count[d];
            at += j * step;
            step *= dy->dim[d];
            left /= dx->dim[d];
        }
        r->out[0][i] = read ? r->in[0][at] : 0;
    }
}

// Zeros everywhere first, unless the slice reads everything.
static void add_zeros(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint64_t count = (uint64_t)tuff_desc_count(&c->out[0]);
    if ((int64_t)count == tuff_desc_count(&c->in[0])) return;
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_fill);
    tuff_spec(d, wg);
    tuff_bind_out(d, 0);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_fill_pc){ (uint32_t)count, 0 });
}

static bool slice_grad_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = cut_move(c, &c->out[0], &c->in[0], true);
    add_zeros(c, k, p);
    return tuff_move_texel(c, k, p, 0, &m);
}

static bool slice_grad_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_move m = cut_move(c, &c->out[0], &c->in[0], true);
    add_zeros(c, k, p);
    return tuff_move_plain(c, k, p, 0, &m);
}

static void slice_grad_backward(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                                tuff_var dx[])
{
    dx[0] = TUFF_V(t, &tuff_op_slice, n->call.params, dy[0]);
}

const tuff_op tuff_op_slice_grad = {
    .name = "slice_grad", COMMON, SLICE_PARAMS,
    .doc = "dx = dy at the places that slice reads, 0 elsewhere",
    .in = { { .name = "dy", .dtypes = TUFF_F32 } },
    .out = { { .name = "dx", .dtypes = TUFF_F32 } },
    .infer = slice_grad_infer, .ref = slice_grad_ref, .grad = slice_grad_backward,
    .variants = { TUFF_KERNEL("texel", slice_grad_texel),
                  TUFF_KERNEL("plain", slice_grad_plain) },
    .cases = TUFF_CASES("1 size=1", "36 starts=3 ends=-5 steps=7 size=257",
                        "10x8 starts=2,4 ends=-1,12 size=13,16",
                        "2x3x3 starts=1,0,2 steps=2,3,4 size=5,7,11",
                        "6x3x8 starts=-9 ends=-3 size=64,3,8")
};

tuff_status tuff_slice_grad(tuff_stream *s, const tuff_tensor *dy, tuff_tensor *dx,
                            const tuff_slice_params *p)
{
    return tuff_run(s, &tuff_op_slice_grad, TUFF_RUN_IN(dy), TUFF_RUN_OUT(dx), p);
}

// ---- concat --------------------------------------------------------------------------------

// The axis counted from the outermost.
static int concat_dim(const tuff_call *c)
{
    const tuff_concat_params *p = c->params;
    return c->in[0].rank - 1 - p->axis;
}

static tuff_status concat_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_concat_params *p = c->params;
    const tuff_desc *first = &c->in[0];
    TUFF_REQUIRE(p->axis >= 0 && p->axis < first->rank, ARG, "axis is %d, x0 has %d dims",
                 p->axis, first->rank);
    const int axis = concat_dim(c);
    out[0] = *first;
    for (int i = 1; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        tuff_desc same = c->in[i];
        if (same.rank == first->rank) same.dim[axis] = first->dim[axis];
        char ti[96], t0[96];
        TUFF_REQUIRE(tuff_desc_equal(&same, first), SHAPE,
                     "x%d is %s and x0 is %s: only dim %d may differ", i,
                     tuff_desc_print(&c->in[i], ti, sizeof ti),
                     tuff_desc_print(first, t0, sizeof t0), axis);
        out[0].dim[axis] += c->in[i].dim[axis];
    }
    return TUFF_OK;
}

static void concat_ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const int axis = concat_dim(c);
    size_t inner = 1;
    for (int d = axis + 1; d < c->out[0].rank; d++) inner *= (size_t)c->out[0].dim[d];
    const size_t total = (size_t)c->out[0].dim[axis];
    for (size_t i = r->begin; i < r->end; i++) {
        size_t along = i / inner % total;
        int k = 0;
        while (!r->in[k] || along >= (size_t)c->in[k].dim[axis]) {
            if (r->in[k]) along -= (size_t)c->in[k].dim[axis];
            k++;
        }
        const size_t outer = i / inner / total;
        const size_t row = outer * (size_t)c->in[k].dim[axis] + along;
        r->out[0][i] = r->in[k][row * inner + i % inner];
    }
}

typedef bool move_fn(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int input,
                     const tuff_move *m);

// A copy an input.
static bool concat_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, move_fn *copy)
{
    const int axis = concat_dim(c);
    int64_t step[TUFF_MAX_DIMS], begin = 0;
    tuff_steps(&c->out[0], step);
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        tuff_move m = { .rank = c->in[i].rank, .out_base = begin * step[axis] };
        memcpy(m.dim, c->in[i].dim, sizeof m.dim);
        memcpy(m.out_step, step, sizeof step);
        tuff_steps(&c->in[i], m.in_step);
        if (!copy(c, k, p, i, &m)) return false;
        begin += c->in[i].dim[axis];
    }
    return true;
}

static bool concat_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return concat_plan(c, k, p, tuff_move_texel);
}

static bool concat_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return concat_plan(c, k, p, tuff_move_plain);
}

static void concat_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const int axis = concat_dim(&n->call);
    tuff_slice_params p = { .starts = { 0 } };
    for (int i = 0; i < n->call.nin; i++) {
        if (!tuff_call_has(&n->call, i)) continue;
        p.ends[axis] = p.starts[axis] + (int)n->call.in[i].dim[axis];
        dx[i] = TUFF_V(t, &tuff_op_slice, &p, dy[0]);
        p.starts[axis] = p.ends[axis];
    }
}

#define INPUT(name_, optional_)                                                 \
    { .name = name_, .dtypes = TUFF_F32, .optional = optional_ }

const tuff_op tuff_op_concat = {
    .name = "concat", .onnx = "Concat", COMMON,
    .doc = "y = x0, x1, ... one after the other along an axis",
    .in = { INPUT("x0", false), INPUT("x1", true), INPUT("x2", true), INPUT("x3", true),
            INPUT("x4", true), INPUT("x5", true) },
    .out = { { .name = "y", .dtypes = TUFF_F32 } },
    .params_size = sizeof(tuff_concat_params),
    .params = { TUFF_AXIS(tuff_concat_params, axis) },
    .infer = concat_infer, .ref = concat_ref, .grad = concat_grad,
    .variants = { TUFF_KERNEL("texel", concat_texel), TUFF_KERNEL("plain", concat_plain) },
    .cases = TUFF_CASES("7", "1 1", "3x257 3x5", "3x8 3x4 3x16", "5x7x11 2x7x11 axis=2",
                        "2x3x8 2x1x8 2x5x8 axis=1",
                        "13x2 13x1 13x3 13x1 13x7 13x5")
};

tuff_status tuff_concat(tuff_stream *s, const tuff_tensor *const x[], int count,
                        tuff_tensor *y, const tuff_concat_params *p)
{
    return tuff_run(s, &tuff_op_concat, x, count, TUFF_RUN_OUT(y), p);
}
