// 32 numbers of a block at once, for drivers that run on a CPU, where fetching a texel of four
// words costs no more than one word, and much more than arithmetic.
//
// A chunk is a scale times 32 levels plus a minimum; where 16 numbers have a scale of their own
// (q2_k, q3_k, q6_k) there are two of each. Levels come out of eight words a quad at a time,
// with eight more for upper bits.
//
// Blocks begin at even bytes. The words that hold a chunk are found by fetching the three
// texels it may lie in and moving their words down by two, by one, and by half a word:
//
//   texels   u0 u1 u2 u3 | u4 u5 u6 u7 | u8 ..        byte & 8: by two words
//   chunk           ^^^^^^^^^^^^^^^^^^^^^^^           byte & 4: by one
//                                                     byte & 2: by half of one
//
// What is fetched lies in arrays of two sides, one for each column of who fetches; side and
// index are literals, so that these become registers.
//
// Choices are made by mix, not by ?:, which would become branches that these drivers keep.
//
// Who includes this has declared the constant FORMAT, chunk_fetch(i), texel i of the blocks,
// where i may be past the end, and with CODEBOOK the texels `codebook`; packed.glsl and
// abi/block.h come before.
#include "block_size.glsl"
#include "block_table.glsl"

const bool CHUNK_HALVES = FORMAT == TUFF_FORMAT_Q2_K || FORMAT == TUFF_FORMAT_Q3_K ||
                          FORMAT == TUFF_FORMAT_Q6_K;
const bool CHUNK_MIN = FORMAT == TUFF_FORMAT_Q4_1 || FORMAT == TUFF_FORMAT_Q5_1 ||
                       FORMAT == TUFF_FORMAT_Q2_K || FORMAT == TUFF_FORMAT_Q4_K ||
                       FORMAT == TUFF_FORMAT_Q5_K;

// Chunks that are fetched together: they share words.
const uint GROUP = BLOCK_COUNT < 256 ? 1 : CHUNK_HALVES ? 4 : 2;

// Of the group, eight words a side: its levels (q6_k: of the even chunks, and of the odd ones)
// and their upper bits; four that scales are made of.
uint chunk_low[16], chunk_odd[16], chunk_high[16], chunk_head[8];
// Of one chunk: the scales and minima of its halves; on both sides its bits are at one place.
vec2 chunk_scale[2], chunk_min[2];
uint chunk_low_shift, chunk_high_shift;
bool chunk_is_odd;

// ---- words ---------------------------------------------------------------------------------

uint words[9];

void words_at(uint byte)
{
    const uvec4 a = chunk_fetch(byte >> 4), b = chunk_fetch((byte >> 4) + 1);
    const uvec4 c = chunk_fetch((byte >> 4) + 2);
    const bool two = (byte & 8) != 0, one = (byte & 4) != 0;
    const uvec4 r = mix(a, uvec4(a.zw, b.xy), bvec4(two));
    const uvec4 s = mix(b, uvec4(b.zw, c.xy), bvec4(two));
    const uvec2 t = mix(c.xy, c.zw, bvec2(two));
    const uvec4 u = mix(r, uvec4(r.yzw, s.x), bvec4(one));
    const uvec4 v = mix(s, uvec4(s.yzw, t.x), bvec4(one));
    words[0] = u.x;
    words[1] = u.y;
    words[2] = u.z;
    words[3] = u.w;
    words[4] = v.x;
    words[5] = v.y;
    words[6] = v.z;
    words[7] = v.w;
    words[8] = mix(t.x, t.y, one);
}

// Word i from `byte` on, of what words_at(byte) has left, and from two bytes further.
uint word_of(uint byte, uint i)
{
    if (BLOCK_ALIGNED) return words[i];
    return mix(words[i], words[i] >> 16 | words[i + 1] << 16, (byte & 2) != 0);
}

uint word_behind(uint byte, uint i)
{
    return mix(words[i] >> 16 | words[i + 1] << 16, words[i + 1], (byte & 2) != 0);
}

uint component(uvec4 v, uint i)
{
    const uvec2 pair = mix(v.xz, v.yw, bvec2((i & 1) != 0));
    return mix(pair.x, pair.y, (i & 2) != 0);
}

