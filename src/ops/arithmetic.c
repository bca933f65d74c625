// The records of arithmetic on two elements, and on up to six.
#include "ops/elementwise.h"

// ---- functions, for the reference ----------------------------------------------------------

#define FUNCTION TUFF_BINARY_FUNCTION

static double mod_of(double a, double b)
{
    const double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t mod_whole_of(int64_t a, int64_t b)
{
    const int64_t r = b ? a % b : 0;
    return r && (r < 0) != (b < 0) ? r + b : r;
}

// Factor by factor; of a negative power what is left of a whole number.
static int64_t power_whole_of(int64_t a, int64_t b)
{
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    uint32_t y = 1, x = (uint32_t)a;
    for (uint64_t left = (uint64_t)b; left; left /= 2, x *= x)
        if (left % 2) y *= x;
    return (int64_t)y;
}

FUNCTION(add, ADD, a + b, a + b)
FUNCTION(sub, SUB, a - b, a - b)
FUNCTION(mul, MUL, a * b, (int64_t)((uint64_t)a * (uint64_t)b))
FUNCTION(div, DIV, a / b, b ? a / b : 0)
FUNCTION(min, MIN, a < b || isnan(a) ? a : b, a < b ? a : b)
FUNCTION(max, MAX, a > b || isnan(a) ? a : b, a > b ? a : b)
FUNCTION(pow, POW, pow(a, b), power_whole_of(a, b))
FUNCTION(floor_mod, MOD, mod_of(a, b), mod_whole_of(a, b))
FUNCTION(fmod, FMOD, fmod(a, b), b ? a % b : 0)
FUNCTION(prelu, PRELU, a < 0 ? a * b : a, 0)
FUNCTION(xlogy, XLOGY, a == 0 && !isnan(b) ? 0 : a * log(b), 0)

static const tuff_binary *pick_mod(const tuff_call *c)
{
    const tuff_mod_params *p = c->params;
    return p->fmod ? &fmod_f : &floor_mod_f;
}
static const tuff_binary mod_f = { .pick = pick_mod };

// ---- up to six operands --------------------------------------------------------------------

// One after the other into y. The mean is divided in the last step.
static tuff_status infer_many(const tuff_call *c, tuff_desc out[])
{
    return tuff_broadcast_infer(c, &out[0]);
}

static int operands(const tuff_call *c, int which[])
{
    int n = 0;
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) which[n++] = i;
    return n;
}

static bool is_mean(const tuff_call *c)
{
    return ((const tuff_binary *)c->op->family)->function == TUFF_BINARY_MEAN;
}

static double real_many(const tuff_ref *r, const int which[], int n, size_t i)
{
    const tuff_binary *f = r->call->op->family;
    const bool mean = is_mean(r->call);
    double y = 0;
    for (int k = 0; k < n; k++) {
        const tuff_desc *x = &r->call->in[which[k]];
        const double v = (double)r->in[which[k]][tuff_broadcast_at(x, r->call->out, i)];
        y = k == 0 ? v : mean ? y + v : f->real(y, v);
    }
    return mean ? y / n : y;
}

static int64_t whole_many(const tuff_ref *r, const int which[], int n, size_t i)
{
    const tuff_binary *f = r->call->op->family;
    int64_t y = 0;
    for (int k = 0; k < n; k++) {
        const tuff_desc *x = &r->call->in[which[k]];
        const size_t at = tuff_broadcast_at(x, r->call->out, i);
        const uint32_t v = ((const uint32_t *)(const void *)r->in[which[k]])[at];
        const int64_t wide = x->dtype == TUFF_U32 ? (int64_t)v : (int32_t)v;
        y = k == 0 ? wide : f->whole(y, wide);
    }
    return y;
}

