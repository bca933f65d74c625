// scatter_elements and scatter_nd, and the gradients of the gathers, which are sums scattered
// into zeros. Without atomics, so that the same call gives the same bits:
//
//   keys       the row that each update goes to            r2  r0  r2  --  r0
//   sort       keys with the places of their updates       r0:1 r0:4 r2:0 r2:2 --:3
//   scatter    the first of a run goes through the run     y[r0] + u1 + u4, y[r2] + u0 + u2
//
// The shaders are keys.comp, sort.comp and scatter.comp.
#include "ops/compose.h"
#include "ops/index.h"
#include "ops/move.h"
#include "abi/fill.h"
#include <math.h>
#include <string.h>

enum { SORTED_FIRST = 32 }; // the blocks that sort.comp's first launch leaves

// A call: inputs by number, x -1 where rows are put into zeros.
typedef struct target {
    uint32_t kind, how; // TUFF_INDEX_..., TUFF_SCATTER_...
    int x, indices, updates;
    tuff_gather_params params;
    tuff_desc into; // x, or what is made of `size`
} target;

static target grad_target(const tuff_call *c, uint32_t kind)
{
    target t = { kind, TUFF_SCATTER_ADD, -1, 1, 0, *(const tuff_gather_params *)c->params,
                 { .dtype = c->in[0].dtype } };
    for (int i = 0; i < TUFF_MAX_DIMS; i++) {
        t.into.dim[i] = t.params.size[i];
        if (t.params.size[i]) t.into.rank = i + 1;
    }
    return t;
}

static target scatter_target(const tuff_call *c, uint32_t kind)
{
    const tuff_scatter_params *p = c->params;
    return (target){ kind, (uint32_t)p->reduction, 0, 1, 2, { .axis = p->axis }, c->in[0] };
}

static tuff_status infer(const tuff_call *c, const target *t, tuff_desc out[])
{
    tuff_index s;
    const bool grad = t->x < 0;
    for (int i = 0; i < t->into.rank; i++)
        TUFF_REQUIRE(t->into.dim[i] >= 1, ARG, "size[%d] is %lld, it must be at least 1", i,
                     (long long)t->into.dim[i]);
    TUFF_REQUIRE(t->how <= TUFF_SCATTER_MIN, ARG, "reduction is %d, expected 0 to %d",
                 (int)t->how, TUFF_SCATTER_MIN);
    TUFF_TRY(tuff_index_of(t->kind, &t->params, &t->into, grad ? "dx" : "x",
                           &c->in[t->indices], &s));
    char want[96], got[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[t->updates], &s.y), SHAPE, "%s must be %s, it is %s",
                 c->op->in[t->updates].name, tuff_desc_print(&s.y, want, sizeof want),
                 tuff_desc_print(&c->in[t->updates], got, sizeof got));
    out[0] = t->into;
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

// A sum in the making: real numbers in f64, whole ones as they wrap.
typedef struct total {
    double f;
    uint32_t u;
} total;

static total load(tuff_dtype type, uint32_t word)
{
    float f = 0;
    if (type == TUFF_F32) memcpy(&f, &word, sizeof f);
    return (total){ (double)f, word };
}

static uint32_t store(tuff_dtype type, total v)
{
    const float f = (float)v.f;
    if (type == TUFF_F32) memcpy(&v.u, &f, sizeof f);
    return v.u;
}

static bool less(tuff_dtype type, total a, total b)
{
    if (type == TUFF_F32) return a.f < b.f;
    return type == TUFF_I32 ? (int32_t)a.u < (int32_t)b.u : a.u < b.u;
}

static void take(tuff_dtype type, uint32_t how, total *a, uint32_t word)
{
    const total b = load(type, word);
    const bool nan = type == TUFF_F32 && isnan(b.f);
    switch (how) {
    case TUFF_SCATTER_ADD: *a = (total){ a->f + b.f, a->u + b.u }; break;
    case TUFF_SCATTER_MUL: *a = (total){ a->f * b.f, a->u * b.u }; break;
    case TUFF_SCATTER_MAX: *a = less(type, *a, b) || nan ? b : *a; break;
    case TUFF_SCATTER_MIN: *a = less(type, b, *a) || nan ? b : *a; break;
    default: *a = b;
    }
}

