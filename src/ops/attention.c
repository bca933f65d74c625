// Attention, and the part of each position in it. The shader is shaders/attention.comp.
#include "ops/compose.h"
#include "ops/gemm.h"
#include "abi/attention.h"
#include <math.h>

enum { Q, K, V, MASK };
enum { PROBS_MASK = 2 }; // of attention_probs, which has no v

static const char *size_name(int d) { return d == 0 ? "N" : d == 3 ? "D" : "S"; }

// Where the mask is among the inputs.
static int mask_of(const tuff_call *c)
{
    return c->op == &tuff_op_attention ? MASK : PROBS_MASK;
}

static tuff_status check_mask(const tuff_call *c)
{
    const int at = mask_of(c);
    if (!tuff_call_has(c, at)) return TUFF_OK;
    const tuff_desc *m = &c->in[at];
    const int64_t want[4] = { c->in[Q].dim[0], c->in[Q].dim[1], c->in[Q].dim[2],
                              c->in[K].dim[2] };
    char text[96];
    bool fits = m->rank <= 4;
    for (int i = 0; i < m->rank && fits; i++) {
        const int64_t n = m->dim[m->rank - 1 - i];
        fits = n == 1 || n == want[3 - i];
    }
    TUFF_REQUIRE(fits, SHAPE, "mask is %s, it must repeat to [%lld, %lld, %lld, %lld]",
                 tuff_desc_print(m, text, sizeof text), (long long)want[0], (long long)want[1],
                 (long long)want[2], (long long)want[3]);
    return TUFF_OK;
}

static tuff_status check_keys(const tuff_call *c)
{
    const tuff_desc *q = &c->in[Q], *k = &c->in[K];
    char tq[96], tk[96];
    TUFF_REQUIRE(q->rank == 4 && k->rank == 4, SHAPE,
                 "q is %s and k is %s, both must have 4 dims: [N, heads, positions, numbers]",
                 tuff_desc_print(q, tq, sizeof tq), tuff_desc_print(k, tk, sizeof tk));
    for (int d = 0; d < 4; d += 3)
        TUFF_REQUIRE(q->dim[d] == k->dim[d], SHAPE,
                     "q is %s and k is %s, their %s must be equal",
                     tuff_desc_print(q, tq, sizeof tq), tuff_desc_print(k, tk, sizeof tk),
                     size_name(d));
    TUFF_REQUIRE(q->dim[1] % k->dim[1] == 0, SHAPE,
                 "q has %lld heads and k %lld, which must divide them", (long long)q->dim[1],
                 (long long)k->dim[1]);
    return check_mask(c);
}

static tuff_status probs_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_keys(c));
    out[0] = c->in[Q];
    out[0].dim[3] = c->in[K].dim[2];
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *k = &c->in[K], *v = &c->in[V];
    char tv[96], tk[96];
    TUFF_TRY(check_keys(c));
    TUFF_REQUIRE(v->rank == 4 && v->dim[0] == k->dim[0] && v->dim[1] == k->dim[1] &&
                     v->dim[2] == k->dim[2],
                 SHAPE, "v is %s and k is %s, only their last dims may differ",
                 tuff_desc_print(v, tv, sizeof tv), tuff_desc_print(k, tk, sizeof tk));
    out[0] = c->in[Q];
    out[0].dim[3] = v->dim[3];
    return TUFF_OK;
}

static float scale_of(const tuff_call *c)
{
    const tuff_attention_params *p = c->params;
    return (float)tuff_number(p->scale, 1 / sqrt((double)c->in[Q].dim[3]));
}

// ---- references ----------------------------------------------------------------------------

static size_t units(const tuff_call *c)
{
    const tuff_desc *q = &c->in[Q];
    return (size_t)(q->dim[0] * q->dim[1] * q->dim[2]);
}

// A score v as the mask leaves it: plus a number, or hidden where a bool (lowered to i32) says
// no.
static double masked(const tuff_call *c, const float *mask, const size_t at[4], double v)
{
    const tuff_desc *m = &c->in[mask_of(c)];
    size_t offset = 0, step = 1;
    for (int i = 0; i < m->rank; i++) {
        const size_t n = (size_t)m->dim[m->rank - 1 - i];
        if (n > 1) offset += at[3 - i] * step;
        step *= n;
    }
    if (m->dtype == TUFF_F32) return v + (double)mask[offset];
    return ((const int32_t *)(const void *)mask)[offset] ? v : -INFINITY;
}

// One row of [N, H, T], with its softmax' largest score and sum.
typedef struct row_of {
    size_t n, h, t, group; // group: of [N, G]
    double most, sum;
} row_of;

