// Read by the C compiler and by glslang: the only description of this layout.
#include "abi.h"

// Images [planes, h, w] and columns [planes, kh kw, oh ow]: tap (ky, kx) of the window (oy, ox)
// lies at (oy stride_y + ky step_y - top, ox stride_x + kx step_x - left).
struct tuff_im2col_pc {
    uint count; // elements written
    uint h, w, kh, kw, oh, ow;
    uint stride_y, stride_x, step_y, step_x;
    int top, left;
    uint first, taps; // col2im: the part of a sum that this launch takes
};
