// unscale and loss_scale: what keeps gradients of 16 bits in their range; see
// <tuff/ops/optimizer.h>. The shaders have their names.
#include "ops/op.h"
#include "abi/update.h"
#include <math.h>
#include <string.h>

static tuff_status check_vector(const tuff_call *c, int input, int64_t size)
{
    char want[96], got[96];
    const tuff_desc like = TUFF_SHAPE(TUFF_F32, size);
    TUFF_REQUIRE(tuff_desc_equal(&c->in[input], &like), SHAPE, "%s must be %s, it is %s",
                 c->op->in[input].name, tuff_desc_print(&like, want, sizeof want),
                 tuff_desc_print(&c->in[input], got, sizeof got));
    return TUFF_OK;
}

// ---- unscale -------------------------------------------------------------------------------

static tuff_status unscale_infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_vector(c, 1, 4));
    out[0] = c->in[0];
    out[1] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

static void unscale_ref(const tuff_ref *r)
{
    const size_t n = (size_t)tuff_desc_count(&r->call->in[0]);
    const double scale = r->in[1][TUFF_SCALER_SCALE];
    float found = 0;
    for (size_t i = 0; i < n; i++) {
        const float g = r->in[0][i];
        if (!isfinite(g)) found = 1;
        r->out[0][i] = isfinite(g) ? (float)(g / scale) : 0;
    }
    r->out[1][0] = found;
}

static void unscale_add(const tuff_call *c, bool texel, bool clear, const tuff_caps *k,
                        tuff_plan *p)
{
    const struct tuff_unscale_pc pc = { (uint32_t)tuff_desc_count(&c->in[0]) };
    const uint32_t wg = tuff_group_size_flat(k);
    tuff_dispatch *d = tuff_plan_add(p, texel ? TUFF_SHADER_unscale_texel
                                              : TUFF_SHADER_unscale);
    tuff_bind(d, TUFF_ROLE_IN, 0, texel ? TUFF_BIND_TEXEL_F32 : TUFF_BIND_STORAGE, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind(d, TUFF_ROLE_OUT, 1, TUFF_BIND_STORAGE,
              clear ? TUFF_WRITE : TUFF_READ | TUFF_WRITE);
    tuff_bind(d, TUFF_ROLE_IN, 1, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_spec(d, wg);
    tuff_spec(d, clear);
    TUFF_PUSH(d, pc);
    tuff_grid(d, clear ? 1 : (pc.count + (uint64_t)wg - 1) / wg, k);
}

static bool unscale_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    if (!k->cpu_like || !tuff_fits_texel(k, &c->in[0], 4)) return false;
    unscale_add(c, true, true, k, p);
    unscale_add(c, true, false, k, p);
    return true;
}

static bool unscale_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    unscale_add(c, false, true, k, p);
    unscale_add(c, false, false, k, p);
    return true;
}

// One element is infinite or NaN, so that there is something to be found. That nothing is
// found among finite ones is tested in tests/test_optimizer.c.
static void unscale_prepare(const tuff_call *c, void *const in[])
{
    const size_t n = (size_t)tuff_desc_count(&c->in[0]);
    static const float bad[] = { INFINITY, -INFINITY, NAN };
    ((float *)in[0])[n / 2] = bad[n % 3];
}

const tuff_op tuff_op_unscale = {
    .name = "unscale",
    .doc = "y = g / scale, where a g that is infinite or NaN becomes 0; found = 1 if there "
           "is one",
    .in = { { .name = "g", .dtypes = TUFF_F32, .no_grad = true },
            { .name = "scaler", .dtypes = TUFF_F32, .no_grad = true, .positive = true } },
    .out = { { .name = "y", .dtypes = TUFF_F32, .alias = true },
             { .name = "found", .dtypes = TUFF_F32 } },
    .infer = unscale_infer,
    .ref = unscale_ref,
    .variants = { TUFF_KERNEL("texel", unscale_texel), TUFF_KERNEL("plain", unscale_plain) },
    .prepare = unscale_prepare,
    .tol = { .f32 = 5e-7f }, // a division of 2.5 ulp and a product
    .sample = { -1, 1 },
    .cases = TUFF_CASES("2 4", "7x11x3 4", "997 4", "1027 4", "70001 4"),
};