static uint32_t before(const tuff_ref *r, const target *t, size_t i)
{
    return t->x < 0 ? 0 : tuff_words(r, t->x)[i];
}

enum { BLOCK = 64 }; // columns of a row done at a time

// One unit is one row: it looks through all of the indices.
static void ref_rows(const tuff_ref *r, const target *t, const tuff_index *s)
{
    const int32_t *indices = (const int32_t *)(const void *)r->in[t->indices];
    const tuff_dtype type = t->into.dtype;
    total v[BLOCK];
    for (size_t unit = r->begin; unit < r->end; unit++) {
        const int64_t outer = (int64_t)unit / s->rows, row = (int64_t)unit % s->rows;
        for (int64_t first = 0; first < s->inner; first += BLOCK) {
            const int64_t n = s->inner - first < BLOCK ? s->inner - first : BLOCK;
            const size_t at = unit * (size_t)s->inner + (size_t)first;
            for (int64_t i = 0; i < n; i++) v[i] = load(type, before(r, t, at + (size_t)i));
            for (int64_t j = 0; j < s->picks; j++) {
                if (tuff_index_row(s, indices, outer, j) != row) continue;
                const int64_t from = (outer * s->picks + j) * s->inner + first;
                for (int64_t i = 0; i < n; i++)
                    take(type, t->how, &v[i], tuff_words(r, t->updates)[from + i]);
            }
            for (int64_t i = 0; i < n; i++)
                tuff_words_out(r, 0)[at + (size_t)i] = store(type, v[i]);
        }
    }
}

// One unit is one element: it looks through the indices along the axis.
static void ref_elements(const tuff_ref *r, const target *t, const tuff_index *s)
{
    const int32_t *indices = (const int32_t *)(const void *)r->in[t->indices];
    const tuff_dtype type = t->into.dtype;
    for (size_t unit = r->begin; unit < r->end; unit++) {
        size_t left = unit, at = 0, step = 1, axis_step = 1;
        bool beside = true; // the indices have such a place beside the axis
        for (int d = s->x.rank - 1; d >= 0; d--) {
            const size_t c = left % (size_t)s->x.dim[d];
            if (d == s->axis) axis_step = step;
            else at += c * step;
            beside = beside && (d == s->axis || c < (size_t)s->y.dim[d]);
            step *= (size_t)s->y.dim[d];
            left /= (size_t)s->x.dim[d];
        }
        total v = load(type, before(r, t, unit));
        for (int64_t j = 0; beside && j < s->y.dim[s->axis]; j++, at += axis_step)
            if (tuff_index_source(s, indices, at) == (int64_t)unit)
                take(type, t->how, &v, tuff_words(r, t->updates)[at]);
        tuff_words_out(r, 0)[unit] = store(type, v);
    }
}

static void ref(const tuff_ref *r, const target *t)
{
    const tuff_index s = tuff_index_good(t->kind, &t->params, &t->into,
                                         &r->call->in[t->indices]);
    if (t->kind == TUFF_INDEX_ELEMENTS) ref_elements(r, t, &s);
    else ref_rows(r, t, &s);
}

static size_t units(const tuff_call *c, const target *t)
{
    const tuff_index s = tuff_index_good(t->kind, &t->params, &t->into, &c->in[t->indices]);
    return (size_t)(tuff_desc_count(&t->into) / s.inner);
}

// A row looks at all of the indices, an element at those along the axis.
static double work(const tuff_call *c, const target *t)
{
    const tuff_index s = tuff_index_good(t->kind, &t->params, &t->into, &c->in[t->indices]);
    const double rows = (double)units(c, t);
    return rows * (double)(t->kind == TUFF_INDEX_ELEMENTS ? s.y.dim[s.axis] : s.picks);
}

