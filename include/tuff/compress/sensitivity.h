#ifndef TUFF_COMPRESS_SENSITIVITY_H
#define TUFF_COMPRESS_SENSITIVITY_H
#include <tuff/compress/prune.h>
#include <tuff/compress/weights.h>
// What each layer of a net can bear: one layer at a time is made smaller, more and more, or has
// its weights rounded to fewer and fewer bits; the others stay as they are, and nothing is
// trained. Where the accuracy falls late, a layer can give much (`rates` of tuff_prune_params,
// `layer_bits` of tuff_weights_params); where it falls at once, little.

typedef struct tuff_sensitivity_point {
    int layer;         // as of tuff_model_layer; -1: the net as it is, which comes first
    double value;      // the part that went, or how many bits a weight has
    tuff_metrics test;
} tuff_sensitivity_point;

// Told of each point, from the calling thread; false stops, and is no failure.
typedef bool (*tuff_sensitivity_fn)(void *user, const tuff_sensitivity_point *point);

typedef struct tuff_sensitivity_params {
    tuff_prune_params prune; // what goes and how: method, target, seed, examples
    const tuff_weights_params *round; // not NULL: weights are rounded, not pruned, in this
                                      // form, which has bits to choose
    const double *value;     // the parts that go, each 0 to below 1; NULL: 0.1 to 0.9, 0.95.
                             // Bits, each 1 to 16; NULL: 8 6 5 4 3 2
    int values;
    bool held;               // tests on the held-out part, else on the test part
    int batch;               // examples at once in the tests; 0: 64
    tuff_sensitivity_fn on_point;
    void *user;
} tuff_sensitivity_params;

// Whether these params can be, as far as that is known without a model. Fails: TUFF_ERR_ARG.
TUFF_API TUFF_CHECK tuff_status tuff_sensitivity_check(const tuff_sensitivity_params *p);

// Walks through the layers that have what is to go, in order, and in each through the values.
// Before weights are rounded batch norms are folded; a layer is of the model as it is given.
// Fails: as tuff_prune and tuff_test, and TUFF_ERR_ARG (a target that has no part to go:
// layers, N:M; a sparsity, rates or training beside the values).
TUFF_API TUFF_CHECK tuff_status tuff_sensitivity(tuff_model *model, tuff_dataset *data,
                                                 const tuff_sensitivity_params *p);
#endif
