// gather, gather_nd, gather_elements and one_hot. The shaders are gather.comp and one_hot.comp;
// the gradients are in scatter.c.
#include "ops/index.h"
#include "ops/move.h"
#include "ops/ops.h"
#include "abi/one_hot.h"
#include <math.h>
#include <string.h>

enum { X, INDICES };

// ---- the three gathers ---------------------------------------------------------------------

static tuff_status infer(const tuff_call *c, tuff_desc out[], uint32_t kind)
{
    tuff_index s;
    TUFF_TRY(tuff_index_of(kind, c->params, &c->in[X], "x", &c->in[INDICES], &s));
    out[0] = s.y;
    return TUFF_OK;
}

static tuff_index index_of(const tuff_call *c, uint32_t kind)
{
    return tuff_index_good(kind, c->params, &c->in[X], &c->in[INDICES]);
}

static void ref(const tuff_ref *r, uint32_t kind)
{
    const tuff_index s = index_of(r->call, kind);
    const int32_t *indices = (const int32_t *)(const void *)r->in[INDICES];
    for (size_t i = r->begin; i < r->end; i++) {
        const int64_t at = tuff_index_source(&s, indices, i);
        tuff_words_out(r, 0)[i] = at < 0 ? 0 : tuff_words(r, X)[at];
    }
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p, uint32_t kind,
                 bool texel)
{
    const tuff_index s = index_of(c, kind);
    const bool wide = kind != TUFF_INDEX_ELEMENTS && s.inner % 4 == 0;
    if (texel && (!k->cpu_like || !tuff_fits_texel(k, &c->in[X], wide ? 16 : 4) ||
                  !tuff_fits_texel(k, &c->in[INDICES], 4)))
        return false;
    const struct tuff_index_pc pc = tuff_index_layout(&s, wide);
    const uint32_t wg = tuff_group_size_flat(k);
    // What a row costs to find is shared by a line of the cache.
    const uint32_t run = texel && wide && s.inner % 16 == 0 ? 4 : 1;
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_gather_texel : TUFF_SHADER_gather);
    tuff_spec(d, wg);
    tuff_spec(d, kind);
    tuff_spec(d, wide);
    tuff_spec(d, run);
    tuff_bind(d, TUFF_ROLE_IN, X, !texel ? TUFF_BIND_STORAGE : wide ? TUFF_BIND_TEXEL_U32X4
                                                                   : TUFF_BIND_TEXEL_U32,
              TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, INDICES, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
              TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)pc.count / run + wg - 1) / wg, k);
    TUFF_PUSH(d, pc);
    return true;
}

static void prepare(const tuff_call *c, void *const in[], uint32_t kind)
{
    const tuff_index s = index_of(c, kind);
    tuff_index_prepare(&s, &c->in[INDICES], in[INDICES]);
}

// What is picked is read, and no more.
static tuff_cost cost(const tuff_call *c)
{
    return (tuff_cost){ 0, 2 * (double)tuff_desc_bytes(&c->out[0]) +
                               (double)tuff_desc_bytes(&c->in[INDICES]) };
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_op *op, const tuff_var dy[],
                 tuff_var dx[])
{
    const tuff_desc *x = &n->call.in[X];
    tuff_gather_params p = *(const tuff_gather_params *)n->call.params;
    for (int i = 0; i < TUFF_MAX_DIMS; i++) p.size[i] = i < x->rank ? (int)x->dim[i] : 0;
    dx[0] = TUFF_V(t, op, &p, dy[0], n->in[INDICES]);
}

#define KIND(name, kind)                                                        \
    static tuff_status infer_##name(const tuff_call *c, tuff_desc out[])        \
    {                                                                           \
        return infer(c, out, kind);                                             \
    }                                                                           \
    static void ref_##name(const tuff_ref *r) { ref(r, kind); }                 \
    static void prepare_##name(const tuff_call *c, void *const in[])            \
    {                                                                           \
        prepare(c, in, kind);                                                   \
    }                                                                           \
    static void grad_##name(tuff_tape *t, const tuff_node *n, const tuff_var dy[], \
                            tuff_var dx[])                                      \
    {                                                                           \
        grad(t, n, &tuff_op_##name##_grad, dy, dx);                             \
    }                                                                           \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan(c, k, p, kind, true);                                       \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan(c, k, p, kind, false);                                      \
    }
KIND(gather, TUFF_INDEX_AXIS)
KIND(gather_nd, TUFF_INDEX_ND)
KIND(gather_elements, TUFF_INDEX_ELEMENTS)

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