static bool hidden(const tuff_ref *r, const row_of *w, size_t s)
{
    const tuff_attention_params *params = r->call->params;
    const size_t S = (size_t)r->call->in[K].dim[2], T = (size_t)r->call->in[Q].dim[2];
    return params->causal && s + T > w->t + S;
}

static double score(const tuff_ref *r, const row_of *w, size_t row, size_t s)
{
    const tuff_call *c = r->call;
    const tuff_desc *q = &c->in[Q], *k = &c->in[K];
    const size_t S = (size_t)k->dim[2], D = (size_t)q->dim[3];
    const float *key = r->in[K] + (w->group * S + s) * D, *asks = r->in[Q] + row * D;
    const float *mask = r->in[mask_of(c)];
    double dot = 0;
    if (hidden(r, w, s)) return -INFINITY;
    for (size_t j = 0; j < D; j++) dot += (double)asks[j] * (double)key[j];
    dot *= (double)scale_of(c);
    return mask ? masked(c, mask, (size_t[]){ w->n, w->h, w->t, s }, dot) : dot;
}

static row_of find_row(const tuff_ref *r, size_t row)
{
    const tuff_desc *q = &r->call->in[Q], *k = &r->call->in[K];
    const size_t T = (size_t)q->dim[2], H = (size_t)q->dim[1], G = (size_t)k->dim[1];
    const size_t S = (size_t)k->dim[2];
    row_of w = { .n = row / T / H, .h = row / T % H, .t = row % T, .most = -INFINITY };
    w.group = w.n * G + w.h / (H / G);
    for (size_t s = 0; s < S; s++) {
        const double v = score(r, &w, row, s);
        if (v > w.most || isnan(v)) w.most = v;
    }
    for (size_t s = 0; s < S && w.most != -INFINITY; s++)
        w.sum += exp(score(r, &w, row, s) - w.most);
    return w;
}

static double part(const tuff_ref *r, const row_of *w, size_t row, size_t s)
{
    if (w->most == -INFINITY || hidden(r, w, s)) return 0;
    return exp(score(r, w, row, s) - w->most) / w->sum;
}

static void probs_ref(const tuff_ref *r)
{
    const size_t S = (size_t)r->call->in[K].dim[2];
    for (size_t row = r->begin; row < r->end; row++) {
        const row_of w = find_row(r, row);
        for (size_t s = 0; s < S; s++) r->out[0][row * S + s] = (float)part(r, &w, row, s);
    }
}

enum { CHUNK = 64 }; // sums that are kept while the keys are gone through once

static void ref(const tuff_ref *r)
{
    const size_t S = (size_t)r->call->in[V].dim[2], E = (size_t)r->call->in[V].dim[3];
    for (size_t row = r->begin; row < r->end; row++) {
        const row_of w = find_row(r, row);
        const float *values = r->in[V] + w.group * S * E;
        for (size_t first = 0; first < E; first += CHUNK) {
            const size_t n = E - first < CHUNK ? E - first : CHUNK;
            double sum[CHUNK] = { 0 };
            for (size_t s = 0; s < S; s++) {
                if (hidden(r, &w, s)) continue; // whatever it holds
                const double p = part(r, &w, row, s);
                for (size_t j = 0; j < n; j++) sum[j] += p * (double)values[s * E + first + j];
            }
            for (size_t j = 0; j < n; j++) r->out[0][row * E + first + j] = (float)sum[j];
        }
    }
}

// ---- plans ---------------------------------------------------------------------------------

static struct tuff_attention_pc push_of(const tuff_call *c)
{
    const tuff_desc *q = &c->in[Q], *k = &c->in[K];
    struct tuff_attention_pc pc = {
        .n = (uint32_t)q->dim[0], .h = (uint32_t)q->dim[1], .g = (uint32_t)k->dim[1],
        .t = (uint32_t)q->dim[2], .s = (uint32_t)k->dim[2], .d = (uint32_t)q->dim[3],
        .scale = scale_of(c),
    };
    if (c->op == &tuff_op_attention) pc.e = (uint32_t)c->in[V].dim[3];
    const int at = mask_of(c);
    if (tuff_call_has(c, at)) {
        const tuff_desc *m = &c->in[at];
        uint32_t step[4] = { 0 }, next = 1;
        for (int i = 0; i < m->rank; i++) {
            const uint32_t n = (uint32_t)m->dim[m->rank - 1 - i];
            step[3 - i] = n > 1 ? next : 0;
            next *= n;
        }
        pc.mask_n = step[0];
        pc.mask_h = step[1];
        pc.mask_t = step[2];
        pc.mask_s = step[3];
    }
    return pc;
}

