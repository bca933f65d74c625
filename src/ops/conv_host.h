// What the CPU path's fast convolutions have in common: a copy of an image with its pads round
// it, so that no kernel need look where x ends.
#ifndef TUFF_OPS_CONV_HOST_H
#define TUFF_OPS_CONV_HOST_H
#include "ops/conv.h"
#include "ops/product_host.h"

// Element i along an axis of the copy is element lo + i of x, or 0 where x has none.
typedef struct tuff_window {
    int64_t from[3], lo[3], size[3];
} tuff_window;

// Readers may look a few elements further than the last one.
enum { TUFF_WINDOW_MORE = 64 };
void tuff_window_copy(const tuff_window *w, const float *x, float *to);
// The window that a convolution reads.
tuff_window tuff_window_of(const tuff_conv *v);

// Convolutions whose groups have a channel each, on planes; false: not such a one.
bool tuff_conv_is_depthwise(const tuff_conv *v);
#endif
