// softmax, its logarithm (log_) and softmin (min) on the CPU path.
#ifndef TUFF_OPS_SOFTMAX_H
#define TUFF_OPS_SOFTMAX_H
#include "ops/op.h"

bool tuff_softmax_host_takes(const tuff_call *c);
size_t tuff_softmax_host_units(tuff_axis a); // of its one stage
// The sum of e^(scale x - most) over a row, of which most is the largest scale x; the powers go
// to y, if it is not NULL.
double tuff_softmax_host_powers(const float *x, size_t n, float scale, float *y, float *most);
void tuff_softmax_host(const tuff_ref *r, tuff_axis a, bool log_, bool min);
#endif
