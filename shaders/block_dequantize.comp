#version 450
#extension GL_GOOGLE_include_directive : require
// dequantize_blocks: every number of every block.
//
//   binding 0  blocks  bytes in 32-bit words, or with -DTEXEL a texel buffer   read
//   binding 1  y       vec4[blocks * numbers / 4]                              write
//   spec 0     WG      workgroup size
//   spec 1     FORMAT  TUFF_FORMAT_...
//   grid       quads of all blocks, folded
#include "common.glsl"
#include "packed.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(push_constant) uniform Push { tuff_block_pc pc; };
#ifdef TEXEL
layout(binding = 0) uniform usamplerBuffer blocks;
uint block_fetch(uint i) { return texelFetch(blocks, int(i)).x; }
#else
layout(binding = 0) readonly buffer Blocks { uint blocks[]; };
uint block_fetch(uint i) { return blocks[i]; }
#endif
layout(binding = 1) writeonly buffer Y { vec4 y[]; };
#include "block.glsl"

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex, quads = BLOCK_COUNT / 4;
    if (i / quads >= pc.blocks) return;
    y[i] = block_quad(i / quads * BLOCK_BYTES, i % quads);
}
