// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

struct tuff_attention_pc {
    uint n, h, g, t, s, d, e;  // q [n, h, t, d], k [n, g, s, d], v [n, g, s, e]
    uint mask_n, mask_h, mask_t, mask_s; // steps of the mask, 0 where it is repeated
    float scale;
};
