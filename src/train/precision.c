// Training in few bits: settings as text, and what a step emits beside the net's own ops.
#include "train/precision.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/text.h"
#include "graph/graph.h"
#include "ops/op.h"
#include "abi/update.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PURPOSE_ROUNDING = 6 }; // apart from other numbers of a seed
enum { FIXED_BITS = 16, POINT = 14, OUTPUT_POINT = 10 };

// ---- settings ------------------------------------------------------------------------------

static bool whole(const char *text, size_t n, int *value)
{
    int64_t v;
    if (!tuff_parse_i64(text, n, &v) || v < INT32_MIN || v > INT32_MAX) return false;
    *value = (int)v;
    return true;
}

tuff_status tuff_gradients_parse(const char *text, tuff_gradients *g)
{
    static const char *const names[] = { "full", "minmax", "dorefa" };
    const size_t n = strcspn(text, ":");
    int kind = 0;
    while (kind < 3 && (strlen(names[kind]) != n || memcmp(names[kind], text, n) != 0)) kind++;
    *g = (tuff_gradients){ .kind = (tuff_gradients_kind)kind };
    const bool fits = kind < 3 && (!text[n] || (kind && whole(text + n + 1,
                                                              strlen(text + n + 1), &g->bits)));
    TUFF_REQUIRE(fits, FORMAT, "gradients: '%.64s' does not fit, expected full, minmax:BITS or "
                 "dorefa:BITS", text);
    TUFF_REQUIRE(!text[n] || (g->bits >= 1 && g->bits <= 16), FORMAT,
                 "gradients: %d bits, expected 1 to 16", g->bits);
    return TUFF_OK;
}

// "14,10,nearest"; what follows a comma may be left out.
static bool take_fixed(const char *text, tuff_precision *p)
{
    size_t n = strcspn(text, ",");
    if (!whole(text, n, &p->point)) return false;
    if (!text[n]) return true;
    text += n + 1;
    n = strcspn(text, ",");
    if (!whole(text, n, &p->output_point)) return false;
    p->nearest = text[n] && strcmp(text + n + 1, "nearest") == 0;
    return !text[n] || p->nearest;
}

static tuff_status check_points(const tuff_precision *p)
{
    TUFF_REQUIRE(p->point >= 1 && p->point <= 15, ARG, "precision: the point of fixed16 is %d, "
                 "expected 1 to 15", p->point);
    TUFF_REQUIRE(p->output_point >= 1 && p->output_point <= 15, ARG,
                 "precision: the outputs' point of fixed16 is %d, expected 1 to 15",
                 p->output_point);
    return TUFF_OK;
}

tuff_status tuff_precision_parse(const char *text, tuff_precision *p)
{
    static const char *const names[] = { "f32", "fixed16", "half", "bf16" };
    const size_t n = strcspn(text, ":");
    int kind = 0;
    while (kind < 4 && (strlen(names[kind]) != n || memcmp(names[kind], text, n) != 0)) kind++;
    *p = (tuff_precision){ .kind = (tuff_precision_kind)kind };
    if (kind == TUFF_PRECISION_FIXED16)
        *p = (tuff_precision){ p->kind, .point = POINT, .output_point = OUTPUT_POINT };
    const bool fits = kind < 4 && (!text[n] || (kind == TUFF_PRECISION_FIXED16 &&
                                                take_fixed(text + n + 1, p)));
    TUFF_REQUIRE(fits, FORMAT, "precision: '%.64s' does not fit, expected f32, half, bf16 or "
                 "fixed16:POINT,OUTPUT_POINT,nearest, of which what is behind fixed16 may be "
                 "left out", text);
    return kind == TUFF_PRECISION_FIXED16 ? check_points(p) : TUFF_OK;
}

const char *tuff_gradients_print(const tuff_gradients *g, char *text, size_t size)
{
    if (g->kind == TUFF_GRADIENTS_FULL) snprintf(text, size, "full");
    else
        snprintf(text, size, "%s:%d", g->kind == TUFF_GRADIENTS_MINMAX ? "minmax" : "dorefa",
                 g->bits);
    return text;
}

const char *tuff_precision_print(const tuff_precision *p, char *text, size_t size)
{
    if (p->kind == TUFF_PRECISION_FIXED16)
        snprintf(text, size, "fixed16:%d,%d%s", p->point, p->output_point,
                 p->nearest ? ",nearest" : "");
    else
        snprintf(text, size, "%s", p->kind == TUFF_PRECISION_HALF   ? "half"
                                   : p->kind == TUFF_PRECISION_BF16 ? "bf16" : "f32");
    return text;
}

