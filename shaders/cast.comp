#version 450
#extension GL_GOOGLE_include_directive : require
// cast: elements of one type turned into another; four neighbours an invocation, which are a
// whole number of words in every type.
//
//   binding 0  x  elements in 32-bit words, or with -DTEXEL a texel buffer   read
//   binding 1  y  elements in 32-bit words                                   write
//   spec 0     WG        workgroup size
//   spec 1, 2  FROM, TO  TUFF_CAST_...
//   spec 3     SATURATE  whole numbers that do not fit become the nearest that does
//   spec 4     EIGHTS    TEXEL only: real numbers into others, eight an invocation (count is a
//                        multiple of 8, and the texels are uvec4)
//   grid       count / (4 WG), or with EIGHTS count / (8 WG), folded
// base/convert.h says what a cast means. Words up to the one that holds the last element are
// written whole.
#include "common.glsl"
#include "packed.glsl"
#include "abi/cast.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint FROM = TUFF_CAST_F16;
layout(constant_id = 2) const uint TO = TUFF_CAST_F32;
layout(constant_id = 3) const bool SATURATE = false;
layout(push_constant) uniform Push { tuff_cast_pc pc; };
#ifdef TEXEL
layout(constant_id = 4) const bool EIGHTS = false;
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { uvec4 y4[]; };
uint word(uint i) { return texelFetch(x, int(i)).x; }
#else
layout(binding = 0) readonly buffer X { uint x[]; };
uint word(uint i) { return x[i]; }
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

const bool FROM_REAL = FROM <= TUFF_CAST_BF16;
const bool TO_REAL = TO <= TUFF_CAST_BF16;

// Element i as a real number, when FROM is one.
float real_at(uint i)
{
    if (FROM == TUFF_CAST_F32) return uintBitsToFloat(word(i));
    const uint h = word(i >> 1) >> (i & 1u) * 16u & 0xffffu;
    return FROM == TUFF_CAST_F16 ? f16_to_f32(h) : bf16_to_f32(h);
}

// Element i as a whole number of 64 bits (low, high), when FROM is one.
uvec2 whole_at(uint i)
{
    if (FROM == TUFF_CAST_I64) return uvec2(word(2u * i), word(2u * i + 1u));
    if (FROM == TUFF_CAST_U32) return uvec2(word(i), 0u);
    uint v;
    if (FROM == TUFF_CAST_I32) {
        v = word(i);
    } else {
        v = word(i >> 2) >> (i & 3u) * 8u & 0xffu;
        if (FROM == TUFF_CAST_BOOL) v = v != 0u ? 1u : 0u;
        if (FROM == TUFF_CAST_I8) v = (v ^ 0x80u) - 0x80u;
    }
    return uvec2(v, FROM == TUFF_CAST_U8 || FROM == TUFF_CAST_BOOL ? 0u : uint(int(v) >> 31));
}

uvec2 negated(uvec2 v) { return uvec2(~v.x + 1u, ~v.y + (v.x == 0u ? 1u : 0u)); }

// The nearest f32 of a whole number. With `odd` its last bit says instead that bits were left
// out, so that rounding on to 16 bits is right.
float real_of(uvec2 v, bool odd)
{
    const bool negative = int(v.y) < 0;
    if (negative) v = negated(v);
    const int top = v.y != 0u ? 32 + findMSB(v.y) : findMSB(v.x);
    if (top < 0) return 0.0;
    uint bits;
    if (top < 24) {
        bits = v.x << uint(23 - top);
    } else {
        const uint n = uint(top - 23); // bits that are left out: 1 to 40
        uint kept, left, middle, lower;
        if (n < 32u) {
            kept = v.x >> n | v.y << (32u - n);
            left = v.x << (32u - n);
            lower = 0u;
        } else {
            kept = v.y >> (n - 32u);
            left = n == 32u ? v.x : v.y << (64u - n) | v.x >> (n - 32u);
            lower = n == 32u ? 0u : v.x << (64u - n);
        }
        const bool half_way = left == 0x80000000u && lower == 0u;
        const bool up = left > 0x80000000u || (left == 0x80000000u && lower != 0u) ||
                        (half_way && (kept & 1u) != 0u);
        if (odd) bits = kept | ((left | lower) != 0u ? 1u : 0u);
        else bits = kept + (up ? 1u : 0u);
    }
    // A carry out of the 24 bits raises the exponent by itself.
    return uintBitsToFloat((negative ? 0x80000000u : 0u) +
                           (uint(top + 126) << 23) + bits);
}

// Towards zero, into `bits` bits, those of 64 included; what does not fit becomes the nearest
// end, a NaN 0.
uvec2 whole_of(float v, uint bits, bool is_signed)
{
    const uint b = floatBitsToUint(v), rest = b & 0x7fffffffu;
    const bool negative = b >> 31 != 0u;
    if (rest > 0x7f800000u || rest < 0x3f800000u) return uvec2(0u); // NaN, or below 1
    const uint e = (rest >> 23) - 127u;
    const uint most = is_signed ? bits - 1u : bits; // values below 2^most fit
    if (negative && !is_signed) return uvec2(0u);
    if (e >= most) {
        const uint ones = most & 31u;
        uvec2 end = most >= 32u ? uvec2(0xffffffffu, ones != 0u ? (1u << ones) - 1u : 0u)
                                : uvec2((1u << most) - 1u, 0u);
        if (negative) end = uvec2(~end.x, ~end.y);
        return end;
    }
    const uint m = (rest & 0x7fffffu) | 0x800000u;
    uvec2 w;
    if (e <= 23u) w = uvec2(m >> (23u - e), 0u);
    else if (e < 55u) w = uvec2(m << (e - 23u), e == 23u ? 0u : m >> (55u - e));
    else w = uvec2(0u, m << (e - 55u));
    return negative ? negated(w) : w;
}

