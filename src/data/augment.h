// Images that are changed at random while a loader makes a batch of them.
#ifndef TUFF_DATA_AUGMENT_H
#define TUFF_DATA_AUGMENT_H
#include <tuff/data.h>

static inline bool tuff_augments(const tuff_augment *a) { return a->shift || a->flip; }
// Text that tuff_augment_parse reads back; returns text.
const char *tuff_augment_print(const tuff_augment *a, char *text, size_t size);
// Fails: TUFF_ERR_ARG (shift is out of its range), TUFF_ERR_SHAPE (samples are no images).
tuff_status tuff_augment_check(const tuff_augment *a, const tuff_desc *sample);
// Changes one sample f32 [C, H, W]; what comes in is padding[c]. What is drawn is a function of
// the seed alone.
void tuff_augment_image(const tuff_augment *a, const tuff_desc *sample, const float *padding,
                        uint64_t seed, float *x);
#endif