// ---- plan ----------------------------------------------------------------------------------

// y as it is before any update.
static void add_start(const tuff_call *c, const target *t, const tuff_caps *k, tuff_plan *p)
{
    const int64_t count = tuff_desc_count(&t->into);
    if (t->x >= 0) {
        const tuff_move copy = { .rank = 1, .dim = { count }, .in_step = { 1 },
                                 .out_step = { 1 } };
        tuff_move_plain(c, k, p, t->x, &copy);
        return;
    }
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_fill);
    tuff_spec(d, wg);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_fill_pc){ (uint32_t)count, 0 });
}

static tuff_dispatch *add_over(tuff_plan *p, int shader, uint64_t invocations,
                               const tuff_caps *k)
{
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_grid(d, (invocations + wg - 1) / wg, k);
    return d;
}

static void bind_scratch(tuff_dispatch *d, int index, int access)
{
    tuff_bind(d, TUFF_ROLE_SCRATCH, index, TUFF_BIND_STORAGE, access);
}

// Keys into scratch 2, sorted pairs into scratch 0 or 1, which is returned.
static int add_pairs(const target *t, const tuff_index *s, uint32_t count, const tuff_caps *k,
                     tuff_plan *p)
{
    struct tuff_index_pc pc = tuff_index_layout(s, false);
    pc.count = count;
    tuff_dispatch *d = add_over(p, TUFF_SHADER_keys, count, k);
    tuff_spec(d, t->kind);
    tuff_bind_in(d, t->indices);
    bind_scratch(d, 2, TUFF_WRITE);
    TUFF_PUSH(d, pc);
    p->scratch[2] = (size_t)count * sizeof(uint32_t);
    int to = 0;
    for (uint64_t width = SORTED_FIRST; width == SORTED_FIRST || width / 2 < count;
         width *= 2) {
        const bool first = width == SORTED_FIRST;
        d = add_over(p, TUFF_SHADER_sort, count, k);
        tuff_spec(d, first);
        to = first ? 0 : 1 - to;
        bind_scratch(d, first ? 2 : 1 - to, TUFF_READ);
        bind_scratch(d, to, TUFF_WRITE);
        TUFF_PUSH(d, (struct tuff_sort_pc){ count, (uint32_t)(first ? width : width / 2) });
        p->scratch[to] = 2 * (size_t)count * sizeof(uint32_t);
    }
    return to;
}

static bool plan(const tuff_call *c, const target *t, const tuff_caps *k, tuff_plan *p)
{
    const tuff_index s = tuff_index_good(t->kind, &t->params, &t->into, &c->in[t->indices]);
    const bool axis = t->kind == TUFF_INDEX_AXIS;
    const int64_t updates = tuff_desc_count(&s.y), picks = axis ? s.picks : s.picks * s.outer;
    if (!tuff_fits(k, 2 * (size_t)picks * sizeof(uint32_t))) return false;
    add_start(c, t, k, p);
    const int pairs = add_pairs(t, &s, (uint32_t)picks, k, p);
    const tuff_dtype type = t->into.dtype;
    struct tuff_scatter_pc pc = { .picks = (uint32_t)picks, .rows = (uint32_t)s.rows,
                                  .inner = (uint32_t)s.inner,
                                  .outer = axis ? (uint32_t)s.outer : 1 };
    pc.span = k->max_loop ? k->max_loop / 4 * 3 : 1 << 20;
    for (int64_t first = 0; first < picks; first += pc.span) {
        if (p->count == TUFF_PLAN_MAX) return false;
        pc.first = (uint32_t)first;
        tuff_dispatch *d = add_over(p, TUFF_SHADER_scatter, (uint64_t)updates, k);
        tuff_spec(d, t->how);
        tuff_spec(d, type == TUFF_F32   ? TUFF_WORD_F32
                     : type == TUFF_I32 ? TUFF_WORD_I32 : TUFF_WORD_U32);
        tuff_bind_in(d, t->updates);
        bind_scratch(d, pairs, TUFF_READ);
        tuff_bind(d, TUFF_ROLE_OUT, 0, TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE);
        TUFF_PUSH(d, pc);
    }
    return true;
}

