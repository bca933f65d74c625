// concat and split: along an axis, one tensor of several and several of one.
#include "ops/move.h"
#include "ops/ops.h"
#include "ops/product_host.h"
#include "ops/walk.h"
#include <string.h>

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
        tuff_put(r, 0, i, k, (int64_t)(row * inner + i % inner));
    }
}

// On the CPU path: a copy for each input and each index before the axis.
static int64_t concat_before(const tuff_call *c)
{
    int64_t n = 1;
    for (int d = 0; d < concat_dim(c); d++) n *= c->out[0].dim[d];
    return n;
}

static bool concat_host_takes(const tuff_call *c) { return c->nin > 0; }

static size_t concat_host_units(const tuff_call *c, int stage)
{
    return stage ? 0 : tuff_host_share(concat_before(c) * c->nin,
                                       8 * (double)tuff_desc_count(&c->out[0]));
}

static void concat_host_run(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const int axis = concat_dim(c);
    size_t inner = tuff_dtype_size(c->out[0].dtype);
    for (int d = axis + 1; d < c->out[0].rank; d++) inner *= (size_t)c->out[0].dim[d];
    const int64_t items = concat_before(c) * c->nin;
    const size_t units = concat_host_units(c, 0), row = (size_t)c->out[0].dim[axis] * inner;
    const int64_t end = tuff_host_item(items, units, r->end);
    for (int64_t i = tuff_host_item(items, units, r->begin); i < end; i++) {
        const size_t before = (size_t)(i / c->nin), input = (size_t)(i % c->nin);
        size_t at = before * row;
        if (!r->in[input]) continue;
        for (size_t k = 0; k < input; k++)
            if (r->in[k]) at += (size_t)c->in[k].dim[axis] * inner;
        const size_t bytes = (size_t)c->in[input].dim[axis] * inner;
        char *to = (char *)r->out[0] + at;
        const char *from = (const char *)r->in[input] + before * bytes;
        if (to != from) memcpy(to, from, bytes); // else it lies there already
    }
}

// With nothing before the axis, the inputs lie one behind the other.
static int64_t concat_piece(const tuff_call *c, int input, int output)
{
    const int axis = concat_dim(c);
    int64_t step[TUFF_MAX_DIMS], begin = 0;
    (void)output;
    if (concat_before(c) != 1) return -1;
    tuff_steps(&c->out[0], step);
    for (int i = 0; i < input; i++)
        if (tuff_call_has(c, i)) begin += c->in[i].dim[axis];
    return begin * step[axis] * (int64_t)tuff_dtype_size(c->out[0].dtype);
}

// A copy an input.
static bool concat_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                        tuff_move_fn *copy)
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

TUFF_MOVE_PLANS(concat)

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
    { .name = name_, .dtypes = TUFF_MOVED, .optional = optional_ }

const tuff_op tuff_op_concat = {
    .name = "concat", .onnx = "Concat", TUFF_MOVE_COMMON,
    .doc = "y = x0, x1, ... one after the other along an axis",
    .in = { INPUT("x0", false), INPUT("x1", true), INPUT("x2", true), INPUT("x3", true),
            INPUT("x4", true), INPUT("x5", true), INPUT("x6", true), INPUT("x7", true),
            INPUT("x8", true), INPUT("x9", true) },
    .out = { { .name = "y", .dtypes = TUFF_MOVED } },
    .params_size = sizeof(tuff_concat_params),
    .params = { TUFF_AXIS(tuff_concat_params, axis) },
    .infer = concat_infer, .ref = concat_ref, .grad = concat_grad, .piece = concat_piece,
    .variants = TUFF_MOVE_KERNELS(concat),
    .hosts = { { .name = "fast", .takes = concat_host_takes, .run = concat_host_run,
                 .units = concat_host_units } },
    .cases = TUFF_CASES("7", "1 1", "3x257 3x5", "3x8 3x4 3x16", "5x7x11 2x7x11 axis=2",
                        "2x3x8 2x1x8 2x5x8 axis=1",
                        "13x2 13x1 13x3 13x1 13x7 13x5", "2 1 3 1 2 1 4 1 5 7")
};

