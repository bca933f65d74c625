// Small datasets made of random numbers, for tests of training: what is to be learnt is a
// fixed function of the example, so a net can learn it, except where a test wants noise.
#ifndef TUFF_TESTS_TINY_H
#define TUFF_TESTS_TINY_H
#include <tuff/tuff.h>

typedef struct tiny_params {
    int train, test; // examples
    bool noise;      // classes drawn at random: can be learnt by heart, never in general
    bool numbers;    // a target of one number instead of 5 classes
    float held;      // part held out
} tiny_params;

enum { TINY_SIDE = 12, TINY_CLASSES = 5 };
#define TINY_NET "conv 4 3 | relu | maxpool 2 | flatten | dense 16 | relu | dense 5"

// 1x12x12 images of classes, or 4 numbers and a target. Ends the program on failure.
tuff_dataset *tiny_data(const tiny_params *p);
// A model for them: classes of TINY_NET, or a net given as text.
tuff_model *tiny_model(tuff_device *device, const tuff_dataset *data, const char *net);
// The flat tensor of a model in host memory (*count floats); freed with free.
float *tiny_weights(tuff_model *model, size_t *count);
// What a model gives for the first test examples: [examples, outputs]; freed with free.
float *tiny_outputs(tuff_model *model, tuff_dataset *data, int64_t examples);
// Whether two models have the same bits.
bool tiny_same(tuff_model *a, tuff_model *b);
#endif