static void ref_many(const tuff_ref *r)
{
    int which[TUFF_OP_IN];
    const int n = operands(r->call, which);
    uint32_t *words = (uint32_t *)(void *)r->out[0];
    for (size_t i = r->begin; i < r->end; i++) {
        if (r->call->out[0].dtype == TUFF_F32)
            r->out[0][i] = (float)real_many(r, which, n, i);
        else
            words[i] = (uint32_t)whole_many(r, which, n, i);
    }
}

static bool plan_many(const tuff_call *c, const tuff_caps *k, tuff_plan *p, bool texel)
{
    static const uint32_t none[2];
    int which[TUFF_OP_IN];
    const int n = operands(c, which);
    if (n == 1) return tuff_unary_launch(c, k, p, texel, TUFF_UNARY_COPY, none);
    for (int i = 1; i < n; i++) {
        tuff_binary f = *(const tuff_binary *)c->op->family;
        if (is_mean(c) && i < n - 1) f = add_f;
        f.n = n;
        if (!tuff_binary_launch(c, k, p, texel, &f, i == 1 ? which[0] : -1, which[i]))
            return false;
    }
    return true;
}

static bool texel_many(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_many(c, k, p, true);
}

static bool plain_many(const tuff_call *c, const tuff_caps *k, tuff_plan *p)
{
    return plan_many(c, k, p, false);
}

static const tuff_binary mean_f = { .function = TUFF_BINARY_MEAN };

// ---- gradients -----------------------------------------------------------------------------

#define GRADIENT(name)                                                          \
    static void grad_##name(tuff_tape *t, const tuff_node *n, const tuff_var dy[], \
                            tuff_var dx[])

GRADIENT(add)
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
    dx[1] = tuff_unbroadcast(t, dy[0], &n->call.in[1]);
}

GRADIENT(sub)
{
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
    dx[1] = tuff_scaled(t, tuff_unbroadcast(t, dy[0], &n->call.in[1]), -1);
}

GRADIENT(mul)
{
    for (int i = 0; i < 2; i++) {
        const tuff_var g = TUFF_V(t, &tuff_op_mul, NULL, dy[0], n->in[1 - i]);
        dx[i] = tuff_unbroadcast(t, g, &n->call.in[i]);
    }
}

// da = dy / b, db = -dy y / b.
GRADIENT(div)
{
    const tuff_var da = TUFF_V(t, &tuff_op_div, NULL, dy[0], n->in[1]);
    const tuff_var db = TUFF_V(t, &tuff_op_mul, NULL, da, n->out[0]);
    dx[0] = tuff_unbroadcast(t, da, &n->call.in[0]);
    dx[1] = tuff_scaled(t, tuff_unbroadcast(t, db, &n->call.in[1]), -1);
}

// da = dy b a^(b - 1), db = dy y ln a; y ln a is 0 where y is.
GRADIENT(pow)
{
    const tuff_affine_params less = { .scale = 1, .shift = -1 };
    const tuff_var lower = TUFF_V(t, &tuff_op_affine, &less, n->in[1]);
    const tuff_var power = TUFF_V(t, &tuff_op_pow, NULL, n->in[0], lower);
    const tuff_var slope = TUFF_V(t, &tuff_op_mul, NULL, power, n->in[1]);
    const tuff_var log = TUFF_V(t, &tuff_op_xlogy, NULL, n->out[0], n->in[0]);
    dx[0] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], slope), &n->call.in[0]);
    dx[1] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], log), &n->call.in[1]);
}

// a - q b: da = dy, db = -q dy = dy (y - a) / b.
GRADIENT(mod)
{
    const tuff_var rest = TUFF_V(t, &tuff_op_sub, NULL, n->out[0], n->in[0]);
    const tuff_var slope = TUFF_V(t, &tuff_op_div, NULL, rest, n->in[1]);
    dx[0] = tuff_unbroadcast(t, dy[0], &n->call.in[0]);
    dx[1] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], slope), &n->call.in[1]);
}

