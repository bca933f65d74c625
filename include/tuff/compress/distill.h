#ifndef TUFF_COMPRESS_DISTILL_H
#define TUFF_COMPRESS_DISTILL_H
#include <tuff/train.h>
// Distillation: a small net learns from what large ones say of each example, not from its label
// alone (Hinton, Vinyals & Dean, 1503.02531). The loss stands with tuff_teach in
// <tuff/train.h>; docs/compress.md has a section on it.

typedef struct tuff_distill_params {
    tuff_teach teach;              // who teaches, and how
    const tuff_train_params *tune; // the training; NULL: its defaults. Its `teach` must be NULL
} tuff_distill_params;

// Makes *distilled, which the caller destroys: the student, trained by teachers on the training
// part of a dataset. The student and the teachers stay as they are, and may be the same net. A
// student of starting weights takes its normalisation from the data, or what it knows; each
// teacher sees the batch as it knows it. No loader of the dataset may live.
// Fails: TUFF_ERR_ARG (no teacher, temperature or alpha out of its range, a teacher on another
// device, classes of other names, data without classes), TUFF_ERR_SHAPE (a teacher takes other
// samples or gives other classes), and as tuff_train.
TUFF_API TUFF_CHECK tuff_status tuff_distill(tuff_model *student, tuff_dataset *data,
                                             const tuff_distill_params *p,
                                             tuff_model **distilled);
#endif
