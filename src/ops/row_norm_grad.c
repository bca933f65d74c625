// The gradients of layer_norm, rms_norm, group_norm and instance_norm (row_norm.c): norm_grad
// by x, norm_param_grad by scale and B. With x' = (x - mean) inv, w the scale or 1, and means
// over a row of n:
//
//   dx = inv (w dy - mean(w dy) - x' mean(w dy x'))       without a mean of x: no mean(w dy)
//   dscale = sum of dy x', dbias = sum of dy              over all elements with that scale
#include "ops/norm_host.h"
#include "ops/row_norm.h"

enum { X, DY, INV };
enum { G_MEAN = 3, G_SCALE };  // of norm_grad
enum { P_SCALE = 3, P_MEAN };  // of norm_param_grad: here it is the optional one

// ---- shapes --------------------------------------------------------------------------------

static bool images(const tuff_call *c)
{
    return ((const tuff_norm_grad_params *)c->params)->num_groups != 0;
}

static tuff_norm rows_of(const tuff_call *c)
{
    const tuff_norm_grad_params *p = c->params;
    return images(c) ? tuff_norm_groups(&c->in[X], p->num_groups)
                     : tuff_norm_layers(&c->in[X], p->axis);
}

static tuff_norm norm_of(const tuff_call *c, int mean, int scale)
{
    tuff_norm g = rows_of(c);
    g.kind = tuff_call_has(c, mean) ? TUFF_NORM_MOMENTS : TUFF_NORM_SQUARES;
    // A scale a group.
    if (tuff_call_has(c, scale) && (size_t)tuff_desc_count(&c->in[scale]) != g.params) {
        const size_t groups = (size_t)tuff_desc_count(&c->in[scale]);
        g.span *= g.params / groups;
        g.params = groups;
    }
    return g;
}

static tuff_status check(const tuff_call *c, int mean, int scale)
{
    const tuff_norm_grad_params *p = c->params;
    char want[96], got[96];
    TUFF_REQUIRE(tuff_desc_equal(&c->in[DY], &c->in[X]), SHAPE,
                 "dy must be %s, as x is, it is %s",
                 tuff_desc_print(&c->in[X], want, sizeof want),
                 tuff_desc_print(&c->in[DY], got, sizeof got));
    TUFF_TRY(images(c) ? tuff_norm_check_groups(&c->in[X], p->num_groups)
                       : tuff_norm_check_axis(&c->in[X], p->axis));
    const tuff_norm g = rows_of(c);
    for (int i = INV; i <= mean; i += mean - INV)
        TUFF_REQUIRE(!tuff_call_has(c, i) ||
                         (size_t)tuff_desc_count(&c->in[i]) == g.rows.count,
                     SHAPE, "%s must have a number for each of x's %zu rows, it is %s",
                     c->op->in[i].name, g.rows.count,
                     tuff_desc_print(&c->in[i], got, sizeof got));
    if (!tuff_call_has(c, scale)) return TUFF_OK;
    const size_t n = (size_t)tuff_desc_count(&c->in[scale]);
    TUFF_REQUIRE(n == g.params || (images(c) && n == (size_t)p->num_groups), SHAPE,
                 "scale must have %zu elements, it is %s", g.params,
                 tuff_desc_print(&c->in[scale], got, sizeof got));
    return TUFF_OK;
}

static tuff_status infer(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check(c, G_MEAN, G_SCALE));
    out[0] = c->in[X];
    return TUFF_OK;
}

static tuff_status infer_params(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(check(c, P_MEAN, P_SCALE));
    out[0] = out[1] = c->in[P_SCALE];
    return TUFF_OK;
}

// ---- references ----------------------------------------------------------------------------

static size_t units(const tuff_call *c) { return rows_of(c).rows.count; }

