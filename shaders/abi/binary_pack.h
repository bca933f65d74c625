// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// OP of ste.comp.
#define TUFF_STE_SIGN  0 // y = sign(x)
#define TUFF_STE_GRAD  1 // y = other where |x| <= 1
#define TUFF_STE_SCALE 2 // y = sign(x) other[row]

struct tuff_ste_pc {
    uint count;
    tuff_divide cols; // of SCALE: elements of a row
};

// Element j of row r lies at r / step * cols * step + r % step + j * step.
struct tuff_mean_abs_pc {
    uint rows, cols;
    uint parts;       // that each row is cut into: part p takes j = p, p + parts, ...
    float factor;     // of the last pass
    tuff_divide step, lanes; // lanes: parts, or rows, whichever lie closer in memory
};

struct tuff_bits_pc {
    uint rows, cols;
    uint words;       // of a row
    tuff_divide step, lanes; // lanes: words, or rows, as above
};
