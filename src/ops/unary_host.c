// y = f(x) and dx = dy f'(x) of f32 on the CPU path; the formulas are those of unary.comp and
// unary_grad.comp.
#include "ops/elementwise.h"
#include "ops/host.h"
#include "ops/host_math.h"

// gelu's other form is a function of its own here.
enum { TUFF_UNARY_GELU_TANH = TUFF_UNARY_COPY + 1 };

typedef struct function {
    uint32_t number; // TUFF_UNARY_...
    float p[2];
} function;

static function function_of(const tuff_call *c)
{
    const tuff_unary *f = c->op->family;
    function how = { .number = f->function };
    if (f->numbers) f->numbers(c, how.p);
    if (f->function == TUFF_UNARY_GELU && how.p[0] != 0) how.number = TUFF_UNARY_GELU_TANH;
    return how;
}

// ---- y = f(x) -------------------------------------------------------------------------------

#define EACH(NAME, formula)                                                     \
    case TUFF_UNARY_##NAME:                                                     \
        TUFF_EACH(i, n, const float v = x[i]; const float w = formula;          \
                  y[i] = v != v ? v : w)                                        \
        break;

TUFF_EACH_PROCESSOR void unary_block(const function *how, const float *x, float *y, size_t n)
{
    const float a = how->p[0], b = how->p[1];
    switch (how->number) {
    EACH(RELU, v <= 0 ? 0 : v)
    EACH(SIGMOID, tuff_sigmoid_f32(v))
    EACH(TANH, tuff_tanh_f32(v))
    EACH(EXP, tuff_exp_f32(v))
    EACH(LOG, tuff_log_f32(v))
    EACH(SQRT, sqrtf(v))
    EACH(ABS, tuff_abs_f32(v))
    EACH(SIGN, tuff_sign_f32(v))
    EACH(SQUARE, v * v)
    EACH(AFFINE, a * v + b)
    EACH(NEG, -v)
    EACH(RSQRT, 1 / sqrtf(v))
    EACH(RECIPROCAL, 1 / v)
    EACH(FLOOR, tuff_floor_f32(v))
    EACH(CEIL, tuff_ceil_f32(v))
    EACH(ROUND, tuff_round_f32(v))
    EACH(ERF, tuff_erf_f32(v))
    EACH(SIN, tuff_sin_near(v))
    EACH(COS, tuff_cos_near(v))
    EACH(CLIP, tuff_least(tuff_most(v, a), b))
    EACH(LEAKY_RELU, v < 0 ? a * v : v)
    EACH(ELU, v < 0 ? a * tuff_expm1_f32(v) : v)
    EACH(SELU, b * (v < 0 ? a * tuff_expm1_f32(v) : v))
    EACH(CELU, v < 0 ? a * tuff_expm1_f32(v / a) : v)
    EACH(GELU, tuff_times(v, tuff_normal_below(v)))
    EACH(GELU_TANH, tuff_times(v, tuff_sigmoid_f32(tuff_gelu_inner(v))))
    EACH(MISH, tuff_times(v, tuff_tanh_softplus(v)))
    EACH(SILU, tuff_times(v, tuff_sigmoid_f32(v)))
    EACH(HARDSWISH, tuff_times(v, tuff_between(v * (1.0f / 6) + 0.5f, 0, 1)))
    EACH(HARDSIGMOID, tuff_between(a * v + b, 0, 1))
    EACH(SOFTPLUS, tuff_most(v, 0) + tuff_log1p_f32(tuff_exp_below(-tuff_abs_f32(v))))
    EACH(SOFTSIGN, tuff_abs_f32(v) > 1e30f ? tuff_sign_f32(v) : v / (1 + tuff_abs_f32(v)))
    EACH(THRESHOLDED_RELU, v > a ? v : 0)
    default: break;
    }
}
TUFF_FOR_PROCESSORS(unary_block, (const function *how, const float *x, float *y, size_t n),
                    (how, x, y, n))

// The vectors' sine and cosine are right up to some thousand turns; the others are few.
static void far_waves(const function *how, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) < TUFF_TURNS))
            y[i] = (float)(how->number == TUFF_UNARY_SIN ? sin((double)x[i])
                                                         : cos((double)x[i]));
}

static void block(const void *how, const void *const x[], void *y, size_t n)
{
    const function *f = how;
    const bool waves = f->number == TUFF_UNARY_SIN || f->number == TUFF_UNARY_COS;
    float before[TUFF_BLOCK];
    if (waves) memcpy(before, x[0], n * sizeof *before); // y may be x
    unary_block_best()(f, x[0], y, n);
    if (waves) far_waves(f, before, y, n);
}

static void run(const tuff_ref *r, const function *how)
{
    const tuff_call *c = r->call;
    const tuff_blocks b = { .operand = { tuff_operand_of(r->in[0], &c->in[0], &c->in[0]) },
                            .operands = 1, .y_size = sizeof(float), .how = how,
                            .block = block };
    tuff_blocks_run(&b, r, 0);
}

