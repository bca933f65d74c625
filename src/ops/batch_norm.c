// batch_norm with given statistics, batch_norm_train with the batch's own, and its gradient.
// The launches are those of norm.h.
#include "ops/norm.h"
#include "ops/compose.h"
#include "ops/norm_host.h"
#include <float.h>
#include <math.h>

enum { X, SCALE, B, MEAN, VAR };            // inputs of both forward ops
enum { Y, NEW_MEAN, NEW_VAR, SAVED };       // outputs of batch_norm_train
enum { G_X, G_DY, G_SCALE, G_SAVED };       // inputs of batch_norm_grad

// ---- shapes --------------------------------------------------------------------------------

// As small as a normal number may be: a channel of equals must not become 0 / 0.
double tuff_batch_norm_epsilon(const tuff_call *c)
{
    const tuff_batch_norm_params *p = c->params;
    return fmax(tuff_number(p->epsilon, 1e-5), FLT_MIN);
}

static double momentum_of(const tuff_call *c)
{
    const tuff_batch_norm_params *p = c->params;
    return tuff_number(p->momentum, 0.9);
}

static size_t channels(const tuff_call *c) { return (size_t)c->in[X].dim[1]; }

// Elements of a channel's image.
static size_t plane(const tuff_call *c)
{
    return (size_t)tuff_desc_count(&c->in[X]) / (size_t)c->in[X].dim[0] / channels(c);
}

static size_t terms(const tuff_call *c) { return (size_t)c->in[X].dim[0] * plane(c); }

static tuff_status check_x(const tuff_call *c)
{
    TUFF_REQUIRE(c->in[X].rank >= 2, SHAPE, "x has %d dims, it must have at least 2 (N C ...)",
                 c->in[X].rank);
    return TUFF_OK;
}

static tuff_status check_channels(const tuff_call *c, int first, int last)
{
    char got[96];
    for (int i = first; i <= last; i++)
        TUFF_REQUIRE(c->in[i].rank == 1 && c->in[i].dim[0] == c->in[X].dim[1], SHAPE,
                     "%s must have one dim of %lld, as x has channels, it is %s",
                     c->op->in[i].name, (long long)c->in[X].dim[1],
                     tuff_desc_print(&c->in[i], got, sizeof got));
    return TUFF_OK;
}

static tuff_status check_params(const tuff_call *c)
{
    TUFF_REQUIRE(tuff_batch_norm_epsilon(c) > 0 && tuff_batch_norm_epsilon(c) < HUGE_VAL, ARG,
                 "epsilon is %g, it must be above 0 (0 means 1e-5)",
                 tuff_batch_norm_epsilon(c));
    TUFF_REQUIRE(momentum_of(c) >= 0 && momentum_of(c) <= 1, ARG,
                 "momentum is %g, it must be from 0 to 1 (0 means 0.9)", momentum_of(c));
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check_x(c));
    TUFF_TRY(check_channels(c, SCALE, VAR));
    TUFF_TRY(check_params(c));
    out[Y] = c->in[X];
    return TUFF_OK;
}

static tuff_status infer_train(const tuff_call *c, tuff_desc out[])
{
    const tuff_batch_norm_params *p = c->params;
    TUFF_TRY(infer(c, out));
    TUFF_REQUIRE(!p->unbiased || terms(c) > 1, SHAPE,
                 "x has one element a channel, an unbiased variance needs two");
    out[NEW_MEAN] = c->in[MEAN];
    out[NEW_VAR] = c->in[VAR];
    out[SAVED] = TUFF_SHAPE(TUFF_F32, c->in[X].dim[1], 2);
    return TUFF_OK;
}

