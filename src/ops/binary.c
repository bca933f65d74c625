// y = f(a, b) with NumPy's broadcasting, and the gradients of activations, which are such
// functions of (y, dy). The shader is shaders/binary.comp.
#include "ops/compose.h"
#include "ops/walk.h"
#include "abi/elementwise.h"
#include <string.h>

static int64_t dim_from_inner(const tuff_desc *d, int axis)
{
    return axis < d->rank ? d->dim[d->rank - 1 - axis] : 1;
}

static tuff_status infer_broadcast(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *a = &c->in[0], *b = &c->in[1];
    tuff_desc y = { .dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int axis = 0; axis < y.rank; axis++) {
        const int64_t m = dim_from_inner(a, axis), n = dim_from_inner(b, axis);
        char ta[96], tb[96];
        TUFF_REQUIRE(m == n || m == 1 || n == 1, SHAPE,
                     "a is %s and b is %s: dims must be equal or 1, counted from the last",
                     tuff_desc_print(a, ta, sizeof ta), tuff_desc_print(b, tb, sizeof tb));
        y.dim[y.rank - 1 - axis] = m == 1 ? n : m;
    }
    out[0] = y;
    return TUFF_OK;
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

// ---- references ----------------------------------------------------------------------------

// Where element i of y finds its element of an input: NumPy's rule, dim by dim from the last.
static size_t broadcast_at(const tuff_desc *x, const tuff_desc *y, size_t i)
{
    size_t at = 0, step = 1;
    for (int axis = 0; axis < x->rank; axis++) {
        const size_t n = (size_t)dim_from_inner(x, axis), m = (size_t)dim_from_inner(y, axis);
        if (n > 1) at += i % m * step;
        step *= n;
        i /= m;
    }
    return at;
}

static void each(const tuff_ref *r, double (*f)(double a, double b))
{
    const tuff_desc *a = &r->call->in[0], *b = &r->call->in[1], *y = &r->call->out[0];
    const bool same_a = tuff_desc_equal(a, y), same_b = tuff_desc_equal(b, y);
    for (size_t i = r->begin; i < r->end; i++) {
        const double u = r->in[0][same_a ? i : broadcast_at(a, y, i)];
        const double v = r->in[1][same_b ? i : broadcast_at(b, y, i)];
        r->out[0][i] = (float)f(u, v);
    }
}

static double add_of(double a, double b) { return a + b; }
static double sub_of(double a, double b) { return a - b; }
static double mul_of(double a, double b) { return a * b; }
static double div_of(double a, double b) { return a / b; }
static double equal_of(double a, double b) { return a == b; }

#define REFERENCE(name)                                                         \
    static void ref_##name(const tuff_ref *r) { each(r, name##_of); }
REFERENCE(add)
REFERENCE(sub)
REFERENCE(mul)
REFERENCE(div)
REFERENCE(equal)

// ---- plans ---------------------------------------------------------------------------------

// How one operand is read: mode, and for TUFF_READ_PERIODIC its element i / div % mod.
typedef struct reading {
    uint32_t mode, div, mod;
} reading;

// The dims along which an operand is not repeated are one block of neighbours in most
// broadcasts (a scalar, a row, a column, a channel's value): then no walk is needed.
static reading read_operand(const tuff_walk *w, int tensor, uint32_t count)
{
    reading r = { TUFF_READ_PERIODIC, 1, 1 };
    int d = 0;
    while (d < w->rank && w->step[tensor][d] == 0) r.div *= w->dim[d++];
    for (; d < w->rank && w->step[tensor][d] != 0; d++) r.mod *= w->dim[d];
    while (d < w->rank && w->step[tensor][d] == 0) d++;
    if (d < w->rank) r.mode = TUFF_READ_ND;
    else if (r.mod == count) r.mode = TUFF_READ_SAME;
    return r;
}

typedef struct layout {
    struct tuff_binary_pc pc;
    reading a, b;
    uint32_t rank; // of a walk, 0 without one
} layout;

static layout layout_of(const tuff_call *c)
{
    const tuff_desc *y = &c->out[0];
    int64_t step_a[TUFF_MAX_DIMS], step_b[TUFF_MAX_DIMS];
    tuff_steps_as(&c->in[0], y, step_a);
    tuff_steps_as(&c->in[1], y, step_b);
    const tuff_walk w = tuff_walk_make(y->rank, y->dim, step_a, step_b);
    layout l = { .pc = { .count = (uint32_t)tuff_desc_count(y) } };
    l.a = read_operand(&w, 0, l.pc.count);
    l.b = read_operand(&w, 1, l.pc.count);
    if (l.a.mode == TUFF_READ_ND || l.b.mode == TUFF_READ_ND)
        l = (layout){ l.pc, { TUFF_READ_ND, 1, 1 }, { TUFF_READ_ND, 1, 1 }, (uint32_t)w.rank };
    l.pc.a_div = l.a.div;
    l.pc.a_mod = l.a.mod;
    l.pc.b_div = l.b.div;
    l.pc.b_mod = l.b.mod;
    memcpy(l.pc.dim, w.dim, sizeof w.dim);
    memcpy(l.pc.a_step, w.step[0], sizeof w.dim);
    memcpy(l.pc.b_step, w.step[1], sizeof w.dim);
    return l;
}

static tuff_dispatch *add_dispatch(const tuff_caps *k, tuff_plan *p, int shader,
                                   uint32_t function, const layout *l)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, function);
    tuff_spec(d, l->a.mode);
    tuff_spec(d, l->b.mode);
    tuff_spec(d, l->rank);
    tuff_grid(d, ((uint64_t)l->pc.count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, l->pc);
    return d;
}

