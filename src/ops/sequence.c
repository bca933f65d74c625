// Rotary embedding, and appending to a cache of keys or values. The shaders are
// shaders/rotary.comp and shaders/kv_append.comp.
#include "ops/compose.h"
#include "abi/sequence.h"
#include <math.h>

// ---- rotary embedding ----------------------------------------------------------------------

enum { X, COS, SIN, POSITIONS };

static tuff_status rotary_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[X], *table = &c->in[COS], *at = &c->in[POSITIONS];
    char tx[96], tc[96];
    TUFF_REQUIRE(x->rank >= 2, SHAPE, "x is %s, it must have 2 dims or more: [..., T, D]",
                 tuff_desc_print(x, tx, sizeof tx));
    TUFF_REQUIRE(table->rank == 2 && 2 * table->dim[1] <= x->dim[x->rank - 1], SHAPE,
                 "cos is %s, it must be [positions, pairs] with at most %lld pairs",
                 tuff_desc_print(table, tc, sizeof tc), (long long)x->dim[x->rank - 1] / 2);
    TUFF_REQUIRE(tuff_desc_equal(table, &c->in[SIN]), SHAPE,
                 "cos is %s and sin is %s, they must be equal",
                 tuff_desc_print(table, tc, sizeof tc),
                 tuff_desc_print(&c->in[SIN], tx, sizeof tx));
    const int64_t t = x->dim[x->rank - 2];
    if (tuff_call_has(c, POSITIONS))
        TUFF_REQUIRE((at->rank == 1 && at->dim[0] == t) ||
                         (at->rank == 2 && x->rank >= 3 && at->dim[0] == x->dim[0] &&
                          at->dim[1] == t),
                     SHAPE, "positions is %s and x is %s, positions must be [T] or [N, T]",
                     tuff_desc_print(at, tc, sizeof tc), tuff_desc_print(x, tx, sizeof tx));
    else
        TUFF_REQUIRE(t <= table->dim[0], SHAPE, "cos is %s, x has %lld positions",
                     tuff_desc_print(table, tc, sizeof tc), (long long)t);
    out[0] = *x;
    return TUFF_OK;
}

static size_t rows_of(const tuff_desc *x)
{
    return (size_t)(tuff_desc_count(x) / x->dim[x->rank - 1]);
}

static size_t rotary_units(const tuff_call *c) { return rows_of(&c->in[X]); }

static void rotary_ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_rotary_params *p = c->params;
    const tuff_desc *x = &c->in[X];
    const size_t D = (size_t)x->dim[x->rank - 1], T = (size_t)x->dim[x->rank - 2];
    const size_t P = (size_t)c->in[COS].dim[0], half = (size_t)c->in[COS].dim[1];
    const size_t per_n = c->in[POSITIONS].rank == 2 ? rows_of(x) / (size_t)x->dim[0] : 0;
    const int32_t *positions = (const int32_t *)(const void *)r->in[POSITIONS];
    for (size_t row = r->begin; row < r->end; row++) {
        const float *from = r->in[X] + row * D;
        float *to = r->out[0] + row * D;
        size_t at = row % T;
        if (positions) at = (uint32_t)positions[(per_n ? row / per_n * T : 0) + row % T];
        for (size_t j = 0; j < D; j++) to[j] = from[j];
        for (size_t i = 0; i < half && at < P; i++) {
            const size_t a = p->interleaved ? 2 * i : i, b = p->interleaved ? a + 1 : i + half;
            const double cosine = (double)r->in[COS][at * half + i];
            const double sine = (double)r->in[SIN][at * half + i] * (p->inverse ? -1 : 1);
            to[a] = (float)((double)from[a] * cosine - (double)from[b] * sine);
            to[b] = (float)((double)from[b] * cosine + (double)from[a] * sine);
        }
    }
}