static void ref(const tuff_ref *r)
{
    const tuff_norm g = norm_of(r->call, G_MEAN, G_SCALE);
    const size_t n = g.rows.terms;
    for (size_t row = r->begin; row < r->end; row++) {
        const double inv = r->in[INV][row], mean = r->in[G_MEAN] ? r->in[G_MEAN][row] : 0;
        double m = 0, mx = 0;
        for (size_t i = row * n; i < row * n + n; i++) {
            const double w = r->in[G_SCALE] ? r->in[G_SCALE][i / g.span % g.params] : 1;
            m += w * r->in[DY][i] / (double)n;
            mx += w * r->in[DY][i] * ((r->in[X][i] - mean) * inv) / (double)n;
        }
        if (!r->in[G_MEAN]) m = 0;
        for (size_t i = row * n; i < row * n + n; i++) {
            const double w = r->in[G_SCALE] ? r->in[G_SCALE][i / g.span % g.params] : 1;
            const double of_x = (r->in[X][i] - mean) * inv;
            r->out[0][i] = (float)(inv * (w * r->in[DY][i] - m - of_x * mx));
        }
    }
}

static size_t units_params(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[0]); }

static void ref_params(const tuff_ref *r)
{
    const tuff_norm g = norm_of(r->call, P_MEAN, P_SCALE);
    for (size_t p = r->begin; p < r->end; p++) {
        double dscale = 0, dbias = 0;
        for (size_t first = p * g.span; first < g.count; first += g.params * g.span)
            for (size_t i = first; i < first + g.span; i++) {
                const size_t row = i / g.rows.terms;
                const double mean = r->in[P_MEAN] ? r->in[P_MEAN][row] : 0;
                dbias += r->in[DY][i];
                dscale += r->in[DY][i] * ((r->in[X][i] - mean) * r->in[INV][row]);
            }
        r->out[0][p] = (float)dscale;
        r->out[1][p] = (float)dbias;
    }
}

// ---- the CPU path --------------------------------------------------------------------------

static bool host_takes(const tuff_call *c) { return c->in[X].dtype == TUFF_F32; }

static void host(const tuff_ref *r)
{
    const tuff_norm g = norm_of(r->call, G_MEAN, G_SCALE);
    const size_t n = g.rows.terms;
    const tuff_runs s = { 1, n, n };
    const float *scale = r->in[G_SCALE];
    for (size_t row = r->begin; row < r->end; row++) {
        tuff_norm_slope slope = { .mean = r->in[G_MEAN] ? (double)r->in[G_MEAN][row] : 0,
                                  .inv = (double)r->in[INV][row], .times = 1 };
        tuff_norm_host_slopes(r->in[X] + row * n, r->in[DY] + row * n, &s,
                              scale ? scale + row * n / g.span % g.params : NULL, g.span,
                              r->in[G_MEAN] != NULL, &slope, r->out[0] + row * n);
    }
}

static void host_params(const tuff_ref *r)
{
    const tuff_norm g = norm_of(r->call, P_MEAN, P_SCALE);
    const float *mean = r->in[P_MEAN], *inv = r->in[INV];
    if (g.span == 1 && g.params == g.rows.terms) {
        tuff_norm_host_columns(r->in[X], r->in[DY], g.rows.count, g.params, mean, inv, r->begin,
                               r->end, r->out[0], r->out[1]);
        return;
    }
    for (size_t p = r->begin; p < r->end; p++) {
        double dscale = 0, dbias = 0;
        for (size_t at = p * g.span; at < g.count; at += g.params * g.span) {
            const size_t row = at / g.rows.terms;
            tuff_norm_host_sums(r->in[X] + at, r->in[DY] + at, g.span,
                                mean ? (double)mean[row] : 0, (double)inv[row], &dbias,
                                &dscale);
        }
        r->out[0][p] = (float)dscale;
        r->out[1][p] = (float)dbias;
    }
}

// ---- plans ---------------------------------------------------------------------------------