tuff_status tuff_unscale(tuff_stream *s, const tuff_tensor *g, const tuff_tensor *scaler,
                         tuff_tensor *y, tuff_tensor *found)
{
    return tuff_run(s, &tuff_op_unscale, TUFF_RUN_IN(g, scaler), TUFF_RUN_OUT(y, found), NULL);
}

// ---- loss_scale ----------------------------------------------------------------------------

typedef struct numbers {
    double growth, backoff, interval, beta1, beta2, decay;
    bool nadam;
} numbers;

static numbers numbers_of(const tuff_call *c)
{
    const tuff_loss_scale_params *p = c->params;
    return (numbers){ tuff_number(p->growth_factor, 2), tuff_number(p->backoff_factor, 0.5),
                      p->growth_interval ? p->growth_interval : 2000,
                      tuff_number(p->beta1, 0.9), tuff_number(p->beta2, 0.999),
                      tuff_number(p->momentum_decay, 0),
                      tuff_given(p->momentum_decay) };
}

static tuff_status loss_scale_infer(const tuff_call *c, tuff_desc out[])
{
    const numbers n = numbers_of(c);
    char got[96];
    TUFF_REQUIRE(c->in[0].rank == 0, SHAPE, "found must be f32 [], it is %s",
                 tuff_desc_print(&c->in[0], got, sizeof got));
    TUFF_TRY(check_vector(c, 1, 4));
    TUFF_TRY(check_vector(c, 2, 8));
    TUFF_REQUIRE(n.growth >= 1 && n.growth < HUGE_VAL, ARG,
                 "growth_factor is %g, it must be at least 1", n.growth);
    TUFF_REQUIRE(n.backoff > 0 && n.backoff <= 1, ARG,
                 "backoff_factor is %g, it must be above 0 and at most 1", n.backoff);
    TUFF_REQUIRE(n.interval >= 1 && n.interval <= 1 << 24, ARG,
                 "growth_interval is %g, it must be from 1 to 16777216", n.interval);
    TUFF_REQUIRE(n.beta1 >= 0 && n.beta1 < 1, ARG,
                 "beta1 is %g, it must be at least 0 and below 1", n.beta1);
    TUFF_REQUIRE(n.beta2 >= 0 && n.beta2 < 1, ARG,
                 "beta2 is %g, it must be at least 0 and below 1", n.beta2);
    TUFF_REQUIRE(n.decay >= 0 && n.decay < HUGE_VAL, ARG,
                 "momentum_decay is %g, it must be at least 0", n.decay);
    out[0] = c->in[1];
    out[1] = c->in[2];
    return TUFF_OK;
}

static double mu(const numbers *n, double t)
{
    return n->beta1 * (1 - 0.5 * pow(0.96, t * n->decay));
}

static void loss_scale_ref(const tuff_ref *r)
{
    const numbers n = numbers_of(r->call);
    const bool skip = r->in[0][0] >= 1;
    float s[4], h[8]; // the outputs may lie over the inputs
    memcpy(s, r->in[1], sizeof s);
    memcpy(h, r->in[2], sizeof h);
    const double t = (double)s[TUFF_SCALER_STEPS] + 1;
    const double old = s[TUFF_SCALER_STEPS] > 0 ? s[TUFF_SCALER_PRODUCT] : 1;
    const double product = n.nadam ? old * mu(&n, t) : old;
    if (skip) {
        s[TUFF_SCALER_SCALE] *= (float)n.backoff;
        s[TUFF_SCALER_TRACKER] = 0;
    } else if (s[TUFF_SCALER_TRACKER] + 1 >= n.interval) {
        const float grown = (float)(s[TUFF_SCALER_SCALE] * n.growth);
        if (isfinite(grown)) s[TUFF_SCALER_SCALE] = grown;
        s[TUFF_SCALER_TRACKER] = 0;
    } else {
        s[TUFF_SCALER_TRACKER] += 1;
    }
    h[TUFF_HYPER_SKIP] = skip;
    h[TUFF_HYPER_BIAS1] = (float)(1 - pow(n.beta1, t));
    h[TUFF_HYPER_BIAS2] = (float)(1 - pow(n.beta2, t));
    h[TUFF_HYPER_FIRST] = t < 2;
    if (n.nadam) {
        const double next = mu(&n, t + 1);
        h[TUFF_HYPER_BIAS1] = next > 0 ? (float)((1 - product * next) / next) : 3.4028234e38f;
        h[TUFF_HYPER_FIRST] = (float)((1 - mu(&n, t)) / (1 - product));
    }
    if (!skip) s[TUFF_SCALER_STEPS] = (float)t;
    s[TUFF_SCALER_PRODUCT] = (float)(skip ? old : product);
    memcpy(r->out[0], s, sizeof s);
    memcpy(r->out[1], h, sizeof h);
}

