// Signed numbers of BITS bits in words, one behind the other, lowest bit first; of 8 bits they
// are bytes of any kind. Who includes this has declared the constant BITS, and NARROW_WORD(i),
// word i of them.
uint narrow_byte(uint i)
{
    if (BITS == 8u) return NARROW_WORD(i >> 2) >> (i & 3u) * 8u & 0xffu;
    // i BITS may be more than 32 bits hold.
    const uint at = (i >> 5) * BITS + ((i & 31u) * BITS >> 5), shift = (i & 31u) * BITS & 31u;
    const uint next = at + (shift + BITS > 32u ? 1u : 0u);
    const uint v = NARROW_WORD(at) >> shift | (NARROW_WORD(next) << 1) << (31u - shift);
    return uint(int(v << (32u - BITS)) >> (32u - BITS)) & 0xffu;
}
