// Four neighbours of a row of w as floats, for the products with few levels. Who includes this
// has declared FORMAT, `pc`, and word(i), word i of w; past the end of w any word will do.
//
// A bit plane's bit i is bit i % 32 of word i / 32: the first plane says what is not 0, the
// second what of that is above 0.

// Bits of w that hold quad q of row `row`, in the lowest 32 (bytes) or 4 (planes).
uvec2 quad_bits(uint row, uint q)
{
    if (FORMAT == TUFF_LEVELS_TERNARY) {
        const uint words = (pc.k + 31u) / 32u, at = row * 2u * words + q / 8u;
        return uvec2(word(at), word(at + words)) >> (q % 8u) * 4u;
    }
    const uint at = row * pc.k + 4u * q, shift = (at & 3u) * 8u;
    const uint low = word(at >> 2) >> shift;
    return uvec2(shift == 0u ? low : low | word((at >> 2) + 1u) << (32u - shift), 0u);
}

vec4 quad_levels(uvec2 bits, float zero)
{
    if (FORMAT == TUFF_LEVELS_TERNARY) {
        const uvec4 at = uvec4(0, 1, 2, 3);
        const uvec4 there = uvec4(bits.x) >> at & 1u, above = uvec4(bits.y) >> at & 1u;
        return vec4(ivec4(2u * above) - ivec4(there));
    }
    const uvec4 v = uvec4(bits.x) >> uvec4(0, 8, 16, 24) & 0xffu;
    return vec4(ivec4(v ^ pc.sign) - int(pc.sign)) - zero;
}
