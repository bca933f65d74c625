// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// Elements as the elementwise shaders read them out of 32-bit words, their constant TYPE.
#define TUFF_TYPE_F32  0
#define TUFF_TYPE_I32  1
#define TUFF_TYPE_U32  2
#define TUFF_TYPE_F16  3 // two a word
#define TUFF_TYPE_BF16 4
#define TUFF_TYPE_BOOL 5 // four a word

// The functions of unary.comp, its constant OP; unary_grad.comp has derivatives of some.
#define TUFF_UNARY_RELU             0
#define TUFF_UNARY_SIGMOID          1
#define TUFF_UNARY_TANH             2
#define TUFF_UNARY_EXP              3
#define TUFF_UNARY_LOG              4
#define TUFF_UNARY_SQRT             5
#define TUFF_UNARY_ABS              6
#define TUFF_UNARY_SIGN             7
#define TUFF_UNARY_SQUARE           8
#define TUFF_UNARY_AFFINE           9
#define TUFF_UNARY_NEG              10
#define TUFF_UNARY_RSQRT            11
#define TUFF_UNARY_RECIPROCAL       12
#define TUFF_UNARY_FLOOR            13
#define TUFF_UNARY_CEIL             14
#define TUFF_UNARY_ROUND            15
#define TUFF_UNARY_ERF              16
#define TUFF_UNARY_SIN              17
#define TUFF_UNARY_COS              18
#define TUFF_UNARY_CLIP             19
#define TUFF_UNARY_LEAKY_RELU       20
#define TUFF_UNARY_ELU              21
#define TUFF_UNARY_SELU             22
#define TUFF_UNARY_CELU             23
#define TUFF_UNARY_GELU             24 // its tanh form where a is not 0
#define TUFF_UNARY_MISH             25
#define TUFF_UNARY_SILU             26
#define TUFF_UNARY_HARDSWISH        27
#define TUFF_UNARY_HARDSIGMOID      28
#define TUFF_UNARY_SOFTPLUS         29
#define TUFF_UNARY_SOFTSIGN         30
#define TUFF_UNARY_THRESHOLDED_RELU 31
#define TUFF_UNARY_NOT              32 // of bool
#define TUFF_UNARY_BITWISE_NOT      33 // of whole numbers
#define TUFF_UNARY_COPY             34

// The functions of binary.comp, its constant OP. Those from TUFF_BINARY_EQUAL to
// TUFF_BINARY_LESS_OR_EQUAL give bool.
#define TUFF_BINARY_ADD              0
#define TUFF_BINARY_SUB              1
#define TUFF_BINARY_MUL              2
#define TUFF_BINARY_DIV              3
#define TUFF_BINARY_MIN              4
#define TUFF_BINARY_MAX              5
#define TUFF_BINARY_MEAN             6 // (a + b) / n
#define TUFF_BINARY_POW              7
#define TUFF_BINARY_MOD              8 // of b's sign
#define TUFF_BINARY_FMOD             9 // of a's sign
#define TUFF_BINARY_PRELU            10
#define TUFF_BINARY_XLOGY            11
#define TUFF_BINARY_AND              12 // of bool, or of the bits of whole numbers
#define TUFF_BINARY_OR               13
#define TUFF_BINARY_XOR              14
#define TUFF_BINARY_SHIFT_LEFT       15
#define TUFF_BINARY_SHIFT_RIGHT      16
#define TUFF_BINARY_EQUAL            17
#define TUFF_BINARY_GREATER          18
#define TUFF_BINARY_GREATER_OR_EQUAL 19
#define TUFF_BINARY_LESS             20
#define TUFF_BINARY_LESS_OR_EQUAL    21

// How a shader finds the element of an operand that belongs to element i of y.
#define TUFF_READ_SAME     0 // i
#define TUFF_READ_PERIODIC 1 // i / div % mod: a scalar, a row, a channel's value
#define TUFF_READ_BLOCK    2 // the same, where four neighbours share one element
#define TUFF_READ_ND       3 // any broadcasting, dimension by dimension
#define TUFF_READ_NONE     4 // the operand is absent
#define TUFF_READ_ROW      5 // i % mod, where four neighbours of y are four of the operand

struct tuff_unary_pc {
    uint words; // 32-bit words of x and of y
    uint a, b;  // numbers of the function, bits of TYPE's 32-bit type
};

// Up to three operands over y's elements; see ops/broadcast.h.
struct tuff_broadcast {
    uint count;          // elements of y
    uint div[3], mod[3]; // of TUFF_READ_PERIODIC
    uint dim[8];         // innermost first
    uint repeat;         // bit 8 k + d: operand k stands still along dim d
};
#ifndef GL_core_profile
typedef struct tuff_broadcast tuff_broadcast;
#endif

struct tuff_binary_pc {
    tuff_broadcast at;
    float n; // of TUFF_BINARY_MEAN
    uint first; // TEXEL: the element of y that this piece of it begins with
};

struct tuff_where_pc {
    tuff_broadcast at;
};

struct tuff_dropout_pc {
    uint count;
    uint stays_from; // least 24-bit number of an element that stays
    float scale;
    uint seed_low, seed_high;
    uint first_low, first_high; // place of element 0 in the seed's sequence
};
