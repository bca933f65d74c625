// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

struct tuff_fill_pc {
    uint count;
    float value;
};

// Numbers first, first + 1, ... of a seed's sequence, `count` of them; see base/rng.h.
struct tuff_random_pc {
    uint count;
    uint seed_low, seed_high, first_low, first_high;
    float shift, scale; // y = shift + number * scale
};
