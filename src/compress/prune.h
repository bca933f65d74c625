// Pruning inside the library. The files:
//
//   prune.c          what is asked for, checked; rates; fine-tuning
//   prune_weights.c  single weights, blocks and N:M: scores, masks
//   prune_select.c   which of many scores are the lowest
//   prune_taylor.c   scores that need gradients
//   units.h          which channels and neurons must go together, and the net without them
//   prune_units.c    what those are worth, which go, round after round
//   prune_similar.c  units that take over for others
//   prune_layers.c   whole layers
#ifndef TUFF_COMPRESS_PRUNE_INTERNAL_H
#define TUFF_COMPRESS_PRUNE_INTERNAL_H
#include "nn/model.h"
#include <tuff/compress.h>

// What a layer loses: a part, or all but so many.
typedef struct tuff_rate {
    bool given;   // by `rates`, so that no ranking over all layers touches it
    double part;
    int64_t left; // 0: `part` counts
} tuff_rate;

// One pruning. The model is a copy that it may change.
typedef struct tuff_pruning {
    tuff_model *model;
    tuff_dataset *data;
    tuff_prune_params p;
    tuff_train_params tune; // valid where p.tune is not NULL
    tuff_rate *rate;        // of each part of the model
    float *flat;            // the model's weights
    float *score;           // in the same layout: what each weight is worth
    int64_t *size;          // of each part: features that it made at first
} tuff_pruning;

// How many of n go at this point of a gradual schedule (grown: 0 to 1).
int64_t tuff_rate_goes(const tuff_rate *r, int64_t n, double grown);

// Puts the model's weights into job->flat, or back.
tuff_status tuff_pruning_read(tuff_pruning *job);
tuff_status tuff_pruning_write(tuff_pruning *job);

// Takes another model in place of the one there is, which goes; *model is NULL then.
tuff_status tuff_pruning_replace(tuff_pruning *job, tuff_model **model);

// Each prunes, and fine-tunes. Single weights, blocks, N:M:
tuff_status tuff_prune_weights(tuff_pruning *job);
// Channels, neurons:
tuff_status tuff_prune_units(tuff_pruning *job);
tuff_status tuff_prune_layers(tuff_pruning *job);

struct tuff_units;
// Merges units into others, in job->flat, and lets them go.
tuff_status tuff_prune_similar(tuff_pruning *job, struct tuff_units *u, double grown);
// Whether a part makes what is to go: channels or neurons.
bool tuff_prune_is_target(const tuff_pruning *job, int part);

// Marks the `goes` lowest of score[n] in gone[n] (those already marked do not count); of equal
// ones the first go. What is no number is worth most.
tuff_status tuff_prune_lowest(const float *score, bool *gone, int64_t n, int64_t goes);

// (w dL/dw)^2 of each weight, summed over batches of the training data, into job->score.
tuff_status tuff_prune_taylor(tuff_pruning *job);
// Hands over the gradients of each batch, in the layout of what is trained.
typedef void (*tuff_gradient_fn)(void *user, const float *grads);
tuff_status tuff_prune_gradients(tuff_pruning *job, tuff_gradient_fn take, void *user);
#endif