bool below(uvec2 a, uvec2 b) // as signed numbers
{
    return int(a.y) < int(b.y) || (a.y == b.y && a.x < b.x);
}

uvec2 fitted(uvec2 v)
{
    uvec2 low = uvec2(0u), high = uvec2(0xffffffffu, 0x7fffffffu);
    if (TO == TUFF_CAST_I64) return v;
    if (TO == TUFF_CAST_I32) low = uvec2(0x80000000u, 0xffffffffu);
    if (TO == TUFF_CAST_I8) low = uvec2(0xffffff80u, 0xffffffffu);
    if (TO == TUFF_CAST_I32) high = uvec2(0x7fffffffu, 0u);
    if (TO == TUFF_CAST_U32) high = uvec2(0xffffffffu, 0u);
    if (TO == TUFF_CAST_I8) high = uvec2(0x7fu, 0u);
    if (TO == TUFF_CAST_U8) high = uvec2(0xffu, 0u);
    return below(v, low) ? low : below(high, v) ? high : v;
}

// Element i of x as the bits of y's type.
uvec2 element(uint i)
{
    if (FROM_REAL) {
        const float v = real_at(i);
        if (TO == TUFF_CAST_F32) return uvec2(floatBitsToUint(v), 0u);
        if (TO == TUFF_CAST_F16) return uvec2(f32_to_f16(v), 0u);
        if (TO == TUFF_CAST_BF16) return uvec2(f32_to_bf16(v), 0u);
        if (TO == TUFF_CAST_BOOL)
            return uvec2((floatBitsToUint(v) & 0x7fffffffu) != 0u ? 1u : 0u, 0u);
        if (TO == TUFF_CAST_I64) return whole_of(v, 64u, true);
        if (TO == TUFF_CAST_I32) return whole_of(v, 32u, true);
        if (TO == TUFF_CAST_U32) return whole_of(v, 32u, false);
        return whole_of(v, 8u, TO == TUFF_CAST_I8);
    }
    uvec2 v = whole_at(i);
    if (TO == TUFF_CAST_F32) return uvec2(floatBitsToUint(real_of(v, false)), 0u);
    if (TO == TUFF_CAST_F16) return uvec2(f32_to_f16(real_of(v, true)), 0u);
    if (TO == TUFF_CAST_BF16) return uvec2(f32_to_bf16(real_of(v, true)), 0u);
    if (TO == TUFF_CAST_BOOL) return uvec2((v.x | v.y) != 0u ? 1u : 0u, 0u);
    return SATURATE ? fitted(v) : v;
}

#ifdef TEXEL
// Numbers of 32 bits, two vec4 of them, and eight of 16 bits.
uvec4 wide(uvec2 v)
{
    const uvec4 h = uvec4(v.x & 0xffffu, v.x >> 16, v.y & 0xffffu, v.y >> 16);
    if (FROM == TUFF_CAST_BF16) return h << 16;
    return floatBitsToUint(vec4(f16_to_f32(h.x), f16_to_f32(h.y), f16_to_f32(h.z),
                                f16_to_f32(h.w)));
}

uint narrow(uint v)
{
    return TO == TUFF_CAST_F16 ? f32_to_f16(uintBitsToFloat(v))
                               : f32_to_bf16(uintBitsToFloat(v));
}

uvec2 narrow_four(uvec4 v)
{
    return uvec2(narrow(v.x) | narrow(v.y) << 16, narrow(v.z) | narrow(v.w) << 16);
}

void cast_eight(uint eight)
{
    uvec4 low, high;
    if (FROM == TUFF_CAST_F32) {
        low = texelFetch(x, int(2 * eight));
        high = texelFetch(x, int(2 * eight + 1));
    } else {
        const uvec4 v = texelFetch(x, int(eight));
        low = wide(v.xy);
        high = wide(v.zw);
    }
    if (TO == TUFF_CAST_F32) {
        y4[2 * eight] = low;
        y4[2 * eight + 1] = high;
    } else {
        y4[eight] = uvec4(narrow_four(low), narrow_four(high));
    }
}
#endif

void main()
{
#ifdef TEXEL
    if (EIGHTS) {
        const uint eight = group_index() * WG + gl_LocalInvocationIndex;
        if (eight < pc.count / 8) cast_eight(eight);
        return;
    }
#endif
    const uint first = (group_index() * WG + gl_LocalInvocationIndex) * 4u;
    if (first >= pc.count) return;
    const uint n = min(pc.count - first, 4u);
    if (TO == TUFF_CAST_F16 || TO == TUFF_CAST_BF16) {
        for (uint k = 0u; k < 4u; k += 2u) {
            if (k >= n) return;
            const uint high = k + 1u < n ? element(first + k + 1u).x : 0u;
            y[(first + k) / 2u] = element(first + k).x | high << 16;
        }
    } else if (TO == TUFF_CAST_I8 || TO == TUFF_CAST_U8 || TO == TUFF_CAST_BOOL) {
        uint w = 0u;
        for (uint k = 0u; k < 4u; k++)
            if (k < n) w |= (element(first + k).x & 0xffu) << k * 8u;
        y[first / 4u] = w;
    } else {
        for (uint k = 0u; k < 4u; k++) {
            if (k >= n) return;
            const uvec2 v = element(first + k);
            if (TO == TUFF_CAST_I64) {
                y[2u * (first + k)] = v.x;
                y[2u * (first + k) + 1u] = v.y;
            } else {
                y[first + k] = v.x;
            }
        }
    }
}
