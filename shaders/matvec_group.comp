#version 450
#extension GL_GOOGLE_include_directive : require
// Matrix x vector on GPUs: the matrix is read once, at the speed of memory.
//
//   LONG_K   a workgroup takes 4 rows; its 64 invocations go along k, four products each, so
//            that neighbours read neighbours, and four rows are on their way at once
//   else     a workgroup takes 64 rows; 16 invocations beside each other read 4 each, and 4
//            such groups go along k, four products at a time
//
// What the invocations have summed is added up in shared memory, always in one order.
//
//   bindings  gemm.glsl; a is the matrix, b the vectors
//   spec 0    WG  workgroup size, 64
//   spec 1..  matvec.glsl
//   spec 5    TYPE  TUFF_ELEMENT_... of a and b: f16 and bf16 lie two in a word
//   grid      row tiles x batches x splits, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
#include "matvec.glsl"
#include "gemm.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 5) const uint TYPE = TUFF_ELEMENT_F32;
layout(binding = 0) readonly buffer A1 { uint a1[]; };
layout(binding = 1) readonly buffer B1 { uint b1[]; };
layout(binding = 0) readonly buffer A2 { uvec2 a2[]; };
layout(binding = 1) readonly buffer B2 { uvec2 b2[]; };
layout(binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(binding = 1) readonly buffer B4 { vec4 b4[]; };

const uint ROWS = 4, LANES = 16;
const uint TILE = LONG_K ? ROWS : 4 * LANES; // rows of a workgroup
shared vec4 part[WG * VECS];

// The two elements of a word of halves.
vec2 halves(uint w)
{
    if (TYPE == TUFF_ELEMENT_F16) return unpackHalf2x16(w);
    return vec2(uintBitsToFloat(w << 16), uintBitsToFloat(w & 0xffff0000u));
}

float half_at(uint word, uint i)
{
    const vec2 v = halves(word);
    return (i & 1) == 0 ? v.x : v.y;
}

vec4 four(uvec2 w) { return vec4(halves(w.x), halves(w.y)); }

float matrix(uint i) { return TYPE == TUFF_ELEMENT_F32 ? a[i] : half_at(a1[i / 2], i); }
float vector(uint i) { return TYPE == TUFF_ELEMENT_F32 ? b[i] : half_at(b1[i / 2], i); }
vec4 matrix4(uint i) { return TYPE == TUFF_ELEMENT_F32 ? a4[i / 4] : four(a2[i / 4]); }
vec4 vector4(uint i) { return TYPE == TUFF_ELEMENT_F32 ? b4[i / 4] : four(b2[i / 4]); }

// Products k .. k + 3 of a vector, 0 past the end of the part.
vec4 load_vector(uint base, uint k, uint end)
{
    if (V_WIDE) return vector4(base + k);
    const uvec4 ks = k + uvec4(0, 1, 2, 3), at = base + min(ks, uvec4(end - 1)) * pc.b_k;
    const vec4 v = vec4(vector(at.x), vector(at.y), vector(at.z), vector(at.w));
    return mix(vec4(0.0), v, lessThan(ks, uvec4(end)));
}

// Products k .. k + 3 of a row; anything past the end of the part, that is there.
vec4 load_along(uint base, uint k, uint end)
{
    if (WIDE) return matrix4(base + k);
    const uvec4 at = base + min(k + uvec4(0, 1, 2, 3), uvec4(end - 1)) * pc.a_k;
    return vec4(matrix(at.x), matrix(at.y), matrix(at.z), matrix(at.w));
}

// Product k of the rows row .. row + 3 (past the last one: of that).
vec4 load_across(uint base, uint row, uint k)
{
    const uint at = base + k * pc.a_k;
    if (WIDE) return matrix4(at + row);
    const uvec4 to = at + min(row + uvec4(0, 1, 2, 3), uvec4(rows() - 1)) * pc.a_m;
    return vec4(matrix(to.x), matrix(to.y), matrix(to.z), matrix(to.w));
}

void main()
{
    const uint tiles = (rows() + TILE - 1) / TILE;
    uint i = group_index();
    const uint tile = i % tiles;
    i /= tiles;
    const uint batch = i % pc.g.batches, split = i / pc.g.batches;
    if (split >= pc.g.splits) return; // the whole workgroup leaves together
    uint m_base, v_base;
    bases_of(batch, m_base, v_base);
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
    const uint t = gl_LocalInvocationIndex, row0 = tile * TILE;

    // Four rows of each vector: the 4 of the tile, or this invocation's own.
    vec4 sum[VECS];
    for (uint v = 0; v < VECS; v++) sum[v] = vec4(0.0);
    uint v_at[VECS];
    for (uint v = 0; v < VECS; v++) v_at[v] = v_base + min(v, vectors() - 1) * pc.b_n;
    if (LONG_K) {
        const uvec4 row = min(row0 + uvec4(0, 1, 2, 3), uvec4(rows() - 1));
        const uvec4 m_at = m_base + row * pc.a_m;
        for (uint k = begin + 4 * t; k < end; k += 4 * WG) {
            const vec4 r0 = load_along(m_at.x, k, end), r1 = load_along(m_at.y, k, end);
            const vec4 r2 = load_along(m_at.z, k, end), r3 = load_along(m_at.w, k, end);
            for (uint v = 0; v < VECS; v++) {
                const vec4 x = load_vector(v_at[v], k, end);
                sum[v] += vec4(dot(r0, x), dot(r1, x), dot(r2, x), dot(r3, x));
            }
        }
    } else {
        const uint row = min(row0 + t % LANES * 4, WIDE ? rows() - 4 : rows() - 1);
        for (uint k = begin + t / LANES * 4; k < end; k += 4 * (WG / LANES)) {
            const vec4 r0 = load_across(m_base, row, k);
            const vec4 r1 = load_across(m_base, row, min(k + 1, end - 1));
            const vec4 r2 = load_across(m_base, row, min(k + 2, end - 1));
            const vec4 r3 = load_across(m_base, row, min(k + 3, end - 1));
            for (uint v = 0; v < VECS; v++) {
                const vec4 x = load_vector(v_at[v], k, end);
                sum[v] += x.x * r0 + x.y * r1 + x.z * r2 + x.w * r3;
            }
        }
    }

    // Invocations a power of two apart are added up, down to one, or to the 16 of a tile.
    for (uint v = 0; v < VECS; v++) part[v * WG + t] = sum[v];
    for (uint n = WG / 2; n >= (LONG_K ? 1 : LANES); n /= 2) {
        barrier();
        if (t < n)
            for (uint v = 0; v < VECS; v++) part[v * WG + t] += part[v * WG + t + n];
    }
    barrier();
    const uint y_base = batch * pc.g.m * pc.g.n;
    for (uint o = t; o < TILE * VECS; o += WG) {
        const uint v = o / TILE, r = o % TILE, row = row0 + r;
        if (row < rows() && v < vectors())
            gemm_write(y_base + y_at(row, v), column(row, v), split,
                       part[v * WG + r / 4][r % 4]);
    }
}