// ---- what the records have in common -------------------------------------------------------

static tuff_cost cost(const tuff_call *c)
{
    return (tuff_cost){ (double)tuff_desc_count(&c->in[c->nin == 3 ? 2 : 0]),
                        tuff_call_bytes(c) };
}

// Several updates for one place are among them: the last of those that are put is what stays.
static void prepare(const tuff_call *c, const target *t, void *const in[])
{
    const tuff_index s = tuff_index_good(t->kind, &t->params, &t->into, &c->in[t->indices]);
    tuff_index_prepare(&s, &c->in[t->indices], in[t->indices]);
}

#define TARGET(name, kind_, of)                                                 \
    static tuff_status infer_##name(const tuff_call *c, tuff_desc out[])        \
    {                                                                           \
        const target t = of(c, kind_);                                          \
        return infer(c, &t, out);                                               \
    }                                                                           \
    static void ref_##name(const tuff_ref *r)                                   \
    {                                                                           \
        const target t = of(r->call, kind_);                                    \
        ref(r, &t);                                                             \
    }                                                                           \
    static size_t units_##name(const tuff_call *c)                              \
    {                                                                           \
        const target t = of(c, kind_);                                          \
        return units(c, &t);                                                    \
    }                                                                           \
    static double work_##name(const tuff_call *c)                               \
    {                                                                           \
        const target t = of(c, kind_);                                          \
        return work(c, &t);                                                     \
    }                                                                           \
    static bool plan_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        const target t = of(c, kind_);                                          \
        return plan(c, &t, k, p);                                               \
    }                                                                           \
    static void prepare_##name(const tuff_call *c, void *const in[])            \
    {                                                                           \
        const target t = of(c, kind_);                                          \
        prepare(c, &t, in);                                                     \
    }
TARGET(gather_grad, TUFF_INDEX_AXIS, grad_target)
TARGET(gather_nd_grad, TUFF_INDEX_ND, grad_target)
TARGET(gather_elements_grad, TUFF_INDEX_ELEMENTS, grad_target)
TARGET(scatter_elements, TUFF_INDEX_ELEMENTS, scatter_target)
TARGET(scatter_nd, TUFF_INDEX_ND, scatter_target)