static bool rotary_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_rotary_params *params = c->params;
    const tuff_desc *x = &c->in[X];
    const bool positions = tuff_call_has(c, POSITIONS);
    const uint32_t wg = tuff_group_size_flat(k), rows = (uint32_t)rows_of(x);
    if (positions && !tuff_fits_texel(k, &c->in[POSITIONS], 4)) return false;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_rotary);
    tuff_spec(d, wg);
    tuff_spec(d, positions);
    tuff_spec(d, params->interleaved);
    tuff_spec(d, params->inverse);
    tuff_bind_in(d, X);
    tuff_bind_in(d, COS);
    tuff_bind_in(d, SIN);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_IN, positions ? POSITIONS : COS, TUFF_BIND_TEXEL_U32, TUFF_READ);
    if (!positions) d->slot[d->nslot - 1].size = 4; // there must be something
    tuff_grid(d, ((uint64_t)tuff_desc_count(x) + wg - 1) / wg, k);
    const bool each = positions && c->in[POSITIONS].rank == 2;
    TUFF_PUSH(d, (struct tuff_rotary_pc){ rows, (uint32_t)x->dim[x->rank - 2],
                                          (uint32_t)x->dim[x->rank - 1],
                                          (uint32_t)c->in[COS].dim[1],
                                          each ? rows / (uint32_t)x->dim[0] : rows,
                                          (uint32_t)c->in[COS].dim[0] });
    return true;
}

static void rotary_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    tuff_rotary_params back = *(const tuff_rotary_params *)n->call.params;
    back.inverse = !back.inverse;
    const int nin = tuff_call_has(&n->call, POSITIONS) ? 4 : 3;
    const tuff_var in[] = { dy[0], n->in[COS], n->in[SIN], n->in[POSITIONS] };
    dx[X] = tuff_v(t, &tuff_op_rotary, &back, nin, in);
}

// A table of angles that are drawn: the sine and cosine of one number.
static void rotary_prepare(const tuff_call *c, void *const in[])
{
    float *cosine = in[COS], *sine = in[SIN];
    int32_t *at = c->in[POSITIONS].dtype == TUFF_I32 ? in[POSITIONS] : NULL;
    const size_t n = (size_t)tuff_desc_count(&c->in[COS]);
    for (size_t i = 0; i < n && c->in[COS].dtype == TUFF_F32; i++) {
        const double angle = 5 * (double)cosine[i];
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle);
    }
    const size_t m = at ? (size_t)tuff_desc_count(&c->in[POSITIONS]) : 0;
    for (size_t i = 0; i < m; i++) at[i] %= (int32_t)c->in[COS].dim[0];
}

const tuff_op tuff_op_rotary = {
    .name = "rotary", .onnx = "RotaryEmbedding",
    .doc = "y = x with pairs of numbers turned by the angles of their position",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "cos", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "sin", .dtypes = TUFF_FLOATS, .no_grad = true },
            { .name = "positions", .dtypes = TUFF_INDEX, .optional = true, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } },
    .params_size = sizeof(tuff_rotary_params),
    .params = { TUFF_BOOLEAN(tuff_rotary_params, interleaved),
                TUFF_BOOLEAN(tuff_rotary_params, inverse) },
    .infer = rotary_infer, .ref = rotary_ref, .units = rotary_units, .grad = rotary_grad,
    .prepare = rotary_prepare,
    .variants = { TUFF_KERNEL("plain", rotary_plan) },
    // Two products and a sum.
    .tol = { .f32 = 4e-7f }, .sample = { -1, 1 },
    .cases = TUFF_CASES("1x2 1x1 1x1", "2x3x7x10 9x5 9x5", "2x3x7x10 9x4 9x4 interleaved=1",
                        "2x3x7x8 9x4 9x4 2x7 inverse=1", "5x16 9x8 9x8 5 interleaved=1")
};

tuff_status tuff_rotary(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *cos,
                        const tuff_tensor *sin, const tuff_tensor *positions, tuff_tensor *y,
                        const tuff_rotary_params *p)
{
    return tuff_run(s, &tuff_op_rotary, TUFF_RUN_IN(x, cos, sin, positions), TUFF_RUN_OUT(y),
                    p);
}

void tuff_rotary_table(int64_t positions, int64_t half, double base, float *cosine, float *sine)
{
    for (int64_t t = 0; t < positions; t++)
        for (int64_t i = 0; i < half; i++) {
            const double angle = (double)t * pow(base > 0 ? base : 10000,
                                                 -(double)i / (double)half);
            cosine[t * half + i] = (float)cos(angle);
            sine[t * half + i] = (float)sin(angle);
        }
}

