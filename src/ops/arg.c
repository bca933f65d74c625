// argmax, argmin and hardmax. The shaders are arg.comp and hardmax.comp.
#include "ops/ops.h"
#include "ops/order.h"
#include <math.h>

// ---- along an axis -------------------------------------------------------------------------

tuff_status tuff_order_check_axis(const tuff_call *c, int axis)
{
    TUFF_REQUIRE(axis >= 0 && axis < c->in[0].rank, ARG, "axis is %d, %s has %d dims", axis,
                 c->op->in[0].name, c->in[0].rank);
    return TUFF_OK;
}

uint32_t tuff_order_group_size(tuff_order_how how, const tuff_caps *k)
{
    return how == TUFF_ORDER_GROUP && !k->cpu_like && k->max_group >= 256 &&
                   k->max_group_size[0] >= 256
               ? 256 : tuff_group_size(k);
}

tuff_order_pieces tuff_order_cut(tuff_axis a, uint32_t lanes, const tuff_caps *k)
{
    const uint64_t busy = k->cpu_like ? 16 * tuff_group_size(k) : lanes > 1 ? 1024 : 65536;
    uint64_t longest = 4096ull * lanes;
    if (k->max_loop && longest > (uint64_t)k->max_loop / 4 * lanes)
        longest = (uint64_t)k->max_loop / 4 * lanes;
    uint64_t pieces = (busy + a.rows - 1) / a.rows;
    const uint64_t worth = a.cols / (64ull * lanes); // shorter ones cost more than they gain
    if (pieces > worth) pieces = worth ? worth : 1;
    uint64_t span = (a.cols + pieces - 1) / pieces;
    if (span > longest) span = longest;
    return (tuff_order_pieces){ (uint32_t)((a.cols + span - 1) / span), (uint32_t)span };
}

static void add_arg(const tuff_call *c, tuff_order_how how, const tuff_order_arg *o, int pass,
                    const struct tuff_arg_pc *pc, const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[] = { TUFF_SHADER_arg, TUFF_SHADER_arg_texel,
                                   TUFF_SHADER_arg_group };
    if (pass) how = TUFF_ORDER_PLAIN;
    const uint32_t wg = tuff_order_group_size(how, k);
    const uint64_t pieces = (uint64_t)pc->rows * pc->segments;
    tuff_dispatch *d = tuff_plan_add(p, shaders[how]);
    tuff_spec(d, wg);
    tuff_spec(d, o->min);
    tuff_spec(d, o->last);
    tuff_spec(d, c->in[0].dtype != TUFF_F32);
    tuff_spec(d, pass > 0);
    tuff_grid(d, how == TUFF_ORDER_GROUP ? pieces : (pieces + wg - 1) / wg, k);
    TUFF_PUSH(d, *pc);
    if (pass)
        tuff_bind(d, TUFF_ROLE_SCRATCH, o->scratch, TUFF_BIND_STORAGE, TUFF_READ);
    else
        tuff_order_bind_x(d, how);
    if (pc->segments == 1) {
        tuff_bind(d, o->role, o->index, TUFF_BIND_STORAGE, TUFF_WRITE);
        return;
    }
    tuff_bind(d, TUFF_ROLE_SCRATCH, o->scratch, TUFF_BIND_STORAGE, TUFF_WRITE);
    p->scratch[o->scratch] = pieces * 2 * sizeof(uint32_t);
}

bool tuff_order_add_arg(const tuff_call *c, tuff_order_how how, const tuff_order_arg *o,
                        const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = tuff_axis_of(&c->in[0], o->axis);
    if (how == TUFF_ORDER_TEXEL && !(k->cpu_like && tuff_fits_texel(k, &c->in[0], 4)))
        return false;
    // Where the axis is the innermost, a workgroup reads neighbours together.
    if (how == TUFF_ORDER_GROUP && (a.step != 1 || a.cols < 32)) return false;
    const uint32_t lanes = how == TUFF_ORDER_GROUP ? tuff_order_group_size(how, k) : 1;
    const tuff_order_pieces cut = tuff_order_cut(a, lanes, k);
    struct tuff_arg_pc pc = { (uint32_t)a.rows, (uint32_t)a.cols, (uint32_t)a.step,
                              cut.segments, cut.span };
    add_arg(c, how, o, 0, &pc, k, p);
    if (cut.segments == 1) return true;
    pc.cols = pc.span = cut.segments;
    pc.segments = 1;
    add_arg(c, how, o, 1, &pc, k, p);
    return true;
}