static tuff_dispatch *add(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader,
                          uint64_t count)
{
    const tuff_attention_params *params = c->params;
    const uint32_t wg = tuff_group_size(k);
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, wg);
    tuff_spec(d, params->causal);
    tuff_grid(d, (count + wg - 1) / wg, k);
    const struct tuff_attention_pc pc = push_of(c);
    TUFF_PUSH(d, pc);
    return d;
}

// An invocation's loops stay below the limit.
static bool loops(const tuff_caps *k, uint64_t iterations)
{
    return !k->max_loop || iterations + 64 <= k->max_loop;
}

// What the shaders' constant MASK says.
static uint32_t mask_kind(const tuff_call *c)
{
    const int mask = mask_of(c);
    return !tuff_call_has(c, mask) ? 0 : c->in[mask].dtype == TUFF_F32 ? 1 : 2;
}

// Scores, and their softmax in place, into out[0] or scratch 0.
static bool add_probs(const tuff_call *c, const tuff_caps *k, tuff_plan *p, tuff_role role)
{
    const uint64_t rows = units(c), s = (uint64_t)c->in[K].dim[2], count = rows * s;
    const int mask = mask_of(c);
    if (count > INT32_MAX || !tuff_fits(k, count * 4) || !loops(k, 3 * s) ||
        !loops(k, (uint64_t)c->in[Q].dim[3]))
        return false;
    tuff_dispatch *d = add(c, k, p, TUFF_SHADER_attention_scores, count);
    tuff_spec(d, mask_kind(c));
    tuff_bind_in(d, Q);
    tuff_bind_in(d, K);
    tuff_bind_in(d, tuff_call_has(c, mask) ? mask : Q);
    tuff_bind(d, role, 0, TUFF_BIND_STORAGE, TUFF_WRITE);
    d = add(c, k, p, TUFF_SHADER_attention_probs, rows);
    tuff_bind(d, role, 0, TUFF_BIND_STORAGE, TUFF_READ | TUFF_WRITE);
    if (role == TUFF_ROLE_SCRATCH) p->scratch[0] = count * 4;
    return true;
}

static bool plan_probs(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return add_probs(c, k, p, TUFF_ROLE_OUT);
}

static bool plan_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!add_probs(c, k, p, TUFF_ROLE_SCRATCH)) return false;
    tuff_dispatch *d = add(c, k, p, TUFF_SHADER_attention_apply,
                           (uint64_t)tuff_desc_count(&c->out[0]));
    tuff_bind(d, TUFF_ROLE_SCRATCH, 0, TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_in(d, V);
    tuff_bind_out(d, 0);
    return true;
}

enum { FLASH_WIDEST = 256 }; // numbers of a row of v that an invocation keeps

static bool plan_flash(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const uint64_t d = (uint64_t)c->in[Q].dim[3], e = (uint64_t)c->in[V].dim[3];
    if (tuff_call_has(c, MASK) || e > FLASH_WIDEST ||
        !loops(k, (uint64_t)c->in[K].dim[2] * (d + e + 1) + 2 * e))
        return false;
    tuff_dispatch *x = add(c, k, p, TUFF_SHADER_attention_flash, units(c));
    tuff_spec(x, 0);
    tuff_spec(x, (uint32_t)e);
    tuff_bind_in(x, Q);
    tuff_bind_in(x, K);
    tuff_bind_in(x, V);
    tuff_bind_out(x, 0);
    return true;
}

// By subgroups that are SIMD registers, for rows of q, k and v that lie in fours.
static bool add_wide(const tuff_call *c, const tuff_caps *k, tuff_plan *p, int shader)
{
    enum { ROWS = 8 };
    const struct tuff_attention_pc pc = push_of(c);
    const uint32_t w = k->subgroup;
    const int mask = mask_of(c);
    if (!tuff_takes_texels(k) || w < ROWS || pc.d % 4) return false;
    for (int i = Q; i < mask; i++)
        if (!tuff_fits_texel(k, &c->in[i], 16)) return false;
    if (tuff_call_has(c, mask) && !tuff_fits_texel(k, &c->in[mask], 4)) return false;
    if (!loops(k, 2 * (uint64_t)tuff_ceil_div(pc.s, 4 * w) * (pc.d / 4 + 5))) return false;
    tuff_dispatch *d = tuff_plan_add(p, shader);
    tuff_spec(d, w);
    tuff_spec(d, ((const tuff_attention_params *)c->params)->causal);
    tuff_spec(d, mask_kind(c));
    tuff_spec(d, pc.e > 4 * w);
    tuff_bind(d, TUFF_ROLE_IN, Q, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, K, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, mask == MASK ? V : Q, TUFF_BIND_TEXEL_F32X4, TUFF_READ);
    tuff_bind_or_word(c, d, mask, Q, TUFF_BIND_TEXEL_U32);
    tuff_bind_out(d, 0);
    tuff_grid(d, (uint64_t)pc.n * pc.h * tuff_ceil_div(pc.t, ROWS), k);
    TUFF_PUSH(d, pc);
    return true;
}

