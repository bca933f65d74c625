// A trainer inside the library: what tuff_train and checkpoints see of it.
#ifndef TUFF_TRAIN_TRAINER_H
#define TUFF_TRAIN_TRAINER_H
#include "train/teach.h"

struct tuff_trainer {
    tuff_model *model;
    tuff_stream *stream;
    tuff_train_params p;    // with defaults filled in
    int64_t classes;
    int64_t steps_per_epoch, steps; // of the whole run; 0: not known
    int64_t step;           // done so far
    double lr;              // of the last step
    tuff_update_state state;
    tuff_lesson lesson;     // of p.teach
    bool fed;               // tuff_trainer_say was called for the next step
    tuff_passes *passes;
    tuff_tensor *own_mask;  // of keep_zeros; else NULL
    double began;           // seconds, when the last reading was
};

// Of a run with a cache: what the teachers say of the next step's batch, f32 [count, classes].
tuff_status tuff_trainer_say(tuff_trainer *t, const float *logits, int64_t count);
// With keep_zeros: takes the weights' zeros as they now are for those that stay.
tuff_status tuff_trainer_keep_zeros(tuff_trainer *t);
// With keep_shared: takes weights that are now equal for those that share a number.
tuff_status tuff_trainer_keep_shared(tuff_trainer *t);
void tuff_trainer_free_shared(tuff_trainer *t);
#endif
