// Numbers of other types inside 32-bit words, by integer arithmetic alone, so that every device
// has them, with subnormals and NaNs, whatever its driver does to those.

// An f16 in the low 16 bits.
float f16_to_f32(uint h)
{
    const uint sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    if (rest >= 0x7c00u) return uintBitsToFloat(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    if (rest >= 0x0400u) return uintBitsToFloat(sign | ((rest << 13) + (112u << 23)));
    // Zero, or a subnormal: a whole number of 2^-24, which f32 holds as a normal number.
    const float magnitude = float(rest) * 5.9604644775390625e-8;
    return uintBitsToFloat(sign | floatBitsToUint(magnitude));
}

// v / 2^shift to the nearest whole number, ties to even; 1 <= shift <= 31.
uint round_shift(uint v, uint shift)
{
    const uint whole = v >> shift, left = v & ((1u << shift) - 1u), middle = 1u << (shift - 1u);
    return whole + (left > middle || (left == middle && (whole & 1u) != 0u) ? 1u : 0u);
}

uint f32_to_f16(float x)
{
    const uint bits = floatBitsToUint(x), rest = bits & 0x7fffffffu;
    const uint sign = bits >> 16 & 0x8000u;
    if (rest > 0x7f800000u) return sign | 0x7e00u;
    if (rest >= 0x477ff000u) return sign | 0x7c00u; // 65520 and over round to infinity
    if (rest >= 0x38800000u) return sign | round_shift(rest - (112u << 23), 13u);
    // Below 2^-14: a whole number of 2^-24. What is under half of that is zero.
    const uint shift = 126u - (rest >> 23);
    if (shift > 24u) return sign;
    return sign | round_shift((rest & 0x7fffffu) | 0x800000u, shift);
}

float bf16_to_f32(uint h) { return uintBitsToFloat(h << 16); }

uint f32_to_bf16(float x)
{
    const uint bits = floatBitsToUint(x);
    return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : round_shift(bits, 16u);
}