static bool plan_wide(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const int64_t e = c->in[V].dim[3];
    return e % 4 == 0 && e <= 8 * (int64_t)k->subgroup &&
           add_wide(c, k, p, TUFF_SHADER_attention_wide);
}

static bool plan_wide_probs(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return add_wide(c, k, p, TUFF_SHADER_attention_wide_probs);
}

// ---- gradients -----------------------------------------------------------------------------

// A value [N, H, ...] as [N, G, H / G, ...]; one of [N, G, ...] as [N, G, 1, ...].
static tuff_var grouped(tuff_tape *t, tuff_var v, int64_t g)
{
    const tuff_desc d = *t->desc(t, v);
    const tuff_desc five = { .dtype = d.dtype, .rank = 5,
                             .dim = { d.dim[0], g, d.dim[1] / g, d.dim[2], d.dim[3] } };
    return t->reshape(t, v, &five);
}

static tuff_var product(tuff_tape *t, tuff_var a, tuff_var b, bool trans_a, bool trans_b)
{
    const tuff_matmul_params p = { .trans_a = trans_a, .trans_b = trans_b };
    return TUFF_V(t, &tuff_op_matmul, &p, a, b);
}

// The sum over the heads that share one of k or v, in that one's shape.
static tuff_var over_heads(tuff_tape *t, tuff_var v, const tuff_desc *shape)
{
    const tuff_reduce_params heads = { .axes = 1u << 2 };
    return t->reshape(t, TUFF_V(t, &tuff_op_reduce_sum, &heads, v), shape);
}

// From p and dp [N, G, R, T, S]: the scores' gradient p (dp - sum(dp p)) times the scale, then
// that of q and k.
static void grad_scores(tuff_tape *t, const tuff_node *n, tuff_var p, tuff_var dp,
                        tuff_var dx[])
{
    const int64_t g = n->call.in[K].dim[1];
    const tuff_reduce_params along = { .axes = 1u, .keepdims = true };
    const tuff_var sum = TUFF_V(t, &tuff_op_reduce_sum, &along,
                                TUFF_V(t, &tuff_op_mul, NULL, dp, p));
    tuff_var ds = TUFF_V(t, &tuff_op_mul, NULL, p, TUFF_V(t, &tuff_op_sub, NULL, dp, sum));
    ds = tuff_scaled(t, ds, scale_of(&n->call));
    const tuff_var q5 = grouped(t, n->in[Q], g), k5 = grouped(t, n->in[K], g);
    if (tuff_var_null(q5) || tuff_var_null(k5)) return;
    dx[Q] = t->reshape(t, product(t, ds, k5, false, false), &n->call.in[Q]);
    dx[K] = over_heads(t, product(t, ds, q5, true, false), &n->call.in[K]);
}

static void probs_grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const int64_t g = n->call.in[K].dim[1];
    grad_scores(t, n, grouped(t, n->out[0], g), grouped(t, dy[0], g), dx);
}

static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const int64_t g = n->call.in[K].dim[1];
    const tuff_var mask = tuff_call_has(&n->call, MASK) ? n->in[MASK] : (tuff_var){ 0 };
    const tuff_var probs = tuff_v(t, &tuff_op_attention_probs, n->call.params,
                                  tuff_var_null(mask) ? 2 : 3,
                                  (tuff_var[]){ n->in[Q], n->in[K], mask });
    if (tuff_var_null(probs)) return;
    const tuff_var p = grouped(t, probs, g), dy5 = grouped(t, dy[0], g);
    const tuff_var v5 = grouped(t, n->in[V], g);
    dx[V] = over_heads(t, product(t, p, dy5, true, false), &n->call.in[V]);
    grad_scores(t, n, p, product(t, dy5, v5, false, true), dx);
}

// ---- records -------------------------------------------------------------------------------

static tuff_cost probs_cost(const tuff_call *c)
{
    const double scores = (double)units(c) * (double)c->in[K].dim[2];
    return (tuff_cost){ scores * (2 * (double)c->in[Q].dim[3] + 4),
                        4 * ((double)tuff_desc_count(&c->in[Q]) +
                             (double)tuff_desc_count(&c->in[K]) + scores) };
}

