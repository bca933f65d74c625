// y = a where a condition holds, else b, with NumPy's broadcasting; elements are moved as they
// are, whatever their type. The shader is shaders/where.comp.
#include "ops/elementwise.h"
#include <string.h>

enum { COND, A, B };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_REQUIRE(tuff_call_has(c, A) || tuff_call_has(c, B), ARG,
                 "a and b are missing, one of them may be");
    TUFF_TRY(tuff_broadcast_infer(c, &out[0]));
    out[0].dtype = tuff_call_has(c, A) ? c->in[A].dtype : c->in[B].dtype;
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const size_t size = tuff_dtype_size(c->out[0].dtype);
    const uint8_t *cond = (const uint8_t *)r->in[COND];
    for (size_t i = r->begin; i < r->end; i++) {
        const int from = cond[tuff_broadcast_at(&c->in[COND], &c->out[0], i)] ? A : B;
        char *y = (char *)r->out[0] + i * size;
        if (!tuff_call_has(c, from)) {
            memset(y, 0, size);
            continue;
        }
        const size_t at = tuff_broadcast_at(&c->in[from], &c->out[0], i);
        memmove(y, (const char *)r->in[from] + at * size, size);
    }
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_desc *x[3];
    for (int i = 0; i < 3; i++) x[i] = tuff_call_has(c, i) ? &c->in[i] : NULL;
    const tuff_spread s = tuff_spread_of(x, 3, &c->out[0]);
    const uint32_t wg = tuff_group_size_flat(k);
    const uint64_t words = (tuff_desc_bytes(&c->out[0]) + 3) / 4;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_where);
    tuff_spec(d, wg);
    tuff_spec(d, (uint32_t)tuff_dtype_size(c->out[0].dtype));
    for (int i = 0; i < 3; i++) tuff_spec(d, s.mode[i]);
    tuff_spec(d, s.rank);
    for (int i = 0; i < 3; i++) tuff_bind_in(d, x[i] ? i : COND);
    tuff_bind_out(d, 0);
    tuff_grid(d, (words + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_where_pc){ s.pc });
    return true;
}

// To each operand what was taken from it.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var none = { 0 }, c = n->in[COND];
    if (tuff_call_has(&n->call, A))
        dx[A] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_where, NULL, c, dy[0], none),
                                 &n->call.in[A]);
    if (tuff_call_has(&n->call, B))
        dx[B] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_where, NULL, c, none, dy[0]),
                                 &n->call.in[B]);
}

#define ANY (TUFF_MOVABLE | TUFF_I64)

const tuff_op tuff_op_where = {
    .name = "where", .onnx = "Where", .native = ANY,
    .doc = "y = a where cond, else b, an absent one being 0; dims of 1 repeated",
    .in = { { .name = "cond", .dtypes = TUFF_BOOL, .no_grad = true },
            { .name = "a", .dtypes = ANY, .optional = true },
            { .name = "b", .dtypes = ANY, .optional = true } },
    .out = { { .name = "y", .dtypes = ANY, .alias = true, .alias_any = true } },
    .infer = infer, .ref = ref, .units = tuff_elements, .grad = grad,
    .variants = { TUFF_KERNEL("plain", plan) },
    TUFF_FAST(tuff_where_host_takes, tuff_where_host),
    .sample = { -4, 4 },
    .cases = TUFF_CASES("7 7 7", "5x64 5x64 5x64", "257x13 - 257x13", "5x1x7 3x1 1",
                        "2x3x1x5 3x1x1 2x1x7x1")
};

tuff_status tuff_where(tuff_stream *s, const tuff_tensor *cond, const tuff_tensor *a,
                       const tuff_tensor *b, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_where, TUFF_RUN_IN(cond, a, b), TUFF_RUN_OUT(y), NULL);
}