tuff_status tuff_rounding_fill(tuff_gradients *g, tuff_precision *p)
{
    TUFF_REQUIRE((unsigned)g->kind <= TUFF_GRADIENTS_DOREFA, ARG, "gradients: %d is no kind",
                 (int)g->kind);
    TUFF_REQUIRE((unsigned)p->kind <= TUFF_PRECISION_BF16, ARG, "precision: %d is no kind",
                 (int)p->kind);
    if (!g->bits) g->bits = 8;
    TUFF_REQUIRE(g->bits >= 1 && g->bits <= 16, ARG, "gradients: %d bits, expected 1 to 16",
                 g->bits);
    const bool fixed = p->kind == TUFF_PRECISION_FIXED16;
    TUFF_REQUIRE(!fixed || !g->kind, ARG, "gradients: with the precision fixed16 they are "
                 "fixed point already");
    if (fixed && !p->point) p->point = POINT;
    if (fixed && !p->output_point) p->output_point = OUTPUT_POINT;
    if (fixed) TUFF_TRY(check_points(p));
    if (p->loss_scale == 0) p->loss_scale = 65536;
    if (!p->growth_interval) p->growth_interval = 2000;
    TUFF_REQUIRE(p->loss_scale > 0 && isfinite(p->loss_scale), ARG,
                 "precision: the loss scale is %g, expected a number above 0",
                 (double)p->loss_scale);
    TUFF_REQUIRE(p->growth_interval >= 1 && p->growth_interval <= 1 << 24, ARG,
                 "precision: the growth interval is %d steps, expected 1 to 16777216",
                 p->growth_interval);
    return TUFF_OK;
}

bool tuff_rounding_draws(const tuff_gradients *g, const tuff_precision *p)
{
    return g->kind || (p->kind == TUFF_PRECISION_FIXED16 && !p->nearest);
}

bool tuff_precision_scales(const tuff_precision *p)
{
    return p->kind == TUFF_PRECISION_HALF || p->kind == TUFF_PRECISION_BF16;
}

void tuff_scaler_start(const tuff_precision *p, float scaler[4])
{
    memset(scaler, 0, 4 * sizeof *scaler);
    scaler[TUFF_SCALER_SCALE] = p->kind == TUFF_PRECISION_HALF ? p->loss_scale : 1;
}

// ---- rounding ------------------------------------------------------------------------------

static tuff_var as(tuff_graph *g, tuff_var x, tuff_dtype type)
{
    const tuff_desc *d = x.id ? tuff_graph_desc(g, x) : NULL;
    if (!d || d->dtype == type) return x;
    return tuff_graph_op(g, "cast", &x, 1, &(tuff_cast_params){ .to = (int)type });
}

static tuff_var affine(tuff_graph *g, tuff_var x, double scale)
{
    return tuff_graph_op(g, "affine", &x, 1, &(tuff_affine_params){ .scale = (float)scale });
}

static tuff_var two(tuff_graph *g, const char *op, tuff_var a, tuff_var b)
{
    return tuff_graph_op(g, op, (tuff_var[]){ a, b }, 2, NULL);
}

// x in few levels; scale and zero are one number, or one for each row of x.
static tuff_var levels(tuff_rounding *r, tuff_graph *g, tuff_var x, tuff_var scale,
                       tuff_var zero, tuff_round_levels_params p)
{
    const tuff_var none = { 0 };
    p.seed = tuff_rng_fork(PURPOSE_ROUNDING, r->draws++);
    const tuff_var in[] = { x, scale, zero, p.stochastic ? r->counter : none };
    return tuff_graph_op(g, "round_levels", in, 4, &p);
}

static tuff_var fixed(tuff_rounding *r, tuff_graph *g, tuff_var x, int point)
{
    const float scale = ldexpf(1, -point);
    return levels(r, g, x, tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, 1), &scale),
                  (tuff_var){ 0 },
                  (tuff_round_levels_params){ .bits = FIXED_BITS, .is_signed = true,
                                              .stochastic = !r->precision.nearest });
}

// The largest and least number of each row.
static void ranges(tuff_graph *g, tuff_var rows, tuff_var *low, tuff_var *high)
{
    const tuff_reduce_params p = { .axes = 1 };
    *low = tuff_graph_op(g, "reduce_min", &rows, 1, &p);
    *high = tuff_graph_op(g, "reduce_max", &rows, 1, &p);
}

// A row: from its least to its largest number, 0 among the levels.
static tuff_var minmax(tuff_rounding *r, tuff_graph *g, tuff_var row)
{
    const float none = 0, least = 0x1p-100f;
    const double steps = ldexp(1, r->gradients.bits) - 1;
    const tuff_var zero = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, 1), &none);
    const tuff_var some = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, 1), &least);
    tuff_var low, high;
    ranges(g, row, &low, &high);
    low = two(g, "min", low, zero);
    high = two(g, "max", high, zero);
    const tuff_var span = two(g, "max", two(g, "sub", high, low), some);
    const tuff_var scale = affine(g, span, 1 / steps);
    const tuff_var place = two(g, "div", affine(g, low, -1), scale);
    const tuff_var at = tuff_graph_op(g, "round", &place, 1, NULL);
    return levels(r, g, row, scale, at,
                  (tuff_round_levels_params){ .bits = r->gradients.bits, .stochastic = true });
}

