// Numbers of other types inside 32-bit words, by integer arithmetic alone, so that every device
// has them, with subnormals and NaNs, whatever its driver does to those.

// An f16 in the low 16 bits. Each way is computed and one is taken, since lanes that branch
// apart go both ways.
float f16_to_f32(uint h)
{
    const uint sign = (h & 0x8000u) << 16, rest = h & 0x7fffu;
    // Infinities and NaNs have the highest exponent of either type.
    const uint normal = (rest << 13) + (rest < 0x7c00u ? 112u << 23 : 224u << 23);
    // Zero, or a subnormal: a whole number of 2^-24, which f32 holds as a normal number.
    const float magnitude = float(rest) * 5.9604644775390625e-8;
    return uintBitsToFloat(sign | (rest < 0x0400u ? floatBitsToUint(magnitude) : normal));
}

uint f32_to_f16(float x)
{
    const uint bits = floatBitsToUint(x), rest = bits & 0x7fffffffu;
    // To nearest, ties to even; a carry raises the exponent, at the end to infinity.
    const uint normal = rest - (112u << 23) + 0xfffu + (rest >> 13 & 1u) >> 13;
    // Below 2^-14: a whole number of 2^-24.
    const uint small = uint(roundEven(uintBitsToFloat(rest) * 16777216.0));
    const uint size = rest < 0x38800000u ? small : min(normal, 0x7c00u);
    return bits >> 16 & 0x8000u | (rest > 0x7f800000u ? 0x7e00u : size);
}

float bf16_to_f32(uint h) { return uintBitsToFloat(h << 16); }

uint f32_to_bf16(float x)
{
    const uint bits = floatBitsToUint(x);
    const uint near = bits + 0x7fffu + (bits >> 16 & 1u) >> 16; // ties to even
    return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : near;
}
