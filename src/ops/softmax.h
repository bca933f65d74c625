// softmax, its logarithm (log_) and softmin (min) on the CPU path.
#ifndef TUFF_OPS_SOFTMAX_H
#define TUFF_OPS_SOFTMAX_H
#include "ops/op.h"

bool tuff_softmax_host_takes(const tuff_call *c);
size_t tuff_softmax_host_units(tuff_axis a); // of its one stage
void tuff_softmax_host(const tuff_ref *r, tuff_axis a, bool log_, bool min);
#endif