// Rows: levels from -max|row| to max|row|, of which none is 0.
static tuff_var dorefa(tuff_rounding *r, tuff_graph *g, tuff_var rows, int64_t count)
{
    const double steps = ldexp(1, r->gradients.bits) - 1;
    float *half = tuff_alloc((size_t)count, sizeof *half);
    tuff_var low, high;
    if (!half) g->tape.status = TUFF_ERR_MEMORY;
    for (int64_t i = 0; half && i < count; i++) half[i] = (float)(steps / 2);
    ranges(g, rows, &low, &high);
    const tuff_var most = two(g, "max", high, affine(g, low, -1));
    const tuff_var zero = tuff_graph_constant(g, TUFF_SHAPE(TUFF_F32, count), half);
    tuff_free(half);
    return levels(r, g, rows, affine(g, most, 2 / steps), zero,
                  (tuff_round_levels_params){ .axis = 1, .bits = r->gradients.bits,
                                              .stochastic = true });
}

// A gradient in few bits.
static tuff_var rounded(tuff_rounding *r, tuff_graph *g, tuff_var dy, bool examples)
{
    const tuff_desc d = *tuff_graph_desc(g, dy);
    const bool each = examples && d.rank > 0 && d.dim[0] == r->count;
    const int64_t rows = each ? r->count : 1, cols = tuff_desc_count(&d) / rows;
    tuff_var row = tuff_graph_reshape(g, as(g, dy, TUFF_F32), TUFF_SHAPE(TUFF_F32, rows, cols));
    row = r->gradients.kind == TUFF_GRADIENTS_DOREFA ? dorefa(r, g, row, rows)
                                                     : minmax(r, g, row);
    tuff_desc back = d;
    back.dtype = TUFF_F32;
    return as(g, tuff_graph_reshape(g, row, back), d.dtype);
}

// ---- between layers ------------------------------------------------------------------------

static tuff_dtype type_of(const tuff_rounding *r)
{
    return r->precision.kind == TUFF_PRECISION_HALF   ? TUFF_F16
           : r->precision.kind == TUFF_PRECISION_BF16 ? TUFF_BF16 : TUFF_F32;
}

static bool has_weights(const tuff_model *m, int part)
{
    const tuff_model_part *p = &m->part[part];
    for (int i = 0; i < p->params; i++)
        if (m->param[p->param + i].role == TUFF_PARAM_WEIGHT) return true;
    return false;
}

// Norms, and what has scales beside its weights, are f32.
static tuff_dtype part_type(const tuff_rounding *r, int part)
{
    const tuff_model_part *p = &r->model->part[part];
    bool wide = p->item.layer.kind->wide;
    for (int i = 0; i < p->params; i++) {
        const tuff_role_of role = r->model->param[p->param + i].role;
        wide |= role != TUFF_PARAM_WEIGHT && role != TUFF_PARAM_BIAS;
    }
    return wide ? TUFF_F32 : type_of(r);
}

static tuff_var param(void *user, tuff_graph *g, int part, int param, tuff_var v)
{
    const tuff_rounding *r = user;
    const tuff_dtype type = part_type(r, part);
    (void)param;
    return type == TUFF_F32 ? v : as(g, v, type);
}

static tuff_var take(void *user, tuff_graph *g, int part, tuff_var x)
{
    const tuff_rounding *r = user;
    const tuff_desc *d = x.id ? tuff_graph_desc(g, x) : NULL;
    return d && d->dtype & TUFF_FLOATS ? as(g, x, part_type(r, part)) : x;
}

static tuff_var give(void *user, tuff_graph *g, int part, tuff_var y)
{
    tuff_rounding *r = user;
    const bool fixed16 = r->precision.kind == TUFF_PRECISION_FIXED16;
    if (!y.id) return y;
    if (fixed16 && r->model->part[part].item.layer.kind->selects) return y;
    if (fixed16 || (r->gradients.kind && has_weights(r->model, part)))
        r->seen[r->seens++] = tuff_value_root(g, y.id);
    return fixed16 ? fixed(r, g, y, r->precision.output_point) : y;
}

tuff_var tuff_rounded_forward(tuff_rounding *r, tuff_graph *g, tuff_var x, tuff_var *params,
                              tuff_var made[])
{
    const tuff_between between = { r, param, take, give };
    r->seen = tuff_alloc((size_t)r->model->parts + 1, sizeof *r->seen);
    if (!r->seen) g->tape.status = TUFF_ERR_MEMORY;
    const bool as_ever = !r->gradients.kind && !r->precision.kind;
    const tuff_var y = tuff_model_forward_taught(g, r->model, x, r->counter, params, made,
                                                 as_ever ? NULL : &between);
    for (int i = 0; y.id && i < r->model->parts; i++) made[i] = as(g, made[i], TUFF_F32);
    return as(g, y, TUFF_F32);
}

