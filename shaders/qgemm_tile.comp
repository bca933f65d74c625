#version 450
#extension GL_GOOGLE_include_directive : require
// An integer product on GPUs, from packed operands: 64 x 64 outputs by a workgroup, 4 x 4 by an
// invocation, 16 products of each sum at a time in shared memory.
//
// With -DDOT words of four i8 are multiplied and added by one instruction, and zero points are
// taken off at the end:
//   sum (a - u)(b - v) = sum a b - v sum a - u sum b + K u v
// Without, differences are taken as floats at once: GPUs multiply those faster than integers,
// and 256 products, of at most 255^2 each, are exact.
//
// With -DXNOR words are 32 signs each, and y the products of binary_matmul; see
// xnor_texel.comp.
//
//   binding 0  left    words of i8 [m][quads]     read
//   binding 1  right   words of i8 [n][quads]     read
//   binding 2  y       i32[], with -DXNOR f32[]   write
//   binding 3  left_zero, binding 4 right_zero    texels, bytes in words; with -DXNOR scales,
//                                                 f32 each; anything when there are none (pc)
//   grid       column tiles x row tiles, folded
// Elements past the end of k are zero points: they add nothing.
#include "common.glsl"
#include "bytes.glsl"
#include "abi/qgemm.h"
#ifdef DOT
#extension GL_EXT_spirv_intrinsics : require
// OpSDot, for which this GLSL has no name; DotProduct and DotProductInput4x8BitPacked.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019],
                  id = 4450)
int dot_4x8(uint a, uint b, spirv_literal int packed_format);
#define DOT_4X8(a, b) dot_4x8(a, b, 0)
#endif
layout(local_size_x = 256) in;
#ifdef XNOR
#include "abi/xnor.h"
layout(push_constant) uniform Push { tuff_xnor_pc pc; };
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer left_scale;
layout(binding = 4) uniform samplerBuffer right_scale;
#define QUADS pc.words
#define PRODUCTS(a, b) bitCount((a) ^ (b))
#else
layout(push_constant) uniform Push { tuff_qgemm_pc pc; };
layout(binding = 2) writeonly buffer Y { int y[]; };
layout(binding = 3) uniform usamplerBuffer left_zero;
layout(binding = 4) uniform usamplerBuffer right_zero;
#define QUADS pc.quads
#define PRODUCTS(a, b) DOT_4X8(a, b)
#endif
#if defined(DOT) || defined(XNOR)
#define WORDS
#endif
layout(binding = 0) readonly buffer Left { uint left[]; };
layout(binding = 1) readonly buffer Right { uint right[]; };

const uint TILE = 64, STEP = 4; // words of a row at a time

#ifndef XNOR
int left_zero_at(uint row)
{
    if (pc.left_zeros == 0u) return 0;
    const uint i = pc.left_zeros == 1u ? 0u : row;
    return byte_at(texelFetch(left_zero, int(i >> 2)).x, i, pc.left_sign);
}

int right_zero_at(uint col)
{
    if (pc.right_zeros == 0u) return 0;
    const uint i = pc.right_zeros == 1u ? 0u : col;
    return byte_at(texelFetch(right_zero, int(i >> 2)).x, i, pc.right_sign);
}

#endif

#ifdef WORDS
shared uint a_tile[STEP * TILE], b_tile[STEP * TILE];
#else
shared float a_tile[4 * STEP * TILE], b_tile[4 * STEP * TILE];

// A word of i8 as floats, less the zero point; u8 numbers had 128 taken off.
vec4 floats_of(uint w, int zero, uint sign)
{
    const ivec4 v = ivec4(w << 24, w << 16, w << 8, w) >> 24;
    return vec4(v - (sign == 0u ? zero - 128 : zero));
}
#endif

