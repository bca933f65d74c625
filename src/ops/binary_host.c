// y = f(a, b) with broadcasting, and of more operands one after the other, on the CPU path: of
// floats, whole numbers and bools, and comparisons of them. The formulas are those of
// binary.comp.
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

// Of whole numbers, modulo 2^32: u and v, or p and q with a sign.
#define EACH_WORD(NAME, formula)                                                \
    case TUFF_BINARY_##NAME:                                                    \
        TUFF_EACH(i, n, const uint32_t u = a[i]; const uint32_t v = b[i];       \
                  const int32_t p = (int32_t)u; const int32_t q = (int32_t)v;   \
                  (void)p; (void)q; y[i] = formula)                             \
        break;

TUFF_EACH_PROCESSOR void word_block(uint32_t number, bool is_signed, const uint32_t *a,
                                    const uint32_t *b, uint32_t *y, size_t n)
{
    switch (number) {
    EACH_WORD(ADD, u + v)
    EACH_WORD(SUB, u - v)
    EACH_WORD(MUL, u * v)
    EACH_WORD(AND, u & v)
    EACH_WORD(OR, u | v)
    EACH_WORD(XOR, u ^ v)
    case TUFF_BINARY_MIN:
        if (is_signed) TUFF_EACH(i, n, y[i] = (int32_t)a[i] < (int32_t)b[i] ? a[i] : b[i])
        else TUFF_EACH(i, n, y[i] = a[i] < b[i] ? a[i] : b[i])
        break;
    case TUFF_BINARY_MAX:
        if (is_signed) TUFF_EACH(i, n, y[i] = (int32_t)a[i] > (int32_t)b[i] ? a[i] : b[i])
        else TUFF_EACH(i, n, y[i] = a[i] > b[i] ? a[i] : b[i])
        break;
    default: break;
    }
}
TUFF_FOR_PROCESSORS(word_block, (uint32_t number, bool is_signed, const uint32_t *a,
                                 const uint32_t *b, uint32_t *y, size_t n),
                    (number, is_signed, a, b, y, n))

// What is below 0 is, with its first bit turned, below what is above.
TUFF_EACH_PROCESSOR void compare_words(uint32_t number, uint32_t turned, const uint32_t *a,
                                       const uint32_t *b, uint8_t *y, size_t n)
{
#define EACH_TURNED(NAME, sign)                                                 \
    case TUFF_BINARY_##NAME:                                                    \
        TUFF_EACH(i, n, y[i] = (a[i] ^ turned) sign (b[i] ^ turned))            \
        break;
    switch (number) {
    EACH_TURNED(EQUAL, ==)
    EACH_TURNED(GREATER, >)
    EACH_TURNED(GREATER_OR_EQUAL, >=)
    EACH_TURNED(LESS, <)
    EACH_TURNED(LESS_OR_EQUAL, <=)
    default: break;
    }
#undef EACH_TURNED
}
TUFF_FOR_PROCESSORS(compare_words, (uint32_t number, uint32_t turned, const uint32_t *a,
                                    const uint32_t *b, uint8_t *y, size_t n),
                    (number, turned, a, b, y, n))

TUFF_EACH_PROCESSOR void bool_block(uint32_t number, const uint8_t *a, const uint8_t *b,
                                    uint8_t *y, size_t n)
{
    switch (number) {
    case TUFF_BINARY_AND: TUFF_EACH(i, n, y[i] = (a[i] != 0) & (b[i] != 0)) break;
    case TUFF_BINARY_OR: TUFF_EACH(i, n, y[i] = (a[i] != 0) | (b[i] != 0)) break;
    case TUFF_BINARY_XOR: TUFF_EACH(i, n, y[i] = (a[i] != 0) ^ (b[i] != 0)) break;
    default: TUFF_EACH(i, n, y[i] = (a[i] != 0) == (b[i] != 0)) break;
    }
}
TUFF_FOR_PROCESSORS(bool_block, (uint32_t number, const uint8_t *a, const uint8_t *b,
                                 uint8_t *y, size_t n), (number, a, b, y, n))

// ---- two operands ---------------------------------------------------------------------------

static const tuff_binary *function_of(const tuff_call *c)
{
    const tuff_binary *f = c->op->family;
    return f->pick ? f->pick(c) : f;
}

typedef struct pair {
    uint32_t function;
    tuff_dtype type; // of the operands
} pair;

static bool compares(uint32_t function)
{
    return function >= TUFF_BINARY_EQUAL && function <= TUFF_BINARY_LESS_OR_EQUAL;
}