// dy where x > 0, and what is left of it times slope; that times x is the slope's gradient.
GRADIENT(prelu)
{
    const tuff_var above = TUFF_V(t, &tuff_op_relu_grad, NULL, n->in[0], dy[0]);
    const tuff_var below = TUFF_V(t, &tuff_op_sub, NULL, dy[0], above);
    const tuff_var sloped = TUFF_V(t, &tuff_op_mul, NULL, below, n->in[1]);
    const tuff_var slope = TUFF_V(t, &tuff_op_mul, NULL, below, n->in[0]);
    dx[0] = TUFF_V(t, &tuff_op_add, NULL, above, sloped);
    dx[1] = tuff_unbroadcast(t, slope, &n->call.in[1]);
}

// da = dy ln b, db = dy a / b.
GRADIENT(xlogy)
{
    const tuff_var log = TUFF_V(t, &tuff_op_log, NULL, n->in[1]);
    const tuff_var ratio = TUFF_V(t, &tuff_op_div, NULL, n->in[0], n->in[1]);
    dx[0] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], log), &n->call.in[0]);
    dx[1] = tuff_unbroadcast(t, TUFF_V(t, &tuff_op_mul, NULL, dy[0], ratio), &n->call.in[1]);
}

GRADIENT(sum)
{
    for (int i = 0; i < n->call.nin; i++)
        if (tuff_call_has(&n->call, i)) dx[i] = tuff_unbroadcast(t, dy[0], &n->call.in[i]);
}

GRADIENT(mean)
{
    int which[TUFF_OP_IN];
    const tuff_var share[] = { tuff_scaled(t, dy[0], 1.0f / (float)operands(&n->call, which)) };
    grad_sum(t, n, share, dx);
}

// The first of those that equal the result takes dy.
GRADIENT(extremum)
{
    int which[TUFF_OP_IN];
    const int count = operands(&n->call, which);
    const tuff_var none = { 0 };
    tuff_var rest = dy[0];
    for (int k = 0; k < count; k++) {
        const int i = which[k];
        tuff_var share = rest;
        if (k < count - 1) {
            const tuff_var it = TUFF_V(t, &tuff_op_equal, NULL, n->in[i], n->out[0]);
            share = TUFF_V(t, &tuff_op_where, NULL, it, rest, none);
            rest = TUFF_V(t, &tuff_op_where, NULL, it, none, rest);
        }
        dx[i] = tuff_unbroadcast(t, share, &n->call.in[i]);
    }
}

// ---- records -------------------------------------------------------------------------------

#define NUMBERS (TUFF_FLOATS | TUFF_INTEGERS)
#define AB(types_) { { .name = "a", .dtypes = types_ }, { .name = "b", .dtypes = types_ } }
#define Y(types_) { { .name = "y", .dtypes = types_, .alias = true, .alias_any = true } }
#define TOLERANCE(t, low, high) .tol = { .f32 = t }, .sample = { low, high }
// One element, the same shape, a row.
#define CASES .cases = TUFF_CASES("1 1", "5x64 5x64", "257x13 13")

const tuff_op tuff_op_add = {
    .name = "add", .onnx = "Add", TUFF_BINARY_OP(add_f, HOT),
    .doc = "y = a + b, dims of 1 repeated",
    .in = AB(NUMBERS), .out = Y(NUMBERS), .grad = grad_add, TOLERANCE(1e-6f, -4, 4),
    // Same shape; a scalar; a column; a channel's value over even and odd images; both
    // repeated; nothing that one block describes; eight dims; longer than texels are shown.
    .cases = TUFF_CASES("1 1", "5x64 5x64", "257x13 1", "13x5 13x1", "2x6x4x8 6x1x1",
                        "2x3x5x7 3x1x1", "5x1x7 3x1", "2x1x3x2x1x2x3x2 3x1x2x1x2x1x1",
                        "33x68 68", "700001 700001",
                        "129x2064 2064", "3x5x132x136 5x1x1")
};