static tuff_status infer_grad(const tuff_call *c, tuff_desc out[])
{
    char want[96], got[96];
    TUFF_TRY(check_x(c));
    TUFF_REQUIRE(tuff_desc_equal(&c->in[G_DY], &c->in[G_X]), SHAPE,
                 "dy must be %s, as x is, it is %s",
                 tuff_desc_print(&c->in[G_X], want, sizeof want),
                 tuff_desc_print(&c->in[G_DY], got, sizeof got));
    TUFF_TRY(check_channels(c, G_SCALE, G_SCALE));
    const tuff_desc saved = TUFF_SHAPE(TUFF_F32, c->in[X].dim[1], 2);
    TUFF_REQUIRE(tuff_desc_equal(&c->in[G_SAVED], &saved), SHAPE, "saved must be %s, it is %s",
                 tuff_desc_print(&saved, want, sizeof want),
                 tuff_desc_print(&c->in[G_SAVED], got, sizeof got));
    out[0] = c->in[G_X];
    out[1] = out[2] = c->in[G_SCALE];
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static size_t units(const tuff_call *c) { return channels(c); }

// Where element j of channel `ch` lies, as N and the channel's image are gone through.
static size_t at(const tuff_call *c, size_t ch, size_t j)
{
    const size_t s = plane(c);
    return (j / s * channels(c) + ch) * s + j % s;
}

static float normal(float x, double mean, double inv, double scale, double b)
{
    return (float)((x - mean) * inv * scale + b);
}

static void ref(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    for (size_t ch = r->begin; ch < r->end; ch++) {
        const double mean = r->in[MEAN][ch], scale = r->in[SCALE][ch], b = r->in[B][ch];
        const double inv = 1 / sqrt(r->in[VAR][ch] + tuff_batch_norm_epsilon(c));
        for (size_t j = 0; j < terms(c); j++)
            r->out[Y][at(c, ch, j)] = normal(r->in[X][at(c, ch, j)], mean, inv, scale, b);
    }
}

static void ref_train(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const tuff_batch_norm_params *p = c->params;
    const double n = (double)terms(c), keep = momentum_of(c);
    for (size_t ch = r->begin; ch < r->end; ch++) {
        double mean = 0, var = 0;
        for (size_t j = 0; j < terms(c); j++) mean += r->in[X][at(c, ch, j)];
        mean /= n;
        for (size_t j = 0; j < terms(c); j++) {
            const double d = r->in[X][at(c, ch, j)] - mean;
            var += d * d;
        }
        var /= n;
        const double inv = 1 / sqrt(var + tuff_batch_norm_epsilon(c));
        const double scale = r->in[SCALE][ch], b = r->in[B][ch];
        for (size_t j = 0; j < terms(c); j++)
            r->out[Y][at(c, ch, j)] = normal(r->in[X][at(c, ch, j)], mean, inv, scale, b);
        if (p->unbiased) var *= n / (n - 1);
        r->out[NEW_MEAN][ch] = (float)(keep * r->in[MEAN][ch] + (1 - keep) * mean);
        r->out[NEW_VAR][ch] = (float)(keep * r->in[VAR][ch] + (1 - keep) * var);
        r->out[SAVED][2 * ch] = (float)mean;
        r->out[SAVED][2 * ch + 1] = (float)inv;
    }
}

static void ref_grad(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const double n = (double)terms(c);
    for (size_t ch = r->begin; ch < r->end; ch++) {
        const double mean = r->in[G_SAVED][2 * ch], inv = r->in[G_SAVED][2 * ch + 1];
        double dscale = 0, dbias = 0;
        for (size_t j = 0; j < terms(c); j++) {
            const size_t i = at(c, ch, j);
            dbias += r->in[G_DY][i];
            dscale += r->in[G_DY][i] * ((r->in[G_X][i] - mean) * inv);
        }
        for (size_t j = 0; j < terms(c); j++) {
            const size_t i = at(c, ch, j);
            const double of_x = (r->in[G_X][i] - mean) * inv;
            r->out[0][i] = (float)(r->in[G_SCALE][ch] * inv *
                                   (r->in[G_DY][i] - dbias / n - of_x * dscale / n));
        }
        r->out[1][ch] = (float)dscale;
        r->out[2][ch] = (float)dbias;
    }
}

// ---- the CPU path --------------------------------------------------------------------------

// Runs of an element or two are none.
static bool host_takes(const tuff_call *c)
{
    return c->in[X].dtype == TUFF_F32 && plane(c) >= 4;
}

static tuff_runs runs_of(const tuff_call *c)
{
    return (tuff_runs){ (size_t)c->in[X].dim[0], plane(c), channels(c) * plane(c) };
}

static void host(const tuff_ref *r)
{
    const tuff_runs s = runs_of(r->call);
    const double epsilon = tuff_batch_norm_epsilon(r->call);
    for (size_t ch = r->begin; ch < r->end; ch++)
        tuff_norm_host_apply(r->in[X] + ch * s.run, &s, (double)r->in[MEAN][ch],
                             1 / sqrt((double)r->in[VAR][ch] + epsilon),
                             &r->in[SCALE][ch], &r->in[B][ch], 0, r->out[Y] + ch * s.run);
}

static void host_train(const tuff_ref *r)
{
    const tuff_runs s = runs_of(r->call);
    const tuff_batch_norm_params *p = r->call->params;
    const double n = (double)terms(r->call), keep = momentum_of(r->call);
    for (size_t ch = r->begin; ch < r->end; ch++) {
        double mean, var;
        tuff_norm_host_moments(r->in[X] + ch * s.run, &s, false, &mean, &var);
        const double inv = 1 / sqrt(var + tuff_batch_norm_epsilon(r->call));
        tuff_norm_host_apply(r->in[X] + ch * s.run, &s, mean, inv, &r->in[SCALE][ch],
                             &r->in[B][ch], 0, r->out[Y] + ch * s.run);
        if (p->unbiased) var *= n / (n - 1);
        r->out[NEW_MEAN][ch] = (float)(keep * (double)r->in[MEAN][ch] + (1 - keep) * mean);
        r->out[NEW_VAR][ch] = (float)(keep * (double)r->in[VAR][ch] + (1 - keep) * var);
        r->out[SAVED][2 * ch] = (float)mean;
        r->out[SAVED][2 * ch + 1] = (float)inv;
    }
}

static void host_grad(const tuff_ref *r)
{
    const tuff_runs s = runs_of(r->call);
    for (size_t ch = r->begin; ch < r->end; ch++) {
        tuff_norm_slope slope = { .mean = (double)r->in[G_SAVED][2 * ch],
                                  .inv = (double)r->in[G_SAVED][2 * ch + 1],
                                  .times = (double)r->in[G_SCALE][ch] };
        const size_t at = ch * s.run;
        tuff_norm_host_slopes(r->in[G_X] + at, r->in[G_DY] + at, &s, NULL, 0, true, &slope,
                              r->out[0] + at);
        r->out[1][ch] = (float)slope.sum_x;
        r->out[2][ch] = (float)slope.sum;
    }
}

// ---- plans ---------------------------------------------------------------------------------

static tuff_norm norm_of(const tuff_call *c)
{
    return (tuff_norm){
        .count = (size_t)tuff_desc_count(&c->in[X]),
        .rows = { channels(c), terms(c), channels(c), plane(c) },
        .params = channels(c), .span = plane(c), .channel = true,
        .kind = TUFF_NORM_MOMENTS, .epsilon = tuff_batch_norm_epsilon(c),
    };
}

static const tuff_norm_apply given = {
    .x = { TUFF_ROLE_IN, X }, .mean = { TUFF_ROLE_IN, MEAN }, .inv = { TUFF_ROLE_IN, VAR },
    .y = { TUFF_ROLE_OUT, Y }, .scale = { TUFF_ROLE_IN, SCALE }, .bias = { TUFF_ROLE_IN, B },
    .variance = true, .has_scale = true, .has_bias = true,
};

static bool texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c);
    return tuff_norm_texels(&g, k) && tuff_norm_add_apply(&g, TUFF_NORM_TEXEL, &given, k, p);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c);
    return tuff_norm_add_apply(&g, TUFF_NORM_PLAIN, &given, k, p);
}

