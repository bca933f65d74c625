#version 450
#extension GL_GOOGLE_include_directive : require
// Weights [n][k] for qrows.comp, made once where they stay: of four outputs a lane neighbours
// along k of KEEP bits, a word of them each. Behind the end of k there is the zero point, which
// of bytes adds nothing.
//
//   binding 0  w       bytes in words, or numbers of BITS bits             read
//   binding 1  w_zero  bytes in words; anything when pc.w_zeros is 0       read
//   binding 2  packed  uvec4[n / (4 W)][k / (32 / KEEP)][W]                write
//   spec 0     WG      workgroup size
//   spec 1     W       lanes of qrows.comp
//   spec 2     BITS    of a weight, 2 to 8 (narrow.glsl)
//   spec 3     KEEP    of it here: 2, 4 or 8
//   grid       texels / WG, folded
#include "common.glsl"
#include "quotient.glsl"
#include "abi/qgemm.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint W = 8;
layout(constant_id = 2) const uint BITS = 8;
layout(constant_id = 3) const uint KEEP = 8;
layout(push_constant) uniform Push { tuff_qrows_pc pc; };
layout(binding = 0) readonly buffer Weight { uint weight[]; };
layout(binding = 1) readonly buffer Zero { uint zero[]; };
layout(binding = 2) writeonly buffer Packed { uvec4 packed[]; };

#define NARROW_WORD(i) weight[i]
#include "narrow.glsl"
uint byte_of(uint word, uint i) { return word >> (i & 3u) * 8u & 0xffu; }

void main()
{
    const uint i = group_index() * WG + gl_LocalInvocationIndex;
    const uint next = i / W, lane = i - next * W, each = 32u / KEEP;
    const uint words = (pc.k + each - 1u) / each;
    const uint tile = quotient(next, words), word = next - tile * words;
    if (tile >= (pc.n + 4u * W - 1u) / (4u * W)) return;
    uvec4 v = uvec4(0u);
    for (uint j = 0u; j < 4u; j++) {
        const uint o = min(tile * 4u * W + 4u * lane + j, pc.n - 1u);
        const uint z = pc.w_zeros == 1u ? 0u : o;
        uint none = 0u;
        if (pc.w_zeros != 0u) none = byte_of(zero[z >> 2], z);
        for (uint k = 0u; k < each; k++) {
            const uint at = word * each + k, from = o * pc.k + at;
            const uint found = at < pc.k ? narrow_byte(from) : none;
            v[j] |= (found & (1u << KEEP) - 1u) << k * KEEP;
        }
    }
    packed[i] = v;
}
