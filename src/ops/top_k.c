// top_k: sorting by blocks.
//
//   x        [ 64 elements ][ 64 ][ 64 ] ... along the axis
//   blocks   [ sorted, k kept ][ .. ][ .. ]        sort_blocks.comp: each counts who is before
//   merge    [ 16 blocks sorted, k kept ] ...      sort_merge.comp: each bisects the others
//            until one block a row is left
//
// Equal elements are told apart by their place, so that no two ever have the same rank.
#include "ops/compose.h"
#include "ops/order.h"
#include <math.h>
#include <string.h>

static const tuff_top_k_params *params_of(const tuff_call *c) { return c->params; }

static int64_t k_of(const tuff_call *c) { return params_of(c)->k ? params_of(c)->k : 1; }

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[0];
    TUFF_TRY(tuff_order_check_axis(c, params_of(c)->axis));
    const int d = x->rank - 1 - params_of(c)->axis;
    TUFF_REQUIRE(k_of(c) >= 1 && k_of(c) <= x->dim[d], ARG,
                 "k is %lld, it must be from 1 to the %lld elements of x along the axis",
                 (long long)k_of(c), (long long)x->dim[d]);
    out[0] = *x;
    out[0].dim[d] = k_of(c);
    out[1] = out[0];
    out[1].dtype = TUFF_I32;
    return TUFF_OK;
}

// ---- reference -----------------------------------------------------------------------------

// The results of a row while they are found: a heap whose root is the last of those kept.
typedef struct heap {
    const tuff_ref *r;
    size_t to, step, count; // where result j lies: to + j step
} heap;

static double value_at(const heap *h, size_t j)
{
    const size_t i = h->to + j * h->step;
    if (h->r->call->in[0].dtype == TUFF_F32) return (double)h->r->out[0][i];
    return ((const int32_t *)(const void *)h->r->out[0])[i];
}

static int32_t *place_at(const heap *h, size_t j)
{
    return (int32_t *)(void *)h->r->out[1] + h->to + j * h->step;
}

// True when result i comes after result j.
static bool after(const heap *h, size_t i, size_t j)
{
    const bool smallest = params_of(h->r->call)->smallest;
    const double a = value_at(h, i), b = value_at(h, j);
    if (isnan(a) != isnan(b)) return isnan(a) ? smallest : !smallest;
    if (!isnan(a) && a != b) return smallest ? a > b : a < b;
    return *place_at(h, i) > *place_at(h, j);
}

static void swap(const heap *h, size_t i, size_t j)
{
    float *v = h->r->out[0] + h->to;
    const float bits = v[i * h->step];
    v[i * h->step] = v[j * h->step];
    v[j * h->step] = bits;
    const int32_t at = *place_at(h, i);
    *place_at(h, i) = *place_at(h, j);
    *place_at(h, j) = at;
}

static void sink(const heap *h, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
        if (child + 1 < h->count && after(h, child + 1, child)) child++;
        if (!after(h, child, i)) return;
        swap(h, i, child);
    }
}

static void rise(const heap *h, size_t i)
{
    for (; i > 0 && after(h, i, (i - 1) / 2); i = (i - 1) / 2) swap(h, i, (i - 1) / 2);
}

// Puts element `at` of the row as result j; bits, as x may hold ints.
static void put(const heap *h, size_t j, const float *x, size_t at)
{
    memcpy(h->r->out[0] + h->to + j * h->step, x, sizeof *x);
    *place_at(h, j) = (int32_t)at;
}

// Whether element `at` (later than all there are) comes before the root.
static bool worth_keeping(const heap *h, const float *x)
{
    const bool smallest = params_of(h->r->call)->smallest;
    const double root = value_at(h, 0);
    const double v = h->r->call->in[0].dtype == TUFF_F32
                         ? (double)*x : *(const int32_t *)(const void *)x;
    if (isnan(v) != isnan(root)) return isnan(v) ? !smallest : smallest;
    return smallest ? v < root : v > root;
}

