// Settings of a training run: defaults filled in, ranges checked, numbers of a step.
#ifndef TUFF_TRAIN_SETTINGS_H
#define TUFF_TRAIN_SETTINGS_H
#include <tuff/ops.h>
#include <tuff/train.h>

// Each replaces zeros by defaults and checks ranges. Fails: TUFF_ERR_ARG.
tuff_status tuff_optimizer_fill(tuff_optimizer *o);
tuff_status tuff_schedule_fill(tuff_schedule *s);
tuff_status tuff_train_fill(tuff_train_params *p, bool classes);

// What the update op takes.
tuff_update_params tuff_optimizer_update(const tuff_optimizer *o);
// Text that tuff_schedule_parse reads back to the same schedule.
void tuff_schedule_print(const tuff_schedule *s, char *text, size_t size);
#endif
