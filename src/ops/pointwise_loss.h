// What a call of a loss of each element says, for the CPU path's kernel
// (pointwise_loss_host.c).
#ifndef TUFF_OPS_POINTWISE_LOSS_H
#define TUFF_OPS_POINTWISE_LOSS_H
#include "ops/op.h"

typedef struct tuff_pointwise {
    int kind, reduction;          // tuff_loss_kind, tuff_loss_reduction
    int dloss, weight, positive;  // inputs, -1: none; dloss: it is a gradient
    float delta;
    size_t count;
} tuff_pointwise;
tuff_pointwise tuff_pointwise_of(const tuff_call *c);

bool tuff_pointwise_host_takes(const tuff_call *c);
size_t tuff_pointwise_host_units(const tuff_call *c, int stage);
size_t tuff_pointwise_host_scratch(const tuff_call *c);
void tuff_pointwise_host(const tuff_ref *r);
#define TUFF_POINTWISE_HOSTS                                                    \
    { { .name = "fast", .takes = tuff_pointwise_host_takes, .run = tuff_pointwise_host, \
        .units = tuff_pointwise_host_units, .scratch = tuff_pointwise_host_scratch } }
#endif