bool tuff_unary_host_takes(const tuff_call *c) { return c->in[0].dtype & TUFF_FLOATS; }

void tuff_unary_host(const tuff_ref *r)
{
    const function how = function_of(r->call);
    run(r, &how);
}

void tuff_unary_host_as(const tuff_ref *r, uint32_t number, float a, float b)
{
    const function how = { number, { a, b } };
    run(r, &how);
}

// ---- dx = dy f'(x) --------------------------------------------------------------------------

// Beyond 200 every function here is straight, and infinity times 0 is met nowhere.
TUFF_INLINE float near(float v) { return tuff_between(v, -200, 200); }

TUFF_INLINE float gelu_slope(float v)
{
    const float density = 0.398942280f * tuff_exp_square(tuff_abs_f32(v), 0.5f);
    return tuff_normal_below(v) + near(v) * density;
}

// With y = v s(w(v)): y' = s + v s (1 - s) w'. s (1 - s) from e^-|w|, so that nothing cancels.
TUFF_INLINE float sigmoid_product_slope(float v, float w, float dw)
{
    const float e = tuff_exp_below(-tuff_abs_f32(w)), part = e / ((1 + e) * (1 + e));
    return (w < 0 ? e : 1) / (1 + e) + v * part * dw;
}

TUFF_INLINE float gelu_tanh_slope(float v)
{
    return sigmoid_product_slope(v, tuff_gelu_inner(v),
                                 1.59576912f * (1 + 3 * 0.044715f * (v * v)));
}

// With t = tanh(ln(1 + w)), w = e^v and d = w^2 + 2w + 2: t' = 4 w (1 + w) / d^2.
TUFF_INLINE float mish_slope(float v)
{
    const float e = tuff_exp_below(-tuff_abs_f32(v));
    const float d = v > 0 ? 1 + 2 * e * (1 + e) : e * (e + 2) + 2;
    const float n = v > 0 ? 4 * e * e * (1 + e) : 4 * e * (1 + e);
    return tuff_tanh_softplus(v) + v * n / (d * d);
}

TUFF_INLINE float inverse_square(float v) { return 1 / (v * v); }

#define SLOPE(NAME, formula)                                                    \
    case TUFF_UNARY_##NAME:                                                     \
        TUFF_EACH(i, n, const float v = x[i]; const float s = formula;          \
                  const float w = s * dy[i]; dx[i] = v != v ? v : s == 0 ? 0 : w) \
        break;

// Where a function is flat nothing passes, not even an infinite dy.
TUFF_EACH_PROCESSOR void slope_block(const function *how, const float *x, const float *dy,
                                     float *dx, size_t n)
{
    const float a = how->p[0], b = how->p[1];
    switch (how->number) {
    SLOPE(RELU, v > 0 ? 1 : 0)
    SLOPE(SIGMOID, v * (1 - v))
    SLOPE(TANH, (1 - v) * (1 + v))
    SLOPE(LEAKY_RELU, v > 0 ? 1 : a)
    SLOPE(ELU, v > 0 ? 1 : a * tuff_exp_f32(v))
    SLOPE(SELU, b * (v > 0 ? 1 : a * tuff_exp_f32(v)))
    SLOPE(CELU, v > 0 ? 1 : tuff_exp_f32(v / a))
    SLOPE(GELU, gelu_slope(v))
    SLOPE(GELU_TANH, gelu_tanh_slope(near(v)))
    SLOPE(SILU, sigmoid_product_slope(near(v), near(v), 1))
    SLOPE(HARDSWISH, v < -3 ? 0 : v > 3 ? 1 : v * (1.0f / 3) + 0.5f)
    SLOPE(HARDSIGMOID, ((a * v + b > 0) & (a * v + b < 1)) ? a : 0)
    SLOPE(SOFTPLUS, tuff_sigmoid_f32(v))
    SLOPE(MISH, mish_slope(near(v)))
    SLOPE(SOFTSIGN, inverse_square(1 + tuff_abs_f32(v)))
    SLOPE(ERF, 1.12837917f * tuff_exp_square(tuff_abs_f32(v), 1))
    SLOPE(THRESHOLDED_RELU, v > a ? 1 : 0)
    default: break;
    }
}
TUFF_FOR_PROCESSORS(slope_block, (const function *how, const float *x, const float *dy,
                                  float *dx, size_t n), (how, x, dy, dx, n))

static void slopes(const void *how, const void *const x[], void *y, size_t n)
{
    slope_block_best()(how, x[0], x[1], y, n);
}

void tuff_slope_host(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    const function how = function_of(c);
    const tuff_blocks b = { .operand = { tuff_operand_of(r->in[0], &c->in[0], &c->in[0]),
                                         tuff_operand_of(r->in[1], &c->in[1], &c->in[0]) },
                            .operands = 2, .y_size = sizeof(float), .how = &how,
                            .block = slopes };
    tuff_blocks_run(&b, r, 0);
}
