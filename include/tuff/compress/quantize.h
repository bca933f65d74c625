#ifndef TUFF_COMPRESS_QUANTIZE_H
#define TUFF_COMPRESS_QUANTIZE_H
#include <tuff/train.h>
// Quantization after training: weights and what flows between layers become whole numbers of 8
// bits, and the net runs on integer kernels from one end to the other, with the same bits on
// every device.
//
//   tuff_fold_batch_norms(model, &folded)            conv | bn  ->  conv
//   tuff_quantize(folded, data, NULL, &quantized)    quantize | conv ... dense | dequantize
//
// A number q stands for (q - zero_point) scale (Jacob et al. 2018, 1712.05877). Scales are
// chosen by calibration: the float net runs on some training examples, and the range that each
// layer's outputs have says how they are cut into 256 steps.

// How the range of a layer's outputs is chosen.
typedef enum tuff_calibration {
    TUFF_CALIBRATE_MINMAX,     // all of it
    TUFF_CALIBRATE_AVERAGE,    // a moving average of each batch's ends, a tenth of each new one
    TUFF_CALIBRATE_PERCENTILE, // but for so many of the largest and the smallest
    TUFF_CALIBRATE_ENTROPY,    // of which the cut loses least information: the smallest
                               // Kullback-Leibler divergence (Migacz 2017)
    TUFF_CALIBRATE_MSE         // with the smallest squared error
} tuff_calibration;
// "minmax", "average", "percentile", "entropy", "mse". Fails: TUFF_ERR_FORMAT.
TUFF_API TUFF_CHECK tuff_status tuff_calibration_parse(const char *name,
                                                       tuff_calibration *method);
TUFF_API const char *tuff_calibration_name(tuff_calibration method); // "?" for none

typedef struct tuff_ptq_params {
    bool affine;      // weights too have a zero point; else they are symmetric round 0
    bool per_tensor;  // one scale for all of a layer's weights; else one for each output
    int bits;         // of a weight, 2 to 8; 0 = 8. Fewer than 8 lie packed
    const int *layer_bits; // of each layer of the model (tuff_model_layer), where it is not 0;
                           // NULL: `bits` are all layers'
    tuff_calibration method;
    double percentile;  // of TUFF_CALIBRATE_PERCENTILE: what is kept, 50 to 100; 0 = 99.99
    int64_t examples;   // of the training part, to calibrate on; 0 = 512
    int batch;          // of those at once; 0 = 64
    uint64_t seed;      // of which ones
    bool equalize;      // first give neighbouring layers' channels like ranges, which changes
                        // nothing of what the net computes (Nagel et al. 2019, 1906.04721)
    bool correct_bias;  // add to biases what rounding the weights took from the outputs' mean
                        // (likewise)
    bool mse_weights;   // weights' scales with the smallest squared error, not the whole range
    bool gptq;          // what rounding a weight loses the others of its row make up for, on
                        // the same examples (Frantar et al. 2022, 2210.17323)
} tuff_ptq_params;

// Reads "0=8 3=4 5=2", 1 to 16 bits of layers by their places, into
// bits[tuff_model_layer_count], for `layer_bits`; 0 for layers that are not named.
// Fails: TUFF_ERR_ARG (a word that is none, a place without weights, bits out of their range).
TUFF_API TUFF_CHECK tuff_status tuff_layer_bits_parse(const tuff_model *model, const char *text,
                                                      int bits[]);

// A batch norm behind a convolution or a dense layer, whose only user it is, becomes part of
// its weights and bias; the net computes the same. Others stay.
// Fails: TUFF_ERR_MEMORY, TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_fold_batch_norms(tuff_model *model, tuff_model **folded);

// A net of 8-bit numbers of a float one; batch norms are folded first. Convolutions and dense
// layers, pooling, relu, sums and concatenations of what they give are integers; a layer that
// is none of those has dequantize before and quantize behind it. The model stays as it is.
// Fails: TUFF_ERR_ARG (a param out of its range; data without training examples; a net with
// nothing to quantize, or that is quantized already), TUFF_ERR_SHAPE (the data are not what
// the net takes), TUFF_ERR_CHECK (a layer gives what is no number), TUFF_ERR_MEMORY,
// TUFF_ERR_LOST.
TUFF_API TUFF_CHECK tuff_status tuff_quantize(tuff_model *model, tuff_dataset *data,
                                              const tuff_ptq_params *p,
                                              tuff_model **quantized);
#endif