// Four neighbours at once: one fetch brings all four of an operand of y's shape, and the one
// that all four share of an operand repeated that often.
static void read_four(reading *r, bool wide)
{
    if (r->mode == TUFF_READ_SAME && !wide) r->mode = TUFF_READ_PERIODIC;
    if (r->mode == TUFF_READ_PERIODIC && (r->mod == 1 || r->div % 4 == 0))
        r->mode = TUFF_READ_BLOCK;
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                       uint32_t function)
{
    layout l = layout_of(c);
    const bool wide = l.pc.count % 4 == 0;
    read_four(&l.a, wide);
    read_four(&l.b, wide);
    const bool four_a = l.a.mode == TUFF_READ_SAME, four_b = l.b.mode == TUFF_READ_SAME;
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[0], four_a ? 16 : 4) ||
        !tuff_fits_texel(k, &c->in[1], four_b ? 16 : 4))
        return false;
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_binary_texel, function, &l);
    tuff_spec(d, wide);
    tuff_bind(d, TUFF_ROLE_IN, 0, four_a ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
              TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, 1, four_b ? TUFF_BIND_TEXEL_F32X4 : TUFF_BIND_TEXEL_F32,
              TUFF_READ);
    tuff_bind_out(d, 0);
    return true;
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p,
                       uint32_t function)
{
    const layout l = layout_of(c);
    tuff_dispatch *d = add_dispatch(k, p, TUFF_SHADER_binary, function, &l);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, 1);
    tuff_bind_out(d, 0);
    return true;
}

TUFF_FUNCTION_PLANS(add, TUFF_BINARY_ADD)
TUFF_FUNCTION_PLANS(sub, TUFF_BINARY_SUB)
TUFF_FUNCTION_PLANS(mul, TUFF_BINARY_MUL)
TUFF_FUNCTION_PLANS(div, TUFF_BINARY_DIV)
TUFF_FUNCTION_PLANS(equal, TUFF_BINARY_EQUAL)

// ---- gradients -----------------------------------------------------------------------------

static void grad_add(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
    dx[1] = tuff_unbroadcast(t, dy[0], &n->call.in[1]);
}

static void grad_sub(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
    dx[1] = tuff_scaled(t, tuff_unbroadcast(t, dy[0], &n->call.in[1]), -1);
}

static void grad_mul(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    for (int i = 0; i < 2; i++) {
        const tuff_var g = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[1 - i]);
        dx[i] = tuff_unbroadcast(t, g, &n->call.in[i]);
    }
}

