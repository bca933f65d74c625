#version 450
#extension GL_GOOGLE_include_directive : require
// dropout: y = x scale where the number of its place is large enough, else 0; four elements,
// which are one word of the mask, an invocation.
//
//   binding 0  x        float[count]                       read
//   binding 1  counter  uint[2], anything without COUNTER  read
//   binding 2  y        float[count]                       write; may be x's memory
//   binding 3  mask     uint[], four a word                write
//   spec 0     WG       workgroup size
//   spec 1     COUNTER  add it, low and high half, to the first place
//   grid       count / (4 WG), folded
#include "common.glsl"
#include "philox.glsl"
#include "abi/elementwise.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool COUNTER = false;
layout(push_constant) uniform Push { tuff_dropout_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer C { uint counter[]; };
layout(binding = 2) writeonly buffer Y { float y[]; };
layout(binding = 3) writeonly buffer Mask { uint mask[]; };

// a + b in 64 bits, as (low, high).
uvec2 plus(uvec2 a, uvec2 b)
{
    const uint low = a.x + b.x;
    return uvec2(low, a.y + b.y + (low < a.x ? 1u : 0u));
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.count) return;
    const uvec2 key = uvec2(pc.seed_low, pc.seed_high);
    uvec2 place = plus(uvec2(pc.first_low, pc.first_high), uvec2(i, 0));
    if (COUNTER) place = plus(place, uvec2(counter[0], counter[1]));
    const uvec2 block = uvec2(place.x >> 2 | place.y << 30, place.y >> 2);
    uvec4 word = philox(uvec4(block, 0, 0), key);
    const uint skip = place.x & 3;
    if (skip > 0) {
        uvec4 next = philox(uvec4(plus(block, uvec2(1, 0)), 0, 0), key);
        for (uint k = 0; k < skip; k++, next = next.yzwx) word = uvec4(word.yzw, next.x);
    }
    uint stay = 0;
    for (uint k = 0; k < min(pc.count - i, 4); k++, word = word.yzwx) {
        const bool stays = word.x >> 8 >= pc.stays_from;
        y[i + k] = stays ? x[i + k] * pc.scale : 0.0;
        stay |= stays ? 1u << k * 8 : 0u;
    }
    mask[i / 4] = stay;
}