tuff_status tuff_concat(tuff_stream *s, const tuff_tensor *const x[], int count,
                        tuff_tensor *y, const tuff_concat_params *p)
{
    return tuff_run(s, &tuff_op_concat, x, count, TUFF_RUN_OUT(y), p);
}

// ---- split ---------------------------------------------------------------------------------

// The sizes of the parts along the axis: those given, or equal ones of which the last may be
// smaller.
static tuff_status parts_of(const tuff_call *c, int64_t size[TUFF_OP_OUT], int *count)
{
    const tuff_split_params *p = c->params;
    const tuff_desc *x = &c->in[0];
    TUFF_REQUIRE(p->axis >= 0 && p->axis < x->rank, ARG, "axis is %d, x has %d dims", p->axis,
                 x->rank);
    const int64_t n = x->dim[x->rank - 1 - p->axis];
    int64_t total = 0;
    *count = 0;
    while (*count < TUFF_OP_OUT && p->split[*count]) {
        TUFF_REQUIRE(p->split[*count] > 0, ARG, "split[%d] is %d, it must be at least 1",
                     *count, p->split[*count]);
        size[*count] = p->split[*count];
        total += size[(*count)++];
    }
    TUFF_REQUIRE(!*count || total == n, SHAPE, "the parts of split have %lld elements "
                 "together, the dim has %lld", (long long)total, (long long)n);
    TUFF_REQUIRE(!*count || !p->num_outputs || p->num_outputs == *count, ARG,
                 "num_outputs is %d, split has %d parts", p->num_outputs, *count);
    if (*count) return TUFF_OK;
    TUFF_REQUIRE(p->num_outputs >= 0 && p->num_outputs <= TUFF_OP_OUT, ARG,
                 "num_outputs is %d, it must be 1 to %d", p->num_outputs, TUFF_OP_OUT);
    const int parts = p->num_outputs ? p->num_outputs : 2;
    const int64_t each = (n + parts - 1) / parts;
    TUFF_REQUIRE(each * (parts - 1) < n, SHAPE,
                 "%lld elements cannot be split into %d parts of %lld and a smaller last one",
                 (long long)n, parts, (long long)each);
    for (int i = 0; i < parts; i++) size[i] = i < parts - 1 ? each : n - each * (parts - 1);
    *count = parts;
    return TUFF_OK;
}

static tuff_status split_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_split_params *p = c->params;
    int64_t size[TUFF_OP_OUT];
    int count = 0;
    TUFF_TRY(parts_of(c, size, &count));
    for (int i = 0; i < TUFF_OP_OUT; i++) {
        out[i] = i < count ? c->in[0] : (tuff_desc){ 0 };
        if (i < count) out[i].dim[out[i].rank - 1 - p->axis] = size[i];
    }
    return TUFF_OK;
}

// Movement computes nothing.
static tuff_cost split_cost(const tuff_call *c)
{
    return (tuff_cost){ 0, 2 * (double)tuff_desc_bytes(&c->in[0]) };
}

static size_t split_units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->in[0]); }

// An element of x looks for the part that it belongs to.
static void split_ref(const tuff_ref *r)
{
    const tuff_split_params *p = r->call->params;
    const tuff_axis a = tuff_axis_of(&r->call->in[0], p->axis);
    for (size_t i = r->begin; i < r->end; i++) {
        size_t along = i / a.step % a.cols;
        const size_t outer = i / a.step / a.cols;
        int k = 0;
        for (;; k++) {
            const size_t n = tuff_axis_of(&r->call->out[k], p->axis).cols;
            if (along < n) {
                tuff_put(r, k, (outer * n + along) * a.step + i % a.step, 0, (int64_t)i);
                break;
            }
            along -= n;
        }
    }
}

