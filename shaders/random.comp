#version 450
#extension GL_GOOGLE_include_directive : require
// random: uniform or normal numbers by counter; one block of four an invocation.
//
//   binding 0  y  float[count]   write
//   spec 0     WG      workgroup size
//   spec 1     NORMAL  normal numbers
//   grid       blocks / WG, folded
//
// Blocks begin at multiples of four of the sequence, y where the caller says: the first and
// the last block may lie in y only in part.
#include "common.glsl"
#include "math.glsl"
#include "philox.glsl"
#include "abi/fill.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const bool NORMAL = false;
layout(push_constant) uniform Push { tuff_random_pc pc; };
layout(binding = 0) writeonly buffer Y { float y[]; };

// Box and Muller: two normal numbers from two words.
vec2 normal(uvec2 word)
{
    const float u = float((word.x >> 8) + 1) * 5.9604644775390625e-8; // in (0, 1], exact
    const float turn = float(word.y >> 8) * 5.9604644775390625e-8;
    return sqrt(-2.0 * log_f32(u)) * cos_sin_turn(turn);
}

void main()
{
    const uint block = group_index() * WG + gl_LocalInvocationIndex;
    const uint skip = pc.first_low & 3;
    if (block >= (skip + pc.count + 3) / 4) return;
    // first / 4 + block in 64 bits.
    const uint low = (pc.first_low >> 2) | (pc.first_high << 30), sum = low + block;
    const uint high = (pc.first_high >> 2) + (sum < low ? 1u : 0u);
    const uvec4 word = philox(uvec4(sum, high, 0, 0), uvec2(pc.seed_low, pc.seed_high));

    vec4 v = philox_uniform(word);
    if (NORMAL) v = vec4(normal(word.xy), normal(word.zw));
    // Two roundings, never one: the numbers have the same bits everywhere.
    precise const vec4 scaled = v * pc.scale;
    precise const vec4 r = scaled + pc.shift;
    for (uint k = 0; k < 4; k++) {
        const uint i = block * 4 + k - skip; // wraps round below 0, and then is too large
        if (i < pc.count) y[i] = r[k];
    }
}
