#ifndef TUFF_COMPRESS_LATENT_H
#define TUFF_COMPRESS_LATENT_H
#include <tuff/train.h>
// Nets of stored weights that are trained on. What tuff_quantize, tuff_store_weights and
// tuff_quantize_levels make holds no floats that a gradient could change; behind it stands a
// net of latent weights, which gives (nearly) the same numbers and goes back into the form:
//
//   stored                                  latent
//   quantize | conv 6 5 | ... | dequantize  as tuff_aware_prepare makes it: fake quantizers
//                                           with the stored steps, which are trained; the bits
//                                           of a layer are those that its weights need
//   weights=affine, symmetric bits=1..8     of convolutions and dense layers: fake=BITS
//   weights= other forms and layers         floats; rounded anew when they are stored. Those of
//                                           fixed stay within what its point can hold
//   bdense packed=yes, bconv packed=yes     bdense, bconv: signs of half the size within which
//                                           they are kept, or of the stored scales' size
//
// Biases and norms that are f32 are trained beside them.

// Whether a net has weights in a stored form.
TUFF_API bool tuff_model_is_stored(const tuff_model *model);
// Trains a net through its latent weights: model has new numbers in the form that it had. Tests
// are made with it, and files hold it; while the run lasts what is trained lies beside it in
// the file, for `resume`, and at the end the net alone is left. With `resume`, `model` is what
// the file holds. A net without stored weights is trained as tuff_train does.
// Fails: as tuff_train; TUFF_ERR_ARG (a net that does not come back as it was, which no
// function of this library makes).
TUFF_API TUFF_CHECK tuff_status tuff_train_stored(tuff_model *model, tuff_dataset *data,
                                                  const tuff_train_params *p,
                                                  tuff_train_result *result);

// The two ends of that, with any training between them. The model stays as it is.
// Fails: TUFF_ERR_ARG (no weights in a stored form), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_latent_make(tuff_model *model, tuff_model **latent);
// Gives a model the weights of such a net (or of its copy) in the form that it has.
// Fails: TUFF_ERR_ARG (it is not the model's), TUFF_ERR_CHECK (a weight is no number),
// TUFF_ERR_MEMORY, TUFF_ERR_LOST. The model is then as it was.
TUFF_API TUFF_CHECK tuff_status tuff_latent_store(tuff_model *latent, tuff_model *model);

// A net of floats: stored weights are what they stand for, and what flows is not rounded (a
// `relu` stands where integers saturated at 0). Layers of packed signs become bdense and bconv
// with latent weights. The model stays as it is. Fails: as tuff_latent_make.
TUFF_API TUFF_CHECK tuff_status tuff_dequantize(tuff_model *model, tuff_model **floats);
#endif
