// Quantization inside the library. The files:
//
//   fold.c       batch norms into weights
//   equalize.c   neighbouring layers' channels to like ranges
//   calibrate.c  the range of each layer's outputs
//   integer.c    which layers become integers, and what scale each tensor has
//   quantize.c   weights and biases; the whole
#ifndef TUFF_COMPRESS_QUANTIZE_INTERNAL_H
#define TUFF_COMPRESS_QUANTIZE_INTERNAL_H
#include "compress/calibrate.h"
#include "compress/rewrite.h"

// What 8-bit numbers of a tensor stand for: (q - zero) scale.
typedef struct tuff_grid8 {
    float scale;
    int zero;
} tuff_grid8;

// Steps of 8 bits for a range with 0 in it. One that begins at 0 has its zero point at -128, so
// that saturating is a relu.
tuff_grid8 tuff_grid8_of(float low, float high);

// A plan of a net of integers: for each part whether it is one, and what becomes of its edges.
typedef struct tuff_integer_plan {
    const tuff_model *model;
    bool *integer;  // of each part
    bool *gone;     // a relu that the layer before it does by saturating
    bool *quantize, *dequantize; // stands before the part
    bool *quantize_behind, *dequantize_behind; // likewise behind it
    int *same;      // union-find over tensors: see tuff_integer_grid
    float *low, *high; // of a set of tensors, at its root
} tuff_integer_plan;

tuff_status tuff_integer_plan_make(const tuff_model *m, const tuff_observed *o,
                                   tuff_integer_plan *plan);
void tuff_integer_plan_clear(tuff_integer_plan *plan);
// The grid of what a part gives as integers; of what input k of a part sees; of what
// `quantize` before, or behind, a part makes.
tuff_grid8 tuff_grid_out(const tuff_integer_plan *p, int part);
tuff_grid8 tuff_grid_in(const tuff_integer_plan *p, int part, int k);
tuff_grid8 tuff_grid_behind(const tuff_integer_plan *p, int part);

// tuff_fold_batch_norms; place[i] is where part i of the model is in the folded one, -1 where
// it is gone.
tuff_status tuff_fold(tuff_model *model, tuff_model **folded, int place[]);
// Changes a float model's weights in place.
tuff_status tuff_equalize(tuff_model *model);
// Weights w[out][row] become what their p->bits bits stand for, in place.
void tuff_round_weights(float *w, int64_t out, int64_t row, const tuff_ptq_params *p);
#endif
