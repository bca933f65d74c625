// What the ops that normalise rows share with their gradients.
#ifndef TUFF_OPS_ROW_NORM_H
#define TUFF_OPS_ROW_NORM_H
#include "ops/norm.h"
#include "ops/ops.h"

// Rows of the dims from `axis` on, a scale for each place; rows of groups of channels, a scale
// for each channel. The kind is TUFF_NORM_MOMENTS and epsilon 1e-5.
tuff_norm tuff_norm_layers(const tuff_desc *x, int axis);
tuff_norm tuff_norm_groups(const tuff_desc *x, int64_t groups);
tuff_status tuff_norm_check_axis(const tuff_desc *x, int axis);
tuff_status tuff_norm_check_groups(const tuff_desc *x, int num_groups);
#endif
