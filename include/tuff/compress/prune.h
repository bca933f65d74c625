#ifndef TUFF_COMPRESS_PRUNE_H
#define TUFF_COMPRESS_PRUNE_H
#include <tuff/train.h>
// Pruning: weights, channels, neurons and layers that a net can spare.
//
//   weights     become zero, and stay zero while the net is fine-tuned. The net keeps its
//               shape: it is the file formats and the sparse kernels that gain by them
//   channels, neurons, layers   are left out: the net that is built is smaller, and dense. Its
//               text says so
//
// The model that is given stays as it was. docs/compress.md has a section on it.

typedef enum tuff_prune_method {
    TUFF_PRUNE_L1,       // the sum of |w|. Of single weights l1 and l2 are the same
    TUFF_PRUNE_L2,       // the root of the sum of w^2
    TUFF_PRUNE_RANDOM,   // as `seed` says: what the others are to be compared with
    TUFF_PRUNE_THRESHOLD,// weights: those below `threshold`
    TUFF_PRUNE_TAYLOR,   // (sum of w dL/dw)^2, by batches of the training data: what the loss
                         // would change by, to first order (Molchanov et al., 1906.10771)
    TUFF_PRUNE_SLIMMING, // channels, neurons: |scale| of the batch norms that follow (Liu et
                         // al., 1708.06519); trained with tuff_train_params.slim
    TUFF_PRUNE_SIMILAR   // channels, neurons: of two whose weights are nearly parallel one
                         // takes over what goes out of the other (Srinivas & Babu, 1507.06149)
} tuff_prune_method;

typedef enum tuff_prune_target {
    TUFF_PRUNE_WEIGHTS,
    TUFF_PRUNE_CHANNELS, // of convolutions
    TUFF_PRUNE_NEURONS,  // of dense layers
    TUFF_PRUNE_LAYERS,   // whole ones, and blocks, that give the shape that they take
    TUFF_PRUNE_BLOCKS,   // blocks of 4 x 4 weights of dense layers
    TUFF_PRUNE_NM        // of every `of` neighbours `keep` are kept
} tuff_prune_target;

// By name: "l1" ..., "weights", "channels", "neurons", "layers", "4x4", "2:4" (with any N:M
// that tuff_nm_params takes). Fails: TUFF_ERR_FORMAT (lists the names).
TUFF_API TUFF_CHECK tuff_status tuff_prune_method_parse(const char *name,
                                                        tuff_prune_method *method);

typedef struct tuff_prune_params {
    tuff_prune_method method;
    tuff_prune_target target;
    double sparsity;   // part that goes: of the weights, channels or neurons; 0 to below 1
    double threshold;  // times the deviation of a layer's weights (Han et al., 1506.02626), or
                       // with `global` as it is
    bool global;       // ranked over all layers; else each layer loses the same part
    double most;       // of channels and neurons with `global`: no layer loses more than this
                       // part, so that none falls apart; 0: 0.9
    const char *rates; // "0=0.34 3=0.88 5=100": what single layers lose, by their places, or
                       // how many they keep (1 and more); NULL: none
    int keep, of;      // of N:M; 0, 0: 2:4
    uint64_t seed;     // of random
    int examples;      // taylor: so many training examples are looked at; 0: 1024
    bool gradual;      // the sparsity grows in the first part of the fine-tuning as
                       // 1 - (1 - t)^3 (Zhu & Gupta, 1710.01878)
    double ramp;       // how large that part is, 0: 0.7
    const tuff_train_params *tune; // fine-tuning afterwards (gradual: meanwhile); NULL: none
} tuff_prune_params;

TUFF_API TUFF_CHECK tuff_status tuff_prune_target_parse(const char *name,
                                                        tuff_prune_params *p);

// Whether a pruning can be, as far as that is known without a model: what tuff_prune asks
// first. `data`: there are some. Fails: TUFF_ERR_ARG.
TUFF_API TUFF_CHECK tuff_status tuff_prune_check(const tuff_prune_params *p, bool data);

// Makes *pruned, which the caller destroys. `data` may be NULL where nothing is fine-tuned and
// the method is not taylor. No loader of the dataset may live.
// Fails: TUFF_ERR_ARG (a param out of its range, a method that the target does not take, a net
// in which there is nothing to prune: the sentence says which), and as tuff_train.
TUFF_API TUFF_CHECK tuff_status tuff_prune(tuff_model *model, tuff_dataset *data,
                                           const tuff_prune_params *p, tuff_model **pruned);
#endif