// ---- argmax, argmin ------------------------------------------------------------------------

static const tuff_arg_params *params_of(const tuff_call *c) { return c->params; }

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0];
    TUFF_TRY(tuff_order_check_axis(c, params_of(c)->axis));
    out[0] = (tuff_desc){ .dtype = TUFF_I32 };
    for (int d = 0; d < x->rank; d++) {
        const bool goes = d == x->rank - 1 - params_of(c)->axis;
        if (!goes || params_of(c)->keepdims) out[0].dim[out[0].rank++] = goes ? 1 : x->dim[d];
    }
    return TUFF_OK;
}

// Element `i` as a number: f32 holds no i32, f64 does.
static double number(const tuff_ref *r, size_t i)
{
    return r->call->in[0].dtype == TUFF_F32
               ? r->in[0][i] : ((const int32_t *)(const void *)r->in[0])[i];
}

// Place along the axis; sign -1 looks for the smallest.
static int32_t best_of(const tuff_ref *r, tuff_axis a, size_t row, double sign, bool last)
{
    const size_t base = tuff_axis_base(a, row);
    size_t at = 0;
    for (size_t j = 1; j < a.cols; j++) {
        const double v = number(r, base + j * a.step), best = number(r, base + at * a.step);
        const bool equal = v == best || (isnan(v) && isnan(best));
        if (equal ? last : isnan(v) || sign * v > sign * best) at = j;
    }
    return (int32_t)at;
}

static void reference(const tuff_ref *r, double sign)
{
    const tuff_arg_params *p = r->call->params;
    const tuff_axis a = tuff_axis_of(&r->call->in[0], p->axis);
    int32_t *y = (int32_t *)(void *)r->out[0];
    for (size_t row = r->begin; row < r->end; row++)
        y[row] = best_of(r, a, row, sign, p->select_last_index);
}

static void ref_max(const tuff_ref *r) { reference(r, 1); }
static void ref_min(const tuff_ref *r) { reference(r, -1); }

static size_t units(const tuff_call *c)
{
    return tuff_axis_of(&c->in[0], params_of(c)->axis).rows;
}

static bool plan(const tuff_call *c, tuff_order_how how, bool min, const tuff_caps *k,
                 tuff_plan *p)
{
    const tuff_order_arg o = { .axis = params_of(c)->axis, .min = min,
                               .last = params_of(c)->select_last_index,
                               .role = TUFF_ROLE_OUT, .index = 0, .scratch = 0 };
    return tuff_order_add_arg(c, how, &o, k, p);
}

#define PLAN(name, how, min)                                                    \
    static bool name(const tuff_call *c, const tuff_caps *k, tuff_plan *p)      \
    {                                                                           \
        return plan(c, how, min, k, p);                                         \
    }
PLAN(texel_max, TUFF_ORDER_TEXEL, false)
PLAN(group_max, TUFF_ORDER_GROUP, false)
PLAN(plain_max, TUFF_ORDER_PLAIN, false)
PLAN(texel_min, TUFF_ORDER_TEXEL, true)
PLAN(group_min, TUFF_ORDER_GROUP, true)
PLAN(plain_min, TUFF_ORDER_PLAIN, true)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ n, 4 * (n + (double)tuff_desc_count(&c->out[0])) };
}

// ---- hardmax -------------------------------------------------------------------------------

static int axis_of(const tuff_call *c)
{
    return ((const tuff_softmax_params *)c->params)->axis;
}

static tuff_status infer_hard(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_order_check_axis(c, axis_of(c)));
    out[0] = c->in[0];
    return TUFF_OK;
}

static size_t units_hard(const tuff_call *c)
{
    return tuff_axis_of(&c->in[0], axis_of(c)).rows;
}

static void ref_hard(const tuff_ref *r)
{
    const tuff_axis a = tuff_axis_of(&r->call->in[0], axis_of(r->call));
    for (size_t row = r->begin; row < r->end; row++) {
        float *y = r->out[0] + tuff_axis_base(a, row);
        const size_t at = (size_t)best_of(r, a, row, 1, false);
        for (size_t j = 0; j < a.cols; j++) y[j * a.step] = j == at;
    }
}

