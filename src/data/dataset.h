// What a loader sees of a dataset.
#ifndef TUFF_DATA_DATASET_H
#define TUFF_DATA_DATASET_H
#include <tuff/data.h>

// The rows of a part's examples in their file's order; `count` of them.
const uint32_t *tuff_dataset_rows(const tuff_dataset *dataset, tuff_split split);
// Writes example `row` of the split's array, normalised: x [sample], and the label or the
// target, whichever is there.
void tuff_dataset_example(const tuff_dataset *dataset, tuff_split split, uint32_t row, float *x,
                          int32_t *label, float *target);
// A digest of a part's examples in their order, without labels, as they are before they are
// normalised.
uint64_t tuff_dataset_digest(const tuff_dataset *dataset, tuff_split split);
#endif
