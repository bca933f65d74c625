// A chain as kernels have it: the steps of abi/chain.h.
#include "ops/chain.h"
#include "glsl/compile.h"
#include "ops/norm.h"
#include <math.h>

enum { LEAST_PLANE = 64 };

// ---- which calls may be steps --------------------------------------------------------------

static bool is_many(const tuff_op *op)
{
    return op == &tuff_op_min || op == &tuff_op_max || op == &tuff_op_sum;
}

// The lists PLAIN and COMMON of shaders/unary.glsl and others.
bool tuff_chain_common(uint32_t f)
{
    if (f >= TUFF_CHAIN_SELECT) return true;
    if (f >= TUFF_CHAIN_BINARY)
        return f - TUFF_CHAIN_BINARY <= TUFF_BINARY_MAX ||
               f == TUFF_CHAIN_BINARY + TUFF_BINARY_PRELU ||
               f >= TUFF_CHAIN_BINARY + TUFF_BINARY_EQUAL;
    const bool slope = f >= TUFF_CHAIN_SLOPE;
    switch (f % TUFF_CHAIN_SLOPE) {
    case TUFF_UNARY_RELU: case TUFF_UNARY_SIGMOID: case TUFF_UNARY_TANH:
    case TUFF_UNARY_LEAKY_RELU: case TUFF_UNARY_SILU: case TUFF_UNARY_HARDSWISH:
    case TUFF_UNARY_HARDSIGMOID:
        return true;
    case TUFF_UNARY_EXP: case TUFF_UNARY_LOG: case TUFF_UNARY_SQRT: case TUFF_UNARY_ABS:
    case TUFF_UNARY_SIGN: case TUFF_UNARY_SQUARE: case TUFF_UNARY_AFFINE:
    case TUFF_UNARY_NEG: case TUFF_UNARY_RSQRT: case TUFF_UNARY_RECIPROCAL:
    case TUFF_UNARY_CLIP:
        return !slope;
    default:
        return false;
    }
}

// The function of a call that is one alone, or TUFF_CHAIN_NONE.
static uint32_t function_of(const tuff_call *c)
{
    if (c->op->ref == tuff_unary_ref) return ((const tuff_unary *)c->op->family)->function;
    if (c->op->ref == tuff_slope_ref)
        return TUFF_CHAIN_SLOPE + ((const tuff_unary *)c->op->family)->function;
    if (c->op->ref == tuff_binary_ref)
        return TUFF_CHAIN_BINARY + tuff_binary_function(c)->function;
    return TUFF_CHAIN_NONE;
}

// How an operand of shape x is repeated to y's; ND where kernels of chains do not read it.
static uint32_t read_mode(const tuff_desc *x, const tuff_desc *y)
{
    if (tuff_desc_count(x) == tuff_desc_count(y)) return TUFF_READ_SAME;
    const tuff_desc *const of[1] = { x };
    return tuff_spread_of(of, 1, y).mode[0];
}

static bool takes_op(const tuff_call *c, bool rare)
{
    const uint32_t f = function_of(c);
    if (f != TUFF_CHAIN_NONE) return rare || tuff_chain_common(f);
    if (c->op == &tuff_op_cast) return c->in[0].dtype == TUFF_BOOL;
    return is_many(c->op) || c->op == &tuff_op_clip || c->op == &tuff_op_where ||
           c->op == &tuff_op_batch_norm;
}

// On the CPU path blocks end where a channel does, and should not be too small.
static bool takes_norm(const tuff_call *c, const tuff_caps *k)
{
    const tuff_desc *x = &c->in[0];
    return !k->cpu || tuff_desc_count(x) / x->dim[0] / x->dim[1] >= LEAST_PLANE;
}

bool tuff_chain_takes(const tuff_call *c, const tuff_caps *k)
{
    int given = 0;
    if (c->nin > TUFF_CHAIN_ARGS || !takes_op(c, k->cpu || tuff_compiler_there())) return false;
    if (c->op == &tuff_op_batch_norm && !takes_norm(c, k)) return false;
    const bool cond = c->op == &tuff_op_where || c->op == &tuff_op_cast;
    for (int i = 0; i < c->nin; i++) {
        if (!tuff_call_has(c, i)) continue;
        if (c->in[i].dtype != (cond && i == 0 ? TUFF_BOOL : TUFF_F32)) return false;
        const bool channel = c->op == &tuff_op_batch_norm && i > 0;
        if (!channel && read_mode(&c->in[i], &c->out[0]) == TUFF_READ_ND) return false;
        given++;
    }
    if (is_many(c->op) && given < 2) return false;
    return c->nout == 1 && c->out[0].dtype & (TUFF_F32 | TUFF_BOOL);
}

// ---- encoding ------------------------------------------------------------------------------

typedef struct encoder {
    const tuff_chain *c;
    tuff_chain_code *code;
    int value[TUFF_CHAIN_STEPS]; // the operand that a step of the chain became
    bool full;
} encoder;

static int operand(const encoder *e, int k)
{
    return k < TUFF_CHAIN_STEP_0 ? k : e->value[k - TUFF_CHAIN_STEP_0];
}

// Appends a step and gives it as an operand.
static int put(encoder *e, tuff_chain_micro m)
{
    if (e->code->count == TUFF_CHAIN_MICRO) {
        e->full = true;
        return TUFF_CHAIN_STEP_0;
    }
    e->code->micro[e->code->count] = m;
    return TUFF_CHAIN_STEP_0 + e->code->count++;
}

