// What teachers say of every training example, in memory and in a file: logits in the order of
// the examples in their part of the dataset, so that later epochs and runs need no teacher.
#ifndef TUFF_TRAIN_SAID_H
#define TUFF_TRAIN_SAID_H
#include "train/trainer.h"

typedef struct tuff_said tuff_said;

// Reads teach->cache, or where that file is not there asks the teachers, `batch` examples at a
// time, and writes it: a new file beside it that then takes its place.
// Fails: TUFF_ERR_ARG (a file of other teachers or examples), TUFF_ERR_FORMAT (no such file, or
// a damaged one), TUFF_ERR_IO, TUFF_ERR_MEMORY.
tuff_status tuff_said_open(const tuff_model *student, const tuff_teach *teach,
                           const tuff_dataset *data, int batch, tuff_said **said);
void tuff_said_destroy(tuff_said **said);
// Hands a trainer what is said of a batch that its next step takes.
tuff_status tuff_said_give(tuff_said *said, tuff_trainer *t, const tuff_batch *b);
#endif
