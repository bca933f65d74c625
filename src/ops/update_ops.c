// The optimizers' records; Lamb's is in lamb.c. The formulas are in <tuff/ops/optimizer.h>.
#include "ops/update.h"
#include <math.h>

#define SHARED                                                                  \
    .params_size = sizeof(tuff_update_params), .infer = tuff_update_infer,      \
    .ref = tuff_update_ref, .units = tuff_update_elements, .cost = tuff_update_cost, \
    .variants = { TUFF_KERNEL("texel", tuff_update_texel),                      \
                  TUFF_KERNEL("fused", tuff_update_fused),                      \
                  TUFF_KERNEL("plain", tuff_update_split) },                    \
    TUFF_FAST(tuff_update_host_takes, tuff_update_host),                        \
    TUFF_UPDATE_JUDGED
#define PART TUFF_UPDATE_PART
#define PENALTIES TUFF_UPDATE_PENALTIES
#define DECOUPLED TUFF_BOOLEAN(tuff_update_params, decoupled)
#define MOMENTS                                                                 \
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_M, TUFF_UPDATE_READ_V },        \
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("m", 0), TUFF_UPDATE_WRITE("v", 1),  \
             TUFF_UPDATE_COPY }
#define ONE_MOMENT                                                              \
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_M },                            \
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("m", 0), TUFF_UPDATE_COPY }
#define ONE_SIZE                                                                \
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_V },                            \
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("v", 0), TUFF_UPDATE_COPY }
// Penalties of every kind, over more elements than a workgroup has.
#define PENALISED "weight_decay=0.1 l1=0.25 clip_value=0.125"
// What Adam and those made of it have in common.
#define BETAS                                                                   \
    .params = { PART(beta1), PART(beta2), PART(eps), PENALTIES, DECOUPLED }
#define BETA_CASES                                                              \
    "1 1 8 1 1", "7x11x3 7x11x3 8 7x11x3 7x11x3 beta1=0.5 beta2=0.75 eps=0.01", \
        "997 997 8 997 997 " PENALISED, "70001 70001 8 70001 70001"

const tuff_op tuff_op_sgd = {
    .name = "sgd",
    .doc = "w -= lr g', where g' is g scaled, clipped and with the slopes of the penalties",
    .in = { TUFF_UPDATE_PORTS },
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_COPY },
    .params = { PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8", "61706 61706 8", "7x11x3 7x11x3 8 weight_decay=0.1",
                        "997 997 8 l1=0.25 clip_value=0.125", "70001 70001 8",
                        "997 997 8 weight_decay=0.1 decoupled=1 copy=f16"),
    SHARED,
};

