// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// binary_matmul: m rows of a, n rows of b, `words` words of `k` bits each. binary_conv2d: m
// rows of w and n pixels written; a tap has `words` words of k channels.
struct tuff_xnor_pc {
    uint m, n, words, k;
    uint left_scales, right_scales; // 0: none
    uint from_h, from_w, to_h, to_w, kh, kw;
    uint stride_y, stride_x;
    int pad_y, pad_x;
    uint dilation_y, dilation_x;
};
