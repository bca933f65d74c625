#version 450
#extension GL_GOOGLE_include_directive : require
// Maxima of windows of 8-bit numbers, four neighbours (a word of y) an invocation.
//
//   binding 0  x  8-bit numbers in words, with -DTEXEL a texel buffer  read
//   binding 1  y  8-bit numbers in words  write
//   spec 0     WG      workgroup size
//   spec 1, 2  KH, KW  rows and columns of a window
//   spec 3, 4  SH, SW  stride
//   spec 5     PAIRS   windows two wide whose two bytes are always of one word
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "divide.glsl"
#include "bytes.glsl"
#include "abi/quant.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const int KH = 2;
layout(constant_id = 2) const int KW = 2;
layout(constant_id = 3) const uint SH = 2;
layout(constant_id = 4) const uint SW = 2;
layout(push_constant) uniform Push { tuff_qpool_pc pc; };
layout(constant_id = 5) const bool PAIRS = false;
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer x;
uint word(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint word(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

int most_of(uint i)
{
    const uint above = divide(i, pc.cols), plane = divide(above, pc.rows);
    const int top = int((above - plane * pc.oh) * SH) - int(pc.pad_top);
    const int left = int((i - above * pc.ow) * SW) - int(pc.pad_left);
    const int end_row = min(top + KH, int(pc.h)), end_col = min(left + KW, int(pc.w));
    int most = pc.low;
    if (PAIRS) {
        uint at = (plane * pc.h + uint(top)) * pc.w + uint(left);
        for (int r = 0; r < KH; r++, at += pc.w) {
            const uint both = word(at >> 2);
            most = max(most, byte_at(both, at, pc.x_sign));
            most = max(most, byte_at(both, at + 1u, pc.x_sign));
        }
        return most;
    }
    for (int r = max(top, 0); r < end_row; r++)
        for (int c = max(left, 0); c < end_col; c++) {
            const uint at = (plane * pc.h + uint(r)) * pc.w + uint(c);
            most = max(most, byte_at(word(at >> 2), at, pc.x_sign));
        }
    return most;
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex, first = block * 4u;
    if (first >= pc.count) return;
    uint packed = 0u;
    for (uint k = 0u; k < 4u; k++) {
        if (first + k >= pc.count) break;
        packed |= (uint(most_of(first + k)) & 0xffu) << k * 8u;
    }
    y[block] = packed;
}