// A copy an output.
static bool split_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, tuff_move_fn *copy)
{
    const tuff_split_params *params = c->params;
    const int axis = c->in[0].rank - 1 - params->axis;
    int64_t begin = 0;
    for (int o = 0; o < c->nout; o++) {
        tuff_move m = { .rank = c->in[0].rank, .output = o };
        memcpy(m.dim, c->out[o].dim, sizeof m.dim);
        tuff_steps(&c->out[o], m.out_step);
        tuff_steps(&c->in[0], m.in_step);
        m.in_base = begin * m.in_step[axis];
        begin += m.dim[axis];
        if (!copy(c, k, p, 0, &m)) return false;
    }
    return true;
}
TUFF_MOVE_PLANS(split)

static int64_t split_piece(const tuff_call *c, int input, int output)
{
    const tuff_split_params *p = c->params;
    const tuff_axis a = tuff_axis_of(&c->in[0], p->axis);
    int64_t begin = 0;
    (void)input;
    if (a.rows != a.step) return -1; // something lies before the axis
    for (int o = 0; o < output; o++) begin += tuff_desc_count(&c->out[o]);
    return begin * (int64_t)tuff_dtype_size(c->in[0].dtype);
}

// Put together again; parts that nobody used are zeros, which slice_grad leaves.
static void split_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_split_params *p = n->call.params;
    const tuff_concat_params together = { .axis = p->axis };
    const int rank = n->call.in[0].rank, axis = rank - 1 - p->axis;
    bool all = true;
    for (int o = 0; o < n->call.nout; o++) all &= !tuff_var_null(dy[o]);
    if (all) {
        dx[0] = tuff_v(t, &tuff_op_concat, &together, n->call.nout, dy);
        return;
    }
    tuff_slice_params s = { .starts = { 0 } };
    for (int i = 0; i < rank; i++) s.size[i] = (int)n->call.in[0].dim[i];
    for (int o = 0; o < n->call.nout; o++) {
        s.ends[axis] = s.starts[axis] + (int)n->call.out[o].dim[axis];
        if (!tuff_var_null(dy[o])) {
            const tuff_var part = TUFF_V(t, &tuff_op_slice_grad, &s, dy[o]);
            dx[0] = tuff_var_null(dx[0]) ? part : TUFF_V(t, &tuff_op_add, NULL, dx[0], part);
        }
        s.starts[axis] = s.ends[axis];
    }
}

#define OUTPUT(name_) { .name = name_, .dtypes = TUFF_MOVED, .optional = true }

const tuff_op tuff_op_split = {
    .name = "split", .onnx = "Split", .native = TUFF_WORDS | TUFF_I64, .cost = split_cost,
    .sample = { -4, 4 },
    .doc = "y0, y1, ... = the parts of x along an axis: what concat undoes",
    .in = { { .name = "x", .dtypes = TUFF_MOVED } },
    .out = { { .name = "y0", .dtypes = TUFF_MOVED }, OUTPUT("y1"), OUTPUT("y2"), OUTPUT("y3"),
             OUTPUT("y4"), OUTPUT("y5"), OUTPUT("y6"), OUTPUT("y7") },
    .params_size = sizeof(tuff_split_params),
    .params = { TUFF_AXIS(tuff_split_params, axis),
                TUFF_POSITIVES(tuff_split_params, split, NULL),
                TUFF_POSITIVE(tuff_split_params, num_outputs) },
    .infer = split_infer, .units = split_units, .ref = split_ref, .grad = split_grad,
    .piece = split_piece,
    .variants = TUFF_MOVE_KERNELS(split),
    .cases = TUFF_CASES("2", "3x257 num_outputs=1", "7 num_outputs=4", "5x16 split=4,12",
                        "7x5x11 axis=2 split=1,4,2", "2x8x3 axis=1 split=1,1,1,1,1,1,1,1",
                        "13x31 split=2,1,3,25")
};

tuff_status tuff_split_parts(tuff_stream *s, const tuff_tensor *x, tuff_tensor *const y[],
                             int count, const tuff_split_params *p)
{
    return tuff_run(s, &tuff_op_split, TUFF_RUN_IN(x), y, count, p);
}