// The word that holds `byte`, moved so that this is its lowest.
uint word_with(uint byte)
{
    return component(chunk_fetch(byte >> 4), byte >> 2 & 3) >> (byte & 3) * 8;
}

float low_f16(uint w) { return f16_to_f32(w & 0xffffu); }
float high_f16(uint w) { return f16_to_f32(w >> 16); }

// ---- groups --------------------------------------------------------------------------------

#define EACH_WORD(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

void group_of_32(uint side, uint at)
{
    const bool five = FORMAT == TUFF_FORMAT_Q5_0 || FORMAT == TUFF_FORMAT_Q5_1;
    words_at(at);
    if (CHUNK_MIN) {
        chunk_scale[side] = vec2(low_f16(words[0]));
        chunk_min[side] = vec2(high_f16(words[0]));
        chunk_high[8 * side] = words[1];
#define LOW(i) chunk_low[8 * side + i] = words[five ? i + 2 : i + 1];
        LOW(0) LOW(1) LOW(2) LOW(3)
#undef LOW
        return;
    }
    chunk_scale[side] = vec2(low_f16(words[0] >> (at & 2) * 8));
    chunk_high[8 * side] = word_behind(at, 0);
#define LOW(i) chunk_low[8 * side + i] = word_behind(at, five ? i + 1 : i);
    LOW(0) LOW(1) LOW(2) LOW(3)
    if (FORMAT != TUFF_FORMAT_Q8_0) return;
    LOW(4) LOW(5) LOW(6)
    chunk_low[8 * side + 7] = word_behind(at, 7);
#undef LOW
}

void group_of_64(uint side, uint at, uint c)
{
    const bool wide = FORMAT == TUFF_FORMAT_NF4;
    const uint head = word_with(at), from = at + (wide ? 4 : 2) + 16 * c;
    chunk_scale[side] = vec2(wide ? uintBitsToFloat(head) : low_f16(head));
    words_at(from);
#define LOW(i) chunk_low[8 * side + i] = word_of(from, i);
    LOW(0) LOW(1) LOW(2) LOW(3)
#undef LOW
}

// Puts eight words at `byte` into an array.
#define PUT_WORD(i) INTO[8 * side + i] = word_of(byte, i);

void low_words(uint side, uint byte)
{
    words_at(byte);
#define INTO chunk_low
    EACH_WORD(PUT_WORD)
#undef INTO
}

void odd_words(uint side, uint byte)
{
    words_at(byte);
#define INTO chunk_odd
    EACH_WORD(PUT_WORD)
#undef INTO
}

void high_words(uint side, uint byte)
{
    words_at(byte);
#define INTO chunk_high
    EACH_WORD(PUT_WORD)
#undef INTO
}

void head_words(uint side, uint byte)
{
    words_at(byte);
#define HEAD(i) chunk_head[4 * side + i] = word_of(byte, i);
    HEAD(0) HEAD(1) HEAD(2) HEAD(3)
#undef HEAD
}

#ifdef CODEBOOK
void chunk_in(uint side, uint c) {}

// The 32 indices are as many words as an index has bits.
void group_at(uint side, uint at, uint c)
{
    chunk_scale[side] = vec2(1.0);
    chunk_min[side] = vec2(0.0);
    low_words(side, at);
}

// Numbers of a small codebook, which chunk_begin keeps in registers; of a large one they are
// fetched one by one.
float chunk_table[16];

void chunk_begin()
{
    if (BITS > 4) return;
    for (int i = 0; i < 16; i++)
        chunk_table[i] = texelFetch(codebook, min(i, (1 << BITS) - 1)).x;
}

#define EITHER(a, b, bit) mix(a, b, (i & (bit)) != 0)
#define FOUR(n)                                                                 \
    EITHER(EITHER(chunk_table[n], chunk_table[n + 1], 1),                       \
           EITHER(chunk_table[n + 2], chunk_table[n + 3], 1), 2)

float codebook_at(uint i)
{
    if (BITS == 1) return EITHER(chunk_table[0], chunk_table[1], 1);
    if (BITS == 2) return FOUR(0);
    if (BITS == 3) return EITHER(FOUR(0), FOUR(4), 4);
    if (BITS == 4) return EITHER(EITHER(FOUR(0), FOUR(4), 4), EITHER(FOUR(8), FOUR(12), 4), 8);
    return texelFetch(codebook, int(i)).x;
}

