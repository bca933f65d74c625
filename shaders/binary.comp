#version 450
#extension GL_GOOGLE_include_directive : require
// binary: y = f(a, b) with NumPy's broadcasting; four words of y an invocation, or with -DTEXEL
// four elements, or four words of elements that lie several in a word.
//
//   binding 0  a  uint[], or with -DTEXEL a texel buffer   read
//   binding 1  b  the same                                 read
//   binding 2  y  uint[]                                   write; may be a's or b's memory
//                                                          where that one is read SAME
//   spec 0     WG     workgroup size
//   spec 1     OP     TUFF_BINARY_...
//   spec 2     TYPE   TUFF_TYPE_..., of a and b; y has it too, or is bool
//   spec 3, 4  A, B   TUFF_READ_...: where an operand's element lies. With TEXEL, SAME means
//                     uvec4 texels (words are a multiple of 4), and so does ROW; the others
//                     uint texels. Both are ND, or neither
//   spec 5     RANK   ND: dims
//   spec 6     WIDE   TEXEL only: words of y are a multiple of 4
//   grid       what is written / (4 WG), folded
#include "common.glsl"
#include "elements.glsl"
#include "binary.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_BINARY_ADD;
layout(constant_id = 2) const uint TYPE = TUFF_TYPE_F32;
layout(constant_id = 3) const uint A = TUFF_READ_SAME;
layout(constant_id = 4) const uint B = TUFF_READ_SAME;
layout(constant_id = 5) const uint RANK = 0;
layout(push_constant) uniform Push { tuff_binary_pc pc; };
#ifdef TEXEL
layout(constant_id = 6) const bool WIDE = false;
layout(binding = 0) uniform usamplerBuffer a;
layout(binding = 1) uniform usamplerBuffer b;
layout(binding = 2) writeonly buffer Y4 { uvec4 y4[]; };
#else
layout(binding = 0) readonly buffer XA { uint a[]; };
layout(binding = 1) readonly buffer XB { uint b[]; };
#endif
layout(binding = 2) writeonly buffer Y { uint y[]; };
#define SPREAD pc.at
#include "broadcast.glsl"

const bool COMPARES = OP >= TUFF_BINARY_EQUAL && OP <= TUFF_BINARY_LESS_OR_EQUAL;
const bool REAL = TYPE == TUFF_TYPE_F32 || TYPE == TUFF_TYPE_F16 || TYPE == TUFF_TYPE_BF16;

// ---- functions -----------------------------------------------------------------------------

#define FUNCTION(NAME, y) case TUFF_BINARY_##NAME: return y;

bool compare_real(float u, float v)
{
    switch (OP) {
    COMPARE(FUNCTION)
    default: return false;
    }
}

float real(float u, float v)
{
    const float n = pc.n;
    switch (OP) {
    BINARY_COMMON(FUNCTION)
    BINARY_RARE(FUNCTION)
    default: return u;
    }
}

bool compare_whole(uint u, uint v)
{
    const bool flip = TYPE == TUFF_TYPE_I32; // so that the order is that of unsigned numbers
    if (flip) u ^= 0x80000000u;
    if (flip) v ^= 0x80000000u;
    switch (OP) {
    case TUFF_BINARY_EQUAL: return u == v;
    case TUFF_BINARY_GREATER: return u > v;
    case TUFF_BINARY_GREATER_OR_EQUAL: return u >= v;
    case TUFF_BINARY_LESS: return u < v;
    default: return u <= v;
    }
}

// Towards zero; by 0 it is 0, and -2^31 / -1 is -2^31.
uint divide(uint u, uint v)
{
    if (v == 0u) return 0u;
    if (TYPE != TUFF_TYPE_I32) return u / v;
    const bool negative = int(u ^ v) < 0;
    const uint q = (int(u) < 0 ? ~u + 1u : u) / (int(v) < 0 ? ~v + 1u : v);
    return negative ? ~q + 1u : q;
}

// What is left has u's sign; MOD's has v's.
uint remainder(uint u, uint v)
{
    const uint r = v == 0u ? 0u : u - divide(u, v) * v;
    return OP == TUFF_BINARY_MOD && r != 0u && TYPE == TUFF_TYPE_I32 && int(r ^ v) < 0 ? r + v
                                                                                       : r;
}

// By squaring. Of a negative power only 1 and -1 leave anything.
uint power(uint u, uint v)
{
    uint r = 1u;
    if (TYPE == TUFF_TYPE_I32 && int(v) < 0) {
        if (u != 1u && u != 0xffffffffu) return 0u;
        v &= 1u;
    }
    for (; v != 0u; v >>= 1, u *= u) r = (v & 1u) != 0u ? r * u : r;
    return r;
}

