#ifndef TUFF_FAMILY_BLOCK_H
#define TUFF_FAMILY_BLOCK_H
#include <tuff/tensor.h>
// Numbers in blocks, codebooks and sparse matrices.
// What <tuff/ops.h> says of all ops holds for these.
#endif
