#version 450
#extension GL_GOOGLE_include_directive : require
// Gradient of max pooling by x where windows do not overlap: one invocation a window, which
// writes every cell from its window's corner to the next one's (the last: to the edge).
//
//   binding 0  x   float[planes * h * w], or with -DTEXEL a texel buffer      read
//   binding 1  dy  float[planes * oh * ow], or with -DTEXEL a texel buffer    read
//   binding 2  dx  float[planes * h * w]                                      write
//   spec 0     WG      workgroup size
//   spec 1, 2  KH, KW  window
//   spec 3, 4  SH, SW  stride
//   spec 5, 6  RH, RW  cells written at most
//   spec 7     EXACT   these are the window, which never reaches over the edge
//   grid       ceil(count / WG), folded
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
layout(constant_id = 5) const int RH = 2;
layout(constant_id = 6) const int RW = 2;
layout(constant_id = 7) const bool EXACT = false;
layout(push_constant) uniform Push { tuff_pool_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
layout(binding = 1) uniform samplerBuffer dy;
#define X(i) texelFetch(x, int(i)).x
#define DY(i) texelFetch(dy, int(i)).x
#else
layout(binding = 0) readonly buffer X_ { float x[]; };
layout(binding = 1) readonly buffer DY_ { float dy[]; };
#define X(i) x[i]
#define DY(i) dy[i]
#endif
layout(binding = 2) writeonly buffer DX { float dx[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row_of_all = divide(i, pc.cols), plane = divide(row_of_all, pc.rows);
    const uint ox = i - row_of_all * pc.ow, oy = row_of_all - plane * pc.oh;
    const uint base = plane * pc.h * pc.w;
    const int top = int(oy * SH) - int(pc.pad_top), left = int(ox * SW) - int(pc.pad_left);
    const int bottom = int(pc.h) - 1, right = int(pc.w) - 1;

    // As in pool2d.comp: the padding stands for the nearest real cell.
    uint at = base + uint(max(top, 0)) * pc.w + uint(max(left, 0));
    float best = NEG_INF;
    for (int r = 0; r < KH; r++) {
        const int iy = EXACT ? top + r : clamp(top + r, 0, bottom);
        for (int c = 0; c < KW; c++) {
            const int ix = EXACT ? left + c : clamp(left + c, 0, right);
            const uint cell = base + uint(iy) * pc.w + uint(ix);
            const float v = X(cell);
            if (v > best || is_nan(v)) {
                best = v;
                at = cell;
            }
        }
    }
    const float d = DY(i);
    const int end_row = oy + 1 == pc.oh ? int(pc.h) : top + int(SH);
    const int end_col = ox + 1 == pc.ow ? int(pc.w) : left + int(SW);
    for (int r = 0; r < RH; r++) {
        const int iy = top + r;
        for (int c = 0; c < RW; c++) {
            const int ix = left + c;
            const uint cell = base + uint(iy) * pc.w + uint(ix);
            if (EXACT || (iy >= 0 && iy < end_row && ix >= 0 && ix < end_col))
                dx[cell] = cell == at ? d : 0.0;
        }
    }
}
