#version 450
#extension GL_GOOGLE_include_directive : require
// Pooling: one invocation an element of y.
//
//   binding 0  x  float[planes * h * w], or with -DTEXEL a texel buffer    read
//   binding 1  y  float[planes * oh * ow] (argmax: uint)                   read, write
//   spec 0     WG      workgroup size
//   spec 1, 2  KH, KW  rows and columns of a window that this launch sees
//   spec 3, 4  SH, SW  stride
//   spec 5     MODE    TUFF_POOL_...
//   spec 6     INSIDE  no window reaches over the edge
//   grid       ceil(count / WG), folded
//
// A cell of the padding stands for the nearest real one, which is in the window too: that
// changes no maximum, nor which cell is its first, and needs no branch. The mean weighs it 0.
#include "common.glsl"
#include "math.glsl"
#include "divide.glsl"
#include "abi/pool2d.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const int KH = 2;
layout(constant_id = 2) const int KW = 2;
layout(constant_id = 3) const uint SH = 2;
layout(constant_id = 4) const uint SW = 2;
layout(constant_id = 5) const uint MODE = TUFF_POOL_MAX;
layout(constant_id = 6) const bool INSIDE = false;
layout(push_constant) uniform Push { tuff_pool_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
#define X(i) texelFetch(x, int(i)).x
#else
layout(binding = 0) readonly buffer X_ { float x[]; };
#define X(i) x[i]
#endif
layout(binding = 1) buffer Y { uint y[]; }; // bits: a small index must not be flushed to 0

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row_of_all = divide(i, pc.cols), plane = divide(row_of_all, pc.rows);
    const uint ox = i - row_of_all * pc.ow, oy = row_of_all - plane * pc.oh;
    const uint base = plane * pc.h * pc.w;
    // The window's corner; may lie in the padding.
    const int top = int(oy * SH + pc.row) - int(pc.pad_top);
    const int left = int(ox * SW + pc.col) - int(pc.pad_left);
    const int bottom = int(pc.h) - 1, right = int(pc.w) - 1;

    uint at = base + uint(clamp(top, 0, bottom)) * pc.w + uint(clamp(left, 0, right));
    float best = NEG_INF, sum = 0.0;
    if (pc.first == 0) {
        at = MODE == TUFF_POOL_ARGMAX ? base + y[i] : at;
        best = MODE == TUFF_POOL_ARGMAX ? X(at) : uintBitsToFloat(y[i]);
        sum = uintBitsToFloat(y[i]);
    }
    // Of large windows a mean visits the real cells alone; small ones are faster unrolled.
    const bool real = MODE == TUFF_POOL_MEAN && !INSIDE && KH * KW > 256;
    const int first_row = real ? max(-top, 0) : 0, first_col = real ? max(-left, 0) : 0;
    const int end_row = real ? min(KH, bottom + 1 - top) : KH;
    const int end_col = real ? min(KW, right + 1 - left) : KW;
    for (int r = first_row; r < end_row; r++) {
        const int iy = INSIDE ? top + r : clamp(top + r, 0, bottom);
        float of_row = 0.0; // rows are summed apart: short sums lose less
        for (int c = first_col; c < end_col; c++) {
            const int ix = INSIDE ? left + c : clamp(left + c, 0, right);
            const uint cell = base + uint(iy) * pc.w + uint(ix);
            const float v = X(cell);
            if (MODE == TUFF_POOL_MEAN) {
                of_row += INSIDE || (iy == top + r && ix == left + c) ? v : 0.0;
            } else if (v > best || is_nan(v)) {
                best = v;
                at = cell;
            }
        }
        sum += of_row;
    }
    if (MODE == TUFF_POOL_ARGMAX) {
        y[i] = at - base;
    } else if (MODE == TUFF_POOL_MAX) {
        y[i] = floatBitsToUint(best);
    } else if (pc.last == 0 || pc.scale != 0.0) {
        y[i] = floatBitsToUint(pc.last == 0 ? sum : sum * pc.scale);
    } else {
        // The last part ends where the window does; the window's own corner is its start.
        const int rows = min(top + KH, int(pc.h)) - max(top - int(pc.row), 0);
        const int cols = min(left + KW, int(pc.w)) - max(left - int(pc.col), 0);
        y[i] = floatBitsToUint(sum / float(rows * cols));
    }
}
