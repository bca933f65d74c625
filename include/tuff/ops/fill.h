#ifndef TUFF_FAMILY_FILL_H
#define TUFF_FAMILY_FILL_H
#include <tuff/tensor.h>
// Tensors made of nothing.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_fill_params {
    float value;
} tuff_fill_params;
// Every element of y, f32, becomes `value`.
TUFF_API TUFF_CHECK tuff_status tuff_fill(tuff_stream *s, tuff_tensor *y,
                                          const tuff_fill_params *p);

typedef struct tuff_random_params {
    uint64_t seed;   // the generator's key
    uint64_t offset; // element i of y is number offset + i of the sequence
    float low, high; // uniform: [low, high), both 0 = [0, 1); normal: mean, deviation,
                     // both 0 = 0, 1
} tuff_random_params;
// Counter-based (Philox 4x32-10, Salmon et al. 2011): the same numbers on every device.
// Uniform numbers have the same bits everywhere, normal ones agree to 1e-6.
TUFF_API TUFF_CHECK tuff_status tuff_random_uniform(tuff_stream *s, tuff_tensor *y,
                                                    const tuff_random_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_random_normal(tuff_stream *s, tuff_tensor *y,
                                                   const tuff_random_params *p);
#endif
