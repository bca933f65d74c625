// Four neighbours of a row of w as floats, for the products with few levels. Who includes this
// has declared FORMAT, `pc`, and word(i), word i of w; past the end of w any word will do.
//
// A bit plane's bit i is bit i % 32 of word i / 32: the first plane says what is not 0, the
// second what of that is above 0. Packed numbers, and halves, are a stream of BITS bits each
// that goes on from row to row.

const bool STREAM = FORMAT >= TUFF_LEVELS_HALF;
const uint BITS = FORMAT > TUFF_LEVELS_PACKED ? FORMAT - TUFF_LEVELS_PACKED
                : FORMAT == TUFF_LEVELS_HALF ? 16u : 8u;

// The word in which number i of a stream begins, and the bit of it; i BITS may be more than 32
// bits hold.
uint stream_word(uint i) { return (i >> 5) * BITS + ((i & 31u) * BITS >> 5); }
uint stream_shift(uint i) { return (i & 31u) * BITS & 31u; }

// 32 bits from bit `shift` on, of two words.
uint bits_from(uint low, uint high, uint shift)
{
    return low >> shift | (high << 1) << (31u - shift);
}
uvec4 bits_from(uvec4 low, uvec4 high, uint shift)
{
    return low >> shift | (high << 1) << (31u - shift);
}

// Bits of w that hold quad q of row `row`, from the lowest on: 32 (bytes), 4 each (planes), 4
// BITS in one after the other (streams).
uvec2 quad_bits(uint row, uint q)
{
    if (!STREAM && FORMAT == TUFF_LEVELS_TERNARY) {
        const uint words = (pc.k + 31u) / 32u, at = row * 2u * words + q / 8u;
        return uvec2(word(at), word(at + words)) >> (q % 8u) * 4u;
    }
    if (STREAM) {
        const uint i = row * pc.k + 4u * q, at = stream_word(i), shift = stream_shift(i);
        const uint middle = word(at + 1u);
        const uint low = bits_from(word(at), middle, shift);
        return uvec2(low, BITS > 8u ? bits_from(middle, word(at + 2u), shift) : 0u);
    }
    const uint at = row * pc.k + 4u * q, shift = (at & 3u) * 8u;
    const uint low = word(at >> 2) >> shift;
    return uvec2(shift == 0u ? low : low | word((at >> 2) + 1u) << (32u - shift), 0u);
}

// The four numbers of a quad, unsigned. Shifts are reckoned one by one: validators stumble over
// what is done to vectors of specialization constants.
uvec4 quad_numbers(uvec2 bits)
{
    const uint one = BITS & 31u, two = 2 * BITS & 31u, three = 3 * BITS & 31u;
    const uvec4 shift = uvec4(0, one, two, three);
    uvec4 v = uvec4(bits.x) >> shift;
    if (BITS > 8u) {
        v |= (uvec4(bits.y) << 1) << uvec4(31u, 31u - one, 31u - two, 31u - three);
        const bvec4 low = bvec4(true, BITS < 32, 2 * BITS < 32, 3 * BITS < 32);
        v = mix(uvec4(bits.y) >> shift, v, low);
    }
    return v & ((1u << BITS) - 1u);
}

// f16_to_f32 of four.
vec4 f16_to_f32(uvec4 h)
{
    const uvec4 rest = h & 0x7fffu;
    const uvec4 normal = (rest << 13) + mix(uvec4(224u << 23), uvec4(112u << 23),
                                            lessThan(rest, uvec4(0x7c00)));
    const uvec4 small = floatBitsToUint(vec4(rest) * 5.9604644775390625e-8);
    return uintBitsToFloat((h & 0x8000u) << 16 |
                           mix(normal, small, lessThan(rest, uvec4(0x0400))));
}

// Levels of quad q out of its bits. What is past a row's end is any number, but none that
// makes a NaN of 0.
vec4 quad_levels(uvec2 bits, uint q, float zero)
{
    if (!STREAM && FORMAT == TUFF_LEVELS_TERNARY) {
        const uvec4 at = uvec4(0, 1, 2, 3);
        const uvec4 there = uvec4(bits.x) >> at & 1u, above = uvec4(bits.y) >> at & 1u;
        return vec4(ivec4(2u * above) - ivec4(there));
    }
    const uvec4 v = quad_numbers(bits);
    if (STREAM && FORMAT == TUFF_LEVELS_HALF)
        return mix(vec4(0.0), f16_to_f32(v),
                   lessThan(4u * q + uvec4(0, 1, 2, 3), uvec4(pc.k)));
    if (STREAM && BITS == 1u && pc.sign != 0u) return vec4(ivec4(2u * v) - 1);
    return vec4(ivec4(v ^ pc.sign) - int(pc.sign)) - zero;
}

// The zero point of a row, a byte or a number of a stream, out of the texels `zero_point`.
float zero_of(uint row)
{
    if (pc.zeros == 0u) return 0.0;
    const uint i = pc.zeros == 1u ? 0u : row;
    if (STREAM) {
        const uint at = stream_word(i), shift = stream_shift(i);
        const uint last = stream_word(pc.zeros - 1u) +
                          (stream_shift(pc.zeros - 1u) + BITS > 32u ? 1u : 0u);
        const uint high = texelFetch(zero_point, int(min(at + 1u, last))).x;
        return float(bits_from(texelFetch(zero_point, int(at)).x, high, shift) &
                     ((1u << BITS) - 1u));
    }
    return float(byte_at(texelFetch(zero_point, int(i >> 2)).x, i, pc.sign));
}
