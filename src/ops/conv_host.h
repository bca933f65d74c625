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

// Bias, residual (or NULL) and activation of so many outputs.
#define TUFF_CONV_PUT(count)                                                    \
    TUFF_EACH_PROCESSOR void tuff_conv_put_##count(const float *sum, float bias, \
                                                   const float *residual, int act, float *y) \
    {                                                                           \
        typedef float some __attribute__((vector_size(4 * (count))));           \
        typedef int32_t mask __attribute__((vector_size(4 * (count))));         \
        some v, more;                                                           \
        memcpy(&v, sum, sizeof v);                                              \
        v += bias;                                                              \
        if (residual) {                                                         \
            memcpy(&more, residual, sizeof more);                               \
            v += more;                                                          \
        }                                                                       \
        if (act == TUFF_ACT_RELU) v = (some)((mask)v & ~(v <= (some){ 0 }));    \
        else if (act != TUFF_ACT_NONE)                                          \
            for (int i = 0; i < (count); i++) v[i] = tuff_act_host(v[i], act);  \
        memcpy(y, &v, sizeof v);                                                \
    }
TUFF_CONV_PUT(8)
TUFF_CONV_PUT(4)

// The same of `n` outputs side by side.
TUFF_EACH_PROCESSOR void tuff_conv_put(const float *sum, int64_t n, float bias,
                                       const float *residual, int act, float *y)
{
    int64_t j = 0;
    for (; j + 8 <= n; j += 8)
        tuff_conv_put_8(sum + j, bias, residual ? residual + j : NULL, act, y + j);
    for (; j + 4 <= n; j += 4)
        tuff_conv_put_4(sum + j, bias, residual ? residual + j : NULL, act, y + j);
    for (; j < n; j++) {
        const float v = sum[j] + bias + (residual ? residual[j] : 0);
        y[j] = act == TUFF_ACT_RELU ? (v <= 0 ? 0 : v) : tuff_act_host(v, act);
    }
}

// Convolutions whose groups have a channel each, on planes; false: not such a one.
bool tuff_conv_is_depthwise(const tuff_conv *v);
#endif