static tuff_cost cost(const tuff_call *c)
{
    const double scores = (double)units(c) * (double)c->in[K].dim[2];
    tuff_cost all = probs_cost(c);
    all.flops += 2 * scores * (double)c->in[V].dim[3];
    all.bytes += 4 * ((double)tuff_desc_count(&c->in[V]) + (double)tuff_desc_count(&c->out[0]));
    return all;
}

#define FIELDS                                                                  \
    .params_size = sizeof(tuff_attention_params),                               \
    .params = { TUFF_FLOAT_ZERO(tuff_attention_params, scale),                  \
                TUFF_BOOLEAN(tuff_attention_params, causal) }
#define PORT(name_) { .name = name_, .dtypes = TUFF_FLOATS }
#define MASK_PORT                                                               \
    { .name = "mask", .dtypes = TUFF_FLOATS | TUFF_BOOL, .optional = true, .no_grad = true, \
      .mixed = true }

const tuff_op tuff_op_attention = {
    .name = "attention",
    .doc = "y = softmax(scale q k^T + mask) v, position by position and head by head",
    .in = { PORT("q"), PORT("k"), PORT("v"), MASK_PORT },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS } }, FIELDS,
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("wide", plan_wide), TUFF_KERNEL("flash", plan_flash),
                  TUFF_KERNEL("plain", plan_plain) },
    // exp to 3e-7 of scores up to 20, each carrying their sums' rounding times their size.
    .tol = { .f32 = 4e-6f }, .sample = { -2, 2 },
    // One position; heads in groups; a causal block, with more and with fewer keys than
    // queries; a mask of each rank, and of bool; keys past a loop limit.
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1 1x1x1x1", "2x3x7x5 2x3x11x5 2x3x11x9",
                        "2x6x5x8 2x2x9x8 2x2x9x8 causal=1", "1x2x9x4 1x1x5x4 1x1x5x4 causal=1",
                        "1x2x3x4 1x2x5x4 1x2x5x3 3x5 scale=0.25",
                        "2x2x3x4 2x1x5x4 2x1x5x3 2x1x1x5 causal=1",
                        "2x2x7x4 2x1x5x4 2x1x5x3 bool:2x1x7x5",
                        "1x1x3x16 1x1x4099x16 1x1x4099x17", "1x4x11x36 1x2x67x36 1x2x67x44",
                        "2x2x19x8 2x2x13x8 2x2x13x8 causal=1",
                        "1x2x9x12 1x1x70x12 1x1x70x4 9x70 causal=1",
                        "1x1x10x4 1x1x33x4 1x1x33x8 bool:10x33")
};

const tuff_op tuff_op_attention_probs = {
    .name = "attention_probs",
    .doc = "p = softmax(scale q k^T + mask), position by position and head by head",
    .in = { PORT("q"), PORT("k"), MASK_PORT },
    .out = { { .name = "p", .dtypes = TUFF_FLOATS } }, FIELDS,
    .infer = probs_infer, .ref = probs_ref, .units = units, .grad = probs_grad,
    .cost = probs_cost,
    .variants = { TUFF_KERNEL("wide", plan_wide_probs), TUFF_KERNEL("plain", plan_probs) },
    .tol = { .f32 = 4e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("1x1x1x1 1x1x1x1", "2x6x5x8 2x2x9x8 causal=1", "2x3x7x5 2x3x11x5 7x11",
                        "1x2x3x4 1x1x65x4 2x1x65 scale=0.5",
                        "2x2x7x4 2x1x5x4 bool:7x5 causal=1", "1x4x11x36 1x2x67x36 causal=1",
                        "1x1x10x12 1x1x33x12 10x33")
};

tuff_status tuff_attention(tuff_stream *s, const tuff_tensor *q, const tuff_tensor *k,
                           const tuff_tensor *v, const tuff_tensor *mask, tuff_tensor *y,
                           const tuff_attention_params *p)
{
    return tuff_run(s, &tuff_op_attention, TUFF_RUN_IN(q, k, v, mask), TUFF_RUN_OUT(y), p);
}

tuff_status tuff_attention_probs(tuff_stream *s, const tuff_tensor *q, const tuff_tensor *k,
                                 const tuff_tensor *mask, tuff_tensor *p,
                                 const tuff_attention_params *params)
{
    return tuff_run(s, &tuff_op_attention_probs, TUFF_RUN_IN(q, k, mask), TUFF_RUN_OUT(p),
                    params);
}
