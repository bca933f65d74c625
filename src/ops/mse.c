// mse, the mean squared error. The shader is fold.comp.
#include "ops/fold.h"
#include "ops/ops.h"

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    char want[96], got[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[0], &c->in[1]), SHAPE, "target must be %s, it is %s",
                 tuff_desc_print(&c->in[0], want, sizeof want),
                 tuff_desc_print(&c->in[1], got, sizeof got));
    out[0] = TUFF_SCALAR(TUFF_F32);
    return TUFF_OK;
}

static void ref(const tuff_ref *r)
{
    const size_t n = (size_t)tuff_desc_count(&r->call->in[0]);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)r->in[0][i] - r->in[1][i];
        sum += d * d;
    }
    r->out[0][0] = (float)(sum / (double)n);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_fold fold = { .from = TUFF_FOLD_DIFF, .write = TUFF_FOLD_MEAN,
                             .a = { TUFF_ROLE_IN, 0 }, .b = { TUFF_ROLE_IN, 1 },
                             .count = (size_t)tuff_desc_count(&c->in[0]),
                             .out = { TUFF_ROLE_OUT, 0 }, .scratch = 0 };
    tuff_fold_add(&fold, k, p);
    return true;
}

// dx = dy (x - target) 2 / n
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_affine_params twice_mean = {
        .scale = 2 / (float)tuff_desc_count(&n->call.in[0])
    };
    const tuff_var diff = TUFF_V(t, &tuff_op_sub, NULL, n->in[0], n->in[1]);
    const tuff_var scale = TUFF_V(t, &tuff_op_affine, &twice_mean, dy[0]);
    dx[0] = TUFF_V(t, &tuff_op_mul, NULL, diff, scale);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[0]);
    return (tuff_cost){ .flops = 3 * n, .bytes = 8 * n };
}

const tuff_op tuff_op_mse = {
    .name = "mse",
    .doc = "loss = mean((x - target)^2)",
    .in = { { .name = "x", .dtypes = TUFF_F32 },
            { .name = "target", .dtypes = TUFF_F32, .no_grad = true } },
    .out = { { .name = "loss", .dtypes = TUFF_F32 } },
    .infer = infer,
    .ref = ref,
    .variants = { TUFF_KERNEL("plain", plain) },
    .grad = grad,
    .cost = cost,
    .tol = { .f32 = 2e-6f },
    .sample = { -2, 2 },
    .cases = TUFF_CASES("[] []", "1 1", "32x1 32x1", "7x11x3 7x11x3", "61706 61706",
                        "600011 600011"),
};

tuff_status tuff_mse(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *target,
                     tuff_tensor *loss)
{
    return tuff_run(s, &tuff_op_mse, TUFF_RUN_IN(x, target), TUFF_RUN_OUT(loss), NULL);
}
