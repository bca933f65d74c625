#version 450
#extension GL_GOOGLE_include_directive : require
// codebook_dequantize: y = codebook[indices].
//
//   binding 0  indices   words, or with -DTEXEL a texel buffer   read
//   binding 1  codebook  texels, f32[1 << BITS]
//   binding 2  y         f32[count]                              write
//   spec 0     WG    workgroup size
//   spec 1     BITS  of an index
//   grid       count invocations, folded
#include "common.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint BITS = 4;
layout(push_constant) uniform Push { tuff_codebook_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer indices;
uint index_word(uint i) { return texelFetch(indices, int(i)).x; }
#else
layout(binding = 0) readonly buffer Indices { uint indices[]; };
uint index_word(uint i) { return indices[i]; }
#endif
layout(binding = 1) uniform samplerBuffer codebook;
layout(binding = 2) writeonly buffer Y { float y[]; };
#include "codebook.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    if (i >= pc.count) return;
    const uint row = i / pc.cols;
    y[i] = texelFetch(codebook, int(index_at(row * pc.words, i - row * pc.cols))).x;
}
