// What stands between integer products on the CPU path (qlinear_host.c): sums of 8-bit numbers,
// and the largest of windows of them.
#ifndef TUFF_OPS_QLINEAR_H
#define TUFF_OPS_QLINEAR_H
#include "ops/pool2d.h"

// Of qlinear_add; units of many elements.
size_t tuff_qadd_host_units(const tuff_call *c, int stage);
void tuff_qadd_host(const tuff_ref *r);
// Planes r->begin .. r->end of r->out[0], i8 or u8 as in[0] is.
void tuff_byte_pool_host(const tuff_ref *r, const tuff_pool2d *g);
#endif
