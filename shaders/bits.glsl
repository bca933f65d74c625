// What a float's bits say, whatever a driver makes of NaNs and subnormal numbers.

// 1 for 0, for a NaN and for what is above 0, else -1.
bool is_below_0(float x)
{
    const uint b = floatBitsToUint(x), rest = b & 0x7fffffffu;
    return b != rest && rest != 0u && rest <= 0x7f800000u;
}

// |x| > |limit|; false for NaNs.
bool is_beyond(float x, float limit)
{
    const uint a = floatBitsToUint(x) & 0x7fffffffu, b = floatBitsToUint(limit) & 0x7fffffffu;
    return a > b && a <= 0x7f800000u;
}