// Index n of the 32; n is a literal.
uint chunk_index(uint side, uint n)
{
    const uint bit = n * BITS, word = 8 * side + bit / 32, shift = bit % 32;
    uint v = chunk_low[word] >> shift;
    if (shift + BITS > 32) v |= chunk_low[min(word + 1, 15)] << (32 - shift) % 32;
    return v & ((1 << BITS) - 1);
}

vec4 chunk_levels(uint side, uint q)
{
    const uint n = 4 * q;
    return vec4(codebook_at(chunk_index(side, n)), codebook_at(chunk_index(side, n + 1)),
                codebook_at(chunk_index(side, n + 2)), codebook_at(chunk_index(side, n + 3)));
}
#else
void chunk_begin() {}

// Fetches the group that begins with chunk c of the block at byte `at`.
void group_at(uint side, uint at, uint c)
{
    chunk_scale[side] = chunk_min[side] = vec2(0.0);
    if (BLOCK_COUNT == 32) {
        group_of_32(side, at);
    } else if (BLOCK_COUNT == 64) {
        group_of_64(side, at, c);
    } else if (FORMAT == TUFF_FORMAT_Q2_K) {
        low_words(side, at + 16 + c / 4 * 32);
        head_words(side, at + 2 * c);
        chunk_head[4 * side + 2] = word_with(at + 80);
    } else if (FORMAT == TUFF_FORMAT_Q3_K) {
        low_words(side, at + 32 + c / 4 * 32);
        high_words(side, at);
        head_words(side, at + 96);
    } else if (FORMAT == TUFF_FORMAT_Q6_K) {
        low_words(side, at + c / 4 * 64);
        odd_words(side, at + c / 4 * 64 + 32);
        high_words(side, at + 128 + c / 4 * 32);
        head_words(side, at + 192 + 2 * c);
        chunk_head[4 * side + 2] = word_with(at + 208);
    } else { // blocks begin at multiples of 16 bytes: nothing of this moves
        const bool five = FORMAT == TUFF_FORMAT_Q5_K;
        low_words(side, at + (five ? 48 : 16) + 16 * c);
        if (five) high_words(side, at + 16);
        head_words(side, at);
    }
}

// ---- chunks --------------------------------------------------------------------------------

void scales_of_q45(uint side, uint c)
{
    const uint head = chunk_head[4 * side], j = (c & 3) * 8;
    const uint low = chunk_head[4 * side + 1] >> j, mid = chunk_head[4 * side + 2] >> j;
    const uint high = chunk_head[4 * side + 3] >> j;
    const uint scale = mix((high & 15) | (low & 0xc0) >> 2, low & 63, c < 4);
    const uint min = mix((high & 0xf0) >> 4 | (mid & 0xc0) >> 2, mid & 63, c < 4);
    chunk_scale[side] = vec2(low_f16(head) * float(int(scale)));
    chunk_min[side] = vec2(-high_f16(head) * float(int(min)));
}

// Where two bytes of chunk c lie side by side, those of four chunks in two words.
uint two_of_head(uint side, uint c)
{
    return mix(chunk_head[4 * side], chunk_head[4 * side + 1], (c & 2) != 0) >> (c & 1) * 16;
}

void scales_of_q2(uint side, uint c)
{
    const uint s = two_of_head(side, c), ends = chunk_head[4 * side + 2];
    chunk_scale[side] = low_f16(ends) * vec2(ivec2(s & 15, s >> 8 & 15));
    chunk_min[side] = -high_f16(ends) * vec2(ivec2(s >> 4 & 15, s >> 12 & 15));
}

// Scales 2 c and 2 c + 1 of 16: their lower bits in bytes 2 c and 2 c + 1 of 8, or in the upper
// halves of those, their upper bits in bytes 2 c and 2 c + 1 of 4.
void scales_of_q3(uint side, uint c)
{
    const uint low = two_of_head(side, c) >> c / 4 * 4;
    const uint high = chunk_head[4 * side + 2] >> (c & 1) * 16 + c / 2 * 2;
    const ivec2 s = ivec2((uvec2(low, low >> 8) & 15) | (uvec2(high, high >> 8) & 3) << 4);
    chunk_scale[side] = low_f16(chunk_head[4 * side + 3]) * vec2(s - 32);
}