// ---- back ----------------------------------------------------------------------------------

static tuff_var slope(void *user, tuff_graph *g, tuff_var value, tuff_var dy)
{
    tuff_rounding *r = user;
    for (int i = 0; i < r->seens; i++) {
        if (r->seen[i] != value.id) continue;
        return r->gradients.kind ? rounded(r, g, dy, r->gradients.kind == TUFF_GRADIENTS_DOREFA)
                                 : fixed(r, g, dy, r->precision.point);
    }
    return dy;
}

// The scaler's first number.
static tuff_var scale_of(tuff_rounding *r, tuff_graph *g)
{
    const tuff_slice_params first = { .ends = { 1 } };
    const tuff_var scaler = tuff_graph_bind(g, "scaler", r->scaler);
    const tuff_var scale = tuff_graph_op(g, "slice", &scaler, 1, &first);
    return tuff_graph_reshape(g, scale, TUFF_SCALAR(TUFF_F32));
}

tuff_var tuff_rounded_scale(tuff_rounding *r, tuff_graph *g, tuff_var v)
{
    return r->scaler ? two(g, "mul", v, scale_of(r, g)) : v;
}

void tuff_rounded_backward(tuff_rounding *r, tuff_graph *g, tuff_var loss, const tuff_var *wrt,
                           int n, tuff_var *grads)
{
    if (r->scaler) loss = two(g, "mul", loss, scale_of(r, g));
    tuff_graph_backward_by(g, loss, wrt, n, grads, r->seens ? slope : NULL, r);
}

tuff_var tuff_rounded_slope(tuff_rounding *r, tuff_graph *g, int param, tuff_var dw)
{
    const bool weight = r->model->param[param].role == TUFF_PARAM_WEIGHT;
    if (!dw.id || !weight || r->gradients.kind != TUFF_GRADIENTS_MINMAX) return dw;
    return rounded(r, g, dw, false);
}

tuff_var tuff_rounded_gradients(tuff_rounding *r, tuff_graph *g, tuff_tensor *grads,
                                tuff_var *hyper, const tuff_optimizer *o)
{
    tuff_var dw = tuff_graph_bind(g, "gradients", grads), found[2], after[2];
    if (r->precision.kind == TUFF_PRECISION_FIXED16) {
        dw = fixed(r, g, dw, r->precision.point);
        tuff_graph_store(g, dw, grads);
    }
    if (!r->scaler) return dw;
    const bool half = r->precision.kind == TUFF_PRECISION_HALF;
    const tuff_loss_scale_params p = {
        .growth_factor = half ? 2 : 1, .backoff_factor = half ? 0.5f : 1,
        .growth_interval = r->precision.growth_interval, .beta1 = o->beta1, .beta2 = o->beta2,
        .momentum_decay = o->kind == TUFF_NADAM ? o->momentum_decay : 0 };
    const tuff_var scaler = tuff_graph_bind(g, "scaler", r->scaler);
    tuff_graph_op_n(g, "unscale", (tuff_var[]){ dw, scaler }, 2, NULL, found, 2);
    tuff_graph_store(g, found[0], grads);
    tuff_graph_op_n(g, "loss_scale", (tuff_var[]){ found[1], scaler, *hyper }, 3, &p, after, 2);
    tuff_graph_store(g, after[0], r->scaler);
    *hyper = after[1];
    return found[0];
}

tuff_var tuff_rounded_update(tuff_rounding *r, tuff_graph *g, tuff_var w)
{
    return r->precision.kind == TUFF_PRECISION_FIXED16 ? fixed(r, g, w, r->precision.point) : w;
}

tuff_status tuff_round_start(tuff_stream *s, const tuff_precision *p, tuff_tensor *weights)
{
    if (p->kind != TUFF_PRECISION_FIXED16) return TUFF_OK;
    const tuff_round_levels_params to = { .bits = FIXED_BITS, .is_signed = true };
    const float scale = ldexpf(1, -p->point);
    tuff_tensor *one = NULL;
    tuff_status status = tuff_tensor_create(tuff_stream_device(s), TUFF_SHAPE(TUFF_F32, 1),
                                            &one);
    if (status == TUFF_OK) status = tuff_tensor_write(s, one, &scale, sizeof scale);
    if (status == TUFF_OK)
        status = tuff_round_levels(s, weights, one, NULL, NULL, weights, &to);
    if (status == TUFF_OK) status = tuff_stream_wait(s);
    tuff_tensor_destroy(&one);
    return status;
}
