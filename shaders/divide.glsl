// n / d.by for n < 2^31, exactly: an integer division costs tens of cycles on every GPU, and
// on a software driver it is done lane by lane.
//
// With m = d.mul and s = d.shift: m = (2^(31+s) + e) / d for some 0 <= e < d <= 2^s, so
// n m / 2^(31+s) = n/d + (n/d) e / 2^(31+s), and the second term is below 1/d as n < 2^31:
// too small to reach the next whole number (Granlund and Montgomery, 1994).
#include "abi/divide.h"

uint divide(uint n, tuff_divide d)
{
    uint high, low;
    umulExtended(2 * n, d.mul, high, low);
    return high >> d.shift;
}