// A logarithm that is finite for 0 too: e to it is 0 all the same.
static float log_of(double x) { return x > 0 ? (float)log(x) : -1e30f; }

static bool loss_scale_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const numbers n = numbers_of(c);
    const struct tuff_loss_scale_pc pc = {
        .growth = (float)n.growth, .backoff = (float)n.backoff, .interval = (float)n.interval,
        .log_beta1 = log_of(n.beta1), .log_beta2 = log_of(n.beta2), .beta1 = (float)n.beta1,
        .log_decay = (float)(n.decay * log(0.96)), .nadam = n.nadam,
    };
    tuff_dispatch *d = tuff_plan_add(p, TUFF_SHADER_loss_scale);
    tuff_bind_in(d, 0);
    tuff_bind(d, TUFF_ROLE_IN, 1, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind(d, TUFF_ROLE_IN, 2, TUFF_BIND_TEXEL_F32, TUFF_READ);
    tuff_bind_out(d, 0);
    tuff_bind_out(d, 1);
    TUFF_PUSH(d, pc);
    tuff_grid(d, 1, k);
    return true;
}

// A case that names the backoff is one in which gradients overflowed.
static void loss_scale_prepare(const tuff_call *c, void *const in[])
{
    const tuff_loss_scale_params *p = c->params;
    ((float *)in[0])[0] = p->backoff_factor != 0;
    float *steps = (float *)in[1] + TUFF_SCALER_STEPS;
    *steps = p->momentum_decay != 0 ? floorf(*steps * 100) : 0;
}

const tuff_op tuff_op_loss_scale = {
    .name = "loss_scale",
    .doc = "scale and steps after a step that is skipped when found is 1, and its hyper",
    .in = { { .name = "found", .dtypes = TUFF_F32, .no_grad = true, .positive = true },
            { .name = "before", .dtypes = TUFF_F32, .no_grad = true, .positive = true },
            { .name = "hyper", .dtypes = TUFF_F32, .no_grad = true, .positive = true,
              .ordinary = true } },
    .out = { { .name = "after", .dtypes = TUFF_F32, .alias = true, .alias_in = 1 },
             { .name = "hyper", .dtypes = TUFF_F32, .alias = true, .alias_in = 2 } },
    .params_size = sizeof(tuff_loss_scale_params),
    .params = { TUFF_FLOAT_ZERO(tuff_loss_scale_params, growth_factor),
                TUFF_FLOAT_ZERO(tuff_loss_scale_params, backoff_factor),
                TUFF_INT(tuff_loss_scale_params, growth_interval),
                TUFF_FLOAT_ZERO(tuff_loss_scale_params, beta1),
                TUFF_FLOAT_ZERO(tuff_loss_scale_params, beta2),
                TUFF_FLOAT_ZERO(tuff_loss_scale_params, momentum_decay) },
    .infer = loss_scale_infer,
    .ref = loss_scale_ref,
    .variants = { TUFF_KERNEL("plain", loss_scale_plain) },
    .prepare = loss_scale_prepare,
    .tol = { .f32 = 2e-6f }, // an exponential of 3e-7, and nadam's quotient of differences
    .sample = { -1, 1 },
    .cases = TUFF_CASES("[] 4 8", "[] 4 8 growth_interval=1 growth_factor=4 beta2=0.5",
                        "[] 4 8 backoff_factor=0.25", "[] 4 8 beta1=0",
                        "[] 4 8 momentum_decay=0.004", "[] 4 8 momentum_decay=0.5 beta1=0.8"),
};

tuff_status tuff_loss_scale(tuff_stream *s, const tuff_tensor *found, const tuff_tensor *before,
                            const tuff_tensor *hyper, tuff_tensor *after,
                            tuff_tensor *hyper_after, const tuff_loss_scale_params *p)
{
    return tuff_run(s, &tuff_op_loss_scale, TUFF_RUN_IN(found, before, hyper),
                    TUFF_RUN_OUT(after, hyper_after), p);
}