static void ref(const tuff_ref *r)
{
    const int axis = params_of(r->call)->axis;
    const tuff_axis x = tuff_axis_of(&r->call->in[0], axis);
    const tuff_axis y = tuff_axis_of(&r->call->out[0], axis);
    for (size_t row = r->begin; row < r->end; row++) {
        const float *from = r->in[0] + tuff_axis_base(x, row);
        heap h = { r, tuff_axis_base(y, row), y.step, 0 };
        for (size_t j = 0; j < x.cols; j++) {
            if (h.count < y.cols) {
                put(&h, h.count, from + j * x.step, j);
                rise(&h, h.count++);
            } else if (worth_keeping(&h, from + j * x.step)) {
                put(&h, 0, from + j * x.step, j);
                sink(&h, 0);
            }
        }
        // The last one goes behind those that are left, and so on.
        while (h.count > 1) {
            swap(&h, 0, --h.count);
            sink(&h, 0);
        }
    }
}

static size_t units(const tuff_call *c)
{
    return tuff_axis_of(&c->in[0], params_of(c)->axis).rows;
}

// ---- plan ----------------------------------------------------------------------------------

static uint32_t at_most(uint64_t n, uint32_t most) { return n < most ? (uint32_t)n : most; }

static uint32_t blocks_of(uint64_t cols, uint64_t size)
{
    return (uint32_t)((cols + size - 1) / size);
}

// One launch: the first, which reads x alone, or one that merges scratch[from].
static void add(const tuff_call *c, bool texel, int from, const struct tuff_sort_pc *pc,
                const tuff_caps *k, tuff_plan *p)
{
    static const int shaders[2][2] = {
        { TUFF_SHADER_sort_blocks, TUFF_SHADER_sort_blocks_texel },
        { TUFF_SHADER_sort_merge, TUFF_SHADER_sort_merge_texel },
    };
    const bool merges = from >= 0, last = pc->blocks_next == 1;
    const tuff_order_how how = texel ? TUFF_ORDER_TEXEL : TUFF_ORDER_PLAIN;
    const uint32_t wg = tuff_group_size(k);
    const uint64_t count = merges ? (uint64_t)pc->rows * pc->blocks * pc->keep
                                  : (uint64_t)pc->rows * pc->cols;
    const int to = merges ? 1 - from : 0;
    tuff_dispatch *d = tuff_plan_add(p, shaders[merges][texel]);
    tuff_spec(d, wg);
    tuff_spec(d, last);
    tuff_spec(d, params_of(c)->smallest);
    tuff_spec(d, c->in[0].dtype != TUFF_F32);
    tuff_grid(d, (count + wg - 1) / wg, k);
    TUFF_PUSH(d, *pc);
    tuff_order_bind_x(d, how);
    const tuff_role role = last ? TUFF_ROLE_OUT : TUFF_ROLE_SCRATCH;
    tuff_bind(d, role, last ? 0 : to, TUFF_BIND_STORAGE, TUFF_WRITE);
    tuff_bind(d, role, last ? 1 : to, TUFF_BIND_STORAGE, TUFF_WRITE);
    if (merges)
        tuff_bind(d, TUFF_ROLE_SCRATCH, from, texel ? TUFF_BIND_TEXEL_U32 : TUFF_BIND_STORAGE,
                  TUFF_READ);
    const size_t bytes = (size_t)pc->rows * pc->blocks_next * pc->keep_next * 2 * sizeof(float);
    if (!last && p->scratch[to] < bytes) p->scratch[to] = bytes;
}

