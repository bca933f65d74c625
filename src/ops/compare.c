// The records of comparisons, of logic, and of operations on bits.
#include "ops/elementwise.h"

#define FUNCTION TUFF_BINARY_FUNCTION

FUNCTION(equal, EQUAL, a == b, a == b)
FUNCTION(greater, GREATER, a > b, a > b)
FUNCTION(greater_or_equal, GREATER_OR_EQUAL, a >= b, a >= b)
FUNCTION(less, LESS, a < b, a < b)
FUNCTION(less_or_equal, LESS_OR_EQUAL, a <= b, a <= b)
FUNCTION(and, AND, 0, a & b)
FUNCTION(or, OR, 0, a | b)
FUNCTION(xor, XOR, 0, a ^ b)
FUNCTION(shift_left, SHIFT_LEFT, 0, b < 0 || b > 31 ? 0 : (int64_t)((uint64_t)a << b))
FUNCTION(shift_right, SHIFT_RIGHT, 0, b < 0 || b > 31 ? (a < 0 ? -1 : 0) : a >> b)

static const tuff_binary *pick_shift(const tuff_call *c)
{
    const tuff_bit_shift_params *p = c->params;
    return p->direction == TUFF_SHIFT_RIGHT ? &shift_right_f : &shift_left_f;
}
static const tuff_binary shift_f = { .pick = pick_shift };

// ---- records -------------------------------------------------------------------------------

// Flat wherever they are differentiable: no gradient flows through any of these.
#define AB(types_)                                                              \
    .in = { { .name = "a", .dtypes = types_, .no_grad = true, .whole = true },  \
            { .name = "b", .dtypes = types_, .no_grad = true, .whole = true } }
#define CASES .sample = { -4, 4 },                                              \
    .cases = TUFF_CASES("1 1", "5x64 5x64", "257x13 13", "5x1x7 3x1")
#define COMPARISON(name_, onnx_, sign, types_)                                  \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .onnx = onnx_, TUFF_BINARY_OP(name_##_f, COLD), AB(types_), CASES, \
        .native = TUFF_WORDS | TUFF_BOOL, .out = { { .name = "y", .dtypes = TUFF_BOOL } }, \
        .doc = "y = 1 where a " sign " b, else 0; dims of 1 repeated"           \
    };
#define LOGIC(name_, onnx_, family_, types_, doc_)                              \
    const tuff_op tuff_op_##name_ = {                                           \
        .name = #name_, .onnx = onnx_, TUFF_BINARY_OP(family_, COLD), AB(types_), CASES, \
        .native = TUFF_I32 | TUFF_U32 | TUFF_BOOL, .doc = doc_,                 \
        .out = { { .name = "y", .dtypes = types_, .alias = true, .alias_any = true } } \
    };

#define NUMBERS (TUFF_FLOATS | TUFF_INTEGERS)
COMPARISON(equal, "Equal", "=", NUMBERS | TUFF_BOOL)
COMPARISON(greater, "Greater", ">", NUMBERS)
COMPARISON(greater_or_equal, "GreaterOrEqual", ">=", NUMBERS)
COMPARISON(less, "Less", "<", NUMBERS)
COMPARISON(less_or_equal, "LessOrEqual", "<=", NUMBERS)

LOGIC(and, "And", and_f, TUFF_BOOL, "y = a and b, dims of 1 repeated")
LOGIC(or, "Or", or_f, TUFF_BOOL, "y = a or b, dims of 1 repeated")
LOGIC(xor, "Xor", xor_f, TUFF_BOOL, "y = one of a and b, dims of 1 repeated")
LOGIC(bitwise_and, "BitwiseAnd", and_f, TUFF_INTEGERS, "y = a and b, bit by bit")
LOGIC(bitwise_or, "BitwiseOr", or_f, TUFF_INTEGERS, "y = a or b, bit by bit")
LOGIC(bitwise_xor, "BitwiseXor", xor_f, TUFF_INTEGERS, "y = one of a and b, bit by bit")

static const char *const directions[] = { "LEFT", "RIGHT", NULL };

const tuff_op tuff_op_bit_shift = {
    .name = "bit_shift", .onnx = "BitShift", TUFF_BINARY_OP(shift_f, COLD),
    .doc = "y = a with its bits moved by b places; moved by 32 or more, none are left",
    .in = { { .name = "a", .dtypes = TUFF_INTEGERS, .no_grad = true, .low = -99, .high = 99 },
            { .name = "b", .dtypes = TUFF_INTEGERS, .no_grad = true, .low = 0, .high = 9 } },
    .out = { { .name = "y", .dtypes = TUFF_INTEGERS, .alias = true, .alias_any = true } },
    .params_size = sizeof(tuff_bit_shift_params),
    .params = { TUFF_ENUM(tuff_bit_shift_params, direction, directions) },
    .cases = TUFF_CASES("5x64 5x64", "257x13 13 direction=RIGHT")
};

// ---- public functions ----------------------------------------------------------------------

#define PUBLIC(name)                                                            \
    tuff_status tuff_##name(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b, \
                            tuff_tensor *y)                                     \
    {                                                                           \
        return tuff_run(s, &tuff_op_##name, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), NULL); \
    }
PUBLIC(equal)
PUBLIC(greater)
PUBLIC(greater_or_equal)
PUBLIC(less)
PUBLIC(less_or_equal)
PUBLIC(and)
PUBLIC(or)
PUBLIC(xor)
PUBLIC(bitwise_and)
PUBLIC(bitwise_or)
PUBLIC(bitwise_xor)

tuff_status tuff_bit_shift(tuff_stream *s, const tuff_tensor *a, const tuff_tensor *b,
                           tuff_tensor *y, const tuff_bit_shift_params *p)
{
    return tuff_run(s, &tuff_op_bit_shift, TUFF_RUN_IN(a, b), TUFF_RUN_OUT(y), p);
}