static int put_binary(encoder *e, uint32_t f, int a, int b)
{
    return put(e, (tuff_chain_micro){ .function = TUFF_CHAIN_BINARY + f, .a = a, .b = b });
}

static int put_many(encoder *e, const tuff_chain_step *s)
{
    const tuff_binary *f = s->op->family;
    int v = -1;
    for (int i = 0; i < s->nin; i++) {
        if (s->in[i] < 0) continue;
        const int x = operand(e, s->in[i]);
        v = v < 0 ? x : put_binary(e, f->function, v, x);
    }
    return v;
}

static int put_clip(encoder *e, const tuff_chain_step *s)
{
    const tuff_clip_params *p = s->params;
    int v = operand(e, s->in[0]);
    const bool low = s->nin > 1 && s->in[1] >= 0, high = s->nin > 2 && s->in[2] >= 0;
    if (low) v = put_binary(e, TUFF_BINARY_MAX, v, operand(e, s->in[1]));
    if (high) v = put_binary(e, TUFF_BINARY_MIN, v, operand(e, s->in[2]));
    if (low || high) return v;
    return put(e, (tuff_chain_micro){ .function = TUFF_UNARY_CLIP, .a = v,
                                      .p = p && tuff_given(p->min) ? p->min : -HUGE_VALF,
                                      .q = p && tuff_given(p->max) ? p->max : HUGE_VALF });
}

// An absent one of the two is 0, and that is what a comparison gives that never holds.
static int put_where(encoder *e, const tuff_chain_step *s)
{
    int x[2];
    for (int i = 0; i < 2; i++) {
        const bool there = s->nin > 1 + i && s->in[1 + i] >= 0;
        x[i] = there ? operand(e, s->in[1 + i])
                     : put_binary(e, TUFF_BINARY_LESS, operand(e, s->in[0]),
                                  operand(e, s->in[0]));
    }
    return put(e, (tuff_chain_micro){ .function = TUFF_CHAIN_SELECT,
                                      .a = operand(e, s->in[0]), .b = x[0], .c = x[1] });
}

static int put_norm(encoder *e, const tuff_chain_step *s)
{
    enum { X, SCALE, B, MEAN, VAR };
    static const tuff_batch_norm_params zeros;
    const tuff_call c = { .params = s->params ? s->params : &zeros };
    const int inv = put(e, (tuff_chain_micro){ .function = TUFF_CHAIN_INVERSE,
                                               .a = operand(e, s->in[VAR]),
                                               .p = (float)tuff_batch_norm_epsilon(&c) });
    const int v = put(e, (tuff_chain_micro){ .function = TUFF_CHAIN_NORMAL, .c = inv,
                                             .a = operand(e, s->in[X]),
                                             .b = operand(e, s->in[MEAN]) });
    return put(e, (tuff_chain_micro){ .function = TUFF_CHAIN_ADD_TO, .a = v,
                                      .b = operand(e, s->in[SCALE]),
                                      .c = operand(e, s->in[B]) });
}

static int put_step(encoder *e, const tuff_chain_step *s)
{
    if (s->op == &tuff_op_cast) return operand(e, s->in[0]); // of a comparison: 0 or 1
    if (s->op == &tuff_op_clip) return put_clip(e, s);
    if (s->op == &tuff_op_where) return put_where(e, s);
    if (s->op == &tuff_op_batch_norm) return put_norm(e, s);
    if (is_many(s->op)) return put_many(e, s);
    static const unsigned char zero_params[512];
    const tuff_call c = { .op = s->op,
                          .params = s->params ? s->params : (const void *)zero_params };
    tuff_chain_micro m = { .function = function_of(&c), .a = operand(e, s->in[0]),
                           .b = s->nin > 1 ? operand(e, s->in[1]) : 0 };
    const tuff_unary *f = m.function < TUFF_CHAIN_BINARY ? s->op->family : NULL;
    float numbers[2] = { 0 };
    if (f && f->numbers) f->numbers(&c, numbers);
    m.p = numbers[0];
    m.q = numbers[1];
    return put(e, m);
}

static void read_input(const tuff_chain *c, int i, tuff_chain_code *code)
{
    const tuff_desc *const x[1] = { &c->x[i] };
    const tuff_spread s = tuff_spread_of(x, 1, &c->over[i]);
    code->div[i] = s.pc.div[0];
    code->mod[i] = s.pc.mod[0];
    code->mode[i] = read_mode(&c->x[i], &c->over[i]) == TUFF_READ_SAME ? TUFF_CHAIN_SAME
                    : s.pc.mod[0] == 1                                 ? TUFF_CHAIN_SCALAR
                    : s.pc.div[0] % 4 == 0                             ? TUFF_CHAIN_BLOCK
                    : s.pc.div[0] == 1 && s.pc.mod[0] % 4 == 0         ? TUFF_CHAIN_ROW
                                                                       : TUFF_CHAIN_PERIODIC;
    if (code->mode[i] == TUFF_CHAIN_ROW) code->mod[i] /= 4;
}

bool tuff_chain_encode(const tuff_chain *c, tuff_chain_code *code)
{
    encoder e = { .c = c, .code = code };
    code->count = 0;
    for (int s = 0; s < c->nsteps && !e.full; s++) e.value[s] = put_step(&e, &c->step[s]);
    if (e.full) return false;
    for (int o = 0; o < c->nout; o++) code->out[o] = e.value[c->out[o]];
    for (int i = 0; i < c->nin; i++) read_input(c, i, code);
    return true;
}
