#ifndef TUFF_FAMILY_SEQUENCE_H
#define TUFF_FAMILY_SEQUENCE_H
#include <tuff/tensor.h>
// Sequences: attention, rotary embedding, recurrent cells.
// What <tuff/ops.h> says of all ops holds for these.
#endif
