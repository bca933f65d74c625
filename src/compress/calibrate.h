// What flows through a net on some examples: the range of each part's outputs, and their means.
#ifndef TUFF_COMPRESS_CALIBRATE_H
#define TUFF_COMPRESS_CALIBRATE_H
#include "nn/model.h"
#include <tuff/compress.h>

enum { TUFF_BINS = 2048 };

// Of one part's outputs, or of the net's input.
typedef struct tuff_observed {
    float low, high;  // the range by the method; 0 is inside of it
    float *mean;      // of each channel (the first dim of a sample): [channels]
    int64_t channels;
} tuff_observed;

// observed[0] is of the net's input, observed[1 + i] of part i.
tuff_status tuff_calibrate(tuff_model *model, tuff_dataset *data, const tuff_ptq_params *p,
                           tuff_observed **observed);
void tuff_observed_free(tuff_observed **observed, const tuff_model *model);

// The part of [low, high], with 0, that so many steps describe best, of a histogram over it.
// Pure. `method` is PERCENTILE, ENTROPY or MSE.
void tuff_range_cut(const double bin[TUFF_BINS], const tuff_ptq_params *p, float *low,
                    float *high);
#endif
