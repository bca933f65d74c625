// Settings of a training run: defaults filled in, ranges checked, numbers of a step.
#ifndef TUFF_TRAIN_SETTINGS_H
#define TUFF_TRAIN_SETTINGS_H
#include <tuff/train.h>

// Each replaces zeros by defaults and checks ranges. Fails: TUFF_ERR_ARG.
tuff_status tuff_optimizer_fill(tuff_optimizer *o);
tuff_status tuff_schedule_fill(tuff_schedule *s);
tuff_status tuff_train_fill(tuff_train_params *p, bool classes);

// The moments that an optimizer keeps: m and v.
bool tuff_optimizer_has_m(tuff_optimizer_kind kind);
bool tuff_optimizer_has_v(tuff_optimizer_kind kind);
// What the update ops read in step `step` (from 0); see <tuff/ops.h>.
void tuff_optimizer_hyper(const tuff_optimizer *o, double lr, int64_t step, float hyper[8]);
// Text that tuff_schedule_parse reads back to the same schedule.
void tuff_schedule_print(const tuff_schedule *s, char *text, size_t size);
#endif