// da = dy / b, db = -dy y / b.
static void grad_div(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var da = TUFF_V(t, &tuff_op_div, NULL, dy[0], n->in[1]);
    const tuff_var db = TUFF_V(t, &tuff_op_mul, NULL, da, n->out[0]);
    dx[0] = tuff_unbroadcast(t, da, &n->call.in[0]);
    dx[1] = tuff_scaled(t, tuff_unbroadcast(t, db, &n->call.in[1]), -1);
}

// ---- records -------------------------------------------------------------------------------

// Same shape; a scalar; a row; a column; a channel's value over even and odd images; both
// repeated; nothing that one block describes; eight dims.
#define CASES                                                                   \
    TUFF_CASES("1 1", "5x64 5x64", "257x13 1", "3x7x11 11", "13x5 13x1", "2x6x4x8 6x1x1", \
               "2x3x5x7 3x1x1", "5x1x7 3x1", "2x1x3x2x1x2x3x2 3x1x2x1x2x1x1")
#define COMMON(name_)                                                           \
    .units = units, .ref = ref_##name_,                                         \
    .variants = { TUFF_KERNEL("texel", texel_##name_), TUFF_KERNEL("plain", plain_##name_) }
#define AB { { .name = "a", .dtypes = TUFF_F32 }, { .name = "b", .dtypes = TUFF_F32 } }
#define OUT { { .name = "y", .dtypes = TUFF_F32, .alias = true, .alias_any = true } }

const tuff_op tuff_op_add = {
    .name = "add", .onnx = "Add", COMMON(add), .infer = infer_broadcast,
    .doc = "y = a + b, dims of 1 repeated",
    .in = AB, .out = OUT, .grad = grad_add,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },
    // And more workgroups than one dimension of a grid holds on CPU-like drivers.
    .cases = TUFF_CASES("1 1", "5x64 5x64", "257x13 1", "13x5 13x1", "2x6x4x8 6x1x1",
                        "2x3x5x7 3x1x1", "5x1x7 3x1", "2x1x3x2x1x2x3x2 3x1x2x1x2x1x1",
                        "700001x3 3", "700001x4 700001x4")
};

const tuff_op tuff_op_sub = {
    .name = "sub", .onnx = "Sub", COMMON(sub), .infer = infer_broadcast,
    .doc = "y = a - b, dims of 1 repeated",
    .in = AB, .out = OUT, .grad = grad_sub,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_mul = {
    .name = "mul", .onnx = "Mul", COMMON(mul), .infer = infer_broadcast,
    .doc = "y = a b, dims of 1 repeated",
    .in = AB, .out = OUT, .grad = grad_mul,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 }, .cases = CASES
};

const tuff_op tuff_op_div = {
    .name = "div", .onnx = "Div", COMMON(div), .infer = infer_broadcast,
    .doc = "y = a / b, dims of 1 repeated",
    .in = { { .name = "a", .dtypes = TUFF_F32 },
            { .name = "b", .dtypes = TUFF_F32, .positive = true } },
    .out = OUT, .grad = grad_div,
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 }, .cases = CASES
};

// Flat wherever it is differentiable: no gradient flows.
const tuff_op tuff_op_equal = {
    .name = "equal", .onnx = "Equal", COMMON(equal), .infer = infer_broadcast,
    .doc = "y = 1 where a = b, else 0, dims of 1 repeated",
    .in = { { .name = "a", .dtypes = TUFF_F32, .no_grad = true, .whole = true },
            { .name = "b", .dtypes = TUFF_F32, .no_grad = true, .whole = true } },
    .out = OUT,
    .sample = { -4, 4 }, .cases = CASES
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name, record)                                                    \
    tuff_status name(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b, \
                     tuff_tensor *y)                                            \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), NULL);  \
    }
PUBLIC(tuff_add, tuff_op_add)
PUBLIC(tuff_sub, tuff_op_sub)
PUBLIC(tuff_mul, tuff_op_mul)
PUBLIC(tuff_div, tuff_op_div)
PUBLIC(tuff_equal, tuff_op_equal)
