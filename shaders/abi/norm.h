// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// Some of a tensor's elements belong together: those that have one mean, or one scale. Such a
// set q has `terms` elements; its element j lies at
//
//   q / R * terms R  +  q % R * S  +  j / S * R S  +  j % S        R = beside.by, S = run.by
//
//   a channel of x [N, C, H, W]        R = C, S = H W, terms = N H W
//   a row of x [rows, cols]            R = 1, S = terms = cols
//   a line along the middle of x       R = inner, S = 1, terms = middle
//     [outer, middle, inner]
//
// Where a set has one run, or runs of one element, that is q's part + j step.
struct tuff_norm_sets {
    uint count, terms, step;
    tuff_divide beside, run;
};

// Element i has the parameters (scale, bias) i / span % period of the params, of which this
// launch sees those from `first` on, `some` of them.
struct tuff_norm_params {
    tuff_divide span, period;
    uint first, some;
};
#ifndef GL_core_profile
typedef struct tuff_norm_sets tuff_norm_sets;
typedef struct tuff_norm_params tuff_norm_params;
#endif

// KIND: what a set's numbers are divided by, root of (what + epsilon).
#define TUFF_NORM_MOMENTS 0 // y = (x - mean) / sqrt(variance + epsilon)
#define TUFF_NORM_SQUARES 1 // y = x / sqrt(mean of squares + epsilon)
#define TUFF_NORM_L2      2 // y = x / sqrt(sum of squares), 0 where that is 0
#define TUFF_NORM_L1      3 // y = x / sum of |x|, 0 where that is 0

// ROWS: the set of which element i has the mean and deviation.
#define TUFF_NORM_ROWS_WHOLE 0 // i / terms: rows that lie one behind the other
#define TUFF_NORM_ROWS_PARAM 1 // that of its parameters: channels
#define TUFF_NORM_ROWS_LINES 2 // by the formula above

// PARAMS of a launch that takes four elements at once.
#define TUFF_NORM_PARAMS_ONE  0 // all four have the same
#define TUFF_NORM_PARAMS_FOUR 1 // four that are neighbours, fetched as one texel
#define TUFF_NORM_PARAMS_EACH 2 // each its own
#define TUFF_NORM_PARAMS_ROW  3 // as FOUR, and a row begins with the first parameter

// A set is cut into `segments` pieces of `span` elements, the last one shorter. What piece s
// of set q has is the pair s * count + q.
struct tuff_norm_pieces_pc {
    tuff_norm_sets sets;
    tuff_norm_params params;
    tuff_divide terms;       // of the sets that share a mean: sums over params look it up
    uint segments, span;     // segments of this launch
    uint first;              // the first of them
};

// Whole rows.
struct tuff_norm_row_pc {
    tuff_norm_sets sets;
    tuff_norm_params params;
    float epsilon;
    float share;     // 1 / terms
};

struct tuff_norm_merge_pc {
    uint count, terms, segments, span;
    float epsilon;
    float keep, add, add_var; // running = keep running + add mean, + add_var variance
    uint first, some;         // sets of this launch
};

struct tuff_norm_apply_pc {
    uint count;      // elements
    tuff_norm_sets sets;
    tuff_norm_params params;
    tuff_divide terms;
    float epsilon;   // of VARIANCE
    float share;     // gradients: 1 / terms
};

// Normalisation over neighbouring channels (lrn.comp), of x [n, channels, span]: the window of
// channel c begins `before` channels before it and ends `behind` behind it.
struct tuff_lrn_pc {
    uint count, channels;
    tuff_divide span, period; // period: channels
    uint before, behind;
    float scale;              // alpha / size
    float beta, bias;
};
// MODE of lrn.comp.
#define TUFF_LRN_Y     0 // x d^-beta, d = bias + scale (sum of x^2 over the window)
#define TUFF_LRN_TERMS 1 // dy x d^(-beta - 1)
#define TUFF_LRN_DX    2 // dy d^-beta - 2 scale beta x (sum of the terms whose window has x)
