// Where the inputs of conv_integer and qlinear_conv lie, and their kernels on the CPU path that
// are for processors with dot products of bytes (conv_dots_host.c, row_dots_host.c).
#ifndef TUFF_OPS_CONV_INTEGER_H
#define TUFF_OPS_CONV_INTEGER_H
#include "ops/conv.h"

// -1: it has none.
typedef struct tuff_qconv_inputs {
    int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
} tuff_qconv_inputs;
const tuff_qconv_inputs *tuff_qconv_inputs_of(const tuff_call *c);
tuff_conv tuff_qconv_of(const tuff_call *c);
// Bits of a weight: 8 of those that lie as bytes, fewer of packed ones (qlinear_conv_packed).
int tuff_qconv_bits(const tuff_call *c);
enum { TUFF_QCONV_SOME = 256 };
// Weights first .. first + n, at most TUFF_QCONV_SOME of them: where they lie, or in `room`.
const uint8_t *tuff_qconv_weights(const tuff_ref *r, int64_t first, int64_t n,
                                  uint8_t room[TUFF_QCONV_SOME]);
// An image of one pixel is a row, and its weights are too: what a dense layer is.
bool tuff_qconv_is_row(const tuff_conv *v);

#define TUFF_DOTS_HOST(kind)                                                    \
    bool tuff_##kind##_dots_takes(const tuff_call *c);                          \
    size_t tuff_##kind##_dots_units(const tuff_call *c, int stage);             \
    size_t tuff_##kind##_dots_scratch(const tuff_call *c);                      \
    size_t tuff_##kind##_dots_keeps(const tuff_call *c);                        \
    void tuff_##kind##_dots_run(const tuff_ref *r)
TUFF_DOTS_HOST(conv);
TUFF_DOTS_HOST(row);
TUFF_DOTS_HOST(bits); // rows of packed weights
#endif