static bool plan_train(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_batch_norm_params *params = c->params;
    const tuff_norm g = norm_of(c);
    if (how == TUFF_NORM_TEXEL && !tuff_norm_texels(&g, k)) return false;
    if (how == TUFF_NORM_GROUP && !tuff_norm_group_pays(&g.rows)) return false;
    const double n = (double)terms(c), add = 1 - momentum_of(c);
    const tuff_norm_running running = {
        .saved = TUFF_PLACE_OUT(SAVED), .new_mean = TUFF_PLACE_OUT(NEW_MEAN),
        .new_var = TUFF_PLACE_OUT(NEW_VAR), .old_mean = TUFF_PLACE_IN(MEAN),
        .old_var = TUFF_PLACE_IN(VAR), .scratch = 0,
        .keep = momentum_of(c), .add = add,
        .add_var = params->unbiased ? add * n / (n - 1) : add,
    };
    const tuff_norm_apply apply = {
        .x = TUFF_PLACE_IN(X), .mean = TUFF_PLACE_OUT(SAVED), .inv = TUFF_PLACE_OUT(SAVED),
        .y = TUFF_PLACE_OUT(Y), .scale = TUFF_PLACE_IN(SCALE), .bias = TUFF_PLACE_IN(B),
        .pairs = true, .has_scale = true, .has_bias = true,
    };
    const tuff_norm_pieces pieces = tuff_norm_add_stats(&g, how, TUFF_PLACE_IN(X), 0, k, p);
    return tuff_norm_add_running(&g, &running, pieces, k, p) &&
           tuff_norm_add_apply(&g, how, &apply, k, p);
}

