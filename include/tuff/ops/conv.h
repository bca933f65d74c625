#ifndef TUFF_FAMILY_CONV_H
#define TUFF_FAMILY_CONV_H
#include <tuff/ops/matrix.h>
// Convolutions and their gradients.
// What <tuff/ops.h> says of all ops holds for these.

typedef struct tuff_conv2d_params {
    int stride[2];   // rows, columns; 0 = 1
    int pad[4];      // top, left, bottom, right (ONNX's order); zeros outside
    int dilation[2]; // 0 = 1
    int group;       // 0 = 1; divides C and O
    int act;         // tuff_act, applied last (forward only)
    int size[2];     // conv2d_input_grad: H, W of dx; conv2d_weight_grad: kh, kw. 0 = from
                     // the smallest x that gives dy / 1
} tuff_conv2d_params;

// y = act(conv(x, w) + bias + residual): cross-correlation as in ONNX Conv.
// x [N, C, H, W], w [O, C / group, kh, kw], bias [O] or NULL, residual y's shape or NULL,
// y [N, O, OH, OW] with OH = (H + pads - dilation (kh - 1) - 1) / stride + 1.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *w, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_conv2d_params *p);
// dx from dy [N, O, OH, OW] and w: the gradient of conv2d by x.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_input_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       const tuff_tensor *w, tuff_tensor *dx,
                                                       const tuff_conv2d_params *p);
// dw from x and dy: the gradient of conv2d by w.
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *dy,
                                                        tuff_tensor *dw,
                                                        const tuff_conv2d_params *p);
#endif
