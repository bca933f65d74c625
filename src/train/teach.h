// Teachers in a step of training.
#ifndef TUFF_TRAIN_TEACH_H
#define TUFF_TRAIN_TEACH_H
#include <tuff/train.h>

// Takes p->teach, with defaults filled in, when it fits the student and the rest of p (which is
// filled in). Fails: TUFF_ERR_ARG, TUFF_ERR_SHAPE.
tuff_status tuff_teach_fill(const tuff_model *student, const tuff_train_params *p,
                            tuff_teach *teach);
// Makes of the loss that labels give the one that teachers and labels give; x is the student's
// batch, y its logits.
tuff_status tuff_emit_taught(tuff_graph *g, const tuff_model *student, const tuff_teach *teach,
                             tuff_var x, tuff_var y, tuff_var *loss);
#endif