const tuff_op tuff_op_momentum = {
    .name = "momentum",
    .doc = "m = momentum m + (1 - dampening) g', undamped in the first step; w -= lr m",
    ONE_MOMENT,
    .params = { PART(momentum), TUFF_UPDATE_FLOAT(dampening), PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 momentum=0.5 dampening=0.25",
                        "997 997 8 997 " PENALISED, "997 997 8 997 momentum=0 copy=bf16",
                        "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_nesterov = {
    .name = "nesterov",
    .doc = "m = momentum m + (1 - dampening) g', undamped in the first step; "
           "w -= lr (g' + momentum m)",
    ONE_MOMENT,
    .params = { PART(momentum), TUFF_UPDATE_FLOAT(dampening), PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 momentum=0.5",
                        "997 997 8 997 " PENALISED, "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_adagrad = {
    .name = "adagrad",
    .doc = "v += g'^2; w -= lr g' / (sqrt(v) + eps)",
    ONE_SIZE,
    .params = { PART(eps), PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 eps=0.01",
                        "997 997 8 997 " PENALISED, "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_rmsprop = {
    .name = "rmsprop",
    .doc = "v = alpha v + (1 - alpha) g'^2; w -= lr g' / (sqrt(v) + eps)",
    ONE_SIZE,
    .params = { PART(alpha), PART(eps), PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 alpha=0.5 eps=0.01",
                        "997 997 8 997 " PENALISED, "70001 70001 8 70001"),
    SHARED,
};

const tuff_op tuff_op_rmsprop_momentum = {
    .name = "rmsprop_momentum",
    .doc = "v = alpha v + (1 - alpha) g'^2; m = momentum m + g' / (sqrt(v) + eps); w -= lr m",
    MOMENTS,
    .params = { PART(alpha), PART(momentum), PART(eps), PENALTIES, DECOUPLED },
    .cases = TUFF_CASES("1 1 8 1 1", "7x11x3 7x11x3 8 7x11x3 7x11x3 alpha=0.5 eps=0.01",
                        "997 997 8 997 997 momentum=0.5 " PENALISED,
                        "70001 70001 8 70001 70001"),
    SHARED,
};

// A mean that goes with its mean of squares: x^2 is at most a quarter of v, so that what is
// left of their difference is not rounding.
static void prepare_centered(const tuff_call *c, void *const in[])
{
    const float *v = in[TUFF_UPDATE_IN_STATE + 1];
    float *x = in[TUFF_UPDATE_IN_STATE + 2];
    for (size_t i = 0; i < tuff_update_elements(c); i++) x[i] *= 0.5f * sqrtf(v[i]);
}

const tuff_op tuff_op_rmsprop_centered = {
    .name = "rmsprop_centered",
    .doc = "v = alpha v + (1 - alpha) g'^2; x = alpha x + (1 - alpha) g'; "
           "m = momentum m + g' / (sqrt(v - x^2) + eps); w -= lr m",
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_M, TUFF_UPDATE_READ_V,
            { .name = "x", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("m", 0), TUFF_UPDATE_WRITE("v", 1),
             TUFF_UPDATE_WRITE("x", 2), TUFF_UPDATE_COPY },
    .params = { PART(alpha), PART(momentum), PART(eps), PENALTIES, DECOUPLED },
    .prepare = prepare_centered,
    .cases = TUFF_CASES("1 1 8 1 1 1",
                        "7x11x3 7x11x3 8 7x11x3 7x11x3 7x11x3 momentum=0.5 eps=0.01 copy=f16",
                        "997 997 8 997 997 997 " PENALISED, "70001 70001 8 70001 70001 70001"),
    SHARED,
};

const tuff_op tuff_op_adam = {
    .name = "adam",
    .doc = "m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; "
           "w -= lr (m / bias1) / (sqrt(v / bias2) + eps)",
    MOMENTS,
    BETAS,
    .cases = TUFF_CASES(BETA_CASES, "61706 61706 8 61706 61706",
                        "997 997 8 997 997 beta1=0 copy=f16"),
    SHARED,
};

const tuff_op tuff_op_adamw = {
    .name = "adamw",
    .doc = "adam, where w is first scaled by 1 - lr weight_decay and g' is without it",
    MOMENTS,
    .params = { PART(beta1), PART(beta2), PART(eps), PENALTIES },
    .cases = TUFF_CASES("1 1 8 1 1", "7x11x3 7x11x3 8 7x11x3 7x11x3 weight_decay=0.5",
                        "997 997 8 997 997 " PENALISED, "70001 70001 8 70001 70001"),
    SHARED,
};

const tuff_op tuff_op_amsgrad = {
    .name = "amsgrad",
    .doc = "m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; x = max(x, v); "
           "w -= lr (m / bias1) / (sqrt(x / bias2) + eps)",
    .in = { TUFF_UPDATE_PORTS, TUFF_UPDATE_READ_M, TUFF_UPDATE_READ_V,
            { .name = "x", .dtypes = TUFF_F32, .no_grad = true, .positive = true } },
    .out = { TUFF_UPDATE_WRITE_W, TUFF_UPDATE_WRITE("m", 0), TUFF_UPDATE_WRITE("v", 1),
             TUFF_UPDATE_WRITE("x", 2), TUFF_UPDATE_COPY },
    BETAS,
    .cases = TUFF_CASES("1 1 8 1 1 1",
                        "7x11x3 7x11x3 8 7x11x3 7x11x3 7x11x3 beta1=0.5 beta2=0.75 eps=0.01",
                        "997 997 8 997 997 997 " PENALISED, "70001 70001 8 70001 70001 70001"),
    SHARED,
};

const tuff_op tuff_op_adamax = {
    .name = "adamax",
    .doc = "m = beta1 m + (1 - beta1) g'; v = max(beta2 v, |g'| + eps); "
           "w -= lr (m / bias1) / v",
    MOMENTS,
    BETAS,
    .cases = TUFF_CASES(BETA_CASES),
    SHARED,
};

const tuff_op tuff_op_nadam = {
    .name = "nadam",
    .doc = "m = beta1 m + (1 - beta1) g'; v = beta2 v + (1 - beta2) g'^2; "
           "w -= lr (first g' + m / bias1) / (sqrt(v / bias2) + eps)",
    MOMENTS,
    BETAS,
    .cases = TUFF_CASES(BETA_CASES),
    SHARED,
};

// Where what the sign is taken of is nearly 0, rounding could turn it: such elements of m are
// moved away.
static void prepare_lion(const tuff_call *c, void *const in[])
{
    const tuff_rule *rule = tuff_rule_of(c->op->name);
    const tuff_rule_numbers n = tuff_rule_numbers_of(rule, c->params);
    const float *w = in[TUFF_UPDATE_IN_W], *g = in[TUFF_UPDATE_IN_G];
    const float *hyper = in[TUFF_UPDATE_IN_HYPER];
    float *m = in[TUFF_UPDATE_IN_STATE];
    for (size_t i = 0; i < tuff_update_elements(c); i++) {
        const double scaled = (double)hyper[TUFF_HYPER_SCALE] * g[i];
        const double slope = tuff_rule_slope(&n, w[i], scaled);
        const double mixed = n.beta1 * m[i] + (1 - n.beta1) * slope;
        if (fabs(mixed) < 1e-3) m[i] += 0.25f;
    }
}

const tuff_op tuff_op_lion = {
    .name = "lion",
    .doc = "w -= lr (sign(beta1 m + (1 - beta1) g') + weight_decay w); "
           "m = beta2 m + (1 - beta2) g'",
    ONE_MOMENT,
    .params = { PART(beta1), PART(beta2), PENALTIES },
    .prepare = prepare_lion,
    .cases = TUFF_CASES("1 1 8 1", "7x11x3 7x11x3 8 7x11x3 beta1=0.5 beta2=0.75",
                        "997 997 8 997 " PENALISED, "70001 70001 8 70001"),
    SHARED,
};
