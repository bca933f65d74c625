// Read by the C compiler and by glslang: the only description of these layouts.
#include "divide.h"

// One axis: element o of y lies at q + r / den of x, counted from x's element -shift, where
// mul o + add = q den + r and 0 <= r < den. The taps that it takes begin at q.
struct tuff_resize_axis {
    uint size;       // of x
    uint mul, add, shift;
    tuff_divide den;
};
#ifndef GL_core_profile
typedef struct tuff_resize_axis tuff_resize_axis;
#endif

// x [outer, h, w, inner] to y [outer, rows, cols, inner].
struct tuff_resize_pc {
    uint count; // elements of y
    float a;    // of cubic weights
    tuff_resize_axis h, w;
    tuff_divide rows, cols, inner;
};

// dy [outer, outs, inner] to dx [outer, axis.size, inner].
struct tuff_resize_grad_pc {
    uint count; // elements of dx
    float a;
    uint outs;               // elements of dy along the dim
    uint from, turns;        // the part of a sum that this launch takes; the first begins it
    uint step_q, step_r;     // mul = step_q den + step_r
    tuff_resize_axis axis;
    tuff_divide size, inner;
};
