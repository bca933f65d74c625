#ifndef TUFF_COMPRESS_AWARE_H
#define TUFF_COMPRESS_AWARE_H
#include <tuff/compress/quantize.h>
// Quantization aware training: a net is trained on while its weights, and what flows between
// layers, are rounded as they will be in the net of integers, and learns to bear it.
//
//   tuff_aware_prepare(model, data, &p, &aware)      conv 6 5 fake=4 | relu | fake_quantize ...
//   tuff_train(aware, data, &train, NULL)
//   tuff_aware_convert(aware, &quantized)            quantize | conv 6 5 | ... | dequantize
//
// Rounding has no derivative, and gradients go straight through it (Bengio et al. 2013,
// 1308.3432). Steps are trained with the weights (LSQ: Esser et al. 2020, 1902.08153): each
// begins where calibration puts it, and its logarithm is what is learned. Batch norms are
// folded first, where tuff_fold_batch_norms can; biases begin as tuff_quantize corrects them
// (correct_bias), and stay floats until the end. The learning rate should fall to nothing: at a
// constant one weights jump between two steps until the last batch.

// The net with fake quantizers: a copy whose products have fake=BITS and which has a layer
// fake_quantize, of 8 bits, wherever the net of integers has numbers of another scale. Weights'
// steps begin with the least squared error, the others by p->method; those that several layers
// share, because a concatenation joins what they give, stay as they are calibrated.
// Fails: as tuff_quantize; TUFF_ERR_ARG (correct_bias, which is always done; a net that has
// fake quantizers already).
TUFF_API TUFF_CHECK tuff_status tuff_aware_prepare(tuff_model *model, tuff_dataset *data,
                                                   const tuff_ptq_params *p,
                                                   tuff_model **aware);
// The net of integers that a net with fake quantizers stands for, with its steps. It gives what
// that gives, but for a step here and there where floats were as near to the next one.
// Fails: TUFF_ERR_ARG (numbers that no fake_quantize rounds, or two of them unlike; a product
// without fake=BITS; a step that is no number above 0), TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_aware_convert(tuff_model *aware, tuff_model **quantized);

// All three. `train` NULL: the defaults of tuff_train, but for a rate that falls on a cosine.
// The default of the rate is here a tenth of what the optimizer has else, as the net is trained
// already. Fails: as each of them.
TUFF_API TUFF_CHECK tuff_status tuff_quantize_aware(tuff_model *model, tuff_dataset *data,
                                                    const tuff_ptq_params *p,
                                                    const tuff_train_params *train,
                                                    tuff_model **quantized);
#endif
