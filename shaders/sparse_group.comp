#version 450
#extension GL_GOOGLE_include_directive : require
// csr_matmul and, with -DNM, nm_matmul on GPUs where LINEAR and b has few rows: 32 invocations
// share a row of A and take its numbers in turn, for up to four rows of b.
//
//   bindings   sparse_matmul.comp's
//   spec 1     BITS  of a place in N:M
//   grid       (rows / 4) (n / 4) workgroups, folded
#include "common.glsl"
#include "abi/sparse.h"
layout(local_size_x = 128) in;
layout(push_constant) uniform Push { tuff_sparse_pc pc; };
layout(binding = 0) readonly buffer Values { float values[]; };
layout(binding = 1) readonly buffer Cols { uint cols[]; };
layout(binding = 2) readonly buffer B { float b[]; };
layout(binding = 3) writeonly buffer Y { float y[]; };
uint word(uint i) { return cols[i]; }
#ifndef NM
layout(binding = 4) uniform usamplerBuffer starts;
uint start(uint i) { return texelFetch(starts, int(i)).x; }
#endif
#include "sparse.glsl"

const uint LANES = 32, LINES = 4;
shared vec4 part[LANES * LINES];

void main()
{
    const uint lines = (pc.rows + LINES - 1) / LINES, i = group_index(), tile = i / lines;
    if (tile * 4 >= pc.n) return; // the whole workgroup leaves together
    const uint t = gl_LocalInvocationIndex, lane = t % LANES;
    const uint line = i % lines * LINES + t / LANES, row = pc.first + min(line, pc.rows - 1);
    const uvec4 at = min(tile * 4 + uvec4(0, 1, 2, 3), uvec4(pc.n - 1)) * pc.k;
    const uvec2 blocks = blocks_of(row);
    vec4 sum = vec4(0.0);
    for (uint e = blocks.x + lane; e < blocks.y; e += LANES) {
        const uvec4 from = at + col_of(row, e);
        sum += values[e] * vec4(b[from.x], b[from.y], b[from.z], b[from.w]);
    }
    part[t] = sum;
    for (uint half_n = LANES / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (lane < half_n) part[t] += part[t + half_n];
    }
    barrier();
    const uint n = tile * 4 + lane;
    if (lane < 4 && n < pc.n && line < pc.rows) y[n * pc.m + row] = part[t - lane][lane];
}
