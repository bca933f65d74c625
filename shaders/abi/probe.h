// Read by the C compiler and by glslang: the only description of these layouts.
#include "abi.h"

// A multiply-add takes m and c; a sum that is `never` would be written, so that no driver may
// leave the work out.
struct tuff_probe_pc {
    float m, c, never;
    uint whole;  // m and c of whole numbers
    uint rounds;
};

// `count` texels of 16 bytes are copied by `stride` invocations.
struct tuff_probe_copy_pc {
    uint count, stride;
};
