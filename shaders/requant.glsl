// The sum of an integer product to a number of 8 bits, in integers (rounding.glsl):
//
//   y = saturate(round(acc m) + zero),  m = left_scale right_scale / y_scale,
//
// where the product of acc and m is exact and rounded once, ties to even; m has 24 bits, each
// of its two steps rounded to nearest, ties to even.
#include "rounding.glsl"

struct Factor {
    Real m;
    bool negative;
};

Factor factor_from(float left, float right, float y)
{
    const uint sign = floatBitsToUint(left) ^ floatBitsToUint(right) ^ floatBitsToUint(y);
    return Factor(exact_quotient(exact_product(real_of(left), real_of(right)), real_of(y)),
                  int(sign) < 0);
}

int requant(int acc, Factor f, int zero, int low, int high)
{
    uint over, under;
    umulExtended(uint(acc < 0 ? -acc : acc), f.m.m, over, under);
    const int whole = int(min(exact_shift(over, under, -f.m.e, false), 1u << 20));
    const bool negative = (acc < 0) != f.negative;
    return clamp((negative ? -whole : whole) + zero, low, high);
}
