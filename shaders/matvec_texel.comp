#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
// Matrix x vector on CPU-like drivers, by one subgroup a workgroup; texel fetches of four
// neighbours are the fast way to memory there.
//
//   LONG_K   4 rows (of 8 vectors) or 8: lanes go along k, four products each, and what they
//            have summed is added up by shuffles
//   else     lanes go along the rows, four each, in blocks W lanes apart
//
//   binding 0  a     the matrix: texels, of four if WIDE; storage with -DSTORED
//   binding 1  b     the vectors: texels, of four if V_WIDE; likewise
//   binding 2  y     f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias  texels; anything when TUFF_AFTER_BIAS is not set
//   spec 0     W     invocations in a workgroup, which is one subgroup: 4, 8 or 16
//   spec 1..   matvec.glsl
//   grid       row tiles x batches x splits, folded
// Of what follows a product, only a bias and relu are done here.
#include "common.glsl"
#include "quotient.glsl"
#include "abi/gemm.h"
#include "matvec.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint W = 8;
#ifdef STORED // the same memory, as floats and by fours
layout(binding = 0) readonly buffer A4 { vec4 a4[]; };
layout(binding = 0) readonly buffer A1 { float a1[]; };
layout(binding = 1) readonly buffer B4 { vec4 b4[]; };
layout(binding = 1) readonly buffer B1 { float b1[]; };
#define MATRIX(i) (WIDE ? a4[i] : vec4(a1[i]))
#define VECTOR(i) (V_WIDE ? b4[i] : vec4(b1[i]))
#else
layout(binding = 0) uniform samplerBuffer a;
layout(binding = 1) uniform samplerBuffer b;
#define MATRIX(i) texelFetch(a, int(i))
#define VECTOR(i) texelFetch(b, int(i))
#endif
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;

const uint ROWS = VECS == 8 ? 4 : 8;                // LONG_K: of a tile
const uint BLOCKS = VECS == 1 ? 4 : 1;                // else: of four rows a lane
const uint TILE = LONG_K ? ROWS : 4 * W * BLOCKS;

vec4 matrix(uint i) { return MATRIX(i); }
vec4 vector(uint i) { return VECTOR(i); }

vec4 load_vector(uint base, uint k, uint end)
{
    if (V_WIDE) return vector((base + k) / 4);
    const uvec4 ks = k + uvec4(0, 1, 2, 3), at = base + min(ks, uvec4(end - 1)) * pc.b_k;
    const vec4 v = vec4(vector(at.x).x, vector(at.y).x, vector(at.z).x, vector(at.w).x);
    return mix(vec4(0.0), v, lessThan(ks, uvec4(end)));
}

vec4 load_along(uint base, uint k, uint end)
{
    if (WIDE) return matrix((base + k) / 4);
    const uvec4 at = base + min(k + uvec4(0, 1, 2, 3), uvec4(end - 1)) * pc.a_k;
    return vec4(matrix(at.x).x, matrix(at.y).x, matrix(at.z).x, matrix(at.w).x);
}

vec4 load_across(uint base, uint row, uint k)
{
    const uint at = base + k * pc.a_k;
    if (WIDE) return matrix((at + row) / 4);
    const uvec4 to = at + min(row + uvec4(0, 1, 2, 3), uvec4(rows() - 1)) * pc.a_m;
    return vec4(matrix(to.x).x, matrix(to.y).x, matrix(to.z).x, matrix(to.w).x);
}

void store(uint batch, uint split, uint row, uint v, float value)
{
    if (row >= rows() || v >= vectors()) return;
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0) value += texelFetch(bias, int(column(row, v))).x;
    if ((pc.g.after & TUFF_AFTER_ACT) != 0) value = value < 0.0 ? 0.0 : value;
    y[split * pc.g.count + batch * pc.g.m * pc.g.n + y_at(row, v)] = value;
}

float sum_of_lanes(float x)
{
    for (uint n = W / 2; n > 0; n /= 2) x += subgroupShuffleXor(x, n);
    return x;
}

