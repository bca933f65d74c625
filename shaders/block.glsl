// Numbers out of blocks, straight from 32-bit words. Layouts and formulas: <tuff/ops/block.h>.
//
// Every format keeps neighbouring numbers in neighbouring bytes (nf4: in neighbouring halves
// of bytes), so the unit here is a quad, four numbers 4 q .. 4 q + 3 of a block: their lower
// bits are one word at some byte, shifted. Blocks lie at even bytes, so that such a word is
// one aligned word, or the halves of two.
//
// A product below is exact in f32 (an f16 has 11 bits, the whole numbers beside it at most 13
// that are not powers of two), so each number is rounded once, and has the bits of the
// reference on every device.
//
// Who includes this has declared the constant FORMAT, and block_fetch(i), word i of the
// blocks, and with CODEBOOK the texels `codebook`; packed.glsl and abi/block.h come before.
#include "block_size.glsl"
#include "block_table.glsl"

// ---- bytes ---------------------------------------------------------------------------------

// 16 bits at an even byte.
uint block_u16(uint byte) { return block_fetch(byte >> 2) >> (byte & 2) * 8 & 0xffffu; }

uint block_u8(uint byte) { return block_fetch(byte >> 2) >> (byte & 3) * 8 & 0xffu; }

// 32 bits at an even byte.
uint block_u32(uint byte)
{
    const uint low = block_fetch(byte >> 2);
    if (BLOCK_ALIGNED || (byte & 2) == 0) return low;
    return low >> 16 | block_fetch((byte >> 2) + 1) << 16;
}

float block_f16(uint byte) { return f16_to_f32(block_u16(byte)); }

// The four bytes of a word, shifted and masked.
uvec4 split(uint w, uint shift, uint mask)
{
    return (uvec4(w, w >> 8, w >> 16, w >> 24) >> shift) & mask;
}

vec4 iq4_values(uvec4 i)
{
    return vec4(iq4_value(i.x), iq4_value(i.y), iq4_value(i.z), iq4_value(i.w));
}

vec4 nf4_values(uvec4 i)
{
    return vec4(nf4_value(i.x), nf4_value(i.y), nf4_value(i.z), nf4_value(i.w));
}

// ---- formats -------------------------------------------------------------------------------

// The lower four bits of a quad of 32 numbers whose halves of bytes begin at `byte`.
uvec4 quad_of_32(uint byte, uint q)
{
    return split(block_u32(byte + q % 4 * 4), q / 4 * 4, 15);
}

// Bit i of four neighbours, i = 0 .. 3, as 16 or 0.
uvec4 fifth_bits(uint bits) { return (uvec4(bits, bits >> 1, bits >> 2, bits >> 3) & 1) << 4; }

// Scale and minimum j of 8 of q4_k and q5_k.
uvec2 scale_and_min(uint byte, uint j)
{
    const uint low = block_u8(byte + j % 4), mid = block_u8(byte + 4 + j % 4);
    const uint high = block_u8(byte + 8 + j % 4);
    if (j < 4) return uvec2(low & 63, mid & 63);
    return uvec2((high & 15) | low >> 6 << 4, high >> 4 | mid >> 6 << 4);
}

vec4 quad_q2_k(uint at, uint q)
{
    const uint s = block_u8(at + q / 4);
    const uvec4 v = split(block_u32(at + 16 + q / 32 * 32 + q % 8 * 4), q % 32 / 8 * 2, 3);
    precise const vec4 y = block_f16(at + 80) * float(s & 15) * vec4(v) -
                           block_f16(at + 82) * float(s >> 4);
    return y;
}

vec4 quad_q3_k(uint at, uint q)
{
    const uint j = q / 4;
    const uint low = block_u8(at + 96 + j % 8) >> j / 8 * 4 & 15;
    const uint high = block_u8(at + 104 + j % 4) >> j / 4 * 2 & 3;
    const uvec4 v = split(block_u32(at + 32 + q / 32 * 32 + q % 8 * 4), q % 32 / 8 * 2, 3);
    const uvec4 h = split(block_u32(at + q % 8 * 4), q / 8, 1);
    return block_f16(at + 108) * float(int(low | high << 4) - 32) *
           vec4(ivec4(v + 4 * h) - 4);
}