static bool plan_hard(const tuff_call *c, tuff_order_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = tuff_axis_of(&c->in[0], axis_of(c));
    const size_t count = a.rows * a.cols;
    const tuff_order_arg o = { .axis = axis_of(c), .role = TUFF_ROLE_SCRATCH, .index = 1,
                               .scratch = 0 };
    if (!tuff_order_add_arg(c, how, &o, k, p)) return false;
    p->scratch[1] = a.rows * sizeof(int32_t);
    const uint32_t wg = tuff_group_size_flat(k);
    const struct tuff_hardmax_pc pc = { (uint32_t)count, (uint32_t)a.cols, (uint32_t)a.step };
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_hardmax);
    tuff_spec(d, wg);
    tuff_bind(d, TUFF_ROLE_SCRATCH, 1, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    TUFF_PUSH(d, pc);
    tuff_grid(d, (count + wg - 1) / wg, k);
    return true;
}

static bool texel_hard(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_hard(c, TUFF_ORDER_TEXEL, k, p);
}

static bool group_hard(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_hard(c, TUFF_ORDER_GROUP, k, p);
}

static bool plain_hard(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_hard(c, TUFF_ORDER_PLAIN, k, p);
}

// ---- records -------------------------------------------------------------------------------

// Whole numbers, so that equals meet.
#define X_PORT { .name = "x", .dtypes = TUFF_FLOATS | TUFF_I32 | TUFF_I8 | TUFF_U8, \
                 .no_grad = true, .whole = true }
#define COMMON(name_)                                                           \
    .in = { X_PORT }, .out = { { .name = "y", .dtypes = TUFF_INDEX } },         \
    .params_size = sizeof(tuff_arg_params),                                     \
    .params = { TUFF_AXIS(tuff_arg_params, axis),                               \
                TUFF_BOOLEAN(tuff_arg_params, keepdims),                        \
                TUFF_BOOLEAN(tuff_arg_params, select_last_index) },             \
    .infer = infer, .units = units, .cost = cost, .ref = ref_##name_,           \
    .variants = { TUFF_KERNEL("texel", texel_##name_),                          \
                  TUFF_GPU_KERNEL("group", group_##name_),                      \
                  TUFF_KERNEL("plain", plain_##name_) },                        \
    .sample = { -20, 20 },                                                      \
    .cases = TUFF_CASES("3x5", "5x257 select_last_index=1", "4x31x7 axis=1 keepdims=1", \
                        "13x2 axis=1", "2x3x5x7 axis=3", "1x70001", "70001x2 axis=1")

const tuff_op tuff_op_argmax = {
    .name = "argmax", .onnx = "ArgMax", COMMON(max),
    .doc = "y = where x is largest along one axis, the first place of several",
};

const tuff_op tuff_op_argmin = {
    .name = "argmin", .onnx = "ArgMin", COMMON(min),
    .doc = "y = where x is smallest along one axis, the first place of several",
};

const tuff_op tuff_op_hardmax = {
    .name = "hardmax", .onnx = "Hardmax",
    .doc = "y = 1 where x is largest along one axis (the first of several), else 0",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS, .no_grad = true, .whole = true } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_softmax_params),
    .params = { TUFF_AXIS(tuff_softmax_params, axis) },
    .infer = infer_hard, .ref = ref_hard, .units = units_hard,
    .variants = { TUFF_KERNEL("texel", texel_hard), TUFF_GPU_KERNEL("group", group_hard),
                  TUFF_KERNEL("plain", plain_hard) },
    .sample = { -20, 20 },
    .cases = TUFF_CASES("1", "5x257", "4x31x7 axis=1", "13x2 axis=1", "1x7001")
};

// ---- public functions ----------------------------------------------------------------------

tuff_status tuff_argmax(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_arg_params *p)
{
    return tuff_run(s, &tuff_op_argmax, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_argmin(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                        const tuff_arg_params *p)
{
    return tuff_run(s, &tuff_op_argmin, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_hardmax(tuff_stream *s, const tuff_tensor *x, tuff_tensor *y,
                         const tuff_softmax_params *p)
{
    return tuff_run(s, &tuff_op_hardmax, TUFF_RUN_IN(x), TUFF_RUN_OUT(y), p);
}
