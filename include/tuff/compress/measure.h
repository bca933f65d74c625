#ifndef TUFF_COMPRESS_MEASURE_H
#define TUFF_COMPRESS_MEASURE_H
#include <tuff/train.h>
// What a net costs, so that before and after can stand side by side. Bytes in a file, bytes in
// memory and time are three things, and a method that makes one smaller may leave the others.

typedef struct tuff_measure_params {
    const char *path; // the model's file, whose bytes count, but not the state of training
                      // that a checkpoint holds; NULL: not known
    int runs;         // timed, of which the median counts; 0 = 15; negative: nothing is timed
    int batch;        // examples at once in the test; 0 = 64
} tuff_measure_params;

typedef struct tuff_measure {
    tuff_metrics test;  // on the test part; `examples` is 0 where there are no data
    int64_t parameters; // of the net, as tuff_model_parameters
    int64_t nonzeros;   // of them those that are not zero
    int64_t file_bytes; // 0: not known
    int64_t memory;     // bytes on the device while it predicts one sample: weights, what is
                        // made of them once, and the values between layers
    double device_ms;   // to predict one sample, its outputs read; 0: not timed
    double cpu_ms;      // the same on the CPU path
} tuff_measure;

// Measures a model on its device and on the CPU path. `data` may be NULL, `p` too. No loader of
// the dataset may live.
// Fails: TUFF_ERR_IO (the file), TUFF_ERR_ARG, and as tuff_test and tuff_predict.
TUFF_API TUFF_CHECK tuff_status tuff_model_measure(tuff_model *model, tuff_dataset *data,
                                                   const tuff_measure_params *p,
                                                   tuff_measure *m);
#endif