const tuff_op tuff_op_sub = {
    .name = "sub", .onnx = "Sub", TUFF_BINARY_OP(sub_f, HOT),
    .doc = "y = a - b, dims of 1 repeated",
    .in = AB(NUMBERS), .out = Y(NUMBERS), .grad = grad_sub, TOLERANCE(1e-6f, -4, 4), CASES
};

const tuff_op tuff_op_mul = {
    .name = "mul", .onnx = "Mul", TUFF_BINARY_OP(mul_f, HOT),
    .doc = "y = a b, dims of 1 repeated",
    .in = AB(NUMBERS), .out = Y(NUMBERS), .grad = grad_mul, TOLERANCE(1e-6f, -4, 4), CASES
};

const tuff_op tuff_op_div = {
    .name = "div", .onnx = "Div", TUFF_BINARY_OP(div_f, COLD),
    .doc = "y = a / b, dims of 1 repeated; whole numbers towards 0, by 0 they give 0",
    .in = { { .name = "a", .dtypes = NUMBERS, .low = -60, .high = 60 },
            { .name = "b", .dtypes = NUMBERS, .positive = true, .low = -4, .high = 4 } },
    .out = Y(NUMBERS), .grad = grad_div, TOLERANCE(1e-6f, -4, 4), CASES
};

const tuff_op tuff_op_pow = {
    .name = "pow", .onnx = "Pow", TUFF_BINARY_OP(pow_f, COLD),
    .doc = "y = a^b, dims of 1 repeated",
    .in = { { .name = "a", .dtypes = NUMBERS, .positive = true, .low = -4, .high = 4 },
            { .name = "b", .dtypes = NUMBERS, .low = -3, .high = 9 } },
    .out = Y(NUMBERS), .grad = grad_pow, TOLERANCE(1e-6f, -3, 3), CASES
};

const tuff_op tuff_op_mod = {
    .name = "mod", .onnx = "Mod", TUFF_BINARY_OP(mod_f, COLD),
    .doc = "y = a - b floor(a / b), or with fmod the quotient cut towards 0",
    .in = { { .name = "a", .dtypes = NUMBERS, .low = -60, .high = 60 },
            { .name = "b", .dtypes = NUMBERS, .positive = true, .low = -7, .high = 7 } },
    .out = Y(NUMBERS), .grad = grad_mod, TOLERANCE(1e-6f, -4, 4),
    .params_size = sizeof(tuff_mod_params), .params = { TUFF_BOOLEAN(tuff_mod_params, fmod) },
    .cases = TUFF_CASES("1 1", "5x64 5x64", "257x13 13", "5x64 5x64 fmod=1")
};

static tuff_status infer_prelu(const tuff_call *c, tuff_desc out[])
{
    char x[96], slope[96];
    TUFF_TRY(tuff_binary_infer(c, out));
    TUFF_REQUIRE(tuff_desc_equal(&out[0], &c->in[0]), SHAPE,
                 "slope is %s, it cannot be repeated to x's %s",
                 tuff_desc_print(&c->in[1], slope, sizeof slope),
                 tuff_desc_print(&c->in[0], x, sizeof x));
    return TUFF_OK;
}

const tuff_op tuff_op_prelu = {
    .name = "prelu", .onnx = "PRelu", .family = &prelu_f, .infer = infer_prelu,
    .units = tuff_elements, .ref = tuff_binary_ref,
    TUFF_FAST_OF(TUFF_HALVES, tuff_binary_host_takes, tuff_binary_host),
    .variants = { TUFF_KERNEL("texel", tuff_binary_texel),
                  TUFF_KERNEL("plain", tuff_binary_plain) },
    .doc = "y = x where x >= 0, else slope x; slope's dims of 1 repeated",
    .in = { { .name = "x", .dtypes = TUFF_FLOATS },
            { .name = "slope", .dtypes = TUFF_FLOATS } },
    .out = { { .name = "y", .dtypes = TUFF_FLOATS, .alias = true } },
    .grad = grad_prelu, TOLERANCE(1e-6f, -4, 4),
    .cases = TUFF_CASES("1 1", "5x64 5x64", "2x6x4x8 6x1x1", "257x13 1")
};

