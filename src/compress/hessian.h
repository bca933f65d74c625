// Rounding that makes up for its own errors (Frantar et al. 2022, "GPTQ", 2210.17323).
//
// A layer's outputs for calibration inputs X [inputs, samples] change by |dW X|^2 = dW H dW^T
// when its weights do, H = X X^T. Weights of a row are rounded one after the other, and what
// one loses the ones behind it take over, as far as H says that they can: with U upper
// triangular and U^T U = H^-1,
//
//   e = (w[j] - round(w[j])) / U[j][j]        w[k] -= e U[j][k]  for all k > j
//
// U is made without an inverse: where H = R R^T with R upper triangular, U = R^-1.
#ifndef TUFF_COMPRESS_HESSIAN_H
#define TUFF_COMPRESS_HESSIAN_H
#include "compress/steps.h"
#include "nn/model.h"
#include <tuff/data.h>

enum { TUFF_HESSIAN_MOST = 8192 }; // inputs of a row

// Of the rows of a product's weights: those of one group have one H.
typedef struct tuff_hessian {
    int64_t groups, inputs;
    double *sum;    // [groups, inputs, inputs]: H; NULL where the part is no product
    double *factor; // likewise U, of the inputs in `order`
    int *order;     // [groups, inputs]: which one is rounded when
} tuff_hessian;

typedef struct tuff_hessian_params {
    int64_t examples; // 0: 256
    int batch;        // 0: 32
    uint64_t seed;
    double damping;   // of the mean of H's diagonal, added to it; 0: 0.01
    bool in_order;    // inputs are rounded as they lie; else the largest of the diagonal first
} tuff_hessian_params;

// Of each part of a float net.
tuff_status tuff_hessians_make(tuff_model *model, tuff_dataset *data,
                               const tuff_hessian_params *p, tuff_hessian **hessian);
void tuff_hessians_free(tuff_hessian **hessian, const tuff_model *model);
// dW H dW^T for all rows: how far what `to` gives is from what `from` does. [rows, inputs].
double tuff_hessian_error(const tuff_hessian *h, int64_t rows, const float *from,
                          const float *to);
// What a weight becomes: of row `row`, input `input`, as it is now after what others lost.
// w[k] is that of the k-th input to come, so w[0] its own.
typedef double (*tuff_pick_fn)(void *user, int64_t row, int64_t input, const double *w);
tuff_status tuff_hessian_round(const tuff_hessian *h, int64_t rows, const float *w,
                               tuff_pick_fn pick, void *user);
// Rounds rows of whole numbers; each row has its own of the steps, or all have one. Without
// `h` (NULL, or of no product) each number is rounded to the nearest.
tuff_status tuff_round_whole(const tuff_hessian *h, int64_t rows, int64_t row, const float *w,
                             const tuff_steps *steps, int64_t scales, int32_t *q);
#endif
