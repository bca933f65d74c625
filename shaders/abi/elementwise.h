// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// The functions of unary.comp, its constant OP.
#define TUFF_UNARY_RELU    0
#define TUFF_UNARY_SIGMOID 1
#define TUFF_UNARY_TANH    2
#define TUFF_UNARY_EXP     3
#define TUFF_UNARY_LOG     4
#define TUFF_UNARY_SQRT    5
#define TUFF_UNARY_ABS     6
#define TUFF_UNARY_SIGN    7
#define TUFF_UNARY_SQUARE  8
#define TUFF_UNARY_AFFINE  9

// The functions of binary.comp, its constant OP.
#define TUFF_BINARY_ADD          0
#define TUFF_BINARY_SUB          1
#define TUFF_BINARY_MUL          2
#define TUFF_BINARY_DIV          3
#define TUFF_BINARY_EQUAL        4
#define TUFF_BINARY_RELU_GRAD    5
#define TUFF_BINARY_SIGMOID_GRAD 6
#define TUFF_BINARY_TANH_GRAD    7

// How binary.comp finds the element of an operand that belongs to element i of y.
#define TUFF_READ_SAME     0 // i
#define TUFF_READ_PERIODIC 1 // i / div % mod: a scalar, a row, a channel's value
#define TUFF_READ_BLOCK    2 // the same, where four neighbours share one element
#define TUFF_READ_ND       3 // any broadcasting, dimension by dimension

struct tuff_unary_pc {
    uint count;         // elements
    float scale, shift; // of affine
};

struct tuff_binary_pc {
    uint count;                        // elements of y
    uint a_div, a_mod, b_div, b_mod;
    uint dim[8], a_step[8], b_step[8]; // innermost first
};
