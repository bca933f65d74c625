#ifndef TUFF_COMPRESS_WEIGHTS_H
#define TUFF_COMPRESS_WEIGHTS_H
#include <tuff/train.h>
// Weights in another form, while what flows through the net stays f32: whole numbers of 1 to 16
// bits, fixed point, half, blocks, and indices into a codebook. They lie packed, so that files
// and memory are smaller; docs/net.md has the forms, `weights=` of a layer in net text.
//
//   tuff_store_weights(model, NULL, &(tuff_weights_params){ .scheme = "q4_0" }, &stored)
//
// Weights are rounded to the nearest number that the form has, or with `gptq` so that the
// errors of a row make up for each other on calibration data (Frantar et al. 2022, 2210.17323).

// What became of one parameter.
typedef struct tuff_stored_weights {
    const char *layer, *name; // "3", by its place in the net that is made, and "weight"
    int64_t count, saturated; // numbers, and how many of them the form could not reach
    int point;                // of fixed: p, numbers are multiples of 2^-p
    double error;             // root of the mean square of what rounding changed, by that of w
    double output_error;      // with gptq, of a product: the same of its outputs (no bias)
} tuff_stored_weights;

enum { TUFF_BITS_F32 = -1 };

typedef struct tuff_weights_params {
    const char *scheme; // a form's name; NULL: affine
    int bits;           // 1 to 16, of forms that have bits (affine, symmetric, fixed); 0 = 8.
                        // Of codebook 1 to 8; 0: for each layer as many as the numbers that
                        // its weights are need, or 4 where these are more than 256
    const int *layer_bits; // of each layer of the model (tuff_model_layer) where it is not 0;
                           // TUFF_BITS_F32: the layer stays as it is. NULL: `bits` for all
    int bias_bits;      // 1 to 16: biases are whole numbers, too; 0: f32 (of half: half)
    bool per_tensor;    // one scale for a tensor, not for each output
    bool forced;        // of fixed: `point` is p, and weights that overflow saturate
    int point;          // -126 to 126
    bool mse;           // scales with the least squared error, not for the whole range
    bool gptq;          // for convolutions and dense layers; others are rounded
    double damping;     // of gptq: added to H's diagonal, in parts of its mean; 0 = 0.01
    int64_t examples;   // of gptq: of the training part, to calibrate on; 0 = 256
    int batch;          // of those at once; 0 = 32
    uint64_t seed;      // of which ones
    void (*on_weights)(void *user, const tuff_stored_weights *w); // NULL: not told
    void *user;
} tuff_weights_params;

// Batch norms are folded first (but not into a codebook's numbers). All layers with weights
// change their form; biases and norms stay f32 and trainable but for what the params say. The
// model stays as it is. data may be NULL without gptq.
// Fails: TUFF_ERR_ARG (an unknown scheme; a param out of its range or that the scheme has not;
// a net without weights, or with some in another form; no data for gptq), TUFF_ERR_SHAPE (the
// data are not what the net takes), TUFF_ERR_CHECK (a weight, or what a layer is given, is no
// number), TUFF_ERR_LIMIT (gptq: more than 8192 inputs), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_store_weights(tuff_model *model, tuff_dataset *data,
                                                   const tuff_weights_params *p,
                                                   tuff_model **stored);
// The schemes by number, for who lists them: NULL past the last. *bits (may be NULL) receives
// whether `bits` may be chosen.
TUFF_API const char *tuff_weights_scheme(int index, bool *bits);
#endif
