// f32 arithmetic with the bits of IEEE 754, where a driver's own is not trusted: Vulkan asks of
// a division only 2.5 ulp. Arguments and results are normal numbers, or a is 0; what is not
// gives anything.

// a / b, rounded to nearest, ties to even: the quotient of the two 24-bit numbers is found
// roughly, and its remainder, which 32 bits hold whatever has overflowed, corrects it.
float exact_div(float a, float b)
{
    const uint x = floatBitsToUint(a), y = floatBitsToUint(b);
    const uint sign = (x ^ y) & 0x80000000u;
    if ((x & 0x7f800000u) == 0) return uintBitsToFloat(sign);
    uint m = (x & 0x7fffffu) | 0x800000u;
    const uint n = (y & 0x7fffffu) | 0x800000u;
    int e = int(x >> 23 & 0xffu) - int(y >> 23 & 0xffu) + 127;
    if (m < n) {
        m *= 2;
        e--;
    }
    uint q = uint(float(m) / float(n) * 8388608.0); // in [2^23, 2^24], give or take a few
    int left = int((m << 23) - q * n);
    const int more = int(floor(float(left) / float(n)));
    q += uint(more);
    left -= more * int(n);
    if (left < 0) {
        q--;
        left += int(n);
    }
    if (left >= int(n)) {
        q++;
        left -= int(n);
    }
    const int middle = 2 * left - int(n);
    if (middle > 0 || (middle == 0 && (q & 1) != 0)) q++;
    return uintBitsToFloat(sign | ((uint(e) << 23) + (q - 0x800000u)));
}

// 1 / d, or 0 where d is 0 or subnormal.
float exact_inverse(float d)
{
    return (floatBitsToUint(d) & 0x7f800000u) == 0 ? 0.0 : exact_div(1.0, d);
}
