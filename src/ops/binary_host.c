// y = f(a, b) with broadcasting, and of more operands one after the other, on the CPU path: of
// f32, and comparisons of it. The formulas are those of binary.comp.
#include "ops/elementwise.h"
#include "ops/host.h"
#include "ops/host_math.h"

#define EACH(NAME, formula)                                                     \
    case TUFF_BINARY_##NAME:                                                    \
        TUFF_EACH(i, n, const float u = a[i]; const float v = b[i]; y[i] = formula) \
        break;

TUFF_EACH_PROCESSOR void real_block(uint32_t number, const float *a, const float *b, float *y,
                                    size_t n)
{
    switch (number) {
    EACH(ADD, u + v)
    EACH(SUB, u - v)
    EACH(MUL, u * v)
    EACH(DIV, u / v)
    EACH(MIN, ((u < v) | (u != u)) ? u : v)
    EACH(MAX, ((u > v) | (u != u)) ? u : v)
    EACH(POW, tuff_pow_f32(u, v))
    EACH(PRELU, u < 0 ? u * v : u)
    EACH(XLOGY, ((u == 0) & (v == v)) ? 0 : u * tuff_log_f32(v))
    default: break;
    }
}
TUFF_FOR_PROCESSORS(real_block, (uint32_t number, const float *a, const float *b, float *y,
                                 size_t n), (number, a, b, y, n))

TUFF_EACH_PROCESSOR void compare_block(uint32_t number, const float *a, const float *b,
                                       uint8_t *y, size_t n)
{
    switch (number) {
    EACH(EQUAL, u == v)
    EACH(GREATER, u > v)
    EACH(GREATER_OR_EQUAL, u >= v)
    EACH(LESS, u < v)
    EACH(LESS_OR_EQUAL, u <= v)
    default: break;
    }
}
TUFF_FOR_PROCESSORS(compare_block, (uint32_t number, const float *a, const float *b, uint8_t *y,
                                    size_t n), (number, a, b, y, n))

// ---- two operands ---------------------------------------------------------------------------

static const tuff_binary *function_of(const tuff_call *c)
{
    const tuff_binary *f = c->op->family;
    return f->pick ? f->pick(c) : f;
}

static void one(const void *how, const void *const x[], void *y, size_t n)
{
    const tuff_binary *f = how;
    if (f->function >= TUFF_BINARY_EQUAL) compare_block_best()(f->function, x[0], x[1], y, n);
    else real_block_best()(f->function, x[0], x[1], y, n);
}

bool tuff_binary_host_takes(const tuff_call *c)
{
    const uint32_t f = function_of(c)->function;
    return c->in[0].dtype == TUFF_F32 && f != TUFF_BINARY_MOD && f != TUFF_BINARY_FMOD;
}

static tuff_operand operand(const tuff_ref *r, int input)
{
    return tuff_operand_of(r->in[input], &r->call->in[input], &r->call->out[0]);
}

void tuff_binary_host(const tuff_ref *r)
{
    const tuff_blocks b = { .operand = { operand(r, 0), operand(r, 1) }, .operands = 2,
                            .y_size = tuff_dtype_size(r->call->out[0].dtype),
                            .how = function_of(r->call), .block = one };
    tuff_blocks_run(&b, r, 0);
}

// ---- many -----------------------------------------------------------------------------------

typedef struct chain {
    uint32_t function;
    int operands;
} chain;

static void all(const void *how, const void *const x[], void *y, size_t n)
{
    const chain *c = how;
    real_block_fn *join = real_block_best();
    const bool mean = c->function == TUFF_BINARY_MEAN;
    if (c->operands == 1) memmove(y, x[0], n * sizeof(float));
    for (int k = 1; k < c->operands; k++)
        join(mean ? TUFF_BINARY_ADD : c->function, k == 1 ? x[0] : y, x[k], y, n);
    if (!mean) return;
    float *v = y;
    const float operands = (float)c->operands;
    TUFF_EACH(i, n, v[i] = v[i] / operands)
}

bool tuff_many_host_takes(const tuff_call *c) { return c->out[0].dtype == TUFF_F32; }

void tuff_many_host(const tuff_ref *r)
{
    const tuff_call *c = r->call;
    chain how = { .function = ((const tuff_binary *)c->op->family)->function };
    tuff_blocks b = { .y_size = sizeof(float), .how = &how, .block = all };
    for (int i = 0; i < c->nin; i++)
        if (tuff_call_has(c, i)) b.operand[b.operands++] = operand(r, i);
    how.operands = b.operands;
    tuff_blocks_run(&b, r, 0);
}

// ---- where ----------------------------------------------------------------------------------

// By masks and not by a choice: what gcc 12 makes of a load that hangs on a byte is wrong.
TUFF_EACH_PROCESSOR void where_block(const uint8_t *cond, const uint32_t *a, const uint32_t *b,
                                     uint32_t *y, size_t n)
{
    if (!b) TUFF_EACH(i, n, y[i] = a[i] & (0 - (uint32_t)(cond[i] != 0)))
    else if (!a) TUFF_EACH(i, n, y[i] = b[i] & ((uint32_t)(cond[i] != 0) - 1))
    else TUFF_EACH(i, n, const uint32_t m = 0 - (uint32_t)(cond[i] != 0);
                   y[i] = (a[i] & m) | (b[i] & ~m))
}
TUFF_FOR_PROCESSORS(where_block, (const uint8_t *cond, const uint32_t *a, const uint32_t *b,
                                  uint32_t *y, size_t n), (cond, a, b, y, n))

enum { COND, A, B };

static void choose(const void *how, const void *const x[], void *y, size_t n)
{
    const int *place = how;
    where_block_best()(x[0], place[A] ? x[place[A]] : NULL, place[B] ? x[place[B]] : NULL, y,
                       n);
}

bool tuff_where_host_takes(const tuff_call *c)
{
    return tuff_dtype_size(c->out[0].dtype) == sizeof(uint32_t);
}

void tuff_where_host(const tuff_ref *r)
{
    int place[B + 1] = { 0 }; // of each operand among those that are there
    tuff_blocks b = { .y_size = sizeof(uint32_t), .how = place, .block = choose };
    for (int i = COND; i <= B; i++) {
        if (!tuff_call_has(r->call, i)) continue;
        place[i] = b.operands;
        b.operand[b.operands++] = operand(r, i);
    }
    tuff_blocks_run(&b, r, 0);
}