static void one(const void *how, const void *const x[], void *y, size_t n)
{
    const pair *p = how;
    const uint32_t f = p->function;
    const bool is_signed = p->type == TUFF_I32, real = p->type & TUFF_FLOATS;
    if (p->type == TUFF_BOOL) bool_block_best()(f, x[0], x[1], y, n);
    else if (compares(f) && real) compare_block_best()(f, x[0], x[1], y, n);
    else if (compares(f)) compare_words_best()(f, is_signed ? 0x80000000 : 0, x[0], x[1], y, n);
    else if (real) real_block_best()(f, x[0], x[1], y, n);
    else word_block_best()(f, is_signed, x[0], x[1], y, n);
}

bool tuff_binary_host_takes(const tuff_call *c)
{
    const uint32_t f = function_of(c)->function;
    const tuff_dtype type = c->in[0].dtype;
    const bool bits = f == TUFF_BINARY_AND || f == TUFF_BINARY_OR || f == TUFF_BINARY_XOR;
    if (type == TUFF_BOOL) return bits || f == TUFF_BINARY_EQUAL;
    if (type & TUFF_FLOATS) return f != TUFF_BINARY_MOD && f != TUFF_BINARY_FMOD;
    return bits || compares(f) || f == TUFF_BINARY_ADD || f == TUFF_BINARY_SUB ||
           f == TUFF_BINARY_MUL || f == TUFF_BINARY_MIN || f == TUFF_BINARY_MAX;
}

static tuff_operand operand(const tuff_ref *r, int input)
{
    return tuff_operand_of(r->in[input], &r->call->in[input], &r->call->out[0]);
}

void tuff_binary_host(const tuff_ref *r)
{
    const pair how = { function_of(r->call)->function, r->call->in[0].dtype };
    const bool bytes = how.type == TUFF_BOOL || compares(how.function);
    const tuff_blocks b = { .operand = { operand(r, 0), operand(r, 1) }, .operands = 2,
                            .y_size = bytes ? 1 : sizeof(float), .how = &how, .block = one };
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

bool tuff_many_host_takes(const tuff_call *c) { return c->out[0].dtype & TUFF_FLOATS; }

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
#define WHERE(type)                                                             \
    do {                                                                        \
        const type *a = a_, *b = b_;                                            \
        type *y = y_;                                                           \
        if (!b) TUFF_EACH(i, n, y[i] = (type)(a[i] & (0 - (type)(cond[i] != 0)))) \
        else if (!a) TUFF_EACH(i, n, y[i] = (type)(b[i] & ((type)(cond[i] != 0) - 1))) \
        else TUFF_EACH(i, n, const type m = (type)(0 - (type)(cond[i] != 0));   \
                       y[i] = (type)((a[i] & m) | (b[i] & ~m)))                 \
    } while (0)

TUFF_EACH_PROCESSOR void where_block(size_t size, const uint8_t *cond, const void *a_,
                                     const void *b_, void *y_, size_t n)
{
    switch (size) {
    case 1: WHERE(uint8_t); break;
    case 2: WHERE(uint16_t); break;
    case 4: WHERE(uint32_t); break;
    default: WHERE(uint64_t); break;
    }
}
TUFF_FOR_PROCESSORS(where_block, (size_t size, const uint8_t *cond, const void *a_,
                                  const void *b_, void *y_, size_t n),
                    (size, cond, a_, b_, y_, n))

enum { COND, A, B };

typedef struct choice {
    int place[B + 1]; // of each operand among those that are there
    size_t size;
} choice;

static void choose(const void *how, const void *const x[], void *y, size_t n)
{
    const choice *c = how;
    where_block_best()(c->size, x[0], c->place[A] ? x[c->place[A]] : NULL,
                       c->place[B] ? x[c->place[B]] : NULL, y, n);
}

bool tuff_where_host_takes(const tuff_call *c)
{
    (void)c;
    return true;
}

void tuff_where_host(const tuff_ref *r)
{
    choice how = { .size = tuff_dtype_size(r->call->out[0].dtype) };
    tuff_blocks b = { .y_size = how.size, .raw = true, .how = &how, .block = choose };
    for (int i = COND; i <= B; i++) {
        if (!tuff_call_has(r->call, i)) continue;
        how.place[i] = b.operands;
        b.operand[b.operands++] = operand(r, i);
    }
    tuff_blocks_run(&b, r, 0);
}
