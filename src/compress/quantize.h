// Quantization inside the library. The files:
//
//   fold.c       batch norms into weights
//   equalize.c   neighbouring layers' channels to like ranges
//   probe.c      a net that is run on examples by who looks into it
//   calibrate.c  the range of each layer's outputs
//   hessian.c    how each layer's inputs go together, and weights rounded by it (GPTQ)
//   integer.c    which layers become integers, and what scale each tensor has
//   quantize.c   weights and biases; the whole
//   aware.c      fake quantizers into a net that is trained, and integers out of it
#ifndef TUFF_COMPRESS_QUANTIZE_INTERNAL_H
#define TUFF_COMPRESS_QUANTIZE_INTERNAL_H
#include "compress/calibrate.h"
#include "compress/hessian.h"
#include "compress/rewrite.h"
#include "compress/steps.h"

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
    bool *gone;     // a relu that the layer before it does by saturating, or a fake_quantize
    int *clip;      // the relu that a part does so, or would; -1: none
    bool *quantize, *dequantize; // stands before the part
    bool *quantize_behind, *dequantize_behind; // likewise behind it
    int *same;      // union-find over tensors: see tuff_grid_set
    float *low, *high; // of a set of tensors, at its root
    tuff_grid8 *given; // likewise, where a fake_quantize says it; scale 0: none does
} tuff_integer_plan;

// By what was observed of each part; or with `o` NULL by the grids of its parts that are
// fake_quantize. Fails: TUFF_ERR_ARG (with these: integers of no grid, or of two).
tuff_status tuff_integer_plan_make(const tuff_model *m, const tuff_observed *o,
                                   const tuff_grid8 *fake, tuff_integer_plan *plan);
void tuff_integer_plan_clear(tuff_integer_plan *plan);
// The grid of what a part gives as integers; of what input k of a part sees; of what
// `quantize` before, or behind, a part makes.
tuff_grid8 tuff_grid_out(const tuff_integer_plan *p, int part);
tuff_grid8 tuff_grid_in(const tuff_integer_plan *p, int part, int k);
tuff_grid8 tuff_grid_behind(const tuff_integer_plan *p, int part);
// The set of tensors with one grid that a part's output, or what is quantized before or behind
// it, is in: a number below 3 parts.
typedef enum tuff_grid_of { TUFF_GRID_OUT, TUFF_GRID_BEFORE, TUFF_GRID_BEHIND } tuff_grid_of;
int tuff_grid_set(const tuff_integer_plan *p, tuff_grid_of which, int part);
// Whether a part gives numbers that it takes, on their grid.
bool tuff_keeps_grid(const tuff_model *m, int part);

// Those that the params ask for, of n weights.
tuff_steps tuff_best_steps(const float *w, int64_t n, const tuff_ptq_params *p);
// What the mean of output o of a product loses when its weights w are rounded to q, by the
// means of what it takes.
double tuff_mean_lost(const tuff_model *m, const tuff_observed *observed, int part, int64_t o,
                      const float *w, const int32_t *q, const tuff_steps *s);
// Those of one output of a product with fake=BITS; false: it has none.
bool tuff_fake_weight_steps(const tuff_rewrite *w, int part, int64_t output,
                            tuff_steps *s);

// What the fake_quantize layers of a net round to, steps and zero points, in grid[] of its
// parts. Fails: TUFF_ERR_ARG (not 8 bits; a step that is no number above 0).
tuff_status tuff_fake_grids(const tuff_rewrite *w, tuff_grid8 grid[]);

// p->layer_bits of a model as bits of the parts of the folded one, of which place[] says where
// those of the model went (tuff_fold).
void tuff_place_bits(const tuff_model *model, const tuff_ptq_params *p, const int place[],
                     int bits[]);
// What tuff_quantize refuses.
tuff_status tuff_quantize_check(const tuff_model *model, const tuff_dataset *data,
                                const tuff_ptq_params *p);
// Writes the net of integers by a plan into a rewrite that was opened, and closes it.
// `observed` is for correct_bias alone; bits are of each part, 0 or NULL: as p says; with
// `hessian` of each part weights make up for each other's rounding.
tuff_status tuff_quantize_rewrite(tuff_rewrite **w, const tuff_integer_plan *plan,
                                  const tuff_observed *observed, const tuff_ptq_params *p,
                                  const int *bits, const tuff_hessian *hessian,
                                  tuff_model **quantized);

// tuff_fold_batch_norms; place[i] is where part i of the model is in the folded one, -1 where
// it is gone.
tuff_status tuff_fold(tuff_model *model, tuff_model **folded, int place[]);
// Changes a float model's weights in place.
tuff_status tuff_equalize(tuff_model *model);
#endif
