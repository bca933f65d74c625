// Sums and products that come with what rounding took from them.

// a + b as a sum of two numbers, the second being what rounding took from the first; exact.
vec2 two_sum(float a, float b)
{
    precise const float s = a + b, t = s - a;
    precise const float e = (a - (s - t)) + (b - t);
    return vec2(s, e);
}

// The same of a product (Dekker, 1971): of numbers cut to halves of 12 bits, the products of
// which are exact. |a| and |b| below 2^100.
vec2 two_product(float a, float b)
{
    const float ah = uintBitsToFloat(floatBitsToUint(a) & 0xfffff000u);
    const float bh = uintBitsToFloat(floatBitsToUint(b) & 0xfffff000u);
    precise const float al = a - ah, bl = b - bh, p = a * b;
    precise const float e = ((ah * bh - p) + ah * bl + al * bh) + al * bl;
    return vec2(p, e);
}
