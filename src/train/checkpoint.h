// Model files: what tuff_model_save, tuff_model_load and resuming share. A file is
//
//   "0.weight" ...              the model's weights
//   "optimizer.m.0.weight" ...  moments (also .v. and .x.), in a checkpoint
//   "best.0.weight" ...         with early stop, while running: the best weights so far
//   "last.0.weight" ...         with early stop, at the end, when the model has got its best
//                               weights back: those of the last step, to go on from
//   "latent.0.weight" ...       where the net is trained through another one (tuff_stored_as):
//                               that one's weights; names under the prefixes are its names
//   metadata                    tuff.* the net and its data; train.* settings and place, and
//                               train.net of the net that is trained, where it is another
#ifndef TUFF_TRAIN_CHECKPOINT_H
#define TUFF_TRAIN_CHECKPOINT_H
#include "train/trainer.h"

// The place in a run, beside the trainer's step.
typedef struct tuff_place {
    int epoch;       // whole epochs done
    int64_t index;   // batches done of the next one
    tuff_sums sums;  // of those batches
    int best_epoch;  // counted from 1; 0: none yet
    double best_loss;
    float *best;     // flat weights of the best epoch; NULL without early stop
} tuff_place;

// Writes a checkpoint. `last`: NULL, or the flat weights to go on from where the model's are
// the best ones. Waits for the device.
tuff_status tuff_checkpoint_write(const char *path, tuff_trainer *t, const tuff_place *place,
                                  float *last);
// Settings of the run that wrote the file, into all but the files and functions of *p.
// Fails: TUFF_ERR_FORMAT (no checkpoint, or a value that cannot be), TUFF_ERR_ARG (it is of
// another net).
tuff_status tuff_checkpoint_settings(const tuff_safetensors *file, const tuff_model *model,
                                     tuff_train_params *p);
// Weights, moments, step and place as they were; place->best has room when it is not NULL.
tuff_status tuff_checkpoint_restore(const tuff_safetensors *file, tuff_trainer *t,
                                    tuff_place *place);
#endif