const tuff_op tuff_op_xlogy = {
    .name = "xlogy", TUFF_BINARY_OP(xlogy_f, COLD),
    .doc = "y = a ln(b), 0 where a is 0; dims of 1 repeated",
    .in = { { .name = "a", .dtypes = TUFF_FLOATS },
            { .name = "b", .dtypes = TUFF_FLOATS, .positive = true } },
    .out = Y(TUFF_FLOATS), .grad = grad_xlogy, TOLERANCE(1e-6f, -4, 4), CASES
};

#define MANY(types_)                                                            \
    .in = { { .name = "a", .dtypes = types_ },                                  \
            { .name = "b", .dtypes = types_, .optional = true },                \
            { .name = "c", .dtypes = types_, .optional = true },                \
            { .name = "d", .dtypes = types_, .optional = true },                \
            { .name = "e", .dtypes = types_, .optional = true },                \
            { .name = "f", .dtypes = types_, .optional = true } },              \
    .out = { { .name = "y", .dtypes = types_, .alias = true } },                \
    .infer = infer_many, .units = tuff_elements, .ref = ref_many,               \
    .variants = { TUFF_KERNEL("texel", texel_many), TUFF_KERNEL("plain", plain_many) }, \
    TUFF_FAST_OF(TUFF_HALVES, tuff_many_host_takes, tuff_many_host),            \
    .cases = TUFF_CASES("7", "1 1", "5x64 5x64", "257x13 13 1", "5x64 64 1 5x1 5x64 64")

const tuff_op tuff_op_min = {
    .name = "min", .onnx = "Min", .family = &min_f, MANY(NUMBERS),
    .doc = "y = the smallest of up to six operands, NaN where one is; dims of 1 repeated",
    .grad = grad_extremum, .sample = { -4, 4 }
};

const tuff_op tuff_op_max = {
    .name = "max", .onnx = "Max", .family = &max_f, MANY(NUMBERS),
    .doc = "y = the largest of up to six operands, NaN where one is; dims of 1 repeated",
    .grad = grad_extremum, .sample = { -4, 4 }
};

// Five sums of terms up to 4, each rounded, beside a mean square that may be below theirs.
const tuff_op tuff_op_sum = {
    .name = "sum", .onnx = "Sum", .family = &add_f, MANY(TUFF_FLOATS),
    .doc = "y = the sum of up to six operands, dims of 1 repeated",
    .grad = grad_sum, TOLERANCE(2e-6f, -4, 4)
};

const tuff_op tuff_op_mean = {
    .name = "mean", .onnx = "Mean", .family = &mean_f, MANY(TUFF_FLOATS),
    .doc = "y = the mean of up to six operands, dims of 1 repeated",
    .grad = grad_mean, TOLERANCE(2e-6f, -4, 4)
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name)                                                            \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b, \
                            tuff_tensor *y)                                     \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), NULL); \
    }
#define PUBLIC_MANY(name)                                                       \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *const x[], int n, \
                            tuff_tensor *y)                                     \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, x, n, TUFF_RUN_OUT(y), NULL);       \
    }
PUBLIC(add)
PUBLIC(sub)
PUBLIC(mul)
PUBLIC(div)
PUBLIC(pow)
PUBLIC(prelu)
PUBLIC(xlogy)
PUBLIC_MANY(min)
PUBLIC_MANY(max)
PUBLIC_MANY(sum)
PUBLIC_MANY(mean)

tuff_status tuff_mod(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b, tuff_tensor *y,
                     const tuff_mod_params *p)
{
    return tuff_run(s, &tuff_op_mod, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), p);
}
