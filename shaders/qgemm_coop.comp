#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_8bit_storage : require
// An integer product on GPUs with cooperative matrices, from packed operands: i8 factors, sums
// in i32 that wrap round. u8 numbers were made i8 by packing; zero points are taken off at the
// end, as in qgemm_tile.comp:
//   sum (a - u)(b - v) = sum a b - v sum a - u sum b + K u v
// which holds of a part of the sum as well. Parts lie one behind the other, for requant.comp.
// With REQUANT y is bytes, made of the sums at once (requant.glsl).
//
//   binding 0  left    words of i8 [m][quads]  read
//   binding 1  right   words of i8 [n][quads]  read
//   binding 2  y       i32[splits][count], or bytes     write
//   binding 3  left_zero, binding 4 right_zero                texels, bytes in words
//   binding 5  left_scale  texels, f32
//   binding 6  extra: right_scale, f32, or with has_bias the bias, i32[m]   texels, words
//   binding 7  y_scale, binding 8 right_scale where extra is the bias       texels, f32
//   binding 9  y_zero      texels, bytes in words; 5 to 9: anything without REQUANT
//   spec 0 to 7   gemm_load.glsl; both operands lie along k, by fours
//   spec 8        REQUANT
//   spec 9 to 14  gemm_coop.glsl
//   grid       column tiles x row tiles x splits, folded
#include "common.glsl"
#include "bytes.glsl"
#include "divide.glsl"
#include "requant.glsl"
#include "abi/qgemm.h"
layout(push_constant) uniform Push { tuff_qcoop_pc pc; };
layout(constant_id = 8) const bool REQUANT = false;
layout(binding = 0) readonly buffer Left { int left[]; };
layout(binding = 1) readonly buffer Right { int right[]; };
layout(binding = 2) writeonly buffer Y { int y[]; };
layout(binding = 2) writeonly buffer Bytes { uint8_t y_bytes[]; };
layout(binding = 3) uniform usamplerBuffer left_zero;
layout(binding = 4) uniform usamplerBuffer right_zero;
layout(binding = 5) uniform samplerBuffer left_scale;
layout(binding = 6) uniform usamplerBuffer extra;
layout(binding = 7) uniform samplerBuffer y_scale;
layout(binding = 8) uniform samplerBuffer right_scale;
layout(binding = 9) uniform usamplerBuffer y_zero;

#define BYTES
#define REAL  int8_t
#define REAL4 i8vec4
struct Row { uint at; };
struct Col { uint at; };
struct Inner { uint quad; };
Row row_of(uint row) { return Row(row * pc.g.quads); }
Col col_of(uint col) { return Col(col * pc.g.quads); }
Inner inner_of(uint k) { return Inner(k / 4); }
#define HAS_A_QUAD
REAL4 load_a4(Row r, Inner i) { return unpack8(left[r.at + i.quad]); }
#define HAS_B_QUAD
REAL4 load_b4(Inner i, Col c) { return unpack8(right[c.at + i.quad]); }
REAL load_a(Row r, Inner i) { return load_a4(r, i).x; } // never asked for
REAL load_b(Inner i, Col c) { return load_b4(i, c).x; }

// What zero points are when u8 numbers had 128 taken off.
int zero_of(usamplerBuffer zeros, uint count, uint sign, uint i)
{
    if (count == 0u) return sign == 0u ? -128 : 0;
    if (count == 1u) i = 0u;
    return byte_at(texelFetch(zeros, int(i >> 2)).x, i, sign) - (sign == 0u ? 128 : 0);
}

uint of_sum; // products of the part that is made; set by gemm_coop.glsl
const uint EDGE = 128; // of the largest tile
shared int all_a[EDGE], all_b[EDGE]; // sums of the factors of a row, of a column

Factor factor_at(uint row, uint i)
{
    const uint above = divide(i, pc.r.row_step);
    const uint from = above - divide(above, pc.r.rows) * pc.r.rows.by;
    const float a = texelFetch(left_scale, int(pc.r.left_scales == 1u ? 0u : from)).x;
    float b;
    if (pc.r.has_bias != 0u) b = texelFetch(right_scale, 0).x;
    else if (pc.r.right_scales == 1u) b = uintBitsToFloat(texelFetch(extra, 0).x);
    else b = uintBitsToFloat(
             texelFetch(extra, int(i - divide(i, pc.r.cols) * pc.r.cols.by)).x);
    return factor_from(a, b, texelFetch(y_scale, 0).x);
}

void gemm_store(uint row, uint col, uint split, int v)
{
    const uint place = pc.g.first + col, image = place / pc.g.plane;
    const int u = zero_of(left_zero, pc.g.left_zeros, pc.g.left_sign, row);
    const int z = zero_of(right_zero, pc.g.right_zeros, pc.g.right_sign, place);
    v += int(of_sum) * u * z - z * all_a[row % EDGE] - u * all_b[col % EDGE];
    const uint i = image * pc.g.image_step + row * pc.g.plane + (place - image * pc.g.plane);
    if (!REQUANT) {
        y[split * pc.r.count + i] = v;
        return;
    }
    const int zero = byte_at(texelFetch(y_zero, 0).x, 0u, pc.r.zero_sign);
    const int low = pc.r.relu != 0u ? max(pc.r.low, zero) : pc.r.low;
    if (pc.r.has_bias != 0u) {
        const uint above = divide(i, pc.r.row_step);
        v += int(texelFetch(extra, int(above - divide(above, pc.r.rows) * pc.r.rows.by)).x);
    }
    y_bytes[i] = uint8_t(requant(v, factor_at(row, i), zero, low, pc.r.high));
}
#include "gemm_coop.glsl"