// Sums carry what they lose; products are of few factors.
#define COMMON(name_)                                                           \
    .infer = infer_##name_, .ref = ref_##name_, .units = units_##name_,         \
    .prepare = prepare_##name_, .cost = cost, .work = work_##name_,             \
    .tol = { .f32 = 1e-6f }, .sample = { -4, 4 },                               \
    .variants = { TUFF_KERNEL("plain", plan_##name_) }

// ---- gradients of the gathers --------------------------------------------------------------

static void grad_of_grad(tuff_tape *t, const tuff_node *n, const tuff_op *op,
                         const tuff_var g[], tuff_var dx[])
{
    dx[0] = TUFF_V(t, op, n->call.params, g[0], n->in[1]);
}

#define GATHER_GRAD(name)                                                       \
    static void grad_##name(tuff_tape *t, const tuff_node *n, const tuff_var g[], \
                            tuff_var dx[])                                      \
    {                                                                           \
        grad_of_grad(t, n, &tuff_op_##name, g, dx);                             \
    }
GATHER_GRAD(gather)
GATHER_GRAD(gather_nd)
GATHER_GRAD(gather_elements)

static tuff_index picked(const tuff_call *c, uint32_t kind)
{
    const target t = grad_target(c, kind);
    return tuff_index_good(kind, &t.params, &t.into, &c->in[t.indices]);
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

#define GRAD_HOST(name, kind)                                                   \
    static size_t host_units_##name(const tuff_call *c, int stage)              \
    {                                                                           \
        const tuff_index s = picked(c, kind);                                   \
        return tuff_gather_grad_host_units(&s, stage);                          \
    }                                                                           \
    static size_t host_scratch_##name(const tuff_call *c)                       \
    {                                                                           \
        const tuff_index s = picked(c, kind);                                   \
        return tuff_gather_grad_host_scratch(&s);                               \
    }                                                                           \
    static void host_##name(const tuff_ref *r)                                  \
    {                                                                           \
        const tuff_index s = picked(r->call, kind);                             \
        tuff_gather_grad_host(r, &s);                                           \
    }
GRAD_HOST(gather_grad, TUFF_INDEX_AXIS)
GRAD_HOST(gather_nd_grad, TUFF_INDEX_ND)
#define GRAD_FAST(name_)                                                        \
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_##name_,      \
                 .units = host_units_##name_, .scratch = host_scratch_##name_ } }

#define GRAD_PORTS                                                              \
    .in = { { .name = "dy", .dtypes = TUFF_FLOATS },                            \
            { .name = "indices", .dtypes = TUFF_INDEX, .no_grad = true } },     \
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS } },                         \
    .params_size = sizeof(tuff_gather_params)

const tuff_op tuff_op_gather_grad = {
    .name = "gather_grad", COMMON(gather_grad), GRAD_PORTS, .grad = grad_gather,
    GRAD_FAST(gather_grad),
    .doc = "dx[.., r, ..] = the sum of dy[.., j, ..] over the j whose indices[j] is r",
    .params = { TUFF_AXIS(tuff_gather_params, axis),
                TUFF_INTS(tuff_gather_params, size, NULL) },
    // Many for one row: more than an invocation's loop may take on a known driver.
    .cases = TUFF_CASES("1 1 size=1", "7x11 11 size=7,5", "3x5x64 3x5 axis=1 size=13,64",
                        "5x2x4x3 2x4 axis=1 size=5,7,3", "70001x3 70001 axis=1 size=1,3",
                        "300x33 300 axis=1 size=4099,33")
};

const tuff_op tuff_op_gather_nd_grad = {
    .name = "gather_nd_grad", COMMON(gather_nd_grad), GRAD_PORTS, .grad = grad_gather_nd,
    GRAD_FAST(gather_nd_grad),
    .doc = "dx = the sums of dy over the tuples of indices that name each row",
    .params = { TUFF_INT(tuff_gather_params, batch_dims),
                TUFF_INTS(tuff_gather_params, size, NULL) },
    .cases = TUFF_CASES("3 3x1 size=7", "11 11x2 size=5,7", "2x3x7x8 2x3x1 size=5,7,8",
                        "3x4x2 3x4x2 batch_dims=1 size=3,5,7,2", "33x65 33x2 size=5,7,65")
};

const tuff_op tuff_op_gather_elements_grad = {
    .name = "gather_elements_grad", COMMON(gather_elements_grad), GRAD_PORTS,
    .grad = grad_gather_elements,
    .doc = "dx = the sums of dy over the indices that name each element",
    .params = { TUFF_AXIS(tuff_gather_params, axis),
                TUFF_INTS(tuff_gather_params, size, NULL) },
    .cases = TUFF_CASES("1 1 size=1", "31 31 size=257", "5x13 5x13 size=5,7",
                        "7x3 7x3 axis=1 size=13,5", "3x2x8 3x2x8 axis=1 size=3,5,9")
};

// ---- scatter -------------------------------------------------------------------------------

// Elements that were largest (or smallest) share the gradient evenly, x's among them.
static void grad_extremum(tuff_tape *t, const tuff_node *n, const tuff_op *gather,
                          const tuff_scatter_params *p, tuff_var dy, tuff_var dx[])
{
    const tuff_gather_params along = { .axis = p->axis };
    const tuff_scatter_params add = { .axis = p->axis, .reduction = TUFF_SCATTER_ADD };
    const tuff_var y = n->out[0], indices = n->in[1];
    const tuff_var kept = tuff_mask(t, n->in[0], y);
    const tuff_var chosen = tuff_mask(t, n->in[2], TUFF_V(t, gather, &along, y, indices));
    const tuff_var count = TUFF_V(t, n->call.op, &add, kept, indices, chosen);
    const tuff_var share = TUFF_V(t, &tuff_op_div, NULL, dy, count);
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, kept, share);
    dx[2] = TUFF_V(t, &tuff_op_mul, NULL, chosen, TUFF_V(t, gather, &along, share, indices));
}