static bool plan_grad(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c);
    if (how == TUFF_NORM_TEXEL && !tuff_norm_texels(&g, k)) return false;
    if (how == TUFF_NORM_GROUP && !tuff_norm_group_pays(&g.rows)) return false;
    const tuff_norm_sums sums = {
        .x = TUFF_PLACE_IN(G_X), .dy = TUFF_PLACE_IN(G_DY), .mean = TUFF_PLACE_IN(G_SAVED),
        .inv = TUFF_PLACE_IN(G_SAVED), .pairs = true, .scratch = 0,
    };
    const tuff_norm_dx dx = {
        .x = TUFF_PLACE_IN(G_X), .dy = TUFF_PLACE_IN(G_DY), .rows = TUFF_PLACE_IN(G_SAVED),
        .dx = TUFF_PLACE_OUT(0), .scale = TUFF_PLACE_IN(G_SCALE),
        .dscale = TUFF_PLACE_OUT(1), .dbias = TUFF_PLACE_OUT(2), .has_scale = true,
    };
    tuff_norm_pieces pieces;
    if (!tuff_norm_add_sums(&g, how, &sums, &pieces, k, p)) return false;
    tuff_norm_add_params(&g, pieces, 0, dx.dscale, dx.dbias, true, k, p);
    return tuff_norm_add_dx(&g, how, &dx, k, p);
}

#define PLANS(name)                                                             \
    static bool texel_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, TUFF_NORM_TEXEL, k, p);                           \
    }                                                                           \
    static bool group_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, TUFF_NORM_GROUP, k, p);                           \
    }                                                                           \
    static bool plain_##name(const tuff_call *c, const tuff_caps *k, tuff_plan *p) \
    {                                                                           \
        return plan_##name(c, TUFF_NORM_PLAIN, k, p);                           \
    }
PLANS(train)
PLANS(grad)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 4 * n, .bytes = 8 * n };
}

static tuff_cost cost_train(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 8 * n, .bytes = 12 * n };
}

static tuff_cost cost_grad(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 12 * n, .bytes = 20 * n };
}

// ---- gradients -----------------------------------------------------------------------------

// A channel's number before every element of the channel.
static tuff_var broadcast(tuff_tape *t, const tuff_node *n, tuff_var v)
{
    const tuff_desc *x = &n->call.in[X];
    tuff_desc shape = { .dtype = t->desc(t, v)->dtype, .rank = x->rank - 1 };
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = i ? 1 : x->dim[1];
    return t->reshape(t, v, &shape);
}

static tuff_var sum_of_channels(tuff_tape *t, const tuff_node *n, tuff_var v)
{
    const int rank = n->call.in[X].rank;
    const tuff_reduce_params p = { .axes = ((1u << rank) - 1) & ~(1u << (rank - 2)) };
    return TUFF_V(t, &tuff_op_reduce_sum, &p, v);
}

