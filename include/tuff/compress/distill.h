#ifndef TUFF_COMPRESS_DISTILL_H
#define TUFF_COMPRESS_DISTILL_H
#include <tuff/train.h>
// Distillation: a small net learns from what large ones say of each example, not from its label
// alone (Hinton, Vinyals & Dean, 1503.02531). The loss stands with tuff_teach in
// <tuff/train.h>, as do features and the cache; docs/compress.md has a section on it.

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

// Students that teach each other, without a teacher (mutual, or online, distillation; Zhang et
// al., 1706.00384). The loss of each is that of a tuff_teach whose teachers are the others:
// they take each batch in turns, and learn from the others as they are by then.
typedef struct tuff_mutual_params {
    float temperature; // 0 = 1
    float alpha;       // 0 = 0.5: the paper's sum of both losses, halved
    // The training; NULL: its defaults. on_epoch is called for each student, in their order.
    // `teach`, `out`, `resume`, `mask` and `patience` must be zero.
    const tuff_train_params *tune;
} tuff_mutual_params;

// Makes distilled[students], which the caller destroys: 2 to 16 students, trained together on
// the training part of a dataset. They may be of different nets, and are best of different
// starting weights; the ones that are given stay as they are. No loader of the dataset may
// live. After a failure all of distilled[] is NULL. `p` may be NULL.
// Fails: TUFF_ERR_ARG (their number, a param, students who know samples normalised in different
// ways), TUFF_ERR_SHAPE (they take other samples or give other classes), TUFF_ERR_CHECK (a loss
// is no longer a number), and as tuff_train.
TUFF_API TUFF_CHECK tuff_status tuff_distill_mutual(tuff_model *const *student, int students,
                                                    tuff_dataset *data,
                                                    const tuff_mutual_params *p,
                                                    tuff_model **distilled);
#endif
