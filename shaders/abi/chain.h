// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// A step of a chain in a word: its function, and three operands of five bits each, a value of
// an input or of an earlier step.
//
//   bits 0-7 function   8-12 first operand   13-17 second   18-22 third
//
// Functions of one element are TUFF_UNARY_..., from TUFF_CHAIN_SLOPE on their derivatives (of
// x and dy), from TUFF_CHAIN_BINARY on TUFF_BINARY_..., and then some that only chains have.
#define TUFF_CHAIN_SLOPE   64
#define TUFF_CHAIN_BINARY  128
#define TUFF_CHAIN_SELECT  192 // b where a is not 0, else c
#define TUFF_CHAIN_INVERSE 193 // 1 / sqrt(a + p)
#define TUFF_CHAIN_NORMAL  194 // (a - b) c
#define TUFF_CHAIN_ADD_TO  195 // a b + c
#define TUFF_CHAIN_NONE    255

#define TUFF_CHAIN_STEP_0  8   // operands below it are inputs

// How an input finds its element, as TUFF_READ_... but for what chains do not have; three bits
// each.
#define TUFF_CHAIN_SAME     0
#define TUFF_CHAIN_PERIODIC 1
#define TUFF_CHAIN_BLOCK    2 // four neighbours share one element
#define TUFF_CHAIN_SCALAR   3
#define TUFF_CHAIN_ROW      4 // four neighbours lie side by side: vec4 texels, of which are mod
#define TUFF_CHAIN_ABSENT   5

// What chain.comp takes at most.
#define TUFF_CHAIN_FEW 6     // steps, and inputs
#define TUFF_CHAIN_FEW_OUT 2 // outputs

struct tuff_chain_pc {
    uint count; // elements of this piece
    uint first; // the piece's first element
    uint zero;  // 0, which no compiler knows
    uint div[TUFF_CHAIN_FEW], mod[TUFF_CHAIN_FEW];
    float p[TUFF_CHAIN_FEW], q[TUFF_CHAIN_FEW]; // the steps' numbers
};