static bool plan_row(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c, G_MEAN, G_SCALE);
    const tuff_norm_row r = {
        .x = TUFF_PLACE_IN(X), .dy = TUFF_PLACE_IN(DY), .y = TUFF_PLACE_OUT(0),
        .mean = TUFF_PLACE_IN(G_MEAN), .inv = TUFF_PLACE_IN(INV),
        .scale = TUFF_PLACE_IN(G_SCALE), .has_scale = tuff_call_has(c, G_SCALE),
    };
    return tuff_norm_add_row_grad(&g, how, &r, k, p);
}

static bool row_lanes(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_row(c, TUFF_NORM_LANES, k, p);
}

static bool row_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_row(c, TUFF_NORM_TEXEL, k, p);
}

static bool row(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_row(c, TUFF_NORM_GROUP, k, p);
}

static bool plan_pieces(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c, G_MEAN, G_SCALE);
    const tuff_norm_sums sums = {
        .x = TUFF_PLACE_IN(X), .dy = TUFF_PLACE_IN(DY), .mean = TUFF_PLACE_IN(G_MEAN),
        .inv = TUFF_PLACE_IN(INV), .scale = TUFF_PLACE_IN(G_SCALE), .rows = true,
        .has_scale = tuff_call_has(c, G_SCALE), .scratch = 0,
    };
    const tuff_norm_dx dx = {
        .x = sums.x, .dy = sums.dy, .rows = TUFF_PLACE_SCRATCH(2), .dx = TUFF_PLACE_OUT(0),
        .scale = sums.scale, .has_scale = sums.has_scale,
    };
    tuff_norm_pieces pieces;
    if (!tuff_norm_add_sums(&g, how, &sums, &pieces, k, p)) return false;
    tuff_norm_add_rows(&g, pieces, 0, k, p);
    return tuff_norm_add_dx(&g, how, &dx, k, p);
}

static bool group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_pieces(c, TUFF_NORM_GROUP, k, p);
}

static bool plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_pieces(c, TUFF_NORM_PLAIN, k, p);
}

static bool plan_params(const tuff_call *c, tuff_norm_how how, const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm g = norm_of(c, P_MEAN, P_SCALE);
    const tuff_norm_view v = tuff_norm_of_params(&g);
    if (how == TUFF_NORM_TEXEL && !tuff_norm_texels(&g, k)) return false;
    if (how == TUFF_NORM_GROUP && !tuff_norm_group_pays(&v)) return false;
    const tuff_norm_sums sums = {
        .x = TUFF_PLACE_IN(X), .dy = TUFF_PLACE_IN(DY), .mean = TUFF_PLACE_IN(P_MEAN),
        .inv = TUFF_PLACE_IN(INV), .scratch = 0,
    };
    tuff_norm_pieces pieces;
    if (!tuff_norm_add_sums(&g, how, &sums, &pieces, k, p)) return false;
    tuff_norm_add_params(&g, pieces, 0, TUFF_PLACE_OUT(0), TUFF_PLACE_OUT(1), true, k, p);
    return true;
}

static bool params_texel(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_params(c, TUFF_NORM_TEXEL, k, p);
}

static bool params_group(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_params(c, TUFF_NORM_GROUP, k, p);
}

static bool params_plain(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_params(c, TUFF_NORM_PLAIN, k, p);
}

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 12 * n, .bytes = 12 * n };
}

static tuff_cost cost_params(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 5 * n, .bytes = 8 * n };
}

// ---- records -------------------------------------------------------------------------------

#define FLOATS(name_) { .name = name_, .dtypes = TUFF_FLOATS }
#define MEAN_PORT     { .name = "mean", .dtypes = TUFF_F32, .optional = true }
#define INV_PORT      { .name = "inv", .dtypes = TUFF_F32 }
#define PARAMS                                                                  \
    .params_size = sizeof(tuff_norm_grad_params),                               \
    .params = { TUFF_AXIS(tuff_norm_grad_params, axis),                         \
                TUFF_INT(tuff_norm_grad_params, num_groups) }

