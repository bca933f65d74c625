#version 450
#extension GL_GOOGLE_include_directive : require
// codebook_matmul with any K: one output per invocation, or with -DTILE tiles for GPUs. a is x,
// b the indices.
//
//   bindings   gemm.glsl's, where b is uint[], and
//   binding 5  codebook  texels, f32[1 << BITS]
//   spec and grid  gemm_plain.glsl's or gemm_tile.glsl's, and
//   spec 11    BITS  of an index
#ifdef TILE
#define ACTS
#endif
#include "common.glsl"
#include "abi/block.h"
layout(constant_id = 11) const uint BITS = 4;
layout(push_constant) uniform Push { tuff_codebook_matmul_pc pc; };
#define GEMM_B uint
#include "gemm.glsl"
layout(binding = 5) uniform samplerBuffer codebook;
uint index_word(uint i) { return b[i]; }
#include "codebook.glsl"

struct Row { uint a; };
struct Col { uint word; };
struct Inner { uint k; };

void gemm_batch(uint z) {}
Row row_of(uint row) { return Row(row * pc.g.k); }
Col col_of(uint col) { return Col(col * pc.words); }
Inner inner_of(uint k) { return Inner(k); }
float load_a(Row r, Inner i) { return a[r.a + i.k]; }
float load_b(Inner i, Col c) { return texelFetch(codebook, int(index_at(c.word, i.k))).x; }
void gemm_store(uint row, uint col, uint split, float v)
{
    gemm_write(row * pc.g.n + col, col, split, v);
}
#ifdef TILE
#include "gemm_tile.glsl"
#else
#include "gemm_plain.glsl"
#endif
