// layer_norm, rms_norm, group_norm and instance_norm: rows that lie one behind the other are
// normalised, and what a row is they differ in. Gradients: row_norm_grad.c.
#include "ops/row_norm.h"
#include "ops/norm_host.h"
#include <float.h>
#include <math.h>

enum { X, SCALE, B };

// ---- shapes --------------------------------------------------------------------------------

static size_t count_from(const tuff_desc *x, int dim)
{
    size_t n = 1;
    for (int i = dim; i < x->rank; i++) n *= (size_t)x->dim[i];
    return n;
}

tuff_norm tuff_norm_layers(const tuff_desc *x, int axis)
{
    const size_t count = (size_t)tuff_desc_count(x);
    const size_t cols = count_from(x, x->rank - 1 - axis);
    return (tuff_norm){ .count = count, .rows = { count / cols, cols, 1, cols },
                        .params = cols, .span = 1, .epsilon = 1e-5 };
}

tuff_norm tuff_norm_groups(const tuff_desc *x, int64_t groups)
{
    const size_t count = (size_t)tuff_desc_count(x), channels = (size_t)x->dim[1];
    const size_t rows = (size_t)x->dim[0] * (size_t)groups, cols = count / rows;
    return (tuff_norm){ .count = count, .rows = { rows, cols, 1, cols }, .params = channels,
                        .span = count_from(x, 2), .epsilon = 1e-5 };
}

tuff_status tuff_norm_check_axis(const tuff_desc *x, int axis)
{
    TUFF_REQUIRE(axis >= 0 && axis < x->rank, ARG, "axis is %d, x has %d dims", axis, x->rank);
    return TUFF_OK;
}

tuff_status tuff_norm_check_groups(const tuff_desc *x, int num_groups)
{
    TUFF_REQUIRE(x->rank >= 2, SHAPE, "x has %d dims, it must have at least 2 (N C ...)",
                 x->rank);
    TUFF_REQUIRE(num_groups >= 1 && x->dim[1] % num_groups == 0, ARG,
                 "num_groups is %d, it must divide the channels of x, which are %lld",
                 num_groups, (long long)x->dim[1]);
    return TUFF_OK;
}

static tuff_status check_epsilon(double epsilon)
{
    TUFF_REQUIRE(epsilon > 0 && epsilon < HUGE_VAL, ARG,
                 "epsilon is %g, it must be above 0 (0 means 1e-5)", epsilon);
    return TUFF_OK;
}

// scale and B, where they are there, have the shape `like`.
static tuff_status check_params(const tuff_call *c, const tuff_desc *like)
{
    char want[96], got[96];
    for (int i = SCALE; i <= B && i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        tuff_desc d = *like;
        d.dtype = c->in[i].dtype;
        TUFF_REQUIRE(tuff_desc_equal(&c->in[i], &d), SHAPE, "%s must be %s, it is %s",
                     c->op->in[i].name, tuff_desc_print(&d, want, sizeof want),
                     tuff_desc_print(&c->in[i], got, sizeof got));
    }
    TUFF_REQUIRE(tuff_call_has(c, SCALE) || !tuff_call_has(c, B), ARG, "B is there without %s",
                 c->op->in[SCALE].name);
    return TUFF_OK;
}

static int axis_of(const tuff_call *c)
{
    return ((const tuff_layer_norm_params *)c->params)->axis;
}

static int groups_of(const tuff_call *c)
{
    const tuff_group_norm_params *p = c->params;
    return p->num_groups ? p->num_groups : 1;
}

// All three params structs begin with epsilon. It is never 0: a row of equals must not become
// 0 / 0.
static double epsilon_of(const tuff_call *c)
{
    const float *epsilon = c->params;
    return fmax(tuff_number(*epsilon, 1e-5), FLT_MIN);
}

static tuff_norm layer_of(const tuff_call *c)
{
    tuff_norm g = tuff_norm_layers(&c->in[X], axis_of(c));
    g.epsilon = epsilon_of(c);
    return g;
}

static tuff_norm rms_of(const tuff_call *c)
{
    tuff_norm g = layer_of(c);
    g.kind = TUFF_NORM_SQUARES;
    return g;
}

// Scales of groups instead of channels (ONNX's operator before opset 21).
static bool of_groups(const tuff_call *c)
{
    return tuff_call_has(c, SCALE) && c->in[SCALE].rank == 1 &&
           c->in[SCALE].dim[0] == groups_of(c) && c->in[SCALE].dim[0] != c->in[X].dim[1];
}