const tuff_op tuff_op_norm_grad = {
    .name = "norm_grad", PARAMS,
    .doc = "dx of layer_norm (axis), group_norm (num_groups) or, without mean, rms_norm, for "
           "the gradient dy of its y",
    .in = { FLOATS("x"), FLOATS("dy"), INV_PORT, MEAN_PORT,
            { .name = "scale", .dtypes = TUFF_FLOATS, .mixed = true, .optional = true } },
    .out = { { .name = "dx", .dtypes = TUFF_FLOATS, .alias = true, .alias_in = DY } },
    .infer = infer, .ref = ref, .units = units, .cost = cost,
    .variants = { TUFF_KERNEL("row_lanes", row_lanes), TUFF_KERNEL("row_texel", row_texel),
                  TUFF_GPU_KERNEL("row", row),
                  TUFF_GPU_KERNEL("group", group), TUFF_KERNEL("plain", plain) },
    TUFF_FAST(host_takes, host),
    .tol = { .f32 = 2e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("3x5 3x5 3 3 5", "5x257 5x257 5 - 257", "67x13 67x13 67 67",
                        "64x768 64x768 64 64 768", "2x3x4x5 2x3x4x5 6 6 4x5 axis=1",
                        "1x70001 1x70001 1 1 70001", "2x6x5x7 2x6x5x7 6 6 6 num_groups=3",
                        "2x8x4x4 2x8x4x4 2x4 2x4 4 num_groups=4",
                        "1x2x131x137 1x2x131x137 1x2 1x2 2 num_groups=2")
};

const tuff_op tuff_op_norm_param_grad = {
    .name = "norm_param_grad", PARAMS,
    .doc = "dscale = sum of dy (x - mean) inv, dbias = sum of dy, over all elements with that "
           "scale",
    .in = { FLOATS("x"), FLOATS("dy"), INV_PORT,
            { .name = "scale", .dtypes = TUFF_FLOATS, .mixed = true }, MEAN_PORT },
    .out = { FLOATS("dscale"), FLOATS("dbias") },
    .infer = infer_params, .ref = ref_params, .units = units_params, .cost = cost_params,
    .variants = { TUFF_KERNEL("texel", params_texel), TUFF_GPU_KERNEL("group", params_group),
                  TUFF_KERNEL("plain", params_plain) },
    TUFF_FAST(host_takes, host_params),
    .tol = { .f32 = 2e-6f }, .sample = { -2, 2 },
    // More elements than a poor device has texels, read one by one.
    .cases = TUFF_CASES("3x5 3x5 3 5 3", "17x4096 17x4096 17 4096 17", "5x257 5x257 5 257",
                        "1031x13 1031x13 1031 13 1031",
                        "64x768 64x768 64 768 64", "2x3x4x5 2x3x4x5 6 4x5 6 axis=1",
                        "2x6x5x7 2x6x5x7 6 6 6 num_groups=3",
                        "2x8x4x4 2x8x4x4 2x4 4 2x4 num_groups=4",
                        "3x2x131x137 3x2x131x137 6 2 6 num_groups=2")
};

tuff_status tuff_norm_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                           const tuff_tensor *inv, const tuff_tensor *mean,
                           const tuff_tensor *scale, tuff_tensor *dx,
                           const tuff_norm_grad_params *p)
{
    return tuff_run(s, &tuff_op_norm_grad, TUFF_RUN_IN(x, dy, inv, mean, scale),
                    TUFF_RUN_OUT(dx), p);
}

tuff_status tuff_norm_param_grad(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *dy,
                                 const tuff_tensor *inv, const tuff_tensor *scale,
                                 const tuff_tensor *mean, tuff_tensor *dscale,
                                 tuff_tensor *dbias, const tuff_norm_grad_params *p)
{
    return tuff_run(s, &tuff_op_norm_param_grad, TUFF_RUN_IN(x, dy, inv, scale, mean),
                    TUFF_RUN_OUT(dscale, dbias), p);
}
