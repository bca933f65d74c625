#ifndef TUFF_FAMILY_QUANT_H
#define TUFF_FAMILY_QUANT_H
#include <tuff/tensor.h>
// Quantized numbers: affine 8-bit, fixed point, binary and ternary.
// What <tuff/ops.h> says of all ops holds for these.
#endif
