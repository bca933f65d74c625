#version 450
#extension GL_GOOGLE_include_directive : require
// binarize_pack: the signs of 32 elements along a row as a word, bit 1 for what is not below 0;
// or with -DTERNARY ternarize: a word that says which elements are beyond the row's threshold,
// and one that says which of those are above 0. Bits past the end of a row are 0.
//
//   binding 0  x      f32, or with -DTEXEL a texel buffer      read
//   binding 1  limit  f32[rows]   read   anything without -DTERNARY
//   binding 2  y      uint [rows][words], or [rows][2][words]  write
//   spec 0     WG     workgroup size
//   spec 1     BY_ROW neighbouring invocations take neighbouring rows, else words
//   grid       rows * words / WG, folded
#include "common.glsl"
#include "divide.glsl"
#include "bits.glsl"
#include "abi/binary_pack.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool BY_ROW = false;
layout(push_constant) uniform Push { tuff_bits_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer x;
float load(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { float x[]; };
float load(uint i) { return x[i]; }
#endif
layout(binding = 1) readonly buffer Limit { float limit[]; };
layout(binding = 2) writeonly buffer Y { uint y[]; };

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint high = divide(i, pc.lanes), low = i - high * pc.lanes.by;
    const uint row = BY_ROW ? low : high, word = BY_ROW ? high : low;
    if (row >= pc.rows || word >= pc.words) return;
    const uint outer = divide(row, pc.step), step = pc.step.by;
    uint at = outer * pc.cols * step + row - outer * step + 32u * word * step;
    const uint n = min(pc.cols - 32u * word, 32u);
    uint bits = 0u, beyond = 0u;
#ifdef TERNARY
    const float least = limit[row];
#endif
    for (uint k = 0u; k < n; k++, at += step) {
        const float v = load(at);
        const uint bit = is_below_0(v) ? 0u : 1u;
#ifdef TERNARY
        const uint far = is_beyond(v, least) ? 1u : 0u;
        beyond |= far << k;
        bits |= (bit & far) << k;
#else
        bits |= bit << k;
#endif
    }
#ifdef TERNARY
    y[row * 2u * pc.words + word] = beyond;
    y[(row * 2u + 1u) * pc.words + word] = bits;
#else
    y[row * pc.words + word] = bits;
#endif
}
