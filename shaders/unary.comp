#version 450
#extension GL_GOOGLE_include_directive : require
// unary: y = f(x), element by element; four words an invocation.
//
//   binding 0  x  uint[words], or with -DTEXEL a texel buffer   read
//   binding 1  y  uint[words]                                   write; may be x's memory
//   spec 0     WG    workgroup size
//   spec 1     OP    TUFF_UNARY_...
//   spec 2     TYPE  TUFF_TYPE_..., of x and of y
//   spec 3     WIDE  TEXEL only: the texels are uvec4 (words is a multiple of 4)
//   grid       words / (4 WG), folded
#include "common.glsl"
#include "elements.glsl"
#include "unary.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint WG = 64;
layout(constant_id = 1) const uint OP = TUFF_UNARY_RELU;
layout(constant_id = 2) const uint TYPE = TUFF_TYPE_F32;
layout(push_constant) uniform Push { tuff_unary_pc pc; };
#ifdef TEXEL
layout(constant_id = 3) const bool WIDE = false;
layout(binding = 0) uniform usamplerBuffer x;
layout(binding = 1) writeonly buffer Y4 { uvec4 y4[]; };
#else
layout(binding = 0) readonly buffer X { uint x[]; };
#endif
layout(binding = 1) writeonly buffer Y { uint y[]; };

#define FUNCTION(NAME, y) case TUFF_UNARY_##NAME: return y;

// A function of a number, where NaN need not be thought of.
float number(float v)
{
    const float a = uintBitsToFloat(pc.a), b = uintBitsToFloat(pc.b);
    switch (OP) {
    UNARY_PLAIN(FUNCTION)
    UNARY_COMMON(FUNCTION)
    UNARY_RARE(FUNCTION)
    default: return v;
    }
}

uint real(uint word)
{
    const float v = uintBitsToFloat(word);
    return is_nan(v) ? word : floatBitsToUint(number(v));
}

uint whole(uint word)
{
    const int v = int(word), a = int(pc.a), b = int(pc.b);
    switch (OP) {
    case TUFF_UNARY_RELU: return uint(max(v, 0));
    case TUFF_UNARY_ABS: return TYPE == TUFF_TYPE_I32 && v < 0 ? uint(-v) : word;
    case TUFF_UNARY_SIGN:
        return TYPE == TUFF_TYPE_I32 ? uint(sign(v)) : word != 0u ? 1u : 0u;
    case TUFF_UNARY_SQUARE: return word * word;
    case TUFF_UNARY_NEG: return ~word + 1u;
    case TUFF_UNARY_CLIP:
        return TYPE == TUFF_TYPE_I32 ? uint(min(max(v, a), b)) : min(max(word, pc.a), pc.b);
    case TUFF_UNARY_BITWISE_NOT: return ~word;
    default: return word;
    }
}

// 1 in each of four bytes that is 0: its highest bit alone would be carried into by 0x7f.
uint not_bytes(uint word)
{
    const uint any = ((word & 0x7f7f7f7fu) + 0x7f7f7f7fu | word) & 0x80808080u;
    return (any ^ 0x80808080u) >> 7;
}

// One place calls for all types: what a driver compiles is the whole switch for every call.
uint f(uint word)
{
    if (TYPE == TUFF_TYPE_BOOL) return not_bytes(word);
    if (TYPE == TUFF_TYPE_I32 || TYPE == TUFF_TYPE_U32) return whole(word);
    const bool halves = is_half(TYPE);
    uint y = 0;
    for (uint shift = 0; shift < 32; shift += halves ? 16 : 32) {
        const uint v = real(halves ? widened(TYPE, word >> shift & 0xffffu) : word);
        y |= halves ? narrowed(TYPE, v) << shift : v;
    }
    return y;
}

#ifdef TEXEL
// Neighbours, so that one fetch brings four.
void main()
{
    const uint i = (group_index() * WG + gl_LocalInvocationIndex) * 4;
    if (i >= pc.words) return;
    uvec4 v;
    if (WIDE) {
        v = texelFetch(x, int(i / 4));
    } else {
        const ivec4 at = ivec4(min(i + uvec4(0, 1, 2, 3), pc.words - 1));
        v = uvec4(texelFetch(x, at.x).x, texelFetch(x, at.y).x, texelFetch(x, at.z).x,
                  texelFetch(x, at.w).x);
    }
    // Each result takes the place of its argument at the end of the row.
    for (uint k = 0; k < 4; k++) v = uvec4(v.yzw, f(v.x));
    if (WIDE) {
        y4[i / 4] = v;
        return;
    }
    y[i] = v.x;
    if (i + 1 < pc.words) y[i + 1] = v.y;
    if (i + 2 < pc.words) y[i + 2] = v.z;
    if (i + 3 < pc.words) y[i + 3] = v.w;
}
#else
// A workgroup's width apart, so that the loads of a workgroup lie side by side.
void main()
{
    const uint first = group_index() * WG * 4 + gl_LocalInvocationIndex;
    for (uint k = 0; k < 4; k++) {
        const uint i = first + k * WG;
        if (i < pc.words) y[i] = f(x[i]);
    }
}
#endif
