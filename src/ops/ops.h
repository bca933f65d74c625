// Every op's record, for rules that compose ops.
#ifndef TUFF_OPS_OPS_H
#define TUFF_OPS_OPS_H
#include "ops/op.h"

#define X(name) extern const tuff_op tuff_op_##name;
#include "ops/op_list.h"
#undef X
#endif
