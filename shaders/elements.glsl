// Elements of type TUFF_TYPE_... in 32-bit words. Floats of 16 bits are computed with as f32;
// the bits of those are what passes between the functions here.
#include "packed.glsl"
#include "abi/elementwise.h"

bool is_half(uint type) { return type == TUFF_TYPE_F16 || type == TUFF_TYPE_BF16; }

// Elements in a word.
uint per_word(uint type) { return is_half(type) ? 2u : type == TUFF_TYPE_BOOL ? 4u : 1u; }

// The f32 of the half word h.
uint widened(uint type, uint h)
{
    return floatBitsToUint(type == TUFF_TYPE_F16 ? f16_to_f32(h) : bf16_to_f32(h));
}

// The half word of an f32.
uint narrowed(uint type, uint bits)
{
    const float v = uintBitsToFloat(bits);
    return type == TUFF_TYPE_F16 ? f32_to_f16(v) : f32_to_bf16(v);
}

// Both halves of a word, and the word of both.
uvec2 widened_two(uint type, uint word)
{
    return uvec2(widened(type, word & 0xffffu), widened(type, word >> 16));
}

uint narrowed_two(uint type, uvec2 bits)
{
    return narrowed(type, bits.x) | narrowed(type, bits.y) << 16;
}
