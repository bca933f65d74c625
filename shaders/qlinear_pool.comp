#version 450
#extension GL_GOOGLE_include_directive : require
// Means of windows of 8-bit numbers as 8-bit numbers, four neighbours (a word of y) an
// invocation. Sums are i32; a window that takes several launches keeps its sum in between.
//
//   binding 0  x     8-bit numbers in words, or with -DTEXEL texels   read
//   binding 1  sums  i32[count]; not touched where one launch is all  read, write
//   binding 2  y     8-bit numbers in words                           write, by the last launch
//   binding 3, 4     scales of x and y: texels
//   binding 5, 6     zero points of x and y (bytes): texels
//   spec 0     WG      workgroup size
//   spec 1, 2  KH, KW  rows and columns of a window that this launch sees
//   spec 3, 4  SH, SW  stride
//   spec 5, 6  WH, WW  rows and columns of the whole window
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "requant.glsl"
#include "divide.glsl"
#include "bytes.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const int KH = 2;
layout(constant_id = 2) const int KW = 2;
layout(constant_id = 3) const uint SH = 2;
layout(constant_id = 4) const uint SW = 2;
layout(constant_id = 5) const int WH = 2;
layout(constant_id = 6) const int WW = 2;
layout(push_constant) uniform Push { tuff_qpool_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
#define WORD(i) texelFetch(x, int(i)).x
#else
layout(binding = 0) readonly buffer X { uint x[]; };
#define WORD(i) x[i]
#endif
layout(binding = 1) buffer Sums { int sums[]; };
layout(binding = 2) writeonly buffer Y { uint y[]; };
layout(binding = 3) uniform samplerBuffer x_scale;
layout(binding = 4) uniform samplerBuffer y_scale;
layout(binding = 5) uniform usamplerBuffer x_zero;
layout(binding = 6) uniform usamplerBuffer y_zero;

// The sum over this launch's part of window i, and the real cells of the whole window.
int sum_of(uint i, int zero, out uint cells)
{
    const uint above = divide(i, pc.cols), plane = divide(above, pc.rows);
    const int top = int((above - plane * pc.oh) * SH) - int(pc.pad_top);
    const int left = int((i - above * pc.ow) * SW) - int(pc.pad_left);
    const int h = int(pc.h), w = int(pc.w);
    const int rows = min(top + WH, h) - max(top, 0), cols = min(left + WW, w) - max(left, 0);
    const int first_row = max(top + int(pc.row), 0);
    const int first_col = max(left + int(pc.col), 0);
    const int end_row = min(top + int(pc.row) + KH, h);
    const int end_col = min(left + int(pc.col) + KW, w);
    int sum = 0;
    for (int r = first_row; r < end_row; r++)
        for (int c = first_col; c < end_col; c++) {
            const uint at = (plane * pc.h + uint(r)) * pc.w + uint(c);
            sum += byte_at(WORD(at >> 2), at, pc.x_sign) - zero;
        }
    cells = uint(max(rows, 0) * max(cols, 0));
    return sum;
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    const int zero = byte_at(texelFetch(x_zero, 0).x, 0u, pc.x_sign);
    const int to = byte_at(texelFetch(y_zero, 0).x, 0u, pc.y_sign);
    uint packed = 0u;
    for (uint k = 0u; k < 4u; k++) {
        const uint i = first + k;
        if (i >= pc.count) break;
        uint cells;
        int sum = sum_of(i, zero, cells);
        if (pc.first == 0u) sum += sums[i];
        if (pc.last == 0u) {
            sums[i] = sum;
            continue;
        }
        if (pc.cells != 0u) cells = pc.cells;
        const float by = texelFetch(y_scale, 0).x * float(cells);
        const Factor f = factor_from(texelFetch(x_scale, 0).x, 1.0, by);
        packed |= (uint(requant(sum, f, to, pc.low, pc.high)) & 0xffu) << k * 8u;
    }
    if (pc.last != 0u) y[block] = packed;
}