static tuff_norm group_of(const tuff_call *c)
{
    tuff_norm g = tuff_norm_groups(&c->in[X], groups_of(c));
    g.epsilon = epsilon_of(c);
    if (of_groups(c)) g.span *= g.params / (size_t)groups_of(c);
    if (of_groups(c)) g.params = (size_t)groups_of(c);
    return g;
}

static tuff_norm instance_of(const tuff_call *c)
{
    tuff_norm g = tuff_norm_groups(&c->in[X], c->in[X].dim[1]);
    g.epsilon = epsilon_of(c);
    return g;
}

static tuff_status infer_layer(const tuff_call *c, tuff_desc out[])
{
    const tuff_desc *x = &c->in[X];
    TUFF_TRY(tuff_norm_check_axis(x, axis_of(c)));
    TUFF_TRY(check_epsilon(epsilon_of(c)));
    tuff_desc like = { .rank = axis_of(c) + 1 }, stats = { .dtype = TUFF_F32, .rank = x->rank };
    for (int i = 0; i < x->rank; i++) {
        const bool gone = i >= x->rank - like.rank;
        stats.dim[i] = gone ? 1 : x->dim[i];
        if (gone) like.dim[i - (x->rank - like.rank)] = x->dim[i];
    }
    TUFF_TRY(check_params(c, &like));
    out[0] = *x;
    for (int i = 1; i < c->nout; i++) out[i] = stats;
    return TUFF_OK;
}

static tuff_status infer_channels(const tuff_call *c, int64_t groups, int64_t params,
                                  tuff_desc out[])
{
    const tuff_desc *x = &c->in[X];
    const tuff_desc like = { .rank = 1, .dim = { params } };
    TUFF_TRY(check_epsilon(epsilon_of(c)));
    TUFF_TRY(check_params(c, &like));
    out[0] = *x;
    out[1] = out[2] = TUFF_SHAPE(TUFF_F32, x->dim[0], groups);
    return TUFF_OK;
}

static tuff_status infer_group(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_norm_check_groups(&c->in[X], groups_of(c)));
    return infer_channels(c, groups_of(c), of_groups(c) ? groups_of(c) : c->in[X].dim[1], out);
}

static tuff_status infer_instance(const tuff_call *c, tuff_desc out[])
{
    TUFF_TRY(tuff_norm_check_groups(&c->in[X], 1));
    return infer_channels(c, c->in[X].dim[1], c->in[X].dim[1], out);
}

// ---- references ----------------------------------------------------------------------------

// Rows of `cols`; element j of row r has the scale `param(r, j)`.
typedef struct rows {
    size_t cols, groups, channels, image; // groups and channels of an image; 0 in layers
    bool whole_groups;                    // a scale a group
    bool rms;
} rows;

static size_t param_of(const rows *l, size_t row, size_t j)
{
    if (!l->groups) return j;
    const size_t group = row % l->groups, a_group = l->channels / l->groups;
    return l->whole_groups ? group : group * a_group + j / l->image;
}

static void normalise(const tuff_ref *r, const rows *l)
{
    const double n = (double)l->cols;
    for (size_t row = r->begin; row < r->end; row++) {
        const float *x = r->in[X] + row * l->cols;
        double mean = 0, squares = 0;
        for (size_t j = 0; j < l->cols && !l->rms; j++) mean += x[j] / n;
        for (size_t j = 0; j < l->cols; j++) squares += (x[j] - mean) * (x[j] - mean);
        const double inv = 1 / sqrt(squares / n + epsilon_of(r->call));
        for (size_t j = 0; j < l->cols; j++) {
            const size_t p = param_of(l, row, j);
            double y = (x[j] - mean) * inv;
            if (tuff_call_has(r->call, SCALE)) y *= r->in[SCALE][p];
            if (tuff_call_has(r->call, B)) y += r->in[B][p];
            r->out[0][row * l->cols + j] = (float)y;
        }
        if (!l->rms) r->out[1][row] = (float)mean;
        r->out[l->rms ? 1 : 2][row] = (float)inv;
    }
}

static size_t cols_of(const tuff_call *c)
{
    return (size_t)(tuff_desc_count(&c->in[X]) / tuff_desc_count(&c->out[1]));
}

static void ref_layer(const tuff_ref *r)
{
    const rows l = { .cols = cols_of(r->call) };
    normalise(r, &l);
}

static void ref_rms(const tuff_ref *r)
{
    const rows l = { .cols = cols_of(r->call), .rms = true };
    normalise(r, &l);
}

