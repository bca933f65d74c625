#version 450
#extension GL_GOOGLE_include_directive : require
// block_matmul on GPUs, for x of few rows: 32 invocations share a column of y, of up to four
// rows, and take its quads in turn, so that neighbours read neighbouring words.
//
//   binding 0  x     vec4[m][k / 4]  read
//   binding 1  w     bytes in 32-bit words  read
//   binding 2  y     f32[]  write  y, or the parts of it when pc.g.splits > 1
//   binding 3  bias  texels; anything when TUFF_AFTER_BIAS is not set
//   binding 4  codebook  texels, with -DCODEBOOK: w is indices then
//   spec 0     FORMAT  TUFF_FORMAT_..., of w
//   spec 1     ROWS    1, 2 or 4
//   grid       tiles of 4 columns x row tiles x splits, folded
// Of what follows a product, only a bias and relu are done here.
#include "common.glsl"
#include "packed.glsl"
#include "abi/block.h"
layout(local_size_x = 128) in;
layout(constant_id = 0) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(constant_id = 1) const uint ROWS = 1;
layout(push_constant) uniform Push { tuff_block_matmul_pc pc; };
layout(binding = 0) readonly buffer X { vec4 x[]; };
layout(binding = 1) readonly buffer Blocks { uint w[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) uniform samplerBuffer bias;
#ifdef CODEBOOK
layout(binding = 4) uniform samplerBuffer codebook;
#endif
uint block_fetch(uint i) { return w[i]; }
#include "block.glsl"

const uint LANES = 32, COLS = 4;
shared vec4 part[LANES * COLS]; // of the rows

#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)
#define ADD(r)                                                                  \
    if (ROWS > r) {                                                             \
        const vec4 v = x[min(row + r, pc.g.m - 1) * (pc.g.k / 4) + q] * l;      \
        sum[r] += (v.x + v.y) + (v.z + v.w);                                    \
    }

void main()
{
    const uint cols = (pc.g.n + COLS - 1) / COLS, rows = (pc.g.m + ROWS - 1) / ROWS;
    const uint i = group_index(), split = i / cols / rows;
    if (split >= pc.g.splits) return; // the whole workgroup leaves together
    const uint t = gl_LocalInvocationIndex, lane = t % LANES;
    const uint row = i / cols % rows * ROWS, col = i % cols * COLS + t / LANES;
    const uint begin = split * pc.g.k_step / 4, end = min(pc.g.k / 4, begin + pc.g.k_step / 4);
    const uint from = min(col, pc.g.n - 1) * pc.row_bytes, quads = BLOCK_COUNT / 4;
    vec4 sum = vec4(0.0);
    for (uint q = begin + lane; q < end; q += LANES) {
        const vec4 l = block_quad(from + q / quads * BLOCK_BYTES, q % quads);
        EACH_ROW(ADD)
    }
    part[t] = sum;
    for (uint half_n = LANES / 2; half_n > 0; half_n /= 2) {
        barrier();
        if (lane < half_n) part[t] += part[t + half_n];
    }
    barrier();
    // Row `lane` of the tile is stored by the lane of its number.
    if (lane >= ROWS || row + lane >= pc.g.m || col >= pc.g.n) return;
    float v = part[t - lane][lane];
    if ((pc.g.after & TUFF_AFTER_BIAS) != 0) v += texelFetch(bias, int(col)).x;
    if ((pc.g.after & TUFF_AFTER_ACT) != 0) v = v < 0.0 ? 0.0 : v;
    y[split * pc.g.count + (row + lane) * pc.g.n + col] = v;
}
