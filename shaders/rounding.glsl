// Rounding with the same bits on every device: Vulkan leaves the direction of rounding open,
// and of a quotient some last bits, so what must be exact is done in integers.
//
// A finite number that is not 0 is (-1)^s m 2^e with 2^23 <= m < 2^24, subnormals too; the
// exponent e may go beyond those of f32.
struct Real {
    uint m; // 0: the number is 0
    int e;
};

const uint EXACT_INF = 0x7f800000u;
const uint HUGE = 0x80000000u; // stands for all magnitudes from there on

Real real_of(float x)
{
    const uint b = floatBitsToUint(x) & 0x7fffffffu, frac = b & 0x7fffffu;
    if (b >= 0x800000u) return Real(frac | 0x800000u, int(b >> 23) - 150);
    if (frac == 0u) return Real(0u, 0);
    const int up = 23 - findMSB(frac);
    return Real(frac << uint(up), -149 - up);
}

// (high 2^32 + low) / 2^shift to the nearest whole number, ties to even, where `more` says that
// there is something below `low`; HUGE at most.
uint exact_shift(uint high, uint low, int shift, bool more)
{
    if (shift <= 0) {
        const bool fits = high == 0u && low < 0x1000000u && shift > -8;
        return fits ? low << uint(-shift) : (high | low) == 0u ? 0u : HUGE;
    }
    if (shift > 63) return 0u;
    uint whole = high, left = low; // for a shift of 32
    bool rest = more;
    const uint n = uint(shift) & 31u;
    if (shift > 32) {
        whole = high >> n;
        left = high << (32u - n) | low >> n;
        rest = rest || low << (32u - n) != 0u;
    } else if (shift < 32) {
        if (high >> n != 0u) return HUGE;
        whole = high << (32u - n) | low >> n;
        left = low << (32u - n);
    }
    const bool up = left > 0x80000000u || (left == 0x80000000u && (rest || (whole & 1u) != 0u));
    return whole >= HUGE ? HUGE : whole + (up ? 1u : 0u);
}

// floor(a.m 2^24 / b.m), below 2^25, and what is left over, below b.m. The quotient of floats
// is off by a few units of 2^-24 at most; the rest, exact modulo 2^32, says by how many.
uint exact_divide(Real a, Real b, out uint rest)
{
    uint q = uint(float(a.m) / float(b.m) * 16777216.0);
    int r = int((a.m << 24) - q * b.m);
    const int by = int(floor(float(r) / float(b.m)));
    q += uint(by);
    r -= by * int(b.m);
    if (r < 0) {
        q--;
        r += int(b.m);
    } else if (r >= int(b.m)) {
        q++;
        r -= int(b.m);
    }
    rest = uint(r);
    return q;
}

Real exact_round(uint m, int e, bool up) // m + 1 where up is true, with 24 bits again
{
    m += up ? 1u : 0u;
    return m >> 24 != 0u ? Real(m >> 1, e + 1) : Real(m, e);
}

// a / b, neither 0, to the nearest number of 24 bits, ties to even.
Real exact_quotient(Real a, Real b)
{
    uint rest;
    const uint q = exact_divide(a, b, rest);
    const int e = a.e - b.e - 24;
    if (q >> 24 == 0u)
        return exact_round(q, e, 2u * rest > b.m || (2u * rest == b.m && (q & 1u) != 0u));
    return exact_round(q >> 1, e + 1, (q & 1u) != 0u && (rest != 0u || (q & 2u) != 0u));
}

// a * b, neither 0, likewise.
Real exact_product(Real a, Real b)
{
    uint high, low;
    umulExtended(a.m, b.m, high, low); // 2^46 <= product < 2^48
    const int shift = high >> 15 != 0u ? 24 : 23;
    return exact_round(exact_shift(high, low, shift, false), a.e + b.e + shift, false);
}

// A number as f32; one that is too small for a normal f32 becomes 0.
float exact_float(Real a, bool negative)
{
    const uint sign = negative ? 0x80000000u : 0u;
    if (a.m == 0u || a.e < -149) return uintBitsToFloat(sign);
    if (a.e > 104) return uintBitsToFloat(sign | EXACT_INF);
    return uintBitsToFloat(sign | ((uint(a.e + 150) << 23) + (a.m - 0x800000u)));
}

// |x / s| as f32 does it, rounded to the nearest whole number: ties to even both times. A NaN
// counts as 0, also one that the division makes.
uint whole_quotient(float x, float s)
{
    const uint xb = floatBitsToUint(x) & 0x7fffffffu, sb = floatBitsToUint(s) & 0x7fffffffu;
    if (xb > EXACT_INF || sb >= EXACT_INF || xb == 0u) return 0u;
    if (xb == EXACT_INF || sb == 0u) return HUGE;
    const Real q = exact_quotient(real_of(x), real_of(s));
    return exact_shift(0u, q.m, -q.e, false);
}
