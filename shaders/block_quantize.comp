#version 450
#extension GL_GOOGLE_include_directive : require
// quantize_blocks for the formats with blocks of 32 and 64: the bytes of block_encode.c in
// src/ops. Every operation is one f32 rounding, as there.
//
//   binding 0  x       f32[blocks * numbers]     read
//   binding 1  packed  bytes in 32-bit words     write   whole words, the last one too
//   spec 0     WG      workgroup size
//   spec 1     FORMAT  TUFF_FORMAT_...
//   grid       pairs of blocks, folded: a pair is a whole number of words
#include "common.glsl"
#include "packed.glsl"
#include "exact.glsl"
#include "abi/block.h"
layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FORMAT = TUFF_FORMAT_Q4_0;
layout(push_constant) uniform Push { tuff_block_pc pc; };
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Packed { uint packed[]; };
#include "block_size.glsl"
#include "block_table.glsl"

const bool HAS_MIN = FORMAT == TUFF_FORMAT_Q4_1 || FORMAT == TUFF_FORMAT_Q5_1;
const bool FIVE = FORMAT == TUFF_FORMAT_Q5_0 || FORMAT == TUFF_FORMAT_Q5_1;
const bool NF4 = FORMAT == TUFF_FORMAT_NF4 || FORMAT == TUFF_FORMAT_NF4_F16;

struct Block {
    uint at;       // its first number
    float d, min;  // what is stored
    float inverse; // what numbers are multiplied by
};

// ---- scales --------------------------------------------------------------------------------

// (extreme, smallest, largest): the first of the numbers with the largest size is extreme.
vec3 ends_of(uint at)
{
    vec3 v = vec3(x[at]);
    for (uint i = 1; i < BLOCK_COUNT; i++) {
        const float next = x[at + i];
        if (abs(next) > abs(v.x)) v.x = next;
        if (next < v.y) v.y = next;
        if (next > v.z) v.z = next;
    }
    return v;
}

// The best scale of iq4_nl: the extreme number is laid on values near the ends of the table,
// and each trial's levels have a scale of their own.
float search_iq4(uint at, float extreme)
{
    const float per = exact_inverse(extreme);
    float best = -1.0, d = 0.0;
    for (int t = 0; t < 30; t++) {
        precise const float inverse = float(t < 15 ? t - 134 : t + 91) * per;
        precise float xq = 0.0, qq = 0.0;
        for (uint i = 0; i < 32; i++) {
            const float v = x[at + i];
            precise const float scaled = v * inverse;
            const float q = iq4_value(iq4_nearest(scaled));
            precise const float product = v * q;
            xq = xq + product;
            qq = qq + q * q; // whole numbers below 2^24
        }
        precise const float square = xq * xq;
        const float gain = exact_div(square, qq);
        if (gain > best) {
            best = gain;
            d = exact_div(xq, qq);
        }
    }
    return d;
}

Block block_of(uint index)
{
    Block b = Block(index * BLOCK_COUNT, 0.0, 0.0, 0.0);
    const vec3 ends = ends_of(b.at);
    b.min = ends.y;
    if (FORMAT == TUFF_FORMAT_Q4_0) b.d = ends.x * -0.125;
    else if (FORMAT == TUFF_FORMAT_Q5_0) b.d = ends.x * -0.0625;
    else if (FORMAT == TUFF_FORMAT_Q8_0) b.d = exact_div(abs(ends.x), 127.0);
    else if (FORMAT == TUFF_FORMAT_IQ4_NL) b.d = search_iq4(b.at, ends.x);
    else if (NF4) b.d = abs(ends.x);
    else b.d = exact_div(ends.z - ends.y, FIVE ? 31.0 : 15.0);
    const bool stored = FORMAT == TUFF_FORMAT_IQ4_NL || FORMAT == TUFF_FORMAT_NF4_F16;
    b.inverse = exact_inverse(stored ? f16_to_f32(f32_to_f16(b.d)) : b.d);
    return b;
}

// ---- levels --------------------------------------------------------------------------------

uint clamp_level(float v, uint most)
{
    return v >= float(most) ? most : v > 0.0 ? uint(v) : 0;
}

uint level(Block b, uint i)
{
    const float v = x[b.at + i];
    if (FORMAT == TUFF_FORMAT_Q8_0) {
        precise const float scaled = abs(v) * b.inverse;
        const float whole = floor(scaled);
        const int size = int(clamp_level(whole + (scaled - whole >= 0.5 ? 1.0 : 0.0), 127));
        return uint((v < 0.0) != (b.inverse < 0.0) ? -size : size) & 0xffu;
    }
    precise const float above = HAS_MIN ? v - b.min : v;
    precise const float scaled = above * b.inverse;
    if (FORMAT == TUFF_FORMAT_IQ4_NL) return iq4_nearest(scaled);
    if (NF4) return nf4_nearest(scaled);
    precise const float shifted = scaled + (HAS_MIN ? 0.5 : FIVE ? 16.5 : 8.5);
    return clamp_level(shifted, FIVE ? 31 : 15);
}

// Two bytes of halves of bytes: byte i holds the numbers i and 16 + i (nf4: 2 i + 1 and 2 i).
uint two_bytes(Block b, uint i)
{
    const uvec4 n = NF4 ? uvec4(2 * i + 1, 2 * i, 2 * i + 3, 2 * i + 2)
                        : uvec4(i, 16 + i, i + 1, 17 + i);
    return (level(b, n.x) & 15) | (level(b, n.y) & 15) << 4 | (level(b, n.z) & 15) << 8 |
           (level(b, n.w) & 15) << 12;
}

// The fifth bits of 16 numbers.
uint fifths(Block b, uint i)
{
    uint bits = 0;
    for (uint k = 0; k < 16; k++) bits |= level(b, i + k) >> 4 << k;
    return bits;
}

// Bytes 2 h and 2 h + 1 of a block.
uint half_of(Block b, uint h)
{
    const uint head = FORMAT == TUFF_FORMAT_NF4 || HAS_MIN ? 2 : 1;
    if (h < head) {
        if (FORMAT == TUFF_FORMAT_NF4) return floatBitsToUint(b.d) >> 16 * h & 0xffffu;
        return f32_to_f16(h == 0 ? b.d : b.min);
    }
    h -= head;
    if (FORMAT == TUFF_FORMAT_Q8_0) return level(b, 2 * h) | level(b, 2 * h + 1) << 8;
    if (!FIVE) return two_bytes(b, 2 * h);
    return h < 2 ? fifths(b, 16 * h) : two_bytes(b, 2 * h - 4);
}

void main()
{
    const uint pair = group_index() * WG + gl_LocalInvocationIndex, halves = BLOCK_BYTES / 2;
    if (2 * pair >= pc.blocks) return;
    const bool both = 2 * pair + 1 < pc.blocks;
    const Block first = block_of(2 * pair), second = block_of(2 * pair + (both ? 1 : 0));
    const uint end = both ? halves : (halves + 1) / 2;
    for (uint w = 0; w < end; w++) {
        uint word = 0;
        for (uint k = 0; k < 2; k++) {
            const uint h = 2 * w + k;
            const uint bits = h < halves ? half_of(first, h)
                            : both ? half_of(second, h - halves) : 0;
            word |= bits << 16 * k;
        }
        packed[pair * halves + w] = word;
    }
}
