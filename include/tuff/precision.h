#ifndef TUFF_PRECISION_H
#define TUFF_PRECISION_H
#include <tuff/base.h>
// Training in few bits: settings of tuff_train_params (<tuff/train.h>). What is rounded by
// chance takes its numbers from the run's seed and the step, so that a run that is resumed goes
// on as it would have.

// Gradients in few bits: what flows back into a layer with weights is rounded before the layer
// makes its weights' gradient and its input's of it.
//
//   minmax  2^bits levels evenly from the least to the largest number of the tensor, 0 among
//           them (a scale and a zero point), by chance; the gradients of weights likewise
//   dorefa  of each example: 2 max|dy| (quantize(dy / (2 max|dy|) + 1/2 + noise) - 1/2) with
//           2^bits levels and uniform noise of +- half a level (Zhou et al., 1606.06160)
typedef enum tuff_gradients_kind {
    TUFF_GRADIENTS_FULL,
    TUFF_GRADIENTS_MINMAX,
    TUFF_GRADIENTS_DOREFA
} tuff_gradients_kind;

typedef struct tuff_gradients {
    tuff_gradients_kind kind;
    int bits; // 1 to 16; 0 = 8
} tuff_gradients;

// What the step computes with.
//
//   f32      32 bits
//   fixed16  16-bit fixed point: weights, what layers give, gradients, updates and momentum are
//            whole multiples of 2^-point, saturated, rounded by chance or to the nearest (Gupta
//            et al., 1502.02551). v of optimizers that have it, and norms' statistics, are f32
//   half     weights and activations in f16, a master copy of the weights in f32, and a loss
//            that is scaled so that gradients neither vanish nor overflow: a step in which one
//            does leaves the weights, and the scale is halved (Micikevicius et al.,
//            1710.03740). Norms and the loss are f32
//   bf16     the same in bf16, whose range needs no scale
typedef enum tuff_precision_kind {
    TUFF_PRECISION_F32,
    TUFF_PRECISION_FIXED16,
    TUFF_PRECISION_HALF,
    TUFF_PRECISION_BF16
} tuff_precision_kind;

typedef struct tuff_precision {
    tuff_precision_kind kind;
    int point;        // fixed16: of weights, gradients and updates, 1 to 15; 0 = 14
    int output_point; // fixed16: of what layers give, 1 to 15; 0 = 10
    bool nearest;     // fixed16: not by chance
    float loss_scale; // half: at the start; 0 = 65536
    int growth_interval; // half: steps without an overflow after which it is doubled; 0 = 2000
} tuff_precision;

// "full", "minmax:BITS" or "dorefa:BITS"; BITS may be left out. Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_gradients_parse(const char *text, tuff_gradients *g);
// "f32", "half", "bf16" or "fixed16[:POINT[,OUTPUT_POINT[,nearest]]]". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_precision_parse(const char *text, tuff_precision *p);
#endif