static void ref_images(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    rows l = { .cols = cols_of(c), .groups = (size_t)c->out[1].dim[1],
               .channels = (size_t)c->in[X].dim[1] };
    l.image = l.cols / (l.channels / l.groups);
    l.whole_groups = tuff_call_has(c, SCALE) && (size_t)c->in[SCALE].dim[0] != l.channels;
    normalise(r, &l);
}

static size_t units(const tuff_call *c) { return (size_t)tuff_desc_count(&c->out[1]); }

// ---- the CPU path --------------------------------------------------------------------------

static bool host_takes(const tuff_call *c) { return c->in[X].dtype == TUFF_F32; }

static void host(const tuff_ref *r, const tuff_norm *g)
{
    const size_t n = g->rows.terms;
    const tuff_runs s = { 1, n, n };
    const bool rms = g->kind == TUFF_NORM_SQUARES;
    const float *scale = tuff_call_has(r->call, SCALE) ? r->in[SCALE] : NULL;
    const float *b = tuff_call_has(r->call, B) ? r->in[B] : NULL;
    for (size_t row = r->begin; row < r->end; row++) {
        double mean, squares;
        tuff_norm_host_moments(r->in[X] + row * n, &s, rms, &mean, &squares);
        const double inv = 1 / sqrt(squares + g->epsilon);
        const size_t p = row * n / g->span % g->params;
        tuff_norm_host_apply(r->in[X] + row * n, &s, mean, inv, scale ? scale + p : NULL,
                             b ? b + p : NULL, g->span, r->out[0] + row * n);
        if (!rms) r->out[1][row] = (float)mean;
        r->out[rms ? 1 : 2][row] = (float)inv;
    }
}

// ---- plans ---------------------------------------------------------------------------------

// Outputs are y, mean, inv; of rms y, inv.
static tuff_norm_row row_of(const tuff_call *c, const tuff_norm *g)
{
    return (tuff_norm_row){
        .x = TUFF_PLACE_IN(X), .y = TUFF_PLACE_OUT(0), .mean = TUFF_PLACE_OUT(1),
        .inv = TUFF_PLACE_OUT(g->kind == TUFF_NORM_MOMENTS ? 2 : 1),
        .scale = TUFF_PLACE_IN(SCALE), .bias = TUFF_PLACE_IN(B), .has_stats = true,
        .has_scale = tuff_call_has(c, SCALE), .has_bias = tuff_call_has(c, B),
    };
}

static bool plan_row(const tuff_call *c, const tuff_norm *g, tuff_norm_how how,
                     const tuff_caps *k, tuff_plan *p)
{
    const tuff_norm_row r = row_of(c, g);
    return tuff_norm_add_row(g, how, &r, k, p);
}

static bool plan_pieces(const tuff_call *c, const tuff_norm *g, tuff_norm_how how,
                        const tuff_caps *k, tuff_plan *p)
{
    if (how == TUFF_NORM_TEXEL && !tuff_norm_texels(g, k)) return false;
    const tuff_norm_row r = row_of(c, g);
    const tuff_norm_apply a = { .x = r.x, .mean = r.mean, .inv = r.inv, .y = r.y,
                                .scale = r.scale, .bias = r.bias, .has_scale = r.has_scale,
                                .has_bias = r.has_bias };
    const tuff_norm_pieces pieces = tuff_norm_add_stats(g, how, r.x, 0, k, p);
    tuff_norm_add_merge(g, pieces, 0, r.mean, r.inv, k, p);
    return tuff_norm_add_apply(g, how, &a, k, p);
}

#define PLAN(name, of, plan, how)                                               \
    static bool name(const tuff_call *c, const tuff_caps *k, tuff_plan *p)      \
    {                                                                           \
        const tuff_norm g = of(c);                                              \
        return plan(c, &g, how, k, p);                                          \
    }