// With statistics that are constants: dx = dy scale inv, and inv = 1 / sqrt(var + epsilon).
static void grad(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const double epsilon = tuff_batch_norm_epsilon(&n->call);
    const tuff_affine_params shift = { .scale = 1, .shift = (float)epsilon };
    const tuff_var deviation =
        TUFF_V(t, &tuff_op_sqrt, NULL, TUFF_V(t, &tuff_op_affine, &shift, n->in[VAR]));
    const tuff_var factor = TUFF_V(t, &tuff_op_div, NULL, n->in[SCALE], deviation);
    dx[X] = TUFF_V(t, &tuff_op_mul, NULL, dy[0], broadcast(t, n, factor));
    const tuff_var d = TUFF_V(t, &tuff_op_sub, NULL, n->in[X], broadcast(t, n, n->in[MEAN]));
    const tuff_var sum = sum_of_channels(t, n, TUFF_V(t, &tuff_op_mul, NULL, dy[0], d));
    dx[SCALE] = TUFF_V(t, &tuff_op_div, NULL, sum, deviation);
    dx[B] = sum_of_channels(t, n, dy[0]);
}

static void grad_train(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_var in[] = { n->in[X], dy[Y], n->in[SCALE], n->out[SAVED] };
    tuff_var out[TUFF_OP_OUT] = { { 0 } };
    if (tuff_var_null(dy[Y])) return;
    t->emit(t, &tuff_op_batch_norm_grad, in, 4, NULL, out);
    dx[X] = out[0];
    dx[SCALE] = out[1];
    dx[B] = out[2];
}

// ---- records -------------------------------------------------------------------------------

// Channels of one number, rows, sequences, images with and without whole vec4s, volumes; and
// more parts than one of a channel.
#define CASES                                                                   \
    TUFF_CASES("3x1 1 1 1 1", "31x5 5 5 5 5", "2x7x13 7 7 7 7 epsilon=0.01",    \
               "3x6x4x8 6 6 6 6", "2x3x2x5x3 3 3 3 3", "5x3x37x29 3 3 3 3")
#define INPUTS                                                                  \
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },                             \
            { .name = "scale", .dtypes = TUFF_FLOATS, .mixed = true },          \
            { .name = "B", .dtypes = TUFF_FLOATS, .mixed = true },              \
            { .name = "input_mean", .dtypes = TUFF_FLOATS, .mixed = true,       \
              .no_grad = true },                                                \
            { .name = "input_var", .dtypes = TUFF_FLOATS, .mixed = true,        \
              .no_grad = true, .positive = true } }

const tuff_op tuff_op_batch_norm = {
    .name = "batch_norm", .onnx = "BatchNormalization",
    .doc = "y = (x - input_mean) / sqrt(input_var + epsilon) scale + B, channel by channel",
    INPUTS,
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },
    .params_size = sizeof(tuff_batch_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_batch_norm_params, epsilon),
                TUFF_FLOAT_ZERO(tuff_batch_norm_params, momentum) },
    .infer = infer, .ref = ref, .units = units, .grad = grad, .cost = cost,
    .variants = { TUFF_KERNEL("texel", texel), TUFF_KERNEL("plain", plain) },
    TUFF_FAST(host_takes, host),
    .tol = { .f32 = 1e-6f }, .sample = { -2, 2 }, .cases = CASES
};