vec4 quad_q45_k(uint at, uint q)
{
    const bool five = FORMAT == TUFF_FORMAT_Q5_K;
    const uvec2 s = scale_and_min(at + 4, q / 8);
    const uint byte = at + (five ? 48 : 16) + q / 16 * 32 + q % 8 * 4;
    uvec4 v = split(block_u32(byte), q % 16 / 8 * 4, 15);
    if (five) v += split(block_u32(at + 16 + q % 8 * 4), q / 8, 1) * 16;
    precise const vec4 y = block_f16(at) * float(s.x) * vec4(v) -
                           block_f16(at + 2) * float(s.y);
    return y;
}

vec4 quad_q6_k(uint at, uint q)
{
    const uint part = q / 32, j = q % 32 / 8, k = q % 8 * 4;
    const uvec4 low = split(block_u32(at + 64 * part + 32 * (j % 2) + k), j / 2 * 4, 15);
    const uvec4 high = split(block_u32(at + 128 + 32 * part + k), 2 * j, 3);
    const int scale = int(block_u8(at + 192 + q / 4) << 24) >> 24;
    return block_f16(at + 208) * float(scale) * vec4(ivec4(low | high << 4) - 32);
}

#ifdef CODEBOOK
uint index_word(uint i) { return block_fetch(i); }
#include "codebook.glsl"

float codebook_at(uint i) { return texelFetch(codebook, int(i)).x; }

vec4 block_quad(uint at, uint q)
{
    const uint from = at >> 2;
    return vec4(codebook_at(index_at(from, 4 * q)), codebook_at(index_at(from, 4 * q + 1)),
                codebook_at(index_at(from, 4 * q + 2)), codebook_at(index_at(from, 4 * q + 3)));
}
#else
// Quad q of the block at byte `at`.
vec4 block_quad(uint at, uint q)
{
    if (FORMAT == TUFF_FORMAT_Q4_0)
        return block_f16(at) * vec4(ivec4(quad_of_32(at + 2, q)) - 8);
    if (FORMAT == TUFF_FORMAT_IQ4_NL)
        return block_f16(at) * iq4_values(quad_of_32(at + 2, q));
    if (FORMAT == TUFF_FORMAT_Q4_1) {
        precise const vec4 y = block_f16(at) * vec4(quad_of_32(at + 4, q)) + block_f16(at + 2);
        return y;
    }
    if (FORMAT == TUFF_FORMAT_Q5_0) {
        const uvec4 high = fifth_bits(block_u32(at + 2) >> 4 * q);
        return block_f16(at) * vec4(ivec4(quad_of_32(at + 6, q) | high) - 16);
    }
    if (FORMAT == TUFF_FORMAT_Q5_1) {
        const uvec4 high = fifth_bits(block_u32(at + 4) >> 4 * q);
        precise const vec4 y = block_f16(at) * vec4(quad_of_32(at + 8, q) | high) +
                               block_f16(at + 2);
        return y;
    }
    if (FORMAT == TUFF_FORMAT_Q8_0) {
        const uint w = block_u32(at + 2 + 4 * q);
        return block_f16(at) * vec4(ivec4(w << 24, w << 16, w << 8, w) >> 24);
    }
    if (FORMAT == TUFF_FORMAT_Q2_K) return quad_q2_k(at, q);
    if (FORMAT == TUFF_FORMAT_Q3_K) return quad_q3_k(at, q);
    if (FORMAT == TUFF_FORMAT_Q6_K) return quad_q6_k(at, q);
    if (FORMAT == TUFF_FORMAT_NF4 || FORMAT == TUFF_FORMAT_NF4_F16) {
        const bool wide = FORMAT == TUFF_FORMAT_NF4;
        const uint w = block_u16(at + (wide ? 4 : 2) + 2 * q);
        const float d = wide ? uintBitsToFloat(block_u32(at)) : block_f16(at);
        return d * nf4_values(uvec4(w >> 4, w, w >> 12, w >> 8) & 15);
    }
    return quad_q45_k(at, q);
}
#endif