void main()
{
    const uint tiles = quotient(rows() + TILE - 1, TILE), lane = gl_SubgroupInvocationID;
    uint i = group_index();
    uint next = quotient(i, tiles);
    const uint row0 = (i - next * tiles) * TILE;
    const uint split = quotient(next, pc.g.batches), batch = next - split * pc.g.batches;
    if (split >= pc.g.splits) return;
    uint m_base, v_base;
    bases_of(batch, m_base, v_base);
    const uint begin = split * pc.g.k_step, end = min(pc.g.k, begin + pc.g.k_step);
    uint v_at[VECS];
    for (uint v = 0; v < VECS; v++) v_at[v] = v_base + min(v, vectors() - 1) * pc.b_n;

    if (LONG_K && WIDE && V_WIDE && VECS == 1) {
        // The same with a loop that all lanes leave together.
        const uint quads = (end - begin) / 4, v_quad = (v_at[0] + begin) / 4 + lane;
        uint q = 0;
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define DECLARE_ROW(r)                                                          \
    const uint m##r = (m_base + min(row0 + r, rows() - 1) * pc.a_m + begin) / 4 + lane; \
    float s##r = 0.0;
#define ADD_ROW(r) s##r += dot(matrix(m##r + q), x);
#define STORE_ROW(r)                                                            \
    {                                                                           \
        const float total = sum_of_lanes(s##r);                                 \
        if (lane == 0) store(batch, split, row0 + r, 0, total);                 \
    }
        EACH_ROW(DECLARE_ROW)
        for (; q + W <= quads; q += W) {
            const vec4 x = vector(v_quad + q);
            EACH_ROW(ADD_ROW)
        }
        if (q + lane < quads) {
            const vec4 x = vector(v_quad + q);
            EACH_ROW(ADD_ROW)
        }
        EACH_ROW(STORE_ROW)
    } else if (LONG_K) {
        float sum[ROWS * VECS];
        for (uint s = 0; s < ROWS * VECS; s++) sum[s] = 0.0;
        uint m_at[ROWS];
        for (uint r = 0; r < ROWS; r++)
            m_at[r] = m_base + min(row0 + r, rows() - 1) * pc.a_m;
        for (uint k = begin + 4 * lane; k < end; k += 4 * W) {
            vec4 x[VECS];
            for (uint v = 0; v < VECS; v++) x[v] = load_vector(v_at[v], k, end);
            for (uint r = 0; r < ROWS; r++) {
                const vec4 m = load_along(m_at[r], k, end);
                for (uint v = 0; v < VECS; v++) sum[r * VECS + v] += dot(m, x[v]);
            }
        }
        for (uint s = 0; s < ROWS * VECS; s++) {
            const float total = sum_of_lanes(sum[s]);
            if (lane == 0) store(batch, split, row0 + s / VECS, s % VECS, total);
        }
    } else {
        vec4 sum[BLOCKS * VECS];
        for (uint s = 0; s < BLOCKS * VECS; s++) sum[s] = vec4(0.0);
        const uint most = WIDE ? rows() - 4 : rows() - 1;
        for (uint k = begin; k < end; k += 4) {
            vec4 x[VECS];
            for (uint v = 0; v < VECS; v++) x[v] = load_vector(v_at[v], k, end);
            for (uint n = 0; n < BLOCKS; n++) {
                const uint row = min(row0 + (n * W + lane) * 4, most);
                const vec4 r0 = load_across(m_base, row, k);
                const vec4 r1 = load_across(m_base, row, min(k + 1, end - 1));
                const vec4 r2 = load_across(m_base, row, min(k + 2, end - 1));
                const vec4 r3 = load_across(m_base, row, min(k + 3, end - 1));
                for (uint v = 0; v < VECS; v++)
                    sum[n * VECS + v] += x[v].x * r0 + x[v].y * r1 + x[v].z * r2 + x[v].w * r3;
            }
        }
        for (uint s = 0; s < BLOCKS * VECS; s++) {
            const uint row = row0 + (s / VECS * W + lane) * 4;
            store(batch, split, row, s % VECS, sum[s].x);
            store(batch, split, row + 1, s % VECS, sum[s].y);
            store(batch, split, row + 2, s % VECS, sum[s].z);
            store(batch, split, row + 3, s % VECS, sum[s].w);
        }
    }
}
