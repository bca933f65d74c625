// Students and teachers; declared in <tuff/compress/distill.h>. The loss is the trainer's
// (train/teach.c).
#include <tuff/compress.h>
#include "base/status.h"

tuff_status tuff_distill(tuff_model *student, tuff_dataset *data, const tuff_distill_params *p,
                         tuff_model **distilled)
{
    *distilled = NULL;
    TUFF_REQUIRE(student && data && p, ARG, "distill: a student, data and params are needed");
    tuff_train_params train = { 0 };
    if (p->tune) train = *p->tune;
    TUFF_REQUIRE(!train.teach, ARG, "distill: the training has teachers of its own");
    train.teach = &p->teach;
    TUFF_TRY(tuff_model_copy(student, tuff_model_device(student), distilled));
    const tuff_status status = tuff_train_stored(*distilled, data, &train, NULL);
    if (status != TUFF_OK) tuff_model_destroy(distilled);
    return status;
}