void scales_of_q6(uint side, uint c)
{
    const uint s = two_of_head(side, c);
    chunk_scale[side] = low_f16(chunk_head[4 * side + 2]) *
                        vec2(ivec2(s << 24, s << 16) >> 24);
}

// Makes what is fetched of a side be its chunk c of the block.
void chunk_in(uint side, uint c)
{
    if (FORMAT == TUFF_FORMAT_Q2_K) scales_of_q2(side, c);
    else if (FORMAT == TUFF_FORMAT_Q3_K) scales_of_q3(side, c);
    else if (FORMAT == TUFF_FORMAT_Q6_K) scales_of_q6(side, c);
    else if (BLOCK_COUNT == 256) scales_of_q45(side, c);
    const bool halves = FORMAT == TUFF_FORMAT_Q4_K || FORMAT == TUFF_FORMAT_Q5_K;
    const bool six = FORMAT == TUFF_FORMAT_Q6_K;
    chunk_low_shift = halves ? (c & 1) * 4 : six ? (c & 2) * 2 : (c & 3) * 2;
    chunk_high_shift = six ? (c & 3) * 2 : c;
    chunk_is_odd = six && (c & 1) != 0;
}

// ---- levels --------------------------------------------------------------------------------

uvec4 bytes_of(uint w) { return uvec4(w & 255, w >> 8 & 255, w >> 16 & 255, w >> 24); }

// Levels 4 q .. 4 q + 3, from 0 on, one a byte.
uint level_bytes(uint side, uint q)
{
    if (BLOCK_COUNT == 32) {
        const uint low = chunk_low[8 * side + q % 4] >> q / 4 * 4 & 0x0f0f0f0fu;
        if (FORMAT != TUFF_FORMAT_Q5_0 && FORMAT != TUFF_FORMAT_Q5_1) return low;
        // The product has a bit of the four in each byte.
        return low | ((chunk_high[8 * side] >> 4 * q & 15) * 0x00204081u & 0x01010101u) << 4;
    }
    uint low = chunk_low[8 * side + q], high = 0;
    if (FORMAT == TUFF_FORMAT_Q6_K) low = mix(low, chunk_odd[8 * side + q], chunk_is_odd);
    low >>= chunk_low_shift;
    if (FORMAT == TUFF_FORMAT_Q2_K) return low & 0x03030303u;
    if (FORMAT == TUFF_FORMAT_Q4_K) return low & 0x0f0f0f0fu;
    high = chunk_high[8 * side + q] >> chunk_high_shift;
    if (FORMAT == TUFF_FORMAT_Q3_K) return (low & 0x03030303u) | (high & 0x01010101u) << 2;
    if (FORMAT == TUFF_FORMAT_Q5_K) return (low & 0x0f0f0f0fu) | (high & 0x01010101u) << 4;
    return (low & 0x0f0f0f0fu) | (high & 0x03030303u) << 4;
}

// The level that stands for 0, where there is no minimum.
const int ZERO_LEVEL = FORMAT == TUFF_FORMAT_Q4_0 ? 8 : FORMAT == TUFF_FORMAT_Q5_0 ? 16 :
                       FORMAT == TUFF_FORMAT_Q3_K ? 4 : FORMAT == TUFF_FORMAT_Q6_K ? 32 : 0;

// Levels 4 q .. 4 q + 3; q is a literal.
vec4 chunk_levels(uint side, uint q)
{
    if (FORMAT == TUFF_FORMAT_Q8_0) {
        const uint w = chunk_low[8 * side + q];
        return vec4(ivec4(w << 24, w << 16, w << 8, w) >> 24);
    }
    if (BLOCK_COUNT == 64) {
        const uint w = chunk_low[8 * side + q / 2] >> (q & 1) * 16;
        const uvec4 i = uvec4(w >> 4, w, w >> 12, w >> 8);
        return vec4(nf4_value(i.x), nf4_value(i.y), nf4_value(i.z), nf4_value(i.w));
    }
    const uvec4 v = bytes_of(level_bytes(side, q));
    if (FORMAT == TUFF_FORMAT_IQ4_NL)
        return vec4(iq4_value(v.x), iq4_value(v.y), iq4_value(v.z), iq4_value(v.w));
    return vec4(ivec4(v)) - float(ZERO_LEVEL);
}
#endif
