// Testing on a part of a dataset.
#ifndef TUFF_TRAIN_EVALUATE_H
#define TUFF_TRAIN_EVALUATE_H
#include "train/pass.h"

// Runs all examples of a part through a set of passes; scores may be NULL.
tuff_status tuff_evaluate(tuff_passes *passes, const tuff_dataset *data, tuff_split split,
                          int batch, float *scores, tuff_metrics *metrics);
// Checks that a dataset is what a model takes, and has the dataset normalise as the model
// knows; `learn`: a model that does not know takes it from the dataset.
tuff_status tuff_agree(tuff_model *model, tuff_dataset *data, bool learn);
#endif