// Elements of any type, and indices as they are.
#define HOST(name, kind)                                                        \
    static size_t host_units_##name(const tuff_call *c, int stage)              \
    {                                                                           \
        const tuff_index s = index_of(c, kind);                                 \
        return stage ? 0 : tuff_gather_host_units(&s);                          \
    }                                                                           \
    static void host_##name(const tuff_ref *r)                                  \
    {                                                                           \
        const tuff_index s = index_of(r->call, kind);                           \
        tuff_gather_host(r, &s);                                                \
    }
HOST(gather, TUFF_INDEX_AXIS)
HOST(gather_nd, TUFF_INDEX_ND)
#define GATHER_FAST(name_)                                                      \
    .hosts = { { .name = "fast", .takes = host_takes, .run = host_##name_,      \
                 .units = host_units_##name_, .types = TUFF_MOVABLE | TUFF_I64 } }

#define COMMON(name_)                                                           \
    .in = { { .name = "x", .dtypes = TUFF_MOVABLE },                            \
            { .name = "indices", .dtypes = TUFF_INDEX, .no_grad = true } },     \
    .out = { { .name = "y", .dtypes = TUFF_MOVABLE } },                         \
    .params_size = sizeof(tuff_gather_params),                                  \
    .infer = infer_##name_, .ref = ref_##name_, .prepare = prepare_##name_,     \
    .grad = grad_##name_, .units = tuff_move_units, .cost = cost, .sample = { -4, 4 }, \
    .variants = { TUFF_KERNEL("texel", texel_##name_), TUFF_KERNEL("plain", plain_##name_) }

const tuff_op tuff_op_gather = {
    .name = "gather", .onnx = "Gather", COMMON(gather), GATHER_FAST(gather),
    .doc = "y[.., j, ..] = x[.., indices[j], ..] along an axis; 0 where an index names nothing",
    .params = { TUFF_AXIS(tuff_gather_params, axis) },
    .cases = TUFF_CASES("1 1", "7x5 11", "13x64 3x5 axis=1", "5x7x3 2x4 axis=1",
                        "3x257 [] axis=0", "2x3x8 17 axis=2", "257x3 4099 axis=1")
};

const tuff_op tuff_op_gather_nd = {
    .name = "gather_nd", .onnx = "GatherND", COMMON(gather_nd), GATHER_FAST(gather_nd),
    .doc = "y[j.., ..] = x[indices[j.., 0], indices[j.., 1], .., ..], with equal leading dims "
           "of batches; 0 where a tuple names nothing",
    .params = { TUFF_INT(tuff_gather_params, batch_dims) },
    .cases = TUFF_CASES("7 3x1", "5x7 11x2", "5x7x8 2x3x1", "3x5x7x2 3x4x2 batch_dims=1",
                        "2x3x5x7 2x3x2 batch_dims=2", "2x2x2x2x2x2x2x2 13x8")
};

const tuff_op tuff_op_gather_elements = {
    .name = "gather_elements", .onnx = "GatherElements", COMMON(gather_elements),
    .doc = "y[i, j, k] = x[i, indices[i, j, k], k] along an axis; 0 where one names nothing",
    .params = { TUFF_AXIS(tuff_gather_params, axis) },
    .cases = TUFF_CASES("1 1", "257 31", "5x7 5x13", "13x5 7x3 axis=1", "3x5x8 3x2x8 axis=1",
                        "2x1x3x2x1x2x3x2 1x4x3x2x1x2x3x1 axis=6")
};

tuff_status tuff_gather(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *indices,
                        tuff_tensor *y, const tuff_gather_params *p)
{
    return tuff_run(s, &tuff_op_gather, TUFF_RUN_IN(x, indices), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_gather_nd(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *indices,
                           tuff_tensor *y, const tuff_gather_params *p)
{
    return tuff_run(s, &tuff_op_gather_nd, TUFF_RUN_IN(x, indices), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_gather_elements(tuff_stream *s, const tuff_tensor *x,
                                 const tuff_tensor *indices, tuff_tensor *y,
                                 const tuff_gather_params *p)
{
    return tuff_run(s, &tuff_op_gather_elements, TUFF_RUN_IN(x, indices), TUFF_RUN_OUT(y), p);
}

// ---- one_hot -------------------------------------------------------------------------------

static int64_t depth_of(const tuff_call *c)
{
    const tuff_one_hot_params *p = c->params;
    return p->depth ? p->depth : 2;
}

// Elements of an index block behind the new axis.
static int64_t inner_of(const tuff_call *c)
{
    const tuff_one_hot_params *p = c->params;
    int64_t n = 1;
    for (int i = 0; i < p->axis; i++) n *= c->in[0].dim[c->in[0].rank - 1 - i];
    return n;
}

static tuff_status one_hot_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_one_hot_params *p = c->params;
    const tuff_desc *indices = &c->in[0];
    TUFF_REQUIRE(p->depth >= 0, ARG, "depth is %d, it must be at least 1", p->depth);
    TUFF_REQUIRE(p->axis >= 0 && p->axis <= indices->rank, ARG, "axis is %d, y has %d dims",
                 p->axis, indices->rank + 1);
    TUFF_REQUIRE(indices->rank < TUFF_MAX_DIMS, SHAPE, "indices has %d dims, %d are the most",
                 indices->rank, TUFF_MAX_DIMS - 1);
    char text[96];
    const bool has = tuff_call_has(c, 1);
    TUFF_REQUIRE(!has || tuff_desc_count(&c->in[1]) == 2, SHAPE,
                 "values is %s, it must hold two: off and on",
                 tuff_desc_print(&c->in[1], text, sizeof text));
    tuff_desc y = { .dtype = has ? c->in[1].dtype : TUFF_F32, .rank = indices->rank + 1 };
    const int at = indices->rank - p->axis;
    for (int d = 0; d < y.rank; d++)
        y.dim[d] = d == at ? depth_of(c) : indices->dim[d > at ? d - 1 : d];
    out[0] = y;
    return TUFF_OK;
}

static void one_hot_ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const int64_t depth = depth_of(c), inner = inner_of(c);
    static const uint32_t plain[] = { 0, 0x3f800000 }; // 0, 1
    const uint32_t *value = r->in[1] ? tuff_words(r, 1) : plain;
    for (size_t i = r->begin; i < r->end; i++) {
        const int64_t place = (int64_t)i / inner % depth;
        const size_t from = i / (size_t)(inner * depth) * (size_t)inner + i % (size_t)inner;
        const int32_t whole = (int32_t)tuff_words(r, 0)[from];
        double at = c->in[0].dtype == TUFF_F32 ? trunc((double)r->in[0][from]) : whole;
        if (at < 0) at += (double)depth;
        tuff_words_out(r, 0)[i] = value[at == (double)place];
    }
}

static bool one_hot_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint32_t wg = tuff_group_size_flat(k);
    const struct tuff_one_hot_pc pc = { .count = (uint32_t)tuff_desc_count(&c->out[0]),
                                        .depth = (uint32_t)depth_of(c),
                                        .inner = (uint32_t)inner_of(c) };
    const bool values = tuff_call_has(c, 1);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_one_hot);
    tuff_spec(d, wg);
    tuff_spec(d, c->in[0].dtype == TUFF_F32);
    tuff_spec(d, values);
    tuff_bind_in(d, 0);
    tuff_bind_in(d, values ? 1 : 0);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)pc.count + wg - 1) / wg, k);
    TUFF_PUSH(d, pc);
    return true;
}

static void one_hot_prepare(const tuff_call *c, void *const in[])
{
    const tuff_gather_params along = { .axis = 0 };
    const tuff_desc places = TUFF_SHAPE(TUFF_F32, depth_of(c));
    const tuff_index s = tuff_index_good(TUFF_INDEX_AXIS, &along, &places, &c->in[0]);
    if (c->in[0].rank < TUFF_MAX_DIMS) tuff_index_prepare(&s, &c->in[0], in[0]);
}

const tuff_op tuff_op_one_hot = {
    .name = "one_hot", .onnx = "OneHot",
    .doc = "y = on where the place along the new axis is the index, else off; values = (off, "
           "on), or 0 and 1",
    .in = { { .name = "indices", .dtypes = TUFF_INDEX | TUFF_F32, .no_grad = true,
              .mixed = true },
            { .name = "values", .dtypes = TUFF_MOVABLE, .optional = true, .no_grad = true,
              .mixed = true } },
    .out = { { .name = "y", .dtypes = TUFF_MOVABLE } },
    .params_size = sizeof(tuff_one_hot_params),
    .params = { TUFF_NEW_AXIS(tuff_one_hot_params, axis),
                TUFF_POSITIVE(tuff_one_hot_params, depth) },
    .infer = one_hot_infer, .ref = one_hot_ref, .prepare = one_hot_prepare,
    .units = tuff_move_units, .cost = tuff_move_cost, .sample = { -4, 4 },
    .variants = { TUFF_KERNEL("plain", one_hot_plain) },
    .cases = TUFF_CASES("7 depth=10", "3x5 2 depth=7", "3x5 axis=1 depth=11",
                        "5x7x2 2 axis=3 depth=3", "[] 2", "257")
};

tuff_status tuff_one_hot(tuff_stream *s, const tuff_tensor *indices, const tuff_tensor *values,
                         tuff_tensor *y, const tuff_one_hot_params *p)
{
    return tuff_run(s, &tuff_op_one_hot, TUFF_RUN_IN(indices, values), TUFF_RUN_OUT(y), p);
}
