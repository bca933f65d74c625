// The CPU path's kernel of ternary_matmul (levels_host.c).
#ifndef TUFF_OPS_LEVELS_H
#define TUFF_OPS_LEVELS_H
#include "ops/op.h"

size_t tuff_ternary_host_units(const tuff_call *c, int stage);
void tuff_ternary_host(const tuff_ref *r);
#endif