#define PLANS(name)                                                             \
    PLAN(row_lanes_##name, name##_of, plan_row, TUFF_NORM_LANES)                \
    PLAN(row_texel_##name, name##_of, plan_row, TUFF_NORM_TEXEL)                \
    PLAN(row_##name, name##_of, plan_row, TUFF_NORM_GROUP)                      \
    PLAN(texel_##name, name##_of, plan_pieces, TUFF_NORM_TEXEL)                 \
    PLAN(group_##name, name##_of, plan_pieces, TUFF_NORM_GROUP)                 \
    PLAN(plain_##name, name##_of, plan_pieces, TUFF_NORM_PLAIN)                 \
    static void host_##name(const tuff_ref *r)                                  \
    {                                                                           \
        const tuff_norm g = name##_of(r->call);                                 \
        host(r, &g);                                                            \
    }
#define KERNELS(name)                                                           \
    .variants = { TUFF_KERNEL("row_lanes", row_lanes_##name),                   \
                  TUFF_KERNEL("row_texel", row_texel_##name),                   \
                  TUFF_GPU_KERNEL("row", row_##name),                           \
                  TUFF_KERNEL("texel", texel_##name),                           \
                  TUFF_GPU_KERNEL("group", group_##name),                       \
                  TUFF_KERNEL("plain", plain_##name) },                         \
    TUFF_FAST(host_takes, host_##name)
PLANS(layer)
PLANS(rms)
PLANS(group)
PLANS(instance)

static tuff_cost cost(const tuff_call *c)
{
    const double n = (double)tuff_desc_count(&c->in[X]);
    return (tuff_cost){ .flops = 8 * n, .bytes = 8 * n };
}

// ---- gradients -----------------------------------------------------------------------------

static void grad_of(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[],
                    const tuff_norm_grad_params *p, tuff_var mean, tuff_var inv)
{
    const bool has_scale = tuff_call_has(&n->call, SCALE);
    const tuff_var none = { 0 }, scale = has_scale ? n->in[SCALE] : none;
    if (tuff_var_null(dy[0])) return;
    dx[X] = TUFF_V(t, &tuff_op_norm_grad, p, n->in[X], dy[0], inv, mean, scale);
    if (!has_scale) return;
    const tuff_var in[] = { n->in[X], dy[0], inv, scale, mean };
    tuff_var out[TUFF_OP_OUT] = { { 0 } };
    t->emit(t, &tuff_op_norm_param_grad, in, 5, p, out);
    dx[SCALE] = out[0];
    if (tuff_call_has(&n->call, B)) dx[B] = out[1];
}

static void grad_layer(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_norm_grad_params p = { .axis = axis_of(&n->call) };
    grad_of(t, n, dy, dx, &p, n->out[1], n->out[2]);
}

static void grad_rms(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_norm_grad_params p = { .axis = axis_of(&n->call) };
    grad_of(t, n, dy, dx, &p, (tuff_var){ 0 }, n->out[1]);
}

static void grad_images(tuff_tape *t, const tuff_node *n, const tuff_var dy[], tuff_var dx[])
{
    const tuff_norm_grad_params p = { .num_groups = (int)n->call.out[1].dim[1] };
    grad_of(t, n, dy, dx, &p, n->out[1], n->out[2]);
}

// ---- records -------------------------------------------------------------------------------

#define PARAM(name_) { .name = name_, .dtypes = TUFF_FLOATS, .mixed = true, .optional = true }
#define STAT(name_)  { .name = name_, .dtypes = TUFF_F32, .no_grad = true }
#define IN           { .name = "x", .dtypes = TUFF_FLOATS }
#define OUT          { .name = "y", .dtypes = TUFF_FLOATS, .alias = true }
// As batch_norm_train: means of up to two deviations above 0 are right to some 4e-7 of one.
#define JUDGED .tol = { .f32 = 2e-6f }, .sample = { 6, 10 }

const tuff_op tuff_op_layer_norm = {
    .name = "layer_norm", .onnx = "LayerNormalization", KERNELS(layer),
    .special = TUFF_SPECIAL_TINY,
    .doc = "y = (x - mean) / sqrt(variance + epsilon) scale + B, each over the dims from "
           "`axis` on",
    .in = { IN, PARAM("scale"), PARAM("B") },
    .out = { OUT, STAT("mean"), STAT("inv_std_dev") },
    .params_size = sizeof(tuff_layer_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_layer_norm_params, epsilon),
                TUFF_AXIS(tuff_layer_norm_params, axis) },
    .infer = infer_layer, .ref = ref_layer, .units = units, .cost = cost,
    .grad = grad_layer, JUDGED,
    // One row of many pieces, many short rows, whole vec4s, several dims.
    .cases = TUFF_CASES("1x1 1 1", "5x257 257 257", "67x13", "64x768 768",
                        "2x3x4x5 3x4x5 3x4x5 axis=2 epsilon=0.001",
                        "1x70001 70001 70001", "509x24 24 24", "17x4096 4096 4096",
                        "300x1020 1020 1020")
};

const tuff_op tuff_op_rms_norm = {
    .name = "rms_norm", .onnx = "RMSNormalization", KERNELS(rms),
    .doc = "y = x / sqrt(mean of x^2 + epsilon) scale, each over the dims from `axis` on",
    .in = { IN, PARAM("scale") }, .out = { OUT, STAT("inv_rms") },
    .params_size = sizeof(tuff_layer_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_layer_norm_params, epsilon),
                TUFF_AXIS(tuff_layer_norm_params, axis) },
    .infer = infer_layer, .ref = ref_rms, .units = units, .cost = cost, .grad = grad_rms,
    .tol = { .f32 = 2e-6f }, .sample = { -2, 2 },
    .cases = TUFF_CASES("1x5 5", "5x257 257", "67x13", "64x768 768", "2x3x4x5 4x5 axis=1",
                        "1x70001 70001", "509x24 24")
};

const tuff_op tuff_op_group_norm = {
    .name = "group_norm", .onnx = "GroupNormalization", KERNELS(group),
    .special = TUFF_SPECIAL_TINY,
    .doc = "y = (x - mean) / sqrt(variance + epsilon) scale + B, each image's channels in "
           "num_groups groups that have a mean and a variance each",
    .in = { IN, PARAM("scale"), PARAM("B") },
    .out = { OUT, STAT("mean"), STAT("inv_std_dev") },
    .params_size = sizeof(tuff_group_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_group_norm_params, epsilon),
                TUFF_POSITIVE(tuff_group_norm_params, num_groups) },
    .infer = infer_group, .ref = ref_images, .units = units, .cost = cost,
    .grad = grad_images, JUDGED,
    .cases = TUFF_CASES("3x5 5 5", "2x6x5x7 6 6 num_groups=3", "3x8x4x4 8 8 num_groups=2",
                        "2x6x5 3 3 num_groups=3", "2x4x3x3x3 num_groups=2",
                        "1x4x131x137 4 4 num_groups=2", "67x4x6x6 4 4 num_groups=4",
                        "2x6x9x12 6 6 num_groups=2")
};

const tuff_op tuff_op_instance_norm = {
    .name = "instance_norm", .onnx = "InstanceNormalization", KERNELS(instance),
    .special = TUFF_SPECIAL_TINY,
    .doc = "y = (x - mean) / sqrt(variance + epsilon) scale + B, each image's each channel by "
           "itself",
    .in = { IN, PARAM("scale"), PARAM("B") },
    .out = { OUT, STAT("mean"), STAT("inv_std_dev") },
    .params_size = sizeof(tuff_instance_norm_params),
    .params = { TUFF_FLOAT_ZERO(tuff_instance_norm_params, epsilon) },
    .infer = infer_instance, .ref = ref_images, .units = units, .cost = cost,
    .grad = grad_images,
    JUDGED,
    .cases = TUFF_CASES("1x2x5 2 2", "2x6x5x7 6 6 epsilon=0.01", "3x8x4x4 8 8", "2x3x9",
                        "1x2x131x137 2 2", "2x3x18x16 3 3")
};

// ---- public functions ----------------------------------------------------------------------

tuff_status tuff_layer_norm(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                            const tuff_tensor *b, tuff_tensor *y, tuff_tensor *mean,
                            tuff_tensor *inv_std_dev, const tuff_layer_norm_params *p)
{
    return tuff_run(s, &tuff_op_layer_norm, TUFF_RUN_IN(x, scale, b),
                    TUFF_RUN_OUT(y, mean, inv_std_dev), p);
}

tuff_status tuff_rms_norm(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                          tuff_tensor *y, tuff_tensor *inv_rms,
                          const tuff_layer_norm_params *p)
{
    return tuff_run(s, &tuff_op_rms_norm, TUFF_RUN_IN(x, scale), TUFF_RUN_OUT(y, inv_rms), p);
}

tuff_status tuff_group_norm(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                            const tuff_tensor *b, tuff_tensor *y, tuff_tensor *mean,
                            tuff_tensor *inv_std_dev, const tuff_group_norm_params *p)
{
    return tuff_run(s, &tuff_op_group_norm, TUFF_RUN_IN(x, scale, b),
                    TUFF_RUN_OUT(y, mean, inv_std_dev), p);
}

tuff_status tuff_instance_norm(tuff_stream *s, const tuff_tensor *x, const tuff_tensor *scale,
                               const tuff_tensor *b, tuff_tensor *y, tuff_tensor *mean,
                               tuff_tensor *inv_std_dev, const tuff_instance_norm_params *p)
{
    return tuff_run(s, &tuff_op_instance_norm, TUFF_RUN_IN(x, scale, b),
                    TUFF_RUN_OUT(y, mean, inv_std_dev), p);
}
