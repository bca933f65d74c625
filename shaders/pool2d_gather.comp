#version 450
#extension GL_GOOGLE_include_directive : require
// Gradient of pooling by x: one invocation a cell of x, which adds what the windows that
// cover it send there. The same order of additions always: the same bits.
//
//   binding 0  dy  float[planes * oh * ow], or with -DTEXEL a texel buffer    read
//   binding 1  dx  float[planes * h * w]                                      read, write
//   binding 2  at  uint[planes * oh * ow], or a texel buffer                  read
//              -DMAX only: the cell of its plane that each window's gradient goes to
//   spec 0     WG      workgroup size
//   spec 1, 2  KH, KW  window
//   spec 3, 4  SH, SW  stride
//   spec 5, 6  NH, NW  windows that this launch sees, of those that may cover one cell
//   grid       ceil(count / WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "abi/pool2d.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint KH = 2;
layout(constant_id = 2) const uint KW = 2;
layout(constant_id = 3) const uint SH = 2;
layout(constant_id = 4) const uint SW = 2;
layout(constant_id = 5) const uint NH = 1;
layout(constant_id = 6) const uint NW = 1;
layout(push_constant) uniform Push { tuff_pool_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer dy;
#define DY(i) texelFetch(dy, int(i)).x
#else
layout(binding = 0) readonly buffer DY_ { float dy[]; };
#define DY(i) dy[i]
#endif
#if defined(MAX) && defined(TEXEL)
layout(binding = 2) uniform usamplerBuffer at;
#define AT(i) texelFetch(at, int(i)).x
#elif defined(MAX)
layout(binding = 2) readonly buffer At { uint at[]; };
#define AT(i) at[i]
#endif
layout(binding = 1) buffer DX { float dx[]; };

// Real cells along one axis of the window whose first cell is number `start` of the padded
// axis, when `pad` cells lie before the `size` real ones.
uint real_cells(uint start, uint kernel, uint pad, uint size)
{
    return min(start + kernel, pad + size) - max(start, pad);
}

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row_of_all = divide(i, pc.cols), plane = divide(row_of_all, pc.rows);
    const uint ix = i - row_of_all * pc.w, iy = row_of_all - plane * pc.h;
    const uint cell = iy * pc.w + ix;
    // Counted in the padded plane; windows oy .. last cover this row.
    const uint y = iy + pc.pad_top, x = ix + pc.pad_left;
    const uint first_row = (y < KH ? 0 : (y - KH) / SH + 1) + pc.row;
    const uint first_col = (x < KW ? 0 : (x - KW) / SW + 1) + pc.col;
    const uint end_row = min(y / SH + 1, pc.oh), end_col = min(x / SW + 1, pc.ow);

    float sum = pc.first != 0 ? 0.0 : dx[i];
    for (uint r = 0; r < NH; r++) {
        const uint oy = first_row + r;
        float of_row = 0.0; // rows are summed apart: short sums lose less
        for (uint c = 0; c < NW; c++) {
            const uint ox = first_col + c;
            if (oy >= end_row || ox >= end_col) continue;
            const uint window = (plane * pc.oh + oy) * pc.ow + ox;
#ifdef MAX
            if (AT(window) == cell) of_row += DY(window);
#else
            const float scale = pc.scale != 0.0 ? pc.scale
                : 1.0 / float(real_cells(oy * SH, KH, pc.pad_top, pc.h) *
                              real_cells(ox * SW, KW, pc.pad_left, pc.w));
            of_row += DY(window) * scale;
#endif
        }
        sum += of_row;
    }
    dx[i] = sum;
}