const tuff_op tuff_op_batch_norm_train = {
    .name = "batch_norm_train",
    .doc = "y = (x - mean) / sqrt(var + epsilon) scale + B with each channel's own mean and "
           "variance over N and the image; running statistics keep a part `momentum`",
    INPUTS,
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true },
             { .name = "running_mean", .dtypes = TUFF_FLOATS, .no_grad = true },
             { .name = "running_var", .dtypes = TUFF_FLOATS, .no_grad = true },
             { .name = "saved", .dtypes = TUFF_F32, .no_grad = true } },
    .params_size = sizeof(tuff_batch_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_batch_norm_params, epsilon),
                TUFF_FLOAT_ZERO(tuff_batch_norm_params, momentum),
                TUFF_BOOLEAN(tuff_batch_norm_params, unbiased) },
    .infer = infer_train, .ref = ref_train, .units = units, .grad = grad_train,
    .cost = cost_train,
    .variants = { TUFF_KERNEL("texel", texel_train), TUFF_GPU_KERNEL("group", group_train),
                  TUFF_KERNEL("plain", plain_train) },
    TUFF_FAST(host_takes, host_train),
    // The mean is right to half a step of x, which is 4e-7 of a deviation in this range; the
    // inverse deviation comes from sums of at most 1,024 squares each. Means well above the
    // deviation: the difference of two means of squares would be seen to be wrong.
    .tol = { .f32 = 2e-6f }, .sample = { 6, 10 },
    .cases = TUFF_CASES("3x1 1 1 1 1", "31x5 5 5 5 5 momentum=0.5 unbiased=1",
                        "7x5 5 5 5 5 momentum=0",
                        "2x7x13 7 7 7 7 epsilon=0.01", "3x6x4x8 6 6 6 6 unbiased=1",
                        "2x3x2x5x3 3 3 3 3", "5x3x37x29 3 3 3 3", "9x2x64x64 2 2 2 2",
                        "70001x1 1 1 1 1")
};

const tuff_op tuff_op_batch_norm_grad = {
    .name = "batch_norm_grad",
    .doc = "dx, dscale and dbias of batch_norm_train, for the gradient dy of its y",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "dy", .dtypes = TUFF_FLOATS },
            { .name = "scale", .dtypes = TUFF_FLOATS, .mixed = true },
            { .name = "saved", .dtypes = TUFF_F32 } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS, .alias = true, .alias_in = G_DY },
             { .name = "dscale", .dtypes = TUFF_FLOATS },
             { .name = "dbias", .dtypes = TUFF_FLOATS } },
    .infer = infer_grad, .ref = ref_grad, .units = units, .cost = cost_grad,
    .variants = { TUFF_KERNEL("texel", texel_grad), TUFF_GPU_KERNEL("group", group_grad),
                  TUFF_KERNEL("plain", plain_grad) },
    TUFF_FAST(host_takes, host_grad),
    .tol = { .f32 = 2e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("3x1 3x1 1 1x2", "31x5 31x5 5 5x2", "2x7x13 2x7x13 7 7x2",
                        "3x6x4x8 3x6x4x8 6 6x2", "5x3x37x29 5x3x37x29 3 3x2",
                        "9x2x64x64 9x2x64x64 2 2x2")
};

// ---- public functions ----------------------------------------------------------------------

tuff_status tuff_batch_norm(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                            const tuff_tensor *b, const tuff_tensor *mean,
                            const tuff_tensor *var, tuff_tensor *y,
                            const tuff_batch_norm_params *p)
{
    return tuff_run(s, &tuff_op_batch_norm, TUFF_RUN_IN(x, scale, b, mean, var),
                    TUFF_RUN_OUT(y), p);
}

tuff_status tuff_batch_norm_train(tuff_stream *s, const tuff_tensor *x,
                                  const tuff_tensor *scale, const tuff_tensor *b,
                                  const tuff_tensor *mean, const tuff_tensor *var,
                                  tuff_tensor *y, tuff_tensor *running_mean,
                                  tuff_tensor *running_var, tuff_tensor *saved,
                                  const tuff_batch_norm_params *p)
{
    return tuff_run(s, &tuff_op_batch_norm_train, TUFF_RUN_IN(x, scale, b, mean, var),
                    TUFF_RUN_OUT(y, running_mean, running_var, saved), p);
}

tuff_status tuff_batch_norm_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                                 const tuff_tensor *scale, const tuff_tensor *saved,
                                 tuff_tensor *dx, tuff_tensor *dscale, tuff_tensor *dbias)
{
    return tuff_run(s, &tuff_op_batch_norm_grad, TUFF_RUN_IN(x, dy, scale, saved),
                    TUFF_RUN_OUT(dx, dscale, dbias), NULL);
}
