// Numbers as keys of 32 bits that compare like the numbers, whatever their type: the larger
// number has the larger key, 0 and -0 have the same, and a NaN has the largest.
//
//   float   sign 0: the bits with the sign set; sign 1: all bits turned, so that they fall
//   int     the bits with the sign turned
const uint KEY_OF_NAN = 0xffffffffu;

uint order_key(uint bits, bool ints)
{
    if (ints) return bits ^ 0x80000000u;
    if ((bits & 0x7fffffffu) > 0x7f800000u) return KEY_OF_NAN;
    if (bits == 0x80000000u) bits = 0;
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