void main()
{
    const uint cols = (pc.n + TILE - 1) / TILE;
    const uint row0 = group_index() / cols * TILE, col0 = group_index() % cols * TILE;
    if (row0 >= pc.m) return; // the whole workgroup leaves together
    const uint t = gl_LocalInvocationIndex;

    // This invocation carries word `word` of one row and of one column, and computes rows
    // ty, ty + 16, ... and columns tx, tx + 16, ... of the tile.
    const uint line = t / STEP, word = t % STEP, tx = t % 16, ty = t / 16;
    const uint a_row = min(row0 + line, pc.m - 1), b_row = min(col0 + line, pc.n - 1);
    const uint a_at = a_row * QUADS, b_at = b_row * QUADS;
    int sum[16];
    for (int i = 0; i < 16; i++) sum[i] = 0;
#ifdef DOT
    int a_sum = 0, b_sum = 0;
#endif
#ifndef WORDS
    const int a_zero = left_zero_at(a_row), b_zero = right_zero_at(pc.first + b_row);
    float part[16];
    for (int i = 0; i < 16; i++) part[i] = 0.0;
#endif

    for (uint q = 0; q < QUADS; q += STEP) {
        const bool there = q + word < QUADS;
        const uint a = there ? left[a_at + q + word] : 0u;
        const uint b = there ? right[b_at + q + word] : 0u;
        barrier();
#ifdef WORDS
        a_tile[word * TILE + line] = a;
        b_tile[word * TILE + line] = b;
#ifdef DOT
        a_sum += DOT_4X8(a, 0x01010101u);
        b_sum += DOT_4X8(b, 0x01010101u);
#endif
        barrier();
        for (uint k = 0; k < STEP; k++) {
            uint x[4], z[4];
            for (uint i = 0; i < 4; i++) {
                x[i] = a_tile[k * TILE + ty + 16 * i];
                z[i] = b_tile[k * TILE + tx + 16 * i];
            }
            for (uint i = 0; i < 4; i++)
                for (uint j = 0; j < 4; j++) sum[4 * i + j] += PRODUCTS(x[i], z[j]);
        }
#else
        const vec4 av = there ? floats_of(a, a_zero, pc.left_sign) : vec4(0.0);
        const vec4 bv = there ? floats_of(b, b_zero, pc.right_sign) : vec4(0.0);
        for (uint k = 0; k < 4; k++) {
            a_tile[(4 * word + k) * TILE + line] = av[k];
            b_tile[(4 * word + k) * TILE + line] = bv[k];
        }
        barrier();
        for (uint k = 0; k < 4 * STEP; k++) {
            float x[4], z[4];
            for (uint i = 0; i < 4; i++) {
                x[i] = a_tile[k * TILE + ty + 16 * i];
                z[i] = b_tile[k * TILE + tx + 16 * i];
            }
            for (uint i = 0; i < 4; i++)
                for (uint j = 0; j < 4; j++) part[4 * i + j] += x[i] * z[j];
        }
        if ((q / STEP & 15u) == 15u || q + STEP >= QUADS) // 256 products, or the end
            for (int i = 0; i < 16; i++) {
                sum[i] += int(part[i]);
                part[i] = 0.0;
            }
#endif
    }

#ifdef DOT
    // The sums of a row's elements, from the invocations that carried them.
    barrier();
    a_tile[word * TILE + line] = uint(a_sum);
    b_tile[word * TILE + line] = uint(b_sum);
    barrier();
    const int k_all = int(4 * pc.quads);
#endif
    for (uint i = 0; i < 4; i++) {
        const uint row = row0 + ty + 16 * i;
        if (row >= pc.m) break;
#ifdef DOT
        const int u = left_zero_at(row) - (pc.left_sign == 0u ? 128 : 0);
        int a_all = 0;
        for (uint k = 0; k < STEP; k++) a_all += int(a_tile[k * TILE + ty + 16 * i]);
#endif
        for (uint j = 0; j < 4; j++) {
            const uint n = col0 + tx + 16 * j;
            if (n >= pc.n) break;
#ifdef XNOR
            float s = 1.0;
            if (pc.left_scales != 0u) s = texelFetch(left_scale, int(row)).x;
            if (pc.right_scales != 0u) s *= texelFetch(right_scale, int(n)).x;
            y[row * pc.n + n] = float(int(pc.k) - 2 * sum[4 * i + j]) * s;
#else
            const uint col = pc.first + n, image = col / pc.plane;
            int v = sum[4 * i + j];
#ifdef DOT
            const int z = right_zero_at(col) - (pc.right_sign == 0u ? 128 : 0);
            int b_all = 0;
            for (uint k = 0; k < STEP; k++) b_all += int(b_tile[k * TILE + tx + 16 * j]);
            v += k_all * u * z - z * a_all - u * b_all;
#endif
            y[image * pc.image_step + row * pc.plane + (col - image * pc.plane)] = v;
#endif
        }
    }
}
