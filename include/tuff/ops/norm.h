#ifndef TUFF_FAMILY_NORM_H
#define TUFF_FAMILY_NORM_H
#include <tuff/tensor.h>
// Normalisation.
// What <tuff/ops.h> says of all ops holds for these.
#endif