uint whole(uint u, uint v)
{
    const bool less = compare_whole(u, v);
    switch (OP) {
    case TUFF_BINARY_ADD: return u + v;
    case TUFF_BINARY_SUB: return u - v;
    case TUFF_BINARY_MUL: return u * v;
    case TUFF_BINARY_DIV: return divide(u, v);
    case TUFF_BINARY_MIN: return less ? u : v;
    case TUFF_BINARY_MAX: return less ? v : u;
    case TUFF_BINARY_POW: return power(u, v);
    case TUFF_BINARY_MOD: return remainder(u, v);
    case TUFF_BINARY_FMOD: return remainder(u, v);
    case TUFF_BINARY_AND: return u & v;
    case TUFF_BINARY_OR: return u | v;
    case TUFF_BINARY_XOR: return u ^ v;
    case TUFF_BINARY_SHIFT_LEFT: return v > 31u ? 0u : u << v;
    case TUFF_BINARY_SHIFT_RIGHT:
        if (TYPE == TUFF_TYPE_I32) return uint(int(u) >> min(v, 31u));
        return v > 31u ? 0u : u >> v;
    default: return u;
    }
}

// Of an element's bits: those of f32 for all floats, 0 and 1 for bool.
uint f(uint u, uint v)
{
    if (REAL) {
        const float s = uintBitsToFloat(u), t = uintBitsToFloat(v);
        return COMPARES ? uint(compare_real(s, t)) : floatBitsToUint(real(s, t));
    }
    return COMPARES ? uint(compare_whole(u, v)) : whole(u, v);
}

// ---- elements ------------------------------------------------------------------------------

// Element number e of a word.
uint taken(uint word, uint e)
{
    if (is_half(TYPE)) return widened(TYPE, word >> e * 16 & 0xffffu);
    if (TYPE == TUFF_TYPE_BOOL) return (word >> e * 8 & 0xffu) != 0u ? 1u : 0u;
    return word;
}

#ifdef TEXEL
uvec4 fetch_four(usamplerBuffer x, uvec4 at)
{
    return uvec4(texelFetch(x, int(at.x)).x, texelFetch(x, int(at.y)).x,
                 texelFetch(x, int(at.z)).x, texelFetch(x, int(at.w)).x);
}

// Of a long y a launch has a piece, and so of operands of its shape.
uvec4 four(usamplerBuffer x, uint mode, uint i, uvec4 walked, uint div, uint mod)
{
    if (mode == TUFF_READ_SAME) return texelFetch(x, int(i / 4));
    i += pc.first;
    if (mode == TUFF_READ_ROW)
        return texelFetch(x, int(i / 4 - quotient(i / 4, mod / 4) * (mod / 4)));
    if (mode == TUFF_READ_BLOCK) return texelFetch(x, int(periodic(i, div, mod))).xxxx;
    return fetch_four(x, mode == TUFF_READ_ND ? walked : periodic_four(i, div, mod));
}

void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4, n = per_word(TYPE);
    const uint count = n == 1 ? pc.at.count : (pc.at.count + n - 1) / n;
    if (i >= count) return;
    uvec4 wa = uvec4(0), wb = uvec4(0);
    if (A == TUFF_READ_ND) {
        for (uint k = 0; k < 4; k++) {
            const uvec3 at = walk(min(i + k, count - 1));
            wa = uvec4(wa.yzw, at.x);
            wb = uvec4(wb.yzw, at.y);
        }
    }
    uvec4 u = four(a, A, i, wa, pc.at.div[0], pc.at.mod[0]);
    uvec4 v = four(b, B, i, wb, pc.at.div[1], pc.at.mod[1]);
    // One place calls f: what a driver compiles is the whole switch for every call. Each
    // result takes the place of its argument at the end of the row.
    for (uint k = 0; k < 4; k++, v = v.yzwx) {
        uint r = 0;
        for (uint e = 0; e < n; e++) {
            const uint bits = f(taken(u.x, e), taken(v.x, e));
            r |= is_half(TYPE) ? narrowed(TYPE, bits) << e * 16 : bits << e * 8;
        }
        u = uvec4(u.yzw, r);
    }
    if (COMPARES && n == 1) {
        y[i / 4] = u.x | u.y << 8 | u.z << 16 | u.w << 24;
        return;
    }
    if (WIDE) {
        y4[i / 4] = u;
        return;
    }
    y[i] = u.x;
    if (i + 1 < count) y[i + 1] = u.y;
    if (i + 2 < count) y[i + 2] = u.z;
    if (i + 3 < count) y[i + 3] = u.w;
}
#else
void main()
{
    const uint per = per_word(TYPE), n = COMPARES ? 4 : per, last = pc.at.count - 1;
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint word = first + k * WG;
        if (word * n > last) return;
        uint r = 0;
        for (uint e = 0; e < n; e++) {
            const uint i = min(word * n + e, last);
            uvec3 at = uvec3(i);
            if (A == TUFF_READ_ND) at = walk(i);
            at.x = operand_at(A, i, at.x, pc.at.div[0], pc.at.mod[0]);
            at.y = operand_at(B, i, at.y, pc.at.div[1], pc.at.mod[1]);
            const uint u = taken(a[at.x / per], at.x % per);
            const uint bits = f(u, taken(b[at.y / per], at.y % per));
            r |= is_half(TYPE) && !COMPARES ? narrowed(TYPE, bits) << e * 16 : bits << e * 8;
        }
        y[word] = r;
    }
}
#endif