// `value` in v's shape, whatever v holds: infinities times 0 are none.
static tuff_var full(tuff_tape *t, tuff_var v, tuff_dtype type, float value)
{
    const tuff_cast_params to = { .to = (int)type };
    const tuff_affine_params constant = { .scale = 0, .shift = value };
    const tuff_var equal = TUFF_V(t, &tuff_op_equal, NULL, v, v);
    return TUFF_V(t, &tuff_op_affine, &constant, TUFF_V(t, &tuff_op_cast, &to, equal));
}

// 1 for the updates that stayed, 0 for those that were written over: each one's number is put
// where it goes, and is found there or not. Numbers are those along the axis in which updates
// meet, or of all, so that f32 tells 2^24 apart.
static tuff_var stayed(tuff_tape *t, const tuff_node *n, const tuff_op *gather,
                       const tuff_gather_params *along, tuff_dtype type)
{
    const bool nd = gather == &tuff_op_gather_nd;
    tuff_desc shape = n->call.in[2];
    shape.dtype = TUFF_F32;
    const tuff_desc flat = { .dtype = TUFF_F32, .rank = 1, .dim = { tuff_desc_count(&shape) } };
    const tuff_scatter_params put = { .axis = along->axis };
    const tuff_cumsum_params by = { .axis = nd ? 0 : along->axis };
    const tuff_cast_params real = { .to = (int)type };
    tuff_var number = full(t, n->in[2], TUFF_F32, 1);
    if (nd) number = t->reshape(t, number, &flat);
    number = TUFF_V(t, &tuff_op_cumsum, &by, number);
    if (nd) number = t->reshape(t, number, &shape);
    const tuff_var none = full(t, n->in[0], TUFF_F32, 0);
    const tuff_var last = TUFF_V(t, n->call.op, &put, none, n->in[1], number);
    const tuff_var found = TUFF_V(t, gather, along, last, n->in[1]);
    return TUFF_V(t, &tuff_op_cast, &real, TUFF_V(t, &tuff_op_equal, NULL, found, number));
}

static void grad_scatter(tuff_tape *t, const tuff_node *n, const tuff_op *gather,
                         const tuff_var dy[], tuff_var dx[])
{
    const tuff_scatter_params *p = n->call.params;
    const tuff_gather_params along = { .axis = p->axis };
    tuff_var g = dy[0];
    if (p->reduction == TUFF_SCATTER_MAX || p->reduction == TUFF_SCATTER_MIN) {
        grad_extremum(t, n, gather, p, g, dx);
        return;
    }
    if (p->reduction == TUFF_SCATTER_MUL) g = TUFF_V(t, &tuff_op_mul, NULL, g, n->out[0]);
    dx[0] = g;
    dx[2] = TUFF_V(t, gather, &along, g, n->in[1]);
    if (p->reduction == TUFF_SCATTER_NONE) { // what was written over had no say
        const tuff_dtype type = t->desc(t, g)->dtype;
        dx[0] = TUFF_V(t, n->call.op, p, g, n->in[1], full(t, n->in[2], type, 0));
        dx[2] = TUFF_V(t, &tuff_op_mul, NULL, dx[2], stayed(t, n, gather, &along, type));
    }
    if (p->reduction == TUFF_SCATTER_MUL) {
        dx[0] = TUFF_V(t, &tuff_op_div, NULL, dx[0], n->in[0]);
        dx[2] = TUFF_V(t, &tuff_op_div, NULL, dx[2], n->in[2]);
    }
}

