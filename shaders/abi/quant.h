// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// OP of quantize.comp.
#define TUFF_QUANTIZE_LINEAR     0
#define TUFF_QUANTIZE_FIXED      1 // 8 bits, four to a word
#define TUFF_QUANTIZE_WIDE       2 // fixed point in 32-bit words
#define TUFF_QUANTIZE_STOCHASTIC 3

struct tuff_quantize_pc {
    uint count;         // elements
    int low, high;      // ends of the range
    int point;          // of fixed point: the numbers are multiples of 2^-point
    uint zero_bits;     // what turns a zero point's byte into one of i8: 0, or 0x80
    uint has_zero;
    uint seed_low, seed_high, first_low, first_high; // stochastic: blocks of four numbers
    tuff_divide inner, scales; // element i has the scale i / inner % scales
};

struct tuff_fake_pc {
    uint count;
    int low, high;             // ends of the range
    tuff_divide inner, scales; // element i has the scale i / inner % scales
};

struct tuff_levels_round_pc {
    uint count;
    float low, high;          // ends of the levels' numbers
    uint seed_low, seed_high;
    uint first_low, first_high; // place of the first random number
    tuff_divide inner, scales; // as above
};

// FROM of dequantize.comp: the types of abi/cast.h.
struct tuff_dequantize_pc {
    uint count;
    uint has_scale, has_zero;
    float scale;               // where there is no tensor of them
    tuff_divide inner, scales;
};

// WRITE of quant_range.comp.
#define TUFF_RANGE_PAIRS     0 // (min, max) of each part
#define TUFF_RANGE_AFFINE    1 // the scale and the zero point that u8 wants
#define TUFF_RANGE_SYMMETRIC 2 // the scale that i8 wants round 0

struct tuff_range_pc {
    uint count; // numbers, or pairs of an earlier launch
    uint parts; // part p takes p, p + parts, ...
};

struct tuff_qadd_pc {
    uint count;
    uint a_sign, b_sign, y_sign; // 0x80 for i8
    int low, high;
};

// As tuff_pool_pc (abi/pool2d.h) what has its names.
struct tuff_qpool_pc {
    uint count, h, w, oh, ow, pad_top, pad_left;
    uint row, col;
    uint first, last;
    tuff_divide rows, cols;
    uint x_sign, y_sign;
    int low, high;
    uint cells; // that a window counts; 0: those that are real
};
