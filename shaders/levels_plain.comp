#version 450
#extension GL_GOOGLE_include_directive : require
// y = act((x w^T) scale + bias) for w of few levels (matmul_q8, ternary_matmul, packed_matmul,
// half_matmul): one output an invocation, or with -DGROUP, for few rows on GPUs, one column of
// up to four rows by 32 invocations, which read neighbouring words.
//
//   binding 0  x      f32[m][k]                                     read
//   binding 1  w      words: bytes, bit planes, or a stream of bits read
//   binding 2  y      f32[m][n]             write; read where a launch goes on with a sum
//   binding 3  scale  f32[n]; anything when there is none           read
//   binding 4  zero   texels, as w's numbers lie; likewise
//   binding 5  bias   texels; likewise
//   spec 0     WG     workgroup size; 128 with -DGROUP
//   spec 1     FORMAT TUFF_LEVELS_...
//   spec 2     ACT    tuff_act, of the last launch of a sum
//   grid       m n / WG, or tiles of 4 columns x 4 rows; folded
// Sums of 64 quads are added up, so that long ones lose little.
#include "common.glsl"
#include "quotient.glsl"
#include "bytes.glsl"
#include "act.glsl"
#include "abi/levels.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FORMAT = TUFF_LEVELS_BYTES;
layout(constant_id = 2) const uint ACT = 0;
layout(push_constant) uniform Push { tuff_levels_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Rows { uint w[]; };
layout(binding = 2) buffer Y { float y[]; };
layout(binding = 3) readonly buffer Scale { float scale[]; };
layout(binding = 4) uniform usamplerBuffer zero_point;
layout(binding = 5) uniform samplerBuffer bias;
uint word(uint i) { return w[min(i, pc.words - 1u)]; }
#include "levels.glsl"

float scale_of(uint row)
{
    if (pc.scales == 0u) return 1.0;
    return scale[pc.scales == 1u ? 0u : row];
}

float finished(float v, uint col)
{
    return act(pc.bias == 0u ? v : v + texelFetch(bias, int(col)).x, ACT);
}

vec4 quad_of_x(uint row, uint q)
{
    vec4 v = vec4(0.0);
    for (uint i = 0u; i < 4u; i++)
        if (4u * q + i < pc.k) v[i] = x[row * pc.k + 4u * q + i];
    return v;
}

#ifdef GROUP
const uint LANES = 32u, COLS = 4u, ROWS = 4u;
shared vec4 part[LANES * COLS]; // of the rows

void main()
{
    const uint cols = (pc.n + COLS - 1u) / COLS, tile = group_index() / cols;
    const uint row0 = tile * ROWS;
    if (row0 >= pc.m) return; // the whole workgroup leaves together
    const uint t = gl_LocalInvocationIndex, lane = t % LANES;
    const uint want = (group_index() - tile * cols) * COLS + t / LANES;
    const uint col = min(want, pc.n - 1u), quads = (pc.k + 3u) / 4u;
    const uint rows = min(pc.m - row0, ROWS);
    const float zero = zero_of(col);
    vec4 sum = vec4(0.0);
    for (uint q = lane; q < quads; q += LANES) {
        const vec4 l = quad_levels(quad_bits(col, q), q, zero);
        for (uint r = 0u; r < rows; r++) sum[r] += dot(quad_of_x(row0 + r, q), l);
    }
    part[t] = sum;
    for (uint half_n = LANES / 2u; half_n > 0u; half_n /= 2u) {
        barrier();
        if (lane < half_n) part[t] += part[t + half_n];
    }
    barrier();
    // Row `lane` of the tile is stored by the lane of its number.
    if (lane < rows && want < pc.n)
        y[(row0 + lane) * pc.n + want] =
            finished(part[t - lane][lane] * scale_of(want), want);
}
#else
void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint row = quotient(i, pc.n), col = i - row * pc.n;
    if (row >= pc.m) return;
    const uint all = (pc.k + 3u) / 4u, quads = min(all, pc.begin + pc.span);
    const float zero = zero_of(col);
    float sum = 0.0;
    for (uint q = pc.begin; q < quads;) {
        const uint end = min(quads, q + 64u);
        float few = 0.0;
        for (; q < end; q++)
            few += dot(quad_of_x(row, q), quad_levels(quad_bits(col, q), q, zero));
        sum += few;
    }
    float part = sum * scale_of(col);
    if (pc.begin != 0u) part += y[i];
    y[i] = quads == all ? finished(part, col) : part;
}
#endif
