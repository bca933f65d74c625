// An index out of a stream of bits. Who includes this has declared the constant BITS and
// index_word(i), word i of the streams.

// Index k of the row whose words begin at `from`.
uint index_at(uint from, uint k)
{
    const uint bit = k * BITS, shift = bit & 31, at = from + (bit >> 5);
    uint v = index_word(at) >> shift;
    if (32 % BITS != 0 && shift + BITS > 32) v |= index_word(at + 1) << (32 - shift);
    return v & ((1 << BITS) - 1);
}
