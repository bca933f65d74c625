// Dropout by counter: which elements go is a pure function of a seed and of places in its
// sequence. The shader is shaders/dropout.comp; base/rng.h says what the numbers are.
#include "base/rng.h"
#include "ops/elementwise.h"
#include "ops/random_host.h"

enum { X, COUNTER };
enum { Y, MASK };

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    const tuff_dropout_params *p = c->params;
    const tuff_desc *counter = &c->in[COUNTER];
    char text[96];
    TUFF_REQUIRE(p->ratio >= 0 && p->ratio < 1, ARG,
                 "ratio is %g, it must be at least 0 and below 1", (double)p->ratio);
    if (tuff_call_has(c, COUNTER))
        TUFF_REQUIRE(counter->rank == 1 && counter->dim[0] == 2, SHAPE,
                     "counter is %s, it must be i32 [2]: the low and the high half",
                     tuff_desc_print(counter, text, sizeof text));
    out[Y] = out[MASK] = c->in[X];
    out[MASK].dtype = TUFF_BOOL;
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const tuff_dropout_params *p = r->call->params;
    const uint32_t *counter = (const uint32_t *)(const void *)r->in[COUNTER];
    const float scale = (float)(1 / (1 - (double)p->ratio));
    uint64_t first = p->offset;
    if (counter) first += counter[0] | (uint64_t)counter[1] << 32;
    for (size_t i = r->begin; i < r->end; i++) {
        const bool stays = tuff_rng_uniform_at(p->seed, first + i) >= p->ratio;
        r->out[Y][i] = stays ? r->in[X][i] * scale : 0;
        ((uint8_t *)r->out[MASK])[i] = stays;
    }
}

static bool host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

static bool plan(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_dropout_params *params = c->params;
    const uint64_t count = (uint64_t)tuff_desc_count(&c->in[X]);
    const uint32_t wg = tuff_group_size_flat(k);
    const double ratio = (double)params->ratio;
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_dropout);
    tuff_spec(d, wg);
    tuff_spec(d, tuff_call_has(c, COUNTER));
    tuff_bind_in(d, X);
    tuff_bind_in(d, tuff_call_has(c, COUNTER) ? COUNTER : X);
    tuff_bind_out(d, Y);
    tuff_bind_out(d, MASK);
    tuff_grid(d, (count + 4 * wg - 1) / (4 * wg), k);
    TUFF_PUSH(d, (struct tuff_dropout_pc){
        .count = (uint32_t)count, .stays_from = (uint32_t)ceil(ratio * 0x1p24),
        .scale = (float)(1 / (1 - ratio)),
        .seed_low = (uint32_t)params->seed, .seed_high = (uint32_t)(params->seed >> 32),
        .first_low = (uint32_t)params->offset,
        .first_high = (uint32_t)(params->offset >> 32) });
    return true;
}

// The same elements of dy go.
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    dx[X] = TUFF_V(t, &tuff_op_dropout, n->call.params, dy[Y], n->in[COUNTER]);
}

// Ends of groups of four; places within a block of four; a counter; over 32 bits.
const tuff_op tuff_op_dropout = {
    .name = "dropout", .onnx = "Dropout", .native = TUFF_WORDS | TUFF_BOOL,
    .doc = "y = x / (1 - ratio) where a random number is at least ratio, else 0; mask says "
           "where",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "counter", .dtypes = TUFF_I32, .optional = true, .no_grad = true } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true },
             { .name = "mask", .dtypes = TUFF_BOOL } },
    .params_size = sizeof(tuff_dropout_params),
    .params = { TUFF_FLOAT(tuff_dropout_params, ratio), TUFF_UINT64(tuff_dropout_params, seed),
                TUFF_UINT64(tuff_dropout_params, offset) },
    .infer = infer, .ref = ref, .units = tuff_elements, .grad = grad,
    .variants = { TUFF_KERNEL("plain", plan) },
    TUFF_FAST(host_takes, tuff_dropout_host),
    .sample = { -4, 4 },
    .cases = TUFF_CASES("1", "5x64 ratio=0.5 seed=7", "1031 2 ratio=0.3 seed=3 offset=5",
                        "257x13 ratio=0.9 seed=81985529216486895 offset=17179869182")
};

tuff_status tuff_dropout(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *counter,
                         tuff_tensor *y, tuff_tensor *mask, const tuff_dropout_params *p)
{
    return tuff_run(s, &tuff_op_dropout, TUFF_RUN_IN(x, counter), TUFF_RUN_OUT(y, mask), p);
}
