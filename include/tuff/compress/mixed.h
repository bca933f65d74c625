#ifndef TUFF_COMPRESS_MIXED_H
#define TUFF_COMPRESS_MIXED_H
#include <tuff/compress/weights.h>
// Mixed precision: bits of each layer's weights, chosen by measurement under a budget.
//
//   tuff_mixed_measure(model, data, NULL, &mixed);     each layer alone in each number of bits
//   tuff_mixed_assign(mixed, &(tuff_mixed_budget){ .bytes = 40000 }, bits);
//   tuff_store_weights(model, NULL, &(tuff_weights_params){ .layer_bits = bits }, &stored);
//
// What the loss gains by rounding one layer is taken to add up with what it gains by the
// others. Of all assignments within the budget the one with the least sum is then found, by
// dynamic programming over layers and budget: exactly, but that a budget of more than 65,536
// bytes (or nanoseconds) is counted in as many steps. A layer with fewer bits is taken to lose
// no less than one with more, whatever noise the measurement has.

// One layer alone in so many bits; the others are f32.
typedef struct tuff_mixed_point {
    int layer;     // as of tuff_model_layer
    int bits;      // 0: f32, which only a budget of time has to choose from
    double loss;   // of the net, less that of the net as it is
    int64_t bytes; // that the net's parameters take, less those in f32: below 0
    double ms;     // likewise of one sample's prediction on its device; 0: not timed
} tuff_mixed_point;

typedef struct tuff_mixed_params {
    const tuff_weights_params *weights; // the form, which has bits (affine, symmetric, fixed),
                                        // and how it rounds; NULL: affine. Its own bits do not
                                        // count
    const int *bits;  // to choose from, 1 to 16, falling; NULL: 8 6 5 4 3 2
    int choices;
    bool timed;       // for a budget of time
    bool held;        // the loss is that of the held-out part, else of the test part
    int batch;        // examples at once; 0: 64
    void (*on_point)(void *user, const tuff_mixed_point *point); // NULL: not told
    void *user;
} tuff_mixed_params;

typedef struct tuff_mixed tuff_mixed;

// Measures. The model stays as it is. Fails: as tuff_store_weights and tuff_test, and
// TUFF_ERR_ARG (bits out of their range or not falling).
TUFF_API TUFF_CHECK tuff_status tuff_mixed_measure(tuff_model *model, tuff_dataset *data,
                                                   const tuff_mixed_params *p,
                                                   tuff_mixed **mixed);
TUFF_API void tuff_mixed_destroy(tuff_mixed **mixed);
// What was measured, by number; false past the last.
TUFF_API bool tuff_mixed_at(const tuff_mixed *mixed, int index, tuff_mixed_point *point);

// What all parameters take at most as they lie in the model (a file has a header beside them),
// or one sample's prediction: one of the two.
typedef struct tuff_mixed_budget {
    int64_t bytes;
    double ms;
} tuff_mixed_budget;

// Chooses bits for layer_bits[tuff_model_layer_count], as tuff_weights_params has them.
// Fails: TUFF_ERR_ARG (no budget, or two; time that was not measured), TUFF_ERR_LIMIT (no
// assignment is within the budget: the sentence says what the least is).
TUFF_API TUFF_CHECK tuff_status tuff_mixed_assign(const tuff_mixed *mixed,
                                                  const tuff_mixed_budget *budget,
                                                  int layer_bits[]);
#endif
