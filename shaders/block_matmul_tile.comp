#version 450
#extension GL_GOOGLE_include_directive : require
// block_matmul on GPUs, for x of many rows: blocks are unpacked on their way into shared
// memory.
// Bindings: gemm.glsl, where b is uint[]. Spec constants 0 to 10 and grid: gemm_tile.glsl.
//   spec 11  FORMAT  TUFF_FORMAT_..., of b
#define ACTS
#include "common.glsl"
#include "packed.glsl"
#include "abi/block.h"
layout(constant_id = 11) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(push_constant) uniform Push { tuff_block_matmul_pc pc; };
#define GEMM_B uint
#include "gemm.glsl"
uint block_fetch(uint i) { return b[i]; }
#include "block.glsl"

struct Row { uint a; };
struct Col { uint byte; };
struct Inner { uint k; };

void gemm_batch(uint z) {}
Row row_of(uint row) { return Row(row * pc.g.k); }
Col col_of(uint col) { return Col(col * pc.row_bytes); }
Inner inner_of(uint k) { return Inner(k); }
float load_a(Row r, Inner i) { return a[r.a + i.k]; }
float load_b(Inner i, Col c)
{
    const uint at = c.byte + i.k / BLOCK_COUNT * BLOCK_BYTES, e = i.k % BLOCK_COUNT;
    return block_quad(at, e / 4)[e % 4];
}
void gemm_store(uint row, uint col, uint split, float v)
{
    gemm_write(row * pc.g.n + col, col, split, v);
}
#include "gemm_tile.glsl"