static void grad_scatter_elements(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                                  tuff_var dx[])
{
    grad_scatter(t, n, &tuff_op_gather_elements, dy, dx);
}

static void grad_scatter_nd(tuff_tape *t, const tuff_node *n, const tuff_var dy[],
                            tuff_var dx[])
{
    grad_scatter(t, n, &tuff_op_gather_nd, dy, dx);
}

static const char *const reductions[] = { "none", "add", "mul", "max", "min", NULL };

#define SCATTER_PORTS                                                           \
    .in = { { .name = "x", .dtypes = TUFF_MOVABLE },                            \
            { .name = "indices", .dtypes = TUFF_INDEX, .no_grad = true },       \
            { .name = "updates", .dtypes = TUFF_MOVABLE } },                    \
    .out = { { .name = "y", .dtypes = TUFF_MOVABLE } },                         \
    .params_size = sizeof(tuff_scatter_params)

const tuff_op tuff_op_scatter_elements = {
    .name = "scatter_elements", .onnx = "ScatterElements", COMMON(scatter_elements),
    SCATTER_PORTS, .grad = grad_scatter_elements,
    .doc = "y = x with updates[i, j, k] at (or joined with) place indices[i, j, k] of an axis",
    .params = { TUFF_AXIS(tuff_scatter_params, axis),
                TUFF_ENUM(tuff_scatter_params, reduction, reductions) },
    .cases = TUFF_CASES("1 1 1", "5x13 5x7 5x7", "3x2 3x5 3x5",
                        "13x5 3x4 3x4 axis=1 reduction=add",
                        "257 1031 1031 reduction=add", "3x5x8 3x2x8 3x2x8 axis=1 reduction=mul",
                        "5x7 5x31 5x31 reduction=max", "7x5 31x5 31x5 axis=1 reduction=min",
                        "87383x3 17x5 17x5")
};

const tuff_op tuff_op_scatter_nd = {
    .name = "scatter_nd", .onnx = "ScatterND", COMMON(scatter_nd), SCATTER_PORTS,
    .grad = grad_scatter_nd,
    .doc = "y = x with updates[j.., ..] put to (or joined with) y[indices[j.., 0], .., ..]",
    .params = { TUFF_ENUM(tuff_scatter_params, reduction, reductions) },
    .cases = TUFF_CASES("7 3x1 3", "5x7x3 4x2 4x3", "2x3 5x1 5x3",
                        "5x64 2x17x1 2x17x64 reduction=add",
                        "3x5 33x2 33 reduction=add", "5x7 4x1 4x7 reduction=mul",
                        "5x3 31x2 31 reduction=max", "3x65 31x1 31x65 reduction=min")
};

tuff_status tuff_scatter_elements(tuff_stream *s, const tuff_tensor *x,
                                  const tuff_tensor *indices, const tuff_tensor *updates,
                                  tuff_tensor *y, const tuff_scatter_params *p)
{
    return tuff_run(s, &tuff_op_scatter_elements, TUFF_RUN_IN(x, indices, updates),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_scatter_nd(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *indices,
                            const tuff_tensor *updates, tuff_tensor *y,
                            const tuff_scatter_params *p)
{
    return tuff_run(s, &tuff_op_scatter_nd, TUFF_RUN_IN(x, indices, updates), TUFF_RUN_OUT(y),
                    p);
}

#define PUBLIC_GRAD(name, record)                                               \
    tuff_status name(tuff_stream *s, const tuff_tensor *dy, const tuff_tensor *indices, \
                     tuff_tensor *dx, const tuff_gather_params *p)              \
    {                                                                           \
        return tuff_run(s, &record, TUFF_RUN_IN(dy, indices), TUFF_RUN_OUT(dx), p); \
    }
PUBLIC_GRAD(tuff_gather_grad, tuff_op_gather_grad)
PUBLIC_GRAD(tuff_gather_nd_grad, tuff_op_gather_nd_grad)
PUBLIC_GRAD(tuff_gather_elements_grad, tuff_op_gather_elements_grad)