// ---- appending to a cache ------------------------------------------------------------------

enum { CACHE, NEW, POSITION };

static tuff_status append_infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *cache = &c->in[CACHE], *x = &c->in[NEW];
    char tc[96], tx[96];
    tuff_desc same = *x;
    if (x->rank >= 2 && x->rank == cache->rank)
        same.dim[x->rank - 2] = cache->dim[x->rank - 2];
    TUFF_REQUIRE(cache->rank >= 2 && tuff_desc_equal(&same, cache), SHAPE,
                 "cache is %s and x is %s, only the last dim but one may differ",
                 tuff_desc_print(cache, tc, sizeof tc), tuff_desc_print(x, tx, sizeof tx));
    TUFF_REQUIRE(tuff_desc_count(&c->in[POSITION]) == 1, SHAPE,
                 "position is %s, it must have one element",
                 tuff_desc_print(&c->in[POSITION], tc, sizeof tc));
    out[0] = *cache;
    return TUFF_OK;
}

static size_t append_units(const tuff_call *c) { return rows_of(&c->in[CACHE]); }

static void append_ref(const tuff_ref *r)
{
    const tuff_desc *cache = &r->call->in[CACHE], *x = &r->call->in[NEW];
    const size_t D = (size_t)cache->dim[cache->rank - 1];
    const size_t L = (size_t)cache->dim[cache->rank - 2];
    const int64_t T = x->dim[x->rank - 2];
    const int32_t position = *(const int32_t *)(const void *)r->in[POSITION];
    for (size_t row = r->begin; row < r->end; row++) {
        const int64_t at = (int64_t)(row % L) - position;
        const bool new = at >= 0 && at < T;
        const float *from = new ? r->in[NEW] + (row / L * (size_t)T + (size_t)at) * D
                                : r->in[CACHE] + row * D;
        for (size_t j = 0; j < D; j++) r->out[0][row * D + j] = from[j];
    }
}

static bool append_plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_desc *cache = &c->in[CACHE], *x = &c->in[NEW];
    const uint32_t wg = tuff_group_size_flat(k), count = (uint32_t)tuff_desc_count(cache);
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_kv_append);
    tuff_spec(d, wg);
    tuff_bind_in(d, CACHE);
    tuff_bind_in(d, NEW);
    tuff_bind_in(d, POSITION);
    tuff_bind_out(d, 0);
    tuff_grid(d, ((uint64_t)count + wg - 1) / wg, k);
    TUFF_PUSH(d, (struct tuff_kv_append_pc){ count, (uint32_t)cache->dim[cache->rank - 2],
                                             (uint32_t)x->dim[x->rank - 2],
                                             (uint32_t)cache->dim[cache->rank - 1] });
    return true;
}

const tuff_op tuff_op_kv_append = {
    .name = "kv_append",
    .doc = "y = cache with x in the place of its positions from position[0] on",
    .in = { { .name = "cache", .dtypes = TUFF_MOVABLE, .no_grad = true },
            { .name = "x", .dtypes = TUFF_MOVABLE, .no_grad = true },
            { .name = "position", .dtypes = TUFF_INDEX, .no_grad = true, .high = 4 } },
    .out = { { .name = "y", .dtypes = TUFF_MOVABLE, .alias = true } },
    .infer = append_infer, .ref = append_ref, .units = append_units,
    .variants = { TUFF_KERNEL("plain", append_plan) },
    .sample = { -8, 8 },
    .cases = TUFF_CASES("1x1 1x1 1", "2x3x7x5 2x3x2x5 1", "3x5x4 3x5x4 1", "2x9x33 2x1x33 []")
};

tuff_status tuff_kv_append(tuff_stream *s, const tuff_tensor *cache, const tuff_tensor *x,
                           const tuff_tensor *position, tuff_tensor *y)
{
    return tuff_run(s, &tuff_op_kv_append, TUFF_RUN_IN(cache, x, position), TUFF_RUN_OUT(y),
                    NULL);
}
