#ifndef TUFF_FAMILY_CONV_H
#define TUFF_FAMILY_CONV_H
#include <tuff/ops/matrix.h>
#include <tuff/ops/pool.h>
// Convolutions over one, two or three spatial dims, and their gradients.
// What <tuff/ops.h> says of all ops holds for these.
//
//              conv1d        conv2d            conv3d
//   x          [N, C, L]     [N, C, H, W]      [N, C, D, H, W]
//   w          [O, C / group, k...], a size for each spatial dim
//   y          [N, O, ...], each size (x + pads - dilation (k - 1) - 1) / stride + 1

// Of `stride` and its like, as many as there are spatial dims are read, outermost first.
typedef struct tuff_conv_params {
    int stride[3];   // 0 = 1
    int pad[6];      // before x in each dim, then behind it (ONNX's order); zeros outside
    int dilation[3]; // 0 = 1
    int group;       // 0 = 1; divides C and O
    int act;         // tuff_act, applied last; no gradient op has one
    int size[3];     // input_grad: dx's; weight_grad: the kernel's; conv_transpose: y's.
                     // 0 = the smallest x that gives dy / 1 / as output_padding says
    int kernel[3];   // ONNX kernel_shape: must be w's; 0 = whatever w has
    int auto_pad;    // tuff_auto_pad, of y; beside it `pad` is zero
    int output_padding[3]; // conv_transpose: so much more of y at the end
    bool fast;       // kernels with some five times the rounding of a plain sum may be taken:
                     // within 2e-5 of (|y| + rms(y)) where they keep to 1e-5 else; and f16
                     // operands as matmul's `fast` says
} tuff_conv_params;

// y = act(conv(x, w) + bias + residual): cross-correlation, as in ONNX Conv and PyTorch.
// bias [O] or NULL; residual y's shape or NULL; y may be the residual.
TUFF_API TUFF_CHECK tuff_status tuff_conv1d(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *w, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv2d(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *w, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv3d(tuff_stream *s, const tuff_tensor *x,
                                            const tuff_tensor *w, const tuff_tensor *bias,
                                            const tuff_tensor *residual, tuff_tensor *y,
                                            const tuff_conv_params *p);

// conv2d between images in blocks of four channels, [N, C / 4, H, W, 4], where y is in such
// blocks too, [N, O / 4, H', W', 4], or [N, O, H', W'] with `planes`; x is one of both. C, and
// O with blocks, are multiples of 4; one group; a sum has at most 16,384 products. Programs use
// it between convolutions. bias [O] or NULL. It has no gradient.
typedef struct tuff_conv_blocked_params {
    tuff_conv_params conv;
    bool planes;
} tuff_conv_blocked_params;
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_blocked(tuff_stream *s, const tuff_tensor *x,
                                                    const tuff_tensor *w,
                                                    const tuff_tensor *bias, tuff_tensor *y,
                                                    const tuff_conv_blocked_params *p);

// dx from dy (y's shape) and w: the gradient by x. That by bias is the sum of dy over all but
// channels (tuff_reduce_sum).
TUFF_API TUFF_CHECK tuff_status tuff_conv1d_input_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       const tuff_tensor *w, tuff_tensor *dx,
                                                       const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_input_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       const tuff_tensor *w, tuff_tensor *dx,
                                                       const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv3d_input_grad(tuff_stream *s, const tuff_tensor *dy,
                                                       const tuff_tensor *w, tuff_tensor *dx,
                                                       const tuff_conv_params *p);

// dw from x and dy: the gradient by w.
TUFF_API TUFF_CHECK tuff_status tuff_conv1d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *dy,
                                                        tuff_tensor *dw,
                                                        const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv2d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *dy,
                                                        tuff_tensor *dw,
                                                        const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv3d_weight_grad(tuff_stream *s, const tuff_tensor *x,
                                                        const tuff_tensor *dy,
                                                        tuff_tensor *dw,
                                                        const tuff_conv_params *p);

// y = act(w spread from every x + bias + residual): ONNX ConvTranspose, PyTorch
// ConvTranspose1d to 3d; the gradient by x of a convolution, as an op of its own.
// x [N, C, ...], w [C, O / group, k...], y [N, O, ...], each size
// stride (x - 1) + output_padding + dilation (k - 1) + 1 - pads, or as `size` says: then pads
// are found that make it so, whatever `pad` says, of an odd number one more before y, with
// SAME_UPPER behind it. With SAME a size that is not given is stride x.
TUFF_API TUFF_CHECK tuff_status tuff_conv_transpose1d(tuff_stream *s, const tuff_tensor *x,
                                                      const tuff_tensor *w,
                                                      const tuff_tensor *bias,
                                                      const tuff_tensor *residual,
                                                      tuff_tensor *y,
                                                      const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv_transpose2d(tuff_stream *s, const tuff_tensor *x,
                                                      const tuff_tensor *w,
                                                      const tuff_tensor *bias,
                                                      const tuff_tensor *residual,
                                                      tuff_tensor *y,
                                                      const tuff_conv_params *p);
TUFF_API TUFF_CHECK tuff_status tuff_conv_transpose3d(tuff_stream *s, const tuff_tensor *x,
                                                      const tuff_tensor *w,
                                                      const tuff_tensor *bias,
                                                      const tuff_tensor *residual,
                                                      tuff_tensor *y,
                                                      const tuff_conv_params *p);
#endif