static bool plan(const tuff_call *c, bool texel, const tuff_caps *k, tuff_plan *p)
{
    const tuff_axis a = tuff_axis_of(&c->in[0], params_of(c)->axis);
    uint64_t size = TUFF_SORT_BLOCK;
    struct tuff_sort_pc pc = {
        .rows = (uint32_t)a.rows, .cols = (uint32_t)a.cols, .step = (uint32_t)a.step,
        .k = (uint32_t)k_of(c), .keep_next = at_most(size, (uint32_t)k_of(c)),
        .blocks_next = blocks_of(a.cols, size),
    };
    const uint64_t pairs = 2ull * pc.rows * pc.blocks_next * pc.keep_next;
    if (texel && !(k->cpu_like && tuff_fits_texel(k, &c->in[0], 4) && pairs <= k->max_texels))
        return false;
    if (pairs * sizeof(float) > k->max_storage_range) return false;
    for (int from = -1;; from = from < 0 ? 0 : 1 - from) {
        add(c, texel, from, &pc, k, p);
        if (pc.blocks_next == 1) return true;
        pc.size = (uint32_t)size;
        pc.keep = pc.keep_next;
        pc.blocks = pc.blocks_next;
        size *= TUFF_SORT_MERGE;
        pc.keep_next = at_most(size, pc.k);
        pc.blocks_next = blocks_of(a.cols, size);
    }
}

static bool plan_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, true, k, p);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan(c, false, k, p);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ TUFF_SORT_BLOCK * n,
                        4 * (n + 2 * (double)tuff_desc_count(&c->out[0])) };
}

// ---- gradient ------------------------------------------------------------------------------

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_desc *x = &n->call.in[0];
    tuff_gather_params p = { .axis = params_of(&n->call)->axis };
    for (int i = 0; i < x->rank; i++) p.size[i] = (int)x->dim[i];
    if (!tuff_var_null(dy[0]))
        dx[0] = TUFF_V(t, &tuff_op_gather_elements_grad, &p, dy[0], n->out[1]);
}

// The smallest of many u8 would be 0 in every row, which says nothing.
static void prepare(const tuff_call *c, void *const in[])
{
    uint8_t *x = in[0];
    const size_t count = c->in[0].dtype == TUFF_U8 ? (size_t)tuff_desc_count(&c->in[0]) : 0;
    for (size_t i = 0; i < count; i++) x[i] |= x[i] == 0;
}

// Whole ones of few values and all of them, blocks and merges of them.
const tuff_op tuff_op_top_k = {
    .name = "top_k", .onnx = "TopK",
    .doc = "values, indices = the k largest (or smallest) elements along one axis in order, of "
           "equal ones the first",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS | TUFF_I32 | TUFF_I8 | TUFF_U8 } },
    .out = { { .name = "values", .dtypes = TUFF_FLOATS | TUFF_I32 | TUFF_I8 | TUFF_U8 },
             { .name = "indices", .dtypes = TUFF_INDEX, .no_grad = true } },
    .params_size = sizeof(tuff_top_k_params),
    .params = { TUFF_POSITIVE(tuff_top_k_params, k), TUFF_AXIS(tuff_top_k_params, axis),
                TUFF_BOOLEAN(tuff_top_k_params, smallest) },
    .infer = infer, .ref = ref, .units = units, .cost = cost, .grad = grad,
    .prepare = prepare,
    .variants = { TUFF_KERNEL("texel", plan_texel), TUFF_KERNEL("plain", plan_plain) },
    .sample = { -20, 20 },
    .cases = TUFF_CASES("3x7 k=2", "5x257 k=257", "4x31x7 k=5 axis=1 smallest=1",
                        "2x1031 k=100", "67x2 k=3 axis=1", "1x20011 k=70",
                        "3x1500 k=1 smallest=1")
};

tuff_status tuff_top_k(tuff_stream *s, const tuff_tensor *x, tuff_tensor *values,
                       tuff_tensor *indices, const tuff_top_k_params *p)
{
    return tuff_run(s, &tuff_op_top_k, TUFF_RUN_IN(x), TUFF_RUN_OUT(values, indices), p);
}
