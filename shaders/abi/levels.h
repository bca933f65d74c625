// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// FORMAT of levels_*.comp: what the rows of w are made of.
#define TUFF_LEVELS_BYTES   0 // i8 or u8
#define TUFF_LEVELS_TERNARY 1 // two bit planes
#define TUFF_LEVELS_HALF    2 // f16
#define TUFF_LEVELS_PACKED  16 // + bits: numbers of 1 to 16 bits, one behind the other

struct tuff_levels_pc {
    uint m, n, k;
    uint sign;          // of signed numbers: the highest bit (of bytes 0x80), else 0
    uint words;         // of w
    uint scales, zeros; // none, one, or one a row of w
    uint bias;          // whether there is one
    uint begin, span;   // of levels_plain: quads of the sum that a launch adds to y, or from 0
                        // on, stores
};
